//! The order of checks between "authentic" and "take it": clock, freshness, sequence, floor, deny list, pin.
//!
//! Pure functions over the moment, the documents and the memory. The numbers are those of the release format's list:
//! 1 clock, 3 channel, 4 manifest against channel, 5 policy. Promise: an authentic document can be refused here, a
//! forged one never gets here; a clock can block a claim, never make one. The only ways around a refusal name one
//! exact version, manifest or seq.

use super::documents::{Artifact, Channel, Manifest, Name, PRODUCT};
use super::memory::{Memory, Seen};
use super::policy::Pin;
use super::trust::{TrustedKeys, Verified};
use crate::domain::name::printable;
use crate::domain::{Error, Instant, Kind, Result, Sha256};

/// A channel document may be this much ahead of our clock, in seconds.
const CLOCK_SLACK: i64 = 600;
/// A seq further ahead than this is no ordinary next release.
const MAX_JUMP: u64 = 1_000;
const DAY: i64 = 86_400;

/// What runs now.
#[derive(Debug, Clone)]
pub struct Running {
    pub seq: u64,
    pub version: String,
    /// Its manifest, where it is known.
    pub manifest: Option<Sha256>,
    /// When it was built: the clock cannot be before that.
    pub built: Instant,
}

/// Where we stand when a release is judged.
#[derive(Debug, Clone)]
pub struct Standpoint<'a> {
    /// Taken once, so that all checks speak of one moment.
    pub now: Instant,
    pub running: &'a Running,
    pub memory: &'a Memory,
    pub channel: &'a Name,
    /// Pins by variable, policy and user: each of them must agree.
    pub pins: &'a [Pin],
    /// `--version X`.
    pub asked: Option<&'a Pin>,
    /// `--allow-downgrade=X`.
    pub allow_downgrade: Option<&'a Name>,
    /// `--accept-below-floor=SEQ`.
    pub accept_below_floor: Option<u64>,
}

/// Whether "this is the newest" has been proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    Proved,
    /// And why not.
    Unproved(String),
    /// Offline or pinned: nobody claimed it.
    NotAsked,
}

/// Where a release stands against what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Current,
    Newer,
    Older,
}

/// A release that may be taken, and what the user should know about it.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub step: Step,
    pub freshness: Freshness,
    pub notes: Vec<String>,
}

impl Verdict {
    /// "Up to date" is said only when it is proved; otherwise exit 9 with the reason.
    pub fn claim_current(&self) -> Result<()> {
        match &self.freshness {
            Freshness::Unproved(why) => Err(unproved(why)),
            Freshness::Proved | Freshness::NotAsked => Ok(()),
        }
    }
}

/// The error for a claim of freshness that cannot be made.
pub fn unproved(why: &str) -> Error {
    Error::new(Kind::Refused, "cannot prove that this is the newest release")
        .because(why)
        .hint("what is installed keeps working; try again later, or from another origin with --from")
}

impl Standpoint<'_> {
    /// 1 and 3: what an authentic channel document is worth now.
    pub fn judge_channel(&self, keys: &TrustedKeys, channel: &Verified<Channel>) -> Result<Freshness> {
        let facts = channel.facts();
        self.own("the channel document", &facts.product, &facts.channel)?;
        self.one_manifest(facts.seq, facts.manifest_sha256)?;
        if facts.seq < self.memory.max_seq_seen {
            return Err(Error::new(Kind::Refused, format!("the channel names seq {} as newest", facts.seq))
                .because(format!(
                    "seq {} was seen before: this origin is behind, or is made to look so",
                    self.memory.max_seq_seen
                ))
                .hint("try again later, or from another origin with --from"));
        }
        Ok(match self.doubt(keys, facts) {
            Some(why) => Freshness::Unproved(why),
            None => Freshness::Proved,
        })
    }

    fn doubt(&self, keys: &TrustedKeys, channel: &Channel) -> Option<String> {
        let (now, newest) = (self.now, self.memory.max_channel_at);
        if now < self.running.built {
            return Some(format!("the clock says {now}, this gwinstall was built at {}", self.running.built));
        }
        if newest.is_some_and(|at| now.unix() + CLOCK_SLACK < at.unix()) {
            return Some(format!("the clock says {now}, but a release note of later was seen"));
        }
        if channel.at.unix() > now.unix() + CLOCK_SLACK {
            return Some(format!("the clock says {now}, the channel was signed at {}", channel.at));
        }
        if newest.is_some_and(|at| channel.at < at) {
            return Some(format!("a channel document newer than the one of {} was seen before", channel.at));
        }
        if channel.expires <= now {
            return Some(format!(
                "the channel expired {} ({})",
                ago(now, channel.expires),
                channel.expires.date()
            ));
        }
        let expires = keys.facts().expires;
        (expires <= now).then(|| format!("the keys expired {} ({})", ago(now, expires), expires.date()))
    }

    /// 4 and 5: whether an authentic manifest may be taken. `channel` is absent offline and for a pinned version.
    pub fn judge_manifest(
        &self,
        keys: &TrustedKeys,
        manifest: &Verified<Manifest>,
        channel: Option<(&Verified<Channel>, Freshness)>,
    ) -> Result<Verdict> {
        let facts = manifest.facts();
        let freshness = match channel {
            Some((channel, freshness)) => {
                same_release(channel.facts(), manifest)?;
                freshness
            }
            None => Freshness::NotAsked,
        };
        self.own("manifest.json", &facts.product, &facts.channel)?;
        self.one_manifest(facts.seq, manifest.sha256())?;
        self.pinned(manifest)?;
        let mut notes = Vec::new();
        let step = match facts.seq.cmp(&self.running.seq) {
            std::cmp::Ordering::Equal => Step::Current,
            std::cmp::Ordering::Greater => Step::Newer,
            std::cmp::Ordering::Less => Step::Older,
        };
        if step != Step::Current {
            self.denied(manifest)?;
            self.ahead(manifest)?;
        }
        self.behind(step, facts, &mut notes)?;
        self.floor(step, facts, &mut notes)?;
        self.remarks(keys, manifest, &freshness, &mut notes);
        Ok(Verdict { step, freshness, notes })
    }

    fn own(&self, what: &str, product: &Name, channel: &Name) -> Result<()> {
        if product != PRODUCT {
            return Err(Error::unverified(format!("{what} is for {product}, not for {PRODUCT}")));
        }
        if channel != self.channel {
            return Err(Error::new(Kind::Refused, format!("{what} is of channel {channel}"))
                .because(format!("this machine follows {}", self.channel))
                .hint(format!("to follow it: gwinstall self-update --channel {channel}")));
        }
        Ok(())
    }

    /// One seq has one manifest. Two of them are evidence that someone is served something else.
    fn one_manifest(&self, seq: u64, sha256: Sha256) -> Result<()> {
        match self.another(seq, sha256) {
            None => Ok(()),
            Some(seen) => Err(Error::unverified(format!("there are two releases with seq {seq}"))
                .because(format!("seen before: manifest sha256 {}", seen.manifest_sha256))
                .because(format!("served now:  manifest sha256 {sha256}"))
                .because("both are kept in the state directory, under equivocation/")
                .hint("someone may be serving you another release than others get: report both")),
        }
    }

    /// Another manifest that was seen under this number.
    pub fn another(&self, seq: u64, sha256: Sha256) -> Option<Seen> {
        let memory = self.memory;
        let running =
            self.running.manifest.map(|manifest_sha256| Seen { seq: self.running.seq, manifest_sha256 });
        let known = [memory.newest, memory.told, memory.installed, running];
        known.into_iter().flatten().find(|seen| seen.seq == seq && seen.manifest_sha256 != sha256)
    }

    fn pinned(&self, manifest: &Verified<Manifest>) -> Result<()> {
        if let Some(pin) = self.pins.iter().find(|pin| !pin.matches(manifest)) {
            return Err(Error::new(
                Kind::Refused,
                format!("version {} is refused", manifest.facts().version),
            )
            .because(format!("this machine is pinned to {pin}"))
            .hint("lift it where it was set: GWINSTALL_PIN, pin in /etc/gwinstall/policy.yaml, or gwinstall self-update --unpin"));
        }
        match self.asked {
            Some(asked) if !asked.matches(manifest) => Err(Error::unverified(format!(
                "asked for {asked}, the origin has {} there",
                manifest.facts().version
            ))),
            _ => Ok(()),
        }
    }

    fn denied(&self, manifest: &Verified<Manifest>) -> Result<()> {
        let facts = manifest.facts();
        let known = self.memory.denied.iter().map(|(version, why)| (version.as_str(), why.as_str()));
        match known.chain(facts.denied_versions()).find(|(version, _)| facts.version == **version) {
            None => Ok(()),
            Some((version, why)) => {
                Err(Error::new(Kind::Refused, format!("version {version} must not be used"))
                    .because(printable(why)))
            }
        }
    }

    /// What is too far ahead: of this client's abilities, or of the last seq.
    fn ahead(&self, manifest: &Verified<Manifest>) -> Result<()> {
        let facts = manifest.facts();
        if self.running.seq < facts.min_client_seq {
            return Err(Error::new(
                Kind::Refused,
                format!("version {} cannot be installed by {}", facts.version, self.running.version),
            )
            .because(format!(
                "it takes a gwinstall of seq {} or later, this is seq {}",
                facts.min_client_seq, self.running.seq
            ))
            .hint("install it with its install.sh"));
        }
        let last = self.memory.max_seq_seen.max(self.running.seq);
        let exact = self.pins.iter().chain(self.asked).any(|pin| matches!(pin, Pin::Manifest(_)));
        if facts.seq > last.saturating_add(MAX_JUMP) && !exact {
            return Err(Error::new(Kind::Refused, format!("seq {} is too far ahead of {last}", facts.seq))
                .because("the guard against running out of numbers takes 1000 steps at most")
                .hint(format!(
                    "if it is right: GWINSTALL_PIN=sha256:{} gwinstall self-update",
                    manifest.sha256()
                )));
        }
        Ok(())
    }

    /// Older than what runs, or than what was seen: only by its exact name.
    fn behind(&self, step: Step, facts: &Manifest, notes: &mut Vec<String>) -> Result<()> {
        let named = self.allow_downgrade == Some(&facts.version);
        let refuse = |why: String| {
            Error::new(Kind::Refused, format!("version {} would be a downgrade", facts.version))
                .because(why)
                .hint(format!("if you mean it: gwinstall self-update --allow-downgrade={}", facts.version))
        };
        let (running, newest) = (self.running, self.memory.max_seq_seen);
        match step {
            Step::Older if !named => Err(refuse(format!(
                "its seq is {}, {} runs with seq {}",
                facts.seq, running.version, running.seq
            ))),
            Step::Newer if facts.seq < newest && !named && self.pins.is_empty() && self.asked.is_none() => {
                Err(refuse(format!("its seq is {}, seq {newest} was seen before", facts.seq)))
            }
            _ if facts.seq < newest => {
                notes.push(format!("a newer release, seq {newest}, was seen before"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn floor(&self, step: Step, facts: &Manifest, notes: &mut Vec<String>) -> Result<()> {
        let floor = self.memory.floor_seq;
        if facts.seq >= floor {
            return Ok(());
        }
        if step != Step::Current && self.accept_below_floor != Some(facts.seq) {
            return Err(Error::new(
                Kind::Refused,
                format!("version {} is too old to be safe", facts.version),
            )
            .because(format!("its seq {} is below the floor of {floor}", facts.seq))
            .hint(format!("if you mean it, add --accept-below-floor={}", facts.seq)));
        }
        notes.push(format!("seq {} is below the floor of {floor}: it has known faults", facts.seq));
        Ok(())
    }

    /// What does not stop a release but belongs to a graded verdict.
    fn remarks(
        &self,
        keys: &TrustedKeys,
        manifest: &Verified<Manifest>,
        freshness: &Freshness,
        notes: &mut Vec<String>,
    ) {
        let facts = manifest.facts();
        notes.extend(keys.remark(manifest.signer()));
        if facts.expires <= self.now {
            notes.push(format!(
                "its manifest expired {}, it was released {}",
                ago(self.now, facts.expires),
                ago(self.now, facts.released)
            ));
        }
        if let Freshness::Unproved(why) = freshness {
            notes.push(format!("whether a newer one exists is unknown: {why}"));
        }
        if self.memory.denied.contains_key(&self.running.version) {
            notes.push(format!("version {}, which runs now, must not be used", self.running.version));
        }
    }
}

/// 4: the manifest is the one that the channel speaks of.
fn same_release(channel: &Channel, manifest: &Verified<Manifest>) -> Result<()> {
    let facts = manifest.facts();
    if channel.manifest_sha256 != manifest.sha256() {
        return Err(Error::unverified("the manifest is not the one that the channel names")
            .because(format!("channel: {}", channel.manifest_sha256))
            .because(format!("manifest: {}", manifest.sha256())));
    }
    if (channel.seq, &channel.version, &channel.channel) != (facts.seq, &facts.version, &facts.channel) {
        return Err(Error::unverified("channel and manifest disagree about seq, version or channel"));
    }
    Ok(())
}

/// The artifact for this machine. A release that does not have one is no forgery.
pub fn artifact<'a>(manifest: &'a Verified<Manifest>, role: &str, target: &str) -> Result<&'a Artifact> {
    let facts = manifest.facts();
    facts.artifact(role, target).ok_or_else(|| {
        let targets: Vec<_> =
            facts.artifacts.iter().filter(|a| a.role == *role).map(|a| a.target.as_str()).collect();
        Error::new(Kind::Refused, format!("version {} has no {role} for {target}", facts.version)).because(
            format!("it has: {}", if targets.is_empty() { "none".into() } else { targets.join(", ") }),
        )
    })
}

/// `today`, `3 days ago`, `2 years ago`.
pub fn ago(now: Instant, then: Instant) -> String {
    let days = (now.unix() - then.unix()).max(0) / DAY;
    match days {
        0 => "today".to_owned(),
        1 => "1 day ago".to_owned(),
        2..=729 => format!("{days} days ago"),
        _ => format!("{} years ago", days / 365),
    }
}
