//! The flags of `service`.

use clap::{Args, Subcommand};

use super::confirm::ConfirmArgs;

#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Let systemd or launchd start the gateway when you log in, and again after a crash
    Install(ServiceInstallArgs),
    /// Remove the service; a running gateway goes on without it
    #[command(visible_alias = "rm")]
    Remove(ConfirmArgs),
    /// Show whether there is a service, and what it does
    Status,
}

#[derive(Debug, Clone, Args)]
pub struct ServiceInstallArgs {
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    /// Replace a service of this name that gwinstall did not write; the old file is kept
    #[arg(long)]
    pub force: bool,
}
