//! Reads and keeps what we know about a deployment: the record, pristine copies, the log.

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bundle::build;
use crate::domain::hash::Hasher;
use crate::domain::place::files;
use crate::domain::record::{Record, SCHEMA};
use crate::domain::tree::{Content, Stamp};
use crate::domain::{Error, Instant, Kind, Operation, Place, Result, Sha256};
use crate::doors::{disk, system};

/// A record is small; more than this is not one.
const RECORD_CAP: u64 = 16 << 20;

/// What a deployment has besides its record; an uninstall removes these in the same transaction.
pub(super) const MARKS: [&str; 2] = [files::SETTINGS_BEFORE, files::ENV_SUM];

/// Whether a deployment is here whose record is gone. Under a journal the record is not there yet, or is about to come
/// back.
pub fn is_lost(place: &Place) -> bool {
    !disk::exists(&place.file(files::RECORD))
        && !disk::exists(&place.journal())
        && MARKS.iter().any(|mark| disk::exists(&place.file(mark)))
}

/// The record of what is deployed; `None` where nothing is, and where the record is lost.
pub fn record_as_found(place: &Place) -> Result<Option<Record>> {
    let path = place.file(files::RECORD);
    let Some(bytes) = disk::read_maybe(&path, RECORD_CAP)? else { return Ok(None) };
    parse_record(&bytes).map(Some).map_err(|why| {
        Error::new(Kind::Failed, format!("cannot use {}", path.display()))
            .because(why)
            .hint(format!("if it is damaged: mv {0} {0}.damaged && gwinstall status", place.paste(&path)))
    })
}

/// Parses a record of a schema that we know.
pub fn parse_record(bytes: &[u8]) -> std::result::Result<Record, String> {
    #[derive(Deserialize)]
    struct Format {
        schema: Option<u64>,
    }
    let format: Format = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match format.schema {
        Some(schema) if schema > u64::from(SCHEMA) => {
            Err(format!("it was written by a newer gwinstall (schema {schema}, this one knows {SCHEMA})"))
        }
        Some(_) => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
        None => Err("it has no schema number".to_owned()),
    }
}

/// The text of a record's file.
pub fn record_bytes(record: &Record) -> Result<Vec<u8>> {
    pretty(record)
}

/// Content and mode of a record's file, without holding its text.
pub fn record_stamp(record: &Record) -> Result<Stamp> {
    let mut hasher = Hasher::default();
    serde_json::to_writer_pretty(&mut hasher, record).map_err(unwritable)?;
    hasher.write_all(b"\n").map_err(unwritable)?;
    Ok(Stamp { sha256: hasher.finish().0, mode: 0o600 })
}

/// A document of gwinstall's own as indented JSON with a line end.
pub fn pretty(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(document).map_err(unwritable)?;
    text.push(b'\n');
    Ok(text)
}

fn unwritable(error: impl Display) -> Error {
    Error::failed("cannot write down what is deployed, so nothing was changed").because(error)
}

/// A copy of a file as it was delivered, for later merges: written once under its hash, checked by it whenever it is read,
/// removed when neither the record nor a backup refers to it.
pub struct BaseCopy {
    pub path: PathBuf,
    pub bytes: Content,
}

impl BaseCopy {
    /// Where it is written before its content is durable.
    pub(super) fn unnamed(&self) -> PathBuf {
        self.path.with_extension("tmp")
    }
}

/// Where the kept copy of a shipped file lies.
pub fn base_copy_path(place: &Place, sha256: Sha256) -> PathBuf {
    place.pristine().join(sha256.to_string())
}

/// Whether the kept copy of a shipped file is there. Its name was given when its content was durable, so only its length is
/// held against what it must be; who reads it checks all of it.
pub fn has_base_copy(place: &Place, sha256: Sha256, len: usize) -> bool {
    disk::is_file_of(&base_copy_path(place, sha256), len as u64)
}

/// The kept copy of what we shipped, if it is whole.
pub fn base_copy(place: &Place, sha256: Sha256) -> Option<Vec<u8>> {
    let bytes = disk::read_maybe(&base_copy_path(place, sha256), 8 << 20).ok()??;
    (Sha256::of(&bytes) == sha256).then_some(bytes)
}

/// A line of the log of operations: the fields that every operation has, those of a success.
pub fn log_line(operation: Operation, now: Instant, duration_ms: u64, record: Option<&Record>) -> Value {
    json!({
        "schema": 1,
        "operation": operation,
        "timestamp": now,
        "duration_seconds": duration_ms / 1000,
        "duration_ms": duration_ms,
        "status": "success",
        "preset": record.map(|record| &record.preset),
        "models_deployed": record.map_or(&[][..], |record| &record.models),
        "files_copied": 0,
        "backup_created": null,
        "error_message": null,
        "user": system::user_name(),
        "hostname": system::hostname(),
        "deployment_id": record.map(|record| &record.deployment_id),
        "version": build::VERSION,
    })
}

/// Appends a line to the log of operations. The log is a courtesy: that it cannot be written is said, but undoes
/// nothing.
pub fn log(place: &Place, line: &Value) -> std::io::Result<()> {
    disk::append_line(&place.log(), &line.to_string())
}
