//! The journal: what a transaction is about to do, on disk before it does it.
//!
//! It exists exactly while a transaction is in flight. It names, per step, path and content before and after, so that
//! undo decides by looking at the disk and never trusts a count of finished steps: after a power cut any subset of
//! the renames may have survived.

use std::ffi::OsString;
use std::io::{self, BufWriter, IntoInnerError};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::hash::Hasher;
use crate::domain::plan::Step;
use crate::domain::tree::{Found, Stamp};
use crate::domain::{Instant, Operation, Place, Result, Sha256};
use crate::doors::disk;

/// The journal's name after the commit, inside the transaction's directory.
pub const COMMITTED: &str = "committed.json";

/// Format of the journal; a newer one is left alone.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Journal {
    pub schema: u32,
    /// Name of the directory in `.gwinstall/txn/`.
    pub id: String,
    pub version: String,
    pub pid: u32,
    pub started: Instant,
    pub operation: Operation,
    pub steps: Vec<Entry>,
    /// Directories that the transaction makes, outermost first; removed again by undo if they are empty.
    #[serde(with = "exact_paths")]
    pub directories: Vec<PathBuf>,
}

/// One step of a transaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the deployment, or absolute for a file outside of it.
    #[serde(with = "exact_path")]
    pub path: PathBuf,
    pub pre: Option<Stamp>,
    pub post: Option<Stamp>,
    /// The file cannot be replaced (a bind mount), so it is rewritten; its old content lies beside the staged file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
}

impl Journal {
    /// The entry for a step of the plan.
    pub fn entry(place: &Place, step: &Step) -> Entry {
        let path = step.path.strip_prefix(&place.target).unwrap_or(&step.path).to_path_buf();
        Entry { path, pre: step.pre, post: step.post, in_place: false }
    }

    /// JSON and a checksum line, so that `parse` can recognize a torn journal. On an error no live file may change. The
    /// text passes through: with many files it would be the largest thing in memory.
    pub fn write(&self, out: impl io::Write) -> io::Result<()> {
        let mut json = BufWriter::new(Hasher::over(out));
        serde_json::to_writer(&mut json, self)?;
        let (mut out, sum, _) = json.into_inner().map_err(IntoInnerError::into_error)?.into_parts();
        out.write_all(format!("\n{sum}\n").as_bytes())
    }

    /// `None` for anything but a complete journal of a schema that this version knows.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (json, sum) = text.strip_suffix('\n')?.split_once('\n')?;
        if Sha256::parse(sum)? != Sha256::of(json.as_bytes()) {
            return None;
        }
        serde_json::from_str(json).ok().filter(|journal: &Self| journal.schema == SCHEMA)
    }

    pub fn directory(&self, place: &Place) -> PathBuf {
        place.transactions().join(&self.id)
    }

    /// Where the file of step `index` is in the deployment.
    pub fn target(&self, place: &Place, index: usize) -> PathBuf {
        place.target.join(&self.steps[index].path)
    }

    /// The path of the staged file of step `index` before the exchange, and of the old file after it. For a file
    /// outside the deployment it is beside the target, because a rename does not cross file systems.
    pub fn staged(&self, place: &Place, index: usize) -> PathBuf {
        let path = &self.steps[index].path;
        if path.is_absolute() {
            beside(path, &self.id)
        } else {
            self.directory(place).join(index.to_string())
        }
    }

    /// The path of the old file where the file system cannot exchange files, and gwinstall links or copies it.
    pub fn displaced(&self, place: &Place, index: usize) -> PathBuf {
        let mut name = self.staged(place, index).into_os_string();
        name.push(".old");
        PathBuf::from(name)
    }
}

/// Whether the file on disk has this stamp.
pub(super) fn holds(path: &Path, stamp: Option<Stamp>) -> Result<bool> {
    Ok(match (disk::find(path)?, stamp) {
        (Found::File(found), Some(stamp)) => found == stamp,
        (Found::Absent, None) => true,
        _ => false,
    })
}

/// A path in JSON: its text where it has one, else its bytes. A file name of Linux may hold any byte, and undo must find
/// exactly that file again.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ExactPath {
    Text(String),
    Bytes { bytes: Vec<u8> },
}

impl ExactPath {
    fn of(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes { bytes: path.as_os_str().as_bytes().to_vec() },
        }
    }

    fn into_path(self) -> PathBuf {
        match self {
            Self::Text(text) => text.into(),
            Self::Bytes { bytes } => OsString::from_vec(bytes).into(),
        }
    }
}

mod exact_path {
    use super::{Deserialize as _, ExactPath, Path, PathBuf, Serialize as _};

    pub(super) fn serialize<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        ExactPath::of(path).serialize(to)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        ExactPath::deserialize(from).map(ExactPath::into_path)
    }
}

mod exact_paths {
    use super::{Deserialize as _, ExactPath, PathBuf};

    pub(super) fn serialize<S: serde::Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(paths.iter().map(|path| ExactPath::of(path)))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().map(ExactPath::into_path).collect())
    }
}

/// `.settings.json.gwinstall-<id>` in the directory of `path`.
pub fn beside(path: &Path, id: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".gwinstall-{id}"));
    path.with_file_name(name)
}

#[cfg(test)]
impl Journal {
    /// A journal with these steps, for tests.
    pub(super) fn of(steps: Vec<Entry>) -> Self {
        Self {
            schema: SCHEMA,
            id: "t1".into(),
            version: "1".into(),
            pid: 1,
            started: Instant::from_unix(0),
            operation: Operation::Install,
            steps,
            directories: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(journal: &Journal) -> Vec<u8> {
        let mut bytes = Vec::new();
        journal.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_path_of_any_bytes_comes_back_exactly() {
        for name in
            [&b"settings.json"[..], b"dot\xe9files/settings.json", b"\xff", b"a\nb", b"{\"bytes\":[1]}"]
        {
            let path = PathBuf::from(OsString::from_vec(name.to_vec()));
            let entry = Entry { path: path.clone(), pre: None, post: None, in_place: false };
            let journal = Journal { directories: vec![path.clone()], ..Journal::of(vec![entry]) };
            let read = Journal::parse(&written(&journal)).unwrap();
            assert_eq!((&read.steps[0].path, &read.directories[0]), (&path, &path), "{name:?}");
        }
    }

    #[test]
    fn a_torn_or_foreign_journal_is_not_a_journal() {
        let journal = Journal::of(Vec::new());
        let whole = written(&journal);
        assert_eq!(Journal::parse(&whole).map(|journal| journal.id), Some("t1".to_owned()));
        for cut in 0..whole.len() {
            assert!(Journal::parse(&whole[..cut]).is_none(), "cut at {cut}");
        }
        let newer = Journal { schema: SCHEMA + 1, ..journal };
        assert!(Journal::parse(&written(&newer)).is_none());
    }
}
