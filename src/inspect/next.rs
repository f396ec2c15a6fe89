//! What stands between a deployment and an answer, and the one command that comes next. Looks only, and asks no program.

use crate::deploy::store;
use crate::domain::Hint;
use crate::domain::place::files;
use crate::domain::record::{Pointed, Record};
use crate::doors::disk;
use crate::gateway::Verb;
use crate::gateway::process::Running;

use super::facts::Facts;

/// What makes the running gateway use its files as they are now, by the times of the files; `None`: it uses them, or does
/// not run. A change within the second of the start is not seen.
pub fn pending(facts: &Facts<'_>) -> Option<Verb> {
    if !facts.running().is_some_and(Running::is_ours) {
        return None;
    }
    let place = facts.place();
    let changed = |name: &str| disk::facts(&store::live_path(place, name)).map(|(_, moment)| moment);
    let (_, started) = disk::facts(&place.file(files::PID))?;
    if [files::ENV, files::START].iter().any(|name| changed(name).is_some_and(|moment| moment > started)) {
        return Some(Verb::Restart);
    }
    let reloaded =
        disk::facts(&place.file(files::SERVING)).map_or(started, |(_, moment)| moment.max(started));
    changed(files::CONFIG).is_some_and(|moment| moment > reloaded).then_some(Verb::Reload)
}

/// The one command that comes next; `None`: Claude Code can be used, or the user decided against it.
pub fn command(facts: &Facts<'_>, record: &Record, missing: &[String]) -> Option<Hint> {
    if facts.interrupted.is_some() {
        return None;
    }
    if record.request.pointed == Pointed::Leaving {
        return Some(Hint::run(&["off"]));
    }
    if let Some((path, _)) = record.files.iter().find(|(_, file)| file.offered.is_some()) {
        return Some(Hint::run(&["resolve", path]));
    }
    if let Some(verb) = pending(facts) {
        return Some(Hint::run(&[verb.word()]));
    }
    match record.request.pointed {
        Pointed::Armed if record.runs_litellm() => Some(Hint::run(&["start"])),
        Pointed::Armed => Some(Hint::run(&["on"])),
        Pointed::On if facts.running().is_some_and(Running::is_ours) => None,
        Pointed::On if facts.lacks_litellm() => Some(Hint::run(&["runtime", "install"])),
        Pointed::On => missing.first().map(|name| Hint::run(&["env", "set", name])),
        Pointed::Off | Pointed::Leaving => None,
    }
}
