//! `resolve`: lists files that both the user and an update changed, shows the difference, and carries out the user's
//! decision in one transaction.

use serde_json::json;

use crate::cli::{Common, ResolveArgs};
use crate::deploy::plan::OFFER;
use crate::deploy::resolve::{self, Side};
use crate::deploy::store;
use crate::domain::name::{closest, count, printable};
use crate::domain::place::files;
use crate::domain::record::Record;
use crate::domain::{Error, Kind, Place, Result};
use crate::doors::{disk, prompt};
use crate::format::merge::unified_diff;

use super::answer::Answer;
use super::change::{self, Change};
use super::report;

pub(super) fn run(place: &Place, common: &Common, args: &ResolveArgs) -> Result<Answer> {
    let side = match (args.mine, args.theirs) {
        (true, _) => Some(Side::Mine),
        (_, true) => Some(Side::Theirs),
        _ => None,
    };
    let last = store::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed yet").hint("gwinstall install"))?;
    match (&args.file, side) {
        (None, None) => Ok(list(&last)),
        (None, Some(_)) => Err(Error::usage("which file is decided about?").hint("gwinstall resolve")),
        (Some(typed), None) => show(place, &last, &conflict(place, &last, typed)?),
        (Some(typed), Some(side)) => decide(place, common, args, typed, side),
    }
}

fn list(last: &Record) -> Answer {
    let open = resolve::open_conflicts(last);
    let data = json!({ "conflicts": open });
    if open.is_empty() {
        return Answer::new("no open conflict")
            .text("No conflict is open: no file waits for a decision.")
            .data(data);
    }
    let mut lines: Vec<String> =
        open.iter().map(|path| format!("  ! {path}  ours is {path}{OFFER}")).collect();
    lines.insert(
        0,
        format!("{} changed by you and by an update; yours is in place:", count(open.len(), "file")),
    );
    lines.push(format!("To see the difference: gwinstall resolve {}", open[0]));
    lines.push(
        "To decide: add --mine (keep yours) or --theirs (take ours; yours goes into the backup)".to_owned(),
    );
    Answer::new(count(open.len(), "open conflict")).text(lines.join("\n")).data(data)
}

/// The path inside the deployment that was typed: as listed, with our ending, or as a whole path.
fn conflict(place: &Place, last: &Record, typed: &str) -> Result<String> {
    let open = resolve::open_conflicts(last);
    let target = place.target.to_string_lossy();
    let inside = typed.strip_prefix(target.as_ref()).map_or(typed, |rest| rest.trim_start_matches('/'));
    let inside = inside.strip_suffix(OFFER).unwrap_or(inside).trim_start_matches("./");
    if open.contains(&inside) {
        return Ok(inside.to_owned());
    }
    let error = Error::usage(format!("{} has no open conflict", printable(typed)));
    Err(match (closest(inside, open.iter().copied()).first(), open.is_empty()) {
        (Some(near), _) => error.hint(format!("did you mean gwinstall resolve {near}?")),
        (None, true) => error.because("no conflict is open"),
        (None, false) => error.hint("to list them: gwinstall resolve"),
    })
}

fn ours(place: &Place, last: &Record, path: &str) -> Result<Vec<u8>> {
    let sum = last.files.get(path).and_then(|file| file.offered);
    let sum =
        sum.ok_or_else(|| Error::usage(format!("{path} has no open conflict")).hint("gwinstall resolve"))?;
    // The configuration is assembled, not shipped; its kept copy is the only other source.
    let bundle = crate::bundle::Bundle::embedded()?;
    resolve::offered(place, path, sum, &|path| bundle.file(path).cloned())
}

fn show(place: &Place, last: &Record, path: &str) -> Result<Answer> {
    let ours = ours(place, last, path)?;
    let mine = disk::read_maybe(&place.file(path), disk::TEXT_CAP)?.unwrap_or_default();
    let diff = unified_diff(&String::from_utf8_lossy(&mine), &String::from_utf8_lossy(&ours), path);
    let text = format!(
        "What --theirs would change in your {path}:\n{}\nTo decide: gwinstall resolve {path} --mine, or --theirs",
        diff.trim_end()
    );
    Ok(Answer::new(format!("{path} waits for a decision"))
        .text(text)
        .data(json!({ "path": path, "diff": diff }))
        .exit(Kind::Pending))
}

fn decide(place: &Place, common: &Common, args: &ResolveArgs, typed: &str, side: Side) -> Result<Answer> {
    let change = Change { prune: false, ..Change::new(place, common, &args.confirm, "resolve") };
    change.recover()?;
    let last = store::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed any more").hint("gwinstall install"))?;
    let path = conflict(place, &last, typed)?;
    let ours = match side {
        Side::Theirs => ours(place, &last, &path)?,
        Side::Mine => Vec::new(),
    };
    let mut drafted = resolve::draft(place, &last, &path, side, &ours)?;
    let kept = match side {
        Side::Mine => "your version stays, and ours goes",
        Side::Theirs => "our version replaces yours, which the backup keeps",
    };
    let summary = format!("{path}: {kept}\n{}", report::plan(&drafted, true));
    if args.confirm.dry_run {
        let text = format!("{summary}\nThis was a dry run (plan {}): nothing was changed.", drafted.id);
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(change::data(&drafted, None)));
    }
    let flag = if side == Side::Mine { "--mine" } else { "--theirs" };
    super::demand_consent(&args.confirm, &format!("gwinstall resolve {path} {flag}"))?;
    let Some(outcome) = change.carry_out(&mut drafted, &summary)? else {
        return Err(prompt::stopped());
    };
    let mut text = format!(
        "Decided: {}.",
        if side == Side::Mine {
            format!("{path} stays as you have it")
        } else {
            format!("{path} is our version now")
        }
    );
    if let Some(backup) = outcome.backup.as_ref().filter(|_| side == Side::Theirs) {
        text.push_str(&format!("\n  Yours is in {} (gwinstall rollback goes back to it)", backup.filename));
    }
    if side == Side::Theirs && path == files::CONFIG {
        text.push_str("\n  A running gateway takes it over with: gwinstall reload");
    }
    let left = drafted.record.as_ref().map_or(0, |record| resolve::open_conflicts(record).len());
    if left > 0 {
        text.push_str(&format!("\n  {} left: gwinstall resolve", count(left, "conflict")));
    }
    let mut data = change::data(&drafted, Some(&outcome));
    data["path"] = json!(path);
    data["side"] = json!(flag.trim_start_matches('-'));
    Ok(Answer::new(format!("{path} is decided")).text(text).data(data))
}
