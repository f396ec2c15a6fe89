//! What is deployed, and whether a run was interrupted.

use std::path::Path;
use std::time::Duration;

use crate::deploy::lost;
use crate::deploy::recover::Interrupted;
use crate::domain::Hint;
use crate::domain::Place;
use crate::domain::check::Finding;
use crate::domain::place::files;
use crate::doors::{disk, exe, system};
use crate::gateway::service::{Found, Process, Service};
use crate::release::session;

use super::facts::Facts;

/// How long git may take to answer about one file.
const GIT_LIMIT: Duration = Duration::from_secs(2);

/// One sentence about what an earlier run left.
pub fn interruption(found: &Interrupted) -> String {
    match found {
        Interrupted::Running(holder) => {
            format!("gwinstall {} (pid {}) is at work right now", holder.command, holder.pid)
        }
        Interrupted::InFlight(journal) => {
            format!("{} of {} was interrupted before it was complete", journal.operation, journal.started)
        }
        Interrupted::TemporaryFiles => "an interrupted run left temporary files".to_owned(),
        Interrupted::Unreadable => "an interrupted run left a journal that cannot be read".to_owned(),
    }
}

/// The command that undoes what an interrupted run changed.
pub fn repair() -> Hint {
    Hint::run(&["doctor", "--repair", "--yes"])
}

pub fn interrupted(facts: &Facts<'_>) -> Finding {
    let place = facts.place();
    match &facts.interrupted {
        None if session::unfinished(place).unwrap_or(true) => {
            Finding::fail("a self-update was interrupted").hint(repair())
        }
        None => Finding::pass("no run was interrupted"),
        Some(found @ Interrupted::Running(_)) => Finding::warn(interruption(found)),
        Some(found @ Interrupted::Unreadable) => {
            Finding::fail(format!("{}: {}", interruption(found), place.show(&place.journal())))
        }
        Some(found) => Finding::fail(interruption(found)).hint(repair()),
    }
}

pub fn deployed(facts: &Facts<'_>) -> Finding {
    let place = facts.place();
    match facts.record() {
        Some(record) => {
            Finding::pass(format!("preset {} was deployed at {}", record.preset, record.timestamp))
        }
        None if facts.context.is_lost() => {
            let refusal = lost::refusal(place);
            let why = refusal.causes().first().map_or_else(String::new, |cause| format!(": {cause}"));
            let finding = Finding::fail(format!("{}{why}", refusal.message()));
            match refusal.advice() {
                Some(advice) => finding.hint(advice.clone()),
                None => finding,
            }
        }
        None => Finding::warn("nothing is deployed").hint(Hint::run(&["install"])),
    }
}

/// Whether the service is there as gwinstall wrote it, and does its work.
pub fn service(place: &Place, service: &Service) -> Finding {
    let name = &service.name;
    let again = || Hint::run(&["service", "install"]);
    match service.look(place) {
        Err(why) => return Finding::warn(format!("the service {name} cannot be read: {why}")),
        Ok(Found::Nothing) => {
            return Finding::warn(format!("the file of the service {name} is gone")).hint(again());
        }
        Ok(_) => {}
    }
    let state = service.state();
    match state.process {
        Process::Unknown(why) => {
            Finding::warn(format!("the service manager of {name} does not answer: {why}"))
        }
        Process::Failed => {
            Finding::fail(format!("the service {name} ended too often and is not started any more"))
                .hint(Hint::run(&["logs"]).or(Hint::run(&["start"])))
        }
        _ if !state.enabled => Finding::warn(format!("the service {name} is disabled")).hint(again()),
        Process::Runs(pid) => Finding::pass(format!("the service {name} runs the gateway (pid {pid})")),
        Process::Starting => Finding::warn(format!("the service {name} is starting the gateway")),
        Process::Stopped if disk::exists(&place.file(files::STOPPED)) => {
            Finding::pass(format!("the service {name} is stopped, as you asked"))
        }
        Process::Stopped => Finding::warn(format!("the service {name} does not run the gateway"))
            .hint(Hint::run(&["restart"])),
    }
}

/// The values that gwinstall replaced in settings.json.
pub fn ledger(facts: &Facts<'_>) -> Finding {
    match facts.context.ledger() {
        Ok(_) => Finding::pass("gwinstall knows the values that it replaced in settings.json"),
        Err(_) => Finding::fail("the values that gwinstall replaced in settings.json cannot be read")
            .hint(Hint::run(&["rollback"])),
    }
}

pub fn directory_private(facts: &Facts<'_>) -> Finding {
    let place = facts.place();
    let shown = place.show(&place.target);
    match disk::mode(&place.target) {
        Some(mode) if mode & 0o077 == 0 => Finding::pass(format!("{shown} has mode {mode:04o}")),
        Some(mode) => Finding::warn(format!("{shown} has mode {mode:04o}: other users can look into it"))
            .hint(Hint::shell(format!("chmod 700 {}", place.paste(&place.target)))),
        None => Finding::skip(format!("{shown} does not exist")),
    }
}

/// Whether the keys get into a git repository that the deployment lies in; `None` where it lies in none.
pub fn keys_in_git(facts: &Facts<'_>) -> Option<Finding> {
    let place = facts.place();
    let within = |dir: &&Path| dir.starts_with(&place.home);
    place.target.ancestors().take_while(within).find(|dir| disk::exists(&dir.join(".git")))?;
    let git = system::program("git")?;
    let target = place.target.to_str()?;
    let asks = |question: &[&str]| {
        let words = [&["-C", target], question].concat();
        exe::probe(&git, &words, GIT_LIMIT).ok().and_then(|ended| ended.code)
    };
    let env = place.show(&place.file(files::ENV));
    Some(match asks(&["ls-files", "--error-unmatch", "--", files::ENV]) {
        Some(0) => Finding::fail(format!("git tracks {env}: your keys get into the repository"))
            .hint(Hint::shell(format!("git -C {} rm --cached {}", place.paste(&place.target), files::ENV))),
        Some(1) => match asks(&["check-ignore", "-q", "--", files::ENV]) {
            Some(0) => Finding::pass(format!("git ignores {env}")),
            _ => Finding::warn(format!("git does not ignore {env}: the next git add -A would add your keys"))
                .hint(Hint::shell(format!("echo '*' > {}", place.paste(&place.file(files::GITIGNORE))))),
        },
        _ => return None,
    })
}
