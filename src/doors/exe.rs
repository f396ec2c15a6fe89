//! Executables of ours: trying one, running one to its end, becoming one.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::domain::{Error, Result};

/// An answer longer than this is none of ours.
const OUTPUT_CAP: u64 = 8 << 20;

/// How a program ended, and what it wrote to stdout.
#[derive(Debug, Clone)]
pub struct Ended {
    /// `None` when a signal or our patience ended it.
    pub code: Option<i32>,
    pub stdout: String,
}

/// Runs a program that has nothing to ask, with an empty environment, and ends it after `patience`.
pub fn probe(program: &Path, arguments: &[&str], patience: Duration) -> Result<Ended> {
    let failed = |error: std::io::Error| {
        Error::failed(format!("cannot run {}", program.display())).because(super::disk::reason(&error))
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn(&mut command).map_err(failed)?;
    // What is probed prints a line; a pipe holds that without being read.
    let end = Instant::now() + patience;
    let code = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status.code(),
            None if Instant::now() >= end => {
                child.kill().map_err(failed)?;
                child.wait().map_err(failed)?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let mut stdout = String::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(1 << 16).read_to_string(&mut stdout).ok();
    }
    Ok(Ended { code, stdout })
}

/// Starts a program that was written a moment ago: as long as any process still holds it open for writing (one that
/// was forked meanwhile does, until its exec), the kernel calls it busy.
fn spawn(command: &mut Command) -> std::io::Result<std::process::Child> {
    for _ in 0..50 {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
    command.spawn()
}

/// Runs a program to its end with our environment and stderr, and keeps its stdout.
pub fn capture(program: &Path, arguments: &[OsString]) -> Result<Ended> {
    let failed = |error: std::io::Error| {
        Error::failed(format!("cannot run {}", program.display())).because(super::disk::reason(&error))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdout = String::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(OUTPUT_CAP).read_to_string(&mut stdout).map_err(failed)?;
    }
    Ok(Ended { code: child.wait().map_err(failed)?.code(), stdout })
}

/// Becomes the executable that now lies where we were started from, with the same arguments.
pub fn restart() -> Error {
    match self_update::restart::restart() {
        Ok(never) => match never {},
        Err(error) => Error::failed("cannot start the executable that was put back")
            .because(error)
            .hint("run the same command again"),
    }
}

/// The process that started us.
pub fn parent() -> Option<u32> {
    rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
}
