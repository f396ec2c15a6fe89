//! The bytes of an archive on their way to the disk and from it: as they are, or encrypted in the age format.
//!
//! Promise: what was written counts only after the disk returned it and it could be opened: with the passphrase where there
//! is one, else with the key of this one file. A passphrase is asked for only where one opens the archive.

use std::path::Path;

use crate::domain::{Error, Kind, Result, Sha256};
use crate::doors::{disk, system};
use crate::format::age::{self, Fault, FileKey, For, Key, Lock};

pub const ARCHIVE_CAP: u64 = 64 << 20;

/// Finds the key of an encrypted archive, given what opens it.
pub type Unlock<'a> = &'a mut dyn FnMut(For) -> Result<Key>;

/// An archive as it is to lie on disk.
pub(super) struct Packed<'a> {
    pub(super) bytes: Vec<u8>,
    pub(super) sum: Sha256,
    seal: Option<(&'a Lock, FileKey)>,
}

impl<'a> Packed<'a> {
    pub(super) fn new(plain: Vec<u8>, lock: Option<&'a Lock>) -> Result<Self> {
        let (bytes, seal) = match lock {
            None => (plain, None),
            Some(lock) => {
                let sealed = age::seal(plain, lock, &system::random)?;
                (sealed.bytes, Some((lock, sealed.file_key)))
            }
        };
        Ok(Self { sum: Sha256::of(&bytes), bytes, seal })
    }

    /// The plain archive, out of the bytes that the disk returns for this one.
    pub(super) fn read_back(&self, path: &Path) -> Result<Vec<u8>> {
        let found = disk::read(path, ARCHIVE_CAP)?;
        if Sha256::of(&found) != self.sum {
            return Err(Error::failed("the disk returns other bytes than gwinstall wrote"));
        }
        match &self.seal {
            None => Ok(found),
            Some((lock, key)) => age::read_back(found, lock, key)
                .map_err(|fault| Error::failed("gwinstall cannot decrypt what it encrypted").because(fault)),
        }
    }
}

/// The plain archive inside `bytes`.
pub(super) fn plain(bytes: Vec<u8>, unlock: Unlock<'_>) -> Result<Vec<u8>> {
    if !age::is_sealed(&bytes) {
        return Ok(bytes);
    }
    let key = age::look(&bytes).map_err(refused).and_then(unlock)?;
    age::open(bytes, &key).map_err(refused)
}

/// A wrong key is the mistake of the command, everything else one of the file.
fn refused(fault: Fault) -> Error {
    let kind = match fault {
        Fault::Passphrase | Fault::OtherRecipient | Fault::NeedsIdentity | Fault::NeedsPassphrase => {
            Kind::Usage
        }
        Fault::Header | Fault::Cut | Fault::Altered | Fault::Unsupported | Fault::TooMuchWork => {
            Kind::Unverified
        }
    };
    Error::new(kind, fault.to_string())
}

/// Copies the archive `from` to the new file `to`, encrypted if there is a lock. Returns the checksum of the copy; a copy
/// that cannot be read back is removed.
pub fn export(from: &Path, to: &Path, lock: Option<&Lock>) -> Result<Sha256> {
    let plain = disk::read(from, ARCHIVE_CAP)?;
    let expected = Sha256::of(&plain);
    let packed = Packed::new(plain, lock)?;
    let written = disk::create(to, &packed.bytes, 0o600).and_then(|file| disk::flush(&[file]));
    if let Err(error) = written {
        // If the file could not be created there is nothing to remove; a later error leaves a partial file.
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            let _ = disk::remove(to);
        }
        return Err(disk::failure("write", to, &error));
    }
    let whole = packed.read_back(to).and_then(|found| {
        if Sha256::of(&found) == expected {
            Ok(packed.sum)
        } else {
            Err(Error::failed("it holds other bytes"))
        }
    });
    whole.map_err(|why| {
        let _ = disk::remove(to);
        why.under(format!("{} cannot be read back, so it was removed", to.display()))
    })
}
