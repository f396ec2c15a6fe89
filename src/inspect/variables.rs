//! The variables of the gateway: which have no value, and who can read `.env`.
//!
//! Promise: a placeholder is not a value. No message holds a value.

use serde_json::{Value as Json, json};

use crate::bundle::Bundle;
use crate::bundle::catalog::Model;
use crate::deploy::context::Context;
use crate::deploy::values::{self, Values};
use crate::domain::check::Finding;
use crate::domain::name::{list, printable};
use crate::domain::place::files;
use crate::domain::record::{Record, ValueSource};
use crate::domain::regions;
use crate::domain::request::Request;
use crate::domain::secret::beginning_of;
use crate::domain::stand_in::{self, is_value};
use crate::domain::{Hint, Place, Result};
use crate::doors::term;
use crate::format::dotenv::DotEnv;
use crate::render::{self, Choice, MASTER_KEY};

use super::facts::Facts;

/// Whether `.env` gives the variable a value.
pub fn is_set(env: &DotEnv, name: &str) -> bool {
    env.get(name).is_some_and(|value| is_value(name, value))
}

/// What the present `.env` holds in place of values that a choice needs, a sentence for each.
pub fn unused(context: &Context<'_>, choice: &Choice<'_>) -> Vec<String> {
    let Ok(file) = context.env() else { return Vec::new() };
    let (env, shown) = (DotEnv::parse(&file.text), context.place.show(&context.place.file(files::ENV)));
    let needed = render::needs(choice).into_iter();
    let found = needed.filter_map(|(name, _)| Some((stand_in::of(&name, env.get(&name)?)?, name)));
    let worth = found.filter(|(why, _)| why.needs_a_note());
    worth.map(|(why, name)| format!("{name} in {shown}: not used: {why}")).collect()
}

/// What the user should know about the keys of a choice before it is deployed, a sentence for each.
pub fn about_keys(context: &Context<'_>, choice: &Choice<'_>, values: &Values) -> Vec<String> {
    let mut notes = outdated(context, choice, values);
    notes.extend(moved(context, choice));
    notes
}

/// A key that was given for one address and goes to another one from now on.
fn moved(context: &Context<'_>, choice: &Choice<'_>) -> Option<String> {
    let direct = choice.direct.as_ref()?;
    let key = direct.provider.key.as_deref()?;
    let before = context.record.as_ref()?.request.providers.get(&direct.provider.name)?;
    let before = before.url.as_deref().or(direct.provider.base_url.as_deref())?;
    let now = direct.url.as_str();
    (before != now).then(|| format!("{key} goes to {now} from now on, and no longer to {before}"))
}

/// Secrets that have another value elsewhere, a sentence for each: a key that was renewed there does not reach the gateway.
pub fn outdated(context: &Context<'_>, choice: &Choice<'_>, values: &Values) -> Vec<String> {
    let Ok(file) = context.env() else { return Vec::new() };
    let (env, shown) = (DotEnv::parse(&file.text), context.place.show(&context.place.file(files::ENV)));
    let differs = |name: &str, value: &render::Value| {
        choice.catalog.is_secret(name)
            && env.get(name).is_some_and(|kept| is_value(name, kept) && kept != value.text.expose())
    };
    let place = |source: ValueSource| match source {
        ValueSource::Environment => Some("your environment"),
        ValueSource::File => Some("~/.claude/.env"),
        ValueSource::Rc => Some("a start file of your shell"),
        _ => None,
    };
    let found = values.found.iter().filter(|(name, value)| differs(name, value));
    let worth = found.filter_map(|(name, value)| Some((name, place(value.source)?)));
    worth
        .map(|(name, place)| {
            let set = term::command(&["env", "set", name]);
            format!("{name} has another value in {place}; {shown} keeps its own. To replace it: {set}")
        })
        .collect()
}

/// Required variables without a value. Once deployed only `.env` counts: the gateway reads nothing else.
pub fn missing(facts: &Facts<'_>, choice: &Choice<'_>, values: &Values) -> Result<Vec<String>> {
    let env = facts.env()?;
    let has = |name: &str| {
        let found = facts.record().is_none() && values.found.contains_key(name);
        // An image has no key: each machine makes its own at the first start.
        let later = name == MASTER_KEY && facts.place().staged;
        is_set(env, name) || found || later
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

/// The `.env` of an installation as it would begin now, and its models.
pub fn outlook_of<'a>(facts: &Facts<'_>, bundle: &'a Bundle) -> Result<(DotEnv, Vec<&'a Model>)> {
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, None)?;
    let values = values::gather(facts.place(), &choice, &request)?;
    Ok((outlook(facts.env()?, &values), choice.models))
}

/// The recorded models, by the bundle that knows what is deployed.
pub fn models_of<'a>(record: &Record, bundle: &'a Bundle) -> Option<Vec<&'a Model>> {
    Some(render::choose(&bundle.catalog, &Request::default(), Some(&record.request)).ok()?.models)
}

/// A `.env` with the values that were found elsewhere.
fn outlook(env: &DotEnv, values: &Values) -> DotEnv {
    let mut env = env.clone();
    for (name, value) in &values.found {
        if !is_set(&env, name) && env.set(name, value.text.expose()).is_err() {
            // An installation refuses such a value, and says why.
            continue;
        }
    }
    env
}

/// Values that name a region which gwinstall does not know, or one that does not serve a model.
pub fn regions(env: &DotEnv, models: &[&Model]) -> Finding {
    let typed = regions::VARIABLES.iter().filter_map(|name| Some((*name, env.get(name)?)));
    let unknown = typed.filter(|(name, value)| is_value(name, value));
    let mut unknown = unknown.filter_map(|(name, value)| Some((name, value, regions::unknown(name, value)?)));
    let Some((name, value, region)) = unknown.next() else {
        return unserved(env, models).unwrap_or_else(|| Finding::pass("every region is known"));
    };
    let message = format!(
        "{name} is {}, a region of {} that gwinstall does not know",
        printable(value),
        region.provider
    );
    let finding = Finding::warn(message).details(json!({ "variable": name, "closest": region.closest }));
    match region.closest {
        Some(closest) => finding.hint(Hint::run(&["env", "set", &format!("{name}={closest}")])),
        None => finding.hint(Hint::run(&["env", "set", name])),
    }
}

/// The models that the location of Vertex AI does not serve.
fn unserved(env: &DotEnv, models: &[&Model]) -> Option<Finding> {
    let location = env.get(regions::VERTEX).filter(|value| is_value(regions::VERTEX, value))?.trim();
    let missing: Vec<String> =
        models.iter().filter(|m| !m.is_served_in(location)).map(|m| m.id.clone()).collect();
    if missing.is_empty() {
        return None;
    }
    let message = format!(
        "{} is {}, where Google does not serve {}",
        regions::VERTEX,
        printable(location),
        list(&missing)
    );
    let set = Hint::run(&["env", "set", &format!("{}=global", regions::VERTEX)]);
    Some(Finding::warn(message).details(json!({ "variable": regions::VERTEX, "models": missing })).hint(set))
}

/// When a command needs the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The gateway is about to start, or was to be ready.
    Now,
    Later,
}

/// The result for variables without a value. Before a deployment there is no `.env` to write to, so `install`
/// searches for the values.
pub fn required(
    place: &Place,
    deployed: bool,
    missing: &[String],
    env: Option<&DotEnv>,
    due: Due,
) -> Finding {
    let Some(first) = missing.first() else {
        let odd = env.and_then(another_form);
        return odd.unwrap_or_else(|| Finding::pass("every required variable has a value"));
    };
    let mut message = format!("no value yet for {}", list(missing));
    for name in missing {
        let why = env.and_then(|env| stand_in::of(name, env.get(name)?)).filter(|why| why.needs_a_note());
        message.extend(why.map(|why| format!("; what .env has for {name} does not count: {why}")));
    }
    let set = |name: &String| Hint::run(&["env", "set", name]);
    let hint = match due {
        _ if deployed => missing[1..].iter().map(set).fold(set(first), Hint::or),
        Due::Now => Hint::step(format!(
            "export {first}=…, or write it to {}; then: {}",
            place.show(&place.env_source()),
            term::command(&["install"])
        )),
        Due::Later => Hint::run(&["env", "set", first]).to("set it afterwards"),
    };
    let finding = if due == Due::Now { Finding::fail(message) } else { Finding::warn(message) };
    finding.details(json!({ "missing": missing })).hint(hint)
}

/// Keys whose addresses may belong to a server of the user's own, which has keys of another form.
const KEYS: [(&str, &str); 2] =
    [("ANTHROPIC_API_KEY", "ANTHROPIC_API_BASE"), ("OPENAI_API_KEY", "OPENAI_API_BASE")];

/// A key that does not begin as the provider's keys do. A provider may change their form, so it is never a failure.
fn another_form(env: &DotEnv) -> Option<Finding> {
    let (name, beginning) =
        KEYS.iter().filter(|(_, address)| !is_set(env, address)).find_map(|(name, _)| {
            let beginning = beginning_of(name)?;
            let value = env.get(name).filter(|value| is_value(name, value))?;
            (!value.starts_with(beginning)).then_some((*name, beginning))
        })?;
    let message = format!("{name} does not begin with {beginning}, as the provider's keys do");
    Some(Finding::warn(message).hint(Hint::run(&["env", "set", name])))
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
        Some(value) if is_value(MASTER_KEY, value) => Finding::pass(format!("{MASTER_KEY} has a value")),
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
