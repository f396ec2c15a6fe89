//! Goals: the desired state that a request, a backup or an uninstall asks for. Reads only its context.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::bundle::{Bundle, build};
use crate::domain::operation::Scope;
use crate::domain::place::files;
use crate::domain::record::{
    EnvRecord, EnvValue, FileRecord, Origin, Pointed, Record, RequestFacts, SCHEMA, SettingsRecord,
    SettingsValue,
};
use crate::domain::request::{GatewayType, token};
use crate::domain::runtime::RuntimeId;
use crate::domain::stand_in::is_value;
use crate::domain::tree::{Wanted, WantedFile};
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Hint, Instant, Operation, Result, Sha256};
use crate::doors::system;
use crate::format::dotenv::DotEnv;
use crate::format::settings::KeyPath;
use crate::render::{
    self, AUTH_TOKEN, Around, BASE_URL, CLAUDE, Choice, DesiredKey, DirectChoice, EnvInput, EnvOutcome,
    Helper, MASTER_KEY, Value,
};
use crate::runtime::choose::{self, Chosen};

use super::backup::Backup;
use super::bypass;
use super::context::{Context, EnvFile};
use super::logins::{self, Cloud};
use super::plan::Stance;
use super::served;
use super::settings::{HOOKS, SettingsFile, helper_script};
use super::values::Values;

/// The specification that the deployed files implement.
const SOURCE_SPEC: &str = "001-llm-gateway-config";

/// The desired state of a deployment.
pub struct Goal {
    /// The files; `None` leaves them as they are.
    pub files: Option<Wanted>,
    pub stance: Stance,
    /// Merge bases from the record of a backup.
    pub next_base: BTreeMap<String, FileRecord>,
    /// The desired `.env`; `None` leaves it alone.
    pub env: Option<EnvFile>,
    /// Names and origins of the variables, for the plan id.
    pub env_summary: String,
    /// Keys of settings.json.
    pub settings: Vec<DesiredKey>,
    /// The record without what the plan fills in (`files`, `settings`); `None` ends the deployment.
    pub record: Option<Record>,
    /// Whether an uninstall also removes what it would leave for the user: `.env` and edited files.
    pub purge: bool,
    pub notes: Notes,
}

impl Goal {
    /// Whether the operation changes one value that the user names.
    pub(super) fn sets_a_value(&self) -> bool {
        self.record
            .as_ref()
            .is_some_and(|record| matches!(record.operation, Operation::SetValue | Operation::UnsetValue))
    }
}

/// Facts about a goal that gwinstall reports to the user.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Required variables without a value.
    pub missing: Vec<String>,
    /// Providers of the models that have no login.
    pub logins: Vec<Cloud>,
    /// Variables that stay although this request does not use them.
    pub kept_variables: Vec<String>,
    pub removed_variables: Vec<String>,
    /// Another program set apiKeyHelper, so gwinstall writes the token to settings.json.
    pub foreign_helper: bool,
    /// Models of the choice that the configuration does not serve, because an edit of the user stays.
    pub unserved: Vec<String>,
    /// What is wrong with a LiteLLM that is not used.
    pub runtime: Vec<String>,
}

/// Where an operation is to leave Claude Code pointed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pointing {
    Is(Pointed),
    /// At the gateway if that can answer, else nowhere new: a Claude Code that works must not wait for a gateway that
    /// cannot run.
    IfItCanAnswer,
}

impl Pointing {
    /// A gateway of this machine can answer if LiteLLM is there, every required variable has a value, and every provider has
    /// a login: the key helper then starts it.
    fn decide(self, context: &Context<'_>, choice: &Choice<'_>, is_complete: bool) -> Pointed {
        let can =
            || !asks_litellm(choice) || context.place.staged || (choice.runtime.is_some() && is_complete);
        match self {
            Self::Is(pointed) => pointed,
            Self::IfItCanAnswer if can() => Pointed::On,
            Self::IfItCanAnswer => Pointed::Armed,
        }
    }
}

/// The goal of a change that leaves Claude Code pointed where it is.
pub fn where_it_is(
    context: &Context<'_>,
    operation: Operation,
    bundle: &Bundle,
    choice: &Choice<'_>,
    values: &Values,
) -> Result<Goal> {
    let pointing = Pointing::Is(context.deployed()?.request.pointed);
    from_choice(context, operation, bundle, choice, values, pointing, false)
}

/// The goal of `install`, `update`, `on`, `env set` and `models`: the choice, as far as the operation touches a
/// deployment, and Claude Code pointed where `pointing` says.
pub fn from_choice(
    context: &Context<'_>,
    operation: Operation,
    bundle: &Bundle,
    choice: &Choice<'_>,
    values: &Values,
    pointing: Pointing,
    force: bool,
) -> Result<Goal> {
    let scope = operation.scope();
    let Chosen { runtime, notes } = runtime_of(context, scope, bundle, choice)?;
    let choice = &Choice { runtime, ..choice.clone() };
    let EnvFile { text, read } = context.env()?.clone();
    let env = edit_env(context, choice, values, &text)?;
    let file = DotEnv::parse(&env.text);
    let gateway_url = gateway_url(choice, &file)?;
    let address = choice.direct.as_ref().map_or(gateway_url.as_str(), |direct| direct.url.as_str());
    if let Some(unset) =
        values.unset.as_deref().filter(|name| choice.direct.is_some() && choice.key_name() == Some(name))
    {
        return Err(in_use(choice, unset));
    }
    let (helper, foreign_helper) = helper(context, choice, &file)?;
    let no_proxy = file.get("NO_PROXY").filter(|_| asks_litellm(choice) && file.get("HTTPS_PROXY").is_some());
    let elsewhere = !choice.runs_litellm() && choice.direct.is_none();
    let headers = file.get(render::HEADERS).filter(|_| elsewhere);
    // Claude Code does not read .env, and talks to the company's gateway by itself.
    let authorities = file.get("NODE_EXTRA_CA_CERTS").filter(|_| elsewhere);
    let files = (scope == Scope::Files).then(|| render::files_of(bundle, choice)).transpose()?;
    let stance = Stance::Deploy { force };
    // Claude Code is pointed only at models that the configuration serves once it is merged.
    let served = served::after(context, files.as_ref(), stance)?;
    let (named, unserved) = match &served {
        Some(served) => served::only(choice, served),
        None => (choice.clone(), Vec::new()),
    };
    let logins = logins::lacking(context.place, &file, Cloud::of_models(&choice.models));
    let pointed = pointing.decide(context, choice, env.missing.is_empty() && logins.is_empty());
    let no_proxy = exceptions(context, address, no_proxy)?;
    let switches = switches(context)?;
    let around = Around { no_proxy: &no_proxy, headers, authorities, switches: &switches };
    let settings = match pointed {
        Pointed::On => render::desired_keys(&named, address, &helper, &around),
        Pointed::Armed | Pointed::Off => Vec::new(),
        Pointed::Leaving => held(context)?,
    };
    let facts = RequestFacts { pointed, ..choice.facts.clone() };
    let record = record_of(context, operation, bundle, choice, facts);
    Ok(Goal {
        files,
        stance,
        next_base: BTreeMap::new(),
        env: (scope != Scope::Settings).then_some(EnvFile { text: env.text, read }),
        env_summary: env.summary,
        settings,
        record: Some(Record { gateway_url, environment_variables: env.record, ..record }),
        purge: false,
        notes: Notes {
            missing: env.missing,
            logins,
            kept_variables: env.kept,
            removed_variables: env.removed,
            foreign_helper,
            unserved,
            runtime: notes,
        },
    })
}

/// The exceptions from a proxy that Claude Code needs to reach a gateway of this machine. `given` come with a proxy of the
/// gateway.
fn exceptions(context: &Context<'_>, url: &str, given: Option<&str>) -> Result<Vec<(&'static str, String)>> {
    let is_here = HttpUrl::parse("the gateway URL", url).is_ok_and(|url| url.is_loopback());
    if !is_here && given.is_none() {
        return Ok(Vec::new());
    }
    let settings = context.settings().ok().and_then(SettingsFile::parsed);
    let of_gateway = |record: &Record| record.environment_variables.contains_key("HTTPS_PROXY");
    let keeps = !context.record.as_ref().is_some_and(of_gateway);
    Ok(bypass::wanted(context.place, settings, context.ledger()?, given, keeps))
}

/// The switches to other providers that the settings hold, or held before gwinstall.
fn switches(context: &Context<'_>) -> Result<Vec<String>> {
    let settings = context.settings().ok().and_then(SettingsFile::parsed);
    let present = settings.into_iter().flat_map(|settings| settings.env_names()).map(str::to_owned);
    let taken = context.ledger()?.paths().filter_map(|path| match path {
        KeyPath::Env(name) => Some(name.clone()),
        KeyPath::Top(_) => None,
    });
    let names: BTreeSet<String> =
        present.chain(taken).filter(|name| render::is_provider_switch(name)).collect();
    Ok(names.into_iter().collect())
}

/// The record of a choice, without the facts that come from the plan and `.env`.
fn record_of(
    context: &Context<'_>,
    operation: Operation,
    bundle: &Bundle,
    choice: &Choice<'_>,
    request: RequestFacts,
) -> Record {
    let request_pointed = request.pointed;
    let deployed = context.record.as_ref().filter(|_| operation.scope() != Scope::Files);
    let mut bundle = deployed.map_or_else(|| bundle.id.clone(), |record| record.bundle.clone());
    if context.place.staged {
        // A path on the machine that builds an image has no meaning on the machines that run the image.
        bundle.path = None;
    }
    Record {
        schema: SCHEMA,
        version: build::VERSION.to_owned(),
        deployment_id: String::new(),
        timestamp: Instant::from_unix(0),
        operation,
        source_spec: SOURCE_SPEC.to_owned(),
        deployed_by: system::user_name(),
        bundle,
        preset: choice.preset.name.clone(),
        gateway_type: choice.gateway_type,
        gateway_url: String::new(),
        direct: choice.direct.as_ref().map(render::DirectChoice::recorded),
        models: choice.model_names(),
        request,
        runtime: choice.runtime.clone(),
        files: BTreeMap::new(),
        environment_variables: BTreeMap::new(),
        settings: SettingsRecord::default(),
        backup_path: None,
        flags_used: choice.flags.clone(),
        restored_from: None,
        waiting: match (request_pointed, &context.record) {
            (Pointed::Leaving, Some(record)) => record.waiting.clone(),
            _ => Vec::new(),
        },
    }
}

/// The keys that stay in the settings while sessions of Claude Code are on their way out, without the hook that asks
/// them for an acknowledgement.
fn held(context: &Context<'_>) -> Result<Vec<DesiredKey>> {
    let mut keys = context.settings()?.held(context.ledger()?);
    keys.retain(|key| key.path != KeyPath::top(HOOKS));
    Ok(keys)
}

/// The goal of `off`: the settings as they were before gwinstall, and everything else as it is.
pub fn off(record: &Record) -> Goal {
    let before = match record.request.pointed {
        Pointed::On | Pointed::Leaving => Some(render::used_name(&record.request)),
        Pointed::Armed | Pointed::Off => record.request.before.clone(),
    };
    let request = RequestFacts { pointed: Pointed::Off, before, ..record.request.clone() };
    let record = Record {
        version: build::VERSION.to_owned(),
        operation: Operation::Off,
        deployed_by: system::user_name(),
        request,
        flags_used: Vec::new(),
        restored_from: None,
        waiting: Vec::new(),
        ..record.clone()
    };
    Goal { files: None, record: Some(record), ..nothing(false) }
}

/// The LiteLLM to start. Only an operation that writes the start script chooses it.
fn runtime_of(context: &Context<'_>, scope: Scope, bundle: &Bundle, choice: &Choice<'_>) -> Result<Chosen> {
    let recorded = context.record.as_ref().and_then(|record| record.runtime.as_ref());
    match scope {
        Scope::Files if choice.runs_litellm() => {
            choose::choose(context.place, bundle, &choice.asked, recorded)
        }
        Scope::Files => Ok(Chosen::default()),
        Scope::Settings | Scope::Values => Ok(Chosen { runtime: recorded.cloned(), notes: Vec::new() }),
    }
}

fn edit_env(context: &Context<'_>, choice: &Choice<'_>, values: &Values, text: &str) -> Result<EnvOutcome> {
    let none = BTreeMap::new();
    let set = values.set.as_ref().map(|(name, value)| (name.as_str(), value));
    render::render_env(&EnvInput {
        choice,
        text,
        recorded: context.record.as_ref().map_or(&none, |record| &record.environment_variables),
        untouched: set.is_none() && values.unset.is_none() && context.env()?.is_untouched(context.place),
        values: &values.found,
        set,
        unset: values.unset.as_deref(),
    })
}

/// The URL that Claude Code will use. An enterprise gateway needs a complete URL: without one Claude Code would only
/// break.
fn gateway_url(choice: &Choice<'_>, file: &DotEnv) -> Result<String> {
    if choice.runs_litellm() {
        return Ok(choice.local_url());
    }
    if choice.gateway_type == GatewayType::Direct {
        let url = choice.direct.as_ref().map(|direct| direct.url.as_str().to_owned());
        return url.ok_or_else(|| {
            Error::usage("no gateway is deployed, only what Claude Code asks directly")
                .hint(Hint::run(&["install", "basic"]).to("deploy a gateway").or(Hint::run(&["use"])))
        });
    }
    let value = |name: &str| file.get(name).filter(|value| is_value(name, value));
    let url = value(BASE_URL).ok_or_else(|| {
        Error::usage("the enterprise preset needs the gateway's URL").hint(Hint::again(&[
            "--gateway-url",
            "https://HOST",
            "--auth-token-file",
            "FILE",
        ]))
    })?;
    if value(AUTH_TOKEN).is_none() {
        return Err(Error::usage("the enterprise preset needs a token for the gateway")
            .because(format!(
                "neither a flag nor {AUTH_TOKEN} in the environment or ~/.claude/.env gives one"
            ))
            .hint(Hint::again(&["--auth-token-file", "-"]).to("type it")));
    }
    let url = HttpUrl::parse(BASE_URL, url)?;
    if !url.is_https() && !url.is_loopback() {
        return Err(Error::usage(format!("{BASE_URL} {} cannot be used", url.as_str()))
            .because("the token would travel unencrypted"));
    }
    Ok(url.as_str().to_owned())
}

/// The helper script, unless another program set a helper: gwinstall never replaces that one.
fn helper(context: &Context<'_>, choice: &Choice<'_>, file: &DotEnv) -> Result<(Helper, bool)> {
    let Some(key_name) = choice.key_name() else {
        let provider = choice.direct.as_ref().map(|direct| direct.provider.name.clone());
        return Ok((Helper::Keyless(provider.unwrap_or_default()), false));
    };
    if choice.direct.is_some() {
        match file.get(key_name).filter(|value| is_value(key_name, value)) {
            Some(value) => drop(token(key_name, value)?),
            None => return Err(no_key(choice, key_name)),
        }
    }
    let script = helper_script(context.place);
    let key = KeyPath::top("apiKeyHelper");
    // An empty one is none: Claude Code runs nothing then.
    let existing = context
        .settings()
        .ok()
        .and_then(|settings| settings.get(&key))
        .filter(|value| value != "" && !value.is_null());
    let recorded = context.ledger()?.paths().any(|path| *path == key);
    let of_gwinstall =
        |value: &Json| value.as_str().is_some_and(|command| render::is_helper_command(command, &script));
    if recorded || existing.as_ref().is_none_or(of_gwinstall) {
        let through_shell = system::is_noexec(&context.place.target);
        let command = render::helper_command(&script, key_name, through_shell);
        return Ok((Helper::Command(command), false));
    }
    let token = file.get(key_name).filter(|value| is_value(key_name, value)).map(str::to_owned);
    Ok((Helper::Token(token), true))
}

/// A provider is never used without its key: Claude Code would only break.
fn no_key(choice: &Choice<'_>, key_name: &str) -> Error {
    let provider = choice.direct.as_ref().map_or("", |direct| direct.provider.name.as_str());
    let how = choice.catalog.variable(key_name).map(|variable| variable.how.clone());
    let error = Error::usage(format!("{provider} needs a key, and {key_name} has no value"));
    let error = how.into_iter().fold(error, Error::because);
    let mut line = choice.direct.as_ref().map(DirectChoice::installed_by).unwrap_or_default();
    line.extend(["--auth-token-file", "-"].map(str::to_owned));
    error.hint(
        Hint::run(&line)
            .to("type it, unseen")
            .or(Hint::step(format!("export {key_name}=KEY, then run the same command again"))),
    )
}

/// Without its key the provider that answers Claude Code would refuse it.
fn in_use(choice: &Choice<'_>, key_name: &str) -> Error {
    let provider = choice.direct.as_ref().map_or("", |direct| direct.provider.name.as_str());
    Error::usage(format!("Claude Code uses {provider}, which needs {key_name}"))
        .hint(Hint::run(&["use", CLAUDE]).to("leave it first, then run the same command again"))
}

/// Whether Claude Code is to ask a LiteLLM of this machine.
fn asks_litellm(choice: &Choice<'_>) -> bool {
    choice.runs_litellm() && choice.direct.is_none()
}

/// The goal of `uninstall`.
pub fn nothing(purge: bool) -> Goal {
    Goal {
        files: Some(BTreeMap::new()),
        stance: Stance::Deploy { force: false },
        next_base: BTreeMap::new(),
        env: None,
        env_summary: String::new(),
        settings: Vec::new(),
        record: None,
        purge,
        notes: Notes::default(),
    }
}

/// The goal of `rollback`: the state of a backup, with today's secrets.
pub fn from_backup(
    context: &Context<'_>,
    backup: Backup,
    filename: &str,
    values: &BTreeMap<String, Value>,
) -> Result<Goal> {
    let mut backup = backup;
    let notes = Notes { runtime: keep_a_runtime(context, &mut backup), ..Notes::default() };
    let EnvFile { text, read } = context.env()?.clone();
    let (text, variables) = restore_env(context, &text, &backup, values)?;
    let file = DotEnv::parse(&text);
    let keys = &backup.record.settings.keys;
    let settings = keys.iter().map(|(path, kept)| key_of(path, kept, &backup.record, &file)).collect();
    let env_summary = variables.iter().map(|(name, known)| format!("{name}={}\n", known.origin)).collect();
    let record = Record {
        version: build::VERSION.to_owned(),
        operation: Operation::Rollback,
        deployed_by: system::user_name(),
        environment_variables: variables,
        flags_used: Vec::new(),
        restored_from: Some(filename.to_owned()),
        request: RequestFacts { pointed: restored_pointed(&backup.record), ..backup.record.request.clone() },
        waiting: Vec::new(),
        ..backup.record.clone()
    };
    Ok(Goal {
        files: Some(backup.files),
        stance: Stance::Restore,
        next_base: backup.record.files,
        env: Some(EnvFile { text, read }),
        env_summary,
        settings,
        record: Some(record),
        purge: false,
        notes,
    })
}

/// Where a backup points Claude Code. One that was made while sessions were on their way out lists the keys from before.
fn restored_pointed(record: &Record) -> Pointed {
    match record.request.pointed {
        Pointed::Leaving if record.settings.keys.is_empty() => Pointed::Off,
        Pointed::Leaving => Pointed::On,
        recorded => recorded,
    }
}

/// Where the LiteLLM of a backup is gone, the present one stays: the restored gateway could not start without it.
fn keep_a_runtime(context: &Context<'_>, backup: &mut Backup) -> Vec<String> {
    let place = context.place;
    let there = |runtime: &&RuntimeId| choose::is_there(place, runtime);
    if !backup.record.runs_litellm() || backup.record.runtime.as_ref().filter(there).is_some() {
        return Vec::new();
    }
    let present =
        context.record.as_ref().and_then(|record| record.runtime.clone()).filter(|found| there(&found));
    let gone = backup.record.runtime.as_ref().map(|runtime| place.show(&runtime.path(&place.home)));
    let start = backup.files.get_mut(files::START);
    let script = start.zip(present.as_ref()).and_then(|(file, present)| {
        let bytes = render::with_runtime(&file.bytes, present)?;
        *file = WantedFile::new(bytes.into(), file.stamp.mode, file.class);
        Some(file.stamp.sha256)
    });
    if let Some(sha256) = script {
        // The line is gwinstall's own: a script that was untouched stays so.
        let untouched = backup.record.files.get_mut(files::START).filter(|known| known.sha256 == known.base);
        if let Some(known) = untouched {
            (known.sha256, known.base) = (sha256, sha256);
        }
        backup.record.runtime = present;
    }
    let kept =
        if script.is_some() { "the present one stays" } else { "gwinstall runtime install brings another" };
    gone.map(|gone| format!("the LiteLLM of this backup, {gone}, is gone; {kept}")).into_iter().collect()
}

/// A key of the backup's record with its value; a secret comes from `.env` as it is now.
fn key_of(path: &str, kept: &SettingsValue, record: &Record, file: &DotEnv) -> DesiredKey {
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
    DesiredKey { path, value, secret: *kept == SettingsValue::Secret, always: false, yields: false }
}

/// The `.env` of a rollback: secrets keep their current values, other values return unless the user changed them
/// since, and variables that only the later deployment used are removed.
fn restore_env(
    context: &Context<'_>,
    text: &str,
    backup: &Backup,
    values: &BTreeMap<String, Value>,
) -> Result<(String, BTreeMap<String, EnvRecord>)> {
    let mut file = DotEnv::parse(text);
    let archived = DotEnv::parse(&backup.env);
    let mut variables = BTreeMap::new();
    for (name, then) in &backup.record.environment_variables {
        let restored = match restored_value(context, name, then, &file, &archived, values) {
            Some(value) => {
                file.set(name, &value).map_err(|why| {
                    Error::failed(format!("the value of {name} cannot be written to .env")).because(why)
                })?;
                let sha256 = (!then.secret).then(|| Sha256::of(value.as_bytes()));
                EnvRecord { sha256, value: EnvValue::of(&value, then.secret), ..then.clone() }
            }
            None => {
                file.placeholder(name);
                EnvRecord { sha256: None, value: EnvValue::Missing, ..then.clone() }
            }
        };
        variables.insert(name.clone(), restored);
    }
    drop_later_variables(context, &mut file, &variables)?;
    Ok((file.to_text(), variables))
}

/// The desired value of a variable of the backup; `None` if no source has a value.
fn restored_value(
    context: &Context<'_>,
    name: &str,
    then: &EnvRecord,
    file: &DotEnv,
    archived: &DotEnv,
    values: &BTreeMap<String, Value>,
) -> Option<String> {
    let current = file.get(name).filter(|value| is_value(name, value));
    let now = context.record.as_ref().and_then(|record| record.environment_variables.get(name));
    let unchanged = |current: &str| {
        now.is_some_and(|known| {
            known.origin == Origin::Gwinstall && known.sha256 == Some(Sha256::of(current.as_bytes()))
        })
    };
    match (current, archived.get(name)) {
        (Some(current), _) if then.secret => Some(current.to_owned()),
        (Some(current), Some(old)) if !unchanged(current) && current != old => Some(current.to_owned()),
        (_, Some(old)) => Some(old.to_owned()),
        (None, None) => values.get(name).map(|value| value.text.expose().to_owned()),
        (Some(current), None) => Some(current.to_owned()),
    }
}

/// Removes variables that only the later deployment used, if gwinstall wrote them and they are unchanged.
fn drop_later_variables(
    context: &Context<'_>,
    file: &mut DotEnv,
    variables: &BTreeMap<String, EnvRecord>,
) -> Result<()> {
    let untouched = context.env()?.is_untouched(context.place);
    let recorded = context.record.iter().flat_map(|record| &record.environment_variables);
    for (name, known) in recorded.filter(|(name, _)| !variables.contains_key(*name)) {
        let unchanged = |value: &str| {
            if known.secret { untouched } else { known.sha256 == Some(Sha256::of(value.as_bytes())) }
        };
        let removable = known.origin == Origin::Gwinstall && file.get(name).is_none_or(unchanged);
        file.remove_placeholder(name);
        if removable {
            file.remove(name);
        }
    }
    Ok(())
}
