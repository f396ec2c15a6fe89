//! The lists of keys: a throw-away set for tests, and the check that a chain of lists holds.
//!
//! Production lists are written by hand and signed offline with the stock `minisign` (dist/keys/README.md). Here a chain
//! is held against the client's own rules and against the stock tool, and refused as a client would refuse it.

use std::path::{Path, PathBuf};

use gwinstall::domain::{Error, Instant, Result};
use gwinstall::release::documents::{Document, Keys, NamedKey, ReleaseKey, Root};
use gwinstall::release::minisig::KeyId;
use gwinstall::release::trust::TrustedKeys;

use crate::documents::{self, KEYS_DAYS};
use crate::files;
use crate::keyring::{self, Signer};
use crate::tools;

/// A directory of keys: `keys.<N>.json` with signatures and, where the machine may sign, secret keys.
pub struct KeyDir {
    dir: PathBuf,
    trusted: TrustedKeys,
}

impl KeyDir {
    /// Opens a directory and checks its chain from the first list to the newest.
    pub fn open(dir: &Path) -> Result<Self> {
        let first = list_path(dir, 1);
        if !first.is_file() {
            return Err(Error::failed(format!("{} holds no keys.1.json", dir.display()))
                .hint(format!("cargo run -p gwinstall-dist -- keygen --out {}", dir.display())));
        }
        let mut trusted = TrustedKeys::embedded(&files::read(&first)?)?;
        // The first list is where trust begins: nobody is before it, but its own roots must agree to it.
        stock_threshold(&first, trusted.facts(), trusted.facts())?;
        loop {
            let path = list_path(dir, trusted.version() + 1);
            if !path.is_file() {
                return Ok(Self { dir: dir.to_owned(), trusted });
            }
            let next = trusted.step(&files::read(&path)?, &mut |id| {
                Some(signature_path(&path, id))
                    .filter(|path| path.is_file())
                    .map(|path| files::read(&path))
                    .transpose()
            })?;
            stock_threshold(&path, next.facts(), trusted.facts())?;
            stock_threshold(&path, next.facts(), next.facts())?;
            trusted = next;
        }
    }

    pub fn trusted(&self) -> &TrustedKeys {
        &self.trusted
    }

    pub fn facts(&self) -> &Keys {
        self.trusted.facts()
    }

    /// The newest list: what a build compiles in.
    pub fn newest(&self) -> PathBuf {
        list_path(&self.dir, self.trusted.version())
    }

    /// Every list with its signatures: what is published.
    pub fn published(&self) -> Result<Vec<PathBuf>> {
        let entries = files::listing(&self.dir)?;
        let of_list = |path: &PathBuf| {
            let name = files::name_of(path);
            let number = name.strip_prefix("keys.").and_then(|rest| rest.split('.').next());
            let known = number.and_then(|n| n.parse().ok()).is_some_and(|n: u64| n <= self.trusted.version());
            known && (name.ends_with(".json") || name.ends_with(".minisig"))
        };
        Ok(entries.into_iter().filter(of_list).collect())
    }

    /// The secret release key that may sign this `seq`.
    pub fn release_signer(&self, seq: u64) -> Result<Signer> {
        let may = |key: &&ReleaseKey| key.from_seq <= seq && key.to_seq.is_none_or(|to| seq <= to);
        self.signer("release", self.facts().release.iter().filter(may).map(|key| key.id).collect())
    }

    pub fn channel_signer(&self) -> Result<Signer> {
        self.signer("channel", self.facts().channel.iter().map(|key| key.id).collect())
    }

    fn signer(&self, role: &str, allowed: Vec<KeyId>) -> Result<Signer> {
        let entries = files::listing(&self.dir)?;
        for secret in entries.iter().filter(|path| path.extension().is_some_and(|it| it == "key")) {
            // The public half says whose key it is without asking for a password.
            let public = secret.with_extension("pub");
            let fits = public.is_file() && allowed.contains(&keyring::read_public(&public)?.id());
            if fits {
                return Signer::read(secret);
            }
        }
        let allowed = allowed.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ");
        Err(Error::failed(format!("{} holds no secret {role} key that may sign this", self.dir.display()))
            .because(format!("its newest list allows: {allowed}"))
            .hint("put NAME.key and NAME.pub of that key there"))
    }
}

/// Makes the roots, one release key, one channel key, and the list that names them, signed by every root.
pub fn generate(dir: &Path, roots: usize, threshold: u64, now: Instant) -> Result<()> {
    files::make_directory(dir)?;
    let root = (1..=roots).map(|n| Signer::make(dir, &format!("root-{n}"))).collect::<Result<Vec<_>>>()?;
    let (release, channel) = (Signer::make(dir, "release")?, Signer::make(dir, "channel")?);
    let list = Keys {
        schema: gwinstall::release::documents::SCHEMA,
        version: 1,
        expires: documents::days_after(now, KEYS_DAYS),
        root: Root { threshold, keys: root.iter().map(named).collect() },
        release: vec![ReleaseKey {
            id: release.id(),
            key: release.public.clone(),
            from_seq: 1,
            to_seq: None,
        }],
        channel: vec![named(&channel)],
        retired: Vec::new(),
        seq_reset: None,
        revoked: Vec::new(),
        critical: Vec::new(),
    };
    let path = list_path(dir, 1);
    files::write(&path, &documents::bytes_of(&list)?)?;
    root.iter().try_for_each(|signer| sign_list(&path, signer))?;
    files::write(&dir.join("keys.json"), &files::read(&path)?)
}

/// Adds one signature to a list.
pub fn sign_list(path: &Path, signer: &Signer) -> Result<()> {
    let text = signer.sign(&files::read(path)?, &documents::statement_of(path)?)?;
    files::write(&signature_path(path, signer.id()), text.as_bytes())
}

/// Takes a list that was written by hand into the directory, in the layout and with the check of ours.
pub fn adopt(draft: &Path, dir: &Path, signers: &[PathBuf]) -> Result<PathBuf> {
    let list = Keys::parse(&files::read(draft)?)?;
    let path = list_path(dir, list.version);
    if path.is_file() {
        return Err(Error::usage(format!("{} is there already: a list never changes", path.display()))
            .hint("give the draft the next version number"));
    }
    files::make_directory(dir)?;
    files::write(&path, &documents::bytes_of(&list)?)?;
    for signer in signers {
        sign_list(&path, &Signer::read(signer)?)?;
    }
    Ok(path)
}

/// Where the signature of a key over a list belongs.
pub fn signature_path(list: &Path, signer: KeyId) -> PathBuf {
    list.with_file_name(format!("{}.{signer}.minisig", files::name_of(list)))
}

fn list_path(dir: &Path, version: u64) -> PathBuf {
    dir.join(format!("keys.{version}.json"))
}

fn named(signer: &Signer) -> NamedKey {
    NamedKey { id: signer.id(), key: signer.public.clone() }
}

/// A threshold of `judge`'s roots signed the list, according to the stock minisign.
fn stock_threshold(path: &Path, list: &Keys, judge: &Keys) -> Result<()> {
    let statement = list.statement(&files::read(path)?);
    let mut good = 0;
    for root in &judge.root.keys {
        let signature = signature_path(path, root.id);
        if signature.is_file() {
            tools::minisign_accepts(path, &signature, root.key.as_str(), &statement)?;
            good += 1;
        }
    }
    if good >= judge.root.threshold {
        return Ok(());
    }
    Err(Error::failed(format!(
        "{} has {good} good signatures, {} are needed",
        path.display(),
        judge.root.threshold
    ))
    .hint("each root holder signs with the stock minisign: dist/keys/README.md"))
}
