//! What a person sees of a wait: a bar for a download, else one line with what gwinstall waits for and the seconds.
//!
//! Promise: both move on a terminal's stderr only. Elsewhere a wait is one plain line. Never: draws in CI, or prints anything
//! with `--quiet` or `--json`.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::system::Stopwatch;
use super::term::Level;
use super::{live, system, term};
use crate::domain::Result;
use crate::domain::name::shown;

const TICK: Duration = Duration::from_millis(125);

/// Whether a line on stderr may move.
pub fn moves() -> bool {
    let manner = term::manner();
    std::io::stderr().is_terminal()
        && system::variable("CI").is_none()
        && !manner.quiet
        && !manner.json
        && !manner.plain
}

/// A bar of `len` bytes with a name; invisible where it must not draw.
pub struct Bar(ProgressBar);

impl Bar {
    pub fn new(name: &str, len: u64) -> Self {
        let target = if moves() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(len), target).with_prefix(name.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows that so many bytes have arrived in all.
    pub fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}

/// One wait, from its first moment to its last.
pub struct Waiting {
    what: String,
    watch: Stopwatch,
    line: Option<ProgressBar>,
}

impl Waiting {
    /// `what` as the beginning of a sentence: "Starting the gateway".
    pub fn begin(what: impl Into<String>) -> Self {
        let what = shown(&what.into()).into_owned();
        let line = moves().then(|| {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                line.set_style(style.tick_chars("|/-\\ "));
            }
            line.set_message(what.clone());
            line
        });
        if term::manner().verbose {
            term::detail(&what);
        } else if line.is_none() {
            term::talk(&format!("{what} …"));
        }
        if let Some(line) = &line {
            live::set(Some(line.clone()));
            line.enable_steady_tick(TICK);
        }
        Self { what, watch: Stopwatch::start(), line }
    }

    /// Ends the wait and says with `--verbose` how it ended.
    pub fn end(self, succeeded: bool) {
        let (took, what) = (seconds(&self.watch), self.what.clone());
        drop(self);
        log_end(&what, &took, succeeded);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            live::set(None);
            line.finish_and_clear();
        }
    }
}

/// Runs `work`, and shows meanwhile what gwinstall waits for.
pub fn waiting<T>(what: impl Into<String>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let waiting = Waiting::begin(what);
    let done = work();
    waiting.end(done.is_ok());
    done
}

/// A phase that is too short to wait for: with `--verbose` its beginning and its end.
pub fn phase<T, E>(
    name: &str,
    work: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let watch = Stopwatch::start();
    term::detail(&format!("Starting {name}"));
    let done = work();
    log_end(name, &seconds(&watch), done.is_ok());
    done
}

fn log_end(what: &str, took: &str, succeeded: bool) {
    match succeeded {
        true => term::log(Level::Success, &format!("Completed in {took} s: {what}")),
        false => term::log(Level::Error, &format!("Failed after {took} s: {what}")),
    }
}

/// With one decimal.
fn seconds(watch: &Stopwatch) -> String {
    let tenths = watch.milliseconds() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Says on the moving line, if there is one, what it waits for now.
pub fn now(what: &str) {
    if let Some(line) = live::get() {
        line.set_message(what.to_owned());
    }
}
