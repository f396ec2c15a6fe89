//! A draft: everything an operation would do, worked out without changing anything.
//!
//! `install`, `update`, `rollback`, `uninstall`, `off`, `env set` fill in a `Goal`; what follows is the same code for
//! all of them. A dry run stops here.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::domain::place::files;
use crate::domain::plan::{Action, Plan, Step};
use crate::domain::record::{FileRecord, Pointed, Record};
use crate::domain::tree::{Class, Found, Stamp, Wanted, WantedFile};
use crate::domain::{Error, Hint, Kind, Place, Result, Sha256};
use crate::doors::disk;
use crate::format::settings::{KeyPath, Settings};
use crate::render::DesiredKey;

use super::backup;
use super::bases::BaseCopies;
use super::context::{Context, EnvFile};
use super::goals::{self, Goal};
use super::permission::{self, Rules};
use super::plan::{Decided, Stance};
use super::settings::{LedgerFile, SettingsEdit, SettingsFile};
use super::step;
use super::store;
use super::trees;

/// Everything an operation would do.
pub struct Draft {
    pub plan: Plan,
    pub id: String,
    /// The record to write; `None` for an uninstall.
    pub record: Option<Record>,
    /// Keys of settings.json that keep a value which gwinstall did not set.
    pub kept_keys: Vec<KeyPath>,
    /// Keys of settings.json that change.
    pub changed_keys: Vec<KeyPath>,
    /// The mode that settings.json had before a secret of gwinstall made it private.
    tightened: Option<u32>,
    goal: Goal,
}

impl Draft {
    /// Whether every file that a person looks at stays as it is.
    pub fn changes_only_the_record(&self) -> bool {
        self.record.is_some() && self.plan.changes().all(|step| step.class == Class::Record)
    }

    /// Whether the disk is still as this draft found it. Another program may have written while the user read the
    /// question.
    pub fn still_holds(&self, place: &Place) -> Result<bool> {
        for step in &self.plan.steps {
            let led_elsewhere = step.class == Class::Settings
                && disk::real_file(&place.settings())? != step.path
                || matches!(step.name.as_str(), files::CONFIG | files::ENV)
                    && store::live_path(place, &step.name) != step.path;
            if led_elsewhere || disk::find(&step.path)?.stamp() != step.pre {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A draft of these steps alone.
    pub(super) fn of_steps(steps: Vec<Step>) -> Self {
        Self {
            plan: Plan { steps },
            id: String::new(),
            record: None,
            kept_keys: Vec::new(),
            changed_keys: Vec::new(),
            tightened: None,
            goal: goals::nothing(false),
        }
    }

    /// The draft of the same goal over the disk as it is now, after gwinstall has led the sessions of Claude Code away.
    /// What changes in the settings counts from before.
    pub fn again(self, context: &Context<'_>, rules: &dyn Rules) -> Result<Self> {
        let Self { id, kept_keys, changed_keys, goal, .. } = self;
        Ok(Self { id, kept_keys, changed_keys, ..draft(context, goal, rules)? })
    }

    /// Frees what only another draft of the same goal needs: the content of files that stay as they are, for example.
    pub(super) fn settle(&mut self) {
        self.goal.files = None;
        self.goal.next_base.clear();
    }

    /// The steps of settings.json and its ledger over the file as it is now, because another program wrote it since the
    /// plan. If that changed one more of gwinstall's keys, the user has to decide again.
    pub(super) fn settings_again(&self, place: &Place) -> Result<Vec<Step>> {
        let ledger = LedgerFile::read(place)?;
        let found = SettingsFile::read(place)?;
        let Goal { settings: desired, stance, .. } = &self.goal;
        let edit = SettingsEdit::work_out(place, &found, &ledger, desired, *stance, self.tightened)?;
        if !edit.foreign.is_empty() || edit.kept != self.kept_keys {
            return Err(Error::new(
                Kind::Busy,
                format!("{} was changed by another program meanwhile", place.show(&place.settings())),
            )
            .because("it changed a key that gwinstall sets too"));
        }
        let ledger = edit.ledger_step(place)?;
        Ok(edit.step.into_iter().chain([ledger]).collect())
    }

    /// The settings of Claude Code that the draft writes; `None` if it does not change them.
    pub(super) fn settings_after(&self) -> Result<Option<Settings>> {
        let changes = |step: &&Step| step.class == Class::Settings && step.changes();
        let Some(step) = self.plan.steps.iter().find(changes) else { return Ok(None) };
        match (&step.bytes, step.post) {
            (Some(bytes), Some(_)) => Settings::parse(bytes)
                .map(Some)
                .map_err(|problem| Error::failed("cannot read the new settings back").because(problem)),
            // Only the mode changes.
            (None, Some(_)) => Ok(None),
            (_, None) => Ok(Some(Settings::absent())),
        }
    }

    /// Whether gwinstall sets this key of settings.json.
    pub fn sets(&self, key: &KeyPath) -> bool {
        let desired =
            self.goal.settings.iter().any(|desired| desired.value.is_some() && desired.path == *key);
        desired && !self.kept_keys.contains(key)
    }

    /// The keys of settings.json that the operation leaves to gwinstall.
    pub(super) fn desired_keys(&self) -> &[DesiredKey] {
        &self.goal.settings
    }
}

/// Works out the draft for a goal that the rules of the machine permit.
pub fn draft(context: &Context<'_>, goal: Goal, rules: &dyn Rules) -> Result<Draft> {
    if let Some(record) = &goal.record {
        permission::of_deployment(rules, record)?;
    }
    let draft = work_out(context, goal)?;
    if let Some(after) = draft.settings_after()? {
        permission::of_address(rules, context, &after, &|key| draft.sets(key))?;
    }
    Ok(draft)
}

fn work_out(context: &Context<'_>, goal: Goal) -> Result<Draft> {
    let place = context.place;
    let last = context.record.as_ref();
    let decided = files_of(context, &goal)?;
    let tightened = last.and_then(|last| last.settings.mode_before);
    let settings = SettingsEdit::work_out(
        place,
        context.settings()?,
        context.ledger_file()?,
        &goal.settings,
        goal.stance,
        tightened,
    )?;
    refuse_foreign(place, &decided.foreign, &settings.foreign)?;
    let base_copies = base_copies_step(context, &goal, &decided)?;
    let mut steps = decided.steps;
    steps.extend(base_copies);
    steps.extend(env_steps(place, &goal)?);
    let mut record = goal.record.clone();
    if let Some(record) = &mut record {
        record.files = match (&goal.files, last) {
            (None, Some(last)) => last.files.clone(),
            _ => decided.files,
        };
        // `on` takes over the values again that `off` restored.
        record.request.forced |= settings.took_over;
        record.settings = match last {
            // What is there for the way out is not what a backup is to restore.
            Some(last) if record.request.pointed == Pointed::Leaving => last.settings.clone(),
            _ => settings.record(place, &goal.settings),
        };
    }
    steps.push(settings.ledger_step(place)?);
    steps.extend(pointer_step(place, record.is_some())?);
    let SettingsEdit { kept, changed, step, .. } = settings;
    let quiet = steps.iter().chain(step.as_ref()).all(|step| !step.changes());
    steps.push(record_step(context, record.as_ref(), quiet)?);
    steps.extend(step);
    // Reference files come first, files that start the gateway later, settings.json last. By cached key: the buffer of
    // another stable sort would be as large as half the plan.
    steps.sort_by_cached_key(|step| rank(step.class));
    let plan = Plan { steps };
    let id = plan.id(&goal.env_summary);
    Ok(Draft { id, record, kept_keys: kept, changed_keys: changed, tightened, plan, goal })
}

fn rank(class: Class) -> u8 {
    match class {
        Class::Doc | Class::Example | Class::Template | Class::Test => 0,
        Class::Script => 1,
        Class::Config => 2,
        Class::Env => 3,
        Class::Record => 4,
        Class::Settings => 5,
    }
}

fn files_of(context: &Context<'_>, goal: &Goal) -> Result<Decided> {
    let Some(wanted) = &goal.files else { return Ok(Decided::default()) };
    let (place, last) = (context.place, context.record.as_ref());
    let proven = if context.is_lost() {
        known_without_record(context.base_copies()?, wanted, goal)
    } else {
        BTreeMap::new()
    };
    let base = last.map_or(&proven, |last| &last.files);
    let mut decided = trees::decide_here(context, wanted, base, &goal.next_base, goal.stance)?;
    if goal.purge {
        for step in
            decided.steps.iter_mut().filter(|step| step.action == Action::Release && step.pre.is_some())
        {
            *step = Step { action: Action::Remove, reason: "purged", post: None, ..step.clone() };
        }
    }
    // What an uninstall leaves holds keys, too.
    let leaves_keys = goal.record.is_none() && !goal.purge;
    for step in decided.steps.iter_mut().filter(|step| leaves_keys && step.name == files::GITIGNORE) {
        *step = Step {
            action: Action::Release,
            reason: "it keeps .env out of git",
            post: step.pre,
            ..step.clone()
        };
    }
    let live = store::live_path(place, files::CONFIG);
    let behind_link = live != place.file(files::CONFIG);
    for step in decided.steps.iter_mut().filter(|step| behind_link && step.name == files::CONFIG) {
        step.path.clone_from(&live);
        if step.post.is_none() {
            step.action = Action::Release;
            step.reason = "your link leads to it; gwinstall no longer manages it";
            step.post = step.pre;
        }
    }
    Ok(decided)
}

/// Files that gwinstall deployed although the record is lost, so that other content on disk counts as an edit of the
/// user and not as a foreign file. For a rollback these are the files of the backup, which the safety backup holds
/// too; otherwise the wanted files that have a base copy in the deployment.
fn known_without_record(copies: &BaseCopies, wanted: &Wanted, goal: &Goal) -> BTreeMap<String, FileRecord> {
    if goal.stance == Stance::Restore {
        return goal.next_base.clone();
    }
    let shipped = wanted
        .iter()
        .filter(|(_, file)| file.class.keeps_base_copy() && copies.get(file.stamp.sha256).is_some());
    let record = |file: &WantedFile| FileRecord {
        sha256: file.stamp.sha256,
        mode: file.stamp.mode,
        class: file.class,
        base: file.stamp.sha256,
        offered: None,
        deleted: false,
    };
    shipped.map(|(path, file)| (path.clone(), record(file))).collect()
}

/// Adds the shipped files to the base copies, for later merges. An unedited file of a backup is one, too.
fn base_copies_step(context: &Context<'_>, goal: &Goal, decided: &Decided) -> Result<Option<Step>> {
    let shipped = |path: &String, sha256| goal.next_base.get(path).is_none_or(|next| next.base == sha256);
    let kept = goal
        .files
        .iter()
        .flatten()
        .filter(|(path, file)| file.class.keeps_base_copy() && shipped(path, file.stamp.sha256));
    let shipped: BTreeMap<_, _> = kept.map(|(_, file)| (file.stamp.sha256, Rc::clone(&file.bytes))).collect();
    if shipped.is_empty() {
        return Ok(None);
    }
    let held = context.base_copies()?;
    let needed = || {
        // Where the backups cannot be read, gwinstall does not know what they need, and keeps every copy.
        let Ok(mut needed) = backup::referenced(context.place, None) else { return held.sums() };
        let found: BTreeMap<&str, Option<Stamp>> =
            decided.steps.iter().map(|step| (step.name.as_str(), step.pre)).collect();
        let edited = |path: &str, base| {
            found.get(path).copied().flatten().is_some_and(|stamp: Stamp| stamp.sha256 != base)
        };
        // The backup that this change makes refers to what edited files are based on.
        let last = context.record.iter().flat_map(|last| backup::base_copies_of(&last.files, &edited));
        needed.extend(last.chain(backup::base_copies_of(&decided.files, &|_, _| true)));
        needed
    };
    held.with(shipped, needed).map(|copies| copies.step(context.place)).transpose()
}

/// `.env`, and its checksum in a private file of gwinstall, by which a later run knows whether `.env` changed.
fn env_steps(place: &Place, goal: &Goal) -> Result<Vec<Step>> {
    let sum = place.file(files::ENV_SUM);
    if let Some(env) = &goal.env {
        let line = format!("{}\n", Sha256::of(env.text.as_bytes()));
        return Ok(vec![
            env_step(place, env, goal.sets_a_value())?,
            step::write(files::ENV_SUM, sum, Class::Record, line.into_bytes(), 0o600)?,
        ]);
    }
    if goal.record.is_some() {
        return Ok(Vec::new());
    }
    let found = disk::find(&sum)?;
    let mut steps = vec![step::remove(files::ENV_SUM, sum, Class::Record, &found)];
    if goal.purge {
        let env = place.file(files::ENV);
        let found = disk::find(&env)?;
        steps.push(step::remove(files::ENV, env, Class::Env, &found));
    }
    Ok(steps)
}

fn env_step(place: &Place, env: &EnvFile, set: bool) -> Result<Step> {
    let path = store::live_path(place, files::ENV);
    let found = step::as_read(&path, env.read);
    // An existing file that is stricter than 0600 stays so; a looser one is tightened.
    let mode = found.stamp().map_or(0o600, |stamp| stamp.mode & 0o600);
    let step = step::write_over(files::ENV, path, Class::Env, env.text.as_bytes().to_vec(), mode, &found)?;
    let reason = if set { "the value that you give" } else { "values are yours; missing ones are added" };
    Ok(Step { reason, ..step })
}

/// The record changes only when a fact does. Its bytes come with the transaction: only then are the moment and the backup
/// known.
pub(super) fn record_step(context: &Context<'_>, record: Option<&Record>, quiet: bool) -> Result<Step> {
    let path = context.place.file(files::RECORD);
    let found = step::as_read(&path, context.record_read);
    let Some(record) = record else { return Ok(step::remove(files::RECORD, path, Class::Record, &found)) };
    let as_before = || context.record.as_ref().is_some_and(|last| last.same_facts(record));
    let unchanged = found.stamp().filter(|_| quiet && as_before());
    let post = match unchanged {
        Some(stamp) => Stamp { mode: 0o600, ..stamp },
        // Other content than before; which, the transaction knows.
        None => Stamp { sha256: Sha256::of(&[]), mode: 0o600 },
    };
    step::write_later(files::RECORD, path, Class::Record, post, &found)
}

/// gwinstall remembers a target that is not the default in its state directory.
fn pointer_step(place: &Place, deployed: bool) -> Result<Option<Step>> {
    let path = place.pointer();
    if deployed && !place.target_is_default() {
        let text = serde_json::json!({ "schema": 1, "config_dir": place.config_dir, "target": place.target });
        return step::write("pointer", path, Class::Record, format!("{text}\n").into_bytes(), 0o600)
            .map(Some);
    }
    let found = disk::find(&path)?;
    Ok((found != Found::Absent).then(|| step::remove("pointer", path, Class::Record, &found)))
}

/// Refuses to replace existing files and settings unless the user passed `--force`.
fn refuse_foreign(place: &Place, foreign_files: &[String], foreign_keys: &[KeyPath]) -> Result<()> {
    if foreign_files.is_empty() && foreign_keys.is_empty() {
        return Ok(());
    }
    let mut error = Error::new(
        Kind::Usage,
        "existing files or settings were not created by gwinstall, and nothing was changed",
    );
    if !foreign_keys.is_empty() {
        error = error.because(format!(
            "{} already sets {}",
            place.show(&place.settings()),
            paths(foreign_keys).join(", ")
        ));
    }
    if !foreign_files.is_empty() {
        error = error.because(format!(
            "{} already holds {}",
            place.show(&place.target),
            foreign_files.join(", ")
        ));
    }
    Err(error.hint(Hint::again(&["--force"]).to("replace them and keep the old ones for uninstall")))
}

/// Keys of settings.json as a person and a program read them.
pub fn paths(keys: &[KeyPath]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another program writes after gwinstall read a file: the plan uses what gwinstall read, and notices the change.
    #[test]
    fn an_edit_of_env_stands_on_what_was_read() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::in_home(home.path());
        let path = place.file(files::ENV);
        disk::create_dirs(&place.target).unwrap();
        for (read, meanwhile, holds) in [
            (Some("A=1\n"), Some("A=1\n"), true),
            (Some("A=1\n"), Some("A=2\n"), false),
            // Another program wrote the same text that gwinstall would write.
            (Some("A=1\n"), Some("A=1\nB=1\n"), false),
            (None, None, true),
            (None, Some("A=2\n"), false),
            (Some("A=1\n"), None, false),
        ] {
            let write = |text: Option<&str>| {
                let _ = disk::remove(&path);
                if let Some(text) = text {
                    disk::create(&path, text.as_bytes(), 0o600).unwrap();
                }
            };
            write(read);
            let env =
                EnvFile { text: "A=1\nB=1\n".to_owned(), read: read.map(|text| Sha256::of(text.as_bytes())) };
            write(meanwhile);
            let goal = Goal { env: Some(env), files: None, ..super::super::goals::nothing(false) };
            let draft = work_out(&Context::load(&place).unwrap(), goal).unwrap();
            assert_eq!(draft.still_holds(&place).unwrap(), holds, "{read:?} then {meanwhile:?}");
        }
    }
}
