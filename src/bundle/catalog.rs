//! The catalog: presets, models, environment variables and files of a bundle, as data.
//!
//! A newer bundle can bring a new model, preset or file without a new binary, so nothing here is Rust code that
//! names a model. Promise: a catalog that parses is consistent (`Catalog::check`); every name it refers to exists.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::base;
pub use super::model::{Model, Tier};
use super::provider::Provider;
use crate::domain::request::GatewayType;
pub use crate::domain::tree::Class;
use crate::domain::tree::Content;

/// `catalog.yaml` at the root of a bundle.
#[derive(Debug, Clone, Deserialize)]
pub struct Catalog {
    /// Format of this file; 1.
    pub schema: u32,
    /// The day the facts below were true (`YYYY-MM-DD`). A model whose `retires` is not after it counts as retired:
    /// rendering must not depend on the clock.
    pub as_of: String,
    pub presets: Vec<Preset>,
    pub models: Vec<Model>,
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// Models that a person named and that no bundle lists.
    #[serde(skip)]
    pub(super) learned: Vec<Model>,
    /// Providers of learned models that the catalog does not describe; LiteLLM knows them.
    #[serde(skip)]
    pub(super) undescribed: Vec<Provider>,
    pub environment: Vec<EnvVar>,
    /// What Claude Code asks for when no model is configured: its own id for each tier, to be aliased.
    pub client_models: BTreeMap<Tier, String>,
    pub files: Vec<FileEntry>,
    /// Of `files`, those that go with LiteLLM: a preset deploys them if it has a `base`, whatever its name.
    #[serde(default)]
    pub litellm_files: Vec<String>,
}

impl Catalog {
    /// Parses `catalog.yaml`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::known(serde_yaml::from_str(text).map_err(|error| error.to_string())?)
    }

    /// Parses the same as JSON.
    pub(super) fn from_json(text: &[u8]) -> Result<Self, String> {
        Self::known(serde_json::from_slice(text).map_err(|error| error.to_string())?)
    }

    /// A catalog of a schema that this version knows.
    fn known(catalog: Self) -> Result<Self, String> {
        if catalog.schema != 1 {
            return Err(format!(
                "its schema is {}, this version of gwinstall knows 1; a newer one may help",
                catalog.schema
            ));
        }
        Ok(catalog)
    }

    pub fn preset(&self, name: &str) -> Option<&Preset> {
        self.presets.iter().find(|preset| preset.name == name)
    }

    pub fn model(&self, id: &str) -> Option<&Model> {
        self.all_models().find(|model| model.id == id)
    }

    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// The provider that a route of LiteLLM goes to.
    pub fn provider_of(&self, route: &str) -> Option<&Provider> {
        let prefix = route.split('/').next()?;
        self.providers.iter().chain(&self.undescribed).find(|provider| provider.prefix == prefix)
    }

    /// Every model that the catalog knows: those with a fragment, those of providers, and those that `learn` added.
    pub fn all_models(&self) -> impl Iterator<Item = &Model> {
        let of_providers = self.providers.iter().flat_map(|provider| &provider.models);
        self.models.iter().chain(of_providers).chain(&self.learned)
    }

    pub fn variable(&self, name: &str) -> Option<&EnvVar> {
        self.environment.iter().find(|variable| variable.name == name)
    }

    /// Whether a value of this name must never be shown; unknown names are secret.
    pub fn is_secret(&self, name: &str) -> bool {
        self.variable(name).is_none_or(|variable| variable.secret)
    }

    /// Whether a preset deploys a file: those of LiteLLM follow its `base`, the others their own list.
    pub fn is_for(&self, file: &FileEntry, preset: &Preset) -> bool {
        if self.litellm_files.contains(&file.path) {
            return preset.base.is_some();
        }
        file.presets.as_ref().is_none_or(|presets| presets.contains(&preset.name))
    }

    /// Whether a model had retired on the day of the catalog.
    pub fn is_retired(&self, model: &Model) -> bool {
        model.retires.as_ref().is_some_and(|day| *day <= self.as_of)
    }

    /// Checks that every name refers to exactly one thing: files both ways, models, presets, variables.
    pub fn check(&self, files: &BTreeMap<String, Content>) -> Result<(), String> {
        unique("preset", self.presets.iter().map(|preset| preset.name.as_str()))?;
        unique("model", self.all_models().map(|model| model.id.as_str()))?;
        unique("provider", self.providers.iter().map(|provider| provider.name.as_str()))?;
        unique("variable", self.environment.iter().map(|variable| variable.name.as_str()))?;
        unique("file", self.files.iter().map(|file| file.path.as_str()))?;
        let listed: BTreeSet<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        if let Some(path) = listed.iter().find(|path| !files.contains_key(**path)) {
            return Err(format!("file {path} is listed but missing"));
        }
        if let Some(path) = files.keys().find(|path| !listed.contains(path.as_str())) {
            return Err(format!("file {path} is not listed under files"));
        }
        if let Some(path) = self.litellm_files.iter().find(|path| !listed.contains(path.as_str())) {
            return Err(format!("litellm_files: {path} is not listed under files"));
        }
        for file in &self.files {
            self.check_file(file)?;
        }
        for model in self.all_models() {
            self.check_model(model, &listed)?;
        }
        self.check_providers()?;
        self.presets.iter().try_for_each(|preset| self.check_preset(preset, &listed))?;
        let bases: BTreeSet<&str> = self.presets.iter().filter_map(|preset| preset.base.as_deref()).collect();
        bases.into_iter().try_for_each(|path| {
            let text = files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok());
            base::check(path, text.ok_or_else(|| format!("{path} is not UTF-8"))?)
        })
    }

    fn check_file(&self, file: &FileEntry) -> Result<(), String> {
        super::pack::check_path(file.path.as_bytes()).map_err(|why| format!("file {}: {why}", file.path))?;
        if is_generated(&file.path) || file.path.starts_with("config/") {
            return Err(format!("file {}: this path is generated, a bundle cannot hold it", file.path));
        }
        if !matches!(file.class, Class::Script | Class::Template | Class::Doc | Class::Example | Class::Test)
        {
            return Err(format!(
                "file {}: a bundle holds scripts, templates, docs, examples and tests",
                file.path
            ));
        }
        let unknown = file.presets.iter().flatten().find(|name| self.preset(name).is_none());
        unknown.map_or(Ok(()), |name| Err(format!("file {}: there is no preset {name}", file.path)))
    }

    fn check_model(&self, model: &Model, listed: &BTreeSet<&str>) -> Result<(), String> {
        let id = &model.id;
        if !crate::domain::name::is_model_name(id) {
            return Err(format!("model {id}: not a usable name"));
        }
        match &model.config_file {
            Some(file) if !listed.contains(file.as_str()) => {
                return Err(format!("model {id}: its config_file {file} is not listed"));
            }
            None if self.provider_of(&model.route).is_none() => {
                return Err(format!("model {id}: it has neither a config_file nor a provider"));
            }
            _ => {}
        }
        if let Some(successor) = model.successor.as_ref().filter(|successor| self.model(successor).is_none())
        {
            return Err(format!("model {id}: its successor {successor} is not in the catalog"));
        }
        if let Some(day) = model.retires.as_ref().filter(|day| crate::domain::Instant::parse(day).is_none()) {
            return Err(format!("model {id}: {day} is not a day (YYYY-MM-DD)"));
        }
        let unknown = model.env.iter().find(|name| self.variable(name).is_none());
        unknown.map_or(Ok(()), |name| Err(format!("model {id}: the variable {name} is not described")))
    }

    /// Checks the providers: names, endpoints, variables, models.
    fn check_providers(&self) -> Result<(), String> {
        for provider in &self.providers {
            let name = &provider.name;
            if provider.base_url.as_deref().is_some_and(|url| url.ends_with('/') || url.ends_with("/v1")) {
                return Err(format!("provider {name}: Claude Code itself adds /v1/messages to its base_url"));
            }
            let preset = provider.preset.as_ref().map(|preset| self.preset(preset));
            match (provider.is_direct(), preset) {
                (true, None) | (false, Some(Some(_))) => {}
                _ => {
                    return Err(format!(
                        "provider {name}: it needs either a base_url or the name of a preset"
                    ));
                }
            }
            let variables = provider.key.iter().chain(&provider.env);
            if let Some(unknown) = variables.into_iter().find(|variable| self.variable(variable).is_none()) {
                return Err(format!("provider {name}: the variable {unknown} is not described"));
            }
            let elsewhere = |model: &&Model| !model.route.starts_with(&format!("{}/", provider.prefix));
            if let Some(model) = provider.models.iter().find(elsewhere) {
                return Err(format!("provider {name}: {} has the route of another provider", model.id));
            }
        }
        Ok(())
    }

    fn check_preset(&self, preset: &Preset, listed: &BTreeSet<&str>) -> Result<(), String> {
        let name = &preset.name;
        for path in std::iter::once(&preset.template_file).chain(&preset.base) {
            if !listed.contains(path.as_str()) {
                return Err(format!("preset {name}: {path} is not listed"));
            }
        }
        if let Some(id) = preset.default_models.iter().find(|id| self.model(id).is_none()) {
            return Err(format!("preset {name}: there is no model {id}"));
        }
        let variables = preset.required_env_vars.iter().chain(&preset.optional_env_vars);
        if let Some(unknown) = variables.into_iter().find(|variable| self.variable(variable).is_none()) {
            return Err(format!("preset {name}: the variable {unknown} is not described"));
        }
        Ok(())
    }
}

/// Whether a path inside a deployment is made at run time: no bundle and no backup can bring one.
pub fn is_generated(path: &str) -> bool {
    let made = ["backups", ".gwinstall", ".env", "deployment-manifest.json", "deployment.log"];
    let first = path.split('/').next().unwrap_or_default();
    made.contains(&first) || first.starts_with("litellm.")
}

fn unique<'a>(noun: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("{noun} {name} is listed twice"));
        }
    }
    Ok(())
}

/// A deployment preset.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    pub name: String,
    pub description: String,
    /// The complete reference template that a person would read or copy for this preset.
    pub template_file: String,
    /// What `config/litellm.yaml` is assembled from; absent where no proxy runs.
    #[serde(default)]
    pub base: Option<String>,
    #[serde(default)]
    pub default_models: Vec<String>,
    pub gateway_types: Vec<GatewayType>,
    pub required_env_vars: Vec<String>,
    #[serde(default)]
    pub optional_env_vars: Vec<String>,
    pub deploy_tests: bool,
    pub deploy_examples: bool,
}

impl Preset {
    /// Whether it is for providers that Claude Code asks directly, and has no gateway.
    pub fn is_direct(&self) -> bool {
        self.gateway_types == [GatewayType::Direct]
    }
}

/// An environment variable: what it is, where it goes and how a person gets it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvVar {
    pub name: String,
    /// Other names of the variable, for reading only; gwinstall always writes `name`.
    #[serde(default)]
    pub aliases: Vec<String>,
    pub description: String,
    #[serde(default)]
    pub example: Option<String>,
    /// One sentence or command: how to get a value.
    pub how: String,
    pub secret: bool,
    /// A value used when nothing else is found (for example a location); never for secrets.
    #[serde(default)]
    pub default: Option<String>,
}

/// One file of the bundle that is deployed under the same path.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    pub path: String,
    pub class: Class,
    /// `0755` for what is run, else absent (0644).
    #[serde(default)]
    pub executable: bool,
    /// Presets that deploy it; absent = all of them. Those of `litellm_files` have no such list.
    #[serde(default)]
    pub presets: Option<Vec<String>>,
}
