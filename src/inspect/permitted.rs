//! Whether what is deployed, and where Claude Code is pointed, is what the policy of the machine permits. Reads only.

use crate::deploy::permission::{self, Rules as _};
use crate::domain::check::Finding;
use crate::domain::record::{Pointed, Record};
use crate::domain::{Error, Hint, Result};
use crate::release::policy::{PATH, Policy};
use crate::release::session;

use super::facts::Facts;

/// `None` on a machine without a policy.
pub fn finding(facts: &Facts<'_>) -> Option<Finding> {
    let policy = match session::policy() {
        Ok(policy) if policy.is_empty() => return None,
        Ok(policy) => policy,
        Err(error) => return Some(failed(&error, error.advice().cloned())),
    };
    let deployment = facts.record().map_or(Ok(()), |record| policy.permit_deployment(record));
    if let Err(error) = deployment {
        let comply = Hint::run(&["install"]).to("deploy what is allowed");
        return Some(failed(&error, Some(comply.or(Hint::run(&["uninstall"]).to("remove the gateway")))));
    }
    if let Err(error) = leads(&policy, facts) {
        return Some(failed(&error, Some(away(facts))));
    }
    Some(Finding::pass(format!("{PATH} allows what is deployed")))
}

/// Whether Claude Code may send its requests where its settings lead it, whoever wrote them.
fn leads(policy: &Policy, facts: &Facts<'_>) -> Result<()> {
    let address = facts.settings().and_then(permission::address);
    address.map_or(Ok(()), |address| policy.permit_address(&address))
}

fn away(facts: &Facts<'_>) -> Hint {
    let uses_it = |record: &Record| record.request.pointed == Pointed::On;
    if facts.record().is_some_and(uses_it) {
        return Hint::run(&["install", "--force"]).to("point Claude Code at the gateway again");
    }
    let settings = facts.place().show(&facts.place().settings());
    Hint::step(format!("remove env.ANTHROPIC_BASE_URL from {settings}"))
}

fn failed(error: &Error, hint: Option<Hint>) -> Finding {
    let finding = Finding::fail(format!("{} ({})", error.message(), error.causes().join("; ")));
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}
