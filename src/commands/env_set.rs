//! `env set`: the one way to change a value of `gateway/.env`. The value comes from a prompt without echo, a file or
//! standard input, never from the command line, and is never printed.

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
use crate::domain::secret::masked;
use crate::domain::{Error, Hint, Kind, Operation, Place, Result, Secret};
use crate::doors::{disk, prompt, term};
use crate::render::{self, Value};
use crate::ui::report;

use super::change::Change;
use super::env_value::{Given, given};
use super::sources;
use crate::ui::answer::Answer;

pub(super) fn run(
    place: &Place,
    common: &Common,
    name: &str,
    from: Option<&Path>,
    (confirm, takeover): (&ConfirmArgs, &TakeoverArgs),
) -> Result<Answer> {
    require_name(name)?;
    let mut change = Change::open(place, common, confirm, Operation::SetValue)?.without_takeover(takeover.no_reload);
    let record = change.context.recorded()?.ok_or_else(|| {
        Error::usage("nothing is deployed yet, so there is no .env to write to")
            .hint(Hint::run(&["install"]).to(format!("take {name} from the environment or ~/.claude/.env")))
    })?;
    let bundle = sources::deployed(place, Some(record))?;
    note_name(&bundle.catalog, name);
    change.require_consent().map_err(|error| match from {
        Some(_) => error,
        None => Error::usage(error.message()).hint(
            Hint::again(&["--from", "PATH", "--yes"])
                .to("read the value from a file, or with - from standard input"),
        ),
    })?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let Given { text, notes } = given(name, bundle.catalog.variable(name), value_of(name, from)?.expose())?;
    notes.iter().for_each(|note| term::talk(&format!("note: {note}")));
    if bundle.catalog.variable(name).is_some() && !render::needs(&choice).iter().any(|(used, _)| used == name)
    {
        term::talk(&format!("note: the preset {} does not use {name}", choice.preset.name));
    }
    let source = if from.is_some() { ValueSource::File } else { ValueSource::Prompt };
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

/// Refuses unusual names: they are more likely a typing error than a variable.
fn require_name(name: &str) -> Result<()> {
    let good = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 200;
    if good {
        return Ok(());
    }
    if let Some((before, _)) = name.split_once('=') {
        // What follows the sign may be a secret: it is not repeated.
        return Err(name_alone(before));
    }
    let shown = masked(name).unwrap_or_else(|| printable(name));
    Err(Error::usage(format!("{shown:?} is not the name of a variable"))
        .because("a name holds capital letters, digits and _, and does not begin with a digit")
        .hint(Hint::run(&["env", "list"])))
}

/// The error for a value on the command line. It repeats no part of the value.
pub(super) fn name_alone(name: &str) -> Error {
    let shown = masked(name).unwrap_or_else(|| printable(name));
    Error::usage("give the name alone; a value on a command line is visible to every process")
        .hint(Hint::run(&["env", "set", &shown]))
}

fn note_name(catalog: &Catalog, name: &str) {
    if catalog.variable(name).is_some() {
        return;
    }
    if let Some(variable) =
        catalog.environment.iter().find(|variable| variable.aliases.iter().any(|alias| alias == name))
    {
        term::talk(&format!("note: the gateway reads {}, not {name}", variable.name));
        return;
    }
    let known = catalog.environment.iter().map(|variable| variable.name.as_str());
    match closest(name, known).first() {
        Some(near) => term::talk(&format!(
            "note: {name} is not known here; did you mean {near}? It is set as a secret."
        )),
        None => term::talk(&format!("note: {name} is not known here; it is set as a secret.")),
    }
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
