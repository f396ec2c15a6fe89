//! The user unit of systemd.
//!
//! Promise: whatever the path of the deployment holds, the unit names that path and nothing else: `%`, `$`, quotes and
//! backslashes are escaped as each directive reads them.

use std::path::Path;

use super::known::{Keeper, Process, Service, State, ask, name, target};
use crate::domain::name::printable;
use crate::domain::place::files;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{disk, system};

pub(super) fn service(place: &Place) -> Service {
    let config = system::path_variable("XDG_CONFIG_HOME").filter(|dir| dir.is_absolute());
    let dir = config.unwrap_or_else(|| place.home.join(".config")).join("systemd/user");
    let name = format!("{}.service", name(place));
    Service { keeper: Keeper::Systemd, path: dir.join(&name), name }
}

/// `Restart=always` with SIGKILL as a clean end: to let running requests finish, the script kills gunicorn's main process and
/// leaves its worker, which `KillMode=process` lets live on until it has answered.
pub(super) fn unit(place: &Place) -> String {
    let target = target(place);
    let script = quoted(&format!("{target}/{}", files::START));
    let (stopped, log) = (format!("{target}/{}", files::STOPPED), format!("{target}/{}", files::GATEWAY_LOG));
    format!(
        "# Written by gwinstall service install. To change it, make a drop-in: systemctl --user edit {name}
[Unit]
Description=LiteLLM gateway for Claude Code (gwinstall)
# A gateway that was stopped with gwinstall stop stays stopped until gwinstall start.
ConditionPathExists=!{stopped}
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
ExecStart=/bin/sh {script} service-run
# The listener closes, and running requests finish beside the next process.
ExecStop=/bin/sh {script} service-stop
KillMode=process
TimeoutStopSec=60
SuccessExitStatus=SIGKILL
Restart=always
RestartSec=5
StandardOutput=append:{log}
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=default.target
",
        name = service(place).name,
        stopped = specified(&stopped),
        log = specified(&log),
    )
}

/// A word of a command line.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    format!("\"{}\"", specified(&escaped))
}

/// A path that is the rest of its line.
fn specified(text: &str) -> String {
    text.replace('%', "%%")
}

fn ask_systemd(arguments: &[&str]) -> Result<String> {
    ask("systemctl", &[&["--user"], arguments].concat())
}

pub(super) fn reach() -> Result<()> {
    let Err(why) = ask_systemd(&["show-environment"]) else { return Ok(()) };
    let user = system::user_name();
    let error = Error::failed(format!(
        "the systemd instance of {} cannot be reached, and nothing was changed",
        printable(&user)
    ))
    .because(why.message());
    let error = why.causes().iter().fold(error, Error::because);
    if system::program("systemctl").is_none() || !disk::exists(Path::new("/run/systemd/system")) {
        let error = error.because("this system, perhaps a container, was not started by systemd");
        return Err(error.hint(Hint::run(&["start"]).to("start the gateway without a service")));
    }
    let linger = Hint::shell(format!("loginctl enable-linger {}", crate::domain::name::shell_word(&user)));
    Err(error.hint(linger.to("let systemd run an instance for this user, then repeat this")))
}

/// Makes systemd read the unit and start it from now on.
pub(super) fn enable(name: &str) -> Result<()> {
    ask_systemd(&["daemon-reload"])?;
    ask_systemd(&["enable", name]).map(drop)
}

pub(super) fn reload() {
    // Without an instance there is nothing that knows the unit.
    let _ = ask_systemd(&["daemon-reload"]);
}

pub(super) fn stop(name: &str) {
    let _ = ask_systemd(&["stop", name]);
}

/// Also without a running instance, which would start the unit at the next login.
pub(super) fn disable(service: &Service) {
    let _ = ask_systemd(&["disable", "--now", &service.name]);
    let Some(dir) = service.path.parent() else { return };
    let link = dir.join("default.target.wants").join(&service.name);
    if disk::link_target(&link).is_some() {
        let _ = disk::remove(&link);
    }
}

pub(super) fn state(name: &str) -> State {
    let shown = ask_systemd(&["show", name, "--property=ActiveState,UnitFileState,MainPID"]);
    match shown {
        Ok(text) => read(&text),
        Err(why) => {
            let reason = why.causes().first().cloned().unwrap_or_else(|| why.message().to_owned());
            State { process: Process::Unknown(reason), enabled: false }
        }
    }
}

fn read(text: &str) -> State {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let process = match value("ActiveState") {
        "active" | "reloading" => match value("MainPID").parse() {
            Ok(pid) if pid > 0 => Process::Runs(pid),
            _ => Process::Starting,
        },
        "activating" => Process::Starting,
        "failed" => Process::Failed,
        _ => Process::Stopped,
    };
    State { process, enabled: value("UnitFileState") == "enabled" }
}

pub(super) fn lingers() -> Option<bool> {
    let user = system::user_name();
    match ask("loginctl", &["show-user", &user, "--property=Linger"]).ok()?.trim() {
        "Linger=yes" => Some(true),
        "Linger=no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_itself_in_every_directive() {
        assert_eq!(quoted("/a b/%h/$HOME/\"x\"/\\y/ü"), "\"/a b/%%h/$$HOME/\\\"x\\\"/\\\\y/ü\"");
        assert_eq!(specified("/a b/%h/$HOME"), "/a b/%%h/$HOME");
    }

    #[test]
    fn the_state_is_what_systemd_shows() {
        let state = |process, enabled| State { process, enabled };
        for (text, expected) in [
            ("MainPID=7\nActiveState=active\nUnitFileState=enabled\n", state(Process::Runs(7), true)),
            ("MainPID=0\nActiveState=activating\nUnitFileState=enabled\n", state(Process::Starting, true)),
            ("MainPID=0\nActiveState=failed\nUnitFileState=disabled\n", state(Process::Failed, false)),
            ("MainPID=0\nActiveState=inactive\nUnitFileState=\n", state(Process::Stopped, false)),
            ("", state(Process::Stopped, false)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
