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
            if let Some((provider, rest)) = self.split(name) {
                let model = provider.unlisted(rest);
                self.learned.push(model);
            } else if let Some((prefix, rest)) = name.split_once('/').filter(|(_, rest)| !rest.is_empty())
                && is_litellms(prefix)
            {
                // LiteLLM itself reads its key from the variable that it documents.
                let provider =
                    Provider { name: prefix.to_owned(), prefix: prefix.to_owned(), ..Provider::default() };
                self.learned.push(provider.unlisted(rest));
                self.undescribed.push(provider);
            }
        }
    }

    /// The provider of a learned model, where the catalog does not describe it: its key has a variable that only LiteLLM names.
    pub fn undescribed_provider(&self, model: &Model) -> Option<&str> {
        let prefix = model.route.split('/').next()?;
        self.undescribed.iter().map(|provider| provider.name.as_str()).find(|name| *name == prefix)
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
        self.providers.iter().find(is_named).map(|provider| (provider, rest))
    }
}
