//! The header of a sealed file: one stanza for each way to open it, and a seal over all of them.
//!
//! Read as strictly as the format asks for. A stanza of an unknown kind is passed over, as the format demands.

use data_encoding::BASE64_NOPAD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::fault::Fault;
use super::keys::{self, FileKey, Identity, Key, Lock, Random};
use crate::domain::{Error, Result, Secret};

/// The first line of every file in this format.
pub(super) const VERSION: &[u8] = b"age-encryption.org/v1\n";
/// Longer headers are refused: this one has room for some 500 recipients.
const LONGEST: usize = 64 << 10;
const COLUMNS: usize = 64;
/// A file's key of 16 bytes and the seal over it.
const WRAPPED: usize = 32;

/// What opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    Passphrase,
    Recipients,
}

pub(super) struct Header {
    stanzas: Vec<Stanza>,
    /// Where the text ends that the seal is over.
    sealed_to: usize,
    seal: Vec<u8>,
}

struct Stanza {
    words: Vec<String>,
    body: Vec<u8>,
}

impl Header {
    /// The header at the beginning of `file`, and its length.
    pub(super) fn parse(file: &[u8]) -> std::result::Result<(Self, usize), Fault> {
        let mut at = VERSION.len();
        if !file.starts_with(VERSION) {
            return Err(Fault::Header);
        }
        let mut stanzas = Vec::new();
        loop {
            let start = at;
            let line = line(file, &mut at)?;
            if let Some(seal) = line.strip_prefix("--- ") {
                let seal = BASE64.decode(seal.as_bytes()).ok().ok_or(Fault::Header)?;
                let sealed_to = start + "---".len();
                return if stanzas.is_empty() {
                    Err(Fault::Header)
                } else {
                    Ok((Self { stanzas, sealed_to, seal }, at))
                };
            }
            let words = line.strip_prefix("-> ").ok_or(Fault::Header)?;
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            if words.iter().any(|word| word.is_empty() || !word.bytes().all(|b| b.is_ascii_graphic())) {
                return Err(Fault::Header);
            }
            stanzas.push(Stanza { words, body: body(file, &mut at)? });
        }
    }

    pub(super) fn opened_by(&self) -> std::result::Result<For, Fault> {
        let is = |kind: &str| self.stanzas.iter().any(|stanza| stanza.words[0] == kind);
        match (is("scrypt"), is("X25519")) {
            // A passphrase is alone: otherwise a file could be opened by more people than its reader thinks.
            (true, _) if self.stanzas.len() > 1 => Err(Fault::Header),
            (true, _) => Ok(For::Passphrase),
            (_, true) => Ok(For::Recipients),
            _ => Err(Fault::Unsupported),
        }
    }

    /// The key of the file.
    pub(super) fn unwrap(&self, key: &Key) -> std::result::Result<FileKey, Fault> {
        match (self.opened_by()?, key) {
            (For::Passphrase, Key::Passphrase(passphrase)) => self.stanzas[0].by_passphrase(passphrase),
            (For::Passphrase, Key::Identities(_)) => Err(Fault::NeedsPassphrase),
            (For::Recipients, Key::Passphrase(_)) => Err(Fault::NeedsIdentity),
            (For::Recipients, Key::Identities(identities)) => {
                let ours = self.stanzas.iter().filter(|stanza| stanza.words[0] == "X25519");
                for stanza in ours {
                    let share = stanza.share()?;
                    if let Some(key) = identities.iter().find_map(|one| stanza.by_identity(one, &share)) {
                        return Ok(key);
                    }
                }
                Err(Fault::OtherRecipient)
            }
        }
    }

    /// Whether the whole header is as its writer left it.
    pub(super) fn check(&self, file: &[u8], key: &FileKey) -> std::result::Result<(), Fault> {
        let expected = seal_of(&file[..self.sealed_to], key);
        if expected[..] == self.seal[..] { Ok(()) } else { Err(Fault::Altered) }
    }
}

impl Stanza {
    fn share(&self) -> std::result::Result<[u8; 32], Fault> {
        let [_, share] = &self.words[..] else { return Err(Fault::Header) };
        let share = BASE64.decode(share.as_bytes()).ok().and_then(|share| share.try_into().ok());
        share.filter(|_| self.body.len() == WRAPPED).ok_or(Fault::Header)
    }

    fn by_identity(&self, identity: &Identity, share: &[u8; 32]) -> Option<FileKey> {
        identity.wrapping(share).and_then(|key| unwrapped(&self.body, &key))
    }

    fn by_passphrase(&self, passphrase: &Secret) -> std::result::Result<FileKey, Fault> {
        let [_, salt, work] = &self.words[..] else { return Err(Fault::Header) };
        let salt =
            BASE64.decode(salt.as_bytes()).ok().filter(|salt| salt.len() == 16).ok_or(Fault::Header)?;
        let plain = !work.starts_with('0') && work.bytes().all(|b| b.is_ascii_digit());
        let work: u8 =
            work.parse().ok().filter(|_| plain && self.body.len() == WRAPPED).ok_or(Fault::Header)?;
        let key = keys::wrapping_by(passphrase, &salt, work).ok_or(Fault::TooMuchWork)?;
        unwrapped(&self.body, &key).ok_or(Fault::Passphrase)
    }
}

/// A line without its end.
fn line<'a>(file: &'a [u8], at: &mut usize) -> std::result::Result<&'a str, Fault> {
    let rest = &file[*at..file.len().min(LONGEST)];
    let length = rest.iter().position(|byte| *byte == b'\n').ok_or(Fault::Header)?;
    *at += length + 1;
    std::str::from_utf8(&rest[..length]).ok().ok_or(Fault::Header)
}

/// The body of a stanza: full lines, and a last one that is not full.
fn body(file: &[u8], at: &mut usize) -> std::result::Result<Vec<u8>, Fault> {
    let mut text = String::new();
    loop {
        let line = line(file, at)?;
        text.push_str(line);
        match line.len() {
            COLUMNS => {}
            0..COLUMNS => return BASE64.decode(text.as_bytes()).ok().ok_or(Fault::Header),
            _ => return Err(Fault::Header),
        }
    }
}

/// A header for a new file.
pub(super) fn write(key: &FileKey, lock: &Lock, random: Random<'_>) -> Result<Vec<u8>> {
    let mut text = String::from_utf8_lossy(VERSION).into_owned();
    let mut stanza = |words: &str, wrapping: &[u8; 32]| {
        let body = wrapped(key, wrapping).ok_or_else(|| Error::failed("cannot encrypt the key of a file"))?;
        text.push_str(&format!("-> {words}\n{}\n", BASE64.encode(&body)));
        Ok(())
    };
    match lock {
        Lock::Recipients(recipients) => {
            for recipient in recipients {
                let mut fresh = [0; 32];
                random(&mut fresh)?;
                let (share, wrapping) = keys::wrapping_for(recipient, fresh).ok_or_else(|| {
                    Error::usage("a recipient is not a key that anything can be encrypted for")
                })?;
                stanza(&format!("X25519 {}", BASE64.encode(&share)), &wrapping)?;
            }
        }
        Lock::Passphrase(passphrase) => {
            let mut salt = [0; 16];
            random(&mut salt)?;
            let wrapping = keys::wrapping_by(passphrase, &salt, keys::WORK)
                .ok_or_else(|| Error::failed("cannot derive a key from the passphrase"))?;
            stanza(&format!("scrypt {} {}", BASE64.encode(&salt), keys::WORK), &wrapping)?;
        }
    }
    text.push_str("---");
    let seal = BASE64.encode(&seal_of(text.as_bytes(), key));
    text.push_str(&format!(" {seal}\n"));
    Ok(text.into_bytes())
}

fn seal_of(header: &[u8], key: &FileKey) -> [u8; 32] {
    keys::mac(&keys::derive(&key.0, b"", b"header"), header)
}

/// Each wrapping key is used once, so its nonce is zero.
fn cipher(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

fn wrapped(key: &FileKey, wrapping: &[u8; 32]) -> Option<Vec<u8>> {
    let mut body = key.0.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    cipher(wrapping)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut body).ok()?;
    Some(body)
}

fn unwrapped(body: &[u8], wrapping: &[u8; 32]) -> Option<FileKey> {
    let mut body = body.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let plain = cipher(wrapping)?.open_in_place(nonce, Aad::empty(), &mut body).ok()?;
    (&*plain).try_into().ok().map(FileKey)
}
