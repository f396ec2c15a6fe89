//! The variables of the gateway: which have no value, and who can read `.env`.
//!
//! Promise: a placeholder is not a value. No message holds a value.

use serde_json::{Value as Json, json};

use crate::bundle::Bundle;
use crate::deploy::values::{self, Values};
use crate::domain::check::Finding;
use crate::domain::name::list;
use crate::domain::request::Request;
use crate::domain::{Hint, Place, Result};
use crate::doors::term;
use crate::format::dotenv::{DotEnv, is_placeholder};
use crate::render::{self, Choice, MASTER_KEY};

use super::facts::Facts;

/// Google's libraries find this one by themselves.
const GOOGLE_LOGIN: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Whether `.env` gives the variable a value.
pub fn is_set(env: &DotEnv, name: &str) -> bool {
    env.get(name).is_some_and(|value| !is_placeholder(value))
}

/// Whether the login of Google's libraries stands for the variable.
pub fn found_by_google(values: &Values, name: &str) -> bool {
    name == GOOGLE_LOGIN && values.google_login
}

/// Required variables without a value. Once deployed only `.env` counts: the gateway reads nothing else.
pub fn missing(facts: &Facts<'_>, choice: &Choice<'_>, values: &Values) -> Result<Vec<String>> {
    let env = facts.env()?;
    let has = |name: &str| {
        let found = facts.record().is_none() && values.found.contains_key(name);
        // An image has no key: each machine makes its own at the first start.
        let later = name == MASTER_KEY && facts.place().staged;
        is_set(env, name) || found || later || found_by_google(values, name)
    };
    let required = render::needs(choice).into_iter().filter(|(_, need)| need.is_required());
    Ok(required.map(|(name, _)| name).filter(|name| !has(name)).collect())
}

/// Required variables without a value, for the deployed choice of a bundle.
pub fn missing_of(facts: &Facts<'_>, bundle: &Bundle) -> Result<Vec<String>> {
    let request = Request::default();
    let last = facts.record().map(|record| &record.request);
    let choice = render::choose(&bundle.catalog, &request, last)?;
    let values = values::gather(facts.place(), &choice, &request)?;
    missing(facts, &choice, &values)
}

/// How serious a missing value is for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The gateway cannot work without it.
    Fails,
    /// It may be given later.
    Warns,
}

/// The result for variables without a value. Before a deployment there is no `.env` to write to, so `install`
/// searches for the values.
pub fn required(place: &Place, deployed: bool, missing: &[String], lack: Lack) -> Finding {
    let Some(first) = missing.first() else {
        return Finding::pass("every required variable has a value");
    };
    let message = format!("no value yet for {}", list(missing));
    let set = |name: &String| Hint::run(&["env", "set", name]);
    let hint = match lack {
        _ if deployed => missing[1..].iter().map(set).fold(set(first), Hint::or),
        Lack::Fails => Hint::step(format!(
            "export {first}=…, or write it to {}; then: {}",
            place.show(&place.env_source()),
            term::command(&["install"])
        )),
        Lack::Warns => Hint::run(&["env", "set", first]).to("set it afterwards"),
    };
    let finding = if lack == Lack::Fails { Finding::fail(message) } else { Finding::warn(message) };
    finding.details(json!({ "missing": missing })).hint(hint)
}

/// A well-known placeholder does not count as a key.
pub fn master_key(facts: &Facts<'_>) -> Finding {
    if facts.record().is_none() {
        return Finding::skip("generated at installation");
    }
    let env = match facts.env() {
        Ok(env) => env,
        Err(_) => return unread(),
    };
    let hint = Hint::run(&["env", "set", MASTER_KEY]);
    match env.get(MASTER_KEY) {
        Some(value) if !is_placeholder(value) => Finding::pass(format!("{MASTER_KEY} has a value")),
        Some(value) if !value.is_empty() => {
            Finding::fail(format!("{MASTER_KEY} is a placeholder that everybody knows")).hint(hint)
        }
        // An image has no key: each machine makes its own at the first start.
        _ if facts.place().staged => Finding::skip("each machine makes its own at the first start"),
        _ => Finding::fail(format!("{MASTER_KEY} has no value")).hint(hint),
    }
}

/// The result of a check that needs `.env` where gwinstall cannot read it; the check of the file itself says why.
pub fn unread() -> Finding {
    Finding::skip(".env cannot be read")
}

/// Lines of `.env` that its readers do not agree on.
pub fn readable(facts: &Facts<'_>) -> Finding {
    let file = match facts.env() {
        Ok(file) => file,
        Err(error) => {
            let causes = error.causes().join(", ");
            let finding = Finding::fail(format!("{}: {causes}", error.message()));
            return match error.advice() {
                Some(advice) => finding.hint(advice.clone()),
                None => finding,
            };
        }
    };
    let problems = file.problems();
    let Some(first) = problems.first() else {
        return Finding::pass("every line of .env means one thing to every reader");
    };
    let listed: Vec<Json> =
        problems.iter().map(|one| json!({ "line": one.line, "name": one.key, "why": one.why })).collect();
    let about = first.key.as_ref().map_or_else(String::new, |key| format!(" ({key})"));
    Finding::warn(format!(".env line {}{about}: {}", first.line, first.why))
        .details(json!({ "problems": listed }))
}
