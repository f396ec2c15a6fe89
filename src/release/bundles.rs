//! Bundles that were fetched: kept as they were signed, verified whenever one is used.
//!
//! `bundles/<seq>/` holds a manifest, its signature and the archive; the newest two are kept. Promise: a bundle is
//! returned only if its signature verifies today, the rules admit it today, and the archive's files are exactly those
//! of the manifest, both ways.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::documents::{Artifact, BundleFile, Manifest};
use super::evidence;
use super::origin::{self, Origin, ReleasePath};
use super::rules::{self, PolicyInput, Refusal};
use super::state::State;
use super::trust::{TrustedKeys, Verified};
use super::update::Candidate;
use crate::bundle::ustar::{self, EntryKind, Limits};
use crate::bundle::{Bundle, Provenance};
use crate::domain::hash::Hasher;
use crate::domain::name::printable;
use crate::domain::record::BundleOrigin;
use crate::domain::{Error, Result, Sha256};
use crate::doors::disk::{self, At as _};
use crate::doors::system;

const KEEP: usize = 2;
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.json.minisig";
const ARCHIVE: &str = "bundle.tar.gz";

/// The manifest of a release that was taken, if it was kept.
pub fn manifest(state: State<'_>, keys: &TrustedKeys, seq: u64) -> Result<Option<Verified<Manifest>>> {
    let (bytes, minisig) = (state.read(&name(seq, MANIFEST))?, state.read(&name(seq, SIGNATURE))?);
    match (bytes, minisig) {
        (Some(bytes), Some(minisig)) => keys.verify_manifest(&bytes, &minisig).map(Some),
        _ => Ok(None),
    }
}

/// Keeps a manifest and its signature, so that `verify` can name who signed what runs.
pub fn keep_manifest(state: State<'_>, manifest: &Verified<Manifest>) -> Result<()> {
    let seq = manifest.facts().seq;
    state.keep(&name(seq, SIGNATURE), manifest.minisig())?;
    state.keep(&name(seq, MANIFEST), manifest.bytes())
}

/// 6: fetches the bundle of a release, checks it whole and keeps it. The archive is renamed into place last: a
/// directory without it does not count as a bundle.
pub fn fetch(
    state: State<'_>,
    origin: &Origin,
    candidate: &Candidate,
    progress: &mut dyn FnMut(u64),
) -> Result<Bundle> {
    let facts = candidate.manifest.facts();
    let artifact = super::order::artifact(&candidate.manifest, "bundle", "any")?;
    keep_manifest(state, &candidate.manifest)?;
    let path = state.path(&name(facts.seq, ARCHIVE));
    let part = path.with_extension("gz.part");
    origin.artifact(&facts.version, artifact, &part, candidate.rejects, progress)?;
    let opened = disk::reader(&part)
        .and_then(|(file, _)| open(file, &candidate.manifest, BundleOrigin::Release, None));
    let bundle = opened.map_err(|error| candidate.rejects.file(&part, artifact.name.as_str(), error))?;
    disk::rename(&part, &path).at("rename", &part)?;
    // A deployment that is made from it next must not outlive it.
    let dir = state.path(&format!("bundles/{}", facts.seq));
    disk::flush_dir(&dir).at("write", &dir)?;
    prune(state)?;
    Ok(bundle)
}

/// The choice among the bundles that were fetched.
#[derive(Debug, Default)]
pub struct Choice {
    /// The newest one that the rules admit today.
    pub bundle: Option<Bundle>,
    /// Newer ones that a rule forbids today.
    pub refused: Vec<Refusal>,
    /// Newer ones that no key vouches for today.
    pub unverified: Vec<Error>,
}

/// Chooses among the bundles that were fetched and are newer than `than`.
pub fn newest(state: State<'_>, keys: &TrustedKeys, than: u64, input: &PolicyInput<'_>) -> Result<Choice> {
    let mut choice = Choice::default();
    for seq in kept(state)?.into_iter().rev().filter(|seq| *seq > than) {
        let manifest = match manifest(state, keys, seq) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => continue,
            // Its key may have been revoked since: then it is as if it had never been fetched.
            Err(error) => {
                choice.unverified.push(error);
                continue;
            }
        };
        match rules::admit(&manifest, input) {
            Ok(()) => {
                let (file, _) = disk::reader(&state.path(&name(seq, ARCHIVE)))?;
                choice.bundle = Some(open(file, &manifest, BundleOrigin::Release, None)?);
                break;
            }
            // After a downgrade come only older ones. Two releases with one seq are never passed over in silence.
            Err(refusal @ (Refusal::Older { .. } | Refusal::Equivocation { .. })) => {
                return Err(evidence::refused(state, &manifest, &refusal, input.way_in));
            }
            Err(refusal) => choice.refused.push(refusal),
        }
    }
    Ok(choice)
}

/// `--bundle FILE`: an offline archive, or an archive beside its manifest and signature.
pub fn from_file(keys: &TrustedKeys, path: &Path) -> Result<(Bundle, Verified<Manifest>)> {
    let given = if path.is_absolute() { path.to_path_buf() } else { system::current_dir()?.join(path) };
    if !disk::exists(&given) {
        return Err(Error::usage(format!("there is no file {}", printable(&path.to_string_lossy()))));
    }
    let given = disk::real_file(&given)?;
    let shown = path.display().to_string();
    let under = |error: Error| error.under(format!("cannot use --bundle {shown}"));
    let (mut file, _) = disk::reader(&given).map_err(under)?;
    let mut magic = [0; 2];
    let gzipped = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let origin =
        Origin::open(&given.to_string_lossy(), || Err(Error::usage("a bundle is a file"))).map_err(under)?;
    let manifest = origin.require(ReleasePath::Newest, MANIFEST).map_err(under)?;
    let minisig = origin.require(ReleasePath::Newest, SIGNATURE).map_err(under)?;
    let manifest = keys.verify_manifest(&manifest, &minisig).map_err(under)?;
    let artifact = super::order::artifact(&manifest, "bundle", "any").map_err(under)?;
    let archive = match gzipped {
        // No more is read than was signed.
        true if disk::is_file_of(&given, artifact.len) => disk::read(&given, artifact.len).map_err(under)?,
        true => return Err(under(other_length(artifact))),
        false => inside(&given, &manifest).map_err(under)?,
    };
    origin::matches_manifest(artifact, Sha256::of(&archive), archive.len() as u64).map_err(under)?;
    let bundle = open(&archive[..], &manifest, BundleOrigin::File, Some(shown.clone())).map_err(under)?;
    Ok((bundle, manifest))
}

fn other_length(artifact: &Artifact) -> Error {
    Error::unverified(format!("{} is not what was signed", artifact.name))
        .because(format!("{} bytes were signed", artifact.len))
}

/// The bundle archive inside an offline archive.
fn inside(path: &Path, manifest: &Verified<Manifest>) -> Result<Vec<u8>> {
    let artifact = super::order::artifact(manifest, "bundle", "any")?;
    let (file, _) = disk::reader(path)?;
    let mut found = None;
    ustar::read_tar(std::io::BufReader::new(file), &Limits::OFFLINE, &mut |entry, body| {
        if entry.path == artifact.name.as_str() && entry.size == artifact.len {
            found = Some(ustar::whole(entry, body)?);
        }
        Ok(())
    })?;
    found.ok_or_else(|| Error::unverified(format!("it does not hold {}", artifact.name)))
}

/// Unpacks an archive against its manifest: exactly these paths, lengths and hashes, both ways. It stops at the first
/// name that is not listed.
pub fn open(
    archive: impl Read,
    manifest: &Verified<Manifest>,
    origin: BundleOrigin,
    path: Option<String>,
) -> Result<Bundle> {
    let facts = manifest.facts();
    let mut missing: BTreeMap<&str, &BundleFile> =
        facts.bundle.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut files = BTreeMap::new();
    ustar::read(archive, &Limits::BUNDLE, &mut |entry, body| {
        if entry.kind == EntryKind::Directory {
            let above = format!("{}/", entry.path);
            let known = facts.bundle.files.iter().any(|file| file.path.starts_with(&above));
            return if known {
                Ok(())
            } else {
                Err(Error::unverified(format!("{} is not in the manifest", entry.path)))
            };
        }
        let Some(file) = missing.remove(entry.path.as_str()) else {
            return Err(Error::unverified(format!("{} is not in the manifest", entry.path)));
        };
        if entry.size != file.len {
            return Err(Error::unverified(format!(
                "{} has {} bytes, {} were signed",
                entry.path, entry.size, file.len
            )));
        }
        let bytes = ustar::whole(entry, body)?;
        if Sha256::of(&bytes) != file.sha256 {
            return Err(Error::unverified(format!("{} is not what was signed", entry.path)));
        }
        files.insert(entry.path.clone(), bytes.into());
        Ok(())
    })
    .map_err(|error| error.under(format!("the bundle {} is refused", facts.bundle.version)))?;
    if let Some(path) = missing.keys().next() {
        return Err(Error::unverified(format!("the bundle {} is refused", facts.bundle.version))
            .because(format!("{path} is missing")));
    }
    Bundle::new(files, &Provenance { version: facts.bundle.version.as_str(), seq: facts.seq, origin, path })
}

/// The sha256 of a file on disk, streamed.
pub fn hash_file(path: &Path) -> Result<(Sha256, u64)> {
    let (mut file, _) = disk::reader(path)?;
    let mut hasher = Hasher::default();
    std::io::copy(&mut file, &mut hasher).at("read", path)?;
    Ok(hasher.finish())
}

/// Numbers of the releases whose archive is kept, lowest first.
fn kept(state: State<'_>) -> Result<Vec<u64>> {
    let whole = |seq: &u64| disk::exists(&state.path(&name(*seq, ARCHIVE)));
    Ok(kept_numbers(state)?.into_iter().filter(whole).collect())
}

/// Numbers of the releases of which anything is kept, lowest first.
fn kept_numbers(state: State<'_>) -> Result<Vec<u64>> {
    let names = disk::list(&state.path("bundles"))?;
    let mut seqs: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
    seqs.sort_unstable();
    Ok(seqs)
}

/// Files that a self-update was receiving or writing when it was killed.
pub fn partial_files(state: State<'_>) -> Result<Vec<PathBuf>> {
    let mut partial = Vec::new();
    for seq in kept_numbers(state)? {
        let dir = state.path(&format!("bundles/{seq}"));
        let files = disk::list(&dir)?.into_iter().map(|name| dir.join(name));
        partial
            .extend(files.filter(|path| path.extension().is_some_and(|end| end == "part" || end == "tmp")));
    }
    Ok(partial)
}

/// Keeps the newest archives; the small manifests of older ones go with them.
fn prune(state: State<'_>) -> Result<()> {
    let kept = kept(state)?;
    for seq in kept.iter().rev().skip(KEEP) {
        for file in [ARCHIVE, MANIFEST, SIGNATURE] {
            let path = state.path(&name(*seq, file));
            disk::remove(&path).at("remove", &path)?;
        }
        let dir: PathBuf = state.path(&format!("bundles/{seq}"));
        disk::remove_dir_if_empty(&dir).at("remove", &dir)?;
    }
    Ok(())
}

/// Where the manifest of a release is kept, if it is.
pub fn manifest_path(dir: &Path, seq: u64) -> PathBuf {
    dir.join(name(seq, MANIFEST))
}

/// Where a fetched bundle is kept, if one was.
pub fn archive_path(dir: &Path, seq: u64) -> PathBuf {
    dir.join(name(seq, ARCHIVE))
}

fn name(seq: u64, file: &str) -> String {
    format!("bundles/{seq}/{file}")
}
