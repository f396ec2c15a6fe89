//! `/etc/gwinstall/policy.yaml`: what the owner of a managed machine allows, and pins.
//!
//! A policy only ever forbids; nothing in it weakens a check. Promise: whatever it forbids answers exit 9 and names
//! who manages the machine. An unknown key and a key without a value are errors: a misspelt prohibition would otherwise
//! permit. Never: reads the file; `session` does, after checking that only root may write it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::documents::{Manifest, Name};
use super::trust::Verified;
use crate::deploy::permission::Rules;
use crate::domain::name::printable;
use crate::domain::record::{BundleOrigin, Record};
use crate::domain::request::GatewayType;
use crate::domain::secret::mask_userinfo;
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Kind, Result, Sha256};

/// Where the policy lies.
pub const PATH: &str = "/etc/gwinstall/policy.yaml";

/// Whether and how this machine may update itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Updates {
    /// Neither checked nor taken.
    Off,
    /// Checked, not taken.
    Check,
    On,
}

/// The policy as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Text {
    #[serde(deserialize_with = "given")]
    pin: Option<String>,
    #[serde(deserialize_with = "given")]
    channel: Option<String>,
    #[serde(deserialize_with = "given")]
    base_url: Option<String>,
    #[serde(deserialize_with = "given")]
    updates: Option<Updates>,
    #[serde(deserialize_with = "given")]
    allow_presets: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    allow_gateway_urls: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    allow_source_dir: Option<bool>,
    #[serde(deserialize_with = "given")]
    managed_by: Option<String>,
}

/// The value of a key that stands in the file. A key without one would be a prohibition that permits.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<T>, D::Error> {
    match Option::deserialize(from)? {
        None => Err(D::Error::custom("a key has no value")),
        some => Ok(some),
    }
}

/// A checked policy. The default one allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    pin: Option<Pin>,
    channel: Option<Name>,
    base_url: Option<String>,
    updates: Option<Updates>,
    presets: Option<Vec<String>>,
    gateway_urls: Option<Vec<HttpUrl>>,
    source_dir: Option<bool>,
    managed_by: Option<String>,
}

impl Policy {
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |why: String| {
            Error::new(Kind::Refused, format!("{PATH} cannot be understood, so nothing is allowed"))
                .because(why)
        };
        let text: Option<Text> = serde_yaml::from_str(text).map_err(|cause| refuse(cause.to_string()))?;
        let text = text.unwrap_or_default();
        for (key, value) in [("base_url", &text.base_url), ("managed_by", &text.managed_by)] {
            if value.as_ref().is_some_and(|value| value.trim().is_empty()) {
                return Err(refuse(format!("{key} is empty")));
            }
        }
        let urls = text.allow_gateway_urls.map(|urls| {
            urls.iter().map(|url| HttpUrl::parse("allow_gateway_urls", url)).collect::<Result<Vec<_>>>()
        });
        let channel =
            text.channel.map(|name| Name::parse(&name).ok_or_else(|| refuse("channel is not a name".into())));
        Ok(Self {
            pin: text
                .pin
                .as_deref()
                .map(Pin::parse)
                .transpose()
                .map_err(|error| refuse(error.to_string()))?,
            channel: channel.transpose()?,
            base_url: text.base_url,
            updates: text.updates,
            presets: text.allow_presets,
            gateway_urls: urls.transpose().map_err(|error| refuse(error.to_string()))?,
            source_dir: text.allow_source_dir,
            managed_by: text.managed_by,
        })
    }

    /// Whether it has no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    pub fn channel(&self) -> Option<&Name> {
        self.channel.as_ref()
    }

    pub fn base_url(&self) -> Option<&str> {
        self.base_url.as_deref()
    }

    pub fn permit_check(&self) -> Result<()> {
        match self.updates {
            Some(Updates::Off) => Err(self.forbids("checking for updates", "updates", "off")),
            _ => Ok(()),
        }
    }

    /// Whether the executable may be replaced, by a newer or by an older one.
    pub fn permit_update(&self) -> Result<()> {
        let what = "gwinstall self-update";
        match self.updates {
            Some(Updates::Off) => Err(self.forbids(what, "updates", "off")),
            Some(Updates::Check) => Err(self.forbids(what, "updates", "check")),
            _ => Ok(()),
        }
    }

    /// Whether the pin allows this release; `manifest` is that of the release, where it is known.
    pub fn permit_release(&self, version: &str, manifest: Option<Sha256>) -> Result<()> {
        let allowed = match &self.pin {
            None => true,
            Some(Pin::Version(pinned)) => *pinned == *version,
            Some(Pin::Manifest(pinned)) => manifest == Some(*pinned),
        };
        let pinned = || self.pin.as_ref().map(ToString::to_string).unwrap_or_default();
        if allowed {
            Ok(())
        } else {
            Err(self.forbids(&format!("gwinstall {}", printable(version)), "pin", &pinned()))
        }
    }

    /// Another base URL or channel than the policy's, given by flag or variable.
    pub fn permit_origin(&self, base_url: &str) -> Result<()> {
        match &self.base_url {
            Some(only) if only.trim_end_matches('/') != base_url.trim_end_matches('/') => {
                Err(self.forbids(&format!("an update from {}", printable(base_url)), "base_url", only))
            }
            _ => Ok(()),
        }
    }

    pub fn permit_channel(&self, channel: &Name) -> Result<()> {
        match &self.channel {
            Some(only) if only != channel => {
                Err(self.forbids(&format!("channel {channel}"), "channel", only.as_str()))
            }
            _ => Ok(()),
        }
    }

    pub fn permit_preset(&self, preset: &str) -> Result<()> {
        match &self.presets {
            Some(allowed) if !allowed.iter().any(|name| name == preset) => {
                let what = format!("preset {}", printable(preset));
                Err(self.forbids(&what, "allow_presets", &allowed.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// A gateway URL is allowed when the list has it, or has a parent of its path on the same scheme, host and port.
    pub fn permit_gateway_url(&self, url: &HttpUrl) -> Result<()> {
        let Some(allowed) = &self.gateway_urls else { return Ok(()) };
        let same_host = |listed: &&HttpUrl| {
            (listed.is_https(), listed.host(), listed.port()) == (url.is_https(), url.host(), url.port())
        };
        let below = allowed.iter().filter(same_host);
        let mut rests = below.filter_map(|listed| url.path().strip_prefix(listed.path()));
        let is_plain = url.has_plain_steps();
        if rests.any(|rest| rest.is_empty() || (is_plain && rest.starts_with('/'))) {
            return Ok(());
        }
        let error = self.not_in_the_list(url.as_str(), allowed);
        Err(if is_plain {
            error
        } else {
            error.because("programs disagree about where the path of this address leads")
        })
    }

    /// Whether some addresses are forbidden to Claude Code.
    pub fn limits_addresses(&self) -> bool {
        self.gateway_urls.is_some()
    }

    fn not_in_the_list(&self, address: &str, allowed: &[HttpUrl]) -> Error {
        let list: Vec<_> = allowed.iter().map(HttpUrl::as_str).collect();
        self.forbids(&format!("the gateway {address}"), "allow_gateway_urls", &list.join(", "))
    }

    /// Files that no release key has signed; `what` brings them.
    pub fn permit_unsigned(&self, what: &str) -> Result<()> {
        match self.source_dir {
            Some(false) => Err(self.forbids(what, "allow_source_dir", "signed files only")),
            _ => Ok(()),
        }
    }

    /// The answer to what a rule forbids.
    fn forbids(&self, what: &str, rule: &str, allowed: &str) -> Error {
        let who = self.managed_by.as_deref().map_or("the administrator".to_owned(), printable);
        let allowed = if allowed.is_empty() { "none".to_owned() } else { printable(allowed) };
        Error::new(Kind::Refused, format!("{what} is not allowed on this machine"))
            .because(format!("{rule} in {PATH} allows: {allowed}"))
            .because(format!("this machine is managed by {who}"))
    }
}

impl Rules for Policy {
    fn permit_deployment(&self, record: &Record) -> Result<()> {
        self.permit_preset(&record.preset)?;
        self.permit_address(&record.gateway_url)?;
        if let Some(direct) = &record.direct {
            self.permit_preset(GatewayType::Direct.word())?;
            self.permit_address(&direct.url)?;
        }
        if record.bundle.is_signed() {
            return Ok(());
        }
        self.permit_unsigned(match record.bundle.origin {
            BundleOrigin::Directory => "a deployment from a directory (--source-dir)",
            _ => "a deployment with presets of your own",
        })
    }

    /// A text that is not a usable URL is in no list.
    fn permit_address(&self, address: &str) -> Result<()> {
        let Some(allowed) = &self.gateway_urls else { return Ok(()) };
        match HttpUrl::parse("the address", address) {
            Ok(url) => self.permit_gateway_url(&url),
            Err(_) => Err(self.not_in_the_list(&printable(&mask_userinfo(address)), allowed)),
        }
    }
}

/// One exact release: by version, or by the sha256 of its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    Version(Name),
    Manifest(Sha256),
}

impl Pin {
    /// `1.4.2`, with a `v` before it as tags have it, or `sha256:<64 hex digits>`.
    pub fn parse(text: &str) -> Result<Self> {
        let pin = match text.strip_prefix("sha256:") {
            Some(digits) => Sha256::parse(digits).map(Self::Manifest),
            // A word such as `stable` is a channel, and would pin to a version that never comes.
            None => Name::parse(text.strip_prefix('v').unwrap_or(text))
                .filter(|name| name.as_str().starts_with(|c: char| c.is_ascii_digit()))
                .map(Self::Version),
        };
        pin.ok_or_else(|| {
            Error::usage(format!("\"{}\" is not a pin", printable(text)))
                .hint("pin a version, such as 1.4.2, or a manifest, as sha256:<64 hex digits>")
        })
    }

    pub fn matches(&self, manifest: &Verified<Manifest>) -> bool {
        match self {
            Self::Version(version) => manifest.facts().version == *version,
            Self::Manifest(sha256) => manifest.sha256() == *sha256,
        }
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "{version}"),
            Self::Manifest(sha256) => write!(f, "sha256:{sha256}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "pin: 1.4.2\nchannel: stable\nbase_url: https://mirror.example.com/gw\nupdates: check\n\
        allow_presets: [enterprise]\nallow_gateway_urls: [\"https://gw.example.com/team\"]\n\
        allow_source_dir: false\nmanaged_by: Example IT <it@example.com>\n";

    #[test]
    fn what_a_policy_forbids_answers_nine_and_names_who_manages() {
        let policy = Policy::parse(FULL).unwrap();
        let url = |text: &str| HttpUrl::parse("--gateway-url", text).unwrap();
        let beta = Name::parse("beta").unwrap();
        let refusals = [
            policy.permit_release("1.4.1", None),
            policy.permit_update(),
            policy.permit_channel(&beta),
            policy.permit_origin("https://elsewhere.example.com"),
            policy.permit_preset("basic"),
            policy.permit_gateway_url(&url("https://evil.example.com/team")),
            policy.permit_gateway_url(&url("http://gw.example.com/team")),
            policy.permit_gateway_url(&url("https://gw.example.com/teams")),
            policy.permit_gateway_url(&url("https://gw.example.com:8443/team")),
            policy.permit_gateway_url(&url("https://gw.example.com/team/..%2fother")),
            policy.permit_gateway_url(&url("https://gw.example.com/team/..;/other")),
            policy.permit_gateway_url(&url("https://gw.example.com/team/%252e%252e/other")),
            policy.permit_unsigned("a directory"),
        ];
        for (at, refusal) in refusals.into_iter().enumerate() {
            let error = refusal.unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{at}");
            let text = error.to_string();
            assert!(text.contains("Example IT <it@example.com>") && text.contains(PATH), "{text}");
        }
        policy.permit_release("1.4.2", None).unwrap();
        let sums = ["0a", "0b"].map(|digits| Sha256::parse(&digits.repeat(32)).unwrap());
        let pinned = Policy::parse(&format!("pin: sha256:{}\n", sums[0])).unwrap();
        pinned.permit_release("1.0.0", Some(sums[0])).unwrap();
        assert!(pinned.permit_release("1.0.0", Some(sums[1])).is_err());
        assert!(pinned.permit_release("1.0.0", None).is_err());
        policy.permit_check().unwrap();
        policy.permit_preset("enterprise").unwrap();
        policy.permit_gateway_url(&url("https://gw.example.com/team/a")).unwrap();
        policy.permit_origin("https://mirror.example.com/gw/").unwrap();
        let listed = Policy::parse("allow_gateway_urls: [\"https://gw.example.com/a%2fb\"]\n").unwrap();
        listed.permit_gateway_url(&url("https://gw.example.com/a%2fb")).unwrap();
    }

    #[test]
    fn a_pin_is_read_as_install_sh_reads_it() {
        assert_eq!(Pin::parse("v1.4.2").unwrap(), Pin::parse("1.4.2").unwrap());
        let manifest = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(Pin::parse(&manifest).unwrap().to_string(), manifest);
        for broken in ["", "v", "../x", "sha256:0a", "1.4.2 "] {
            assert!(Pin::parse(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn no_policy_allows_everything_and_a_broken_one_nothing() {
        for empty in ["", "# nothing\n", "{}"] {
            let policy = Policy::parse(empty).unwrap();
            policy
                .permit_update()
                .and(policy.permit_unsigned("a directory"))
                .and(policy.permit_preset("basic"))
                .unwrap();
        }
        for broken in
            ["pins: 1.4.2", "updates: never", "pin: \"../x\"", "pin: 'sha256:xyz'", "[", "pin: 1\npin: 2"]
        {
            assert_eq!(Policy::parse(broken).unwrap_err().kind(), Kind::Refused, "{broken}");
        }
        for line in FULL.lines() {
            let key = line.split(':').next().unwrap();
            for value in ["", " ~", " null", " # nothing yet", " \"\""] {
                let text = format!("{key}:{value}\n");
                let error = Policy::parse(&text).expect_err(&text);
                assert_eq!(error.kind(), Kind::Refused, "{text}");
            }
        }
        for entry in ["~", "", "\"\""] {
            Policy::parse(&format!("allow_gateway_urls:\n- {entry}\n")).expect_err(entry);
            let presets = Policy::parse(&format!("allow_presets:\n- {entry}\n"));
            assert!(presets.and_then(|policy| policy.permit_preset("basic")).is_err(), "{entry}");
        }
    }
}
