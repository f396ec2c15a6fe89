//! `env set`: the one way to change a value of `gateway/.env`. The value comes from a prompt without echo, a file or
//! standard input; from the command line only where it is not a secret. It is never printed.

use std::path::Path;

use serde_json::json;

use crate::bundle::catalog::Catalog;
use crate::cli::{Common, ConfirmArgs, TakeoverArgs};
use crate::deploy::draft::Draft;
use crate::deploy::goals;
use crate::deploy::values;
use crate::domain::name::{closest, list, printable};
use crate::domain::record::ValueSource;
use crate::domain::regions;
use crate::domain::request::Request;
use crate::domain::secret::{beginning_of, looks_like_key, mask_userinfo, masked};
use crate::domain::{Error, Hint, Kind, Operation, Place, Result, Secret};
use crate::doors::{disk, prompt, term};
use crate::format::dotenv::DotEnv;
use crate::render::{self, Choice, Value};
use crate::ui::report;

use super::change::Change;
use super::env_key::KeyCheck;
use super::env_name;
use super::env_value::{Given, given};
use super::sources;
use crate::ui::answer::Answer;

/// The words of the command line.
pub(super) struct Asked<'a> {
    /// `NAME`, or `NAME=VALUE`.
    pub typed: &'a str,
    pub from: Option<&'a Path>,
    /// Asks the provider whether it accepts the key.
    pub check: bool,
    /// Keeps an unknown name.
    pub force: bool,
    pub yes: bool,
}

impl<'a> Asked<'a> {
    /// The name, and the value if one was typed.
    fn parts(&self) -> (&'a str, Option<&'a str>) {
        self.typed.split_once('=').map_or((self.typed, None), |(name, value)| (name, Some(value)))
    }

    /// The error for a run without a terminal and without `--yes`, with the command that needs no terminal.
    fn unasked(&self, error: Error) -> Error {
        match (self.from, self.parts().1) {
            (Some(_), _) => error,
            (None, Some(_)) => {
                Error::usage(error.message()).hint(Hint::run(&["env", "set", self.typed, "--yes"]))
            }
            (None, None) => Error::usage(error.message()).hint(
                Hint::again(&["--from", "PATH", "--yes"])
                    .to("read the value from a file, or with - from standard input"),
            ),
        }
    }

    /// How to set the variable without asking its provider.
    fn without_check(&self, name: &str) -> Hint {
        let mut words = vec!["env".to_owned(), "set".to_owned(), name.to_owned()];
        if let Some(path) = self.from {
            words.extend(["--from".to_owned(), path.display().to_string()]);
        }
        if self.yes {
            words.push("--yes".to_owned());
        }
        Hint::run(&words).to("set it without --check")
    }

    fn value(&self, name: &str) -> Result<Secret> {
        match self.parts().1 {
            Some(value) if self.from.is_none() => Ok(Secret::new(value)),
            Some(_) => {
                Err(Error::usage("a value and --from exclude each other")
                    .hint(Hint::run(&["env", "set", name])))
            }
            None => value_of(name, self.from),
        }
    }
}

/// The name that is meant; a secret on the command line is refused before anything else is said.
fn name_of(change: &Change<'_>, catalog: &Catalog, asked: &Asked<'_>, yes: bool) -> Result<String> {
    let (typed, inline) = asked.parts();
    if let Some(value) = inline {
        require_public(catalog, typed, value, asked.check)?;
    }
    if change.context.recorded()?.is_none() {
        return Err(Error::usage("nothing is deployed yet, so there is no .env to write to").hint(
            Hint::run(&["install"]).to(format!("take {typed} from the environment or ~/.claude/.env")),
        ));
    }
    let own = env_name::in_use(change.place(), &DotEnv::parse(&change.context.env()?.text));
    let asks = !yes && !change.is_dry() && term::is_interactive();
    let name = env_name::meant(catalog, &own, asked.typed, asked.force, asks)?;
    if inline.is_some() && catalog.is_secret(&name) { Err(name_alone(&name, asked.check)) } else { Ok(name) }
}

/// Notes about a value that is taken as it is.
fn note_value(choice: &Choice<'_>, name: &str, text: &str) {
    if choice.catalog.variable(name).is_some() && !render::needs(choice).iter().any(|(used, _)| used == name)
    {
        term::talk(&format!("note: the preset {} does not use {name}", choice.preset.name));
    }
    if let Some(beginning) = beginning_of(name).filter(|beginning| !text.starts_with(beginning)) {
        term::talk(&format!(
            "note: this value of {name} does not begin with {beginning}, as the provider's keys do"
        ));
    }
    if let Some(region) = regions::unknown(name, text) {
        let near = region.closest.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        term::talk(&format!("note: gwinstall does not know this region of {}{near}", region.provider));
    } else if name == regions::VERTEX {
        let unserved: Vec<&str> = choice
            .models
            .iter()
            .filter(|model| !model.is_served_in(text.trim()))
            .map(|m| m.id.as_str())
            .collect();
        if !unserved.is_empty() {
            term::talk(&format!("note: Google does not serve {} there; global does", list(&unserved)));
        }
    }
}

pub(super) fn run(
    place: &Place,
    common: &Common,
    asked: &Asked<'_>,
    (confirm, takeover): (&ConfirmArgs, &TakeoverArgs),
) -> Result<Answer> {
    env_name::require(asked.parts().0)?;
    let mut change =
        Change::open(place, common, confirm, Operation::SetValue)?.without_takeover(takeover.no_reload);
    let bundle = sources::deployed(place, change.context.record.as_ref())?;
    let name = &name_of(&change, &bundle.catalog, asked, confirm.yes)?;
    let key_check = match asked.check {
        true => Some(KeyCheck::of(&change, &bundle.catalog, name, asked.without_check(name))?),
        false => None,
    };
    change.require_consent().map_err(|error| asked.unasked(error))?;
    let value = asked.value(name)?;
    let record = change.context.deployed()?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let Given { text, notes } = given(name, bundle.catalog.variable(name), value.expose())?;
    notes.iter().for_each(|note| term::talk(&format!("note: {note}")));
    note_value(&choice, name, &text);
    if let Some(key_check) = key_check.filter(|_| !change.is_dry()) {
        key_check.require_accepted(&text)?;
    }
    let source = if asked.from.is_some() { ValueSource::File } else { ValueSource::Prompt };
    let values =
        values::gather(place, &choice, &request)?.setting(name, Value { text: Secret::new(text), source });
    let goal = goals::where_it_is(&change.context, Operation::SetValue, &bundle, &choice, &values)?;
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
fn require_public(catalog: &Catalog, name: &str, value: &str, check: bool) -> Result<()> {
    let known = catalog
        .environment
        .iter()
        .find(|one| one.name == name || one.aliases.iter().any(|alias| alias == name));
    let slip = || closest(name, catalog.environment.iter().map(|one| one.name.as_str())).first().copied();
    let secret = match (known, slip()) {
        (Some(variable), _) => variable.secret,
        (None, Some(near)) => catalog.is_secret(near),
        (None, None) => true,
    };
    if secret || looks_like_key(value) || mask_userinfo(value) != value {
        return Err(name_alone(name, check));
    }
    Ok(())
}

/// The error for a value on the command line. It repeats no part of the value.
fn name_alone(name: &str, check: bool) -> Error {
    let shown = masked(name).unwrap_or_else(|| printable(name));
    let mut words = vec!["env", "set", &shown];
    words.extend(check.then_some("--check"));
    let from_standard_input = [&words[..], &["--from", "-", "--yes"]].concat();
    Error::usage("give the name alone; a value on a command line is visible to every process")
        .hint(Hint::run(&words).or(Hint::run(&from_standard_input).to("read it from standard input")))
}

fn value_of(name: &str, from: Option<&Path>) -> Result<Secret> {
    let Some(path) = from.filter(|path| path.as_os_str() != "-") else {
        return prompt::read_secret(&format!("Value of {name} (not shown)"));
    };
    super::install_flags::require_path("--from", path)?;
    let bytes = disk::read_given(path, prompt::LONGEST_SECRET).map_err(|error| error.of_kind(Kind::Usage))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::usage(format!("--from: {} is not text", path.display())).because(error.utf8_error())
    })?;
    Ok(Secret::new(text))
}
