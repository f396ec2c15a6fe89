//! The signed documents on the publisher's side: their bytes, and the line to sign for a file that lies there.
//!
//! The types are the client's own (`gwinstall::release::documents`): what is written here is by construction what is
//! read there. Fields keep their order, so the same facts give the same bytes.

use std::path::Path;

use gwinstall::domain::{Error, Instant, Result};
use gwinstall::release::documents::{Channel, Document, Keys, Manifest};
use serde::Serialize;

use crate::files;

/// How long a list of keys, a manifest and a channel document count as current.
pub const KEYS_DAYS: i64 = 730;
pub const MANIFEST_DAYS: i64 = 180;
pub const CHANNEL_DAYS: i64 = 60;

/// The bytes of a document: what is signed, what is served. They are read back by the client's reader first.
pub fn bytes_of<D: Document + Serialize>(document: &D) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(document)
        .map_err(|e| Error::failed(format!("cannot write the {} document", D::KIND)).because(e))?;
    bytes.push(b'\n');
    D::parse(&bytes)?;
    Ok(bytes)
}

/// The line that a signature over this file must carry; the name of the file says which document it is.
pub fn statement_of(path: &Path) -> Result<String> {
    let bytes = files::read(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("keys.") {
        Keys::parse(&bytes).map(|document| document.statement(&bytes))
    } else if name.starts_with("channel-") {
        Channel::parse(&bytes).map(|document| document.statement(&bytes))
    } else if name == "manifest.json" {
        Manifest::parse(&bytes).map(|document| document.statement(&bytes))
    } else {
        Err(Error::usage(format!("{} is no document of a release", path.display()))
            .hint("the names are keys.<N>.json, channel-<name>.json and manifest.json"))
    }
}

/// `moment` plus whole days.
pub fn days_after(moment: Instant, days: i64) -> Instant {
    Instant::from_unix(moment.unix() + days * 86_400)
}
