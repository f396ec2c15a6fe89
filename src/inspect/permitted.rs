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
    let forbidden = policy.limits_addresses().then(|| address(&policy, facts)).flatten();
    Some(forbidden.unwrap_or_else(|| Finding::pass(format!("{PATH} allows what is deployed"))))
}

/// What is wrong with where the settings lead Claude Code, whatever program wrote them.
fn address(policy: &Policy, facts: &Facts<'_>) -> Option<Finding> {
    let read = match facts.context.settings() {
        Ok(read) => read,
        Err(error) => return Some(unknown(&error, error.advice().cloned())),
    };
    let Some(settings) = read.parsed() else {
        let shown = facts.place().show(&facts.place().settings());
        let error = Error::failed(format!("{shown} cannot be read"));
        let error = read.problem().into_iter().fold(error, Error::because);
        return Some(unknown(&error, Some(Hint::step(format!("fix {shown}")))));
    };
    permission::leads(settings).iter().find_map(|lead| {
        let error = policy.permit_address(&lead.address).err()?;
        Some(failed(&error, Some(away(facts, lead))))
    })
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
    failed(
        &error.clone().under(format!("gwinstall cannot see whether Claude Code goes where {PATH} allows")),
        hint,
    )
}

fn failed(error: &Error, hint: Option<Hint>) -> Finding {
    let finding = Finding::fail(format!("{} ({})", error.message(), error.causes().join("; ")));
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}
