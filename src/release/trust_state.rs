//! What this machine has seen of releases: `trust.json` in the state directory.
//!
//! Promise: its numbers only rise: a rollback, a pin or an older offline archive changes what runs, not what was seen.
//! Each fact is kept with the key that signed it, and counts as long as that key is trusted: what a stolen key taught
//! is forgotten once a keys document revokes it. A damaged file is an error, because forgetting would weaken a check; a
//! missing file is a first run. Never: part of a backup.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::documents::{Channel, Manifest, Name};
use super::minisig::KeyId;
use super::trust::{TrustedKeys, Verified};
use crate::domain::name::printable;
use crate::domain::{Error, Hint, Instant, Result, Sha256};

/// The file's name in the state directory.
pub const FILE: &str = "trust.json";
const SCHEMA: u64 = 1;
/// The holder of a key can sign any number of manifests: what they teach must not fill the file.
const WITNESS_CAP: usize = 64;
const DENIED_CAP: usize = 256;
const WHY_CAP: usize = 200;

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
    /// The latest moment at which a fresh channel document was signed.
    pub max_channel_at: Option<Instant>,
    /// The key that signed that channel document.
    #[serde(default)]
    pub channel_key: Option<KeyId>,
    /// What the last successful self-update installed.
    pub installed: Option<Seen>,
    /// The highest floor that a verified manifest named.
    pub floor_seq: u64,
    /// Versions of gwinstall that a verified manifest forbade, with the reason.
    pub denied: BTreeMap<String, String>,
    /// Set by `self-update --pin`; it counts like GWINSTALL_PIN.
    pub pin: Option<String>,
    /// The manifests that all of this was learnt from, lowest seq first.
    #[serde(default)]
    pub witnesses: Vec<Witness>,
}

/// What one verified manifest taught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// `None`: an older gwinstall learnt it, and did not note the key.
    signer: Option<KeyId>,
    /// The keys document that was trusted then.
    keys_version: u64,
    seq: u64,
    manifest_sha256: Option<Sha256>,
    floor_seq: u64,
    denied: BTreeMap<String, String>,
}

impl Witness {
    /// Whether it counts with these keys.
    fn counts(&self, keys: &TrustedKeys) -> bool {
        let older = self.keys_version < keys.version();
        if older && keys.facts().seq_reset.is_some_and(|highest| self.seq > highest) {
            return false;
        }
        match (self.signer, self.manifest_sha256) {
            (Some(signer), Some(sha256)) => keys.vouches_for(signer, self.seq, sha256),
            _ => true,
        }
    }
}

impl Default for TrustState {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            keys_version: 0,
            max_seq_seen: 0,
            newest: None,
            max_channel_at: None,
            channel_key: None,
            installed: None,
            floor_seq: 0,
            denied: BTreeMap::new(),
            pin: None,
            witnesses: Vec::new(),
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
        let mut state: Self = serde_json::from_slice(text).map_err(|cause| refuse(cause.to_string()))?;
        if state.schema != SCHEMA {
            return Err(refuse(format!("its schema is {}, this version reads {SCHEMA}", state.schema)));
        }
        state.name_a_witness();
        Ok(state)
    }

    /// What an older gwinstall learnt, which noted no witness.
    fn name_a_witness(&mut self) {
        if self.witnesses.is_empty() && self.max_seq_seen > 0 {
            self.witnesses.push(Witness {
                signer: None,
                keys_version: self.keys_version,
                seq: self.max_seq_seen,
                manifest_sha256: self.newest.map(|newest| newest.manifest_sha256),
                floor_seq: self.floor_seq,
                denied: self.denied.clone(),
            });
        }
    }

    /// Forgets what is not verified by keys that are trusted now, and works the rest out again. Keys that are older than
    /// those seen before decide nothing.
    pub fn judge(&mut self, keys: &TrustedKeys) {
        if keys.version() < self.keys_version {
            return;
        }
        let known = self.witnesses.len();
        self.witnesses.retain(|witness| witness.counts(keys));
        if self.channel_key.is_some_and(|key| !keys.has_channel_key(key)) {
            (self.max_channel_at, self.channel_key) = (None, None);
        }
        if self.witnesses.len() == known {
            return;
        }
        let newest = self.witnesses.last();
        self.max_seq_seen = newest.map_or(0, |newest| newest.seq);
        self.newest = newest
            .and_then(|newest| Some(Seen { seq: newest.seq, manifest_sha256: newest.manifest_sha256? }));
        self.floor_seq = self.witnesses.iter().map(|witness| witness.floor_seq).max().unwrap_or(0);
        self.denied = self.witnesses.iter().flat_map(|witness| witness.denied.clone()).collect();
    }

    /// The manifest that was seen under a seq.
    pub fn seen(&self, seq: u64) -> Option<Seen> {
        let newest = self.newest.filter(|newest| newest.seq == seq);
        let earlier = || self.witnesses.iter().find(|witness| witness.seq == seq)?.manifest_sha256;
        newest.or_else(|| earlier().map(|manifest_sha256| Seen { seq, manifest_sha256 }))
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
    /// the future here. What it says of a release counts only once the manifest has been verified.
    pub fn saw_channel(&mut self, channel: &Verified<Channel>) {
        if self.max_channel_at.is_none_or(|at| at <= channel.facts().at) {
            self.max_channel_at = Some(channel.facts().at);
            self.channel_key = Some(channel.signer());
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
        let room = DENIED_CAP.saturating_sub(self.witnesses.iter().map(|witness| witness.denied.len()).sum());
        // No release has a version that is not a name.
        let denied = facts.denied_versions().filter(|(version, _)| Name::parse(version).is_some());
        let denied =
            denied.map(|(version, why)| (version.to_owned(), printable(why).chars().take(WHY_CAP).collect()));
        let denied: BTreeMap<String, String> = denied.take(room).collect();
        self.denied.extend(denied.clone());
        self.note(Witness {
            signer: Some(manifest.signer()),
            keys_version: self.keys_version,
            seq: facts.seq,
            manifest_sha256: Some(manifest.sha256()),
            floor_seq: facts.floor_seq,
            denied,
        });
    }

    /// Keeps the witnesses in order. Where there are too many, the oldest and the newest stay as they are, and one
    /// between them hands over what it taught to the next.
    fn note(&mut self, witness: Witness) {
        let same = |known: &Witness| {
            (known.signer, known.seq, known.manifest_sha256)
                == (witness.signer, witness.seq, witness.manifest_sha256)
        };
        if self.witnesses.iter().any(same) {
            return;
        }
        let at = self.witnesses.partition_point(|known| known.seq <= witness.seq);
        self.witnesses.insert(at, witness);
        if self.witnesses.len() > WITNESS_CAP {
            let folded = self.witnesses.remove(WITNESS_CAP / 2);
            let next = &mut self.witnesses[WITNESS_CAP / 2];
            next.floor_seq = next.floor_seq.max(folded.floor_seq);
            next.denied.extend(folded.denied);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_not_a_first_run() {
        let state = TrustState { max_seq_seen: 42, pin: Some("1.4.2".into()), ..TrustState::default() };
        let text = serde_json::to_string_pretty(&state).unwrap();
        let read = TrustState::parse(text.as_bytes()).unwrap();
        // An older gwinstall noted no witness: what it learnt gets one without a key.
        assert_eq!(read.witnesses.len(), 1);
        assert_eq!(TrustState { witnesses: Vec::new(), ..read.clone() }, state);
        assert_eq!(TrustState::parse(&serde_json::to_vec(&read).unwrap()).unwrap(), read);
        for damaged in ["", "{}", "{\"schema\":1", &text.replace("\"schema\": 1", "\"schema\": 2")] {
            assert!(TrustState::parse(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }
}
