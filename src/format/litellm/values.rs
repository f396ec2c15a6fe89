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
pub(super) const TEXT: &str = "model api_base api_version base_url organization vertex_project vertex_location vertex_credentials \
    aws_region_name region_name custom_llm_provider database_url base_model api_key master_key";

/// Words of values that people write as a key for servers without authentication.
const NO_SECRET: &str = "1234 12345 123456 anything api any auth authentication change cpp dummy empty example fake ignored key \
    llama llamacpp lm lmstudio local localhost me mock my n na needed no none not null ollama omitted openai optional \
    placeholder required sample secret sglang sk studio test testing token unused used value vllm xinference your";

/// Tokens of a model's own language, and other things that only sound like a secret.
const NOT_SECRET: &str = "bos_token eos_token pad_token unk_token configurable_clientside_auth_params";

/// Sections whose texts LiteLLM fills in by rules of its own, or passes on as they are.
const TEMPLATES: &str = "guardrails mcp_servers mcp_tools prompts agents agent_list policies callback_settings search_tools \
    sandbox_tools";

/// Keys of free text.
const PROSE: &str = "litellm_system_prompt system_prompt prompt content description template text instructions message \
    key_alias_pattern pattern regex tag_regex metadata stop bos_token eos_token pre_message post_message";

/// Where a value stands.
#[derive(Clone)]
pub(super) struct Spot<'d> {
    /// The keys from the top of the file down to the value.
    path: Vec<Node<'d>>,
}

impl<'d> Spot<'d> {
    fn names(&self) -> impl DoubleEndedIterator<Item = &'d str> {
        self.path.iter().filter_map(|key| key.str())
    }

    fn key(&self) -> &'d str {
        self.path.last().and_then(|key| key.str()).unwrap_or_default()
    }

    fn is_below(&self, names: &'static str) -> bool {
        self.names().any(|name| knows(names, name))
    }

    /// LiteLLM replaces a reference at the end of a header of a pass-through endpoint.
    fn replaces_the_end(&self) -> bool {
        self.is_below("pass_through_endpoints") && self.names().rev().nth(1) == Some("headers")
    }

    /// A value that is an address or a key, so that text in place of it cannot work.
    fn is_plumbing(&self) -> bool {
        let key = self.key();
        knows(TEXT, key)
            || names_a_secret(key)
            || ["_base", "_url", "host", "endpoint"].iter().any(|end| key.ends_with(end))
    }
}

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
    let vault = has_vault(root);
    each_scalar(Some(root), &mut |spot, value| {
        let name = spot.key();
        match value.str() {
            Some(text) => {
                if vault || references_are_whole(value, text, spot, report) {
                    follow(value, spot.reference(text), &own, vault, report);
                }
                secrets(value, name, text, report);
            }
            None => inferred(value, name, report),
        }
    });
}

/// Whether LiteLLM asks a secret manager for references: names are then the manager's own.
fn has_vault(root: Node<'_>) -> bool {
    let general = root.get("general_settings");
    ["key_management_system", "use_google_kms", "use_azure_key_vault"]
        .iter()
        .any(|key| general.is_some_and(|general| general.get(key).is_some()))
}

/// Calls `visit` with every scalar value and where it stands. The target of an alias is visited once, in its own place.
pub(super) fn each_scalar<'d>(root: Option<Node<'d>>, visit: &mut dyn FnMut(&Spot<'d>, Node<'d>)) {
    let mut waiting: Vec<(Spot<'d>, Node<'d>)> =
        root.map(|root| (Spot { path: Vec::new() }, root)).into_iter().collect();
    while let Some((spot, node)) = waiting.pop() {
        if node.is_alias() {
            continue;
        }
        match node.seq() {
            Some(items) => waiting.extend(items.map(|item| (spot.clone(), item))),
            None if node.scalar().is_some() => visit(&spot, node),
            None => waiting.extend(node.entries().chain(node.merges().map(|merge| (merge, merge))).map(
                |(key, value)| {
                    let path = spot.path.iter().copied().chain([key]).collect();
                    (Spot { path }, value)
                },
            )),
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

impl Spot<'_> {
    /// The variable that LiteLLM puts in place of a text, or of its end.
    pub(super) fn reference<'t>(&self, text: &'t str) -> Option<&'t str> {
        let end = match text.split_once("os.environ/") {
            Some((before, end)) if before.is_empty() || self.replaces_the_end() => end,
            _ => return None,
        };
        Some(end).filter(|name| is_name(name))
    }
}

/// LiteLLM replaces a value that is `os.environ/NAME` and nothing else; nearly all other spellings stay as they are.
fn references_are_whole(at: Node<'_>, text: &str, spot: &Spot<'_>, report: &mut Report<'_>) -> bool {
    if spot.is_below(TEMPLATES) || spot.is_below(PROSE) {
        return true;
    }
    let certain =
        |is_whole: bool| if is_whole || spot.is_plumbing() { Severity::Error } else { Severity::Warning };
    let whole_shell = |text: &str| {
        let name = text
            .strip_prefix('$')
            .map(|rest| rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(rest));
        name.is_some_and(is_name)
    };
    let shell = text.contains("${") || text.contains("$(") || whole_shell(text);
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
        let message = "LiteLLM does not expand $ references: this is passed on as text";
        report.add(certain(whole_shell(text)), at.place(), "env.shell-syntax", message, hint);
        return false;
    }
    if text.contains("os.environ") && spot.reference(text).is_none() {
        let message =
            "os.environ/NAME is replaced only where it is the whole value: this is passed on as text";
        let hint = Some("put the whole value into one variable".to_owned());
        report.add(certain(text.starts_with("os.environ")), at.place(), "env.not-whole", message, hint);
        return false;
    }
    true
}

fn follow(at: Node<'_>, reference: Option<&str>, own: &BTreeSet<&str>, vault: bool, report: &mut Report<'_>) {
    let (Some(name), Some(known)) = (reference, report.context.known_env) else { return };
    if known.contains(name) || own.contains(name) || vault {
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
    if text.contains("os.environ/")
        || text.starts_with("os.environ")
        || text.contains("${")
        || text.contains("{{")
    {
        return;
    }
    let variable = format!("os.environ/{}", if key == "master_key" { "LITELLM_MASTER_KEY" } else { "NAME" });
    let hint = Some(format!("put it into .env and write {variable}"));
    if key == "master_key" && stand_in::of(MASTER_KEY, text).is_some() {
        let message = "this placeholder would be the gateway's key, and everyone can guess it";
        return report.error(at, "master-key.placeholder", message, hint);
    }
    let is_text = knows(TEXT, key) || names_a_secret(key);
    let in_brackets = text.starts_with('<') && text.ends_with('>');
    let unfilled = match stand_in::of(key, text) {
        Some(StandIn::ChangeMe) => true,
        // Free text may be in brackets, end in dots or say "your".
        Some(StandIn::Example) => is_text && in_brackets && !knows(NOT_SECRET, key),
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
    let ends = [
        "_name", "_file", "_path", "_ref", "_url", "_header", "_headers", "_id", "_type", "_alias", "_env",
        "_field",
    ];
    let named = names_a_secret(key) && !knows(NOT_SECRET, key) && !ends.iter().any(|end| key.ends_with(end));
    let empty = knows("none null empty dummy", &text.to_ascii_lowercase()) || text.is_empty();
    let is_password = ["password", "passwd", "secret", "master_key"].iter().any(|word| key.contains(word));
    (looks_secret(text) || named) && !empty && (is_password || !is_dummy(text))
}

/// A value that only fills the place of a key: made of words that say so, or of one character.
fn is_dummy(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.all(|word| {
        let first = word.chars().next();
        knows(NO_SECRET, word) || word.chars().all(|c| Some(c) == first)
    })
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
