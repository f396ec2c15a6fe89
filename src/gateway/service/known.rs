//! What a service is: its names, its states, and how the programs of a service manager are asked.

use std::path::PathBuf;

use crate::domain::name::printable;
use crate::domain::{Error, Place, Result, Sha256};
use crate::doors::{disk, system};

/// Who keeps the gateway running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    Systemd,
    Launchd,
}

impl Keeper {
    /// The one of this system.
    pub(super) fn here() -> Option<Self> {
        match std::env::consts::OS {
            "linux" => Some(Self::Systemd),
            "macos" => Some(Self::Launchd),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }
}

/// The service of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub keeper: Keeper,
    /// As the service manager knows it.
    pub name: String,
    /// The unit or the agent.
    pub path: PathBuf,
}

/// The process, as the service manager sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Process {
    Runs(i32),
    /// The manager is starting it, or starts it again after a pause.
    Starting,
    Stopped,
    /// It ended too often, and the manager has given up.
    Failed,
    /// The manager does not answer; the reason.
    Unknown(String),
}

impl Process {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Runs(_) => "running",
            Self::Starting => "starting",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What the service manager says about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub process: Process,
    /// Whether the manager starts it by itself.
    pub enabled: bool,
}

/// Deployments beside the usual one have names of their own.
pub(super) fn name(place: &Place) -> String {
    if place.target == place.home.join(".claude/gateway") {
        return "gwinstall-gateway".to_owned();
    }
    let id = Sha256::of(place.target.as_os_str().as_encoded_bytes()).to_string();
    format!("gwinstall-gateway-{}", &id[..8])
}

/// The target, as the start script resolves it.
pub(super) fn target(place: &Place) -> String {
    let target = disk::canonical(&place.target).unwrap_or_else(|_| place.target.clone());
    target.to_string_lossy().into_owned()
}

/// Runs a program of the service manager; an error has what it printed.
pub(super) fn ask(program: &str, arguments: &[&str]) -> Result<String> {
    let found = system::program(program)
        .ok_or_else(|| Error::failed(format!("{program} was not found on the PATH")))?;
    // Where systemd listens for its user: a shell without a session, as after `su`, does not say so.
    let named = system::variable("XDG_RUNTIME_DIR");
    let dir = named.unwrap_or_else(|| format!("/run/user/{}", system::user_id()));
    let (code, output) = system::hear(&found, arguments, &[("XDG_RUNTIME_DIR", &dir)])?;
    if code == 0 {
        return Ok(output);
    }
    let error = Error::failed(format!("{program} {} ended with {code}", arguments.join(" ")));
    let lines = output.lines().filter(|line| !line.trim().is_empty());
    Err(lines.map(printable).fold(error, Error::because))
}
