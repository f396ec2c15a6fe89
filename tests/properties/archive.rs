//! The strict archive reader. The first byte of an input says how the rest becomes an archive: no mutation finds a
//! checksum by chance, and an archive that fails at its first header says nothing about the second.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use gwinstall::bundle::pack::{self, BLOCK, EntryKind, RECORD};
use gwinstall::bundle::ustar::{self, Entry, Limits};
use gwinstall::domain::{Kind, Result};

/// Bits of the first byte.
const SEALED: u8 = 1;
const ENDED: u8 = 2;
const GZIPPED: u8 = 4;

/// What is accepted, written again, is the archive: nothing is hidden between its entries. Gzipped it is accepted
/// alike, unless it unpacks to too much. What is refused is refused as unverified, in printable words.
pub fn tape(bytes: &[u8]) -> bool {
    let Some((form, rest)) = bytes.split_first() else { return false };
    if form & GZIPPED != 0 {
        return gzipped(rest);
    }
    let mut tar = rest.to_vec();
    if form & SEALED != 0 {
        seal(&mut tar);
    }
    if form & ENDED != 0 {
        end(&mut tar);
    }
    let (outcome, entries) = read(&tar, |tar, keep| ustar::read_tar(tar, &Limits::BUNDLE, keep));
    if !accepted(&outcome) {
        return false;
    }
    assert!(written(&entries) == tar, "re-serialised bytes differ");
    let again = read(&gzip(&tar), |gz, keep| ustar::read(gz, &Limits::BACKUP, keep));
    assert!(again.0.is_ok() && again.1 == entries, "{:?}", again.0);
    true
}

/// The same for bytes that claim to be a `.tar.gz`: the tar inside is what its entries say.
fn gzipped(gz: &[u8]) -> bool {
    let (outcome, entries) = read(gz, |gz, keep| ustar::read(gz, &Limits::BUNDLE, keep));
    if !accepted(&outcome) {
        return false;
    }
    let again = read(&written(&entries), |tar, keep| ustar::read_tar(tar, &Limits::BUNDLE, keep));
    assert!(again.0.is_ok() && again.1 == entries, "{:?}", again.0);
    true
}

type Entries = Vec<(Entry, Vec<u8>)>;

fn read(bytes: &[u8], with: impl FnOnce(&[u8], ustar::OnEntry<'_>) -> Result<()>) -> (Result<()>, Entries) {
    let mut entries = Vec::new();
    let outcome = with(bytes, &mut |entry, body| {
        entries.push((entry.clone(), ustar::whole(entry, body)?));
        Ok(())
    });
    (outcome, entries)
}

fn accepted(outcome: &Result<()>) -> bool {
    let Err(error) = outcome else { return true };
    assert_eq!(error.kind(), Kind::Unverified, "{error}");
    assert!(!error.to_string().contains(char::is_control), "{error:?}");
    false
}

fn written(entries: &Entries) -> Vec<u8> {
    let mut tar = Vec::new();
    for (entry, body) in entries {
        tar.extend(pack::header(&entry.path, entry.kind, entry.mode, entry.size).unwrap());
        tar.extend(body);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    end(&mut tar);
    tar
}

/// Two empty blocks, and zeros up to a whole record.
fn end(tar: &mut Vec<u8>) {
    let end = tar.len().next_multiple_of(BLOCK) + 2 * BLOCK;
    tar.resize(end.next_multiple_of(usize::try_from(RECORD).unwrap()), 0);
}

/// Puts the checksum of each header right, as far as sizes lead from one to the next.
fn seal(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + BLOCK).and_then(|header| header.first_chunk_mut::<BLOCK>())
    {
        if *header == [0; BLOCK] {
            return;
        }
        let size = header[124..135].iter().fold(0_usize, |size, digit| size << 3 | usize::from(digit & 7));
        let sum = format!("{:06o}\0 ", pack::checksum(header));
        header[148..156].copy_from_slice(sum.as_bytes());
        at = (at + BLOCK).saturating_add(size.next_multiple_of(BLOCK));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzBuilder::new().write(Vec::new(), Compression::new(1));
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

pub fn tapes() -> Vec<Vec<u8>> {
    let entry = |path: &str, kind, mode, body: &[u8]| {
        (Entry { path: path.to_owned(), kind, mode, size: body.len() as u64 }, body.to_vec())
    };
    let whole = written(&vec![
        entry("a", EntryKind::File, 0o644, b"first"),
        entry("d", EntryKind::Directory, 0o755, b""),
        entry("d/b", EntryKind::File, 0o755, &[1; 700]),
        entry(&format!("{}/{}", "p".repeat(90), "n".repeat(60)), EntryKind::File, 0o600, b""),
    ]);
    let entries = &whole[..whole.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(BLOCK)];
    vec![
        [&[0], &whole[..]].concat(),
        [&[SEALED | ENDED], entries].concat(),
        [&[SEALED | ENDED], &entries[..BLOCK], &[7; BLOCK]].concat(),
        [&[GZIPPED], &gzip(&whole)[..]].concat(),
    ]
}
