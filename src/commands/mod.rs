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
mod gateway;
mod habits;
mod history;
mod install;
mod install_flags;
mod install_report;
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
mod report;
mod resolve;
mod rollback;
mod self_update;
mod shell_files;
mod signed;
mod sources;
mod starting;
mod status;
mod switch;
mod table;
mod templates;
mod uninstall;
pub mod usage;
mod validate;
mod wrong_input;

use crate::cli::{BackupCommand, Cli, Color, Command, Common, EnvCommand, ModelsCommand, PresetsCommand};
use crate::domain::{Operation, Result};
use crate::doors::{system, term};
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
        Some(Command::Off(args)) => switch::run(&place()?, common, args, Operation::Off),
        Some(Command::On(args)) => switch::run(&place()?, common, args, Operation::On),
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
