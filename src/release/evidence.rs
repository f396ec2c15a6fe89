//! Evidence of two releases with one seq: what was seen before and what is served now, both as they were signed.
//!
//! One seq has one manifest. Two of them, both authentic, mean that someone is served something else, or that a key is
//! in two hands. A hash alone convinces no reader, so the signed bytes are kept: `equivocation/` holds, for each side,
//! the manifest or at least the channel document that named it, with its signature.
//!
//! Never: decides anything; the refusal itself comes from `rules`.

use super::documents::{Channel, Manifest, Name};
use super::origin::{Origin, ReleasePath};
use super::rules::{Refusal, WayIn};
use super::state::{State, channel_names};
use super::trust::{TrustedKeys, Verified};
use super::trust_state::{Seen, TrustState};
use crate::domain::{Error, Result, Sha256};
use crate::doors::disk;

const DIRECTORY: &str = "equivocation";
/// The newest manifest that was seen: the earlier side, should another one appear.
const NEWEST: &str = "newest-manifest.json";
/// A key holder can sign any number of them; a few prove as much.
const CAP: usize = 32;

/// Keeps the newest manifest that was seen. Call it after `trust` has taken the manifest in.
pub(super) fn keep_newest(state: State<'_>, trust: &TrustState, manifest: &Verified<Manifest>) -> Result<()> {
    let newest = trust.newest.is_some_and(|seen| seen.manifest_sha256 == manifest.sha256());
    if !newest || state.read(NEWEST)?.is_some_and(|kept| kept == manifest.bytes()) {
        return Ok(());
    }
    state.keep(&format!("{NEWEST}.minisig"), manifest.minisig())?;
    state.keep(NEWEST, manifest.bytes())
}

/// The error for a manifest that the rules refused. Where two releases have one seq, both are kept before it is
/// reported.
pub(super) fn refused(
    state: State<'_>,
    manifest: &Verified<Manifest>,
    refusal: &Refusal,
    way_in: WayIn,
) -> Error {
    match refusal {
        Refusal::Equivocation { seen, .. } => {
            with_evidence(refusal.error(way_in), of_manifest(state, manifest, *seen))
        }
        _ => refusal.error(way_in),
    }
}

/// The error for a channel document that the rules refused. It may name another manifest than was seen before: then
/// both documents are kept, and the other manifest where the origin has it.
pub(super) fn channel_refused(
    state: State<'_>,
    origin: &Origin,
    keys: &TrustedKeys,
    channel: &Verified<Channel>,
    refusal: &Refusal,
) -> Error {
    let error = refusal.error(WayIn::SelfUpdate);
    match refusal {
        Refusal::Equivocation { seen, .. } => {
            with_evidence(error, of_channel(state, origin, keys, channel, *seen))
        }
        _ => error,
    }
}

/// The refusal counts more than a failure to keep its evidence, and both are reported.
fn with_evidence(refusal: Error, kept: Result<()>) -> Error {
    match kept {
        Ok(()) => refusal.because("both are kept in the state directory, under equivocation/"),
        Err(error) => refusal.because(format!("they could not be kept: {error}")),
    }
}

fn of_channel(
    state: State<'_>,
    origin: &Origin,
    keys: &TrustedKeys,
    channel: &Verified<Channel>,
    seen: Seen,
) -> Result<()> {
    let facts = channel.facts();
    let named = facts.previous.clone().filter(|previous| previous.seq == seen.seq);
    let named = named.unwrap_or_else(|| facts.newest());
    keep(state, named.seq, named.manifest_sha256, "channel.json", Signed::of(channel))?;
    earlier_channel(state, keys, &facts.channel, seen)?;
    earlier(state, seen)?;
    let path = ReleasePath::Version(&named.version);
    let fetched = |name| origin.document(path, name).ok().flatten();
    let (Some(bytes), Some(minisig)) = (fetched("manifest.json"), fetched("manifest.json.minisig")) else {
        return Ok(());
    };
    match keys.verify_manifest(&bytes, &minisig) {
        Ok(manifest) if manifest.facts().seq == seen.seq && manifest.sha256() != seen.manifest_sha256 => {
            keep(state, seen.seq, manifest.sha256(), "manifest.json", Signed::of(&manifest))
        }
        // What is not authentic is not evidence.
        _ => Ok(()),
    }
}

/// The channel document of the last check, if it names the manifest that was seen before.
fn earlier_channel(state: State<'_>, keys: &TrustedKeys, channel: &Name, seen: Seen) -> Result<()> {
    let (name, signature) = channel_names(channel);
    let (Some(bytes), Some(minisig)) = (state.read(&name)?, state.read(&signature)?) else { return Ok(()) };
    // It was verified when it was kept; keys may have changed since.
    match keys.verify_channel(&bytes, &minisig) {
        Ok(before) if before.facts().manifest_sha256 == seen.manifest_sha256 => {
            keep(state, seen.seq, seen.manifest_sha256, "channel.json", Signed::of(&before))
        }
        _ => Ok(()),
    }
}

fn of_manifest(state: State<'_>, manifest: &Verified<Manifest>, seen: Seen) -> Result<()> {
    keep(state, seen.seq, manifest.sha256(), "manifest.json", Signed::of(manifest))?;
    earlier(state, seen)
}

/// The manifest that was seen before, from wherever it was kept.
fn earlier(state: State<'_>, seen: Seen) -> Result<()> {
    for name in [NEWEST.to_owned(), format!("bundles/{}/manifest.json", seen.seq)] {
        let kept = (state.read(&name)?, state.read(&format!("{name}.minisig"))?);
        if let (Some(bytes), Some(minisig)) = kept
            && Sha256::of(&bytes) == seen.manifest_sha256
        {
            let signed = Signed { bytes: &bytes, minisig: &minisig };
            return keep(state, seen.seq, seen.manifest_sha256, "manifest.json", signed);
        }
    }
    Ok(())
}

/// A document as it was signed.
#[derive(Clone, Copy)]
struct Signed<'a> {
    bytes: &'a [u8],
    minisig: &'a [u8],
}

impl<'a> Signed<'a> {
    fn of<T>(document: &'a Verified<T>) -> Self {
        Self { bytes: document.bytes(), minisig: document.minisig() }
    }
}

fn keep(state: State<'_>, seq: u64, sha256: Sha256, what: &str, signed: Signed<'_>) -> Result<()> {
    let dir = state.path(DIRECTORY);
    let name = format!("{DIRECTORY}/{seq}-{}.{what}", sha256.short());
    if disk::exists(&state.path(&name)) || (disk::is_dir(&dir) && disk::list(&dir)?.len() >= CAP) {
        return Ok(());
    }
    state.keep(&format!("{name}.minisig"), signed.minisig)?;
    state.keep(&name, signed.bytes)
}
