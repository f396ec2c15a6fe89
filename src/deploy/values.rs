//! Finds a value for each variable: flags, the environment, `~/.claude/.env`, shell rc files, gcloud's login, a
//! default, a generated key. Reads only; evaluates nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::bundle::catalog::{Catalog, EnvVar};
use crate::domain::name::printable;
use crate::domain::record::ValueSource;
use crate::domain::request::Request;
use crate::domain::stand_in;
use crate::domain::{Error, Place, Result, Secret};
use crate::doors::{disk, system};
use crate::format::dotenv::DotEnv;
use crate::render::{BASE_URL, Choice, MASTER_KEY, Value, needs};

use super::exports::{Exports, read_text};

/// Everything found outside of `gateway/.env`.
#[derive(Debug, Default)]
pub struct Values {
    pub found: BTreeMap<String, Value>,
    /// Notes for the user: each names a value that gwinstall could not read, with file and line.
    pub notes: Vec<String>,
    /// The one variable that the user sets, whatever value it has.
    pub set: Option<(String, Value)>,
    /// The one variable whose value the user removes.
    pub unset: Option<String>,
}

impl Values {
    /// Sets one value only: other values that gwinstall could find now wait for the next installation.
    pub fn setting(self, name: &str, value: Value) -> Self {
        Self { found: BTreeMap::new(), notes: Vec::new(), set: Some((name.to_owned(), value)), unset: None }
    }

    /// Removes one value only. What gwinstall gives by itself, a default or a generated key, takes its place.
    pub fn unsetting(self, name: &str) -> Self {
        let own = |found: &str, value: &Value| {
            found == name && matches!(value.source, ValueSource::Default | ValueSource::Generated)
        };
        let found = self.found.into_iter().filter(|(found, value)| own(found, value)).collect();
        Self { found, notes: Vec::new(), set: None, unset: Some(name.to_owned()) }
    }
}

/// Searches all sources for the variables of a choice. For an image gwinstall ignores the environment of the builder.
pub fn gather(place: &Place, choice: &Choice<'_>, request: &Request) -> Result<Values> {
    let flags = from_flags(choice, request);
    let sources = Sources::open(place);
    let mut values = Values::default();
    values.notes.extend(sources.notes.iter().cloned());
    for (name, _) in needs(choice) {
        let variable = choice.catalog.variable(&name);
        let found = match flags.get(&name) {
            Some(value) => Some(usable_flag(&name, value)?),
            None => sources.find(&name, variable, &mut values.notes),
        };
        let found = match found {
            None if name == MASTER_KEY => Some(master_key(place)?),
            other => other,
        };
        if let Some(value) = found {
            values.found.insert(name, value);
        }
    }
    Ok(values)
}

/// A value of the command line is refused rather than left out: the user gave it for this very run.
fn usable_flag(name: &str, value: &Value) -> Result<Value> {
    match stand_in::of(name, value.text.expose()) {
        Some(why) => {
            Err(Error::usage(format!("the value that you gave for {name} cannot be used")).because(why))
        }
        None => Ok(value.clone()),
    }
}

/// A new key; none in an image, where the start script makes one at the first start of each machine.
fn master_key(place: &Place) -> Result<Value> {
    let key = if place.staged { String::new() } else { format!("sk-{}", system::random_hex(32)?) };
    Ok(Value { text: Secret::new(key), source: ValueSource::Generated })
}

fn from_flags(choice: &Choice<'_>, request: &Request) -> BTreeMap<String, Value> {
    let mut flags = BTreeMap::new();
    let mut add = |name: &str, text: Secret| {
        flags.insert(name.to_owned(), Value { text, source: ValueSource::Flag });
    };
    let typed = |(name, text): (&String, &Secret)| {
        (name.clone(), Value { text: text.clone(), source: ValueSource::Prompt })
    };
    if let Some(token) = &request.auth_token {
        add(choice.key_name().unwrap_or_default(), token.clone());
    }
    if let Some(url) =
        request.gateway_url.as_ref().filter(|_| !choice.runs_litellm() && choice.direct.is_none())
    {
        add(BASE_URL, Secret::new(url.as_str()));
    }
    if let Some(proxy) = &request.proxy {
        add("HTTPS_PROXY", proxy.url.clone());
        add("HTTP_PROXY", proxy.url.clone());
    }
    flags.extend(request.answers.iter().map(typed));
    flags
}

struct Sources {
    /// Whether the environment of this process counts.
    environment: bool,
    home_env: DotEnv,
    home_env_name: String,
    exports: Exports,
    adc: Option<Adc>,
    notes: Vec<String>,
}

/// gcloud's application default credentials.
struct Adc {
    path: PathBuf,
    project: Option<String>,
}

impl Sources {
    fn open(place: &Place) -> Self {
        let mut notes = Vec::new();
        let env_path = place.env_source();
        let home_env = read_text(place, &env_path, &mut notes).unwrap_or_default();
        let exports = Exports::open(place);
        notes.extend(exports.notes.iter().cloned());
        Self {
            environment: !place.staged,
            home_env: DotEnv::parse(&home_env),
            home_env_name: place.show(&env_path),
            exports,
            adc: adc(place),
            notes,
        }
    }

    fn find(&self, name: &str, variable: Option<&EnvVar>, notes: &mut Vec<String>) -> Option<Value> {
        let aliases = variable.map_or(&[][..], |variable| &variable.aliases);
        let names = || std::iter::once(name).chain(aliases.iter().map(String::as_str));
        let value = |text: String, source| Some(Value { text: Secret::new(text), source });
        let mut usable = |text: &str, alias: &str, whence: &str| {
            let why = stand_in::of(name, text);
            if let Some(why) = why.filter(|why| why.needs_a_note()) {
                notes.push(format!("{alias} in {whence}: not used: {why}"));
            }
            why.is_none()
        };
        if self.environment
            && let Some(text) = names().find_map(|alias| {
                system::variable(alias).filter(|text| usable(text, alias, "the environment"))
            })
        {
            return value(text, ValueSource::Environment);
        }
        if let Some(text) = names().find_map(|alias| {
            self.home_env.get(alias).filter(|text| usable(text, alias, &self.home_env_name))
        }) {
            return value(text.to_owned(), ValueSource::File);
        }
        self.note_problems(name, notes);
        if let Some(text) = names().find_map(|alias| self.in_rc(name, alias, notes)) {
            return value(text, ValueSource::Rc);
        }
        if let Some(text) = self.in_gcloud(name).filter(|text| stand_in::is_value(name, text)) {
            return value(text, ValueSource::Gcloud);
        }
        variable
            .and_then(|variable| variable.default.clone())
            .and_then(|text| value(text, ValueSource::Default))
    }

    /// The last export of a name over all rc files that has a plain value.
    fn in_rc(&self, name: &str, alias: &str, notes: &mut Vec<String>) -> Option<String> {
        self.exports.of(alias).find_map(|(file, found)| {
            let mut note = |why: String| notes.push(format!("{alias} in {file}, line {}: {why}", found.line));
            let text = found.value.map_err(|why| note(why.to_string())).ok()?;
            let why = stand_in::of(name, &text);
            if let Some(why) = why.filter(|why| why.needs_a_note()) {
                note(format!("not used: {why}"));
            }
            why.is_none().then_some(text)
        })
    }

    fn note_problems(&self, name: &str, notes: &mut Vec<String>) {
        let of_name = |problem: &&crate::format::dotenv::Problem| problem.key.as_deref() == Some(name);
        for problem in self.home_env.problems().iter().filter(of_name) {
            notes.push(format!("{name} in {}, line {}: {}", self.home_env_name, problem.line, problem.why));
        }
    }

    fn in_gcloud(&self, name: &str) -> Option<String> {
        let adc = self.adc.as_ref()?;
        match name {
            "GOOGLE_APPLICATION_CREDENTIALS" => adc.path.to_str().map(str::to_owned),
            "VERTEXAI_PROJECT" => adc.project.clone(),
            _ => None,
        }
    }
}

/// Variables of the catalog that have a value which the user gave somewhere: no default counts.
pub fn given(place: &Place, catalog: &Catalog) -> BTreeSet<String> {
    let sources = Sources::open(place);
    let found = |variable: &&EnvVar| {
        let value = sources.find(&variable.name, Some(variable), &mut Vec::new());
        value.is_some_and(|value| value.source != ValueSource::Default)
    };
    catalog.environment.iter().filter(found).map(|variable| variable.name.clone()).collect()
}

/// A value that is likely and not certain: a person confirms it.
pub fn proposed(place: &Place, name: &str) -> Option<String> {
    let project = (name == "VERTEXAI_PROJECT").then(|| active_project(&gcloud_dir(place)));
    project.flatten().filter(|project| printable(project) == *project)
}

fn gcloud_dir(place: &Place) -> PathBuf {
    let dir = if place.staged { None } else { system::path_variable("CLOUDSDK_CONFIG") };
    dir.unwrap_or_else(|| place.home.join(".config/gcloud"))
}

fn adc(place: &Place) -> Option<Adc> {
    let dir = gcloud_dir(place);
    let path = dir.join("application_default_credentials.json");
    let bytes = disk::read_maybe(&path, disk::TEXT_CAP).ok()??;
    let login: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let named = |key: &str| login.get(key).and_then(|project| project.as_str()).map(str::to_owned);
    let project = named("quota_project_id").or_else(|| named("project_id")).or_else(|| active_project(&dir));
    Some(Adc { path, project: project.filter(|project| printable(project) == *project) })
}

/// `project = …` of gcloud's default configuration.
fn active_project(dir: &Path) -> Option<String> {
    let bytes = disk::read_maybe(&dir.join("configurations/config_default"), disk::TEXT_CAP).ok()??;
    let text = String::from_utf8(bytes).ok()?;
    let line =
        text.lines().find_map(|line| line.trim().strip_prefix("project")?.trim_start().strip_prefix('='))?;
    Some(line.trim().to_owned()).filter(|project| !project.is_empty())
}
