//! `env set`: the one way to change a value of `gateway/.env`. The value comes from a prompt without echo, a file or
//! standard input, never from the command line, and is never printed.

use std::path::Path;

use serde_json::json;

use crate::bundle::catalog::Catalog;
use crate::cli::{Common, ConfirmArgs};
use crate::deploy::draft::{Draft, EnvFile, draft};
use crate::deploy::goals::{self, Extent, Wish};
use crate::deploy::values::{self, MASTER_KEY, Values};
use crate::deploy::{checks, store};
use crate::domain::Operation;
use crate::domain::name::{closest, printable, shell_word};
use crate::domain::record::EnvValue;
use crate::domain::record::ValueSource;
use crate::domain::record::{EnvRecord, Origin, Record};
use crate::domain::request::Request;
use crate::domain::secret::{looks_secret, masked};
use crate::domain::tree::Class;
use crate::domain::{Error, Kind, Place, Result, Secret, Sha256};
use crate::doors::{disk, prompt, term};
use crate::format::dotenv::DotEnv;
use crate::render;

use super::answer::Answer;
use super::change::{self, Change};
use super::env_value::{Given, given};
use super::report;

pub(super) fn run(
    place: &Place,
    common: &Common,
    name: &str,
    from: Option<&Path>,
    confirm: &ConfirmArgs,
) -> Result<Answer> {
    demand_name(name)?;
    let change = Change::new(place, common, confirm, Operation::SetValue);
    change.recover()?;
    let last = store::record(place)?.ok_or_else(|| {
        Error::usage("nothing is deployed yet, so there is no .env to write to")
            .hint(format!("gwinstall install takes {name} from the environment or ~/.claude/.env"))
    })?;
    let bundle = super::bundle_of(place, Some(&last))?;
    note_name(&bundle.catalog, name);
    if !confirm.dry_run {
        let from = from.map_or("PATH".to_owned(), |from| shell_word(&printable(&from.to_string_lossy())));
        super::demand_consent(confirm, &format!("gwinstall env set {name} --from {from}"))?;
    }
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&last.request))?;
    let Given { text, notes } = given(name, bundle.catalog.variable(name), value_of(name, from)?.expose())?;
    let value = Secret::new(text);
    notes.iter().for_each(|note| term::talk(&format!("note: {note}")));
    if bundle.catalog.variable(name).is_some() && !render::needs(&choice).iter().any(|(used, _)| used == name)
    {
        term::talk(&format!("note: the preset {} makes no use of {name}", choice.preset.name));
    }
    // Only this variable changes: what else could be found now is for the next installation.
    let google_login = values::gather(place, &choice, &request)?.google_login;
    let values = Values { google_login, ..Values::default() };
    let setting = Setting {
        name,
        value: &value,
        source: if from.is_some() { ValueSource::File } else { ValueSource::Prompt },
    };
    let wish = Wish {
        extent: Extent::Values,
        operation: Operation::SetValue,
        env: Some(setting.written(place)?),
        ..Wish::again(place, &bundle, &request, &last, &values)
    };
    let mut drafted = setting.drafted(place, &last, &wish)?;
    if drafted.plan.is_empty() {
        return Ok(Answer::new("nothing to do")
            .text(format!("Nothing to do: {name} has this value already."))
            .data(json!({ "name": name, "changed": false })));
    }
    let summary = format!("Set {name}\n{}", report::plan(&drafted, true));
    if confirm.dry_run {
        let text = format!("{summary}\nThis was a dry run (plan {}): nothing was changed.", drafted.id);
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(change::data(&drafted, None)));
    }
    let Some(outcome) = change.carry_out(&mut drafted, &summary)? else {
        return Err(prompt::stopped());
    };
    let mut data = change::data(&drafted, Some(&outcome));
    data["name"] = json!(name);
    data["changed"] = json!(true);
    Ok(Answer::new(format!("{name} is set")).text(told(place, name, &drafted)).data(data))
}

fn told(place: &Place, name: &str, drafted: &Draft) -> String {
    let mut text = format!("{name} is set.");
    let record = drafted.record.as_ref();
    if !drafted.changed_keys.is_empty() {
        text.push_str(&format!("\n  Claude Code's settings follow. {}", report::OPEN_SESSIONS));
    }
    let port = record.and_then(|record| record.gateway_url.rsplit(':').next()?.parse().ok());
    if let Some(port) = port.filter(|_| !place.staged)
        && matches!(checks::running(place, port), checks::Running::Ours(_))
    {
        text.push_str("\n  The running gateway still has the old value: gwinstall restart");
    }
    text
}

/// Names as programs use them; anything else is more likely a slip than a variable.
fn demand_name(name: &str) -> Result<()> {
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
        .hint("gwinstall env list"))
}

/// For a value that was given on the command line, of which nothing is repeated.
pub(super) fn name_alone(name: &str) -> Error {
    let shown = masked(name).unwrap_or_else(|| printable(name));
    Error::usage("give the name alone; a value on a command line is visible to every process")
        .hint(format!("gwinstall env set {shown}"))
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
    super::install_flags::demand_path("--from", path)?;
    let bytes = disk::read_given(path, prompt::LONGEST_SECRET).map_err(|error| error.of_kind(Kind::Usage))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("--from: {} is not text", path.display())))?;
    Ok(Secret::new(text))
}

struct Setting<'a> {
    name: &'a str,
    value: &'a Secret,
    source: ValueSource,
}

impl Setting<'_> {
    /// `.env` with the value in it.
    fn written(&self, place: &Place) -> Result<EnvFile> {
        let found = goals::env_file(place)?;
        let mut file = DotEnv::parse(&found.text);
        file.set(self.name, &render::one_line(self.name, self.value.expose())).map_err(|why| {
            Error::usage(format!("the value of {} cannot be written to .env", self.name)).because(why)
        })?;
        Ok(EnvFile { text: file.to_text(), ..found })
    }

    fn drafted(&self, place: &Place, last: &Record, wish: &Wish<'_>) -> Result<Draft> {
        let mut goal = goals::from_request(wish)?.goal;
        if let Some(record) = &mut goal.record {
            let known = last.environment_variables.get(self.name);
            record
                .environment_variables
                .insert(self.name.to_owned(), self.entry(&wish.bundle.catalog, known));
        }
        goal.env_summary.push_str(&format!("set {}\n", self.name));
        let mut draft = draft(place, Some(last), goal)?;
        for step in draft.plan.steps.iter_mut().filter(|step| step.class == Class::Env) {
            step.reason = "the value that you give";
        }
        Ok(draft)
    }

    /// The value is the user's from now on.
    fn entry(&self, catalog: &Catalog, known: Option<&EnvRecord>) -> EnvRecord {
        let value = self.value.expose();
        let secret = catalog.is_secret(self.name)
            || value.contains('@')
            || looks_secret(value)
            || known.is_some_and(|known| known.secret);
        EnvRecord {
            origin: Origin::User,
            source: self.source,
            secret: secret || self.name == MASTER_KEY,
            sha256: (!secret).then(|| Sha256::of(value.as_bytes())),
            value: EnvValue::of(value, secret),
        }
    }
}
