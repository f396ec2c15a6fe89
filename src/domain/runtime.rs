//! Which LiteLLM a deployment runs, as the record and the start script name it. Pure.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::word::words;

words! {
    /// Where the LiteLLM of a deployment comes from.
    pub enum RuntimeKind {
        /// Built by `gwinstall runtime install`.
        Managed = "managed",
        /// An environment that the user made.
        Venv = "venv",
        /// A program on the PATH.
        Path = "path",
    }
}

/// The LiteLLM that a deployment starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeId {
    pub kind: RuntimeKind,
    /// Unknown where the environment does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The directory of the environment, or the program; relative to the home where it lies in it, so that a home can
    /// be moved or copied into an image.
    pub path: String,
}

/// What the user asks for; without it the record and what is found decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeRequest {
    /// `--venv DIR`.
    pub venv: Option<PathBuf>,
    /// The runtime that gwinstall built, or builds before the change.
    pub managed: Option<Brought>,
    /// `--allow-unsafe-litellm`.
    pub allow_unsafe: bool,
}

/// A runtime that gwinstall builds for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    pub path: PathBuf,
    pub version: String,
}

impl RuntimeId {
    pub fn new(kind: RuntimeKind, version: Option<String>, path: &Path, home: &Path) -> Self {
        let path = path.strip_prefix(home).unwrap_or(path);
        Self { kind, version, path: path.to_string_lossy().into_owned() }
    }

    /// The absolute path in this home.
    pub fn path(&self, home: &Path) -> PathBuf {
        home.join(&self.path)
    }

    /// The path as a word of a shell script that runs with the user's HOME.
    pub fn shell_word(&self) -> String {
        let quoted = format!("'{}'", self.path.replace('\'', "'\\''"));
        if self.path.starts_with('/') { quoted } else { format!("\"${{HOME-}}\"/{quoted}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_home_moves_with_the_home() {
        let home = Path::new("/home/a b");
        let new = |path: &str| RuntimeId::new(RuntimeKind::Managed, None, Path::new(path), home);
        let inside = new("/home/a b/.local/it's");
        assert_eq!(inside.path, ".local/it's");
        assert_eq!(inside.shell_word(), r#""${HOME-}"/'.local/it'\''s'"#);
        assert_eq!(inside.path(Path::new("/mnt")), Path::new("/mnt/.local/it's"));
        let outside = new("/opt/litellm");
        assert_eq!(
            (outside.shell_word().as_str(), outside.path(home)),
            ("'/opt/litellm'", PathBuf::from("/opt/litellm"))
        );
    }
}
