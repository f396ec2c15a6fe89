//! `doctor`: looks for problems and names the command that mends each. `--repair` recovers an interrupted run and
//! does nothing else.

use serde_json::json;

use crate::cli::{Common, DoctorArgs, DoctorTopic};
use crate::deploy::checks::{self, Checks};
use crate::deploy::recover::{self, Interrupted};
use crate::deploy::{lost, store};
use crate::domain::check::{Finding, Status};
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::{disk, prompt, term};

use super::answer::Answer;
use super::{change, conflicts, prerequisites, releases, report, status};

pub(super) fn run(place: &Place, common: &Common, args: &DoctorArgs) -> Result<Answer> {
    if args.topic == Some(DoctorTopic::Net) {
        return super::doctor_net::run(place);
    }
    if args.repair {
        return repair(place, common, args.yes);
    }
    let mut checks = Checks::default();
    examine(place, &mut checks)?;
    let text = report::check_lines(&checks.0);
    let failed = checks.failed().len();
    let summary = if failed == 0 {
        "no problem found".to_owned()
    } else {
        format!("{} found", crate::domain::name::count(failed, "problem"))
    };
    let interrupted =
        checks.0.iter().any(|check| check.check_name == "no_interrupted_run" && check.status == Status::Fail);
    let answer = Answer::new(summary).text(text.join("\n")).data(json!({ "checks": checks.json() }));
    Ok(match (interrupted, failed) {
        (true, _) => answer.exit(Kind::Pending),
        (false, 0) => answer,
        (false, _) => answer.exit(Kind::Failed),
    })
}

fn repair(place: &Place, common: &Common, yes: bool) -> Result<Answer> {
    let interrupted = recover::look(place)?.is_some();
    if !interrupted && lost::is_lost(place) {
        return Err(lost::refusal(place).because("no run was interrupted, so there is nothing to take back"));
    }
    if !interrupted && !releases::unfinished(place)? {
        return Ok(Answer::new("nothing to repair").text("Nothing to repair: no run was interrupted."));
    }
    if !yes {
        if !term::is_interactive() {
            return Err(Error::usage("doctor --repair changes files, and there is no terminal to ask on")
                .hint("gwinstall doctor --repair --yes"));
        }
        let question = if interrupted {
            "Take back what the interrupted run changed?"
        } else {
            "Complete the interrupted self-update, or take it back?"
        };
        if !prompt::confirm(question, true)? {
            return Err(prompt::stopped());
        }
    }
    change::recover_first(place, "doctor", common.lock_wait)?;
    Ok(Answer::new("repaired").text(if interrupted {
        "Repaired: everything is as it was before the interrupted run."
    } else {
        "Repaired: nothing of a self-update is half done any more."
    }))
}

fn examine(place: &Place, checks: &mut Checks) -> Result<()> {
    let interrupted = recover::look(place)?;
    checks.run("no_interrupted_run", || match &interrupted {
        None if releases::unfinished(place).unwrap_or(true) => {
            Finding::fail("a self-update was interrupted").hint("gwinstall doctor --repair --yes")
        }
        None => Finding::pass("no run was interrupted"),
        Some(found @ Interrupted::Running(_)) => Finding::warn(report::interruption(found)),
        Some(found @ Interrupted::Unreadable) => {
            Finding::fail(format!("{}: {}", report::interruption(found), place.show(&place.journal())))
        }
        Some(found) => Finding::fail(report::interruption(found)).hint("gwinstall doctor --repair --yes"),
    });
    checks.run("target_directory_writable", || checks::target_writable(place));
    checks.run("disk_space_sufficient", || checks::disk_space(place));
    let record = store::record_as_found(place)?;
    checks.run("deployed", || match &record {
        Some(record) => {
            Finding::pass(format!("preset {} was deployed at {}", record.preset, record.timestamp))
        }
        None if lost::is_lost(place) => {
            let refusal = lost::refusal(place);
            let why = refusal.causes().first().map_or_else(String::new, |cause| format!(": {cause}"));
            Finding::fail(format!("{}{why}", refusal.message()))
                .hint(refusal.advice().cloned().unwrap_or_else(|| Hint::run(&["doctor"])))
        }
        None => Finding::warn("nothing is deployed").hint("gwinstall install"),
    });
    checks.run("settings_ledger_readable", || {
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
    checks.run("directory_private", || match disk::mode(&place.target) {
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
