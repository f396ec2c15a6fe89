//! The content of a sealed file: parts of 64 KiB, each under its number, the last one marked as the last. A part cannot be
//! altered, moved or left out without being noticed. Works inside the buffer that holds the content.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

use super::fault::Fault;
use super::keys::{FileKey, derive};
use crate::domain::{Error, Result};

const PART: usize = 64 << 10;
const TAG: usize = 16;
const NONCE: usize = 16;

/// `front`, the header and the nonce, and behind it the sealed content. The parts move to their places from the last to the
/// first, so that none is overwritten.
pub(super) fn seal(plain: Vec<u8>, front: &[u8], key: &FileKey, nonce: &[u8; NONCE]) -> Result<Vec<u8>> {
    let failed = || Error::failed("cannot encrypt a file");
    let cipher = cipher(key, nonce).ok_or_else(failed)?;
    let length = plain.len();
    let mut bytes = plain;
    let parts = length.div_ceil(PART).max(1);
    bytes.resize(front.len() + length + parts * TAG, 0);
    for part in (0..parts).rev() {
        let from = part * PART..length.min((part + 1) * PART);
        let to = front.len() + part * (PART + TAG);
        let size = from.len();
        bytes.copy_within(from, to);
        let number = number(part, part + 1 == parts);
        let tag = cipher.seal_in_place_separate_tag(number, Aad::empty(), &mut bytes[to..to + size]);
        let tag = tag.ok().ok_or_else(failed)?;
        bytes[to + size..to + size + TAG].copy_from_slice(tag.as_ref());
    }
    bytes[..front.len()].copy_from_slice(front);
    Ok(bytes)
}

/// The content of `file` behind its header.
pub(super) fn open(file: Vec<u8>, header: usize, key: &FileKey) -> std::result::Result<Vec<u8>, Fault> {
    check_length(file.len() - header)?;
    let mut bytes = file;
    let mut nonce = [0; NONCE];
    nonce.copy_from_slice(&bytes[header..header + NONCE]);
    let cipher = cipher(key, &nonce).ok_or(Fault::Altered)?;
    let start = header + NONCE;
    let parts = (bytes.len() - start).div_ceil(PART + TAG);
    let mut length = 0;
    for part in 0..parts {
        let from = start + part * (PART + TAG);
        let to = bytes.len().min(from + PART + TAG) - TAG;
        let mut tag = [0; TAG];
        tag.copy_from_slice(&bytes[to..to + TAG]);
        let number = number(part, part + 1 == parts);
        cipher
            .open_in_place_separate_tag(number, Aad::empty(), Tag::from(tag), &mut bytes[from..to], 0..)
            .ok()
            .ok_or(Fault::Altered)?;
        bytes.copy_within(from..to, length);
        length += to - from;
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Whether `length` bytes behind a header can be content at all. Only an empty content has an empty part.
pub(super) fn check_length(length: usize) -> std::result::Result<(), Fault> {
    let content = length.checked_sub(NONCE).ok_or(Fault::Cut)?;
    let last = content % (PART + TAG);
    let whole = content == TAG || last > TAG || (last == 0 && content > 0);
    if whole { Ok(()) } else { Err(Fault::Cut) }
}

fn cipher(key: &FileKey, nonce: &[u8; NONCE]) -> Option<LessSafeKey> {
    let key = derive(&key.0, nonce, b"payload");
    UnboundKey::new(&CHACHA20_POLY1305, &key).ok().map(LessSafeKey::new)
}

/// Eleven bytes for the number of the part, and one that says whether it is the last.
fn number(part: usize, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&(part as u64).to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}
