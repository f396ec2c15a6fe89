//! Reads and writes what gwinstall knows about a deployment: the record and the log.

use std::fmt::Display;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bundle::build;
use crate::domain::hash::Hasher;
use crate::domain::place::files;
use crate::domain::record::{Record, SCHEMA};
use crate::domain::tree;
use crate::domain::{Error, Instant, Kind, Operation, Place, Result, Sha256};
use crate::doors::{disk, system};

/// Largest accepted record.
const RECORD_CAP: u64 = 16 << 20;

/// Files that only a deployment has, besides its record; an uninstall removes them in the same transaction.
pub(super) const MARKS: [&str; 2] = [files::SETTINGS_BEFORE, files::ENV_SUM];

/// Whether there is a deployment without its record. While a journal exists the record may be missing for a moment, so
/// that does not count.
pub fn is_lost(place: &Place) -> bool {
    !disk::exists(&place.file(files::RECORD))
        && !disk::exists(&place.journal())
        && MARKS.iter().any(|mark| disk::exists(&place.file(mark)))
}

/// The record of the deployment; `None` if nothing is deployed or the record is lost.
pub fn record_as_found(place: &Place) -> Result<Option<Record>> {
    Ok(record_and_sum(place)?.map(|(record, _)| record))
}

/// The record, and the hash of the file that it was read from.
pub(super) fn record_and_sum(place: &Place) -> Result<Option<(Record, Sha256)>> {
    let path = place.file(files::RECORD);
    let Some(bytes) = disk::read_maybe(&path, RECORD_CAP)? else { return Ok(None) };
    parse_record(&bytes).map(|record| Some((record, Sha256::of(&bytes)))).map_err(|why| {
        Error::new(Kind::Failed, format!("cannot use {}", path.display()))
            .because(why)
            .hint(format!("if it is damaged: mv {0} {0}.damaged && gwinstall status", place.paste(&path)))
    })
}

/// Parses a record of a schema that this version knows.
pub fn parse_record(bytes: &[u8]) -> std::result::Result<Record, String> {
    #[derive(Deserialize)]
    struct Format {
        schema: Option<u64>,
    }
    let packed = |record: Record| Record { files: tree::packed(record.files), ..record };
    let read = serde_json::from_slice(bytes).map(packed).map_err(|error| error.to_string());
    if read.as_ref().is_ok_and(|record: &Record| record.schema <= SCHEMA) {
        return read;
    }
    // A newer schema may be why it cannot be read.
    let format: Format = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match format.schema {
        Some(schema) if schema > u64::from(SCHEMA) => {
            Err(format!("it was written by a newer gwinstall (schema {schema}, this one knows {SCHEMA})"))
        }
        Some(_) => read,
        None => Err("it has no schema number".to_owned()),
    }
}

/// The text of a record's file.
pub fn record_bytes(record: &Record) -> Result<Vec<u8>> {
    pretty(record)
}

/// Writes the text of a record's file and says its hash: with ten thousand files that is megabytes, and no copy of them
/// lies in memory.
pub(super) fn write_record(record: &Record, to: impl Write) -> io::Result<Sha256> {
    let mut out = BufWriter::new(Hasher::over(to));
    serde_json::to_writer_pretty(&mut out, record)?;
    out.write_all(b"\n")?;
    let hasher = out.into_inner().map_err(IntoInnerError::into_error)?;
    Ok(hasher.finish().0)
}

/// A document of gwinstall as indented JSON with a line end.
pub fn pretty(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(document).map_err(unwritable)?;
    text.push(b'\n');
    Ok(text)
}

fn unwritable(error: impl Display) -> Error {
    Error::failed("cannot write down what is deployed, so nothing was changed").because(error)
}

/// The file that holds a deployed name: itself, or for the two files that users edit the one that a link of theirs leads
/// to, because people keep those among their dotfiles. A link inside an image would lead out of the image.
pub fn live_path(place: &Place, name: &str) -> PathBuf {
    let path = place.file(name);
    if !place.staged && matches!(name, files::CONFIG | files::ENV) { disk::followed(&path) } else { path }
}

/// A line of the log of operations, with the fields of every successful operation.
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

/// Appends a line to the log of operations. A failure to write the log gives a warning and undoes nothing.
pub fn log(place: &Place, line: &Value) -> io::Result<()> {
    disk::append_line(&place.log(), &line.to_string())
}
