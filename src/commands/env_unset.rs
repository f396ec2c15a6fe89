//! `env unset`: removes the value of a variable from `gateway/.env`. What gwinstall gives by itself, a default or a
//! generated key, takes its place.

use serde_json::json;

use crate::cli::{Common, ConfirmArgs, TakeoverArgs};
use crate::deploy::goals::{self, Pointing};
use crate::deploy::values;
use crate::domain::place::files;
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
    let mut change = Change::open(place, common, confirm, Operation::UnsetValue)?.without_takeover(takeover.no_reload);
    let record = change.context.recorded()?.ok_or_else(|| {
        Error::usage("nothing is deployed yet, so there is no .env to change").hint(Hint::run(&["install"]))
    })?;
    let bundle = sources::deployed(place, Some(record))?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let pointing = Pointing::Is(record.request.pointed);
    let values = values::gather(place, &choice, &request)?.unsetting(name);
    let has_value = DotEnv::parse(&change.context.env()?.text).get(name).is_some();
    let goal =
        goals::from_choice(&change.context, Operation::UnsetValue, &bundle, &choice, &values, pointing, false)?;
    let needed = goal.notes.missing.iter().any(|missing| missing == name);
    let draft = change.draft(goal)?;
    change.facts.insert("name".to_owned(), json!(name));
    if !has_value || draft.plan.is_empty() {
        change.facts.insert("changed".to_owned(), json!(false));
        let shown = place.show(&place.file(files::ENV));
        return Ok(change.nothing_to_do(&draft, format!("Nothing to do: {name} has no value in {shown}.")));
    }
    if needed {
        term::talk(&format!("note: the gateway does not start without {name}"));
    }
    if !change.is_dry() {
        change.facts.insert("changed".to_owned(), json!(true));
    }
    let summary = format!("Remove the value of {name}\n{}", report::plan(&draft, true));
    let done = format!("The value of {name} is removed.");
    change.carry_out(draft, &summary, |_, _| Ok(Answer::new(format!("{name} has no value")).text(done)))
}
