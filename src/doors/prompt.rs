//! Questions with a choice: arrow keys on a terminal that can, numbered lines (`--plain`, `TERM=dumb`) for screen
//! readers and everything else.
//!
//! Promise: Esc, Ctrl-C and the end of input give up and leave the terminal as it was; nothing has been changed
//! before or while a question is open. Lines stay within 36 columns where they can, so that a narrow window does not
//! tear them.

use std::io::Write as _;

use dialoguer::theme::SimpleTheme;
use dialoguer::{Input, MultiSelect, Password, Select};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::{signals, term};
use crate::domain::{Error, Result, Secret};

/// While a question is open: a signal restores the terminal and ends the process.
struct Open {
    handle: Option<Handle>,
    before: Option<rustix::termios::Termios>,
}

impl Open {
    fn begin() -> Self {
        let before = rustix::termios::tcgetattr(std::io::stdin()).ok();
        let restored = before.clone();
        let handle = Signals::new([SIGINT, SIGTERM, SIGHUP]).ok().map(|mut arriving| {
            let handle = arriving.handle();
            std::thread::spawn(move || {
                if let Some(signal) = arriving.forever().next() {
                    restore(restored.as_ref());
                    std::process::exit(128 + signal);
                }
            });
            handle
        });
        Self { handle, before }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.close();
        }
        restore(self.before.as_ref());
    }
}

/// Line mode, echo and the cursor, as they were.
fn restore(before: Option<&rustix::termios::Termios>) {
    if let Some(before) = before {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, before);
    }
    if !term::is_plain() {
        let _ = std::io::stderr().write_all(b"\x1b[?25h");
    }
}

/// One of `items`; `None` when the user gives up.
pub fn choose(question: &str, items: &[String], default: usize) -> Result<Option<usize>> {
    if term::is_plain() {
        return choose_plainly(question, items, default);
    }
    let open = Open::begin();
    let chosen =
        Select::with_theme(&SimpleTheme).with_prompt(question).items(items).default(default).interact_opt();
    drop(open);
    answer(chosen)
}

/// Any of `items`, those in `on` to begin with; `None` when the user gives up.
pub fn choose_several(question: &str, items: &[String], on: &[bool]) -> Result<Option<Vec<usize>>> {
    if term::is_plain() {
        return choose_several_plainly(question, items, on);
    }
    let open = Open::begin();
    let chosen = MultiSelect::with_theme(&SimpleTheme)
        .with_prompt(format!("{question} (space, then enter)"))
        .items(items)
        .defaults(on)
        .interact_opt();
    drop(open);
    answer(chosen)
}

/// A line of text that `check` accepts; empty takes `default` where there is one. `None` at the end of input.
pub fn ask(
    question: &str,
    default: Option<&str>,
    check: &dyn Fn(&str) -> Result<()>,
) -> Result<Option<String>> {
    loop {
        let typed =
            if term::is_plain() { ask_plainly(question, default)? } else { ask_fancily(question, default)? };
        let Some(typed) = typed else { return Ok(None) };
        match check(&typed) {
            Ok(()) => return Ok(Some(typed)),
            Err(error) => term::error(&format!("{error}")),
        }
    }
}

/// A secret, typed without echo.
pub fn ask_secret(question: &str) -> Result<Secret> {
    let open = Open::begin();
    let typed = Password::new().with_prompt(question).allow_empty_password(true).interact();
    drop(open);
    signals::check()?;
    typed.map(Secret::new).map_err(|error| unreadable(&error))
}

fn ask_fancily(question: &str, default: Option<&str>) -> Result<Option<String>> {
    let open = Open::begin();
    let mut input = Input::<String>::with_theme(&SimpleTheme).with_prompt(question).allow_empty(true);
    if let Some(default) = default {
        input = input.default(default.to_owned());
    }
    let typed = input.interact_text();
    drop(open);
    answer(typed.map(Some))
}

fn answer<T>(given: std::result::Result<Option<T>, dialoguer::Error>) -> Result<Option<T>> {
    signals::check()?;
    match given {
        Ok(answer) => Ok(answer),
        // Ctrl-C reaches the prompt as an interrupted read.
        Err(dialoguer::Error::IO(error)) if error.kind() == std::io::ErrorKind::Interrupted => {
            Err(Error::new(crate::domain::Kind::Interrupted(SIGINT), "stopped by Ctrl-C"))
        }
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &dialoguer::Error) -> Error {
    Error::failed("cannot read the answer").because(error)
}

fn numbered(question: &str, items: &[String], on: &[bool]) {
    term::error(question);
    for (index, item) in items.iter().enumerate() {
        let mark = if on.get(index).copied().unwrap_or(false) { " (chosen)" } else { "" };
        term::error(&format!("  {}. {item}{mark}", index + 1));
    }
}

fn choose_plainly(question: &str, items: &[String], default: usize) -> Result<Option<usize>> {
    numbered(question, items, &[]);
    loop {
        let Some(typed) = ask_plainly(&format!("Number, q to stop [{}]", default + 1), None)? else {
            return Ok(None);
        };
        match typed.as_str() {
            "" => return Ok(Some(default)),
            "q" | "Q" => return Ok(None),
            text => match text.parse::<usize>().ok().filter(|n| (1..=items.len()).contains(n)) {
                Some(n) => return Ok(Some(n - 1)),
                None => term::error(&format!("please type a number from 1 to {}", items.len())),
            },
        }
    }
}

fn choose_several_plainly(question: &str, items: &[String], on: &[bool]) -> Result<Option<Vec<usize>>> {
    numbered(question, items, on);
    loop {
        let Some(typed) = ask_plainly("Numbers with commas, empty for the chosen ones, q to stop", None)?
        else {
            return Ok(None);
        };
        match typed.as_str() {
            "" => {
                return Ok(Some(
                    (0..items.len()).filter(|index| on.get(*index).copied().unwrap_or(false)).collect(),
                ));
            }
            "q" | "Q" => return Ok(None),
            text => {
                let numbers: Option<Vec<usize>> = text
                    .split(',')
                    .map(|part| {
                        part.trim()
                            .parse::<usize>()
                            .ok()
                            .filter(|n| (1..=items.len()).contains(n))
                            .map(|n| n - 1)
                    })
                    .collect();
                match numbers {
                    Some(numbers) => return Ok(Some(numbers)),
                    None => term::error(&format!(
                        "please type numbers from 1 to {}, for example 1,2",
                        items.len()
                    )),
                }
            }
        }
    }
}

fn ask_plainly(question: &str, default: Option<&str>) -> Result<Option<String>> {
    let shown = default.map_or_else(String::new, |default| format!(" [{default}]"));
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "{question}{shown}: ").and_then(|()| out.flush());
    drop(out);
    let Some(line) = term::read_line()? else { return Ok(None) };
    let typed = line.trim();
    Ok(Some(if typed.is_empty() { default.unwrap_or_default().to_owned() } else { typed.to_owned() }))
}
