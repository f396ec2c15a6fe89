//! How the deployed files differ from what the last operation left: `status` and `verify` print the same texts.

use serde::Serialize;
use serde_json::{Value, json};

use crate::deploy::store;
use crate::domain::name::printable;
use crate::domain::record::{FileRecord, Record};
use crate::domain::tree::Found;
use crate::domain::{Place, Result};
use crate::doors::disk;

/// Write permission of the group and of all others: gwinstall gives it to no file, whatever the umask.
const WRITABLE: u32 = 0o022;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Modified,
    Missing,
    NotAFile,
    /// Other users can change a script or what it reads.
    Writable,
    /// The user can no longer run a script.
    NotExecutable,
}

/// One difference. A file can have two: its content and its permissions.
#[derive(Debug, Clone)]
pub struct Drift {
    pub path: String,
    kind: Kind,
}

impl Drift {
    /// The letter of `status`.
    pub fn sign(&self) -> char {
        match self.kind {
            Kind::Modified => 'M',
            Kind::Missing => 'D',
            Kind::NotAFile => 'T',
            Kind::Writable | Kind::NotExecutable => 'P',
        }
    }

    /// What happened to the file, in one or two words.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Modified => "changed",
            Kind::Missing => "deleted",
            Kind::NotAFile => "not a file",
            Kind::Writable | Kind::NotExecutable => "permissions",
        }
    }

    /// Whether the content is as it was, and the permissions are not.
    pub fn is_of_mode(&self) -> bool {
        matches!(self.kind, Kind::Writable | Kind::NotExecutable)
    }

    /// What is different, and the command that fixes it where one is needed.
    pub fn words(&self, place: &Place) -> String {
        let path = || place.paste(&place.file(&self.path));
        match self.kind {
            Kind::Modified => "changed since".to_owned(),
            Kind::Missing => "deleted since".to_owned(),
            Kind::NotAFile => "is no longer a regular file".to_owned(),
            Kind::Writable => format!("other users can write to it: chmod go-w {}", path()),
            Kind::NotExecutable => format!("is no longer executable: chmod u+x {}", path()),
        }
    }

    pub fn json(&self) -> Value {
        json!({ "path": self.path, "kind": self.kind })
    }

    pub fn shown(&self) -> String {
        printable(&self.path)
    }
}

/// Every difference of a deployed file, by path.
pub fn of(place: &Place, record: &Record) -> Result<Vec<Drift>> {
    let mut drifts = Vec::new();
    for (path, known) in &record.files {
        let kinds = kinds(known, &disk::find(&store::live_path(place, path))?);
        drifts.extend(kinds.into_iter().map(|kind| Drift { path: path.clone(), kind }));
    }
    Ok(drifts)
}

fn kinds(known: &FileRecord, found: &Found) -> Vec<Kind> {
    let stamp = match found {
        Found::File(stamp) => stamp,
        Found::Absent | Found::Other(_) if known.deleted => return Vec::new(),
        Found::Absent => return vec![Kind::Missing],
        Found::Other(_) => return vec![Kind::NotAFile],
    };
    let watched = known.class.guards_mode();
    // A stricter mode is the choice of the user, not a difference.
    [
        (stamp.sha256 != known.sha256, Kind::Modified),
        (watched && stamp.mode & WRITABLE != 0, Kind::Writable),
        (watched && known.mode & 0o100 != 0 && stamp.mode & 0o100 == 0, Kind::NotExecutable),
    ]
    .into_iter()
    .filter_map(|(differs, kind)| differs.then_some(kind))
    .collect()
}
