//! Flags that name a bundle.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Args)]
pub struct BundleArgs {
    /// Deploy the files of this directory instead of the built-in bundle
    #[arg(long, value_name = "DIR", conflicts_with_all = ["bundle", "embedded"])]
    pub source_dir: Option<PathBuf>,
    /// Deploy the files of a signed bundle archive, or of the offline archive of a release
    #[arg(long, visible_alias = "from", value_name = "FILE", conflicts_with = "embedded")]
    pub bundle: Option<PathBuf>,
    /// Deploy the built-in bundle, even if self-update fetched a newer one
    #[arg(long)]
    pub embedded: bool,
}
