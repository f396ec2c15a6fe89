//! `status`: what is deployed and whether it is as deployed. Reads only, apart from a departure of Claude Code that it
//! can finish; a stopped gateway, warnings and retired models never change its exit code.

use serde_json::json;

use crate::bundle::{Bundle, build};
use crate::deploy::checks::Checks;
use crate::deploy::context::Context;
use crate::deploy::lost;
use crate::deploy::recover::{self, Interrupted};
use crate::domain::check::{Check, CheckName, Status};
use crate::domain::name::{count, list};
use crate::domain::record::Record;
use crate::domain::{Hint, Kind, Place, Result};
use crate::doors::{disk, system, term};
use crate::gateway;
use crate::gateway::process::Running;
use crate::gateway::service;
use crate::inspect::drift::{self, Drift};
use crate::inspect::facts::Facts;
use crate::inspect::pointed::Pointed;
use crate::inspect::{examine, next, state};
use crate::release::session::{self, Notices};
use crate::ui::answer::Answer;

use super::service::{as_json, in_brief};
use super::{leaving, sources};

/// Checks that the other lines of the status cover.
const SHOWN_ELSEWHERE: [CheckName; 6] = [
    CheckName::Deployed,
    CheckName::FilesCopiedCount,
    CheckName::NoInterruptedRun,
    CheckName::ScriptsExecutable,
    CheckName::SettingsEffective,
    CheckName::SettingsPointHere,
];

/// `gwinstall` alone: the status, or the first step.
pub(super) fn overview(place: &Place) -> Result<Answer> {
    let context = leaving::finish_if_possible(place)?;
    let nothing = context.record.is_none() && !context.is_lost() && !context.is_orphaned();
    if nothing && recover::look(place)?.is_none() {
        let ways = [
            ("Deploy one:", ["install"].as_slice()),
            ("See it first:", &["install", "--dry-run"]),
            ("Other presets:", &["presets", "list"]),
            ("Everything else:", &["--help"]),
        ];
        let ways: Vec<String> =
            ways.iter().map(|(what, words)| format!("  {what:16} {}", term::command(words))).collect();
        let text = format!("No gateway is deployed for this user yet.\n\n{}", ways.join("\n"));
        return Ok(Answer::new("nothing is deployed").text(text).data(json!({ "deployed": false })));
    }
    let mut answer = of(&context)?;
    answer.exit = 0;
    Ok(answer)
}

pub(super) fn run(place: &Place) -> Result<Answer> {
    of(&leaving::finish_if_possible(place)?)
}

fn of(context: &Context<'_>) -> Result<Answer> {
    let facts = Facts::gather(context)?;
    match facts.record() {
        Some(record) => deployed(&facts, record),
        None if context.is_lost() => {
            Ok(with_policy(&facts, without_record(context.place, facts.interrupted.as_ref())))
        }
        None => Ok(with_policy(&facts, not_deployed(&facts))),
    }
}

fn deployed(facts: &Facts<'_>, record: &Record) -> Result<Answer> {
    let place = facts.place();
    let drifted = drift::of(place, record)?;
    let yours = yours(place, record, &drifted);
    let bundle = sources::deployed(place, Some(record));
    let checks = checks(facts, &bundle);
    let overrides = facts.overrides();
    let pointed = Pointed::of(facts, record);
    let service = service::installed(place).map(|service| (service.state(), service));
    let in_brief = service.as_ref().map(|(state, service)| in_brief(service, state));
    let mut lines = vec![headline(place, record)];
    lines.extend(
        summary(facts, record, &pointed, in_brief)
            .into_iter()
            .map(|(name, value)| format!("  {:12} {value}", format!("{name}:"))),
    );
    lines.extend(
        drifted.iter().map(|drift| format!("  {} {}  {}", drift.sign(), drift.shown(), drift.words(place))),
    );
    lines.extend(yours.iter().map(|path| format!("  = {path}  is your version")));
    let offers: Vec<&String> =
        record.files.iter().filter(|(_, file)| file.offered.is_some()).map(|(path, _)| path).collect();
    lines.extend(offers.iter().map(|path| {
        let resolve = term::command(&["resolve", path]);
        format!("  ! {path}  has a new version beside it: {resolve}")
    }));
    lines.extend(unserved(facts).iter().flat_map(Note::lines));
    lines.extend(problems(&checks));
    let news = session::news(place);
    lines.extend(remarks(facts, record, &bundle, &news).iter().flat_map(Note::lines));
    lines.extend(facts.interrupted.as_ref().map(interruption));
    let next = next::command(facts, record, &missing(&checks));
    lines.extend(next.iter().map(|next| format!("Next: {}", next.commands(term::invocation()).join(""))));
    let takeover = next::pending(facts).map(gateway::Verb::word);
    let pending = differs(facts, record, &drifted, &pointed);
    let answer = Answer::new(verdict(pending)).text(lines.join("\n")).data(json!({
        "deployed": true,
        // As a value it takes many times its text, so only where a program reads it.
        "record": term::manner().json.then_some(record),
        "drift": drifted.iter().map(Drift::json).collect::<Vec<_>>(),
        "yours": yours,
        "conflicts": offers,
        "interrupted": facts.interrupted.is_some(),
        "running": facts.running().is_some_and(Running::is_ours),
        "points_here": pointed.is_here(),
        "service": service.as_ref().map(|(state, service)| as_json(service, state)),
        "state": record.request.pointed,
        "lacks": { "litellm": facts.lacks_litellm(), "values": missing(&checks) },
        "pending": takeover,
        "next": next.as_ref().map(|next| next.commands(term::invocation())),
        "overrides": overrides,
        "checks": checks.json(),
        "version": build::VERSION,
        "last_check": news.last,
    }));
    Ok(if pending { answer.exit(Kind::Pending) } else { answer })
}

/// Whether something is not as the last operation left it.
pub(super) fn differs(facts: &Facts<'_>, record: &Record, drifted: &[Drift], pointed: &Pointed) -> bool {
    !drifted.is_empty() || facts.interrupted.is_some() || !pointed.as_recorded(record)
}

pub(super) fn verdict(differs: bool) -> &'static str {
    if differs { "something differs from the deployment" } else { "deployed, and as deployed" }
}

/// Something to know about a deployment, and what to do about it where its sentence does not say it.
pub(super) struct Note {
    pub text: String,
    pub hint: Option<Hint>,
}

impl Note {
    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None }
    }

    fn lines(&self) -> Vec<String> {
        let ways = self.hint.as_ref().map(term::hint_lines).unwrap_or_default();
        let text = format!("  note: {}", self.text);
        std::iter::once(text).chain(ways.iter().map(|way| format!("    {way}"))).collect()
    }
}

/// What the gateway does not use, or cannot start without.
pub(super) fn unserved(facts: &Facts<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    if facts.lacks_litellm() {
        let hint = Some(Hint::run(&["runtime", "install"]));
        notes.push(Note { hint, ..Note::of("LiteLLM is not installed") });
    }
    if let Some(verb) = next::pending(facts) {
        notes.push(Note::of(format!(
            "{} pending, the gateway still uses its earlier files: {}",
            verb.word(),
            term::command(&[verb.word()])
        )));
    }
    notes
}

/// What no check covers: settings files that override the user's, models past their date, and releases.
pub(super) fn remarks(
    facts: &Facts<'_>,
    record: &Record,
    bundle: &Result<Bundle>,
    news: &Notices,
) -> Vec<Note> {
    let mut notes: Vec<Note> = facts.overrides().iter().map(Note::of).collect();
    let past = bundle.as_ref().map(|bundle| past_retirement(bundle, record)).unwrap_or_default();
    if !past.is_empty() {
        notes.push(Note::of(format!("past the retirement date: {}", list(&past))));
    }
    notes.extend(news.lines.iter().map(Note::of));
    notes
}

/// Required variables without a value.
pub(super) fn missing(checks: &Checks) -> Vec<String> {
    let found = checks.0.iter().find(|check| check.check_name == CheckName::RequiredEnvVarsPresent);
    let names = found.and_then(|check| check.details["missing"].as_array());
    names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Files that hold an edit of the user's, in agreement with the record.
pub(super) fn yours<'r>(place: &Place, record: &'r Record, drifted: &[Drift]) -> Vec<&'r String> {
    let of_user = record.files.iter().filter(|(path, file)| {
        let edited = file.base != file.sha256 && !drifted.iter().any(|drift| drift.path == **path);
        // The user may have put something in place of a deleted file; a file that is gone is not listed.
        if file.deleted { disk::exists(&place.file(path)) } else { edited }
    });
    of_user.map(|(path, _)| path).collect()
}

/// What `doctor` and `env check` check, too, without the programs that only `doctor` asks.
fn checks(facts: &Facts<'_>, bundle: &Result<Bundle>) -> Checks {
    let mut checks = Checks::default();
    examine::state(&mut checks, facts);
    examine::environment_of(&mut checks, facts, bundle);
    examine::providers_of(&mut checks, facts, bundle);
    examine::claude_code(&mut checks, facts);
    examine::files(&mut checks, facts);
    checks
}

/// Checks that failed or warn, each with what to do about it. A configuration whose only fault is a variable without a value
/// is not reported beside that variable.
fn problems(checks: &Checks) -> Vec<String> {
    let lacks = checks.failed().iter().any(|check| check.check_name == CheckName::RequiredEnvVarsPresent);
    let counts = |check: &&Check| {
        matches!(check.status, Status::Fail | Status::Warn)
            && !SHOWN_ELSEWHERE.contains(&check.check_name)
            && !(lacks && check.details["only_unset_variables"] == json!(true))
    };
    checks.0.iter().filter(counts).flat_map(problem).collect()
}

fn problem(check: &Check) -> Vec<String> {
    Note { text: check.message.clone(), hint: check.hint.clone() }.lines()
}

/// The answer with what the policy of the machine says about the settings of Claude Code.
fn with_policy(facts: &Facts<'_>, answer: Answer) -> Answer {
    let mut checks = Checks::default();
    examine::policy(&mut checks, facts);
    checks
        .0
        .iter()
        .filter(|check| check.status == Status::Fail)
        .flat_map(problem)
        .fold(answer, |answer, line| answer.line(&line))
}

pub(super) fn not_deployed(facts: &Facts<'_>) -> Answer {
    if let Some(found) = &facts.interrupted {
        return Answer::new("an earlier run was interrupted")
            .text(interruption(found))
            .data(json!({ "deployed": false, "interrupted": true }))
            .exit(Kind::Pending);
    }
    let install = term::command(&["install"]);
    if facts.context.is_orphaned() {
        let settings = facts.place().show(&facts.place().settings());
        let uninstall = term::command(&["uninstall"]);
        return Answer::new("Claude Code is pointed at a gateway that is gone")
            .text(format!(
                "No gateway is deployed, but {settings} still points Claude Code at one.\n  To remove the keys of gwinstall from it: {uninstall}\n  To deploy a gateway again: {install}"
            ))
            .data(json!({ "deployed": false, "points_here": true }))
            .exit(Kind::Pending);
    }
    Answer::new("nothing is deployed")
        .text(format!("No gateway is deployed. To deploy one: {install}"))
        .data(json!({ "deployed": false }))
}

/// The status of a deployment without its record: says what is missing.
fn without_record(place: &Place, interrupted: Option<&Interrupted>) -> Answer {
    let refusal = lost::refusal(place);
    let mut lines = vec![term::paint(refusal.message(), term::Style::Yellow)];
    lines.extend(refusal.causes().iter().map(|cause| format!("  {cause}")));
    let ways = refusal.advice().map(term::hint_lines).unwrap_or_default();
    lines.extend(ways.iter().map(|way| format!("  {way}")));
    lines.extend(interrupted.map(interruption));
    let data = json!({
        "deployed": true,
        "record": null,
        "record_missing": true,
        "interrupted": interrupted.is_some(),
    });
    let answer = Answer::new(refusal.message()).text(lines.join("\n")).data(data).exit(Kind::Pending);
    Answer { hint: refusal.advice().cloned(), ..answer }
}

/// What is deployed, in one line.
pub(super) fn headline(place: &Place, record: &Record) -> String {
    // Without a gateway the preset and the type are the same word.
    let kind = if record.has_gateway() { format!(" ({})", record.gateway_type) } else { String::new() };
    format!(
        "Preset {}{kind}, deployed {} into {}",
        record.preset,
        record.timestamp,
        place.show(&place.target)
    )
}

/// The parts of a deployment, by name.
pub(super) fn summary(
    facts: &Facts<'_>,
    record: &Record,
    pointed: &Pointed,
    service: Option<String>,
) -> Vec<(&'static str, String)> {
    let models = (!record.models.is_empty()).then(|| ("Models", record.models.join(", ")));
    let files = format!(
        "{}, bundle {} ({})",
        count(record.files.len(), "file"),
        record.bundle.version,
        record.bundle.origin
    );
    let mut parts: Vec<(&str, String)> = models.into_iter().collect();
    if record.has_gateway() {
        parts.push(("Gateway", format!("{}{}", record.gateway_url, running(facts))));
    }
    parts.push(("Claude Code", claude_code(facts, record, pointed)));
    parts.extend(service.map(|service| ("Service", service)));
    parts.push(("Files", files));
    parts
}

/// What runs at the address of the gateway, as the end of a sentence.
fn running(facts: &Facts<'_>) -> String {
    match facts.running() {
        None => String::new(),
        Some(Running::Ours { pid, listens: true }) => format!(", running (pid {pid})"),
        Some(Running::Ours { pid, listens: false }) => format!(
            ", running (pid {pid}), but it does not listen there (yet): {}",
            term::command(&["restart"])
        ),
        Some(Running::No) => format!(", not running: {}", term::command(&["start"])),
        Some(Running::Foreign { .. }) => {
            format!(", but another program listens there: {}", term::command(&["doctor"]))
        }
    }
}

/// Where Claude Code is pointed, in words.
fn claude_code(facts: &Facts<'_>, record: &Record, pointed: &Pointed) -> String {
    match &record.direct {
        Some(direct) if pointed.is_here() => {
            let beside = if record.has_gateway() { " without the gateway" } else { "" };
            format!("uses {} ({}){beside}", direct.provider, direct.url)
        }
        _ => pointed.words(facts.place()),
    }
}

/// Deployed models whose retirement date has come, by the clock.
fn past_retirement(bundle: &Bundle, record: &Record) -> Vec<String> {
    let today = system::now().date();
    let gone = |id: &&String| {
        bundle.catalog.model(id).is_some_and(|model| model.retires.as_ref().is_some_and(|day| *day <= today))
    };
    record.models.iter().filter(gone).cloned().collect()
}

fn interruption(found: &Interrupted) -> String {
    let what = term::paint(&state::interruption(found), term::Style::Yellow);
    match found {
        Interrupted::Running(_) => format!("note: {what}"),
        _ => {
            let ways: Vec<String> =
                term::hint_lines(&state::repair()).iter().map(|way| format!("\n  {way}")).collect();
            format!("note: {what}{}", ways.concat())
        }
    }
}
