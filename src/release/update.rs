//! Asking an origin: keys, channel, manifest. Everything up to the point where something is replaced.
//!
//! The steps carry the numbers of the release format: 1 clock, 2 keys, 3 channel, 4 manifest, 5 rules. Promise: nothing
//! that an origin serves is used before its signature verifies. Never: changes an executable or a deployment.

use serde::{Deserialize, Serialize};

use super::documents::{self, Channel, Manifest, Name, Named, Severity};
use super::evidence;
use super::order::{self, Freshness, Verdict};
use super::origin::{Origin, Rejects, ReleasePath};
use super::policy::Pin;
use super::rollout::{MachineId, Percent, Standing};
use super::rules::{self, Constraints, PolicyInput, Release, Running, WayIn};
use super::state::{State, channel_names};
use super::trust::{TrustedKeys, Verified};
use super::trust_state::TrustState;
use crate::domain::{Error, Hint, Instant, Kind, Result};
use crate::doors::net::Answer;

/// What `status` shows of the last check.
pub const LAST_CHECK: &str = "last-check.json";

/// One check for an update at one origin.
pub struct UpdateCheck<'a> {
    pub state: State<'a>,
    pub origin: &'a Origin,
    /// The keys compiled into this executable.
    pub embedded_keys: &'a [u8],
    pub running: &'a Running,
    /// What an update would replace: the running release, or with `--bundle-only` a newer bundle.
    pub in_use: &'a Release,
    /// `None`: this machine has no id of its own.
    pub machine: Option<&'a MachineId>,
    pub channel: &'a Name,
    pub constraints: Constraints<'a>,
    pub rejects: Rejects,
    pub now: Instant,
}

/// What the origin announces, verified.
pub struct News {
    pub keys: TrustedKeys,
    pub trust: TrustState,
    /// With what it proves; absent for a pinned or named version, and where the origin has none.
    pub channel: Option<(Verified<Channel>, Freshness)>,
    /// Where this machine stands in the roll-out of the channel's newest release, if there is one.
    pub rollout: Option<Standing>,
    /// The release that the channel offers to this machine.
    offered: Option<Named>,
    /// The ETag of the channel document.
    etag: Option<String>,
}

/// A release that may be taken.
pub struct Candidate {
    pub manifest: Verified<Manifest>,
    pub verdict: Verdict,
    pub rejects: Rejects,
}

/// Facts of the last check, for `status`: nothing is decided by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCheck {
    pub at: Instant,
    pub origin: String,
    pub channel: String,
    /// The release that the channel offers to this machine.
    pub seq: u64,
    pub version: String,
    pub severity: Severity,
    /// Until when the channel proves that this is the newest release; absent where it does not.
    pub proved_until: Option<Instant>,
    #[serde(default)]
    pub rollout: Option<Rollout>,
    pub etag: Option<String>,
}

/// The release that is being rolled out, and where this machine stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    pub seq: u64,
    pub version: String,
    #[serde(flatten)]
    pub standing: Standing,
}

impl UpdateCheck<'_> {
    /// 2 and 3: keys as new as the origin's, then its channel. `newest`: the channel is asked even where a version is
    /// pinned or named.
    pub fn news(&self, newest: bool) -> Result<News> {
        let mut trust = self.state.trust()?;
        let keys = self.state.keys(self.embedded_keys)?;
        let found = if self.names_a_version() && !newest { None } else { self.fetch_channel(&trust)? };
        let keys = self.newer_keys(keys, found.as_ref())?;
        trust.require_keys(&keys)?;
        trust.judge(&keys);
        trust.saw_keys(&keys);
        let channel = match &found {
            None => None,
            Some(found) => Some(self.verify_channel(&keys, &mut trust, found)?),
        };
        self.state.keep_trust(&trust)?;
        let facts = channel.as_ref().map(|(channel, _)| channel.facts());
        let rollout = facts.and_then(|facts| self.standing(facts));
        let offered = facts.and_then(|facts| self.offered(facts, rollout));
        let etag = found.and_then(|found| found.etag);
        let news = News { keys, trust, channel, rollout, offered, etag };
        if news.announced_after(self.in_use.seq).is_none() {
            self.keep_channel(&news)?;
        }
        Ok(news)
    }

    /// For `--check`: the manifest that the channel announces, verified. What an update would refuse is refused here,
    /// too, and what an update would not remember is not remembered.
    pub fn look_at(&self, news: &News) -> Result<()> {
        let announced = news.announced_after(self.in_use.seq);
        let (Some((channel, _)), Some(named)) = (&news.channel, announced) else { return Ok(()) };
        let manifest = self.fetch_manifest(news, ReleasePath::Version(&named.version))?;
        order::same_release(&channel.facts().channel, named, &manifest)?;
        let constraints = Constraints::default();
        let input = PolicyInput { constraints, ..self.input(news) };
        rules::admit(&manifest, &input)
            .map_err(|refusal| evidence::refused(self.state, &manifest, &refusal, input.way_in))?;
        self.keep_channel(news)?;
        if self.names_a_version() { Ok(()) } else { self.remember(&news.trust, &manifest) }
    }

    /// Whether a pin or the user names the release, so that the channel does not decide.
    pub fn names_a_version(&self) -> bool {
        self.constraints.asked.is_some() || !self.constraints.pins.is_empty()
    }

    /// A roll-out counts where the origin can prove that its document is of today: what was carried here by hand is not
    /// held back by what was decided when it was copied.
    fn standing(&self, channel: &Channel) -> Option<Standing> {
        let steps = channel.rollout.as_deref().filter(|_| self.origin.is_online())?;
        Some(Standing::of(self.machine, channel.manifest_sha256, steps, self.now))
    }

    /// A machine is not held back from a version that is named, or that it has already.
    fn offered(&self, channel: &Channel, rollout: Option<Standing>) -> Option<Named> {
        let waits = rollout.is_some_and(|rollout| !rollout.takes_part) && !self.names_a_version();
        if waits && self.in_use.seq < channel.seq { channel.previous.clone() } else { Some(channel.newest()) }
    }

    /// 2: a mirror is asked for newer keys only where something names them; what was carried here goes as far as it goes.
    fn newer_keys(&self, keys: TrustedKeys, found: Option<&Found>) -> Result<TrustedKeys> {
        if !self.origin.is_online() {
            return self.state.learn_keys(keys, self.origin, None);
        }
        let goal = match found {
            Some(found) => documents::unverified_keys_version(&found.bytes),
            None => {
                let newest = self.origin.document(ReleasePath::Shared, "keys.json")?;
                newest.as_deref().and_then(documents::unverified_keys_version)
            }
        };
        match goal {
            Some(goal) if goal > keys.version() => self.state.learn_keys(keys, self.origin, Some(goal)),
            _ => Ok(keys),
        }
    }

    /// One conditional GET; the signature only when something changed.
    fn fetch_channel(&self, trust: &TrustState) -> Result<Option<Found>> {
        let (name, signature) = channel_names(self.channel);
        // A damaged file costs a full answer, and is written again after it.
        let last: Option<LastCheck> = self.state.read_json(LAST_CHECK).ok().flatten();
        let kept = (self.state.read(&name)?, self.state.read(&signature)?);
        let same =
            |last: &LastCheck| last.origin == self.origin.shown() && last.channel == *self.channel.as_str();
        let etag = match (&kept, last.filter(same)) {
            // What a lost trust.json held is learnt again from full answers.
            ((Some(_), Some(_)), Some(last)) if trust.max_channel_at.is_some() => last.etag,
            _ => None,
        };
        match self.origin.document_since(ReleasePath::Shared, &name, etag.as_deref())? {
            Answer::Missing if self.origin.is_online() => Err(self.no_channel()),
            Answer::Missing => Ok(None),
            Answer::NotModified => Ok(match kept {
                (Some(bytes), Some(minisig)) => Some(Found { bytes, minisig, etag }),
                _ => None,
            }),
            Answer::Document { bytes, etag } => {
                let minisig = self.origin.require(ReleasePath::Shared, &signature)?;
                Ok(Some(Found { bytes, minisig, etag }))
            }
        }
    }

    fn no_channel(&self) -> Error {
        Error::new(Kind::Network, format!("{} has no channel {}", self.origin.shown(), self.channel))
            .because("this URL does not serve gwinstall releases, or the name of the channel is wrong")
            .hint(
                Hint::run(&["self-update", "--check", "--channel", "stable"]).to("check the channel stable"),
            )
    }

    /// 3: signature, then freshness. An offline origin cannot prove freshness, so none is claimed.
    fn verify_channel(
        &self,
        keys: &TrustedKeys,
        trust: &mut TrustState,
        found: &Found,
    ) -> Result<(Verified<Channel>, Freshness)> {
        let (name, _) = channel_names(self.channel);
        let channel = keys
            .verify_channel(&found.bytes, &found.minisig)
            .map_err(|error| self.rejected(&name, &found.bytes, &found.minisig, error))?;
        if !self.origin.is_online() {
            return Ok((channel, Freshness::NotAsked));
        }
        let input = self.input_with(trust, WayIn::SelfUpdate);
        rules::admit_channel(&channel, &input).map_err(|refusal| {
            evidence::channel_refused(self.state, self.origin, keys, &channel, &refusal)
        })?;
        let freshness = order::freshness(keys, &channel, &input)?;
        if freshness == Freshness::Proved {
            trust.saw_channel(&channel);
        }
        Ok((channel, freshness))
    }

    /// Keeps the channel document of an origin on the web, once the manifest that it announces has been verified.
    fn keep_channel(&self, news: &News) -> Result<()> {
        let Some((channel, freshness)) = news.channel.as_ref().filter(|_| self.origin.is_online()) else {
            return Ok(());
        };
        let (name, signature) = channel_names(self.channel);
        self.state.keep(&signature, channel.minisig())?;
        self.state.keep(&name, channel.bytes())?;
        let facts = channel.facts();
        let offered = news.offered.as_ref().map(|named| (named.seq, named.version.to_string()));
        let (seq, version) = offered.unwrap_or_else(|| (self.running.seq, self.running.version.clone()));
        let last = LastCheck {
            at: self.now,
            origin: self.origin.shown(),
            channel: self.channel.to_string(),
            seq,
            version,
            severity: if seq == facts.seq { facts.severity } else { Severity::Normal },
            proved_until: (*freshness == Freshness::Proved).then_some(facts.expires),
            rollout: news.rollout.map(|standing| Rollout {
                seq: facts.seq,
                version: facts.version.to_string(),
                standing,
            }),
            etag: news.etag.clone(),
        };
        self.state.keep_json(LAST_CHECK, &last)
    }

    fn fetch_manifest(&self, news: &News, path: ReleasePath<'_>) -> Result<Verified<Manifest>> {
        let bytes = self.origin.require(path, "manifest.json")?;
        let minisig = self.origin.require(path, "manifest.json.minisig")?;
        news.keys
            .verify_manifest(&bytes, &minisig)
            .map_err(|error| self.rejected("manifest.json", &bytes, &minisig, error))
    }

    /// For a manifest that verified and that the rules admitted.
    fn remember(&self, trust: &TrustState, manifest: &Verified<Manifest>) -> Result<()> {
        let mut trust = trust.clone();
        trust.saw_manifest(manifest);
        evidence::keep_newest(self.state, &trust, manifest)?;
        self.state.keep_trust(&trust)
    }

    /// 4 and 5: the manifest of the version that is pinned, named or newest, if the rules admit it.
    pub fn candidate(&self, news: &News) -> Result<Candidate> {
        let exact = self.constraints.asked.into_iter().chain(self.constraints.pins);
        let exact = exact.into_iter().find_map(|pin| match pin {
            Pin::Version(version) => Some(version),
            Pin::Manifest(_) => None,
        });
        let path = match (exact, &news.offered, news.waiting()) {
            (Some(version), ..) => ReleasePath::Version(version),
            (None, Some(named), _) => ReleasePath::Version(&named.version),
            (None, None, Some(waiting)) => return Err(Error::new(Kind::Refused, waiting)),
            (None, None, None) => ReleasePath::Newest,
        };
        let manifest = self.fetch_manifest(news, path)?;
        // The channel speaks of the manifest only if the manifest was found through it.
        let freshness = match (&news.channel, &news.offered) {
            (Some((channel, freshness)), Some(named)) if exact.is_none() => {
                order::same_release(&channel.facts().channel, named, &manifest)?;
                self.keep_channel(news)?;
                freshness.clone()
            }
            _ => Freshness::NotAsked,
        };
        let input = self.input(news);
        rules::admit(&manifest, &input)
            .map_err(|refusal| evidence::refused(self.state, &manifest, &refusal, input.way_in))?;
        let mut verdict = order::verdict(&news.keys, &manifest, freshness, &input);
        verdict.notes.extend(news.waiting());
        self.remember(&news.trust, &manifest)?;
        Ok(Candidate { manifest, verdict, rejects: self.rejects })
    }

    /// With `--keep-rejected`, a document whose signature does not verify stays in the state directory.
    fn rejected(&self, name: &str, bytes: &[u8], minisig: &[u8], error: Error) -> Error {
        if self.rejects == Rejects::Discard {
            return error;
        }
        let signature = format!("{name}.minisig.rejected");
        let name = format!("{name}.rejected");
        match self.state.keep(&signature, minisig).and_then(|()| self.state.keep(&name, bytes)) {
            Ok(()) => error.because(format!("what arrived is kept as {}", self.state.path(&name).display())),
            Err(failure) => error.because(format!("what arrived could not be kept: {failure}")),
        }
    }

    fn input<'b>(&'b self, news: &'b News) -> PolicyInput<'b> {
        self.input_with(&news.trust, if news.holds_back() { WayIn::Previous } else { WayIn::SelfUpdate })
    }

    fn input_with<'b>(&'b self, trust: &'b TrustState, way_in: WayIn) -> PolicyInput<'b> {
        PolicyInput {
            way_in,
            now: self.now,
            running: self.running,
            in_use: self.in_use.clone(),
            trust,
            channel: Some(self.channel),
            constraints: self.constraints,
        }
    }
}

impl News {
    /// The release that is offered, if it is newer than `seq` and its manifest was not verified before.
    fn announced_after(&self, seq: u64) -> Option<&Named> {
        self.offered.as_ref().filter(|named| named.seq > seq && self.trust.seen(named.seq).is_none())
    }

    /// The release that is offered, if it is newer than `seq`. `None`: nothing newer is offered, and that is proved.
    pub fn newer(&self, seq: u64) -> Result<Option<&Named>> {
        let Some((_, freshness)) = &self.channel else { return Ok(None) };
        if let Some(named) = self.offered.as_ref().filter(|named| named.seq > seq) {
            return Ok(Some(named));
        }
        match freshness {
            Freshness::Unproved(why) => Err(order::unproved(why)),
            Freshness::Proved | Freshness::NotAsked => Ok(None),
        }
    }

    /// Whether the channel has a newer release than the one that it offers to this machine.
    pub fn holds_back(&self) -> bool {
        let offered = self.offered.as_ref().map(|named| named.seq);
        self.channel.as_ref().is_some_and(|(channel, _)| offered != Some(channel.facts().seq))
    }

    /// For people: what is being rolled out, and that this machine does not take part yet.
    pub fn waiting(&self) -> Option<String> {
        let (rollout, (channel, _)) = (self.rollout.filter(|_| self.holds_back())?, self.channel.as_ref()?);
        let version = &channel.facts().version;
        let next = match rollout.next {
            Some(step) => format!("the next step is {} % at {}", step.percent, step.from),
            None if rollout.percent == Percent::NONE => "its roll-out is halted".to_owned(),
            None => "no next step is announced".to_owned(),
        };
        let share = rollout.percent;
        Some(format!(
            "gwinstall {version} goes to {share} % of all machines now, and this machine does not take part yet; {next}"
        ))
    }
}

/// A channel document as it arrived, not verified yet.
struct Found {
    bytes: Vec<u8>,
    minisig: Vec<u8>,
    etag: Option<String>,
}
