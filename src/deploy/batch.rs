//! The new files of a transaction, on their way to the disk.
//!
//! Promise: after `flush` a power cut takes none of them away. Never: replaces a file.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::domain::Result;
use crate::doors::disk::{self, Identity, Unflushed};

/// Files that stay open and become durable together. Every batch costs a commit of the file system's journal, so a
/// preset fits into one; 256 descriptors are what a process may have everywhere.
const BATCH: usize = 200;

/// New files that are not durable yet, and are held open until they are.
#[derive(Default)]
pub(super) struct Batch(Unflushed);

impl Batch {
    pub(super) fn write(&mut self, path: &Path, bytes: &[u8], mode: u32) -> Result<Identity> {
        self.create(path, mode, |file| file.write_all(bytes))
    }

    /// A file with the content that `fill` writes.
    pub(super) fn create(
        &mut self,
        path: &Path,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Identity> {
        let failed = |error: io::Error| disk::failure("write", path, &error);
        let made = disk::create_with(path, mode, fill).map_err(failed)?;
        let written = made.1;
        self.0.file(made);
        if self.0.open_files() >= BATCH {
            std::mem::take(&mut self.0).flush()?;
        }
        Ok(written)
    }

    /// A directory whose entries changed.
    pub(super) fn directory(&mut self, dir: PathBuf) {
        self.0.directory(dir);
    }

    /// Makes all of them durable.
    pub(super) fn flush(self) -> Result<()> {
        self.0.flush()
    }
}
