//! A directory of rendered files: the same three trees, rules and transaction as a deployment, in another place.
//!
//! Promise: edits of the user stay or are joined, a killed run leaves the old files or the new ones, and the directory's own
//! record, `RENDERED.json`, names every file with its hash. Never: a backup (the directory belongs under version control), a
//! file outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::domain::place::files;
use crate::domain::plan::{Plan, Step};
use crate::domain::record::FileRecord;
use crate::domain::tree::{Class, Content, Found, Wanted};
use crate::domain::{Error, Hint, Kind, Operation, Place, Result, Sha256};
use crate::doors::disk;
use crate::doors::system;

use super::converge;
use super::draft::Draft;
use super::plan::{Decided, NEW_SUFFIX, Stance, Trees, decide};
use super::recover;
use super::step;
use super::store::{self, BaseCopy};
use super::times::Times;
use super::transaction::{Conditions, Failure, Transaction, Undo};

const SCHEMA: u32 = 1;
const TEXT_CAP: u64 = 8 << 20;

/// `RENDERED.json`. It holds no moment: the same request gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    pub schema: u32,
    /// The target, or `all`.
    pub target: String,
    /// The environment whose values were used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Version of the configuration.
    pub version: String,
    pub files: BTreeMap<String, FileRecord>,
}

/// What is to be in the directory.
pub struct Goal {
    pub target: String,
    pub environment: Option<String>,
    pub version: String,
    pub files: Wanted,
    /// Whether a file that gwinstall did not render is replaced.
    pub force: bool,
    /// How every open conflict ends; `None`: it stays open.
    pub resolve: Option<Side>,
}

/// The version that stays where both sides changed a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Mine,
    New,
}

/// The plan for one directory.
pub struct Work {
    place: Place,
    draft: Draft,
}

/// The place of a rendered directory. `home` is only for the paths in messages.
pub fn place(home: &Path, directory: &Path) -> Place {
    Place {
        home: home.to_owned(),
        config_dir: directory.to_owned(),
        target: directory.to_owned(),
        state_dir: directory.join(".gwinstall"),
        staged: true,
    }
}

/// The record of a directory; `None` where nothing was rendered.
pub fn record(place: &Place) -> Result<Option<Rendered>> {
    let path = place.file(files::RENDERED);
    let Some(bytes) = disk::read_maybe(&path, TEXT_CAP)? else { return Ok(None) };
    let record: Rendered = serde_json::from_slice(&bytes).map_err(|error| {
        Error::failed(format!("cannot read {}", place.show(&path))).because(error.to_string()).hint(
            Hint::shell(format!("git checkout -- {}", files::RENDERED)).to("take the last committed one"),
        )
    })?;
    if record.schema > SCHEMA {
        return Err(Error::failed(format!("{} was written by a newer gwinstall", place.show(&path)))
            .hint(Hint::run(&["self-update"])));
    }
    Ok(Some(record))
}

/// Works out what changes. Reads only.
pub fn work_out(place: Place, goal: Goal) -> Result<Work> {
    let last = record(&place)?;
    let mut base = last.as_ref().map_or_else(BTreeMap::new, |last| last.files.clone());
    let removed = resolve(&place, &mut base, &goal)?;
    let none = BTreeMap::new();
    let trees = Trees {
        place: &place,
        deployed: last.is_some(),
        wanted: &goal.files,
        base: &base,
        next_base: &none,
        found: &|path| disk::find(&place.file(path)),
        read: &|path| disk::read(&place.file(path), TEXT_CAP),
        base_copy: &|sha256| store::base_copy(&place, sha256),
    };
    let Decided { mut steps, files, foreign } = decide(&trees, Stance::Deploy { force: goal.force })?;
    if !foreign.is_empty() {
        return Err(Error::usage(format!(
            "{} holds files that gwinstall did not render",
            place.show(&place.target)
        ))
        .because(foreign.join(", "))
        .hint(Hint::again(&["--force"]).to("replace them; each stays beside the new one")));
    }
    steps.extend(removed);
    let base_copies = base_copies(&place, &goal.files);
    let record = Rendered {
        schema: SCHEMA,
        target: goal.target,
        environment: goal.environment,
        version: goal.version,
        files,
    };
    steps.push(step::write(
        files::RENDERED,
        place.file(files::RENDERED),
        Class::Record,
        store::pretty(&record)?,
        0o644,
    )?);
    let mut draft = Draft::of_steps(steps);
    draft.base_copies = base_copies;
    Ok(Work { place, draft })
}

/// Ends every open conflict of `base`: the new version (then the user's is an edit) or the user's (then it is replaced) counts as
/// rendered last. Returns the steps that remove the files beside them.
fn resolve(place: &Place, base: &mut BTreeMap<String, FileRecord>, goal: &Goal) -> Result<Vec<Step>> {
    let mut removed = Vec::new();
    let Some(side) = goal.resolve else { return Ok(removed) };
    for (path, file) in base.iter_mut() {
        let (Some(offered), Some(wanted)) = (file.offered, goal.files.get(path)) else { continue };
        file.base = match (side, disk::find(&place.file(path))?) {
            (Side::New, Found::File(local)) => local.sha256,
            _ => wanted.stamp.sha256,
        };
        file.offered = None;
        let name = format!("{path}{NEW_SUFFIX}");
        let beside = place.file(&name);
        if disk::find(&beside)?.stamp().is_some_and(|stamp| stamp.sha256 == offered) {
            removed.push(step::remove(&name, beside, Class::Doc)?);
        }
    }
    Ok(removed)
}

fn base_copies(place: &Place, files: &Wanted) -> Vec<BaseCopy> {
    let kept = files.values().filter(|file| file.class.keeps_base_copy());
    let copies: BTreeMap<Sha256, &Content> = kept.map(|file| (file.stamp.sha256, &file.bytes)).collect();
    let missing = |(sha256, bytes): &(Sha256, &Content)| !store::has_base_copy(place, *sha256, bytes.len());
    copies
        .into_iter()
        .filter(missing)
        .map(|(sha256, bytes)| BaseCopy {
            path: store::base_copy_path(place, sha256),
            bytes: Rc::clone(bytes),
        })
        .collect()
}

impl Work {
    pub fn plan(&self) -> &Plan {
        &self.draft.plan
    }

    /// Whether every file is as it was rendered, or as the user left it.
    pub fn changes_nothing(&self) -> bool {
        self.draft.plan.is_empty()
    }

    /// Writes the files, all or none.
    pub fn carry_out(self, lock_wait: u64) -> Result<Plan> {
        carry_out(&self.place, &self.draft, lock_wait)?;
        Ok(self.draft.plan)
    }
}

/// Writes private files below the directory, all or none; returns how many changed.
pub fn write_private(place: &Place, files: Vec<(PathBuf, String)>, lock_wait: u64) -> Result<usize> {
    let step = |(path, text): (PathBuf, String)| {
        let name = path.strip_prefix(&place.target).unwrap_or(&path).to_string_lossy().into_owned();
        step::write(&name, path, Class::Env, text.into_bytes(), 0o600)
    };
    let draft = Draft::of_steps(files.into_iter().map(step).collect::<Result<_>>()?);
    let changed = draft.plan.changes().count();
    if changed > 0 {
        carry_out(place, &draft, lock_wait)?;
    }
    Ok(changed)
}

fn carry_out(place: &Place, draft: &Draft, lock_wait: u64) -> Result<()> {
    converge::recover_first(place, Operation::Render, lock_wait)?;
    let held = converge::lock(place, Operation::Render, lock_wait)?;
    let done = write(place, draft, &held);
    drop(held);
    // The lock, and the directories of a run that was refused.
    recover::leave_no_trace(place);
    done
}

fn write(place: &Place, draft: &Draft, held: &converge::Held) -> Result<()> {
    if !draft.still_holds(place)? {
        return Err(Error::new(Kind::Busy, "the files changed meanwhile, and nothing was changed")
            .hint(Hint::again::<&str>(&[])));
    }
    let times = Times::default();
    let transaction = Transaction::new(place, Operation::Render, draft, system::now(), held.made(), &times);
    let conditions = Conditions { staged: &|_| Ok(()), live: &|| Ok(()), gate: None };
    transaction.carry_out(&conditions).map_err(|Failure { error, undo }| match undo {
        Undo::RollbackFailed => error.of_kind(Kind::Leftovers),
        Undo::RolledBack | Undo::NotNeeded => error,
    })?;
    drop_old_base_copies(place)
}

/// Base copies that no file of the record is based on.
fn drop_old_base_copies(place: &Place) -> Result<()> {
    let needed: BTreeSet<String> = record(place)?
        .map(|record| record.files.values().map(|file| file.base.to_string()).collect())
        .unwrap_or_default();
    for name in disk::list(&place.base_copies())?.iter().filter(|name| !needed.contains(*name)) {
        let path = place.base_copies().join(name);
        disk::remove(&path).map_err(|error| disk::failure("remove", &path, &error))?;
    }
    Ok(())
}
