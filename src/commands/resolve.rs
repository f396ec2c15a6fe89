//! `resolve`: lists files that both the user and an update changed, shows the difference, and carries out the user's
//! decision in one transaction.

use serde_json::json;

use crate::cli::{Common, ConfirmArgs, OnArgs, ResolveArgs};
use crate::deploy::context::Context;
use crate::deploy::converge::Outcome;
use crate::deploy::draft::Draft;
use crate::deploy::plan::NEW_SUFFIX;
use crate::deploy::resolve::{self, Side};
use crate::deploy::store;
use crate::domain::Operation;
use crate::domain::name::{closest, count, printable};
use crate::domain::place::files;
use crate::domain::record::{Pointed, Record};
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::{disk, term};
use crate::format::merge::unified_diff;

use super::change::Change;
use super::switch;
use crate::ui::answer::Answer;
use crate::ui::report;

pub(super) fn run(place: &Place, common: &Common, args: &ResolveArgs) -> Result<Answer> {
    let side = match (args.keep_mine, args.take_new) {
        (true, _) => Some(Side::Mine),
        (_, true) => Some(Side::New),
        _ => None,
    };
    let context = Context::load(place)?;
    let last = context.deployed()?;
    match (&args.file, side) {
        (None, None) => Ok(list(last)),
        (None, Some(_)) => Err(Error::usage("name the file to resolve").hint(Hint::run(&["resolve"]))),
        (Some(typed), None) => show(place, last, &conflict(place, last, typed)?),
        (Some(typed), Some(side)) => decide(place, common, args, typed, side),
    }
}

fn list(last: &Record) -> Answer {
    let open = resolve::open_conflicts(last);
    let data = json!({ "conflicts": open });
    if open.is_empty() {
        return Answer::new("no open conflict")
            .text("No conflict is open: no file is not resolved.")
            .data(data);
    }
    let mut lines: Vec<String> =
        open.iter().map(|path| format!("  ! {path}  the new version is {path}{NEW_SUFFIX}")).collect();
    lines.insert(
        0,
        format!("{} changed by you and by an update; yours is in place:", count(open.len(), "file")),
    );
    lines.push(format!("To see the difference: {}", term::command(&["resolve", open[0]])));
    lines.push("To resolve it: add --keep-mine, or --take-new (a backup keeps yours)".to_owned());
    Answer::new(count(open.len(), "open conflict")).text(lines.join("\n")).data(data)
}

/// The path inside the deployment that was typed: as listed, with `NEW_SUFFIX`, or as a whole path.
fn conflict(place: &Place, last: &Record, typed: &str) -> Result<String> {
    let open = resolve::open_conflicts(last);
    let target = place.target.to_string_lossy();
    let inside = typed.strip_prefix(target.as_ref()).map_or(typed, |rest| rest.trim_start_matches('/'));
    let inside = inside.strip_suffix(NEW_SUFFIX).unwrap_or(inside).trim_start_matches("./");
    if open.contains(&inside) {
        return Ok(inside.to_owned());
    }
    let error = Error::usage(format!("{} has no open conflict", printable(typed)));
    Err(match (closest(inside, open.iter().copied()).first(), open.is_empty()) {
        (Some(near), _) => error.hint(Hint::instead(typed, *near)),
        (None, true) => error.because("no conflict is open").hint(Hint::run(&["status"])),
        (None, false) => error.hint(Hint::run(&["resolve"]).to("list them")),
    })
}

fn new_version(place: &Place, last: &Record, path: &str) -> Result<Vec<u8>> {
    let sum = last.files.get(path).and_then(|file| file.offered.as_deref().copied());
    let sum = sum
        .ok_or_else(|| Error::usage(format!("{path} has no open conflict")).hint(Hint::run(&["resolve"])))?;
    // The configuration is assembled, not shipped; its base copy is the only other source.
    let bundle = crate::bundle::Bundle::embedded()?;
    resolve::new_version(place, path, sum, &|path| bundle.file(path).cloned())
}

fn show(place: &Place, last: &Record, path: &str) -> Result<Answer> {
    let new = new_version(place, last, path)?;
    let mine = disk::read_maybe(&store::live_path(place, path), disk::TEXT_CAP)?.unwrap_or_default();
    let diff = unified_diff(&String::from_utf8_lossy(&mine), &String::from_utf8_lossy(&new), path);
    let text = format!(
        "What --take-new would change in your {path}:\n{}\nTo resolve it: {}, or --take-new",
        diff.trim_end(),
        term::command(&["resolve", path, "--keep-mine"])
    );
    Ok(Answer::new(format!("{path} is not resolved"))
        .text(text)
        .data(json!({ "path": path, "diff": diff }))
        .exit(Kind::Pending))
}

fn decide(place: &Place, common: &Common, args: &ResolveArgs, typed: &str, side: Side) -> Result<Answer> {
    let mut change = Change::open(place, common, &args.confirm, Operation::Resolve)?
        .without_takeover(args.takeover.no_reload);
    let record = change.context.deployed()?;
    let path = conflict(place, record, typed)?;
    let used = record.request.pointed == Pointed::On;
    let new = match side {
        Side::New => new_version(place, record, &path)?,
        Side::Mine => Vec::new(),
    };
    let draft = resolve::draft(&change.context, &change.rules, &path, side, &new)?;
    let kept = match side {
        Side::Mine => "your version stays, and the new one goes",
        Side::New => "the new version replaces yours, which the backup keeps",
    };
    let summary = format!("{path}: {kept}\n{}", report::plan(&draft, true));
    change.facts.insert("path".to_owned(), json!(path));
    change.facts.insert("side".to_owned(), json!(side));
    let follows = used && !change.is_dry() && !args.takeover.no_reload;
    let answer = change.carry_out(draft, &summary, |draft, outcome| {
        Ok(Answer::new(format!("{path} is resolved")).text(done(draft, outcome, &path, side)))
    })?;
    if !(follows && side == Side::New && path == files::CONFIG) {
        return Ok(answer);
    }
    // Models that the conflict kept out are served now. The conflict is resolved, whatever becomes of the settings.
    let confirm = ConfirmArgs { yes: true, dry_run: false };
    Ok(match switch::on(place, common, &OnArgs { confirm, force: true }) {
        Ok(_) => answer,
        Err(error) => answer.line(&format!("  The settings of Claude Code stay as they were: {error}")),
    })
}

fn done(draft: &Draft, outcome: &Outcome, path: &str, side: Side) -> String {
    let mut text = match side {
        Side::Mine => format!("Resolved: {path} stays as you have it."),
        Side::New => format!("Resolved: {path} is the new version now."),
    };
    if let Some(backup) = outcome.backup.as_ref().filter(|_| side == Side::New) {
        let back = term::command(&["rollback"]);
        text.push_str(&format!("\n  Yours is in {} (to return to it: {back})", backup.filename));
    }
    let left = draft.record.as_ref().map_or(0, |record| resolve::open_conflicts(record).len());
    if left > 0 {
        text.push_str(&format!("\n  {} left: {}", count(left, "conflict"), term::command(&["resolve"])));
    }
    text
}
