//! What is kept between runs, in the state directory:
//!
//! - `trust.json`: what was seen (`trust_state`)
//! - `keys/`: the keys documents after the compiled-in one, with their signatures; verified again at each use
//! - `channel-<name>.json`, `.minisig`, `last-check.json`: the last answer of a check, for ETags and `status`
//! - `bundles/<seq>/`: manifest, signature and, where it was fetched, archive of a release
//! - `equivocation/`, `newest-manifest.json`: see `evidence`
//! - `machine-id`: the random id of a machine that has no `/etc/machine-id`, for roll-outs
//! - `self-update.lock`, `self-update.journal`, `previous.json`: see `replace`
//!
//! Promise: every file is written whole or not at all, for this user alone. Never: touched by a rollback or part of a
//! backup.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::documents::Name;
use super::minisig::KeyId;
use super::origin::{DOCUMENT_CAP, Origin, ReleasePath};
use super::rollout::MachineId;
use super::trust::{KeySource, TrustedKeys};
use super::trust_state::{self, TrustState};
use crate::domain::{Error, Hint, Kind, Result};
use crate::doors::disk::{self, At as _, Holder, Lock};
use crate::doors::{exe, signals, system};

/// The id that systemd gives a machine.
pub const SYSTEM_ID: &str = "/etc/machine-id";
/// The id that gwinstall gives a machine without one.
const OWN_ID: &str = "machine-id";

/// The state directory.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    pub dir: &'a Path,
}

impl<'a> State<'a> {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn trust(&self) -> Result<TrustState> {
        match disk::read_maybe(&self.path(trust_state::FILE), disk::TEXT_CAP)? {
            Some(text) => TrustState::parse(&text),
            None => Ok(TrustState::default()),
        }
    }

    pub fn keep_trust(&self, trust: &TrustState) -> Result<()> {
        self.keep_json(trust_state::FILE, trust)
    }

    /// Writes a small file: old content or new, 0600.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let parent = path.parent().unwrap_or(self.dir);
        self.make(parent)?;
        disk::write_atomically(&path, bytes, 0o600).at("write", &path)
    }

    /// Makes a directory durable: after a power cut a file without its directory is lost.
    fn make(&self, dir: &Path) -> Result<()> {
        let made = disk::create_dirs(dir).at("create", dir)?;
        made.iter().filter_map(|dir| dir.parent()).try_for_each(disk::flush_dir).at("create", dir)
    }

    pub fn keep_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value)
            .map_err(|error| Error::failed(format!("cannot write {name}")).because(error))?;
        text.push(b'\n');
        self.keep(name, &text)
    }

    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        disk::read_maybe(&self.path(name), DOCUMENT_CAP)
    }

    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.read(name)? else { return Ok(None) };
        let broken =
            |error| Error::failed(format!("{} cannot be read", self.path(name).display())).because(error);
        serde_json::from_slice(&text).map(Some).map_err(broken)
    }

    pub fn forget(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        disk::remove(&path).at("remove", &path)?;
        if disk::is_dir(self.dir) {
            disk::flush_dir(self.dir).at("write", self.dir)?;
        }
        Ok(())
    }

    /// What tells this machine from others: the id in the file `of_system`, else one that is kept here. `make`: whether a
    /// random one is made where none is kept; a home that is staged for an image gets none, because all its copies would
    /// share it.
    pub fn machine_id(&self, of_system: &Path, make: bool) -> Result<Option<MachineId>> {
        // A file that cannot be read, or that has no id in it, is the same as none.
        let read = |path: &Path| {
            let text = disk::read_maybe(path, disk::TEXT_CAP).ok().flatten()?;
            MachineId::parse(std::str::from_utf8(&text).ok()?)
        };
        if let Some(id) = read(of_system).or_else(|| read(&self.path(OWN_ID))) {
            return Ok(Some(id));
        }
        if !make {
            return Ok(None);
        }
        let id = system::random_hex(16)?;
        self.keep(OWN_ID, format!("{id}\n").as_bytes())?;
        Ok(MachineId::parse(&id))
    }

    /// The keys that are trusted now: the compiled-in ones, walked along what was kept. They may be older than what
    /// was seen; see `learn_keys` and `TrustState::require_keys`.
    pub fn keys(&self, embedded: &[u8]) -> Result<TrustedKeys> {
        if embedded.is_empty() {
            return Err(Error::new(Kind::Refused, "this gwinstall cannot verify releases")
                .because("it was built from source, without the keys of a publisher")
                .hint("install a release with its install.sh, or build with GWINSTALL_KEYS=keys.json"));
        }
        let mut keys = TrustedKeys::embedded(embedded)?;
        // A kept document that does not verify counts as missing: it is fetched again.
        while let Ok(next) = keys.clone().walk(keys.version() + 1, &mut Kept(*self)) {
            keys = next;
        }
        Ok(keys)
    }

    /// Follows the origin's keys as far as `goal` (or as they go), and keeps the documents that verify.
    pub fn learn_keys(&self, keys: TrustedKeys, origin: &Origin, goal: Option<u64>) -> Result<TrustedKeys> {
        let mut source = Fetched { origin, files: BTreeMap::new() };
        let keys = match goal {
            Some(goal) => keys.walk(goal, &mut source)?,
            None => keys.walk_to_end(&mut source)?,
        };
        // Signatures sort behind their document and go first, so that no document is kept without them.
        for (name, bytes) in source.files.into_iter().rev() {
            self.keep(&format!("keys/{name}"), &bytes)?;
        }
        Ok(keys)
    }

    /// One self-update at a time. The command that a self-update runs itself finds its parent in the lock.
    pub fn lock(&self, command: &str, wait: u64) -> Result<Lock> {
        self.make(self.dir)?;
        let path = self.path("self-update.lock");
        let me = Holder { pid: system::pid(), command: command.to_owned(), since: system::now() };
        for second in 0..=wait {
            match disk::hold(&path, &me).at("lock", &path)? {
                Ok(lock) => return Ok(lock),
                Err(holder) if second == wait => return Err(busy(holder)),
                Err(_) => system::sleep(Duration::from_secs(1)),
            }
            signals::check()?;
        }
        Err(busy(None))
    }

    /// Removes what gwinstall keeps here, and the directory if nothing else is in it.
    pub fn leave(&self) -> Result<()> {
        let remove = |path: &Path| disk::remove(path).at("remove", path);
        let numbered = self.names("bundles")?.into_iter().filter(|name| name.parse::<u64>().is_ok());
        let numbered = numbered.map(|seq| format!("bundles/{seq}"));
        let within: Vec<String> = numbered.chain(["keys", "equivocation"].map(str::to_owned)).collect();
        for dir in &within {
            for name in self.names(dir)? {
                remove(&self.path(dir).join(name))?;
            }
        }
        for name in self.names("")?.into_iter().filter(|name| is_known(name)) {
            remove(&self.path(&name))?;
        }
        for dir in within.iter().map(String::as_str).chain(["bundles", ""]) {
            let dir = self.path(dir);
            disk::remove_dir_if_empty(&dir).at("remove", &dir)?;
        }
        Ok(())
    }

    fn names(&self, dir: &str) -> Result<Vec<String>> {
        let dir = self.path(dir);
        if disk::is_dir(&dir) { disk::list(&dir) } else { Ok(Vec::new()) }
    }

    /// Whether a running self-update started this very process.
    pub fn is_its_child(&self) -> bool {
        let holder = disk::read_maybe(&self.path("self-update.lock"), disk::TEXT_CAP).ok().flatten();
        let holder = holder.and_then(|text| serde_json::from_slice::<Holder>(&text).ok());
        holder.is_some_and(|holder| exe::parent() == Some(holder.pid))
    }
}

/// Files that gwinstall keeps at the top of the directory, also as an interrupted write left them.
fn is_known(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    let name = name.strip_suffix(".rejected").unwrap_or(name);
    let name = name.strip_suffix(".minisig").unwrap_or(name);
    let known = [
        trust_state::FILE,
        "last-check.json",
        "newest-manifest.json",
        "manifest.json",
        OWN_ID,
        "previous.json",
        "self-update.journal",
        "self-update.lock",
    ];
    known.contains(&name) || (name.starts_with("channel-") && name.ends_with(".json"))
}

fn busy(holder: Option<Holder>) -> Error {
    let error = Error::new(Kind::Busy, "another self-update is running");
    let error = match holder {
        Some(holder) => error.because(format!("process {} since {}", holder.pid, holder.since)),
        None => error,
    };
    error.hint(Hint::again(&["--lock-wait=60"]).to("wait for it"))
}

/// A channel document and its signature.
pub(super) fn channel_names(channel: &Name) -> (String, String) {
    (format!("channel-{channel}.json"), format!("channel-{channel}.json.minisig"))
}

pub fn keys_name(version: u64) -> String {
    format!("keys.{version}.json")
}

pub fn keys_signature_name(version: u64, id: KeyId) -> String {
    format!("keys.{version}.json.{id}.minisig")
}

/// The chain that was kept.
struct Kept<'a>(State<'a>);

impl KeySource for Kept<'_> {
    fn document(&mut self, version: u64) -> Result<Option<Vec<u8>>> {
        self.0.read(&format!("keys/{}", keys_name(version)))
    }

    fn signature(&mut self, version: u64, id: KeyId) -> Result<Option<Vec<u8>>> {
        self.0.read(&format!("keys/{}", keys_signature_name(version, id)))
    }
}

/// The chain of an origin, with everything that was fetched.
struct Fetched<'a> {
    origin: &'a Origin,
    files: BTreeMap<String, Vec<u8>>,
}

impl Fetched<'_> {
    fn fetch(&mut self, name: String) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.files.get(&name) {
            return Ok(Some(bytes.clone()));
        }
        let bytes = self.origin.document(ReleasePath::Shared, &name)?;
        if let Some(bytes) = &bytes {
            self.files.insert(name, bytes.clone());
        }
        Ok(bytes)
    }
}

impl KeySource for Fetched<'_> {
    fn document(&mut self, version: u64) -> Result<Option<Vec<u8>>> {
        self.fetch(keys_name(version))
    }

    fn signature(&mut self, version: u64, id: KeyId) -> Result<Option<Vec<u8>>> {
        self.fetch(keys_signature_name(version, id))
    }
}
