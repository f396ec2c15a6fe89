//! A change of preset leaves no value behind that would misroute LiteLLM or Claude Code, and goes back exactly.

use serde_json::Value;

use crate::home::TestHome;

const BASIC: &str = "install --yes --preset basic";
const PROXY: &str =
    "install --yes --preset proxy --proxy-url http://proxy.example:3128 --proxy-auth me:secret-word";
const ENTERPRISE: &str =
    "install --yes --preset enterprise --gateway-url https://gw.example.com --auth-token t0ken-0123456789";
const MULTI: &str = "install --yes --preset multi-provider";

fn settings_env(home: &TestHome, name: &str) -> Option<String> {
    home.json(".claude/settings.json")["env"].get(name).and_then(Value::as_str).map(str::to_owned)
}

#[test]
fn basic_to_proxy_and_back_leaves_no_proxy() {
    let home = TestHome::new();
    home.run(BASIC).exits(0);
    let before = (home.deployment(), home.read(".claude/settings.json"));
    home.run(PROXY).exits(0);
    for name in ["HTTPS_PROXY", "HTTP_PROXY"] {
        assert_eq!(home.env_value(name).unwrap(), "http://me:secret-word@proxy.example:3128", "{name}");
    }
    assert!(home.env_value("NO_PROXY").unwrap().contains("127.0.0.1"));
    let run = home.run(BASIC).exits(0);
    run.says(&["HTTPS_PROXY", "removes from .env"]);
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
        assert_eq!(home.env_value(name), None, "{name} misroutes LiteLLM");
        assert_eq!(settings_env(&home, name), None, "{name} misroutes Claude Code");
    }
    assert!(!home.read(".claude/gateway/.env").contains("PROXY"), "not even a comment");
    assert_eq!(before.0.changes(&home.deployment()), [""; 0]);
    assert_eq!(before.1, home.read(".claude/settings.json"));
    assert_eq!(home.record()["environment_variables"].get("HTTPS_PROXY"), None);
}

#[test]
fn enterprise_to_multi_provider_leaves_no_gateway_of_others() {
    let home = TestHome::new();
    home.run(ENTERPRISE).exits(0);
    home.run(MULTI).exits(0).says(&["ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"]);
    let env = home.read(".claude/gateway/.env");
    assert!(!env.contains("gw.example.com") && !env.contains("t0ken-0123456789"), "{env}");
    assert_eq!(settings_env(&home, "ANTHROPIC_BASE_URL").unwrap(), "http://127.0.0.1:4000");
    assert!(home.env_value("LITELLM_MASTER_KEY").unwrap().starts_with("sk-"));
    assert!(home.gateway("config/litellm.yaml").exists());
    assert_eq!(home.record()["gateway_type"], "local");
}

#[test]
fn local_to_enterprise_takes_the_proxy_process_out() {
    let home = TestHome::new();
    home.run(BASIC).exits(0);
    home.run(ENTERPRISE).exits(0);
    for path in ["config/litellm.yaml", "config", "start-gateway.sh", "stop-gateway.sh", "tests"] {
        assert!(!home.gateway(path).exists(), "{path}");
    }
    let settings = home.read(".claude/settings.json");
    assert!(!settings.contains("127.0.0.1") && !settings.contains("gemini"), "{settings}");
    assert_eq!(settings_env(&home, "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"), None);
}

/// Somebody else's value is none of ours to remove: it stays, and is listed.
#[test]
fn a_value_that_the_user_changed_stays_and_is_listed() {
    let home = TestHome::new();
    home.run(PROXY).exits(0);
    let text = home.read(".claude/gateway/.env").replace("proxy.example:3128", "my-proxy.example:8080");
    home.write(".claude/gateway/.env", text);
    home.run(BASIC).exits(0).says(&[
        ".env keeps",
        "HTTPS_PROXY",
        "which you set and this preset does not use",
    ]);
    assert!(home.env_value("HTTPS_PROXY").unwrap().contains("my-proxy.example:8080"));
}

#[test]
fn a_variable_of_the_users_own_stays_through_every_preset() {
    let home = TestHome::new();
    home.run(BASIC).exits(0);
    let text = home.read(".claude/gateway/.env") + "MY_OWN=1\n";
    home.write(".claude/gateway/.env", text);
    for arguments in [PROXY, ENTERPRISE, MULTI, "rollback --yes", "uninstall --yes"] {
        home.run(arguments).exits(0);
        assert_eq!(home.env_value("MY_OWN").as_deref(), Some("1"), "{arguments}");
    }
}

/// Every pair of presets: what rollback brings back is what was there, byte for byte, settings included.
#[test]
fn rollback_across_presets_is_exact() {
    let presets = [BASIC, PROXY, ENTERPRISE, MULTI];
    for from in presets {
        for to in presets.iter().filter(|to| **to != from) {
            let home = TestHome::new();
            home.run(from).exits(0);
            let settings = home.read(".claude/settings.json");
            let before = home.deployment().without(|path| path == ".env");
            let record = home.record();
            home.run(to).exits(0);
            home.run("rollback --yes").exits(0);
            let after = home.deployment().without(|path| path == ".env");
            assert_eq!(before.changes(&after), [""; 0], "{from} → {to}");
            assert_eq!(settings, home.read(".claude/settings.json"), "{from} → {to}");
            for fact in
                ["preset", "gateway_type", "gateway_url", "models", "request", "files", "settings", "bundle"]
            {
                assert_eq!(record[fact], home.record()[fact], "{fact} of {from} → {to}");
            }
            home.run("status").exits(0);
            home.run("uninstall --yes --purge").exits(0);
            assert!(!home.settings().exists() && !home.gateway("").exists(), "{from} → {to}");
        }
    }
}
