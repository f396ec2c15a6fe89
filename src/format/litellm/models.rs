//! `model_list`: each entry has a name, parameters and a route whose provider LiteLLM knows.

use super::closest::closest;
use super::finding::Report;
use super::keys::{FAMILIES, PROVIDERS, knows, names};
use super::served::Served;
use super::sections::{LITELLM_PARAMS, MODEL_ENTRY, typed, unknown_keys};
use crate::format::yaml::Node;

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
    for model in models {
        if model.is_map() {
            served.names.extend(entry(model, report).map(str::to_owned));
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
fn entry<'d>(model: Node<'d>, report: &mut Report<'_>) -> Option<&'d str> {
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
    typed(params, report);
    match params.get("model") {
        Some(model) => {
            if let Some(route) = report.name(model) {
                provider(model, route, params, report);
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

fn provider(at: Node<'_>, route: &str, params: Node<'_>, report: &mut Report<'_>) {
    if params.get("custom_llm_provider").is_some() || route.starts_with("os.environ/") || route == "*" {
        return;
    }
    let dropped = "LiteLLM drops a model whose provider it does not know";
    let Some((provider, rest)) = route.split_once('/') else {
        let family = route.split(['-', '.', ':', '@']).next().unwrap_or_default();
        if !knows(FAMILIES, family) {
            let hint = format!("write the provider in front, for example vertex_ai/{route}");
            report.error(
                at,
                "models.no-provider",
                format!("{route:?} names no provider: {dropped}"),
                Some(hint),
            );
        }
        return;
    };
    if rest.is_empty() {
        report.error(at, "models.no-route", format!("{route:?} names a provider and no model"), None);
    } else if !knows(PROVIDERS, provider) {
        let hint = closest(provider, names(PROVIDERS)).map(|near| format!("did you mean {near}/{rest}?"));
        report.error(
            at,
            "models.unknown-provider",
            format!("{provider:?} is not a provider: {dropped}"),
            hint,
        );
    }
}

fn api_base(at: Node<'_>, params: Node<'_>, report: &mut Report<'_>) {
    let Some(base) = report.name(at).filter(|base| !base.contains("os.environ")) else { return };
    if !base.starts_with("https://") && !base.starts_with("http://") {
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
