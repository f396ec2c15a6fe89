//! Flags of `report`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// File for the page, or - for standard output
    #[arg(long, value_name = "FILE")]
    pub html: PathBuf,
    /// Replace a file that report did not write
    #[arg(long)]
    pub force: bool,
}
