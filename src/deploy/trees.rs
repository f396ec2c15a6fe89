//! The three trees of a deployment as the disk has them, given to the plan. Reads only.

use std::collections::BTreeMap;

use crate::domain::plan::Step;
use crate::domain::record::FileRecord;
use crate::domain::tree::Wanted;
use crate::domain::{Place, Result};
use crate::doors::disk;

use super::context::Context;
use super::plan::{Decided, Stance, Trees, decide};
use super::store;

/// Decides every path of `wanted` and `base` against the disk.
pub(super) fn decide_here(
    place: &Place,
    wanted: &Wanted,
    base: &BTreeMap<String, FileRecord>,
    next_base: &BTreeMap<String, FileRecord>,
    stance: Stance,
) -> Result<Decided> {
    let trees = Trees {
        place,
        wanted,
        base,
        next_base,
        found: &|path| disk::find(&place.file(path)),
        read: &|path| disk::read(&place.file(path), 8 << 20),
        base_copy: &|sha256| store::base_copy(place, sha256),
    };
    decide(&trees, stance)
}

/// The bytes of one file after an operation that deploys `wanted`; `None` if there is none.
pub(super) fn file_after(
    context: &Context<'_>,
    wanted: &Wanted,
    stance: Stance,
    path: &str,
) -> Result<Option<Vec<u8>>> {
    let (place, none) = (context.place, BTreeMap::new());
    let wanted: Wanted = wanted.get(path).map(|file| (path.to_owned(), file.clone())).into_iter().collect();
    let known = context.record.iter().flat_map(|last| last.files.get(path));
    let base = known.map(|file| (path.to_owned(), file.clone())).collect();
    let decided = decide_here(place, &wanted, &base, &none, stance)?;
    let step = decided.steps.into_iter().find(|step| step.name == path);
    match step {
        Some(Step { bytes: Some(bytes), .. }) => Ok(Some(bytes.to_vec())),
        Some(Step { post: Some(_), .. }) => disk::read_maybe(&place.file(path), disk::TEXT_CAP),
        _ => Ok(None),
    }
}
