//! The lock of a deployment: flock on `.gwinstall/lock`, so that it ends with its holder, however that ends.
//!
//! The file's content names the holder for other processes; it decides nothing. A lock file may be unlinked by its
//! holder, therefore a lock counts only if the path still leads to the very file that is locked.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::look::{read_maybe, require_file};
use crate::domain::Instant;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The name of a holder is a line.
const HOLDER_CAP: u64 = 64 << 10;

/// Who holds a lock, as written by the holder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub command: String,
    pub since: Instant,
}

/// Tries to take the lock at `path`, whose directory must exist. `Ok(Err(holder))`: another process has it.
pub fn hold(path: &Path, me: &Holder) -> io::Result<Result<Lock, Option<Holder>>> {
    for _ in 0..100 {
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        require_file(&file)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                // The holder may be writing this very moment; a lock without a name is a lock as well.
                return Ok(Err(serde_json::from_reader(file).ok()));
            }
            // A file system without locks (some NFS mounts): nothing keeps a second run out then, and refusing to run
            // would help no user.
            Err(rustix::io::Errno::NOLCK | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        let same = fs::symlink_metadata(path).is_ok_and(|meta| {
            file.metadata().is_ok_and(|mine| mine.ino() == meta.ino() && mine.dev() == meta.dev())
        });
        if same {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&serde_json::to_vec(me)?)?;
            return Ok(Ok(Lock { _file: file }));
        }
    }
    Err(io::Error::other("the lock file is replaced again and again"))
}

/// Who wrote the lock file last, whether or not they still hold it.
pub fn holder(path: &Path) -> Option<Holder> {
    let text = read_maybe(path, HOLDER_CAP).ok()??;
    serde_json::from_slice(&text).ok()
}
