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

/// Hashes and counts what passes through to another writer, or nowhere: for streams too long to hold.
pub struct Hasher<W = io::Sink> {
    out: W,
    state: sha2::Sha256,
    len: u64,
}

impl Default for Hasher {
    fn default() -> Self {
        Self::over(io::sink())
    }
}

impl<W> Hasher<W> {
    /// Hashes what `out` takes.
    pub fn over(out: W) -> Self {
        Self { out, state: sha2::Sha256::default(), len: 0 }
    }

    /// The digest and the number of bytes seen.
    pub fn finish(self) -> (Sha256, u64) {
        (Sha256(self.state.finalize().into()), self.len)
    }

    /// The other writer, too.
    pub fn into_parts(self) -> (W, Sha256, u64) {
        (self.out, Sha256(self.state.finalize().into()), self.len)
    }
}

impl<W: io::Write> io::Write for Hasher<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.state.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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
