//! Which bundle a command works with: the one that its flags name, or the one that is deployed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::bundle::{Bundle, Unusable};
use crate::cli::BundleArgs;
use crate::domain::record::{BundleOrigin, Record};
use crate::domain::request::Source;
use crate::domain::{Place, Result};
use crate::doors::{disk, term};
use crate::format::litellm::Names;
use crate::release::session;

use crate::inspect::templates;

/// The source that the flags name.
pub(super) fn named(args: &BundleArgs) -> Source {
    match (&args.source_dir, &args.bundle, args.embedded) {
        (Some(dir), _, _) => Source::Directory(dir.clone()),
        (_, Some(file), _) => Source::File(file.clone()),
        (_, _, true) => Source::Embedded,
        _ => Source::Newest,
    }
}

/// Reads the bundle of a source, with the user's own presets laid over it.
pub(super) fn bundle(place: &Place, source: &Source) -> Result<Bundle> {
    let bundle = match source {
        Source::Directory(dir) => session::directory(dir),
        Source::File(file) => session::bundle_file(place, file),
        Source::Newest => session::newest_bundle(place),
        Source::Embedded => Bundle::embedded(),
    }?;
    if let Source::Directory(dir) = source {
        templates::require_sound(place, &bundle, &|file| Some(dir.join(file)))?;
    }
    let own = place.config_dir.join("presets");
    let names = disk::list(&own)?;
    if names.is_empty() {
        return Ok(bundle);
    }
    // Unsigned like a source directory, and under the same rule of a managed machine.
    session::permit_unsigned("a preset of your own")?;
    let shipped: BTreeSet<String> = bundle.files().keys().cloned().collect();
    bundle.with_presets_of(&own, &|bundle, dir| {
        let lies_here = |path: &PathBuf| disk::exists(path);
        templates::require_sound(place, bundle, &|file| {
            Some(dir.join(file)).filter(lies_here).filter(|_| !shipped.contains(file))
        })
    })
}

/// The bundle for a command that needs this preset. A preset of the user's own with a mistake is an error. The catalog
/// also knows the models that are deployed, or `named` now, as PROVIDER/MODEL.
pub(super) fn bundle_for(
    place: &Place,
    source: &Source,
    preset: Option<&str>,
    record: Option<&Record>,
    named: &[String],
) -> Result<Bundle> {
    let mut bundle = bundle(place, source)?;
    preset.map_or(Ok(()), |preset| bundle.require_usable(preset))?;
    learn(&mut bundle, record, named);
    Ok(bundle)
}

fn learn(bundle: &mut Bundle, record: Option<&Record>, named: &[String]) {
    let deployed = record.into_iter().flat_map(|record| &record.models);
    bundle.catalog.learn(named.iter().chain(deployed), |prefix| Names::table().knows_provider(prefix));
}

/// Names the presets of the user's own that were left out, with their mistakes.
pub(super) fn name_unusable(bundle: &Bundle) {
    for Unusable { error, .. } in &bundle.unusable {
        let mut text = format!("warning: {error}");
        let lines = error.advice().map_or_else(Vec::new, term::hint_lines);
        lines.iter().for_each(|line| text.push_str(&format!("\n     {line}")));
        term::talk(&text);
    }
}

/// The source to read the deployed files from again: the recorded directory, else the newest bundle.
pub(super) fn of_record(record: Option<&Record>) -> Source {
    let directory = record
        .filter(|record| record.bundle.origin == BundleOrigin::Directory)
        .and_then(|record| record.bundle.path.as_ref());
    directory.map_or(Source::Newest, |dir| Source::Directory(dir.into()))
}

/// The bundle that knows what is deployed; the embedded one where that source is gone and this one knows it too.
pub(super) fn deployed(place: &Place, record: Option<&Record>) -> Result<Bundle> {
    let preset = record.map(|record| record.preset.as_str());
    bundle_for(place, &of_record(record), preset, record, &[]).or_else(|error| {
        let mut embedded = Bundle::embedded()?;
        if record.is_some_and(|record| embedded.catalog.preset(&record.preset).is_none()) {
            return Err(error);
        }
        learn(&mut embedded, record, &[]);
        Ok(embedded)
    })
}
