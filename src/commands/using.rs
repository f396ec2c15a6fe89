//! `use`: who answers Claude Code from now on: the deployed gateway, a provider that it asks directly, or its own login.
//!
//! Promise: one change of settings.json and, the first time, one key in `.env`; `use -` undoes it. An open session
//! follows within seconds, and sends each side only the credential of that side. Never: touches the gateway's files or
//! its process.

use serde_json::{Value as Json, json};

use crate::bundle::catalog::Preset;
use crate::bundle::{Bundle, Provider};
use crate::cli::{Common, ConfirmArgs, UseArgs};
use crate::deploy::checks::{self, Checks};
use crate::deploy::context::Context;
use crate::deploy::goals::{self, Pointing as Wanted};
use crate::deploy::lost;
use crate::deploy::values;
use crate::domain::name;
use crate::domain::record::{Pointed, Record};
use crate::domain::request::{self, Answerer, Request};
use crate::domain::stand_in::is_value;
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Hint, Kind, Operation, Place, Result, Secret};
use crate::doors::{prompt, term};
use crate::format::dotenv::DotEnv;
use crate::format::settings::KeyPath;
use crate::inspect::facts::Facts;
use crate::inspect::pointed::Pointed as Pointing;
use crate::inspect::variables;
use crate::render::{self, CLAUDE, answered_by};
use crate::ui::answer::Answer;
use crate::ui::report;
use crate::ui::table::columns;

use super::change::Change;
use super::{deployment, sources, switch};

/// The word for what answered before the last switch.
const PREVIOUS: &str = "-";
/// The deployed gateway, whatever its preset.
const GATEWAY: &str = "gateway";

pub(super) fn run(place: &Place, common: &Common, args: &UseArgs) -> Result<Answer> {
    let Some(name) = &args.name else { return list(place) };
    let confirm = ConfirmArgs { yes: true, dry_run: args.confirm.dry_run };
    let mut change = Change::open(place, common, &confirm, Operation::Use)?;
    let record = change.context.record.as_ref();
    let name = match (name.as_str(), record) {
        (PREVIOUS, record) => previous(record)?,
        (GATEWAY, Some(record)) if record.has_gateway() => record.preset.clone(),
        (typed, _) => typed.to_owned(),
    };
    if name == CLAUDE && record.is_none() {
        return Ok(Answer::new("nothing to do").text("Nothing to do: Claude Code uses its own login."));
    }
    if name == CLAUDE {
        // What the name says is all that there is to agree to.
        change.operation = Operation::Off;
        return switch::leave(change);
    }
    let source = sources::of_record(change.context.record.as_ref());
    let bundle = sources::bundle_for(place, &source, change.preset(), change.context.record.as_ref(), &[])?;
    let provider = bundle.catalog.provider(&name).filter(|provider| provider.is_direct());
    let answerer = match provider {
        Some(_) => Answerer::Provider(name),
        None => {
            require_deployed(&bundle, change.context.record.as_ref(), &name, args.models.as_deref())?;
            require_no_facts(args)?;
            Answerer::Gateway
        }
    };
    let request = request(&change, &bundle, answerer, args, source)?;
    if change.context.record.is_some() {
        return switch_to(change, &bundle, &request, args.force);
    }
    // Nothing is deployed yet, so this is an installation, and that asks.
    let change = Change::open(place, common, &args.confirm, Operation::Install)?;
    deployment::deploy(change, bundle, &request)
}

/// Models and address of the gateway are those of its installation.
fn require_no_facts(args: &UseArgs) -> Result<()> {
    let install = |flag: &str, value: &str| {
        let error = Error::usage(format!("{flag} is for a provider that Claude Code asks directly"));
        Err(error.hint(Hint::run(&["install", flag, value]).to("change the gateway")))
    };
    match (&args.models, &args.gateway_url) {
        (Some(models), _) => install("--models", models),
        (None, Some(url)) => install("--gateway-url", url),
        (None, None) => Ok(()),
    }
}

/// What the request says about the provider, with its key where the user has to type one.
fn request(
    change: &Change<'_>,
    bundle: &Bundle,
    answerer: Answerer,
    args: &UseArgs,
    source: request::Source,
) -> Result<Request> {
    let url = args.gateway_url.as_deref().map(|url| HttpUrl::parse("--gateway-url", url)).transpose()?;
    let mut request = Request {
        provider: Some(answerer),
        models: args.models.as_deref().map(request::models).transpose()?,
        gateway_url: url,
        source,
        on: true,
        force: args.force,
        ..Request::default()
    };
    let last = change.context.record.as_ref().map(|record| &record.request);
    let choice = render::choose(&bundle.catalog, &request, last)?;
    if let Some(direct) = &choice.direct
        && let Some(key) = &direct.provider.key
        && !change.is_dry()
        && term::is_interactive()
        && !has_value(&change.context, key)
        && !values::gather(change.place(), &choice, &request)?.found.contains_key(key)
    {
        request.auth_token = Some(ask_for(bundle, direct.provider, key)?);
    }
    Ok(request)
}

fn ask_for(bundle: &Bundle, provider: &Provider, key: &str) -> Result<Secret> {
    if let Some(variable) = bundle.catalog.variable(key) {
        term::talk(&format!("{} needs a key. {}.", provider.name, variable.how));
    }
    let typed = prompt::ask_secret(&format!("{key}, not shown"))?.ok_or_else(prompt::stopped)?;
    request::token(key, typed.expose())
}

fn has_value(context: &Context<'_>, name: &str) -> bool {
    let text = context.env().map(|file| file.text.clone()).unwrap_or_default();
    DotEnv::parse(&text).get(name).is_some_and(|value| is_value(name, value))
}

/// Points Claude Code at the answerer of a request, over what is deployed.
fn switch_to(change: Change<'_>, bundle: &Bundle, request: &Request, force: bool) -> Result<Answer> {
    let place = change.place();
    let record = change.context.deployed()?;
    let choice = render::choose(&bundle.catalog, request, Some(&record.request))?;
    let mut values = values::gather(place, &choice, request)?;
    // Other values that gwinstall could find wait for the next installation.
    values.found.retain(|name, _| choice.direct.is_some() && Some(name.as_str()) == choice.key_name());
    for note in variables::about_keys(&change.context, &choice, &values) {
        term::talk(&format!("note: {note}"));
    }
    let pointing = Wanted::Is(Pointed::On);
    let goal =
        goals::from_choice(&change.context, Operation::Use, bundle, &choice, &values, pointing, force)?;
    if choice.direct.is_none() && !force {
        let insist = Hint::again(&["--force"]).to("point Claude Code at it anyway");
        switch::require_an_answer(place, &goal, insist)?;
    }
    let draft = change.draft(goal)?;
    // With only one of them one side would get the key of another.
    let decisive = [KeyPath::env(render::BASE_URL), KeyPath::top("apiKeyHelper")];
    if let Some(kept) = draft.kept_keys.iter().find(|key| decisive.contains(key)) {
        return Err(Error::usage(format!("you changed {kept} in {}", place.show(&place.settings())))
            .because("it stays as it is, so Claude Code cannot be switched")
            .hint(Hint::again(&["--force"]).to("replace it")));
    }
    let state = draft.record.as_ref().map(words).unwrap_or_default();
    if draft.plan.is_empty() {
        return Ok(change.nothing_to_do(&draft, format!("Nothing to do: {state}.")));
    }
    let mut checks = Checks::default();
    checks::settings(&mut checks, &draft, bundle.file(checks::SCHEMA));
    checks.0.iter().for_each(report::log_check);
    checks.require(Kind::Failed, "a check before the change failed, and nothing was changed")?;
    let summary = if change.is_dry() { report::plan(&draft, true) } else { String::new() };
    change.without_takeover(true).carry_out(draft, &summary, |draft, _| {
        let undo = term::command(&["use", PREVIOUS]);
        let mut text = format!("{state}. To undo this: {undo}");
        if !draft.kept_keys.is_empty() {
            let kept: Vec<String> = draft.kept_keys.iter().map(ToString::to_string).collect();
            text.push_str(&format!("\nYou changed {}, so it stays as it is.", name::list(&kept)));
        }
        Ok(Answer::new(&state).text(format!("{text}\n{}", report::OPEN_SESSIONS)))
    })
}

/// Who answers Claude Code, as a sentence without its end.
fn words(record: &Record) -> String {
    match &record.direct {
        Some(direct) if direct.models.is_empty() => {
            format!("Claude Code uses {} ({})", direct.provider, direct.url)
        }
        Some(direct) => {
            let mut models = direct.models.clone();
            models.dedup();
            format!("Claude Code uses {} ({}) with {}", direct.provider, direct.url, name::list(&models))
        }
        None => format!("Claude Code uses the gateway ({}, preset {})", record.gateway_url, record.preset),
    }
}

fn previous(record: Option<&Record>) -> Result<String> {
    let now = record.map_or_else(|| CLAUDE.to_owned(), |record| answered_by(&record.request));
    let before = record.and_then(|record| record.request.before.clone()).filter(|before| *before != now);
    // Before its first switch Claude Code used its own login.
    before.or_else(|| (now != CLAUDE).then(|| CLAUDE.to_owned())).ok_or_else(|| {
        Error::usage("there is nothing to go back to: Claude Code was not switched yet")
            .hint(Hint::run(&["use"]).to("see what is set up"))
    })
}

/// Refuses a name that is not the deployed gateway, with the command that would make it so. `models`: what the user typed
/// with it.
fn require_deployed(
    bundle: &Bundle,
    record: Option<&Record>,
    name: &str,
    models: Option<&str>,
) -> Result<()> {
    let deployed = record.filter(|record| record.has_gateway());
    let provider = bundle.catalog.provider(name);
    let serves = |record: &Record| {
        record.preset == name || provider.is_some_and(|provider| serves_alone(bundle, record, provider))
    };
    if deployed.is_some_and(serves) {
        return Ok(());
    }
    if name == GATEWAY || bundle.catalog.preset(name).is_some_and(Preset::is_direct) {
        return Err(Error::usage("no gateway is deployed").hint(Hint::run(&["install", "basic"])));
    }
    if provider.is_some() {
        let now = if deployed.is_some() {
            "the deployed gateway serves other models"
        } else {
            "no gateway is deployed"
        };
        let mut install = vec!["install", "--provider", name];
        install.extend(models.iter().flat_map(|models| ["--models", models]));
        return Err(Error::usage(format!("{name} needs LiteLLM, and {now}")).hint(Hint::run(&install)));
    }
    if bundle.catalog.preset(name).is_some() {
        let error = Error::usage(format!("the preset {name} is not deployed"));
        let error = match deployed {
            Some(record) => error.because(format!("the deployed one is {}", record.preset)),
            None => error,
        };
        return Err(error.hint(Hint::run(&["install", "--preset", name])));
    }
    let others: Vec<&str> =
        std::iter::once(CLAUDE).chain(deployed.map(|record| record.preset.as_str())).collect();
    Err(render::unknown_provider(&bundle.catalog, name, &others))
}

/// `use` alone: everything that could answer, and what it still needs.
fn list(place: &Place) -> Result<Answer> {
    let record = lost::record(place)?;
    let bundle = sources::deployed(place, record.as_ref())?;
    let context = Context::load(place)?;
    let facts = Facts::gather(&context)?;
    let pointed = record.as_ref().map(|record| Pointing::of(&facts, record));
    // What gwinstall did not set has none of these names.
    let now = match (&record, &pointed) {
        (Some(record), Some(pointed)) if pointed.as_recorded(record) => answered_by(&record.request),
        (None, _) => CLAUDE.to_owned(),
        _ => String::new(),
    };
    let mut rows = vec![["", "NAME", "STATE", ""].map(str::to_owned).to_vec()];
    let mut data: Vec<Json> = Vec::new();
    let mut add = |name: &str, state: String, what: &str| {
        let in_use = name == now;
        let mark = if in_use { "*" } else { "" };
        rows.push(vec![mark.to_owned(), name.to_owned(), state.clone(), what.to_owned()]);
        data.push(json!({ "name": name, "in_use": in_use, "state": state }));
    };
    add(CLAUDE, "always there".to_owned(), "Claude Code's own login");
    if let Some(record) = record.as_ref().filter(|record| record.has_gateway()) {
        let what = format!("the deployed gateway, {}", record.gateway_url);
        add(&record.preset, "deployed".to_owned(), &what);
    }
    for provider in &bundle.catalog.providers {
        add(&provider.name, state(&context, &bundle, record.as_ref(), provider), &provider.description);
    }
    let text = columns(&rows, &[]);
    let hint = term::command(&["use", "NAME"]);
    let now = if now.is_empty() { "what gwinstall did not set".to_owned() } else { now };
    let text = format!(
        "{text}\n* answers Claude Code now. To change it: {hint}; to change it back: {}",
        term::command(&["use", PREVIOUS])
    );
    Ok(Answer::new(format!("Claude Code uses {now}")).text(text).data(json!({ "uses": now, "names": data })))
}

/// Whether every model of the deployed gateway is of this provider, so that its name means the gateway.
fn serves_alone(bundle: &Bundle, record: &Record, provider: &Provider) -> bool {
    let known = bundle.catalog.models_of(provider);
    let is_of_it = |id: &String| known.iter().any(|model| model.id == *id);
    record.has_gateway() && !record.models.is_empty() && record.models.iter().all(is_of_it)
}

fn state(context: &Context<'_>, bundle: &Bundle, record: Option<&Record>, provider: &Provider) -> String {
    if !provider.is_direct() {
        let serves = record.is_some_and(|record| serves_alone(bundle, record, provider));
        return if serves { "deployed" } else { "through LiteLLM" }.to_owned();
    }
    let was_used = record.is_some_and(|record| record.request.providers.contains_key(&provider.name));
    match &provider.key {
        Some(key) if has_value(context, key) => "set up".to_owned(),
        Some(key) => format!("needs {key}"),
        None if was_used => "set up".to_owned(),
        None => "needs --models".to_owned(),
    }
}
