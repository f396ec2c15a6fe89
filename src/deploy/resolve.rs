//! Conflicts that an earlier change left: the local version is in place, the new version beside it. Resolving one is a
//! change like any other: a draft for the one transaction, with a backup before it.

use crate::domain::Operation;
use crate::domain::plan::{Action, Step};
use crate::domain::record::Record;
use crate::domain::tree::{Class, Content, Found, Stamp};
use crate::domain::word::words;
use crate::domain::{Error, Hint, Place, Result, Sha256};
use crate::doors::disk;

use super::bases;
use super::context::Context;
use super::draft::{Draft, record_step};
use super::permission::{self, Rules};
use super::plan::NEW_SUFFIX;
use super::store;

words! {
    /// Which version of a file in conflict stays.
    pub enum Side {
        /// The local version, which the user edited.
        Mine = "keep-mine",
        /// The new version, which an update brought.
        New = "take-new",
    }
}

/// Paths of the record with an unresolved conflict.
pub fn open_conflicts(record: &Record) -> Vec<&str> {
    record.files.iter().filter(|(_, file)| file.offered.is_some()).map(|(path, _)| path.as_str()).collect()
}

/// The new version in a conflict: the file beside the local version, else the base copy, else what `shipped` gives. A
/// file beside it that the user edited is refused: it may hold the user's merge.
pub fn new_version(
    place: &Place,
    path: &str,
    sum: Sha256,
    shipped: &dyn Fn(&str) -> Option<Content>,
) -> Result<Vec<u8>> {
    let beside = place.file(&format!("{path}{NEW_SUFFIX}"));
    if let Found::File(stamp) = disk::find(&beside)? {
        if stamp.sha256 == sum {
            return disk::read(&beside, disk::TEXT_CAP);
        }
        return Err(edited(place, path));
    }
    let in_bundle = || shipped(path).filter(|bytes| Sha256::of(bytes) == sum).map(|bytes| bytes.to_vec());
    bases::base_copy(place, sum).map(|bytes| bytes.to_vec()).or_else(in_bundle).ok_or_else(|| {
        Error::failed(format!("the new version of {path} is gone"))
            .because(format!("{} is not there, and this bundle has another one", place.show(&beside)))
            .hint(Hint::run(&["resolve", path, "--keep-mine"]).to("keep yours"))
    })
}

/// The new version as it lies beside the local one, if it is unedited.
pub fn beside(place: &Place, path: &str, sum: Sha256) -> Option<Vec<u8>> {
    let bytes = disk::read_maybe(&place.file(&format!("{path}{NEW_SUFFIX}")), disk::TEXT_CAP).ok()??;
    (Sha256::of(&bytes) == sum).then_some(bytes)
}

fn edited(place: &Place, path: &str) -> Error {
    let (live, beside) = (place.file(path), place.file(&format!("{path}{NEW_SUFFIX}")));
    Error::failed(format!("{} was changed after gwinstall wrote it", place.show(&beside)))
        .because("it may hold a merge of yours, so it is neither taken nor removed")
        .hint(
            Hint::shell(format!("mv {1} {0}", place.paste(&live), place.paste(&beside)))
                .to("take it as it is")
                .or(Hint::run(&["resolve", path, "--keep-mine"]).to("end the conflict after that")),
        )
}

/// The draft that resolves one conflict, if the rules of the machine permit the deployment. `new` holds the bytes that
/// `new_version` returned.
pub fn draft(context: &Context<'_>, rules: &dyn Rules, path: &str, side: Side, new: &[u8]) -> Result<Draft> {
    let place = context.place;
    let mut record = context.deployed()?.clone();
    record.operation = Operation::Resolve;
    record.flags_used = Vec::new();
    record.restored_from = None;
    permission::of_deployment(rules, &record)?;
    let mut steps = Vec::new();
    if let Some(known) = record.files.get_mut(path) {
        let sum = known.offered.take().map(|sum| *sum);
        // Either way the user decided about this version: later ones are compared with it.
        known.base = sum.unwrap_or(known.base);
        if side == Side::New {
            let step = take_new(place, path, known.class, known.mode, new)?;
            let post = step.post.unwrap_or(Stamp { sha256: known.sha256, mode: known.mode });
            (known.sha256, known.mode, known.deleted) = (post.sha256, post.mode, false);
            steps.push(step);
        }
        steps.extend(remove_new_version(place, path, sum)?);
    }
    steps.push(record_step(context, Some(&record), false)?);
    let mut draft = Draft::of_steps(steps);
    draft.id = draft.plan.id(&format!("{path} {side}"));
    draft.record = Some(record);
    Ok(draft)
}

fn take_new(place: &Place, path: &str, class: Class, mode: u32, new: &[u8]) -> Result<Step> {
    let target = store::live_path(place, path);
    let found = disk::find(&target)?;
    if let Found::Other(what) = found {
        return Err(Error::failed(format!("cannot replace {}", place.show(&target)))
            .because(format!("it is {what}"))
            .hint(Hint::shell(format!("ls -ld {}", place.paste(&target))).to("look at it")));
    }
    let pre = found.stamp();
    let post = Stamp { sha256: Sha256::of(new), mode: pre.map_or(mode, |pre| pre.mode) };
    let action = match pre {
        None => Action::Create,
        Some(pre) if pre == post => Action::Same,
        Some(_) => Action::Replace,
    };
    Ok(Step {
        name: path.to_owned(),
        path: target,
        class,
        action,
        rule: 7,
        reason: "the new version, as you decided",
        pre,
        post: Some(post),
        bytes: (action != Action::Same).then(|| new.into()),
    })
}

/// Removes the new version beside the local one, if it is unedited.
fn remove_new_version(place: &Place, path: &str, sum: Option<Sha256>) -> Result<Option<Step>> {
    let name = format!("{path}{NEW_SUFFIX}");
    let beside = place.file(&name);
    match disk::find(&beside)? {
        Found::Absent => Ok(None),
        Found::File(stamp) if Some(stamp.sha256) == sum => Ok(Some(Step {
            name,
            path: beside,
            class: Class::Doc,
            action: Action::Remove,
            rule: 7,
            reason: "the conflict is over",
            pre: Some(stamp),
            post: None,
            bytes: None,
        })),
        _ => Err(edited(place, path)),
    }
}
