//! A directory of rendered files: the same three trees, rules and transaction as a deployment, in another place.
//!
//! Promise: edits of the user stay or are joined, a killed run leaves the old files or the new ones, and the directory's own
//! record, `RENDERED.json`, names every file with its hash. Never: a backup (the directory belongs under version control), a
//! file outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::domain::name::printable;
use crate::domain::place::files;
use crate::domain::plan::{Plan, Step};
use crate::domain::record::FileRecord;
use crate::domain::tree::{Class, Found, Wanted};
use crate::domain::{Error, Hint, Kind, Operation, Place, Result};
use crate::doors::{disk, system};
use crate::targets::scripts::{OPERATIONS, SECRETS};

use super::bases::{self, BaseCopies};
use super::converge;
use super::draft::Draft;
use super::journal::{COMMITTED, Journal};
use super::plan::{Decided, NEW_SUFFIX, Stance, Trees, decide};
use super::recover::{self, JOURNAL_CAP};
use super::step;
use super::store;
use super::strangers;
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
    /// Files with a conflict that stays open.
    pub open: Vec<String>,
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
        let again = format!("git -C {} checkout -- {}", place.paste(&place.target), files::RENDERED);
        Error::failed(format!("cannot read {}", place.show(&path)))
            .because(error.to_string())
            .hint(Hint::shell(again).to("take the last committed one"))
    })?;
    if let Some(name) = record.files.keys().find(|name| !is_rendered_name(name)) {
        return Err(Error::failed(format!("{} names a file that render never writes", place.show(&path)))
            .because(printable(name))
            .hint(Hint::step("take the last version of it that you trust")));
    }
    if record.schema > SCHEMA {
        return Err(Error::failed(format!("{} was written by a newer gwinstall", place.show(&path)))
            .hint(Hint::run(&["self-update"])));
    }
    Ok(Some(record))
}

/// Whether a name of the record is a path below the directory that render writes. The record is under version control, so other
/// people write it too.
fn is_rendered_name(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    is_inside(Path::new(name))
        && !name.starts_with(".gwinstall/")
        && ![files::RENDERED, SECRETS, OPERATIONS].contains(&last)
}

/// Whether a path relative to the directory stays in it.
fn is_inside(path: &Path) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    path != Path::new("") && path.components().all(plain)
}

/// Refuses a directory that is not one of its own, or in which other users can write.
fn require_usable(place: &Place) -> Result<()> {
    let target = &place.target;
    if target.components().count() < 3 || *target == place.home {
        return Err(Error::usage(format!("{} cannot hold rendered files", place.show(target)))
            .hint(Hint::step("give a directory of its own, for example: --out gateway")));
    }
    strangers::require_none_at(place)?;
    refuse_links(place, [place.own(), place.transactions()])
}

/// Refuses to write through a link: it may lead out of the directory.
fn refuse_links(place: &Place, directories: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    let Some(link) = directories.into_iter().find(|dir| disk::link_target(dir).is_some()) else {
        return Ok(());
    };
    Err(Error::usage(format!("{} is a link, and nothing was changed", place.show(&link)))
        .because("render writes into its own directory only")
        .hint(Hint::shell(format!("ls -ld {}", place.paste(&link))).to("look at it")))
}

/// The directories between a file and the rendered one, innermost first.
fn directories_of<'a>(place: &'a Place, path: &'a Path) -> impl Iterator<Item = &'a Path> {
    path.ancestors().skip(1).take_while(|dir| *dir != place.target && dir.starts_with(&place.target))
}

/// Finishes or undoes what an interrupted run left in a directory that render may write to.
pub fn recover(place: &Place, lock_wait: u64) -> Result<()> {
    require_usable(place)?;
    require_own_journals(place)?;
    converge::recover_first(place, Operation::Render, lock_wait).map(|_| ())
}

/// Refuses a journal that leads out of the directory. A deployment is private; this directory is under version control, so the
/// journal may be from anybody.
fn require_own_journals(place: &Place) -> Result<()> {
    let ids = disk::list(&place.transactions())?;
    let transactions: Vec<PathBuf> = ids.iter().map(|id| place.transactions().join(id)).collect();
    refuse_links(place, transactions.clone())?;
    let committed = transactions.iter().map(|dir| dir.join(COMMITTED));
    for path in [place.journal()].into_iter().chain(committed) {
        let journal = disk::read_maybe(&path, JOURNAL_CAP)?.and_then(|bytes| Journal::parse(&bytes));
        let stays = |journal: &Journal| {
            let below = |dir: &PathBuf| dir.strip_prefix(&place.target).is_ok_and(is_inside);
            let made = |dir: &PathBuf| *dir == place.target || place.target.starts_with(dir) || below(dir);
            is_inside(Path::new(&journal.id))
                && journal.steps.iter().all(|step| is_inside(&step.path))
                && journal.directories.iter().all(made)
        };
        if !journal.as_ref().is_none_or(stays) {
            let own = place.paste(&place.own());
            return Err(Error::failed(format!("{} leads out of this directory", place.show(&path)))
                .because("render did not write it, and nothing was changed")
                .hint(Hint::shell(format!("rm -r {own}/journal {own}/txn")).to("remove it")));
        }
    }
    Ok(())
}

/// Works out what changes. Reads only.
pub fn work_out(place: Place, goal: Goal) -> Result<Work> {
    let last = record(&place)?;
    let mut base = last.as_ref().map_or_else(BTreeMap::new, |last| last.files.clone());
    let removed = resolve(&place, &mut base, &goal)?;
    let none = BTreeMap::new();
    let copies = BaseCopies::read(&place)?;
    let trees = Trees {
        place: &place,
        deployed: last.is_some(),
        wanted: &goal.files,
        base: &base,
        next_base: &none,
        found: &|path| disk::find(&place.file(path)),
        read: &|path| disk::read(&place.file(path), TEXT_CAP),
        base_copy: &|sha256| copies.get(sha256).cloned(),
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
    let kept = goal.files.values().filter(|file| file.class.keeps_base_copy());
    let kept = kept.map(|file| (file.stamp.sha256, Rc::clone(&file.bytes))).collect();
    if let Some(copies) = copies.with(kept, || copies.sums()) {
        steps.push(copies.step(&place)?);
    }
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
    let open = record
        .files
        .iter()
        .filter(|(_, file)| file.offered.is_some())
        .map(|(name, _)| name.clone())
        .collect();
    Ok(Work { place, draft: Draft::of_steps(steps), open })
}

/// Ends every open conflict of `base`: the new version (then the user's is an edit) or the user's (then it is replaced) counts as
/// rendered last. Returns the steps that remove the files beside them.
fn resolve(place: &Place, base: &mut BTreeMap<String, FileRecord>, goal: &Goal) -> Result<Vec<Step>> {
    let mut removed = Vec::new();
    let Some(side) = goal.resolve else { return Ok(removed) };
    for (path, file) in base.iter_mut() {
        let offered = file.offered.as_deref().copied();
        let (Some(offered), Some(wanted)) = (offered, goal.files.get(path)) else { continue };
        file.base = match (side, disk::find(&place.file(path))?) {
            (Side::New, Found::File(local)) => local.sha256,
            _ => wanted.stamp.sha256,
        };
        file.offered = None;
        let name = format!("{path}{NEW_SUFFIX}");
        let beside = place.file(&name);
        let found = disk::find(&beside)?;
        if found.stamp().is_some_and(|stamp| stamp.sha256 == offered) {
            removed.push(step::remove(&name, beside, Class::Doc, &found));
        }
    }
    Ok(removed)
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
        let changes = self.draft.plan.changes().flat_map(|step| directories_of(&self.place, &step.path));
        let directories: BTreeSet<PathBuf> = changes.map(Path::to_path_buf).collect();
        refuse_links(&self.place, directories.clone())?;
        let new: Vec<PathBuf> = directories.into_iter().filter(|dir| !disk::exists(dir)).collect();
        carry_out(&self.place, &self.draft, lock_wait)?;
        // A container, nginx or the account of a service reads them, and no secret is in them.
        for dir in new.iter().filter(|dir| disk::is_dir(dir)) {
            disk::set_mode(dir, 0o755).map_err(|error| disk::failure("change the mode of", dir, &error))?;
        }
        Ok(self.draft.plan)
    }
}

/// Writes private files below the directory, all or none; returns how many changed.
pub fn write_private(place: &Place, files: Vec<(PathBuf, String)>, lock_wait: u64) -> Result<usize> {
    for (path, _) in &files {
        refuse_links(place, directories_of(place, path).map(Path::to_path_buf))?;
    }
    let step = |(path, text): (PathBuf, String)| {
        if let Some((owner, _)) = disk::owner(&path).filter(|(owner, _)| *owner != system::user_id()) {
            return Err(Error::usage(format!(
                "{} belongs to {}",
                place.show(&path),
                system::name_of_user(owner)
            ))
            .hint(Hint::step("run it as that user, or in the directory that you rendered")));
        }
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
    let record = record(place)?;
    let needed = record.iter().flat_map(|record| record.files.values()).map(|file| file.base).collect();
    bases::keep_only(place, &needed)
}
