//! The flags of `runtime`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::confirm::ConfirmArgs;

#[derive(Debug, Subcommand)]
pub enum RuntimeCommand {
    /// Install LiteLLM where gwinstall keeps it, and let the gateway use it
    Install(RuntimeInstallArgs),
    /// List the installed runtimes, their sizes and what uses them
    #[command(visible_alias = "ls")]
    List,
    /// Remove a runtime that nothing uses
    #[command(visible_alias = "rm")]
    Remove(RuntimeRemoveArgs),
    /// Write the packages to one file, for a machine without a network
    Export(RuntimeExportArgs),
}

#[derive(Debug, Clone, Args)]
pub struct RuntimeInstallArgs {
    /// Take the packages from a file that gwinstall runtime export made
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Use nothing from the network
    #[arg(long)]
    pub offline: bool,
    /// The Python to make it with [default: the first on the PATH that fits]
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

#[derive(Debug, Clone, Args)]
pub struct RuntimeRemoveArgs {
    /// Name as in gwinstall runtime list [default: all that nothing uses]
    pub name: Option<String>,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

#[derive(Debug, Clone, Args)]
pub struct RuntimeExportArgs {
    /// A file that does not exist yet
    pub file: PathBuf,
    /// The Python that will run it [default: the first on the PATH that fits]
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
}
