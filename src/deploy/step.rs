//! Makes the steps of a plan: each compares the disk with the wanted state. Reads only.

use std::path::{Path, PathBuf};

use crate::domain::plan::{Action, Step};
use crate::domain::tree::{Class, Content, Found, Stamp};
use crate::domain::{Error, Hint, Result, Sha256};
use crate::doors::disk;

/// A step that brings `path` to these bytes and this mode.
pub(super) fn write(
    name: &str,
    path: PathBuf,
    class: Class,
    bytes: impl Into<Content>,
    mode: u32,
) -> Result<Step> {
    let found = disk::find(&path)?;
    write_over(name, path, class, bytes, mode, &found)
}

/// A step that changes `path` from `found` to these bytes and this mode.
pub(super) fn write_over(
    name: &str,
    path: PathBuf,
    class: Class,
    bytes: impl Into<Content>,
    mode: u32,
    found: &Found,
) -> Result<Step> {
    let bytes = bytes.into();
    let step = write_later(name, path, class, Stamp { sha256: Sha256::of(&bytes), mode }, found)?;
    let bytes = (step.action != Action::Same).then_some(bytes);
    Ok(Step { bytes, ..step })
}

/// The file at `path` as it was read, `None` if there was none. A plan uses what was read, so this does not read the
/// content again: the transaction notices what another program has written since.
pub(super) fn as_read(path: &Path, read: Option<Sha256>) -> Found {
    let stamp = |sha256| Stamp { sha256, mode: disk::mode(path).unwrap_or(0o600) };
    read.map_or(Found::Absent, |sha256| Found::File(stamp(sha256)))
}

/// A step whose bytes are known only when it is carried out, over what was found.
pub(super) fn write_later(
    name: &str,
    path: PathBuf,
    class: Class,
    post: Stamp,
    found: &Found,
) -> Result<Step> {
    if let Found::Other(what) = found {
        return Err(Error::failed(format!("cannot write {}", path.display()))
            .because(format!("it is {what}"))
            .hint(Hint::shell(format!("ls -ld {}", path.display())).to("look at it")));
    }
    let pre = found.stamp();
    let action = match pre {
        None => Action::Create,
        Some(pre) if pre == post => Action::Same,
        Some(pre) if pre.sha256 == post.sha256 => Action::Chmod,
        Some(_) => Action::Replace,
    };
    let rule = if pre.is_none() { 1 } else { 4 };
    let reason = "kept up to date";
    Ok(Step { name: name.to_owned(), path, class, action, rule, reason, pre, post: Some(post), bytes: None })
}

/// A step after which nothing is at `path`, over what was found.
pub(super) fn remove(name: &str, path: PathBuf, class: Class, found: &Found) -> Step {
    let pre = found.stamp();
    let action = if pre.is_some() { Action::Remove } else { Action::Same };
    let reason = "no longer needed";
    Step { name: name.to_owned(), path, class, action, rule: 10, reason, pre, post: None, bytes: None }
}
