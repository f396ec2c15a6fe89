//! The age format, version 1 (age-encryption.org/v1), for bytes that are in memory: X25519 recipients and passphrases.
//!
//! Promise: what `seal` makes the programs age and rage open, and the other way round; nothing that was altered, cut off or
//! extended is ever opened. Plain and sealed bytes share one buffer. Never reads or writes a file, never asks, and no fault
//! repeats a part of a key. Other recipients (ssh, plugins, post-quantum) are refused by name.
//!
//! The crate age does the same and makes an executable 400 KB larger; ring and curve25519-dalek are in this one anyway.

mod fault;
mod header;
mod keys;
mod payload;
#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use header::For;
pub use keys::{FileKey, Identity, Key, Lock, Random, Recipient};

use header::{Header, VERSION};

/// A sealed file, and the key of this one file: with it the maker can read back what it wrote, also where only a recipient
/// could open the header.
pub struct Sealed {
    pub bytes: Vec<u8>,
    pub file_key: FileKey,
}

/// Whether the bytes begin like a file in this format.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(VERSION)
}

/// Seals `plain` for everyone whom `lock` names.
pub fn seal(plain: Vec<u8>, lock: &Lock, random: Random<'_>) -> crate::domain::Result<Sealed> {
    let (mut file_key, mut nonce) = (FileKey([0; 16]), [0; 16]);
    random(&mut file_key.0)?;
    random(&mut nonce)?;
    let mut front = header::write(&file_key, lock, random)?;
    front.extend(nonce);
    let bytes = payload::seal(plain, &front, &file_key, &nonce)?;
    Ok(Sealed { bytes, file_key })
}

/// Opens what was sealed for the holder of `key`.
pub fn open(sealed: Vec<u8>, key: &Key) -> Result<Vec<u8>, Fault> {
    let (header, length) = Header::parse(&sealed)?;
    let file_key = header.unwrap(key)?;
    header.check(&sealed, &file_key)?;
    payload::open(sealed, length, &file_key)
}

/// Opens what this run sealed, as far as it can: with the passphrase, or for recipients with the key of the file alone.
pub fn read_back(sealed: Vec<u8>, lock: &Lock, file_key: &FileKey) -> Result<Vec<u8>, Fault> {
    if let Lock::Passphrase(passphrase) = lock {
        return open(sealed, &Key::Passphrase(passphrase.clone()));
    }
    let (header, length) = Header::parse(&sealed)?;
    header.check(&sealed, file_key)?;
    payload::open(sealed, length, file_key)
}

/// What opens a sealed file, after a look at all of its structure: what can be known without a key.
pub fn look(sealed: &[u8]) -> Result<For, Fault> {
    let (header, length) = Header::parse(sealed)?;
    payload::check_length(sealed.len() - length)?;
    header.opened_by()
}
