//! Open sessions of Claude Code in the commands that take the gateway out of its settings: what is said about them, and
//! how an earlier departure is finished.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::deploy::backup::KEEP;
use crate::deploy::context::Context;
use crate::deploy::draft::{self, Draft};
use crate::deploy::leaving::{self, Left, Progress, Surroundings};
use crate::deploy::recover::{self, Interrupted};
use crate::deploy::sessions::Open;
use crate::deploy::{converge, goals};
use crate::domain::name::count;
use crate::domain::record::Pointed;
use crate::domain::session::Session;
use crate::domain::{Error, Hint, Kind, Operation, Place, Result};
use crate::doors::progress::Waiting;
use crate::doors::term;
use crate::release::policy::Policy;
use crate::release::session;
use crate::ui::answer::Answer;
use crate::ui::report;

/// What is left of a command that failed after the sessions had been led away.
pub(super) const ON_ITS_WAY: &str =
    "Claude Code has left the gateway already; the next gwinstall command restores its settings";

/// Leads the open sessions away, if the draft takes the gateway out of the settings, and says so while it waits.
pub(super) fn lead_away(
    context: &Context<'_>,
    operation: Operation,
    draft: &Draft,
    (rules, lock_wait): (&Policy, u64),
) -> Result<Left> {
    let waiting = RefCell::new(None);
    let tell = |progress: &Progress<'_>| match progress {
        Progress::Begins(open) => term::talk(&begins(context.place, open)),
        Progress::Waits => {
            let wait = || Waiting::begin("Waiting until the open sessions have noticed");
            waiting.borrow_mut().get_or_insert_with(wait);
        }
    };
    let left = leaving::lead_away(context, operation, draft, &Surroundings { rules, tell: &tell, lock_wait });
    if let Some(waiting) = waiting.take() {
        waiting.end(left.is_ok());
    }
    left
}

fn begins(place: &Place, open: &[Open]) -> String {
    let sessions: Vec<&Session> = open.iter().map(|open| &open.session).collect();
    format!(
        "{} of Claude Code {} open; gwinstall leads {} away from the gateway first, in about 4 seconds:\n{}",
        count(open.len(), "session"),
        if open.len() == 1 { "is" } else { "are" },
        if open.len() == 1 { "it" } else { "them" },
        report::sessions(place, &sessions)
    )
}

/// The answer to a command whose sessions have not all followed. Only `off` has done what it could: the settings no
/// longer lead to the gateway.
pub(super) fn stays(place: &Place, operation: Operation, left: &Left) -> Result<Answer> {
    let staying: Vec<&Session> = left.staying.iter().collect();
    let (number, them) = (count(staying.len(), "session"), if staying.len() == 1 { "it" } else { "them" });
    let message = format!(
        "{number} of Claude Code {} not left the gateway",
        if staying.len() == 1 { "has" } else { "have" }
    );
    let list = report::sessions(place, &staying);
    let data = json!({ "sessions": as_json(left) });
    if operation == Operation::Off {
        let text = format!(
            "{message}:\n{list}\n  New sessions do not use the gateway. {} stays as it is now until you have closed {them}; the next gwinstall command then restores it.\n  To restore it once you have closed {them}: {}",
            place.show(&place.settings()),
            term::command(&["off"])
        );
        return Ok(Answer::new(message).text(text).data(data).exit(Kind::Pending));
    }
    Err(Error::new(Kind::Pending, message)
        .because(list.trim())
        .because("new sessions do not use the gateway; it was neither stopped nor changed, because this one still needs it")
        .hint(Hint::step(format!("close {them}")).or(Hint::again::<&str>(&[]).to("finish after that")))
        .fact("sessions", data["sessions"].clone()))
}

/// What became of the sessions, in lines below an answer; empty where none was open.
pub(super) fn words(place: &Place, left: &Left) -> String {
    let mut lines = String::new();
    if !left.followed.is_empty() {
        let has = if left.followed.len() == 1 { "has" } else { "have" };
        lines.push_str(&format!(
            "\n  {} of Claude Code {has} left the gateway, too.",
            count(left.followed.len(), "open session")
        ));
    }
    for (session, variables) in &left.logged_out {
        lines.push_str(&format!(
            "\n  Restart the session with {} from its shell; it is logged out until then: {}",
            variables.join(" and "),
            session.shown(place)
        ));
    }
    lines
}

pub(super) fn as_json(left: &Left) -> Value {
    let pids = |sessions: &[Session]| sessions.iter().map(|session| session.pid).collect::<Vec<_>>();
    json!({
        "followed": pids(&left.followed),
        "waiting": left.staying,
        "logged_out": left.logged_out.iter().map(|(session, _)| session.pid).collect::<Vec<_>>(),
    })
}

/// Restores the settings after an earlier departure, if every session that it waited for has ended. Says whether it did.
pub(super) fn finish(context: &Context<'_>, lock_wait: u64) -> Result<bool> {
    let place = context.place;
    let Some(record) = context.record.as_ref().filter(|record| record.request.pointed == Pointed::Leaving)
    else {
        return Ok(false);
    };
    let waits = leaving::awaited(context)?.is_none_or(|awaited| !awaited.is_empty());
    let tidy = matches!(recover::look(place)?, None | Some(Interrupted::TemporaryFiles));
    if waits || !tidy {
        return Ok(false);
    }
    let mut draft = draft::draft(context, goals::off(record), &session::policy()?)?;
    let change = converge::Change {
        place,
        record: Some(record),
        operation: Operation::Off,
        lock_wait,
        include_secrets: false,
        keep: record.request.keep.unwrap_or(KEEP),
        max_age_days: None,
        gateway: None,
    };
    change.apply(&mut draft, None).map_err(|failed| failed.error)?;
    leaving::forget(place)?;
    term::talk(&format!(
        "Every session of Claude Code that gwinstall waited for has ended: {} is as before gwinstall.",
        place.show(&place.settings())
    ));
    Ok(true)
}

/// What a command that looks does first: it finishes an earlier departure where that needs no waiting. Otherwise the
/// command reports it.
pub(super) fn finish_if_possible(place: &Place) -> Result<Context<'_>> {
    let context = Context::load(place)?;
    if finish(&context, 0).unwrap_or(false) { Context::load(place) } else { Ok(context) }
}
