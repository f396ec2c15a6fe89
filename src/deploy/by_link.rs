//! Putting files in place on a file system that cannot exchange two of them: the old file keeps a second name first.
//!
//! Promise: nothing that is at a path is replaced unseen. Never: decides which file goes where.

use std::io;
use std::path::Path;

use crate::doors::disk;

/// Moves a file to a path where nothing is: a link fails where something is, and a rename would replace it. Where the
/// file system has no links an empty file, which can only be made where nothing is, holds the path for the rename.
pub(super) fn place(staged: &Path, target: &Path) -> io::Result<()> {
    match disk::link(staged, target) {
        Err(error) if disk::cannot_link(&error) => {
            disk::create(target, b"", 0o600)?;
            disk::rename(staged, target)
        }
        linked => linked.and_then(|()| disk::remove(staged)),
    }
}

/// A second name for the old file; a copy where the file system has no links.
pub(super) fn keep_old(target: &Path, displaced: &Path) -> io::Result<()> {
    disk::remove(displaced)?;
    match disk::link(target, displaced) {
        Err(error) if disk::cannot_link(&error) => {
            let (mut source, _) =
                disk::reader(target).map_err(|error| io::Error::other(error.to_string()))?;
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut source, &mut bytes)?;
            let mode = disk::mode(target).unwrap_or(0o600);
            disk::flush(&[disk::create(displaced, &bytes, mode)?])
        }
        other => other,
    }
}
