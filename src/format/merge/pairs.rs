//! Which items of three versions of a list, or members of a mapping, are the same one.
//!
//! Promises: an item gets one number in all versions; two items of one version never share a number. Deployments of
//! `model_list` are known by what they serve and not by their position, because LiteLLM does not read the order.

use std::collections::{BTreeMap, BTreeSet};

use super::super::yaml::Value;

/// Items of one list or mapping that are told apart. No configuration has as many, and each is compared with all others.
const MOST: usize = 2_000;

/// The numbers of the items, in the order of each version.
pub(super) struct Numbers {
    pub(super) base: Vec<usize>,
    pub(super) local: Vec<usize>,
    pub(super) new: Vec<usize>,
    /// Whether the order of the items means something.
    pub(super) ordered: bool,
}

/// Numbers the items of a list; `None` where they cannot be told apart, so that the list is one value.
pub(super) fn number(deployments: bool, base: &[Value], local: &[Value], new: &[Value]) -> Option<Numbers> {
    let versions = [base, local, new];
    if versions.iter().any(|items| items.len() > MOST) {
        return None;
    }
    if deployments && versions.iter().all(|items| items.iter().all(|item| item.at("model_name").is_some())) {
        return Some(by_service(base, local, new));
    }
    by_name(&versions.map(|items| items.iter().map(only_key).collect::<Option<Vec<_>>>()), false)
        .or_else(|| by_name(&versions.map(|items| Some(items.iter().collect())), true))
}

/// Numbers things by their names; `None` if a version has a name twice.
fn by_name(versions: &[Option<Vec<&Value>>; 3], ordered: bool) -> Option<Numbers> {
    let mut known: BTreeMap<&Value, usize> = BTreeMap::new();
    let mut numbered = Vec::with_capacity(3);
    for names in versions {
        let names = names.as_ref().filter(|names| names.len() <= MOST)?;
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return None;
        }
        let numbers = names.iter().map(|name| {
            let next = known.len();
            *known.entry(*name).or_insert(next)
        });
        numbered.push(numbers.collect());
    }
    let new = numbered.pop()?;
    let local = numbered.pop()?;
    Some(Numbers { base: numbered.pop()?, local, new, ordered })
}

/// Numbers the keys of a mapping. The order of its members means nothing.
pub(super) fn number_keys(base: &[&Value], local: &[&Value], new: &[&Value]) -> Option<Numbers> {
    by_name(&[base, local, new].map(|keys| Some(keys.to_vec())), false)
}

/// The key of a mapping with one member: how the lists of fallbacks name their items.
pub(super) fn only_key(item: &Value) -> Option<&Value> {
    match item {
        Value::Map(members) if members.len() == 1 => members.keys().next(),
        _ => None,
    }
}

fn by_service(base: &[Value], local: &[Value], new: &[Value]) -> Numbers {
    let (in_local, in_new) = (pair(base, local, Leftovers::Rename), pair(base, new, Leftovers::Rename));
    let mut next = base.len();
    let mut fresh = |known: &Option<usize>| {
        known.unwrap_or_else(|| {
            next += 1;
            next - 1
        })
    };
    let local_numbers: Vec<usize> = in_local.iter().map(&mut fresh).collect();
    // Of two that both versions added, one service is one item, and so is one name that base did not have.
    let added = |pairs: &[Option<usize>]| -> Vec<usize> {
        pairs.iter().enumerate().filter(|(_, known)| known.is_none()).map(|(at, _)| at).collect()
    };
    let (local_added, new_added) = (added(&in_local), added(&in_new));
    let items = |side: &[Value], at: &[usize]| at.iter().map(|at| side[*at].clone()).collect::<Vec<_>>();
    let names: BTreeSet<Option<&Value>> = base.iter().map(|item| item.at("model_name")).collect();
    let both = pair(&items(local, &local_added), &items(new, &new_added), Leftovers::NewNames(&names));
    let mut new_pairs = in_new;
    for (at, known) in new_added.into_iter().zip(both) {
        new_pairs[at] = known.map(|known| local_numbers[local_added[known]]);
    }
    Numbers {
        base: (0..base.len()).collect(),
        new: new_pairs.iter().map(fresh).collect(),
        local: local_numbers,
        ordered: false,
    }
}

/// What pairs an item that nothing else paired.
enum Leftovers<'a> {
    /// The only one left of its name; then equal parameters under another name.
    Rename,
    /// The only one left of its name, if the name is not one of these.
    NewNames(&'a BTreeSet<Option<&'a Value>>),
}

/// For each item of `to` the index of the item of `from` that it is.
fn pair(from: &[Value], to: &[Value], leftovers: Leftovers<'_>) -> Vec<Option<usize>> {
    let mut pairs = vec![None; to.len()];
    let mut free: BTreeSet<usize> = (0..from.len()).collect();
    for same in [|a: &Value, b: &Value| a == b, |a: &Value, b: &Value| service(a) == service(b)] {
        for (at, item) in to.iter().enumerate().filter(|(at, _)| pairs[*at].is_none()).collect::<Vec<_>>() {
            if let Some(found) = free.iter().copied().find(|found| same(&from[*found], item)) {
                free.remove(&found);
                pairs[at] = Some(found);
            }
        }
    }
    let name = |item: &Value| item.at("model_name").cloned();
    let params = |item: &Value| item.at("litellm_params").cloned();
    match leftovers {
        Leftovers::Rename => {
            pair_only(from, to, &mut free, &mut pairs, name);
            pair_only(from, to, &mut free, &mut pairs, params);
        }
        Leftovers::NewNames(known) => pair_only(from, to, &mut free, &mut pairs, |item| {
            name(item).filter(|_| !known.contains(&item.at("model_name")))
        }),
    }
    pairs
}

/// Pairs the items that are the only ones left with their property.
fn pair_only(
    from: &[Value],
    to: &[Value],
    free: &mut BTreeSet<usize>,
    pairs: &mut [Option<usize>],
    property: impl Fn(&Value) -> Option<Value>,
) {
    let open: Vec<usize> = (0..to.len()).filter(|at| pairs[*at].is_none()).collect();
    for at in &open {
        let Some(wanted) = property(&to[*at]) else { continue };
        let rivals = open.iter().filter(|other| property(&to[**other]).as_ref() == Some(&wanted)).count();
        let found: Vec<usize> =
            free.iter().copied().filter(|found| property(&from[*found]).as_ref() == Some(&wanted)).collect();
        if let ([found], 1) = (found.as_slice(), rivals) {
            free.remove(found);
            pairs[*at] = Some(*found);
        }
    }
}

/// What a deployment serves: its name, its route and its base URL.
fn service(item: &Value) -> [Option<&Value>; 3] {
    let params = item.at("litellm_params");
    [
        item.at("model_name"),
        params.and_then(|params| params.at("model")),
        params.and_then(|params| params.at("api_base")),
    ]
}

impl Numbers {
    /// Whether `new` has the items that it shares with `base` in another order.
    pub(super) fn reordered(&self) -> bool {
        let shared = |one: &[usize], other: &[usize]| -> Vec<usize> {
            one.iter().copied().filter(|number| other.contains(number)).collect()
        };
        shared(&self.base, &self.new) != shared(&self.new, &self.base)
    }

    /// Whether `local` keeps its item `number`: the new version did not remove it.
    pub(super) fn keeps(&self, number: usize) -> bool {
        self.new.contains(&number) || !self.base.contains(&number)
    }

    /// The items that `new` adds: each with the kept local item that it follows (an index into those that `keeps`
    /// keeps), or none at the beginning. What the user added at the same place comes first.
    pub(super) fn added(&self) -> Vec<(usize, Option<usize>)> {
        let kept: Vec<usize> = self.local.iter().copied().filter(|number| self.keeps(*number)).collect();
        let mine = |at: usize| kept.get(at).is_some_and(|n| !self.base.contains(n) && !self.new.contains(n));
        let (mut after, mut added) = (None, Vec::new());
        for (at, number) in self.new.iter().enumerate() {
            if let Some(found) = kept.iter().position(|known| known == number) {
                after = Some(found);
            } else if !self.base.contains(number) && !self.local.contains(number) {
                while after.is_some_and(|after| mine(after + 1)) {
                    after = after.map(|after| after + 1);
                }
                added.push((at, after));
            }
        }
        added
    }
}
