//! Strict JSON: the one reading of a signed document.
//!
//! Promise: what passes here means the same to every JSON reader: UTF-8 without BOM, one value, depth at most 6,
//! no duplicate keys, numbers only as integers from 0 to 2^53−1. Size is checked before anything else. serde then
//! reads the same bytes into types; unknown fields are left to `critical`.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::domain::{Error, Result};

/// Containers inside one another at most.
const MAX_DEPTH: usize = 6;
/// The largest integer that every JSON reader keeps exactly.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Reads `bytes` as a `T` if they are strict JSON of at most `cap` bytes. `what` names the document in errors.
pub fn read<T: DeserializeOwned>(what: &str, bytes: &[u8], cap: usize) -> Result<T> {
    let refuse = |why: String| Error::unverified(format!("{what} is not a valid document")).because(why);
    if bytes.len() > cap {
        return Err(refuse(format!("{} bytes are more than the {cap} that it may have", bytes.len())));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Shape { depth: 0 }.deserialize(&mut reader).map_err(|cause| refuse(cause.to_string()))?;
    reader.end().map_err(|cause| refuse(cause.to_string()))?;
    serde_json::from_slice(bytes).map_err(|cause| refuse(cause.to_string()))
}

/// Walks a value without keeping it and refuses what readers disagree about.
#[derive(Clone, Copy)]
struct Shape {
    depth: usize,
}

impl Shape {
    fn deeper<E: de::Error>(self) -> std::result::Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("it is nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, a list, a text, true, false, null or an integer from 0 to 2^53-1")
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> std::result::Result<(), E> {
        if value > MAX_INTEGER { Err(E::custom("an integer is above 2^53-1")) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<(), A::Error> {
        let inner = self.deeper()?;
        while list.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys = BTreeSet::new();
        while let Some(key) = object.next_key::<String>()? {
            let shown = key.escape_default().to_string();
            if !keys.insert(key) {
                return Err(de::Error::custom(format!("the key \"{shown}\" occurs twice")));
            }
            object.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(text: &str) -> bool {
        read::<de::IgnoredAny>("x.json", text.as_bytes(), 1 << 10).is_ok()
    }

    /// S11 and S14 of the attack table.
    #[test]
    fn only_what_every_reader_reads_alike() {
        for good in ["{}", r#"{"a":{"b":[{"c":[[1]]}]}}"#, "[0,9007199254740991]", " {\"a\":null}\n"] {
            assert!(accepts(good), "{good}");
        }
        let deep = "[".repeat(10_000);
        let long = format!("\"{}\"", "x".repeat(1 << 10));
        let bad = [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"a":{"b":[{"c":[[[1]]]}]}}"#,
            "{} x",
            "{}{}",
            "\u{feff}{}",
            "9007199254740992",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "-0",
            "1e3",
            "42.0",
            "01",
            "NaN",
            "{\"a\":1,}",
            "// c\n{}",
            "\"\\ud800\"",
            "\"a\nb\"",
            "",
            &deep,
            &long,
        ];
        for text in bad {
            assert!(!accepts(text), "{}", &text[..text.len().min(40)]);
        }
        assert!(read::<de::IgnoredAny>("x", b"\"\xff\"", 100).is_err());
    }
}
