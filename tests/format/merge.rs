//! Merging over random edits: no change of either side is lost in a clean merge, and what is refused is kept whole.

use std::collections::BTreeMap;

use gwinstall::format::merge::{Merged, three_way, three_way_yaml};
use gwinstall::format::yaml::Doc;
use proptest::prelude::*;

/// Models by name, with their limit of requests.
type Models = BTreeMap<&'static str, Option<u8>>;

/// A configuration as its author thinks of it: settings by key, models by name with one parameter.
#[derive(Debug, Clone, PartialEq)]
struct Config {
    settings: BTreeMap<&'static str, u8>,
    models: Models,
}

#[derive(Debug, Clone)]
enum Edit {
    Set(&'static str, u8),
    Unset(&'static str),
    Model(&'static str, Option<u8>),
    Drop(&'static str),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let setting = prop::sample::select(vec![
        "drop_params",
        "num_retries",
        "request_timeout",
        "json_logs",
        "max_budget",
    ]);
    let model = prop::sample::select(vec!["a", "b", "c", "d"]);
    let one = prop_oneof![
        (setting.clone(), 0..3u8).prop_map(|(key, value)| Edit::Set(key, value)),
        setting.prop_map(Edit::Unset),
        (model.clone(), prop::option::of(0..3u8)).prop_map(|(name, rpm)| Edit::Model(name, rpm)),
        model.prop_map(Edit::Drop),
    ];
    prop::collection::vec(one, 0..4)
}

impl Config {
    fn edited(&self, edits: &[Edit]) -> Self {
        let mut config = self.clone();
        for edit in edits {
            match edit {
                Edit::Set(key, value) => drop(config.settings.insert(key, *value)),
                Edit::Unset(key) => drop(config.settings.remove(key)),
                Edit::Model(name, rpm) => drop(config.models.insert(name, *rpm)),
                Edit::Drop(name) => drop(config.models.remove(name)),
            }
        }
        config
    }

    /// Written in an order of its own, because people put new things at either end.
    fn text(&self, newest_first: bool) -> String {
        let mut text =
            "# one\nmodel_list:\n  - {model_name: fixed, litellm_params: {model: x/fixed}}\n".to_owned();
        let models: Vec<_> =
            if newest_first { self.models.iter().rev().collect() } else { self.models.iter().collect() };
        for (name, rpm) in models {
            text.push_str(&format!("  - model_name: {name}\n    litellm_params:\n      model: x/{name}\n"));
            text.extend(rpm.map(|rpm| format!("      rpm: {rpm}\n")));
        }
        text.push_str("# two\nlitellm_settings:\n  fixed: 0\n");
        let settings: Vec<_> =
            if newest_first { self.settings.iter().rev().collect() } else { self.settings.iter().collect() };
        settings.iter().for_each(|(key, value)| text.push_str(&format!("  {key}: {value}\n")));
        text + "# three\nrouter_settings:\n  routing_strategy: simple-shuffle\n"
    }
}

/// What both meant, key by key, or nothing where they meant different things.
fn meant<V: Clone + PartialEq>(
    base: &BTreeMap<&'static str, V>,
    local: &BTreeMap<&'static str, V>,
    new: &BTreeMap<&'static str, V>,
) -> Option<BTreeMap<&'static str, V>> {
    let mut all = BTreeMap::new();
    for key in base.keys().chain(local.keys()).chain(new.keys()) {
        let (b, o, t) = (base.get(key), local.get(key), new.get(key));
        let value = match () {
            () if o == t || t == b => o,
            () if o == b => t,
            () => return None,
        };
        all.extend(value.map(|value| (*key, value.clone())));
    }
    Some(all)
}

/// What both meant about models: a model is there or not, and its limit is a value of its own.
fn meant_models(base: &Models, local: &Models, new: &Models) -> Option<Models> {
    let mut all = BTreeMap::new();
    for key in base.keys().chain(local.keys()).chain(new.keys()) {
        let (b, o, t) = (base.get(key), local.get(key), new.get(key));
        let value = match (b, o, t) {
            (_, Some(o), Some(t)) => {
                let limit = |limit: Option<Option<u8>>| -> BTreeMap<&'static str, u8> {
                    limit.flatten().map(|limit| ("rpm", limit)).into_iter().collect()
                };
                let limit = meant(&limit(b.copied()), &limit(Some(*o)), &limit(Some(*t)))?;
                Some(limit.get("rpm").copied())
            }
            _ if o == t || t == b => o.copied(),
            _ if o == b => t.copied(),
            _ => return None,
        };
        all.extend(value.map(|value| (*key, value)));
    }
    Some(all)
}

/// The text read back into what its author thinks of.
fn read(text: &str) -> Config {
    let doc = Doc::parse(text).unwrap();
    let root = doc.root().unwrap();
    let number = |text: &str| text.parse::<u8>().unwrap();
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let settings = root.get("litellm_settings").unwrap().entries();
    let models = root.get("model_list").unwrap().seq().unwrap().map(|model| {
        let rpm = model.get("litellm_params").unwrap().get("rpm").and_then(|rpm| rpm.written()).map(number);
        (leak(model.get("model_name").and_then(|name| name.str()).unwrap()), rpm)
    });
    Config {
        settings: settings
            .map(|(key, value)| (leak(key.str().unwrap()), number(value.written().unwrap())))
            .filter(|(key, _)| *key != "fixed")
            .collect(),
        models: models.filter(|(name, _)| *name != "fixed").collect(),
    }
}

fn base() -> Config {
    Config {
        settings: BTreeMap::from([("drop_params", 1), ("num_retries", 2), ("request_timeout", 0)]),
        models: BTreeMap::from([("a", None), ("b", Some(1)), ("c", None)]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A clean merge says exactly what both sides meant; where they meant different things there is none.
    #[test]
    fn a_clean_yaml_merge_loses_nothing(local in edits(), new in edits(), turned in any::<bool>()) {
        let base = base();
        let (local, new) = (base.edited(&local), base.edited(&new));
        let merged = three_way_yaml(&base.text(false), &local.text(turned), &new.text(false));
        let settings = meant(&base.settings, &local.settings, &new.settings);
        let models = meant_models(&base.models, &local.models, &new.models);
        match (merged, settings, models) {
            (Merged::Clean(text), Some(settings), Some(models)) => prop_assert_eq!(read(&text), Config { settings, models }),
            (Merged::Clean(text), ..) => prop_assert!(false, "clean although both meant different things:\n{}", text),
            (Merged::Conflict(why), Some(_), Some(_)) => prop_assert!(false, "a conflict where both can be kept: {}", why),
            (Merged::Conflict(why), ..) => prop_assert!(!why.is_empty()),
        }
    }

    #[test]
    fn a_side_that_changed_nothing_takes_the_other(edits in edits(), turned in any::<bool>()) {
        let (base, other) = (base().text(false), base().edited(&edits).text(turned));
        for merge in [three_way, three_way_yaml] {
            prop_assert_eq!(merge(&base, &base, &other), Merged::Clean(other.clone()));
            prop_assert_eq!(merge(&base, &other, &base), Merged::Clean(other.clone()));
            prop_assert_eq!(merge(&base, &other, &other), Merged::Clean(other.clone()));
        }
    }

    /// Any three texts: an answer, and of a clean one every line came from somewhere.
    #[test]
    fn any_texts_are_merged_or_refused(texts in prop::array::uniform3("([a-d: \\[\\]-]{0,4}\r?\n?){0,8}")) {
        let [base, local, new] = &texts;
        if let Merged::Clean(text) = three_way(base, local, new) {
            for line in text.lines() {
                prop_assert!(texts.iter().any(|text| text.lines().any(|other| other.trim_end() == line.trim_end())), "{}", line);
            }
        }
        let _ = three_way_yaml(base, local, new);
    }
}

/// The properties above would hold for a merge that always refuses.
#[test]
fn edits_in_different_places_do_merge() {
    let base = base();
    let local = base.edited(&[Edit::Set("request_timeout", 2)]);
    let new = base.edited(&[Edit::Model("a", Some(2)), Edit::Model("b", None)]);
    let Merged::Clean(text) = three_way_yaml(&base.text(false), &local.text(false), &new.text(false)) else {
        panic!("a conflict");
    };
    assert_eq!(read(&text).settings["request_timeout"], 2);
    assert_eq!(read(&text).models, new.models);
}
