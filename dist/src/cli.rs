//! The command line of the release side, and what each command does with the modules.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand};
use gwinstall::domain::{Error, Instant, Result, Sha256};
use gwinstall::release::documents::{Document as _, Manifest, Name, Severity};
use gwinstall::release::rollout::{Percent, Step};

use crate::keyring::Signer;
use crate::keys::{self, KeyDir};
use crate::{compile, documents, files, manifest, payload, release, say, serve};

/// Makes, signs, publishes and serves releases of gwinstall.
#[derive(Debug, Parser)]
#[command(name = "gwinstall-dist", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a throw-away set of root, release and channel keys with its keys.1.json
    Keygen(Keygen),
    /// Check a chain of key lists, or take in a new list
    Keys(KeysArgs),
    /// Build executables with a version and a list of keys compiled in
    Build(BuildArgs),
    /// Write the unsigned manifest.json over the files of a release in one directory
    Manifest(ManifestArgs),
    /// Sign a keys, channel or manifest document, or print the line to sign
    Sign(Sign),
    /// Sign the channel document of a layout anew
    Channel(ChannelArgs),
    /// Roll the newest release out to more machines, or halt its roll-out, without building anything
    Rollout(RolloutArgs),
    /// Make a release, prove it and add it to a served layout
    Release(ReleaseArgs),
    /// Serve a layout over plain HTTP on this machine, faults on request
    Serve(serve::Serve),
}

#[derive(Debug, Args)]
struct Keygen {
    /// Directory to make the keys in
    #[arg(long)]
    out: PathBuf,
    /// Number of root keys
    #[arg(long, default_value_t = 3)]
    roots: usize,
    /// How many roots must sign a list
    #[arg(long, default_value_t = 2)]
    threshold: u64,
}

#[derive(Debug, Args)]
struct KeysArgs {
    /// Directory of keys.<N>.json and their signatures
    #[arg(long)]
    keys: PathBuf,
    /// Take this list in as the next version
    #[arg(long)]
    adopt: Option<PathBuf>,
    /// Sign the adopted list with this secret root key (repeatable)
    #[arg(long, requires = "adopt")]
    sign: Vec<PathBuf>,
}

/// What a build or release is made of.
#[derive(Debug, Args)]
struct Source {
    /// The source checkout
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Version to compile in
    #[arg(long, value_parser = version)]
    version: Name,
    /// Directory of keys; the newest list is compiled in
    #[arg(long)]
    keys: PathBuf,
    /// Target triple (repeatable; default: every one that can be built here)
    #[arg(long = "target")]
    targets: Vec<String>,
    /// Directory of the configuration bundle (default: embedded/ of the checkout)
    #[arg(long)]
    bundle_dir: Option<PathBuf>,
    /// owner/name on GitHub, compiled in as the default origin
    #[arg(long)]
    repo: Option<String>,
    /// Take the checkout although it differs from its commit
    #[arg(long)]
    allow_dirty: bool,
}

#[derive(Debug, Args)]
struct BuildArgs {
    #[command(flatten)]
    source: Source,
    /// Place in the order of all releases
    #[arg(long)]
    seq: u64,
    /// Directory for gwinstall-<version>-<target>
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct ManifestArgs {
    /// The source checkout
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Directory with the files of the release
    #[arg(long)]
    dir: PathBuf,
    #[arg(long, value_parser = version)]
    version: Name,
    #[arg(long, default_value = "stable", value_parser = name)]
    channel: Name,
    #[arg(long)]
    seq: u64,
    /// The manifest before this one
    #[arg(long)]
    prev: Option<PathBuf>,
    #[command(flatten)]
    floors: Floors,
}

/// What clients must have or may no longer have.
#[derive(Debug, Args)]
struct Floors {
    /// Releases below this seq must no longer be installed
    #[arg(long, default_value_t = 0)]
    floor_seq: u64,
    /// The oldest release that can update to this one by itself
    #[arg(long, default_value_t = 0)]
    min_client_seq: u64,
}

#[derive(Debug, Args)]
struct Sign {
    /// keys.<N>.json, channel-<name>.json or manifest.json
    file: PathBuf,
    /// Secret key to sign with
    #[arg(long, required_unless_present = "print")]
    key: Option<PathBuf>,
    /// Only print the trusted comment: minisign -SHm FILE -t "$(… sign --print FILE)"
    #[arg(long, conflicts_with = "key")]
    print: bool,
}

#[derive(Debug, Args)]
struct Freshness {
    /// Whether users should be told that this is a security release
    #[arg(long, default_value = "normal", value_parser = severity)]
    severity: Severity,
    /// Clients below this seq are told to update now
    #[arg(long, default_value_t = 0)]
    min_seq: u64,
}

#[derive(Debug, Args)]
struct ChannelArgs {
    /// The served layout
    #[arg(long)]
    out: PathBuf,
    #[arg(long)]
    keys: PathBuf,
    /// The version that the channel of its manifest shall name
    #[arg(long, value_parser = version)]
    version: Name,
    #[command(flatten)]
    freshness: Freshness,
}

#[derive(Debug, Args)]
struct RolloutArgs {
    /// PERCENT of all machines, or PERCENT@MOMENT; several for a schedule; 0 halts, 100 ends it
    #[arg(required = true, value_name = "STEP", value_parser = planned)]
    steps: Vec<Planned>,
    /// The served layout
    #[arg(long)]
    out: PathBuf,
    #[arg(long)]
    keys: PathBuf,
    #[arg(long, default_value = "stable", value_parser = name)]
    channel: Name,
    /// What the other machines are offered (default: what they were offered so far)
    #[arg(long, value_name = "VERSION", value_parser = version)]
    previous: Option<Name>,
}

/// A share of all machines, and from when on; without a moment, at once.
#[derive(Debug, Clone, Copy)]
struct Planned {
    percent: Percent,
    from: Option<Instant>,
}

impl Planned {
    fn steps(planned: &[Self], now: Instant) -> Vec<Step> {
        planned.iter().map(|step| Step { percent: step.percent, from: step.from.unwrap_or(now) }).collect()
    }
}

#[derive(Debug, Args)]
struct ReleaseArgs {
    #[command(flatten)]
    source: Source,
    /// The served layout to add the release to
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value = "stable", value_parser = name)]
    channel: Name,
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    floors: Floors,
    /// Only this share of all machines takes part: PERCENT, or PERCENT@MOMENT (repeatable, for a schedule)
    #[arg(long = "rollout", value_name = "STEP", value_parser = planned)]
    steps: Vec<Planned>,
    /// An executable that is built already: TARGET=PATH (repeatable; nothing is built then)
    #[arg(long = "binary", value_parser = target_and_path, conflicts_with = "targets")]
    binaries: Vec<(String, PathBuf)>,
    /// A file that gwinstall runtime export made from this bundle, for the offline archive (repeatable)
    #[arg(long = "runtime", value_name = "FILE")]
    runtimes: Vec<PathBuf>,
    /// Where install.sh fetches from by default (default: the releases of --repo)
    #[arg(long)]
    base_url: Option<String>,
}

impl Cli {
    pub fn run(self) -> Result<()> {
        match self.command {
            Verb::Keygen(args) => keygen(&args),
            Verb::Keys(args) => check_keys(&args),
            Verb::Build(args) => build(&args),
            Verb::Manifest(args) => write_manifest(&args),
            Verb::Sign(args) => sign(&args),
            Verb::Channel(args) => refresh_channel(&args),
            Verb::Rollout(args) => change_rollout(&args),
            Verb::Release(args) => make_release(args),
            Verb::Serve(args) => serve::run(&args),
        }
    }
}

fn keygen(args: &Keygen) -> Result<()> {
    keys::generate(&args.out, args.roots, args.threshold, now())?;
    KeyDir::open(&args.out)?;
    say(format!("made throw-away keys in {}: no password protects them", args.out.display()));
    Ok(())
}

fn check_keys(args: &KeysArgs) -> Result<()> {
    if let Some(draft) = &args.adopt {
        let path = keys::adopt(draft, &args.keys, &args.sign)?;
        say(format!("{}: to sign: {}", path.display(), documents::statement_of(&path)?));
    }
    let keys = KeyDir::open(&args.keys)?;
    let facts = keys.facts();
    files::write(&args.keys.join("keys.json"), &files::read(&keys.newest())?)?;
    say(format!("{}: version {}, good until {}", keys.newest().display(), facts.version, facts.expires));
    for key in &facts.release {
        let to = key.to_seq.map_or("on".to_owned(), |to| format!("to {to}"));
        say(format!("release key {} from seq {} {to}", key.id, key.from_seq));
    }
    for key in &facts.channel {
        say(format!("channel key {}", key.id));
    }
    Ok(())
}

fn build(args: &BuildArgs) -> Result<()> {
    let keys = KeyDir::open(&args.source.keys)?;
    let (commit, epoch) = args.source.commit()?;
    let build = compile::Build {
        root: &args.source.root,
        version: args.source.version.as_str(),
        seq: args.seq,
        keys: &keys.newest(),
        repo: args.source.repo.as_deref(),
        commit: &commit,
        epoch,
    };
    files::make_directory(&args.out)?;
    for target in args.source.targets()? {
        say(format!("building for {target}"));
        let built = files::read(&build.executable(&target)?)?;
        let path = args.out.join(manifest::binary_name(args.source.version.as_str(), &target));
        files::write_with_mode(&path, &built, 0o755)?;
        say(format!("{}: {} bytes, sha256 {}", path.display(), built.len(), Sha256::of(&built)));
    }
    Ok(())
}

fn write_manifest(args: &ManifestArgs) -> Result<()> {
    let payload = payload::pack(&args.root.join("embedded"), &args.version)?;
    files::write(&args.dir.join(manifest::bundle_name(args.version.as_str())), &payload.archive)?;
    let prev = args.prev.as_deref().map(files::read).transpose()?;
    if let Some(bytes) = &prev {
        Manifest::parse(bytes)?;
    }
    let facts = manifest::Facts {
        channel: args.channel.clone(),
        version: args.version.clone(),
        seq: args.seq,
        commit: compile::commit(&args.root)?.hash,
        released: now(),
        prev: prev.as_deref().map(Sha256::of),
        floor_seq: args.floors.floor_seq,
        min_client_seq: args.floors.min_client_seq,
    };
    let third_party = args.root.join("dist/third-party.json");
    let manifest = manifest::compose(&args.dir, &facts, payload.facts, &third_party)?;
    let path = args.dir.join("manifest.json");
    files::write(&path, &documents::bytes_of(&manifest)?)?;
    say(format!("{}: to sign: {}", path.display(), documents::statement_of(&path)?));
    Ok(())
}

fn sign(args: &Sign) -> Result<()> {
    let statement = documents::statement_of(&args.file)?;
    let Some(key) = &args.key else {
        return serve::print(&statement);
    };
    let signer = Signer::read(key)?;
    if files::name_of(&args.file).starts_with("keys.") {
        return keys::sign_list(&args.file, &signer);
    }
    let path = args.file.with_file_name(format!("{}.minisig", files::name_of(&args.file)));
    files::write(&path, signer.sign(&files::read(&args.file)?, &statement)?.as_bytes())
}

fn refresh_channel(args: &ChannelArgs) -> Result<()> {
    let keys = KeyDir::open(&args.keys)?;
    let Freshness { severity, min_seq } = args.freshness;
    let path = release::refresh_channel(&args.out, &args.version, &keys, now(), severity, min_seq)?;
    say(format!("{}: names {}", path.display(), args.version));
    Ok(())
}

fn change_rollout(args: &RolloutArgs) -> Result<()> {
    let (keys, now) = (KeyDir::open(&args.keys)?, now());
    let steps = Planned::steps(&args.steps, now);
    let previous = args.previous.as_ref();
    let signed = release::change_rollout(&args.out, &args.channel, &steps, previous, &keys, now)?;
    for step in signed.rollout.iter().flatten() {
        say(format!("{}: {} % of all machines from {}", signed.version, step.percent, step.from));
    }
    match (&signed.rollout, &signed.previous) {
        (None, _) => say(format!("{}: all machines", signed.version)),
        (Some(_), Some(previous)) => say(format!("the other machines are offered {}", previous.version)),
        (Some(_), None) => say("the other machines are offered nothing: see --previous".to_owned()),
    }
    Ok(())
}

fn make_release(args: ReleaseArgs) -> Result<()> {
    let keys = KeyDir::open(&args.source.keys)?;
    let ((commit, epoch), now) = (args.source.commit()?, now());
    let binaries = if args.binaries.is_empty() {
        args.source.targets()?.into_iter().map(|target| (target, None)).collect()
    } else {
        args.binaries.into_iter().map(|(target, path)| (target, Some(path))).collect()
    };
    let request = release::Request {
        bundle_dir: args.source.bundle_dir.unwrap_or_else(|| args.source.root.join("embedded")),
        root: args.source.root,
        version: args.source.version,
        channel: args.channel,
        severity: args.freshness.severity,
        steps: Planned::steps(&args.steps, now),
        out: args.out,
        binaries,
        runtimes: args.runtimes,
        repo: args.source.repo,
        base_url: args.base_url,
        commit,
        epoch,
        now,
        floor_seq: args.floors.floor_seq,
        min_client_seq: args.floors.min_client_seq,
        min_seq: args.freshness.min_seq,
    };
    let home = release::publish(&request, &keys, &mut say)?;
    say(format!("done: {}", home.display()));
    Ok(())
}

impl Source {
    /// The commit to name; a checkout that differs from it needs to be asked for.
    fn commit(&self) -> Result<(String, i64)> {
        let commit = compile::commit(&self.root)?;
        if commit.dirty && !self.allow_dirty {
            return Err(Error::failed(format!(
                "{} differs from its commit {}",
                self.root.display(),
                commit.hash
            ))
            .because("a release names the commit that it was built from")
            .hint("commit first, or add --allow-dirty for a release that nobody shall trust"));
        }
        Ok((commit.hash, commit.epoch))
    }

    fn targets(&self) -> Result<Vec<String>> {
        if !self.targets.is_empty() {
            return Ok(self.targets.clone());
        }
        let mut good = Vec::new();
        for compile::Candidate { target, obstacle } in compile::candidates(&self.root)? {
            match obstacle {
                None => good.push(target.to_owned()),
                Some(why) => say(format!("leaving out {target}, which cannot be built here: {why}")),
            }
        }
        Ok(good)
    }
}

/// The present; SOURCE_DATE_EPOCH takes its place for builds that shall come out the same twice.
fn now() -> Instant {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Instant::from_unix(given.unwrap_or_else(|| i64::try_from(clock()).unwrap_or(i64::MAX)))
}

fn version(text: &str) -> std::result::Result<Name, String> {
    let numbers = text.split(['-', '.']).take(3).filter(|part| part.parse::<u32>().is_ok()).count();
    let version = Name::parse(text).filter(|_| numbers == 3 && !text.contains('_'));
    version.ok_or_else(|| "a version is MAJOR.MINOR.PATCH, with -alpha.1 or the like at most".to_owned())
}

fn name(text: &str) -> std::result::Result<Name, String> {
    Name::parse(text).ok_or_else(|| "a name is [a-z0-9][a-z0-9._-]{0,99}".to_owned())
}

fn planned(text: &str) -> std::result::Result<Planned, String> {
    let (percent, from) = text.split_once('@').map_or((text, None), |(percent, from)| (percent, Some(from)));
    let percent = Percent::parse(percent).ok_or("a percent is 0 to 100 with at most two decimals")?;
    let from = from.map(|from| Instant::parse(from).ok_or("a moment is written YYYY-MM-DDTHH:MM:SSZ"));
    Ok(Planned { percent, from: from.transpose()? })
}

fn severity(text: &str) -> std::result::Result<Severity, String> {
    match text {
        "normal" => Ok(Severity::Normal),
        "security" => Ok(Severity::Security),
        _ => Err("severity is normal or security".to_owned()),
    }
}

fn target_and_path(text: &str) -> std::result::Result<(String, PathBuf), String> {
    let (target, path) = text.split_once('=').ok_or("write TARGET=PATH")?;
    if !Path::new(path).is_file() {
        return Err(format!("there is no file {path}"));
    }
    Ok((target.to_owned(), PathBuf::from(path)))
}
