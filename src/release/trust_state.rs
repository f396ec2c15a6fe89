//! What this machine has seen of releases: `trust.json` in the state directory.
//!
//! Promise: its numbers only rise: a rollback, a pin or an older offline archive changes what runs, not what was seen.
//! A damaged file is an error, because forgetting would weaken a check; a missing file is a first run. Never: part of a
//! backup.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::documents::{Channel, Manifest};
use super::trust::{TrustedKeys, Verified};
use crate::domain::{Error, Hint, Instant, Result, Sha256};

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
pub struct TrustState {
    pub schema: u64,
    /// The newest keys document that was accepted.
    pub keys_version: u64,
    /// The highest seq of a verified manifest.
    pub max_seq_seen: u64,
    /// Its manifest, to notice a second one with the same seq.
    pub newest: Option<Seen>,
    /// What a fresh channel document last named as newest.
    pub announced: Option<Seen>,
    /// The latest moment at which a fresh channel document was signed.
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

impl Default for TrustState {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            keys_version: 0,
            max_seq_seen: 0,
            newest: None,
            announced: None,
            max_channel_at: None,
            installed: None,
            floor_seq: 0,
            denied: BTreeMap::new(),
            pin: None,
        }
    }
}

impl TrustState {
    /// Reads `trust.json`. A newer schema or damage is an error: starting afresh would forget what was seen.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let refuse = |why: String| {
            Error::failed(format!("{FILE} is damaged: it holds which releases were seen")).because(why).hint(
                Hint::run(&["self-update", "--check"]).to("learn it again once you have removed the file"),
            )
        };
        let state: Self = serde_json::from_slice(text).map_err(|cause| refuse(cause.to_string()))?;
        if state.schema != SCHEMA {
            return Err(refuse(format!("its schema is {}, this version reads {SCHEMA}", state.schema)));
        }
        Ok(state)
    }

    /// Refuses keys that are older than those seen before: they would revive the keys that were revoked since.
    pub fn require_keys(&self, keys: &TrustedKeys) -> Result<()> {
        if keys.version() >= self.keys_version {
            return Ok(());
        }
        Err(Error::unverified(format!("keys.{}.json is missing", self.keys_version))
            .because(format!("it was seen before, and only version {} is at hand now", keys.version()))
            .hint(Hint::run(&["self-update", "--check"]).to("fetch it from an origin that has it")))
    }

    pub fn saw_keys(&mut self, keys: &TrustedKeys) {
        self.keys_version = self.keys_version.max(keys.version());
    }

    /// Only for a channel document that `order` found fresh: a stolen channel key must not be able to leave a date from
    /// the future here.
    pub fn saw_channel(&mut self, channel: &Verified<Channel>) {
        let facts = channel.facts();
        self.max_channel_at = self.max_channel_at.max(Some(facts.at));
        if self.announced.is_none_or(|announced| announced.seq <= facts.seq) {
            self.announced = Some(Seen { seq: facts.seq, manifest_sha256: facts.manifest_sha256 });
        }
    }

    /// For a manifest that verified and that the rules admitted.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_not_a_first_run() {
        let state = TrustState { max_seq_seen: 42, pin: Some("1.4.2".into()), ..TrustState::default() };
        let text = serde_json::to_string_pretty(&state).unwrap();
        assert_eq!(TrustState::parse(text.as_bytes()).unwrap(), state);
        for damaged in ["", "{}", "{\"schema\":1", &text.replace("\"schema\": 1", "\"schema\": 2")] {
            assert!(TrustState::parse(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }
}
