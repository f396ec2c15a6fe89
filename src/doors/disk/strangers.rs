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
    /// A user whom an access list names, by number.
    User(u32),
    /// Every user of the machine.
    Everyone,
    /// The members of a group, by number.
    Group(u32),
}

/// Who beside this user and root can replace the files in `dir`, links followed; `None`: nobody, or `dir` is not there.
pub fn stranger(dir: &Path) -> Option<Stranger> {
    let meta = fs::metadata(dir).ok()?;
    if meta.uid() != system::user_id() && meta.uid() != 0 && !is_lent(&meta) {
        return Some(Stranger::Owner(meta.uid()));
    }
    // In a sticky directory, as /tmp is, only the owner of a file replaces it.
    if meta.mode() & STICKY != 0 {
        return None;
    }
    if meta.mode() & OTHERS_WRITE != 0 {
        return Some(Stranger::Everyone);
    }
    if let Some(acl) = access_list(dir) {
        return granted(&acl, meta.gid());
    }
    (meta.mode() & GROUP_WRITES != 0).then(|| group(meta.gid())).flatten()
}

/// Whether a container lends the directory to a user with any number, as OpenShift does: it is open to the group of root, the
/// user has that group, and the first process of the system is theirs. Where that is so, no process of the owner runs.
fn is_lent(meta: &fs::Metadata) -> bool {
    meta.gid() == 0
        && meta.mode() & GROUP_WRITES != 0
        && system::group_id() == 0
        && !system::is_root()
        && system::owns_first_process()
}

/// Whether every user of the machine can write to the file at `path`, links followed.
pub fn is_open_to_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.mode() & OTHERS_WRITE != 0)
}

/// A group with another user in it. That of root holds accounts of the system alone; containers give it to a user with any
/// number.
fn group(id: u32) -> Option<Stranger> {
    (id != 0 && system::has_other_members(id)).then_some(Stranger::Group(id))
}

/// An entry of an access list: its tag, its permissions and whom it names.
type Entry = (u16, u16, u32);

const NAMED_USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const NAMED_GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const MAY_WRITE: u16 = 2;

/// The access list of a directory that has more than its mode says.
#[cfg(target_os = "linux")]
fn access_list(dir: &Path) -> Option<Vec<Entry>> {
    let mut bytes = [0; 1 << 12];
    let length = rustix::fs::getxattr(dir, "system.posix_acl_access", &mut bytes[..]).ok()?;
    let entry = |entry: &[u8]| {
        let [a, b, c, d, e, f, g, h] = *entry else { return None };
        Some((u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]), u32::from_le_bytes([e, f, g, h])))
    };
    bytes.get(4..length)?.chunks(8).map(entry).collect()
}

#[cfg(not(target_os = "linux"))]
fn access_list(_: &Path) -> Option<Vec<Entry>> {
    None
}

/// Whom an access list lets write. With one, the group bits of the mode are its mask.
fn granted(acl: &[Entry], owning_group: u32) -> Option<Stranger> {
    let mask =
        acl.iter().find(|(tag, ..)| *tag == MASK).map_or(MAY_WRITE, |(_, permissions, _)| *permissions);
    let writes = acl.iter().filter(|(_, permissions, _)| permissions & mask & MAY_WRITE != 0);
    writes.copied().find_map(|(tag, _, id)| match tag {
        NAMED_USER => (id != 0 && id != system::user_id()).then_some(Stranger::User(id)),
        NAMED_GROUP => group(id),
        OWNING_GROUP => group(owning_group),
        _ => None,
    })
}
