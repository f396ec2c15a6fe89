//! What this machine has seen of releases: `trust.json` in the state directory.
//!
//! Facts only ever rise: a rollback, a pin or an older offline archive changes what runs, not what was seen. The
//! file is never part of a backup. Parsing is strict where forgetting would weaken a check: a damaged memory is an
//! error, a missing one is a first run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::documents::{Channel, Manifest};
use super::trust::{TrustedKeys, Verified};
use crate::domain::{Error, Instant, Result, Sha256};

/// The file's name in the state directory.
pub const FILE: &str = "trust.json";
const SCHEMA: u64 = 1;

/// A release by its number and the one manifest that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub seq: u64,
    pub manifest_sha256: Sha256,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub schema: u64,
    /// The newest keys document that was accepted.
    pub keys_version: u64,
    /// The highest seq of a verified manifest.
    pub max_seq_seen: u64,
    /// Its manifest, to notice a second one with the same seq.
    pub newest: Option<Seen>,
    /// What a fresh channel document last named as newest.
    pub told: Option<Seen>,
    /// The newest moment that a fresh channel document was made at.
    pub max_channel_at: Option<Instant>,
    /// What the last successful self-update installed.
    pub installed: Option<Seen>,
    /// The highest floor that a verified manifest named.
    pub floor_seq: u64,
    /// Versions of gwinstall that a verified manifest forbade, with the reason.
    pub denied: BTreeMap<String, String>,
    /// Set by `self-update --pin`; it counts like GWINSTALL_PIN.
    pub pin: Option<String>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            keys_version: 0,
            max_seq_seen: 0,
            newest: None,
            told: None,
            max_channel_at: None,
            installed: None,
            floor_seq: 0,
            denied: BTreeMap::new(),
            pin: None,
        }
    }
}

impl Memory {
    /// Reads `trust.json`. A newer schema or damage is an error: starting afresh would forget what was seen.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let refuse = |why: String| {
            Error::failed(format!("{FILE} is damaged: it holds which releases were seen")).because(why).hint(
                "if you know why, remove the file and run gwinstall self-update --check to learn it again",
            )
        };
        let memory: Self = serde_json::from_slice(text).map_err(|cause| refuse(cause.to_string()))?;
        if memory.schema != SCHEMA {
            return Err(refuse(format!("its schema is {}, this version reads {SCHEMA}", memory.schema)));
        }
        Ok(memory)
    }

    pub fn text(&self) -> String {
        // Strings, numbers and maps with string keys: serialising them cannot fail.
        serde_json::to_string_pretty(self).map(|text| text + "\n").unwrap_or_default()
    }

    /// Older keys than those seen before would revive what they revoked.
    pub fn demand_keys(&self, keys: &TrustedKeys) -> Result<()> {
        if keys.version() >= self.keys_version {
            return Ok(());
        }
        Err(Error::unverified(format!("keys.{}.json is missing", self.keys_version))
            .because(format!("it was seen before, and only version {} is at hand now", keys.version()))
            .hint("ask an origin that has it: gwinstall self-update --check"))
    }

    pub fn saw_keys(&mut self, keys: &TrustedKeys) {
        self.keys_version = self.keys_version.max(keys.version());
    }

    /// Only for a channel document that `order` found fresh: a stolen channel key must not be able to poison the
    /// memory with a date from the future.
    pub fn saw_channel(&mut self, channel: &Verified<Channel>) {
        let facts = channel.facts();
        self.max_channel_at = self.max_channel_at.max(Some(facts.at));
        if self.told.is_none_or(|told| told.seq <= facts.seq) {
            self.told = Some(Seen { seq: facts.seq, manifest_sha256: facts.manifest_sha256 });
        }
    }

    /// For a manifest that verified and passed `order`.
    pub fn saw_manifest(&mut self, manifest: &Verified<Manifest>) {
        let facts = manifest.facts();
        if facts.seq >= self.max_seq_seen {
            self.max_seq_seen = facts.seq;
            self.newest = Some(Seen { seq: facts.seq, manifest_sha256: manifest.sha256() });
        }
        self.floor_seq = self.floor_seq.max(facts.floor_seq);
        let denied = facts.denied_versions().map(|(version, why)| (version.to_owned(), why.to_owned()));
        self.denied.extend(denied);
    }

    pub fn installed(&mut self, manifest: &Verified<Manifest>) {
        self.saw_manifest(manifest);
        self.installed = Some(Seen { seq: manifest.facts().seq, manifest_sha256: manifest.sha256() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_damage_is_no_first_run() {
        let memory = Memory { max_seq_seen: 42, pin: Some("1.4.2".into()), ..Memory::default() };
        assert_eq!(Memory::parse(memory.text().as_bytes()).unwrap(), memory);
        for damaged in ["", "{}", "{\"schema\":1", &memory.text().replace("\"schema\": 1", "\"schema\": 2")] {
            assert!(Memory::parse(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }
}
