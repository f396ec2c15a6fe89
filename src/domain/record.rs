//! The record: facts about the deployment, stored as `deployment-manifest.json`.
//!
//! It holds hashes, names and origins, never a secret value. Readers tolerate fields they do not know; a newer
//! `schema` is refused, because acting on half-understood facts could lose an edit of the user.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::files;
use super::request::GatewayType;
use super::runtime::RuntimeId;
use super::session::Session;
use super::tree::{Class, octal};
use super::url::HttpUrl;
use super::word::words;
use super::{Instant, Operation, Sha256};

/// Schema of the record that this version writes.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub schema: u32,
    /// Version of gwinstall that wrote it.
    pub version: String,
    /// `dep-YYYYMMDD-HHMMSS`, with `-2` and so on for the next ones of the same second.
    pub deployment_id: String,
    pub timestamp: Instant,
    pub operation: Operation,
    /// The specification that the deployed files implement.
    pub source_spec: String,
    pub deployed_by: String,
    pub bundle: BundleId,
    pub preset: String,
    pub gateway_type: GatewayType,
    /// The address of the gateway. Claude Code asks it, unless `direct` says otherwise.
    pub gateway_url: String,
    /// The provider that Claude Code asks without the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<Direct>,
    pub models: Vec<String>,
    /// The request, without secrets.
    pub request: RequestFacts,
    /// The LiteLLM that start-gateway.sh runs; absent where none was found, and where the preset runs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeId>,
    pub files: BTreeMap<String, FileRecord>,
    pub environment_variables: BTreeMap<String, EnvRecord>,
    pub settings: SettingsRecord,
    /// The archive made before this operation; a name in `backups/`.
    pub backup_path: Option<String>,
    /// Names of the flags given, without values.
    pub flags_used: Vec<String>,
    /// The backup that a rollback restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
    /// Sessions of Claude Code that have to end before its settings can be restored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Session>,
}

/// A provider that Claude Code asks without the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direct {
    pub provider: String,
    /// Where Claude Code asks it.
    pub url: String,
    /// The variable of `.env` that holds its key; absent where it asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The models for Claude Code's three sizes, the largest first.
    pub models: Vec<String>,
}

/// What was asked for a direct provider, which `use` and `update` repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderFacts {
    /// Models named by the user; absent: those of the catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// An address named by the user; absent: that of the catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

words! {
    /// Where the deployed bundle came from.
    pub enum BundleOrigin {
        Embedded = "embedded",
        /// Fetched and verified by `self-update`.
        Release = "release",
        /// Given with `--bundle`.
        File = "file",
        /// Given with `--source-dir`, unsigned.
        Directory = "directory",
    }
}

words! {
    /// Where a value of `.env` came from.
    pub enum ValueSource {
        Flag = "flag",
        Environment = "environment",
        File = "file",
        Rc = "rc",
        Gcloud = "gcloud",
        Default = "default",
        Generated = "generated",
        Prompt = "prompt",
        Placeholder = "placeholder",
    }
}

/// Which bundle, from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleId {
    pub version: String,
    /// Order among signed bundles; 0 for an unsigned source directory.
    pub seq: u64,
    pub origin: BundleOrigin,
    /// sha256 over all its files.
    pub sha256: Sha256,
    /// The directory or file given, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether presets of the user's own are laid over it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_own_presets: bool,
}

impl BundleId {
    /// Whether a release key has signed all its files.
    pub fn is_signed(&self) -> bool {
        self.origin != BundleOrigin::Directory && !self.with_own_presets
    }
}

words! {
    /// Where Claude Code is pointed, as far as gwinstall decides it.
    pub enum Pointed {
        /// Its settings are untouched; `start` or `on` points it at the gateway.
        Armed = "armed",
        /// At the gateway.
        On = "on",
        /// Where it was before gwinstall, because the user ran `off`.
        Off = "off",
        /// On its way out: the settings lead every session away from the gateway, and are not restored yet.
        Leaving = "leaving",
    }
}

/// The part of a request that is repeated by `update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FactsAsRead")]
pub struct RequestFacts {
    pub preset: String,
    pub gateway_type: GatewayType,
    /// Models named by the user; absent = the preset's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_url: Option<String>,
    /// Where Claude Code is pointed.
    pub pointed: Pointed,
    /// Whether gwinstall took over values that it did not set; `on` takes them over again after `off`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// How many backups stay, where the user said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// After how many days a backup goes, where the user said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// The provider that Claude Code asks without the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<String>,
    /// The direct providers that were set up, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, ProviderFacts>,
    /// What Claude Code used before the last switch, for `use -`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// The facts of a request as a record holds them. A record of version 1.0 has `off` in place of `pointed`.
#[derive(Deserialize)]
struct FactsAsRead {
    preset: String,
    gateway_type: GatewayType,
    models: Option<Vec<String>>,
    gateway_url: Option<String>,
    pointed: Option<Pointed>,
    #[serde(default)]
    off: bool,
    #[serde(default)]
    forced: bool,
    keep: Option<usize>,
    max_age: Option<u32>,
    direct: Option<String>,
    #[serde(default)]
    providers: BTreeMap<String, ProviderFacts>,
    before: Option<String>,
}

impl From<FactsAsRead> for RequestFacts {
    fn from(read: FactsAsRead) -> Self {
        let pointed = read.pointed.unwrap_or(if read.off { Pointed::Off } else { Pointed::On });
        Self {
            preset: read.preset,
            gateway_type: read.gateway_type,
            models: read.models,
            gateway_url: read.gateway_url,
            pointed,
            forced: read.forced,
            keep: read.keep,
            max_age: read.max_age,
            direct: read.direct,
            providers: read.providers,
            before: read.before,
        }
    }
}

/// One deployed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// What was on disk when the operation ended.
    pub sha256: Sha256,
    #[serde(with = "octal")]
    pub mode: u32,
    pub class: Class,
    /// The shipped content that gwinstall last put in place or merged in: the base of the next three-way decision.
    pub base: Sha256,
    /// sha256 of the newest version that an unresolved conflict offers. Boxed: of ten thousand files few have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<Box<Sha256>>,
    /// The user deleted the file, or replaced it with something that is not a file; gwinstall leaves it alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

words! {
    /// Who a value in `.env` belongs to.
    pub enum Origin {
        /// gwinstall wrote it, and it is unchanged since.
        Gwinstall = "ours",
        /// It was there before, or the user changed it.
        User = "user",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvRecord {
    pub origin: Origin,
    pub source: ValueSource,
    pub secret: bool,
    /// sha256 of a value that is not secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    pub value: EnvValue,
}

/// A value in `.env`, as the record stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "value", rename_all = "lowercase")]
pub enum EnvValue {
    /// The value itself, which is not secret.
    Value(String),
    /// A secret value is set.
    Secret,
    /// A required variable without a value.
    Missing,
}

/// The keys of gwinstall in Claude Code's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SettingsRecord {
    /// The real file, behind any links.
    pub path: String,
    /// Dotted key path → what gwinstall did with the key, in the order of the file.
    pub keys: IndexMap<String, SettingsValue>,
    /// The file's mode before a secret of gwinstall made it private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode_before: Option<u32>,
}

/// A key in Claude Code's settings, as the record stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", content = "value", rename_all = "lowercase")]
pub enum SettingsValue {
    /// gwinstall set this value.
    Value(Value),
    /// gwinstall set a secret, which only `.env` and settings.json hold.
    Secret,
    /// gwinstall removed the key, because it would lead past the gateway.
    Removed,
}

impl EnvValue {
    pub fn of(value: &str, secret: bool) -> Self {
        if secret { Self::Secret } else { Self::Value(value.to_owned()) }
    }
}

impl SettingsRecord {
    /// Whether gwinstall set `key` to exactly this value.
    pub fn sets(&self, key: &str, value: &Value) -> bool {
        matches!(self.keys.get(key), Some(SettingsValue::Value(set)) if set == value)
    }
}

impl Record {
    /// Whether LiteLLM runs on this machine for this deployment.
    pub fn runs_litellm(&self) -> bool {
        self.files.contains_key(files::CONFIG)
    }

    /// Whether a gateway is deployed, and not only providers that Claude Code asks directly.
    pub fn has_gateway(&self) -> bool {
        self.gateway_type != GatewayType::Direct
    }

    /// Where Claude Code sends its requests.
    pub fn address(&self) -> &str {
        self.direct.as_ref().map_or(&self.gateway_url, |direct| &direct.url)
    }

    /// The port of the LiteLLM on this machine.
    pub fn port(&self) -> Option<u16> {
        let url = || HttpUrl::parse("the recorded gateway URL", &self.gateway_url).ok();
        self.runs_litellm().then(url)?.map(|url| url.port())
    }

    /// Whether two records state the same facts, apart from when and by which version they were written.
    pub fn same_facts(&self, other: &Self) -> bool {
        let Self {
            schema,
            source_spec,
            bundle,
            preset,
            gateway_type,
            gateway_url,
            direct,
            models,
            request,
            runtime,
            files,
            environment_variables,
            settings,
            waiting,
            version: _,
            deployment_id: _,
            timestamp: _,
            operation: _,
            deployed_by: _,
            backup_path: _,
            flags_used: _,
            restored_from: _,
        } = self;
        *schema == other.schema
            && *source_spec == other.source_spec
            && *bundle == other.bundle
            && *preset == other.preset
            && *gateway_type == other.gateway_type
            && *gateway_url == other.gateway_url
            && *direct == other.direct
            && *models == other.models
            && *request == other.request
            && *runtime == other.runtime
            && *files == other.files
            && *environment_variables == other.environment_variables
            && *settings == other.settings
            && *waiting == other.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_earlier_version_says_where_claude_code_is_pointed() {
        let read = |more: &str| {
            let text = format!(r#"{{"preset":"basic","gateway_type":"local"{more}}}"#);
            serde_json::from_str::<RequestFacts>(&text).map(|facts| facts.pointed)
        };
        assert_eq!(read("").unwrap(), Pointed::On);
        assert_eq!(read(r#","off":true"#).unwrap(), Pointed::Off);
        assert_eq!(read(r#","off":false"#).unwrap(), Pointed::On);
        assert_eq!(read(r#","pointed":"leaving","off":true"#).unwrap(), Pointed::Leaving);
        assert!(read(r#","pointed":"elsewhere""#).is_err());
        let facts: RequestFacts =
            serde_json::from_str(r#"{"preset":"basic","gateway_type":"local","off":true}"#).unwrap();
        let written = serde_json::to_value(&facts).unwrap();
        assert_eq!((written["pointed"].as_str(), written.get("off")), (Some("off"), None));
    }
}
