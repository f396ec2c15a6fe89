//! Staged roll-out: which machines take part in a release already, and for how long a machine waits before it asks.
//!
//! Each machine decides for itself from two public facts and its own id: `sha256(machine id ‖ manifest sha256)`, both as
//! lower-case hex digits without a separator or a newline; the first eight digits of the sum, modulo 10,000, are its
//! place. A machine takes part when its place is below the share in hundredths of a percent. In a shell:
//!
//! ```sh
//! sum=$(printf %s%s "$(cat /etc/machine-id)" "$manifest_sha256" | sha256sum | cut -c1-8); echo $((0x$sum % 10000))
//! ```
//!
//! Promise: the place is the same for every document of one release, so a larger share never leaves out a machine that
//! took part before; another release gives another place. Never: sends the id or anything derived from it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::{Instant, Sha256};

/// How many steps one document may have.
const MAX_STEPS: usize = 10;
/// Hundredths of a percent in the whole.
const WHOLE: u16 = 10_000;

/// A share of all machines in hundredths of a percent. It is written as a whole number, or with its decimals as a text,
/// because a signed document holds no fractions: `5`, `"2.5"`, `"0.25"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u16);

impl Percent {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(WHOLE);

    /// `0` to `100` with at most two decimals.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = match text.split_once('.') {
            Some((whole, decimals)) if matches!(decimals.len(), 1 | 2) => (whole, decimals),
            Some(_) => return None,
            None => (text, ""),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = matches!(whole.len(), 1..=3) && (whole == "0" || !whole.starts_with('0'));
        if !plain || !digits(whole) || !digits(decimals) {
            return None;
        }
        let hundredths: u16 = format!("{decimals:0<2}").parse().ok()?;
        Self::of(whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(hundredths)?)
    }

    fn of(hundredths: u16) -> Option<Self> {
        (hundredths <= WHOLE).then_some(Self(hundredths))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, decimals) if decimals % 10 == 0 => write!(f, "{whole}.{}", decimals / 10),
            (whole, decimals) => write!(f, "{whole}.{decimals:02}"),
        }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 100 {
            0 => serializer.serialize_u16(self.0 / 100),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(u16),
            Text(String),
        }
        let percent = match Written::deserialize(deserializer) {
            Ok(Written::Whole(whole)) => whole.checked_mul(100).and_then(Self::of),
            Ok(Written::Text(text)) => Self::parse(&text),
            Err(_) => None,
        };
        percent.ok_or_else(|| {
            de::Error::custom("a percent is a whole number from 0 to 100, or a text such as \"2.5\"")
        })
    }
}

/// From one moment on, this share of all machines takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub percent: Percent,
    pub from: Instant,
}

/// Whether the steps of a document fit together.
pub fn check(steps: &[Step]) -> Result<(), String> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(format!("a roll-out has 1 to {MAX_STEPS} steps"));
    }
    if steps.windows(2).any(|pair| pair[1].from <= pair[0].from) {
        return Err("each step of a roll-out is later than the one before".to_owned());
    }
    if steps.windows(2).any(|pair| pair[1].percent < pair[0].percent) {
        return Err("no step of a roll-out is smaller than the one before".to_owned());
    }
    Ok(())
}

/// Where one machine stands in the roll-out of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The share that takes part now.
    pub percent: Percent,
    pub takes_part: bool,
    /// The step that the document announces next.
    pub next: Option<Step>,
}

impl Standing {
    /// A machine without an id takes part once all do.
    pub fn of(machine: Option<&MachineId>, release: Sha256, steps: &[Step], now: Instant) -> Self {
        let passed = steps.partition_point(|step| step.from <= now);
        let percent = steps[..passed].last().map_or(Percent::NONE, |step| step.percent);
        let below = |machine: &MachineId| machine.place(release) < percent.0;
        let takes_part = percent == Percent::ALL || machine.is_some_and(below);
        Self { percent, takes_part, next: steps.get(passed).copied() }
    }
}

/// What tells one machine from another: 32 lower-case hex digits, as in `/etc/machine-id`.
#[derive(Clone, PartialEq, Eq)]
pub struct MachineId(String);

impl MachineId {
    /// Reads the text of a machine-id file. What systemd writes into a fresh image ("uninitialized", or nothing) is not
    /// an id.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let real = text.len() == 32 && text.bytes().all(hex) && text.bytes().any(|byte| byte != b'0');
        real.then(|| Self(text.to_owned()))
    }

    /// Its place among all machines in the roll-out of a release, from 0 to 9,999.
    pub fn place(&self, release: Sha256) -> u16 {
        u16::try_from(self.draw(&release.to_string()) % u32::from(WHOLE)).unwrap_or(WHOLE)
    }

    /// How many seconds this machine waits before it asks, so that not all ask at once: 0 to `most`, always the same.
    pub fn delay(&self, most: u16) -> u16 {
        u16::try_from(self.draw("jitter") % (u32::from(most) + 1)).unwrap_or(most)
    }

    /// The first eight digits of the sha256 of the id and a purpose.
    fn draw(&self, purpose: &str) -> u32 {
        let sum = Sha256::of(format!("{}{purpose}", self.0).as_bytes());
        let [a, b, c, d, ..] = *sum.bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// The id stays on this machine: it appears in no message and in no log.
impl fmt::Debug for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MachineId(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_has_at_most_two_decimals() {
        for (text, hundredths) in [("0", 0), ("5", 500), ("2.5", 250), ("0.25", 25), ("99.99", 9_999)] {
            let percent = Percent::parse(text).unwrap();
            assert_eq!((percent.0, percent.to_string().as_str()), (hundredths, text));
            let written = serde_json::to_string(&percent).unwrap();
            assert_eq!(serde_json::from_str::<Percent>(&written).unwrap(), percent, "{written}");
        }
        assert_eq!(Percent::parse("100.00"), Some(Percent::ALL));
        for wrong in [
            "", "-1", "+1", "05", "5.", ".5", "5.001", "100.01", "101", "655.99", "700", "999", "1e1", "5 ",
            "٥", "65536", "5%",
        ] {
            assert_eq!(Percent::parse(wrong), None, "{wrong}");
            let text = serde_json::to_string(wrong).unwrap();
            assert!(serde_json::from_str::<Percent>(&text).is_err(), "{wrong}");
        }
        for wrong in ["101", "-1", "2.5", "655", "65536", "null", "true", "[5]", "1e1"] {
            assert!(serde_json::from_str::<Percent>(wrong).is_err(), "{wrong}");
        }
    }

    /// Held against `sha256sum` of coreutils, by the command at the top of this file.
    #[test]
    fn a_place_is_what_sha256sum_makes_of_it() {
        let id = MachineId::parse("3d1219c7c4c5404aaa1f6d2a48adfda4\n").unwrap();
        assert_eq!(id.place(Sha256::of(b"")), 5_682);
        assert_eq!(id.place(Sha256::of(b"test")), 3_595);
        assert_eq!(id.delay(3_600), 1_731);
        assert_eq!(id.delay(0), 0);
    }

    #[test]
    fn what_is_not_an_id_is_none() {
        let id = "0123456789abcdef0123456789abcdef";
        assert!(MachineId::parse(id).is_some());
        let upper = id.to_uppercase();
        for wrong in ["", "\n", "uninitialized\n", &id[1..], &format!("{id}\n\n"), &upper, &"0".repeat(32)] {
            assert!(MachineId::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{:?}", MachineId::parse(id)).contains("0123"));
    }
}
