//! The three trees of every operation: wanted (new), found (local, on disk) and base (as last shipped).

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
    /// Claude Code's settings: gwinstall changes its own keys only.
    Settings,
    /// Files that only gwinstall writes: the record, the ledger, the pointer to a target.
    Record,
}

impl Class {
    /// Whether gwinstall keeps a base copy, so that it can merge a later version with the edits of the user.
    pub fn keeps_base_copy(self) -> bool {
        matches!(self, Self::Config | Self::Script)
    }

    /// Whether gwinstall checks its permissions, because a program runs or reads it. The user decides about those of
    /// reference material.
    pub fn guards_mode(self) -> bool {
        matches!(self, Self::Config | Self::Script | Self::Test)
    }

    /// Whether gwinstall restores a deleted file.
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

/// A file of the wanted tree.
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

/// The wanted tree, by path inside the deployment.
pub type Wanted = BTreeMap<String, WantedFile>;

/// Builds a map again so that it takes about half the memory. A map that grew in the order of its keys leaves each node half
/// empty, which matters with ten thousand files.
pub fn packed<V>(map: BTreeMap<String, V>) -> BTreeMap<String, V> {
    map.into_iter().collect()
}

/// What gwinstall found at a path.
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
