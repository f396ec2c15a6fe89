//! A long run of another program: watched, ended with this process, its output kept.
//!
//! Promise: the program and all that it starts end with this run, however this run ends; a Ctrl-C ends it at once; its
//! output is kept from the start and bounded when it is read. Never: a program that inherits the terminal's input.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{signals, system};
use crate::domain::{Error, Result};

/// The end of the output that is kept for a message.
const TAIL: u64 = 64 << 10;
const POLL: Duration = Duration::from_millis(20);

/// A program with its arguments and environment.
pub struct Job {
    command: Command,
    shown: String,
}

/// How a program ended, and the end of what it wrote to stdout and stderr.
#[derive(Debug)]
pub struct Ended {
    /// `None` when a signal or the end of its time ended it.
    pub code: Option<i32>,
    pub output: String,
}

impl Ended {
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

impl Job {
    /// In the directory `dir`, whose files the program may treat as its own.
    pub fn new(program: &Path, dir: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(dir).stdin(Stdio::null()).process_group(0);
        end_with_this_process(&mut command);
        Self { command, shown: program.display().to_string() }
    }

    #[must_use]
    pub fn args<A: AsRef<std::ffi::OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    #[must_use]
    pub fn set(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.command.env_remove(name);
        }
        self
    }

    /// Of the environment of this run, only the variables with such a name.
    #[must_use]
    pub fn with_only(mut self, passes: &dyn Fn(&str) -> bool) -> Self {
        self.command.env_clear();
        self.command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(passes)));
        self
    }

    /// Nothing of the environment of this run.
    #[must_use]
    pub fn without_environment(mut self) -> Self {
        self.command.env_clear();
        self
    }

    pub fn start(mut self) -> Result<Running> {
        let failed = |error: io::Error| system::cannot_run(Path::new(&self.shown), &error);
        let output = system::nameless_file().map_err(failed)?;
        self.command.stdout(output.try_clone().map_err(failed)?);
        self.command.stderr(output.try_clone().map_err(failed)?);
        let child = self.command.spawn().map_err(failed)?;
        Ok(Running { child, output, shown: self.shown, started: Instant::now(), over: false })
    }

    /// Runs it to its end; `each_second` is called about so often meanwhile.
    pub fn run(self, timeout: Duration, each_second: &mut dyn FnMut()) -> Result<Ended> {
        self.start()?.wait(timeout, each_second)
    }
}

/// A program that runs.
pub struct Running {
    child: Child,
    output: File,
    shown: String,
    started: Instant,
    over: bool,
}

impl Running {
    pub fn wait(mut self, timeout: Duration, each_second: &mut dyn FnMut()) -> Result<Ended> {
        let mut ticked = Instant::now();
        let code = loop {
            if system::ends_within(&self.child, POLL) {
                break self.end()?;
            }
            signals::check()?;
            if self.started.elapsed() >= timeout {
                self.end()?;
                break None;
            }
            if ticked.elapsed() >= Duration::from_secs(1) {
                each_second();
                ticked = Instant::now();
            }
        };
        Ok(Ended { code, output: self.output()? })
    }

    /// Ends all that the program left running, then takes its own end: until then no other group can have its number.
    fn end(&mut self) -> Result<Option<i32>> {
        system::end_group(&self.child);
        self.over = true;
        let status = self.child.wait();
        status.map(|status| status.code()).map_err(|error| system::cannot_run(Path::new(&self.shown), &error))
    }

    fn output(&mut self) -> Result<String> {
        let failed = |error: io::Error| {
            Error::failed(format!("cannot read the output of {}", self.shown)).because(error)
        };
        let len = self.output.metadata().map_err(failed)?.len();
        self.output.seek(SeekFrom::Start(len.saturating_sub(TAIL))).map_err(failed)?;
        let mut bytes = Vec::new();
        self.output.by_ref().take(TAIL).read_to_end(&mut bytes).map_err(failed)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A program that is not waited for any more ends with all that it started.
impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.end();
        }
    }
}

/// The kernel ends the program when this process is killed: it must not go on writing where the next run begins.
#[cfg(target_os = "linux")]
fn end_with_this_process(command: &mut Command) {
    let parent = std::process::id();
    let arm = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // This process may have ended before the call.
        let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        if now.and_then(|pid| u32::try_from(pid).ok()) == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::Interrupted.into())
        }
    };
    // SAFETY: between fork and exec it makes two system calls, which allocate nothing and take no lock.
    unsafe { command.pre_exec(arm) };
}

#[cfg(not(target_os = "linux"))]
fn end_with_this_process(_command: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::processes;

    fn sh(script: &str) -> Job {
        Job::new(Path::new("/bin/sh"), Path::new("/")).args(["-c", script])
    }

    #[test]
    fn its_output_and_its_end_are_known() {
        let mut ticks = 0;
        let ended = sh("echo out; echo err >&2; pwd; sleep 1.5; exit 3")
            .run(Duration::from_secs(20), &mut || ticks += 1)
            .unwrap();
        assert_eq!((ended.code, ended.output.as_str(), ticks), (Some(3), "out\nerr\n/\n", 1));
        let ended =
            sh("echo $A$B").without(&["B"]).set("A", "1").run(Duration::from_secs(20), &mut || ()).unwrap();
        assert_eq!(ended.output, "1\n");
    }

    #[test]
    fn what_takes_too_long_ends_with_all_that_it_started() {
        let started = Instant::now();
        let ended = sh("sleep 77 & echo $!; sleep 78").run(Duration::from_millis(300), &mut || ()).unwrap();
        assert_eq!(ended.code, None);
        assert!(started.elapsed() < Duration::from_secs(10));
        let pid: i32 = ended.output.trim().parse().unwrap();
        let gone = || !processes::has_arguments(pid, &[Path::new("77")]);
        while !gone() && started.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(gone());
    }
}
