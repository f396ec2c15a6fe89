//! The gateway as a service of its user: a user unit of systemd, or an agent of launchd.
//!
//! Promises: the file of a service has its old content or its new one; a file that gwinstall did not write, or that was edited
//! since, is neither replaced nor removed; no value of `.env` is in it. `start-gateway.sh` starts and stops the process through
//! the service manager, and finds out about it from `.gwinstall/service`. Never: a service of the whole machine.

mod known;
mod launchd;
mod systemd;

use std::path::PathBuf;

use crate::domain::{Error, Place, Result, Sha256};
use crate::doors::disk::{self, At as _};

pub use known::{Keeper, Process, Service, State};

/// What is in the place of the service's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// As gwinstall wrote it.
    Written,
    /// gwinstall wrote it, and it was changed since.
    Edited,
    Foreign,
}

/// What gwinstall remembers about the file that it wrote.
struct Memory {
    service: Service,
    sha256: Sha256,
}

impl Service {
    /// The service that a deployment has, or would have, on this system.
    pub fn of(place: &Place) -> Result<Self> {
        let keeper = Keeper::here().ok_or_else(|| {
            Error::failed("gwinstall knows no service manager on this system")
                .because("a service needs systemd, or launchd on macOS")
        })?;
        Ok(match keeper {
            Keeper::Systemd => systemd::service(place),
            Keeper::Launchd => launchd::service(place),
        })
    }

    /// The content of the file.
    pub fn text(&self, place: &Place) -> String {
        match self.keeper {
            Keeper::Systemd => systemd::unit(place),
            Keeper::Launchd => launchd::agent(place, &self.name),
        }
    }

    pub fn look(&self, place: &Place) -> Result<Found> {
        if disk::link_target(&self.path).is_some() {
            return Ok(Found::Foreign);
        }
        let Some(bytes) = disk::read_maybe(&self.path, disk::TEXT_CAP)? else { return Ok(Found::Nothing) };
        let found = Sha256::of(&bytes);
        let remembered = memory(place).filter(|memory| memory.service.path == self.path);
        Ok(match remembered {
            Some(memory) if memory.sha256 == found => Found::Written,
            // A run that was interrupted before it wrote down what it had written.
            _ if bytes == self.text(place).as_bytes() => Found::Written,
            Some(_) => Found::Edited,
            None => Found::Foreign,
        })
    }

    /// Whether the service manager of this user answers; an error has its reason.
    pub fn reach(&self) -> Result<()> {
        match self.keeper {
            Keeper::Systemd => systemd::reach(),
            Keeper::Launchd => launchd::reach(),
        }
    }

    /// Writes the file, and remembers it. The manager is not asked yet.
    pub fn write(&self, place: &Place) -> Result<()> {
        let text = self.text(place);
        if let Some(dir) = self.path.parent() {
            disk::create_dirs(dir).at("create", dir)?;
        }
        disk::write_atomically(&self.path, text.as_bytes(), 0o644).at("write", &self.path)?;
        let remembered = place.service();
        let line = format!(
            "{} {} {}\n{}\n",
            self.keeper.word(),
            self.name,
            Sha256::of(text.as_bytes()),
            self.path.display()
        );
        disk::write_atomically(&remembered, line.as_bytes(), 0o600).at("write", &remembered)
    }

    /// Lets the manager start it by itself from now on.
    pub fn enable(&self) -> Result<()> {
        match self.keeper {
            Keeper::Systemd => systemd::enable(&self.name),
            Keeper::Launchd => launchd::enable(&self.name),
        }
    }

    /// Ends the process; running requests finish beside what comes next.
    pub fn stop(&self) {
        match self.keeper {
            Keeper::Systemd => systemd::stop(&self.name),
            Keeper::Launchd => launchd::stop(&self.name),
        }
    }

    /// Makes the manager forget the service, and removes its file unless it is another one by now; says what was in its place.
    pub fn remove(&self, place: &Place) -> Result<Found> {
        let found = self.look(place)?;
        match self.keeper {
            Keeper::Systemd => systemd::disable(self),
            Keeper::Launchd => launchd::stop(&self.name),
        }
        // From here on the script starts the gateway by itself.
        let remembered = place.service();
        if found == Found::Written {
            disk::remove(&remembered).at("remove", &remembered)?;
            disk::remove(&self.path).at("remove", &self.path)?;
        } else {
            disk::remove(&remembered).at("remove", &remembered)?;
        }
        if self.keeper == Keeper::Systemd {
            systemd::reload();
        }
        Ok(found)
    }

    pub fn state(&self) -> State {
        match self.keeper {
            Keeper::Systemd => systemd::state(&self.name),
            Keeper::Launchd => launchd::state(self),
        }
    }

    /// Whether it also runs while its user is not logged in; `None` where that cannot be found out.
    pub fn lingers(&self) -> Option<bool> {
        match self.keeper {
            Keeper::Systemd => systemd::lingers(),
            Keeper::Launchd => Some(false),
        }
    }
}

fn memory(place: &Place) -> Option<Memory> {
    let bytes = disk::read_maybe(&place.service(), disk::TEXT_CAP).ok().flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    let (first, path) = text.split_once('\n')?;
    let [keeper, name, sha256] = first.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let keeper = [Keeper::Systemd, Keeper::Launchd].into_iter().find(|one| one.word() == keeper)?;
    let path = PathBuf::from(path.strip_suffix('\n')?);
    Some(Memory { service: Service { keeper, name: name.to_owned(), path }, sha256: Sha256::parse(sha256)? })
}

/// The service that gwinstall installed for a deployment, also one that an interrupted run left.
pub fn installed(place: &Place) -> Option<Service> {
    if place.staged {
        return None;
    }
    let unfinished =
        || Service::of(place).ok().filter(|service| matches!(service.look(place), Ok(Found::Written)));
    memory(place).map(|memory| memory.service).or_else(unfinished)
}
