//! Which keys belong in which section, and of what type their values are.

use super::closest::nearest;
use super::finding::Report;
use super::keys::{GENERAL, MODEL, PARAMS, ROUTER, SETTINGS, TOP_LEVEL, knows, names};
use crate::format::yaml::{Node, Scalar};

/// A part of the configuration that has keys of its own.
pub(super) struct Section {
    /// Its name in messages.
    pub(super) name: &'static str,
    keys: &'static str,
    /// LiteLLM reads no other key, so an unknown one is always an error.
    closed: bool,
}

pub(super) const TOP: Section = Section { name: "the top level", keys: TOP_LEVEL, closed: true };
pub(super) const LITELLM_SETTINGS: Section =
    Section { name: "litellm_settings", keys: SETTINGS, closed: false };
pub(super) const GENERAL_SETTINGS: Section =
    Section { name: "general_settings", keys: GENERAL, closed: false };
pub(super) const ROUTER_SETTINGS: Section = Section { name: "router_settings", keys: ROUTER, closed: true };
pub(super) const MODEL_ENTRY: Section = Section { name: "an entry of model_list", keys: MODEL, closed: true };
pub(super) const LITELLM_PARAMS: Section = Section { name: "litellm_params", keys: PARAMS, closed: false };

/// Keys that people write although LiteLLM does not have them, and what does the job.
const NOWHERE: [(&str, &str); 12] = [
    ("port", "the port is given on the command line: litellm --port 4000"),
    ("host", "the address is given on the command line: litellm --host 127.0.0.1"),
    ("ui", "LiteLLM has no such setting; the admin page needs a database and is then at /ui"),
    ("proxy", "a proxy is taken from the environment: HTTPS_PROXY, HTTP_PROXY and NO_PROXY in .env"),
    ("proxies", "a proxy is taken from the environment: HTTPS_PROXY, HTTP_PROXY and NO_PROXY in .env"),
    ("https_proxy", "a proxy is taken from the environment: HTTPS_PROXY in .env"),
    ("http_proxy", "a proxy is taken from the environment: HTTP_PROXY in .env"),
    ("no_proxy", "a proxy is taken from the environment: NO_PROXY in .env"),
    ("custom_headers", "headers for a model go into its litellm_params: extra_headers"),
    ("telemetry", "LiteLLM has removed this setting"),
    ("priority", "it has no effect; deployments are ordered with order or weight in litellm_params"),
    ("log_level", "the level is taken from the environment: LITELLM_LOG=INFO in .env"),
];

/// Keys that hold a whole number, a number or a truth value in every section.
const WHOLE: &str =
    "num_retries max_retries allowed_fails rpm tpm max_parallel_requests max_fallbacks max_tokens";
const NUMBER: &str =
    "request_timeout timeout stream_timeout cooldown_time retry_after max_budget temperature";
const TRUTH: &str = "drop_params modify_params cache json_logs set_verbose enable_pre_call_checks store_model_in_db \
    background_health_checks disable_spend_logs turn_off_message_logging use_in_pass_through";

/// Reports the keys of `map` that `section` does not have.
pub(super) fn unknown_keys(map: Node<'_>, section: &Section, report: &mut Report<'_>) {
    for (key, _) in map.entries() {
        let Some(name) = key.str() else { continue };
        if knows(section.keys, name) || (section.keys == PARAMS && is_price(name)) {
            continue;
        }
        let Section { name: here, keys, closed } = section;
        if name == "master_key" {
            let message = format!("master_key is never read from {here}, so the gateway would have no key");
            report.error(
                key,
                "master-key.wrong-section",
                message,
                Some("put it under general_settings".to_owned()),
            );
        } else if let Some((_, advice)) = NOWHERE.iter().find(|(known, _)| *known == name) {
            report.error(
                key,
                "key.no-such-setting",
                format!("unknown key {name:?} in {here}"),
                Some((*advice).to_owned()),
            );
        } else if let Some(other) = home_of(name, section) {
            let message = format!("{name} is not read from {here}");
            report.error(key, "key.wrong-section", message, Some(format!("put it under {other}")));
        } else {
            let near = nearest(name, names(keys));
            let hint = near.map(|(_, near)| format!("did you mean {near}?"));
            // Where LiteLLM accepts any name, only one that is very close to a known name is certainly a slip.
            let slip = near.is_some_and(|(mistakes, _)| mistakes <= if name.len() < 6 { 1 } else { 2 });
            if *closed || slip {
                let message = format!("unknown key {name:?} in {here}; LiteLLM would ignore it");
                report.error(key, "key.unknown", message, hint);
            } else {
                let message = format!("unknown key {name:?} in {here} for LiteLLM 1.106; it may be ignored");
                report.warning(key, "key.unfamiliar", message, hint);
            }
        }
    }
}

/// Whether the name has the form of LiteLLM's hundreds of prices.
fn is_price(name: &str) -> bool {
    name.contains("cost_per_") || name.starts_with("cache_creation_") || name.starts_with("cache_read_")
}

/// The sections that have a key of this name. For a key beside `litellm_params` that is most likely `litellm_params`.
fn home_of(name: &str, here: &Section) -> Option<String> {
    if here.keys == MODEL && knows(PARAMS, name) {
        return Some(LITELLM_PARAMS.name.to_owned());
    }
    let sections = [ROUTER_SETTINGS, GENERAL_SETTINGS, LITELLM_SETTINGS, LITELLM_PARAMS, TOP];
    let homes: Vec<_> =
        sections.iter().filter(|section| knows(section.keys, name)).map(|section| section.name).collect();
    (!homes.is_empty()).then(|| homes.join(" or "))
}

/// Reports values of well-known keys that are of another type than LiteLLM computes with.
pub(super) fn typed(map: Node<'_>, report: &mut Report<'_>) {
    for (key, value) in map.entries() {
        let Some(name) = key.str() else { continue };
        let Some(scalar) = value.scalar() else {
            if knows(WHOLE, name) || knows(NUMBER, name) {
                report.error(value, "value.type", format!("{name} must be a number"), None);
            }
            continue;
        };
        if matches!(scalar, Scalar::Null) || value.str().is_some_and(|text| text.starts_with("os.environ/")) {
            continue;
        }
        let wanted = match scalar {
            Scalar::Int(number) if knows(WHOLE, name) && *number < 0 => "a number that is not negative",
            Scalar::Int(number) if name.ends_with("timeout") && *number <= 0 => "a number of seconds above 0",
            Scalar::Int(_) if knows(WHOLE, name) || knows(NUMBER, name) => continue,
            Scalar::Float(_) if knows(NUMBER, name) => continue,
            Scalar::Bool(_) if knows(TRUTH, name) => continue,
            _ if knows(WHOLE, name) => "a whole number",
            _ if knows(NUMBER, name) => "a number",
            _ if knows(TRUTH, name) => "true or false",
            _ => continue,
        };
        report.error(value, "value.type", format!("{name} must be {wanted}"), None);
    }
}
