//! The flags of every changing command.

use clap::Args;

/// What every changing command takes.
#[derive(Debug, Clone, Args)]
pub struct ConfirmArgs {
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Args)]
pub struct OnArgs {
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    /// Point Claude Code at the gateway even if it cannot run
    #[arg(long)]
    pub force: bool,
}

/// For a command that changes what the gateway runs with.
#[derive(Debug, Clone, Args)]
pub struct TakeoverArgs {
    /// Leave a running gateway with its old configuration, and do not reload or restart it
    #[arg(long)]
    pub no_reload: bool,
}

/// For a command that may bring another LiteLLM.
#[derive(Debug, Clone, Args)]
pub struct KeepRuntimeArgs {
    /// Keep the LiteLLM that gwinstall installed, although the new bundle names other packages
    #[arg(long)]
    pub keep_runtime: bool,
}

#[derive(Debug, Clone, Args)]
pub struct KeepArgs {
    /// How many backups to keep, now and from now on [default: 5]
    #[arg(long, value_name = "N")]
    pub keep: Option<usize>,
    /// Remove backups older than this many days, now and from now on
    #[arg(long, value_name = "DAYS")]
    pub max_age: Option<u32>,
}
