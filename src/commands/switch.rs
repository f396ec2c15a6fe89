//! `off` removes gwinstall's keys from Claude Code's settings, `on` sets them again. Nothing else changes.

use crate::cli::{Common, ConfirmArgs, OnArgs};
use crate::deploy::checks::{self, Checks};
use crate::deploy::goals::{self, Goal, Pointing};
use crate::deploy::lacks::{self, Lack};
use crate::deploy::values;
use crate::domain::record::Pointed;
use crate::domain::request::Request;
use crate::domain::{Error, Hint, Kind, Operation, Place, Result};
use crate::doors::term;
use crate::format::settings::KeyPath;
use crate::gateway::process;
use crate::render;
use crate::ui::report;

use super::change::Change;
use super::sources;
use crate::ui::answer::Answer;

pub(super) fn on(place: &Place, common: &Common, args: &OnArgs) -> Result<Answer> {
    let change = Change::open(place, common, &args.confirm, Operation::On)?;
    let record = change.context.deployed()?;
    let bundle = sources::deployed(place, Some(record))?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let values = values::gather(place, &choice, &request)?;
    let forced = record.request.forced;
    let goal = goals::from_choice(
        &change.context,
        Operation::On,
        &bundle,
        &choice,
        &values,
        Pointing::Is(Pointed::On),
        forced,
    )?;
    if !args.force {
        let insist = Hint::again(&["--force"]).to("point Claude Code at it anyway");
        require_an_answer(place, &goal, insist)?;
    }
    let draft = change.draft(goal)?;
    if draft.kept_keys.contains(&KeyPath::env(render::BASE_URL)) {
        return Err(Error::usage(format!(
            "{} sets env.ANTHROPIC_BASE_URL to another address",
            place.show(&place.settings())
        ))
        .because("you changed it, so it stays, and Claude Code does not use the gateway")
        .hint(Hint::run(&["install", "--force"]).to("point Claude Code at the gateway again")));
    }
    let state = match &record.direct {
        Some(direct) => format!("Claude Code uses {}", direct.provider),
        None => "Claude Code uses the gateway".to_owned(),
    };
    if draft.plan.is_empty() {
        return Ok(change.nothing_to_do(&draft, format!("Nothing to do: {state}.")));
    }
    let mut checks = Checks::default();
    checks::settings(&mut checks, &draft, bundle.file(checks::SCHEMA));
    checks.0.iter().for_each(report::log_check);
    checks.require(Kind::Failed, "a check before the change failed, and nothing was changed")?;
    let summary = report::plan(&draft, true);
    change.carry_out(draft, &summary, |_, _| {
        let undo = term::command(&["off"]);
        Ok(Answer::new(&state).text(format!("{state}. To undo this: {undo}\n{}", report::OPEN_SESSIONS)))
    })
}

/// Refuses to point a Claude Code that works at a gateway that can neither answer nor start; `insist` is how to do it anyway.
pub(super) fn require_an_answer(place: &Place, goal: &Goal, insist: Hint) -> Result<()> {
    let lacks =
        goal.record.as_ref().map(|record| lacks::of(place, record, &goal.notes.logins)).unwrap_or_default();
    if lacks.is_empty() || place.staged || process::pid(place).is_some() {
        return Ok(());
    }
    let until = lacks::until(&lacks);
    let error =
        Error::failed(format!("the gateway cannot {until} yet, and Claude Code keeps its present settings"));
    let error = lacks.iter().fold(error, |error, lack| error.because(lack.what()));
    let next = lacks.iter().flat_map(Lack::next).reduce(Hint::or);
    Err(error.hint(match next {
        Some(next) => next.or(insist),
        None => insist,
    }))
}

pub(super) fn off(place: &Place, common: &Common, confirm: &ConfirmArgs) -> Result<Answer> {
    leave(Change::open(place, common, confirm, Operation::Off)?)
}

/// Leads open sessions away first; where they have not all followed, it runs again to restore the settings.
pub(super) fn leave(change: Change<'_>) -> Result<Answer> {
    let draft = change.draft(goals::off(change.context.deployed()?))?;
    let direct = change.context.deployed()?.direct.as_ref();
    let left = direct.map_or_else(|| "the gateway".to_owned(), |direct| direct.provider.clone());
    let state = format!("Claude Code no longer uses {left}");
    if draft.plan.is_empty() {
        return Ok(change.nothing_to_do(&draft, format!("Nothing to do: {state}.")));
    }
    let summary = report::plan(&draft, true);
    change.carry_out(draft, &summary, |_, _| {
        let undo = term::command(&["on"]);
        Ok(Answer::new(&state).text(format!("{state}. To undo this: {undo}")))
    })
}
