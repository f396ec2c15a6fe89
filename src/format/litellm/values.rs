//! Every scalar of the file: references that LiteLLM does not follow, secrets that do not belong here, text that YAML
//! reads as something else.

use std::collections::BTreeSet;

use super::finding::{Report, Severity, meaning};
use super::keys::knows;
use crate::domain::secret::looks_secret;
use crate::domain::stand_in::{self, MASTER_KEY, StandIn};
use crate::format::dotenv::is_name;
use crate::format::yaml::{Node, Scalar, names_a_secret};

/// Keys whose value is text in every section, and that people write without quotes.
const TEXT: &str = "model api_base api_version base_url organization vertex_project vertex_location vertex_credentials \
    aws_region_name region_name custom_llm_provider database_url base_model api_key master_key";

/// Values of secret-looking keys that are not secrets: people write them for servers without authentication.
const NO_SECRET: &str =
    "none null empty dummy not-needed not_needed na n/a anything fake fake-key no-key ollama";

pub(super) fn check(root: Node<'_>, report: &mut Report<'_>) {
    let own: BTreeSet<&str> = root
        .get("environment_variables")
        .into_iter()
        .flat_map(Node::entries)
        .filter_map(|(key, _)| key.str())
        .collect();
    for key in keys_of(root) {
        if key.is_plain() && key.str().is_none() {
            let written = key.written().unwrap_or_default();
            let message = format!("the key {written} is not text to YAML but {}", meaning(key));
            report.error(key, "yaml.not-text", message, Some(format!("put it in quotes: \"{written}\"")));
        }
    }
    each_scalar(Some(root), &mut |key, value| {
        let name = key.and_then(Node::str).unwrap_or_default();
        match value.str() {
            Some(text) => {
                if references_are_whole(value, text, report) {
                    follow(value, text, &own, report);
                }
                secrets(value, name, text, report);
            }
            None => inferred(value, name, report),
        }
    });
}

/// Calls `visit` with every scalar value and its key (in a list, the key of the list). The target of an alias is visited
/// once, in its own place.
pub(super) fn each_scalar<'d>(root: Option<Node<'d>>, visit: &mut dyn FnMut(Option<Node<'d>>, Node<'d>)) {
    let mut waiting: Vec<(Option<Node<'d>>, Node<'d>)> = root.map(|root| (None, root)).into_iter().collect();
    while let Some((key, node)) = waiting.pop() {
        if node.is_alias() {
            continue;
        }
        match node.seq() {
            Some(items) => waiting.extend(items.map(|item| (key, item))),
            None if node.scalar().is_some() => visit(key, node),
            None => waiting.extend(
                node.entries().chain(node.merges().map(|merge| (merge, merge))).map(|(k, v)| (Some(k), v)),
            ),
        }
    }
}

fn keys_of(root: Node<'_>) -> Vec<Node<'_>> {
    let mut keys = Vec::new();
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop() {
        if node.is_alias() {
            continue;
        }
        waiting.extend(node.seq().into_iter().flatten());
        for (key, value) in node.entries() {
            keys.push(key);
            waiting.push(value);
        }
        waiting.extend(node.merges());
    }
    keys
}

/// The variable of a value that is exactly `os.environ/NAME`.
pub(super) fn reference(text: &str) -> Option<&str> {
    text.strip_prefix("os.environ/").filter(|name| is_name(name))
}

/// LiteLLM replaces a value that is `os.environ/NAME` and nothing else; all other spellings stay as they are.
fn references_are_whole(at: Node<'_>, text: &str, report: &mut Report<'_>) -> bool {
    let shell = text.contains("${") || text.contains("$(") || text.strip_prefix('$').is_some_and(is_name);
    if shell {
        let name: String = text
            .split('$')
            .nth(1)
            .unwrap_or_default()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        let hint =
            Some(format!("os.environ/{} as the whole value", if is_name(&name) { &name } else { "NAME" }));
        report.error(
            at,
            "env.shell-syntax",
            "LiteLLM does not expand $ references: this is passed on as text",
            hint,
        );
        return false;
    }
    if text.contains("os.environ") && reference(text).is_none() {
        let message =
            "os.environ/NAME is replaced only where it is the whole value: this is passed on as text";
        report.error(at, "env.not-whole", message, Some("put the whole value into one variable".to_owned()));
        return false;
    }
    true
}

fn follow(at: Node<'_>, text: &str, own: &BTreeSet<&str>, report: &mut Report<'_>) {
    let (Some(name), Some(known)) = (reference(text), report.context.known_env) else { return };
    if known.contains(name) || own.contains(name) {
        return;
    }
    let severity = if report.context.unset_is_error { Severity::Error } else { Severity::Warning };
    let hint = Some(format!("gwinstall env set {name}"));
    report.add(
        severity,
        at.place(),
        "env.unset",
        format!("{name} is not set: LiteLLM would read an empty value"),
        hint,
    );
}

/// Secrets belong in .env: other users can read this file, and it is copied around.
fn secrets(at: Node<'_>, key: &str, text: &str, report: &mut Report<'_>) {
    if text.starts_with("os.environ") || text.contains("${") {
        return;
    }
    let variable = format!("os.environ/{}", if key == "master_key" { "LITELLM_MASTER_KEY" } else { "NAME" });
    let hint = Some(format!("put it into .env and write {variable}"));
    if key == "master_key" && stand_in::of(MASTER_KEY, text).is_some() {
        let message = "this placeholder would be the gateway's key, and everyone can guess it";
        return report.error(at, "master-key.placeholder", message, hint);
    }
    let unfilled = match stand_in::of(key, text) {
        Some(StandIn::ChangeMe) => true,
        // Free text may end in dots or say "your".
        Some(StandIn::Example) => text.starts_with('<') || (names_a_secret(key) && !looks_secret(text)),
        _ => false,
    };
    if unfilled {
        return report.error(at, "value.placeholder", "a placeholder that is not filled in", None);
    }
    if key == "vertex_credentials" && !text.starts_with('{') {
        if !text.contains(['/', '\\', '.']) {
            let hint = Some("leave it out to use the credentials of the machine".to_owned());
            report.error(
                at,
                "value.credentials",
                "vertex_credentials is the path of a key file, or its JSON",
                hint,
            );
        }
        return;
    }
    if is_secret(key, text) {
        report.error(at, "secret.in-file", "this value is a secret", hint);
    } else if has_password(text) {
        report.error(at, "secret.in-file", "this URL has a password", hint);
    }
}

fn is_secret(key: &str, text: &str) -> bool {
    let named = names_a_secret(key)
        && !["_name", "_file", "_path", "_ref", "_url"].iter().any(|end| key.ends_with(end));
    let empty = text.is_empty() || knows(NO_SECRET, &text.to_ascii_lowercase());
    looks_secret(text) || (named && !empty)
}

/// `scheme://user:password@host`.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .and_then(|(user, _)| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}

/// Reports a plain scalar that YAML 1.1 reads as something else than it looks like.
fn inferred(value: Node<'_>, key: &str, report: &mut Report<'_>) {
    let Some(written) = value.written().filter(|_| value.is_plain()) else { return };
    let text_expected = knows(TEXT, key) && !matches!(value.scalar(), Some(Scalar::Null));
    let hint = Some(format!("put it in quotes: \"{written}\""));
    // For names of models this is reported already.
    if text_expected && key != "model" && key != "api_base" {
        return report.error(
            value,
            "yaml.not-text",
            format!("{written} is not text to YAML but {}", meaning(value)),
            hint,
        );
    }
    let digits = written.trim_start_matches(['+', '-']);
    let odd = match value.scalar() {
        Some(Scalar::Int(_)) => {
            digits.contains([':', '_', 'x', 'b']) || (digits.len() > 1 && digits.starts_with('0'))
        }
        Some(Scalar::Float(_)) => digits.contains(':') || digits.contains('_'),
        Some(Scalar::Timestamp(_)) => true,
        _ => false,
    };
    if odd && !text_expected {
        let hint = Some("write the number in plain digits, or put it in quotes".to_owned());
        report.warning(value, "yaml.surprise", format!("{written} is {} to YAML", meaning(value)), hint);
    }
}
