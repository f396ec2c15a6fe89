//! `install --start`: starts the gateway with the new files while the change can still be reverted; if it is reverted, a
//! gateway that ran before runs again.

use crate::deploy::draft::Draft;
use crate::domain::{Error, Place, Result};

use super::{Verb, process};

/// How the gateway is started.
pub struct Starting<'a> {
    place: &'a Place,
    verb: Verb,
    was_running: bool,
}

impl<'a> Starting<'a> {
    pub fn of(place: &'a Place, draft: &Draft) -> Self {
        let was_running = process::pid(place).is_some();
        let verb = super::takes_over(&draft.plan).filter(|_| was_running).unwrap_or(Verb::Start);
        Self { place, verb, was_running }
    }

    /// A change succeeds only if the gateway answers with it.
    pub fn go(&self) -> Result<()> {
        super::run_in_transaction(self.place, self.verb)
    }

    /// After the change was reverted: a gateway that ran before runs again.
    pub fn back(&self, error: Error) -> Error {
        if !self.was_running || self.verb == Verb::Start {
            return error;
        }
        super::up_again(self.place, self.verb, error)
    }
}
