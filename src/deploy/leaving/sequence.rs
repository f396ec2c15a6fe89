//! The order of the steps by which open sessions of Claude Code leave the gateway, as a state machine without effects.
//!
//! Claude Code notices a change of its settings about a second after it, takes over what is set, and keeps what is only
//! removed: without the address and the helper it would send the user's login to the gateway. So the settings pass
//! through a state that sets everything, with a hook that Claude Code runs at the next change. A session runs only a hook
//! that it has taken over: when it does, it has taken over the rest of that state, too. So there are two writes of it, and
//! further ones for a session that was too slow for the first.
//!
//! Promise: `Finish::Restore` comes only when each session that was open has acknowledged, has ended, or began after the
//! first write; never because of the time that has passed.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::deploy::sessions::Open;
use crate::domain::session::Session;

/// How far the age of a session and the time since the first write may be apart by the way they are read.
const BLUR: Duration = Duration::from_millis(200);
/// Claude Code takes two writes within about a second for one.
const APART: Duration = Duration::from_secs(2);
/// The time between two writes where the system does not report changes, so that Claude Code looks every two seconds.
const APART_WHEN_POLLED: Duration = Duration::from_secs(4);
/// A session acknowledges after 1.0 to 1.5 seconds, and after 3.5 where it has to look. After this time it gets another
/// change to acknowledge.
const ACKNOWLEDGES_WITHIN: Duration = Duration::from_secs(3);
const ACKNOWLEDGES_WITHIN_WHEN_POLLED: Duration = Duration::from_secs(5);
/// Writes of the state with the hook.
const ROUNDS: u32 = 4;

/// A state of the settings on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Away from the gateway, with the hook of this round; the first is 1.
    Asking(u32),
    /// Away from the gateway, without a hook.
    ForLong,
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

/// The sequence for one departure.
pub(super) struct Sequence {
    /// Claude Code has to look for changes itself.
    polled: bool,
    /// Where an earlier run is known to have waited for these sessions only.
    only: Option<Vec<Session>>,
    /// The state that was written last, and when, on the caller's clock.
    last: Option<(State, Duration)>,
    /// Since when the settings lead away.
    away: Option<Duration>,
    acknowledged: BTreeSet<String>,
}

impl Sequence {
    pub(super) fn new(polled: bool, only: Option<Vec<Session>>) -> Self {
        Self { polled, only, last: None, away: None, acknowledged: BTreeSet::new() }
    }

    /// A session has taken over the state that leads away.
    pub(super) fn acknowledge(&mut self, id: String) {
        self.acknowledged.insert(id);
    }

    /// The state that `next` asked for has been written.
    pub(super) fn wrote(&mut self, state: State, now: Duration) {
        self.last = Some((state, now));
        self.away.get_or_insert(now);
    }

    /// The next step, by the sessions that are open now.
    pub(super) fn next(&self, open: &[Open], now: Duration) -> Step {
        let pending = self.pending(open, now);
        let (apart, acknowledges) = match self.polled {
            false => (APART, ACKNOWLEDGES_WITHIN),
            true => (APART_WHEN_POLLED, ACKNOWLEDGES_WITHIN_WHEN_POLLED),
        };
        let Some((state, written)) = self.last else {
            return if pending.is_empty() {
                Step::Finish(Finish::Restore)
            } else {
                Step::Write(State::Asking(1))
            };
        };
        let round = match state {
            State::ForLong => return Step::Finish(Finish::Stay(pending)),
            State::Asking(round) => round,
        };
        // The first change is acknowledged by none: each session learns of the hook by it.
        let pause = if pending.is_empty() || round == 1 { apart } else { acknowledges };
        match pause.checked_sub(now.saturating_sub(written)) {
            Some(rest) if !rest.is_zero() => Step::Wait(rest),
            _ if pending.is_empty() => Step::Finish(Finish::Restore),
            _ if round < ROUNDS => Step::Write(State::Asking(round + 1)),
            _ => Step::Write(State::ForLong),
        }
    }

    /// The sessions that may not have taken over what leads away. Ages are read in ticks of the system, and a moment before
    /// `now`: one that began just before the first write must not count as begun after it.
    pub(super) fn pending(&self, open: &[Open], now: Duration) -> Vec<Session> {
        let began_away = |open: &Open| match (open.age, self.away) {
            (Some(age), Some(away)) => age + BLUR < now.saturating_sub(away),
            _ => false,
        };
        let asked = |session: &Session| {
            self.only.as_ref().is_none_or(|only| only.iter().any(|known| known.is_same_process(session)))
        };
        let has = |session: &Session| session.id.as_ref().is_some_and(|id| self.acknowledged.contains(id));
        let pending =
            open.iter().filter(|open| asked(&open.session) && !began_away(open) && !has(&open.session));
        pending.map(|open| open.session.clone()).collect()
    }
}
