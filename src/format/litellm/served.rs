//! The names that a configuration lets a client ask for. Pure.

use std::collections::BTreeSet;

use crate::format::yaml::{Doc, Node, Scalar};

/// Where an entry that takes its key from this variable sends it, if it names an address.
pub fn base_of_key(text: &str, variable: &str) -> Option<String> {
    let doc = Doc::parse(text).ok()?;
    let key = format!("os.environ/{variable}");
    let params = doc.root()?.get("model_list")?.seq()?;
    let mut params = params.filter_map(|model| model.get("litellm_params"));
    params.find_map(|params| {
        let takes_it = params.get("api_key").and_then(Node::str) == Some(key.as_str());
        let base = ["api_base", "base_url"].iter().find_map(|name| params.get(name)?.str());
        base.filter(|_| takes_it).map(str::to_owned)
    })
}

/// The names that can be called, and whether there may be others that are not in this file.
#[derive(Debug, Default)]
pub struct Served {
    pub(super) names: BTreeSet<String>,
    pub(super) open_ended: bool,
    /// Further names that a setting of LiteLLM may use for a model of the list.
    pub(super) targets: BTreeSet<String>,
    /// Names that are called but not listed by `/v1/models`.
    hidden: BTreeSet<String>,
}

impl Served {
    /// Reads a configuration; `None` if its text does not parse.
    pub fn read(text: &str) -> Option<Self> {
        let doc = Doc::parse(text).ok()?;
        let root = doc.root()?;
        let mut served = Self::empty(root);
        let models = root.get("model_list").and_then(Node::seq).into_iter().flatten();
        served.names.extend(models.filter_map(|model| model.get("model_name")?.str().map(str::to_owned)));
        let router = root.get("router_settings");
        let aliases = router.and_then(|router| router.get("model_group_alias")).filter(|node| node.is_map());
        for (alias, target) in aliases.into_iter().flat_map(Node::entries) {
            let Some(name) = alias.str() else { continue };
            let hidden =
                target.is_map() && target.get("hidden").and_then(Node::scalar) == Some(&Scalar::Bool(true));
            if hidden { &mut served.hidden } else { &mut served.names }.insert(name.to_owned());
        }
        Some(served)
    }

    /// Without a name: models of a database and of included files are not in this file.
    pub(super) fn empty(root: Node<'_>) -> Self {
        let general = root.get("general_settings");
        let in_database = general.and_then(|general| general.get("store_model_in_db")).and_then(Node::scalar);
        let open_ended = in_database == Some(&Scalar::Bool(true)) || root.get("include").is_some();
        Self { open_ended, ..Self::default() }
    }

    /// Whether a call to `name` finds a model; names with `*` serve all that they match.
    pub fn has(&self, name: &str) -> bool {
        self.open_ended
            || self.names.contains(name)
            || self.hidden.contains(name)
            || self.names.iter().any(|pattern| {
                let fits = |(start, end): (&str, &str)| {
                    name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
                };
                pattern.split_once('*').is_some_and(fits)
            })
    }

    /// The names that `/v1/models` lists: all without a `*`.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| !name.contains('*'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_aliases_and_patterns_are_served_and_only_plain_names_are_listed() {
        let served = Served::read(
            "model_list:\n  - {model_name: a, litellm_params: {model: openai/a}}\n  - model_name: claude-*\n\
             router_settings:\n  model_group_alias: {b: a, c: {model: a, hidden: true}}\n",
        )
        .unwrap();
        for (name, has) in [("a", true), ("b", true), ("c", true), ("claude-x", true), ("d", false)] {
            assert_eq!(served.has(name), has, "{name}");
        }
        assert_eq!(served.listed().collect::<Vec<_>>(), ["a", "b"]);
        assert!(Served::read("include: [x.yaml]\n").unwrap().has("anything"));
        assert!(Served::read("model_list: [").is_none());
    }
}
