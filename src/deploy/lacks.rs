//! What a gateway of this machine still lacks before it can answer. Pure.

use crate::domain::Hint;
use crate::domain::name::list;
use crate::domain::record::{EnvValue, Record};
use crate::domain::request::GatewayType;
use crate::render::GOOGLE_CREDENTIALS;

/// One thing that is missing, and the commands that bring it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lack {
    pub what: String,
    pub next: Vec<Hint>,
    /// The variables without a value; empty for LiteLLM.
    pub names: Vec<String>,
}

impl Lack {
    /// Whether the gateway cannot start without it. Google's libraries look for a login in other places too.
    pub fn blocks_a_start(&self) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name != GOOGLE_CREDENTIALS)
    }
}

/// What a deployment lacks by its record; empty for a gateway elsewhere.
pub fn of(record: &Record) -> Vec<Lack> {
    if record.gateway_type != GatewayType::Local {
        return Vec::new();
    }
    let litellm = record.runtime.is_none().then(|| Lack {
        what: "LiteLLM is not installed".to_owned(),
        next: vec![Hint::run(&["runtime", "install"])],
        names: Vec::new(),
    });
    let missing = record.environment_variables.iter().filter(|(_, known)| known.value == EnvValue::Missing);
    let names: Vec<String> = missing.map(|(name, _)| name.clone()).collect();
    let values = (!names.is_empty()).then(|| Lack {
        what: format!("{} {} no value", list(&names), if names.len() == 1 { "has" } else { "have" }),
        next: names.iter().map(|name| Hint::run(&["env", "set", name])).collect(),
        names,
    });
    litellm.into_iter().chain(values).collect()
}

/// The causes in one sentence.
pub fn sentence(lacks: &[Lack]) -> String {
    lacks.iter().map(|lack| lack.what.as_str()).collect::<Vec<_>>().join(", and ")
}
