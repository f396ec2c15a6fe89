//! Minisign keys and signatures, strictly.
//!
//! A `.minisig` file is malleable: its first line is not signed, and tools accept extra lines, CRLF, loose base64.
//! So the file is taken apart here first, to the byte, and only then verified, by the `minisign-verify` crate.
//!
//! Promise: the signed comment cannot be reached before the signature over it has been verified; the unsigned
//! comment cannot be reached at all; the older `Ed` form (not prehashed) is never accepted. Never: treats a
//! `.minisig` file or its hash as an identity.

use std::fmt;

use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::{Error, Result};

/// A `.minisig` file is never longer.
pub const MAX_FILE: usize = 1024;
const MAX_COMMENT: usize = 512;

/// The eight bytes that minisign calls a key id: a label that the maker of the key chose, not a fingerprint. Its text form
/// is what `minisign` prints, in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Parses 16 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        plain.then(|| u64::from_str_radix(text, 16).ok().map(|number| Self(number.to_le_bytes())))?
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a key id is 16 lower-case hex digits"))
    }
}

/// A public key that is fit to be trusted: canonical text, a point of prime order.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    text: String,
    id: KeyId,
    point: [u8; 32],
}

impl PublicKey {
    /// Parses the one line of base64 that `minisign` prints (`RW…`).
    pub fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        let bytes = base64(text).ok_or("a public key is canonical base64")?;
        let bytes: [u8; 42] = bytes.try_into().ok().ok_or("a public key has 42 bytes")?;
        if &bytes[..2] != b"Ed" {
            return Err("a public key is of type Ed");
        }
        let (mut id, mut point) = ([0; 8], [0; 32]);
        id.copy_from_slice(&bytes[2..10]);
        point.copy_from_slice(&bytes[10..]);
        if let Some(why) = weakness(point) {
            return Err(why);
        }
        Ok(Self { text: text.to_owned(), id: KeyId(id), point })
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The 32 bytes that a key really is.
    pub fn point(&self) -> &[u8; 32] {
        &self.point
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Verifies `signature` over `bytes` and hands out the comment that is signed with it.
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<Statement> {
        let refuse = || {
            Error::unverified("the signature does not verify")
                .because(format!("it was made by another key than {}, or what it signs was changed", self.id))
        };
        if signature.id != self.id {
            return Err(Error::unverified("the signature does not verify")
                .because(format!("it names key {}, expected is key {}", signature.id, self.id)));
        }
        let key = minisign_verify::PublicKey::from_base64(&self.text).ok().ok_or_else(refuse)?;
        let parsed = minisign_verify::Signature::decode(&signature.canonical).ok().ok_or_else(refuse)?;
        let allow_legacy = false;
        key.verify(bytes, &parsed, allow_legacy).ok().ok_or_else(refuse)?;
        Ok(Statement(parsed.trusted_comment().to_owned()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// A signature that has the right form. Nothing in it is believed yet.
pub struct Signature {
    id: KeyId,
    /// The file with its unsigned comment replaced.
    canonical: String,
}

impl Signature {
    /// Takes a `.minisig` file apart: exactly four LF-terminated lines with their exact prefixes, canonical base64
    /// of 74 and 64 bytes, algorithm `ED`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let refuse = |why: &str| Error::unverified("the signature file is malformed").because(why);
        if bytes.len() > MAX_FILE {
            return Err(refuse("it is longer than 1024 bytes"));
        }
        let text = std::str::from_utf8(bytes).ok().ok_or_else(|| refuse("it is not UTF-8"))?;
        let body =
            text.strip_suffix('\n').ok_or_else(|| refuse("its last line does not end with a newline"))?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [unsigned, first, signed, second] = lines[..] else {
            return Err(refuse("it does not have exactly four lines"));
        };
        if !unsigned.starts_with("untrusted comment: ") || unsigned.contains(['\r', '\0']) {
            return Err(refuse("its first line is not an untrusted comment"));
        }
        let comment = signed
            .strip_prefix("trusted comment: ")
            .ok_or_else(|| refuse("its third line is not a trusted comment"))?;
        if comment.len() > MAX_COMMENT || !comment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(refuse("its trusted comment is not short printable ASCII"));
        }
        let packet = base64(first).filter(|bytes| bytes.len() == 74);
        let packet = packet.ok_or_else(|| refuse("its second line is not canonical base64 of 74 bytes"))?;
        if base64(second).is_none_or(|bytes| bytes.len() != 64) {
            return Err(refuse("its fourth line is not canonical base64 of 64 bytes"));
        }
        match &packet[..2] {
            b"ED" => {}
            b"Ed" => return Err(refuse("it is of the legacy form Ed")),
            _ => return Err(refuse("its algorithm is unknown")),
        }
        let mut id = [0; 8];
        id.copy_from_slice(&packet[2..10]);
        let canonical = format!("untrusted comment: -\n{first}\n{signed}\n{second}\n");
        Ok(Self { id: KeyId(id), canonical })
    }

    /// The key that it claims to be made by.
    pub fn key_id(&self) -> KeyId {
        self.id
    }
}

/// A trusted comment whose signature has been verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement(String);

impl Statement {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Canonical base64 with padding: each byte string has exactly one text, and only that one is read. The decoder alone
/// also reads padded pieces one after the other (`QQ==QQ==`).
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.as_bytes()).ok().filter(|bytes| BASE64.encode(bytes) == text)
}

/// Why a key is not fit to be trusted: only points of the group of prime order are, written in their one canonical
/// form. With a part of small order in it, implementations differ on which signatures hold.
fn weakness(bytes: [u8; 32]) -> Option<&'static str> {
    let Some(point) = CompressedEdwardsY(bytes).decompress() else {
        return Some("a public key is not a point of the curve");
    };
    if point.compress().to_bytes() != bytes {
        return Some("a public key is not written in its one canonical form");
    }
    if point.is_small_order() {
        return Some("a public key is a point of small order: anyone could sign for it");
    }
    (!point.is_torsion_free())
        .then_some("a public key is a point of mixed order: programs would differ on what it signed")
}
