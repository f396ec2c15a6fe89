//! The one judgement of a release: whether an authentic manifest may be used here. Pure.
//!
//! These are the rules of step 5 of the release format. self-update, `--bundle FILE` and the choice among fetched bundles
//! all ask `admit`; where a rule differs between them, `WayIn` says so and why.
//!
//! Promise: an authentic manifest can be refused here, a forged one never gets here. The only ways around a refusal name
//! one exact version, manifest or seq, and nothing leads around a denied version.

use super::documents::{Channel, Manifest, Name, PRODUCT};
use super::policy::Pin;
use super::trust::Verified;
use super::trust_state::{Seen, TrustState};
use crate::domain::name::printable;
use crate::domain::{Error, Hint, Instant, Kind, Sha256};

/// The largest jump in `seq` that is accepted: a stolen release key must not be able to use up the numbers.
const MAX_JUMP: u64 = 1_000;

/// The executable that runs.
#[derive(Debug, Clone)]
pub struct Running {
    pub seq: u64,
    pub version: String,
    /// The manifest of its release, where it is known.
    pub manifest: Option<Sha256>,
    /// The clock cannot be before the moment of its build.
    pub built: Instant,
}

impl Running {
    pub fn release(&self) -> Release {
        Release { seq: self.seq, version: self.version.clone() }
    }
}

/// A release by its place in the order and its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    pub seq: u64,
    pub version: String,
}

/// How a release comes into use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayIn {
    /// It is offered by an origin. The release that is in use already passes: taking it changes nothing.
    SelfUpdate,
    /// It is offered by an origin to a machine that does not take part in the roll-out of a newer release yet. That the
    /// newer one was seen does not make it a downgrade: the channel that names the newer one names this one with it.
    Previous,
    /// `--bundle FILE`: the user names a file.
    BundleFile,
    /// It was fetched earlier and passed these rules then. That a newer release was seen since does not make it a
    /// downgrade: without it, the older bundle inside the executable would be used.
    FetchedBundle,
}

impl WayIn {
    /// Whether an origin offers it, so that the flags of self-update lead around a refusal.
    fn is_offered(self) -> bool {
        matches!(self, Self::SelfUpdate | Self::Previous)
    }
}

/// What the user and the owner of the machine have decided about versions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Constraints<'a> {
    /// Pins of the environment, the policy and the user: each of them must agree.
    pub pins: &'a [Pin],
    /// `--version X`.
    pub asked: Option<&'a Pin>,
    /// `--allow-downgrade=X`.
    pub allow_downgrade: Option<&'a Name>,
    /// `--accept-below-floor=SEQ`.
    pub accept_below_floor: Option<u64>,
}

/// Everything that a manifest is held against.
#[derive(Debug, Clone)]
pub struct PolicyInput<'a> {
    pub way_in: WayIn,
    /// Read once, so that all checks speak of one moment.
    pub now: Instant,
    pub running: &'a Running,
    /// What the release would replace.
    pub in_use: Release,
    pub trust: &'a TrustState,
    /// The channel that it must belong to. A bundle may be of any channel where no policy names one: the user chose the
    /// channel when it was fetched, or names the file.
    pub channel: Option<&'a Name>,
    pub constraints: Constraints<'a>,
}

/// Why a release may not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It belongs to other software.
    Product { product: Name },
    /// It belongs to another channel than the one that is followed.
    Channel { channel: Name, followed: Name },
    /// Another manifest was seen under its seq: someone is served something else.
    Equivocation { seen: Seen, served: Sha256 },
    /// A pin names another release.
    Pinned { version: Name, pin: Pin },
    /// The user named another release.
    NotAsked { version: Name, asked: Pin },
    /// This or an earlier manifest denies its version.
    Denied { version: Name, why: String },
    /// It needs a newer executable than the running one.
    Client { version: Name, needs: u64, running: Release },
    /// Its seq is too far ahead of every seq seen so far.
    Jump { seq: u64, last: u64, manifest: Sha256 },
    /// It is older than what is in use.
    Older { version: Name, seq: u64, in_use: Release },
    /// It is older than a release that was seen before.
    Superseded { version: Name, seq: u64, newest: u64 },
    /// It is older than the oldest release that counts as safe.
    Floor { version: Name, seq: u64, floor: u64 },
}

/// Whether a release may be used. The first rule that it breaks is the answer.
pub fn admit(manifest: &Verified<Manifest>, input: &PolicyInput<'_>) -> Result<(), Refusal> {
    let facts = manifest.facts();
    belongs_here(&facts.product, &facts.channel, input)?;
    only_manifest(facts.seq, manifest.sha256(), input)?;
    chosen(manifest, &input.constraints)?;
    if input.way_in.is_offered() && facts.seq == input.in_use.seq {
        return Ok(());
    }
    not_denied(facts, input.trust)?;
    understood(facts, input.running)?;
    within_reach(manifest, input)?;
    not_older(facts, input)?;
    above_the_floor(facts, input)
}

/// Whether a channel document may be used. It names a product, a channel and a manifest, as the manifest itself does.
pub fn admit_channel(channel: &Verified<Channel>, input: &PolicyInput<'_>) -> Result<(), Refusal> {
    let facts = channel.facts();
    belongs_here(&facts.product, &facts.channel, input)?;
    let named = [Some(facts.newest()), facts.previous.clone()];
    named.into_iter().flatten().try_for_each(|named| only_manifest(named.seq, named.manifest_sha256, input))
}

fn belongs_here(product: &Name, channel: &Name, input: &PolicyInput<'_>) -> Result<(), Refusal> {
    if product != PRODUCT {
        return Err(Refusal::Product { product: product.clone() });
    }
    match input.channel {
        Some(followed) if followed != channel => {
            Err(Refusal::Channel { channel: channel.clone(), followed: followed.clone() })
        }
        _ => Ok(()),
    }
}

/// One seq has one manifest.
fn only_manifest(seq: u64, sha256: Sha256, input: &PolicyInput<'_>) -> Result<(), Refusal> {
    let (trust, running) = (input.trust, input.running);
    let installed = running.manifest.map(|manifest_sha256| Seen { seq: running.seq, manifest_sha256 });
    let known = [trust.seen(seq), installed];
    match known.into_iter().flatten().find(|seen| seen.seq == seq && seen.manifest_sha256 != sha256) {
        Some(seen) => Err(Refusal::Equivocation { seen, served: sha256 }),
        None => Ok(()),
    }
}

fn chosen(manifest: &Verified<Manifest>, constraints: &Constraints<'_>) -> Result<(), Refusal> {
    let version = || manifest.facts().version.clone();
    if let Some(pin) = constraints.pins.iter().find(|pin| !pin.matches(manifest)) {
        return Err(Refusal::Pinned { version: version(), pin: pin.clone() });
    }
    match constraints.asked {
        Some(asked) if !asked.matches(manifest) => {
            Err(Refusal::NotAsked { version: version(), asked: asked.clone() })
        }
        _ => Ok(()),
    }
}

fn not_denied(facts: &Manifest, trust: &TrustState) -> Result<(), Refusal> {
    let known = trust.denied.iter().map(|(version, why)| (version.as_str(), why.as_str()));
    match known.chain(facts.denied_versions()).find(|(version, _)| facts.version == **version) {
        Some((_, why)) => Err(Refusal::Denied { version: facts.version.clone(), why: printable(why) }),
        None => Ok(()),
    }
}

fn understood(facts: &Manifest, running: &Running) -> Result<(), Refusal> {
    if running.seq >= facts.min_client_seq {
        return Ok(());
    }
    Err(Refusal::Client {
        version: facts.version.clone(),
        needs: facts.min_client_seq,
        running: running.release(),
    })
}

/// Only the exact manifest leads past this, because the holder of a key can claim any version.
fn within_reach(manifest: &Verified<Manifest>, input: &PolicyInput<'_>) -> Result<(), Refusal> {
    let seq = manifest.facts().seq;
    let last = input.trust.max_seq_seen.max(input.running.seq).max(input.in_use.seq);
    let named = input.constraints.pins.iter().chain(input.constraints.asked);
    let exact = named.into_iter().any(|pin| matches!(pin, Pin::Manifest(_)));
    if seq > last.saturating_add(MAX_JUMP) && !exact {
        return Err(Refusal::Jump { seq, last, manifest: manifest.sha256() });
    }
    Ok(())
}

fn not_older(facts: &Manifest, input: &PolicyInput<'_>) -> Result<(), Refusal> {
    let constraints = &input.constraints;
    if constraints.allow_downgrade == Some(&facts.version) {
        return Ok(());
    }
    let (version, seq, newest) = (facts.version.clone(), facts.seq, input.trust.max_seq_seen);
    if seq < input.in_use.seq {
        return Err(Refusal::Older { version, seq, in_use: input.in_use.clone() });
    }
    let named = !constraints.pins.is_empty() || constraints.asked.is_some();
    let may_be_behind = matches!(input.way_in, WayIn::FetchedBundle | WayIn::Previous);
    if seq < newest && !named && !may_be_behind {
        return Err(Refusal::Superseded { version, seq, newest });
    }
    Ok(())
}

fn above_the_floor(facts: &Manifest, input: &PolicyInput<'_>) -> Result<(), Refusal> {
    let floor = input.trust.floor_seq;
    if facts.seq >= floor || input.constraints.accept_below_floor == Some(facts.seq) {
        return Ok(());
    }
    Err(Refusal::Floor { version: facts.version.clone(), seq: facts.seq, floor })
}

impl Refusal {
    /// The error that a person reads. What leads around a refusal depends on the command that was refused.
    pub fn error(&self, way_in: WayIn) -> Error {
        let error = Error::new(self.kind(), self.message());
        let error = self.causes().into_iter().fold(error, Error::because);
        match self.way_on(way_in) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// What is wrong with the bytes is a failed verification; the rest is a decision.
    fn kind(&self) -> Kind {
        match self {
            Self::Product { .. } | Self::Equivocation { .. } | Self::NotAsked { .. } => Kind::Unverified,
            _ => Kind::Refused,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Product { product } => format!("the release is for {product}, not for {PRODUCT}"),
            Self::Channel { channel, .. } => format!("the release belongs to channel {channel}"),
            Self::Equivocation { seen, .. } => format!("there are two releases with seq {}", seen.seq),
            Self::Pinned { version, .. } => format!("version {version} is refused"),
            Self::NotAsked { version, asked } => {
                format!("you asked for {asked}, but the origin serves {version}")
            }
            Self::Denied { version, .. } => format!("version {version} must not be used"),
            Self::Client { version, running, .. } => {
                format!("gwinstall {} cannot use version {version}", running.version)
            }
            Self::Jump { seq, last, .. } => format!("seq {seq} is too far ahead of {last}"),
            Self::Older { version, .. } | Self::Superseded { version, .. } => {
                format!("version {version} would be a downgrade")
            }
            Self::Floor { version, .. } => format!("version {version} is too old to be safe"),
        }
    }

    fn causes(&self) -> Vec<String> {
        match self {
            Self::Product { .. } | Self::NotAsked { .. } => Vec::new(),
            Self::Channel { followed, .. } => vec![format!("this machine follows channel {followed}")],
            Self::Equivocation { seen, served } => vec![
                format!("seen before: manifest sha256 {}", seen.manifest_sha256),
                format!("served now:  manifest sha256 {served}"),
            ],
            Self::Pinned { pin, .. } => vec![format!("this machine is pinned to {pin}")],
            Self::Denied { why, .. } => vec![why.clone()],
            Self::Client { needs, running, .. } => {
                vec![format!(
                    "it needs a gwinstall of seq {needs} or later, and this one is seq {}",
                    running.seq
                )]
            }
            Self::Jump { .. } => {
                vec![format!(
                    "a release may be at most {MAX_JUMP} ahead, so that a stolen key cannot use up the numbers"
                )]
            }
            Self::Older { seq, in_use, .. } => {
                vec![format!("its seq is {seq}, and {} with seq {} is in use", in_use.version, in_use.seq)]
            }
            Self::Superseded { seq, newest, .. } => {
                vec![format!("its seq is {seq}, and seq {newest} was seen before")]
            }
            Self::Floor { seq, floor, .. } => vec![format!("its seq {seq} is below the floor of {floor}")],
        }
    }

    fn way_on(&self, way_in: WayIn) -> Option<Hint> {
        let updating = way_in.is_offered();
        match self {
            Self::Channel { channel, .. } if updating => {
                Some(Hint::again(&[format!("--channel={channel}")]).to("take releases of that channel"))
            }
            Self::Equivocation { .. } => {
                Some("report both: someone may serve you another release than other people get".into())
            }
            Self::Pinned { .. } => Some(
                Hint::run(&["self-update", "--unpin"])
                    .to("remove your pin")
                    .or("unset GWINSTALL_PIN, or ask the owner of /etc/gwinstall/policy.yaml".into()),
            ),
            Self::Client { .. } => Some("install the newest gwinstall with its install.sh".into()),
            Self::Jump { manifest, .. } => {
                Some(format!("to accept exactly this release, set GWINSTALL_PIN=sha256:{manifest}").into())
            }
            Self::Older { version, .. } | Self::Superseded { version, .. } if updating => {
                Some(Hint::again(&[format!("--allow-downgrade={version}")]).to("take it anyway"))
            }
            Self::Older { .. } => Some(
                Hint::run(&["rollback"])
                    .to("restore the configuration of a backup")
                    .or(Hint::run(&["self-update"]).to("fetch the newest release")),
            ),
            Self::Superseded { version, .. } => {
                Some(format!("to use exactly this version, set GWINSTALL_PIN={version}").into())
            }
            Self::Floor { seq, .. } if updating => {
                Some(Hint::again(&[format!("--accept-below-floor={seq}")]).to("take it anyway"))
            }
            Self::Denied { .. } | Self::Floor { .. } if !updating => {
                Some(Hint::run(&["self-update"]).to("fetch the newest release"))
            }
            _ => None,
        }
    }
}
