//! Builds the executable of one target with everything that a release compiles in.
//!
//! Promise: the same commit gives the same bytes wherever it is checked out: paths are remapped, the date is the
//! commit's. musl x86_64 builds with cargo alone; every other target goes through cargo-zigbuild.

use std::path::{Path, PathBuf};
use std::process::Command;

use gwinstall::domain::{Error, Result};
use serde_json::Value;

use crate::tools;

/// The targets of a full release.
pub const TARGETS: [&str; 4] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// What a release compiles into its executables.
pub struct Build<'a> {
    pub root: &'a Path,
    pub version: &'a str,
    pub seq: u64,
    pub keys: &'a Path,
    pub repo: Option<&'a str>,
    pub commit: &'a str,
    /// Seconds since 1970: what `--version` calls the build date.
    pub epoch: i64,
}

impl Build<'_> {
    /// Compiles for `target` and returns where the executable lies.
    pub fn executable(&self, target: &str) -> Result<PathBuf> {
        let toolchain = pinned_toolchain(self.root)?;
        let output = target_directory(self.root)?;
        let mut command = Command::new("cargo");
        command.arg(if target == TARGETS[0] { "build" } else { "zigbuild" });
        command.args([
            "--release",
            "--locked",
            "--package",
            "gwinstall",
            "--bin",
            "gwinstall",
            "--target",
            target,
        ]);
        command.arg("--config").arg(self.remapped_paths(target)?);
        command.current_dir(self.root).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command.env("RUSTUP_TOOLCHAIN", toolchain);
        command.env("GWINSTALL_RELEASE_VERSION", self.version);
        command.env("GWINSTALL_RELEASE_SEQ", self.seq.to_string());
        command.env("GWINSTALL_KEYS", absolute(self.keys)?);
        command.env("GWINSTALL_COMMIT", self.commit);
        command.env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        match self.repo {
            Some(repo) => command.env("GWINSTALL_REPO", repo),
            None => command.env_remove("GWINSTALL_REPO"),
        };
        tools::show(&mut command)?;
        Ok(output.join(target).join("release/gwinstall"))
    }

    /// A `--config` value: joined with what `.cargo/config.toml` sets, where RUSTFLAGS would replace it.
    fn remapped_paths(&self, target: &str) -> Result<String> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
        let flags =
            [format!("{}=/source", absolute(self.root)?.display()), format!("{}=/cargo", home.display())];
        let flags = flags.map(|map| format!("--remap-path-prefix={map}"));
        let flags =
            serde_json::to_string(&flags).map_err(|e| Error::failed("cannot quote a path").because(e))?;
        Ok(format!("target.{target}.rustflags={flags}"))
    }
}

/// A target of `TARGETS`, and what stands in the way of building it here.
pub struct Candidate {
    pub target: &'static str,
    pub obstacle: Option<String>,
}

/// Which of `TARGETS` can be built here.
pub fn candidates(root: &Path) -> Result<Vec<Candidate>> {
    let toolchain = pinned_toolchain(root)?;
    let mut rustup = Command::new("rustup");
    let installed = tools::run(rustup.args(["target", "list", "--installed", "--toolchain", &toolchain]))?;
    let zig = tools::run(Command::new("cargo").args(["zigbuild", "--version"])).is_ok();
    let obstacle = |target: &str| {
        if !installed.lines().any(|line| line == target) {
            return Some(format!("rustup target add --toolchain {toolchain} {target}"));
        }
        (target != TARGETS[0] && !zig).then(|| "install cargo-zigbuild and zig".to_owned())
    };
    Ok(TARGETS.into_iter().map(|target| Candidate { target, obstacle: obstacle(target) }).collect())
}

/// The commit of a checkout.
pub struct Commit {
    pub hash: String,
    /// Its time, or SOURCE_DATE_EPOCH.
    pub epoch: i64,
    /// Whether the files differ from it.
    pub dirty: bool,
}

pub fn commit(root: &Path) -> Result<Commit> {
    let git = |args: &[&str]| tools::run(Command::new("git").args(args).current_dir(root));
    let hash = git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let dirty = !git(&["status", "--porcelain"])?.trim().is_empty();
    let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(given) => given,
        Err(_) => git(&["log", "-1", "--format=%ct"])?,
    };
    let epoch = epoch.trim().parse().map_err(|e| Error::failed("the build date is no number").because(e))?;
    Ok(Commit { hash, epoch, dirty })
}

fn pinned_toolchain(root: &Path) -> Result<String> {
    let text = crate::files::read_text(&root.join("rust-toolchain.toml"))?;
    let channel = text.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'));
    channel.map(str::to_owned).ok_or_else(|| Error::failed("rust-toolchain.toml pins no channel"))
}

fn target_directory(root: &Path) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--no-deps", "--locked", "--format-version", "1"]).current_dir(root);
    let metadata: Value = serde_json::from_str(&tools::run(&mut command)?)
        .map_err(|e| Error::failed("cargo metadata did not answer in JSON").because(e))?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| Error::failed("cargo metadata names no target directory"))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|e| Error::failed(format!("cannot resolve {}", path.display())).because(e))
}
