//! `doctor`: looks for problems and names the command that mends each. `--repair` recovers an interrupted run and
//! does nothing else.

use serde_json::json;

use crate::cli::{Common, DoctorArgs, DoctorTopic};
use crate::deploy::checks::{self, Checks};
use crate::deploy::recover::{self, Interrupted};
use crate::deploy::{lost, store};
use crate::domain::Operation;
use crate::domain::check::{CheckName, Finding, Status};
use crate::domain::{Hint, Kind, Place, Result};
use crate::doors::disk;
use crate::inspect::conflicts;
use crate::inspect::prerequisites;
use crate::release::session;
use crate::ui::report;

use super::{change, status};
use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, common: &Common, args: &DoctorArgs) -> Result<Answer> {
    if args.topic == Some(DoctorTopic::Net) {
        return super::doctor_net::run(place);
    }
    if args.repair {
        return repair(place, common, args.yes);
    }
    let mut checks = Checks::default();
    examine(place, &mut checks)?;
    let text: Vec<String> = checks.0.iter().map(report::check_line).collect();
    let failed = checks.failed().len();
    let summary = if failed == 0 {
        "no problem found".to_owned()
    } else {
        format!("{} found", crate::domain::name::count(failed, "problem"))
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
    if !interrupted && store::is_lost(place) {
        return Err(lost::refusal(place).because("no run was interrupted, so there is nothing to take back"));
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
    Ok(Answer::new("repaired").text(if interrupted {
        "Repaired: everything is as it was before the interrupted run."
    } else {
        "Repaired: nothing of a self-update is half done any more."
    }))
}

fn examine(place: &Place, checks: &mut Checks) -> Result<()> {
    let interrupted = recover::look(place)?;
    checks.run(CheckName::NoInterruptedRun, || match &interrupted {
        None if session::unfinished(place).unwrap_or(true) => {
            Finding::fail("a self-update was interrupted").hint("gwinstall doctor --repair --yes")
        }
        None => Finding::pass("no run was interrupted"),
        Some(found @ Interrupted::Running(_)) => Finding::warn(report::interruption(found)),
        Some(found @ Interrupted::Unreadable) => {
            Finding::fail(format!("{}: {}", report::interruption(found), place.show(&place.journal())))
        }
        Some(found) => Finding::fail(report::interruption(found)).hint("gwinstall doctor --repair --yes"),
    });
    checks.run(CheckName::TargetDirectoryWritable, || checks::target_writable(place));
    checks.run(CheckName::DiskSpaceSufficient, || checks::disk_space(place));
    let record = store::record_as_found(place)?;
    checks.run(CheckName::Deployed, || match &record {
        Some(record) => Finding::pass(format!("preset {} of {}", record.preset, record.timestamp)),
        None if store::is_lost(place) => {
            let refusal = lost::refusal(place);
            let why = refusal.causes().first().map_or_else(String::new, |cause| format!(": {cause}"));
            Finding::fail(format!("{}{why}", refusal.message()))
                .hint(refusal.advice().cloned().unwrap_or_else(|| Hint::run(&["doctor"])))
        }
        None => Finding::warn("nothing is deployed").hint("gwinstall install"),
    });
    checks.run(CheckName::SettingsLedgerReadable, || {
        if status::ledger_is_sound(place) {
            Finding::pass("what settings.json held before us is known")
        } else {
            Finding::fail("the record of earlier settings cannot be read").hint("gwinstall rollback")
        }
    });
    prerequisites::examine(checks, place, record.as_ref())?;
    conflicts::examine(checks, place, record.as_ref())?;
    let Some(record) = record else { return Ok(()) };
    checks::live(checks, place, &record);
    checks.run(CheckName::DirectoryPrivate, || match disk::mode(&place.target) {
        Some(mode) if mode & 0o077 == 0 => {
            Finding::pass(format!("{} has mode {mode:04o}", place.show(&place.target)))
        }
        Some(mode) => Finding::warn(format!(
            "{} has mode {mode:04o}: others can look into it",
            place.show(&place.target)
        ))
        .hint(format!("chmod 700 {}", place.paste(&place.target))),
        None => Finding::skip("it is not there"),
    });
    Ok(())
}
