//! What every command that deals with releases begins with: policy, pins, keys and origin of this machine, and which
//! bundle is used.
//!
//! Promise: a bundle is returned only if the rules admit it, and a newer one that was passed over is reported. A policy
//! that another user could have written allows nothing. Never: fetches anything.

use std::path::Path;

use super::bundles;
use super::documents::{Name, Severity};
use super::evidence;
use super::order;
use super::origin::Origin;
use super::policy::{self, Pin, Policy};
use super::replace::{self, CurrentExe, Deployed, Previous, Recovered};
use super::rollout::MachineId;
use super::rules::{self, Constraints, PolicyInput, Refusal, Release, Running, WayIn};
use super::state::{self, State};
use super::trust::TrustedKeys;
use super::trust_state::TrustState;
use super::update::{self, LastCheck};
use crate::bundle::{Bundle, build};
use crate::deploy::permission::Rules as _;
use crate::deploy::{backup, store};
use crate::domain::Operation;
use crate::domain::name::printable;
use crate::domain::{Error, Hint, Instant, Kind, Place, Result};
use crate::doors::net::Client;
use crate::doors::{disk, exe, system, term};

/// Policy, pins and trust of this machine.
pub struct UpdateContext<'a> {
    pub state: State<'a>,
    pub policy: Policy,
    pub trust: TrustState,
    pub pins: Vec<Pin>,
}

impl<'a> UpdateContext<'a> {
    pub fn of(place: &'a Place) -> Result<Self> {
        let state = State { dir: &place.state_dir };
        let policy = policy()?;
        let mut trust = state.trust()?;
        if let Ok(keys) = state.keys(build::KEYS) {
            trust.judge(&keys);
        }
        let variable = system::variable("GWINSTALL_PIN");
        let pins =
            variable.iter().chain(&trust.pin).map(|pin| Pin::parse(pin)).collect::<Result<Vec<_>>>()?;
        let pins = pins.into_iter().chain(policy.pin().cloned()).collect();
        Ok(Self { state, policy, trust, pins })
    }

    /// Whether the policy allows the executable and the configuration that `--rollback` would restore.
    pub fn permit_rollback(&self, place: &Place, previous: &Previous) -> Result<()> {
        self.policy.permit_update()?;
        let manifest = self
            .state
            .keys(build::KEYS)
            .and_then(|keys| bundles::manifest(self.state, &keys, previous.to.seq));
        let manifest = manifest.ok().flatten().map(|manifest| manifest.sha256());
        self.policy.permit_release(&previous.to.version, manifest)?;
        let Some(name) = previous.backup.as_ref().filter(|_| previous.deploys) else { return Ok(()) };
        let (path, entry) = backup::choose(place, Some(name), None)?;
        let backup = backup::open(&path, entry.map(|entry| entry.sha256_checksum))?;
        self.policy.permit_deployment(&backup.record)
    }

    /// The channel asked for, else the policy's, else stable. A policy that names a channel allows no other.
    pub fn channel(&self, asked: Option<&str>) -> Result<Name> {
        let text = asked.or(self.policy.channel().map(Name::as_str)).unwrap_or("stable");
        let channel = Name::parse(text).ok_or_else(|| {
            Error::usage(format!("--channel: \"{}\" is not a name of a channel", printable(text)))
                .hint("name one such as stable or beta")
        })?;
        self.policy.permit_channel(&channel)?;
        Ok(channel)
    }

    /// Where releases come from: `--from`, GWINSTALL_BASE_URL, the policy, the repository compiled in.
    pub fn origin(&self, from: Option<&str>) -> Result<Origin> {
        let variable = system::variable("GWINSTALL_BASE_URL");
        let asked = from.or(variable.as_deref());
        if let Some(asked) = asked {
            self.policy.permit_origin(asked)?;
        }
        match (asked.or(self.policy.base_url()), build::REPO) {
            (Some(place), _) => Origin::open(place, Client::from_environment),
            (None, Some(repo)) => Ok(Origin::github(repo, Client::from_environment()?)),
            (None, None) => Err(Error::usage("this gwinstall does not know where its releases are")
                .because("it was built without GWINSTALL_REPO")
                .hint(Hint::again(&["--from", "URL-OR-PATH"]).to("name the origin"))),
        }
    }

    /// Where releases come from when the origin is named and is not on the web.
    pub fn local_base(&self) -> Option<String> {
        self.named_base().filter(|base| !base.starts_with("http"))
    }

    /// The URL that a check would ask first, where releases come from the web.
    pub fn first_url(&self) -> Result<Option<String>> {
        let channel = self.channel(None)?;
        Ok(match (self.named_base(), build::REPO) {
            (Some(base), _) if base.starts_with("http") => {
                Some(format!("{}/channel-{channel}.json", base.trim_end_matches('/')))
            }
            (Some(_), _) | (None, None) => None,
            (None, Some(repo)) => {
                Some(format!("https://github.com/{repo}/releases/download/channel/channel-{channel}.json"))
            }
        })
    }

    fn named_base(&self) -> Option<String> {
        system::variable("GWINSTALL_BASE_URL").or(self.policy.base_url().map(str::to_owned))
    }

    /// What tells this machine from others, for a roll-out and for `--jitter`.
    pub fn machine(&self, place: &Place) -> Result<Option<MachineId>> {
        self.state.machine_id(Path::new(state::SYSTEM_ID), !place.staged)
    }

    /// The keys that are trusted now, at least as new as those seen before.
    pub fn keys(&self) -> Result<TrustedKeys> {
        let keys = self.state.keys(build::KEYS)?;
        self.trust.require_keys(&keys)?;
        Ok(keys)
    }

    /// This executable among the releases.
    pub fn running(&self) -> Running {
        // `verify` reports a kept manifest that does not verify; here it counts as unknown.
        let manifest =
            self.state.keys(build::KEYS).and_then(|keys| bundles::manifest(self.state, &keys, build::seq()));
        Running {
            seq: build::seq(),
            version: build::VERSION.to_owned(),
            manifest: manifest.ok().flatten().map(|manifest| manifest.sha256()),
            built: Instant::from_unix(build::date().unwrap_or(0)),
        }
    }

    /// What a bundle is held against before it replaces the deployed one.
    fn bundle_input<'b>(&'b self, way_in: WayIn, running: &'b Running, in_use: Release) -> PolicyInput<'b> {
        PolicyInput {
            way_in,
            now: system::now(),
            running,
            in_use,
            trust: &self.trust,
            channel: self.policy.channel(),
            constraints: Constraints { pins: &self.pins, ..Constraints::default() },
        }
    }
}

/// Reads the policy. A file or a directory that another user than root owns or may write allows nothing.
fn policy_at(path: &Path) -> Result<Policy> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    if !disk::exists(dir) {
        return Ok(Policy::default());
    }
    // Also without a policy in it: another user may have removed it.
    only_root_writes(dir)?;
    let Some(text) = disk::read_maybe(path, disk::TEXT_CAP)? else { return Ok(Policy::default()) };
    only_root_writes(path)?;
    match std::str::from_utf8(&text) {
        Ok(text) => Policy::parse(text),
        Err(error) => Err(untrusted(path, &format!("it is not text: {error}"))),
    }
}

fn only_root_writes(path: &Path) -> Result<()> {
    let fix = |command: &str| Hint::shell(format!("{command} {}", path.display())).to("fix it as root");
    if disk::owner(path).is_none_or(|(user, _)| user != 0) {
        return Err(untrusted(path, "it does not belong to root").hint(fix("chown root:root")));
    }
    if disk::mode(path).is_none_or(|mode| mode & 0o022 != 0) {
        return Err(untrusted(path, "others than root may write it").hint(fix("chmod go-w")));
    }
    Ok(())
}

fn untrusted(path: &Path, why: &str) -> Error {
    Error::new(Kind::Refused, format!("{} cannot be trusted, so nothing is allowed", path.display()))
        .because(why)
}

/// The policy of this machine.
pub fn policy() -> Result<Policy> {
    policy_at(Path::new(policy::PATH))
}

/// Whether the policy of this machine allows files that no release key has signed; `what` brings them.
pub fn permit_unsigned(what: &str) -> Result<()> {
    policy()?.permit_unsigned(what)
}

/// `--source-dir DIR`: unsigned, so the policy may forbid it.
pub fn directory(path: &Path) -> Result<Bundle> {
    permit_unsigned("an unsigned bundle (--source-dir)")?;
    Bundle::from_directory(path)
}

/// The bundle to deploy where the user names none: the embedded one, or a newer one that was fetched.
pub fn newest_bundle(place: &Place) -> Result<Bundle> {
    let embedded = Bundle::embedded()?;
    // A build without keys can verify nothing, and so has fetched nothing.
    if place.staged || build::KEYS.is_empty() || !disk::is_dir(&place.state_dir.join("bundles")) {
        return Ok(embedded);
    }
    let context = UpdateContext::of(place)?;
    let (running, in_use) = (context.running(), deployed_release(place)?);
    let input = context.bundle_input(WayIn::FetchedBundle, &running, in_use);
    let choice = bundles::newest(context.state, &context.keys()?, embedded.id.seq, &input)?;
    for refusal in &choice.refused {
        let note = format!("note: a fetched bundle is not used: {}", refusal.error(input.way_in));
        // A pin is there for this.
        if matches!(refusal, Refusal::Pinned { .. }) { term::detail(&note) } else { term::talk(&note) }
    }
    for error in &choice.unverified {
        term::talk(&format!("note: a fetched bundle is not used: {error}"));
    }
    Ok(choice.bundle.unwrap_or(embedded))
}

/// `--bundle FILE`: signed, and admitted by the same rules as an update.
pub fn bundle_file(place: &Place, path: &Path) -> Result<Bundle> {
    let context = UpdateContext::of(place)?;
    let keys = context.keys()?;
    let (bundle, manifest) = bundles::from_file(&keys, path)?;
    let (running, in_use) = (context.running(), deployed_release(place)?);
    let input = context.bundle_input(WayIn::BundleFile, &running, in_use);
    rules::admit(&manifest, &input)
        .map_err(|refusal| evidence::refused(context.state, &manifest, &refusal, input.way_in))?;
    for note in order::notes(&keys, &manifest, &input) {
        term::talk(&format!("note: {note}"));
    }
    Ok(bundle)
}

/// The release of the deployed bundle; seq 0 where nothing is deployed, or nothing signed.
pub fn deployed_release(place: &Place) -> Result<Release> {
    let record = store::record_as_found(place)?;
    Ok(record.map_or_else(Release::default, |record| Release {
        seq: record.bundle.seq,
        version: record.bundle.version,
    }))
}

/// The configuration that a newer bundle would replace: the newest of the deployed one, the fetched ones and the embedded
/// one.
pub fn newest_configuration(place: &Place) -> Result<Release> {
    let deployed = deployed_release(place)?;
    match newest_bundle(place) {
        Ok(bundle) if bundle.id.seq >= deployed.seq => {
            Ok(Release { seq: bundle.id.seq, version: bundle.id.version })
        }
        // Refused are bundles that are older than the deployed one.
        Err(error) if error.kind() != Kind::Refused => Err(error),
        Ok(_) | Err(_) => Ok(deployed),
    }
}

/// What is known about releases without asking an origin.
pub struct Notices {
    pub lines: Vec<String>,
    pub last: Option<LastCheck>,
}

/// For `status`: what the last check found, and whether a self-update was interrupted. The commands that need these
/// files report one that cannot be read.
pub fn news(place: &Place) -> Notices {
    let state = State { dir: &place.state_dir };
    let last: Option<LastCheck> = state.read_json(update::LAST_CHECK).ok().flatten();
    let mut lines = Vec::new();
    if let Some(newer) = last.as_ref().filter(|last| last.seq > build::seq()) {
        let why = if newer.severity == Severity::Security { ", a security update" } else { "" };
        let (version, day) = (printable(&newer.version), newer.at.date());
        let command = term::command(&["self-update"]);
        lines.push(format!("gwinstall {version} was available on {day}{why}: {command}"));
    }
    if let Ok(Some(journal)) = replace::interrupted(state) {
        lines.push(format!(
            "a self-update to {} was interrupted; the next changing command completes or reverts it",
            printable(&journal.to.version)
        ));
    }
    Notices { lines, last }
}

/// The executable that runs.
pub fn current_exe() -> Result<CurrentExe> {
    let path =
        system::executable().ok_or_else(|| Error::failed("cannot find the path of this executable"))?;
    CurrentExe::new(path, build::seq(), build::VERSION)
}

/// Whether an interrupted self-update waits for `recover`.
pub fn unfinished(place: &Place) -> Result<bool> {
    let state = State { dir: &place.state_dir };
    if place.staged || state.is_its_child() {
        return Ok(false);
    }
    if replace::interrupted(state)?.is_some() {
        return Ok(true);
    }
    let Some(executable) = system::executable() else { return Ok(false) };
    Ok(!replace::partial_files(state, &executable)?.is_empty())
}

/// Completes or reverts an interrupted self-update. If that makes this process the wrong one, it becomes the right one.
/// The deployment must have been recovered before.
pub fn recover(place: &Place, wait: u64) -> Result<()> {
    let state = State { dir: &place.state_dir };
    if place.staged {
        return Ok(());
    }
    if replace::interrupted(state)?.is_none() {
        return system::executable()
            .map_or(Ok(()), |executable| replace::remove_partial_files(state, &executable));
    }
    let current = current_exe()?;
    match replace::recover(state, &|| deployed(place), wait)? {
        Recovered::Nothing => return Ok(()),
        Recovered::Finished => term::talk("An earlier self-update was interrupted; it was completed."),
        Recovered::Undone => term::talk("An earlier self-update was interrupted; it was reverted."),
    }
    if replace::was_replaced(&current)? { Err(exe::restart()) } else { Ok(()) }
}

/// The deployment that decides about an interrupted self-update.
pub fn deployed(place: &Place) -> Result<Deployed> {
    let record = store::record_as_found(place)?;
    let newest = backup::list(place)?
        .into_iter()
        .find(|entry| !entry.safety && entry.before == Some(Operation::Update));
    Ok(Deployed { seq: record.map(|record| record.bundle.seq), backup: newest.map(|entry| entry.filename) })
}

/// Directories that a package manager owns.
const PACKAGED: [&str; 10] = [
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/usr/lib",
    "/nix",
    "/gnu",
    "/snap",
    "/opt/homebrew",
    "/home/linuxbrew",
];

/// Refuses to replace an executable that a package or an image installed, and names the right command instead.
pub fn require_replaceable(current: &CurrentExe) -> Result<()> {
    let path = current.path.as_path();
    let dir = path.parent().unwrap_or(Path::new("/"));
    let refuse = |why: String, hint: Hint| {
        Err(Error::new(Kind::Refused, format!("{} is not gwinstall's own to replace", path.display()))
            .because(why)
            .hint(hint))
    };
    let marker = dir.join("gwinstall.managed");
    if let Some(text) = disk::read_maybe(&marker, disk::TEXT_CAP)? {
        let text = String::from_utf8_lossy(&text);
        let command = Hint::shell(printable(text.lines().next().unwrap_or_default()));
        return refuse(format!("a package or an image installed it ({})", marker.display()), command);
    }
    if PACKAGED.iter().any(|prefix| dir.starts_with(prefix)) {
        let hint = "update it with the package manager that installed it, or rebuild the image";
        return refuse(format!("{} belongs to the system", dir.display()), hint.into());
    }
    if !disk::may_write(dir) {
        let hint = "run it as its owner, rebuild the image, or install your own: sh install.sh";
        return refuse(format!("{} is read-only for you", dir.display()), hint.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_another_user_could_have_written_allows_nothing() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("gwinstall");
        let path = dir.join("policy.yaml");
        assert!(policy_at(&path).unwrap().permit_update().is_ok());
        disk::create_dirs(&dir).unwrap();
        disk::create(&path, b"updates: off\n", 0o644).unwrap();
        if !system::is_root() {
            assert_eq!(policy_at(&path).unwrap_err().kind(), Kind::Refused);
            return;
        }
        assert_eq!(policy_at(&path).unwrap().permit_update().unwrap_err().kind(), Kind::Refused);
        // Who may write the directory can remove the policy.
        disk::set_mode(&dir, 0o777).unwrap();
        for there in [true, false] {
            let text = policy_at(&path).unwrap_err().to_string();
            assert!(text.contains("others than root may write it"), "{there}: {text}");
            disk::remove(&path).unwrap();
        }
        disk::set_mode(&dir, 0o755).unwrap();
        assert!(policy_at(&path).unwrap().permit_update().is_ok());
        disk::create(&path, b"updates: off\n", 0o644).unwrap();
        for mode in [0o664, 0o646, 0o666] {
            disk::set_mode(&path, mode).unwrap();
            assert!(policy_at(&path).unwrap_err().to_string().contains("others than root"), "{mode:o}");
        }
        disk::set_mode(&path, 0o644).unwrap();
        disk::set_owner(&path, 1000, 0).unwrap();
        assert!(policy_at(&path).unwrap_err().to_string().contains("belong to root"));
    }
}
