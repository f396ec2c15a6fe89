//! `doctor`: looks for problems and names the command that fixes each. `--repair` recovers an interrupted run and
//! does nothing else.

use serde_json::json;

use crate::bundle::Bundle;
use crate::cli::{Common, ConfirmArgs, DoctorArgs, DoctorTopic};
use crate::deploy::checks::Checks;
use crate::deploy::context::Context;
use crate::deploy::recover;
use crate::deploy::{lost, store};
use crate::domain::Operation;
use crate::domain::check::{CheckName, Status};
use crate::domain::name::count;
use crate::domain::record::{Pointed, Record};
use crate::domain::{Kind, Place, Result};
use crate::inspect::facts::Facts;
use crate::inspect::{examine, prerequisites};
use crate::release::session;
use crate::ui::report;

use super::{change, leaving, sources, switch};
use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, common: &Common, args: &DoctorArgs) -> Result<Answer> {
    if args.topic == Some(DoctorTopic::Net) {
        return super::doctor_net::run(place);
    }
    if args.repair {
        return repair(place, common, args.yes);
    }
    let context = leaving::finish_if_possible(place)?;
    let facts = Facts::gather(&context)?;
    let checks = every_check(&facts, &sources::deployed(place, facts.record()));
    let text = report::check_lines(&checks.0);
    let failed = checks.failed().len();
    let summary = if failed == 0 {
        "no problem found".to_owned()
    } else {
        format!("{} found", count(failed, "problem"))
    };
    let interrupted = checks
        .0
        .iter()
        .any(|check| check.check_name == CheckName::NoInterruptedRun && check.status == Status::Fail);
    let answer = Answer::new(summary).text(text.join("\n")).data(json!({ "checks": checks.json() }));
    Ok(match (interrupted, failed) {
        (true, _) => answer.exit(Kind::Pending),
        (false, 0) => answer,
        (false, _) => answer.exit(Kind::Failed),
    })
}

fn repair(place: &Place, common: &Common, yes: bool) -> Result<Answer> {
    let interrupted = recover::look(place)?.is_some();
    if !interrupted && is_leaving(place)? {
        return switch::off(place, common, &ConfirmArgs { yes, dry_run: false });
    }
    if !interrupted && store::is_lost(place) {
        return Err(lost::refusal(place).because("no run was interrupted, so there is nothing to undo"));
    }
    if !interrupted && !session::unfinished(place)? {
        return Ok(Answer::new("nothing to repair").text("Nothing to repair: no run was interrupted."));
    }
    let question = if interrupted {
        "Undo what the interrupted run changed?"
    } else {
        "Complete the interrupted self-update, or undo it?"
    };
    change::consent(yes, question, true)?;
    change::recover_first(place, Operation::Repair, common.lock_wait)?;
    if is_leaving(place)? {
        // What was undone is a part of a departure; the user has agreed to its repair.
        return switch::off(place, common, &ConfirmArgs { yes: true, dry_run: false });
    }
    Ok(Answer::new("repaired").text(if interrupted {
        "Repaired: everything is as it was before the interrupted run."
    } else {
        "Repaired: no self-update is half done any more."
    }))
}

/// Whether Claude Code is on its way out of the gateway, and no run is at it.
fn is_leaving(place: &Place) -> Result<bool> {
    let record = Context::load(place)?.record;
    Ok(record.is_some_and(|record| record.request.pointed == Pointed::Leaving))
}

/// Every check, in the order in which `doctor` prints them.
pub(super) fn every_check(facts: &Facts<'_>, bundle: &Result<Bundle>) -> Checks {
    let (mut checks, place) = (Checks::default(), facts.place());
    examine::state(&mut checks, facts);
    examine::service(&mut checks, place);
    examine::room(&mut checks, place);
    examine::machine(&mut checks, place);
    prerequisites::examine(&mut checks, facts, bundle.as_ref().ok());
    if facts.record().is_some() {
        examine::environment_of(&mut checks, facts, bundle);
    }
    if facts.record().is_none_or(Record::runs_litellm) {
        examine::providers_of(&mut checks, facts, bundle);
    }
    examine::claude_code(&mut checks, facts);
    examine::files(&mut checks, facts);
    checks
}
