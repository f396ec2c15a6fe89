//! Which keys belong in which section, and of what type their values are.

use super::closest::nearest;
use super::finding::{Report, Severity};
use super::keys::{MODEL, TOP_LEVEL, knows, names};
use super::names::{List, Names};
use super::values::TEXT;
use crate::format::yaml::{Node, Scalar};

/// A part of the configuration that has keys of its own.
pub(super) struct Section {
    /// Its name in messages.
    pub(super) name: &'static str,
    keys: Keys,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Top,
    Entry,
    Listed(List),
}

impl Keys {
    fn has(self, known: &Names, name: &str) -> bool {
        match self {
            Self::Top => knows(TOP_LEVEL, name),
            Self::Entry => knows(MODEL, name),
            Self::Listed(List::Params) => {
                known.has(List::Params, name) || known.has(List::ProviderParams, name)
            }
            Self::Listed(list) => known.has(list, name),
        }
    }

    fn nearest<'n>(self, known: &'n Names, name: &str) -> Option<(usize, &'n str)> {
        match self {
            Self::Top => nearest(name, names(TOP_LEVEL)),
            Self::Entry => nearest(name, names(MODEL)),
            Self::Listed(list) => nearest(name, known.all(list)),
        }
    }
}

pub(super) const TOP: Section = Section { name: "the top level", keys: Keys::Top };
pub(super) const LITELLM_SETTINGS: Section =
    Section { name: "litellm_settings", keys: Keys::Listed(List::LitellmSettings) };
pub(super) const GENERAL_SETTINGS: Section =
    Section { name: "general_settings", keys: Keys::Listed(List::GeneralSettings) };
pub(super) const ROUTER_SETTINGS: Section =
    Section { name: "router_settings", keys: Keys::Listed(List::RouterSettings) };
pub(super) const MODEL_ENTRY: Section = Section { name: "an entry of model_list", keys: Keys::Entry };
pub(super) const LITELLM_PARAMS: Section =
    Section { name: "litellm_params", keys: Keys::Listed(List::Params) };

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
    let known = report.names();
    for (key, value) in map.entries() {
        let Some(name) = key.str() else { continue };
        if section.keys.has(known, name) || (section.keys == Keys::Top && is_own_note(name, value)) {
            continue;
        }
        if name == "master_key" {
            let here = section.name;
            let message = format!("master_key is never read from {here}, so the gateway would have no key");
            let hint = Some("put it under general_settings".to_owned());
            report.error(key, "master-key.wrong-section", message, hint);
        } else if section.keys == LITELLM_PARAMS.keys {
            passed_on(key, name, report);
        } else {
            not_read(key, name, section, report);
        }
    }
}

/// A part of the file that holds no setting: one for anchors, or one with a name for comments.
fn is_own_note(name: &str, value: Node<'_>) -> bool {
    name.starts_with("x-") || name.starts_with('.') || value.is_anchored()
}

/// LiteLLM passes any parameter that it does not know on to the provider: no name is wrong for certain.
fn passed_on(key: Node<'_>, name: &str, report: &mut Report<'_>) {
    let known = report.names();
    let message =
        format!("LiteLLM does not know {name:?} in litellm_params and passes it on to the provider");
    if let Some((_, advice)) = NOWHERE.iter().find(|(nowhere, _)| *nowhere == name) {
        return report.warning(key, "key.passed-on", message, Some((*advice).to_owned()));
    }
    if let Some(other) = home_of(name, &LITELLM_PARAMS, known) {
        return report.warning(key, "key.passed-on", message, Some(format!("it is read from {other}")));
    }
    if let Some((_, near)) = LITELLM_PARAMS.keys.nearest(known, name).filter(|near| is_slip(name, *near)) {
        report.warning(key, "key.passed-on", message, Some(format!("did you mean {near}?")));
    }
}

/// LiteLLM ignores a setting that it does not know. What a later LiteLLM may know, or what is only a note, is a warning.
fn not_read(key: Node<'_>, name: &str, section: &Section, report: &mut Report<'_>) {
    let (known, here) = (report.names(), section.name);
    let certain = if known.are_exact() { Severity::Error } else { Severity::Warning };
    let near = section.keys.nearest(known, name);
    if let Some((_, advice)) = NOWHERE.iter().find(|(nowhere, _)| *nowhere == name) {
        let message = format!("unknown key {name:?} in {here}");
        report.add(certain, key.place(), "key.no-such-setting", message, Some((*advice).to_owned()));
    } else if let Some(other) = home_of(name, section, known) {
        let message = format!("{name} is not read from {here}");
        report.add(certain, key.place(), "key.wrong-section", message, Some(format!("put it under {other}")));
    } else {
        let hint = near.map(|(_, near)| format!("did you mean {near}?"));
        if section.keys == ROUTER_SETTINGS.keys || near.is_some_and(|near| is_slip(name, near)) {
            let message = format!("unknown key {name:?} in {here}; LiteLLM would ignore it");
            report.add(certain, key.place(), "key.unknown", message, hint);
        } else {
            let message =
                format!("unknown key {name:?} in {here} for LiteLLM {}; it may be ignored", known.version());
            report.warning(key, "key.unfamiliar", message, hint);
        }
    }
}

/// Whether a name is so close to a known one that it is certainly meant to be that.
fn is_slip(name: &str, (mistakes, _): (usize, &str)) -> bool {
    mistakes <= if name.len() < 6 { 1 } else { 2 }
}

/// The sections that have a key of this name. For a key beside `litellm_params` that is most likely `litellm_params`.
fn home_of(name: &str, here: &Section, known: &Names) -> Option<String> {
    if here.keys == Keys::Entry && known.has(List::Params, name) {
        return Some(LITELLM_PARAMS.name.to_owned());
    }
    let sections = [ROUTER_SETTINGS, GENERAL_SETTINGS, LITELLM_SETTINGS, TOP];
    let mut homes: Vec<_> = sections
        .iter()
        .filter(|section| section.keys != here.keys && section.keys.has(known, name))
        .map(|section| section.name)
        .collect();
    if homes.is_empty() && here.keys != LITELLM_PARAMS.keys && known.has(List::Params, name) {
        homes.push(LITELLM_PARAMS.name);
    }
    (!homes.is_empty()).then(|| homes.join(" or "))
}

/// Reports values of a model's parameters, or of its `model_info`, of a kind for which LiteLLM drops the model.
pub(super) fn dropped_values(
    map: Node<'_>,
    refused: for<'n> fn(&'n Names, &str) -> &'n [&'static str],
    report: &mut Report<'_>,
) {
    let known = report.names();
    for (key, value) in map.entries() {
        let Some(name) = key.str() else { continue };
        let kinds = refused(known, name);
        let wrong =
            |kind: &&str| kinds.contains(kind) || (name != "id" && is_flag(kinds) && is_no_flag(value));
        let Some(kind) = kind_of(value).filter(wrong) else { continue };
        // LiteLLM makes one deployment for each of several organizations; a date in place of text is reported as such.
        let is_reported = knows(TEXT, name) && value.is_plain();
        if is_reported || (name == "organization" && kind == "list") {
            continue;
        }
        let takes = |kind: &str| !kinds.contains(&kind);
        let allowed = KINDS.iter().filter(|(kind, _)| takes(kind) && !(*kind == "digits" && takes("text")));
        let allowed: Vec<_> = allowed.map(|(_, spelled)| *spelled).collect();
        let message =
            format!("{name} must be {}: LiteLLM drops a model with another value", allowed.join(" or "));
        let hint = value.written().filter(|_| value.is_plain() && !kinds.contains(&"text"));
        let hint = hint.map(|written| format!("put it in quotes: \"{written}\""));
        let certain = if known.are_exact() { Severity::Error } else { Severity::Warning };
        report.add(certain, value.place(), "value.type", message, hint);
    }
}

/// Whether a field takes only what says true or false, in quotes or without. The id of a model, which is turned into text, takes the
/// same kinds.
fn is_flag(refused: &[&str]) -> bool {
    refused == ["fraction", "date", "list", "mapping"]
}

fn is_no_flag(value: Node<'_>) -> bool {
    const WORDS: &str = "true false yes no on off t f y n 1 0";
    value
        .str()
        .is_some_and(|text| !text.starts_with("os.environ/") && !knows(WORDS, &text.to_ascii_lowercase()))
}

/// The kinds of values that LiteLLM tells apart, and how a message spells them.
const KINDS: [(&str, &str); 8] = [
    ("text", "text"),
    ("digits", "a number in quotes"),
    ("whole", "a whole number"),
    ("fraction", "a number"),
    ("truth", "true or false"),
    ("date", "a date"),
    ("list", "a list"),
    ("mapping", "a mapping"),
];

fn kind_of(value: Node<'_>) -> Option<&'static str> {
    if value.seq().is_some() {
        return Some("list");
    }
    Some(match value.scalar() {
        None => "mapping",
        Some(Scalar::Null) => return None,
        Some(Scalar::Str(text)) if text.starts_with("os.environ/") => return None,
        Some(Scalar::Str(text)) if text.trim().parse::<f64>().is_ok() => "digits",
        Some(Scalar::Str(_)) => "text",
        Some(Scalar::Int(_) | Scalar::Big(_)) => "whole",
        Some(Scalar::Float(number)) if number.fract() == 0.0 => "whole",
        Some(Scalar::Float(_)) => "fraction",
        Some(Scalar::Bool(_)) => "truth",
        Some(Scalar::Timestamp(_)) => "date",
    })
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
            Scalar::Str(text) if knows(TRUTH, name) && name != "cache" => match is_true(text) {
                Some(true) => continue,
                _ => "true or false without quotes",
            },
            _ if knows(TRUTH, name) => "true or false",
            _ => continue,
        };
        report.error(value, "value.type", format!("{name} must be {wanted}"), None);
    }
}

/// The meaning of a text that LiteLLM takes for a truth value: any text is true to it, so only what says so is right.
fn is_true(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}
