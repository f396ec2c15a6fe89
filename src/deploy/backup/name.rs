//! The names of backups. They sort by age, and the ending says whether the archive is encrypted. Pure but for the look at
//! which names are taken.

use std::path::Path;

use crate::domain::{Instant, Result};
use crate::doors::disk;

const START: &str = "gateway-backup-";

/// How an archive lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Sealed,
}

impl Form {
    fn ending(self) -> &'static str {
        match self {
            Self::Plain => ".tar.gz",
            Self::Sealed => ".tar.gz.age",
        }
    }

    /// The form of an archive that is encrypted or not.
    pub(super) fn of(sealed: bool) -> Self {
        if sealed { Self::Sealed } else { Self::Plain }
    }

    /// Whether a name has the ending of this form.
    pub(super) fn fits(self, name: &str) -> bool {
        (self == Self::Sealed) == name.ends_with(Self::Sealed.ending())
    }
}

/// `gateway-backup-YYYYMMDD-HHMMSS.tar.gz` or `.tar.gz.age`, and `-2` and so on within the same second. A number is never used again,
/// also when a lower one has been pruned: names sort by age.
pub(super) fn free(dir: &Path, now: Instant, form: Form) -> Result<String> {
    let (stem, end) = (format!("{START}{}", now.compact()), form.ending());
    let taken = disk::list(dir)?.iter().filter(|name| name.starts_with(&stem)).map(|name| number(name)).max();
    Ok(match taken {
        None => format!("{stem}{end}"),
        Some(last) => format!("{stem}-{}{end}", last + 1),
    })
}

/// The `-2` of a second backup within the same second.
pub(super) fn number(filename: &str) -> u32 {
    stem(filename)
        .unwrap_or(filename)
        .rsplit('-')
        .next()
        .filter(|last| last.len() < 6)
        .and_then(|last| last.parse().ok())
        .unwrap_or(1)
}

pub(super) fn is_of_backup(name: &str) -> bool {
    made_at(name).is_some()
}

/// When a backup was made, as its name says.
pub(super) fn made_at(name: &str) -> Option<Instant> {
    stem(name).and_then(moment)
}

fn stem(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(START)?;
    // The longer ending first: each ends like no other.
    [Form::Sealed, Form::Plain].into_iter().find_map(|form| rest.strip_suffix(form.ending()))
}

/// The moment in `YYYYMMDD-HHMMSS` or `YYYYMMDD-HHMMSS-N`.
fn moment(stem: &str) -> Option<Instant> {
    let (day, rest) = stem.split_once('-')?;
    let clock = rest.split('-').next()?;
    if day.len() != 8 || clock.len() != 6 || !stem.is_ascii() {
        return None;
    }
    Instant::parse(&format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &clock[..2],
        &clock[2..4],
        &clock[4..]
    ))
}
