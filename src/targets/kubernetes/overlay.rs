//! What one environment has that the base has not: strategic-merge patches for objects that differ, and whole objects.

use serde_json::{Map, Value, json};

use super::object::Manifest;

/// The difference of an environment.
pub(super) struct Overlay<'a> {
    /// Objects that only the environment has.
    pub added: Vec<&'a Manifest>,
    /// The file of each patch, and the patch.
    pub patches: Vec<(String, Value)>,
}

pub(super) fn of<'a>(base: &[Manifest], environment: &'a [Manifest]) -> Overlay<'a> {
    let mut overlay = Overlay { added: Vec::new(), patches: Vec::new() };
    for object in environment {
        match base.iter().find(|other| is_same(other, object)) {
            None => overlay.added.push(object),
            Some(other) => {
                if let Some(patch) = difference(&other.document, &object.document, Lists::Merged) {
                    overlay.patches.push((object.file.to_owned(), identified(object, patch)));
                }
            }
        }
    }
    for object in base.iter().filter(|object| !environment.iter().any(|other| is_same(other, object))) {
        let file = format!("without-{}", object.file);
        overlay.patches.push((file, identified(object, json!({ "$patch": "delete" }))));
    }
    overlay
}

fn is_same(one: &Manifest, other: &Manifest) -> bool {
    one.kind == other.kind && one.name == other.name
}

/// A patch begins with the object that it is for.
fn identified(object: &Manifest, patch: Value) -> Value {
    let mut whole = json!({
        "apiVersion": object.api_version,
        "kind": object.kind,
        "metadata": { "name": object.name },
    });
    if let (Value::Object(whole), Value::Object(patch)) = (&mut whole, patch) {
        for (key, value) in patch {
            match (whole.get_mut(&key), value) {
                (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
                (_, value) => {
                    whole.insert(key, value);
                }
            }
        }
    }
    whole
}

/// What a merge does with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::targets) enum Lists {
    /// Joins items by the field that names them (strategic merge).
    Merged,
    /// Takes the later list (Helm).
    Replaced,
}

/// What is laid over `old` so that it becomes `new`; `None`: nothing.
pub(in crate::targets) fn difference(old: &Value, new: &Value, lists: Lists) -> Option<Value> {
    if old == new {
        return None;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => Some(Value::Object(fields(old, new, lists))),
        (Value::Array(old), Value::Array(new)) if lists == Lists::Merged => {
            Some(key_of(old.iter().chain(new)).map_or_else(|| json!(new), |key| items(old, new, key)))
        }
        _ => Some(new.clone()),
    }
}

fn fields(old: &Map<String, Value>, new: &Map<String, Value>, lists: Lists) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            None => {
                patch.insert(key.clone(), value.clone());
            }
            Some(before) => patch.extend(difference(before, value, lists).map(|value| (key.clone(), value))),
        }
    }
    patch.extend(old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null)));
    patch
}

/// The field by which a merge tells the items of a list apart; `None`: the list is replaced as a whole.
fn key_of<'a>(items: impl Iterator<Item = &'a Value> + Clone) -> Option<&'static str> {
    let all_have = |key: &str| items.clone().all(|item| item.get(key).is_some());
    // The order matters: a port of a container has a name, too, and a mount has the name of its volume.
    let keys = ["containerPort", "mountPath", "topologyKey", "targetPort", "name"];
    let key = keys.into_iter().find(|key| all_have(key))?;
    Some(if key == "targetPort" { "port" } else { key })
}

fn items(old: &[Value], new: &[Value], key: &'static str) -> Value {
    let of = |list: &[Value], item: &Value| list.iter().find(|other| other[key] == item[key]).cloned();
    let mut patch = Vec::new();
    for item in new {
        let changed = match of(old, item) {
            None => Some(item.clone()),
            Some(before) => difference(&before, item, Lists::Merged),
        };
        patch.extend(changed.map(|changed| with_key(changed, key, &item[key])));
    }
    let gone = old.iter().filter(|item| of(new, item).is_none());
    patch.extend(gone.map(|item| with_key(deletion(item), key, &item[key])));
    Value::Array(patch)
}

/// A port of a service is named by its protocol, too.
fn deletion(item: &Value) -> Value {
    let mut deletion = json!({ "$patch": "delete" });
    if let Some(protocol) = item.get("protocol") {
        deletion["protocol"] = protocol.clone();
    }
    deletion
}

fn with_key(item: Value, key: &str, value: &Value) -> Value {
    let mut keyed = Map::from_iter([(key.to_owned(), value.clone())]);
    if let Value::Object(item) = item {
        keyed.extend(item);
    }
    Value::Object(keyed)
}
