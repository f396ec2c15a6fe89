//! What every command that deals with releases begins with: policy, pins, keys, origin, and which bundle wins.

use std::path::{Path, PathBuf};

use crate::bundle::{self, Bundle, build};
use crate::deploy::{backup, store};
use crate::domain::Operation;
use crate::domain::name::printable;
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Instant, Kind, Place, Result};
use crate::doors::net::Client;
use crate::doors::{disk, exe, system, term};
use crate::release::bundles;
use crate::release::documents::{Name, Severity};
use crate::release::memory::Memory;
use crate::release::order::Running;
use crate::release::origin::Origin;
use crate::release::policy::{self, Pin, Policy};
use crate::release::replace::{self, Deployed, Own, Recovered};
use crate::release::state::State;
use crate::release::update::{self, LastCheck};

/// The rules and the memory of this machine.
pub(super) struct Ground<'a> {
    pub state: State<'a>,
    pub policy: Policy,
    pub memory: Memory,
    pub pins: Vec<Pin>,
}

impl<'a> Ground<'a> {
    pub(super) fn of(place: &'a Place) -> Result<Self> {
        let state = State { dir: &place.state_dir };
        let policy = policy_at(Path::new(policy::PATH))?;
        let memory = state.memory()?;
        let variable = system::variable("GWINSTALL_PIN");
        let pins =
            variable.iter().chain(&memory.pin).map(|pin| Pin::parse(pin)).collect::<Result<Vec<_>>>()?;
        let pins = pins.into_iter().chain(policy.pin().cloned()).collect();
        Ok(Self { state, policy, memory, pins })
    }

    /// The channel asked for, else the policy's, else stable; the policy has the last word.
    pub(super) fn channel(&self, asked: Option<&str>) -> Result<Name> {
        let text = asked.or(self.policy.channel().map(Name::as_str)).unwrap_or("stable");
        let channel = Name::parse(text).ok_or_else(|| {
            Error::usage(format!("--channel: {:?} is no name of a channel", printable(text)))
                .hint("--channel stable")
        })?;
        self.policy.permit_channel(&channel)?;
        Ok(channel)
    }

    /// Where releases come from: `--from`, GWINSTALL_BASE_URL, the policy, the repository compiled in.
    pub(super) fn origin(&self, from: Option<&str>) -> Result<Origin> {
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
                .hint("gwinstall self-update --from URL-OR-PATH")),
        }
    }

    /// Where releases come from when it is named and is not on the web.
    pub(super) fn local_base(&self) -> Option<String> {
        let named = system::variable("GWINSTALL_BASE_URL").or(self.policy.base_url().map(str::to_owned));
        named.filter(|base| !base.starts_with("http"))
    }

    /// The URL that a check would ask first, where releases come from the web.
    pub(super) fn first_url(&self) -> Result<Option<String>> {
        let channel = self.channel(None)?;
        let asked = system::variable("GWINSTALL_BASE_URL").or(self.policy.base_url().map(str::to_owned));
        Ok(match (asked, build::REPO) {
            (Some(base), _) if base.starts_with("http") => {
                Some(format!("{}/channel-{channel}.json", base.trim_end_matches('/')))
            }
            (Some(_), _) | (None, None) => None,
            (None, Some(repo)) => {
                Some(format!("https://github.com/{repo}/releases/download/channel/channel-{channel}.json"))
            }
        })
    }

    /// This executable among the releases.
    pub(super) fn running(&self) -> Running {
        let manifest =
            self.state.keys(build::KEYS).and_then(|keys| bundles::manifest(self.state, &keys, build::seq()));
        Running {
            seq: build::seq(),
            version: build::VERSION.to_owned(),
            manifest: manifest.ok().flatten().map(|manifest| manifest.sha256()),
            built: Instant::from_unix(build::date().unwrap_or(0)),
        }
    }
}

/// Reads the policy; it must be root's and nobody else's to write, or nothing is allowed.
fn policy_at(path: &Path) -> Result<Policy> {
    let Some(text) = disk::read_maybe(path, disk::TEXT_CAP)? else { return Ok(Policy::default()) };
    let refuse = |why: &str| {
        Error::new(Kind::Refused, format!("{} cannot be trusted, so nothing is allowed", path.display()))
            .because(why)
            .hint(format!("as root: chown root:root {0} && chmod 644 {0}", path.display()))
    };
    if disk::owner(path).is_none_or(|(user, _)| user != 0) {
        return Err(refuse("it does not belong to root"));
    }
    if disk::mode(path).is_none_or(|mode| mode & 0o022 != 0) {
        return Err(refuse("others than root may write it"));
    }
    Policy::parse(std::str::from_utf8(&text).map_err(|_| refuse("it is not text"))?)
}

/// Whether this machine's policy lets somebody deploy this.
pub(super) fn permit(preset: &str, url: &HttpUrl) -> Result<()> {
    let policy = policy_at(Path::new(policy::PATH))?;
    policy.permit_preset(preset)?;
    policy.permit_gateway_url(url)
}

/// The bundle to deploy when nobody names one: the embedded one, or a newer one that was fetched.
pub(super) fn newest_bundle(place: &Place) -> Result<Bundle> {
    let embedded = bundle::embedded()?;
    // A build without keys can verify nothing, and so has fetched nothing.
    if place.staged || build::KEYS.is_empty() || !disk::is_dir(&place.state_dir.join("bundles")) {
        return Ok(embedded);
    }
    let ground = Ground::of(place)?;
    let keys = ground.state.keys(build::KEYS)?;
    ground.memory.demand_keys(&keys)?;
    let fetched = bundles::newest(ground.state, &keys, &ground.memory, &ground.pins, embedded.id.seq)?;
    Ok(fetched.unwrap_or(embedded))
}

/// `--bundle FILE`: signed, not denied, not below the floor, not older than what is deployed, and what a pin says.
pub(super) fn bundle_file(place: &Place, path: &Path) -> Result<Bundle> {
    let ground = Ground::of(place)?;
    let keys = ground.state.keys(build::KEYS)?;
    ground.memory.demand_keys(&keys)?;
    let (bundle, manifest) = bundles::from_file(&keys, path)?;
    let facts = manifest.facts();
    let refuse =
        |why: String| Error::new(Kind::Refused, format!("bundle {} is refused", facts.version)).because(why);
    if let Some(why) = ground.memory.denied.get(facts.version.as_str()) {
        return Err(refuse(printable(why)));
    }
    if let Some(pin) = ground.pins.iter().find(|pin| !pin.matches(&manifest)) {
        return Err(refuse(format!("this machine is pinned to {pin}")));
    }
    if facts.seq < ground.memory.floor_seq {
        return Err(refuse(format!(
            "its seq {} is below the floor of {}",
            facts.seq, ground.memory.floor_seq
        )));
    }
    let deployed = store::record_as_found(place)?.map_or(0, |record| record.bundle.seq);
    if facts.seq < deployed && ground.pins.is_empty() {
        return Err(refuse(format!("its seq {} is older than what is deployed, seq {deployed}", facts.seq))
            .hint("to go back: gwinstall rollback, or gwinstall self-update --rollback"));
    }
    if let Some(note) = keys.remark(manifest.signer()) {
        term::talk(&format!("note: {note}"));
    }
    Ok(bundle)
}

/// `--source-dir DIR`: unsigned, so the policy may forbid it.
pub(super) fn directory(path: &Path) -> Result<Bundle> {
    permit_unsigned()?;
    Bundle::from_directory(path)
}

/// Whether this machine's policy lets somebody deploy files that no release key has signed.
pub(super) fn permit_unsigned() -> Result<()> {
    policy_at(Path::new(policy::PATH))?.permit_source_dir()
}

/// What is known about releases without asking anybody.
pub(super) struct News {
    pub lines: Vec<String>,
    pub last: Option<LastCheck>,
}

/// For `status`: what the last check learned, and whether a self-update was interrupted. A file that cannot be read
/// is the business of the commands that need it.
pub(super) fn news(place: &Place) -> News {
    let state = State { dir: &place.state_dir };
    let last: Option<LastCheck> = state.read_json(update::LAST_CHECK).ok().flatten();
    let mut lines = Vec::new();
    if let Some(newer) = last.as_ref().filter(|last| last.seq > build::seq()) {
        let why = if newer.severity == Severity::Security { ", a security update" } else { "" };
        let (version, day) = (printable(&newer.version), newer.at.date());
        lines.push(format!("gwinstall {version} was out on {day}{why}: gwinstall self-update"));
    }
    if let Ok(Some(journal)) = replace::interrupted(state) {
        lines.push(format!(
            "a self-update to {} was interrupted; the next changing command completes it or takes it back",
            printable(&journal.to.version)
        ));
    }
    News { lines, last }
}

/// The executable that runs.
pub(super) fn own() -> Result<Own> {
    let path = system::executable().ok_or_else(|| Error::failed("cannot tell where this executable is"))?;
    Own::new(path, build::seq(), build::VERSION)
}

/// Whether a self-update was broken off and waits for `recover`.
pub(super) fn unfinished(place: &Place) -> Result<bool> {
    let state = State { dir: &place.state_dir };
    if place.staged || state.is_its_child() {
        return Ok(false);
    }
    let halves =
        || system::executable().is_some_and(|executable| !replace::halves(state, &executable).is_empty());
    Ok(replace::interrupted(state)?.is_some() || halves())
}

/// Completes or takes back an interrupted self-update. If that makes this process the wrong one, it becomes the
/// right one. The deployment must have been recovered before.
pub(super) fn recover(place: &Place, wait: u64) -> Result<()> {
    let state = State { dir: &place.state_dir };
    if place.staged {
        return Ok(());
    }
    if replace::interrupted(state)?.is_none() {
        return system::executable().map_or(Ok(()), |executable| replace::tidy(state, &executable));
    }
    let own = own()?;
    match replace::recover(state, &|| deployed(place), wait)? {
        Recovered::Nothing => return Ok(()),
        Recovered::Finished => term::talk("An earlier self-update was interrupted; it was completed."),
        Recovered::Undone => term::talk("An earlier self-update was interrupted; it was taken back."),
    }
    if replace::became_another(&own)? { Err(exe::restart()) } else { Ok(()) }
}

/// What is deployed, which decides about an interrupted self-update.
pub(super) fn deployed(place: &Place) -> Result<Deployed> {
    let record = store::record_as_found(place)?;
    let newest = backup::list(place)?
        .into_iter()
        .find(|entry| !entry.safety && entry.before == Some(Operation::Update));
    Ok(Deployed { seq: record.map(|record| record.bundle.seq), backup: newest.map(|entry| entry.filename) })
}

/// Whether this executable is ours to replace; if a package or an image owns it, the right command instead.
pub(super) fn demand_own(own: &Own) -> Result<()> {
    let path = own.path.as_path();
    let dir = path.parent().unwrap_or(Path::new("/"));
    let refuse = |why: String, hint: String| {
        Err(Error::new(Kind::Refused, format!("{} is not gwinstall's own to replace", path.display()))
            .because(why)
            .hint(hint))
    };
    let marker: PathBuf = dir.join("gwinstall.managed");
    if let Some(text) = disk::read_maybe(&marker, disk::TEXT_CAP)? {
        let text = String::from_utf8_lossy(&text);
        let command = printable(text.lines().next().unwrap_or_default());
        return refuse(format!("a package or an image installed it ({})", marker.display()), command);
    }
    let packaged = [
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
    if packaged.iter().any(|prefix| dir.starts_with(prefix)) {
        let hint = "update it with the package manager that installed it, or build the image anew";
        return refuse(format!("{} belongs to the system", dir.display()), hint.to_owned());
    }
    if !disk::may_write(dir) {
        let hint = "run it as its owner, build the image anew, or install your own: sh install.sh";
        return refuse(format!("{} is read-only for you", dir.display()), hint.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy that somebody else could have written allows nothing.
    #[test]
    fn policies_must_be_roots() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        assert!(policy_at(&path).unwrap().permit_update().is_ok());
        disk::create(&path, b"updates: off\n", 0o644).unwrap();
        if !system::is_root() {
            assert_eq!(policy_at(&path).unwrap_err().kind(), Kind::Refused);
            return;
        }
        assert_eq!(policy_at(&path).unwrap().permit_update().unwrap_err().kind(), Kind::Refused);
        for mode in [0o664, 0o646, 0o666] {
            disk::set_mode(&path, mode).unwrap();
            assert!(policy_at(&path).unwrap_err().to_string().contains("others than root"), "{mode:o}");
        }
        disk::set_mode(&path, 0o644).unwrap();
        disk::set_owner(&path, 1000, 0).unwrap();
        assert!(policy_at(&path).unwrap_err().to_string().contains("belong to root"));
    }
}
