//! The release side's disk: reads that name the file, writes that are whole or not there.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use gwinstall::domain::{Error, Result};

pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| cannot("read", path, e))
}

pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| cannot("read", path, e))
}

/// Writes beside the name first, then renames: a reader of a served directory never sees half a file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with_mode(path, bytes, 0o644)
}

pub fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    fs::write(&partial, bytes)
        .and_then(|()| fs::set_permissions(&partial, fs::Permissions::from_mode(mode)))
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|e| cannot("write", path, e))
}

/// Writes a file that only its owner reads and that was not there before.
pub fn write_secret(path: &Path, text: &str) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| cannot("write", path, e))
}

pub fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| cannot("make", path, e))
}

/// The entries of a directory in the order of their names.
pub fn listing(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| cannot("read", dir, e))? {
        paths.push(entry.map_err(|e| cannot("read", dir, e))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The last component of a path that has one, as text.
pub fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub fn cannot(what: &str, path: &Path, why: std::io::Error) -> Error {
    Error::failed(format!("cannot {what} {}", path.display())).because(why)
}
