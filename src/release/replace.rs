//! Replacing the running executable: it and the deployed configuration move together, or not at all.
//!
//! 7 stage beside the executable (never in TMPDIR: it may be noexec or another file system) · 8 the new executable
//! must print its version and pass its own check · 9 journal, keep the old one by a hard link, rename · 10 the new
//! executable redeploys by its ordinary `update`, which a running gateway has to serve · 11 note what is installed, drop the journal. Facts decide about an
//! interrupted change, not phases: the record of the deployment has the new seq → finish; else → the old executable
//! returns.
//!
//! Promise: at every moment the path of the executable leads to a whole executable, and after the next changing
//! command executable and configuration match. Never: opens the running executable for writing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::bundles::{self, hash_file};
use super::documents::Artifact;
use super::origin::Origin;
use super::state::State;
use super::trust_state::Seen;
use super::update::Candidate;
use crate::domain::name::printable;
use crate::domain::{Error, Hint, Kind, Result, Sha256};
use crate::doors::disk::{self, At as _};
use crate::doors::{exe, signals};

const JOURNAL: &str = "self-update.journal";
const PREVIOUS: &str = "previous.json";
/// No executable is larger; the limit of a release's artifacts.
const EXECUTABLE_CAP: u64 = 512 << 20;
/// A new executable that does not answer within this time does not work here.
const TRIAL: Duration = Duration::from_secs(30);

/// One of the two executables of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub seq: u64,
    pub version: String,
    pub sha256: Sha256,
}

/// A change of executables in progress.
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
    /// An update swaps the executables first, a rollback swaps them last.
    pub rollback: bool,
}

/// What `self-update --rollback` restores.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Previous {
    pub executable: PathBuf,
    pub kept: PathBuf,
    pub from: Side,
    pub to: Side,
    /// The backup that the redeployment made; absent where it changed nothing.
    pub backup: Option<String>,
    pub deploys: bool,
}

/// The outcome of a redeployment by the ordinary command.
#[derive(Debug, Clone)]
pub struct Redeployed {
    /// It succeeded, or it was interrupted when the intended bundle was already deployed.
    pub succeeded: bool,
    /// Nothing of it is left for a later run to complete or revert.
    pub settled: bool,
    pub backup: Option<String>,
    /// Its last message.
    pub message: String,
}

/// Runs an executable with these arguments as an ordinary command; returns the outcome for the deployment.
pub type Redeploy<'a> = &'a mut dyn FnMut(&Path, &[OsString]) -> Result<Redeployed>;

/// The running executable and its path.
#[derive(Debug, Clone)]
pub struct CurrentExe {
    pub path: PathBuf,
    pub side: Side,
}

impl CurrentExe {
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
    current: &CurrentExe,
    origin: &Origin,
    candidate: &Candidate,
    artifact: &Artifact,
    progress: &mut dyn FnMut(u64),
) -> Result<PathBuf> {
    let staged = current.staged();
    let version = &candidate.manifest.facts().version;
    origin.artifact(version, artifact, &staged, candidate.rejects, progress)?;
    let tried = make_executable(&staged).and_then(|()| try_out(&staged, version.as_str()));
    match tried {
        Ok(()) => Ok(staged),
        // A file that does not work here is of no use.
        Err(error) => Err(match disk::remove(&staged) {
            Ok(()) => error,
            Err(failure) => error.because(format!(
                "{} could not be removed: {}",
                staged.display(),
                disk::reason(&failure)
            )),
        }),
    }
}

/// Durable before it is renamed: after a power cut the executable could otherwise be in place without permission to run
/// it.
fn make_executable(path: &Path) -> Result<()> {
    disk::set_mode(path, 0o755).at("change the mode of", path)?;
    let (file, _) = disk::reader(path)?;
    disk::flush(&[file]).at("change the mode of", path)
}

/// 8: it runs here, has the expected version, and finds itself complete.
fn try_out(path: &Path, version: &str) -> Result<()> {
    let wrong = |why: String| {
        Error::failed(format!("gwinstall {version} does not work on this machine")).because(why)
    };
    let answer = exe::probe(path, &["--version"], TRIAL)?;
    if answer.code != Some(0) || answer.stdout.trim() != format!("gwinstall {version}") {
        let printed = printable(answer.stdout.trim());
        return Err(wrong(format!("--version {} and printed \"{printed}\"", answer.how_it_ended())));
    }
    let check = exe::probe(path, &["self-check"], TRIAL)?;
    if check.code == Some(0) {
        return Ok(());
    }
    Err(wrong(format!("its own check {}", check.how_it_ended())))
}

/// 9 to 11, under the lock of self-update. `deploys`: a deployment of this user moves along.
pub fn swap(
    state: State<'_>,
    current: &CurrentExe,
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
        executable: current.path.clone(),
        kept: current.kept(),
        from: current.side.clone(),
        to,
        manifest: Some(Seen { seq: facts.seq, manifest_sha256: candidate.manifest.sha256() }),
        deploys,
        rollback: false,
    };
    signals::check()?;
    bundles::keep_manifest(state, &candidate.manifest)?;
    // Only one level of rollback is kept, and this change takes its place.
    state.forget(PREVIOUS)?;
    begin(state, &journal)?;
    let placed = keep_old(&journal).and_then(|()| rename(staged, &journal.executable));
    if let Err(error) = placed {
        undo(state, &journal)?;
        return Err(error);
    }
    let done = if deploys {
        // Its own bundle, not a newer one that was fetched: executable and configuration are one release.
        redeploy(&journal.executable, &["update", "--embedded", "--yes", "--json"].map(OsString::from))
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
            let message =
                format!("gwinstall {} could not deploy its configuration; both are as before", facts.version);
            Err(rolled_back(message, outcome))
        }
    }
}

fn rolled_back(message: impl Into<String>, outcome: Result<Redeployed>) -> Error {
    let error = Error::new(Kind::RolledBack, message).fact("outcome", json!("rolled_back"));
    match outcome {
        Ok(done) => error.because(done.message),
        Err(cause) => error.because(cause),
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
    disk::remove(kept).at("remove", kept)?;
    if disk::link(&journal.executable, kept).is_err() {
        let bytes = disk::read(&journal.executable, EXECUTABLE_CAP)?;
        let file = disk::create(kept, &bytes, 0o755).at("write", kept)?;
        disk::flush(&[file]).at("write", kept)?;
    }
    disk::flush_dir(directory(kept)).at("write", kept)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    disk::rename(from, to).at("replace", to)?;
    disk::flush_dir(directory(to)).at("replace", to)
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// 11.
fn finish_update(state: State<'_>, journal: &Journal, backup: Option<String>) -> Result<()> {
    let mut trust = state.trust()?;
    trust.installed = journal.manifest;
    state.keep_trust(&trust)?;
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

/// Puts the old executable back, if it was replaced at all.
fn undo(state: State<'_>, journal: &Journal) -> Result<()> {
    // Both names lead to one file then, and a rename would leave both in place.
    if hash_file(&journal.executable)?.0 == journal.from.sha256 {
        disk::remove(&journal.kept).at("remove", &journal.kept)?;
    } else {
        rename(&journal.kept, &journal.executable)?;
    }
    // The fetched executable will not be used.
    let staged = staged_beside(&journal.executable);
    disk::remove(&staged).at("remove", &staged)?;
    state.forget(JOURNAL)
}

/// What the next changing command finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    Nothing,
    /// It was completed; the executable on disk is the one that matches the configuration.
    Finished,
    /// It was reverted.
    Undone,
}

/// An interrupted change, for `status` and `doctor`, which only report it.
pub fn interrupted(state: State<'_>) -> Result<Option<Journal>> {
    state.read_json(JOURNAL)
}

/// Removes files that a killed self-update left half written. The holder of the lock may be writing these very files, so
/// they stay while it is held.
pub fn remove_partial_files(state: State<'_>, executable: &Path) -> Result<()> {
    let partial = partial_files(state, executable)?;
    if partial.is_empty() || state.is_its_child() {
        return Ok(());
    }
    let Ok(_lock) = state.lock("remove partial files", 0) else { return Ok(()) };
    partial.iter().try_for_each(|path| disk::remove(path).at("remove", path))
}

/// Files that were being written when a self-update was killed, or are being written now.
pub fn partial_files(state: State<'_>, executable: &Path) -> Result<Vec<PathBuf>> {
    let mut partial: Vec<PathBuf> = [JOURNAL, PREVIOUS].map(|name| state.path(&format!("{name}.tmp"))).into();
    partial.push(staged_beside(executable));
    partial.extend(bundles::partial_files(state)?);
    partial.retain(|path| disk::exists(path));
    Ok(partial)
}

/// The deployment that decides about an interrupted change.
#[derive(Debug, Clone, Default)]
pub struct Deployed {
    /// The seq of the deployed bundle.
    pub seq: Option<u64>,
    /// The newest backup: the one that the redeployment made, if it came that far.
    pub backup: Option<String>,
}

/// Completes or reverts an interrupted change. The deployment must have been recovered before. Call `was_replaced`
/// afterwards: this process may be the wrong one.
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
        // The older configuration may come from a bundle that was fetched alone: what counts is that the newer one is
        // gone.
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

/// Whether another executable is now at the path of the running one.
pub fn was_replaced(current: &CurrentExe) -> Result<bool> {
    Ok(hash_file(&current.path)?.0 != current.side.sha256)
}

/// `--rollback`: the newer executable restores the configuration, then the older one takes its place. One level.
pub fn rollback(
    state: State<'_>,
    current: &CurrentExe,
    previous: &Previous,
    redeploy: Redeploy<'_>,
) -> Result<()> {
    if previous.executable != current.path || previous.from.sha256 != current.side.sha256 {
        return Err(nothing_kept().because("the executable was replaced since by other means"));
    }
    if !disk::exists(&previous.kept) || hash_file(&previous.kept)?.0 != previous.to.sha256 {
        return Err(Error::unverified(format!(
            "{} is not the executable that was kept",
            previous.kept.display()
        )));
    }
    try_out(&previous.kept, &previous.to.version)?;
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
        match redeploy(&journal.executable, &arguments) {
            Ok(done) if done.succeeded => {}
            Ok(done) if !done.settled => return Err(unsettled(done.message)),
            outcome => {
                state.forget(JOURNAL)?;
                return Err(rolled_back(
                    "the configuration could not be restored; nothing was changed",
                    outcome,
                ));
            }
        }
    }
    finish_rollback(state, &journal)
}

fn finish_rollback(state: State<'_>, journal: &Journal) -> Result<()> {
    if hash_file(&journal.executable)?.0 != journal.to.sha256 {
        rename(&journal.kept, &journal.executable)?;
    }
    state.forget(PREVIOUS)?;
    state.forget(JOURNAL)
}

/// What `--rollback` restores; an error where nothing is kept.
pub fn previous(state: State<'_>) -> Result<Previous> {
    state.read_json(PREVIOUS)?.ok_or_else(nothing_kept)
}

/// Whether the change is completed or reverted is known only when the deployment is whole again; the journal stays until
/// then.
fn unsettled(message: String) -> Error {
    Error::new(Kind::Leftovers, "the change of the configuration was interrupted and could not be completed")
        .because(message)
        .hint(Hint::run(&["doctor", "--repair", "--yes"]))
}

fn nothing_kept() -> Error {
    Error::failed("no earlier gwinstall is kept to roll back to")
        .hint(Hint::run(&["self-update", "--allow-downgrade=X"]).to("install exactly version X"))
}

fn staged_beside(executable: &Path) -> PathBuf {
    beside(executable, ".", ".new")
}

fn beside(path: &Path, before: &str, after: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{before}{name}{after}"))
}
