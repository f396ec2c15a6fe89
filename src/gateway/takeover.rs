//! A running gateway takes over a change while the change can still be undone; if it does not, the previous
//! configuration and the previous process are back.

use crate::deploy::draft::Draft;
use crate::domain::record::Record;
use crate::domain::{Error, Place, Result};

use super::{Verb, process, serving};

/// How the gateway gets to serve a change.
pub struct Takeover<'a> {
    place: &'a Place,
    pub verb: Verb,
    was_running: bool,
}

impl<'a> Takeover<'a> {
    /// `start`: the gateway is to run at the end, whether it runs now or not. `None`: nothing that runs is concerned.
    pub fn of(place: &'a Place, draft: &Draft, start: bool) -> Option<Self> {
        let runs_here = draft.record.as_ref().is_some_and(Record::runs_litellm);
        if place.staged || !runs_here {
            return None;
        }
        let concerned = super::takes_over(&draft.plan);
        if concerned.is_none() && !start {
            return None;
        }
        let was_running = process::pid(place).is_some();
        let concerned = concerned.filter(|_| was_running);
        let verb = concerned.or(start.then_some(Verb::Start))?;
        Some(Self { place, verb, was_running })
    }

    /// Succeeds once the gateway serves what its files on disk say.
    pub fn pass(&self) -> Result<()> {
        super::run_in_transaction(self.place, self.verb)?;
        serving::wait(self.place)
    }

    /// After the change was undone: a gateway that ran before runs again with its previous files.
    pub fn back(&self, error: Error) -> Error {
        if !self.was_running || self.verb == Verb::Start {
            return error;
        }
        // The new configuration may have ended the process, and then there is nothing to reload.
        let verb = if process::pid(self.place).is_some() { self.verb } else { Verb::Start };
        super::up_again(self.place, verb, error)
    }

    /// What the gateway did, in the past.
    pub fn done(&self) -> &'static str {
        match self.verb {
            Verb::Reload => "The running gateway took over its new configuration.",
            Verb::Restart => "The gateway was restarted and serves the change.",
            Verb::Start | Verb::Stop => "The gateway runs.",
        }
    }
}
