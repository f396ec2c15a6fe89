//! Executables of gwinstall itself: trying one, running one to its end, becoming one.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::system::cannot_run;
use crate::domain::{Error, Hint, Result};

/// Longer output cannot come from gwinstall.
const OUTPUT_CAP: u64 = 8 << 20;

/// The exit code of a program, and what it wrote to stdout.
#[derive(Debug, Clone)]
pub struct Ended {
    /// `None` when a signal or the end of its time ended it.
    pub code: Option<i32>,
    pub stdout: String,
}

impl Ended {
    /// For a sentence whose subject is the program.
    pub fn how_it_ended(&self) -> String {
        match self.code {
            Some(code) => format!("ended with {code}"),
            None => "did not end by itself".to_owned(),
        }
    }
}

/// Runs a program without input, with an empty environment, and ends it after `timeout`.
pub fn probe(program: &Path, arguments: &[&str], timeout: Duration) -> Result<Ended> {
    let failed = |error: io::Error| cannot_run(program, &error);
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn(&mut command).map_err(failed)?;
    // A probed program prints a line; a pipe holds that without being read.
    let end = Instant::now() + timeout;
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
        pipe.take(1 << 16).read_to_string(&mut stdout).map_err(failed)?;
    }
    Ok(Ended { code, stdout })
}

/// Starts a program that was written a moment ago. The kernel calls it busy as long as any process holds it open for
/// writing, as a process that was forked meanwhile does until its exec.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..50 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
    command.spawn()
}

/// Runs a program to its end with the environment and stderr of gwinstall, and keeps its stdout.
pub fn capture(program: &Path, arguments: &[OsString]) -> Result<Ended> {
    let failed = |error: io::Error| cannot_run(program, &error);
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

/// Replaces this process by the executable that is now where this one was started from, with the same arguments.
pub fn restart() -> Error {
    match self_update::restart::restart() {
        Ok(never) => match never {},
        Err(error) => Error::failed("cannot start the executable that was restored")
            .because(error)
            .hint(Hint::again::<&str>(&[])),
    }
}

/// The process that started this one.
pub fn parent() -> Option<u32> {
    rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
}
