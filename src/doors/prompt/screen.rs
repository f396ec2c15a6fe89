//! A few lines at the cursor that are drawn again with every key, on standard error, and the keys themselves.
//!
//! Promise: only these lines are touched, whatever the size of the window and whenever it changes; nothing that is typed
//! shows up by itself; the terminal is as it was when the question is over, also after a signal. What was typed before
//! the question could be read answers nothing.

use std::io::Write as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::keys::{Key, Keys};
use crate::domain::name::shown;
use crate::domain::{Error, Kind, Result};
use crate::doors::window::{Size, size};
use crate::doors::wrap::columns;
use crate::doors::{signals, term};

/// An arrow key is three bytes; over a slow line they come apart.
const TOGETHER: Timespec = Timespec { tv_sec: 0, tv_nsec: 60_000_000 };
/// How soon a new size of the window is noticed.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// What happened.
pub(super) enum Event {
    Key(Key),
    Resized,
}

/// A line of the question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub text: String,
    pub bold: bool,
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self { text, bold: false }
    }
}

pub(super) struct Screen {
    before: Termios,
    size: Size,
    keys: Keys,
    drawn: Vec<Line>,
    /// Where the cursor is within the drawn lines: row, column.
    cursor: (usize, usize),
}

impl Screen {
    pub(super) fn open() -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).map_err(unreadable)?;
        let mut raw = before.clone();
        raw.make_raw();
        // A newline still starts the next line in the first column.
        raw.output_modes = before.output_modes;
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &raw).map_err(unreadable)?;
        write("\x1b[?25l\x1b[?2004h");
        Ok(Self { before, size: size(), keys: Keys::default(), drawn: Vec::new(), cursor: (0, 0) })
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Draws these lines in place of the last ones. With a cursor it is shown there: row, column.
    pub(super) fn draw(&mut self, lines: Vec<Line>, cursor: Option<(usize, usize)>) {
        let mut out = String::from("\x1b[?25l");
        out.push_str(&self.erased());
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                out.push_str("\r\n");
            }
            let text = shown(&line.text);
            out.push_str(&if line.bold { term::paint(&text, term::Style::Bold) } else { text.into_owned() });
        }
        let last = lines.len().saturating_sub(1);
        let end = (last, lines.last().map_or(0, |line| columns(&line.text)));
        self.cursor = cursor.unwrap_or(end);
        if cursor.is_some() {
            out.push_str(&up(last - self.cursor.0));
            out.push('\r');
            if self.cursor.1 > 0 {
                out.push_str(&format!("\x1b[{}C", self.cursor.1));
            }
            out.push_str("\x1b[?25h");
        }
        self.drawn = lines;
        write(&out);
    }

    /// Takes the question away; what was answered stays as ordinary lines.
    pub(super) fn close(mut self, answered: &[String]) {
        let mut out = self.erased();
        for line in answered {
            out.push_str(&shown(line));
            out.push_str("\r\n");
        }
        self.drawn.clear();
        write(&out);
    }

    /// Back to the first drawn line, and nothing below it. A terminal that has become narrower has broken long lines.
    fn erased(&self) -> String {
        if self.drawn.is_empty() {
            return String::new();
        }
        let above = self.drawn.iter().take(self.cursor.0);
        let rows: usize =
            above.map(|line| columns(&line.text).div_ceil(self.size.width).max(1)).sum::<usize>()
                + self.cursor.1 / self.size.width;
        format!("{}\r\x1b[J", up(rows.min(self.size.height.saturating_sub(1))))
    }

    pub(super) fn event(&mut self) -> Result<Event> {
        loop {
            signals::check()?;
            if let Some(key) = self.keys.next(false) {
                return event(key);
            }
            let waiting = self.keys.are_waiting();
            match readable(if waiting { TOGETHER } else { GLANCE }) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(unreadable(error)),
                Ok(true) => {
                    let mut bytes = [0; 1024];
                    match rustix::io::read(std::io::stdin(), &mut bytes) {
                        Ok(0) | Err(Errno::IO) => return Ok(Event::Key(Key::EndOfInput)),
                        Ok(length) => self.keys.feed(&bytes[..length]),
                        Err(Errno::INTR | Errno::AGAIN) => {}
                        Err(error) => return Err(unreadable(error)),
                    }
                }
                Ok(false) if waiting => match self.keys.next(true) {
                    Some(key) => return event(key),
                    // A paste without an end.
                    None => self.keys.forget(),
                },
                Ok(false) => {
                    let now = size();
                    if now != self.size {
                        self.size = now;
                        return Ok(Event::Resized);
                    }
                }
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(&self.erased());
        write("\x1b[?2004l\x1b[?25h");
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.before);
    }
}

fn event(key: Key) -> Result<Event> {
    if key == Key::Interrupt {
        return Err(Error::new(Kind::Interrupted(signal_hook::consts::SIGINT), "stopped by Ctrl-C"));
    }
    Ok(Event::Key(key))
}

fn readable(patience: Timespec) -> rustix::io::Result<bool> {
    let stdin = std::io::stdin();
    let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
    poll(&mut wanted, Some(&patience)).map(|ready| ready > 0)
}

fn up(rows: usize) -> String {
    if rows == 0 { String::new() } else { format!("\x1b[{rows}A") }
}

fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn unreadable(error: Errno) -> Error {
    Error::failed("cannot read the answer").because(crate::doors::errno::reason(&error.into()))
}
