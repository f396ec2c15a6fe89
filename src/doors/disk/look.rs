//! Looking: nothing here changes the disk.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags};

use super::failure::failure;
use crate::domain::hash::Hasher;
use crate::domain::name::shell_word;
use crate::domain::tree::{Found, Stamp};
use crate::domain::{Error, Hint, Kind, Result, Sha256};
use crate::doors::errno;

/// The largest text file that is read whole: settings, `.env`, rc files, configurations.
pub const TEXT_CAP: u64 = 1 << 20;

/// What is at `path`, links not followed; a file is hashed.
pub fn find(path: &Path) -> Result<Found> {
    find_like(path, None)
}

/// What is at `path`, links not followed, where a file probably holds bytes of a known hash: one that does is not hashed
/// again.
pub fn find_like(path: &Path, known: Option<(&[u8], Sha256)>) -> Result<Found> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if absent(&error) => return Ok(Found::Absent),
        Err(error) => return Err(failure("look at", path, &error)),
    };
    if !meta.is_file() {
        return Ok(Found::Other(kind_of(&meta)));
    }
    let hash = || {
        let mut file = open(path)?;
        if let Some((bytes, sha256)) = known.filter(|(bytes, _)| bytes.len() as u64 == meta.len()) {
            if holds(&mut file, bytes)? {
                return Ok(sha256);
            }
            file.rewind()?;
        }
        let mut hasher = Hasher::default();
        io::copy(&mut file, &mut hasher)?;
        Ok(hasher.finish().0)
    };
    let sha256 = hash().map_err(|error: io::Error| failure("read", path, &error))?;
    Ok(Found::File(Stamp { sha256, mode: meta.mode() & 0o7777 }))
}

/// Whether a file holds exactly these bytes.
fn holds(file: &mut File, mut bytes: &[u8]) -> io::Result<bool> {
    let mut buffer = [0; 8 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        match bytes.strip_prefix(&buffer[..read]) {
            Some(rest) if read > 0 => bytes = rest,
            rest => return Ok(rest.is_some_and(<[u8]>::is_empty)),
        }
    }
}

pub(super) fn kind_of(meta: &fs::Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else {
        "a special file"
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Opens a regular file for reading: a link is not followed, a FIFO does not block.
fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| {
        // The system speaks of a loop, and there is none.
        let link = !absent(&error) && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
        if link { io::Error::other("it is a symbolic link that gwinstall does not follow") } else { error }
    })?;
    require_file(&file)?;
    Ok(file)
}

/// Refuses what is open and not a regular file: a FIFO would wait for its other end for ever.
pub(super) fn require_file(file: &File) -> io::Result<()> {
    let meta = file.metadata()?;
    if meta.is_file() { Ok(()) } else { Err(io::Error::other(format!("it is {}", kind_of(&meta)))) }
}

/// By what a file is known again without reading it: while it is the same, its content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub(super) device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds: every write moves it.
    modified: (i64, i64),
    pub mode: u32,
}

impl Identity {
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|meta| Self::from(&meta))
    }

    /// What is at `path` now, links not followed.
    pub fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|meta| Self::from(&meta))
    }
}

impl From<&fs::Metadata> for Identity {
    fn from(meta: &fs::Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            length: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            mode: meta.mode() & 0o7777,
        }
    }
}

/// The whole file, which must be regular and at most `cap` bytes.
pub fn read(path: &Path, cap: u64) -> Result<Vec<u8>> {
    read_maybe(path, cap)?.ok_or_else(|| {
        Error::new(Kind::Failed, format!("cannot read {}", path.display())).because("there is no such file")
    })
}

/// The whole file, which must be regular and at most `cap` bytes; `None` where it does not exist.
pub fn read_maybe(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(failure("read", path, &error)),
    };
    let len = file.metadata().map_err(|error| failure("read", path, &error))?.len();
    if len > cap {
        return Err(too_large(path, cap));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.take(cap + 1).read_to_end(&mut bytes).map_err(|error| failure("read", path, &error))?;
    if bytes.len() as u64 > cap {
        return Err(too_large(path, cap));
    }
    Ok(Some(bytes))
}

pub(super) fn too_large(path: &Path, cap: u64) -> Error {
    let most = match cap {
        0..1024 => format!("{cap} bytes"),
        1024..0x10_0000 => format!("{} KiB", cap >> 10),
        _ => format!("{} MiB", cap >> 20),
    };
    Error::new(Kind::Failed, format!("cannot read {}", path.display()))
        .because(format!("it is too large: at most {most} are read"))
}

/// A regular file opened for streaming, and its length.
pub fn reader(path: &Path) -> Result<(File, u64)> {
    let file = open(path).map_err(|error| failure("read", path, &error))?;
    let len = file.metadata().map_err(|error| failure("read", path, &error))?.len();
    Ok((file, len))
}

/// The last `bytes` of a file (all of it when it is shorter); absent is empty.
pub fn tail(path: &Path, bytes: u64) -> Result<Vec<u8>> {
    use std::io::Seek;
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failure("read", path, &error)),
    };
    let mut read = || -> io::Result<Vec<u8>> {
        let len = file.metadata()?.len();
        file.seek(io::SeekFrom::Start(len.saturating_sub(bytes)))?;
        let mut text = Vec::new();
        file.by_ref().take(bytes).read_to_end(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| failure("read", path, &error))
}

/// Up to `cap` bytes of a growing file from `offset` on; absent or shorter is empty.
pub fn read_from(path: &Path, offset: u64, cap: u64) -> Result<Vec<u8>> {
    use std::io::Seek;
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failure("read", path, &error)),
    };
    let mut bytes = Vec::new();
    file.seek(io::SeekFrom::Start(offset))
        .and_then(|_| file.take(cap).read_to_end(&mut bytes))
        .map_err(|error| failure("read", path, &error))?;
    Ok(bytes)
}

/// Names in a directory, sorted; absent is empty. Names that are not UTF-8 are left out: gwinstall makes none.
pub fn list(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failure("list", dir, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failure("list", dir, &error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// All regular files under `root`, as paths relative to it; links are an error, so that nothing outside is taken.
pub fn walk(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut todo = vec![String::new()];
    while let Some(dir) = todo.pop() {
        for name in list(&root.join(&dir))? {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            let full = root.join(&path);
            let meta = fs::symlink_metadata(&full).map_err(|error| failure("look at", &full, &error))?;
            if meta.is_dir() {
                todo.push(path);
            } else if meta.is_file() {
                files.push(path);
            } else {
                let what = kind_of(&meta);
                return Err(
                    Error::failed(format!("cannot use {}", full.display())).because(format!("it is {what}"))
                );
            }
        }
    }
    files.sort();
    Ok(files)
}

pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether `path` is a regular file of this length, links not followed.
pub fn is_file_of(path: &Path, len: u64) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == len)
}

/// Whether `path` is a regular file, links not followed.
pub fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file())
}

/// Whether `path` is a file that this process may run, links followed.
pub fn is_program(path: &Path) -> bool {
    path.is_file() && may(path, Access::EXEC_OK)
}

/// Asks for the effective user, and where a system call filter does not let that question through for the real one.
fn may(path: &Path, access: Access) -> bool {
    match rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS) {
        Err(error) if errno::is_filtered(error) => {
            rustix::fs::accessat(CWD, path, access, AtFlags::empty()).is_ok()
        }
        asked => asked.is_ok(),
    }
}

pub fn is_dir(path: &Path) -> bool {
    path.is_dir()
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
    Link,
    Special,
}

/// What is at `path`, links not followed and nothing opened; `None` where it does not exist or cannot be looked at.
pub fn kind(path: &Path) -> Option<EntryKind> {
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    Some(match kind {
        _ if kind.is_file() => EntryKind::File,
        _ if kind.is_dir() => EntryKind::Directory,
        _ if kind.is_symlink() => EntryKind::Link,
        _ => EntryKind::Special,
    })
}

/// Size in bytes and modification time in seconds since 1970.
pub fn facts(path: &Path) -> Option<(u64, i64)> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some((meta.len(), meta.mtime()))
}

/// Owner and group of `path`.
pub fn owner(path: &Path) -> Option<(u32, u32)> {
    fs::metadata(path).ok().map(|meta| (meta.uid(), meta.gid()))
}

/// Whether the file at `path` has what a new file in its place, such as `new`, would not have: another name, an owner or
/// a group of its own, an ACL, attributes that the user gave it.
pub fn has_more_than_content(path: &Path, new: &Path) -> bool {
    let other_name = fs::symlink_metadata(path).is_ok_and(|meta| meta.nlink() > 1);
    other_name || owner(path) != owner(new) || has_attributes(path)
}

#[cfg(target_os = "linux")]
fn has_attributes(path: &Path) -> bool {
    let mut names = [0; 1 << 16];
    let given = |name: &[u8]| name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_");
    rustix::fs::llistxattr(path, &mut names)
        .is_ok_and(|length| names[..length].split(|byte| *byte == 0).any(given))
}

#[cfg(not(target_os = "linux"))]
fn has_attributes(_: &Path) -> bool {
    false
}

/// Permission bits of `path`, links followed.
pub fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|meta| meta.mode() & 0o7777)
}

/// Whether this process may create entries in `dir`; asked of the kernel, without writing.
pub fn may_write(dir: &Path) -> bool {
    may(dir, Access::WRITE_OK | Access::EXEC_OK)
        && rustix::fs::statvfs(dir).is_ok_and(|fs| !fs.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Bytes and inodes that an unprivileged user can still use on the file system of `dir`; file systems without an
/// inode limit say `u64::MAX`.
pub fn free_space(dir: &Path) -> Option<(u64, u64)> {
    let fs = rustix::fs::statvfs(dir).ok()?;
    let inodes = if fs.f_files == 0 { u64::MAX } else { fs.f_favail };
    Some((fs.f_bavail.saturating_mul(fs.f_frsize), inodes))
}

/// The nearest ancestor of `path` (or itself) that exists.
pub fn nearest_existing(path: &Path) -> PathBuf {
    path.ancestors().find(|dir| dir.exists()).map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

/// The file behind `path`, every hop of symbolic links resolved; absent files resolve to the place where they would
/// be created. A loop or a link into nowhere is an error: guessing could write outside of what the user linked.
pub fn real_file(path: &Path) -> Result<PathBuf> {
    let mut here = path.to_path_buf();
    for _ in 0..40 {
        match fs::symlink_metadata(&here) {
            Ok(meta) if meta.is_symlink() => {
                let to = fs::read_link(&here).map_err(|error| failure("follow", &here, &error))?;
                here = here.parent().unwrap_or(Path::new("/")).join(to);
            }
            Ok(_) => return resolve_parent(&here),
            Err(error) if absent(&error) && here == path => return Ok(here),
            Err(error) if absent(&error) => {
                let remove = Hint::shell(format!("rm {}", shell_word(&path.to_string_lossy())));
                return Err(Error::failed(format!("cannot follow {}", path.display()))
                    .because(format!("it links to {}, which does not exist", here.display()))
                    .hint(
                        Hint::step(format!("create {}", here.display())).or(remove.to("remove the link")),
                    ));
            }
            Err(error) => return Err(failure("follow", &here, &error)),
        }
    }
    Err(Error::failed(format!("cannot follow {}", path.display())).because("its links run in a circle"))
}

/// The regular file that a link of the user leads to, if it belongs to the same user; anything else is `path` itself.
pub fn followed(path: &Path) -> PathBuf {
    let Ok(link) = fs::symlink_metadata(path) else { return path.to_path_buf() };
    let real = || {
        let real = real_file(path).ok()?;
        let meta = fs::symlink_metadata(&real).ok()?;
        (meta.is_file() && meta.uid() == link.uid()).then_some(real)
    };
    if link.is_symlink() { real().unwrap_or_else(|| path.to_path_buf()) } else { path.to_path_buf() }
}

fn resolve_parent(path: &Path) -> Result<PathBuf> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path.to_path_buf()) };
    // A bare name is in the current directory.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let dir = fs::canonicalize(dir).map_err(|error| failure("resolve", dir, &error))?;
    Ok(dir.join(name))
}

/// The path with every link resolved; it must exist.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|error| failure("resolve", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An edit may keep the length, and may come after the first thousands of bytes.
    #[test]
    fn a_file_is_known_by_all_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let known = vec![b'a'; 20_000];
        let edits = [(0, b'a'), (0, b'b'), (8_191, b'b'), (8_192, b'b'), (19_999, b'b')];
        for (at, byte) in edits {
            let mut bytes = known.clone();
            bytes[at] = byte;
            for length in [20_000, 19_999, 0] {
                fs::write(&path, &bytes[..length]).unwrap();
                let found = find_like(&path, Some((&known, Sha256::of(&known)))).unwrap();
                assert_eq!(found, find(&path).unwrap(), "{at} {length}");
            }
        }
    }
}
