//! What a gateway of this machine still lacks before it can answer, and what brings it.

use crate::domain::name::list;
use crate::domain::record::{EnvValue, Record};
use crate::domain::request::GatewayType;
use crate::domain::{Hint, Place};
use crate::runtime::choose;

use super::logins::Cloud;

/// One thing that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    Litellm,
    /// These variables have no value.
    Values(Vec<String>),
    /// The gateway runs without it, and calls to this provider fail.
    Login(Cloud),
}

impl Lack {
    /// What is missing, in words.
    pub fn what(&self) -> String {
        match self {
            Self::Litellm => "LiteLLM is not installed".to_owned(),
            Self::Values(names) => {
                format!("{} {} no value", list(names), if names.len() == 1 { "has" } else { "have" })
            }
            Self::Login(provider) => provider.absence().to_owned(),
        }
    }

    /// The commands that bring it.
    pub fn next(&self) -> Vec<Hint> {
        match self {
            Self::Litellm => vec![Hint::run(&["runtime", "install"])],
            Self::Values(names) => names.iter().map(|name| Hint::run(&["env", "set", name])).collect(),
            Self::Login(provider) => vec![provider.next()],
        }
    }

    /// Whether the gateway cannot start without it.
    pub const fn blocks_a_start(&self) -> bool {
        !matches!(self, Self::Login(_))
    }
}

/// What a deployment lacks; empty for a gateway elsewhere. Its values are those of the record, its LiteLLM is looked for,
/// `logins` were not found.
pub fn of(place: &Place, record: &Record, logins: &[Cloud]) -> Vec<Lack> {
    if record.gateway_type != GatewayType::Local {
        return Vec::new();
    }
    let litellm = (!choose::is_available(place, record.runtime.as_ref())).then_some(Lack::Litellm);
    let missing = record.environment_variables.iter().filter(|(_, known)| known.value == EnvValue::Missing);
    let names: Vec<String> = missing.map(|(name, _)| name.clone()).collect();
    let values = (!names.is_empty()).then_some(Lack::Values(names));
    litellm.into_iter().chain(values).chain(logins.iter().copied().map(Lack::Login)).collect()
}

/// What the gateway cannot do until it has all of them.
pub fn until(lacks: &[Lack]) -> &'static str {
    if lacks.iter().any(Lack::blocks_a_start) { "run" } else { "answer" }
}

/// The causes in one sentence.
pub fn sentence(lacks: &[Lack]) -> String {
    let causes: Vec<String> = lacks.iter().map(Lack::what).collect();
    match &causes[..] {
        [first @ .., last] if !first.is_empty() => format!("{}, and {last}", first.join(", ")),
        _ => causes.concat(),
    }
}
