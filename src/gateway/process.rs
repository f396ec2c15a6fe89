//! The process of the gateway on this machine, and what listens on its port. Looks only.
//!
//! Promise: a process counts as the gateway of a place only if its command line holds the configuration of that place and
//! `--run_gunicorn`; a pid that the system gave to another program never does. `start-gateway.sh` follows the same rule.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::Place;
use crate::domain::name::printable;
use crate::domain::place::files;
use crate::doors::listeners::{self, Listeners};
use crate::doors::processes;
use crate::doors::{disk, loopback, system};

/// What is known about a gateway on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    No,
    /// The gateway of this place.
    Ours {
        pid: i32,
        listens: bool,
    },
    /// Another program listens on the port; whether it answers as LiteLLM does.
    Foreign {
        litellm: bool,
    },
}

impl Running {
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Ours { .. })
    }
}

/// The process id of the gateway of this place, if it runs: the process that the pid file names; if that is lost or dead,
/// the one that listens, such as a worker whose master was killed.
pub fn pid(place: &Place) -> Option<i32> {
    let config = configuration(place);
    named_in_pid_file(place)
        .filter(|pid| system::is_running(*pid) && is_ours(*pid, &config))
        .filter(|pid| !processes::parent(*pid).is_some_and(|parent| is_ours(parent, &config)))
        .or_else(|| serving(&config))
}

/// The path on the command line: the start script resolves the links in it.
fn configuration(place: &Place) -> PathBuf {
    let target = disk::canonical(&place.target).unwrap_or_else(|_| place.target.clone());
    target.join(files::CONFIG)
}

fn named_in_pid_file(place: &Place) -> Option<i32> {
    let text = disk::read_maybe(&place.file(files::PID), 64).ok().flatten()?;
    String::from_utf8(text).ok()?.lines().next()?.trim().parse().ok()
}

fn is_ours(pid: i32, config: &Path) -> bool {
    processes::has_arguments(pid, &words(config))
}

fn words(config: &Path) -> [&Path; 2] {
    [config, Path::new("--run_gunicorn")]
}

/// Of the processes with our command line, the one that listens on the port of its command line and was not started by
/// another one of them. A process that finishes its last requests does not listen.
fn serving(config: &Path) -> Option<i32> {
    let ours = processes::started_with(&words(config));
    let listens = |pid: i32| {
        let port = processes::argument_behind(pid, "--port").and_then(|port| port.parse().ok());
        port.is_some_and(|port| match listeners::listeners(port, &[pid]) {
            Listeners::Known { among, .. } => !among.is_empty(),
            Listeners::Unknown => loopback::is_listening(port),
        })
    };
    let is_child = |pid: i32| processes::parent(pid).is_some_and(|parent| ours.contains(&parent));
    ours.iter().copied().find(|pid| !is_child(*pid) && listens(*pid))
}

/// Looks at the process, the port and the answer of `/health/liveliness`.
pub fn look(place: &Place, port: u16) -> Running {
    let listens = loopback::is_listening(port);
    if let Some(pid) = pid(place) {
        return Running::Ours { pid, listens };
    }
    if !listens {
        return Running::No;
    }
    let url = format!("http://127.0.0.1:{port}/health/liveliness");
    let litellm = loopback::get(&url, None, Duration::from_secs(2))
        .is_ok_and(|reply| reply.status == 200 && reply.body.contains("alive"));
    Running::Foreign { litellm }
}

/// In words, which program other than the gateway of this place would receive what is sent to the port; `None` where the
/// gateway would, or nothing listens.
pub fn stranger(place: &Place, port: u16) -> Option<String> {
    let ours = processes::started_with(&words(&configuration(place)));
    match listeners::listeners(port, &ours) {
        Listeners::Known { any: true, among } if among.is_empty() => {}
        Listeners::Unknown if ours.is_empty() => {}
        _ => return None,
    }
    let who = listeners::listening_on(port).map(|pid| match processes::name(pid) {
        Some(name) => format!("{} (pid {pid})", printable(&name)),
        None => format!("pid {pid}"),
    });
    Some(who.unwrap_or_else(|| "a program of another user".to_owned()))
}
