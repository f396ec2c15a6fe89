//! Reads and keeps what we know about a deployment: the record, pristine copies, the log.

use std::path::PathBuf;

use serde_json::Value;

use crate::domain::place::files;
use crate::domain::record::{Record, SCHEMA};
use crate::domain::{Error, Kind, Place, Result, Sha256};
use crate::doors::disk;

/// A record is small; more than this is not one.
const RECORD_CAP: u64 = 16 << 20;

/// The record of what is deployed; `None` where nothing is.
pub fn record(place: &Place) -> Result<Option<Record>> {
    let path = place.file(files::RECORD);
    let Some(bytes) = disk::read_maybe(&path, RECORD_CAP)? else { return Ok(None) };
    parse_record(&bytes).map(Some).map_err(|why| {
        Error::new(Kind::Failed, format!("cannot use {}", path.display()))
            .because(why)
            .hint(format!("go back to a backup: gwinstall rollback, or look at {}", place.paste(&path)))
    })
}

/// Parses a record of a schema that we know.
pub fn parse_record(bytes: &[u8]) -> std::result::Result<Record, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match value.get("schema").and_then(Value::as_u64) {
        Some(schema) if schema > u64::from(SCHEMA) => {
            Err(format!("it was written by a newer gwinstall (schema {schema}, this one knows {SCHEMA})"))
        }
        Some(_) => serde_json::from_value(value).map_err(|error| error.to_string()),
        None => Err("it has no schema number".to_owned()),
    }
}

pub fn record_bytes(record: &Record) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(record).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Where the kept copy of a shipped file lies.
pub fn pristine_path(place: &Place, sha256: Sha256) -> PathBuf {
    place.pristine().join(sha256.to_string())
}

/// The kept copy of what we shipped, if it is whole.
pub fn pristine(place: &Place, sha256: Sha256) -> Option<Vec<u8>> {
    let bytes = disk::read_maybe(&pristine_path(place, sha256), 8 << 20).ok()??;
    (Sha256::of(&bytes) == sha256).then_some(bytes)
}

/// Appends a line to the log of operations. The log is a courtesy: that it cannot be written is said, but undoes
/// nothing.
pub fn log(place: &Place, line: &Value) -> std::io::Result<()> {
    disk::append_line(&place.log(), &line.to_string())
}
