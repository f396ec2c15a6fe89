//! The flags of `usage`.

use clap::{Args, ValueEnum};

#[derive(Debug, Clone, Args)]
pub struct UsageArgs {
    /// Count the last N days, today included
    #[arg(long, value_name = "N", default_value_t = 30, conflicts_with_all = ["since", "all"])]
    pub days: u32,
    /// Count from this day on
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with = "all")]
    pub since: Option<String>,
    /// Count everything in the transcripts
    #[arg(long)]
    pub all: bool,
    /// What each row shows; days are those of UTC
    #[arg(long, value_enum, default_value = "model")]
    pub by: UsageBy,
    /// Show what the same tokens cost on this model; may be given several times [default: a few of the catalog]
    #[arg(long, value_name = "MODEL", value_delimiter = ',')]
    pub compare: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UsageBy {
    Model,
    Day,
    Project,
}
