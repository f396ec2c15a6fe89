//! `report`: what `status`, `models list`, `doctor`, `backup list` and `history` show, in one HTML page. Looks only,
//! apart from the file that the user named.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::bundle::build;
use crate::cli::{Common, ReportArgs};
use crate::deploy::backup;
use crate::deploy::checks::Checks;
use crate::deploy::lost;
use crate::domain::check::Check;
use crate::domain::name::{count, printable};
use crate::domain::record::Record;
use crate::domain::{Error, Hint, Instant, Operation, Place, Result};
use crate::doors::{system, term};
use crate::gateway::service;
use crate::inspect::drift::{self, Drift};
use crate::inspect::facts::Facts;
use crate::inspect::pointed::Pointed;
use crate::inspect::{history, next, state};
use crate::release::session;
use crate::ui::answer::Answer;
use crate::ui::page::facts::{
    BackupRow, CheckRow, Commands, FileRow, History, KnownModel, ModelRow, Models, Note, OperationRow, Page,
    State, Tone, Way,
};
use crate::ui::page::{self, LARGEST};
use crate::ui::report;

use super::report_values::Values;
use super::service::in_brief;
use super::{backup as backups, doctor, leaving, models, report_file, sources, status};

/// More operations would not fit on the page.
const MOST_OPERATIONS: usize = LARGEST / 200;

pub(super) fn run(place: &Place, common: &Common, args: &ReportArgs) -> Result<Answer> {
    let prints = args.html == Path::new("-");
    if prints && common.json {
        return Err(Error::usage("--json does not go with --html -: both are standard output")
            .hint(Hint::run(&["report", "--html", "gateway.html", "--json"])));
    }
    if !prints {
        report_file::require_free(place, &args.html, args.force)?;
    }
    let page = page::render(&collect(place)?);
    if prints {
        term::raw(page.as_bytes());
        return Ok(Answer::new("printed the page").text(""));
    }
    report_file::write(place, &args.html, &page, args.force)?;
    let shown = printable(&args.html.to_string_lossy());
    Ok(Answer::new(format!("wrote {shown}"))
        .text(format!("Wrote {shown}; a browser shows it."))
        .data(json!({ "file": args.html, "size_bytes": page.len() })))
}

fn collect(place: &Place) -> Result<Page> {
    let context = leaving::finish_if_possible(place)?;
    let facts = Facts::gather(&context)?;
    let bundle = sources::deployed(place, facts.record());
    let checks = doctor::every_check(&facts, &bundle);
    let drifted = facts.record().map_or_else(|| Ok(Vec::new()), |record| drift::of(place, record));
    let values = facts.env().ok().map(|env| Values::of(place, env));
    let now = system::now();
    Ok(Page {
        gwinstall: build::VERSION,
        made: now.to_string(),
        target: place.show(&place.target),
        machine: printable(&system::hostname()),
        state: state_of(&facts, &bundle, &checks, &drifted),
        models: models_of(facts.record(), &bundle, now).map_err(words),
        files: drifted.map(|drifted| files_of(&facts, &drifted)).map_err(words),
        checks: report::distinct(&checks.0).map(|one| check(one, values.as_ref())).collect(),
        backups: backups_of(place, now).map_err(words),
        history: history_of(place).map_err(words),
        commands: Commands {
            status: term::command(&["status"]),
            models: term::command(&["models", "list"]),
            rollback: term::command(&["rollback", "N"]),
            backups: term::command(&["backup", "list"]),
            history: term::command(&["history", "--limit", "5000"]),
        },
    })
}

/// An error as a sentence of the page.
fn words(error: Error) -> String {
    std::iter::once(error.message())
        .chain(error.causes().iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(": ")
}

fn state_of(
    facts: &Facts<'_>,
    bundle: &Result<Bundle>,
    checks: &Checks,
    drifted: &Result<Vec<Drift>>,
) -> State {
    let interrupted = facts.interrupted.as_ref().map(|found| Note {
        tone: Tone::Bad,
        text: state::interruption(found),
        ways: ways(&state::repair()),
    });
    let mut state = match facts.record() {
        Some(record) => deployed(facts, record, bundle, (checks, drifted)),
        None => not_deployed(facts),
    };
    state.notes.splice(0..0, interrupted);
    state
}

fn deployed(
    facts: &Facts<'_>,
    record: &Record,
    bundle: &Result<Bundle>,
    (checks, drifted): (&Checks, &Result<Vec<Drift>>),
) -> State {
    let place = facts.place();
    let pointed = Pointed::of(facts, record);
    let service = service::installed(place).map(|service| in_brief(&service, &service.state()));
    let differs = drifted.as_ref().map_or(true, |drifted| status::differs(facts, record, drifted, &pointed));
    let failed = checks.failed().len();
    let mut verdict = status::verdict(differs).to_owned();
    if failed > 0 {
        verdict.push_str(&format!("; {} found", count(failed, "problem")));
    }
    let tone = match (facts.interrupted.is_some(), differs || failed > 0) {
        (true, _) => Tone::Bad,
        (false, true) => Tone::Notice,
        (false, false) => Tone::Good,
    };
    let missing = status::missing(checks);
    let news = session::news(place);
    let notes = status::unserved(facts).into_iter().chain(status::remarks(facts, record, bundle, &news));
    State {
        tone,
        verdict,
        sentence: status::headline(place, record),
        parts: status::summary(facts, record, &pointed, service),
        notes: notes
            .map(|note| Note {
                tone: Tone::Notice,
                text: note.text,
                ways: note.hint.as_ref().map(ways).unwrap_or_default(),
            })
            .collect(),
        next: next::command(facts, record, &missing).map(|hint| hint.commands(term::invocation()).concat()),
        missing,
    }
}

/// The state where nothing is deployed, or where the record of what is deployed is lost.
fn not_deployed(facts: &Facts<'_>) -> State {
    let empty = State {
        tone: Tone::Notice,
        verdict: "nothing is deployed".to_owned(),
        sentence: "No gateway is deployed.".to_owned(),
        parts: Vec::new(),
        notes: Vec::new(),
        missing: Vec::new(),
        next: None,
    };
    if facts.context.is_lost() {
        let refusal = lost::refusal(facts.place());
        let cause = refusal.causes().join("; ");
        let ways = refusal.advice().map(ways).unwrap_or_default();
        let note = Note { tone: Tone::Bad, text: cause, ways };
        return State {
            tone: Tone::Bad,
            verdict: "the record is missing".to_owned(),
            sentence: refusal.message().to_owned(),
            notes: vec![note],
            ..empty
        };
    }
    if facts.interrupted.is_some() {
        return State { tone: Tone::Bad, verdict: "an earlier run was interrupted".to_owned(), ..empty };
    }
    if facts.context.is_orphaned() {
        let answer = status::not_deployed(facts);
        return State {
            tone: Tone::Bad,
            verdict: answer.message,
            next: Some(term::command(&["uninstall"])),
            ..empty
        };
    }
    State { next: Some(term::command(&["install"])), ..empty }
}

/// The ways of a hint, the command apart from its purpose.
fn ways(hint: &Hint) -> Vec<Way> {
    let commands = hint.commands(term::invocation());
    let way = |line: String| match commands.iter().find(|command| line.ends_with(command.as_str())) {
        Some(command) => Way {
            purpose: line[..line.len() - command.len()].trim_end().to_owned(),
            command: Some(command.clone()),
        },
        None => Way { purpose: line, command: None },
    };
    hint.lines(term::invocation()).into_iter().map(way).collect()
}

fn check(check: &Check, values: Option<&Values>) -> CheckRow {
    let without = |text: &str| values.map_or_else(|| text.to_owned(), |values| values.out_of(text));
    let way = |way: Way| Way { purpose: without(&way.purpose), command: way.command.as_deref().map(without) };
    let ways = check.hint.as_ref().map(ways).unwrap_or_default();
    CheckRow {
        status: check.status,
        message: without(&check.message),
        ways: ways.into_iter().map(way).collect(),
    }
}

fn models_of(record: Option<&Record>, bundle: &Result<Bundle>, now: Instant) -> Result<Models> {
    let bundle = bundle.as_ref().map_err(Clone::clone)?;
    let deployed = record.map(|record| record.models.as_slice()).unwrap_or_default();
    let today = now.date();
    let row = |name: &String| ModelRow {
        name: name.clone(),
        known: bundle.catalog.model(name).map(|model| KnownModel {
            full_name: model.full_name.clone(),
            tier: json!(model.tier).as_str().unwrap_or_default().to_owned(),
            price_in: model.price_in,
            price_out: model.price_out,
            context_tokens: model.context_tokens,
            output_tokens: model.output_tokens,
            retires: model.retires.clone(),
            is_past: models::is_past(model, &today),
            successor: model.successor.clone(),
        }),
    };
    Ok(Models { as_of: bundle.catalog.as_of.clone(), rows: deployed.iter().map(row).collect() })
}

fn files_of(facts: &Facts<'_>, drifted: &[Drift]) -> Vec<FileRow> {
    let Some(record) = facts.record() else { return Vec::new() };
    let place = facts.place();
    let row = |path: &str, tone, what, words: &str| FileRow {
        path: path.to_owned(),
        tone,
        what,
        words: words.to_owned(),
        command: None,
    };
    let since = "since the last operation".to_owned();
    let words = |drift: &Drift| if drift.is_of_mode() { drift.words(place) } else { since.clone() };
    let mut rows: Vec<FileRow> =
        drifted.iter().map(|drift| row(&drift.path, Tone::Notice, drift.kind(), &words(drift))).collect();
    let offers = record.files.iter().filter(|(_, file)| file.offered.is_some());
    rows.extend(offers.map(|(path, _)| FileRow {
        command: Some(term::command(&["resolve", path])),
        ..row(path, Tone::Bad, "conflict", "has a new version beside it:")
    }));
    let yours = status::yours(place, record, drifted);
    rows.extend(yours.iter().map(|path| row(path, Tone::Good, "yours", "holds your edits, and keeps them")));
    rows
}

fn backups_of(place: &Place, now: Instant) -> Result<Vec<BackupRow>> {
    let entries = backup::list_verified(place)?;
    let numbers = backups::numbers(&entries);
    let row = |(entry, number): (&backup::Entry, &Option<usize>)| BackupRow {
        number: *number,
        name: entry.filename.clone(),
        made: entry.created_at.to_string(),
        age: backups::age(now.unix() - entry.created_at.unix()),
        size: backups::size(entry.size_bytes),
        before: entry.before.map_or("-", Operation::word).to_owned(),
        preset: entry.deployment_config["preset"].as_str().unwrap_or("-").to_owned(),
        traits: backups::traits(entry),
        is_valid: entry.is_valid,
    };
    Ok(entries.iter().zip(&numbers).rev().map(row).collect())
}

fn history_of(place: &Place) -> Result<History> {
    let newest =
        history::newest(place, MOST_OPERATIONS, |line| serde_json::from_str(line).ok().map(operation))?;
    Ok(History { operations: newest.operations, whole: newest.whole })
}

/// A line of the log. Words are cut and made visible as `history` prints them.
fn operation(line: Value) -> OperationRow {
    let word = |key: &str| line.get(key).and_then(Value::as_str).map(printable).unwrap_or_default();
    let number = |key: &str| line.get(key).and_then(Value::as_u64).unwrap_or(0);
    let made = word("backup_created");
    OperationRow {
        moment: word("timestamp"),
        operation: word("operation"),
        status: word("status"),
        preset: word("preset"),
        files_changed: number("files_copied"),
        duration_ms: number("duration_ms"),
        backup: if made.is_empty() { word("backup") } else { made },
        error: word("error_message"),
    }
}
