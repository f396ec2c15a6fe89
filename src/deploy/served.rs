//! The models that the gateway serves after an operation: read from the configuration as the plan leaves it.
//!
//! A user's edit may stay where the bundle has another text, so what was asked for does not say what is served. Claude
//! Code is pointed only at names that are. Reads only.

use crate::domain::Result;
use crate::domain::place::files;
use crate::domain::tree::Wanted;
use crate::doors::disk;
use crate::format::litellm::Served;
use crate::render::Choice;

use super::context::Context;
use super::plan::Stance;
use super::{store, trees};

/// What the configuration serves after an operation that deploys `wanted` (`None`: no file changes). `None` where that is
/// what was asked for: the text is the one that was made from it, or this machine runs no gateway. Also where the text
/// does not parse: a check refuses that later.
pub(super) fn after(
    context: &Context<'_>,
    wanted: Option<&Wanted>,
    stance: Stance,
) -> Result<Option<Served>> {
    let text = match wanted {
        Some(wanted) => {
            let text = trees::file_after(context, wanted, stance, files::CONFIG)?;
            text.filter(|text| wanted.get(files::CONFIG).is_none_or(|file| *file.bytes != **text))
        }
        None => disk::read_maybe(&store::live_path(context.place, files::CONFIG), disk::TEXT_CAP)?,
    };
    Ok(text.and_then(|bytes| Served::read(std::str::from_utf8(&bytes).ok()?)))
}

/// The choice without the models that are not served, and the names of those.
pub(super) fn only<'c>(choice: &Choice<'c>, served: &Served) -> (Choice<'c>, Vec<String>) {
    let (models, missing): (Vec<_>, Vec<_>) =
        choice.models.iter().copied().partition(|model| served.has(&model.id));
    let missing = missing.into_iter().map(|model| model.id.clone()).collect();
    (Choice { models, ..choice.clone() }, missing)
}
