//! A model of the catalog: what it is, what it costs, and how LiteLLM reaches it. Data only.

use serde::{Deserialize, Serialize};

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
    /// Fragment: a file with a one-entry `model_list`. Absent: its provider says how LiteLLM reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
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
    /// Models to try in order when this one fails, where the same model is sold twice. Only those that are deployed
    /// become a fallback; a retired model falls back to its successor instead.
    #[serde(default)]
    pub fallbacks: Vec<String>,
    /// Location the route needs, where `VERTEXAI_LOCATION` would be wrong.
    #[serde(default)]
    pub location: Option<String>,
    /// Locations that serve it, where its route takes that of `VERTEXAI_LOCATION`; empty: not known.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Variables its fragment refers to.
    #[serde(default)]
    pub env: Vec<String>,
}

impl Model {
    /// Whether a location of Vertex AI serves it, as far as the catalog knows.
    pub fn is_served_in(&self, location: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|region| region == location)
    }
}
