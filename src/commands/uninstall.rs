//! `uninstall`: everything of ours goes; what is the user's stays and is named.

use std::path::{Path, PathBuf};

use crate::cli::{Common, UninstallArgs};
use crate::deploy::draft::{Draft, draft};
use crate::deploy::plan::{ASIDE, GIVEN_BACK};
use crate::deploy::{backup, goals, recover, settings, store};
use crate::domain::place::files;
use crate::domain::plan::Action;
use crate::domain::{Place, Result};
use crate::doors::{disk, prompt, term};

use super::answer::Answer;
use super::change::{self, Change};
use super::{releases, report, shell_files};
use crate::release::replace;
use crate::release::state::State;

pub(super) fn run(place: &Place, common: &Common, args: &UninstallArgs) -> Result<Answer> {
    let change = Change { for_good: args.purge, ..Change::new(place, common, &args.confirm, "uninstall") };
    change.recover()?;
    let last = store::record(place)?;
    let leftovers = args.purge && anything_left(place)?;
    if last.is_none() && !leftovers && !settings::are_orphaned(place) {
        return Ok(Answer::new("nothing is deployed")
            .text(format!("Nothing is deployed in {}.", place.show(&place.target))));
    }
    let mut drafted = draft(place, last.as_ref(), goals::nothing(args.purge))?;
    let mut summary = format!(
        "Take the gateway out of {}\n{}",
        place.show(&place.target),
        report::plan(&drafted, term::manner().verbose)
    );
    if args.purge {
        summary
            .push_str("\n  - backups, logs and our own state\n  Neither these nor .env can be brought back.");
        for path in shell_files::marked(place)? {
            summary.push_str(&format!("\n  - our line in {}", place.show(&path)));
        }
    }
    if args.confirm.dry_run {
        let text = format!("{summary}\nThis was a dry run (plan {}): nothing was changed.", drafted.id);
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(change::data(&drafted, None)));
    }
    let Some(outcome) = change.carry_out(&mut drafted, &summary)? else {
        return Err(prompt::stopped());
    };
    let kept = replace::previous(State { dir: &place.state_dir }).ok().map(|previous| previous.kept);
    let mut lines = vec![match &last {
        Some(_) => format!("The gateway is out of {}.", place.show(&place.target)),
        None => "What gwinstall had left is gone.".to_owned(),
    }];
    if args.purge {
        purge(place)?;
        lines.extend(path_lines(place)?);
        lines.extend(not_ours(place)?);
        lines.extend(executables(place, kept));
    } else {
        lines.extend(left(place, &drafted)?);
    }
    lines.extend(drafted.kept_keys.iter().map(|key| format!("  settings.json keeps {key}: you changed it")));
    if !drafted.changed_keys.is_empty() {
        lines.push(report::LEAVE_OPEN_SESSIONS.to_owned());
    }
    Ok(Answer::new("uninstalled").text(lines.join("\n")).data(change::data(&drafted, Some(&outcome))))
}

/// What stays, and why.
fn left(place: &Place, draft: &Draft) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for step in &draft.plan.steps {
        match step.action {
            Action::Release => {
                lines.push(format!("  {} stays: you changed it", step.name));
                let aside = format!("{}{ASIDE}", step.path.display());
                if disk::exists(Path::new(&aside)) {
                    lines.push(format!("  {}{ASIDE} stays: it was there before", step.name));
                }
            }
            _ if step.reason == GIVEN_BACK && step.post.is_some() => {
                lines.push(format!("  {}: {GIVEN_BACK}", step.name));
            }
            _ => {}
        }
    }
    let rollback = format!("gwinstall rollback{} brings everything back", flag(place));
    for (path, what) in [
        (place.file(files::ENV), "your values"),
        (place.backups(), rollback.as_str()),
        (place.log(), "the log of operations"),
        (place.file(files::GATEWAY_LOG), "the log of the gateway"),
    ] {
        if disk::exists(&path) {
            lines.push(format!("  {} stays: {what}", place.show(&path)));
        }
    }
    if !lines.is_empty() {
        lines.push(format!("  To remove these too: gwinstall uninstall --purge{}", flag(place)));
    }
    Ok(lines)
}

/// A target that is not the default has to be named from now on: what remembered it is gone.
fn flag(place: &Place) -> String {
    if place.target_is_default() {
        return String::new();
    }
    format!(" --target-dir {}", place.paste(&place.target))
}

/// What nobody but the user can decide about.
fn not_ours(place: &Place) -> Result<Vec<String>> {
    let names = disk::list(&place.target)?;
    Ok(names
        .iter()
        .map(|name| format!("  {} stays: it is not ours", place.show(&place.file(name))))
        .collect())
}

/// After the transaction: what no transaction needs. Only names that we make are removed.
fn purge(place: &Place) -> Result<()> {
    let failed = |path: &PathBuf, error: &std::io::Error| disk::failure("remove", path, error);
    for entry in backup::list(place)? {
        backup::remove(place, &entry.filename)?;
    }
    let logs =
        [place.log(), place.file(files::GATEWAY_LOG), place.file("litellm.log.1"), place.file(files::PID)];
    for path in logs {
        disk::remove(&path).map_err(|error| failed(&path, &error))?;
    }
    // Without backups no pristine copy is needed any more.
    recover::drop_unreferenced_all(place)?;
    recover::leave_no_trace(place);
    let places = place.state_dir.join("places");
    disk::remove_dir_if_empty(&places).map_err(|error| failed(&places, &error))?;
    // Another deployment of this user still needs what was learnt about releases.
    if disk::exists(&places) { Ok(()) } else { State { dir: &place.state_dir }.leave() }
}

/// Whether there is something to purge although nothing is deployed.
fn anything_left(place: &Place) -> Result<bool> {
    let ours = disk::exists(&place.target) || disk::exists(&place.state_dir);
    Ok(ours || !shell_files::marked(place)?.is_empty())
}

/// Takes our lines out of shell files and tells which.
fn path_lines(place: &Place) -> Result<Vec<String>> {
    let removed = shell_files::clean(place)?;
    let changed = removed.changed.iter().map(|path| format!("  {}: our line is out", place.show(path)));
    let left = removed
        .left
        .iter()
        .map(|path| format!("  {}: our line stays, the file belongs to another user", place.show(path)));
    Ok(changed.chain(left).collect())
}

/// No program can be asked to remove itself: the command that does, where the executable is ours at all.
fn executables(place: &Place, kept: Option<PathBuf>) -> Option<String> {
    let current = releases::current_exe().ok();
    let current = current.filter(|exe| !place.staged && releases::require_replaceable(exe).is_ok())?;
    let kept = kept.filter(|kept| disk::exists(kept));
    let paths: Vec<String> = [current.path].iter().chain(&kept).map(|path| place.paste(path)).collect();
    Some(format!("  The program itself stays. To remove it: rm {}", paths.join(" ")))
}
