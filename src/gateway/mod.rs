//! The running gateway: started and stopped through the deployed script, which is what a person without us would use
//! too, and asked over HTTP.

pub mod ask;
pub mod health;
pub mod process;
pub mod starting;

use std::path::Path;

use crate::domain::name::printable;
use crate::domain::place::files;
use crate::domain::plan::Plan;
use crate::domain::{Error, Kind, Place, Result};
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

    fn failure(self) -> &'static str {
        match self {
            Self::Start => "the gateway did not start",
            Self::Stop => "the gateway did not stop",
            Self::Restart => "the gateway did not restart",
            Self::Reload => "the gateway did not take over its configuration",
        }
    }
}

/// Runs `start-gateway.sh VERB` and passes its words on. It is the script that knows what is safe to signal.
pub fn run_script(place: &Place, verb: Verb) -> Result<()> {
    let script = place.file(files::START);
    if !disk::exists(&script) {
        return Err(Error::usage(format!("there is no {}", place.show(&script)))
            .because("nothing is deployed, or its preset runs no gateway on this machine")
            .hint("gwinstall status"));
    }
    let (code, said) = asked(&script, verb, &[])?;
    // A Ctrl-C reaches the script too; its end then is ours.
    signals::check()?;
    if code == 0 {
        return Ok(());
    }
    let ended = format!("{} ended with {code}, and said why above", place.show(&script));
    let error = because(Error::failed(verb.failure()), &said, ended);
    Err(error.hint("gwinstall logs; gwinstall doctor"))
}

/// Its exit code, and what it said where nobody reads that otherwise: who reads JSON reads no stderr.
fn asked(script: &Path, verb: Verb, variables: &[(&str, &str)]) -> Result<(u8, String)> {
    if term::manner().json {
        return system::run_and_hear(script, &[verb.word()], variables);
    }
    Ok((system::run(script, &[verb.word()], variables)?, String::new()))
}

/// The script's own reasons; `above` where it told them itself.
fn because(error: Error, said: &str, above: String) -> Error {
    if said.is_empty() {
        return error.because(above);
    }
    said.lines().filter(|line| !line.trim().is_empty()).map(printable).fold(error, Error::because)
}

/// What makes a running gateway take over the changes of a plan: only a new process reads its port and `.env`. `None`: it
/// goes on as it should.
pub fn takes_over(plan: &Plan) -> Option<Verb> {
    let changes = |name: &str| plan.changes().any(|step| step.name == name);
    if changes(files::START) || changes(files::ENV) {
        Some(Verb::Restart)
    } else {
        changes(files::CONFIG).then_some(Verb::Reload)
    }
}

/// After a change that failed: the gateway that ran before it runs again, and `error` says what became of it.
pub fn up_again(place: &Place, verb: Verb, error: Error) -> Error {
    match run_script(place, verb) {
        Ok(()) => error.because("the gateway runs again as before"),
        Err(_) => error.because("the gateway does not run any more: gwinstall start"),
    }
}

/// Starts, reloads or restarts the gateway while the transaction that deployed it is still open. Only for a preset that
/// runs one: it cannot be without its script.
pub fn run_in_transaction(place: &Place, verb: Verb) -> Result<()> {
    let script = place.file(files::START);
    if !disk::exists(&script) {
        return Err(Error::new(
            Kind::RolledBack,
            format!("there is no {} to start the gateway with", place.show(&script)),
        )
        .because(format!("the preset deploys {}, and its bundle no script for it", files::CONFIG))
        .hint(format!("list {} under litellm_files in the catalog.yaml of the bundle", files::START)));
    }
    let log = place.file(files::GATEWAY_LOG);
    let before = disk::facts(&log);
    // The script refuses to run beside an open journal; this one is ours.
    let open = [("GWINSTALL_TRANSACTION", "open")];
    let (code, said) = asked(&script, verb, &open)?;
    if code == 0 {
        return Ok(());
    }
    let error = Error::new(Kind::RolledBack, format!("{} ended with {code}", place.show(&script)));
    let error = because(error, &said, "it said why above".to_owned());
    // It opens the log when it starts LiteLLM, and not for what it refuses before that.
    Err(if disk::facts(&log) == before {
        error.hint("gwinstall doctor")
    } else {
        error.hint(format!("look at its log: tail -n 30 {}", place.paste(&log)))
    })
}
