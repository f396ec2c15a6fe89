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
use crate::domain::record::Record;
use crate::domain::stand_in::{self, StandIn};
use crate::domain::tree::{Content, Found, Stamp, Wanted, WantedFile};
use crate::domain::{Error, Instant, Kind, Operation, Place, Result, Sha256};
use crate::doors::disk;
use crate::format::dotenv::DotEnv;

use super::store;

/// Every path in an archive begins with this.
const ROOT: &str = "gateway/";
const INDEX: &str = "metadata.json";
/// Backups that gwinstall keeps by default.
pub const KEEP: usize = 5;
pub const ARCHIVE_CAP: u64 = 64 << 20;

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
    /// The operation it was made before; unknown for an archive from elsewhere.
    #[serde(default)]
    pub before: Option<Operation>,
    /// Base copies that a later merge of its files may need.
    #[serde(default, rename = "pristine")]
    pub base_copies: Vec<String>,
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
pub struct Making {
    pub before: Operation,
    pub now: Instant,
    pub safety: bool,
    pub include_secrets: bool,
}

/// Archives the deployment of `record`. Durable when it returns.
pub fn create(place: &Place, record: &Record, making: &Making) -> Result<Entry> {
    let dir = place.backups();
    disk::create_dirs(&dir).map_err(|error| disk::failure("create", &dir, &error))?;
    // Before the new archive is there: one that the index does not know is read whole.
    let mut entries = list(place)?;
    let bytes = archive(place, record, making.include_secrets)?;
    let filename = free_name(&dir, making.now)?;
    let path = dir.join(&filename);
    disk::write_atomically(&path, &bytes, 0o600).map_err(|error| {
        disk::failure("write", &path, &error).under("cannot make a backup, so nothing was changed")
    })?;
    let entry = entry_of(place, &filename, &bytes, record, making);
    entries.push(entry.clone());
    read_back(&path, entry.sha256_checksum).and_then(|()| save(place, &entries)).inspect_err(|_| {
        let _ = disk::remove(&path);
    })?;
    Ok(entry)
}

/// Reads the archive as it is on disk to its end: only then it counts as a backup. A file of the deployment that was
/// missing is missing in it too, and must not stop the change that brings it back.
fn read_back(path: &Path, written: Sha256) -> Result<()> {
    let bytes = disk::read(path, ARCHIVE_CAP)?;
    let readable = if Sha256::of(&bytes) == written {
        ustar::read(&bytes[..], &ustar::Limits::BACKUP, &mut |_, _| Ok(()))
    } else {
        Err(Error::failed("the disk returns other bytes than gwinstall wrote"))
    };
    readable.map_err(|why| {
        why.under(format!("the backup {} cannot be read back, so nothing was changed", path.display()))
    })
}

fn entry_of(place: &Place, filename: &str, bytes: &[u8], record: &Record, making: &Making) -> Entry {
    let path = place.backups().join(filename);
    let differs = |name: &str, base| {
        disk::find(&store::live_path(place, name))
            .is_ok_and(|found| found.stamp().is_some_and(|stamp| stamp.sha256 != base))
    };
    let base_copies = base_copies_of(record, &differs);
    Entry {
        filename: filename.to_owned(),
        filepath: path.display().to_string(),
        created_at: making.now,
        size_bytes: bytes.len() as u64,
        deployment_config: config_of(record),
        sha256_checksum: Sha256::of(bytes),
        is_valid: true,
        pinned: false,
        safety: making.safety,
        secrets: making.include_secrets,
        before: Some(making.before),
        base_copies,
    }
}

fn config_of(record: &Record) -> serde_json::Value {
    serde_json::json!({ "preset": record.preset, "gateway_type": record.gateway_type, "models": record.models })
}

/// Base copies that a later merge of a backup's files may need: those of files that the user had edited, and the new
/// versions that open conflicts offer. An unedited file is its own base copy.
fn base_copies_of(record: &Record, edited: &dyn Fn(&str, Sha256) -> bool) -> Vec<String> {
    let kept =
        record.files.iter().filter(|(path, file)| file.class.keeps_base_copy() && edited(path, file.base));
    let sums = kept.flat_map(|(_, file)| std::iter::once(file.base).chain(file.offered));
    sums.map(|sum| sum.to_string()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// `gateway-backup-YYYYMMDD-HHMMSS.tar.gz`, and `-2` and so on within the same second. A number is never used again,
/// also when a lower one has been pruned: names sort by age.
fn free_name(dir: &Path, now: Instant) -> Result<String> {
    let stem = format!("gateway-backup-{}", now.compact());
    let taken = disk::list(dir)?.iter().filter(|name| name.starts_with(&stem)).map(|name| number(name)).max();
    Ok(match taken {
        None => format!("{stem}.tar.gz"),
        Some(last) => format!("{stem}-{}.tar.gz", last + 1),
    })
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
    let names: Vec<String> = disk::list(&dir)?.into_iter().filter(|name| is_backup_name(name)).collect();
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
        a.created_at.cmp(&b.created_at).then_with(|| number(&a.filename).cmp(&number(&b.filename)))
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

/// The `-2` of a second backup within the same second.
fn number(filename: &str) -> u32 {
    let stem = filename.trim_end_matches(".tar.gz");
    stem.rsplit('-').next().filter(|last| last.len() < 6).and_then(|last| last.parse().ok()).unwrap_or(1)
}

fn is_backup_name(name: &str) -> bool {
    name.strip_prefix("gateway-backup-")
        .and_then(|rest| rest.strip_suffix(".tar.gz"))
        .is_some_and(|stem| moment(stem).is_some())
}

/// The moment in `YYYYMMDD-HHMMSS` or `YYYYMMDD-HHMMSS-N`.
fn moment(stem: &str) -> Option<Instant> {
    let (day, rest) = stem.split_once('-')?;
    let clock = rest.split('-').next()?;
    if day.len() != 8 || clock.len() != 6 || !stem.is_ascii() {
        return None;
    }
    Instant::parse(&format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &clock[..2],
        &clock[2..4],
        &clock[4..]
    ))
}

fn rebuilt(dir: &Path, name: &str) -> Result<Entry> {
    let path = dir.join(name);
    let bytes = disk::read(&path, ARCHIVE_CAP)?;
    let stem = name.trim_start_matches("gateway-backup-").trim_end_matches(".tar.gz");
    let backup = parse(&bytes);
    Ok(Entry {
        filename: name.to_owned(),
        filepath: path.display().to_string(),
        created_at: moment(stem).unwrap_or(Instant::from_unix(0)),
        size_bytes: bytes.len() as u64,
        deployment_config: backup
            .as_ref()
            .map_or(serde_json::Value::Null, |backup| config_of(&backup.record)),
        sha256_checksum: Sha256::of(&bytes),
        is_valid: backup.is_ok(),
        pinned: false,
        safety: false,
        secrets: backup.as_ref().is_ok_and(holds_secrets),
        before: None,
        base_copies: backup.map_or_else(
            |_| Vec::new(),
            |backup| {
                let edited =
                    |path: &str, base| backup.files.get(path).is_some_and(|file| file.stamp.sha256 != base);
                base_copies_of(&backup.record, &edited)
            },
        ),
    })
}

/// Whether an archive's `.env` holds values that its record does not call public.
fn holds_secrets(backup: &Backup) -> bool {
    let public =
        |name: &str| backup.record.environment_variables.get(name).is_some_and(|known| !known.secret);
    let hides = |name: &str, value: &str| matches!(stand_in::of(name, value), None | Some(StandIn::WeakKey));
    DotEnv::parse(&backup.env).entries().any(|entry| hides(entry.key, entry.value) && !public(entry.key))
}

/// Copies an archive into the backups, under its own name if that is the name of a backup. gwinstall checks the whole
/// archive before it writes a byte.
pub fn adopt(place: &Place, from: &Path, now: Instant) -> Result<Entry> {
    let refused = |error: Error| error.under(format!("cannot import {}", from.display()));
    let bytes = disk::read_given(from, ARCHIVE_CAP)?;
    parse(&bytes)
        .map_err(|why| refused(Error::unverified("it is not a backup of a gateway").because(why)))?;
    let dir = place.backups();
    disk::create_dirs(&dir).map_err(|error| disk::failure("create", &dir, &error))?;
    let entries = list(place)?;
    let sum = Sha256::of(&bytes);
    if let Some(known) = entries.iter().find(|entry| entry.sha256_checksum == sum) {
        return Err(refused(Error::usage(format!("it is here already, as {}", known.filename))));
    }
    let own = from.file_name().and_then(|name| name.to_str()).filter(|name| is_backup_name(name));
    let own = own.filter(|name| !disk::exists(&dir.join(name))).map(str::to_owned);
    let filename = match own {
        Some(own) => own,
        None => free_name(&dir, now)?,
    };
    let path = dir.join(&filename);
    disk::write_atomically(&path, &bytes, 0o600).map_err(|error| disk::failure("write", &path, &error))?;
    let entry = rebuilt(&dir, &filename)?;
    save(place, &list(place)?)?;
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

/// Reads a backup file and checks all of it before it returns.
pub fn open(path: &Path, expected: Option<Sha256>) -> Result<Backup> {
    let damaged = |why: String| {
        Error::new(Kind::Unverified, format!("the backup {} cannot be used", path.display()))
            .because(why)
            .hint(Hint::run(&["backup", "list"]).to("choose another"))
    };
    let bytes = disk::read(path, ARCHIVE_CAP).map_err(|error| damaged(error.to_string()))?;
    if let Some(expected) = expected.filter(|expected| *expected != Sha256::of(&bytes)) {
        return Err(damaged(format!(
            "it is damaged: its sha256 is {}, recorded was {}",
            Sha256::of(&bytes).short(),
            expected.short()
        )));
    }
    parse(&bytes).map_err(damaged)
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

/// Names of the base copies that the record and all backups refer to.
pub fn referenced(place: &Place, record: Option<&Record>) -> Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = list(place)?.into_iter().flat_map(|entry| entry.base_copies).collect();
    names.extend(record.into_iter().flat_map(|record| base_copies_of(record, &|_, _| true)));
    Ok(names)
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
            read_back(&path, Sha256::of(written)).unwrap_err().to_string()
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
