//! The merge of three values: what the merged configuration has to say, whatever its text looks like.
//!
//! Promises: a value that both sides changed in different ways, or that one side removed and the other changed, is a
//! conflict and named; every other change of either side is in the result.

use std::collections::BTreeMap;

use super::super::yaml::Value;
use super::pairs;

/// Merges three configurations; the error is the path of a value that both sides changed.
pub(super) fn merge(base: &Value, local: &Value, new: &Value) -> Result<Value, String> {
    let merged = member(Some(base), Some(local), Some(new), &Path { name: String::new(), parent: None })?;
    Ok(merged.unwrap_or_else(|| local.clone()))
}

/// The value with the lists sorted whose order LiteLLM does not read, for comparing what two texts say.
pub(super) fn unordered(value: Value) -> Value {
    let named = |value: &Value| matches!(value, Value::Map(members) if members.len() == 1);
    match value {
        Value::Map(members) => {
            let list = Value::text("model_list");
            let one = |(key, value): (Value, Value)| {
                let value = match (unordered(value), key == list) {
                    (Value::Seq(items), true) => Value::Seq(sorted(items)),
                    (value, _) => value,
                };
                (key, value)
            };
            Value::Map(members.into_iter().map(one).collect())
        }
        Value::Seq(items) if !items.is_empty() && items.iter().all(named) => {
            Value::Seq(sorted(items.into_iter().map(unordered).collect()))
        }
        Value::Seq(items) => Value::Seq(items.into_iter().map(unordered).collect()),
        Value::Scalar(_) => value,
    }
}

fn sorted(mut items: Vec<Value>) -> Vec<Value> {
    items.sort();
    items
}

/// Where a value is: the names of the keys above it.
struct Path<'a> {
    name: String,
    parent: Option<&'a Self>,
}

impl<'a> Path<'a> {
    fn inside(&'a self, key: &Value) -> Self {
        let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        Self { name, parent: Some(self) }
    }

    fn is_model_list(&self) -> bool {
        self.name == "model_list" && self.parent.is_some_and(|parent| parent.parent.is_none())
    }

    fn words(&self) -> String {
        match self.parent {
            Some(parent) if parent.parent.is_some() => format!("{}.{}", parent.words(), self.name),
            _ => self.name.clone(),
        }
    }
}

/// Merges one value that each version may lack.
fn member(
    base: Option<&Value>,
    local: Option<&Value>,
    new: Option<&Value>,
    path: &Path<'_>,
) -> Result<Option<Value>, String> {
    if local == new || base == new {
        return Ok(local.cloned());
    }
    if base == local {
        return Ok(new.cloned());
    }
    let none = BTreeMap::new();
    match (base, local, new) {
        (Some(Value::Map(base)), Some(Value::Map(local)), Some(Value::Map(new))) => {
            mapping(base, local, new, path)
        }
        (None, Some(Value::Map(local)), Some(Value::Map(new))) => mapping(&none, local, new, path),
        (Some(Value::Seq(base)), Some(Value::Seq(local)), Some(Value::Seq(new))) => {
            list(base, local, new, path)
        }
        _ => Err(path.words()),
    }
}

fn mapping(
    base: &BTreeMap<Value, Value>,
    local: &BTreeMap<Value, Value>,
    new: &BTreeMap<Value, Value>,
    path: &Path<'_>,
) -> Result<Option<Value>, String> {
    let mut merged = BTreeMap::new();
    for key in base.keys().chain(local.keys()).chain(new.keys()) {
        if let Some(value) = member(base.get(key), local.get(key), new.get(key), &path.inside(key))? {
            merged.insert(key.clone(), value);
        }
    }
    Ok(Some(Value::Map(merged)))
}

fn list(base: &[Value], local: &[Value], new: &[Value], path: &Path<'_>) -> Result<Option<Value>, String> {
    let numbers = pairs::number(path.is_model_list(), base, local, new);
    let Some(numbers) = numbers.filter(|numbers| !(numbers.ordered && numbers.reordered())) else {
        return Err(path.words());
    };
    let find = |items: &'_ [usize], number: usize| items.iter().position(|known| *known == number);
    let merged = |number: usize| {
        let base = find(&numbers.base, number).map(|at| &base[at]);
        let local = find(&numbers.local, number).map(|at| &local[at]);
        let new = find(&numbers.new, number).map(|at| &new[at]);
        let item = local.or(new).or(base);
        let name = item.and_then(|item| item.at("model_name").or(pairs::only_key(item))).cloned();
        let name = name.unwrap_or_else(|| Value::text(number.to_string()));
        member(base, local, new, &path.inside(&name))
    };
    // What the user removed and the new version changed is a conflict, too.
    for number in &numbers.base {
        merged(*number)?;
    }
    let kept = numbers.local.iter().filter(|number| numbers.keeps(**number));
    let kept: Vec<Option<Value>> = kept.map(|number| merged(*number)).collect::<Result<_, _>>()?;
    let added = numbers.added();
    let follow = |after: Option<usize>| {
        added.iter().filter(move |(_, place)| *place == after).map(|(at, _)| new[*at].clone())
    };
    let mut items: Vec<Value> = follow(None).collect();
    for (at, item) in kept.into_iter().enumerate() {
        items.extend(item);
        items.extend(follow(Some(at)));
    }
    Ok(Some(Value::Seq(items)))
}
