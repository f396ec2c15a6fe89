//! Asking an origin: keys, channel, manifest, bundle. Everything up to the point where something is replaced.
//!
//! The steps carry the numbers of the release format: 1 clock, 2 keys, 3 channel, 4 manifest, 5 policy, 6 download.
//! Nothing here changes an executable or a deployment.

use serde::{Deserialize, Serialize};

use super::documents::{self, Channel, Manifest, Name, Severity};
use super::evidence::{self, Served};
use super::memory::Memory;
use super::order::{self, Freshness, Running, Standpoint, Verdict};
use super::origin::{Origin, Rejects, Shelf};
use super::policy::Pin;
use super::state::State;
use super::trust::{TrustedKeys, Verified};
use crate::domain::{Error, Instant, Result};
use crate::doors::net::Answer;

/// What `status` shows of the last check.
pub const LAST_CHECK: &str = "last-check.json";

/// One question to one origin.
pub struct Inquiry<'a> {
    pub state: State<'a>,
    pub origin: &'a Origin,
    /// The keys compiled into this executable.
    pub embedded_keys: &'a [u8],
    pub running: &'a Running,
    pub channel: &'a Name,
    pub pins: &'a [Pin],
    pub asked: Option<&'a Pin>,
    pub allow_downgrade: Option<&'a Name>,
    pub accept_below_floor: Option<u64>,
    pub rejects: Rejects,
    pub now: Instant,
}

/// What the origin said so far, verified.
pub struct News {
    pub keys: TrustedKeys,
    pub memory: Memory,
    /// With whether it proves what it says; absent for a pinned or named version, and where the origin has none.
    pub channel: Option<(Verified<Channel>, Freshness)>,
}

/// A release that may be taken, with the bytes that prove it.
pub struct Candidate {
    pub manifest: Verified<Manifest>,
    pub bytes: Vec<u8>,
    pub minisig: Vec<u8>,
    pub verdict: Verdict,
    pub rejects: Rejects,
}

/// Facts of the last check, for `status`: nothing is decided by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCheck {
    pub at: Instant,
    pub origin: String,
    pub channel: String,
    pub seq: u64,
    pub version: String,
    pub severity: Severity,
    /// Whether that was proved to be the newest, and until when the proof holds.
    pub proved_until: Option<Instant>,
    pub etag: Option<String>,
}

impl Inquiry<'_> {
    /// 2 and 3: keys as new as the origin's, then its channel. `newest`: tell the newest even when a version is pinned.
    pub fn ask(&self, newest: bool) -> Result<News> {
        let mut memory = self.state.memory()?;
        let keys = self.state.keys(self.embedded_keys)?;
        let exact = self.asked.is_some() || !self.pins.is_empty();
        let found = if exact && !newest { None } else { self.fetch_channel(&memory)? };
        let keys = if self.origin.is_online() {
            let goal = match &found {
                Some(found) => documents::unverified_keys_version(&found.bytes),
                None => self.newest_keys()?,
            };
            match goal {
                Some(goal) if goal > keys.version() => {
                    self.state.learn_keys(keys, self.origin, Some(goal))?
                }
                _ => keys,
            }
        } else {
            // What was carried here goes as far as it goes.
            self.state.learn_keys(keys, self.origin, None)?
        };
        memory.demand_keys(&keys)?;
        memory.saw_keys(&keys);
        let channel = match found {
            None => None,
            Some(found) => Some(self.judge_channel(&keys, &mut memory, &found)?),
        };
        self.state.remember(&memory)?;
        Ok(News { keys, memory, channel })
    }

    fn newest_keys(&self) -> Result<Option<u64>> {
        let bytes = self.origin.document(Shelf::Shared, "keys.json")?;
        Ok(bytes.as_deref().and_then(documents::unverified_keys_version))
    }

    /// One conditional GET; the signature only when something changed.
    fn fetch_channel(&self, memory: &Memory) -> Result<Option<Found>> {
        let (name, signature) = channel_names(self.channel);
        let last: Option<LastCheck> = self.state.read_json(LAST_CHECK).unwrap_or_default();
        let kept = (self.state.read(&name)?, self.state.read(&signature)?);
        let same =
            |last: &LastCheck| last.origin == self.origin.shown() && last.channel == *self.channel.as_str();
        let etag = match (&kept, last.filter(same)) {
            // A memory that was lost must be learnt anew from full answers.
            ((Some(_), Some(_)), Some(last)) if memory.told.is_some() => last.etag,
            _ => None,
        };
        match self.origin.document_since(Shelf::Shared, &name, etag.as_deref())? {
            Answer::Missing if self.origin.is_online() => Err(self.no_channel()),
            Answer::Missing => Ok(None),
            Answer::NotModified => Ok(match kept {
                (Some(bytes), Some(minisig)) => Some(Found { bytes, minisig, etag }),
                _ => None,
            }),
            Answer::Document { bytes, etag } => {
                let minisig = self.origin.require(Shelf::Shared, &signature)?;
                Ok(Some(Found { bytes, minisig, etag }))
            }
        }
    }

    fn no_channel(&self) -> Error {
        Error::new(
            crate::domain::Kind::Network,
            format!("{} has no channel {}", self.origin.shown(), self.channel),
        )
        .because("this is no place of releases, or the name of the channel is wrong")
        .hint("gwinstall self-update --check --channel stable")
    }

    /// 3: signature, then freshness. Offline nobody can prove freshness, so nobody is asked to.
    fn judge_channel(
        &self,
        keys: &TrustedKeys,
        memory: &mut Memory,
        found: &Found,
    ) -> Result<(Verified<Channel>, Freshness)> {
        let (name, signature) = channel_names(self.channel);
        let channel = keys
            .verify_channel(&found.bytes, &found.minisig)
            .map_err(|error| self.reject(&name, &found.bytes, &found.minisig, error))?;
        if !self.origin.is_online() {
            return Ok((channel, Freshness::NotAsked));
        }
        let facts = channel.facts();
        if let Some(seen) = self.standpoint(memory).another(facts.seq, facts.manifest_sha256) {
            let served = Served { bytes: &found.bytes, minisig: &found.minisig };
            evidence::of_channel(self, keys, &channel, &served, seen)?;
        }
        let freshness = self.standpoint(memory).judge_channel(keys, &channel)?;
        if freshness == Freshness::Proved {
            memory.saw_channel(&channel);
        }
        self.state.keep(&signature, &found.minisig)?;
        self.state.keep(&name, &found.bytes)?;
        let proved = freshness == Freshness::Proved;
        let last = LastCheck {
            at: self.now,
            origin: self.origin.shown(),
            channel: self.channel.to_string(),
            seq: facts.seq,
            version: facts.version.to_string(),
            severity: facts.severity,
            proved_until: proved.then_some(facts.expires),
            etag: found.etag.clone(),
        };
        self.state.keep_json(LAST_CHECK, &last)?;
        Ok((channel, freshness))
    }

    /// 4 and 5: the manifest of the version that is pinned, named or newest, and whether it may be taken.
    pub fn candidate(&self, news: &News) -> Result<Candidate> {
        let exact = self.asked.into_iter().chain(self.pins).find_map(|pin| match pin {
            Pin::Version(version) => Some(version),
            Pin::Manifest(_) => None,
        });
        let version = exact.or(news.channel.as_ref().map(|(channel, _)| &channel.facts().version));
        let shelf = version.map_or(Shelf::Newest, Shelf::Version);
        let bytes = self.origin.require(shelf, "manifest.json")?;
        let minisig = self.origin.require(shelf, "manifest.json.minisig")?;
        let manifest = news
            .keys
            .verify_manifest(&bytes, &minisig)
            .map_err(|error| self.reject("manifest.json", &bytes, &minisig, error))?;
        if let Some(seen) = self.standpoint(&news.memory).another(manifest.facts().seq, manifest.sha256()) {
            evidence::of_manifest(self.state, &manifest, &Served { bytes: &bytes, minisig: &minisig }, seen)?;
        }
        // What the channel says is held against the manifest only if the manifest was found by way of it.
        let channel = news.channel.as_ref().filter(|_| exact.is_none());
        let channel = channel.map(|(channel, freshness)| (channel, freshness.clone()));
        let verdict = self.standpoint(&news.memory).judge_manifest(&news.keys, &manifest, channel)?;
        let mut memory = news.memory.clone();
        memory.saw_manifest(&manifest);
        evidence::keep_newest(self.state, &memory, &manifest, &Served { bytes: &bytes, minisig: &minisig })?;
        self.state.remember(&memory)?;
        Ok(Candidate { manifest, bytes, minisig, verdict, rejects: self.rejects })
    }

    /// With `--keep-rejected`, a document whose signature does not hold stays in the state directory.
    fn reject(&self, name: &str, bytes: &[u8], minisig: &[u8], error: Error) -> Error {
        if self.rejects == Rejects::Discard {
            return error;
        }
        let signature = format!("{name}.minisig.rejected");
        let name = format!("{name}.rejected");
        let kept = self.state.keep(&signature, minisig).and_then(|()| self.state.keep(&name, bytes));
        match kept {
            Ok(()) => error.because(format!("what arrived is kept as {}", self.state.path(&name).display())),
            Err(_) => error,
        }
    }

    fn standpoint<'b>(&'b self, memory: &'b Memory) -> Standpoint<'b> {
        Standpoint {
            now: self.now,
            running: self.running,
            memory,
            channel: self.channel,
            pins: self.pins,
            asked: self.asked,
            allow_downgrade: self.allow_downgrade,
            accept_below_floor: self.accept_below_floor,
        }
    }
}

impl News {
    /// Whether the channel names something newer than what runs. `Ok(None)`: nothing newer, and that is proved.
    pub fn newer(&self, running: &Running) -> Result<Option<&Channel>> {
        let Some((channel, freshness)) = &self.channel else { return Ok(None) };
        let facts = channel.facts();
        if facts.seq > running.seq {
            return Ok(Some(facts));
        }
        match freshness {
            Freshness::Unproved(why) => Err(order::unproved(why)),
            Freshness::Proved | Freshness::NotAsked => Ok(None),
        }
    }
}

struct Found {
    bytes: Vec<u8>,
    minisig: Vec<u8>,
    etag: Option<String>,
}

pub(super) fn channel_names(channel: &Name) -> (String, String) {
    (format!("channel-{channel}.json"), format!("channel-{channel}.json.minisig"))
}
