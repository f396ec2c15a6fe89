//! One rule for each mistake, and silence where nothing is wrong. The files under `tests/fixtures` have the rest.

use super::finding::FINDING_LIMIT;
use super::*;

const MODEL: &str = "model_list:\n  - {model_name: a, litellm_params: {model: vertex_ai/a}}\n";

/// Rule and severity of everything found in a good model list followed by `rest`.
fn found(rest: &str) -> Vec<(&'static str, Severity)> {
    let findings = check(&format!("{MODEL}{rest}"), &Context::default());
    findings.into_iter().map(|finding| (finding.rule, finding.severity)).collect()
}

fn params(params: &str) -> Vec<&'static str> {
    let text = format!("model_list:\n  - {{model_name: a, litellm_params: {{{params}}}}}\n");
    check(&text, &Context::default()).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn one_rule_speaks_for_each_mistake() {
    use Severity::{Error, Warning};
    let rows: [(&str, &[(&str, Severity)]); 22] = [
        ("", &[]),
        ("litellm_settings: {callbacks: my_module.handler}\n", &[]),
        ("litellm_settings: {brand_new_setting: 1}\n", &[("key.unfamiliar", Warning)]),
        ("general_settings: {brand_new_setting: 1}\n", &[("key.unfamiliar", Warning)]),
        ("router_settings: {brand_new_setting: 1}\n", &[("key.unknown", Error)]),
        ("litellm_settings: {request_timeout: 0}\n", &[("value.type", Error)]),
        ("litellm_settings: {request_timeout: 1_000}\n", &[("yaml.surprise", Warning)]),
        ("litellm_settings: {num_retries: 010}\n", &[("yaml.surprise", Warning)]),
        ("litellm_settings: {num_retries: -1}\n", &[("value.type", Error)]),
        ("litellm_settings: {num_retries: [3]}\n", &[("value.type", Error)]),
        ("litellm_settings: {modify_params: \"true\"}\n", &[]),
        ("litellm_settings: {modify_params: \"false\"}\n", &[("value.type", Error)]),
        ("litellm_settings: {cache_params: {type: redis}}\n", &[("settings.cache", Warning)]),
        ("router_settings: {timeout: 1:30}\n", &[("yaml.surprise", Warning)]),
        ("router_settings: {model_group_alias: {x: x}}\n", &[("routing.alias", Error)]),
        ("router_settings: {model_group_alias: {x: {hidden: true}}}\n", &[("routing.alias", Error)]),
        ("router_settings: {fallbacks: [a]}\n", &[("routing.fallbacks-shape", Error)]),
        ("router_settings: {default_fallbacks: [b]}\n", &[("routing.absent-model", Error)]),
        ("router_settings: {model_group_retry_policy: {b: {}}}\n", &[("routing.absent-model", Error)]),
        ("general_settings: 3\n", &[("section.not-a-mapping", Error)]),
        ("environment_variables: {X_API_KEY: hunter2}\n", &[("secret.in-file", Error)]),
        ("general_settings: {master_key: null}\n", &[]),
    ];
    for (rest, expected) in rows {
        assert_eq!(found(rest), expected, "{rest}");
    }
}

#[test]
fn secrets_are_told_from_what_only_sounds_like_one() {
    let secret = [
        "model: openai/a, api_key: abc",
        "model: openai/a, organization: sk-0123456789abcdef",
        "model: bedrock/a, aws_secret_access_key: abc",
        "model: bedrock/a, aws_access_key_id: AKIAIOSFODNN7EXAMPLE",
        "model: openai/a, api_base: 'https://u:p@h/v1'",
        "model: vertex_ai/a, vertex_credentials: '{\"private_key\": \"x\"}'",
    ];
    for text in secret {
        assert_eq!(params(text), ["secret.in-file"], "{text}");
    }
    let none = [
        "model: openai/a, api_key: none",
        "model: openai/a, api_key: ''",
        "model: openai/a, api_key: os.environ/K",
        "model: openai/a, max_tokens: 8192",
        "model: openai/a, litellm_credential_name: shared",
        "model: vertex_ai/a, vertex_credentials: /etc/key.json",
        "model: openai/a, api_base: 'https://user@h/v1'",
        "model: anthropic/a, anthropic_identity_token_file: /run/token",
    ];
    for text in none {
        assert_eq!(params(text), [""; 0], "{text}");
    }
}

#[test]
fn providers_and_bases_are_judged_as_litellm_would() {
    let rows: [(&str, &[&str]); 10] = [
        ("model: vertex_ai/meta/llama3-405b-instruct-maas", &[]),
        ("model: bedrock/us.anthropic.claude-sonnet-5-5", &[]),
        ("model: os.environ/MODEL", &[]),
        ("model: vertex_ai/", &["models.no-route"]),
        ("model: meta-llama/Llama-3", &["models.unknown-provider"]),
        ("model: openai/a, api_base: localhost:8000", &["models.api-base"]),
        ("model: ollama/a, api_base: 'http://h:1/v1/'", &["models.api-base"]),
        ("model: openai/a, api_base: 'http://h:1/v1'", &[]),
        ("model: true", &["yaml.not-text"]),
        ("model: [a]", &["yaml.not-text"]),
    ];
    for (text, expected) in rows {
        assert_eq!(params(text), expected, "{text}");
    }
}

#[test]
fn an_unset_variable_is_as_grave_as_the_caller_says() {
    let text = MODEL
        .replace("vertex_ai/a}", "vertex_ai/a, vertex_project: os.environ/P, vertex_location: os.environ/L}");
    let known = BTreeSet::from(["P".to_owned()]);
    let severities =
        |context: &Context<'_>| check(&text, context).iter().map(|f| f.severity).collect::<Vec<_>>();
    assert_eq!(severities(&Context::default()), []);
    assert_eq!(
        severities(&Context { known_env: Some(&known), unset_is_error: false, names: None }),
        [Severity::Warning]
    );
    assert_eq!(
        severities(&Context { known_env: Some(&known), unset_is_error: true, names: None }),
        [Severity::Error]
    );
    assert_eq!(references(&text), BTreeSet::from(["L".to_owned(), "P".to_owned()]));
}

#[test]
fn a_secret_manager_has_names_and_values_of_its_own() {
    let general =
        "general_settings: {master_key: os.environ/the-key, key_management_system: azure_key_vault}\n";
    let known = BTreeSet::new();
    let context = Context { known_env: Some(&known), unset_is_error: true, names: None };
    assert_eq!(check(&format!("{MODEL}{general}"), &context), []);
    let without = general.replace(", key_management_system: azure_key_vault", "");
    assert_eq!(check(&format!("{MODEL}{without}"), &context)[0].rule, "env.not-whole");
}

#[test]
fn findings_come_in_the_order_of_the_lines_and_end_somewhere() {
    let many: String = (0..2000).map(|n| format!("unknown{n}: 1\n")).collect();
    let findings = check(&format!("{many}{MODEL}"), &Context::default());
    assert_eq!(findings.len(), FINDING_LIMIT);
    assert!(findings.is_sorted_by_key(|finding| finding.line));
}

#[test]
fn no_message_carries_a_control_code() {
    let text = "model_list:\n  - {model_name: a, litellm_params: {model: \"x\\e[2Jy\"}}\n\"\\e[2J\": 1\n";
    let findings = check(text, &Context::default());
    assert_eq!(findings.len(), 2);
    for finding in findings {
        let report = finding.report("x", text);
        assert!(!report.contains(|c: char| c.is_control() && c != '\n'), "{report:?}");
    }
}
