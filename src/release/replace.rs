//! Replacing ourselves: executable and deployed configuration move together, or not at all.
//!
//! 7 stage beside the executable (never in TMPDIR: it may be noexec or another file system) · 8 the new executable
//! must say its version and pass its own check · 9 journal, keep the old one by a hard link, rename · 10 the new
//! executable redeploys by its ordinary `update` · 11 remember, drop the journal. What the journal says is decided by
//! facts, not by phases: the record of the deployment has the new seq → finish; else → the old executable returns.
//!
//! Promise: at every moment the path of the executable leads to a whole executable, and after the next changing
//! command executable and configuration match. Never: opens the running executable for writing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bundles::{self, hash_file};
use super::documents::Artifact;
use super::memory::Seen;
use super::origin::Origin;
use super::state::State;
use super::update::Candidate;
use crate::domain::{Error, Kind, Result, Sha256};
use crate::doors::{disk, exe, signals};

const JOURNAL: &str = "self-update.journal";
const PREVIOUS: &str = "previous.json";
/// A new executable that does not answer for so long does not work here.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the two releases of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub seq: u64,
    pub version: String,
    pub sha256: Sha256,
}

/// A change of executables that has begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Journal {
    schema: u64,
    pub executable: PathBuf,
    /// Where the other executable is kept: the old one of an update, the older one of a rollback.
    pub kept: PathBuf,
    pub from: Side,
    pub to: Side,
    /// The manifest of an update's target.
    pub manifest: Option<Seen>,
    /// Whether a deployment moves with it.
    pub deploys: bool,
    /// A rollback swaps the executables last, an update first.
    pub rollback: bool,
}

/// What `self-update --rollback` goes back to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Previous {
    pub executable: PathBuf,
    pub kept: PathBuf,
    pub from: Side,
    pub to: Side,
    /// The backup that the redeployment made; absent if it changed nothing.
    pub backup: Option<String>,
    pub deploys: bool,
}

/// What a redeployment by the ordinary command came to.
#[derive(Debug, Clone)]
pub struct Redeployed {
    /// It ended well, or was broken off when what it should bring about was there.
    pub succeeded: bool,
    /// Nothing of it is left for a later run to complete or take back.
    pub settled: bool,
    pub backup: Option<String>,
    /// What it said last.
    pub message: String,
}

/// Runs `executable` with these arguments as an ordinary command; gives what became of the deployment.
pub type Redeploy<'a> = &'a mut dyn FnMut(&Path, &[OsString]) -> Result<Redeployed>;

/// The running executable and its place.
#[derive(Debug, Clone)]
pub struct Own {
    pub path: PathBuf,
    pub side: Side,
}

impl Own {
    pub fn new(path: PathBuf, seq: u64, version: &str) -> Result<Self> {
        let (sha256, _) = hash_file(&path)?;
        Ok(Self { path, side: Side { seq, version: version.to_owned(), sha256 } })
    }

    /// Where the old executable stays: `gwinstall.previous`.
    fn kept(&self) -> PathBuf {
        beside(&self.path, "", ".previous")
    }

    fn staged(&self) -> PathBuf {
        staged_beside(&self.path)
    }
}

/// 6 to 8: fetches the executable next to the running one and tries it. The file returned is whole, verified and
/// works; it is not in use yet.
pub fn stage(
    own: &Own,
    origin: &Origin,
    candidate: &Candidate,
    artifact: &Artifact,
    progress: &mut dyn FnMut(u64),
) -> Result<PathBuf> {
    let staged = own.staged();
    let version = &candidate.manifest.facts().version;
    origin.artifact(version, artifact, &staged, candidate.rejects, progress)?;
    let tried = make_executable(&staged).and_then(|()| smoke(&staged, version.as_str()));
    tried.inspect_err(|_| {
        // The error says what is wrong with it; the file is of no use.
        let _ = disk::remove(&staged);
    })?;
    Ok(staged)
}

/// Durable before it is renamed: a power cut may otherwise leave an executable in place that nobody may execute.
fn make_executable(path: &Path) -> Result<()> {
    let failed = |error| disk::failure("change the mode of", path, &error);
    disk::set_mode(path, 0o755).map_err(failed)?;
    let (file, _) = disk::reader(path)?;
    disk::flush(&[file]).map_err(failed)
}

/// 8: it runs here, is the version it should be, and finds itself complete.
fn smoke(path: &Path, version: &str) -> Result<()> {
    let wrong = |why: String| {
        Error::failed(format!("gwinstall {version} does not work on this machine")).because(why)
    };
    let said = exe::probe(path, &["--version"], PATIENCE)?;
    if said.code != Some(0) || said.stdout.trim() != format!("gwinstall {version}") {
        let shown = crate::domain::name::printable(said.stdout.trim());
        return Err(wrong(format!("--version gave exit {:?} and {shown:?}", said.code)));
    }
    match exe::probe(path, &["self-check"], PATIENCE)?.code {
        Some(0) => Ok(()),
        code => Err(wrong(format!("its own check gave exit {code:?}"))),
    }
}

/// 9 to 11, under the lock of self-update. `deploys`: a deployment of this user moves along.
pub fn swap(
    state: State<'_>,
    own: &Own,
    staged: &Path,
    candidate: &Candidate,
    deploys: bool,
    redeploy: Redeploy<'_>,
) -> Result<Redeployed> {
    let facts = candidate.manifest.facts();
    let (sha256, _) = hash_file(staged)?;
    let to = Side { seq: facts.seq, version: facts.version.to_string(), sha256 };
    let journal = Journal {
        schema: 1,
        executable: own.path.clone(),
        kept: own.kept(),
        from: own.side.clone(),
        to,
        manifest: Some(Seen { seq: facts.seq, manifest_sha256: candidate.manifest.sha256() }),
        deploys,
        rollback: false,
    };
    signals::check()?;
    bundles::keep_manifest(state, candidate)?;
    // The one level of rollback is about to be overwritten.
    state.forget(PREVIOUS)?;
    begin(state, &journal)?;
    let placed = keep_old(&journal).and_then(|()| rename(staged, &journal.executable));
    if let Err(error) = placed {
        undo(state, &journal)?;
        return Err(error);
    }
    let done = if deploys {
        redeploy(&journal.executable, &["update", "--yes", "--json"].map(OsString::from))
    } else {
        Ok(Redeployed { succeeded: true, settled: true, backup: None, message: String::new() })
    };
    match done {
        Ok(done) if done.succeeded => {
            finish_update(state, &journal, done.backup.clone())?;
            Ok(done)
        }
        Ok(done) if !done.settled => Err(unsettled(done.message)),
        outcome => {
            undo(state, &journal)?;
            let error = Error::new(
                Kind::RolledBack,
                format!("gwinstall {} could not deploy its configuration; both are as before", facts.version),
            );
            Err(match outcome {
                Ok(done) => error.because(done.message),
                Err(cause) => error.because(cause),
            })
        }
    }
}

fn begin(state: State<'_>, journal: &Journal) -> Result<()> {
    if cfg!(feature = "fault-no-journal") {
        return Ok(());
    }
    state.keep_json(JOURNAL, journal)
}

/// A second name for the running executable's file, so that it outlives the rename; durable before that. Where links
/// are not possible, a copy.
fn keep_old(journal: &Journal) -> Result<()> {
    let kept = &journal.kept;
    let failed = |error| disk::failure("write", kept, &error);
    disk::remove(kept).map_err(|error| disk::failure("remove", kept, &error))?;
    if disk::link(&journal.executable, kept).is_err() {
        let bytes = disk::read(&journal.executable, 512 << 20)?;
        let file = disk::create(kept, &bytes, 0o755).map_err(failed)?;
        disk::flush(&[file]).map_err(failed)?;
    }
    disk::flush_dir(directory(kept)).map_err(failed)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    let failed = |error| disk::failure("replace", to, &error);
    disk::rename(from, to).map_err(failed)?;
    disk::flush_dir(directory(to)).map_err(failed)
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// 11.
fn finish_update(state: State<'_>, journal: &Journal, backup: Option<String>) -> Result<()> {
    let mut memory = state.memory()?;
    memory.installed = journal.manifest;
    state.remember(&memory)?;
    let previous = Previous {
        executable: journal.executable.clone(),
        kept: journal.kept.clone(),
        from: journal.to.clone(),
        to: journal.from.clone(),
        backup,
        deploys: journal.deploys,
    };
    state.keep_json(PREVIOUS, &previous)?;
    state.forget(JOURNAL)
}

/// The old executable returns, if it had gone at all.
fn undo(state: State<'_>, journal: &Journal) -> Result<()> {
    // Two names of one file: rename would do nothing and leave both.
    if hash_file(&journal.executable)?.0 == journal.from.sha256 {
        disk::remove(&journal.kept).map_err(|error| disk::failure("remove", &journal.kept, &error))?;
    } else {
        rename(&journal.kept, &journal.executable)?;
    }
    // Fetched and tried, and not used now.
    let staged = staged_beside(&journal.executable);
    disk::remove(&staged).map_err(|error| disk::failure("remove", &staged, &error))?;
    state.forget(JOURNAL)
}

/// What the next changing command finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    Nothing,
    /// It was completed; the executable on disk is the one that matches the configuration.
    Finished,
    /// It was taken back.
    Undone,
}

/// An interrupted change, for `status` and `doctor`, which only tell.
pub fn interrupted(state: State<'_>) -> Result<Option<Journal>> {
    state.read_json(JOURNAL)
}

/// Removes what a self-update that was killed left half written: nothing that anybody refers to. Whoever holds the lock
/// may be writing these very files, so then they stay.
pub fn tidy(state: State<'_>, executable: &Path) -> Result<()> {
    let halves = halves(state, executable);
    if halves.is_empty() || state.is_its_child() {
        return Ok(());
    }
    let Ok(_lock) = state.lock("tidy", 0) else { return Ok(()) };
    halves
        .iter()
        .try_for_each(|path| disk::remove(path).map_err(|error| disk::failure("remove", path, &error)))
}

/// Files that were being written when a self-update was killed, or are being written now.
pub fn halves(state: State<'_>, executable: &Path) -> Vec<PathBuf> {
    let mut halves: Vec<PathBuf> = [JOURNAL, PREVIOUS].map(|name| state.path(&format!("{name}.tmp"))).into();
    halves.push(staged_beside(executable));
    halves.extend(bundles::halves(state));
    halves.retain(|path| disk::exists(path));
    halves
}

/// What is deployed when an interrupted change is looked at.
#[derive(Debug, Clone, Default)]
pub struct Deployed {
    /// The seq of the deployed bundle.
    pub seq: Option<u64>,
    /// The newest backup: the one that the redeployment made, if it came so far.
    pub backup: Option<String>,
}

/// Completes or takes back an interrupted change. The deployment must have been recovered before. Call
/// `became_another` afterwards: this process may be the wrong one.
pub fn recover(state: State<'_>, deployed: &dyn Fn() -> Result<Deployed>, wait: u64) -> Result<Recovered> {
    if !disk::exists(&state.path(JOURNAL)) || state.is_its_child() {
        return Ok(Recovered::Nothing);
    }
    let _lock = state.lock("recover", wait)?;
    let Some(journal) = interrupted(state)? else { return Ok(Recovered::Nothing) };
    let (now, _) = hash_file(&journal.executable)?;
    let deployed = deployed()?;
    let arrived = match (journal.deploys, journal.rollback) {
        (false, _) => now == journal.to.sha256,
        (true, false) => deployed.seq == Some(journal.to.seq),
        // The older configuration may be of a bundle that was fetched alone: what counts is that the newer one went.
        (true, true) => deployed.seq.is_some_and(|seq| seq != journal.from.seq),
    };
    match (journal.rollback, arrived) {
        (false, true) => finish_update(state, &journal, deployed.backup).map(|()| Recovered::Finished),
        (false, false) => undo(state, &journal).map(|()| Recovered::Undone),
        (true, true) => finish_rollback(state, &journal).map(|()| Recovered::Finished),
        // The executables have not moved, and neither has the configuration.
        (true, false) => state.forget(JOURNAL).map(|()| Recovered::Undone),
    }
}

/// Whether the executable at our path is no longer the one that runs.
pub fn became_another(own: &Own) -> Result<bool> {
    Ok(hash_file(&own.path)?.0 != own.side.sha256)
}

/// `--rollback`: the newer executable restores the configuration, then the older one takes its place. One level.
pub fn rollback(state: State<'_>, own: &Own, redeploy: Redeploy<'_>) -> Result<Previous> {
    let previous = previous(state)?.ok_or_else(nothing_kept)?;
    if previous.executable != own.path || previous.from.sha256 != own.side.sha256 {
        return Err(nothing_kept().because("the executable was replaced since by other means"));
    }
    if !disk::exists(&previous.kept) || hash_file(&previous.kept)?.0 != previous.to.sha256 {
        return Err(Error::unverified(format!(
            "{} is not the executable that was kept",
            previous.kept.display()
        )));
    }
    smoke(&previous.kept, &previous.to.version)?;
    let moves = previous.deploys && previous.backup.is_some();
    let journal = Journal {
        schema: 1,
        executable: previous.executable.clone(),
        kept: previous.kept.clone(),
        from: previous.from.clone(),
        to: previous.to.clone(),
        manifest: None,
        deploys: moves,
        rollback: true,
    };
    begin(state, &journal)?;
    if let Some(backup) = previous.backup.as_ref().filter(|_| previous.deploys) {
        let arguments = ["rollback", backup.as_str(), "--yes", "--json"].map(OsString::from);
        let outcome = redeploy(&journal.executable, &arguments);
        if !matches!(&outcome, Ok(done) if done.succeeded) {
            if let Ok(done) = &outcome
                && !done.settled
            {
                return Err(unsettled(done.message.clone()));
            }
            state.forget(JOURNAL)?;
            let error =
                Error::new(Kind::RolledBack, "the configuration could not be restored; nothing was changed");
            return Err(match outcome {
                Ok(done) => error.because(done.message),
                Err(cause) => error.because(cause),
            });
        }
    }
    finish_rollback(state, &journal)?;
    Ok(previous)
}

fn finish_rollback(state: State<'_>, journal: &Journal) -> Result<()> {
    if hash_file(&journal.executable)?.0 != journal.to.sha256 {
        rename(&journal.kept, &journal.executable)?;
    }
    state.forget(PREVIOUS)?;
    state.forget(JOURNAL)
}

pub fn previous(state: State<'_>) -> Result<Option<Previous>> {
    state.read_json(PREVIOUS)
}

/// Which way it goes is known only when the deployment is whole again; the journal stays until then.
fn unsettled(message: String) -> Error {
    Error::new(Kind::Leftovers, "the change of the configuration was broken off, and could not be completed")
        .because(message)
        .hint("gwinstall doctor --repair --yes")
}

fn nothing_kept() -> Error {
    Error::failed("there is no earlier gwinstall to go back to")
        .hint("an exact version can be taken with: gwinstall self-update --version X --allow-downgrade=X")
}

fn staged_beside(executable: &Path) -> PathBuf {
    beside(executable, ".", ".new")
}

fn beside(path: &Path, before: &str, after: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{before}{name}{after}"))
}
