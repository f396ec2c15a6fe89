//! `model_list`: each entry has a name, parameters and a route whose provider LiteLLM knows.

use super::closest::closest;
use super::finding::{Report, Severity};
use super::names::{List, Names};
use super::provider::{Declared, Found, Route};
use super::sections::{LITELLM_PARAMS, MODEL_ENTRY, dropped_values, unknown_keys};
use super::served::Served;
use crate::format::yaml::{Node, Scalar};

/// The variable that says for which environment LiteLLM runs, and its values.
pub(super) const ENVIRONMENT: &str = "LITELLM_ENVIRONMENT";
const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];

pub(super) fn check(root: Node<'_>, report: &mut Report<'_>) -> Served {
    let mut served = Served::empty(root);
    let Some((key, list)) = root.entry("model_list") else {
        if !served.open_ended {
            report.error(
                root,
                "models.missing",
                "model_list is missing: the gateway would serve no model",
                None,
            );
        }
        return served;
    };
    let Some(models) = list.seq() else {
        report.error(
            key,
            "models.not-a-list",
            "model_list must be a list of entries that begin with \"- model_name:\"",
            None,
        );
        return served;
    };
    if models.len() == 0 && !served.open_ended {
        report.warning(key, "models.empty", "model_list is empty: the gateway would serve no model", None);
    }
    let declared = Declared::of(root);
    let own = root.get("environment_variables");
    let environment_is_set = own.is_some_and(|own| own.get(ENVIRONMENT).is_some())
        || report.context.known_env.is_some_and(|known| known.contains(ENVIRONMENT));
    for model in models {
        if model.is_map() {
            served.names.extend(entry(model, &declared, report).map(str::to_owned));
            served.targets.extend(targets(model).map(str::to_owned));
            information(model, environment_is_set, report);
        } else {
            report.error(
                model,
                "models.not-a-mapping",
                "an entry of model_list must have model_name and litellm_params",
                None,
            );
        }
    }
    served
}

/// Checks one entry and gives its name.
fn entry<'d>(model: Node<'d>, declared: &Declared<'_>, report: &mut Report<'_>) -> Option<&'d str> {
    unknown_keys(model, &MODEL_ENTRY, report);
    let name = match model.get("model_name") {
        Some(name) => report.name(name),
        None => {
            report.error(model, "models.no-name", "this entry has no model_name", None);
            None
        }
    };
    let Some((key, params)) = model.entry("litellm_params") else {
        report.error(
            model,
            "models.no-params",
            "this entry has no litellm_params: LiteLLM refuses the file",
            None,
        );
        return name;
    };
    if !params.is_map() {
        report.error(key, "models.no-params", "litellm_params must be a mapping that holds model", None);
        return name;
    }
    unknown_keys(params, &LITELLM_PARAMS, report);
    dropped_values(params, Names::refused_in_params, report);
    patterns(params, report);
    match params.get("model") {
        Some(model) => {
            if let Some(route) = report.name(model) {
                provider(model, route, params, declared, report);
            }
        }
        None => report.error(
            key,
            "models.no-route",
            "litellm_params has no model",
            Some("model: vertex_ai/NAME".to_owned()),
        ),
    }
    if let Some(base) = params.get("api_base") {
        api_base(base, params, report);
    }
    name
}

/// LiteLLM drops a model with a pattern that it cannot read. Only brackets are counted here.
fn patterns(params: Node<'_>, report: &mut Report<'_>) {
    for pattern in params.get("tag_regex").and_then(Node::seq).into_iter().flatten() {
        let (mut depth, mut in_class, mut escaped) = (0_i64, false, false);
        for c in pattern.str().unwrap_or_default().chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '[' => in_class = true,
                ']' => in_class = false,
                '(' if !in_class => depth += 1,
                ')' if !in_class => depth -= 1,
                _ => {}
            }
        }
        if depth != 0 || in_class {
            let message = "the brackets of this pattern do not match: LiteLLM drops a model with a pattern that it cannot read";
            report.warning(pattern, "value.pattern", message, None);
        }
    }
}

/// Further names by which LiteLLM finds a model when a setting names it: its id, its route, its name for a team.
fn targets<'d>(model: Node<'d>) -> impl Iterator<Item = &'d str> + use<'d> {
    let info = |key: &str| model.get("model_info").and_then(|info| info.get(key)).and_then(Node::written);
    let route = model.get("litellm_params").and_then(|params| params.get("model")).and_then(Node::str);
    [info("id"), info("team_public_model_name"), route].into_iter().flatten()
}

/// Checks `model_info`: most of it is the user's own, some of it decides whether LiteLLM keeps the model.
fn information(model: Node<'_>, environment_is_set: bool, report: &mut Report<'_>) {
    let Some((key, info)) = model.entry("model_info") else { return };
    if !info.is_map() {
        return report.error(
            key,
            "models.info",
            "model_info must be a mapping: LiteLLM refuses the file",
            None,
        );
    }
    dropped_values(info, Names::refused_in_info, report);
    let Some(environments) =
        info.get("supported_environments").filter(|node| node.scalar() != Some(&Scalar::Null))
    else {
        return;
    };
    let rule = "models.environment";
    let known = Some(format!("of these: {}", ENVIRONMENTS.join(", ")));
    let Some(items) = environments.seq() else {
        let message = "supported_environments must be a list: LiteLLM drops this model";
        return report.error(environments, rule, message, known);
    };
    for item in items.filter(|item| !item.str().is_some_and(|name| ENVIRONMENTS.contains(&name))) {
        let message = "this is not an environment of LiteLLM: it drops the model";
        report.error(item, rule, message, known.clone());
    }
    if !environment_is_set {
        let message = format!("LiteLLM drops this model while {ENVIRONMENT} is not set");
        report.warning(environments, rule, message, Some(format!("gwinstall env set {ENVIRONMENT}")));
    }
}

fn provider(at: Node<'_>, route: &str, params: Node<'_>, declared: &Declared<'_>, report: &mut Report<'_>) {
    let names = report.names();
    let custom = params.get("custom_llm_provider").and_then(Node::str);
    let api_base = params.get("api_base").and_then(Node::str);
    let certain = if names.are_exact() { Severity::Error } else { Severity::Warning };
    let dropped = "LiteLLM drops a model whose provider it does not know";
    match (Route { model: route, custom, api_base }).find(names, declared) {
        Found::Provider => {
            if route.ends_with('/') && route.matches('/').count() == 1 {
                report.error(at, "models.no-route", format!("{route:?} names a provider and no model"), None);
            }
        }
        Found::Bare | Found::Unsure if names.has(List::Providers, route) => {
            let message = format!("{route:?} names a provider and no model");
            report.add(certain, at.place(), "models.no-route", message, Some(format!("{route}/MODEL")));
        }
        found @ (Found::Bare | Found::Unsure) => {
            let severity = if found == Found::Bare { certain } else { Severity::Warning };
            let message = format!("{route:?} names no provider: {dropped}");
            let hint = format!("write the provider in front, for example {}/{route}", family(route));
            report.add(severity, at.place(), "models.no-provider", message, Some(hint));
        }
        Found::Unknown(provider) => {
            let at = params.get("custom_llm_provider").filter(|_| custom == Some(provider)).unwrap_or(at);
            let near = closest(provider, names.all(List::Providers));
            let rest = route.split_once('/').filter(|_| custom.is_none()).map(|(_, rest)| format!("/{rest}"));
            let hint = near.map(|near| format!("did you mean {near}{}?", rest.unwrap_or_default()));
            let message = format!("{provider:?} is not a provider: {dropped}");
            report.add(certain, at.place(), "models.unknown-provider", message, hint);
        }
    }
}

/// The provider that most people mean by a name.
fn family(model: &str) -> &'static str {
    match model.split(['-', '.', '/']).next().unwrap_or_default() {
        "claude" => "anthropic",
        "gpt" | "o1" | "o3" | "o4" | "chatgpt" => "openai",
        "gemini" => "gemini",
        "mistral" | "codestral" | "devstral" => "mistral",
        "deepseek" => "deepseek",
        "grok" => "xai",
        _ => "vertex_ai",
    }
}

fn api_base(at: Node<'_>, params: Node<'_>, report: &mut Report<'_>) {
    let Some(base) = report.name(at).filter(|base| !base.contains("os.environ")) else { return };
    if !["https://", "http://", "wss://", "ws://"].iter().any(|scheme| base.starts_with(scheme)) {
        report.error(at, "models.api-base", "api_base must begin with https:// or http://", None);
        return;
    }
    let route = params.get("model").and_then(Node::str).unwrap_or_default();
    let trimmed = base.trim_end_matches('/');
    let adds = if route.starts_with("anthropic/") { "/v1/messages" } else { "/api" };
    if (route.starts_with("anthropic/") || route.starts_with("ollama")) && trimmed.ends_with("/v1") {
        let hint = format!("api_base: {}", trimmed.trim_end_matches("/v1"));
        report.error(
            at,
            "models.api-base",
            format!("LiteLLM adds {adds} itself: api_base must not end in /v1"),
            Some(hint),
        );
    }
}
