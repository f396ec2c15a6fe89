//! Changing: the few calls a transaction stands on. They return `io::Result`, because the caller decides by errno.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::durable::{flush, flush_dir};
use super::look::{Identity, require_file};
use crate::doors::errno;

/// Creates `path` with exactly these bytes and this mode. It must not exist. The file is open only as 0600 until its
/// content is complete. Not durable yet: see `flush`.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    create_with(path, mode, |file| file.write_all(bytes)).map(|(file, _)| file)
}

/// Creates a file as `create` does with what `fill` writes, and says by what it is known again.
pub fn create_with(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<(File, Identity)> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    fill(&mut file)?;
    if mode != 0o600 {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    let mut made = Identity::of(&file)?;
    // The umask took some of it.
    if made.mode != mode && mode == 0o600 {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        made = Identity::of(&file)?;
    }
    Ok((file, made))
}

/// Swaps two existing files in one step.
pub fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).map_err(io::Error::from)
}

/// Moves a file to a path where nothing is.
pub fn place(from: &Path, to: &Path) -> io::Result<()> {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from)
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)
}

/// A symbolic link at `at` that leads to `to`.
pub fn symlink(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

/// Removes a file; one that is gone already is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a directory if it is there and empty; says whether it is gone.
pub fn remove_dir_if_empty(path: &Path) -> io::Result<bool> {
    match fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if errno::is_in_use(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates `dir` and its missing ancestors with 0700, and returns those that were made, outermost first.
pub fn create_dirs(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut missing: Vec<PathBuf> = dir
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.is_dir())
        .map(Path::to_path_buf)
        .collect();
    missing.reverse();
    let mut made = Vec::new();
    for dir in missing {
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => made.push(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}

/// Overwrites a file in place and makes it durable: only for a file that cannot be replaced (a bind mount), and only
/// when a durable copy of the old content exists.
pub fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        fs::OpenOptions::new().write(true).truncate(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The file has this mode when it returns: FAT, CIFS and shared folders accept a mode and keep another.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if fs::metadata(path)?.permissions().mode() & 0o777 == mode & 0o777 {
        return Ok(());
    }
    Err(io::Error::other("the file system does not keep the mode of a file"))
}

/// Gives a file to another user; only tests of refusals need that.
#[cfg(test)]
pub fn set_owner(path: &Path, user: u32, group: u32) -> io::Result<()> {
    std::os::unix::fs::chown(path, Some(user), Some(group))
}

/// Appends one line in a single write, so that lines of two processes never mix.
pub fn append_line(path: &Path, line: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)?;
    require_file(&file)?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// Writes a file by way of `<path>.tmp`: the old content or the new, never a mixture, durable on return. For the
/// bookkeeping of gwinstall only; files of the user go through the transaction.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary(path);
    remove(&temporary)?;
    create(&temporary, bytes, mode)
        .and_then(|file| flush(&[file]))
        // The reason of the failure counts; the next write removes a temporary file that is left.
        .inspect_err(|_| drop(remove(&temporary)))?;
    name(path)
}

/// Where a file lies until it is complete.
pub fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Gives the complete and durable file at `temporary(path)` its name; that is durable on return, too.
pub fn name(path: &Path) -> io::Result<()> {
    let temporary = temporary(path);
    rename(&temporary, path).inspect_err(|_| drop(remove(&temporary)))?;
    path.parent().map_or(Ok(()), flush_dir)
}
