//! What a deployment lacks before it can answer, brought by its installation: LiteLLM, required values, and the start.
//!
//! Promise: every question comes before the first change; giving up at one leaves everything as it was. A question that the
//! user answers with no leaves the deployment without it, and the report names the command.

use crate::bundle::Bundle;
use crate::bundle::catalog::Catalog;
use crate::cli::Common;
use crate::deploy::goals::{self, Goal, Pointing};
use crate::deploy::lacks::{self, Lack};
use crate::deploy::values;
use crate::domain::record::Pointed;
use crate::domain::request::{GatewayType, Request};
use crate::domain::{Error, Hint, Place, Result, Secret};
use crate::doors::prompt::{self, stopped};
use crate::doors::{system, term};
use crate::gateway::process;
use crate::render;
use crate::runtime::choose;

use super::change::Change;
use super::env_value::given;
use super::runtime::{Coming, Wanted};

/// A request with what was missing, and the LiteLLM that is installed once the user has agreed to everything.
pub(super) struct Supplied {
    pub request: Request,
    pub litellm: Option<Coming>,
}

/// Finds out what the gateway of a request lacks. `asks`: there is a person to ask for it; else only `--start` brings
/// LiteLLM, and nothing brings a value.
pub(super) fn complete(
    change: &Change<'_>,
    common: &Common,
    bundle: &Bundle,
    request: Request,
    wanted: &Wanted<'_>,
    asks: bool,
) -> Result<Supplied> {
    let mut supplied = Supplied { request, litellm: None };
    let place = change.place();
    let pointed = change.context.pointed();
    let decided = matches!(pointed, Some(Pointed::Off | Pointed::Leaving)) || supplied.request.on;
    if place.staged || !(asks || supplied.request.start) || (decided && !supplied.request.start) {
        return Ok(supplied);
    }
    let goal = goal(change, bundle, &supplied.request)?;
    if goal.record.as_ref().is_none_or(|record| record.gateway_type != GatewayType::Local) {
        return Ok(supplied);
    }
    let with_litellm =
        has_litellm(place, &goal) || bring_litellm(place, common, bundle, &mut supplied, wanted, asks)?;
    if !asks {
        return Ok(supplied);
    }
    let mut complete = with_litellm;
    for name in &goal.notes.missing {
        match value_of(place, &bundle.catalog, name)? {
            Some(value) => drop(supplied.request.answers.insert(name.clone(), value)),
            None => complete = false,
        }
    }
    let fresh = matches!(pointed, None | Some(Pointed::Armed)) && process::pid(place).is_none();
    if complete && fresh && !supplied.request.start {
        supplied.request.start = prompt::confirm("Start the gateway now?", true)?;
    }
    Ok(supplied)
}

/// What the gateway of a request lacks, by the files as they are now.
pub(super) fn lacking(change: &Change<'_>, bundle: &Bundle, request: &Request) -> Result<Vec<Lack>> {
    let goal = goal(change, bundle, request)?;
    let place = change.place();
    let logins = &goal.notes.logins;
    let mut lacks = goal.record.as_ref().map(|record| lacks::of(place, record, logins)).unwrap_or_default();
    if has_litellm(place, &goal) {
        lacks.retain(|lack| *lack != Lack::Litellm);
    }
    Ok(lacks)
}

/// The error of a start that lacks something, with the commands that bring it.
pub(super) fn refusal(lacks: &[Lack]) -> Error {
    let error = Error::failed("the gateway cannot start yet");
    let error = lacks.iter().fold(error, |error, lack| error.because(lack.what()));
    let commands = lacks.iter().flat_map(Lack::next);
    let start = Hint::run(&["start"]).to("start it once nothing is missing");
    error.hint(commands.chain([start]).reduce(Hint::or).unwrap_or_else(|| Hint::run(&["status"])))
}

/// What a request leads to with the files as they are now.
pub(super) fn goal(change: &Change<'_>, bundle: &Bundle, request: &Request) -> Result<Goal> {
    let context = &change.context;
    let choice = render::choose(&bundle.catalog, request, context.record.as_ref().map(|last| &last.request))?;
    let values = values::gather(context.place, &choice, request)?;
    let (operation, pointing) = (change.operation, Pointing::IfItCanAnswer);
    goals::from_choice(context, operation, bundle, &choice, &values, pointing, request.force)
}

/// The start script takes the program that the variable names before every other.
fn has_litellm(place: &Place, goal: &Goal) -> bool {
    let recorded = goal.record.as_ref().is_some_and(|record| record.runtime.is_some());
    recorded || system::variable(choose::PROGRAM).is_some() || choose::named_in_env(place).is_some()
}

/// Whether LiteLLM will be there. Without a usable Python an installation goes on without it, and only a start is refused.
fn bring_litellm(
    place: &Place,
    common: &Common,
    bundle: &Bundle,
    supplied: &mut Supplied,
    wanted: &Wanted<'_>,
    asks: bool,
) -> Result<bool> {
    let coming = match Coming::find(place, bundle, wanted) {
        Err(error) if asks && !supplied.request.start => {
            term::talk(&format!("note: gwinstall cannot install LiteLLM here: {error}"));
            return Ok(false);
        }
        found => found?,
    };
    let question =
        || format!("LiteLLM {} is missing: {}. Install it?", coming.litellm(), coming.takes(place, common));
    if asks && !prompt::confirm(&question(), true)? {
        return Ok(false);
    }
    supplied.request.runtime.managed = Some(coming.brought(place, common));
    supplied.litellm = Some(coming);
    Ok(true)
}

/// A value as the user types it; `None`: later.
fn value_of(place: &Place, catalog: &Catalog, name: &str) -> Result<Option<Secret>> {
    let variable = catalog.variable(name);
    if let Some(variable) = variable {
        term::talk(&format!("{name}: {}. {}.", variable.description, variable.how.trim_end_matches('.')));
    }
    let check = |text: &str| match text {
        "" => Ok(()),
        text => given(name, variable, text).map(drop),
    };
    let typed = if catalog.is_secret(name) {
        secret(name, &check)?
    } else {
        let proposed = values::proposed(place, name);
        let later = if proposed.is_none() { " (empty: later)" } else { "" };
        prompt::ask(&format!("{name}{later}"), proposed.as_deref(), &check)?.ok_or_else(stopped)?
    };
    if typed.is_empty() {
        return Ok(None);
    }
    let given = given(name, variable, &typed)?;
    given.notes.iter().for_each(|note| term::talk(&format!("note: {note}")));
    Ok(Some(Secret::new(given.text)))
}

/// Typed without echo until it can be right.
fn secret(name: &str, check: &dyn Fn(&str) -> Result<()>) -> Result<String> {
    loop {
        let typed = prompt::ask_secret(&format!("{name}, not shown (empty: later)"))?.ok_or_else(stopped)?;
        match check(typed.expose()) {
            Ok(()) => return Ok(typed.expose().to_owned()),
            Err(error) => term::error(&error.to_string()),
        }
    }
}
