//! Converge: the one verb. Under the lock it looks again, backs up, exchanges, checks, commits or undoes, prunes and
//! logs. The caller supplies the wanted tree.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::domain::check::{Check, CheckName, Finding};
use crate::domain::place::files;
use crate::domain::record::{Record, SettingsValue};
use crate::domain::tree::Class;
use crate::domain::{Error, Hint, Instant, Kind, Operation, Place, Result};
use crate::doors::{disk, signals, system};
use crate::format::litellm::Served;
use crate::format::settings::KeyPath;
use crate::render::{LIMIT_KEYS, MODEL_KEYS};

use super::backup::{self, Entry, Making};
use super::bases;
use super::checks::{self, Checks, Validated};
use super::draft::Draft;
use super::recover::{self, Recovered};
use super::sessions;
use super::store;
use super::times::{Times, Took};
use super::transaction::{Conditions, Failure, Gate, PlacedBy, SettingsOrder, Transaction, Undo};

/// The end of the log in which operations of this second are looked for: many lines.
const LOG_TAIL: u64 = 64 << 10;

/// Checks of the live tree that concern files of the deployment, not values.
const FILE_CHECKS: [CheckName; 4] = [
    CheckName::FilesCopiedCount,
    CheckName::YamlConfigValid,
    CheckName::ScriptsExecutable,
    CheckName::StartupScriptGenerated,
];

/// An open session of Claude Code notices new settings after 1.0 to 1.5 s, and after 3.5 s where it has to poll.
const NOTICED: Duration = Duration::from_millis(3_500);

/// The phases of an operation, as the log and `--json` name them.
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

/// One change of a deployment: how it is carried out, whatever it changes.
pub struct Change<'a> {
    pub place: &'a Place,
    /// The record that the draft was made over.
    pub record: Option<&'a Record>,
    pub operation: Operation,
    /// Seconds to wait for another run to finish.
    pub lock_wait: u64,
    /// Whether the backup keeps secret values.
    pub include_secrets: bool,
    /// Backups that stay beside pinned ones.
    pub keep: usize,
    pub max_age_days: Option<u32>,
    /// What becomes of the gateway; `None` where none runs and none is to run.
    pub gateway: Option<Gateway<'a>>,
}

/// What a change means for the gateway, as the part of the change that does it.
#[derive(Clone, Copy)]
pub enum Gateway<'a> {
    /// It takes the change over, and serves it afterwards.
    TakesOver(&'a dyn Fn() -> Result<()>),
    /// It ends while its script is still there, and after Claude Code was pointed elsewhere.
    Ends(&'a dyn Fn() -> Result<()>),
}

/// A change that was refused or undone.
pub struct Failed {
    pub error: Error,
    pub outcome: Outcome,
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
    /// Of an operation that failed: the state of its changes, if it had made any.
    pub undo: Option<Undo>,
    pub placed_by: Option<PlacedBy>,
    pub duration_ms: u64,
    /// The durations of its phases.
    pub times: Vec<Took>,
}

/// The lock of a place, with the directories that had to be made for it.
pub struct Held {
    _lock: disk::Lock,
    made: Vec<PathBuf>,
}

impl Held {
    /// The directories that had to be made.
    pub(super) fn made(&self) -> &[PathBuf] {
        &self.made
    }
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

/// Refuses to run as root in the home of another user: the owner could not change the files that root leaves there.
pub fn refuse_foreign_home(place: &Place) -> Result<()> {
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

impl Change<'_> {
    /// Carries out a draft, if the disk is still as the draft found it, and completes its record with the moment and
    /// the backup. `held` is the lock, where the same operation has taken it to lead open sessions away.
    pub fn apply(&self, draft: &mut Draft, held: Option<Held>) -> std::result::Result<Outcome, Box<Failed>> {
        let watch = system::Stopwatch::start();
        draft.settle();
        let led_away = held.is_some();
        let mut outcome = Outcome { states: vec![State::Created, State::Validating], ..Outcome::default() };
        let held = match held.map_or_else(|| lock(self.place, self.operation, self.lock_wait), Ok) {
            Ok(held) => held,
            Err(error) => return Err(Box::new(Failed { error, outcome: Outcome::default() })),
        };
        let now = system::now();
        let mut run = Run {
            change: self,
            made: &held.made,
            now,
            led_away,
            before: None,
            times: Times::default(),
            outcome,
        };
        let result = run.carry_out(draft);
        run.outcome.duration_ms = watch.milliseconds();
        run.outcome.times = run.times.so_far();
        if let Err(error) = result {
            run.withdraw(&error);
            outcome = run.outcome;
            recover::leave_no_trace(self.place);
            remove_made(&held.made);
            return Err(Box::new(Failed { error, outcome }));
        }
        run.outcome.states.push(State::Completed);
        run.log(draft.record.as_ref().or(run.before.as_ref()), None);
        outcome = run.outcome;
        recover::leave_no_trace(self.place);
        Ok(outcome)
    }

    /// A change that a check refused before it began. It too gets a line in the log, and an outcome.
    pub fn refuse(&self, record: Option<&Record>, error: Error) -> Failed {
        let states = vec![State::Created, State::Validating, State::Failed];
        let outcome = Outcome { states, ..Outcome::default() };
        write_log(self.place, self.operation, system::now(), &outcome, record, Some(&error));
        Failed { error, outcome }
    }
}

/// A change under the lock.
struct Run<'a> {
    change: &'a Change<'a>,
    made: &'a [PathBuf],
    now: Instant,
    /// The open sessions of Claude Code have noticed already that they leave the gateway.
    led_away: bool,
    outcome: Outcome,
    /// The record as it was.
    before: Option<Record>,
    times: Times,
}

impl Run<'_> {
    fn carry_out(&mut self, draft: &mut Draft) -> Result<()> {
        let place = self.change.place;
        if !draft.still_holds(place)? {
            return Err(Error::new(
                Kind::Busy,
                "the files changed while you were deciding, and nothing was changed",
            )
            .hint(Hint::again::<&str>(&[]).to("see the new plan")));
        }
        if let Some(record) = draft.record.as_ref().filter(|_| concerns_files(draft)) {
            checks::kept_files(place, record, &|name| draft.plan.changes().any(|step| step.name == name))?;
        }
        signals::check()?;
        // A change of the record alone needs no backup.
        if self.change.operation.backs_up() && draft.plan.changes().any(|step| step.class != Class::Record) {
            self.back_up(draft.record.as_ref())?;
        }
        if let Some(record) = &mut draft.record {
            record.backup_path = self.outcome.backup.as_ref().map(|entry| entry.filename.clone());
            record.timestamp = self.now;
            record.deployment_id = free_id(place, self.now, self.before.as_ref());
        }
        self.transact(draft)?;
        self.outcome.changed = draft.plan.changes().filter(|step| step.class != Class::Record).count();
        self.outcome.conflicts = draft.plan.conflicts().map(|step| step.name.clone()).collect();
        self.prune();
        // A later run finds the leftovers.
        let _ = bases::drop_unreferenced(place, draft.record.as_ref());
        Ok(())
    }

    /// Archives the current deployment; before the first install there is none. `goal` is the desired record.
    fn back_up(&mut self, goal: Option<&Record>) -> Result<()> {
        let Change { place, operation, include_secrets, record, .. } = *self.change;
        // The backup of a rollback is a safety backup: `rollback N` does not count it.
        let safety = operation == Operation::Rollback;
        // The plan has a step for the record, and under the lock that is as the plan found it.
        let known = match record.cloned() {
            // The safety backup holds the current files at the paths of the state that replaces them.
            None if safety && store::is_lost(place) => goal.cloned(),
            known => known,
        };
        let Some(record) = known else { return Ok(()) };
        let record = self.before.insert(record);
        self.outcome.states.push(State::BackingUp);
        let making = Making { before: operation, now: self.now, safety, include_secrets, lock: None };
        self.outcome.backup = Some(self.times.of("backup", || backup::create(place, record, &making))?);
        Ok(())
    }

    fn transact(&mut self, draft: &Draft) -> Result<()> {
        self.outcome.states.push(State::Deploying);
        let Change { place, operation, gateway, .. } = *self.change;
        let transaction = Transaction::new(place, operation, draft, self.now, self.made, &self.times);
        // Empty until the checks of the live tree run.
        let checked = std::cell::RefCell::new(None);
        let config = draft.plan.changes().position(|step| step.name == files::CONFIG && step.post.is_some());
        let validated = std::cell::RefCell::new(None);
        let staged = |staged: &dyn Fn(usize) -> PathBuf| {
            let Some(index) = config else { return Ok(()) };
            let found = staged_config(place, draft.record.as_ref(), &staged(index), operation)?;
            validated.replace(Some(found));
            Ok(())
        };
        let live = || {
            let mut checked = checked.borrow_mut();
            let checks = checked.insert(Checks::default());
            let Some(record) = &draft.record else { return Ok(()) };
            checks::live(checks, place, record, validated.take());
            if !concerns_files(draft) {
                // `off` and `env set` must work beside a broken file, too.
                checks.only_warn(&FILE_CHECKS);
            }
            if record.operation == Operation::Off {
                // Leaving needs no key.
                checks.only_warn(&[CheckName::EnvFilePermissions]);
            }
            checks.require(Kind::RolledBack, "the new deployment did not pass its checks and was rolled back")
        };
        let again = || draft.settings_again(place);
        let (between, pass) = (|changed| self.leave(changed), || self.take_over());
        let gate = gateway.map(|gateway| {
            let settings = match gateway {
                Gateway::TakesOver(_) => settings_order(place, draft),
                Gateway::Ends(_) => SettingsOrder::First,
            };
            Gate { settings, pass: &pass, between: &between, again: &again }
        });
        let done = transaction.carry_out(&Conditions { staged: &staged, live: &live, gate });
        if let Some(checks) = checked.into_inner() {
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

    /// Between settings.json, where that comes first, and everything else: open sessions of Claude Code get the time to notice
    /// new settings, and a gateway that they left ends.
    fn leave(&self, settings_changed: bool) -> Result<()> {
        let any_open = || sessions::open(self.change.place).is_ok_and(|open| !open.is_empty());
        if settings_changed && !self.led_away && any_open() {
            system::sleep(NOTICED);
        }
        match self.change.gateway {
            Some(Gateway::Ends(end)) => self.times.of("gateway", end),
            Some(Gateway::TakesOver(_)) | None => Ok(()),
        }
    }

    /// After the files: the gateway serves them.
    fn take_over(&self) -> Result<()> {
        let Some(Gateway::TakesOver(take_over)) = self.change.gateway else { return Ok(()) };
        take_over().map_err(|error| {
            error
                .of_kind(Kind::RolledBack)
                .under("the gateway did not come up with the change, and everything was rolled back")
        })
    }

    fn prune(&mut self) {
        let Change { place, operation, keep, max_age_days, .. } = *self.change;
        if !operation.prunes() {
            return;
        }
        let Ok(entries) = backup::list(place) else { return };
        let in_use: Vec<&str> = self.outcome.backup.iter().map(|entry| entry.filename.as_str()).collect();
        let old = backup::prunable(&entries, keep, max_age_days, self.now, &in_use);
        self.outcome.pruned = old.into_iter().filter(|name| backup::remove(place, name).is_ok()).collect();
    }

    /// After a refusal or an undo: the backup of this run goes, and the log says what happened.
    fn withdraw(&mut self, error: &Error) {
        self.outcome.states.push(State::Failed);
        if error.kind() != Kind::Leftovers
            && let Some(entry) = self.outcome.backup.take()
        {
            let _ = backup::remove(self.change.place, &entry.filename);
        }
        self.log(self.before.as_ref(), Some(error));
    }

    fn log(&self, record: Option<&Record>, error: Option<&Error>) {
        write_log(self.change.place, self.change.operation, self.now, &self.outcome, record, error);
    }
}

/// Writes the line of a change to the log of operations.
fn write_log(
    place: &Place,
    operation: Operation,
    now: Instant,
    outcome: &Outcome,
    record: Option<&Record>,
    error: Option<&Error>,
) {
    // Without a deployment there is no log for a failure.
    if error.is_some() && !disk::exists(&place.log()) {
        return;
    }
    let status = match (error, outcome.undo) {
        (None, _) => "success",
        (Some(_), Some(Undo::RolledBack)) => "rolled_back",
        (Some(_), _) => "failed",
    };
    let mut line = store::log_line(operation, now, outcome.duration_ms, record);
    line["status"] = json!(status);
    line["files_copied"] = json!(outcome.changed);
    line["backup_created"] = json!(outcome.backup.as_ref().map(|entry| &entry.filename));
    line["error_message"] = json!(error.map(ToString::to_string));
    line["states"] = json!(outcome.states);
    line["outcome"] = json!(outcome.undo);
    line["placed_by"] = json!(outcome.placed_by);
    line["conflicts"] = json!(outcome.conflicts);
    // The operation is complete or undone; a failure to write the log does not change that.
    let _ = store::log(place, &line);
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

/// Settings come first only if the configuration that runs serves all that they name: then nothing is asked for that is
/// removed. A new address or another way to the key is right only once the new gateway serves.
fn settings_order(place: &Place, draft: &Draft) -> SettingsOrder {
    let about_models =
        |key: &KeyPath| MODEL_KEYS.iter().chain(&LIMIT_KEYS).any(|name| *key == KeyPath::env(*name));
    if !draft.changed_keys.iter().all(about_models) {
        return SettingsOrder::Last;
    }
    let text = disk::read_maybe(&store::live_path(place, files::CONFIG), disk::TEXT_CAP).ok().flatten();
    let served = text.and_then(|text| Served::read(std::str::from_utf8(&text).ok()?));
    let Some((served, record)) = served.zip(draft.record.as_ref()) else { return SettingsOrder::Last };
    let named = record
        .settings
        .keys
        .iter()
        .filter(|(key, _)| MODEL_KEYS.iter().any(|name| KeyPath::parse(key) == KeyPath::env(*name)));
    let all = named.map(|(_, value)| value).all(|value| match value {
        SettingsValue::Value(name) => name.as_str().is_some_and(|name| served.has(name)),
        SettingsValue::Secret | SettingsValue::Removed => true,
    });
    if all { SettingsOrder::First } else { SettingsOrder::Last }
}

/// Whether this operation changes files of the deployment, and not only values or settings.
fn concerns_files(draft: &Draft) -> bool {
    let beside = |class| matches!(class, Class::Env | Class::Settings | Class::Record);
    draft.plan.steps.iter().any(|step| !beside(step.class))
}

/// Reads the configuration back from its staged file and validates it before any live file changes.
fn staged_config(
    place: &Place,
    record: Option<&Record>,
    path: &std::path::Path,
    operation: Operation,
) -> Result<Validated> {
    let text = String::from_utf8(disk::read(path, disk::TEXT_CAP)?).map_err(|error| {
        Error::failed(format!("{} is not UTF-8", files::CONFIG)).because(error.utf8_error())
    })?;
    let mut checks = Checks::default();
    // The live file of this name is a different one, and may be valid.
    let (what, hint) = if operation == Operation::Rollback {
        ("the configuration in the backup", "choose another: gwinstall backup list")
    } else {
        ("the new configuration", "gwinstall diff")
    };
    let finding = checks::yaml_config(place, record, files::CONFIG, &text);
    checks.run(CheckName::YamlConfigValid, || Finding { hint: Some(hint.into()), ..finding.clone() });
    checks.require(Kind::Failed, &format!("{what} is not valid, and nothing was changed"))?;
    Ok(Validated { text, finding })
}
