//! The three trees of every operation: wanted (to have), found (on disk) and base (what we shipped last).

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::Sha256;

/// How a file is treated when both sides may have changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Parsed and merged; required.
    Config,
    /// `.env`: structure only, values are the user's.
    Env,
    /// Merged as text; recreated when deleted.
    Script,
    /// Reference material, and the next three too: stays deleted when the user deleted it.
    Template,
    Doc,
    Example,
    Test,
    /// Claude Code's settings: our keys only.
    Settings,
    /// Ours alone: the record, the ledger, the pointer to a target.
    Record,
}

impl Class {
    /// Whether a copy of what we shipped is kept, so that a later change can be merged with the user's.
    pub fn keeps_pristine(self) -> bool {
        matches!(self, Self::Config | Self::Script)
    }

    /// Whether its permissions are ours to watch: it is run, or read by what is run. Those of reference material are the
    /// user's.
    pub fn guards_mode(self) -> bool {
        matches!(self, Self::Config | Self::Script | Self::Test)
    }

    /// Whether a deleted file comes back.
    pub fn is_required(self) -> bool {
        !matches!(self, Self::Template | Self::Doc | Self::Example | Self::Test)
    }
}

/// Content and permission bits: what identifies a version of a file. `mode` holds the lower twelve bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub sha256: Sha256,
    #[serde(with = "octal")]
    pub mode: u32,
}

/// The bytes of a file: in memory once, whether the bundle, the wanted tree or a step of the plan names them.
pub type Content = Rc<[u8]>;

/// A file that we want at a path.
#[derive(Debug, Clone)]
pub struct WantedFile {
    pub bytes: Content,
    pub stamp: Stamp,
    pub class: Class,
}

impl WantedFile {
    pub fn new(bytes: Content, mode: u32, class: Class) -> Self {
        let stamp = Stamp { sha256: Sha256::of(&bytes), mode };
        Self { bytes, stamp, class }
    }
}

/// The tree to have, by path inside the deployment.
pub type Wanted = BTreeMap<String, WantedFile>;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Absent,
    File(Stamp),
    /// Not a regular file: what it is, in words.
    Other(&'static str),
}

impl Found {
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::File(stamp) => Some(*stamp),
            Self::Absent | Self::Other(_) => None,
        }
    }
}

/// Octal text for permission bits, so that a person reads `"0644"` in the record.
pub mod octal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{mode:04o}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or_else(|| de::Error::custom("a mode is up to four octal digits"))
    }
}
