//! The catalog: presets, models, environment variables and files of a bundle, as data.
//!
//! A newer bundle can bring a new model, preset or file without a new binary, so nothing here is Rust code that
//! names a model. Promise: a catalog that parses is consistent (`Catalog::check`); every name it refers to exists.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::domain::tree::Class;

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
    pub environment: Vec<EnvVar>,
    /// What Claude Code asks for when no model is configured: its own id for each tier, to be aliased.
    pub client_models: BTreeMap<Tier, String>,
    pub files: Vec<FileEntry>,
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
    pub gateway_types: Vec<String>,
    pub required_env_vars: Vec<String>,
    #[serde(default)]
    pub optional_env_vars: Vec<String>,
    pub deploy_tests: bool,
    pub deploy_examples: bool,
}

/// Which of Claude Code's three sizes a model stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Opus,
    Sonnet,
    Haiku,
}

/// A model that the gateway can serve.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Short id, the `model_name` of its fragment.
    pub id: String,
    pub full_name: String,
    pub publisher: String,
    /// LiteLLM route, equal to `litellm_params.model` of the fragment.
    pub route: String,
    /// Fragment: a file with a one-entry `model_list`.
    pub config_file: String,
    /// P1, P2 or P3.
    pub priority: String,
    pub description: String,
    pub tier: Tier,
    /// Lower is better: the first deployed, not retired model of a tier by rank is the tier's model.
    pub rank: u32,
    /// Context window and longest answer, in tokens.
    pub context_tokens: u64,
    pub output_tokens: u64,
    /// USD per million tokens.
    pub price_in: f64,
    pub price_out: f64,
    /// `YYYY-MM-DD`, the first day it may be gone.
    #[serde(default)]
    pub retires: Option<String>,
    #[serde(default)]
    pub successor: Option<String>,
    /// Location the route needs, where `VERTEXAI_LOCATION` would be wrong.
    #[serde(default)]
    pub location: Option<String>,
    /// Variables its fragment refers to.
    #[serde(default)]
    pub env: Vec<String>,
}

/// An environment variable: what it is, where it goes and how a person gets it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvVar {
    pub name: String,
    /// Other names under which a value may be found; ours is always the one written.
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
    /// Presets that deploy it; absent = all of them.
    #[serde(default)]
    pub presets: Option<Vec<String>>,
}
