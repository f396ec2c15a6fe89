//! `off` removes gwinstall's keys from Claude Code's settings, `on` sets them again. Nothing else changes.

use crate::cli::{Common, ConfirmArgs};
use crate::deploy::{goals, values};
use crate::domain::request::Request;
use crate::domain::{Error, Hint, Operation, Place, Result};
use crate::doors::term;
use crate::format::settings::KeyPath;
use crate::render;
use crate::ui::report;

use super::change::Change;
use super::sources;
use crate::ui::answer::Answer;

pub(super) fn run(
    place: &Place,
    common: &Common,
    confirm: &ConfirmArgs,
    operation: Operation,
) -> Result<Answer> {
    let off = operation == Operation::Off;
    let change = Change::open(place, common, confirm, operation)?;
    let record = change.context.deployed()?;
    let bundle = sources::deployed(place, Some(record))?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let values = values::gather(place, &choice, &request)?;
    let forced = record.request.forced;
    let goal = goals::from_choice(&change.context, operation, &bundle, &choice, &values, forced)?;
    let draft = change.draft(goal)?;
    if !off && draft.kept_keys.contains(&KeyPath::env(render::BASE_URL)) {
        return Err(Error::usage(format!(
            "{} sets env.ANTHROPIC_BASE_URL to another address",
            place.show(&place.settings())
        ))
        .because("you changed it, so it stays, and Claude Code does not use the gateway")
        .hint(Hint::run(&["install", "--force"]).to("point Claude Code at the gateway again")));
    }
    let (state, back) = if off {
        ("Claude Code no longer uses the gateway", "on")
    } else {
        ("Claude Code uses the gateway", "off")
    };
    if draft.plan.is_empty() {
        return Ok(change.nothing_to_do(&draft, format!("Nothing to do: {state}.")));
    }
    let summary = report::plan(&draft, true);
    change.carry_out(draft, &summary, |_, _| {
        let sessions = if off { report::LEAVE_OPEN_SESSIONS } else { report::OPEN_SESSIONS };
        let undo = term::command(&[back]);
        Ok(Answer::new(state).text(format!("{state}. To undo this: {undo}\n{sessions}")))
    })
}
