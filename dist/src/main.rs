//! The release side of gwinstall: makes keys, builds, signs, publishes and serves. Never part of the shipped binary, so
//! that no signing code is.
//!
//! Every command reads and writes files of this machine only; nothing here uploads.

// The release builder's business is files, processes and the clock.
#![allow(clippy::disallowed_methods)]
// A binary: every module is private to it.
#![allow(unreachable_pub)]

mod cli;
mod compile;
mod documents;
mod files;
mod installer;
mod keyring;
mod keys;
mod manifest;
mod payload;
mod proof;
mod release;
mod sbom;
mod serve;
mod tools;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("error: {error}"));
            if let Some(hint) = error.advice() {
                say(format!("hint: {hint}"));
            }
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// One line of talk. A closed standard error is nobody listening.
fn say(line: String) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
