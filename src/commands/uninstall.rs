//! `uninstall`: removes what gwinstall deployed. Files of the user stay, and the output names them.

use std::path::{Path, PathBuf};

use crate::cli::{Common, UninstallArgs};
use crate::deploy::draft::Draft;
use crate::deploy::plan::{OLD_SUFFIX, RENAMED_BACK};
use crate::deploy::{backup, goals, recover};
use crate::domain::Operation;
use crate::domain::place::files;
use crate::domain::plan::Action;
use crate::domain::{Place, Result, Sha256};
use crate::doors::{disk, term};
use crate::gateway::service;
use crate::release::session;
use crate::render::GITIGNORE_TEXT;
use crate::ui::report;

use super::change::Change;
use super::{runtime, shell_files};
use crate::release::replace;
use crate::release::state::State;
use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, common: &Common, args: &UninstallArgs) -> Result<Answer> {
    let change = Change::open(place, common, &args.confirm, Operation::Uninstall)?.irreversible(args.purge);
    let deployed = change.context.recorded()?.is_some();
    let leftovers = args.purge && anything_left(place)?;
    if !deployed && !leftovers && !change.context.is_orphaned() {
        return Ok(Answer::new("nothing is deployed")
            .text(format!("Nothing is deployed in {}.", place.show(&place.target))));
    }
    let draft = change.draft(goals::nothing(args.purge))?;
    let summary = intention(place, &draft, args.purge)?;
    change.carry_out(draft, &summary, |draft, _| {
        Ok(Answer::new("uninstalled").text(done(place, draft, args.purge, deployed, common.lock_wait)?))
    })
}

fn intention(place: &Place, draft: &Draft, purge: bool) -> Result<String> {
    let mut summary = format!(
        "Remove the gateway from {}\n{}",
        place.show(&place.target),
        report::plan(draft, term::manner().verbose)
    );
    if let Some(service) = service::installed(place) {
        summary.push_str(&format!("\n  - the service {}", service.name));
    }
    if purge {
        summary.push_str(
            "\n  - backups, logs and gwinstall's own state\n  No backup brings these or .env back.",
        );
        if runtime::are_left_by(place)? {
            summary.push_str("\n  - the LiteLLM that gwinstall installed");
        }
        for path in shell_files::marked(place)? {
            summary.push_str(&format!("\n  - the line of gwinstall in {}", place.show(&path)));
        }
    }
    Ok(summary)
}

/// After the transaction: what `--purge` still removes, and what stays.
fn done(place: &Place, draft: &Draft, purge: bool, deployed: bool, wait: u64) -> Result<String> {
    let forgotten = forget_process(place);
    let mut lines = vec![if deployed {
        format!("gwinstall removed the gateway from {}.", place.show(&place.target))
    } else {
        "gwinstall removed what it had left behind.".to_owned()
    }];
    if purge {
        let state = State { dir: &place.state_dir };
        let kept = replace::previous(state).ok().map(|previous| previous.kept);
        forgotten.and_then(|()| remove_leftovers(place))?;
        lines.extend(runtime::after_uninstall(place, true, wait)?);
        lines.extend(path_lines(place)?);
        lines.extend(left_to_the_user(place)?);
        lines.extend(executables(place, kept));
    } else {
        lines.extend(left(place, draft));
        // The gateway is gone: what gwinstall cannot look at or remove now is said, and fails nothing any more.
        let stays = runtime::after_uninstall(place, false, wait);
        lines.extend(stays.unwrap_or_else(|error| vec![format!("  note: {error}")]));
        lines.extend(forgotten.err().map(|error| format!("  note: {error}")));
    }
    lines.extend(draft.kept_keys.iter().map(|key| format!("  settings.json keeps {key}: you changed it")));
    Ok(lines.join("\n"))
}

/// The files that stay, and why.
fn left(place: &Place, draft: &Draft) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &draft.plan.steps {
        match step.action {
            Action::Release => {
                let why = if step.name == files::GITIGNORE { step.reason } else { "you changed it" };
                lines.push(format!("  {} stays: {why}", step.name));
                let old = format!("{}{OLD_SUFFIX}", step.path.display());
                if disk::exists(Path::new(&old)) {
                    lines.push(format!("  {}{OLD_SUFFIX} stays: it was there before", step.name));
                }
            }
            _ if step.reason == RENAMED_BACK && step.post.is_some() => {
                lines.push(format!("  {}: {RENAMED_BACK}", step.name));
            }
            _ => {}
        }
    }
    let back = format!("{} brings everything back", command(place, &["rollback"]));
    for (path, what) in [
        (place.file(files::ENV), "your values"),
        (place.backups(), back.as_str()),
        (place.log(), "the log of operations"),
        (place.file(files::GATEWAY_LOG), "the log of the gateway"),
    ] {
        if disk::exists(&path) {
            lines.push(format!("  {} stays: {what}", place.show(&path)));
        }
    }
    if !lines.is_empty() {
        lines.push(format!("  To remove these too: {}", command(place, &["uninstall", "--purge"])));
    }
    lines
}

/// A command for after the uninstall: a target that is not the default has to be named then, because what remembered it
/// is gone.
fn command(place: &Place, words: &[&str]) -> String {
    let target = place.target.to_string_lossy();
    let named = term::invocation().place.iter().any(|word| word == "--target-dir");
    let flag = if place.target_is_default() || named { &[][..] } else { &["--target-dir", &*target] };
    term::command(&[words, flag].concat())
}

/// The files that only the user can decide about.
fn left_to_the_user(place: &Place) -> Result<Vec<String>> {
    let names = disk::list(&place.target)?;
    Ok(names
        .iter()
        .map(|name| format!("  {} stays: gwinstall did not create it", place.show(&place.file(name))))
        .collect())
}

/// The gateway does not run any more, and a later installation starts without the marks of this one.
fn forget_process(place: &Place) -> Result<()> {
    let left = files::OF_THE_PROCESS.iter().map(|name| place.file(name)).filter(|path| disk::exists(path));
    for path in left {
        disk::remove(&path).map_err(|error| disk::failure("remove", &path, &error))?;
    }
    Ok(())
}

/// After the transaction: removes what no transaction needs, and only names that gwinstall makes.
fn remove_leftovers(place: &Place) -> Result<()> {
    let failed = |path: &PathBuf, error: &std::io::Error| disk::failure("remove", path, error);
    for entry in backup::list(place)? {
        backup::remove(place, &entry.filename)?;
    }
    for name in [files::GATEWAY_LOG, files::OLDER_GATEWAY_LOG] {
        let path = place.file(name);
        disk::remove(&path).map_err(|error| failed(&path, &error))?;
    }
    disk::remove(&place.log()).map_err(|error| failed(&place.log(), &error))?;
    let ignored = place.file(files::GITIGNORE);
    if disk::find(&ignored)?
        .stamp()
        .is_some_and(|found| found.sha256 == Sha256::of(GITIGNORE_TEXT.as_bytes()))
    {
        disk::remove(&ignored).map_err(|error| failed(&ignored, &error))?;
    }
    // Without backups gwinstall needs no base copy any more.
    let copies = place.file(files::BASE_COPIES);
    disk::remove(&copies).map_err(|error| failed(&copies, &error))?;
    recover::leave_no_trace(place);
    let places = place.state_dir.join("places");
    disk::remove_dir_if_empty(&places).map_err(|error| failed(&places, &error))?;
    // Another deployment of this user still needs what was learnt about releases.
    if disk::exists(&places) { Ok(()) } else { State { dir: &place.state_dir }.leave() }
}

/// Whether there is something to purge although nothing is deployed.
fn anything_left(place: &Place) -> Result<bool> {
    let found = disk::exists(&place.target) || disk::exists(&place.state_dir);
    Ok(found || !shell_files::marked(place)?.is_empty())
}

/// Removes the lines of gwinstall from shell files and reports which.
fn path_lines(place: &Place) -> Result<Vec<String>> {
    let removed = shell_files::clean(place)?;
    let changed =
        removed.changed.iter().map(|path| format!("  {}: gwinstall removed its line", place.show(path)));
    let left = removed
        .left
        .iter()
        .map(|path| format!("  {}: its line stays: the file belongs to another user", place.show(path)));
    Ok(changed.chain(left).collect())
}

/// The line with the command that removes the executable, where gwinstall may replace it. gwinstall cannot remove
/// itself.
fn executables(place: &Place, kept: Option<PathBuf>) -> Option<String> {
    let current = session::current_exe().ok();
    let current = current.filter(|exe| !place.staged && session::require_replaceable(exe).is_ok())?;
    let kept = kept.filter(|kept| disk::exists(kept));
    let paths: Vec<String> = [current.path].iter().chain(&kept).map(|path| place.paste(path)).collect();
    Some(format!("  The program itself stays. To remove it: rm {}", paths.join(" ")))
}
