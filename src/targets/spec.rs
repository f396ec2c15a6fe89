//! The gateway on servers: everything that several targets write down, decided once, so that they cannot disagree.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::domain::place::files;
use crate::domain::tree::Content;
use crate::domain::{Error, Hint, Kind, Result};
use crate::format::settings::KeyPath;
use crate::render::{self, Around, Choice, Helper, MASTER_KEY, Need};
use crate::runtime::facts::Facts;

use super::server::{self, ConfigFile};
use super::values::{Profile, Values};

/// The directory of the bundle with the scripts of a server. No preset deploys it.
const SCRIPTS: &str = "servers/";
/// Where LiteLLM's image comes from.
const REPOSITORY: &str = "ghcr.io/berriai/litellm";
/// The configuration inside a container.
pub const CONFIG_DIR: &str = "/etc/litellm";
/// The file in which LiteLLM finds Google's login inside a container.
pub const GOOGLE_FILE: &str = "/etc/litellm-secrets/google-credentials.json";
const GOOGLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Seconds in which LiteLLM finishes the answers that it is streaming.
pub const GRACE: u32 = 90;

/// What is asked, and how often. `/health` itself calls every model for money, and `/ready` does not exist.
pub struct Probe {
    pub path: &'static str,
    /// Seconds before the first question.
    pub delay: u32,
    /// Seconds from one to the next.
    pub period: u32,
    pub timeout: u32,
    /// Failures in a row that count.
    pub failures: u32,
}

/// Until it answered once: five minutes, because a start with a database is slow.
pub const STARTUP: Probe =
    Probe { path: "/health/readiness", delay: 0, period: 10, timeout: 5, failures: 30 };
pub const LIVENESS: Probe =
    Probe { path: "/health/liveliness", delay: 30, period: 15, timeout: 5, failures: 5 };
pub const READINESS: Probe =
    Probe { path: "/health/readiness", delay: 0, period: 10, timeout: 5, failures: 3 };

/// An image by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub repository: String,
    pub tag: String,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl Image {
    fn parse(text: &str) -> Self {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon before the last slash belongs to the port of the registry.
        let (repository, tag) = match name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((repository, tag)) => (repository, tag),
            None => (name, "latest"),
        };
        Self { repository: repository.to_owned(), tag: tag.to_owned(), digest }
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// Processor in thousandths, memory in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    pub cpu: u32,
    pub memory: u32,
}

impl Amount {
    /// `4Gi` and `512Mi`, as Kubernetes writes it.
    pub fn memory_text(self) -> String {
        if self.memory.is_multiple_of(1024) {
            format!("{}Gi", self.memory / 1024)
        } else {
            format!("{}Mi", self.memory)
        }
    }

    /// `250m` and `1`.
    pub fn cpu_text(self) -> String {
        if self.cpu.is_multiple_of(1000) { (self.cpu / 1000).to_string() } else { format!("{}m", self.cpu) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    pub requests: Amount,
    pub limits: Amount,
}

impl Resources {
    fn of(profile: Profile) -> Self {
        let amount = |cpu, memory| Amount { cpu, memory };
        let (requests, limits) = match profile {
            Profile::Seed => (amount(250, 256), amount(500, 512)),
            Profile::Small => (amount(250, 512), amount(1000, 1024)),
            Profile::Standard => (amount(250, 1024), amount(1000, 4096)),
        };
        Self { requests, limits }
    }
}

/// The name of a secret, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub name: String,
    pub about: &'static str,
    /// Whether the gateway starts without it.
    pub optional: bool,
}

/// Secrets that gwinstall can generate: only the gateway and its stores have to know them.
pub const RANDOM: [&str; 4] = [MASTER_KEY, "DATABASE_PASSWORD", "LITELLM_SALT_KEY", "REDIS_PASSWORD"];

/// What is rendered: the gateway, and the same gateway in each environment of `gateway.yaml`.
pub struct Request<'a> {
    pub spec: &'a Spec,
    /// By name; a target that knows overlays writes one for each.
    pub environments: &'a [(String, Spec)],
}

/// The directory of what all environments share.
pub(super) const BASE: &str = "base";

impl<'a> Request<'a> {
    /// The directories that are applied to a cluster: the overlays, or the base where there are none.
    pub(super) fn applied(&'a self) -> impl Iterator<Item = (String, &'a Spec)> {
        let alone = self.environments.is_empty().then(|| (BASE.to_owned(), self.spec));
        let overlays = self.environments.iter().map(|(name, spec)| (format!("overlays/{name}"), spec));
        alone.into_iter().chain(overlays)
    }
}

/// The gateway, as every target writes it down.
#[derive(Debug, Clone)]
pub struct Spec {
    pub values: Values,
    pub image: Image,
    /// The version of LiteLLM that the bundle was tested with.
    pub litellm: String,
    /// The packages of that LiteLLM with their hashes, as pip reads them.
    pub lock: Content,
    /// The version of the bundle.
    pub version: String,
    pub preset: String,
    /// What LiteLLM reads; the first is the file it starts with.
    pub config: Vec<ConfigFile>,
    pub resources: Resources,
    /// Variables of LiteLLM that are not secret, in the order of their names.
    pub variables: BTreeMap<String, String>,
    pub secrets: Vec<Secret>,
    /// Whether LiteLLM logs in at Google with a file.
    pub google: bool,
    /// Names of the models that the gateway serves.
    pub models: Vec<String>,
    /// Variables that lead a Claude Code to this gateway; an empty value switches something off. No key is among them.
    pub claude_code: BTreeMap<String, String>,
    scripts: BTreeMap<String, Content>,
}

impl Spec {
    /// The gateway that `choice` describes, on servers as `values` say.
    pub fn new(bundle: &Bundle, choice: &Choice<'_>, values: Values) -> Result<Self> {
        let Some(base) = &choice.preset.base else {
            return Err(Error::usage(format!("the preset {} runs no LiteLLM", choice.preset.name)));
        };
        let Facts { data, lock, .. } = Facts::of(bundle)?;
        let litellm = data.litellm;
        if let Some(tag) = values.image.as_deref().map(|image| Image::parse(image).tag)
            && data.malicious.iter().any(|version| tag.trim_start_matches('v') == version)
        {
            return Err(Error::new(Kind::Refused, format!("LiteLLM {tag} was published with malware"))
                .hint(Hint::step(format!("write image: {REPOSITORY}:v{litellm}"))));
        }
        let text = render::assemble(bundle, base, choice)?;
        let config = server::configuration(text, &values)?;
        let profile = values.resources.unwrap_or(Profile::Standard);
        let image = match &values.image {
            Some(image) => Image::parse(image),
            None => Image { repository: REPOSITORY.to_owned(), tag: format!("v{litellm}"), digest: None },
        };
        let needs = render::needs(choice);
        let google = needs.iter().any(|(name, _)| name == GOOGLE);
        let mut spec = Self {
            image,
            litellm,
            lock,
            version: bundle.id.version.clone(),
            preset: choice.preset.name.clone(),
            config,
            resources: Resources::of(profile),
            variables: variables_of(&values),
            secrets: Vec::new(),
            google,
            models: choice.models.iter().map(|model| model.id.clone()).collect(),
            claude_code: claude_code_of(choice, &values),
            scripts: scripts_of(bundle),
            values,
        };
        spec.secrets = spec.secrets_of(&needs);
        Ok(spec)
    }

    /// The names of every value that the user keeps in `secrets.env`.
    fn secrets_of(&self, needs: &[(String, Need)]) -> Vec<Secret> {
        let generated = |name: &str, about| Secret { name: name.to_owned(), about, optional: false };
        let mut secrets = vec![generated(MASTER_KEY, "Key of the administrator: sk- and 64 hex digits.")];
        if self.values.database.is_some() {
            let about = "Password of LiteLLM's role in PostgreSQL.";
            secrets.push(generated("DATABASE_PASSWORD", about));
            let about = "Encrypts what LiteLLM keeps in the database. Never change it: what is there would be unreadable.";
            secrets.push(generated("LITELLM_SALT_KEY", about));
        }
        if self.values.redis.is_some() {
            secrets.push(generated("REDIS_PASSWORD", "Password of Redis."));
        }
        for (name, need) in needs {
            let known = secrets.iter().any(|secret| secret.name == *name)
                || self.values.variables.contains_key(name)
                || matches!(name.as_str(), GOOGLE | "ANTHROPIC_BASE_URL");
            if !known {
                let about = "Read by LiteLLM for the models of this gateway.";
                let optional = *need == Need::Optional;
                secrets.push(Secret { name: name.clone(), about, optional });
            }
        }
        secrets
    }

    /// The scripts of every server, and those of one layout, with their names.
    pub(super) fn scripts_of(&self, layout: &str) -> impl Iterator<Item = (&str, &Content)> {
        self.scripts.iter().filter_map(move |(path, bytes)| match path.split_once('/') {
            None => Some((path.as_str(), bytes)),
            Some((directory, name)) => (directory == layout).then_some((name, bytes)),
        })
    }

    /// A script of the bundle.
    pub(super) fn script(&self, name: &str) -> Result<Content> {
        self.scripts.get(name).cloned().ok_or_else(|| {
            Error::failed(format!("the bundle has no script {SCRIPTS}{name}"))
                .because("it is older than this gwinstall, or a directory of your own")
                .hint(Hint::again(&["--embedded"]).to("use the files inside gwinstall"))
        })
    }

    /// The file that LiteLLM starts with.
    pub fn entry(&self) -> &'static str {
        self.config.first().map_or(server::LITELLM, |file| file.name)
    }

    /// The arguments of LiteLLM inside a container.
    pub fn arguments(&self) -> Vec<String> {
        let config = format!("{CONFIG_DIR}/{}", self.entry());
        let port = self.values.port.to_string();
        ["--config", &config, "--host", "0.0.0.0", "--port", &port, "--num_workers", "1"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Whether LiteLLM may run more than once.
    pub fn is_scaled(&self) -> bool {
        self.values.max_replicas.unwrap_or(self.values.replicas) > 1
    }

    /// The address that people use.
    pub fn address(&self) -> Option<String> {
        address_of(&self.values)
    }
}

/// Variables of LiteLLM on a server, whatever starts it. Hosts are for a target to add.
fn variables_of(values: &Values) -> BTreeMap<String, String> {
    let mut variables = values.variables.clone();
    for (name, usual) in [("LITELLM_LOG", "INFO"), ("JSON_LOGS", "True")] {
        variables.entry(name.to_owned()).or_insert_with(|| usual.to_owned());
    }
    let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
    // It would ask the network for prices at every start, and read a .env that lies beside it.
    set("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    set("LITELLM_MODE", "PRODUCTION");
    if let Some(database) = &values.database {
        set("DATABASE_NAME", &database.name);
        set("DATABASE_USERNAME", &database.user);
        // The migration is a step of its own: several instances must not do it at once.
        set("DISABLE_SCHEMA_UPDATE", "True");
    }
    if let Some(redis) = &values.redis {
        set("REDIS_PORT", &redis.port.to_string());
    }
    variables
}

/// What install writes into the settings of Claude Code, for the address of a server. What install removes is empty here: a managed
/// value wins over the user's, an absent one does not.
fn claude_code_of(choice: &Choice<'_>, values: &Values) -> BTreeMap<String, String> {
    let address = address_of(values).unwrap_or_default();
    let keys = render::desired_keys(choice, &address, &Helper::Token(None), &Around::default());
    let named = |key: render::DesiredKey| match key.path {
        KeyPath::Env(name) => {
            let value = key.value.as_ref().and_then(serde_json::Value::as_str);
            Some((name, value.unwrap_or_default().to_owned()))
        }
        KeyPath::Top(_) => None,
    };
    keys.into_iter().filter_map(named).collect()
}

fn address_of(values: &Values) -> Option<String> {
    values.domain.as_ref().map(|domain| format!("https://{domain}"))
}

fn scripts_of(bundle: &Bundle) -> BTreeMap<String, Content> {
    let named = |(path, bytes): (&String, &Content)| {
        path.strip_prefix(SCRIPTS).map(|name| (name.to_owned(), Content::clone(bytes)))
    };
    bundle.files().iter().filter_map(named).collect()
}

/// The path of the configuration below a target's directory.
pub fn config_path(name: &str) -> String {
    let directory = files::CONFIG.rsplit_once('/').map_or("config", |(directory, _)| directory);
    format!("{directory}/{name}")
}
