//! `gateway/.env`: which variables are needed, and the text that holds them.
//!
//! An existing value is never overwritten. A missing one becomes a comment that no reader loads. gwinstall removes a
//! variable that is no longer needed if gwinstall wrote it and it is unchanged; else it stays and is reported.

use std::collections::BTreeMap;

use crate::bundle::Model;
use crate::domain::Hint;
use crate::domain::record::{EnvRecord, EnvValue, Origin, ValueSource};
use crate::domain::secret::looks_secret;
use crate::domain::stand_in::is_value;
use crate::domain::{Error, Result, Secret, Sha256};
use crate::format::dotenv::DotEnv;

use super::choice::Choice;
use super::variables::{HEADERS, MASTER_KEY};

/// A value and where it came from.
#[derive(Debug, Clone)]
pub struct Value {
    pub text: Secret,
    pub source: ValueSource,
}

/// Never required: Google's libraries also find a login without it, and no model refers to it.
const GOOGLE_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// Whether the gateway works without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Required,
    /// Required too, because a model that was chosen refers to it.
    ByModels,
    Optional,
}

impl Need {
    pub fn is_required(self) -> bool {
        self != Self::Optional
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::ByModels => "required by the models",
            Self::Optional => "optional",
        }
    }
}

/// The variables of a choice in the order in which they are written.
pub fn needs(choice: &Choice<'_>) -> Vec<(String, Need)> {
    let mut needs: Vec<(String, Need)> = Vec::new();
    // The strongest need comes first and stays.
    let mut add = |name: &String, need: Need| {
        if needs.iter().all(|(known, _)| known != name) {
            needs.push((name.clone(), need));
        }
    };
    if let Some(key) = choice.direct.as_ref().and_then(|direct| direct.provider.key.as_ref()) {
        add(key, Need::Required);
    }
    let (used, unused): (Vec<_>, Vec<_>) =
        choice.preset.required_env_vars.iter().partition(|name| is_used(choice, name));
    used.into_iter().for_each(|name| add(name, Need::Required));
    choice.models.iter().flat_map(|model| &model.env).for_each(|name| add(name, Need::ByModels));
    choice.preset.optional_env_vars.iter().chain(unused).for_each(|name| add(name, Need::Optional));
    needs
}

/// What a preset requires for a provider is not required while no chosen model goes to that provider.
fn is_used(choice: &Choice<'_>, name: &str) -> bool {
    if name == GOOGLE_CREDENTIALS {
        return false;
    }
    let needs_it = |model: &Model| model.env.iter().any(|needed| needed == name);
    !choice.catalog.models.iter().any(needs_it) || choice.models.iter().any(|model| needs_it(model))
}

/// A value as `.env` holds it: header lines become one line with `\n` between them, as JSON writes them.
fn one_line(name: &str, value: &str) -> String {
    if name == HEADERS { value.lines().collect::<Vec<_>>().join("\\n") } else { value.to_owned() }
}

/// The value of a line of `.env` as Claude Code's settings hold it.
pub fn as_setting(name: &str, value: &str) -> String {
    if name == HEADERS { value.replace("\\n", "\n") } else { value.to_owned() }
}

/// The inputs of an edit of `.env`.
pub struct EnvInput<'a> {
    pub choice: &'a Choice<'a>,
    /// The current `.env`; empty when there is none.
    pub text: &'a str,
    /// What the last deployment wrote.
    pub recorded: &'a BTreeMap<String, EnvRecord>,
    /// Whether `.env` is byte for byte what the last deployment left: then its secrets are unchanged too.
    pub untouched: bool,
    /// Values found outside of `.env`, by variable.
    pub values: &'a BTreeMap<String, Value>,
    /// The one variable that the user sets, whatever value it has.
    pub set: Option<(&'a str, &'a Value)>,
    /// The one variable whose value the user removes.
    pub unset: Option<&'a str>,
}

/// The new `.env` and what is known about it.
#[derive(Debug)]
pub struct EnvOutcome {
    pub text: String,
    pub record: BTreeMap<String, EnvRecord>,
    /// Required variables without a value.
    pub missing: Vec<String>,
    /// Variables that this request does not use and that stay because they are the user's.
    pub kept: Vec<String>,
    /// Variables of gwinstall that this edit removes.
    pub removed: Vec<String>,
    /// Names and origins, for the plan id.
    pub summary: String,
}

/// Edits `.env` for a choice.
pub fn render_env(input: &EnvInput<'_>) -> Result<EnvOutcome> {
    let mut file = DotEnv::parse(input.text);
    let needs = needs(input.choice);
    let mut outcome = EnvOutcome {
        text: String::new(),
        record: BTreeMap::new(),
        missing: Vec::new(),
        kept: Vec::new(),
        removed: Vec::new(),
        summary: String::new(),
    };
    if input.text.is_empty() {
        file.comment("Values of the gateway. Read as text by start-gateway.sh, never run; an existing value is never overwritten.");
        file.comment("Change one with: gwinstall env set NAME");
    }
    if let Some((name, value)) = input.set {
        write(&mut file, name, value.text.expose())?;
    }
    if let Some(name) = input.unset {
        file.remove(name);
        outcome.summary = format!("unset {name}\n");
    }
    drop_unneeded(&mut file, input, &needs, &mut outcome);
    for (name, need) in &needs {
        settle(&mut file, input, name, *need, &mut outcome)?;
    }
    if let Some((name, value)) = input.set {
        outcome.record.insert(name.to_owned(), set_record(input, name, value));
        outcome.missing.retain(|missing| missing != name);
        outcome.summary = format!("set {name}\n");
    }
    outcome.text = file.to_text();
    let known = outcome.record.iter();
    outcome
        .summary
        .extend(known.map(|(name, record)| format!("{name}={}/{}\n", record.origin, record.source)));
    Ok(outcome)
}

fn drop_unneeded(
    file: &mut DotEnv,
    input: &EnvInput<'_>,
    needs: &[(String, Need)],
    outcome: &mut EnvOutcome,
) {
    for (name, recorded) in input.recorded {
        if needs.iter().any(|(needed, _)| needed == name) {
            continue;
        }
        let Some(value) = file.get(name) else {
            file.remove_placeholder(name);
            continue;
        };
        let unchanged = if recorded.secret {
            input.untouched
        } else {
            recorded.sha256 == Some(Sha256::of(value.as_bytes()))
        };
        if is_of_a_provider(input.choice, name) {
            outcome.record.insert(name.clone(), recorded.clone());
        } else if recorded.origin == Origin::Gwinstall && unchanged {
            file.remove(name);
            outcome.removed.push(name.clone());
        } else {
            outcome.kept.push(name.clone());
            outcome.record.insert(name.clone(), EnvRecord { origin: Origin::User, ..recorded.clone() });
        }
    }
}

/// Whether a variable is the key of a direct provider: `use` comes back to one that was set up.
fn is_of_a_provider(choice: &Choice<'_>, name: &str) -> bool {
    let mut direct = choice.catalog.providers.iter().filter(|provider| provider.is_direct());
    direct.any(|provider| provider.key.as_deref() == Some(name))
}

/// Adds one needed variable to the file.
fn settle(
    file: &mut DotEnv,
    input: &EnvInput<'_>,
    name: &str,
    need: Need,
    outcome: &mut EnvOutcome,
) -> Result<()> {
    let existing = file.get(name).filter(|value| is_value(name, value)).map(str::to_owned);
    let found = input.values.get(name);
    if let Some(existing) = existing {
        if let Some(flag) =
            found.filter(|value| value.source == ValueSource::Flag && value.text.expose() != existing)
        {
            return Err(Error::usage(format!("{name} already has another value in gateway/.env"))
                .because(format!("a flag never overwrites it (it came as a {})", flag.source))
                .hint(Hint::run(&["env", "set", name]).to("change it")));
        }
        outcome.record.insert(name.to_owned(), kept_record(input, name, &existing));
        return Ok(());
    }
    match found {
        Some(value) => {
            write(file, name, value.text.expose())?;
            outcome.record.insert(
                name.to_owned(),
                facts(input, name, value.text.expose(), Origin::Gwinstall, value.source),
            );
        }
        None if need.is_required() => {
            file.placeholder(name);
            outcome.missing.push(name.to_owned());
            outcome.record.insert(name.to_owned(), missing(input, name));
        }
        // It was required before.
        None => file.remove_placeholder(name),
    }
    Ok(())
}

fn write(file: &mut DotEnv, name: &str, value: &str) -> Result<()> {
    file.set(name, &one_line(name, value))
        .map_err(|why| Error::usage(format!("the value of {name} cannot be written to .env")).because(why))
}

/// The record of a value that the user sets: from now on it belongs to the user.
fn set_record(input: &EnvInput<'_>, name: &str, value: &Value) -> EnvRecord {
    let record = facts(input, name, value.text.expose(), Origin::User, value.source);
    let known = input.recorded.get(name).is_some_and(|known| known.secret);
    if known || name == MASTER_KEY {
        return EnvRecord { secret: true, sha256: None, value: EnvValue::Secret, ..record };
    }
    record
}

fn kept_record(input: &EnvInput<'_>, name: &str, value: &str) -> EnvRecord {
    match input.recorded.get(name) {
        Some(recorded) if recorded.sha256 == Some(Sha256::of(value.as_bytes())) => recorded.clone(),
        Some(recorded) if recorded.value == EnvValue::Secret => recorded.clone(),
        _ => facts(input, name, value, Origin::User, ValueSource::File),
    }
}

/// A key, or a URL with a user and password in it, is secret whatever the catalog says of its name.
fn facts(input: &EnvInput<'_>, name: &str, value: &str, origin: Origin, source: ValueSource) -> EnvRecord {
    let secret = input.choice.catalog.is_secret(name) || value.contains('@') || looks_secret(value);
    EnvRecord {
        origin,
        source,
        secret,
        sha256: (!secret).then(|| Sha256::of(value.as_bytes())),
        value: EnvValue::of(value, secret),
    }
}

fn missing(input: &EnvInput<'_>, name: &str) -> EnvRecord {
    EnvRecord {
        origin: Origin::Gwinstall,
        source: ValueSource::Placeholder,
        secret: input.choice.catalog.is_secret(name),
        sha256: None,
        value: EnvValue::Missing,
    }
}
