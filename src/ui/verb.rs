//! The names of the commands in `--json`. They are an interface.

use crate::cli::{
    BackupCommand, Cli, Command, EnvCommand, ModelsCommand, PresetsCommand, RuntimeCommand, ServiceCommand,
};

/// The name of the command that was given.
pub fn name(cli: &Cli) -> &'static str {
    match &cli.command {
        None | Some(Command::Status) => "status",
        Some(Command::Install(_)) => "install",
        Some(Command::Update(_)) => "update",
        Some(Command::Rollback(_)) => "rollback",
        Some(Command::Uninstall(_)) => "uninstall",
        Some(Command::Off(_)) => "off",
        Some(Command::Use(_)) => "use",
        Some(Command::On(_)) => "on",
        Some(Command::Diff(_)) => "diff",
        Some(Command::History(_)) => "history",
        Some(Command::Usage(_)) => "usage",
        Some(Command::Doctor(_)) => "doctor",
        Some(Command::Report(_)) => "report",
        Some(Command::SelfUpdate(_)) => "self-update",
        Some(Command::Bundle(_)) => "bundle",
        Some(Command::SelfCheck) => "self-check",
        Some(Command::Validate(_)) => "validate",
        Some(Command::Verify(_)) => "verify",
        Some(Command::Backup(command)) => backup(command),
        Some(Command::Resolve(_)) => "resolve",
        Some(Command::Models(command)) => match command {
            ModelsCommand::List => "models-list",
            ModelsCommand::Add { .. } => "models-add",
            ModelsCommand::Remove { .. } => "models-remove",
            ModelsCommand::Check { .. } => "models-check",
            ModelsCommand::Test(_) => "models-test",
        },
        Some(Command::Presets(PresetsCommand::List)) => "presets-list",
        Some(Command::Presets(PresetsCommand::Show { .. })) => "presets-show",
        Some(Command::Render(args)) if args.schema => "render-schema",
        Some(Command::Render(args)) if args.check => "render-check",
        Some(Command::Render(args)) if args.diff => "render-diff",
        Some(Command::Render(_)) => "render",
        Some(Command::Env(command)) => match command {
            EnvCommand::List => "env-list",
            EnvCommand::Check => "env-check",
            EnvCommand::Set { .. } => "env-set",
            EnvCommand::Unset { .. } => "env-unset",
        },
        Some(Command::Config(_)) => "config-path",
        Some(Command::Runtime(command)) => match command {
            RuntimeCommand::Install(_) => "runtime-install",
            RuntimeCommand::List => "runtime-list",
            RuntimeCommand::Remove(_) => "runtime-remove",
            RuntimeCommand::Export(_) => "runtime-export",
        },
        Some(Command::Service(command)) => service(command),
        Some(Command::Start) => "start",
        Some(Command::Stop(_)) => "stop",
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

fn backup(command: &BackupCommand) -> &'static str {
    match command {
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
    }
}

fn service(command: &ServiceCommand) -> &'static str {
    match command {
        ServiceCommand::Install(_) => "service-install",
        ServiceCommand::Remove(_) => "service-remove",
        ServiceCommand::Status => "service-status",
    }
}
