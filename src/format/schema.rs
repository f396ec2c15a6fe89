//! The part of JSON Schema that the schemas of settings.json and of `gateway.yaml` use. Pure.
//!
//! Promise: a fault names the key and the rule, never the value, which may be a key of the gateway. A keyword or a pattern
//! of another kind is ignored: a newer schema refuses nothing that this version cannot judge.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// Where a document breaks its schema, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The keys from the root to the place.
    pub path: Vec<String>,
    pub what: String,
}

/// The fault of a key that the schema does not know.
pub const UNKNOWN: &str = "must not be there";

/// Every place of `value` that breaks `schema`.
pub fn check(schema: &Value, value: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    walk(schema, value, &mut Vec::new(), &mut faults);
    faults
}

fn walk(schema: &Value, value: &Value, path: &mut Vec<String>, faults: &mut Vec<Fault>) {
    let Some(rules) = schema.as_object() else {
        if schema == &Value::Bool(false) {
            faults.push(Fault { path: path.clone(), what: UNKNOWN.to_owned() });
        }
        return;
    };
    faults.extend(of_value(rules, value).into_iter().map(|what| Fault { path: path.clone(), what }));
    if let (Some(rule), Some(items)) = (rules.get("items"), value.as_array()) {
        for (index, item) in items.iter().enumerate() {
            path.push(index.to_string());
            walk(rule, item, path, faults);
            path.pop();
        }
    }
    let Some(members) = value.as_object() else { return };
    for (name, member) in members {
        path.push(name.clone());
        if let Some(names) = rules.get("propertyNames")
            && !check(names, &Value::from(name.as_str())).is_empty()
        {
            faults.push(Fault { path: path.clone(), what: "is not a usable name".to_owned() });
        }
        let named = rules.get("properties").and_then(|properties| properties.get(name));
        if let Some(rule) = named.or_else(|| rules.get("additionalProperties")) {
            walk(rule, member, path, faults);
        }
        path.pop();
    }
}

/// What a value itself does wrong, without its members.
fn of_value(rules: &Map<String, Value>, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let text = value.as_str();
    let numbers = |name: &str| rules.get(name).and_then(Value::as_f64);
    if let Some(types) = rules.get("type")
        && !one_or_more(types).any(|kind| is_of(kind, value))
    {
        let kinds: Vec<&str> = one_or_more(types).collect();
        wrong.push(format!("must be of type {}", kinds.join(" or ")));
    }
    if let Some(allowed) = rules.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        wrong.push(format!("must be one of {}", allowed.join(", ")));
    }
    if let (Some(text), Some(least)) = (text, numbers("minLength"))
        && (text.chars().count() as f64) < least
    {
        wrong.push(format!("must have at least {least} characters"));
    }
    if let (Some(number), Some(least)) = (value.as_f64(), numbers("minimum"))
        && number < least
    {
        wrong.push(format!("must be at least {least}"));
    }
    if let (Some(number), Some(most)) = (value.as_f64(), numbers("maximum"))
        && number > most
    {
        wrong.push(format!("must be at most {most}"));
    }
    if let (Some(text), Some(form)) = (text, rules.get("pattern").and_then(Value::as_str))
        && Regex::new(form).is_ok_and(|pattern| !pattern.is_match(text))
    {
        wrong.push(format!("must match {form}"));
    }
    for name in rules.get("required").into_iter().flat_map(one_or_more) {
        if value.as_object().is_some_and(|members| !members.contains_key(name)) {
            wrong.push(format!("must have {name}"));
        }
    }
    if let Some(choices) = rules.get("anyOf").and_then(Value::as_array)
        && choices.iter().all(|choice| !check(choice, value).is_empty())
    {
        wrong.push("must fulfil one of several rules".to_owned());
    }
    if let Some(excluded) = rules.get("not")
        && check(excluded, value).is_empty()
    {
        wrong.push(format!("must not {}", described(excluded, value)));
    }
    wrong
}

/// What an excluded value does, after "must not".
fn described(excluded: &Value, value: &Value) -> String {
    if let Some(form) = excluded.get("pattern").and_then(Value::as_str) {
        return format!("match {form}");
    }
    let choices = excluded.get("anyOf").and_then(Value::as_array);
    let applies = choices.and_then(|choices| choices.iter().find(|choice| check(choice, value).is_empty()));
    if let Some(choice) = applies {
        return described(choice, value);
    }
    let names: Vec<&str> = excluded.get("required").into_iter().flat_map(one_or_more).collect();
    if names.is_empty() { "be as it is".to_owned() } else { format!("have {} here", names.join(" with ")) }
}

/// The words of a keyword that takes one or several.
fn one_or_more(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().filter_map(Value::as_str)
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHIPPED: &str = include_str!("../../embedded/templates/settings-schema.json");

    /// The faults of a document by the shipped schema, as `path: what`.
    fn faults(value: &Value) -> Vec<String> {
        let schema: Value = serde_json::from_str(SHIPPED).unwrap();
        let shown = |fault: Fault| format!("{}: {}", fault.path.join("."), fault.what);
        check(&schema, value).into_iter().map(shown).collect()
    }

    #[test]
    fn what_gwinstall_and_the_user_write_passes() {
        for good in [
            json!({}),
            json!({ "model": "opus", "permissions": { "allow": ["Bash(ls)"] }, "hooks": {} }),
            json!({ "apiKeyHelper": "~/.claude/gateway/scripts/print-gateway-key.sh", "env": {
                "ANTHROPIC_BASE_URL": "http://127.0.0.1:4000", "ANTHROPIC_API_KEY": "",
                "ANTHROPIC_DEFAULT_OPUS_MODEL": "glm-5.2", "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "1048576",
                "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1", "NO_PROXY": "127.0.0.1,[::1],10.0.0.0/8",
                "ANTHROPIC_CUSTOM_HEADERS": "a: b\nc: d", "OF_MY_OWN": true } }),
            json!({ "env": { "CLAUDE_CODE_MAX_OUTPUT_TOKENS": 32000, "HTTPS_PROXY": "http://p:3128" } }),
        ] {
            assert_eq!(faults(&good), [""; 0], "{good}");
        }
    }

    #[test]
    fn a_fault_names_the_key_and_the_rule_and_no_value() {
        for (bad, fault) in [
            (json!({ "env": [] }), "env: must be of type object"),
            (json!({ "apiKeyHelper": "" }), "apiKeyHelper: must have at least 1 characters"),
            (json!({ "env": { "A-B": "x" } }), "env.A-B: is not a usable name"),
            (json!({ "env": { "MINE": null } }), "env.MINE: must be of type string or number or boolean"),
            (
                json!({ "env": { "ANTHROPIC_BASE_URL": "canary" } }),
                "env.ANTHROPIC_BASE_URL: must match ^https?",
            ),
            (
                json!({ "env": { "ANTHROPIC_BASE_URL": "http://canary/v1" } }),
                "env.ANTHROPIC_BASE_URL: must not match /v1/?$",
            ),
            (json!({ "env": { "ANTHROPIC_MODEL": "a canary" } }), "env.ANTHROPIC_MODEL: must match ^\\S+$"),
            (
                json!({ "env": { "CLAUDE_CODE_MAX_OUTPUT_TOKENS": 0 } }),
                "env.CLAUDE_CODE_MAX_OUTPUT_TOKENS: must be at least 1",
            ),
            (
                json!({ "env": { "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "08" } }),
                "env.CLAUDE_CODE_MAX_OUTPUT_TOKENS: must match",
            ),
            (
                json!({ "env": { "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "yes" } }),
                "env.CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: must be one of",
            ),
            (
                json!({ "env": { "ANTHROPIC_CUSTOM_HEADERS": "canary" } }),
                "env.ANTHROPIC_CUSTOM_HEADERS: must match",
            ),
            (json!({ "modelOverrides": { "opus": 1 } }), "modelOverrides.opus: must be of type string"),
            (json!({ "anthropicBaseUrl": "http://canary" }), ": must not have anthropicBaseUrl here"),
        ] {
            let found = faults(&bad);
            assert!(found.len() == 1 && found[0].starts_with(fault), "{bad}: {found:?}");
            assert!(!found[0].contains("canary"), "{found:?}");
        }
    }

    /// A rule that is ignored could not fail.
    #[test]
    fn the_shipped_schema_uses_nothing_that_is_ignored() {
        fn visit(schema: &Value) {
            const KNOWN: [&str; 16] = [
                "$schema",
                "$id",
                "title",
                "description",
                "type",
                "properties",
                "additionalProperties",
                "propertyNames",
                "pattern",
                "minLength",
                "minimum",
                "enum",
                "required",
                "anyOf",
                "not",
                "default",
            ];
            for (keyword, rule) in schema.as_object().unwrap() {
                assert!(KNOWN.contains(&keyword.as_str()), "{keyword}");
                match keyword.as_str() {
                    "properties" => rule.as_object().unwrap().values().for_each(visit),
                    "anyOf" => rule.as_array().unwrap().iter().for_each(visit),
                    "additionalProperties" | "propertyNames" | "not" => visit(rule),
                    "pattern" => assert!(Regex::new(rule.as_str().unwrap()).is_ok(), "{rule}"),
                    _ => {}
                }
            }
        }
        visit(&serde_json::from_str(SHIPPED).unwrap());
    }
}
