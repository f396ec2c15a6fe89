//! Backups: an archive of the deployment as it was before a change, and the index of these archives.
//!
//! An archive holds exactly the paths of the record as found on disk, and the record; `.env` is inside with its keys
//! but, unless asked for, without secret values. `metadata.json` is a convenience: it is rebuilt from the archives
//! when it is lost. Never inside: settings.json, logs, other backups.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bundle::catalog::is_generated;
use crate::bundle::{pack, ustar};
use crate::domain::Hint;
use crate::domain::place::files;
use crate::domain::record::EnvValue;
use crate::domain::record::{FileRecord, Record};
use crate::domain::stand_in::{self, StandIn};
use crate::domain::tree::{Content, Found, Stamp, Wanted, WantedFile};
use crate::domain::{Error, Instant, Kind, Operation, Place, Result, Sha256};
use crate::doors::disk;
use crate::format::age::{self, Lock};
use crate::format::dotenv::DotEnv;

use super::store;
use name::Form;
use sealed::Packed;
pub use sealed::{ARCHIVE_CAP, Unlock, export};

mod name;
mod sealed;

/// Every path in an archive begins with this.
const ROOT: &str = "gateway/";
const INDEX: &str = "metadata.json";
/// Backups that gwinstall keeps by default.
pub const KEEP: usize = 5;

/// The metadata of one archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub filename: String,
    pub filepath: String,
    pub created_at: Instant,
    pub size_bytes: u64,
    /// Preset, gateway type and models, without secrets.
    pub deployment_config: serde_json::Value,
    pub sha256_checksum: Sha256,
    pub is_valid: bool,
    #[serde(default)]
    pub pinned: bool,
    /// Whether a rollback made it, of the state before the rollback.
    #[serde(default)]
    pub safety: bool,
    /// Whether it holds secret values.
    #[serde(default)]
    pub secrets: bool,
    /// Whether it is encrypted, in the age format.
    #[serde(default)]
    pub encrypted: bool,
    /// The operation it was made before; unknown for an archive from elsewhere.
    #[serde(default)]
    pub before: Option<Operation>,
    /// Base copies that a later merge of its files may need.
    #[serde(default, rename = "pristine")]
    pub base_copies: BTreeSet<Sha256>,
}

#[derive(Serialize, Deserialize)]
struct Index {
    schema: u32,
    backups: Vec<Entry>,
}

/// A backup read and checked.
#[derive(Debug)]
pub struct Backup {
    pub record: Record,
    /// Files of the deployment without `.env` and the record.
    pub files: Wanted,
    /// `.env` as archived: secrets are comments.
    pub env: String,
}

/// How a backup is made.
pub struct Making<'a> {
    pub before: Operation,
    pub now: Instant,
    pub safety: bool,
    pub include_secrets: bool,
    /// Who can open it; everyone who can read the file if absent.
    pub lock: Option<&'a Lock>,
}

/// Archives the deployment of `record`. Durable when it returns.
pub fn create(place: &Place, record: &Record, making: &Making<'_>) -> Result<Entry> {
    let dir = place.backups();
    disk::create_dirs(&dir).map_err(|error| disk::failure("create", &dir, &error))?;
    // Before the new archive is there: one that the index does not know is read whole.
    let mut entries = list(place)?;
    let packed = Packed::new(archive(place, record, making.include_secrets)?, making.lock)?;
    let filename = name::free(&dir, making.now, Form::of(making.lock.is_some()))?;
    let path = dir.join(&filename);
    disk::write_atomically(&path, &packed.bytes, 0o600).map_err(|error| {
        disk::failure("write", &path, &error).under("cannot make a backup, so nothing was changed")
    })?;
    let entry = entry_of(place, &filename, &packed, record, making);
    entries.push(entry.clone());
    read_back(&path, &packed).and_then(|()| save(place, &entries)).inspect_err(|_| {
        let _ = disk::remove(&path);
    })?;
    Ok(entry)
}

/// Reads the archive as it is on disk to its end: only then it counts as a backup. A file of the deployment that was
/// missing is missing in it too, and must not stop the change that brings it back.
fn read_back(path: &Path, packed: &Packed<'_>) -> Result<()> {
    let plain = packed.read_back(path);
    let readable =
        plain.and_then(|plain| ustar::read(&plain[..], &ustar::Limits::BACKUP, &mut |_, _| Ok(())));
    readable.map_err(|why| {
        why.under(format!("the backup {} cannot be read back, so nothing was changed", path.display()))
    })
}

fn entry_of(
    place: &Place,
    filename: &str,
    packed: &Packed<'_>,
    record: &Record,
    making: &Making<'_>,
) -> Entry {
    let path = place.backups().join(filename);
    let differs = |name: &str, base| {
        disk::find(&store::live_path(place, name))
            .is_ok_and(|found| found.stamp().is_some_and(|stamp| stamp.sha256 != base))
    };
    let base_copies = base_copies_of(&record.files, &differs);
    Entry {
        filename: filename.to_owned(),
        filepath: path.display().to_string(),
        created_at: making.now,
        size_bytes: packed.bytes.len() as u64,
        deployment_config: config_of(record),
        sha256_checksum: packed.sum,
        is_valid: true,
        pinned: false,
        safety: making.safety,
        secrets: making.include_secrets,
        encrypted: making.lock.is_some(),
        before: Some(making.before),
        base_copies,
    }
}

fn config_of(record: &Record) -> serde_json::Value {
    serde_json::json!({ "preset": record.preset, "gateway_type": record.gateway_type, "models": record.models })
}

/// Base copies that a later merge of a backup's files may need: those of files that the user had edited, and the new
/// versions that open conflicts offer. An unedited file is its own base copy.
pub(super) fn base_copies_of(
    files: &BTreeMap<String, FileRecord>,
    edited: &dyn Fn(&str, Sha256) -> bool,
) -> BTreeSet<Sha256> {
    let kept = files.iter().filter(|(path, file)| file.class.keeps_base_copy() && edited(path, file.base));
    kept.flat_map(|(_, file)| std::iter::once(file.base).chain(file.offered.as_deref().copied())).collect()
}

/// Packs one file after the other, so that memory holds only the packed bytes.
fn archive(place: &Place, record: &Record, include_secrets: bool) -> Result<Vec<u8>> {
    let failed =
        |error: std::io::Error| Error::failed("cannot make a backup, so nothing was changed").because(error);
    let own = [files::ENV, files::RECORD];
    let mut names: Vec<&str> = record.files.keys().map(String::as_str).chain(own).collect();
    names.sort_by(|a, b| pack::by_name(a, b));
    let mut packer = pack::tar_gz(Vec::new(), 1);
    for name in names {
        let (bytes, mode) = match name {
            files::ENV => (env_of(place, record, include_secrets)?, 0o600),
            files::RECORD => (store::record_bytes(record)?, 0o600),
            _ => match disk::find(&store::live_path(place, name))? {
                Found::File(stamp) => {
                    (disk::read(&store::live_path(place, name), ARCHIVE_CAP)?, stamp.mode & 0o777)
                }
                Found::Absent | Found::Other(_) => continue,
            },
        };
        packer.file(&format!("{ROOT}{name}"), mode, &bytes).map_err(failed)?;
    }
    packer.finish().and_then(flate2::write::GzEncoder::finish).map_err(failed)
}

fn env_of(place: &Place, record: &Record, include_secrets: bool) -> Result<Vec<u8>> {
    let env = disk::read_maybe(&store::live_path(place, files::ENV), disk::TEXT_CAP)?.unwrap_or_default();
    if include_secrets {
        return Ok(env);
    }
    Ok(without_secrets(&String::from_utf8_lossy(&env), record).into_bytes())
}

/// Keys without their secret values, and without comments, which may hold old ones.
fn without_secrets(text: &str, record: &Record) -> String {
    let mut safe = DotEnv::parse("");
    for entry in DotEnv::parse(text).entries() {
        let public = record
            .environment_variables
            .get(entry.key)
            .is_some_and(|known| !known.secret && known.value == EnvValue::Value(entry.value.to_owned()));
        if !public || safe.set(entry.key, entry.value).is_err() {
            safe.placeholder(entry.key);
        }
    }
    safe.to_text()
}

/// All backups, oldest first; the index is rebuilt in memory for archives that it does not know.
pub fn list(place: &Place) -> Result<Vec<Entry>> {
    let dir = place.backups();
    let names: Vec<String> = disk::list(&dir)?.into_iter().filter(|name| name::is_of_backup(name)).collect();
    let known: Vec<Entry> = disk::read_maybe(&dir.join(INDEX), ARCHIVE_CAP)
        .ok()
        .flatten()
        .and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok())
        .map_or_else(Vec::new, |index| index.backups);
    let mut entries = Vec::new();
    for name in names {
        match known.iter().find(|entry| entry.filename == name) {
            Some(entry) => {
                entries.push(Entry { filepath: dir.join(&name).display().to_string(), ..entry.clone() })
            }
            None => entries.push(rebuilt(&dir, &name)?),
        }
    }
    entries.sort_by(|a, b| {
        a.created_at
            .cmp(&b.created_at)
            .then_with(|| name::number(&a.filename).cmp(&name::number(&b.filename)))
    });
    Ok(entries)
}

/// All backups, oldest first. Reads every archive again, so that `is_valid` holds for the file as it is now.
pub fn list_verified(place: &Place) -> Result<Vec<Entry>> {
    let mut entries = list(place)?;
    for entry in &mut entries {
        let found = disk::find(&place.backups().join(&entry.filename))?.stamp();
        entry.is_valid &= found.is_some_and(|stamp| stamp.sha256 == entry.sha256_checksum);
    }
    Ok(entries)
}

/// The entry of an archive that the index does not know. Of an encrypted one only the structure can be seen.
fn rebuilt(dir: &Path, name: &str) -> Result<Entry> {
    let bytes = disk::read(&dir.join(name), ARCHIVE_CAP)?;
    if age::is_sealed(&bytes) {
        let is_valid = age::look(&bytes).is_ok();
        return Ok(Entry { is_valid, ..entry_from(dir, name, &bytes, None) });
    }
    Ok(entry_from(dir, name, &bytes, parse(&bytes).ok().as_ref()))
}

/// The entry of an archive with what was read of its inside.
fn entry_from(dir: &Path, name: &str, bytes: &[u8], backup: Option<&Backup>) -> Entry {
    let encrypted = age::is_sealed(bytes);
    Entry {
        filename: name.to_owned(),
        filepath: dir.join(name).display().to_string(),
        created_at: name::made_at(name).unwrap_or(Instant::from_unix(0)),
        size_bytes: bytes.len() as u64,
        deployment_config: backup.map_or(serde_json::Value::Null, |backup| config_of(&backup.record)),
        sha256_checksum: Sha256::of(bytes),
        is_valid: backup.is_some(),
        pinned: false,
        safety: false,
        // What is encrypted may hold them.
        secrets: backup.map_or(encrypted, holds_secrets),
        encrypted,
        before: None,
        base_copies: backup.map_or_else(BTreeSet::new, |backup| {
            let edited =
                |path: &str, base| backup.files.get(path).is_some_and(|file| file.stamp.sha256 != base);
            base_copies_of(&backup.record.files, &edited)
        }),
    }
}

/// Whether an archive's `.env` holds values that its record does not call public.
fn holds_secrets(backup: &Backup) -> bool {
    let public =
        |name: &str| backup.record.environment_variables.get(name).is_some_and(|known| !known.secret);
    let hides = |name: &str, value: &str| matches!(stand_in::of(name, value), None | Some(StandIn::WeakKey));
    DotEnv::parse(&backup.env).entries().any(|entry| hides(entry.key, entry.value) && !public(entry.key))
}

/// An archive from elsewhere, read and checked.
pub struct Received<'a> {
    from: &'a Path,
    bytes: Vec<u8>,
    backup: Backup,
}

/// Reads an archive from elsewhere and checks all of it.
pub fn receive<'a>(from: &'a Path, unlock: Unlock<'_>) -> Result<Received<'a>> {
    let bytes = disk::read_given(from, ARCHIVE_CAP)?;
    let backup = sealed::plain(bytes.clone(), unlock).and_then(|plain| {
        parse(&plain).map_err(|why| Error::unverified("it is not a backup of a gateway").because(why))
    });
    let backup = backup.map_err(|why| why.under(format!("cannot import {}", from.display())))?;
    Ok(Received { from, bytes, backup })
}

/// Puts an archive into the backups, under its own name if that is the name of a backup; an encrypted one stays encrypted.
pub fn adopt(place: &Place, received: &Received<'_>, now: Instant) -> Result<Entry> {
    let Received { from, bytes, backup } = received;
    let dir = place.backups();
    disk::create_dirs(&dir).map_err(|error| disk::failure("create", &dir, &error))?;
    let entries = list(place)?;
    let sum = Sha256::of(bytes);
    if let Some(known) = entries.iter().find(|entry| entry.sha256_checksum == sum) {
        return Err(Error::usage(format!("it is here already, as {}", known.filename))
            .under(format!("cannot import {}", from.display())));
    }
    let form = Form::of(age::is_sealed(bytes));
    let own = from.file_name().and_then(|name| name.to_str()).filter(|name| name::is_of_backup(name));
    let own = own.filter(|name| form.fits(name));
    let own = own.filter(|name| !disk::exists(&dir.join(name))).map(str::to_owned);
    let filename = match own {
        Some(own) => own,
        None => name::free(&dir, now, form)?,
    };
    let path = dir.join(&filename);
    disk::write_atomically(&path, bytes, 0o600).map_err(|error| disk::failure("write", &path, &error))?;
    let entry = entry_from(&dir, &filename, bytes, Some(backup));
    let mut entries = list(place)?;
    entries.retain(|known| known.filename != filename);
    entries.push(entry.clone());
    save(place, &entries)?;
    Ok(entry)
}

/// Keeps a backup from being pruned, or lets it be pruned again; says whether that changed anything.
pub fn pin(place: &Place, filename: &str, pinned: bool) -> Result<bool> {
    let mut entries = list(place)?;
    let Some(entry) = entries.iter_mut().find(|entry| entry.filename == filename) else {
        return Err(
            Error::usage(format!("there is no backup {filename}")).hint(Hint::run(&["backup", "list"]))
        );
    };
    if entry.pinned == pinned {
        return Ok(false);
    }
    entry.pinned = pinned;
    save(place, &entries)?;
    Ok(true)
}

/// Writes the index; without backups there is none.
pub fn save(place: &Place, entries: &[Entry]) -> Result<()> {
    let path = place.backups().join(INDEX);
    let written = if entries.is_empty() {
        disk::remove(&path)
    } else {
        let text = store::pretty(&Index { schema: 1, backups: entries.to_vec() })?;
        disk::write_atomically(&path, &text, 0o600)
    };
    written.map_err(|error| disk::failure("write", &path, &error))
}

/// Removes one backup and its line in the index.
pub fn remove(place: &Place, filename: &str) -> Result<()> {
    let path = place.backups().join(filename);
    disk::remove(&path).map_err(|error| disk::failure("remove", &path, &error))?;
    let entries: Vec<Entry> = list(place)?.into_iter().filter(|entry| entry.filename != filename).collect();
    save(place, &entries)?;
    let _ = disk::remove_dir_if_empty(&place.backups());
    Ok(())
}

/// Which backups a pruning would remove: what is beyond `keep`, and those older than `max_age_days`. Never a pinned
/// one, one of `in_use`, or the newest. Beyond `keep` the oldest go, those first that were made before a single value
/// was set: a series of these must not push out the backup that an update needs for its rollback.
pub fn prunable(
    entries: &[Entry],
    keep: usize,
    max_age_days: Option<u32>,
    now: Instant,
    in_use: &[&str],
) -> Vec<String> {
    let newest = entries.last().map(|entry| entry.filename.as_str());
    let stays = |entry: &&Entry| in_use.contains(&entry.filename.as_str()) || newest == Some(&entry.filename);
    let candidates: Vec<&Entry> = entries.iter().filter(|entry| !entry.pinned).collect();
    let surplus = candidates.len().saturating_sub(keep);
    let limit = max_age_days.map(|days| now.unix() - i64::from(days) * 86_400);
    // A backup that stays counts towards `keep`.
    let removable: Vec<&Entry> = candidates.into_iter().filter(|entry| !stays(entry)).collect();
    let (values, others): (Vec<&Entry>, Vec<&Entry>) = removable
        .iter()
        .partition(|entry| matches!(entry.before, Some(Operation::SetValue | Operation::UnsetValue)));
    let beyond: Vec<&str> =
        values.into_iter().chain(others).take(surplus).map(|entry| entry.filename.as_str()).collect();
    removable
        .iter()
        .filter(|entry| {
            beyond.contains(&entry.filename.as_str())
                || limit.is_some_and(|limit| entry.created_at.unix() < limit)
        })
        .map(|entry| entry.filename.clone())
        .collect()
}

/// Reads a backup file and checks all of it before it returns. An encrypted one is refused.
pub fn open(path: &Path, expected: Option<Sha256>) -> Result<Backup> {
    open_with(path, expected, &mut |_| Err(Error::usage("it is encrypted")))
}

/// Reads a backup file and checks all of it before it returns. `unlock` is asked where it is encrypted.
pub fn open_with(path: &Path, expected: Option<Sha256>, unlock: Unlock<'_>) -> Result<Backup> {
    let unusable = || format!("the backup {} cannot be used", path.display());
    let damaged = |why: String| Error::new(Kind::Unverified, unusable()).because(why);
    let another = || Hint::run(&["backup", "list"]).to("choose another");
    let bytes = unaltered(path, expected).map_err(|why| damaged(why).hint(another()))?;
    let plain = sealed::plain(bytes, unlock).map_err(|why| match why.kind() {
        Kind::Unverified => why.under(unusable()).hint(another()),
        _ => why.under(unusable()),
    })?;
    parse(&plain).map_err(|why| damaged(why).hint(another()))
}

/// Checks as much of an encrypted backup as can be seen without its key. `false` if it is not encrypted.
pub fn look_at_sealed(path: &Path, expected: Option<Sha256>) -> Result<bool> {
    let failed = |why: String| {
        Error::new(Kind::Unverified, format!("the backup {} cannot be used", path.display())).because(why)
    };
    let bytes = unaltered(path, expected).map_err(failed)?;
    let sealed = age::is_sealed(&bytes);
    if sealed {
        age::look(&bytes).map_err(|fault| failed(fault.to_string()))?;
    }
    Ok(sealed)
}

fn unaltered(path: &Path, expected: Option<Sha256>) -> std::result::Result<Vec<u8>, String> {
    let bytes = disk::read(path, ARCHIVE_CAP).map_err(|error| error.to_string())?;
    let sum = Sha256::of(&bytes);
    match expected.filter(|expected| *expected != sum) {
        None => Ok(bytes),
        Some(expected) => {
            Err(format!("it is damaged: its sha256 is {}, recorded was {}", sum.short(), expected.short()))
        }
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Backup, String> {
    let mut members: BTreeMap<String, (Content, u32)> = BTreeMap::new();
    ustar::read(bytes, &ustar::Limits::BACKUP, &mut |entry, body| {
        let inside = entry.path.strip_prefix(ROOT).filter(|_| entry.kind == ustar::EntryKind::File);
        let inside = inside
            .ok_or_else(|| Error::unverified(format!("{} does not belong into a backup", entry.path)))?;
        if entry.mode & !0o777 != 0 {
            return Err(Error::unverified(format!("{} has the mode {:o}", entry.path, entry.mode)));
        }
        members.insert(inside.to_owned(), (ustar::whole(entry, body)?.into(), entry.mode));
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    let mut take = |name: &str| {
        members.remove(name).map(|(bytes, _)| bytes).ok_or_else(|| format!("it has no {ROOT}{name}"))
    };
    let record = store::parse_record(&take(files::RECORD)?)
        .map_err(|why| format!("its record is not usable: {why}"))?;
    let env = String::from_utf8(take(files::ENV)?.to_vec())
        .map_err(|error| format!("its .env is not UTF-8: {}", error.utf8_error()))?;
    if record.files.contains_key(files::CONFIG) && !members.contains_key(files::CONFIG) {
        return Err(format!("it has no {ROOT}{}", files::CONFIG));
    }
    let mut wanted = Wanted::new();
    for (path, (bytes, mode)) in members {
        if is_generated(&path) {
            return Err(format!("it holds {path}, which no backup can bring"));
        }
        let known = record
            .files
            .get(&path)
            .ok_or_else(|| format!("it holds {path}, which its record does not name"))?;
        wanted.insert(
            path,
            WantedFile { stamp: Stamp { sha256: Sha256::of(&bytes), mode }, bytes, class: known.class },
        );
    }
    Ok(Backup { record, files: wanted, env })
}

/// The backup that `which` names: nothing, a number (1 = the newest that is not a safety backup), a file name or a
/// path.
pub fn choose(
    place: &Place,
    which: Option<&str>,
    restored_from: Option<&str>,
) -> Result<(PathBuf, Option<Entry>)> {
    let entries = list(place)?;
    let states: Vec<&Entry> = entries.iter().rev().filter(|entry| !entry.safety).collect();
    let found = match which {
        None => {
            let last = restored_from.and_then(|name| states.iter().position(|entry| entry.filename == name));
            let next = last.map_or(0, |index| index + 1);
            states.get(next).copied().ok_or_else(|| nothing_older(last.map(|index| states[index])))?
        }
        Some(text) if text.parse::<usize>().is_ok() => {
            let n: usize = text.parse().unwrap_or(0);
            let known = || {
                Error::usage(format!("there is no backup number {n}"))
                    .because(match states.len() {
                        1 => "there is 1 backup".to_owned(),
                        n => format!("there are {n} backups"),
                    })
                    .hint(Hint::run(&["backup", "list"]))
            };
            n.checked_sub(1).and_then(|index| states.get(index)).copied().ok_or_else(known)?
        }
        Some(name) => {
            if let Some(entry) = entries.iter().find(|entry| entry.filename == name) {
                entry
            } else {
                return outside(name);
            }
        }
    };
    Ok((place.backups().join(&found.filename), Some(found.clone())))
}

/// The error when there is no older state to roll back to.
fn nothing_older(here: Option<&Entry>) -> Error {
    let Some(here) = here else { return Error::failed("there is no backup to return to") };
    Error::failed("this is the oldest state already: no backup is older")
        .because(format!("what is deployed is {}", here.filename))
        .hint(
            Hint::run(&["rollback", "1"])
                .to("return to a newer one")
                .or(Hint::run(&["backup", "list"]).to("see them all")),
        )
}

/// A backup given by a path.
fn outside(name: &str) -> Result<(PathBuf, Option<Entry>)> {
    let path = PathBuf::from(name);
    if name.contains('/') && disk::exists(&path) {
        return Ok((path, None));
    }
    Err(Error::usage(format!("there is no backup {}", crate::domain::name::printable(name)))
        .hint(Hint::run(&["backup", "list"])))
}

/// The base copies that the record and all backups refer to.
pub fn referenced(place: &Place, record: Option<&Record>) -> Result<BTreeSet<Sha256>> {
    let mut sums: BTreeSet<Sha256> = list(place)?.into_iter().flat_map(|entry| entry.base_copies).collect();
    sums.extend(record.into_iter().flat_map(|record| base_copies_of(&record.files, &|_, _| true)));
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The disk returns something else than was written, or what was written is not an archive.
    #[test]
    fn a_backup_counts_only_if_the_disk_returns_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway-backup-20260101-000000.tar.gz");
        let read_back = |written: &[u8], on_disk: &[u8]| {
            let _ = disk::remove(&path);
            disk::create(&path, on_disk, 0o600).unwrap();
            let packed = Packed::new(written.to_vec(), None).unwrap();
            read_back(&path, &packed).unwrap_err().to_string()
        };
        let altered = read_back(b"archive", b"archiwe");
        assert!(altered.contains("other bytes than gwinstall wrote"), "{altered}");
        let short = read_back(b"archive", b"arch");
        assert!(short.contains("other bytes than gwinstall wrote"), "{short}");
        let unreadable = read_back(b"archive", b"archive");
        assert!(unreadable.contains("cannot be read back, so nothing was changed"), "{unreadable}");
        assert!(!unreadable.contains("other bytes"), "{unreadable}");
    }
}
