//! Plans, checks and lists in words. Every text here is snapshot-tested.

use serde_json::{Value, json};

use crate::deploy::draft::Draft;
use crate::deploy::plan::NEW_SUFFIX;
use crate::deploy::times::Took;
use crate::domain::Place;
use crate::domain::check::{Check, Status};
use crate::domain::name::count;
use crate::domain::place::files;
use crate::domain::plan::{Action, Step};
use crate::domain::session::Session;
use crate::domain::tree::Class;
use crate::doors::term::{self, Level, Style, paint};

/// What a person must know about sessions of Claude Code that are open while settings.json changes: version 2.1.329
/// follows within 1.0 to 3.5 seconds, earlier ones were seen to keep what they had.
pub const OPEN_SESSIONS: &str =
    "Open sessions of Claude Code follow within seconds; restart one that does not.";

/// Open sessions, a line for each.
pub fn sessions(place: &Place, sessions: &[&Session]) -> String {
    let lines: Vec<String> = sessions.iter().map(|open| format!("  {}", open.shown(place))).collect();
    lines.join("\n")
}

/// One step for `--json`.
pub fn step_json(step: &Step) -> Value {
    json!({
        "path": step.name,
        "action": step.action,
        "rule": step.rule,
        "reason": step.reason,
        "class": step.class,
        "pre": step.pre,
        // A record and an .env hold a moment or a key: their next content is not known before it is written.
        "post": if matches!(step.class, Class::Record | Class::Env) { Value::Null } else { json!(step.post) },
    })
}

fn sign(action: Action) -> (&'static str, Style) {
    match action {
        Action::Create => ("+", Style::Green),
        Action::Replace | Action::Merge | Action::Chmod => ("~", Style::Yellow),
        Action::Remove => ("-", Style::Red),
        Action::Conflict => ("!", Style::Red),
        Action::Same | Action::Keep | Action::StayDeleted | Action::Release => ("=", Style::Dim),
    }
}

/// The plan in words: every change with `--verbose`, else by directory; kept files always one by one.
pub fn plan(draft: &Draft, verbose: bool) -> String {
    // What gwinstall keeps for itself is of interest to a person who wants to see everything.
    let record = |step: &Step| term::manner().verbose && step.name == files::RECORD;
    let shown = |step: &&Step| step.class != Class::Record || record(step);
    let visible: Vec<&Step> = draft.plan.steps.iter().filter(shown).collect();
    let mut lines = Vec::new();
    // A merge and the end of a conflict concern what the user wrote: each is said with its reason.
    let told = |step: &&&Step| {
        let offer = step.action == Action::Remove && step.name.ends_with(NEW_SUFFIX);
        verbose || offer || step.action == Action::Merge
    };
    let (with_reason, others): (Vec<&&Step>, Vec<&&Step>) =
        visible.iter().filter(|step| step.changes()).partition(told);
    lines.extend(grouped(&others));
    lines.extend(with_reason.iter().map(|step| line(step)));
    let kept = visible.iter().filter(|step| {
        matches!(step.action, Action::Keep | Action::StayDeleted | Action::Release | Action::Conflict)
    });
    lines.extend(kept.map(|step| line(step)));
    lines.extend(
        draft
            .kept_keys
            .iter()
            .map(|key| format!("  {} settings.json {key}: you changed it; it stays", paint("=", Style::Dim))),
    );
    lines.join("\n")
}

/// One step, as the plan shows it.
pub fn line(step: &Step) -> String {
    let (sign, style) = sign(step.action);
    format!("  {} {} — {}", paint(sign, style), step.name, reason(step))
}

/// Why the step is taken; with `--verbose` by which rule.
pub fn reason(step: &Step) -> String {
    let rule = if term::manner().verbose { format!(" (rule {})", step.rule) } else { String::new() };
    format!("{}{rule}", step.reason)
}

/// `+ docs/ 10 files`, for changes of the same kind in the same directory.
fn grouped(changes: &[&&Step]) -> Vec<String> {
    let mut groups: Vec<(&str, &'static str, Style, Vec<&str>)> = Vec::new();
    for step in changes {
        let (sign, style) = sign(step.action);
        let dir = step.name.split_once('/').map_or("", |(dir, _)| dir);
        match groups
            .iter_mut()
            .find(|(known, known_sign, ..)| *known == dir && *known_sign == sign && !dir.is_empty())
        {
            Some((.., names)) => names.push(&step.name),
            None => groups.push((dir, sign, style, vec![&step.name])),
        }
    }
    let line = |(dir, sign, style, names): (&str, &'static str, Style, Vec<&str>)| match names.as_slice() {
        [only] => format!("  {} {only}", paint(sign, style)),
        several => format!("  {} {dir}/ ({})", paint(sign, style), count(several.len(), "file")),
    };
    groups.into_iter().map(line).collect()
}

/// A check that was made on the way, as a line of the log.
pub fn log_check(check: &Check) {
    let level = match check.status {
        Status::Pass => Level::Success,
        Status::Fail => Level::Error,
        Status::Warn => Level::Warn,
        Status::Skip => Level::Info,
    };
    term::log(level, &check_text(check));
}

/// `PASS message`; with `--verbose` also the check's name, which programs read, and its time.
pub fn check_line(check: &Check) -> String {
    let style = match check.status {
        Status::Pass => Style::Green,
        Status::Fail => Style::Red,
        Status::Warn => Style::Yellow,
        Status::Skip => Style::Dim,
    };
    format!("{} {}", paint(check.status.word(), style), check_text(check))
}

fn check_text(check: &Check) -> String {
    let (name, timing) = if term::manner().verbose {
        (format!("{}: ", check.check_name), format!(" ({} ms)", check.duration_ms))
    } else {
        Default::default()
    };
    let mut text = format!("{name}{}{timing}", check.message);
    if let Some(hint) = check.hint.as_ref().filter(|_| matches!(check.status, Status::Fail | Status::Warn)) {
        term::hint_lines(hint).iter().for_each(|line| text.push_str(&format!("\n     {line}")));
    }
    text
}

/// Several checks.
pub fn check_lines(checks: &[Check]) -> Vec<String> {
    if term::manner().verbose {
        return checks.iter().map(check_line).collect();
    }
    distinct(checks).map(check_line).collect()
}

/// Without their names some checks say the same, and it is said once.
pub fn distinct(checks: &[Check]) -> impl Iterator<Item = &Check> {
    let is_new =
        |(at, check): &(usize, &Check)| checks[..*at].iter().all(|earlier| earlier.message != check.message);
    checks.iter().enumerate().filter(is_new).map(|(_, check)| check)
}

/// How long each phase took, in one line; nothing where no phase began.
pub fn times(times: &[Took]) -> Option<String> {
    let phases: Vec<String> =
        times.iter().map(|took| format!("{} {} ms", took.phase, took.duration_ms)).collect();
    (!phases.is_empty()).then(|| format!("time: {}", phases.join(", ")))
}
