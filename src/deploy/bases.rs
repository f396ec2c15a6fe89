//! Base copies: files as gwinstall shipped them, which a later merge with the edits of the user starts from.
//!
//! Promise: they lie in one archive, each under its hash, and none is used whose hash is wrong. A new archive comes
//! with the transaction of the files. After a change it holds what the record and the backups refer to and nothing else: where
//! the record is lost, that tells which files gwinstall deployed. A damaged archive counts as far as it can be read: a
//! file without its base copy conflicts where it could be merged, and the user decides. Never: holds what the user wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::bundle::pack::Packer;
use crate::bundle::ustar::{self, Limits};
use crate::domain::place::files;
use crate::domain::plan::Step;
use crate::domain::record::Record;
use crate::domain::tree::{Class, Content};
use crate::domain::{Hint, Place, Result, Sha256};
use crate::doors::disk;

use super::{backup, step, store};

/// More than the scripts and configurations of many bundles together.
const LIMITS: Limits = Limits { unpacked: 256 << 20, files: 100_000, ratio: 1 };

/// The base copies of a deployment, by their hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseCopies(BTreeMap<Sha256, Content>);

impl BaseCopies {
    /// Reads the archive of this place. No archive is as good as an empty one.
    pub fn read(place: &Place) -> Result<Self> {
        let path = place.file(files::BASE_COPIES);
        let read = disk::read_maybe(&path, LIMITS.unpacked).map_err(|error| {
            let away = Hint::shell(format!("mv {0} {0}-1", place.paste(&path)));
            error.hint(
                away.to("go on without it: an edit of yours may then conflict where it could be merged"),
            )
        });
        let Some(bytes) = read? else { return Ok(Self::default()) };
        let mut copies = BTreeMap::new();
        // What stands before the damage counts.
        let _ = ustar::read_tar(&bytes[..], &LIMITS, &mut |entry, body| {
            let bytes = ustar::whole(entry, body)?;
            copies.extend(Sha256::parse(&entry.path).map(|sha256| (sha256, bytes.into())));
            Ok(())
        });
        Ok(Self(copies))
    }

    /// The file with this hash, if its copy is undamaged.
    pub fn get(&self, sha256: Sha256) -> Option<&Content> {
        self.0.get(&sha256).filter(|bytes| Sha256::of(bytes) == sha256)
    }

    pub(super) fn sums(&self) -> BTreeSet<Sha256> {
        self.0.keys().copied().collect()
    }

    /// What is `shipped`, and of these what is `needed`; `None` if these hold all that is shipped, undamaged.
    pub(super) fn with(
        &self,
        shipped: BTreeMap<Sha256, Content>,
        needed: impl FnOnce() -> BTreeSet<Sha256>,
    ) -> Option<Self> {
        if shipped.iter().all(|(sha256, bytes)| self.0.get(sha256) == Some(bytes)) {
            return None;
        }
        let mut copies = self.only(&needed());
        copies.0.extend(shipped);
        Some(copies)
    }

    fn only(&self, needed: &BTreeSet<Sha256>) -> Self {
        let kept = self.0.iter().filter(|(sha256, _)| needed.contains(sha256));
        Self(kept.map(|(sha256, bytes)| (*sha256, bytes.clone())).collect())
    }

    /// The archive.
    fn pack(&self) -> io::Result<Vec<u8>> {
        let mut packer = Packer::new(Vec::new());
        for (sha256, bytes) in &self.0 {
            packer.file(&sha256.to_string(), 0o600, bytes)?;
        }
        packer.finish()
    }

    /// The step that writes the archive.
    pub(super) fn step(&self, place: &Place) -> Result<Step> {
        let path = place.file(files::BASE_COPIES);
        let bytes = self.pack().map_err(|error| disk::failure("write", &path, &error))?;
        step::write(files::BASE_COPIES, path, Class::Record, bytes, 0o600)
    }
}

/// The base copy with this hash, if it is there and undamaged.
pub fn base_copy(place: &Place, sha256: Sha256) -> Option<Content> {
    BaseCopies::read(place).ok()?.get(sha256).cloned()
}

/// Drops the base copies that neither this record nor a backup refers to. Keeps them while the record is lost.
pub fn drop_unreferenced(place: &Place, record: Option<&Record>) -> Result<()> {
    // A rendered directory has a record of its own.
    if store::is_lost(place)
        || [files::BASE_COPIES, files::RENDERED].map(|name| disk::exists(&place.file(name))) != [true, false]
    {
        return Ok(());
    }
    keep_only(place, &backup::referenced(place, record)?)
}

/// Drops all base copies but these.
pub(super) fn keep_only(place: &Place, needed: &BTreeSet<Sha256>) -> Result<()> {
    let path = place.file(files::BASE_COPIES);
    let found = BaseCopies::read(place)?;
    let kept = found.only(needed);
    if kept.0.is_empty() {
        disk::remove(&path).map_err(|error| disk::failure("remove", &path, &error))
    } else if kept == found {
        Ok(())
    } else {
        kept.pack()
            .and_then(|bytes| disk::write_atomically(&path, &bytes, 0o600))
            .map_err(|error| disk::failure("write", &path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(texts: &[&str]) -> BTreeMap<Sha256, Content> {
        texts.iter().map(|text| (Sha256::of(text.as_bytes()), text.as_bytes().into())).collect()
    }

    fn sums(texts: &[&str]) -> BTreeSet<Sha256> {
        shipped(texts).into_keys().collect()
    }

    #[test]
    fn an_archive_holds_what_is_shipped_and_what_is_needed() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::in_home(home.path());
        disk::create_dirs(&place.own()).unwrap();
        assert_eq!(BaseCopies::read(&place).unwrap(), BaseCopies::default());
        let put = |copies: &BaseCopies| {
            disk::write_atomically(&place.file(files::BASE_COPIES), &copies.pack().unwrap(), 0o600).unwrap();
        };
        let first = BaseCopies::default().with(shipped(&["a", "b", ""]), || sums(&[])).unwrap();
        put(&first);
        let read = BaseCopies::read(&place).unwrap();
        assert_eq!(read, first);
        assert!(read.with(shipped(&["b"]), || unreachable!()).is_none());
        let next = read.with(shipped(&["c"]), || sums(&["a"])).unwrap();
        assert_eq!(next.0, shipped(&["a", "c"]));
        put(&next);
        keep_only(&place, &sums(&["c"])).unwrap();
        assert_eq!(&*base_copy(&place, Sha256::of(b"c")).unwrap(), b"c");
        assert!(base_copy(&place, Sha256::of(b"a")).is_none());
        keep_only(&place, &sums(&[])).unwrap();
        assert!(!disk::exists(&place.file(files::BASE_COPIES)));
    }

    #[test]
    fn damage_costs_the_copies_that_it_reaches() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::in_home(home.path());
        disk::create_dirs(&place.own()).unwrap();
        let copies = BaseCopies(shipped(&["a", "b"]));
        let path = place.file(files::BASE_COPIES);
        let whole = copies.pack().unwrap();
        disk::create(&path, &whole, 0o600).unwrap();
        let names: Vec<Sha256> = copies.0.keys().copied().collect();
        for (at, found) in
            [(0, [false, false]), (512, [false, true]), (1024, [true, false]), (1536, [true, false])]
        {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            disk::remove(&path).unwrap();
            disk::create(&path, &damaged, 0o600).unwrap();
            let read = BaseCopies::read(&place).unwrap();
            assert_eq!([0, 1].map(|n| read.get(names[n]).is_some()), found, "{at}");
            assert_eq!(read.with(shipped(&["a", "b"]), || sums(&[])).unwrap(), copies, "{at}");
        }
    }
}
