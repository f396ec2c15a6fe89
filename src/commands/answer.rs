//! What a command says at its end, for a person and as JSON.

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::{Value, json};

use crate::cli::Cli;
use crate::domain::{Error, Kind, Result};
use crate::doors::term::{self, Style};

/// The answer of a command that worked. Its exit code may still say that there is something to do.
#[derive(Debug, Default)]
pub struct Answer {
    /// 0, or the code of a kind such as `Pending` or `Conflict`.
    pub exit: u8,
    /// One line for machines and logs.
    pub message: String,
    /// What a person reads on stdout.
    pub text: String,
    /// The text quotes files, whose lines are not to be broken.
    pub quotes: bool,
    /// What a program reads.
    pub data: Value,
    pub hint: Option<String>,
}

impl Answer {
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { text: message.clone(), message, ..Self::default() }
    }

    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    #[must_use]
    pub fn quoting(mut self, text: impl Into<String>) -> Self {
        self.quotes = true;
        self.text(text)
    }

    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    #[must_use]
    pub fn exit(mut self, kind: Kind) -> Self {
        self.exit = kind.exit_code();
        self
    }
}

/// Parses the command line. Help and version go to stdout and end with 0, mistakes to stderr with 2.
pub fn parse(arguments: Vec<OsString>) -> std::result::Result<Cli, u8> {
    let json = arguments.iter().any(|argument| argument == "--json");
    Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            term::raw(error.render().to_string().as_bytes());
            0
        }
        _ => {
            let text = error.render().to_string();
            if json {
                let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
                term::data(&envelope("usage", 2, message, None, Value::Null));
            } else {
                term::error(text.trim_end());
            }
            2
        }
    })
}

/// Prints the result of a command and returns its exit code.
pub fn print(verb: &str, json: bool, result: Result<Answer>) -> u8 {
    match result {
        Ok(answer) => {
            if json {
                term::data(&envelope(
                    verb,
                    answer.exit,
                    &answer.message,
                    answer.hint.as_deref(),
                    answer.data,
                ));
            } else if !answer.text.is_empty() && (!term::manner().quiet || answer.exit != 0) {
                let text = answer.text.trim_end();
                if answer.quotes {
                    term::raw(format!("{text}\n").as_bytes());
                } else {
                    term::data(text);
                }
            }
            answer.exit
        }
        Err(error) => {
            let exit = error.kind().exit_code();
            if json {
                let mut data = json!({ "causes": error.causes() });
                for (name, fact) in error.facts() {
                    data[name] = fact.clone();
                }
                term::data(&envelope(verb, exit, error.message(), error.advice(), data));
            } else {
                term::error(&as_text(&error));
            }
            exit
        }
    }
}

/// `error: …`, its causes below it, and what to do.
pub fn as_text(error: &Error) -> String {
    let mut text = format!("{} {}", term::paint("error:", Style::Red), error.message());
    for cause in error.causes() {
        text.push_str(&format!("\n  {cause}"));
    }
    if let Some(hint) = error.advice() {
        text.push_str(&format!("\n  {} {hint}", term::paint("try:", Style::Bold)));
    }
    text
}

fn envelope(verb: &str, exit: u8, message: &str, hint: Option<&str>, data: Value) -> String {
    let mut envelope = json!({
        "schema": format!("gwinstall.{verb}/1"),
        "ok": exit == 0 || exit == Kind::Pending.exit_code() || exit == Kind::Conflict.exit_code(),
        "exit": exit,
        "message": message,
    });
    if let Some(hint) = hint {
        envelope["hint"] = Value::from(hint);
    }
    envelope["data"] = data;
    envelope.to_string()
}
