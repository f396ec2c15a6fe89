//! Reads and keeps what we know about a deployment: the record, pristine copies, the log.

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::hash::Hasher;
use crate::domain::place::files;
use crate::domain::record::{Record, SCHEMA};
use crate::domain::tree::Stamp;
use crate::domain::{Error, Kind, Place, Result, Sha256};
use crate::doors::disk;

use super::lost;

/// A record is small; more than this is not one.
const RECORD_CAP: u64 = 16 << 20;

/// The record of what is deployed; `None` where nothing is. One that is lost is an error: what is deployed then cannot
/// be told.
pub fn record(place: &Place) -> Result<Option<Record>> {
    match record_as_found(place)? {
        None if lost::is_lost(place) => Err(lost::refusal(place)),
        found => Ok(found),
    }
}

/// The same for what ends with a record again: `None` also where it is lost.
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
