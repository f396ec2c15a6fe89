//! A running gateway ends because a change removes its script, with the service that would start it again.
//!
//! Promise: it ends after Claude Code was pointed elsewhere, and while the change can still be undone; if the change is
//! undone, the service is installed again and a gateway that ran before runs again. Never: counts as a stop of the user.

use std::cell::{Cell, RefCell};

use crate::deploy::draft::Draft;
use crate::domain::place::files;
use crate::domain::{Error, Place, Result};
use crate::doors::{disk, term};

use super::service::{self, Found, Service};
use super::{Verb, process};

/// How a gateway ends.
pub struct Ending<'a> {
    place: &'a Place,
    /// It ran, and was asked to stop.
    asked: Cell<bool>,
    /// The service that was removed.
    removed: RefCell<Option<Service>>,
}

impl<'a> Ending<'a> {
    /// `None`: the script of the gateway stays, or nothing is started and stopped with it here.
    pub fn of(place: &'a Place, draft: &Draft) -> Option<Self> {
        let removes_script =
            draft.plan.changes().any(|step| step.name == files::START && step.post.is_none());
        (removes_script && !place.staged).then(|| Self {
            place,
            asked: Cell::new(false),
            removed: RefCell::new(None),
        })
    }

    /// Stops the gateway, also one that is starting, and removes its service.
    pub fn pass(&self) -> Result<()> {
        if let Some(what) = self.running() {
            term::talk(&format!("gwinstall stops {what}, because the script that stops it goes."));
            self.asked.set(true);
            super::run_script(self.place, Verb::Stop)?;
        }
        self.remove_service()
    }

    fn running(&self) -> Option<String> {
        let starting = || {
            disk::exists(&self.place.file(files::STARTING)).then(|| "the gateway that is starting".to_owned())
        };
        process::pid(self.place).map(|pid| format!("the gateway (pid {pid})")).or_else(starting)
    }

    /// Removes the service: it would start what is not there any more.
    fn remove_service(&self) -> Result<()> {
        let Some(service) = service::installed(self.place) else { return Ok(()) };
        let shown = self.place.show(&service.path);
        match service.remove(self.place)? {
            Found::Written => drop(self.removed.replace(Some(service))),
            Found::Edited | Found::Foreign => {
                term::talk(&format!("{shown} stays, disabled: you changed it."))
            }
            Found::Nothing => {}
        }
        Ok(())
    }

    /// After the change was undone.
    pub fn back(&self, error: Error) -> Error {
        let installed = self
            .removed
            .take()
            .map_or(Ok(()), |service| service.write(self.place).and_then(|()| service.enable()));
        let error = if self.asked.get() { super::up_again(self.place, Verb::Start, error) } else { error };
        match installed {
            Ok(()) => error,
            Err(why) => error.because(format!("the service could not be installed again: {why}")),
        }
    }
}
