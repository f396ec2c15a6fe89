//! Aliases, fallbacks, strategies and callbacks: every name must exist.

use super::callbacks;
use super::closest::closest;
use super::finding::Report;
use super::keys::{ALLOWED_FAILS, CACHES, RETRIES, STRATEGIES, knows, names};
use super::served::Served;
use crate::format::yaml::{Node, Scalar};

const FALLBACKS: [&str; 3] = ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"];

pub(super) fn check(root: Node<'_>, served: &Served, report: &mut Report<'_>) {
    let settings = root.get("litellm_settings");
    let router = root.get("router_settings");
    let aliases = router.and_then(|router| router.get("model_group_alias"));
    let callable = Callable { served, aliases };
    if let Some(aliases) = aliases {
        callable.aliases(aliases, report);
    }
    for section in [settings, router].into_iter().flatten() {
        for kind in FALLBACKS {
            if let Some(list) = section.get(kind) {
                callable.fallbacks(kind, list, report);
            }
        }
        if let Some(list) = section.get("default_fallbacks") {
            callable.list("default_fallbacks", list, report);
        }
    }
    if let Some(router) = router {
        strategy(router, report);
        policies(router, &callable, report);
    }
    if let Some(settings) = settings {
        callbacks::check(root, settings, report);
        cache(settings, report);
    }
}

/// The models and aliases that a name can mean.
struct Callable<'a, 'd> {
    served: &'a Served,
    aliases: Option<Node<'d>>,
}

impl Callable<'_, '_> {
    fn must_have(&self, at: Node<'_>, what: &str, report: &mut Report<'_>) {
        let Some(name) = report.name(at) else { return };
        let is_alias = self.aliases.is_some_and(|aliases| aliases.get(name).is_some());
        if is_alias || self.served.has(name) || self.served.targets.contains(name) {
            return;
        }
        let near = closest(name, self.served.names.iter().map(String::as_str));
        let message = format!("{what} {name:?}, which is not in model_list");
        report.error(at, "routing.absent-model", message, near.map(|near| format!("did you mean {near}?")));
    }

    /// LiteLLM looks for the fallbacks of `anthropic/NAME` under `NAME` too, and the other way round.
    fn is_served_with_a_prefix(&self, name: &str) -> bool {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        self.served.names.iter().any(|served| last(served) == name || *served == last(name))
    }

    fn aliases(&self, aliases: Node<'_>, report: &mut Report<'_>) {
        if !aliases.is_map() {
            return report.error(
                aliases,
                "routing.alias",
                "model_group_alias must be a mapping from alias to model",
                None,
            );
        }
        for (key, target) in aliases.entries() {
            report.name(key);
            if target.seq().is_some() {
                let hint = "name one model; for several use equal model_name entries or fallbacks".to_owned();
                report.error(
                    target,
                    "routing.alias-to-list",
                    "an alias names one model, not a list",
                    Some(hint),
                );
                continue;
            }
            let target = match target.is_map() {
                true => target.get("model"),
                false => Some(target),
            };
            match target {
                Some(target) if key.str().is_some_and(|name| target.str() == Some(name)) => {
                    report.error(target, "routing.alias", "this alias names itself", None);
                }
                Some(target) => self.must_be_served(target, report),
                None => report.error(
                    key,
                    "routing.alias",
                    "this alias names no model",
                    Some("model: NAME".to_owned()),
                ),
            }
        }
    }

    /// LiteLLM looks an alias up once: it does not find an alias of an alias.
    fn must_be_served(&self, target: Node<'_>, report: &mut Report<'_>) {
        Callable { served: self.served, aliases: None }.must_have(target, "the alias names", report);
    }

    /// A list of mappings, each from one model to the list of its substitutes.
    fn fallbacks(&self, kind: &str, list: Node<'_>, report: &mut Report<'_>) {
        let shape = || Some(format!("{kind}: [{{MODEL: [SUBSTITUTE]}}]"));
        let Some(items) = list.seq() else {
            if list.scalar() != Some(&Scalar::Null) {
                report.error(
                    list,
                    "routing.fallbacks-shape",
                    format!("{kind} must be a list of mappings"),
                    shape(),
                );
            }
            return;
        };
        for item in items {
            let mut entries = item.entries().peekable();
            if entries.peek().is_none() {
                report.error(
                    item,
                    "routing.fallbacks-shape",
                    format!("an item of {kind} maps a model to a list"),
                    shape(),
                );
            }
            for (model, substitutes) in entries {
                if !model.str().is_some_and(|name| name == "*" || self.is_served_with_a_prefix(name)) {
                    self.must_have(model, &format!("{kind} for"), report);
                }
                self.list(kind, substitutes, report);
            }
        }
    }

    fn list(&self, kind: &str, list: Node<'_>, report: &mut Report<'_>) {
        let Some(items) = list.seq() else {
            let message = format!("{kind} must name its substitutes in a list");
            return report.error(
                list,
                "routing.fallbacks-shape",
                message,
                list.str().map(|name| format!("[{name}]")),
            );
        };
        for item in items {
            let target = if item.is_map() { item.get("model") } else { Some(item) };
            match target {
                Some(target) => self.must_have(target, &format!("{kind} to"), report),
                None => report.error(item, "routing.fallbacks-shape", "this substitute names no model", None),
            }
        }
    }
}

fn strategy(router: Node<'_>, report: &mut Report<'_>) {
    let Some(at) = router.get("routing_strategy") else { return };
    let Some(strategy) = report.name(at).filter(|strategy| !strategy.starts_with("os.environ/")) else {
        return;
    };
    if !knows(STRATEGIES, strategy) {
        let near = closest(strategy, names(STRATEGIES)).map(|near| format!("did you mean {near}?"));
        let hint =
            near.or_else(|| Some(format!("one of: {}", names(STRATEGIES).collect::<Vec<_>>().join(", "))));
        report.error(at, "routing.strategy", format!("{strategy:?} is not a routing strategy"), hint);
    }
}

fn is_count(node: Node<'_>) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    matches!(node.scalar(), Some(Scalar::Int(0..) | Scalar::Null))
        || node.str().is_some_and(|text| digits(text) || text.starts_with("os.environ/"))
}

fn policies(router: Node<'_>, callable: &Callable<'_, '_>, report: &mut Report<'_>) {
    let mut of_kind = |policy: Option<Node<'_>>, known: &'static str, kind: &str| {
        for (key, count) in policy.into_iter().flat_map(Node::entries) {
            let Some(name) = report.name(key) else { continue };
            if !knows(known, name) {
                let hint = closest(name, names(known)).map(|near| format!("did you mean {near}?"));
                let hint =
                    hint.or_else(|| Some(format!("one of: {}", names(known).collect::<Vec<_>>().join(", "))));
                report.error(
                    key,
                    "routing.policy",
                    format!("unknown key {name:?} in {kind}; LiteLLM would ignore it"),
                    hint,
                );
            } else if !is_count(count) {
                report.error(count, "value.type", format!("{name} must be a whole number"), None);
            }
        }
    };
    of_kind(router.get("retry_policy"), RETRIES, "retry_policy");
    of_kind(router.get("allowed_fails_policy"), ALLOWED_FAILS, "allowed_fails_policy");
    let groups = router.get("model_group_retry_policy");
    for (_, policy) in groups.into_iter().flat_map(Node::entries) {
        of_kind(Some(policy), RETRIES, "a retry policy");
    }
    for (model, _) in groups.into_iter().flat_map(Node::entries) {
        callable.must_have(model, "a retry policy for", report);
    }
}

fn cache(settings: Node<'_>, report: &mut Report<'_>) {
    let Some(params) = settings.get("cache_params") else { return };
    if let Some(at) = params.get("type")
        && let Some(kind) = report.name(at)
        && !kind.starts_with("os.environ/")
        && !knows(CACHES, kind)
    {
        let hint = Some(format!("one of: {}", names(CACHES).collect::<Vec<_>>().join(", ")));
        report.error(at, "settings.cache", format!("{kind:?} is not a kind of cache"), hint);
    }
    if settings.get("cache").is_none() {
        let hint = Some("cache: true".to_owned());
        report.warning(params, "settings.cache", "cache_params without cache: true has no effect", hint);
    }
}
