//! The commands: one verb a file, and here the choice among them.
//!
//! A verb builds a goal or a query and reports the result. This file only dispatches.

mod backup;
mod backup_diff;
mod change;
pub mod completions;
mod config;
mod deployment;
mod diff;
mod doctor;
mod doctor_net;
mod env;
mod env_key;
mod env_name;
mod env_set;
mod env_unset;
mod env_value;
mod gateway;
mod habits;
mod history;
mod install;
mod install_flags;
mod interactive;
mod invocation;
mod leaving;
mod manual;
mod manual_page;
mod models;
mod models_check;
mod models_test;
mod place;
mod presets;
mod render;
mod renewal;
mod report;
mod report_file;
mod report_values;
mod resolve;
mod rollback;
mod runtime;
mod runtime_users;
mod seal;
mod secrets;
mod self_update;
mod service;
mod shell_files;
mod signed;
mod sources;
mod spending;
mod status;
mod supply;
mod switch;
mod uninstall;
mod update_check;
pub mod usage;
mod using;
mod validate;
mod wrong_input;

use crate::cli::{Cli, Command, ModelsCommand};
use crate::domain::Result;
use crate::gateway::Verb;

use crate::ui::answer::Answer;

/// Runs one command.
pub fn run(cli: &Cli) -> Result<Answer> {
    let common = &cli.common;
    // A command about the program itself needs no home.
    let place = || place::resolve(common);
    let reading = || place::resolve_for_reading(common);
    match &cli.command {
        None => status::overview(&place()?),
        Some(Command::Status) => status::run(&place()?),
        Some(Command::Install(args)) => install::run(&place()?, common, args),
        Some(Command::Update(args)) => install::update(&place()?, common, args),
        Some(Command::Rollback(args)) => rollback::run(&place()?, common, args),
        Some(Command::Uninstall(args)) => uninstall::run(&place()?, common, args),
        Some(Command::Off(args)) => switch::off(&place()?, common, args),
        Some(Command::On(args)) => switch::on(&place()?, common, args),
        Some(Command::Use(args)) => using::run(&place()?, common, args),
        Some(Command::Diff(args)) => diff::run(&place()?, args),
        Some(Command::History(args)) => history::run(&place()?, args),
        Some(Command::Usage(args)) => spending::run(&place()?, args),
        Some(Command::Doctor(args)) => doctor::run(&place()?, common, args),
        Some(Command::Report(args)) => report::run(&place()?, common, args),
        Some(Command::Validate(args)) if args.file.is_some() => validate::run(&reading()?, args),
        Some(Command::Validate(args)) => validate::run(&place()?, args),
        Some(Command::Verify(args)) => signed::verify(&place()?, args),
        Some(Command::SelfUpdate(args)) => self_update::run(&place()?, common, args),
        Some(Command::Bundle(command)) => signed::bundle(&place()?, command),
        Some(Command::SelfCheck) => signed::self_check(),
        Some(Command::Backup(command)) => backup::run(&place()?, common, command),
        Some(Command::Resolve(args)) => resolve::run(&place()?, common, args),
        Some(Command::Models(command @ ModelsCommand::List)) => models::run(&reading()?, common, command),
        Some(Command::Models(command)) => models::run(&place()?, common, command),
        Some(Command::Presets(command)) => presets::run(&reading()?, command),
        Some(Command::Env(command)) => env::run(&place()?, common, command),
        Some(Command::Config(command)) => config::run(&place()?, command),
        Some(Command::Runtime(command)) => runtime::run(&place()?, common, command),
        Some(Command::Render(args)) => render::run(&reading()?, common, args),
        Some(Command::Service(command)) => service::run(&place()?, common, command),
        Some(Command::Start) => gateway::run(&place()?, common, Verb::Start, false),
        Some(Command::Stop(args)) => gateway::run(&place()?, common, Verb::Stop, args.now),
        Some(Command::Restart) => gateway::run(&place()?, common, Verb::Restart, false),
        Some(Command::Reload) => gateway::run(&place()?, common, Verb::Reload, false),
        Some(Command::Logs(args)) => gateway::logs(&place()?, args),
        Some(Command::Health) => gateway::health(&place()?),
        Some(Command::Completions(args)) => completions::run(common, args),
        Some(Command::Man) => manual_page::man(),
        Some(Command::Version) => Ok(manual::version()),
        Some(Command::Help(args)) => manual::help(args),
    }
}
