//! `off` and `on`: our keys out of Claude Code's settings, and in again. Nothing else changes.

use crate::cli::{Common, ConfirmArgs};
use crate::deploy::draft::draft;
use crate::deploy::goals::{self, Extent, Wish};
use crate::deploy::{settings, store, values};
use crate::domain::Operation;
use crate::domain::request::Request;
use crate::domain::{Error, Place, Result};
use crate::doors::prompt;
use crate::render;

use super::answer::Answer;
use super::change::{self, Change};
use super::report;

pub(super) fn run(place: &Place, common: &Common, args: &ConfirmArgs, off: bool) -> Result<Answer> {
    let operation = if off { Operation::Off } else { Operation::On };
    let change = Change::new(place, common, args, operation);
    change.recover()?;
    let last = store::record(place)?.ok_or_else(|| {
        let hint = if settings::are_orphaned(place) { "gwinstall uninstall" } else { "gwinstall install" };
        Error::usage("nothing is deployed yet").hint(hint)
    })?;
    let bundle = super::bundle_of(place, Some(&last))?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&last.request))?;
    let values = values::gather(place, &choice, &request)?;
    let wish = Wish {
        extent: Extent::Settings,
        force: last.request.forced,
        operation,
        off,
        ..Wish::again(place, &bundle, &request, &last, &values)
    };
    let mut drafted = draft(place, Some(&last), goals::from_request(&wish)?.goal)?;
    if !off && drafted.kept_keys.iter().any(|key| key == "env.ANTHROPIC_BASE_URL") {
        return Err(Error::usage(format!(
            "{} sets env.ANTHROPIC_BASE_URL to another address",
            place.show(&place.settings())
        ))
        .because("you changed it, so it stays, and Claude Code does not use the gateway")
        .hint("to point Claude Code here again: gwinstall install --force"));
    }
    let state = if off { "Claude Code no longer uses the gateway" } else { "Claude Code uses the gateway" };
    if drafted.plan.is_empty() {
        return Ok(Answer::new("nothing to do")
            .text(if off {
                "Nothing to do: Claude Code is already off the gateway."
            } else {
                "Nothing to do: Claude Code already uses the gateway."
            })
            .data(change::data(&drafted, None)));
    }
    let summary = report::plan(&drafted, true);
    if args.dry_run {
        let text = format!("{summary}\nThis was a dry run (plan {}): nothing was changed.", drafted.id);
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(change::data(&drafted, None)));
    }
    let Some(outcome) = change.carry_out(&mut drafted, &summary)? else {
        return Err(prompt::stopped());
    };
    let back = if off { "on" } else { "off" };
    let sessions = if off { report::LEAVE_OPEN_SESSIONS } else { report::OPEN_SESSIONS };
    let text = format!("{state}. To undo this: gwinstall {back}\n{sessions}");
    Ok(Answer::new(state).text(text).data(change::data(&drafted, Some(&outcome))))
}
