//! `gateway.yaml`: what a gateway on servers has beside what an installation on one machine has. One typed file for all targets.
//!
//! Promise: `schema.json` judges the text first, so that a mistake is named with its key and an unknown key with the closest
//! known one, and no value that a second reader would act on (`;`, `{{`, quotes, line breaks) gets past it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::name::{closest, printable};
use crate::domain::word::words;
use crate::domain::{Error, Hint, Result};
use crate::format::schema;
use crate::format::yaml::Doc;

/// The schema of `gateway.yaml`, as published.
pub const SCHEMA: &str = include_str!("schema.json");

words! {
    /// What LiteLLM gets of a machine. Measured: idle 309 MiB, 351 MiB under load with one worker and without a database.
    pub enum Profile {
        /// 256 MiB asked, 512 MiB at most: one worker without a database.
        Seed = "seed",
        Small = "small",
        Standard = "standard",
    }
}

/// `gateway.yaml`. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Values {
    pub name: String,
    pub namespace: String,
    /// Name of the gateway in DNS; TLS is for this name.
    pub domain: Option<String>,
    /// Image of LiteLLM: `REPOSITORY:TAG[@sha256:…]`.
    pub image: Option<String>,
    pub replicas: u32,
    /// More than `replicas`: the engine adds instances under load up to this number.
    pub max_replicas: Option<u32>,
    pub resources: Option<Profile>,
    pub port: u16,
    /// Values of variables that are not secret.
    pub variables: BTreeMap<String, String>,
    pub database: Option<Database>,
    pub redis: Option<Redis>,
    pub ingress: Option<Ingress>,
    /// Addresses that may use the gateway; empty: all.
    pub allow_from: Vec<String>,
    /// Requests per second of one address, before it is told to wait.
    pub requests_per_second: u32,
    pub tls13_only: bool,
    /// `/metrics` for Prometheus, with rules and a dashboard.
    pub metrics: bool,
    /// Claude Code signs in at the gateway (SSO) and gets its settings from there.
    pub claude_code_gateway: bool,
    pub backup: Backup,
    pub alert_webhook: Option<String>,
    pub server: Server,
    /// `OWNER/NAME` at GitHub, for the pipeline and the image that it builds.
    pub repository: Option<String>,
    pub lambda: Lambda,
    /// Values of one environment: any of these keys, each replacing the one above.
    pub environments: BTreeMap<String, Value>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            name: "llm-gateway".to_owned(),
            namespace: "llm-gateway".to_owned(),
            domain: None,
            image: None,
            replicas: 1,
            max_replicas: None,
            resources: None,
            port: 4000,
            variables: BTreeMap::new(),
            database: None,
            redis: None,
            ingress: None,
            allow_from: Vec::new(),
            requests_per_second: 20,
            tls13_only: false,
            metrics: false,
            claude_code_gateway: false,
            backup: Backup::default(),
            alert_webhook: None,
            server: Server::default(),
            repository: None,
            lambda: Lambda::default(),
            environments: BTreeMap::new(),
        }
    }
}

/// PostgreSQL: virtual keys, budgets, spend.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// Absent: the engine's own instance where it can have one (compose, systemd).
    pub host: Option<String>,
    pub port: u16,
    pub name: String,
    pub user: String,
    /// Connections of one instance of LiteLLM.
    pub connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        let name = || "litellm".to_owned();
        Self { host: None, port: 5432, name: name(), user: name(), connections: 10 }
    }
}

/// Redis: limits and routing that several instances share.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// Absent: the engine's own instance where it can have one.
    pub host: Option<String>,
    pub port: u16,
}

impl Default for Redis {
    fn default() -> Self {
        Self { host: None, port: 6379 }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingress {
    pub class: Option<String>,
    /// Name of a cert-manager ClusterIssuer.
    pub issuer: Option<String>,
    /// Name of the Secret with the certificate.
    pub tls_secret: Option<String>,
}

/// Where backups go beside the machine itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Daily ones that stay.
    pub keep: u32,
    /// A recipient of age: then backups are encrypted, and hold the secrets too.
    pub encrypt_to: Option<String>,
    pub s3: Option<S3>,
}

impl Default for Backup {
    fn default() -> Self {
        Self { keep: 7, encrypt_to: None, s3: None }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    pub endpoint: String,
    pub bucket: String,
    #[serde(default = "S3::region")]
    pub region: String,
    #[serde(default)]
    pub prefix: String,
}

impl S3 {
    fn region() -> String {
        "us-east-1".to_owned()
    }
}

/// A machine with systemd.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub root: String,
    pub user: String,
    /// Instances behind nginx; two restart without losing a request.
    pub instances: u32,
}

impl Default for Server {
    fn default() -> Self {
        Self { root: "/opt/llm-gateway".to_owned(), user: "llm-gateway".to_owned(), instances: 2 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lambda {
    pub region: String,
    /// MiB.
    pub memory: u32,
    /// Seconds.
    pub timeout: u32,
}

impl Default for Lambda {
    fn default() -> Self {
        Self { region: "us-east-1".to_owned(), memory: 1024, timeout: 300 }
    }
}

impl Values {
    /// Reads a text and, laid over it, the keys of each of its environments.
    pub fn parse(text: &str) -> Result<(Self, Vec<(String, Self)>)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // A reader of values takes the last of two equal keys without a word.
        Doc::parse(text).map_err(|error| invalid(&error.to_string()))?;
        let read: Value = serde_yaml::from_str(text).map_err(|error| invalid(&error.to_string()))?;
        let whole = if read.is_null() { Value::Object(serde_json::Map::new()) } else { read };
        let values = Self::of(&whole, "")?;
        let overlay = |(name, overlay): (&String, &Value)| {
            let mut merged = whole.clone();
            lay_over(&mut merged, overlay);
            if let Some(keys) = merged.as_object_mut() {
                keys.remove("environments");
            }
            Ok((name.clone(), Self::of(&merged, &format!("environments.{name}."))?))
        };
        let environments = values.environments.iter().map(overlay).collect::<Result<_>>()?;
        Ok((values, environments))
    }

    fn of(document: &Value, inside: &str) -> Result<Self> {
        let rules: Value = serde_json::from_str(SCHEMA).map_err(|error| invalid(&error.to_string()))?;
        if let Some(fault) = schema::check(&rules, document).first() {
            return Err(refusal(&rules, fault, inside));
        }
        let values: Self =
            serde_json::from_value(document.clone()).map_err(|error| invalid(&error.to_string()))?;
        values.require_consistent()?;
        Ok(values)
    }

    /// Rules that concern several keys.
    fn require_consistent(&self) -> Result<()> {
        let most = self.max_replicas.unwrap_or(self.replicas);
        if most < self.replicas {
            return Err(invalid("max_replicas is smaller than replicas"));
        }
        if most > 1 && self.redis.is_none() {
            return Err(invalid("several replicas count limits and failures together, and need redis")
                .hint(Hint::step("add the line: redis: {}")));
        }
        self.require_room_for_ports()?;
        self.require_addresses()?;
        self.require_plain_variables()?;
        if self.server.root.split('/').any(|part| part == ".." || part == ".") {
            return Err(invalid("server.root contains . or .."));
        }
        if self.resources == Some(Profile::Seed) && self.database.is_some() {
            return Err(invalid("resources: seed is killed for its memory with a database")
                .hint(Hint::step("write resources: standard")));
        }
        Ok(())
    }
}

impl Values {
    fn require_room_for_ports(&self) -> Result<()> {
        let most = self.replicas.max(self.server.instances);
        if u32::from(self.port) + most <= u32::from(u16::MAX) + 1 {
            return Ok(());
        }
        Err(invalid(&format!(
            "port: {} leaves no room for {most} instances, which listen on the ports from it on",
            self.port
        )))
    }

    fn require_addresses(&self) -> Result<()> {
        let is_network = |text: &String| {
            let (address, length) = text.split_once('/').map_or((text.as_str(), None), |(a, l)| (a, Some(l)));
            let most = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            length.is_none_or(|length| length.parse::<u8>().is_ok_and(|length| length <= most))
        };
        match self.allow_from.iter().find(|text| !is_network(text)) {
            None => Ok(()),
            Some(wrong) => Err(invalid(&format!("allow_from: {wrong} is not an address or a network"))),
        }
    }

    /// `variables` end up in files that everybody reads, and must not change what a target sets.
    fn require_plain_variables(&self) -> Result<()> {
        let secret = |name: &str| {
            ["_KEY", "_SECRET", "_PASSWORD", "_TOKEN", "_CREDENTIALS"].iter().any(|end| name.ends_with(end))
        };
        for name in self.variables.keys() {
            if secret(name) {
                return Err(invalid(&format!(
                    "variables: {name} is a secret, and these values are written as they stand"
                ))
                .hint(Hint::step(format!("remove it here and write {name}=… into secrets.env"))));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(invalid(&format!("variables: render sets {name} itself")));
            }
        }
        Ok(())
    }
}

/// Variables that a target sets, or that would change what the container itself runs.
const RESERVED: [&str; 14] = [
    "DATABASE_HOST",
    "DATABASE_NAME",
    "DATABASE_USERNAME",
    "DATABASE_URL",
    "DISABLE_SCHEMA_UPDATE",
    "REDIS_HOST",
    "REDIS_PORT",
    "LITELLM_MODE",
    "LITELLM_LOCAL_MODEL_COST_MAP",
    "HOME",
    "PATH",
    "PORT",
    "PYTHONPATH",
    "LD_PRELOAD",
];

fn invalid(why: &str) -> Error {
    Error::usage("gateway.yaml cannot be used").because(printable(why))
}

/// The refusal of one key, with the closest known one for an unknown key.
fn refusal(rules: &Value, fault: &schema::Fault, inside: &str) -> Error {
    let path = printable(&format!("{inside}{}", fault.path.join(".")));
    let (Some(last), true) = (fault.path.last(), fault.what == schema::UNKNOWN) else {
        let place = if path.is_empty() { "the document".to_owned() } else { path };
        return invalid(&format!("{place} {}", fault.what));
    };
    let known = known_keys(rules, &fault.path[..fault.path.len() - 1]);
    let error = invalid(&format!("{path} is not a known key"));
    match closest(last, known.iter().map(String::as_str)).first() {
        Some(name) => error.hint(Hint::step(format!("write {name} instead"))),
        None => error.hint(Hint::step(format!("known here: {}", known.join(", ")))),
    }
}

fn known_keys(rules: &Value, path: &[String]) -> Vec<String> {
    let inner = path.iter().try_fold(rules, |rules, key| {
        rules["properties"].get(key).or_else(|| rules.get("additionalProperties"))
    });
    let names = inner.and_then(|rules| rules["properties"].as_object());
    names.map_or_else(Vec::new, |names| names.keys().cloned().collect())
}

/// Mappings are joined; anything else is replaced.
fn lay_over(base: &mut Value, overlay: &Value) {
    match (base, overlay) {
        (Value::Object(base), Value::Object(overlay)) => {
            for (key, value) in overlay {
                lay_over(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, overlay) => *base = overlay.clone(),
    }
}
