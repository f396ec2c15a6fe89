//! A bundle: a versioned set of files plus its catalog; one type, one code path for every source.
//!
//! Promise: a `Bundle` in hand is consistent (its catalog names exactly its files) and its files are in memory, so
//! nothing can change between looking and deploying.

pub mod base;
pub mod build;
pub mod catalog;
mod embedded;
mod model;
mod names;
mod overlay;
pub mod pack;
mod provider;
pub mod tariff;
pub mod ustar;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

pub use catalog::{Catalog, Model};
pub use provider::Provider;

use crate::domain::hash::Hasher;
use crate::domain::record::{BundleId, BundleOrigin};
use crate::domain::tree::Content;
use crate::domain::{Error, Kind, Result, Sha256};
use crate::doors::disk;

/// The catalog's place inside a bundle.
pub const CATALOG: &str = "catalog.yaml";

#[derive(Debug, Clone)]
pub struct Bundle {
    pub id: BundleId,
    pub catalog: Catalog,
    files: BTreeMap<String, Content>,
    /// The sha256 of each file whose hash the source supplies.
    hashes: BTreeMap<String, Sha256>,
    /// Presets of the user's own that were left out.
    pub unusable: Vec<Unusable>,
}

/// A preset of the user's own that cannot be used.
#[derive(Debug, Clone)]
pub struct Unusable {
    pub name: String,
    pub error: Error,
}

/// Facts about the files of a bundle beside their bytes.
struct Hashes {
    /// The result of `digest`.
    whole: Sha256,
    files: BTreeMap<String, Sha256>,
}

/// The source of a bundle, for its id.
pub struct Provenance<'a> {
    pub version: &'a str,
    pub seq: u64,
    pub origin: BundleOrigin,
    pub path: Option<String>,
}

impl Provenance<'_> {
    fn cannot_be_used(&self) -> Error {
        let from = self.path.as_deref().unwrap_or(self.origin.word());
        Error::new(Kind::Failed, format!("the bundle from {from} cannot be used"))
    }

    /// Parses `catalog.yaml`; `None` is a bundle without it.
    fn catalog(&self, bytes: Option<&Content>) -> Result<Catalog> {
        let broken = |why: String| self.cannot_be_used().because(why);
        let bytes = bytes.ok_or_else(|| broken(format!("it has no {CATALOG}")))?;
        let text =
            std::str::from_utf8(bytes).map_err(|why| broken(format!("{CATALOG} is not UTF-8: {why}")))?;
        Catalog::parse(text).map_err(|why| broken(format!("{CATALOG}: {why}")))
    }
}

impl Bundle {
    /// Checks the files and their catalog against each other. `files` include `catalog.yaml`.
    pub fn new(files: BTreeMap<String, Content>, from: &Provenance<'_>) -> Result<Self> {
        let catalog = from.catalog(files.get(CATALOG))?;
        Self::checked(files, catalog, from)
    }

    fn checked(files: BTreeMap<String, Content>, catalog: Catalog, from: &Provenance<'_>) -> Result<Self> {
        let hashes = Hashes { whole: digest(&files), files: BTreeMap::new() };
        let bundle = Self::unchecked(files, catalog, hashes, from);
        let broken = |why| from.cannot_be_used().because(format!("{CATALOG}: {why}"));
        bundle.catalog.check(&bundle.files).map_err(broken)?;
        Ok(bundle)
    }

    /// A bundle whose hashes are known and whose files and catalog fit together.
    fn unchecked(
        mut files: BTreeMap<String, Content>,
        catalog: Catalog,
        hashes: Hashes,
        from: &Provenance<'_>,
    ) -> Self {
        files.remove(CATALOG);
        let id = BundleId {
            version: from.version.to_owned(),
            seq: from.seq,
            origin: from.origin,
            sha256: hashes.whole,
            path: from.path.clone(),
            with_own_presets: false,
        };
        Self { id, catalog, files, hashes: hashes.files, unusable: Vec::new() }
    }

    /// A directory in the layout of `embedded/`: `--source-dir`. Unsigned, so its `seq` is 0.
    pub fn from_directory(dir: &Path) -> Result<Self> {
        if !disk::is_dir(dir) {
            return Err(Error::usage(format!("--source-dir: there is no directory {}", dir.display()))
                .hint("give the directory that holds catalog.yaml, or leave the flag out to use the bundle inside gwinstall"));
        }
        let from = Provenance {
            version: build::VERSION,
            seq: 0,
            origin: BundleOrigin::Directory,
            path: Some(dir.display().to_string()),
        };
        let mut paths = disk::walk(dir)?;
        // The catalog comes first: while it is parsed, a large one takes as much memory as all the files.
        paths.sort_by_key(|path| path != CATALOG);
        let (mut files, mut catalog) = (BTreeMap::new(), None);
        let mut total = 0;
        for path in paths {
            if let Err(why) = pack::check_path(path.as_bytes()) {
                return Err(Error::failed(format!("cannot use {}", dir.join(&path).display())).because(why));
            }
            let bytes = disk::read(&dir.join(&path), ustar::Limits::BUNDLE.unpacked)?;
            total += bytes.len() as u64;
            if total > ustar::Limits::BUNDLE.unpacked || files.len() >= ustar::Limits::BUNDLE.files {
                return Err(Error::failed(format!("--source-dir: {} is too large", dir.display()))
                    .because("a bundle holds at most 10,000 files and 64 MiB"));
            }
            let bytes: Content = bytes.into();
            if path == CATALOG {
                catalog = Some(from.catalog(Some(&bytes))?);
            }
            files.insert(path, bytes);
        }
        let catalog = catalog.map_or_else(|| from.catalog(None), Ok)?;
        Self::checked(files, catalog, &from)
    }

    /// A file of the bundle.
    pub fn file(&self, path: &str) -> Option<&Content> {
        self.files.get(path)
    }

    /// The sha256 of a file of the bundle.
    pub fn sha256(&self, path: &str) -> Option<Sha256> {
        self.hashes.get(path).copied().or_else(|| self.file(path).map(|bytes| Sha256::of(bytes)))
    }

    pub fn files(&self) -> &BTreeMap<String, Content> {
        &self.files
    }

    /// A text file that the catalog promises.
    pub fn text(&self, path: &str) -> Result<&str> {
        self.file(path)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .ok_or_else(|| Error::failed(format!("the bundle's {path} is missing or not UTF-8")))
    }
}

/// sha256 over names, lengths and bytes of all files, in order.
fn digest(files: &BTreeMap<String, Content>) -> Sha256 {
    let mut hasher = Hasher::default();
    for (path, bytes) in files {
        // Writing to a Hasher cannot fail.
        let _ = write!(hasher, "{path}\0{}\0", bytes.len());
        let _ = hasher.write_all(bytes);
    }
    hasher.finish().0
}
