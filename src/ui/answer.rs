//! What a command prints at its end, for a person and as JSON.

use serde_json::{Value, json};

use crate::domain::{Error, Hint, Kind, Result};
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
    pub hint: Option<Hint>,
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

    /// Adds a line to the text.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        if !line.is_empty() {
            self.text = format!("{}\n{line}", self.text.trim_end()).trim_start().to_owned();
        }
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

/// Prints the result of a command and returns its exit code.
pub fn print(verb: &str, json: bool, result: Result<Answer>) -> u8 {
    match result {
        Ok(answer) => {
            if json {
                term::data(&envelope(verb, answer.exit, &answer.message, answer.hint.as_ref(), answer.data));
            } else if !answer.text.is_empty()
                && (!term::manner().quiet || answer.exit != 0 || is_asked_for(verb))
            {
                let text = answer.text.trim_end();
                if answer.quotes {
                    term::raw(format!("{text}\n").as_bytes());
                } else {
                    term::data(text);
                }
            }
            exit_when_written(verb, answer.exit)
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

/// Commands whose text is what they are run for: they print it also with `--quiet`.
fn is_asked_for(verb: &str) -> bool {
    verb.ends_with("-list")
        || matches!(
            verb,
            "completions"
                | "config-path"
                | "man"
                | "help"
                | "version"
                | "logs"
                | "history"
                | "usage"
                | "presets-show"
        )
}

/// Commands that look and change nothing: without their answer they have done nothing.
pub fn only_tells(verb: &str) -> bool {
    is_asked_for(verb)
        || matches!(
            verb,
            "status"
                | "diff"
                | "backup-diff"
                | "render-schema"
                | "render-check"
                | "render-diff"
                | "verify"
                | "validate"
                | "doctor"
                | "health"
                | "bundle"
                | "report"
                | "env-check"
                | "models-test"
                | "service-status"
        )
}

/// The exit code, after an answer that could not be written was complained about. A change that was made stays a success.
pub fn exit_when_written(verb: &str, exit: u8) -> u8 {
    let Some(why) = term::unwritten() else { return exit };
    term::error(&as_text(&Error::failed("cannot write the answer to standard output").because(why)));
    if exit == 0 && only_tells(verb) { Kind::Failed.exit_code() } else { exit }
}

/// `error: …`, its causes below it, and what to do. That the user gave up is not an error.
pub fn as_text(error: &Error) -> String {
    let mut text = match error.kind() {
        Kind::Cancelled => error.message().to_owned(),
        _ => format!("{} {}", term::paint("error:", Style::Red), error.message()),
    };
    for cause in error.causes() {
        text.push_str(&format!("\n  {cause}"));
    }
    for line in error.advice().map(term::hint_lines).unwrap_or_default() {
        let line = line.replacen("try:", &term::paint("try:", Style::Bold), 1);
        text.push_str(&format!("\n  {line}"));
    }
    text
}

pub fn envelope(verb: &str, exit: u8, message: &str, hint: Option<&Hint>, data: Value) -> String {
    json!({
        "schema": format!("gwinstall.{verb}/1"),
        "ok": exit == 0 || exit == Kind::Pending.exit_code() || exit == Kind::Conflict.exit_code(),
        "exit": exit,
        "message": message,
        "hint": hint.map(term::hint),
        "argv": hint.and_then(|hint| hint.argv(term::invocation())),
        "data": data,
    })
    .to_string()
}
