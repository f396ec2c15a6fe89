//! Which model stands in for each of Claude Code's sizes. Pure.

use crate::bundle::catalog::{Catalog, Model, Tier};

/// The model that stands in for a tier: the best ranked one of the tier that has not retired, else of the nearest tier,
/// else a retired one.
pub(super) fn best_of<'a>(catalog: &Catalog, models: &[&'a Model], tier: Tier) -> Option<&'a Model> {
    let nearest = match tier {
        Tier::Opus => [Tier::Opus, Tier::Sonnet, Tier::Haiku],
        Tier::Sonnet => [Tier::Sonnet, Tier::Opus, Tier::Haiku],
        Tier::Haiku => [Tier::Haiku, Tier::Sonnet, Tier::Opus],
    };
    let best = |tier: Tier, retired: bool| {
        models
            .iter()
            .copied()
            .filter(|model| model.tier == tier && catalog.is_retired(model) == retired)
            .min_by_key(|model| model.rank)
    };
    [false, true].iter().find_map(|retired| nearest.iter().find_map(|tier| best(*tier, *retired)))
}
