//! Whether what is deployed, and where Claude Code is pointed, is what the policy of the machine permits. Reads only.

use crate::deploy::permission::{self, Lead, Rules as _};
use crate::domain::check::Finding;
use crate::domain::record::{Pointed, Record};
use crate::domain::{Error, Hint};
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
    if policy.limits_addresses()
        && let Err(finding) = addresses(&policy, facts)
    {
        return Some(finding);
    }
    Some(Finding::pass(format!("{PATH} allows what is deployed")))
}

/// Whether Claude Code may send its requests where its settings lead it, whatever program wrote them.
fn addresses(policy: &Policy, facts: &Facts<'_>) -> std::result::Result<(), Finding> {
    let read = facts.context.settings().map_err(|error| unknown(&error, error.advice().cloned()))?;
    let shown = facts.place().show(&facts.place().settings());
    let Some(settings) = read.parsed() else {
        let error = Error::failed(format!("{shown} cannot be read"));
        let error = read.problem().into_iter().fold(error, Error::because);
        return Err(unknown(&error, Some(Hint::step(format!("fix {shown}")))));
    };
    for lead in permission::leads(settings) {
        policy.permit_address(&lead.address).map_err(|error| failed(&error, Some(away(facts, &lead))))?;
    }
    Ok(())
}

fn away(facts: &Facts<'_>, lead: &Lead) -> Hint {
    let uses_it = |record: &Record| record.request.pointed == Pointed::On;
    if facts.record().is_some_and(uses_it) {
        return Hint::run(&["install", "--force"]).to("point Claude Code at the gateway again");
    }
    lead.remove_it(facts.place())
}

/// The finding where the settings cannot be judged.
fn unknown(error: &Error, hint: Option<Hint>) -> Finding {
    failed(&error.clone().under(format!("gwinstall cannot see whether Claude Code goes where {PATH} allows")), hint)
}

fn failed(error: &Error, hint: Option<Hint>) -> Finding {
    let finding = Finding::fail(format!("{} ({})", error.message(), error.causes().join("; ")));
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}
