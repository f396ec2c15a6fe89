//! Flags of `render`.

use std::path::PathBuf;

use clap::Args;

use super::bundle::BundleArgs;

#[derive(Debug, Clone, Args)]
pub struct RenderArgs {
    /// compose, kubernetes, helm, systemd, lambda, desktop, github-actions, ansible, monitoring, all, or secrets
    #[arg(required_unless_present = "schema")]
    pub target: Option<String>,
    /// Directory for the files; your edits there stay
    #[arg(long, short, value_name = "DIR", required_unless_present = "schema")]
    pub out: Option<PathBuf>,
    /// What servers have beside a machine [default: gateway.yaml, if it is in the current directory]
    #[arg(long, value_name = "FILE")]
    pub values: Option<PathBuf>,
    /// Use the values of this environment of gateway.yaml
    #[arg(long, visible_alias = "env", value_name = "NAME")]
    pub environment: Option<String>,
    /// basic, multi-provider or proxy [default: the deployed one, else basic]
    #[arg(long)]
    pub preset: Option<String>,
    /// Models, separated by commas [default: the deployed ones, else those of the preset]
    #[arg(long, value_name = "A,B")]
    pub models: Option<String>,
    /// Write nothing: list the files that differ from what would be rendered (exit 3)
    #[arg(long, conflicts_with = "diff")]
    pub check: bool,
    /// Write nothing: show the lines that would change
    #[arg(long)]
    pub diff: bool,
    /// Replace files that gwinstall did not render; each stays beside the new one
    #[arg(long)]
    pub force: bool,
    /// End every open conflict with your version
    #[arg(long, conflicts_with = "take_new")]
    pub keep_mine: bool,
    /// End every open conflict with the new version
    #[arg(long)]
    pub take_new: bool,
    /// Print the JSON schema of gateway.yaml
    #[arg(long, conflicts_with_all = ["target", "out"])]
    pub schema: bool,
    #[command(flatten)]
    pub bundle: BundleArgs,
}
