//! The running gateway: started and stopped by the deployed script, and asked over HTTP.
//!
//! Promise: gwinstall runs the same script that a person without gwinstall would use. Never: signals a process itself.

pub mod ask;
pub mod ending;
pub mod exam;
pub mod free_call;
pub mod health;
pub mod process;
pub mod service;
pub mod serving;
pub mod takeover;
pub mod trial;

use std::path::Path;

use crate::domain::name::printable;
use crate::domain::place::files;
use crate::domain::plan::Plan;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::progress::{self, Waiting};
use crate::doors::{disk, signals, system, term};

/// What the script is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Verb {
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }

    /// What a person waits for.
    fn work(self) -> &'static str {
        match self {
            Self::Start => "Starting the gateway",
            Self::Stop => "Stopping the gateway",
            Self::Restart => "Restarting the gateway",
            Self::Reload => "Reloading the configuration",
        }
    }

    fn failure(self) -> &'static str {
        match self {
            Self::Start => "the gateway did not start",
            Self::Stop => "the gateway did not stop",
            Self::Restart => "the gateway did not restart",
            Self::Reload => "the gateway did not take over its configuration",
        }
    }
}

/// Runs `start-gateway.sh VERB` as part of another operation: a stop does not count as one of the user, after which the
/// gateway would stay stopped.
pub fn run_script(place: &Place, verb: Verb) -> Result<()> {
    run_words(place, verb, &[verb.word()], &[("GWINSTALL_INTERNAL", "yes")])
}

/// Runs what the user asked for; `now`: a stop does not wait for running requests.
pub fn run_for_user(place: &Place, verb: Verb, now: bool) -> Result<()> {
    let words: &[&str] = if now { &[verb.word(), "--now"] } else { &[verb.word()] };
    run_words(place, verb, words, &[])
}

/// Passes the output of the script on. The script knows which process is safe to signal.
fn run_words(place: &Place, verb: Verb, words: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let script = place.file(files::START);
    if !disk::exists(&script) {
        return Err(Error::usage(format!("{} does not exist", place.show(&script)))
            .because("the deployed preset runs no gateway on this machine, or the script was deleted")
            .hint(Hint::run(&["status"])));
    }
    let (code, output) = run_and_maybe_hear(&script, verb, words, variables)?;
    // A Ctrl-C reaches the script too, and then it is the reason for its exit code.
    signals::check()?;
    if code == 0 {
        return Ok(());
    }
    let ended = format!("{} ended with {code}; its reasons are above", place.show(&script));
    let error = because(Error::failed(verb.failure()), &output, ended);
    Err(error.hint(Hint::run(&["logs"]).or(Hint::run(&["doctor"]))))
}

/// The script's exit code and, with `--json`, its output: a reader of JSON does not read stderr. Beside a line that moves
/// its output is printed above that line.
fn run_and_maybe_hear(
    script: &Path,
    verb: Verb,
    words: &[&str],
    variables: &[(&str, &str)],
) -> Result<(u8, String)> {
    let run = || {
        if term::manner().json || progress::moves() {
            return system::run_and_hear(script, words, variables, &mut |line| term::error(line));
        }
        Ok((system::run(script, words, variables)?, String::new()))
    };
    let waiting = Waiting::begin(verb.work());
    let ended = run();
    waiting.end(ended.as_ref().is_ok_and(|(code, _)| *code == 0));
    let (code, output) = ended?;
    Ok((code, if term::manner().json { output } else { String::new() }))
}

/// Adds the script's own reasons, or `above` where it printed them itself.
fn because(error: Error, output: &str, above: String) -> Error {
    if output.is_empty() {
        return error.because(above);
    }
    output.lines().filter(|line| !line.trim().is_empty()).map(printable).fold(error, Error::because)
}

/// What makes a running gateway use the changes of a plan: only a new process reads its port and `.env`. `None`: nothing
/// that it uses changes.
pub fn takes_over(plan: &Plan) -> Option<Verb> {
    let changes = |name: &str| plan.changes().any(|step| step.name == name);
    if changes(files::START) || changes(files::ENV) {
        Some(Verb::Restart)
    } else {
        changes(files::CONFIG).then_some(Verb::Reload)
    }
}

/// After a failed change, starts the gateway that ran before it, and adds the outcome to `error`.
pub fn up_again(place: &Place, verb: Verb, error: Error) -> Error {
    match run_script(place, verb) {
        Ok(()) => error.because("the gateway runs again as before"),
        // The error has its own hint, which is about the change.
        Err(_) => error.because(format!("the gateway does not run any more: {}", term::command(&["start"]))),
    }
}

/// Starts, reloads or restarts the gateway while the transaction that deployed it is still open. Only for a preset that
/// runs a gateway, which cannot run without its script.
pub fn run_in_transaction(place: &Place, verb: Verb) -> Result<()> {
    let script = place.file(files::START);
    if !disk::exists(&script) {
        return Err(Error::new(
            Kind::RolledBack,
            format!("there is no {} to start the gateway with", place.show(&script)),
        )
        .because(format!("the preset deploys {}, but its bundle has no script for it", files::CONFIG))
        .hint(format!("list {} under litellm_files in the catalog.yaml of the bundle", files::START)));
    }
    let log = place.file(files::GATEWAY_LOG);
    let before = disk::facts(&log);
    // The script refuses to run beside an open journal, except for the run that opened it.
    let open = [("GWINSTALL_TRANSACTION", "open")];
    let (code, output) = run_and_maybe_hear(&script, verb, &[verb.word()], &open)?;
    if code == 0 {
        return Ok(());
    }
    let error = Error::new(Kind::RolledBack, format!("{} ended with {code}", place.show(&script)));
    let error = because(error, &output, "its reasons are above".to_owned());
    // The script opens the log when it starts LiteLLM, after every check of its own.
    Err(if disk::facts(&log) == before {
        error.hint(Hint::run(&["doctor"]))
    } else {
        error.hint(Hint::shell(format!("tail -n 30 {}", place.paste(&log))).to("read its log"))
    })
}
