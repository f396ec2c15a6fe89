//! `env set`: the one way to change a value of `gateway/.env`. The value comes from a prompt without echo, a file or
//! standard input; from the command line only where it is not a secret. It is never printed.

use std::path::Path;

use serde_json::json;

use crate::bundle::catalog::Catalog;
use crate::cli::{Common, ConfirmArgs, TakeoverArgs};
use crate::deploy::draft::Draft;
use crate::deploy::goals::{self, Pointing};
use crate::deploy::values;
use crate::domain::name::{closest, printable};
use crate::domain::record::ValueSource;
use crate::domain::request::Request;
use crate::domain::secret::{looks_like_key, mask_userinfo, masked};
use crate::domain::{Error, Hint, Kind, Operation, Place, Result, Secret};
use crate::doors::{disk, prompt, term};
use crate::format::dotenv::DotEnv;
use crate::render::{self, Value};
use crate::ui::report;

use super::change::Change;
use super::env_name;
use super::env_value::{Given, given};
use super::sources;
use crate::ui::answer::Answer;

/// The words of the command line.
pub(super) struct Asked<'a> {
    /// `NAME`, or `NAME=VALUE`.
    pub typed: &'a str,
    pub from: Option<&'a Path>,
    /// Keeps an unknown name.
    pub force: bool,
}

pub(super) fn run(
    place: &Place,
    common: &Common,
    asked: &Asked<'_>,
    (confirm, takeover): (&ConfirmArgs, &TakeoverArgs),
) -> Result<Answer> {
    let (typed, inline) = match asked.typed.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (asked.typed, None),
    };
    env_name::require(typed)?;
    let mut change = Change::open(place, common, confirm, Operation::SetValue)?.without_takeover(takeover.no_reload);
    let bundle = sources::deployed(place, change.context.record.as_ref())?;
    if let Some(value) = inline {
        require_public(&bundle.catalog, typed, value)?;
    }
    let record = change.context.recorded()?.ok_or_else(|| {
        Error::usage("nothing is deployed yet, so there is no .env to write to")
            .hint(Hint::run(&["install"]).to(format!("take {typed} from the environment or ~/.claude/.env")))
    })?;
    let own = env_name::in_use(place, &DotEnv::parse(&change.context.env()?.text));
    let asks = !confirm.yes && !change.is_dry() && term::is_interactive();
    let name = &env_name::meant(&bundle.catalog, &own, asked.typed, asked.force, asks)?;
    if inline.is_some_and(|_| bundle.catalog.is_secret(name)) {
        return Err(name_alone(name));
    }
    change.require_consent().map_err(|error| match (asked.from, inline) {
        (Some(_), _) => error,
        (None, Some(_)) => Error::usage(error.message()).hint(Hint::run(&["env", "set", asked.typed, "--yes"])),
        (None, None) => Error::usage(error.message()).hint(
            Hint::again(&["--from", "PATH", "--yes"])
                .to("read the value from a file, or with - from standard input"),
        ),
    })?;
    let value = match inline {
        Some(value) if asked.from.is_none() => Secret::new(value),
        Some(_) => return Err(Error::usage("a value and --from exclude each other").hint(Hint::run(&["env", "set", name]))),
        None => value_of(name, asked.from)?,
    };
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let Given { text, notes } = given(name, bundle.catalog.variable(name), value.expose())?;
    notes.iter().for_each(|note| term::talk(&format!("note: {note}")));
    if bundle.catalog.variable(name).is_some() && !render::needs(&choice).iter().any(|(used, _)| used == name)
    {
        term::talk(&format!("note: the preset {} does not use {name}", choice.preset.name));
    }
    let source = if asked.from.is_some() { ValueSource::File } else { ValueSource::Prompt };
    let values =
        values::gather(place, &choice, &request)?.setting(name, Value { text: Secret::new(text), source });
    let pointed = record.request.pointed;
    let goal = goals::from_choice(
        &change.context,
        Operation::SetValue,
        &bundle,
        &choice,
        &values,
        Pointing::Is(pointed),
        false,
    )?;
    let draft = change.draft(goal)?;
    change.facts.insert("name".to_owned(), json!(name));
    if draft.plan.is_empty() {
        change.facts.insert("changed".to_owned(), json!(false));
        return Ok(change.nothing_to_do(&draft, format!("Nothing to do: {name} has this value already.")));
    }
    if !change.is_dry() {
        change.facts.insert("changed".to_owned(), json!(true));
    }
    let summary = format!("Set {name}\n{}", report::plan(&draft, true));
    change.carry_out(draft, &summary, |draft, _| {
        Ok(Answer::new(format!("{name} is set")).text(done(name, draft)))
    })
}

fn done(name: &str, draft: &Draft) -> String {
    let mut text = format!("{name} is set.");
    if !draft.changed_keys.is_empty() {
        text.push_str(&format!("\n  Claude Code's settings follow. {}", report::OPEN_SESSIONS));
    }
    text
}

/// Refuses a secret on the command line. A variable that gwinstall does not know may be one.
fn require_public(catalog: &Catalog, name: &str, value: &str) -> Result<()> {
    let known = catalog.environment.iter().find(|one| one.name == name || one.aliases.iter().any(|alias| alias == name));
    let slip = || closest(name, catalog.environment.iter().map(|one| one.name.as_str())).first().copied();
    let secret = match (known, slip()) {
        (Some(variable), _) => variable.secret,
        (None, Some(near)) => catalog.is_secret(near),
        (None, None) => true,
    };
    if secret || looks_like_key(value) || mask_userinfo(value) != value {
        return Err(name_alone(name));
    }
    Ok(())
}

/// The error for a value on the command line. It repeats no part of the value.
fn name_alone(name: &str) -> Error {
    let shown = masked(name).unwrap_or_else(|| printable(name));
    Error::usage("give the name alone; a value on a command line is visible to every process").hint(
        Hint::run(&["env", "set", &shown])
            .or(Hint::run(&["env", "set", &shown, "--from", "-", "--yes"]).to("read it from standard input")),
    )
}

fn value_of(name: &str, from: Option<&Path>) -> Result<Secret> {
    let Some(path) = from.filter(|path| path.as_os_str() != "-") else {
        return prompt::read_secret(&format!("Value of {name} (not shown)"));
    };
    super::install_flags::require_path("--from", path)?;
    let bytes = disk::read_given(path, prompt::LONGEST_SECRET).map_err(|error| error.of_kind(Kind::Usage))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| {
        Error::usage(format!("--from: {} is not text", path.display())).because(error.utf8_error())
    })?;
    Ok(Secret::new(text))
}
