//! The desired keys and values of Claude Code's settings; nothing about the file. Pure.

use serde_json::Value;

use crate::bundle::catalog::{Model, Tier};
use crate::format::settings::KeyPath;

use super::choice::Choice;
use super::direct::DirectChoice;
use super::env::as_setting;
use super::variables::{AUTH_TOKEN, BASE_URL, HEADERS, MASTER_KEY};

/// One desired key of settings.json.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredKey {
    pub path: KeyPath,
    /// `None` if the key must be absent, because it would lead past the gateway.
    pub value: Option<Value>,
    pub secret: bool,
    /// Whether gwinstall replaces a foreign value without asking, because it would leak a key, or because the new value
    /// only adds to it.
    pub always: bool,
    /// Whether a value that the user has set stays without a question.
    pub yields: bool,
}

/// The variables that name a model.
pub const MODEL_KEYS: [&str; 5] = [
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
];
/// The variable that states the longest answer.
pub const OUTPUT_LIMIT: &str = "CLAUDE_CODE_MAX_OUTPUT_TOKENS";
/// The variables that state limits of the models.
pub const LIMIT_KEYS: [&str; 3] = ["CLAUDE_CODE_MAX_CONTEXT_TOKENS", COMPACTS_AT, OUTPUT_LIMIT];
/// The size at which Claude Code compacts a conversation, whichever model it believes to talk to.
const COMPACTS_AT: &str = "CLAUDE_CODE_AUTO_COMPACT_WINDOW";
/// Tokens that Claude Code takes for it: it refuses less, and believes of no model that it holds more.
const COMPACTABLE: std::ops::Range<u64> = 100_000..1_000_000;

/// The keys that only gwinstall has a reason to set together with its helper.
pub fn keys_beside_gateway_helper() -> Vec<KeyPath> {
    let others = [
        "ANTHROPIC_BASE_URL",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
        "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
    ];
    let env = others.iter().chain(&MODEL_KEYS).chain(&LIMIT_KEYS);
    env.map(|name| KeyPath::env(*name)).chain([KeyPath::top("apiKeyHelper")]).collect()
}

/// Milliseconds after which the next request of Claude Code asks its helper again. The further tries of a request that
/// is refused never do: within this time a gateway that ended is started only by the request after that one.
const HELPER_TTL: &str = "1000";

/// The command line of the helper: the script, and the word for the credential that it prints: `local`, `remote`, or the
/// variable of a provider's key. An open session may
/// hold an earlier command for seconds, and that one never prints the credential of another gateway.
///
/// `through_shell`: the file system runs no programs.
pub fn helper_command(script: &str, key_name: &str, through_shell: bool) -> String {
    let shell = if through_shell { SHELL } else { "" };
    let word = match key_name {
        MASTER_KEY => LOCAL,
        AUTH_TOKEN => REMOTE,
        of_provider => of_provider,
    };
    format!("{shell}{script} {word}")
}

/// Whether `command` runs the helper script, for whichever credential. Version 1.0 named none.
pub fn is_helper_command(command: &str, script: &str) -> bool {
    let bare = command.strip_prefix(SHELL).unwrap_or(command);
    let names_a_credential = |word: &str| {
        matches!(word, "" | LOCAL | REMOTE)
            || word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    bare.strip_prefix(script).is_some_and(|word| names_a_credential(word.trim()))
}

/// What goes in front of the script where it cannot be run as a program.
const SHELL: &str = "sh ";
/// What the helper prints: the key of the LiteLLM on this machine.
const LOCAL: &str = "local";
/// What the helper prints: the token of the company's gateway.
const REMOTE: &str = "remote";

/// How Claude Code gets its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Helper {
    /// A generated script prints it: this command.
    Command(String),
    /// A foreign helper stands in the way: the token itself, where one is known.
    Token(Option<String>),
    /// The provider asks for no key: a word in its place, which no one keeps secret.
    Keyless(String),
}

/// Where the name of a switch begins that makes Claude Code ask a provider directly, whatever its base URL is.
const SWITCH: &str = "CLAUDE_CODE_USE_";
/// Names that begin so and choose something else than a provider.
const NO_PROVIDER: [&str; 4] = ["CCR_V2", "COWORK_PLUGINS", "NATIVE_FILE_SEARCH", "POWERSHELL_TOOL"];
/// The providers that Claude Code 2.1 knows.
const PROVIDERS: [&str; 7] =
    ["BEDROCK", "VERTEX", "FOUNDRY", "MANTLE", "ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD", "GATEWAY"];

/// Whether a variable makes Claude Code ask a provider directly. A switch that a later Claude Code brings counts, too.
pub fn is_provider_switch(name: &str) -> bool {
    name.strip_prefix(SWITCH).is_some_and(|what| !what.is_empty() && !NO_PROVIDER.contains(&what))
}

/// Whether Claude Code takes the value of such a switch for on.
pub fn is_on(value: &str) -> bool {
    !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
}

/// Whether a variable names the address of a provider that such a switch chooses.
pub fn is_provider_address(name: &str) -> bool {
    name != BASE_URL && name.starts_with("ANTHROPIC_") && name.ends_with("_BASE_URL")
}

/// What else stands in the settings around a choice.
#[derive(Debug, Default)]
pub struct Around<'a> {
    /// Exceptions from a proxy, by the name of the variable.
    pub no_proxy: &'a [(&'a str, String)],
    /// Further header lines of an enterprise gateway.
    pub headers: Option<&'a str>,
    /// The file of the authorities that certify an enterprise gateway.
    pub authorities: Option<&'a str>,
    /// Switches to other providers besides those that are known.
    pub switches: &'a [String],
}

/// The keys for a choice. `url` is where Claude Code is pointed at.
pub fn desired_keys(choice: &Choice<'_>, url: &str, helper: &Helper, around: &Around<'_>) -> Vec<DesiredKey> {
    let mut keys = Vec::new();
    // An open session of Claude Code keeps a token that it once read, and prefers it to the helper: only an empty value
    // makes it ask the helper.
    let (token, secret) = match helper {
        Helper::Command(command) => {
            keys.push(DesiredKey {
                path: KeyPath::top("apiKeyHelper"),
                value: Some(Value::from(command.as_str())),
                secret: false,
                always: false,
                yields: false,
            });
            keys.push(DesiredKey {
                yields: true,
                ..env("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", Value::from(HELPER_TTL))
            });
            (Some(Value::from("")), false)
        }
        // An open session keeps a token that it once read until another value stands there.
        Helper::Token(token) => (Some(Value::from(token.as_deref().unwrap_or(""))), token.is_some()),
        Helper::Keyless(word) => (Some(Value::from(word.as_str())), false),
    };
    keys.push(env("ANTHROPIC_BASE_URL", Value::from(url)));
    // Otherwise Claude Code sends the user's own key to the gateway as x-api-key beside the gateway's token.
    keys.push(DesiredKey { always: true, ..env("ANTHROPIC_API_KEY", Value::from("")) });
    keys.push(DesiredKey { value: token, secret, ..env("ANTHROPIC_AUTH_TOKEN", Value::Null) });
    keys.extend(models(choice));
    if let Some(direct) = &choice.direct {
        keys.extend(of_provider(direct));
    } else if choice.runs_litellm() {
        keys.push(env("CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY", Value::from("1")));
    }
    // Only entries are added to those of the user.
    let exception = |(name, hosts): &(&str, String)| DesiredKey {
        always: true,
        ..env(name, Value::from(hosts.as_str()))
    };
    keys.extend(around.no_proxy.iter().map(exception));
    if let Some(headers) = around.headers {
        keys.push(DesiredKey { secret: true, ..env(HEADERS, Value::from(as_setting(HEADERS, headers))) });
    }
    if let Some(path) = around.authorities {
        keys.push(env("NODE_EXTRA_CA_CERTS", Value::from(path)));
    }
    let known = PROVIDERS.map(|provider| format!("{SWITCH}{provider}"));
    let others = around.switches.iter().filter(|name| !known.contains(name));
    keys.extend(known.iter().chain(others).map(|name| DesiredKey { value: None, ..env(name, Value::Null) }));
    keys
}

fn env(name: &str, value: Value) -> DesiredKey {
    DesiredKey { path: KeyPath::env(name), value: Some(value), secret: false, always: false, yields: false }
}

/// The model of each tier, and the token limits: the smallest over the tier models, because Claude Code has one
/// setting for all of them.
fn models(choice: &Choice<'_>) -> Vec<DesiredKey> {
    let tiers = [
        ("ANTHROPIC_DEFAULT_FABLE_MODEL", Tier::Opus),
        ("ANTHROPIC_DEFAULT_OPUS_MODEL", Tier::Opus),
        ("ANTHROPIC_DEFAULT_SONNET_MODEL", Tier::Sonnet),
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", Tier::Haiku),
    ];
    if let Some(direct) = &choice.direct {
        let mut keys = foreign_models(&direct.names);
        keys.extend(limits(&direct.models));
        return keys;
    }
    if !choice.runs_litellm() {
        return foreign_models(&choice.foreign_models);
    }
    let chosen: Vec<(&str, &Model)> =
        tiers.iter().filter_map(|(key, tier)| Some((*key, choice.tier_model(*tier)?))).collect();
    let Some((_, first)) = chosen.first() else { return Vec::new() };
    let mut keys = vec![env("ANTHROPIC_MODEL", Value::from(first.id.as_str()))];
    keys.extend(chosen.iter().map(|(key, model)| env(key, Value::from(model.id.as_str()))));
    keys.extend(limits(&chosen.iter().map(|(_, model)| *model).collect::<Vec<_>>()));
    keys
}

/// The smallest limits over the models, as far as they are known.
fn limits(models: &[&Model]) -> Vec<DesiredKey> {
    let least =
        |tokens: &dyn Fn(&Model) -> u64| models.iter().map(|model| tokens(model)).filter(|n| *n > 0).min();
    let key = |(name, tokens): (&str, Option<u64>)| Some(env(name, Value::from(tokens?.to_string())));
    let [context, compacts_at, output] = LIMIT_KEYS;
    let window = least(&|model| model.context_tokens);
    // Under the name of a Claude model, which the gateway answers too, Claude Code believes in the window of that model.
    let compacts = window.filter(|tokens| COMPACTABLE.contains(tokens));
    [(context, window), (compacts_at, compacts), (output, least(&longest_answer))]
        .into_iter()
        .filter_map(key)
        .collect()
}

/// The longest answer to ask a model for. Claude Code keeps as much of the window free for it, and a request over the window
/// is refused: a model that could fill the whole window with one answer leaves no room for the question.
fn longest_answer(model: &Model) -> u64 {
    const LONG: u64 = 128_000;
    match model.context_tokens {
        0 => model.output_tokens,
        window => model.output_tokens.min(LONG).min(window / 4),
    }
}

/// What a direct provider needs besides address, credential and models. A value of the user's own stays.
fn of_provider(direct: &DirectChoice<'_>) -> impl Iterator<Item = DesiredKey> {
    direct
        .provider
        .settings
        .iter()
        .map(|(name, value)| DesiredKey { yields: true, ..env(name, Value::from(value.as_str())) })
}

/// `--models opus,sonnet,haiku` of a foreign gateway: the first is the default and the largest, the last the smallest.
fn foreign_models(names: &[String]) -> Vec<DesiredKey> {
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return Vec::new() };
    let middle = names.get(1).unwrap_or(first);
    [
        ("ANTHROPIC_MODEL", first),
        ("ANTHROPIC_DEFAULT_FABLE_MODEL", first),
        ("ANTHROPIC_DEFAULT_OPUS_MODEL", first),
        ("ANTHROPIC_DEFAULT_SONNET_MODEL", middle),
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", last),
    ]
    .into_iter()
    .map(|(key, model)| env(key, Value::from(model.as_str())))
    .collect()
}
