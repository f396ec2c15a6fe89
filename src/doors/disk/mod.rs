//! The only door to the disk.
//!
//! Promise: every new file is made with O_EXCL and 0600 before it gets its mode, no link is followed at a path of
//! ours, and no call is retried after a failed fsync. Never: a recursive delete, a blind overwrite.

mod change;
mod given;
mod lock;
mod look;

pub use change::*;
pub use given::{read_given, read_stdin};
pub use lock::{Holder, Lock, hold, holder};
pub use look::*;

use std::io;
use std::path::Path;

use crate::domain::name::{printable, shell_word};
use crate::domain::{Error, Kind};

/// An I/O failure as the user reads it: what was tried on which path, why, and what helps.
pub fn failure(tried: &str, path: &Path, error: &io::Error) -> Error {
    let said = Error::new(Kind::Failed, format!("cannot {tried} {}", printable(&path.to_string_lossy())))
        .because(reason(error));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            said.hint("free some space, then run the same command again (df -h shows what is full)")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            said.hint("the file system is mounted read-only; choose another place with --target-dir DIR")
        }
        io::ErrorKind::PermissionDenied => denied(said, path),
        _ => said,
    }
}

/// What lies behind a closed directory cannot be looked at: the nearest that can be is named, and whose it is.
fn denied(said: Error, path: &Path) -> Error {
    let seen = path.ancestors().find(|path| !path.as_os_str().is_empty() && path.symlink_metadata().is_ok());
    let Some((seen, (user, _))) = seen.and_then(|seen| Some((seen, owner(seen)?))) else { return said };
    let shown = seen.to_string_lossy();
    said.because(format!("{} belongs to {}", printable(&shown), super::system::name_of_user(user)))
        .hint(format!("look at its owner and its mode: ls -ld {}", shell_word(&shown)))
}

/// The operating system's own words, without Rust's `(os error N)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut text = text[..end].to_owned();
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_lowercase();
    }
    text
}
