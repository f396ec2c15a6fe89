//! How a failed call on a path becomes an error that a person can act on.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::immutable;
use crate::domain::name::{printable, shell_word};
use crate::domain::{Error, Hint, Kind, Result};
use crate::doors::{errno, system};

/// Adds to a failed call what was tried on which path.
pub trait At<T> {
    fn at(self, tried: &str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, tried: &str, path: &Path) -> Result<T> {
        self.map_err(|error| failure(tried, path, &error))
    }
}

/// An I/O failure as the user reads it: what was tried on which path, why, and what helps.
pub fn failure(tried: &str, path: &Path, error: &io::Error) -> Error {
    let failed = Error::new(Kind::Failed, format!("cannot {tried} {}", printable(&path.to_string_lossy())))
        .because(errno::reason(error));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => failed.hint(
            Hint::shell("df -h")
                .to("see what is full")
                .or(Hint::again::<&str>(&[]).to("continue once there is space")),
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            failed.hint("the file system is mounted read-only; choose another place with --target-dir DIR")
        }
        io::ErrorKind::PermissionDenied => denied(failed, path),
        _ => failed,
    }
}

/// What lies behind a closed directory cannot be looked at, so the nearest path that can be is named with its owner.
fn denied(failed: Error, path: &Path) -> Error {
    let nearest = path
        .ancestors()
        .filter(|path| !path.as_os_str().is_empty())
        .find_map(|path| Some((path, path.symlink_metadata().ok()?)));
    let Some((nearest, _)) = nearest else { return failed };
    let Ok(meta) = nearest.metadata() else { return failed };
    let shown = nearest.to_string_lossy();
    let kept = |path: &Path| immutable::flag(path).map(|flag| (path.to_owned(), flag));
    if let Some((path, (flag, word))) = [Some(nearest), nearest.parent()].into_iter().flatten().find_map(kept)
    {
        let shown = path.to_string_lossy();
        return failed.because(format!("{} is {word}", printable(&shown))).hint(
            Hint::shell(format!("sudo chattr -{flag} {}", shell_word(&shown))).to("let it be changed"),
        );
    }
    failed
        .because(format!("{} belongs to {}", printable(&shown), system::name_of_user(meta.uid())))
        .hint(Hint::shell(format!("ls -ld {}", shell_word(&shown))).to("look at its owner and its mode"))
}
