//! What the libraries of a provider may read: `.env` and the environment, files below the home, the firmware. Reads only.

use std::path::{Path, PathBuf};

use crate::domain::stand_in::is_value;
use crate::domain::{Hint, Place};
use crate::doors::{disk, system};
use crate::format::dotenv::DotEnv;

/// What the libraries of a provider find.
#[derive(Debug, Clone, PartialEq)]
pub enum Login {
    /// A login, in words.
    Found(String),
    /// Something that is meant to be a login and cannot be one, and what to do.
    Unusable(String, Hint),
    Absent,
}

/// Where a login may come from.
pub(super) struct Sources<'a> {
    pub(super) place: &'a Place,
    pub(super) env: &'a DotEnv,
}

impl Sources<'_> {
    /// The value that LiteLLM sees: the start script passes on what `.env` does not say.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let of_file = self.env.get(name).filter(|value| is_value(name, value)).map(str::to_owned);
        of_file.or_else(|| system::variable(name).filter(|value| is_value(name, value)))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The path that a variable names, else the usual one below the home.
    pub(super) fn path(&self, name: &str, usual: &str) -> PathBuf {
        self.value(name).map_or_else(|| self.place.home.join(usual), Into::into)
    }
}

/// What the firmware says about the machine, as the libraries of cloud providers read it.
pub(super) fn firmware_says(file: &str, start: &[u8]) -> bool {
    let path = Path::new("/sys/class/dmi/id").join(file);
    disk::read_from(&path, 0, 64).is_ok_and(|text| text.starts_with(start))
}
