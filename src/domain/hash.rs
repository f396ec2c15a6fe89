//! sha256 as a value: 32 bytes in, 64 lower-case hex digits out.

use std::fmt;
use std::io;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

/// The sha256 of some bytes. Its text form, everywhere, is 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses exactly 64 lower-case hex digits; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let whole = text.len() == HEXLOWER.encode_len(bytes.len());
        (whole && HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).is_ok()).then_some(Self(bytes))
    }

    /// The first twelve digits: enough for a person to compare, as git does.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&HEXLOWER.encode_display(&self.0), f)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a sha256 is 64 lower-case hex digits"))
    }
}

/// Hashes what passes through: a writer that counts and digests, for streams too long to hold.
#[derive(Default)]
pub struct Hasher {
    state: sha2::Sha256,
    len: u64,
}

impl Hasher {
    /// The digest and the number of bytes seen.
    pub fn finish(self) -> (Sha256, u64) {
        (Sha256(self.state.finalize().into()), self.len)
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.state.update(bytes);
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_form_round_trips_and_is_strict() {
        assert_eq!(Sha256::of(b"").to_string(), EMPTY);
        assert_eq!(Sha256::parse(EMPTY), Some(Sha256::of(b"")));
        assert_eq!(Sha256::parse(&EMPTY.to_uppercase()), None);
        assert_eq!(Sha256::parse(&EMPTY[1..]), None);
        assert_eq!(Sha256::parse(&EMPTY[2..]), None);
        assert_eq!(Sha256::parse(&format!("{EMPTY}00")), None);
        assert_eq!(Sha256::parse(&EMPTY.replace('e', "g")), None);
        assert_eq!(Sha256::parse(&EMPTY.replacen("e3", "é", 1)), None);
    }
}
