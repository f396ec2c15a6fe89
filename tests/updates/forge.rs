//! A publisher for tests: throw-away keys, documents of any content, signatures over any statement.

use std::collections::BTreeMap;
use std::io::Cursor;

use gwinstall::domain::{Instant, Sha256};
use gwinstall::release::documents::{Channel, Document, Keys, Manifest};
use gwinstall::release::minisig::{KeyId, PublicKey};
use gwinstall::release::rules::{Constraints, PolicyInput, Running, WayIn};
use gwinstall::release::trust::{KeySource, TrustedKeys};
use gwinstall::release::trust_state::TrustState;
use serde_json::{Value, json};

pub const NOW: &str = "2026-11-21T10:00:00Z";

pub fn now() -> Instant {
    Instant::parse(NOW).unwrap()
}

/// One key pair.
pub struct Signer {
    pub pair: minisign::KeyPair,
    pub key: PublicKey,
}

impl Signer {
    pub fn new() -> Self {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let key = PublicKey::parse(&pair.pk.to_base64()).unwrap();
        Self { pair, key }
    }

    pub fn id(&self) -> KeyId {
        self.key.id()
    }

    pub fn sign(&self, bytes: &[u8], comment: &str) -> Vec<u8> {
        let signature = minisign::sign(None, &self.pair.sk, Cursor::new(bytes), Some(comment), Some("x"));
        signature.unwrap().into_string().into_bytes()
    }

    /// Signs a document with the statement that it must carry.
    pub fn sign_document<T: Document>(&self, bytes: &[u8]) -> Vec<u8> {
        self.sign(bytes, &T::parse(bytes).unwrap().statement(bytes))
    }

    pub fn named(&self) -> Value {
        json!({"id": self.id(), "key": self.key})
    }

    pub fn ranged(&self, from: u64, to: Option<u64>) -> Value {
        json!({"id": self.id(), "key": self.key, "from_seq": from, "to_seq": to})
    }
}

/// Roots, release key and channel key, and version 1 of the keys document.
pub struct World {
    pub roots: Vec<Signer>,
    pub release: Signer,
    pub channel: Signer,
}

impl World {
    pub fn new() -> Self {
        let roots = (0..3).map(|_| Signer::new()).collect();
        Self { roots, release: Signer::new(), channel: Signer::new() }
    }

    pub fn keys_json(&self, version: u64) -> Value {
        json!({
            "schema": 1, "version": version, "expires": "2028-01-01T00:00:00Z",
            "root": {"threshold": 2, "keys": self.roots.iter().map(Signer::named).collect::<Vec<_>>()},
            "release": [self.release.ranged(1, None)],
            "channel": [self.channel.named()],
            "retired": [], "revoked": [],
        })
    }

    pub fn keys(&self) -> TrustedKeys {
        TrustedKeys::embedded(&bytes(&self.keys_json(1))).unwrap()
    }

    /// Version 1 with a change, as if it had been compiled in.
    pub fn keys_with(&self, change: impl FnOnce(&mut Value)) -> TrustedKeys {
        let mut keys = self.keys_json(1);
        change(&mut keys);
        TrustedKeys::embedded(&bytes(&keys)).unwrap()
    }

    pub fn signed_manifest(&self, manifest: &Value) -> (Vec<u8>, Vec<u8>) {
        let bytes = bytes(manifest);
        let minisig = self.release.sign_document::<Manifest>(&bytes);
        (bytes, minisig)
    }

    pub fn signed_channel(&self, channel: &Value) -> (Vec<u8>, Vec<u8>) {
        let bytes = bytes(channel);
        let minisig = self.channel.sign_document::<Channel>(&bytes);
        (bytes, minisig)
    }
}

pub fn bytes(document: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(document).unwrap()
}

pub fn manifest(seq: u64, version: &str) -> Value {
    json!({
        "schema": 1, "product": "gwinstall", "channel": "stable", "seq": seq, "version": version,
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "released": "2026-11-20T00:00:00Z", "expires": "2027-05-20T00:00:00Z", "prev": null,
        "floor_seq": 1, "min_client_seq": 0,
        "artifacts": [
            {"name": format!("gwinstall-{version}-x86_64-unknown-linux-musl"), "role": "binary",
             "target": "x86_64-unknown-linux-musl", "len": 4, "sha256": Sha256::of(b"test")},
            {"name": format!("gwinstall-bundle-{version}.tar.gz"), "role": "bundle", "target": "any",
             "len": 6, "sha256": Sha256::of(b"bundle")},
        ],
        "bundle": {"version": version, "files": []},
        "pins": [], "deny": [], "critical": [],
    })
}

pub fn channel(seq: u64, version: &str, manifest: &[u8]) -> Value {
    json!({
        "schema": 1, "product": "gwinstall", "channel": "stable", "seq": seq, "version": version,
        "manifest_sha256": Sha256::of(manifest), "keys_version": 1,
        "at": "2026-11-21T00:00:00Z", "expires": "2027-01-20T00:00:00Z",
        "severity": "normal", "min_seq": 1,
    })
}

pub fn running(seq: u64, version: &str) -> Running {
    let built = Instant::parse("2026-10-01T00:00:00Z").unwrap();
    Running { seq, version: version.to_owned(), manifest: None, built }
}

/// What a self-update of `running` holds a release against.
pub fn policy_input<'a>(
    running: &'a Running,
    trust: &'a TrustState,
    channel: &'a gwinstall::release::documents::Name,
) -> PolicyInput<'a> {
    PolicyInput {
        way_in: WayIn::SelfUpdate,
        now: now(),
        running,
        in_use: running.release(),
        trust,
        channel: Some(channel),
        constraints: Constraints::default(),
    }
}

/// A chain of keys documents in memory.
#[derive(Default)]
pub struct Chain {
    pub documents: BTreeMap<u64, Vec<u8>>,
    pub signatures: BTreeMap<(u64, KeyId), Vec<u8>>,
}

impl Chain {
    pub fn add(&mut self, version: u64, document: &Value, signers: &[&Signer]) {
        let bytes = bytes(document);
        // A statement for a document that does not parse cannot be built from it; sign what it claims.
        let statement = Keys::parse(&bytes).map(|keys| keys.statement(&bytes));
        for signer in signers {
            let minisig = signer.sign(&bytes, statement.as_deref().unwrap_or("gwinstall/1 keys"));
            self.signatures.insert((version, signer.id()), minisig);
        }
        self.documents.insert(version, bytes);
    }
}

impl KeySource for Chain {
    fn document(&mut self, version: u64) -> gwinstall::domain::Result<Option<Vec<u8>>> {
        Ok(self.documents.get(&version).cloned())
    }

    fn signature(&mut self, version: u64, id: KeyId) -> gwinstall::domain::Result<Option<Vec<u8>>> {
        Ok(self.signatures.get(&(version, id)).cloned())
    }
}
