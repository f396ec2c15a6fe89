//! The three trees of a deployment as the disk has them, given to the plan. Reads only.

use std::collections::BTreeMap;

use crate::domain::Result;
use crate::domain::plan::Step;
use crate::domain::record::FileRecord;
use crate::domain::tree::Wanted;
use crate::doors::disk;

use super::context::Context;
use super::plan::{Decided, Stance, Trees, decide};
use super::store;

/// Decides every path of `wanted` and `base` against the disk.
pub(super) fn decide_here(
    context: &Context<'_>,
    wanted: &Wanted,
    base: &BTreeMap<String, FileRecord>,
    next_base: &BTreeMap<String, FileRecord>,
    stance: Stance,
) -> Result<Decided> {
    let place = context.place;
    let trees = Trees {
        place,
        deployed: context.record.is_some(),
        wanted,
        base,
        next_base,
        found: &|path| {
            let known = wanted.get(path).map(|file| (&*file.bytes, file.stamp.sha256));
            disk::find_like(&store::live_path(place, path), known)
        },
        read: &|path| disk::read(&store::live_path(place, path), 8 << 20),
        base_copy: &|sha256| context.base_copies().ok()?.get(sha256).cloned(),
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
    let none = BTreeMap::new();
    let wanted: Wanted = wanted.get(path).map(|file| (path.to_owned(), file.clone())).into_iter().collect();
    let known = context.record.iter().flat_map(|last| last.files.get(path));
    let base = known.map(|file| (path.to_owned(), file.clone())).collect();
    let decided = decide_here(context, &wanted, &base, &none, stance)?;
    let step = decided.steps.into_iter().find(|step| step.name == path);
    match step {
        Some(Step { bytes: Some(bytes), .. }) => Ok(Some(bytes.to_vec())),
        Some(Step { post: Some(_), .. }) => {
            disk::read_maybe(&store::live_path(context.place, path), disk::TEXT_CAP)
        }
        _ => Ok(None),
    }
}
