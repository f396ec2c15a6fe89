//! One file a verb: build a request, call the engine, say what happened.

pub mod answer;
mod change;
mod diff;
mod doctor;
mod history;
mod install;
mod place;
mod releases;
mod report;
mod rollback;
mod self_update;
mod signed;
mod status;
mod switch;
mod uninstall;

use crate::bundle::Bundle;
use crate::cli::{BundleArgs, Cli, Color, Command, Common};
use crate::domain::record::Record;
use crate::domain::request::Source;
use crate::domain::{Place, Result};
use crate::doors::{system, term};

use answer::Answer;

/// How this run talks.
pub fn set_manner(common: &Common) {
    let color = match common.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            term::stdout_is_terminal()
                && system::variable("NO_COLOR").is_none()
                && system::variable("TERM").is_none_or(|term| term != "dumb")
        }
    };
    term::set_manner(term::Manner { quiet: common.quiet, verbose: common.verbose, color, json: common.json });
}

/// The name of a command in `--json`.
pub fn verb(cli: &Cli) -> &'static str {
    match &cli.command {
        None | Some(Command::Status) => "status",
        Some(Command::Install(_)) => "install",
        Some(Command::Update(_)) => "update",
        Some(Command::Rollback(_)) => "rollback",
        Some(Command::Uninstall(_)) => "uninstall",
        Some(Command::Off(_)) => "off",
        Some(Command::On(_)) => "on",
        Some(Command::Diff(_)) => "diff",
        Some(Command::History(_)) => "history",
        Some(Command::Doctor(_)) => "doctor",
        Some(Command::SelfUpdate(_)) => "self-update",
        Some(Command::Bundle(_)) => "bundle",
        Some(Command::SelfCheck) => "self-check",
        Some(Command::Verify(_)) => "verify",
        _ => "other",
    }
}

/// Runs one command.
pub fn run(cli: &Cli) -> Result<Answer> {
    let common = &cli.common;
    // Before any question about a home: a new executable is tried with nothing around it.
    if matches!(cli.command, Some(Command::SelfCheck)) {
        return signed::self_check();
    }
    let place = place::resolve(common)?;
    match &cli.command {
        None => status::overview(&place),
        Some(Command::Status) => status::run(&place),
        Some(Command::Install(args)) => install::run(&place, common, args),
        Some(Command::Update(args)) => install::update(&place, common, args),
        Some(Command::Rollback(args)) => rollback::run(&place, common, args),
        Some(Command::Uninstall(args)) => uninstall::run(&place, common, args),
        Some(Command::Off(args)) => switch::run(&place, common, args, true),
        Some(Command::On(args)) => switch::run(&place, common, args, false),
        Some(Command::Diff(args)) => diff::run(&place, args),
        Some(Command::History(args)) => history::run(&place, args),
        Some(Command::Doctor(args)) => doctor::run(&place, common, args),
        Some(Command::SelfUpdate(args)) => self_update::run(&place, common, args),
        Some(Command::Bundle(command)) => signed::bundle(&place, command),
        Some(Command::Verify(args)) => signed::verify(&place, args),
        _ => Err(crate::domain::Error::usage("not wired yet")),
    }
}

/// The source that the flags name.
fn source(args: &BundleArgs) -> Source {
    match (&args.source_dir, &args.bundle, args.embedded) {
        (Some(dir), _, _) => Source::Directory(dir.clone()),
        (_, Some(file), _) => Source::File(file.clone()),
        (_, _, true) => Source::Embedded,
        _ => Source::Newest,
    }
}

/// Reads the bundle of a source.
fn bundle(place: &Place, source: &Source) -> Result<Bundle> {
    match source {
        Source::Directory(dir) => releases::directory(dir),
        Source::File(file) => releases::bundle_file(place, file),
        Source::Newest => releases::newest_bundle(place),
        Source::Embedded => crate::bundle::embedded(),
    }
}

/// The bundle that knows what is deployed: the directory it came from, else the newest.
fn bundle_of(place: &Place, record: &Record) -> Result<Bundle> {
    match (record.bundle.origin.as_str(), &record.bundle.path) {
        ("directory", Some(path)) => bundle(place, &Source::Directory(path.into())),
        _ => bundle(place, &Source::Newest),
    }
}
