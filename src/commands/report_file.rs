//! Where `report` writes its page.
//!
//! Promise: a file that `report` did not write is replaced only with `--force`, and one in the directories of the
//! gateway and of Claude Code not even then; no link is followed; the file is private, because the page names paths.
//! A failed write leaves the old page or none.

use std::path::{Path, PathBuf};

use crate::domain::name::printable;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{disk, system};
use crate::ui::page::MARK;

/// The name of a page where the user named a directory.
const NAME: &str = "gateway.html";

/// Writes the page. A refusal leaves everything as it is.
pub(super) fn write(place: &Place, file: &Path, page: &str, force: bool) -> Result<()> {
    let written = if require_free(place, file, force)? { replace(file, page) } else { create(file, page) };
    written.map_err(|error| {
        let failed = disk::failure("write", file, &error);
        match directory_of(file) {
            dir if error.kind() == std::io::ErrorKind::NotFound && !disk::exists(&dir) => {
                failed.hint(Hint::shell(format!("mkdir -p {}", place.paste(&dir))).to("make its directory"))
            }
            _ => failed.or_hint(Hint::run(&["report", "--html", "-"]).to("print the page instead")),
        }
    })
}

/// Whether there is a page to replace; what may not be replaced is an error.
pub(super) fn require_free(place: &Place, file: &Path, force: bool) -> Result<bool> {
    let shown = printable(&file.to_string_lossy());
    let elsewhere = |to: &Path| Hint::run(&["report", "--html", &to.to_string_lossy()]);
    if disk::is_dir(file) {
        return Err(Error::usage(format!("{shown} is a directory")).hint(elsewhere(&file.join(NAME))));
    }
    if !disk::exists(file) {
        return Ok(false);
    }
    let beside = file.with_file_name("gateway-report.html");
    if disk::link_target(file).is_some() {
        return Err(Error::usage(format!("{shown} is a symbolic link"))
            .because("report writes to no file by way of a link")
            .hint(elsewhere(&beside)));
    }
    if !disk::is_regular(file) {
        return Err(Error::usage(format!("{shown} is not a regular file"))
            .hint(Hint::run(&["report", "--html", "-"]).to("print the page instead")));
    }
    if is_page(file) {
        return Ok(true);
    }
    let refused = Error::usage(format!("{shown} is there already, and report did not write it"));
    if lies_in(place, file) {
        return Err(refused
            .because("it lies among the files of the gateway or of Claude Code")
            .hint(elsewhere(Path::new(NAME))));
    }
    if force {
        Ok(true)
    } else {
        Err(refused.hint(Hint::again(&["--force"]).to("replace it").or(elsewhere(&beside))))
    }
}

/// Whether `report` wrote the file.
fn is_page(file: &Path) -> bool {
    disk::read_from(file, 0, MARK.len() as u64).is_ok_and(|start| start == MARK.as_bytes())
}

/// Whether the file lies in a directory of the gateway, of Claude Code or of gwinstall.
fn lies_in(place: &Place, file: &Path) -> bool {
    let real = |dir: &Path| disk::canonical(dir).ok();
    let Some(dir) = real(&directory_of(file)) else { return true };
    [&place.target, &place.config_dir, &place.state_dir]
        .into_iter()
        .filter_map(|own| real(own))
        .any(|own| dir.starts_with(own))
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// A file where none was; what another program put there meanwhile stays.
fn create(file: &Path, page: &str) -> std::io::Result<()> {
    let written = disk::create(file, page.as_bytes(), 0o600).and_then(|open| disk::flush(&[open]));
    if let Err(error) = &written
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        let _ = disk::remove(file);
    }
    written
}

/// A file in place of an earlier page: the old one or the new one, never a part.
fn replace(file: &Path, page: &str) -> std::io::Result<()> {
    let dir = directory_of(file);
    let unnamed = dir.join(format!(".gwinstall-report-{}", system::pid()));
    create(&unnamed, page)?;
    if let Err(error) = disk::rename(&unnamed, file) {
        let _ = disk::remove(&unnamed);
        return Err(error);
    }
    disk::flush_dir(&dir)
}
