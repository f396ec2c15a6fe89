//! Chooses, per file, what happens: a pure function of the three trees base (as last shipped), local (on disk) and new
//! (wanted). The numbers are the rows of the decision table in the README and are printed with the plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::plan::{Action, Step};
use crate::domain::record::FileRecord;
use crate::domain::tree::{Class, Content, Found, Stamp, Wanted, WantedFile};
use crate::domain::{Error, Kind, Place, Result, Sha256};
use crate::format::merge::{Merged, three_way, three_way_yaml};

/// Suffix of the new version of a file, beside a local version that stays.
pub const NEW_SUFFIX: &str = ".gwinstall-new";
/// Suffix of a foreign file that `--force` moved aside.
pub const OLD_SUFFIX: &str = ".gwinstall-old";
/// At least as many as the steps of files that the three trees do not have: the record, `.env`, settings and what belongs
/// to them.
const OTHER_STEPS: usize = 16;
/// Why a file of `OLD_SUFFIX` is renamed back.
pub const RENAMED_BACK: &str = "the file that was here before is back";

/// What a difference between the wanted tree and the disk means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// gwinstall keeps or merges edits of the user, and takes over foreign files only with `force`.
    Deploy { force: bool },
    /// The wanted tree is a past state of this deployment: gwinstall restores it as it was.
    Restore,
}

/// The three trees, and access to the bytes of their files.
pub struct Trees<'a> {
    pub place: &'a Place,
    /// Whether there is a deployment already, so that a file of the user's must not block what is only newly shipped.
    pub deployed: bool,
    pub wanted: &'a Wanted,
    /// Files of the last record.
    pub base: &'a BTreeMap<String, FileRecord>,
    /// The next base of each wanted file, where that is not the wanted content itself (from the record of a backup).
    pub next_base: &'a BTreeMap<String, FileRecord>,
    pub found: &'a dyn Fn(&str) -> Result<Found>,
    /// Bytes on disk of a file.
    pub read: &'a dyn Fn(&str) -> Result<Vec<u8>>,
    /// The base copy of a shipped file, by its hash.
    pub base_copy: &'a dyn Fn(Sha256) -> Option<Content>,
}

/// Steps, the file part of the next record, and foreign files in the way.
#[derive(Debug, Default)]
pub struct Decided {
    pub steps: Vec<Step>,
    pub files: BTreeMap<String, FileRecord>,
    pub foreign: Vec<String>,
}

/// Decides every path of the three trees.
pub fn decide(trees: &Trees<'_>, stance: Stance) -> Result<Decided> {
    let paths: BTreeSet<&String> = trees.wanted.keys().chain(trees.base.keys()).collect();
    // With room for the steps of other files, so that they do not move all these.
    let mut decided = Decided { steps: Vec::with_capacity(paths.len() + OTHER_STEPS), ..Decided::default() };
    for path in paths {
        let file = File {
            trees,
            path,
            wanted: trees.wanted.get(path),
            base: trees.base.get(path),
            found: (trees.found)(path)?,
        };
        match stance {
            Stance::Deploy { force } => file.deploy(force, &mut decided)?,
            Stance::Restore => file.restore(&mut decided)?,
        }
    }
    Ok(decided)
}

/// The mode that a file keeps (rule 13): never more permissions than gwinstall ships it with, and fewer where the user
/// removed some, except that users who can read a script can run it. Reference material keeps its local mode.
fn stricter(local: u32, wanted: &WantedFile) -> u32 {
    if !wanted.class.guards_mode() {
        return local;
    }
    let both = local & wanted.stamp.mode;
    let runs = wanted.stamp.mode & 0o100 != 0;
    if runs && both & 0o100 == 0 { both | 0o100 | (both & 0o444) >> 2 } else { both }
}

struct File<'a> {
    trees: &'a Trees<'a>,
    path: &'a str,
    wanted: Option<&'a WantedFile>,
    base: Option<&'a FileRecord>,
    found: Found,
}

impl File<'_> {
    fn deploy(&self, force: bool, decided: &mut Decided) -> Result<()> {
        let Some(wanted) = self.wanted else {
            return self.no_longer_shipped(decided);
        };
        let (local, shipped) = (self.found.stamp(), self.base.map(|base| base.base));
        let newer = shipped.is_some_and(|shipped| shipped != wanted.stamp.sha256);
        match (&self.found, local) {
            (Found::Other(_), _) => {
                self.keep(12, Action::Keep, "not a regular file: kept, not followed", decided)
            }
            (Found::Absent, _) if shipped.is_none() => self.write(1, Action::Create, "new", decided),
            (Found::Absent, _) if wanted.class.is_required() => {
                self.write(
                    if newer { 9 } else { 8 },
                    Action::Create,
                    "it was deleted, and the gateway needs it",
                    decided,
                );
            }
            (Found::Absent, _) => self.stay_deleted(if newer { 9 } else { 8 }, wanted, decided),
            (_, Some(local)) if local.sha256 == wanted.stamp.sha256 => self.same(local, shipped, decided),
            (_, Some(local)) if shipped == Some(local.sha256) => {
                self.write(4, Action::Replace, "newer version", decided)
            }
            _ if shipped.is_none() && self.trees.deployed && !wanted.class.is_required() && !force => {
                let reason = "a file of yours is here; `install --force` would replace it";
                self.step(3, Action::Keep, reason, local, None, decided);
            }
            _ if shipped.is_none() && force => self.take_over(3, "taken over with --force", decided)?,
            _ if shipped.is_none() => decided.foreign.push(self.path.to_owned()),
            _ if newer || self.open_conflict() == Some(wanted.stamp.sha256) => {
                self.both_changed(wanted, decided)?
            }
            _ => {
                self.keep(5, Action::Keep, "your edit", decided);
                self.remove_new_version(decided);
            }
        }
        Ok(())
    }

    /// The new version that an unresolved conflict offers.
    fn open_conflict(&self) -> Option<Sha256> {
        self.base.and_then(|base| base.offered.as_deref().copied())
    }

    /// Restores a past state over any local file (the safety backup holds files that gwinstall deployed, a foreign
    /// file stays beside the restored one), but never over something that is not a file.
    fn restore(&self, decided: &mut Decided) -> Result<()> {
        let Some(wanted) = self.wanted else { return self.no_longer_shipped(decided) };
        match self.found {
            Found::Other(_) => self.keep(12, Action::Keep, "not a regular file: kept, not followed", decided),
            Found::Absent => self.write(14, Action::Create, "restored", decided),
            Found::File(local) if local == wanted.stamp => self.keep(14, Action::Same, "as it was", decided),
            Found::File(local) if local.sha256 == wanted.stamp.sha256 => {
                self.step(14, Action::Chmod, "permissions restored", Some(wanted.stamp), None, decided);
                self.record(wanted.stamp, decided);
            }
            // No backup holds a file that gwinstall did not deploy.
            Found::File(_) if self.base.is_none() => {
                self.take_over(14, "restored; the file that was here is beside it", decided)?;
            }
            Found::File(_) => self.write(14, Action::Replace, "restored", decided),
        }
        self.restore_conflict(decided)
    }

    /// A conflict that was open in the restored state is open again, and one that began later is over.
    fn restore_conflict(&self, decided: &mut Decided) -> Result<()> {
        let Some(then) = self.trees.next_base.get(self.path).and_then(|then| then.offered.as_deref()) else {
            self.remove_new_version(decided);
            return Ok(());
        };
        match (self.trees.base_copy)(*then) {
            Some(bytes) => {
                let mode = self.wanted.map_or(0o600, |wanted| wanted.stamp.mode);
                self.offer(&bytes, Stamp { sha256: *then, mode }, decided)
            }
            None => Ok(()),
        }
    }

    fn no_longer_shipped(&self, decided: &mut Decided) -> Result<()> {
        let Some(base) = self.base else { return Ok(()) };
        let unedited = self.found.stamp().is_none_or(|local| local.sha256 == base.base);
        if unedited && !matches!(self.found, Found::Other(_)) && self.restore_old_file(decided)? {
            self.remove_new_version(decided);
            return Ok(());
        }
        match self.found {
            Found::Absent => {}
            Found::File(local) if local.sha256 == base.base => {
                self.step(10, Action::Remove, "no longer part of it", None, None, decided);
            }
            _ => {
                let kept = self.found.stamp();
                self.step(
                    11,
                    Action::Release,
                    "you edited it; gwinstall no longer manages it",
                    kept,
                    None,
                    decided,
                );
            }
        }
        self.remove_new_version(decided);
        Ok(())
    }

    /// An uninstall renames the file back that `--force` moved aside.
    fn restore_old_file(&self, decided: &mut Decided) -> Result<bool> {
        let old = format!("{}{OLD_SUFFIX}", self.path);
        if !self.trees.wanted.is_empty() {
            return Ok(false);
        }
        let Some(stamp) = (self.trees.found)(&old)?.stamp() else { return Ok(false) };
        let bytes = (self.trees.read)(&old)?;
        let action = if self.found == Found::Absent { Action::Create } else { Action::Replace };
        self.step(10, action, RENAMED_BACK, Some(stamp), Some(bytes.into()), decided);
        self.extra(&old, Action::Remove, RENAMED_BACK, Some(stamp), None, None, decided);
        Ok(true)
    }

    fn same(&self, local: Stamp, shipped: Option<Sha256>, decided: &mut Decided) {
        let Some(wanted) = self.wanted else { return };
        let mode = stricter(local.mode, wanted);
        let (rule, reason) = match shipped {
            None => (2, "already as wanted"),
            Some(shipped) if shipped == wanted.stamp.sha256 => (4, "unchanged"),
            Some(_) => (6, "already as wanted"),
        };
        let post = if mode != local.mode {
            let post = Stamp { mode, ..local };
            let reason =
                if mode & !local.mode == 0 { "others could change it" } else { "it must be executable" };
            self.step(13, Action::Chmod, reason, Some(post), None, decided);
            post
        } else {
            self.step(rule, Action::Same, reason, Some(local), None, decided);
            local
        };
        self.record(post, decided);
        self.remove_new_version(decided);
    }

    fn write(&self, rule: u8, action: Action, reason: &'static str, decided: &mut Decided) {
        let Some(wanted) = self.wanted else { return };
        let stamp = Stamp { mode: self.mode_of_newer(wanted, rule), ..wanted.stamp };
        self.step(rule, action, reason, Some(stamp), Some(wanted.bytes.clone()), decided);
        self.record(stamp, decided);
        self.remove_new_version(decided);
    }

    /// Permissions that the user tightened stay tight when a newer version comes (rule 13).
    fn mode_of_newer(&self, wanted: &WantedFile, rule: u8) -> u32 {
        match self.found.stamp() {
            Some(local) if rule == 4 => stricter(local.mode, wanted),
            _ => wanted.stamp.mode,
        }
    }

    fn keep(&self, rule: u8, action: Action, reason: &'static str, decided: &mut Decided) {
        self.step(rule, action, reason, self.found.stamp(), None, decided);
        if let Some(wanted) = self.wanted {
            let stamp = self.found.stamp().unwrap_or(wanted.stamp);
            self.record(stamp, decided);
            if let (Found::Other(_), Some(record)) = (&self.found, decided.files.get_mut(self.path)) {
                record.deleted = true;
            }
        }
    }

    fn stay_deleted(&self, rule: u8, wanted: &WantedFile, decided: &mut Decided) {
        self.step(rule, Action::StayDeleted, "you deleted it", None, None, decided);
        self.record(wanted.stamp, decided);
        if let Some(record) = decided.files.get_mut(self.path) {
            record.deleted = true;
        }
        self.remove_new_version(decided);
    }

    /// Replaces a foreign file with the new version and keeps it beside that.
    fn take_over(&self, rule: u8, reason: &'static str, decided: &mut Decided) -> Result<()> {
        let old = format!("{}{OLD_SUFFIX}", self.path);
        if (self.trees.found)(&old)? != Found::Absent {
            return Err(Error::new(Kind::Usage, format!("cannot take over {}", self.path))
                .because(format!("{old} is there already, from an earlier --force"))
                .hint(format!(
                    "move it away: mv {0} {0}-1",
                    self.trees.place.paste(&self.trees.place.file(&old))
                )));
        }
        let bytes = (self.trees.read)(self.path)?;
        let mode = self.found.stamp().map_or(0o600, |stamp| stamp.mode);
        let stamp = Stamp { sha256: Sha256::of(&bytes), mode };
        self.extra(
            &old,
            Action::Create,
            "the file that was here before",
            None,
            Some(stamp),
            Some(bytes.into()),
            decided,
        );
        self.write(rule, Action::Replace, reason, decided);
        Ok(())
    }

    /// Both sides changed the file: merges it if the merge is clean, else keeps the local version and writes the new
    /// one beside it. The base stays what was delivered, so that a later version is merged with that.
    fn both_changed(&self, wanted: &WantedFile, decided: &mut Decided) -> Result<()> {
        let open = self.open_conflict();
        if let Some(merged) = self.merge(wanted)? {
            let mode = self.found.stamp().map_or(wanted.stamp.mode, |local| stricter(local.mode, wanted));
            let stamp = Stamp { sha256: Sha256::of(&merged), mode };
            let reason = match open {
                None => "both sides changed it; merged",
                Some(_) => "both sides changed it; merged, and its conflict is over",
            };
            let (action, bytes) = match self.found.stamp() {
                Some(local) if local == stamp => (Action::Same, None),
                _ => (Action::Merge, Some(merged.into())),
            };
            self.step(7, action, reason, Some(stamp), bytes, decided);
            self.record(stamp, decided);
            self.remove_new_version(decided);
            return Ok(());
        }
        let local = self.found.stamp();
        if open == Some(wanted.stamp.sha256) {
            let reason = "its conflict is open: yours stays until you resolve it";
            self.step(7, Action::Keep, reason, local, None, decided);
        } else {
            let reason = "you and the update both changed it: yours stays, the new version is beside it";
            self.step(7, Action::Conflict, reason, local, None, decided);
            self.offer(&wanted.bytes, wanted.stamp, decided)?;
        }
        self.record(local.unwrap_or(wanted.stamp), decided);
        if let (Some(record), Some(delivered)) = (decided.files.get_mut(self.path), self.base) {
            record.base = delivered.base;
            record.offered = Some(Box::new(wanted.stamp.sha256));
        }
        Ok(())
    }

    /// Writes a new version beside the local one. A file there that gwinstall did not write, or that the user edited,
    /// may hold the user's merge and stays.
    fn offer(&self, bytes: &Content, stamp: Stamp, decided: &mut Decided) -> Result<()> {
        let name = format!("{}{NEW_SUFFIX}", self.path);
        let action = match (self.trees.found)(&name)? {
            Found::Absent => Action::Create,
            Found::File(pre) if Some(pre.sha256) == self.open_conflict() && pre.sha256 != stamp.sha256 => {
                Action::Replace
            }
            _ => return Ok(()),
        };
        let pre = (self.trees.found)(&name)?.stamp();
        self.extra(&name, action, "the new version", pre, Some(stamp), Some(bytes.clone()), decided);
        Ok(())
    }

    fn merge(&self, wanted: &WantedFile) -> Result<Option<Vec<u8>>> {
        if !wanted.class.keeps_base_copy() {
            return Ok(None);
        }
        // A record of gwinstall 1.0.0 names an offered version as the base, and what was delivered is not known.
        let delivered = self.base.map(|base| base.base).filter(|base| self.open_conflict() != Some(*base));
        let Some(base) = delivered.and_then(self.trees.base_copy) else { return Ok(None) };
        let local = (self.trees.read)(self.path)?;
        let (Ok(base), Ok(local), Ok(new)) =
            (str::from_utf8(&base), str::from_utf8(&local), str::from_utf8(&wanted.bytes))
        else {
            return Ok(None);
        };
        let merged = if wanted.class == Class::Config {
            three_way_yaml(base, local, new)
        } else {
            three_way(base, local, new)
        };
        Ok(match merged {
            Merged::Clean(text) => Some(text.into_bytes()),
            Merged::Conflict(_) => None,
        })
    }

    /// Removes the new version that an earlier conflict left, if the user did not edit it.
    fn remove_new_version(&self, decided: &mut Decided) {
        let Some(offered) = self.open_conflict() else { return };
        let new_version = format!("{}{NEW_SUFFIX}", self.path);
        if let Ok(Found::File(stamp)) = (self.trees.found)(&new_version)
            && stamp.sha256 == offered
        {
            self.extra(
                &new_version,
                Action::Remove,
                "the conflict is over",
                Some(stamp),
                None,
                None,
                decided,
            );
        }
    }

    fn step(
        &self,
        rule: u8,
        action: Action,
        reason: &'static str,
        post: Option<Stamp>,
        bytes: Option<Content>,
        decided: &mut Decided,
    ) {
        let class =
            self.wanted.map(|wanted| wanted.class).or(self.base.map(|base| base.class)).unwrap_or(Class::Doc);
        decided.steps.push(Step {
            name: self.path.to_owned(),
            path: self.trees.place.file(self.path),
            class,
            action,
            rule,
            reason,
            pre: self.found.stamp(),
            post,
            bytes,
        });
    }

    #[allow(clippy::too_many_arguments)]
    fn extra(
        &self,
        name: &str,
        action: Action,
        reason: &'static str,
        pre: Option<Stamp>,
        post: Option<Stamp>,
        bytes: Option<Content>,
        decided: &mut Decided,
    ) {
        let rule = decided.steps.last().map_or(3, |step| step.rule);
        let class = Class::Doc;
        decided.steps.push(Step {
            name: name.to_owned(),
            path: self.trees.place.file(name),
            class,
            action,
            rule,
            reason,
            pre,
            post,
            bytes,
        });
    }

    fn record(&self, stamp: Stamp, decided: &mut Decided) {
        let Some(wanted) = self.wanted else { return };
        let next = self.trees.next_base.get(self.path);
        let base = next.map_or(wanted.stamp.sha256, |next| next.base);
        let offered = next.and_then(|next| next.offered.clone());
        let record = FileRecord {
            sha256: stamp.sha256,
            mode: stamp.mode,
            class: wanted.class,
            base,
            offered,
            deleted: false,
        };
        decided.files.insert(self.path.to_owned(), record);
    }
}
