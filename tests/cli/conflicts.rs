//! What leads Claude Code past a gateway that is deployed right is named by `env check` and `doctor`, with the way out,
//! wherever it stands: the shell, the user's settings, a project's, or those that an administrator manages.

use crate::home::{Run, TestHome};

/// The check of this name: its status, message and hint.
fn check(run: &Run, name: &str) -> (String, String, String) {
    let document = run.json();
    let checks = document["data"]["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["check_name"] == name);
    let found = found.unwrap_or_else(|| panic!("no check {name} in {document}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("message"), text("hint"))
}

#[track_caller]
fn warns(run: &Run, name: &str, says: &str, hint: &str) {
    let (status, message, advice) = check(run, name);
    assert_eq!(status, "WARN", "{name}: {message}");
    assert!(message.contains(says), "{name}: {message}");
    assert!(advice.contains(hint), "{name}: {advice}");
}

#[test]
fn in_the_shell() {
    let home = TestHome::deployed()
        .with("CLAUDE_CODE_USE_VERTEX", "1")
        .with("HTTPS_PROXY", "http://proxy.example:3128");
    for command in ["env check --json", "doctor --json"] {
        let run = home.run(command);
        warns(
            &run,
            "no_other_provider_switch",
            "CLAUDE_CODE_USE_VERTEX is set in this shell",
            "unset CLAUDE_CODE_USE_VERTEX",
        );
        warns(&run, "no_proxy_covers_gateway", "HTTPS_PROXY", "export NO_PROXY=localhost,127.0.0.1");
    }
    // The way out leads out.
    let home = home.without("CLAUDE_CODE_USE_VERTEX").with("NO_PROXY", "localhost,127.0.0.1");
    let run = home.run("doctor --json");
    for name in ["no_other_provider_switch", "no_proxy_covers_gateway"] {
        assert_eq!(check(&run, name).0, "PASS", "{name}");
    }
}

/// The own key of a person never goes to a gateway: blanked in the settings, and named while nothing is deployed.
#[test]
fn a_key_in_the_shell() {
    let home = TestHome::new().with("ANTHROPIC_API_KEY", "sk-ant-canary");
    let run = home.run("env check --json").never_says("canary");
    warns(&run, "no_api_key_in_shell", "ANTHROPIC_API_KEY", "unset ANTHROPIC_API_KEY");
    home.run("install --yes --models glm-5.2").exits(0).never_says("canary");
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_API_KEY"], "");
    assert_eq!(check(&home.run("env check --json"), "no_api_key_in_shell").0, "PASS");
}

/// A leftover of another provider in the user's own settings; `install --force` is the way out, and uninstalling goes back.
#[test]
fn in_the_users_settings() {
    let home = TestHome::new();
    home.write(".claude/settings.json", "{\"env\": {\"CLAUDE_CODE_USE_BEDROCK\": \"1\"}}\n");
    home.run("install --yes --models glm-5.2").exits(2);
    let run = home.run("env check --json");
    warns(
        &run,
        "no_other_provider_switch",
        "settings.json sets CLAUDE_CODE_USE_BEDROCK",
        "gwinstall install --force",
    );
    home.run("install --yes --force").exits(0);
    assert_eq!(check(&home.run("env check --json"), "no_other_provider_switch").0, "PASS");
    home.run("uninstall --yes").exits(0);
    assert_eq!(home.json(".claude/settings.json")["env"]["CLAUDE_CODE_USE_BEDROCK"], "1");
}

#[test]
fn in_the_settings_of_a_project() {
    let home = TestHome::deployed();
    for file in ["settings.json", "settings.local.json"] {
        let path = format!("../project/.claude/{file}");
        home.write(&path, "{\"env\": {\"ANTHROPIC_BASE_URL\": \"https://other.example\"}}");
        let mut command = home.command("env check --json");
        let run = Run::of(command.current_dir(home.root().join("project")));
        warns(&run, "settings_effective", file, "work in another directory");
        std::fs::remove_file(home.path(&path)).unwrap();
    }
}

/// Settings that an administrator manages win over everybody's.
#[test]
fn in_managed_settings() {
    let home = TestHome::deployed();
    for file in ["managed-settings.json", "managed-settings.d/10-gateway.json"] {
        let script = format!(
            "mount -t tmpfs none /etc; mkdir -p /etc/claude-code/managed-settings.d
            echo '{{\"env\": {{\"ANTHROPIC_BASE_URL\": \"https://other.example\"}}}}' >/etc/claude-code/{file}
            \"$GW\" env check --json || true"
        );
        let Some(mut command) = home.unshared(&script) else { return };
        let run = Run::of(&mut command);
        let says = format!("/etc/claude-code/{file} sets env.ANTHROPIC_BASE_URL");
        warns(&run, "settings_effective", &says, "your administrator");
    }
}

/// gcloud's login is found without a variable, its project too, and no secret of it is shown.
#[test]
fn the_login_of_gcloud_needs_no_variable() {
    let home = TestHome::new();
    home.run("env check").exits(1).says(&["no Google login was found", "VERTEXAI_PROJECT"]);
    let login =
        "{\"type\": \"authorized_user\", \"quota_project_id\": \"mine\", \"refresh_token\": \"canary\"}";
    home.write(".config/gcloud/application_default_credentials.json", login);
    home.run("env check").exits(0);
    home.run("env list")
        .exits(0)
        .says(&[
            "VERTEXAI_PROJECT  mine  (required by the models; from gcloud's login; taken at installation)",
        ])
        .never_says("canary");
    home.run("install --yes --models glm-5.2").exits(0).never_says("no value yet").never_says("canary");
    assert_eq!(home.env_value("VERTEXAI_PROJECT").unwrap(), "mine");
}
