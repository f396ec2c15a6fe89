//! Evidence of two releases with one number: what was seen before and what is served now, both as they were signed.
//!
//! One seq has one manifest; two of them, both authentic, say that somebody serves some people something else, or that
//! a key is in two hands. A hash alone convinces nobody, so the signed bytes are kept: `equivocation/` holds, for each
//! side, the manifest or at least the channel document that named it, with its signature.
//!
//! Never: decides anything; the refusal itself is `order`'s.

use super::documents::{Channel, Manifest};
use super::memory::{Memory, Seen};
use super::origin::Shelf;
use super::state::State;
use super::trust::{TrustedKeys, Verified};
use super::update::{Inquiry, channel_names};
use crate::domain::{Result, Sha256};
use crate::doors::disk;

const DIRECTORY: &str = "equivocation";
/// The newest manifest that was seen: the earlier side, should there ever be another.
const NEWEST: &str = "newest-manifest.json";
/// Whoever can sign can make many; a few convince as well.
const CAP: usize = 32;

/// A document as it came.
pub(super) struct Served<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) minisig: &'a [u8],
}

/// Keeps the newest manifest that was seen. Call it with the memory that has taken the manifest in.
pub(super) fn keep_newest(
    state: State<'_>,
    memory: &Memory,
    manifest: &Verified<Manifest>,
    served: &Served<'_>,
) -> Result<()> {
    let newest = memory.newest.is_some_and(|seen| seen.manifest_sha256 == manifest.sha256());
    if !newest || state.read(NEWEST)?.is_some_and(|kept| kept == served.bytes) {
        return Ok(());
    }
    state.keep(&format!("{NEWEST}.minisig"), served.minisig)?;
    state.keep(NEWEST, served.bytes)
}

/// A channel names another manifest than was seen: both documents, and the other manifest where the origin has it.
pub(super) fn of_channel(
    inquiry: &Inquiry<'_>,
    keys: &TrustedKeys,
    channel: &Verified<Channel>,
    served: &Served<'_>,
    seen: Seen,
) -> Result<()> {
    let facts = channel.facts();
    let state = inquiry.state;
    keep(state, facts.seq, facts.manifest_sha256, "channel.json", served)?;
    let (name, signature) = channel_names(inquiry.channel);
    if let (Some(bytes), Some(minisig)) = (state.read(&name)?, state.read(&signature)?) {
        // What was kept was verified then; keys may have changed since.
        let before = keys.verify_channel(&bytes, &minisig).ok();
        if before.is_some_and(|before| before.facts().manifest_sha256 == seen.manifest_sha256) {
            let served = Served { bytes: &bytes, minisig: &minisig };
            keep(state, seen.seq, seen.manifest_sha256, "channel.json", &served)?;
        }
    }
    earlier(state, seen)?;
    let shelf = Shelf::Version(&facts.version);
    let fetched = |name| inquiry.origin.document(shelf, name).ok().flatten();
    let (Some(bytes), Some(minisig)) = (fetched("manifest.json"), fetched("manifest.json.minisig")) else {
        return Ok(());
    };
    match keys.verify_manifest(&bytes, &minisig) {
        Ok(manifest) if manifest.facts().seq == seen.seq && manifest.sha256() != seen.manifest_sha256 => {
            let served = Served { bytes: &bytes, minisig: &minisig };
            keep(state, seen.seq, manifest.sha256(), "manifest.json", &served)
        }
        // Nothing authentic, so no evidence.
        _ => Ok(()),
    }
}

/// A manifest that is not the one that was seen under its number.
pub(super) fn of_manifest(
    state: State<'_>,
    manifest: &Verified<Manifest>,
    served: &Served<'_>,
    seen: Seen,
) -> Result<()> {
    keep(state, seen.seq, manifest.sha256(), "manifest.json", served)?;
    earlier(state, seen)
}

/// The manifest that was seen before, from wherever it was kept.
fn earlier(state: State<'_>, seen: Seen) -> Result<()> {
    for name in [NEWEST.to_owned(), format!("bundles/{}/manifest.json", seen.seq)] {
        let kept = (state.read(&name)?, state.read(&format!("{name}.minisig"))?);
        if let (Some(bytes), Some(minisig)) = kept
            && Sha256::of(&bytes) == seen.manifest_sha256
        {
            let served = Served { bytes: &bytes, minisig: &minisig };
            return keep(state, seen.seq, seen.manifest_sha256, "manifest.json", &served);
        }
    }
    Ok(())
}

fn keep(state: State<'_>, seq: u64, sha256: Sha256, what: &str, served: &Served<'_>) -> Result<()> {
    let dir = state.path(DIRECTORY);
    let name = format!("{DIRECTORY}/{seq}-{}.{what}", sha256.short());
    if disk::exists(&state.path(&name)) || (disk::is_dir(&dir) && disk::list(&dir)?.len() >= CAP) {
        return Ok(());
    }
    state.keep(&format!("{name}.minisig"), served.minisig)?;
    state.keep(&name, served.bytes)
}
