//! What the owner of a machine may forbid: what is deployed, and where Claude Code is pointed.
//!
//! Promise: every draft of a change is judged here before it exists, so that no command can carry out a change that the
//! rules forbid. What takes a forbidden deployment away stays possible. Never: knows the rules; `release::policy` does.

use crate::domain::record::Record;
use crate::domain::{Operation, Result};
use crate::format::settings::{KeyPath, Settings};
use crate::render::BASE_URL;

/// The rules of a machine.
pub trait Rules {
    /// Whether this may be deployed: its preset, its gateway and where its files come from.
    fn permit_deployment(&self, record: &Record) -> Result<()>;
    /// Whether Claude Code may send its requests to this address.
    fn permit_address(&self, address: &str) -> Result<()>;
}

/// The address that settings name for Claude Code.
pub fn address(settings: &Settings) -> Option<String> {
    let value = settings.get(&KeyPath::env(BASE_URL))?;
    value.as_str().filter(|address| !address.is_empty()).map(str::to_owned)
}

/// Judges the deployment that a change would leave. Leaving one behind unused is always permitted.
pub(super) fn of_deployment(rules: &dyn Rules, record: &Record) -> Result<()> {
    if record.operation == Operation::Off { Ok(()) } else { rules.permit_deployment(record) }
}

/// Judges where a change would lead Claude Code. An address that the user keeps is not of this change; `doctor` reports
/// it.
pub(super) fn of_address(rules: &dyn Rules, before: Option<&Settings>, after: Option<&Settings>) -> Result<()> {
    let Some(leads_to) = after.and_then(address) else { return Ok(()) };
    if before.and_then(address).as_ref() == Some(&leads_to) { Ok(()) } else { rules.permit_address(&leads_to) }
}
