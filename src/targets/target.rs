//! The names of the targets.

use crate::domain::word::words;
use crate::domain::{Error, Hint};

words! {
    /// What the files are for.
    pub enum Target {
        /// Docker Compose and podman-compose: nginx, LiteLLM, PostgreSQL, Redis on one machine.
        Compose = "compose",
        /// A server of its own: units, nginx, timers.
        Systemd = "systemd",
    }
}

impl Target {
    pub const ALL: [Self; 2] = [Self::Compose, Self::Systemd];

    pub fn parse(typed: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.word() == typed)
    }
}

/// The refusal of a target that needs a key of `gateway.yaml` which is not there.
pub fn needs(target: Target, key: &str, example: &str) -> Error {
    Error::usage(format!("{target} needs {key} in gateway.yaml"))
        .hint(Hint::step(format!("add the line: {key}: {example}")))
}
