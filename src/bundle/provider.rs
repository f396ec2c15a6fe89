//! Providers: who serves models, and how Claude Code reaches them.
//!
//! A *direct* provider answers in Anthropic's protocol, so Claude Code asks it without any process in between. Every
//! other one is reached through LiteLLM. Promise: data of the catalog; nothing here names a provider. Never: does I/O.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::model::{Model, Tier};

/// One provider of the catalog.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub name: String,
    pub description: String,
    /// The preset that reaches it through LiteLLM; absent for a direct provider.
    #[serde(default)]
    pub preset: Option<String>,
    /// The first part of its routes in LiteLLM, which `models add PREFIX/MODEL` takes as well.
    pub prefix: String,
    /// Its endpoint for Anthropic's protocol, without `/v1/messages`; absent: LiteLLM translates.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The variable of its key, by LiteLLM's name; absent: it asks for none, or for a login of its own.
    #[serde(default)]
    pub key: Option<String>,
    /// A GET that costs nothing and that it refuses without a good key.
    #[serde(default)]
    pub free_call: Option<String>,
    /// The header that carries the key there; absent: `authorization`, as a bearer.
    #[serde(default)]
    pub key_header: Option<String>,
    /// Further variables that its routes need.
    #[serde(default)]
    pub env: Vec<String>,
    /// Parameters of LiteLLM that each of its routes needs besides the key.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Further parameters of the models whose names begin like this.
    #[serde(default)]
    pub params_of: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether it answers to Claude Code's own names of models, so that none has to be set.
    #[serde(default)]
    pub claude_names: bool,
    /// Variables of Claude Code's settings that a direct provider needs, with their values.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Models besides those that the catalog lists with a fragment of their own.
    #[serde(default)]
    pub models: Vec<Model>,
}

impl Provider {
    /// Whether Claude Code can ask it without LiteLLM.
    pub const fn is_direct(&self) -> bool {
        self.base_url.is_some()
    }

    /// The name by which its own endpoint knows a model.
    pub fn name_of<'m>(&self, model: &'m Model) -> &'m str {
        model.route.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&model.route)
    }

    /// A model of this provider that the catalog does not list. Its limits and prices are not known: 0.
    pub(super) fn unlisted(&self, name: &str) -> Model {
        let route = format!("{}/{name}", self.prefix);
        Model {
            id: route.clone(),
            full_name: name.to_owned(),
            publisher: self.name.clone(),
            route,
            config_file: None,
            priority: "P3".to_owned(),
            description: format!("a model of {} that the catalog does not list", self.name),
            tier: Tier::Sonnet,
            rank: 1000,
            context_tokens: 0,
            output_tokens: 0,
            price_in: 0.0,
            price_out: 0.0,
            retires: None,
            successor: None,
            fallbacks: Vec::new(),
            location: None,
            regions: Vec::new(),
            env: self.key.iter().chain(&self.env).cloned().collect(),
        }
    }

    /// The entry of `model_list` for a model without a fragment of its own, as lines of `litellm.yaml`.
    pub fn entry(&self, model: &Model) -> String {
        let mut text = format!(
            "  # {}: {}.\n  - model_name: {}\n    litellm_params:\n      model: {}\n",
            model.full_name, model.description, model.id, model.route
        );
        if let Some(key) = &self.key {
            text.push_str(&format!("      api_key: os.environ/{key}\n"));
        }
        let further =
            self.params_of.iter().filter(|(begin, _)| self.name_of(model).starts_with(begin.as_str()));
        for (name, value) in self.params.iter().chain(further.flat_map(|(_, params)| params)) {
            text.push_str(&format!("      {name}: {value}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::bundle::Bundle;

    #[test]
    fn a_key_is_checked_where_it_belongs() {
        let bundle = Bundle::embedded().unwrap();
        let mut without = Vec::new();
        for provider in bundle.catalog.providers.iter().filter(|provider| provider.key.is_some()) {
            let Some(call) = &provider.free_call else {
                without.push(provider.name.as_str());
                continue;
            };
            let host = call.strip_prefix("https://").and_then(|rest| rest.split('/').next());
            let host = host.unwrap_or_else(|| panic!("{call} is not encrypted"));
            // Claude Code sends its requests, with the same key, to the same host.
            if let Some(base) = provider.base_url.as_deref() {
                assert!(base.starts_with(&format!("https://{host}/")), "{base} {call}");
            }
        }
        assert_eq!(without, ["custom", "azure"], "their addresses are the user's");
    }
}
