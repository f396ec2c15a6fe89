//! Deploys what a request chooses: says what was found, checks, shows the plan, asks, changes, and says what became of it.
//!
//! Promise: `install`, `update`, `use`, `models add`, `models remove` and `runtime install` deploy in this one way. Never: asks for
//! a choice; the request has it.

use serde_json::json;

use crate::bundle::Bundle;
use crate::deploy::checks::{self, Checks};
use crate::deploy::context::Context;
use crate::deploy::goals::{self, Goal, Pointing};
use crate::deploy::logins::Cloud;
use crate::deploy::values::{self, Values};
use crate::domain::check::{Check, CheckName, Status};
use crate::domain::name::list;
use crate::domain::place::files;
use crate::domain::record::{Pointed, ValueSource};
use crate::domain::request::Request;
use crate::domain::{Hint, Kind, Operation, Result};
use crate::doors::term::{self, Level};
use crate::format::dotenv::DotEnv;
use crate::gateway::{self, process, serving};
use crate::inspect::port::{self, Purpose};
use crate::inspect::variables::{self, Due};
use crate::inspect::{examine, prerequisites};
use crate::render::{self, Choice};
use crate::ui::answer::Answer;
use crate::ui::install_report::{READY, Report};
use crate::ui::report;

use super::change::Change;
use super::env::words;
use super::{interactive, switch};

pub(super) fn deploy(mut change: Change<'_>, bundle: Bundle, request: &Request) -> Result<Answer> {
    let place = change.place();
    let last = change.context.record.as_ref();
    let choice = render::choose(&bundle.catalog, request, last.map(|last| &last.request))?;
    let values = values::gather(place, &choice, request)?;
    tell_what_was_found(&change.context, &choice, &values, request);
    let pointing = pointing(&change, request);
    let goal = goals::from_choice(
        &change.context,
        change.operation,
        &bundle,
        &choice,
        &values,
        pointing,
        request.force,
    )?;
    require_better(&change, &choice, &goal, request)?;
    let mut checks = pre_checks(&change, &bundle, &choice, &goal, request);
    let words = Report::of(place, &choice, &goal, last.is_none(), request);
    change.facts.extend(words.facts());
    let schema = bundle.file(checks::SCHEMA).cloned();
    // The bundle, its catalog and the plan together would double the peak memory.
    drop((values, bundle));
    let draft = change.draft(goal)?;
    checks::settings(&mut checks, &draft, schema.as_ref());
    change.facts.insert("pre_checks".to_owned(), checks.json());
    let unchanged = draft.plan.is_empty();
    if unchanged && (change.is_dry() || !(request.start || request.strict)) {
        checks.0.iter().filter(|check| check.check_name == CheckName::PairTested).for_each(say_check);
        return Ok(change.nothing_to_do(&draft, words.unchanged(&draft)));
    }
    say(&checks);
    if !change.is_dry() {
        checks
            .require(Kind::Failed, "a check before the change failed, and nothing was changed")
            .map_err(|error| change.refused(error))?;
    }
    if unchanged {
        if words.starts() {
            gateway::run_script(place, gateway::Verb::Start)?;
            serving::wait(place)?;
        }
        return Ok(change.nothing_to_do(&draft, words.unchanged(&draft)));
    }
    let mut summary = words.intention(&draft);
    if !change.intention.is_empty() {
        summary = format!("{}\n{summary}", change.intention.trim_start());
    }
    if change.is_dry() {
        change.facts.insert("would_stop".to_owned(), json!(!checks.failed().is_empty()));
        summary.push_str(&words.would_stop(&checks));
    } else {
        change.start = words.starts();
    }
    let used = !draft.changes_only_the_record()
        && draft.record.as_ref().is_some_and(|record| record.request.pointed == Pointed::On);
    let answer = change.carry_out(draft, &summary, |draft, outcome| Ok(words.done(draft, outcome)))?;
    let ready = used && words.runs_now();
    Ok(if ready { answer.line(READY) } else { answer })
}

/// A provider that answers Claude Code is not given up for a gateway that can neither answer nor start.
fn require_better(change: &Change<'_>, choice: &Choice<'_>, goal: &Goal, request: &Request) -> Result<()> {
    let is_given_up = choice.direct.is_none()
        && change.context.record.as_ref().is_some_and(|record| record.direct.is_some());
    if !is_given_up || request.on || request.start || change.context.pointed() != Some(Pointed::On) {
        return Ok(());
    }
    let insist = Hint::again(&["--start"])
        .to("install what is missing and start it")
        .or(Hint::again(&["--on"]).to("point Claude Code at it anyway"));
    switch::require_an_answer(change.place(), goal, insist)
}

/// `install` points Claude Code at a gateway that can answer. What the user decided with `off` stays.
fn pointing(change: &Change<'_>, request: &Request) -> Pointing {
    let recorded = change.context.pointed();
    match recorded {
        _ if change.operation != Operation::Install => Pointing::Is(recorded.unwrap_or(Pointed::On)),
        _ if request.on => Pointing::Is(Pointed::On),
        Some(pointed @ (Pointed::Off | Pointed::On)) => Pointing::Is(pointed),
        _ if request.start || process::pid(change.place()).is_some() => Pointing::Is(Pointed::On),
        Some(Pointed::Armed | Pointed::Leaving) | None => Pointing::IfItCanAnswer,
    }
}

fn say(checks: &Checks) {
    checks.0.iter().for_each(say_check);
}

fn say_check(check: &Check) {
    if term::manner().verbose {
        report::log_check(check);
    } else if matches!(check.status, Status::Fail | Status::Warn) {
        term::talk(&report::check_line(check));
    }
}

/// Notes for the user before the plan: a lost record, values that gwinstall skipped, values that it found.
fn tell_what_was_found(context: &Context<'_>, choice: &Choice<'_>, values: &Values, request: &Request) {
    if context.is_lost() {
        let record = context.place.show(&context.place.file(files::RECORD));
        term::talk(&format!("note: {record} was missing; gwinstall writes a new one"));
    }
    let about_keys = variables::about_keys(context, choice, values);
    for note in values.notes.iter().chain(&variables::unused(context, choice)).chain(&about_keys) {
        term::talk(&format!("note: {note}"));
    }
    if request.answered {
        let found: Vec<_> =
            values.found.iter().filter(|(_, value)| value.source != ValueSource::Generated).collect();
        interactive::show_found(&found, &|name| choice.catalog.is_secret(name));
    } else if let Some(line) = found_line(context, values) {
        term::talk(&line);
    }
    let unset = unset(context, choice, values);
    if !unset.is_empty() {
        term::log(Level::Warn, &format!("optional, and without a value: {}", unset.join(", ")));
    }
}

/// The values that the user left somewhere, and that come into `.env` now: names and places, never a value.
fn found_line(context: &Context<'_>, values: &Values) -> Option<String> {
    let env = context.env().map(|file| DotEnv::parse(&file.text)).unwrap_or_else(|_| DotEnv::parse(""));
    let elsewhere = |source| {
        matches!(source, ValueSource::Environment | ValueSource::File | ValueSource::Rc | ValueSource::Gcloud)
    };
    let found =
        values.found.iter().filter(|(name, value)| elsewhere(value.source) && !variables::is_set(&env, name));
    let words: Vec<String> = found.map(|(name, value)| format!("{name} ({})", words(value.source))).collect();
    (!words.is_empty()).then(|| format!("Found {}.", list(&words)))
}

/// Optional variables of the choice that have a value nowhere.
fn unset(context: &Context<'_>, choice: &Choice<'_>, values: &Values) -> Vec<String> {
    let Ok(file) = context.env() else { return Vec::new() };
    let env = DotEnv::parse(&file.text);
    let optional =
        render::needs(choice).into_iter().filter(|(_, need)| !need.is_required()).map(|(name, _)| name);
    optional.filter(|name| !values.found.contains_key(name) && !variables::is_set(&env, name)).collect()
}

fn pre_checks(
    change: &Change<'_>,
    bundle: &Bundle,
    choice: &Choice<'_>,
    goal: &Goal,
    request: &Request,
) -> Checks {
    let context = &change.context;
    let place = context.place;
    let mut checks = Checks::default();
    checks::source(&mut checks, bundle);
    examine::room(&mut checks, place);
    if choice.runs_litellm() && !place.staged {
        let purpose = if request.start || request.strict { Purpose::Start } else { Purpose::Change };
        checks.run(CheckName::NoLitellmRunning, || {
            port::finding(process::look(place, choice.port), choice.port, purpose)
        });
        let runtime = goal.record.as_ref().and_then(|record| record.runtime.as_ref());
        let version = runtime.and_then(|runtime| runtime.version.as_deref());
        let insists = request.runtime.allow_unsafe;
        prerequisites::pair(&mut checks, place, bundle, version, insists, change.operation);
        if request.start && change.first.is_none() {
            prerequisites::before_a_start(&mut checks, place, runtime);
        }
    }
    let env = goal.env.as_ref().map(|file| DotEnv::parse(&file.text));
    let due = if request.strict || request.start { Due::Now } else { Due::Later };
    checks.run(CheckName::RequiredEnvVarsPresent, || {
        variables::required(place, context.record.is_some(), &goal.notes.missing, env.as_ref(), due)
    });
    if choice.runs_litellm() {
        let used = Cloud::of_models(&choice.models);
        examine::providers(&mut checks, place, env.as_ref(), Some(&used), &choice.models);
    }
    checks
}
