//! `env`: the variables of the gateway.

use std::path::PathBuf;

use clap::Subcommand;

use super::confirm::{ConfirmArgs, TakeoverArgs};

#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// List every variable, where its value comes from and how to set it
    #[command(visible_alias = "ls")]
    List,
    /// Check that every required variable has a value
    Check,
    /// Set a variable from a prompt, a file or standard input
    Set {
        /// The variable, for example ANTHROPIC_API_KEY; gwinstall asks for its value unless NAME=VALUE gives one that is
        /// not a secret
        #[arg(value_name = "NAME[=VALUE]")]
        name: String,
        /// File that holds the value, or - for standard input
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
        /// Ask the provider first, with a call that costs nothing, whether it accepts the key
        #[arg(long)]
        check: bool,
        /// Keep a name of your own that is close to one that gwinstall knows
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        takeover: TakeoverArgs,
    },
    /// Remove the value of a variable
    Unset {
        /// The variable as in gwinstall env list
        name: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        takeover: TakeoverArgs,
    },
}
