//! The flags of `self-update`.

use clap::Args;

use super::confirm::{ConfirmArgs, KeepRuntimeArgs, TakeoverArgs};

#[derive(Debug, Clone, Args)]
pub struct SelfUpdateArgs {
    /// Only check whether something newer exists: exit 3 if so
    #[arg(long, conflicts_with_all = ["rollback", "list"])]
    pub check: bool,
    /// Install this version
    #[arg(long, value_name = "X")]
    pub version: Option<String>,
    /// Follow this channel [default: stable]
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// Where the release comes from: an https URL, a directory, an offline archive, or an executable beside its manifest
    #[arg(long, value_name = "FILE|DIR|URL")]
    pub from: Option<String>,
    /// Leave the deployed configuration as it is
    #[arg(long, conflicts_with = "bundle_only")]
    pub binary_only: bool,
    /// Update only the configuration
    #[arg(long)]
    pub bundle_only: bool,
    /// Allow going back to exactly this version
    #[arg(long, value_name = "X")]
    pub allow_downgrade: Option<String>,
    /// Allow exactly this release, although it is too old to be safe
    #[arg(long, value_name = "SEQ")]
    pub accept_below_floor: Option<u64>,
    /// Wait before asking, each machine for another time up to SECONDS (at most 3600); not in a terminal
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(0..=3600),
        conflicts_with_all = ["rollback", "pin", "unpin", "list"])]
    pub jitter: Option<u16>,
    /// Keep a download that does not verify, as <name>.rejected
    #[arg(long)]
    pub keep_rejected: bool,
    /// Restore gwinstall and the configuration from before the last self-update
    #[arg(long, conflicts_with_all = ["version", "from", "list", "bundle_only", "binary_only"])]
    pub rollback: bool,
    /// Stay at this version, or at sha256:<its manifest>, until --unpin
    #[arg(long, value_name = "X", conflicts_with_all = NO_UPDATE)]
    pub pin: Option<String>,
    /// Follow the channel again
    #[arg(long, conflicts_with_all = NO_UPDATE, conflicts_with = "pin")]
    pub unpin: bool,
    /// List the releases of a forge; --from names owner/name, or a URL of GitHub Enterprise or Gitea
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    #[command(flatten)]
    pub takeover: TakeoverArgs,
    #[command(flatten)]
    pub runtime: KeepRuntimeArgs,
}

/// What cannot be combined with a pin, because a pin installs nothing.
const NO_UPDATE: [&str; 9] = [
    "check",
    "version",
    "from",
    "binary_only",
    "bundle_only",
    "allow_downgrade",
    "accept_below_floor",
    "rollback",
    "list",
];
