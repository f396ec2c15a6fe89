//! `env unset`: removes the value of a variable from `gateway/.env`. What gwinstall gives by itself, a default or a
//! generated key, takes its place.

use serde_json::json;

use crate::bundle::catalog::Catalog;
use crate::cli::{Common, ConfirmArgs, TakeoverArgs};
use crate::deploy::goals::{self, Goal};
use crate::deploy::values;
use crate::domain::name::printable;
use crate::domain::place::files;
use crate::domain::record::ValueSource;
use crate::domain::request::Request;
use crate::domain::{Error, Hint, Operation, Place, Result};
use crate::doors::term;
use crate::format::dotenv::DotEnv;
use crate::render;
use crate::ui::answer::Answer;
use crate::ui::report;

use super::change::Change;
use super::env_name;
use super::sources;

pub(super) fn run(
    place: &Place,
    common: &Common,
    name: &str,
    (confirm, takeover): (&ConfirmArgs, &TakeoverArgs),
) -> Result<Answer> {
    env_name::require(name)?;
    let mut change =
        Change::open(place, common, confirm, Operation::UnsetValue)?.without_takeover(takeover.no_reload);
    let record = change.context.recorded()?.ok_or_else(|| {
        Error::usage("nothing is deployed yet, so there is no .env to change").hint(Hint::run(&["install"]))
    })?;
    let bundle = sources::deployed(place, Some(record))?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let values = values::gather(place, &choice, &request)?.unsetting(name);
    let now = value_in(&change.context.env()?.text, name);
    let goal = goals::where_it_is(&change.context, Operation::UnsetValue, &bundle, &choice, &values)?;
    let needed = goal.notes.missing.iter().any(|missing| missing == name);
    let next = goal.env.as_ref().and_then(|env| value_in(&env.text, name));
    let left = Left::of(&goal, &bundle.catalog, name, next.as_deref());
    let draft = change.draft(goal)?;
    change.facts.insert("name".to_owned(), json!(name));
    if now.is_none() || now == next || draft.plan.is_empty() {
        change.facts.insert("changed".to_owned(), json!(false));
        return Ok(change.nothing_to_do(&draft, left.nothing_to_do(place, name)));
    }
    if needed {
        term::talk(&format!("note: the gateway does not start without {name}"));
    }
    if !change.is_dry() {
        change.facts.insert("changed".to_owned(), json!(true));
    }
    let summary = format!("{}\n{}", left.intention(name), report::plan(&draft, true));
    change.carry_out(draft, &summary, |_, _| Ok(Answer::new(left.state(name)).text(left.done(name))))
}

fn value_in(text: &str, name: &str) -> Option<String> {
    DotEnv::parse(text).get(name).map(str::to_owned)
}

/// What `.env` has for a variable once the value of the user is gone.
enum Left {
    Nothing,
    RandomKey,
    /// The default, where it may be shown.
    Default(Option<String>),
}

impl Left {
    fn of(goal: &Goal, catalog: &Catalog, name: &str, next: Option<&str>) -> Self {
        let Some(value) = next else { return Self::Nothing };
        let recorded = goal.record.as_ref().and_then(|record| record.environment_variables.get(name));
        match recorded.map(|recorded| recorded.source) {
            Some(ValueSource::Generated) => Self::RandomKey,
            Some(ValueSource::Default) => Self::Default((!catalog.is_secret(name)).then(|| printable(value))),
            _ => Self::Nothing,
        }
    }

    fn default(value: Option<&String>) -> String {
        value.map_or_else(|| "the default".to_owned(), |value| format!("the default {value}"))
    }

    fn intention(&self, name: &str) -> String {
        match self {
            Self::Nothing => format!("Remove the value of {name}"),
            Self::RandomKey => format!("Replace {name} by a new random key"),
            Self::Default(value) => format!("Set {name} back to {}", Self::default(value.as_ref())),
        }
    }

    fn state(&self, name: &str) -> String {
        match self {
            Self::Nothing => format!("{name} has no value"),
            Self::RandomKey => format!("{name} is a new random key"),
            Self::Default(value) => format!("{name} has {}", Self::default(value.as_ref())),
        }
    }

    fn done(&self, name: &str) -> String {
        match self {
            Self::Nothing => format!("The value of {name} is removed."),
            Self::RandomKey => format!(
                "The value of {name} is replaced by a new random key: a gateway cannot run without one."
            ),
            Self::Default(value) => format!("{name} is back to {}.", Self::default(value.as_ref())),
        }
    }

    fn nothing_to_do(&self, place: &Place, name: &str) -> String {
        match self {
            Self::Default(value) => {
                format!("Nothing to do: {name} has {} already.", Self::default(value.as_ref()))
            }
            _ => format!("Nothing to do: {name} has no value in {}.", place.show(&place.file(files::ENV))),
        }
    }
}
