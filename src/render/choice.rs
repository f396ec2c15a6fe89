//! The choice: a request checked against the catalog and the last deployment, with every default filled in.

use std::collections::BTreeSet;

use crate::bundle::catalog::{Catalog, Model, Preset, Tier};
use crate::domain::name::{self, closest};
use crate::domain::record::{Pointed, RequestFacts};
use crate::domain::request::{DEFAULT_PORT, GatewayType, Request, known};
use crate::domain::runtime::{RuntimeId, RuntimeRequest};
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Hint, Result};

use super::direct::{self, DirectChoice};
use super::tier::best_of;
use super::variables::{AUTH_TOKEN, MASTER_KEY};

/// What gwinstall will deploy.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    pub catalog: &'a Catalog,
    pub preset: &'a Preset,
    pub gateway_type: GatewayType,
    /// Models of the catalog, in its order, successors of retired ones included.
    pub models: Vec<&'a Model>,
    /// Model names of a gateway that gwinstall does not run, as the user gave them.
    pub foreign_models: Vec<String>,
    /// The provider that Claude Code asks without the gateway.
    pub direct: Option<DirectChoice<'a>>,
    /// Port of the local gateway.
    pub port: u16,
    /// What `update` repeats.
    pub facts: RequestFacts,
    /// What was asked about the LiteLLM to start.
    pub asked: RuntimeRequest,
    /// The LiteLLM to start; the deployment decides.
    pub runtime: Option<RuntimeId>,
    /// Names of the flags given, for the record.
    pub flags: Vec<String>,
}

/// Checks a request against the catalog. `last` is the previous deployment: it applies where the request says nothing.
pub fn choose<'a>(
    catalog: &'a Catalog,
    request: &Request,
    last: Option<&RequestFacts>,
) -> Result<Choice<'a>> {
    let answerer = direct::answerer(catalog, request, last)?;
    let provider = answerer.as_ref().and_then(|answerer| answerer.provider);
    let asked = request;
    let request = &direct::of_gateway(request, provider, catalog, last);
    let preset = preset_of(catalog, request, last)?;
    require_proxy_goes_with(preset, request)?;
    let url = url_of(catalog, preset, request, last)?;
    let whole = last;
    let recorded_keep = last.and_then(|last| last.keep);
    let recorded_age = last.and_then(|last| last.max_age);
    let last = last.filter(|last| last.preset == preset.name);
    let gateway_type = gateway_type_of(preset, request, last)?;
    let port = match &url {
        Some(url) => check_url(preset, url)?,
        None => DEFAULT_PORT,
    };
    let named = request.models.clone().or_else(|| last.and_then(|last| last.models.clone()));
    let facts = RequestFacts {
        direct: whole.and_then(|last| last.direct.clone()),
        providers: whole.map(|last| last.providers.clone()).unwrap_or_default(),
        before: whole.and_then(|last| last.before.clone()),
        preset: preset.name.clone(),
        gateway_type,
        models: named.clone().filter(|names| !is_all(preset, names)),
        gateway_url: url.as_ref().map(|url| url.as_str().to_owned()),
        pointed: last.map_or(Pointed::On, |last| last.pointed),
        forced: last.is_some_and(|last| last.forced),
        keep: request.keep.or(recorded_keep),
        max_age: request.max_age.or(recorded_age),
    };
    let named = named.filter(|names| !is_all(preset, names));
    let (models, foreign_models) = if preset.base.is_some() {
        let names = named.as_ref().unwrap_or(&preset.default_models);
        if request.models.is_none() {
            refuse_dropped(catalog, names)?;
        }
        (models_of(catalog, names)?, Vec::new())
    } else {
        (Vec::new(), named.unwrap_or_default())
    };
    let (direct, facts) = direct::choose(catalog, asked, answerer, facts, whole)?;
    Ok(Choice {
        catalog,
        preset,
        gateway_type,
        models,
        foreign_models,
        direct,
        port,
        facts,
        asked: request.runtime.clone(),
        runtime: None,
        flags: request.flags.clone(),
    })
}

/// The address of the gateway, where one was named now or before. That of a gateway on this machine goes with every preset
/// that runs one; models and types do not.
fn url_of(
    catalog: &Catalog,
    preset: &Preset,
    request: &Request,
    last: Option<&RequestFacts>,
) -> Result<Option<HttpUrl>> {
    let runs_here = |last: &&RequestFacts| {
        preset.base.is_some() && catalog.preset(&last.preset).is_some_and(|before| before.base.is_some())
    };
    let fitting = last.filter(|last| last.preset == preset.name || runs_here(last));
    match (&request.gateway_url, fitting.and_then(|last| last.gateway_url.as_deref())) {
        (Some(url), _) => Ok(Some(url.clone())),
        (None, Some(text)) => HttpUrl::parse("the recorded gateway URL", text).map(Some),
        (None, None) => Ok(None),
    }
}

/// Refuses a proxy with a preset that has no variable for it: the preset would silently drop the proxy.
fn require_proxy_goes_with(preset: &Preset, request: &Request) -> Result<()> {
    let mut variables = preset.required_env_vars.iter().chain(&preset.optional_env_vars);
    if request.proxy.is_none() || variables.any(|name| name == "HTTPS_PROXY") {
        return Ok(());
    }
    Err(Error::usage(format!("--proxy-url does not go with --preset {}", preset.name))
        .because("this preset does not use a proxy, so LiteLLM would connect without it")
        .hint(match &request.preset {
            Some(typed) => Hint::instead(typed, "proxy"),
            None => Hint::again(&["--preset", "proxy"]),
        }))
}

/// An empty list is the preset's own, and so is `--models all`. A gateway that gwinstall does not run may have a model of
/// that name.
fn is_all(preset: &Preset, names: &[String]) -> bool {
    names.is_empty() || preset.base.is_some() && matches!(names, [only] if only == "all")
}

fn preset_of<'a>(catalog: &'a Catalog, request: &Request, last: Option<&RequestFacts>) -> Result<&'a Preset> {
    let names: Vec<&str> = catalog.presets.iter().map(|preset| preset.name.as_str()).collect();
    let allows = |preset: &&Preset, kind: GatewayType| preset.gateway_types.contains(&kind);
    let recorded = last.and_then(|last| catalog.preset(&last.preset));
    if let Some(typed) = &request.preset {
        let name = known("--preset", typed, &names)?;
        return catalog.preset(&name).ok_or_else(|| Error::usage(format!("there is no preset {name}")));
    }
    if let Some(kind) = request.gateway_type {
        // The type alone implies the preset, unless the deployed one fits already.
        if let Some(preset) = recorded.filter(|preset| allows(preset, kind)) {
            return Ok(preset);
        }
        if let Some(preset) = catalog.presets.iter().find(|preset| allows(preset, kind)) {
            return Ok(preset);
        }
    }
    let gone = || {
        Error::usage("the deployed preset is not in this bundle")
            .because(format!("this bundle has {}", name::list(&names)))
            .hint(Hint::again(&["--preset", names.first().copied().unwrap_or("basic")]))
    };
    match last {
        Some(_) => recorded.ok_or_else(gone),
        None => catalog.presets.first().ok_or_else(|| Error::failed("the bundle has no preset")),
    }
}

fn gateway_type_of(preset: &Preset, request: &Request, last: Option<&RequestFacts>) -> Result<GatewayType> {
    let legal = &preset.gateway_types;
    if let Some(typed) = request.gateway_type {
        if legal.contains(&typed) {
            return Ok(typed);
        }
        return Err(Error::usage(format!(
            "--gateway-type {typed} does not go with --preset {}",
            preset.name
        ))
        .because(format!("this preset takes {}", name::list(legal)))
        .hint(Hint::run(&["presets", "list"])));
    }
    if let Some(last) = last.filter(|last| legal.contains(&last.gateway_type)) {
        return Ok(last.gateway_type);
    }
    // Where a preset takes several, its last is the one that promises least about the gateway.
    legal.last().copied().ok_or_else(|| Error::failed(format!("preset {} has no gateway type", preset.name)))
}

/// Checks a gateway URL against the preset; returns the port that a local gateway listens on.
fn check_url(preset: &Preset, url: &HttpUrl) -> Result<u16> {
    let shown = url.as_str();
    let refuse = |why: &str, hint: Hint| {
        Err(Error::usage(format!("--gateway-url {shown} cannot be used")).because(why).hint(hint))
    };
    if shown.ends_with("/v1") {
        let root = shown.trim_end_matches("/v1");
        return refuse("Claude Code itself adds /v1/messages to it", Hint::instead(shown, root));
    }
    if preset.base.is_none() {
        if !url.is_https() && !url.is_loopback() {
            return refuse(
                "the token would travel unencrypted",
                Hint::instead(shown, shown.replacen("http:", "https:", 1)),
            );
        }
        return Ok(url.port());
    }
    if !url.is_loopback() || url.is_https() || url.has_path() {
        let is_here = url.is_loopback() || url.host() == "0.0.0.0";
        let port = if url.names_a_port() { url.port() } else { DEFAULT_PORT };
        let elsewhere =
            ["install", "--preset", "enterprise", "--gateway-url", shown, "--auth-token-file", "-"];
        return refuse(
            &format!("preset {} runs LiteLLM on this machine, at http://127.0.0.1:PORT", preset.name),
            if is_here {
                Hint::instead(shown, format!("http://127.0.0.1:{port}"))
            } else {
                Hint::run(&elsewhere).to("use a gateway elsewhere")
            },
        );
    }
    let port = if url.names_a_port() { url.port() } else { DEFAULT_PORT };
    if port < 1024 {
        let usual = format!("http://127.0.0.1:{DEFAULT_PORT}");
        return refuse("ports below 1024 need root", Hint::instead(shown, usual));
    }
    Ok(port)
}

/// The models by these names and the successors of retired ones, in the order of the catalog.
fn models_of<'a>(catalog: &'a Catalog, names: &[String]) -> Result<Vec<&'a Model>> {
    let mut chosen = BTreeSet::new();
    for name in names {
        let mut model = catalog.model(&catalog.id_of(name)).ok_or_else(|| unknown_model(catalog, name))?;
        // A successor may have retired too; the walk ends because no name is taken twice.
        while chosen.insert(model.id.as_str()) && catalog.is_retired(model) {
            match model.successor.as_deref().and_then(|id| catalog.model(id)) {
                Some(successor) => model = successor,
                None => break,
            }
        }
    }
    Ok(catalog.all_models().filter(|model| chosen.contains(model.id.as_str())).collect())
}

/// A newer bundle may have dropped a model that is deployed: the user decides what takes its place.
fn refuse_dropped(catalog: &Catalog, names: &[String]) -> Result<()> {
    let dropped: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| catalog.model(&catalog.id_of(name)).is_none())
        .collect();
    if dropped.is_empty() {
        return Ok(());
    }
    let remove = [&["models", "remove"], &dropped[..]].concat();
    Err(Error::usage(format!("this bundle no longer has {}", name::list(&dropped)))
        .because("the deployment uses it, so nothing was changed")
        .hint(Hint::run(&remove).to("remove it first, then run the same command again")))
}

fn unknown_model(catalog: &Catalog, typed: &str) -> Error {
    let ids: Vec<&str> = catalog.all_models().map(|model| model.id.as_str()).collect();
    let near = closest(typed, ids.iter().copied());
    let nearest =
        if near.is_empty() { String::new() } else { format!("the nearest: {}; ", name::list(&near)) };
    let error = Error::usage(format!("--models: there is no model {:?}", name::printable(typed)))
        .because(format!("{nearest}a model that gwinstall does not list is PROVIDER/MODEL"));
    let all = Hint::run(&["models", "list"]);
    match near.first() {
        Some(near) => error.hint(Hint::instead(typed, *near).or(all)),
        None => error.hint(all),
    }
}

impl<'a> Choice<'a> {
    /// Whether gwinstall runs LiteLLM on this machine.
    pub fn runs_litellm(&self) -> bool {
        self.preset.base.is_some()
    }

    /// The variable of `.env` that holds the key which Claude Code sends; `None`: a provider that asks for none.
    pub fn key_name(&self) -> Option<&'a str> {
        match &self.direct {
            Some(direct) => direct.provider.key.as_deref(),
            None => Some(self.gateway_key_name()),
        }
    }

    /// The variable of `.env` that holds the key of the gateway.
    pub fn gateway_key_name(&self) -> &'static str {
        if self.runs_litellm() { MASTER_KEY } else { AUTH_TOKEN }
    }

    /// Names of the deployed models.
    pub fn model_names(&self) -> Vec<String> {
        if self.runs_litellm() {
            self.models.iter().map(|model| model.id.clone()).collect()
        } else {
            self.foreign_models.clone()
        }
    }

    /// The deployed model that stands in for a tier.
    pub fn tier_model(&self, tier: Tier) -> Option<&'a Model> {
        best_of(self.catalog, &self.models, tier)
    }

    /// Where Claude Code finds a local gateway.
    pub fn local_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Deployed models that had retired on the day of the catalog.
    pub fn retired(&self) -> Vec<&'a Model> {
        self.models.iter().copied().filter(|model| self.catalog.is_retired(model)).collect()
    }
}
