//! One file a verb: build a request, call the engine, say what happened.

pub mod answer;
mod backup;
mod backup_diff;
mod change;
pub mod completions;
mod config;
mod conflicts;
mod diff;
mod doctor;
mod doctor_net;
mod drift;
mod env;
mod env_set;
mod env_value;
mod explain;
mod gateway;
mod habits;
mod history;
mod install;
mod install_flags;
mod install_told;
mod interactive;
mod invocation;
mod manual;
mod manual_page;
mod models;
mod models_check;
mod place;
mod pointed;
mod prerequisites;
mod presets;
mod releases;
mod report;
mod resolve;
mod rollback;
mod self_update;
mod shell_files;
mod signed;
mod starting;
mod status;
mod switch;
mod table;
mod templates;
mod uninstall;
pub mod usage;
mod validate;
mod wrong_input;

use std::collections::BTreeSet;

use crate::bundle::Bundle;
use crate::cli::{
    BackupCommand, BundleArgs, Cli, Color, Command, Common, ConfirmArgs, EnvCommand, ModelsCommand,
    PresetsCommand,
};
use crate::domain::record::Record;
use crate::domain::request::Source;
use crate::domain::{Error, Place, Result};
use crate::doors::{disk, system, term};
use crate::gateway::Verb;

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
    let dumb = system::variable("TERM").is_none_or(|term| term == "dumb");
    let plain = common.plain || dumb || system::variable("ACCESSIBLE").is_some();
    term::set_manner(term::Manner {
        quiet: common.quiet,
        verbose: common.verbose,
        color,
        json: common.json,
        plain,
    });
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
        Some(Command::Validate(_)) => "validate",
        Some(Command::Verify(_)) => "verify",
        Some(Command::Backup(command)) => match command {
            BackupCommand::List => "backup-list",
            BackupCommand::Create { .. } => "backup-create",
            BackupCommand::Verify { .. } => "backup-verify",
            BackupCommand::Pin { .. } => "backup-pin",
            BackupCommand::Unpin { .. } => "backup-unpin",
            BackupCommand::Prune { .. } => "backup-prune",
            BackupCommand::Diff { .. } => "backup-diff",
            BackupCommand::Export { .. } => "backup-export",
            BackupCommand::Import { .. } => "backup-import",
            BackupCommand::Restore(_) => "rollback",
        },
        Some(Command::Resolve(_)) => "resolve",
        Some(Command::Models(command)) => match command {
            ModelsCommand::List => "models-list",
            ModelsCommand::Add { .. } => "models-add",
            ModelsCommand::Remove { .. } => "models-remove",
            ModelsCommand::Check { .. } => "models-check",
        },
        Some(Command::Presets(PresetsCommand::List)) => "presets-list",
        Some(Command::Presets(PresetsCommand::Show { .. })) => "presets-show",
        Some(Command::Env(command)) => match command {
            EnvCommand::List => "env-list",
            EnvCommand::Check => "env-check",
            EnvCommand::Set { .. } => "env-set",
        },
        Some(Command::Config(_)) => "config-path",
        Some(Command::Start) => "start",
        Some(Command::Stop) => "stop",
        Some(Command::Restart) => "restart",
        Some(Command::Reload) => "reload",
        Some(Command::Logs(_)) => "logs",
        Some(Command::Health) => "health",
        Some(Command::Completions(_)) => "completions",
        Some(Command::Man) => "man",
        Some(Command::Version) => "version",
        Some(Command::Help(_)) => "help",
    }
}

/// Runs one command.
pub fn run(cli: &Cli) -> Result<Answer> {
    let common = &cli.common;
    // What is said about the program itself needs no home.
    let place = || place::resolve(common);
    match &cli.command {
        None => status::overview(&place()?),
        Some(Command::Status) => status::run(&place()?),
        Some(Command::Install(args)) => install::run(&place()?, common, args),
        Some(Command::Update(args)) => install::update(&place()?, common, args),
        Some(Command::Rollback(args)) => rollback::run(&place()?, common, args),
        Some(Command::Uninstall(args)) => uninstall::run(&place()?, common, args),
        Some(Command::Off(args)) => switch::run(&place()?, common, args, true),
        Some(Command::On(args)) => switch::run(&place()?, common, args, false),
        Some(Command::Diff(args)) => diff::run(&place()?, args),
        Some(Command::History(args)) => history::run(&place()?, args),
        Some(Command::Doctor(args)) => doctor::run(&place()?, common, args),
        Some(Command::Validate(args)) => validate::run(&place()?, args),
        Some(Command::Verify(args)) => signed::verify(&place()?, args),
        Some(Command::SelfUpdate(args)) => self_update::run(&place()?, common, args),
        Some(Command::Bundle(command)) => signed::bundle(&place()?, command),
        Some(Command::SelfCheck) => signed::self_check(),
        Some(Command::Backup(command)) => backup::run(&place()?, common, command),
        Some(Command::Resolve(args)) => resolve::run(&place()?, common, args),
        Some(Command::Models(command)) => models::run(&place()?, common, command),
        Some(Command::Presets(command)) => presets::run(&place()?, command),
        Some(Command::Env(command)) => env::run(&place()?, common, command),
        Some(Command::Config(command)) => config::run(&place()?, command),
        Some(Command::Start) => gateway::run(&place()?, Verb::Start),
        Some(Command::Stop) => gateway::run(&place()?, Verb::Stop),
        Some(Command::Restart) => gateway::run(&place()?, Verb::Restart),
        Some(Command::Reload) => gateway::run(&place()?, Verb::Reload),
        Some(Command::Logs(args)) => gateway::logs(&place()?, args),
        Some(Command::Health) => gateway::health(&place()?),
        Some(Command::Completions(args)) => completions::run(common, args),
        Some(Command::Man) => manual_page::man(),
        Some(Command::Version) => Ok(manual::version()),
        Some(Command::Help(args)) => manual::help(args),
    }
}

/// Without a terminal a change needs `--yes`; `command` is what to type.
fn demand_consent(confirm: &ConfirmArgs, command: &str) -> Result<()> {
    if confirm.yes || term::is_interactive() {
        return Ok(());
    }
    Err(Error::usage("this changes files, and there is no terminal to ask on")
        .hint(format!("{command} --yes (or --dry-run to see what it would do)")))
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

/// Reads the bundle of a source, with the user's own presets laid over it.
fn bundle(place: &Place, source: &Source) -> Result<Bundle> {
    let bundle = match source {
        Source::Directory(dir) => releases::directory(dir),
        Source::File(file) => releases::bundle_file(place, file),
        Source::Newest => releases::newest_bundle(place),
        Source::Embedded => crate::bundle::embedded(),
    }?;
    if let Source::Directory(dir) = source {
        templates::demand_sound(place, &bundle, &|file| Some(dir.join(file)))?;
    }
    let own = place.config_dir.join("presets");
    let names = disk::list(&own)?;
    if names.is_empty() {
        return Ok(bundle);
    }
    // Unsigned like a source directory, and under the same rule of a managed machine.
    releases::permit_unsigned()?;
    let shipped: BTreeSet<String> = bundle.files().keys().cloned().collect();
    let bundle = bundle.with_presets_of(&own)?;
    templates::demand_sound(place, &bundle, &|file| {
        let lies_in = |name: &String| Some(own.join(name).join(file)).filter(|path| disk::exists(path));
        if shipped.contains(file) { None } else { names.iter().find_map(lies_in) }
    })?;
    Ok(bundle)
}

/// Where the deployed files came from, if that can be asked again: a directory, else the newest bundle.
fn source_of(last: Option<&Record>) -> Source {
    let directory =
        last.filter(|last| last.bundle.origin == "directory").and_then(|last| last.bundle.path.as_ref());
    directory.map_or(Source::Newest, |dir| Source::Directory(dir.into()))
}

/// The bundle that knows what is deployed; the embedded one where that source is gone and this one knows it too.
fn bundle_of(place: &Place, last: Option<&Record>) -> Result<Bundle> {
    bundle(place, &source_of(last)).or_else(|error| {
        let embedded = crate::bundle::embedded()?;
        let unknown = last.is_some_and(|last| embedded.catalog.preset(&last.preset).is_none());
        if unknown { Err(error) } else { Ok(embedded) }
    })
}
