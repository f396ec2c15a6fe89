//! `env list` and `env check`: every variable, where its value comes from, whether the gateway needs it and how to set
//! it. Values of secrets are masked, always.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::bundle::Bundle;
use crate::bundle::catalog::{Catalog, EnvVar};
use crate::cli::{Common, EnvCommand};
use crate::deploy::checks::Checks;
use crate::deploy::context::Context;
use crate::deploy::values::{self, Values};
use crate::domain::name::{count, printable};
use crate::domain::place::files;
use crate::domain::record::{Record, ValueSource};
use crate::domain::request::Request;
use crate::domain::secret::{looks_secret, mask, mask_userinfo};
use crate::domain::stand_in::is_value;
use crate::domain::{Kind, Place, Result};
use crate::doors::term;
use crate::format::dotenv::DotEnv;
use crate::inspect::facts::Facts;
use crate::inspect::{examine, variables};
use crate::render::{self, Choice, MASTER_KEY, Need};
use crate::ui::report;

use super::{env_set, env_unset};
use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, common: &Common, command: &EnvCommand) -> Result<Answer> {
    match command {
        EnvCommand::Set { name, from, check, force, confirm, takeover } => {
            let asked = env_set::Asked {
                typed: name,
                from: from.as_deref(),
                check: *check,
                force: *force,
                yes: confirm.yes,
            };
            return env_set::run(place, common, &asked, (confirm, takeover));
        }
        EnvCommand::Unset { name, confirm, takeover } => {
            return env_unset::run(place, common, name, (confirm, takeover));
        }
        EnvCommand::List | EnvCommand::Check => {}
    }
    let context = Context::load(place)?;
    let record = context.recorded()?;
    let found = super::sources::deployed(place, record);
    let bundle = found.as_ref().map_err(Clone::clone)?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, record.map(|record| &record.request))?;
    let mut values = values::gather(place, &choice, &request)?;
    values.notes.extend(variables::unused(&context, &choice));
    values.notes.extend(variables::outdated(&context, &choice, &values));
    let facts = Facts::gather(&context)?;
    let unreadable = DotEnv::parse("");
    let (missing, file) = match (facts.env(), command) {
        (Ok(file), _) => (Ok(variables::missing(&facts, &choice, &values)?), file),
        // The check of the file itself says why.
        (Err(_), EnvCommand::Check) => (Err(".env cannot be read".to_owned()), &unreadable),
        (Err(error), _) => return Err(error),
    };
    let scene = Scene {
        place,
        record,
        facts: &facts,
        bundle: &found,
        choice: &choice,
        values: &values,
        file,
        missing,
    };
    Ok(match command {
        EnvCommand::Check => scene.check(),
        _ => scene.list(),
    })
}

/// The sources of all facts about a variable.
struct Scene<'a> {
    place: &'a Place,
    /// `None` if nothing is deployed: then the default preset applies.
    record: Option<&'a Record>,
    facts: &'a Facts<'a>,
    bundle: &'a Result<Bundle>,
    choice: &'a Choice<'a>,
    /// Found outside of `.env`.
    values: &'a Values,
    file: &'a DotEnv,
    /// Required variables without a value, or the reason why they are not known.
    missing: std::result::Result<Vec<String>, String>,
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
        if let Some(value) = self.file.get(name).filter(|value| is_value(name, value)) {
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
                    "not in .env yet; installing again takes it"
                } else {
                    "taken at installation"
                };
                (Some(masked(text, secret)), format!("{}; {next}", words(value.source)))
            }
            None if name == MASTER_KEY && self.record.is_none() && need.is_some() => {
                (None, "generated at installation".to_owned())
            }
            None => (None, "no value".to_owned()),
        }
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
        lines.push(format!("To give one a value: {}", term::command(&["env", "set", "NAME"])));
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

    fn missing(&self) -> &[String] {
        self.missing.as_deref().unwrap_or_default()
    }

    fn check(&self) -> Answer {
        let mut checks = Checks::default();
        examine::environment(&mut checks, self.facts, self.missing.as_deref().map_err(Clone::clone));
        examine::providers_of(&mut checks, self.facts, self.bundle);
        examine::claude_code(&mut checks, self.facts);
        let lines = report::check_lines(&checks.0);
        let failed = checks.failed().len();
        let warned = checks.warnings().count();
        let missing = self.missing();
        let summary = match (failed, warned) {
            (0, 0) => "the environment is complete".to_owned(),
            (0, _) => format!("the environment is complete, with {}", count(warned, "warning")),
            _ if missing.is_empty() => format!("{} failed", count(failed, "check")),
            _ => format!("{} without a value", count(missing.len(), "required variable")),
        };
        let answer = Answer::new(summary).text(lines.join("\n")).data(json!({
            "checks": checks.json(),
            "missing": self.missing(),
            "preset": self.choice.preset.name,
        }));
        if failed == 0 { answer } else { answer.exit(Kind::Failed) }
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

    /// How the user gets a value; only for a variable without one.
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
            "set": term::command(&["env", "set", &self.name]),
        })
    }
}

fn masked(value: &str, secret: bool) -> String {
    if secret || looks_secret(value) { mask(value) } else { printable(&mask_userinfo(value)) }
}

/// The source of a value, in words.
pub(super) fn words(source: ValueSource) -> &'static str {
    match source {
        ValueSource::Flag => "from a flag of the installation",
        ValueSource::Environment => "from the environment",
        ValueSource::File => "from a file",
        ValueSource::Rc => "from a shell start file",
        ValueSource::Gcloud => "from gcloud's login",
        ValueSource::Default => "the default",
        ValueSource::Generated => "generated",
        ValueSource::Prompt => "as you typed it",
        ValueSource::Placeholder => "in .env",
    }
}
