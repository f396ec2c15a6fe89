//! The transaction: stage → sync → journal → exchange → verify → commit, or undo.
//!
//! Promise: a process that ends anywhere in here, by signal, error or power cut, leaves a disk from which `recover`
//! makes the old tree (before the commit) or the new one (after it), never a mixture. It notices an edit that the user
//! makes meanwhile, because it hashes every file that it exchanges. Never: prints, panics, retries a failed sync.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::Hint;
use crate::domain::place::files;
use crate::domain::plan::Step;
use crate::domain::record::Record;
use crate::domain::tree::{Class, Found, Stamp};
use crate::domain::word::words;
use crate::domain::{Error, Instant, Kind, Operation, Place, Result};
use crate::doors::disk::{self, Identity, Unflushed};
use crate::doors::{signals, system};

use super::batch::Batch;
use super::by_link;
use super::draft::Draft;
use super::journal::{COMMITTED, Journal, SCHEMA};
use super::recover;
use super::store;
use super::times::Times;

words! {
    /// How the transaction puts files in place.
    pub enum PlacedBy {
        /// One step exchanges the old and the new file.
        Exchange = "exchange",
        /// For a file system that cannot exchange: the old file keeps a second name, then the new one replaces it.
        Link = "link",
    }
}

/// A committed transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    pub placed_by: PlacedBy,
    pub id: String,
}

/// A failed transaction.
#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub undo: Undo,
}

/// What became of the changes of a transaction that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// The transaction had not changed anything yet.
    NotNeeded,
    /// The old tree is back.
    RolledBack,
    /// The transaction could not undo everything: the rest is for the next run or the user.
    RollbackFailed,
}

/// Checks the staged files; its argument returns the path of the staged file of a step.
pub type CheckStaged<'a> = &'a dyn Fn(&dyn Fn(usize) -> PathBuf) -> Result<()>;

/// What must hold before the new tree is final.
pub struct Conditions<'a> {
    /// Validates the staged files before anything live changes.
    pub staged: CheckStaged<'a>,
    /// Checks the new tree: values and files of the deployment, not settings.json.
    pub live: &'a dyn Fn() -> Result<()>,
    /// The running gateway takes the change over, or ends; `None` where none runs.
    pub gate: Option<Gate<'a>>,
}

/// The running gateway between the exchange of settings.json and that of everything else.
pub struct Gate<'a> {
    pub settings: SettingsOrder,
    /// After everything else: succeeds once the gateway serves the new configuration. May take minutes.
    pub pass: &'a dyn Fn() -> Result<()>,
    /// Comes between settings.json and everything else, where settings.json comes first; the argument says whether that changed.
    pub between: &'a dyn Fn(bool) -> Result<()>,
    /// The steps of settings.json and its ledger, worked out again because another program wrote the file meanwhile.
    pub again: &'a dyn Fn() -> Result<Vec<Step>>,
}

/// When settings.json changes, relative to the gateway: Claude Code must never be pointed at what is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingsOrder {
    /// Before: the old configuration serves all that the new settings name.
    First,
    /// After: the new settings name what only the new configuration serves.
    Last,
}

/// The changes of one draft on their way to the disk.
pub struct Transaction<'a> {
    place: &'a Place,
    steps: Vec<&'a Step>,
    /// What the step of the record writes.
    record: Option<&'a Record>,
    /// Directories that gwinstall made for this transaction before it began.
    made: &'a [PathBuf],
    times: &'a Times,
    journal: Journal,
    placed_by: PlacedBy,
    /// The staged file of each step, as gwinstall wrote it.
    staged: Vec<Option<Identity>>,
}

impl<'a> Transaction<'a> {
    /// Changes nothing yet.
    pub fn new(
        place: &'a Place,
        operation: Operation,
        draft: &'a Draft,
        now: Instant,
        made: &'a [PathBuf],
        times: &'a Times,
    ) -> Self {
        let steps: Vec<&Step> = draft.plan.changes().collect();
        let pid = system::pid();
        let journal = Journal {
            schema: SCHEMA,
            id: format!("{}-{pid}", now.compact()),
            version: crate::bundle::build::VERSION.to_owned(),
            pid,
            started: now,
            operation,
            steps: steps.iter().map(|step| Journal::entry(place, step)).collect(),
            directories: missing_directories(&steps),
        };
        let staged = vec![None; steps.len()];
        let (record, placed_by) = (draft.record.as_ref(), PlacedBy::Exchange);
        Self { place, steps, record, made, times, journal, placed_by, staged }
    }

    /// Carries it out under the lock of the place.
    pub fn carry_out(mut self, conditions: &Conditions<'_>) -> std::result::Result<Done, Failure> {
        let times = self.times;
        let validate = |work: &Self| (conditions.staged)(&|index| work.journal.staged(work.place, index));
        let done = times.of("staging", || self.stage());
        if let Err(error) = done.and_then(|()| times.of("validation", || validate(&self))) {
            self.discard();
            return Err(Failure { error, undo: Undo::NotNeeded });
        }
        if let Err(error) = signals::check().and_then(|()| self.begin()) {
            // A journal may be there already when only its last sync failed, but nothing was exchanged by it.
            let failure = self.undone(error);
            let begun = failure.undo == Undo::RollbackFailed;
            return Err(if begun { failure } else { Failure { undo: Undo::NotNeeded, ..failure } });
        }
        match self.exchange_and_check(conditions).and_then(|()| self.commit()) {
            Ok(()) => {
                recover::clean(self.place, &self.journal);
                Ok(Done { placed_by: self.placed_by, id: self.journal.id })
            }
            Err(error) => Err(self.undone(error)),
        }
    }

    fn stage(&mut self) -> Result<()> {
        let dir = self.journal.directory(self.place);
        disk::create_dirs(&dir).map_err(|error| disk::failure("create", &dir, &error))?;
        let mut batch = Batch::default();
        for (index, step) in self.steps.iter().enumerate() {
            let Some(post) = step.post else { continue };
            let staged = self.journal.staged(self.place, index);
            if !staged.starts_with(&dir) {
                make_directory_of(&staged)?;
            }
            let record = self.record.filter(|_| step.name == files::RECORD);
            let written = match (&step.bytes, record) {
                (Some(bytes), _) => batch.write(&staged, bytes, post.mode)?,
                (None, Some(record)) => {
                    let mut sha256 = post.sha256;
                    let made = batch.create(&staged, post.mode, |file| {
                        sha256 = store::write_record(record, file)?;
                        Ok(())
                    })?;
                    self.journal.steps[index].post = Some(Stamp { sha256, ..post });
                    made
                }
                // Only the mode changes: the content comes from the live file and is checked by its hash later.
                (None, None) => batch.write(&staged, &disk::read(&step.path, u64::MAX - 1)?, post.mode)?,
            };
            if written.mode != post.mode {
                return Err(keeps_no_modes(&self.place.target, post.mode, written.mode));
            }
            self.staged[index] = Some(written);
            signals::check()?;
        }
        self.stage_journal(&mut batch)?;
        let staged = (0..self.journal.steps.len())
            .filter(|index| self.journal.steps[*index].post.is_some())
            .filter_map(|index| self.journal.staged(self.place, index).parent().map(Path::to_path_buf))
            .chain([dir, self.place.transactions(), self.place.own()])
            // A new directory is durable only by its entry in the one above it.
            .chain(self.made.iter().filter_map(|dir| dir.parent()).map(Path::to_path_buf));
        staged.for_each(|dir| batch.directory(dir));
        batch.flush()
    }

    /// The journal becomes durable together with what it describes, and gets its name only when all of that is checked.
    fn stage_journal(&self, batch: &mut Batch) -> Result<()> {
        if cfg!(feature = "fault-no-journal") {
            return Ok(());
        }
        let path = disk::temporary(&self.place.journal());
        disk::remove(&path).map_err(|error| disk::failure("remove", &path, &error))?;
        batch.create(&path, 0o600, |file| self.journal.write(file)).map(drop)
    }

    /// From here on an interrupted transaction is undone by its journal.
    fn begin(&self) -> Result<()> {
        if cfg!(feature = "fault-no-journal") {
            return Ok(());
        }
        let path = self.place.journal();
        disk::name(&path).map_err(|error| disk::failure("write", &path, &error))
    }

    /// Replaces the journal of a transaction that has begun.
    fn write_journal(&self) -> Result<()> {
        let mut batch = Batch::default();
        self.stage_journal(&mut batch)?;
        batch.flush()?;
        self.begin()
    }

    fn exchange_and_check(&mut self, conditions: &Conditions<'_>) -> Result<()> {
        let times = self.times;
        let all = 0..self.journal.steps.len();
        match &conditions.gate {
            None => {
                times.of("exchange", || self.exchange_some(&all.clone().collect::<Vec<_>>()))?;
                times.of("checks", conditions.live)?;
            }
            Some(gate) => self.exchange_around(gate, conditions.live)?,
        }
        // A program that had the old file open may have written to it after the exchange: those bytes count.
        all.into_iter().try_for_each(|index| self.check_displaced(index))?;
        self.remove_emptied_directories()
    }

    /// Exchanges settings.json on one side of the gate and everything else on the other.
    fn exchange_around(&mut self, gate: &Gate<'_>, live: &dyn Fn() -> Result<()>) -> Result<()> {
        let times = self.times;
        let (settings, rest): (Vec<usize>, Vec<usize>) =
            (0..self.journal.steps.len()).partition(|index| concerns_settings(self.steps[*index]));
        if gate.settings == SettingsOrder::First {
            if !settings.is_empty() {
                times.of("exchange", || self.exchange_some(&settings))?;
            }
            (gate.between)(!settings.is_empty())?;
        }
        times.of("exchange", || self.exchange_some(&rest))?;
        times.of("checks", live)?;
        times.of("gateway", gate.pass)?;
        if gate.settings == SettingsOrder::Last && !settings.is_empty() {
            self.follow_settings(&settings, gate)?;
            times.of("exchange", || self.exchange_some(&settings))?;
        }
        Ok(())
    }

    /// Stages the steps of settings.json again if another program wrote the file while the gateway took its time.
    fn follow_settings(&mut self, settings: &[usize], gate: &Gate<'_>) -> Result<()> {
        let moved = |index: &&usize| {
            let target = self.journal.target(self.place, **index);
            Ok::<_, Error>(disk::find(&target)?.stamp() != self.journal.steps[**index].pre)
        };
        let mut all = settings.iter();
        if !all.try_fold(false, |any, index| Ok::<_, Error>(any || moved(&index)?))? {
            return Ok(());
        }
        let again = (gate.again)()?;
        let mut fresh = Vec::new();
        for index in settings {
            let target = self.journal.target(self.place, *index);
            let step = again.iter().find(|step| step.path == target && step.bytes.is_some());
            let step = step.ok_or_else(|| raced(&target))?;
            self.journal.steps[*index] = Journal::entry(self.place, step);
            fresh.push((*index, self.journal.staged(self.place, *index), step));
        }
        // The journal first: a kill before the files are staged again then finds a file that was never touched.
        self.write_journal()?;
        let mut batch = Batch::default();
        for (index, staged, step) in fresh {
            disk::remove(&staged).map_err(|error| disk::failure("remove", &staged, &error))?;
            let mode = step.post.map_or(0o600, |post| post.mode);
            let bytes = step.bytes.as_deref().unwrap_or_default();
            self.staged[index] = Some(batch.write(&staged, bytes, mode)?);
            staged.parent().into_iter().for_each(|dir| batch.directory(dir.to_path_buf()));
        }
        batch.flush()
    }

    /// Exchanges these files. Afterwards each is the new one, durable and as planned.
    fn exchange_some(&mut self, indices: &[usize]) -> Result<()> {
        for dir in &self.journal.directories {
            disk::create_dirs(dir).map_err(|error| disk::failure("create", dir, &error))?;
        }
        for index in indices.iter().copied() {
            self.exchange(index)?;
            self.check_displaced(index)?;
            signals::check()?;
        }
        let mut touched = Unflushed::default();
        self.touched_directories().into_iter().for_each(|dir| touched.directory(dir));
        touched.flush()?;
        for index in indices.iter().copied() {
            let target = self.journal.target(self.place, index);
            let as_staged = self.staged[index].is_some() && Identity::at(&target) == self.staged[index];
            if !as_staged && disk::find(&target)?.stamp() != self.journal.steps[index].post {
                return Err(raced(&target));
            }
        }
        Ok(())
    }

    /// Removes directories that held only removed files, up to the deployment itself, which stays for its log and
    /// backups. Runs before the commit: a failure undoes everything, and undo makes the directories again.
    fn remove_emptied_directories(&self) -> Result<()> {
        let removed = self.steps.iter().filter(|step| step.post.is_none());
        let dirs: BTreeSet<&Path> = removed
            .filter_map(|step| step.path.parent())
            .flat_map(Path::ancestors)
            .filter(|dir| {
                dir.starts_with(&self.place.target)
                    && *dir != self.place.target
                    && !dir.starts_with(self.place.own())
            })
            .collect();
        for dir in dirs.iter().rev().filter(|dir| disk::is_dir(dir)) {
            // The removal of its files becomes durable first, or a power cut could restore the directory with them.
            flush_dir(dir)?;
            disk::remove_dir_if_empty(dir).map_err(|error| disk::failure("remove", dir, &error))?;
        }
        if dirs.is_empty() { Ok(()) } else { flush_dir(&self.place.target) }
    }

    /// Puts the file of one step in place; the old one lies where the new one was staged.
    fn exchange(&mut self, index: usize) -> Result<()> {
        let target = self.journal.target(self.place, index);
        let staged = self.journal.staged(self.place, index);
        let (pre, post) = (self.journal.steps[index].pre, self.journal.steps[index].post);
        let of_the_user = matches!(self.steps[index].class, Class::Settings | Class::Config | Class::Env);
        if of_the_user && pre.is_some() && post.is_some() && disk::has_more_than_content(&target, &staged) {
            return self.rewrite_in_place(index);
        }
        if self.placed_by == PlacedBy::Exchange {
            let tried = match (pre, post) {
                (Some(_), Some(_)) => disk::exchange(&staged, &target),
                (None, Some(_)) => disk::place(&staged, &target),
                (Some(_), None) => disk::place(&target, &staged),
                (None, None) => return Ok(()),
            };
            match tried {
                Ok(()) => return Ok(()),
                Err(error) if disk::cannot_exchange(&error) => self.placed_by = PlacedBy::Link,
                Err(error) if disk::is_mount_point(&error) => {
                    return self.rewrite_in_place(index);
                }
                Err(error) => return Err(placing(&target, &error)),
            }
        }
        self.link(index, &target, &staged)
    }

    /// For file systems without exchange: keeps the old file under a second name, makes that durable, then renames.
    fn link(&mut self, index: usize, target: &Path, staged: &Path) -> Result<()> {
        let displaced = self.journal.displaced(self.place, index);
        let step = &self.journal.steps[index];
        let by_link = || -> io::Result<()> {
            if step.pre.is_some() {
                by_link::keep_old(target, &displaced)?;
                disk::flush_dir(displaced.parent().unwrap_or(Path::new("/")))?;
            }
            match (step.pre, step.post) {
                (Some(_), Some(_)) => disk::rename(staged, target),
                (None, Some(_)) => by_link::place(staged, target),
                (Some(_), None) => disk::remove(target),
                (None, None) => Ok(()),
            }
        };
        match by_link() {
            Err(error) if disk::is_mount_point(&error) => self.rewrite_in_place(index),
            other => other.map_err(|error| placing(target, &error)),
        }
    }

    /// Rewrites a file that must stay the same file, after its old content and the journal are durable: a bind mount, a
    /// file with a second name, an ACL or another group.
    fn rewrite_in_place(&mut self, index: usize) -> Result<()> {
        let target = self.journal.target(self.place, index);
        let (Some(pre), Some(_)) = (self.journal.steps[index].pre, self.journal.steps[index].post) else {
            return Err(Error::failed(format!("cannot remove or create {}", target.display()))
                .because("it is a mount point"));
        };
        let displaced = self.journal.displaced(self.place, index);
        let bytes = disk::read(&target, disk::TEXT_CAP)?;
        if crate::domain::Sha256::of(&bytes) != pre.sha256 {
            return Err(raced(&target));
        }
        let keep = || -> io::Result<()> {
            disk::remove(&displaced)?;
            disk::flush(&[disk::create(&displaced, &bytes, pre.mode)?])?;
            disk::flush_dir(displaced.parent().unwrap_or(Path::new("/")))
        };
        keep().map_err(|error| disk::failure("write", &displaced, &error))?;
        self.journal.steps[index].in_place = true;
        self.write_journal()?;
        let new = disk::read(&self.journal.staged(self.place, index), disk::TEXT_CAP)?;
        // The new content may hold a secret: the mode goes first. Where it cannot be set, the file keeps its own.
        if let Some(post) = &mut self.journal.steps[index].post
            && post.mode != pre.mode
            && disk::set_mode(&target, post.mode).is_err()
        {
            post.mode = pre.mode;
        }
        disk::overwrite(&target, &new).map_err(|error| disk::failure("write", &target, &error))
    }

    /// Checks that the exchanged old file is the one in the plan. If it is not, the user edited it meanwhile and the
    /// edit stays.
    fn check_displaced(&self, index: usize) -> Result<()> {
        let step = &self.journal.steps[index];
        let Some(pre) = step.pre else { return Ok(()) };
        let at = if self.placed_by == PlacedBy::Exchange && !step.in_place {
            self.journal.staged(self.place, index)
        } else {
            self.journal.displaced(self.place, index)
        };
        let found = match disk::find(&at)? {
            // The first steps may have been exchanged before the file system refused one.
            Found::Absent => disk::find(&self.journal.staged(self.place, index))?,
            found => found,
        };
        if found.stamp() == Some(pre) { Ok(()) } else { Err(raced(&self.journal.target(self.place, index))) }
    }

    fn touched_directories(&self) -> BTreeSet<PathBuf> {
        let made = self.journal.directories.iter().filter_map(|dir| dir.parent());
        let own = self.journal.directory(self.place);
        let mut directories: BTreeSet<PathBuf> = made.map(Path::to_path_buf).chain([own]).collect();
        // One by one: thousands of files lie in few directories.
        for index in 0..self.journal.steps.len() {
            let target = self.journal.target(self.place, index);
            if let Some(dir) = target.parent().filter(|dir| !directories.contains(*dir)) {
                directories.insert(dir.to_path_buf());
            }
        }
        directories
    }

    /// Commits: after this one rename the new tree is final.
    fn commit(&self) -> Result<()> {
        if cfg!(feature = "fault-no-journal") {
            return Ok(());
        }
        let (journal, dir) = (self.place.journal(), self.journal.directory(self.place));
        let committed = dir.join(COMMITTED);
        disk::rename(&journal, &committed).map_err(|error| disk::failure("commit", &journal, &error))?;
        let synced = disk::flush_dir(&dir).and_then(|()| disk::flush_dir(&self.place.own()));
        if let Err(error) = synced {
            // The commit may not survive a power cut. Undo it, so that the error reports the truth.
            disk::rename(&committed, &journal)
                .map_err(|error| disk::failure("take back", &committed, &error))?;
            return Err(disk::failure("commit", &journal, &error));
        }
        Ok(())
    }

    /// A failure before the journal: removes the staged files.
    fn discard(&self) {
        recover::clean(self.place, &self.journal);
        let _ = disk::remove(&disk::temporary(&self.place.journal()));
    }

    /// A failure after the journal: restores the old tree, and the error says whether that succeeded.
    fn undone(&self, error: Error) -> Failure {
        match recover::undo(self.place, &self.journal) {
            Ok(leftovers) if leftovers.is_empty() => {
                self.discard();
                Failure { error, undo: Undo::RolledBack }
            }
            Ok(leftovers) => {
                self.discard();
                let error = recover::with_leftovers(error, &leftovers);
                Failure { error, undo: Undo::RollbackFailed }
            }
            Err(why) => {
                let error =
                    error.because(format!("and going back failed too: {why}")).of_kind(Kind::Leftovers).hint(
                        Hint::run(&["doctor", "--repair", "--yes"])
                            .to("finish the undo once what is named above is fixed"),
                    );
                Failure { error, undo: Undo::RollbackFailed }
            }
        }
    }
}

/// settings.json, and the ledger of the values that gwinstall replaced in it.
fn concerns_settings(step: &Step) -> bool {
    step.class == Class::Settings || step.name == files::SETTINGS_BEFORE
}

/// A file outside the deployment is staged in the directory of its target, which may be missing.
fn make_directory_of(staged: &Path) -> Result<()> {
    let Some(dir) = staged.parent() else { return Ok(()) };
    disk::create_dirs(dir).map(drop).map_err(|error| disk::failure("create", dir, &error))
}

/// Directories that new files need, outermost first.
fn missing_directories(steps: &[&Step]) -> Vec<PathBuf> {
    let parents: BTreeSet<&Path> =
        steps.iter().filter(|step| step.post.is_some()).filter_map(|step| step.path.parent()).collect();
    let ancestors: BTreeSet<&Path> = parents.into_iter().flat_map(Path::ancestors).collect();
    let missing = ancestors.into_iter().filter(|dir| !dir.as_os_str().is_empty() && !disk::exists(dir));
    missing.map(Path::to_path_buf).collect()
}

/// A file system that accepts a mode and keeps another one. The transaction could not tell its own files from edited
/// ones there, and the keys could be read by everyone.
fn keeps_no_modes(dir: &Path, asked: u32, kept: u32) -> Error {
    let dir = dir.display();
    Error::failed(format!(
        "the file system of {dir} does not keep the mode of a file, so nothing was changed"
    ))
    .because(format!("a file that gwinstall made with mode {asked:04o} has {kept:04o}"))
    .because("gwinstall could not keep your keys private there, nor tell its own files from edited ones")
    .hint("use a directory on a Unix file system: gwinstall install --target-dir DIRECTORY")
}

fn flush_dir(dir: &Path) -> Result<()> {
    disk::flush_dir(dir).map_err(|error| disk::failure("make durable", dir, &error))
}

fn placing(target: &Path, error: &io::Error) -> Error {
    if disk::was_raced(error) { raced(target) } else { disk::failure("put in place", target, error) }
}

fn raced(target: &Path) -> Error {
    Error::new(
        Kind::Busy,
        format!("{} was changed by another program while it was being replaced", target.display()),
    )
    .because("its version counts; nothing was changed")
    .hint("run the same command again")
}
