//! `env list` and `env check`: every variable, where its value comes from, whether the gateway needs it and how to set
//! it. Values of secrets are masked, always.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::bundle::catalog::{Catalog, EnvVar};
use crate::cli::{Common, EnvCommand};
use crate::deploy::checks::{self, Checks};
use crate::deploy::context::Context;
use crate::deploy::values;
use crate::deploy::values::Values;
use crate::domain::check::{CheckName, Finding, Status};
use crate::domain::name::{count, printable};
use crate::domain::place::files;
use crate::domain::record::Record;
use crate::domain::record::ValueSource;
use crate::domain::request::Request;
use crate::domain::secret::{looks_secret, mask, mask_userinfo};
use crate::domain::{Kind, Place, Result};
use crate::format::dotenv::{DotEnv, is_placeholder};
use crate::inspect::conflicts;
use crate::render::MASTER_KEY;
use crate::render::{self, Choice, Need};
use crate::ui::report;

use super::env_set;
use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, common: &Common, command: &EnvCommand) -> Result<Answer> {
    if let EnvCommand::Set { name, from, confirm } = command {
        return env_set::run(place, common, name, from.as_deref(), confirm);
    }
    let context = Context::load(place)?;
    let record = context.recorded()?;
    let bundle = super::sources::deployed(place, record)?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, record.map(|record| &record.request))?;
    let values = values::gather(place, &choice, &request)?;
    let file = DotEnv::parse(&context.env()?.text);
    let scene = Scene { place, record, choice: &choice, values: &values, file: &file };
    match command {
        EnvCommand::Check => scene.check(),
        _ => Ok(scene.list()),
    }
}

/// Everything that decides about a variable.
struct Scene<'a> {
    place: &'a Place,
    /// `None`: nothing is deployed, and the default preset speaks.
    record: Option<&'a Record>,
    choice: &'a Choice<'a>,
    /// Found outside of `.env`.
    values: &'a Values,
    file: &'a DotEnv,
}

/// One variable as it stands.
struct Standing<'a> {
    name: String,
    variable: Option<&'a EnvVar>,
    /// `None`: this preset does not use it.
    need: Option<Need>,
    /// Masked where secret; `None` when it has no value.
    shown: Option<String>,
    /// In words.
    source: String,
}

impl<'a> Scene<'a> {
    fn catalog(&self) -> &'a Catalog {
        self.choice.catalog
    }

    /// The catalog's variables in its order, then what else `.env` and the record name.
    fn standings(&self) -> Vec<Standing<'a>> {
        let needs = render::needs(self.choice);
        let mut names: Vec<String> =
            self.catalog().environment.iter().map(|variable| variable.name.clone()).collect();
        let others: BTreeSet<String> = self.file.entries().map(|entry| entry.key.to_owned()).collect();
        names.extend(others.into_iter().filter(|name| self.catalog().variable(name).is_none()));
        names
            .into_iter()
            .map(|name| {
                let need = needs.iter().find(|(needed, _)| *needed == name).map(|(_, need)| *need);
                let (shown, source) = self.value(&name, need);
                Standing { variable: self.catalog().variable(&name), name, need, shown, source }
            })
            .collect()
    }

    /// What `.env` holds, else what the next installation would take over.
    fn value(&self, name: &str, need: Option<Need>) -> (Option<String>, String) {
        let secret = self.catalog().is_secret(name);
        if let Some(value) = self.file.get(name).filter(|value| !is_placeholder(value)) {
            let source = self.record.and_then(|record| record.environment_variables.get(name));
            let source = source.map_or("in .env, put there by you", |known| words(known.source));
            return (Some(masked(value, secret)), source.to_owned());
        }
        match self
            .values
            .found
            .get(name)
            .filter(|value| need.is_some() && value.source != ValueSource::Generated)
        {
            Some(value) => {
                let text = value.text.expose();
                let next = if self.record.is_some() {
                    "not in .env yet: gwinstall install takes it"
                } else {
                    "taken at installation"
                };
                (Some(masked(text, secret)), format!("{}; {next}", words(value.source)))
            }
            None if name == MASTER_KEY && self.record.is_none() && need.is_some() => {
                (None, "generated at installation".to_owned())
            }
            None if self.found_by_google(name) => {
                (None, "Google's libraries find the login by themselves".to_owned())
            }
            None => (None, "no value".to_owned()),
        }
    }

    fn found_by_google(&self, name: &str) -> bool {
        name == "GOOGLE_APPLICATION_CREDENTIALS" && self.values.google_login
    }

    /// Required variables without a value. Once deployed only `.env` counts: it is what the gateway reads.
    fn missing(&self) -> Vec<String> {
        let has = |name: &str| {
            let in_file = self.file.get(name).is_some_and(|value| !is_placeholder(value));
            let found = self.record.is_none() && self.values.found.contains_key(name);
            // An image has no key: each machine makes its own at the first start.
            let later = name == MASTER_KEY && self.place.staged;
            in_file || found || later || self.found_by_google(name)
        };
        let required = render::needs(self.choice).into_iter().filter(|(_, need)| need.is_required());
        required.map(|(name, _)| name).filter(|name| !has(name)).collect()
    }

    fn headline(&self) -> String {
        let preset = &self.choice.preset.name;
        match self.record {
            Some(_) => {
                format!("Variables of preset {preset}, in {}:", self.place.show(&self.place.file(files::ENV)))
            }
            None => format!("Nothing is deployed. Variables as preset {preset} would take them:"),
        }
    }

    fn list(&self) -> Answer {
        let standings = self.standings();
        let mut lines = vec![self.headline()];
        let (used, unused): (Vec<_>, Vec<_>) =
            standings.iter().partition(|one| one.need.is_some() || one.shown.is_some());
        for one in &used {
            lines.push(one.line());
            lines.extend(one.how().map(|how| format!("      {how}")));
        }
        if !unused.is_empty() {
            lines.push("Not used by this preset:".to_owned());
            lines.extend(unused.iter().map(|one| format!("  {}  {}", one.name, one.what())));
        }
        lines.push("To give one a value: gwinstall env set NAME".to_owned());
        lines.extend(self.values.notes.iter().map(|note| format!("note: {note}")));
        let data: Vec<Json> = standings.iter().map(Standing::json).collect();
        Answer::new(count(standings.len(), "variable")).text(lines.join("\n")).data(json!({
            "preset": self.choice.preset.name,
            "deployed": self.record.is_some(),
            "variables": data,
            "missing": self.missing(),
            "notes": self.values.notes,
        }))
    }

    /// Before a deployment there is no .env to write to: the next installation looks around.
    fn required(&self, missing: &[String]) -> Finding {
        let finding = checks::required_env_vars(missing, true);
        let Some(first) = missing.first() else { return finding };
        let hint = match self.record {
            Some(_) => {
                missing.iter().map(|name| format!("gwinstall env set {name}")).collect::<Vec<_>>().join("; ")
            }
            None => format!("export {first}=…, or write it to ~/.claude/.env; then: gwinstall install"),
        };
        Finding { hint: Some(hint.into()), ..finding }
    }

    fn check(&self) -> Result<Answer> {
        let missing = self.missing();
        let mut checks = Checks::default();
        checks.run(CheckName::RequiredEnvVarsPresent, || self.required(&missing));
        if self.record.is_some() {
            checks.run(CheckName::EnvFilePermissions, || checks::private(self.place, files::ENV));
            checks.run(CheckName::EnvFileReadable, || readable(self.file));
        }
        conflicts::examine(&mut checks, self.place, self.record)?;
        let lines: Vec<String> = checks.0.iter().map(report::check_line).collect();
        let failed = checks.failed().len();
        let warned = checks.0.iter().filter(|check| check.status == Status::Warn).count();
        let summary = match (failed, warned) {
            (0, 0) => "the environment is complete".to_owned(),
            (0, _) => format!("the environment is complete, with {}", count(warned, "warning")),
            _ if missing.is_empty() => format!("{} failed", count(failed, "check")),
            _ => format!("{} without a value", count(missing.len(), "required variable")),
        };
        let answer = Answer::new(summary)
            .text(lines.join("\n"))
            .data(json!({ "checks": checks.json(), "missing": missing, "preset": self.choice.preset.name }));
        Ok(if failed == 0 { answer } else { answer.exit(Kind::Failed) })
    }
}

impl Standing<'_> {
    fn line(&self) -> String {
        let need = self.need.map_or("not used by this preset", Need::words);
        let shown = self.shown.as_deref().unwrap_or("-");
        format!("  {}  {shown}  ({need}; {})", printable(&self.name), self.source)
    }

    fn what(&self) -> &str {
        self.variable
            .map_or("a variable of yours; its value is treated as secret", |variable| &variable.description)
    }

    /// How a person gets a value; only where none is there.
    fn how(&self) -> Option<String> {
        let variable = self.variable.filter(|_| self.shown.is_none())?;
        let example =
            variable.example.as_ref().map_or_else(String::new, |example| format!(" (for example {example})"));
        Some(format!("{}{example}. {}", variable.description, variable.how))
    }

    fn json(&self) -> Json {
        json!({
            "name": self.name,
            "value": self.shown,
            "source": self.source,
            "need": match self.need {
                Some(need) if need.is_required() => "required",
                Some(_) => "optional",
                None => "unused",
            },
            "needed_by_models": self.need == Some(Need::ByModels),
            "secret": self.variable.is_none_or(|variable| variable.secret),
            "aliases": self.variable.map_or(&[][..], |variable| &variable.aliases),
            "description": self.what(),
            "how": self.variable.map(|variable| &variable.how),
            "set": format!("gwinstall env set {}", self.name),
        })
    }
}

fn masked(value: &str, secret: bool) -> String {
    if secret || looks_secret(value) { mask(value) } else { printable(&mask_userinfo(value)) }
}

/// Where a value came from, for a person.
pub(super) fn words(source: ValueSource) -> &'static str {
    match source {
        ValueSource::Flag => "from a flag of the installation",
        ValueSource::Environment => "from the environment",
        ValueSource::File => "from a file",
        ValueSource::Rc => "from a shell start file",
        ValueSource::Gcloud => "from gcloud's login",
        ValueSource::Default => "the default",
        ValueSource::Generated => "generated",
        ValueSource::Prompt => "set with env set",
        ValueSource::Placeholder => "in .env",
    }
}

/// Lines of `.env` that its readers do not agree on; no message holds a value.
fn readable(file: &DotEnv) -> Finding {
    let problems = file.problems();
    let Some(first) = problems.first() else {
        return Finding::pass("every line of .env means one thing to every reader");
    };
    let told: Vec<Json> =
        problems.iter().map(|one| json!({ "line": one.line, "name": one.key, "why": one.why })).collect();
    let about = first.key.as_ref().map_or_else(String::new, |key| format!(" ({key})"));
    Finding::warn(format!(".env line {}{about}: {}", first.line, first.why))
        .details(json!({ "problems": told }))
}
