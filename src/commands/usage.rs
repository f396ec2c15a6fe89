//! The command line, parsed; help and version, where it asks for them.
//!
//! Promise: no message repeats a possible secret, and the error for a wrong command line suggests the line that the
//! user probably meant, as text and as JSON alike.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command, InstallArgs};
use crate::domain::name::printable;
use crate::domain::secret::masked;
use crate::domain::{Error, Hint, Result};
use crate::doors::term;
use crate::ui::answer;

use super::{invocation, manual, wrong_input};

/// Parses the command line. Help and version go to stdout and end with 0, mistakes to stderr with 2.
pub fn parse(arguments: Vec<OsString>) -> std::result::Result<Cli, u8> {
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    term::set_invocation(invocation::of(&words));
    let json = words.iter().any(|word| word == "--json");
    let parsed = Cli::try_parse_from(arguments).map_err(|error| {
        let words = invocation::without_place(&term::invocation().words);
        match error.kind() {
            ErrorKind::DisplayHelp => {
                let (_, path) = wrong_input::reached(&Cli::command(), &words);
                answer::print("help", json, Ok(manual::asked(&path)))
            }
            ErrorKind::DisplayVersion => answer::print("version", json, Ok(manual::version())),
            _ => answer::print("usage", json, Err(wrong_input::explain(&error, &words))),
        }
    })?;
    settled(parsed).map_err(|error| answer::print("usage", json, Err(error)))
}

/// The parsed command line, with `install PRESET` as `install --preset PRESET`.
fn settled(mut cli: Cli) -> Result<Cli> {
    if let Some(Command::Install(args)) = &mut cli.command {
        take_preset(args)?;
    }
    Ok(cli)
}

/// `install PRESET` is `install --preset PRESET`.
fn take_preset(args: &mut InstallArgs) -> Result<()> {
    let Some(word) = args.preset_word.take() else { return Ok(()) };
    if let Some(shown) = masked(&word) {
        return Err(Error::usage(format!("gwinstall install does not expect {shown:?}"))
            .hint(Hint::run(&["help", "install"])));
    }
    if word.eq_ignore_ascii_case("litellm") {
        return Err(Error::usage("litellm is not a preset: gwinstall installs the gateway's configuration")
            .hint(Hint::run(&["doctor"]).to("see how to install LiteLLM itself")));
    }
    let is_model =
        || crate::bundle::Bundle::embedded().is_ok_and(|bundle| bundle.catalog.model(&word).is_some());
    if !wrong_input::is_preset(&word) && is_model() {
        return Err(Error::usage(format!("{:?} is a model, not a preset", printable(&word)))
            .hint(Hint::run(&["install", "--models", &word])));
    }
    args.preset = Some(word);
    Ok(())
}
