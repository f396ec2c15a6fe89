//! Questions line by line: numbered answers, no sequence that moves a cursor or paints. For screen readers, `TERM=dumb`
//! and logs of terminals.

use std::io::Write as _;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::item::{Answered, Item};
use crate::domain::Result;
use crate::domain::name::shown;
use crate::doors::wrap::wrap;
use crate::doors::{term, window};

pub(super) fn choose(question: &str, items: &[Item], default: usize) -> Result<Answered<usize>> {
    numbered(question, items, &[]);
    loop {
        let Some(typed) = ask(&format!("Number, q to stop [{}]:", default + 1))? else { return Ok(None) };
        match typed.as_str() {
            "" => return Ok(Some(default)),
            "q" | "Q" => return Ok(None),
            text => match number(text, items.len()) {
                Some(index) => return Ok(Some(index)),
                None => term::error(&format!("Please type a number from 1 to {}.", items.len())),
            },
        }
    }
}

pub(super) fn choose_several(question: &str, items: &[Item], on: &[bool]) -> Result<Answered<Vec<usize>>> {
    numbered(question, items, on);
    let chosen: Vec<usize> = (0..items.len()).filter(|index| on.get(*index) == Some(&true)).collect();
    let empty = if chosen.is_empty() { "" } else { ", empty for the chosen ones" };
    loop {
        let Some(typed) = ask(&format!("Numbers with commas{empty}, q to stop:"))? else { return Ok(None) };
        if typed.is_empty() && !chosen.is_empty() {
            return Ok(Some(chosen));
        }
        if typed.eq_ignore_ascii_case("q") {
            return Ok(None);
        }
        let numbers: Option<Vec<usize>> = typed
            .split([',', ' '])
            .filter(|part| !part.is_empty())
            .map(|part| number(part, items.len()))
            .collect();
        match numbers {
            Some(mut numbers) if !numbers.is_empty() => {
                numbers.sort_unstable();
                numbers.dedup();
                return Ok(Some(numbers));
            }
            _ => term::error(&format!("Please type numbers from 1 to {}, for example 1,2.", items.len())),
        }
    }
}

/// A line without the spaces around it. `None` at the end of input.
pub(super) fn ask(question: &str) -> Result<Answered<String>> {
    let mut out = std::io::stderr().lock();
    let question = wrap(question, window::size().width.saturating_sub(4)).join("\n");
    let _ = write!(out, "{} ", shown(&question)).and_then(|()| out.flush());
    drop(out);
    Ok(term::read_line()?.map(|line| line.trim().to_owned()))
}

/// A line typed without echo.
pub(super) fn ask_secret(question: &str) -> Result<Answered<String>> {
    let _silence = Silence::begin();
    let typed = ask(question);
    term::error("");
    typed
}

/// Typed characters are not shown until this is dropped.
struct Silence(Option<rustix::termios::Termios>);

impl Silence {
    fn begin() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes -= LocalModes::ECHO;
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent);
        }
        Self(before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn numbered(question: &str, items: &[Item], on: &[bool]) {
    term::error(&format!("{question}:"));
    for (index, item) in items.iter().enumerate() {
        let mark = if on.get(index) == Some(&true) { " (chosen)" } else { "" };
        let note = item.note.split_whitespace().collect::<Vec<_>>().join(" ");
        let note = if note.is_empty() { note } else { format!(": {note}") };
        term::error(&format!("  {}. {}{note}{mark}", index + 1, item.name));
    }
}

fn number(text: &str, most: usize) -> Option<usize> {
    text.parse::<usize>().ok().filter(|number| (1..=most).contains(number)).map(|number| number - 1)
}
