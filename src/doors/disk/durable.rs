//! Making changes durable: after a call here returns without an error, a power cut does not undo them.
//!
//! Promise: an error of the disk is reported by the call that meets it, and no sync is tried again after it failed. Never:
//! flushes a whole file system where that could hide an error, or could take long for what other programs have written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::failure::At as _;
use super::look::Identity;
use crate::domain::{Error, Result};
use crate::doors::errno;

/// So many files and directories are worth a look at whether the whole file system can be flushed instead.
const MANY: usize = 4;
/// Where more KiB than this wait to be written, the file system is not flushed as a whole: at the 100 MB/s of an old disk
/// that takes longer than the syncs of the files one by one.
#[cfg(target_os = "linux")]
const WAITING_MOST: u64 = 128 << 10;

#[cfg(target_os = "linux")]
const EXT4: u32 = 0xef53;
#[cfg(target_os = "linux")]
const XFS: u32 = 0x5846_5342;
#[cfg(target_os = "linux")]
const BTRFS: u32 = 0x9123_683e;
/// Memory: there is nothing to write.
#[cfg(target_os = "linux")]
const TMPFS: u32 = 0x0102_1994;

/// Makes the data of all `files` durable. Write-out of all is started first, then each is waited for: about half the
/// time of one fsync after another (measured), and the cost depends on these files alone.
pub fn flush(files: &[File]) -> io::Result<()> {
    if cfg!(feature = "fault-no-sync") {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    for file in files {
        use std::os::fd::AsRawFd;
        // SAFETY: the descriptor is open for the whole call and the kernel touches no memory of this process. The result is
        // ignored on purpose: this only starts the write-out early, the fsync below is what counts.
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    }
    files.iter().try_for_each(File::sync_all)
}

/// Makes the entries of a directory durable.
pub fn flush_dir(dir: &Path) -> io::Result<()> {
    if cfg!(feature = "fault-no-sync") {
        return Ok(());
    }
    let dir = File::open(dir)?;
    match rustix::fs::fsync(dir.as_fd()) {
        // Some network file systems have no way to sync a directory; they also promise nothing about its order.
        Err(rustix::io::Errno::INVAL) => Ok(()),
        other => other.map_err(io::Error::from),
    }
}

/// New files and changed directories that become durable together: many syncs, each of which the disk answers on its
/// own, become one where the file system allows it.
#[derive(Default)]
pub struct Unflushed {
    /// In the order in which they were opened, each with its device.
    files: Vec<(u64, File)>,
    directories: BTreeSet<PathBuf>,
}

impl Unflushed {
    /// A file that stays open until it is durable. It must be given before another one is written: a file system reports
    /// the failed writes since the first of these descriptors was opened.
    pub fn file(&mut self, (file, identity): (File, Identity)) {
        self.files.push((identity.device, file));
    }

    /// A directory whose entries changed.
    pub fn directory(&mut self, dir: impl Into<PathBuf>) {
        self.directories.insert(dir.into());
    }

    /// How many files are held open.
    pub fn open_files(&self) -> usize {
        self.files.len()
    }

    /// Makes all of them durable.
    pub fn flush(self) -> Result<()> {
        if cfg!(feature = "fault-no-sync") {
            return Ok(());
        }
        for group in self.by_file_system()?.into_values() {
            group.flush()?;
        }
        Ok(())
    }

    fn by_file_system(self) -> Result<BTreeMap<u64, Group>> {
        let mut groups: BTreeMap<u64, Group> = BTreeMap::new();
        for (device, file) in self.files {
            groups.entry(device).or_default().files.push(file);
        }
        for dir in self.directories {
            let device = fs::metadata(&dir).at("make durable", &dir)?.dev();
            groups.entry(device).or_default().directories.push(dir);
        }
        Ok(groups)
    }
}

/// What lies on one file system.
#[derive(Default)]
struct Group {
    files: Vec<File>,
    directories: Vec<PathBuf>,
}

impl Group {
    fn flush(self) -> Result<()> {
        if self.files.len() + self.directories.len() >= MANY && self.flush_whole()? {
            return Ok(());
        }
        flush(&self.files).map_err(|error| not_durable(&error))?;
        self.directories.iter().try_for_each(|dir| flush_dir(dir).at("make durable", dir))
    }

    /// Flushes the file system that these lie on; says whether that was done.
    #[cfg(target_os = "linux")]
    fn flush_whole(&self) -> Result<bool> {
        let opened;
        let first = match (self.files.first(), self.directories.first()) {
            (Some(file), _) => file,
            (None, Some(dir)) => {
                opened = File::open(dir).at("make durable", dir)?;
                &opened
            }
            (None, None) => return Ok(true),
        };
        if !is_flushed_whole(first) {
            return Ok(false);
        }
        match rustix::fs::syncfs(first) {
            Err(rustix::io::Errno::NOSYS) => return Ok(false),
            flushed => flushed.map_err(|error| not_durable(&error.into()))?,
        }
        // `syncfs` succeeds on a file system that became read-only because its journal failed; `fsync` does not.
        first.sync_all().map_err(|error| not_durable(&error))?;
        Ok(true)
    }

    #[cfg(not(target_os = "linux"))]
    fn flush_whole(&self) -> Result<bool> {
        Ok(false)
    }
}

/// Whether `syncfs` makes everything on the file system of `file` durable, reports what could not be written, and is quick.
/// Network file systems and FUSE do not pass it on to who holds the data, and before Linux 5.8 failed writes were not
/// reported.
#[cfg(target_os = "linux")]
fn is_flushed_whole(file: &File) -> bool {
    let release = rustix::system::uname();
    if release.release().to_str().ok().and_then(kernel) < Some((5, 8)) {
        return false;
    }
    let Ok(fs) = rustix::fs::fstatfs(file) else { return false };
    // The numbers of statfs(2): 32 bits, in a field whose type differs between processors.
    match fs.f_type as u32 {
        TMPFS => true,
        EXT4 | XFS | BTRFS => little_waits(),
        _ => false,
    }
}

/// `(6, 18)` of `6.18.44-generic`.
#[cfg(target_os = "linux")]
fn kernel(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Whether all programs together have written little that is not on disk yet. Where the kernel does not say it: no.
#[cfg(target_os = "linux")]
fn little_waits() -> bool {
    let text = fs::read_to_string("/proc/meminfo").ok();
    text.and_then(|text| waiting(&text)).is_some_and(|kib| kib <= WAITING_MOST)
}

/// KiB that wait to be written, from the text of `/proc/meminfo`.
#[cfg(target_os = "linux")]
fn waiting(text: &str) -> Option<u64> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    value("Dirty:")?.checked_add(value("Writeback:")?)
}

fn not_durable(error: &io::Error) -> Error {
    Error::failed("cannot make the new files durable").because(errno::reason(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_kernels_release_and_what_waits_are_read() {
        assert_eq!(kernel("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(kernel("5.4.0-1-amd64"), Some((5, 4)));
        assert_eq!(kernel("5"), None);
        assert_eq!(kernel("-5.8"), None);
        let text = "MemTotal:  4030 kB\nDirty:      1200 kB\nWriteback:      34 kB\nWritebackTmp:  7 kB\n";
        assert_eq!(waiting(text), Some(1234));
        assert_eq!(waiting("Dirty: 12 kB\n"), None);
        assert_eq!(waiting(""), None);
    }

    #[test]
    fn files_and_directories_are_flushed_wherever_they_lie() {
        for parent in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
            let dir = tempfile::tempdir_in(parent).unwrap();
            let mut unflushed = Unflushed::default();
            for name in ["1", "2", "3", "4", "5"] {
                unflushed.file(
                    super::super::create_with(&dir.path().join(name), 0o644, |file| file.write_all(b"text"))
                        .unwrap(),
                );
            }
            unflushed.directory(dir.path());
            assert_eq!(unflushed.open_files(), 5);
            unflushed.flush().unwrap();
        }
    }

    #[test]
    fn a_directory_that_is_gone_is_named() {
        let mut unflushed = Unflushed::default();
        unflushed.directory("/nonexistent/gone");
        assert!(unflushed.flush().unwrap_err().to_string().contains("/nonexistent/gone"));
    }
}
