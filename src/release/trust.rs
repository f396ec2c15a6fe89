//! Who may sign, and for what: the chain of `keys.json` documents and the verification of everything else.
//!
//! A `TrustedKeys` begins as the one that was compiled in and changes only by `step`: version N+1 takes over when a
//! threshold of N's roots and a threshold of its own roots have signed it. A `Verified` document exists only after
//! its signature, its trusted comment and its own consistency have been checked, in that order.
//!
//! Promise: no content of a document is looked at before its signature holds. Never: reads the clock (age is
//! `order`'s business), skips a version, lets a key speak for another role.

use std::collections::BTreeSet;

use super::documents::{Channel, Document, Keys, Manifest, NamedKey, ReleaseKey};
use super::minisig::{KeyId, PublicKey, Signature};
use crate::domain::name::printable;
use crate::domain::{Error, Kind, Result, Sha256};

/// Versions of `keys.json` that are walked in one go at most.
pub const MAX_STEPS: u64 = 64;

/// A keys document that was compiled in, or that the one before it vouches for.
#[derive(Debug, Clone)]
pub struct TrustedKeys(Keys);

/// Fetches the signature that a key made over a document, if there is one.
pub type SignatureOf<'a> = &'a mut dyn FnMut(KeyId) -> Result<Option<Vec<u8>>>;

impl TrustedKeys {
    /// The keys that were compiled into this executable: the anchor of all trust.
    pub fn embedded(bytes: &[u8]) -> Result<Self> {
        Keys::parse(bytes).map(Self)
    }

    pub fn facts(&self) -> &Keys {
        &self.0
    }

    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// The keys one version on, if a threshold of these roots and of its own roots signed `bytes`.
    pub fn step(&self, bytes: &[u8], signature_of: SignatureOf<'_>) -> Result<Self> {
        let next = self.version() + 1;
        let what = format!("keys.{next}.json");
        let before = signers(&self.0, bytes, signature_of)?;
        enough(&self.0, &before, "today's").map_err(|error| error.under(format!("{what} is refused")))?;
        let keys = Keys::parse(bytes)?;
        let wrong = |why: String| Error::unverified(format!("{what} is refused")).because(why);
        if keys.version != next {
            return Err(wrong(format!("it says that it is version {}", keys.version)));
        }
        let after = signers(&keys, bytes, signature_of)?;
        enough(&keys, &after, "its own").map_err(|error| error.under(format!("{what} is refused")))?;
        let expected = keys.statement(bytes);
        for (id, statement) in before.iter().chain(&after) {
            same_statement(*id, statement, &expected).map_err(|error| error.under(what.clone()))?;
        }
        Ok(Self(keys))
    }

    /// Walks up to version `goal`, one document at a time; `document` gives the bytes of a version and its
    /// signatures.
    pub fn walk(self, goal: u64, source: &mut dyn KeySource) -> Result<Self> {
        let steps = goal.saturating_sub(self.version());
        if steps > MAX_STEPS {
            return Err(Error::unverified(format!("keys.{goal}.json is too far ahead"))
                .because(format!("{steps} versions lie between, {MAX_STEPS} may"))
                .hint("install the newest release with its install.sh"));
        }
        let mut trusted = self;
        while trusted.version() < goal {
            let version = trusted.version() + 1;
            let bytes = source.document(version)?.ok_or_else(|| {
                Error::unverified(format!("keys.{version}.json is missing"))
                    .because("keys are followed one version at a time, none may be left out")
            })?;
            trusted = trusted.step(&bytes, &mut |id| source.signature(version, id))?;
        }
        Ok(trusted)
    }

    /// Walks as far as the source goes.
    pub fn walk_to_end(self, source: &mut dyn KeySource) -> Result<Self> {
        let mut trusted = self;
        for _ in 0..MAX_STEPS {
            let version = trusted.version() + 1;
            let Some(bytes) = source.document(version)? else { return Ok(trusted) };
            trusted = trusted.step(&bytes, &mut |id| source.signature(version, id))?;
        }
        Ok(trusted)
    }

    /// A manifest that a release key signed while it was allowed to.
    pub fn verify_manifest(&self, bytes: &[u8], minisig: &[u8]) -> Result<Verified<Manifest>> {
        let keys = self.0.release.iter().chain(&self.0.retired);
        let verified: Verified<Manifest> = self.verify(bytes, minisig, keys.map(|key| (key.id, &key.key)))?;
        let (seq, sha256, signer) = (verified.document.seq, verified.sha256, verified.signer);
        self.standing(signer, seq, sha256).map_err(|error| error.under("manifest.json is refused"))?;
        Ok(verified)
    }

    /// A channel document that a channel key signed.
    pub fn verify_channel(&self, bytes: &[u8], minisig: &[u8]) -> Result<Verified<Channel>> {
        let keys = self.0.channel.iter().map(|NamedKey { id, key }| (*id, key));
        let verified = self.verify::<Channel>(bytes, minisig, keys)?;
        self.not_revoked(verified.signer, verified.document.seq, None)
            .map_err(|error| error.under("the channel document is refused"))?;
        Ok(verified)
    }

    /// Whether a manifest that this key signed would verify today.
    pub fn vouches_for(&self, signer: KeyId, seq: u64, sha256: Sha256) -> bool {
        let mut keys = self.0.release.iter().chain(&self.0.retired);
        keys.any(|key| key.id == signer) && self.standing(signer, seq, sha256).is_ok()
    }

    /// Whether this key may sign channel documents today.
    pub fn has_channel_key(&self, signer: KeyId) -> bool {
        let revoked = self.0.revoked.iter().any(|revoked| revoked.id == signer);
        !revoked && self.0.channel.iter().any(|key| key.id == signer)
    }

    /// What is to be said about the key that signed a manifest, beyond that it may.
    pub fn remark(&self, signer: KeyId) -> Option<String> {
        if let Some(revoked) = self.0.revoked.iter().find(|revoked| revoked.id == signer) {
            let why = printable(&revoked.why);
            return Some(format!("key {signer} was revoked after seq {}: {why}", revoked.last_good_seq));
        }
        let retired = self.0.retired.iter().find(|key| key.id == signer)?;
        Some(format!("key {signer} was retired at seq {}", retired.to_seq.unwrap_or(0)))
    }

    fn verify<'a, T: Document>(
        &self,
        bytes: &[u8],
        minisig: &[u8],
        keys: impl Iterator<Item = (KeyId, &'a PublicKey)>,
    ) -> Result<Verified<T>> {
        let refused = |error: Error| error.under(format!("the {} is refused", T::KIND));
        let signature = Signature::parse(minisig).map_err(refused)?;
        let mut known = Vec::new();
        for (id, key) in keys {
            if id != signature.key_id() {
                known.push(id.to_string());
                continue;
            }
            let statement = key.verify(bytes, &signature).map_err(refused)?;
            let document = T::parse(bytes)?;
            same_statement(id, statement.as_str(), &document.statement(bytes)).map_err(refused)?;
            let (bytes, minisig) = (bytes.to_vec(), minisig.to_vec());
            return Ok(Verified { document, sha256: Sha256::of(&bytes), signer: id, bytes, minisig });
        }
        let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(refused(
            Error::unverified(format!("key {} may not sign it", signature.key_id()))
                .because(format!("keys.json version {} allows: {list}", self.0.version)),
        ))
    }

    fn standing(&self, signer: KeyId, seq: u64, sha256: Sha256) -> Result<()> {
        let ranged = self.0.release.iter().chain(&self.0.retired);
        if let Some(ReleaseKey { from_seq, to_seq, .. }) = ranged.into_iter().find(|key| key.id == signer) {
            let end = to_seq.unwrap_or(u64::MAX);
            if !(*from_seq..=end).contains(&seq) {
                let range = to_seq.map_or(format!("from {from_seq} on"), |to| format!("{from_seq} to {to}"));
                return Err(Error::unverified(format!("key {signer} may not sign seq {seq}"))
                    .because(format!("it may sign seq {range}")));
            }
        }
        self.not_revoked(signer, seq, Some(sha256))
    }

    fn not_revoked(&self, signer: KeyId, seq: u64, sha256: Option<Sha256>) -> Result<()> {
        let revoked = self.0.revoked.iter().filter(|revoked| revoked.id == signer);
        for revoked in revoked {
            let listed = sha256.is_some_and(|sha256| revoked.also_good.contains(&sha256));
            if seq > revoked.last_good_seq && !listed {
                return Err(Error::unverified(format!("key {signer} was revoked"))
                    .because(printable(&revoked.why))
                    .because(format!(
                        "what it signed is good up to seq {}, this is {seq}",
                        revoked.last_good_seq
                    )));
            }
        }
        Ok(())
    }
}

/// Where the chain of keys documents comes from: an origin, a directory, an offline archive.
pub trait KeySource {
    /// `keys.<version>.json`.
    fn document(&mut self, version: u64) -> Result<Option<Vec<u8>>>;
    /// `keys.<version>.json.<id>.minisig`.
    fn signature(&mut self, version: u64, id: KeyId) -> Result<Option<Vec<u8>>>;
}

/// A document whose signature, statement and consistency have been checked, with the bytes that prove it.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    document: T,
    sha256: Sha256,
    signer: KeyId,
    bytes: Vec<u8>,
    minisig: Vec<u8>,
}

impl<T> Verified<T> {
    pub fn facts(&self) -> &T {
        &self.document
    }

    /// The sha256 of the signed bytes: the identity of the document.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    pub fn signer(&self) -> KeyId {
        self.signer
    }

    /// The document as it was signed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its signature file.
    pub fn minisig(&self) -> &[u8] {
        &self.minisig
    }
}

/// The roots of `keys` that signed `bytes`, each with the statement it signed. A root whose signature is damaged
/// has not signed.
fn signers(keys: &Keys, bytes: &[u8], signature_of: SignatureOf<'_>) -> Result<Vec<(KeyId, String)>> {
    let mut signers = Vec::new();
    let mut points = BTreeSet::new();
    for root in &keys.root.keys {
        let Some(minisig) = signature_of(root.id)? else { continue };
        let Ok(signature) = Signature::parse(&minisig) else { continue };
        let Ok(statement) = root.key.verify(bytes, &signature) else { continue };
        if points.insert(*root.key.point()) {
            signers.push((root.id, statement.as_str().to_owned()));
        }
    }
    Ok(signers)
}

fn enough(keys: &Keys, signers: &[(KeyId, String)], whose: &str) -> Result<()> {
    let (have, need, of) = (signers.len() as u64, keys.root.threshold, keys.root.keys.len());
    if have >= need {
        return Ok(());
    }
    Err(Error::new(Kind::Unverified, format!("{have} of {whose} {of} root keys signed it, {need} must")))
}

fn same_statement(id: KeyId, signed: &str, expected: &str) -> Result<()> {
    if signed == expected {
        return Ok(());
    }
    Err(Error::unverified(format!("key {id} signed another statement"))
        .because(format!("signed: {signed}"))
        .because(format!("needed: {expected}")))
}
