//! The signed documents: keys, channel, manifest. What they say and what must hold inside each of them.
//!
//! The same types are written by the publisher and read by the client. Signed bytes are file bytes: nothing is ever
//! re-serialised before a check. Promise: a document that parses is consistent in itself. Never: decides who may sign
//! (`trust`), or what may be taken (`rules`).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::minisig::{KeyId, PublicKey};
use super::rollout::{self, Step};
use super::strict;
use crate::bundle::pack;
use crate::domain::{Error, Instant, Kind, Result, Sha256};

/// The `product` of every document of gwinstall.
pub const PRODUCT: &str = "gwinstall";
/// The format of all three documents.
pub const SCHEMA: u64 = 1;
/// No artifact is larger; a length is checked before anything is downloaded.
const ARTIFACT_CAP: u64 = 512 << 20;

/// `[a-z0-9][a-z0-9._-]{0,99}`: a name that is one path component and one word of a trusted comment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=100).contains(&text.len())
            && text.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
            && plain(text.as_bytes()[0]);
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a name is [a-z0-9][a-z0-9._-]{0,99}"))
    }
}

/// What the three documents have in common: how they are read, and the line that their signature must carry.
pub trait Document: de::DeserializeOwned {
    /// `keys`, `channel` or `manifest`: the domain that a signature is made for.
    const KIND: &'static str;
    /// Its name in messages.
    const CALLED: &'static str;
    /// No document has more bytes.
    const CAP: usize;
    /// The fields that this version knows, by which it knows whether it understands the critical ones.
    const FIELDS: &'static [&'static str];

    /// Whether what it says fits together.
    fn check(&self) -> std::result::Result<(), String>;

    /// The trusted comment that a signature over `bytes` must carry, byte for byte.
    fn statement(&self, bytes: &[u8]) -> String;

    /// Reads a document. Only to be called with bytes whose signature has been verified. A newer format, or an unknown
    /// field that its author calls critical, is not a forgery: it needs a newer gwinstall.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let newer = |why: String| {
            Error::new(Kind::Refused, format!("{} needs a newer gwinstall", Self::CALLED)).because(why).hint(
                "install the newest release with its install.sh, or take an older release with --version",
            )
        };
        let head: Head = strict::read(Self::CALLED, bytes, Self::CAP)?;
        if head.schema != SCHEMA {
            return Err(newer(format!("its schema is {}, this version reads {SCHEMA}", head.schema)));
        }
        if let Some(field) = head.critical.iter().find(|field| !Self::FIELDS.contains(&field.as_str())) {
            return Err(newer(format!("it relies on the field \"{}\"", field.escape_default())));
        }
        let document: Self = strict::read(Self::CALLED, bytes, Self::CAP)?;
        document.check().map_err(|why| {
            Error::unverified(format!("{} is not a valid document", Self::CALLED)).because(why)
        })?;
        Ok(document)
    }
}

/// `keys.json`: who may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    pub schema: u64,
    pub version: u64,
    pub expires: Instant,
    pub root: Root,
    pub release: Vec<ReleaseKey>,
    pub channel: Vec<NamedKey>,
    #[serde(default)]
    pub retired: Vec<ReleaseKey>,
    #[serde(default)]
    pub revoked: Vec<Revoked>,
    /// The highest seq that counts as seen, of all that was seen with an older keys document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq_reset: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<String>,
}

/// The offline keys: `threshold` of them make the next `keys.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pub threshold: u64,
    pub keys: Vec<NamedKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedKey {
    pub id: KeyId,
    pub key: PublicKey,
}

/// A key that may sign manifests from `from_seq` to `to_seq`, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseKey {
    pub id: KeyId,
    pub key: PublicKey,
    pub from_seq: u64,
    pub to_seq: Option<u64>,
}

/// A key that is no longer trusted, except for what it is known to have signed before it was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub id: KeyId,
    pub last_good_seq: u64,
    #[serde(default)]
    pub also_good: Vec<Sha256>,
    pub why: String,
}

impl Document for Keys {
    const KIND: &'static str = "keys";
    const CALLED: &'static str = "keys.json";
    const CAP: usize = 64 << 10;
    const FIELDS: &'static [&'static str] =
        &["schema", "version", "expires", "root", "release", "channel", "retired", "revoked", "seq_reset"];

    /// One key has one role: ids and key bytes are unique over the whole document.
    fn check(&self) -> std::result::Result<(), String> {
        let (mut ids, mut points) = (BTreeSet::new(), BTreeSet::new());
        let named = self.root.keys.iter().chain(&self.channel).map(|named| (named.id, &named.key));
        let ranged = self.release.iter().chain(&self.retired).map(|ranged| (ranged.id, &ranged.key));
        for (id, key) in named.chain(ranged) {
            if key.id() != id {
                return Err(format!("key {id} carries the id {}", key.id()));
            }
            if !ids.insert(id) || !points.insert(*key.point()) {
                return Err(format!("key {id} is listed twice"));
            }
        }
        if self.root.threshold == 0 || self.root.threshold > self.root.keys.len() as u64 {
            return Err("its threshold is not between 1 and the number of its root keys".into());
        }
        if self.version == 0 {
            return Err("its version is 0".into());
        }
        if self.retired.iter().any(|key| key.to_seq.is_none()) {
            return Err("a retired key has no to_seq".into());
        }
        let empty = |key: &ReleaseKey| key.to_seq.is_some_and(|to| to < key.from_seq);
        match self.release.iter().chain(&self.retired).find(|key| empty(key)) {
            Some(key) => Err(format!("key {} ends before it begins", key.id)),
            None => Ok(()),
        }
    }

    fn statement(&self, bytes: &[u8]) -> String {
        let facts = format!("product={PRODUCT} version={}", self.version);
        statement(Self::KIND, &facts, bytes, self.expires)
    }
}

/// How soon an update should be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Normal,
    Security,
}

/// `channel-<name>.json`: what is newest, and proof that this is fresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub schema: u64,
    pub product: Name,
    pub channel: Name,
    pub seq: u64,
    pub version: Name,
    pub manifest_sha256: Sha256,
    pub keys_version: u64,
    pub at: Instant,
    pub expires: Instant,
    pub severity: Severity,
    /// A machine with a lower seq should update now, whatever `severity` says of the newest release itself.
    pub min_seq: u64,
    /// Which share of all machines takes part from when on; without it, all do. A halt is a newer document with the same
    /// seq and 0.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Vec<Step>>,
    /// What a machine is offered that does not take part yet.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub previous: Option<Named>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<String>,
}

/// One release as a channel document names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub seq: u64,
    pub version: Name,
    pub manifest_sha256: Sha256,
}

/// The value of an optional field that stands in the document; `null` is not one.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Document for Channel {
    const KIND: &'static str = "channel";
    const CALLED: &'static str = "the channel document";
    const CAP: usize = 16 << 10;
    const FIELDS: &'static [&'static str] = &[
        "schema",
        "product",
        "channel",
        "seq",
        "version",
        "manifest_sha256",
        "keys_version",
        "at",
        "expires",
        "severity",
        "min_seq",
        "rollout",
        "previous",
    ];

    fn check(&self) -> std::result::Result<(), String> {
        if self.seq == 0 || self.expires <= self.at || self.min_seq > self.seq {
            return Err("its numbers or dates contradict each other".to_owned());
        }
        self.check_rollout()
    }

    fn statement(&self, bytes: &[u8]) -> String {
        release_statement(
            Self::KIND,
            [&self.product, &self.channel, &self.version],
            self.seq,
            bytes,
            self.expires,
        )
    }
}

impl Channel {
    /// The newest release of the channel.
    pub fn newest(&self) -> Named {
        Named { seq: self.seq, version: self.version.clone(), manifest_sha256: self.manifest_sha256 }
    }

    /// A document that older clients refuse would hold them back altogether, and not by shares.
    fn check_rollout(&self) -> std::result::Result<(), String> {
        match (&self.rollout, &self.previous) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err("it names a previous release without a roll-out".to_owned()),
            (Some(_), _) if !self.critical.is_empty() => {
                return Err("a roll-out and critical fields exclude each other".to_owned());
            }
            (Some(steps), _) => rollout::check(steps)?,
        }
        let same = |previous: &Named| {
            previous.seq >= self.seq
                || previous.version == self.version
                || previous.manifest_sha256 == self.manifest_sha256
        };
        match &self.previous {
            Some(previous) if previous.seq == 0 || same(previous) => {
                Err("the release that it calls previous is not an earlier one".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// `manifest.json`: what the bytes of one release are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: u64,
    pub product: Name,
    pub channel: Name,
    pub seq: u64,
    pub version: Name,
    pub commit: String,
    pub released: Instant,
    pub expires: Instant,
    /// sha256 of the manifest before; only the first has none.
    pub prev: Option<Sha256>,
    pub floor_seq: u64,
    pub min_client_seq: u64,
    pub artifacts: Vec<Artifact>,
    pub bundle: BundleFacts,
    #[serde(default)]
    pub pins: Vec<Pinned>,
    #[serde(default)]
    pub deny: Vec<Denied>,
    #[serde(default)]
    pub critical: Vec<String>,
}

/// One file of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    pub name: Name,
    /// `binary`, `bundle`, or something a later version knows.
    pub role: Name,
    /// The target triple of a binary; `any` otherwise.
    pub target: Name,
    pub len: u64,
    pub sha256: Sha256,
}

/// The configuration bundle, file for file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFacts {
    pub version: Name,
    pub files: Vec<BundleFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFile {
    pub path: String,
    pub len: u64,
    pub sha256: Sha256,
    pub mode: Mode,
    pub class: Name,
}

/// The modes that a deployed file may have. Written `0644`, as people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    #[serde(rename = "0600")]
    Private,
    #[serde(rename = "0644")]
    Plain,
    #[serde(rename = "0755")]
    Executable,
}

impl Mode {
    pub fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Plain => 0o644,
            Self::Executable => 0o755,
        }
    }
}

/// A third party's artifact that this release was tested with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// `pypi`, `oci`, …
    pub kind: Name,
    pub name: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Versions that must not run: of a third party's package, or with kind `self` of gwinstall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    pub kind: Name,
    pub name: String,
    pub versions: Vec<String>,
    pub why: String,
}

impl Document for Manifest {
    const KIND: &'static str = "manifest";
    const CALLED: &'static str = "manifest.json";
    const CAP: usize = 256 << 10;
    const FIELDS: &'static [&'static str] = &[
        "schema",
        "product",
        "channel",
        "seq",
        "version",
        "commit",
        "released",
        "expires",
        "prev",
        "floor_seq",
        "min_client_seq",
        "artifacts",
        "bundle",
        "pins",
        "deny",
    ];

    fn check(&self) -> std::result::Result<(), String> {
        if self.seq == 0 || self.floor_seq > self.seq || self.expires <= self.released {
            return Err("its numbers or dates contradict each other".into());
        }
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if self.commit.len() != 40 || !self.commit.bytes().all(hex) {
            return Err("its commit is not 40 lower-case hex digits".into());
        }
        let (mut names, mut uses) = (BTreeSet::new(), BTreeSet::new());
        for artifact in &self.artifacts {
            if !names.insert(&artifact.name) || !uses.insert((&artifact.role, &artifact.target)) {
                return Err(format!("artifact {} is listed twice", artifact.name));
            }
            if artifact.len == 0 || artifact.len > ARTIFACT_CAP {
                return Err(format!("artifact {} has an impossible length", artifact.name));
            }
        }
        self.bundle.check()
    }

    fn statement(&self, bytes: &[u8]) -> String {
        release_statement(
            Self::KIND,
            [&self.product, &self.channel, &self.version],
            self.seq,
            bytes,
            self.expires,
        )
    }
}

impl Manifest {
    /// The only artifact of this role and target.
    pub fn artifact(&self, role: &str, target: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.role == *role && artifact.target == *target)
    }

    /// Versions of gwinstall that this manifest forbids.
    pub fn denied_versions(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.deny.iter().filter(|denied| denied.kind == *"self");
        own.flat_map(|denied| denied.versions.iter().map(|version| (version.as_str(), denied.why.as_str())))
    }
}

impl BundleFacts {
    fn check(&self) -> std::result::Result<(), String> {
        let (mut paths, mut total) = (BTreeSet::new(), 0_u64);
        for file in &self.files {
            let shown = || file.path.escape_default().to_string();
            pack::check_path(file.path.as_bytes()).map_err(|why| format!("{why}: {}", shown()))?;
            if !paths.insert(file.path.to_ascii_lowercase()) {
                return Err(format!("bundle file {} is listed twice", shown()));
            }
            total = total.saturating_add(file.len);
        }
        let limits = crate::bundle::ustar::Limits::BUNDLE;
        if self.files.len() > limits.files || total > limits.unpacked {
            return Err("its bundle is larger than a bundle may be".into());
        }
        Ok(())
    }
}

/// The keys version that an unverified channel document, or an unverified `keys.json`, speaks of. It only decides how
/// far the chain of keys is followed; each step of that is verified for itself.
pub fn unverified_keys_version(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Versions {
        version: Option<serde_json::Value>,
        keys_version: Option<u64>,
    }
    let versions: Versions = strict::read("document", bytes, Keys::CAP).ok()?;
    versions.keys_version.or_else(|| versions.version?.as_u64())
}

fn release_statement(
    kind: &str,
    [product, channel, version]: [&Name; 3],
    seq: u64,
    bytes: &[u8],
    expires: Instant,
) -> String {
    let facts = format!("product={product} channel={channel} seq={seq} version={version}");
    statement(kind, &facts, bytes, expires)
}

fn statement(kind: &str, facts: &str, bytes: &[u8], expires: Instant) -> String {
    let (len, sha256) = (bytes.len(), Sha256::of(bytes));
    format!("gwinstall/1 {kind} {facts} len={len} sha256={sha256} expires={expires}")
}

/// What every document begins with, whatever its schema.
#[derive(Deserialize)]
struct Head {
    schema: u64,
    #[serde(default)]
    critical: Vec<String>,
}
