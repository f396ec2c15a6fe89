//! A moment in UTC, to the second, and the three ways it is written: RFC 3339, in file names, as a date.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{Date, Month, OffsetDateTime};

/// Seconds since 1970-01-01T00:00:00Z. Its text form is `2026-11-21T10:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Parses exactly `YYYY-MM-DDTHH:MM:SSZ`, or `YYYY-MM-DD` as that day's first second.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, clock) = match text.strip_suffix('Z') {
            Some(moment) => moment.split_once('T')?,
            None => (text, "00:00:00"),
        };
        let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        let date =
            Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
        let part = |n: u32| u8::try_from(n).ok();
        let moment = date.with_hms(part(hour)?, part(minute)?, part(second)?).ok()?;
        Some(Self(moment.assume_utc().unix_timestamp()))
    }

    /// `20261121-100000`, as in the names of backups.
    pub fn compact(self) -> String {
        let t = self.calendar();
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", t.hour(), t.minute(), t.second())
    }

    /// `2026-11-21`.
    pub fn date(self) -> String {
        self.to_string()[..10].to_owned()
    }

    fn calendar(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Splits `text` at `separator` into three numbers of exactly these many digits.
fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (slot, width) in found.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.calendar();
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", t.hour(), t.minute(), t.second())
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a moment is written YYYY-MM-DDTHH:MM:SSZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_rejects_near_misses() {
        let moment = Instant::parse("2026-11-21T10:20:30Z").unwrap();
        assert_eq!(moment.to_string(), "2026-11-21T10:20:30Z");
        assert_eq!(moment.compact(), "20261121-102030");
        assert_eq!(Instant::parse("2026-11-21").unwrap().to_string(), "2026-11-21T00:00:00Z");
        for wrong in ["2026-11-21T10:20:30", "2026-13-01", "2026-02-30", "26-11-21", "2026-11-21T10:20Z", "x"]
        {
            assert_eq!(Instant::parse(wrong), None, "{wrong}");
        }
    }
}
