//! The order of the steps by which open sessions of Claude Code leave the gateway, as a state machine without effects.
//!
//! Claude Code notices a change of its settings about a second after it, takes over what is set, and keeps what is only
//! removed: without the address and the helper it would send the user's login to the gateway. So the settings pass
//! through states that set everything, and are restored when every session is known to have noticed.
//!
//! Promise: `Finish::Restore` comes only when each session that was open has acknowledged the middle state, has ended,
//! or began after it; never because of the time that has passed.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::session::Session;
use crate::deploy::sessions::Open;

/// Claude Code takes two writes within about a second for one.
const APART: Duration = Duration::from_secs(2);
/// The same where no change is reported to Claude Code, so that it looks every two seconds.
const APART_WHEN_POLLED: Duration = Duration::from_secs(4);
/// A session acknowledges before it takes the change over.
const TAKES_OVER: Duration = Duration::from_millis(500);
/// Sessions acknowledge after 1.0 to 1.5 seconds, and after 3.5 seconds where they have to look.
const ACKNOWLEDGES_WITHIN: Duration = Duration::from_secs(6);
/// The longest time after which a session that is not stopped has noticed a change.
const NOTICES_WITHIN: Duration = Duration::from_millis(3500);

/// How Claude Code gets from its present settings to the desired ones without an address and a credential that do not
/// belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// One write: the desired settings set everything, or nothing of it changes.
    Straight,
    /// The desired settings name an address and a credential: first with empty values for what they leave out.
    Blanks,
    /// They name none: through settings that lead away from the gateway.
    Middle,
}

/// A state of the settings on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As they are, with the hook that acknowledges.
    Announced,
    /// Away from the gateway, with the hook.
    Away,
    /// Away from the gateway, without the hook.
    AwayForLong,
    /// As desired, with empty values for what the desired settings leave out.
    Blanks,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Write(State),
    /// Look again after this time at most.
    Wait(Duration),
    Finish(Finish),
}

/// How it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finish {
    /// The desired settings may be written.
    Restore,
    /// The settings stay away from the gateway until these sessions have ended.
    Stay(Vec<Session>),
}

/// The steps so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Announced,
    Away,
    Blanks,
    Staying,
}

/// The sequence for one departure.
pub(super) struct Sequence {
    passage: Passage,
    /// Claude Code has to look for changes itself.
    polled: bool,
    /// Where an earlier run is known to have waited for these sessions only.
    only: Option<Vec<Session>>,
    at: At,
    /// The moment of the last write, on the caller's clock.
    written: Duration,
    /// Since when the settings lead away.
    away: Option<Duration>,
    /// Since when every session has acknowledged.
    complete: Option<Duration>,
    acknowledged: BTreeSet<String>,
}

impl Sequence {
    pub(super) fn new(passage: Passage, polled: bool, only: Option<Vec<Session>>) -> Self {
        Self {
            passage,
            polled,
            only,
            at: At::Start,
            written: Duration::ZERO,
            away: None,
            complete: None,
            acknowledged: BTreeSet::new(),
        }
    }

    /// A session acknowledged the middle state.
    pub(super) fn acknowledge(&mut self, id: String) {
        self.acknowledged.insert(id);
    }

    /// The state that `next` asked for has been written.
    pub(super) fn wrote(&mut self, state: State, now: Duration) {
        self.written = now;
        if state == State::Away {
            self.away = Some(now);
        }
        self.at = match state {
            State::Announced => At::Announced,
            State::Away => At::Away,
            State::AwayForLong => At::Staying,
            State::Blanks => At::Blanks,
        };
    }

    /// The next step, by the sessions that are open now.
    pub(super) fn next(&mut self, open: &[Open], now: Duration) -> Step {
        let pending = self.pending(open, now);
        let since = now.saturating_sub(self.written);
        let until = |moment: Duration| Step::Wait(moment.saturating_sub(since));
        match self.at {
            At::Start if self.passage == Passage::Straight || pending.is_empty() => {
                Step::Finish(Finish::Restore)
            }
            At::Start if self.passage == Passage::Blanks => Step::Write(State::Blanks),
            At::Start => Step::Write(State::Announced),
            At::Blanks if since >= NOTICES_WITHIN => Step::Finish(Finish::Restore),
            At::Blanks => until(NOTICES_WITHIN),
            // Also where no session is left: a new one may have read the hook.
            At::Announced if since >= self.apart() => Step::Write(State::Away),
            At::Announced => until(self.apart()),
            At::Away if pending.is_empty() => {
                let complete = *self.complete.get_or_insert(now);
                let ready = (complete + TAKES_OVER).max(self.written + self.apart());
                if now >= ready { Step::Finish(Finish::Restore) } else { Step::Wait(ready - now) }
            }
            At::Away if since >= ACKNOWLEDGES_WITHIN => Step::Write(State::AwayForLong),
            At::Away => {
                self.complete = None;
                until(ACKNOWLEDGES_WITHIN)
            }
            At::Staying => Step::Finish(Finish::Stay(pending)),
        }
    }

    fn apart(&self) -> Duration {
        if self.polled { APART_WHEN_POLLED } else { APART }
    }

    /// The sessions that still have to notice.
    pub(super) fn pending(&self, open: &[Open], now: Duration) -> Vec<Session> {
        let began_away = |open: &Open| match (open.age, self.away) {
            (Some(age), Some(away)) => age < now.saturating_sub(away),
            _ => false,
        };
        let asked = |session: &Session| {
            self.only.as_ref().is_none_or(|only| only.iter().any(|known| known.is_same_process(session)))
        };
        let has = |session: &Session| {
            session.id.as_ref().is_some_and(|id| self.acknowledged.contains(id))
        };
        let pending =
            open.iter().filter(|open| asked(&open.session) && !began_away(open) && !has(&open.session));
        pending.map(|open| open.session.clone()).collect()
    }
}
