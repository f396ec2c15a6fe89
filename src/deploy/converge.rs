//! Converge: the one verb. Under the lock it looks again, backs up, carries out, judges, commits or undoes, prunes and
//! logs. Where the wanted tree comes from is the caller's business.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::bundle::build;
use crate::domain::check::{Check, CheckName, Finding};
use crate::domain::place::files;
use crate::domain::plan::{Action, Step};
use crate::domain::record::Record;
use crate::domain::tree::Class;
use crate::domain::{Error, Instant, Kind, Operation, Place, Result};
use crate::doors::{disk, signals, system};

use super::backup::{self, Entry, Making};
use super::checks::{self, Checks};
use super::draft::Draft;
use super::lost;
use super::recover::{self, Recovered};
use super::store;
use super::times::{Times, Took};
use super::transaction::{self, Failure, Order, PlacedBy, Undo};

/// The end of the log in which operations of this second are looked for: many lines.
const LOG_TAIL: u64 = 64 << 10;

/// Checks of the live tree that judge files of the deployment, other than values.
const FILE_CHECKS: [CheckName; 4] = [
    CheckName::FilesCopiedCount,
    CheckName::YamlConfigValid,
    CheckName::ScriptsExecutable,
    CheckName::StartupScriptGenerated,
];

/// The stations of an operation, as the log and `--json` name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    Created,
    Validating,
    BackingUp,
    Deploying,
    ValidatingPost,
    RollingBack,
    Completed,
    Failed,
}

/// How an operation is run.
pub struct Manner<'a> {
    pub operation: Operation,
    /// Seconds to wait for another run to finish.
    pub lock_wait: u64,
    pub include_secrets: bool,
    /// The backup of a rollback: kept apart from the states that a rollback goes to.
    pub safety: bool,
    pub keep: usize,
    pub max_age_days: Option<u32>,
    /// Whether old backups are removed afterwards.
    pub prune: bool,
    /// A further judgement of the live tree before it is final, for example that the gateway starts.
    pub gate: &'a dyn Fn() -> Result<()>,
}

/// What an operation did.
#[derive(Debug, Default)]
pub struct Outcome {
    pub changed: usize,
    pub conflicts: Vec<String>,
    pub backup: Option<Entry>,
    pub pruned: Vec<String>,
    pub checks: Vec<Check>,
    pub states: Vec<State>,
    /// Of an operation that failed: what became of its changes, if it had made any.
    pub undo: Option<Undo>,
    pub placed_by: Option<PlacedBy>,
    pub duration_ms: u64,
    /// Of its stations.
    pub times: Vec<Took>,
}

impl Outcome {
    /// A failure with what the operation came to.
    fn on(&self, error: Error) -> Error {
        error
            .fact("states", json!(self.states))
            .fact("outcome", json!(self.undo))
            .fact("checks", checks::json(&self.checks))
            .fact("duration_ms", json!(self.duration_ms))
            .fact("times", json!(self.times))
    }
}

/// The lock of a place, with the directories that had to be made for it.
pub struct Held {
    _lock: disk::Lock,
    made: Vec<PathBuf>,
}

/// Takes the lock; waits up to `wait` seconds for another run.
pub fn lock(place: &Place, operation: Operation, wait: u64) -> Result<Held> {
    refuse_foreign_home(place)?;
    let own = place.own();
    let made = disk::create_dirs(&own).map_err(|error| disk::failure("create", &own, &error))?;
    let me = disk::Holder { pid: system::pid(), command: operation.word().to_owned(), since: system::now() };
    let watch = system::Stopwatch::start();
    loop {
        match disk::hold(&place.lock(), &me).map_err(|error| disk::failure("lock", &place.lock(), &error)) {
            Ok(Ok(lock)) => return Ok(Held { _lock: lock, made }),
            Ok(Err(holder)) if watch.milliseconds() >= wait * 1000 => return Err(busy(place, holder)),
            Ok(Err(_)) => system::sleep(Duration::from_millis(50)),
            Err(error) => {
                remove_made(&made);
                return Err(error);
            }
        }
        signals::check()?;
    }
}

fn busy(place: &Place, holder: Option<disk::Holder>) -> Error {
    let who = match holder {
        Some(holder) => {
            let age = (system::now().unix() - holder.since.unix()).max(0);
            format!("gwinstall {} (pid {}) has been running for {age} s", holder.command, holder.pid)
        }
        None => "another gwinstall is running".to_owned(),
    };
    Error::new(
        Kind::Busy,
        format!("{} is being changed by another run, and nothing was changed", place.show(&place.target)),
    )
    .because(who)
    .hint("wait for it, for example with: --lock-wait 30")
}

/// Root working in somebody's home would leave files there that their owner cannot change.
fn refuse_foreign_home(place: &Place) -> Result<()> {
    let owner = disk::owner(&place.home).map_or(0, |(user, _)| user);
    if !system::is_root() || owner == 0 {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{} belongs to another user, and root would leave files there that they cannot change",
        place.home.display()
    ))
    .hint(format!(
        "run it as that user, without sudo; to stage for an image: gwinstall --home {}",
        place.home.display()
    )))
}

fn remove_made(made: &[PathBuf]) {
    for dir in made.iter().rev() {
        let _ = disk::remove_dir_if_empty(dir);
    }
}

/// Finishes or undoes what an interrupted run left; `None` when there was nothing.
pub fn recover_first(place: &Place, operation: Operation, wait: u64) -> Result<Option<Recovered>> {
    if recover::look(place)?.is_none() {
        return Ok(None);
    }
    let held = lock(place, operation, wait)?;
    let recovered = recover::recover(place)?;
    recover::leave_no_trace(place);
    drop(held);
    Ok(Some(recovered))
}

/// Carries out a draft, if the disk is still as the draft found it. Its record gets what is known only now: the moment
/// and the backup.
pub fn apply(place: &Place, manner: &Manner<'_>, draft: &mut Draft) -> Result<Outcome> {
    let watch = system::Stopwatch::start();
    let held = lock(place, manner.operation, manner.lock_wait)?;
    let mut run = Run {
        place,
        manner,
        made: &held.made,
        now: system::now(),
        outcome: Outcome::default(),
        backup: None,
        before: None,
        times: Times::default(),
    };
    run.outcome.states = vec![State::Created, State::Validating];
    let result = run.change(draft);
    run.outcome.duration_ms = watch.milliseconds();
    run.outcome.times = run.times.so_far();
    match result {
        Ok(()) => {
            run.outcome.states.push(State::Completed);
            run.log(draft.record.as_ref().or(run.before.as_ref()), None);
            recover::leave_no_trace(place);
            Ok(run.outcome)
        }
        Err(error) => {
            run.withdraw(&error);
            recover::leave_no_trace(place);
            remove_made(&held.made);
            Err(run.outcome.on(error))
        }
    }
}

/// An operation that a check before the change refused: it has its line in the log of a deployment too, and its states.
pub fn refused(place: &Place, operation: Operation, last: Option<&Record>, error: Error) -> Error {
    let outcome =
        Outcome { states: vec![State::Created, State::Validating, State::Failed], ..Outcome::default() };
    let line = Line { operation, now: system::now(), outcome: &outcome, backup: None };
    line.write(place, last, Some(&error));
    outcome.on(error)
}

struct Run<'a> {
    place: &'a Place,
    manner: &'a Manner<'a>,
    made: &'a [PathBuf],
    now: Instant,
    outcome: Outcome,
    /// The backup made in this run.
    backup: Option<Entry>,
    /// The record as it was.
    before: Option<Record>,
    times: Times,
}

impl Run<'_> {
    fn change(&mut self, draft: &mut Draft) -> Result<()> {
        if !draft.still_holds(self.place)? {
            return Err(Error::new(
                Kind::Busy,
                "the files changed while you were deciding, and nothing was changed",
            )
            .hint("run the same command again to see the new plan"));
        }
        if let Some(record) = draft.record.as_ref().filter(|_| concerns_files(draft)) {
            checks::kept(self.place, record, &|name| draft.plan.changes().any(|step| step.name == name))?;
        }
        signals::check()?;
        // A note in the record alone is nothing to go back from.
        if draft.plan.changes().any(|step| step.class != Class::Record) {
            self.back_up(draft.record.as_ref())?;
        }
        if let Some(record) = &mut draft.record {
            record.backup_path = self.backup.as_ref().map(|entry| entry.filename.clone());
            record.timestamp = self.now;
            record.deployment_id = free_id(self.place, self.now, self.before.as_ref());
            rewrite_record(&mut draft.plan.steps, record)?;
        }
        self.carry_out(draft)?;
        self.outcome.changed = draft.plan.changes().filter(|step| step.class != Class::Record).count();
        self.outcome.conflicts = draft.plan.conflicts().map(|step| step.name.clone()).collect();
        self.outcome.backup.clone_from(&self.backup);
        self.prune();
        // A later run finds what stays here.
        let _ = recover::drop_unreferenced_all(self.place);
        Ok(())
    }

    /// Archives what is deployed now; before the first install there is nothing. `goal` is the record to come.
    fn back_up(&mut self, goal: Option<&Record>) -> Result<()> {
        let known = match store::record_as_found(self.place)? {
            // What is here goes into the safety backup by the names of the state that replaces it.
            None if self.manner.safety && lost::is_lost(self.place) => goal.cloned(),
            known => known,
        };
        let Some(record) = known else { return Ok(()) };
        let record = self.before.insert(record);
        self.outcome.states.push(State::BackingUp);
        let making = Making {
            before: self.manner.operation,
            now: self.now,
            safety: self.manner.safety,
            include_secrets: self.manner.include_secrets,
        };
        self.backup = Some(self.times.of("backup", || backup::create(self.place, record, &making))?);
        Ok(())
    }

    fn carry_out(&mut self, draft: &Draft) -> Result<()> {
        self.outcome.states.push(State::Deploying);
        let place = self.place;
        let order = Order {
            place,
            operation: self.manner.operation,
            steps: draft.plan.changes().collect(),
            pristine: &draft.pristine,
            now: self.now,
            pid: system::pid(),
            made: self.made,
            times: &self.times,
        };
        // Empty until the live tree is judged.
        let judged = std::cell::RefCell::new(None);
        let config = order.steps.iter().position(|step| step.name == files::CONFIG && step.post.is_some());
        let models = draft.record.as_ref().map_or(0, |record| record.models.len());
        let done = transaction::carry_out(
            &order,
            &|staged| {
                let judge = |index| staged_config(&staged(index), models, self.manner.operation);
                config.map_or(Ok(()), judge)
            },
            &|| {
                let mut judged = judged.borrow_mut();
                let checks = judged.insert(Checks::default());
                if let Some(record) = &draft.record {
                    checks::live(checks, place, record);
                    if !concerns_files(draft) {
                        // `off` and `env set` must work beside a broken file, too.
                        checks.only_warn(&FILE_CHECKS);
                    }
                    checks.demand(
                        Kind::RolledBack,
                        "the new deployment did not pass its checks and was rolled back",
                    )?;
                }
                (self.manner.gate)().map_err(|error| {
                    error
                        .of_kind(Kind::RolledBack)
                        .under("the gateway did not come up, and everything was rolled back")
                })
            },
        );
        if let Some(checks) = judged.into_inner() {
            self.outcome.states.push(State::ValidatingPost);
            self.outcome.checks = checks.0;
        }
        match done {
            Ok(done) => self.outcome.placed_by = Some(done.placed_by),
            Err(Failure { error, undo }) => {
                if undo != Undo::NotNeeded {
                    self.outcome.states.push(State::RollingBack);
                    self.outcome.undo = Some(undo);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn prune(&mut self) {
        if !self.manner.prune {
            return;
        }
        let Ok(entries) = backup::list(self.place) else { return };
        let in_use: Vec<&str> = self.backup.iter().map(|entry| entry.filename.as_str()).collect();
        let old = backup::prunable(&entries, self.manner.keep, self.manner.max_age_days, self.now, &in_use);
        self.outcome.pruned =
            old.into_iter().filter(|name| backup::remove(self.place, name).is_ok()).collect();
    }

    /// After a refusal or an undo: the backup of this run goes, and the log says what happened.
    fn withdraw(&mut self, error: &Error) {
        self.outcome.states.push(State::Failed);
        if error.kind() != Kind::Leftovers
            && let Some(entry) = self.backup.take()
        {
            let _ = backup::remove(self.place, &entry.filename);
        }
        self.log(self.before.as_ref(), Some(error));
    }

    fn log(&self, record: Option<&Record>, error: Option<&Error>) {
        let line = Line {
            operation: self.manner.operation,
            now: self.now,
            outcome: &self.outcome,
            backup: self.backup.as_ref(),
        };
        line.write(self.place, record, error);
    }
}

/// A line of the log of operations.
struct Line<'a> {
    operation: Operation,
    now: Instant,
    outcome: &'a Outcome,
    backup: Option<&'a Entry>,
}

impl Line<'_> {
    fn write(&self, place: &Place, record: Option<&Record>, error: Option<&Error>) {
        // Where nothing was ever deployed a failure has no log to be written to.
        if error.is_some() && !disk::exists(&place.log()) {
            return;
        }
        let status = match (error, self.outcome.undo) {
            (None, _) => "success",
            (Some(_), Some(Undo::RolledBack)) => "rolled_back",
            (Some(_), _) => "failed",
        };
        let line = json!({
            "schema": 1,
            "operation": self.operation,
            "timestamp": self.now,
            "duration_seconds": self.outcome.duration_ms / 1000,
            "duration_ms": self.outcome.duration_ms,
            "status": status,
            "preset": record.map(|record| record.preset.clone()),
            "models_deployed": record.map(|record| record.models.clone()).unwrap_or_default(),
            "files_copied": self.outcome.changed,
            "backup_created": self.backup.map(|entry| entry.filename.clone()),
            "error_message": error.map(ToString::to_string),
            "user": system::user_name(),
            "hostname": system::hostname(),
            "deployment_id": record.map(|record| record.deployment_id.clone()),
            "states": self.outcome.states,
            "outcome": self.outcome.undo,
            "placed_by": self.outcome.placed_by,
            "conflicts": self.outcome.conflicts,
            "version": build::VERSION,
        });
        // The operation itself is done or undone; a log that cannot be written changes nothing about that.
        let _ = store::log(place, &line);
    }
}

/// `dep-YYYYMMDD-HHMMSS`, and `-2` and so on within the same second, by what the log and the record know.
fn free_id(place: &Place, now: Instant, before: Option<&Record>) -> String {
    let stem = format!("dep-{}", now.compact());
    let tail = disk::tail(&place.log(), LOG_TAIL).unwrap_or_default();
    let tail = String::from_utf8_lossy(&tail);
    let logged = tail.lines().filter(|line| line.contains(&stem)).filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line.get("deployment_id")?.as_str().map(str::to_owned)
    });
    let number = |id: String| match id.strip_prefix(&stem)? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse::<u32>().ok(),
    };
    let known = before.map(|before| before.deployment_id.clone());
    match logged.chain(known).filter_map(number).max() {
        None => stem,
        Some(last) => format!("{stem}-{}", last.saturating_add(1)),
    }
}

/// The record names the backup and the moment, which are known only now.
fn rewrite_record(steps: &mut [Step], record: &Record) -> Result<()> {
    let written = steps.iter_mut().find(|step| step.name == files::RECORD && step.action != Action::Same);
    if let Some(step) = written {
        step.post = Some(store::record_stamp(record)?);
        step.bytes = Some(store::record_bytes(record)?.into());
    }
    Ok(())
}

/// Whether files of the deployment are a matter of this operation, and not only values or settings.
fn concerns_files(draft: &Draft) -> bool {
    let beside = |class| matches!(class, Class::Env | Class::Settings | Class::Record);
    draft.plan.steps.iter().any(|step| !beside(step.class))
}

/// The configuration is read back from where it was staged and validated before anything live changes.
fn staged_config(path: &std::path::Path, models: usize, operation: Operation) -> Result<()> {
    let text = String::from_utf8(disk::read(path, disk::TEXT_CAP)?)
        .map_err(|_| Error::failed(format!("{} is not UTF-8", files::CONFIG)))?;
    let mut checks = Checks::default();
    // The file of this name that is live is another one, and may well be valid.
    let (what, hint) = if operation == Operation::Rollback {
        ("the configuration in the backup", "choose another: gwinstall backup list")
    } else {
        ("the new configuration", "gwinstall diff")
    };
    checks.run(CheckName::YamlConfigValid, || Finding {
        hint: Some(hint.into()),
        ..checks::yaml_config(files::CONFIG, &text, models)
    });
    checks.demand(Kind::Failed, &format!("{what} is not valid, and nothing was changed"))
}
