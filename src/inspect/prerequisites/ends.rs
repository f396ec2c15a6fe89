//! Claude Code, which calls the gateway. It works without gwinstall, so nothing here is more than a warning. Never: asks
//! the network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::check::Finding;
use crate::domain::record::Record;
use crate::domain::{Hint, Place};
use crate::doors::{disk, system};

type Version = (u64, u64, u64);

/// From here on `/model` lists what a gateway offers.
const DISCOVERS: Version = (2, 1, 129);
/// From here on it does with `apiKeyHelper` too.
const DISCOVERS_WITH_HELPER: Version = (2, 1, 224);
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of the package.json that npm installed; it takes 2 kB.
const PACKAGE_CAP: u64 = 1 << 20;

/// gwinstall asks Claude Code for its version alone: no update, no telemetry.
const QUIET: [(&str, &str); 2] =
    [("DISABLE_AUTOUPDATER", "1"), ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")];

/// Claude Code on this machine, and the version that it prints.
pub(super) struct ClaudeCode {
    path: PathBuf,
    said: std::result::Result<String, String>,
}

impl ClaudeCode {
    /// `None`: it is not here.
    pub(super) fn look(place: &Place, patience: Duration) -> Option<Self> {
        let path = find_claude(place)?;
        let said = ask(&path, patience);
        Some(Self { path, said })
    }

    pub(super) fn version(&self) -> Option<String> {
        version(self.said.as_ref().ok()?).map(dotted)
    }
}

/// The version of Claude Code by where it is installed, without running it: npm keeps a package.json beside or above it,
/// its own installer names the file after the version. `None`: neither says it.
pub(super) fn installed_version(place: &Place) -> Option<String> {
    let path = disk::canonical(&find_claude(place)?).ok()?;
    let package = |dir: &Path| {
        let bytes = disk::read(&dir.join("package.json"), PACKAGE_CAP).ok()?;
        let package: Value = serde_json::from_slice(&bytes).ok()?;
        let is_claude_code = package.get("name")?.as_str()? == "@anthropic-ai/claude-code";
        is_claude_code.then(|| version(package.get("version")?.as_str()?)).flatten()
    };
    // The file itself, or the program inside a package of its platform, is at most two directories below.
    let by_package = path.ancestors().skip(1).take(2).find_map(package);
    let by_name = || version(path.file_name()?.to_str()?);
    by_package.or_else(by_name).map(dotted)
}

/// Whether Claude Code is here, and new enough to list the models of a gateway.
pub(super) fn claude_code(place: &Place, record: Option<&Record>, claude: Option<&ClaudeCode>) -> Finding {
    let Some(ClaudeCode { path, said }) = claude else {
        return Finding::warn("Claude Code was not found")
            .hint(Hint::shell("npm install -g @anthropic-ai/claude-code"));
    };
    let shown = place.show(path);
    let said = match said {
        Ok(said) => said,
        Err(why) => {
            return Finding::warn(format!("the version of Claude Code is not known: {why}"))
                .hint(Hint::shell(format!("{} --version", place.paste(path))));
        }
    };
    let Some(version) = version(said) else {
        return Finding::warn(format!("{shown} --version does not print a version of Claude Code"))
            .hint(Hint::shell("npm install -g @anthropic-ai/claude-code"));
    };
    let text = dotted(version);
    let details = json!({ "claude": shown, "version": text });
    let by_helper = record.is_some_and(|record| record.settings.keys.contains_key("apiKeyHelper"));
    let (needed, why) = if by_helper {
        (DISCOVERS_WITH_HELPER, "with a key helper its /model lists the models of a gateway")
    } else {
        (DISCOVERS, "its /model lists the models of a gateway")
    };
    if version >= needed {
        return Finding::pass(format!("Claude Code {text}")).details(details);
    }
    let (major, minor, patch) = needed;
    Finding::warn(format!("Claude Code {text} is old: from {major}.{minor}.{patch} on {why}"))
        .details(details)
        .hint(Hint::shell(format!("{} update", place.paste(path))))
}

fn ask(claude: &Path, patience: Duration) -> std::result::Result<String, String> {
    system::listen_to(claude, &["--version"], &QUIET, patience)
}

fn dotted((major, minor, patch): Version) -> String {
    format!("{major}.{minor}.{patch}")
}

/// On the PATH, or where its own installers put it.
fn find_claude(place: &Place) -> Option<PathBuf> {
    let usual = [place.home.join(".local/bin/claude"), place.config_dir.join("local/claude")];
    system::program("claude").or_else(|| usual.into_iter().find(|path| disk::is_program(path)))
}

/// `2.1.329 (Claude Code)`.
fn version(said: &str) -> Option<Version> {
    let mut numbers = said.split_whitespace().next()?.split('.').map(str::parse);
    let version = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_first_word_and_nothing_else() {
        assert_eq!(version("2.1.329 (Claude Code)\n"), Some((2, 1, 329)));
        for odd in ["", "2.1", "2.1.x (Claude Code)", "Claude Code 2.1.3", "2.1.3.4"] {
            assert_eq!(version(odd), None, "{odd}");
        }
    }
}
