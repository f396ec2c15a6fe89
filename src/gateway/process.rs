//! The process of the gateway on this machine, and what listens on its port. Looks only.
//!
//! Promise: a process counts as the gateway of a place only if it was started with the configuration of that place; a pid
//! that the system gave to another program never does.

use std::time::Duration;

use crate::domain::Place;
use crate::domain::place::files;
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

/// The process id of the gateway of this place, if it runs.
pub fn pid(place: &Place) -> Option<i32> {
    let text = disk::read_maybe(&place.file(files::PID), 64).ok().flatten()?;
    let pid = String::from_utf8(text).ok()?.trim().parse::<i32>().ok()?;
    let ours = system::is_running(pid) && system::was_started_with(pid, &place.file(files::CONFIG));
    ours.then_some(pid)
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
