//! Goals: what a request, a backup or nothing at all wants to be there. Pure but for reading what is on disk.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::bundle::{Bundle, build};
use crate::domain::Operation;
use crate::domain::place::files;
use crate::domain::record::EnvValue;
use crate::domain::record::SettingsValue;
use crate::domain::record::{EnvRecord, Origin, Record, RequestFacts, SCHEMA, SettingsRecord};
use crate::domain::request::GatewayType;
use crate::domain::request::Request;
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Instant, Place, Result, Sha256};
use crate::doors::{disk, system};
use crate::format::dotenv::{DotEnv, is_placeholder};
use crate::format::settings::{KeyPath, Settings};
use crate::render::{self, Choice, EnvInput, EnvOutcome, Helper, KeyWish, Value};

use super::backup::Backup;
use super::draft::{EnvFile, Goal};
use super::plan::Stance;
use super::settings::{helper_command, ledger};
use super::values::{AUTH_TOKEN, BASE_URL, MASTER_KEY, Values};

/// The specification that the deployed files implement.
const SOURCE_SPEC: &str = "001-llm-gateway-config";

/// A goal and what the user is told about it.
pub struct Prepared {
    pub goal: Goal,
    pub preset: String,
    pub models: Vec<String>,
    pub gateway_url: String,
    pub port: u16,
    pub runs_litellm: bool,
    /// Required variables without a value.
    pub missing: Vec<String>,
    /// Variables that stay although this request does not use them.
    pub kept_variables: Vec<String>,
    pub removed_variables: Vec<String>,
    /// Somebody else's apiKeyHelper stands, so the token is in settings.json.
    pub foreign_helper: bool,
    /// Retired models with their successors.
    pub retired: Vec<(String, Option<String>)>,
}

/// Which parts of a deployment an operation touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Files, `.env`, settings.
    All,
    /// `.env` and settings.
    Values,
    /// Settings.
    Settings,
}

/// What to prepare from.
pub struct Wish<'a> {
    pub place: &'a Place,
    pub bundle: &'a Bundle,
    pub request: &'a Request,
    pub last: Option<&'a Record>,
    pub values: &'a Values,
    pub extent: Extent,
    pub force: bool,
    pub operation: Operation,
    /// Claude Code is not pointed at the gateway.
    pub off: bool,
    /// `.env` as it shall be taken, where it is not the one on disk.
    pub env: Option<EnvFile>,
}

impl<'a> Wish<'a> {
    /// What is deployed, worked out anew: as `update` would, and without a change of where Claude Code is pointed.
    pub fn again(
        place: &'a Place,
        bundle: &'a Bundle,
        request: &'a Request,
        last: &'a Record,
        values: &'a Values,
    ) -> Self {
        Self {
            place,
            bundle,
            request,
            last: Some(last),
            values,
            extent: Extent::All,
            force: false,
            operation: Operation::Update,
            off: last.request.off,
            env: None,
        }
    }
}

/// The goal of `install`, `update`, `on`, `off`, `env set` and `models`.
pub fn from_request(wish: &Wish<'_>) -> Result<Prepared> {
    let Wish { place, bundle, request, last, .. } = wish;
    let choice = render::choose(&bundle.catalog, request, last.map(|last| &last.request))?;
    let taken = match &wish.env {
        Some(env) => env.clone(),
        None => env_file(place)?,
    };
    let env = edit_env(wish, &choice, &taken.text)?;
    let file = DotEnv::parse(&env.text);
    let gateway_url = gateway_url(&choice, &file)?;
    let (helper, foreign_helper) = helper(place, &choice, &file)?;
    let no_proxy =
        file.get("NO_PROXY").filter(|_| choice.runs_litellm() && file.get("HTTPS_PROXY").is_some());
    let headers = file.get(render::HEADERS).filter(|_| !choice.runs_litellm());
    // Claude Code does not read .env, and talks to the company's gateway by itself.
    let authorities = file.get("NODE_EXTRA_CA_CERTS").filter(|_| !choice.runs_litellm());
    let wishes = if wish.off {
        Vec::new()
    } else {
        render::wishes(&choice, &gateway_url, &helper, no_proxy, headers, authorities)
    };
    let record = record_of(wish, &choice, &gateway_url, env.record);
    let goal = Goal {
        wanted: (wish.extent == Extent::All).then(|| render::files_of(bundle, &choice)).transpose()?,
        stance: Stance::Deploy { force: wish.force },
        next_base: BTreeMap::new(),
        env: (wish.extent != Extent::Settings).then_some(EnvFile { text: env.text, ..taken }),
        env_summary: env.summary,
        wishes: Some(wishes),
        record: Some(record),
        purge: false,
    };
    Ok(Prepared {
        goal,
        preset: choice.preset.name.clone(),
        models: choice.model_names(),
        gateway_url,
        port: choice.port,
        runs_litellm: choice.runs_litellm(),
        missing: env.missing,
        kept_variables: env.kept,
        removed_variables: env.removed,
        foreign_helper,
        retired: choice
            .retired()
            .into_iter()
            .map(|model| (model.id.clone(), model.successor.clone()))
            .collect(),
    })
}

/// The record of a request, without what only the plan knows.
fn record_of(
    wish: &Wish<'_>,
    choice: &Choice<'_>,
    gateway_url: &str,
    variables: BTreeMap<String, EnvRecord>,
) -> Record {
    let deployed = wish.last.filter(|_| wish.extent != Extent::All).map(|last| last.bundle.clone());
    let mut bundle = deployed.unwrap_or_else(|| wish.bundle.id.clone());
    if wish.place.staged {
        // A path of the machine that builds an image says nothing on the machines that run it.
        bundle.path = None;
    }
    Record {
        schema: SCHEMA,
        version: build::VERSION.to_owned(),
        deployment_id: String::new(),
        timestamp: Instant::from_unix(0),
        operation: wish.operation,
        source_spec: SOURCE_SPEC.to_owned(),
        deployed_by: system::user_name(),
        bundle,
        preset: choice.preset.name.clone(),
        gateway_type: choice.gateway_type,
        gateway_url: gateway_url.to_owned(),
        models: choice.model_names(),
        request: RequestFacts { off: wish.off, ..choice.facts.clone() },
        files: BTreeMap::new(),
        environment_variables: variables,
        settings: SettingsRecord::default(),
        backup_path: None,
        flags_used: wish.request.flags.clone(),
        restored_from: None,
    }
}

/// `.env` as found; empty when there is none.
pub fn env_file(place: &Place) -> Result<EnvFile> {
    let path = place.file(files::ENV);
    let Some(bytes) = disk::read_maybe(&path, disk::TEXT_CAP)? else { return Ok(EnvFile::default()) };
    let read = Some(Sha256::of(&bytes));
    let text = String::from_utf8(bytes).map_err(|_| {
        Error::failed(format!("cannot edit {}", path.display()))
            .because("it is not UTF-8")
            .hint(format!("look at it: less {}", place.paste(&path)))
    })?;
    Ok(EnvFile { text, read })
}

/// Whether `.env` is byte for byte what we left: only then its secrets are known to be unchanged.
fn env_untouched(place: &Place, text: &str) -> bool {
    let sum = disk::read_maybe(&place.file(files::ENV_SUM), 1024).ok().flatten();
    let sum = sum.and_then(|bytes| Sha256::parse(String::from_utf8(bytes).ok()?.trim()));
    sum == Some(Sha256::of(text.as_bytes()))
}

fn edit_env(wish: &Wish<'_>, choice: &Choice<'_>, text: &str) -> Result<EnvOutcome> {
    let none = BTreeMap::new();
    render::render_env(&EnvInput {
        choice,
        text,
        recorded: wish.last.map_or(&none, |last| &last.environment_variables),
        untouched: wish.env.is_none() && env_untouched(wish.place, text),
        values: &wish.values.found,
        google_login: wish.values.google_login,
    })
}

/// Where Claude Code is pointed at. An enterprise gateway must be known completely: pointing Claude Code at nothing
/// would only break it.
fn gateway_url(choice: &Choice<'_>, file: &DotEnv) -> Result<String> {
    if choice.runs_litellm() {
        return Ok(choice.local_url());
    }
    let value = |name: &str| file.get(name).filter(|value| !is_placeholder(value));
    let url = value(BASE_URL).ok_or_else(|| {
        Error::usage("the enterprise preset needs the gateway's URL").hint(format!(
            "gwinstall install --preset enterprise --gateway-type {} --gateway-url https://… --auth-token-file FILE",
            choice.gateway_type
        ))
    })?;
    if value(AUTH_TOKEN).is_none() {
        return Err(Error::usage("the enterprise preset needs a token for the gateway")
            .because(format!(
                "neither a flag nor {AUTH_TOKEN} in the environment or ~/.claude/.env gives one"
            ))
            .hint("add --auth-token-file FILE (or - to read it from standard input)"));
    }
    let url = HttpUrl::parse(BASE_URL, url)?;
    if !url.is_https() && !url.is_loopback() {
        return Err(Error::usage(format!("{BASE_URL} {} cannot be used", url.as_str()))
            .because("the token would travel unencrypted"));
    }
    Ok(url.as_str().to_owned())
}

/// The helper script, unless somebody else's helper stands there: that one is never taken over.
fn helper(place: &Place, choice: &Choice<'_>, file: &DotEnv) -> Result<(Helper, bool)> {
    let command = helper_command(place);
    let path = disk::real_file(&place.settings())?;
    let existing = match disk::read_maybe(&path, disk::TEXT_CAP) {
        Ok(Some(bytes)) => {
            Settings::parse(&bytes).ok().and_then(|settings| settings.get(&KeyPath::top("apiKeyHelper")))
        }
        _ => None,
    };
    let ours =
        ledger(place)?.is_some_and(|ledger| ledger.paths().any(|path| *path == KeyPath::top("apiKeyHelper")));
    let foreign = existing.as_ref().is_some_and(|value| value.as_str() != Some(&command) && !ours);
    if !foreign {
        return Ok((Helper::Command(command), false));
    }
    let name = if choice.runs_litellm() { MASTER_KEY } else { AUTH_TOKEN };
    let token = file.get(name).filter(|value| !is_placeholder(value)).map(str::to_owned);
    Ok((Helper::Token(token), true))
}

/// The goal of `uninstall`.
pub fn nothing(purge: bool) -> Goal {
    Goal {
        wanted: Some(BTreeMap::new()),
        stance: Stance::Deploy { force: false },
        next_base: BTreeMap::new(),
        env: None,
        env_summary: String::new(),
        wishes: Some(Vec::new()),
        record: None,
        purge,
    }
}

/// The goal of `rollback`: the state of a backup, with today's secrets.
pub fn from_backup(
    place: &Place,
    backup: Backup,
    filename: &str,
    last: Option<&Record>,
    values: &BTreeMap<String, Value>,
) -> Result<Goal> {
    let EnvFile { text, read } = env_file(place)?;
    let untouched = env_untouched(place, &text);
    let (text, variables) = restore_env(&text, &backup, last, values, untouched)?;
    let file = DotEnv::parse(&text);
    let wishes = backup
        .record
        .settings
        .keys
        .iter()
        .map(|(path, kept)| wish_of(path, kept, &backup.record, &file))
        .collect();
    let record = Record {
        version: build::VERSION.to_owned(),
        operation: Operation::Rollback,
        deployed_by: system::user_name(),
        environment_variables: variables,
        flags_used: Vec::new(),
        restored_from: Some(filename.to_owned()),
        ..backup.record.clone()
    };
    let env_summary = record
        .environment_variables
        .iter()
        .map(|(name, known)| format!("{name}={}\n", known.origin))
        .collect();
    Ok(Goal {
        wanted: Some(backup.files),
        stance: Stance::Restore,
        next_base: backup.record.files,
        env: Some(EnvFile { text, read }),
        env_summary,
        wishes: Some(wishes),
        record: Some(record),
        purge: false,
    })
}

/// A key of the backup's record with its value; a secret comes from `.env` as it is now.
fn wish_of(path: &str, kept: &SettingsValue, record: &Record, file: &DotEnv) -> KeyWish {
    let path = KeyPath::parse(path);
    let name = match &path {
        KeyPath::Env(name) if name == AUTH_TOKEN && record.gateway_type == GatewayType::Local => MASTER_KEY,
        KeyPath::Env(name) | KeyPath::Top(name) => name,
    };
    let value = match kept {
        SettingsValue::Removed => None,
        SettingsValue::Secret => file.get(name).map(|value| Json::from(render::as_setting(name, value))),
        SettingsValue::Value(value) => Some(value.clone()),
    };
    KeyWish { path, value, secret: *kept == SettingsValue::Secret, always: false }
}

/// Secrets stay as they are now; other values return if nobody changed them since; what only the later deployment
/// used goes.
fn restore_env(
    text: &str,
    backup: &Backup,
    last: Option<&Record>,
    values: &BTreeMap<String, Value>,
    untouched: bool,
) -> Result<(String, BTreeMap<String, EnvRecord>)> {
    let mut file = DotEnv::parse(text);
    let archived = DotEnv::parse(&backup.env);
    let mut variables = BTreeMap::new();
    let now = |name: &str| last.and_then(|last| last.environment_variables.get(name));
    for (name, then) in &backup.record.environment_variables {
        let current = file.get(name).filter(|value| !is_placeholder(value)).map(str::to_owned);
        let unchanged = |current: &str| {
            now(name).is_some_and(|known| {
                known.origin == Origin::Ours && known.sha256 == Some(Sha256::of(current.as_bytes()))
            })
        };
        let wanted = match (&current, archived.get(name)) {
            (Some(current), _) if then.secret => Some(current.clone()),
            (Some(current), Some(old)) if !unchanged(current) && current != old => Some(current.clone()),
            (_, Some(old)) => Some(old.to_owned()),
            (None, None) => values.get(name).map(|value| value.text.expose().to_owned()),
            (Some(current), None) => Some(current.clone()),
        };
        match wanted {
            Some(value) => {
                file.set(name, &value).map_err(|why| {
                    Error::failed(format!("the value of {name} cannot be written to .env")).because(why)
                })?;
                let sum = (!then.secret).then(|| Sha256::of(value.as_bytes()));
                let value = EnvValue::of(&value, then.secret);
                variables.insert(name.clone(), EnvRecord { sha256: sum, value, ..then.clone() });
            }
            None => {
                file.placeholder(name);
                variables.insert(
                    name.clone(),
                    EnvRecord { sha256: None, value: EnvValue::Missing, ..then.clone() },
                );
            }
        }
    }
    for (name, known) in last.iter().flat_map(|last| &last.environment_variables) {
        if variables.contains_key(name) {
            continue;
        }
        let value = file.get(name).map(str::to_owned);
        let ours = known.origin == Origin::Ours
            && value.as_ref().is_none_or(|value| {
                if known.secret { untouched } else { known.sha256 == Some(Sha256::of(value.as_bytes())) }
            });
        file.remove_placeholder(name);
        if ours {
            file.remove(name);
        }
    }
    Ok((file.to_text(), variables))
}
