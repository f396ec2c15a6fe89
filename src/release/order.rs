//! The order of checks between "authentic" and "take it", and what the user should know of an admitted release. Pure.
//!
//! The numbers are those of the release format's list: 1 clock, 3 channel, 4 manifest against channel, 5 the `rules`.
//! Promise: a clock can block a claim of freshness, never make one, and "up to date" is said only when it is proved.

use super::documents::{Artifact, Channel, Manifest, Name, Named};
use super::rules::PolicyInput;
use super::trust::{TrustedKeys, Verified};
use crate::domain::{Error, Instant, Kind, Result};

/// A channel document may be this far ahead of the clock, in seconds.
const CLOCK_SLACK: i64 = 600;
const DAY: i64 = 86_400;

/// Whether "this is the newest" has been proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    Proved,
    /// With the reason.
    Unproved(String),
    /// The release is offline or pinned, so nothing claims that it is the newest.
    NotAsked,
}

/// Where a release stands against the one in use.
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
        .hint("try again later, or with another origin (--from URL); the installed release keeps working")
}

/// 1 and 3: what an authentic channel document, which the rules admit, proves now.
pub fn freshness(
    keys: &TrustedKeys,
    channel: &Verified<Channel>,
    input: &PolicyInput<'_>,
) -> Result<Freshness> {
    let (facts, newest) = (channel.facts(), input.trust.max_seq_seen);
    if facts.seq < newest {
        return Err(Error::new(Kind::Refused, format!("the channel names seq {} as newest", facts.seq))
            .because(format!("seq {newest} was seen before: this origin is behind, or is made to look so"))
            .hint("try again later, or with another origin (--from URL)"));
    }
    Ok(match doubt(keys, facts, input) {
        Some(why) => Freshness::Unproved(why),
        None => Freshness::Proved,
    })
}

fn doubt(keys: &TrustedKeys, channel: &Channel, input: &PolicyInput<'_>) -> Option<String> {
    let (now, newest) = (input.now, input.trust.max_channel_at);
    if now < input.running.built {
        return Some(format!(
            "the clock says {now}, but this gwinstall was built at {}",
            input.running.built
        ));
    }
    if newest.is_some_and(|at| now.unix() + CLOCK_SLACK < at.unix()) {
        return Some(format!("the clock says {now}, but a channel document signed later was seen before"));
    }
    if channel.at.unix() > now.unix() + CLOCK_SLACK {
        return Some(format!("the clock says {now}, but the channel was signed at {}", channel.at));
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

/// 4: the manifest is the one that the channel names.
pub fn same_release(channel: &Name, named: &Named, manifest: &Verified<Manifest>) -> Result<()> {
    let facts = manifest.facts();
    if named.manifest_sha256 != manifest.sha256() {
        return Err(Error::unverified("the manifest is not the one that the channel names")
            .because(format!("channel: {}", named.manifest_sha256))
            .because(format!("manifest: {}", manifest.sha256())));
    }
    if (named.seq, &named.version, channel) != (facts.seq, &facts.version, &facts.channel) {
        return Err(Error::unverified("channel and manifest disagree about seq, version or channel"));
    }
    Ok(())
}

/// What the user should know about a release that the rules admitted.
pub fn verdict(
    keys: &TrustedKeys,
    manifest: &Verified<Manifest>,
    freshness: Freshness,
    input: &PolicyInput<'_>,
) -> Verdict {
    let step = match manifest.facts().seq.cmp(&input.in_use.seq) {
        std::cmp::Ordering::Equal => Step::Current,
        std::cmp::Ordering::Greater => Step::Newer,
        std::cmp::Ordering::Less => Step::Older,
    };
    let mut notes = notes(keys, manifest, input);
    if let Freshness::Unproved(why) = &freshness {
        notes.push(format!("whether a newer one exists is unknown: {why}"));
    }
    Verdict { step, freshness, notes }
}

/// What does not stop a release, but belongs to what is said about it.
pub fn notes(keys: &TrustedKeys, manifest: &Verified<Manifest>, input: &PolicyInput<'_>) -> Vec<String> {
    let (facts, trust) = (manifest.facts(), input.trust);
    let mut notes = Vec::new();
    if facts.seq < trust.max_seq_seen {
        notes.push(format!("a newer release, seq {}, was seen before", trust.max_seq_seen));
    }
    if facts.seq < trust.floor_seq {
        notes.push(below_floor(facts.seq, trust.floor_seq));
    }
    notes.extend(keys.remark(manifest.signer()));
    if facts.expires <= input.now {
        notes.push(format!(
            "its manifest expired {}, it was released {}",
            ago(input.now, facts.expires),
            ago(input.now, facts.released)
        ));
    }
    if trust.denied.contains_key(&input.running.version) {
        notes.push(format!("version {}, which runs now, must not be used", input.running.version));
    }
    notes
}

/// What is said about a release that is used although it is below the floor.
pub fn below_floor(seq: u64, floor: u64) -> String {
    format!("seq {seq} is below the floor of {floor}: it has known faults")
}

/// The artifact for this machine. A release without one is not forged.
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
