//! Who answers Claude Code: the gateway of the deployment, or a provider that it asks without one.
//!
//! A direct provider lies over the deployment: the files, models and port of the gateway stay as they are, and only
//! Claude Code's settings and the provider's key differ. Pure.

use crate::bundle::Provider;
use crate::bundle::catalog::{Catalog, Model, Tier};
use crate::domain::name::{self, closest};
use crate::domain::record::{self, Pointed, ProviderFacts, RequestFacts};
use crate::domain::request::{Answerer, Request, shown};
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Hint, Result};

use super::tier::best_of;

/// A provider that Claude Code asks without the gateway, and what it asks there.
#[derive(Debug, Clone)]
pub struct DirectChoice<'a> {
    pub provider: &'a Provider,
    pub url: HttpUrl,
    /// Its names of the models for Claude Code's three sizes, the largest first.
    pub names: Vec<String>,
    /// The user named them; else the catalog chose.
    pub are_named: bool,
    /// Those of them that the catalog knows.
    pub models: Vec<&'a Model>,
}

impl DirectChoice<'_> {
    /// As the record keeps it.
    pub fn recorded(&self) -> record::Direct {
        record::Direct {
            provider: self.provider.name.clone(),
            url: self.url.as_str().to_owned(),
            key: self.provider.key.clone(),
            models: self.names.clone(),
        }
    }

    /// The words of the command that sets up the same provider without a deployment before it.
    pub fn installed_by(&self) -> Vec<String> {
        let mut words = vec!["install".to_owned(), "--provider".to_owned(), self.provider.name.clone()];
        if self.provider.base_url.as_deref() != Some(self.url.as_str()) {
            words.extend(["--gateway-url".to_owned(), self.url.as_str().to_owned()]);
        }
        if self.are_named {
            let mut names = self.names.clone();
            names.dedup();
            words.extend(["--models".to_owned(), names.join(",")]);
        }
        words
    }
}

/// Who is to answer, and whether this request says so; no provider: the gateway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    pub provider: Option<&'a Provider>,
    is_new: bool,
}

/// Who is to answer after a request: what it names, else who answers now. `None`: nothing is deployed and nothing named.
pub(super) fn answerer<'a>(
    catalog: &'a Catalog,
    request: &Request,
    last: Option<&RequestFacts>,
) -> Result<Option<Who<'a>>> {
    let named = match &request.provider {
        Some(Answerer::Provider(name)) => Some(named(catalog, name)?),
        Some(Answerer::Gateway) => return Ok(Some(Who { provider: None, is_new: true })),
        // A person who types the name of a provider where a preset belongs means the provider.
        None => request
            .preset
            .as_ref()
            .filter(|name| catalog.preset(name).is_none())
            .and_then(|name| catalog.provider(name)),
    };
    if let Some(provider) = named {
        require_models(catalog, provider, request)?;
        return Ok(Some(Who { provider: named, is_new: true }));
    }
    if request.preset.is_some() || request.gateway_type.is_some() {
        return Ok(Some(Who { provider: None, is_new: true }));
    }
    let recorded = last.and_then(|last| last.direct.as_ref());
    recorded
        .map(|name| Ok(Who { provider: Some(recorded_provider(catalog, name)?), is_new: false }))
        .transpose()
}

/// A provider behind LiteLLM that the catalog knows no model of serves what the user made there.
fn require_models(catalog: &Catalog, provider: &Provider, request: &Request) -> Result<()> {
    let names_some = request.models.as_ref().is_some_and(|names| !names.is_empty());
    if provider.is_direct() || names_some || !catalog.models_of(provider).is_empty() {
        return Ok(());
    }
    let model = format!("{}/NAME", provider.prefix);
    Err(Error::usage(format!("{} serves the models that you made there, so name one", provider.name))
        .hint(Hint::again(&["--models", &model])))
}

fn named<'a>(catalog: &'a Catalog, typed: &str) -> Result<&'a Provider> {
    if let Some(provider) = catalog.provider(typed) {
        return Ok(provider);
    }
    Err(unknown(catalog, typed, &[]))
}

/// The answer to a name that is not a provider; `others` are what the command takes besides.
pub fn unknown(catalog: &Catalog, typed: &str, others: &[&str]) -> Error {
    let providers = catalog.providers.iter().map(|provider| provider.name.as_str());
    let names: Vec<&str> = others.iter().copied().chain(providers).collect();
    let error = Error::usage(format!("there is no provider {:?}", shown(typed)))
        .because(format!("known: {}", name::list(&names)));
    match closest(typed, names).first() {
        Some(near) if !typed.contains('=') => error.hint(Hint::instead(typed, *near)),
        _ => error.hint(Hint::run(&["use"])),
    }
}

fn recorded_provider<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Provider> {
    catalog.provider(name).filter(|provider| provider.is_direct()).ok_or_else(|| {
        Error::usage(format!("this bundle no longer has the provider {name}"))
            .because("Claude Code uses it, so nothing was changed")
            .hint(Hint::run(&["use"]).to("see what else is set up"))
    })
}

/// The part of a request that is about the gateway. What is said about a direct provider leaves the gateway as it is; a
/// provider behind LiteLLM is a preset with its models.
pub(super) fn of_gateway(
    request: &Request,
    provider: Option<&Provider>,
    catalog: &Catalog,
    last: Option<&RequestFacts>,
) -> Request {
    let mut request = request.clone();
    let says_so = matches!(request.provider, Some(Answerer::Provider(_)))
        || request.preset.as_ref().is_some_and(|name| catalog.preset(name).is_none() && provider.is_some());
    if let Some(provider) = provider.filter(|provider| !provider.is_direct()) {
        request.preset.clone_from(&provider.preset);
        request.models = request.models.or_else(|| {
            let current = catalog.models_of(provider).into_iter().filter(|model| !catalog.is_retired(model));
            Some(current.map(|model| model.id.clone()).collect())
        });
    } else if provider.is_some() && says_so {
        // The first deployment of all brings no gateway.
        let alone = || catalog.presets.iter().find(|preset| preset.is_direct());
        let preset = if last.is_some() { None } else { alone().map(|preset| preset.name.clone()) };
        request = Request { preset, models: None, gateway_type: None, gateway_url: None, ..request };
    }
    request
}

/// The direct provider of a choice, and the facts with it.
pub(super) fn choose<'a>(
    catalog: &'a Catalog,
    request: &Request,
    who: Option<Who<'a>>,
    mut facts: RequestFacts,
    last: Option<&RequestFacts>,
) -> Result<(Option<DirectChoice<'a>>, RequestFacts)> {
    let before = last.filter(|last| changes(last, request, &facts, who)).map(answered_by);
    let provider = who.and_then(|who| who.provider).filter(|provider| provider.is_direct());
    let Some(provider) = provider else {
        facts.direct = None;
        facts.before = before.or(facts.before);
        return Ok((None, facts));
    };
    let mut asked = facts.providers.get(&provider.name).cloned().unwrap_or_default();
    if who.is_some_and(|who| who.is_new) {
        asked = asked_of(request, asked);
    }
    let direct = direct(catalog, provider, &asked)?;
    facts.providers.insert(provider.name.clone(), asked);
    facts.direct = Some(provider.name.clone());
    facts.before = before.or(facts.before);
    Ok((Some(direct), facts))
}

/// Whether another one answers Claude Code after this request.
fn changes(last: &RequestFacts, request: &Request, facts: &RequestFacts, who: Option<Who<'_>>) -> bool {
    let provider = who.and_then(|who| who.provider).filter(|provider| provider.is_direct());
    let name = provider.map_or(&facts.preset, |provider| &provider.name);
    *name != used_name(last) || (request.on && last.pointed != Pointed::On)
}

fn asked_of(request: &Request, before: ProviderFacts) -> ProviderFacts {
    ProviderFacts {
        models: request.models.clone().filter(|names| !names.is_empty()).or(before.models),
        url: request.gateway_url.as_ref().map(|url| url.as_str().to_owned()).or(before.url),
    }
}

/// By which name `use` comes back to what answers Claude Code now.
pub fn answered_by(facts: &RequestFacts) -> String {
    match facts.pointed {
        Pointed::Off | Pointed::Armed | Pointed::Leaving => CLAUDE.to_owned(),
        Pointed::On => used_name(facts),
    }
}

/// The name of what answers Claude Code while it is pointed there.
pub fn used_name(facts: &RequestFacts) -> String {
    facts.direct.clone().unwrap_or_else(|| facts.preset.clone())
}

/// The name of Claude Code's own login, for `use`.
pub const CLAUDE: &str = "claude";

fn direct<'a>(
    catalog: &'a Catalog,
    provider: &'a Provider,
    asked: &ProviderFacts,
) -> Result<DirectChoice<'a>> {
    let name = &provider.name;
    let address = asked.url.as_deref().or(provider.base_url.as_deref()).unwrap_or_default();
    let again = |flag: &str, value: &str| Hint::again(&[flag, value]);
    let named: Vec<&str> = asked.models.iter().flatten().map(String::as_str).collect();
    let known = catalog.models_of(provider);
    let lacks_models = named.is_empty() && known.is_empty() && !provider.claude_names;
    if address.is_empty() && lacks_models {
        return Err(Error::usage(format!("{name} has no address and no models of its own"))
            .hint(Hint::again(&["--gateway-url", "https://HOST", "--models", "MODEL"])));
    }
    if address.is_empty() {
        return Err(Error::usage(format!("{name} has no address of its own"))
            .hint(again("--gateway-url", "https://HOST")));
    }
    let url = address_of(provider, address)?;
    let find = |typed: &str| {
        known.iter().copied().find(|model| model.id == typed || provider.name_of(model) == typed)
    };
    let sizes = [Tier::Opus, Tier::Sonnet, Tier::Haiku];
    if let [first, second, third, _, ..] = named.as_slice() {
        return Err(Error::usage(format!("{} models are too many for {name}", named.len()))
            .because("name one to three: for Claude Code's large, middle and small size")
            .hint(Hint::instead(named.join(","), [*first, *second, *third].join(","))));
    }
    let (names, models) = match named.as_slice() {
        [] => {
            let models: Vec<&Model> =
                sizes.iter().filter_map(|tier| best_of(catalog, &known, *tier)).collect();
            (models.iter().map(|model| provider.name_of(model).to_owned()).collect(), models)
        }
        [first, rest @ ..] => {
            let middle = rest.first().unwrap_or(first);
            let three = [*first, *middle, rest.last().unwrap_or(first)];
            let name = |typed: &&str| find(typed).map_or(*typed, |model| provider.name_of(model)).to_owned();
            (three.iter().map(name).collect(), three.iter().filter_map(|typed| find(typed)).collect())
        }
    };
    let names: Vec<String> = names;
    if names.is_empty() && !provider.claude_names {
        return Err(Error::usage(format!("{name} serves the models that you choose, so name one"))
            .because("or three, separated by commas: for Claude Code's large, middle and small size")
            .hint(again("--models", "MODEL")));
    }
    Ok(DirectChoice { provider, url, names, are_named: !named.is_empty(), models })
}

/// The address of a provider as Claude Code takes it: without the path that it adds, and never with a key unencrypted.
fn address_of(provider: &Provider, address: &str) -> Result<HttpUrl> {
    let url = HttpUrl::parse("--gateway-url", address)?;
    let root = url.as_str().trim_end_matches("/messages").trim_end_matches("/v1");
    if root != url.as_str() {
        return Err(Error::usage(format!("--gateway-url {} cannot be used", url.as_str()))
            .because("Claude Code itself adds /v1/messages to it")
            .hint(Hint::instead(url.as_str(), root)));
    }
    if !url.is_https() && !url.is_loopback() && provider.key.is_some() {
        return Err(Error::usage(format!("--gateway-url {} cannot be used", url.as_str()))
            .because("the key would travel unencrypted")
            .hint(Hint::instead(url.as_str(), url.as_str().replacen("http:", "https:", 1))));
    }
    Ok(url)
}
