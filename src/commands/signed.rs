//! Commands that prove what is signed: `verify` of the executable and the deployed files, `bundle inspect` and `bundle
//! verify` of a file, and the check that a new executable makes of itself. All of it offline.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::{Bundle, build};
use crate::cli::{BundleCommand, VerifyArgs};
use crate::deploy::lost;
use crate::domain::name::count;
use crate::domain::record::BundleOrigin;
use crate::domain::record::Record;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::system;
use crate::release::bundles::{self, hash_file};
use crate::release::documents::Manifest;
use crate::release::state::State;
use crate::release::trust::{TrustedKeys, Verified};
use crate::release::{explain, order, session};

use crate::inspect::drift::{self, Drift};
use crate::ui::answer::Answer;

/// `self-check`: the embedded bundle and keys are whole. Needs no home, no environment, nothing of the machine.
pub(super) fn self_check() -> Result<Answer> {
    let bundle = Bundle::embedded()?;
    if !build::KEYS.is_empty() {
        TrustedKeys::embedded(build::KEYS)?;
    }
    let text = format!("gwinstall {} for {} is complete.", build::VERSION, build::TARGET);
    Ok(Answer::new("complete").text(text).data(json!({
        "version": build::VERSION,
        "seq": build::seq(),
        "target": build::TARGET,
        "bundle": bundle.id.version,
        "files": bundle.files().len(),
    })))
}

/// `bundle inspect FILE` and `bundle verify FILE`: the same checks, with or without the details.
pub(super) fn bundle(place: &Place, command: &BundleCommand) -> Result<Answer> {
    let (file, inspect) = match command {
        BundleCommand::Inspect { file } => (file, true),
        BundleCommand::Verify { file } => (file, false),
    };
    let state = State { dir: &place.state_dir };
    let keys = state.keys(build::KEYS)?;
    let (bundle, manifest) = bundles::from_file(&keys, file)?;
    let facts = manifest.facts();
    let mut lines =
        vec![format!("{} is a bundle of gwinstall {}, whole and signed.", file.display(), facts.version)];
    lines.extend(provenance(&keys, &manifest));
    if inspect {
        lines.push(String::new());
        for file in &facts.bundle.files {
            lines.push(format!("  {:o} {:>8}  {}", file.mode.bits(), file.len, file.path));
        }
        let presets: Vec<&str> = bundle.catalog.presets.iter().map(|preset| preset.name.as_str()).collect();
        lines.push(format!("\n  Presets: {}", presets.join(", ")));
        lines.push(format!("  Models:  {}", count(bundle.catalog.models.len(), "model")));
    }
    let data = json!({
        "version": facts.version,
        "seq": facts.seq,
        "commit": facts.commit,
        "released": facts.released,
        "key": manifest.signer(),
        "manifest_sha256": manifest.sha256(),
        "files": facts.bundle.files,
    });
    Ok(Answer::new(format!("verified bundle {}", facts.version)).text(lines.join("\n")).data(data))
}

/// Who signed a release, and when.
fn provenance(keys: &TrustedKeys, manifest: &Verified<Manifest>) -> Vec<String> {
    let facts = manifest.facts();
    let mut lines = vec![
        format!(
            "  Release:  seq {}, {}, of {} ({})",
            facts.seq,
            facts.channel,
            facts.released.date(),
            order::ago(system::now(), facts.released)
        ),
        format!("  Commit:   {}", facts.commit),
        format!("  Key:      {} (keys.json version {})", manifest.signer(), keys.version()),
        format!("  Manifest: sha256 {}", manifest.sha256()),
    ];
    lines.extend(keys.remark(manifest.signer()).map(|note| format!("  note: {note}")));
    lines
}

/// The checked items, and the problems.
struct Verdict {
    lines: Vec<String>,
    /// Files that differ from the record.
    drifted: Vec<String>,
    /// Signed files with other content than the signed one.
    forged: Vec<String>,
    data: Value,
}

/// `verify`: exit 8 for a signed file with other content, 3 for files that the user changed, 0 otherwise.
pub(super) fn verify(place: &Place, args: &VerifyArgs) -> Result<Answer> {
    let state = State { dir: &place.state_dir };
    let executable =
        system::executable().ok_or_else(|| Error::failed("cannot find the path of this executable"))?;
    let mut verdict = Verdict { lines: Vec::new(), drifted: Vec::new(), forged: Vec::new(), data: json!({}) };
    let keys = state.keys(build::KEYS).ok();
    let manifest = match &keys {
        Some(keys) => bundles::manifest(state, keys, build::seq())?,
        None => None,
    };
    the_executable(&mut verdict, &executable, keys.as_ref(), manifest.as_ref())?;
    let record = lost::record(place)?;
    match &record {
        Some(record) => the_deployment(&mut verdict, place, record)?,
        None => verdict.lines.push("Nothing is deployed.".to_owned()),
    }
    if args.explain {
        let bundle = match (&keys, &record) {
            (Some(keys), Some(record)) => bundles::manifest(state, keys, record.bundle.seq)?,
            _ => None,
        };
        verdict.lines.extend(explain::lines(&explain::Subjects {
            place,
            executable: &executable,
            keys: keys.as_ref().map(TrustedKeys::facts),
            manifest: manifest.as_ref(),
            record: record.as_ref(),
            bundle: bundle.as_ref(),
        }));
    }
    let text = verdict.lines.join("\n");
    if !verdict.forged.is_empty() {
        let error = Error::new(
            Kind::Unverified,
            format!("{} not what was signed", count(verdict.forged.len(), "file")),
        );
        return Err(verdict
            .forged
            .iter()
            .fold(error, |error, name| error.because(name))
            .hint(Hint::shell("sh install.sh").to("install it again")));
    }
    let answer = if record.is_none() {
        Answer::new("nothing is deployed")
    } else if verdict.drifted.is_empty() {
        Answer::new("everything is as recorded")
    } else {
        Answer::new(format!("{} not as recorded", count(verdict.drifted.len(), "file"))).exit(Kind::Pending)
    };
    Ok(answer.text(text).data(verdict.data))
}

/// The executable against the manifest of its release, where that was kept; the executable cannot vouch for itself.
fn the_executable(
    verdict: &mut Verdict,
    path: &Path,
    keys: Option<&TrustedKeys>,
    manifest: Option<&Verified<Manifest>>,
) -> Result<()> {
    let (sha256, len) = hash_file(path)?;
    verdict.data["executable"] =
        json!({ "path": path.display().to_string(), "sha256": sha256, "signed": Value::Null });
    let (Some(keys), Some(manifest)) = (keys, manifest) else {
        verdict.lines.push(format!("Executable {}: sha256 {sha256}", path.display()));
        verdict
            .lines
            .push("  No manifest of its release is kept here, so no signature covers it.".to_owned());
        return Ok(());
    };
    let signed = order::artifact(manifest, "binary", build::TARGET)?;
    let same = (signed.sha256, signed.len) == (sha256, len);
    verdict.data["executable"]["signed"] = json!(same);
    verdict.data["release"] = json!({
        "seq": manifest.facts().seq,
        "commit": manifest.facts().commit,
        "key": manifest.signer(),
        "released": manifest.facts().released,
    });
    if same {
        verdict.lines.push(format!(
            "Executable {}: as signed, gwinstall {}",
            path.display(),
            manifest.facts().version
        ));
    } else {
        verdict.forged.push(format!("{} has sha256 {sha256}, signed is {}", path.display(), signed.sha256));
    }
    verdict.lines.extend(provenance(keys, manifest));
    Ok(())
}

/// The deployed files against the record, and the record's bundle against the bundle it names.
fn the_deployment(verdict: &mut Verdict, place: &Place, record: &Record) -> Result<()> {
    let drifts = drift::of(place, record)?;
    verdict.drifted = drifts.iter().map(|drift| drift.path.clone()).collect();
    verdict.drifted.dedup();
    let known = [Bundle::embedded().ok(), session::newest_bundle(place).ok()];
    let named = known
        .iter()
        .flatten()
        .find(|bundle| bundle.id.seq == record.bundle.seq && bundle.id.version == record.bundle.version);
    let source = match (record.bundle.origin, named) {
        (BundleOrigin::Directory, _) => "unsigned, from a directory",
        (_, Some(bundle)) if bundle.id.sha256 == record.bundle.sha256 => {
            "the bundle of that number is at hand and has the same files"
        }
        (_, Some(_)) => "the bundle of that number at hand has other files",
        (_, None) => "that bundle is not at hand any more",
    };
    verdict.lines.push(format!(
        "Deployment {}: {} of bundle {} ({source})",
        place.show(&place.target),
        count(record.files.len(), "file"),
        record.bundle.version
    ));
    verdict.lines.extend(drifts.iter().map(|drift| format!("  {}  {}", drift.shown(), drift.words(place))));
    verdict.data["files"] = json!({
        "count": record.files.len(),
        "drifted": verdict.drifted,
        "drift": drifts.iter().map(Drift::json).collect::<Vec<_>>(),
    });
    verdict.data["bundle"] = json!(record.bundle);
    Ok(())
}
