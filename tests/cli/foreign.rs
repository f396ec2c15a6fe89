//! Settings of another gateway: never taken over by accident, never shown, always given back.

use std::fs;

use crate::home::{Run, TestHome};

const CANARY: &str = "sk-somebody-elses-canary-7f3a";

fn other_gateway() -> String {
    format!(
        "{{\n  \"env\": {{\n    \"ANTHROPIC_BASE_URL\": \"https://gw.example.com\",\n    \"ANTHROPIC_AUTH_TOKEN\": \"{CANARY}\",\n    \"CLAUDE_CODE_USE_BEDROCK\": \"1\"\n  }}\n}}\n"
    )
}

#[test]
fn another_gateway_is_exit_2_with_the_names_of_its_keys_and_no_values() {
    let home = TestHome::new();
    home.write(".claude/settings.json", other_gateway());
    for arguments in ["install --yes", "install --yes --json", "install --dry-run", "install --yes --verbose"]
    {
        let run = home.refused(&mut home.command(arguments), 2);
        run.says(&[
            "env.ANTHROPIC_BASE_URL",
            "env.ANTHROPIC_AUTH_TOKEN",
            "env.CLAUDE_CODE_USE_BEDROCK",
            "--force",
        ])
        .never_says(CANARY)
        .never_says("gw.example.com");
    }
}

#[test]
fn force_takes_over_and_uninstall_gives_the_identical_bytes_back() {
    let home = TestHome::new();
    home.write(".claude/settings.json", other_gateway());
    home.chmod(".claude/settings.json", 0o644);
    home.run("install --yes --force").exits(0).never_says(CANARY);
    let settings = home.json(".claude/settings.json");
    assert_eq!(settings["env"]["ANTHROPIC_BASE_URL"], "http://127.0.0.1:4000");
    assert_eq!(settings["env"]["ANTHROPIC_AUTH_TOKEN"], "");
    assert_eq!(settings["env"].get("CLAUDE_CODE_USE_BEDROCK"), None);
    // The old token lives in one private file.
    assert_eq!(home.tree().holding(CANARY), [".claude/gateway/.gwinstall/settings-before.json"]);
    assert_eq!(home.mode(".claude/gateway/.gwinstall/settings-before.json"), 0o600);
    home.run("install --yes --models glm-5.2").exits(0).never_says(CANARY);
    home.run("off --yes").exits(0);
    assert_eq!(home.read(".claude/settings.json"), other_gateway());
    home.run("on --yes").exits(0);
    home.run("uninstall --yes").exits(0).never_says(CANARY);
    assert_eq!(home.read(".claude/settings.json"), other_gateway());
    assert_eq!(home.tree().holding(CANARY), [".claude/settings.json"]);
}

/// Only a person at a terminal is asked; the answer no changes nothing.
#[test]
fn a_terminal_asks_and_no_is_an_answer() {
    let home = TestHome::new();
    let at_a_terminal = |keys: &str, arguments: &str| {
        let script = format!("printf '{keys}' | script -qec '\"$GW\" {arguments}' /dev/null");
        Run::of(&mut home.shell(&script))
    };
    let before = home.live();
    at_a_terminal("n\\n", "install --on --preset basic").exits(1).says(&["Go ahead? [Y/n]", "Cancelled"]);
    at_a_terminal("what\\nn\\n", "install --on --preset basic").exits(1).says(&["Please answer y or n"]);
    at_a_terminal("q\\n", "install").exits(1).says(&["multi-provider", "Cancelled"]);
    assert_eq!(before.changes(&home.live()), [""; 0]);
    at_a_terminal("y\\n", "install --on --preset basic").exits(0);
    home.run("status").exits(0);
    at_a_terminal("n\\n", "uninstall").exits(1).says(&["Cancelled"]);
    at_a_terminal("y\\n", "uninstall").exits(0);
}

#[test]
fn a_foreign_helper_stays_and_the_token_goes_to_private_settings() {
    let home = TestHome::new();
    let mine = "{\n  \"apiKeyHelper\": \"/usr/local/bin/mine\"\n}\n";
    home.write(".claude/settings.json", mine);
    home.chmod(".claude/settings.json", 0o644);
    home.run("install --yes").exits(0).says(&[
        "apiKeyHelper",
        "of another program",
        "writes the token to settings.json",
    ]);
    let key = home.env_value("LITELLM_MASTER_KEY").unwrap();
    let settings = home.json(".claude/settings.json");
    assert_eq!(settings["apiKeyHelper"], "/usr/local/bin/mine");
    assert_eq!(settings["env"]["ANTHROPIC_AUTH_TOKEN"], key.as_str());
    assert_eq!(home.mode(".claude/settings.json"), 0o600);
    assert_eq!(home.tree().holding(&key), [".claude/gateway/.env", ".claude/settings.json"]);
    // Not even force takes a helper over.
    home.touches_nothing("install --yes --force").exits(0);
    home.run("uninstall --yes").exits(0);
    assert_eq!(home.read(".claude/settings.json"), mine);
    assert_eq!(home.mode(".claude/settings.json"), 0o644, "the mode that was there comes back");
}

/// Else the key for Anthropic would go to the gateway.
#[test]
fn a_key_of_ones_own_is_blanked_and_given_back() {
    let home = TestHome::new();
    let mine = format!("{{\"env\": {{\"ANTHROPIC_API_KEY\": \"{CANARY}\"}}}}\n");
    home.write(".claude/settings.json", &mine);
    home.run("install --yes").exits(0).never_says(CANARY);
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_API_KEY"], "");
    home.run("install --yes --models glm-5.2").exits(0);
    home.run("rollback --yes").exits(0);
    home.run("uninstall --yes").exits(0);
    assert_eq!(home.read(".claude/settings.json"), mine);
}

/// An enterprise gateway: URL, token by helper, no proxy process.
#[test]
fn an_enterprise_gateway_has_no_secret_in_settings() {
    let home = TestHome::new();
    let token = home.root().join("token");
    fs::write(&token, format!("{CANARY}\n")).unwrap();
    let arguments = format!(
        "install --yes --preset enterprise --gateway-url https://gw.example.com/llm --auth-token-file {}",
        token.display()
    );
    home.run(&arguments).exits(0).never_says(CANARY);
    assert_eq!(home.tree().holding(CANARY), [".claude/gateway/.env"]);
    let settings = home.json(".claude/settings.json");
    assert_eq!(settings["env"]["ANTHROPIC_BASE_URL"], "https://gw.example.com/llm");
    assert_eq!(settings["env"]["ANTHROPIC_API_KEY"], "");
    for absent in ["config/litellm.yaml", "start-gateway.sh", "stop-gateway.sh", "tests"] {
        assert!(!home.gateway(absent).exists(), "{absent}");
    }
    let printed =
        home.shell("sh -c \"$HOME/.claude/gateway/scripts/print-gateway-key.sh\"").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&printed.stdout).trim_end(), CANARY);
}
