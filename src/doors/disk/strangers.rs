//! Which other users can change what is in a directory. Reads only.
//!
//! Promise: a group counts if another user is in it, so that the private groups of most Linux distributions are no
//! finding. Never: follows the names of a network directory service, which a static binary cannot ask.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::doors::system;

const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Another user who can put a file of theirs in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// The owner of the directory, by number.
    Owner(u32),
    /// Every user of the machine.
    Everyone,
    /// The members of a group, by number.
    Group(u32),
}

/// Who beside this user and root can replace the files in `dir`, links followed; `None`: nobody, or `dir` is not there.
pub fn stranger(dir: &Path) -> Option<Stranger> {
    let meta = fs::metadata(dir).ok()?;
    if meta.uid() != system::user_id() && meta.uid() != 0 {
        return Some(Stranger::Owner(meta.uid()));
    }
    // In a sticky directory, as /tmp is, only the owner of a file replaces it.
    if meta.mode() & STICKY != 0 {
        return None;
    }
    if meta.mode() & OTHERS_WRITE != 0 {
        return Some(Stranger::Everyone);
    }
    // The group of root holds accounts of the system alone; containers give it to a user with any number.
    let by_group = meta.mode() & GROUP_WRITES != 0 && meta.gid() != 0 && system::has_other_members(meta.gid());
    by_group.then(|| Stranger::Group(meta.gid()))
}
