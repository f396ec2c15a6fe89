//! What a gateway of this machine still lacks before it can answer.

use crate::domain::{Hint, Place};
use crate::domain::name::list;
use crate::domain::record::{EnvValue, Record};
use crate::domain::request::GatewayType;
use crate::render::GOOGLE_CREDENTIALS;
use crate::runtime::choose;

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

/// What a deployment lacks; empty for a gateway elsewhere. Its values are those of the record, its LiteLLM is looked for.
pub fn of(place: &Place, record: &Record) -> Vec<Lack> {
    if record.gateway_type != GatewayType::Local {
        return Vec::new();
    }
    let litellm = (!choose::is_available(place, record.runtime.as_ref())).then(|| Lack {
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
