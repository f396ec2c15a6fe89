//! Questions on a terminal for everything that the user did not give as flags. The result is the request that the
//! flags would give.
//!
//! gwinstall writes nothing before the last answer; if the user gives up, nothing changes.

use std::collections::BTreeSet;

use crate::bundle::catalog::{Model, Preset};
use crate::bundle::{Catalog, Provider, build};
use crate::deploy::context::Context;
use crate::deploy::logins::{Cloud, Login};
use crate::deploy::values;
use crate::domain::check::Status;
use crate::domain::name::{count, list, mask_or_show};
use crate::domain::record::Record;
use crate::domain::record::ValueSource;
use crate::domain::request::{self, Answerer, Request};
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Place, Result};
use crate::doors::prompt::{self, Item, stopped};
use crate::doors::term::{Style, paint};
use crate::doors::{system, term};
use crate::format::dotenv::DotEnv;
use crate::inspect::prerequisites;
use crate::render::Value;
use crate::ui::report;

use super::env::words;

/// Asks for everything that an install needs. `last` is what is deployed.
pub(super) fn complete(place: &Place, catalog: &Catalog, last: Option<&Record>) -> Result<Request> {
    let mut request = Request { answered: true, ..Request::default() };
    if let Some(last) = last
        && !choose_again(place, last)?
    {
        return Ok(request);
    }
    let given = values::given(place, catalog);
    let servable = |model: &Model| is_servable(catalog, model, &given);
    let preset = preset(catalog, last, &servable)?;
    if preset.is_direct() {
        provider(catalog, &given, &mut request)?;
        return Ok(request);
    }
    request.preset = Some(preset.name.clone());
    if preset.base.is_none() {
        elsewhere(preset, &mut request)?;
        return Ok(request);
    }
    if preset.required_env_vars.iter().any(|name| name == "HTTPS_PROXY") {
        proxy(&mut request)?;
    }
    request.models = Some(models(catalog, preset, last, &servable)?);
    Ok(request)
}

/// The first lines of a session: which gwinstall this is, and what it finds on this machine.
pub(super) fn title(context: &Context<'_>) {
    let place = context.place;
    term::talk(&paint(&format!("gwinstall {}", build::VERSION), Style::Bold));
    if place.staged || term::manner().quiet {
        return;
    }
    let runtime = context.record.as_ref().and_then(|record| record.runtime.as_ref());
    let (mut found, checks) = prerequisites::glance(place, runtime);
    let env = context.env().map_or_else(|_| DotEnv::parse(""), |file| DotEnv::parse(&file.text));
    if matches!(Cloud::Google.look(place, &env), Login::Found(_)) {
        found.push("a Google login".to_owned());
    }
    if !found.is_empty() {
        term::talk(&format!("On this machine: {}", list(&found)));
    }
    let wrong = checks.0.iter().filter(|check| matches!(check.status, Status::Fail | Status::Warn));
    wrong.for_each(|check| term::talk(&report::check_line(check)));
}

/// Shows which values were found, before the plan.
pub(super) fn show_found(values: &[(&String, &Value)], secret: &dyn Fn(&str) -> bool) {
    if values.is_empty() {
        return;
    }
    term::talk("Found:");
    for (name, value) in values {
        term::talk(&format!(
            "  {name} = {} ({})",
            mask_or_show(value.text.expose(), secret(name)),
            if matches!(value.source, ValueSource::Flag | ValueSource::Prompt) {
                "as you answered"
            } else {
                words(value.source)
            }
        ));
    }
}

/// Whether the user makes a new choice; `false` keeps the choice and takes newer files.
fn choose_again(place: &Place, last: &Record) -> Result<bool> {
    term::talk(&format!(
        "Found preset {} in {}, deployed {} with {}.",
        last.preset,
        place.show(&place.target),
        last.timestamp.date(),
        count(last.models.len(), "model")
    ));
    let items = [
        Item::new("Update", "with the choices I made"),
        Item::new("Choose again", "and overwrite, after a backup"),
        Item::new("Cancel", ""),
    ];
    match prompt::choose("What now", &items, 0)? {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(stopped()),
    }
}

/// Asks for what `--preset` alone does not say: address and token of a gateway that gwinstall does not run.
pub(super) fn complete_flags(catalog: &Catalog, last: Option<&Record>, request: &mut Request) -> Result<()> {
    let named = request.preset.as_ref().and_then(|name| catalog.preset(name));
    let known = |preset: &&Preset| last.is_some_and(|last| last.preset == preset.name);
    match named.filter(|preset| preset.base.is_none() && !known(preset)) {
        Some(preset) => elsewhere(preset, request),
        None => Ok(()),
    }
}

/// Whether what the user has is enough for this model: each variable has a value or a default, and one that the user gave.
fn is_servable(catalog: &Catalog, model: &Model, given: &BTreeSet<String>) -> bool {
    let has_default =
        |name: &String| catalog.variable(name).is_some_and(|variable| variable.default.is_some());
    model.env.iter().any(|name| given.contains(name))
        && model.env.iter().all(|name| given.contains(name) || has_default(name))
}

/// Models to begin with: of those that the preset proposes, the ones that what the user has is enough for, if any.
fn proposed<'a>(catalog: &'a Catalog, preset: &Preset, servable: &dyn Fn(&Model) -> bool) -> Vec<&'a str> {
    let of_preset = |model: &&Model| preset.default_models.contains(&model.id);
    let models = catalog.models.iter().filter(of_preset).filter(|model| servable(model));
    models.map(|model| model.id.as_str()).collect()
}

/// The deployed preset is proposed, else the first one with a model that what the user has is enough for, else the first.
fn preset<'a>(
    catalog: &'a Catalog,
    last: Option<&Record>,
    servable: &dyn Fn(&Model) -> bool,
) -> Result<&'a Preset> {
    let items: Vec<Item> =
        catalog.presets.iter().map(|preset| Item::new(&preset.name, &preset.description)).collect();
    let default = match last {
        Some(last) => catalog.presets.iter().position(|preset| preset.name == last.preset),
        None => catalog.presets.iter().position(|preset| !proposed(catalog, preset, servable).is_empty()),
    };
    let chosen = prompt::choose("Preset", &items, default.unwrap_or(0))?.ok_or_else(stopped)?;
    Ok(&catalog.presets[chosen])
}

/// The provider that Claude Code is to ask directly, and what it needs: one that the user has a key for is proposed.
fn provider(catalog: &Catalog, given: &BTreeSet<String>, request: &mut Request) -> Result<()> {
    let providers: Vec<&Provider> =
        catalog.providers.iter().filter(|provider| provider.is_direct()).collect();
    let items: Vec<Item> =
        providers.iter().map(|provider| Item::new(&provider.name, &provider.description)).collect();
    let has_key =
        |provider: &&Provider| provider.key.as_ref().is_some_and(|key| given.contains(key.as_str()));
    let likely = providers.iter().position(has_key).unwrap_or(0);
    let chosen = providers[prompt::choose("Provider", &items, likely)?.ok_or_else(stopped)?];
    request.provider = Some(Answerer::Provider(chosen.name.clone()));
    if chosen.base_url.as_deref() == Some("") {
        address(request)?;
    }
    if catalog.models_of(chosen).is_empty() && !chosen.claude_names {
        let check = |text: &str| match request::models(text) {
            Ok(names) if names.is_empty() => Err(Error::usage("name at least one model")),
            checked => checked.map(drop),
        };
        let names = prompt::ask("Models, one or three separated by commas", None, &check)?;
        request.models = Some(request::models(&names.ok_or_else(stopped)?)?);
    }
    if chosen.key.as_ref().is_some_and(|key| !given.contains(key.as_str())) {
        token(request)?;
    }
    Ok(())
}

/// Type, address and token of a gateway that gwinstall does not run, each unless a flag gave it.
fn elsewhere(preset: &Preset, request: &mut Request) -> Result<()> {
    if request.gateway_type.is_none() {
        let kinds = &preset.gateway_types;
        let items: Vec<Item> = kinds.iter().map(|kind| Item::new(kind.word(), "")).collect();
        let kind = prompt::choose("Gateway type", &items, 0)?.ok_or_else(stopped)?;
        request.gateway_type = Some(kinds[kind]);
    }
    if request.gateway_url.is_none() {
        address(request)?;
    }
    if request.auth_token.is_none() {
        token(request)?;
    }
    Ok(())
}

fn address(request: &mut Request) -> Result<()> {
    let known = system::variable("ANTHROPIC_BASE_URL");
    let check = |text: &str| HttpUrl::parse("the URL", text).map(drop);
    let url = prompt::ask("Gateway URL", known.as_deref(), &check)?.ok_or_else(stopped)?;
    request.gateway_url = Some(HttpUrl::parse("--gateway-url", &url)?);
    Ok(())
}

fn token(request: &mut Request) -> Result<()> {
    let token = prompt::ask_secret("Token, not shown (empty: from the environment)")?.ok_or_else(stopped)?;
    if !token.expose().is_empty() {
        request.auth_token = Some(request::token("the token", token.expose())?);
    }
    Ok(())
}

fn proxy(request: &mut Request) -> Result<()> {
    let known = system::variable("HTTPS_PROXY").or_else(|| system::variable("https_proxy"));
    if known.as_ref().is_some_and(|known| known.contains('@')) {
        term::talk("The proxy comes from HTTPS_PROXY in the environment.");
        return Ok(());
    }
    let check = |text: &str| HttpUrl::parse("the URL", text).map(drop);
    let url = prompt::ask("Proxy URL", known.as_deref(), &check)?.ok_or_else(stopped)?;
    request.proxy = Some(request::proxy(&url, None)?);
    Ok(())
}

/// The models, with what they cost and until when they are served.
fn models(
    catalog: &Catalog,
    preset: &Preset,
    last: Option<&Record>,
    servable: &dyn Fn(&Model) -> bool,
) -> Result<Vec<String>> {
    let last = last.filter(|last| last.preset == preset.name);
    let offered = offered(catalog, preset);
    let proposed = proposed(catalog, preset, servable);
    let on: Vec<bool> = offered
        .iter()
        .map(|model| match last {
            Some(last) => last.models.contains(&model.id),
            None if proposed.is_empty() => preset.default_models.contains(&model.id),
            None => proposed.contains(&model.id.as_str()),
        })
        .collect();
    let today = system::now().date();
    let items: Vec<Item> = offered.iter().map(|model| Item::new(&model.id, terms(model, &today))).collect();
    term::talk(
        "Prices are US dollars per million tokens, in/out. Requests for a retired model go to its successor.",
    );
    let chosen = prompt::choose_several("Models", &items, &on)?.ok_or_else(stopped)?;
    Ok(chosen.into_iter().map(|index| offered[index].id.clone()).collect())
}

/// Models whose variables this preset provides.
fn offered<'a>(catalog: &'a Catalog, preset: &Preset) -> Vec<&'a Model> {
    let known =
        |name: &String| preset.required_env_vars.contains(name) || preset.optional_env_vars.contains(name);
    catalog.models.iter().filter(|model| model.env.iter().all(known)).collect()
}

/// What it costs and until when it is served.
fn terms(model: &Model, today: &str) -> String {
    let price = format!("{:>5.2}/{:<5.2}", model.price_in, model.price_out);
    match &model.retires {
        Some(day) if day.as_str() <= today => format!("{price}  gone {day}"),
        Some(day) => format!("{price}  until {day}"),
        None => price,
    }
}
