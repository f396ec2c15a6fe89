//! Which model a person means: an id of the catalog, or `PROVIDER/MODEL` for one that the catalog does not list. Pure.

use super::catalog::{Catalog, Model};
use super::provider::Provider;

impl Catalog {
    /// Every model of a provider, the best first: those of a fragment and its own.
    pub fn models_of(&self, provider: &Provider) -> Vec<&Model> {
        let goes_there =
            |model: &&Model| self.provider_of(&model.route).is_some_and(|other| other.name == provider.name);
        let mut models: Vec<&Model> = self.all_models().filter(goes_there).collect();
        models.sort_by_key(|model| model.rank);
        models
    }

    /// Adds the models that are named `PREFIX/MODEL` (or `PROVIDER/MODEL`) and that the catalog does not list.
    /// `is_litellms`: LiteLLM knows a provider with this prefix.
    pub fn learn<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n String>,
        is_litellms: impl Fn(&str) -> bool,
    ) {
        for name in names {
            if self.model(&self.id_of(name)).is_some() {
                continue;
            }
            // LiteLLM itself reads the key of such a provider from the variable that it documents.
            if self.split(name).is_none()
                && let Some((prefix, _)) = name.split_once('/').filter(|(prefix, _)| is_litellms(prefix))
            {
                let (name, prefix) = (prefix.to_owned(), prefix.to_owned());
                self.undescribed.push(Provider { name, prefix, ..Provider::default() });
            }
            if let Some((provider, rest)) = self.split(name) {
                let model = provider.unlisted(rest);
                self.learned.push(model);
            }
        }
    }

    /// The provider of a learned model that only LiteLLM knows, and so the variable of its key.
    pub fn undescribed_provider(&self, model: &Model) -> Option<&str> {
        let provider = self.provider_of(&model.route)?;
        self.provider(&provider.name).is_none().then_some(provider.name.as_str())
    }

    /// The id of the model that a person names: its id, or `PROVIDER/MODEL`.
    pub fn id_of(&self, typed: &str) -> String {
        if self.model(typed).is_some() {
            return typed.to_owned();
        }
        let Some((provider, rest)) = self.split(typed) else { return typed.to_owned() };
        let route = format!("{}/{rest}", provider.prefix);
        let listed = self.all_models().find(|model| model.route == route);
        listed.map_or(route, |model| model.id.clone())
    }

    fn split<'n>(&self, name: &'n str) -> Option<(&Provider, &'n str)> {
        let (first, rest) = name.split_once('/').filter(|(_, rest)| !rest.is_empty())?;
        let is_named = |provider: &&Provider| provider.prefix == first || provider.name == first;
        let all = self.providers.iter().chain(&self.undescribed);
        all.into_iter().find(is_named).map(|provider| (provider, rest))
    }
}
