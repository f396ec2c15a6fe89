//! Questions: drawn with arrow keys on a terminal that can, numbered lines (`--plain`, `TERM=dumb`) for screen readers
//! and everything else.
//!
//! Promise: Esc, Ctrl-C, Ctrl-D and a signal give up and leave the terminal as it was; nothing has been changed before or
//! while a question is open. A key that means nothing does nothing, a paste answers nothing, and what was typed before a
//! question appeared is not its answer. Never wider than the window, never torn when it changes.
//!
//! Drawn here and not by a crate of prompts: ARCHITECTURE.md says with numbers what each of them does in a window of 40
//! columns, with a paste, and after a signal.

mod item;
mod keys;
mod line;
mod list;
mod plain;
mod screen;

use std::io::IsTerminal as _;

pub use item::{Answered, Item};
use list::List;

use super::{disk, term};
use crate::domain::{Error, Kind, Result, Secret};

/// No credential that goes into one line of `.env` is longer, in bytes.
pub const LONGEST_SECRET: u64 = 64 << 10;

/// One of `items`.
pub fn choose(question: &str, items: &[Item], default: usize) -> Result<Answered<usize>> {
    if term::is_plain() {
        return plain::choose(question, items, default);
    }
    let list = List { question, items, marked: None, at: default, complaint: "" };
    Ok(list.ask()?.and_then(|chosen| chosen.first().copied()))
}

/// At least one of `items`, those in `on` to begin with.
pub fn choose_several(question: &str, items: &[Item], on: &[bool]) -> Result<Answered<Vec<usize>>> {
    if term::is_plain() {
        return plain::choose_several(question, items, on);
    }
    List { question, items, marked: Some(on.to_vec()), at: 0, complaint: "" }.ask()
}

/// A line of text that `check` accepts; empty takes `default` where there is one.
pub fn ask(
    question: &str,
    default: Option<&str>,
    check: &dyn Fn(&str) -> Result<()>,
) -> Result<Answered<String>> {
    let shown = default.map_or_else(String::new, |default| format!(" [{default}]"));
    loop {
        let asked = format!("{question}{shown}:");
        let Some(typed) = line_of(&asked, default.unwrap_or_default())? else { return Ok(None) };
        match check(&typed) {
            Ok(()) => return Ok(Some(typed)),
            Err(error) => term::error(&error.to_string()),
        }
    }
}

/// A secret, typed without echo.
pub fn ask_secret(question: &str) -> Result<Answered<Secret>> {
    let question = format!("{question}:");
    let typed = if term::is_plain() { plain::ask_secret(&question) } else { line::ask(&question, "", true) }?;
    Ok(typed.map(Secret::new))
}

/// A secret from standard input: asked for on a terminal, else all that comes through the pipe.
pub fn read_secret(question: &str) -> Result<Secret> {
    if std::io::stdin().is_terminal() {
        return ask_secret(question)?.ok_or_else(stopped);
    }
    let text = String::from_utf8(disk::read_stdin(LONGEST_SECRET)?)
        .map_err(|error| Error::usage("standard input is not text").because(error.utf8_error()))?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

/// The end of a run whose user gave up at a question.
pub fn stopped() -> Error {
    Error::new(Kind::Cancelled, "Cancelled; nothing was changed.")
}

/// A yes/no question; an empty line means `default`, giving up means no.
pub fn confirm(question: &str, default: bool) -> Result<bool> {
    let (choices, usual) = if default { ("[Y/n]", "y") } else { ("[y/N]", "n") };
    loop {
        let Some(typed) = line_of(&format!("{question} {choices}"), usual)? else { return Ok(false) };
        match typed.to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "n" | "no" | "q" => return Ok(false),
            _ => term::error("Please answer y or n."),
        }
    }
}

/// An answer without the spaces around it.
fn line_of(question: &str, default: &str) -> Result<Answered<String>> {
    let typed = if term::is_plain() { plain::ask(question)? } else { line::ask(question, default, false)? };
    let line =
        |typed: String| if typed.trim().is_empty() { default.to_owned() } else { typed.trim().to_owned() };
    Ok(typed.map(line))
}
