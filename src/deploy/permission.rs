//! What the owner of a machine may forbid: what is deployed, and where Claude Code is pointed.
//!
//! Promise: every draft of a change is judged here before it exists, so that no command can carry out a change that the
//! rules forbid. What takes a forbidden deployment away stays possible. Never: knows the rules; `release::policy` does.

use crate::domain::record::Record;
use crate::domain::{Hint, Operation, Place, Result};
use crate::format::settings::{KeyPath, Settings};
use crate::render::{BASE_URL, is_on, is_provider_address, is_provider_switch};

use super::context::Context;

/// The rules of a machine.
pub trait Rules {
    /// Whether this may be deployed: its preset, its gateway and where its files come from.
    fn permit_deployment(&self, record: &Record) -> Result<()>;
    /// Whether Claude Code may send its requests to this address.
    fn permit_address(&self, address: &str) -> Result<()>;
}

/// An address to which settings lead Claude Code, and the key that names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Lead {
    pub key: KeyPath,
    pub address: String,
}

impl Lead {
    /// The way out where gwinstall does not set the key.
    pub fn remove_it(&self, place: &Place) -> Hint {
        Hint::step(format!("remove {} from {}", self.key, place.show(&place.settings())))
    }
}

/// The addresses that settings name for Claude Code. That of a provider counts while a switch chooses a provider: which
/// switch belongs to which address is the business of Claude Code, and a later one brings more of both.
pub fn leads(settings: &Settings) -> Vec<Lead> {
    let names = || settings.env_names();
    let past_the_gateway = names()
        .any(|name| is_provider_switch(name) && settings.env_text(name).is_some_and(|value| is_on(&value)));
    let leads = names().filter(|name| *name == BASE_URL || (past_the_gateway && is_provider_address(name)));
    let lead = |name| {
        Some(Lead {
            key: KeyPath::env(name),
            address: settings.env_text(name).filter(|address| !address.is_empty())?,
        })
    };
    leads.filter_map(lead).collect()
}

/// Judges the deployment that a change would leave. Leaving one behind unused is always permitted.
pub(super) fn of_deployment(rules: &dyn Rules, record: &Record) -> Result<()> {
    if record.operation == Operation::Off { Ok(()) } else { rules.permit_deployment(record) }
}

/// Judges where settings that a change leaves would lead Claude Code. An address that the user keeps is not of this
/// change; `doctor` reports it. `sets`: whether the change sets this key.
pub(super) fn of_address(
    rules: &dyn Rules,
    context: &Context<'_>,
    after: &Settings,
    sets: &dyn Fn(&KeyPath) -> bool,
) -> Result<()> {
    let before = context.settings()?.parsed().map(leads).unwrap_or_default();
    for lead in leads(after).iter().filter(|lead| !before.contains(lead)) {
        rules.permit_address(&lead.address).map_err(|error| {
            if sets(&lead.key) {
                return error;
            }
            error
                .because(format!(
                    "Claude Code used this address of {} before gwinstall, and would use it again",
                    lead.key
                ))
                .hint(
                    lead.remove_it(context.place)
                        .or(Hint::again::<&str>(&[]).to("go on without that address")),
                )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_provider_counts_while_a_switch_is_on() {
        const PROVIDER: &str = "ANTHROPIC_BEDROCK_MANTLE_BASE_URL";
        for (switch, wanted) in [
            (r#""CLAUDE_CODE_USE_MANTLE": "1""#, &[BASE_URL, PROVIDER][..]),
            (r#""CLAUDE_CODE_USE_MANTLE": 1"#, &[BASE_URL, PROVIDER]),
            (r#""CLAUDE_CODE_USE_MANTLE": true"#, &[BASE_URL, PROVIDER]),
            (r#""CLAUDE_CODE_USE_ONE_OF_2030": "yes""#, &[BASE_URL, PROVIDER]),
            (r#""CLAUDE_CODE_USE_MANTLE": "0""#, &[BASE_URL]),
            (r#""CLAUDE_CODE_USE_MANTLE": "False""#, &[BASE_URL]),
            (r#""CLAUDE_CODE_USE_MANTLE": """#, &[BASE_URL]),
            (r#""CLAUDE_CODE_USE_POWERSHELL_TOOL": "1""#, &[BASE_URL]),
            (r#""OTHER": "1""#, &[BASE_URL]),
        ] {
            let text = format!(
                r#"{{"env": {{"{BASE_URL}": "https://a", "{PROVIDER}": "https://b", "ANTHROPIC_X_BASE_URL": "", {switch}}}}}"#
            );
            let leads = leads(&Settings::parse(text.as_bytes()).unwrap());
            let keys: Vec<_> = leads.iter().map(|lead| lead.key.clone()).collect();
            assert_eq!(keys, wanted.iter().map(|name| KeyPath::env(*name)).collect::<Vec<_>>(), "{switch}");
        }
    }
}
