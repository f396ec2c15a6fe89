//! What the user sees and answers: data on stdout, talk on stderr.
//!
//! Promise: a closed pipe or a full disk behind stdout never stops or breaks a run, and data that could not be written is
//! reported at its end. Never panics, never prints a secret (callers mask), never asks without a terminal.

use std::borrow::Cow;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::{Mutex, OnceLock};

pub use super::wrap::columns;
use super::{live, wrap};
use crate::domain::name::{shown, shown_json};
use crate::domain::{Error, Hint, Invocation, Result};

/// How gwinstall talks; decided once from the command line and the environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    pub quiet: bool,
    pub verbose: bool,
    pub color: bool,
    /// Machine-readable output: talk is left out.
    pub json: bool,
    /// Questions as numbered lines, without moving the cursor.
    pub plain: bool,
}

static MANNER: OnceLock<Manner> = OnceLock::new();
static INVOCATION: OnceLock<Invocation> = OnceLock::new();
/// The commands in the text printed so far: no line is broken inside one.
static WHOLE: Mutex<Vec<String>> = Mutex::new(Vec::new());
static UNWRITTEN: OnceLock<String> = OnceLock::new();

pub fn set_manner(manner: Manner) {
    let _ = MANNER.set(manner);
}

pub fn manner() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

/// How this run was called; decided once from the command line.
pub fn set_invocation(invocation: Invocation) {
    let _ = INVOCATION.set(invocation);
}

pub fn invocation() -> &'static Invocation {
    static NONE: Invocation = Invocation { place: Vec::new(), words: Vec::new() };
    INVOCATION.get().unwrap_or(&NONE)
}

/// A gwinstall command for a sentence: it works on the deployment of this run, and no line is broken in it.
pub fn command<W: AsRef<str>>(words: &[W]) -> String {
    let command = invocation().command(words);
    keep_whole(vec![command.clone()]);
    command
}

/// A hint as a person reads it.
pub fn hint(hint: &Hint) -> String {
    keep_whole(hint.commands(invocation()));
    hint.text(invocation())
}

/// A hint as a person reads it, one way in a line.
pub fn hint_lines(hint: &Hint) -> Vec<String> {
    keep_whole(hint.commands(invocation()));
    hint.lines(invocation())
}

fn keep_whole(commands: Vec<String>) {
    if let Ok(mut whole) = WHOLE.lock() {
        whole.extend(commands);
    }
}

/// A line of data.
pub fn data(text: &str) {
    let text = match (manner().json, stdout_is_terminal()) {
        (true, _) => shown_json(text),
        (false, true) => Cow::Owned(fitted(&shown(text)).into_owned()),
        // A program may read them, and takes them as they are.
        (false, false) => Cow::Borrowed(text),
    };
    put(format!("{text}\n").as_bytes());
}

/// Bytes of data as they are.
pub fn raw(bytes: &[u8]) {
    put(&for_stdout(bytes));
}

/// Bytes for stdout: a terminal sees nothing in them that it would act on.
fn for_stdout(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !stdout_is_terminal() {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(shown(&String::from_utf8_lossy(bytes)).into_owned().into_bytes())
}

fn put(bytes: &[u8]) {
    live::above(|| {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => {}
            // The reader closed the pipe: it has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                let _ = UNWRITTEN.set(super::errno::reason(&error));
            }
        }
    });
}

/// Why data could not be written to stdout, if it could not.
pub fn unwritten() -> Option<&'static str> {
    UNWRITTEN.get().map(String::as_str)
}

/// Bytes of data as they are; `false` when the reader has closed the pipe. Without bytes it only looks.
pub fn raw_while_read(bytes: &[u8]) -> bool {
    let out = io::stdout();
    let mut poll = [rustix::event::PollFd::new(&out, rustix::event::PollFlags::empty())];
    let gone = rustix::event::PollFlags::ERR | rustix::event::PollFlags::HUP | rustix::event::PollFlags::NVAL;
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    if rustix::event::poll(&mut poll, Some(&now)).is_ok() && poll[0].revents().intersects(gone) {
        return false;
    }
    let mut out = out.lock();
    out.write_all(&for_stdout(bytes)).and_then(|()| out.flush()).is_ok()
}

/// A line of talk: progress, warnings, questions.
pub fn talk(text: &str) {
    if !manner().quiet && !manner().json {
        error(text);
    }
}

/// A line that is printed also with `--quiet`.
pub fn error(text: &str) {
    let text = shown(text);
    let text = if io::stderr().is_terminal() { fitted(&text) } else { text };
    live::above(|| {
        let mut out = io::stderr().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
    });
}

/// The text with its lines broken between words, where the window would break them inside a word.
fn fitted(text: &str) -> Cow<'_, str> {
    let width = super::window::size().width.saturating_sub(1);
    if text.lines().all(|line| columns(line) <= width) {
        return Cow::Borrowed(text);
    }
    let whole = WHOLE.lock().map(|whole| whole.clone()).unwrap_or_default();
    Cow::Owned(
        text.split('\n').flat_map(|line| wrap::fit(line, width, &whole)).collect::<Vec<_>>().join("\n"),
    )
}

/// A line in lines of at most this width, broken between words and below the value where it is a name and a value.
pub fn fit(line: &str, width: usize) -> Vec<String> {
    wrap::fit(line, width, &[])
}

/// Columns for a page of text: those of the window, else COLUMNS, else as many as are good to read.
pub fn page_width(widest: usize) -> usize {
    let window = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    let given = || super::system::variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let width = if window > 0 { window } else { given().unwrap_or(widest) };
    width.clamp(20, widest)
}

/// Gives the text to a program that shows it on the terminal, and waits for that; `false` if it was not shown.
pub fn shown_by(program: &std::path::Path, arguments: &[&str], text: &str) -> bool {
    let mut command = std::process::Command::new(program);
    let Ok(mut child) = command.args(arguments).stdin(std::process::Stdio::piped()).spawn() else {
        return false;
    };
    if let Some(mut input) = child.stdin.take() {
        // A pager may end before it has read everything.
        let _ = input.write_all(text.as_bytes());
    }
    child.wait().is_ok_and(|status| status.success())
}

/// How much a line of the log of a run matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Success,
    Warn,
    Error,
}

/// A line of the log of a run, with its moment and its level, for `--verbose`.
pub fn log(level: Level, text: &str) {
    let level = match level {
        Level::Info => "INFO",
        Level::Success => "SUCCESS",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    };
    if manner().verbose {
        talk(&format!("[{}] {level}: {text}", super::system::now()));
    }
}

/// A line of detail, for `--verbose`.
pub fn detail(text: &str) {
    log(Level::Info, text);
}

pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal() && !manner().json
}

/// Whether questions are asked line by line.
pub fn is_plain() -> bool {
    manner().plain
}

pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Paints text for a person's eyes; plain where color is off.
pub fn paint(text: &str, style: Style) -> String {
    if manner().color { format!("\x1b[{}m{text}\x1b[0m", style as u8) } else { text.to_owned() }
}

#[derive(Debug, Clone, Copy)]
pub enum Style {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

/// One line from the terminal; `None` at the end of input.
pub fn read_line() -> Result<Option<String>> {
    wait_for_a_line()?;
    let mut line = String::new();
    let read = io::stdin().lock().take(1 << 16).read_line(&mut line);
    super::signals::check()?;
    match read {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(line)),
        Err(error) => Err(Error::failed("cannot read the answer").because(super::errno::reason(&error))),
    }
}

/// On a terminal a read starts over after a signal, and Ctrl-C would be without effect until the next line.
fn wait_for_a_line() -> Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    loop {
        super::signals::check()?;
        // The timeout covers a signal that arrives between `check` and `poll`.
        let patience = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut wanted, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) if stdin.is_terminal() => {}
            _ => return Ok(()),
        }
    }
}
