//! Makes one release and adds it to a served layout.
//!
//! Order: everything is staged beside its final name, proved with the stock tools, and only then renamed to
//! `v<version>/`. The names at the top move afterwards, the channel document last: whoever reads the layout meanwhile
//! sees the old release or the new one. A published version never changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gwinstall::bundle::Bundle;
use gwinstall::bundle::pack::Packer;
use gwinstall::domain::{Error, Instant, Result, Sha256};
use gwinstall::release::documents::{Channel, Document, Manifest, Name, Named, PRODUCT, SCHEMA, Severity};
use gwinstall::release::rollout::{Percent, Step};
use gwinstall::runtime::archive::{self, Packed};
use gwinstall::runtime::facts::Facts;

use crate::compile::Build;
use crate::documents::{self, CHANNEL_DAYS, bytes_of, days_after};
use crate::keys::KeyDir;
use crate::{files, installer, manifest, payload, proof, sbom};

/// What is asked of a release.
pub struct Request {
    /// The source checkout.
    pub root: PathBuf,
    /// The configuration bundle, in the layout of `embedded/`.
    pub bundle_dir: PathBuf,
    pub version: Name,
    pub channel: Name,
    pub severity: Severity,
    /// Which share of all machines takes part from when on; empty: all, at once.
    pub steps: Vec<Step>,
    /// The layout that the release is added to.
    pub out: PathBuf,
    /// Target and, where it is built already, the executable.
    pub binaries: Vec<(String, Option<PathBuf>)>,
    /// Files that `gwinstall runtime export` made from this bundle, for the offline archive.
    pub runtimes: Vec<PathBuf>,
    /// `owner/name` on GitHub, compiled in.
    pub repo: Option<String>,
    /// Where the rendered install.sh fetches from when nobody says otherwise.
    pub base_url: Option<String>,
    pub commit: String,
    /// The date of the commit: what the executable calls its build date.
    pub epoch: i64,
    /// When the release is made.
    pub now: Instant,
    pub floor_seq: u64,
    pub min_client_seq: u64,
    pub min_seq: u64,
}

/// Makes the release; returns its directory.
pub fn publish(request: &Request, keys: &KeyDir, say: &mut dyn FnMut(String)) -> Result<PathBuf> {
    let version = request.version.as_str();
    let home = request.out.join(format!("v{version}"));
    if home.exists() {
        return Err(Error::usage(format!(
            "{} is there already: a published version never changes",
            home.display()
        ))
        .hint("choose the next version"));
    }
    files::make_directory(&request.out)?;
    let stage = request.out.join(format!(".staging-{version}"));
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(|e| files::cannot("remove", &stage, e))?;
    }
    files::make_directory(&stage)?;
    let previous = newest_manifest(&request.out)?;
    let seq = previous.as_ref().map_or(1, |(manifest, _)| manifest.seq + 1);
    let facts = manifest::Facts {
        channel: request.channel.clone(),
        version: request.version.clone(),
        seq,
        commit: request.commit.clone(),
        released: request.now,
        prev: previous.map(|(_, sha256)| sha256),
        floor_seq: request.floor_seq,
        min_client_seq: request.min_client_seq,
    };
    say(format!("release {seq}, version {version}, into {}", request.out.display()));

    let staged = stage_files(request, keys, &facts, &stage, say)
        .and_then(|()| stage_channel(request, keys, &stage))
        .and_then(|()| runtimes(request))
        .and_then(|runtimes| {
            stage_offline(version, &stage, &runtimes)?;
            proof::prove(&stage, version, &runtimes, keys, say)
        });
    if let Err(error) = staged {
        // A served directory shall not keep what was refused.
        fs::remove_dir_all(&stage).map_err(|e| files::cannot("remove", &stage, e))?;
        return Err(error);
    }
    fs::rename(&stage, &home).map_err(|e| files::cannot("rename", &stage, e))?;
    point_layout_at(&request.out, &home, request.channel.as_str())?;
    Ok(home)
}

/// Executables, bundle, SBOM, install.sh and the signed manifest over all of them.
fn stage_files(
    request: &Request,
    keys: &KeyDir,
    facts: &manifest::Facts,
    stage: &Path,
    say: &mut dyn FnMut(String),
) -> Result<()> {
    let version = facts.version.as_str();
    let newest = keys.newest();
    let build = Build {
        root: &request.root,
        version,
        seq: facts.seq,
        keys: &newest,
        repo: request.repo.as_deref(),
        commit: &request.commit,
        epoch: request.epoch,
    };
    for (target, built) in &request.binaries {
        let built = match built {
            Some(path) => path.clone(),
            None => {
                say(format!("building for {target}"));
                build.executable(target)?
            }
        };
        let name = manifest::binary_name(version, target);
        files::write_with_mode(&stage.join(name), &files::read(&built)?, 0o755)?;
        let parts = sbom::cyclonedx(&request.root, version, target)?;
        files::write(&stage.join(manifest::sbom_name(version, target)), &parts)?;
    }
    let payload = payload::pack(&request.bundle_dir, &facts.version)?;
    files::write(&stage.join(manifest::bundle_name(version)), &payload.archive)?;
    for path in keys.published()? {
        files::write(&stage.join(files::name_of(&path)), &files::read(&path)?)?;
    }
    files::write(&stage.join("keys.json"), &files::read(&newest)?)?;

    // install.sh names the executables; the manifest names install.sh.
    let third_party = request.root.join("dist/third-party.json");
    let executables = manifest::compose(stage, facts, payload.facts.clone(), &third_party)?.artifacts;
    let script = installer::render(
        &files::read_text(&request.root.join("install.sh"))?,
        &installer::Facts {
            version,
            base_url: request.base_url.as_deref().unwrap_or(&default_base_url(request.repo.as_deref())),
            executables: executables.iter().filter(|file| file.role == *"binary").collect(),
            keys: keys.facts(),
        },
    )?;
    files::write_with_mode(&stage.join("install.sh"), script.as_bytes(), 0o755)?;
    let manifest = manifest::compose(stage, facts, payload.facts, &third_party)?;
    sign(stage, "manifest.json", &manifest, &keys.release_signer(facts.seq)?)
}

fn stage_channel(request: &Request, keys: &KeyDir, stage: &Path) -> Result<()> {
    let mut channel = channel_for(stage, keys, request.now, request.severity, request.min_seq)?;
    let served = served_channel(&request.out, &request.channel)?;
    set_steps(&mut channel, &request.steps, served.as_ref().and_then(offered_to_all));
    sign(stage, &channel_name(&request.channel), &channel, &keys.channel_signer()?)
}

/// The channel document that points at the manifest in `release`.
fn channel_for(
    release: &Path,
    keys: &KeyDir,
    now: Instant,
    severity: Severity,
    min_seq: u64,
) -> Result<Channel> {
    let bytes = files::read(&release.join("manifest.json"))?;
    let manifest = Manifest::parse(&bytes)?;
    let product = Name::parse(PRODUCT).ok_or_else(|| Error::failed("the product has no name"))?;
    // A security release is one that everybody below it should take.
    let min_seq = if severity == Severity::Security { manifest.seq } else { min_seq.max(manifest.floor_seq) };
    Ok(Channel {
        schema: SCHEMA,
        product,
        channel: manifest.channel,
        seq: manifest.seq,
        version: manifest.version,
        manifest_sha256: Sha256::of(&bytes),
        keys_version: keys.trusted().version(),
        at: now,
        expires: days_after(now, CHANNEL_DAYS),
        severity,
        min_seq,
        rollout: None,
        previous: None,
        critical: Vec::new(),
    })
}

/// The channel document that a layout serves now.
fn served_channel(out: &Path, channel: &Name) -> Result<Option<Channel>> {
    let path = out.join(channel_name(channel));
    if path.is_file() { Channel::parse(&files::read(&path)?).map(Some) } else { Ok(None) }
}

/// The newest release that every machine is offered, whether or not it takes part in a roll-out.
fn offered_to_all(served: &Channel) -> Option<Named> {
    if served.rollout.is_some() { served.previous.clone() } else { Some(served.newest()) }
}

/// Puts a roll-out into a channel document. All machines at once need none.
fn set_steps(channel: &mut Channel, steps: &[Step], previous: Option<Named>) {
    let partly = steps.first().is_some_and(|step| step.percent < Percent::ALL || step.from > channel.at);
    channel.rollout = partly.then(|| steps.to_vec());
    channel.previous = previous.filter(|previous| partly && previous.seq < channel.seq);
}

/// Signs the channel document that a layout serves with other steps: the same release goes to more machines, or to no
/// further one. What of the steps has passed stays, so that a slow clock leaves out no machine that takes part.
pub fn change_rollout(
    out: &Path,
    channel: &Name,
    steps: &[Step],
    previous: Option<&Name>,
    keys: &KeyDir,
    now: Instant,
) -> Result<Channel> {
    let name = channel_name(channel);
    let Some(mut document) = served_channel(out, channel)? else {
        return Err(Error::usage(format!("{} has no {name}", out.display()))
            .hint("publish a release first: gwinstall-dist release"));
    };
    proof::prove_channel(out, &name, keys)?;
    let previous = match previous {
        Some(version) => Some(named(out, version, channel)?),
        None => offered_to_all(&document),
    };
    let passed = document.rollout.iter().flatten().rfind(|step| step.from < now).copied();
    let passed = passed.filter(|passed| steps.first().is_some_and(|first| passed.percent <= first.percent));
    let steps: Vec<Step> = passed.into_iter().chain(steps.iter().copied()).collect();
    (document.at, document.expires) = (now, days_after(now, CHANNEL_DAYS));
    document.keys_version = keys.trusted().version();
    // A share that has grown to the whole needs no steps any longer.
    let whole = steps.last().is_some_and(|last| last.percent == Percent::ALL && last.from <= now);
    set_steps(&mut document, if whole { &[] } else { &steps }, previous);
    sign(out, &name, &document, &keys.channel_signer()?)?;
    proof::prove_channel(out, &name, keys)?;
    Ok(document)
}

/// A published release of this channel.
fn named(out: &Path, version: &Name, channel: &Name) -> Result<Named> {
    let bytes = files::read(&out.join(format!("v{version}/manifest.json")))?;
    let manifest = Manifest::parse(&bytes)?;
    if manifest.channel != *channel {
        return Err(Error::usage(format!("{version} belongs to channel {}", manifest.channel)));
    }
    Ok(Named { seq: manifest.seq, version: manifest.version, manifest_sha256: Sha256::of(&bytes) })
}

/// Signs the channel document of a layout anew: the same release, or another one, with today's date. A roll-out of that
/// release goes on.
pub fn refresh_channel(
    out: &Path,
    version: &Name,
    keys: &KeyDir,
    now: Instant,
    severity: Severity,
    min_seq: u64,
) -> Result<PathBuf> {
    let release = out.join(format!("v{version}"));
    let mut channel = channel_for(&release, keys, now, severity, min_seq)?;
    let name = channel_name(&channel.channel);
    if let Some(served) =
        served_channel(out, &channel.channel)?.filter(|served| served.newest() == channel.newest())
    {
        (channel.rollout, channel.previous) = (served.rollout, served.previous);
    }
    sign(out, &name, &channel, &keys.channel_signer()?)?;
    proof::prove_channel(out, &name, keys)?;
    Ok(out.join(name))
}

fn sign<D: Document + serde::Serialize>(
    dir: &Path,
    name: &str,
    document: &D,
    signer: &crate::keyring::Signer,
) -> Result<()> {
    let bytes = bytes_of(document)?;
    let path = dir.join(name);
    files::write(&path, &bytes)?;
    let statement = documents::statement_of(&path)?;
    files::write(&dir.join(format!("{name}.minisig")), signer.sign(&bytes, &statement)?.as_bytes())
}

/// The runtimes for the offline archive by name, each package compared with the lock of the bundle. No signature of their
/// own: the lock is in the signed bundle, and the client compares again.
fn runtimes(request: &Request) -> Result<BTreeMap<String, PathBuf>> {
    if request.runtimes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let facts = Facts::of(&Bundle::from_directory(&request.bundle_dir)?)?;
    let mut named = BTreeMap::new();
    for path in &request.runtimes {
        let about = archive::verify(&Packed::alone(path), &facts)?;
        let name = archive::carried_name(request.version.as_str(), &about);
        if named.insert(name, path.clone()).is_some() {
            return Err(Error::usage(format!("{}: the same Python and platform twice", path.display())));
        }
    }
    Ok(named)
}

/// One tar of everything staged so far and of the runtimes, in the dialect that the client reads.
fn stage_offline(version: &str, stage: &Path, runtimes: &BTreeMap<String, PathBuf>) -> Result<()> {
    let path = stage.join(manifest::offline_name(version));
    let cannot = |e| files::cannot("write", &path, e);
    let entries = files::listing(stage)?;
    let mut packer = Packer::new(Vec::new());
    for entry in entries {
        let mode = fs::metadata(&entry).map_err(cannot)?.permissions().mode() & 0o777;
        packer.file(&files::name_of(&entry), mode, &files::read(&entry)?).map_err(cannot)?;
    }
    for (name, runtime) in runtimes {
        packer.file(name, 0o644, &files::read(runtime)?).map_err(cannot)?;
    }
    let bytes = packer.finish().map_err(cannot)?;
    files::write(&path, &bytes)
}

/// Moves the names at the top of the layout to this release. Only the stable channel owns them.
fn point_layout_at(out: &Path, release: &Path, channel: &str) -> Result<()> {
    let entries = files::listing(release)?;
    let is_channel = |path: &PathBuf| files::name_of(path).starts_with("channel-");
    let is_keys = |path: &PathBuf| files::name_of(path).starts_with("keys.");
    for path in entries.iter().filter(|path| !is_channel(path) && (channel == "stable" || is_keys(path))) {
        link(path, out)?;
    }
    // A signature goes before its document: the old document with the new signature fails and is asked for again.
    for path in entries.iter().rev().filter(|path| is_channel(path)) {
        link(path, out)?;
    }
    if channel == "stable" {
        let current: Vec<String> = entries.iter().map(|path| files::name_of(path)).collect();
        for old in files::listing(out)?.iter().filter(|path| path.is_file()) {
            if files::name_of(old).starts_with("gwinstall-") && !current.contains(&files::name_of(old)) {
                fs::remove_file(old).map_err(|e| files::cannot("remove", old, e))?;
            }
        }
    }
    Ok(())
}

/// Puts the same bytes under the same name at the top: a hard link where the file system has them.
fn link(path: &Path, out: &Path) -> Result<()> {
    let name = files::name_of(path);
    let partial = out.join(format!(".{name}.partial"));
    if partial.exists() {
        fs::remove_file(&partial).map_err(|e| files::cannot("remove", &partial, e))?;
    }
    fs::hard_link(path, &partial)
        .or_else(|_| fs::copy(path, &partial).map(|_| ()))
        .and_then(|()| fs::rename(&partial, out.join(&name)))
        .map_err(|e| files::cannot("write", &out.join(&name), e))
}

/// The manifest with the highest `seq` of a layout, whatever its channel, with its sha256.
pub fn newest_manifest(out: &Path) -> Result<Option<(Manifest, Sha256)>> {
    let mut newest: Option<(Manifest, Sha256)> = None;
    for release in files::listing(out)?.iter().filter(|path| files::name_of(path).starts_with('v')) {
        let path = release.join("manifest.json");
        if !path.is_file() {
            continue;
        }
        let bytes = files::read(&path)?;
        let manifest = Manifest::parse(&bytes)?;
        if newest.as_ref().is_none_or(|(best, _)| manifest.seq > best.seq) {
            newest = Some((manifest, Sha256::of(&bytes)));
        }
    }
    Ok(newest)
}

pub fn channel_name(channel: &Name) -> String {
    format!("channel-{channel}.json")
}

fn default_base_url(repo: Option<&str>) -> String {
    repo.map(|repo| format!("https://github.com/{repo}/releases/download")).unwrap_or_default()
}
