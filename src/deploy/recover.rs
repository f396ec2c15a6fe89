//! Recovery after an interrupted run: restores the old tree, or finishes the new one.
//!
//! Promise: decides by what is on disk, is itself killable at any point, needs no space and no network, and never
//! touches a file that the user edited since. It leaves a journal that it cannot read alone, with all files it names.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::place::files;
use crate::domain::tree::{Found, Stamp};
use crate::domain::{Error, Kind, Operation, Place, Result, Sha256};
use crate::doors::{disk, system};

use super::bases;
use super::journal::{COMMITTED, Journal, holds};
use super::store;

/// Suffix of an old version that gwinstall could not put back.
const LEFTOVER: &str = ".gwinstall-rollback";
/// Larger than the journal of the largest bundle.
pub(super) const JOURNAL_CAP: u64 = 16 << 20;

/// What an earlier run left behind.
#[derive(Debug)]
pub enum Interrupted {
    /// Not interrupted: another process is at work.
    Running(disk::Holder),
    /// Interrupted before the journal or after the commit: only temporary files are left.
    TemporaryFiles,
    /// Between journal and commit.
    InFlight(Box<Journal>),
    /// A journal that is torn, or of a newer version.
    Unreadable,
}

/// Looks, without a lock and without writing.
pub fn look(place: &Place) -> Result<Option<Interrupted>> {
    let found = look_at_disk(place)?;
    Ok(match (found, disk::holder(&place.lock())) {
        (Some(_), Some(holder)) if is_at_work(&holder) => Some(Interrupted::Running(holder)),
        (found, _) => found,
    })
}

fn look_at_disk(place: &Place) -> Result<Option<Interrupted>> {
    if let Some(bytes) = disk::read_maybe(&place.journal(), JOURNAL_CAP)? {
        let journal = Journal::parse(&bytes).map(Box::new);
        return Ok(Some(journal.map_or(Interrupted::Unreadable, Interrupted::InFlight)));
    }
    // A lock without a record: an unfinished first install or uninstall.
    let half_made =
        disk::exists(&place.lock()) && !disk::exists(&place.file(files::RECORD)) && !store::is_lost(place);
    let begun =
        half_made || !disk::list(&place.transactions())?.is_empty() || !temporary_files(place)?.is_empty();
    Ok(begun.then_some(Interrupted::TemporaryFiles))
}

/// Whether another process holds the lock and still runs. Used only for messages.
fn is_at_work(holder: &disk::Holder) -> bool {
    holder.pid != system::pid() && i32::try_from(holder.pid).is_ok_and(system::is_running)
}

/// What recovery did.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The operation that was undone.
    pub undone: Option<Operation>,
    /// Files that recovery left for the user, with the reason.
    pub leftovers: Vec<String>,
    /// Whether recovery restored an older version of the gateway's configuration.
    pub config_changed: bool,
    /// Whether it restored what only a new process of the gateway reads: its port, its program, its values.
    pub start_changed: bool,
}

/// Recovers under the lock. Succeeds when there is nothing to do.
pub fn recover(place: &Place) -> Result<Recovered> {
    let mut recovered = Recovered::default();
    match look_at_disk(place)? {
        None => return Ok(recovered),
        Some(Interrupted::TemporaryFiles | Interrupted::Running(_)) => {}
        Some(Interrupted::Unreadable) => return Err(unreadable(place)),
        Some(Interrupted::InFlight(journal)) => {
            let restores = |name| {
                let live = store::live_path(place, name);
                (0..journal.steps.len()).any(|index| journal.target(place, index) == live)
            };
            recovered.config_changed = restores(files::CONFIG);
            recovered.start_changed = restores(files::START) || restores(files::ENV);
            recovered.leftovers = undo(place, &journal)?;
            recovered.undone = Some(journal.operation);
            clean(place, &journal);
        }
    }
    sweep(place)?;
    Ok(recovered)
}

fn unreadable(place: &Place) -> Error {
    let (journal, transactions) = (place.journal(), place.transactions());
    Error::new(Kind::Leftovers, format!("an earlier run was interrupted and its journal {} cannot be read", journal.display()))
        .because("it is damaged, or was written by a newer gwinstall; nothing was touched")
        .hint(format!(
            "the files of that run are in {}; a newer gwinstall may know them, else put them back by hand and remove the journal: rm {}",
            transactions.display(),
            place.paste(&journal)
        ))
}

/// Restores the old tree, step by step in reverse. Returns what it left for the user.
pub fn undo(place: &Place, journal: &Journal) -> Result<Vec<String>> {
    let mut leftovers = Vec::new();
    let mut touched = BTreeSet::new();
    let mut restored = Vec::new();
    for index in (0..journal.steps.len()).rev() {
        if undo_step(place, journal, index, &mut leftovers, &mut restored)? {
            touched.extend(journal.target(place, index).parent().map(Path::to_path_buf));
        }
    }
    for dir in journal.directories.iter().rev() {
        disk::remove_dir_if_empty(dir).map_err(|error| disk::failure("remove", dir, &error))?;
        touched.extend(dir.parent().map(Path::to_path_buf));
    }
    for dir in touched.iter().filter(|dir| disk::is_dir(dir)) {
        disk::flush_dir(dir).map_err(|error| disk::failure("make durable", dir, &error))?;
    }
    for back in restored {
        back.take_late_writes()?;
    }
    let path = place.journal();
    disk::remove(&path).map_err(|error| disk::failure("remove", &path, &error))?;
    if disk::is_dir(&place.own()) {
        disk::flush_dir(&place.own()).map_err(|error| disk::failure("make durable", &place.own(), &error))?;
    }
    Ok(leftovers)
}

/// Undoes one step by what is on disk; says whether something changed.
fn undo_step(
    place: &Place,
    journal: &Journal,
    index: usize,
    leftovers: &mut Vec<String>,
    restored: &mut Vec<Restored>,
) -> Result<bool> {
    let step = &journal.steps[index];
    let target = journal.target(place, index);
    if holds(&target, step.pre)? {
        return Ok(false);
    }
    let old = old_copy(place, journal, index)?;
    if step.in_place {
        return undo_in_place(&target, old.as_deref(), step.pre).map(|()| true);
    }
    let is_new = holds(&target, step.post)?;
    match (step.pre, &old) {
        (None, _) if is_new || is_reserved(place, journal, index)? => {
            disk::remove(&target).map_err(|error| disk::failure("remove", &target, &error))?
        }
        (None, _) => leftovers.push(format!("{} was edited and stays", target.display())),
        (Some(_), Some(old)) if is_new || disk::find(&target)? == Found::Absent => {
            // Its directory may have been removed because it was empty.
            let dir = target.parent().unwrap_or(&place.target);
            disk::create_dirs(dir).map_err(|error| disk::failure("create", dir, &error))?;
            restored.extend(put_back(old, &target, step.post)?);
        }
        (Some(_), Some(old)) => {
            let mut name = target.clone().into_os_string();
            name.push(LEFTOVER);
            let leftover = PathBuf::from(name);
            disk::rename(old, &leftover).map_err(|error| disk::failure("keep", &leftover, &error))?;
            leftovers.push(format!(
                "{} was edited and stays; its earlier version is {}",
                target.display(),
                leftover.display()
            ));
        }
        // The new version still waits where it was staged: the exchange had not come to this file, and another program
        // changed it meanwhile.
        (Some(_), None) if holds(&journal.staged(place, index), step.post)? => return Ok(false),
        (Some(_), None) => {
            // There is no old version: gwinstall never touched the file, and the user changed it.
            leftovers.push(format!("{} was edited and stays", target.display()));
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the target is the empty file that held the path of a new one which still waits where it was staged.
fn is_reserved(place: &Place, journal: &Journal, index: usize) -> Result<bool> {
    let empty = Stamp { sha256: Sha256::of(b""), mode: 0o600 };
    Ok(holds(&journal.target(place, index), Some(empty))?
        && holds(&journal.staged(place, index), journal.steps[index].post)?)
}

/// The path of the old version of a step: the staged path after an exchange, else its second name. It may be newer
/// than the plan: if another program saved between the plan and the exchange, it is the version of that program, and
/// stays.
fn old_copy(place: &Place, journal: &Journal, index: usize) -> Result<Option<PathBuf>> {
    let step = &journal.steps[index];
    let Some(pre) = step.pre else { return Ok(None) };
    let (staged, displaced) = (journal.staged(place, index), journal.displaced(place, index));
    let sum = |path: &Path| Ok::<_, Error>(disk::find(path)?.stamp().map(|stamp| stamp.sha256));
    let (at_staged, at_displaced) = (sum(&staged)?, sum(&displaced)?);
    Ok(if at_staged == Some(pre.sha256) {
        Some(staged)
    } else if at_displaced.is_some() {
        Some(displaced)
    } else {
        // Neither the old version nor the new one.
        at_staged.filter(|sum| step.post.is_none_or(|post| post.sha256 != *sum)).map(|_| staged)
    })
}

/// Replaces the new version with the old one. If the user saves at the same moment, exchanges the files once more, so
/// that the newest version of the user stays.
fn put_back(old: &Path, target: &Path, new: Option<Stamp>) -> Result<Option<Restored>> {
    let failed = |error: io::Error| disk::failure("put back", target, &error);
    if disk::find(target)? == Found::Absent {
        match disk::place(old, target) {
            // Another program has saved a newer version there.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if disk::cannot_exchange(&error) => disk::rename(old, target).map_err(failed)?,
            placed => placed.map_err(failed)?,
        }
        return Ok(None);
    }
    let found = disk::find(old)?;
    match disk::exchange(old, target) {
        Ok(()) => {}
        // A rename replaces in one step, too.
        Err(error) if disk::cannot_exchange(&error) => {
            return disk::rename(old, target).map_err(failed).map(|()| None);
        }
        Err(error) => return Err(failed(error)),
    }
    if !holds(old, new)? {
        return disk::exchange(old, target).map_err(failed).map(|()| None);
    }
    Ok(Some(Restored { target: target.to_owned(), new_at: old.to_owned(), new, old: found }))
}

/// A restored file, and the new version at the staged path until the staged files are removed.
struct Restored {
    target: PathBuf,
    new_at: PathBuf,
    new: Option<Stamp>,
    old: Found,
}

impl Restored {
    /// A program that had the new version open may have written to it since: those bytes stay, unless the target
    /// changed too.
    fn take_late_writes(&self) -> Result<()> {
        if holds(&self.new_at, self.new)? || disk::find(&self.target)? != self.old {
            return Ok(());
        }
        let failed = |error: io::Error| disk::failure("put back", &self.target, &error);
        disk::exchange(&self.new_at, &self.target).map_err(failed)?;
        self.target.parent().map_or(Ok(()), |dir| disk::flush_dir(dir).map_err(failed))
    }
}

/// Writes the old copy over a file that a run was rewriting in place, because it may be torn.
fn undo_in_place(target: &Path, old: Option<&Path>, pre: Option<Stamp>) -> Result<()> {
    let Some(old) = old else {
        return Err(Error::new(Kind::Leftovers, format!("cannot restore {}", target.display()))
            .because("its kept copy is gone"));
    };
    let bytes = disk::read(old, disk::TEXT_CAP)?;
    let failed = |error: io::Error| disk::failure("restore", target, &error);
    disk::overwrite(target, &bytes).map_err(failed)?;
    match pre {
        Some(pre) if disk::mode(target) != Some(pre.mode) => disk::set_mode(target, pre.mode).map_err(failed),
        _ => Ok(()),
    }
}

/// Adds what was left for the user to an error.
pub fn with_leftovers(error: Error, leftovers: &[String]) -> Error {
    leftovers.iter().fold(error, |error, leftover| error.because(leftover)).of_kind(Kind::Leftovers)
}

/// Removes the staged files of one transaction. Failures are left for the next run: nothing depends on it.
pub fn clean(place: &Place, journal: &Journal) {
    let dir = journal.directory(place);
    // The mark of the commit goes last: until then a later run knows what to finish.
    let own = disk::list(&dir).unwrap_or_default();
    let own = own.iter().filter(|name| *name != COMMITTED).map(|name| dir.join(name));
    let outside = (0..journal.steps.len()).filter(|index| journal.steps[*index].path.is_absolute());
    let outside = outside.flat_map(|index| [journal.staged(place, index), journal.displaced(place, index)]);
    for path in own.chain(outside).chain([dir.join(COMMITTED)]) {
        let _ = disk::remove(&path);
    }
    let _ = disk::remove_dir_if_empty(&dir);
    let _ = disk::remove_dir_if_empty(&place.transactions());
}

/// Removes temporary files of runs without a journal: transactions that never began or have been committed, with their
/// staged files outside the deployment, a half-written journal, and base copies that nothing needs.
fn sweep(place: &Place) -> Result<()> {
    let failed = |path: &Path, error: &std::io::Error| disk::failure("remove", path, error);
    for id in disk::list(&place.transactions())? {
        let dir = place.transactions().join(&id);
        let committed =
            disk::read_maybe(&dir.join(COMMITTED), JOURNAL_CAP)?.and_then(|bytes| Journal::parse(&bytes));
        if let Some(journal) = committed {
            clean(place, &journal);
        }
        for name in disk::list(&dir)? {
            let path = dir.join(name);
            disk::remove(&path).map_err(|error| failed(&path, &error))?;
        }
        disk::remove_dir_if_empty(&dir).map_err(|error| failed(&dir, &error))?;
    }
    disk::remove_dir_if_empty(&place.transactions())
        .map_err(|error| failed(&place.transactions(), &error))?;
    for temporary in temporary_files(place)? {
        disk::remove(&temporary).map_err(|error| failed(&temporary, &error))?;
    }
    let _ = disk::remove_dir_if_empty(&place.backups());
    // What stays of these harms nothing, and the next change drops it.
    let _ = store::record_as_found(place).and_then(|record| bases::drop_unreferenced(place, record.as_ref()));
    Ok(())
}

/// Files that a run was writing when it ended: the journal, a backup, the index of backups, base copies, and staged
/// files beside settings.json and the pointer. Under the lock and without a journal, no run needs them.
fn temporary_files(place: &Place) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for dir in [place.own(), place.backups()] {
        files.extend(
            disk::list(&dir)?.iter().filter(|name| name.ends_with(".tmp")).map(|name| dir.join(name)),
        );
    }
    let settings = disk::real_file(&place.settings()).unwrap_or_else(|_| place.settings());
    let linked = [files::CONFIG, files::ENV].map(|name| store::live_path(place, name));
    for target in linked.into_iter().chain([settings, place.pointer()]) {
        let (Some(dir), Some(name)) = (target.parent(), target.file_name()) else { continue };
        let start = format!(".{}.gwinstall-", name.to_string_lossy());
        files.extend(
            disk::list(dir)?.iter().filter(|name| name.starts_with(&start)).map(|name| dir.join(name)),
        );
    }
    Ok(files)
}

/// After recovery without a deployment: removes the private directory, and directories that are empty then.
pub fn leave_no_trace(place: &Place) {
    if !disk::exists(&place.file(files::RECORD)) && !store::is_lost(place) && !disk::exists(&place.journal())
    {
        let _ = disk::remove(&place.lock());
        for dir in [place.transactions(), place.own(), place.target.clone()] {
            let _ = disk::remove_dir_if_empty(&dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::Entry;
    use super::*;
    use crate::domain::Sha256;

    fn stamp(text: &str) -> Stamp {
        Stamp { sha256: Sha256::of(text.as_bytes()), mode: 0o600 }
    }

    /// The staged file, the one under the second name, the live file; then the live file afterwards, and whether
    /// something is left for the user.
    type Case = (Option<&'static str>, Option<&'static str>, Option<&'static str>, &'static str, bool);

    /// A program saved between the plan and the exchange: undo restores its version, wherever it is.
    #[test]
    fn what_was_saved_between_plan_and_exchange_comes_back() {
        let cases: [Case; 8] = [
            (Some("old"), None, Some("new"), "old", false),
            (Some("edit"), None, Some("new"), "edit", false),
            (Some("edit"), None, None, "edit", false),
            (None, Some("edit"), Some("new"), "edit", false),
            // Not exchanged yet: an edit is the user's affair alone.
            (Some("new"), None, Some("old"), "old", false),
            (Some("new"), None, Some("edit"), "edit", false),
            // The user saved once more, over the new version.
            (Some("old"), None, Some("edit"), "edit", true),
            (Some("edit"), None, Some("newer edit"), "newer edit", true),
        ];
        for case in cases {
            let (staged, kept, live, after, left) = case;
            let home = tempfile::tempdir().unwrap();
            let place = Place::in_home(home.path());
            let entry = Entry {
                path: place.settings(),
                pre: Some(stamp("old")),
                post: Some(stamp("new")),
                in_place: false,
            };
            let journal = Journal::of(vec![entry]);
            disk::create_dirs(&journal.directory(&place)).unwrap();
            disk::create_with(&place.journal(), 0o600, |file| journal.write(file)).unwrap();
            let files = [
                (journal.staged(&place, 0), staged),
                (journal.displaced(&place, 0), kept),
                (journal.target(&place, 0), live),
            ];
            for (path, text) in files {
                text.map(|text| disk::create(&path, text.as_bytes(), 0o600).unwrap());
            }
            let leftovers = undo(&place, &journal).unwrap();
            clean(&place, &journal);
            assert_eq!(disk::read(&place.settings(), 100).unwrap(), after.as_bytes(), "{case:?}");
            assert_eq!(!leftovers.is_empty(), left, "{case:?}: {leftovers:?}");
            assert!(!disk::exists(&place.journal()));
            // No version of the user is lost, and no unreported file stays.
            let names = disk::list(&place.config_dir).unwrap();
            let aside = leftovers.iter().any(|leftover| leftover.contains(LEFTOVER));
            assert_eq!(names.len(), 2 + usize::from(aside), "{case:?}: {names:?}");
        }
    }
}
