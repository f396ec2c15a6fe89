//! A managed machine: what `/etc/gwinstall/policy.yaml` forbids is refused by every command that would deploy it or point
//! Claude Code at it, and reported where it is there already.
//!
//! Each test lays a policy over /etc in a mount namespace of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::home::{Run, TestHome};

const ENTERPRISE: &str = "allow_presets: [enterprise]\nmanaged_by: Example IT\n";
const URLS: &str = "allow_gateway_urls: [\"https://gw.example.com\"]\nmanaged_by: Example IT\n";
const LOCAL: &str = "allow_gateway_urls: [\"http://127.0.0.1:4000\"]\nmanaged_by: Example IT\n";
const SIGNED: &str = "allow_source_dir: false\nmanaged_by: Example IT\n";

/// A home on a machine with a policy.
struct Managed {
    home: TestHome,
    /// What is laid over /etc.
    etc: PathBuf,
}

impl Managed {
    /// `None` where the kernel allows no mount namespace.
    fn new(home: TestHome) -> Option<Self> {
        let etc = home.root().join("etc");
        fs::create_dir_all(etc.join("gwinstall")).unwrap();
        let managed = Self { home, etc };
        managed.policy("");
        let tried = managed.home.unshared(MOUNT)?.env("ETC", &managed.etc).output().unwrap();
        if !tried.status.success() {
            eprintln!("not checked: {}", String::from_utf8_lossy(&tried.stderr));
            return None;
        }
        Some(managed)
    }

    fn policy(&self, text: &str) {
        fs::write(self.etc.join("gwinstall/policy.yaml"), text).unwrap();
    }

    /// Removes a variable from the settings, as a person would.
    fn without(&self, name: &str) {
        let mut settings: serde_json::Value =
            serde_json::from_str(&self.home.read(".claude/settings.json")).unwrap();
        settings["env"].as_object_mut().unwrap().remove(name).unwrap();
        self.home.write(".claude/settings.json", settings.to_string());
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.home.unshared(&format!("{MOUNT}; exec \"$GW\" \"$@\"")).unwrap();
        command.env("ETC", &self.etc).arg("sh").args(arguments.split_whitespace());
        command
    }

    fn run(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// The policy refuses it: nothing changes, and the message names the file, the rule and who manages the machine.
    #[track_caller]
    fn refuses(&self, arguments: &str, rule: &str) -> Run {
        self.home.refused(&mut self.command(arguments), 9).says(&[
            "/etc/gwinstall/policy.yaml",
            rule,
            "Example IT",
        ])
    }
}

const MOUNT: &str = "mount -t overlay -o lowerdir=\"$ETC\":/etc overlay /etc";

fn basic() -> Option<Managed> {
    Managed::new(TestHome::deployed())
}

fn enterprise() -> Option<Managed> {
    let home = TestHome::new();
    home.write("token", "sk-enterprise-token-0001\n");
    let managed = Managed::new(home)?;
    managed
        .run("install --yes --preset enterprise --gateway-url https://gw.example.com --auth-token-file home/token")
        .exits(0);
    Some(managed)
}

/// The values of `.env` and the settings of Claude Code.
#[test]
fn a_gateway_url_that_is_forbidden_gets_into_no_settings() {
    let Some(managed) = enterprise() else { return };
    managed.policy(URLS);
    let evil = managed.home.write("evil", "https://evil.example.com\n");
    let set = format!("env set ANTHROPIC_BASE_URL --yes --from {}", evil.display());
    managed.refuses(&set, "allow_gateway_urls").says(&["https://gw.example.com"]);
    managed.refuses(&set.replace("--yes", "--dry-run"), "allow_gateway_urls");
    // What the list allows is set, as well as what lies below it.
    managed.home.write("evil", "https://gw.example.com/team\n");
    managed.run(&set).exits(0);
    for dots in ["https://gw.example.com/team/%2e%2e/other", "https://gw.example.com/%2E./x"] {
        managed.home.write("evil", dots);
        managed.home.refused(&mut managed.command(&set), 2);
    }
    // Proxies and servers that normalize a path see another one.
    let below = "https://gw.example.com/team";
    managed.policy(&URLS.replace("https://gw.example.com", below));
    for path in ["..%2fx", "%2e%2e%2fx", "..%5cx", "..;/x", "%252e%252e/x"] {
        managed.home.write("evil", format!("{below}/{path}\n"));
        managed.refuses(&set, "programs disagree about where the path");
    }
    managed.home.write("evil", format!("{below}/a%20b\n"));
    managed.run(&set).exits(0);
    managed.home.write("evil", format!("{below}\n"));
    managed.run(&set).exits(0);
    managed.policy(URLS);
    // An edit of `.env` by hand, which every command takes over that writes the settings.
    let env = managed.home.read(".claude/gateway/.env");
    managed.home.write(
        ".claude/gateway/.env",
        env.replace("https://gw.example.com/team", "https://evil.example.com"),
    );
    managed.refuses("update --yes", "allow_gateway_urls");
    managed.refuses("install --yes", "allow_gateway_urls");
    managed.run("off --yes").exits(0);
    managed.refuses("on --yes --force", "allow_gateway_urls");
}

#[test]
fn a_preset_that_is_forbidden_is_deployed_by_no_command() {
    let Some(managed) = basic() else { return };
    managed.home.write("token", "sk-enterprise-token-0001\n");
    let enterprise = "install --yes --on --preset enterprise --gateway-url https://gw.example.com --auth-token-file home/token";
    managed.policy(ENTERPRISE);
    managed.refuses("install --yes --force", "allow_presets");
    managed.refuses("update --yes --force", "allow_presets");
    managed.refuses("models remove glm-5.2 --yes", "allow_presets");
    let value = managed.home.write("value", "some-project\n");
    managed.refuses(&format!("env set VERTEXAI_PROJECT --yes --from {}", value.display()), "allow_presets");
    managed.run("off --yes").exits(0);
    managed.refuses("on --yes --force", "allow_presets");
    managed.run(enterprise).exits(0);
    managed.run("doctor").says(&["PASS /etc/gwinstall/policy.yaml allows what is deployed"]);
    // One step back, two steps back, and a copy from elsewhere.
    managed.refuses("rollback --yes", "allow_presets");
    managed.refuses("rollback 2 --yes", "allow_presets");
    managed.refuses("rollback --dry-run", "allow_presets");
    let copy = managed.home.root().join("copy.tar.gz");
    managed.run(&format!("backup export 1 {}", copy.display())).exits(0);
    managed.refuses(&format!("rollback {} --yes", copy.display()), "allow_presets");
    // What takes a forbidden deployment away stays possible.
    managed.policy("allow_presets: []\nmanaged_by: Example IT\n");
    managed.run("off --yes").exits(0);
    managed.run("uninstall --yes").exits(0);
}

#[test]
fn a_conflict_of_a_forbidden_deployment_stays_open() {
    let Some(managed) = basic() else { return };
    managed.home.write(".claude/gateway/docs/faq.md", "mine\n");
    let source = crate::bundle::SourceDir::new(&managed.home).ships("docs/faq.md", "theirs");
    managed.run(&source.install()).exits(4);
    managed.policy(ENTERPRISE);
    managed.refuses("resolve docs/faq.md --keep-mine --yes", "allow_presets");
    managed.refuses("resolve docs/faq.md --take-new --yes", "allow_presets");
    managed.policy(SIGNED);
    managed.refuses("resolve docs/faq.md --take-new --yes", "allow_source_dir");
    managed.policy("");
    managed.run("resolve docs/faq.md --keep-mine --yes").exits(0);
}

#[test]
fn files_that_no_release_key_signed_come_back_by_no_command() {
    let Some(managed) = basic() else { return };
    let source = crate::bundle::SourceDir::new(&managed.home).ships("docs/faq.md", "theirs");
    managed.run(&source.install()).exits(0);
    let foreign = managed.home.root().join("foreign.tar.gz");
    managed.run("install --yes --embedded").exits(0);
    managed.run(&format!("backup export 1 {}", foreign.display())).exits(0);
    managed.policy(SIGNED);
    managed.refuses("rollback --yes", "allow_source_dir");
    managed.refuses(&format!("rollback {} --yes", foreign.display()), "allow_source_dir");
    managed.refuses(&format!("backup import {}", foreign.display()), "allow_source_dir");
    managed.refuses(&source.install(), "allow_source_dir");
    managed.run("rollback 2 --yes").exits(0);
}

/// A preset of the user's own is unsigned too, and so is a deployment of it.
#[test]
fn an_own_preset_is_pointed_at_by_no_command() {
    let Some(managed) = Managed::new(TestHome::new()) else { return };
    managed.home.write(
        ".claude/presets/team/preset.yaml",
        "schema: 1\npreset:\n  name: team\n  description: Our own\n  template_file: templates/team.yaml\n  base: templates/litellm-base.yaml\n  default_models: [gpt-oss-120b]\n  gateway_types: [local]\n  required_env_vars: [LITELLM_MASTER_KEY]\n  deploy_tests: false\n  deploy_examples: false\nfiles:\n  - {path: templates/team.yaml, class: template, presets: [team]}\n",
    );
    managed.home.write(".claude/presets/team/templates/team.yaml", "model_list: []\n");
    managed.run("install --yes --on --preset team").exits(0);
    managed.run("install --yes --preset basic").exits(0);
    managed.policy(SIGNED);
    managed.refuses("install --yes --preset team", "allow_source_dir");
    managed.refuses("update --yes", "allow_source_dir");
    managed.refuses("rollback --yes", "allow_source_dir");
    // The directory is gone; the backup still holds what came from it.
    fs::remove_dir_all(managed.home.path(".claude/presets")).unwrap();
    managed.refuses("rollback --yes", "allow_source_dir");
    managed.run("update --yes").exits(0);
}

/// The address from before gwinstall is one that the policy forbids now.
#[test]
fn leaving_does_not_lead_to_a_forbidden_address() {
    let home = TestHome::new();
    home.write(".claude/settings.json", "{\"env\": {\"ANTHROPIC_BASE_URL\": \"https://evil.example.com\"}}");
    let Some(managed) = Managed::new(home) else { return };
    managed.run("install --yes --on --force").exits(0);
    managed.policy(LOCAL);
    let way_out = "remove env.ANTHROPIC_BASE_URL from ~/.claude/settings.json";
    managed.refuses("off --yes", "allow_gateway_urls").says(&[way_out, "gwinstall off --yes"]);
    managed.refuses("uninstall --yes", "allow_gateway_urls").says(&[way_out, "gwinstall uninstall --yes"]);
    managed.without("ANTHROPIC_BASE_URL");
    managed.run("off --yes").exits(0);
    managed.run("uninstall --yes").exits(0);
    assert!(!managed.home.read(".claude/settings.json").contains("evil"));
}

/// A switch chooses a provider, and the provider has an address of its own.
#[test]
fn leaving_does_not_lead_to_a_forbidden_address_of_a_provider() {
    for provider in ["BEDROCK", "VERTEX", "FOUNDRY"] {
        let (switch, address) =
            (format!("CLAUDE_CODE_USE_{provider}"), format!("ANTHROPIC_{provider}_BASE_URL"));
        let home = TestHome::new();
        let settings =
            format!("{{\"env\": {{\"{switch}\": \"1\", \"{address}\": \"https://evil.example.com\"}}}}");
        home.write(".claude/settings.json", &settings);
        let Some(managed) = Managed::new(home) else { return };
        managed.policy(LOCAL);
        managed.run("doctor").exits(1).says(&["FAIL the gateway https://evil.example.com", &address]);
        managed.run("status").says(&["https://evil.example.com", "allow_gateway_urls"]);
        managed.run("install --yes --on --force").exits(0);
        assert!(!managed.home.read(".claude/settings.json").contains(&switch));
        managed.run("doctor").says(&["PASS /etc/gwinstall/policy.yaml allows what is deployed"]);
        for verb in ["off", "uninstall"] {
            managed
                .refuses(&format!("{verb} --yes"), "allow_gateway_urls")
                .says(&[&format!("remove env.{address} from")]);
            managed.refuses(&format!("{verb} --dry-run"), "allow_gateway_urls");
        }
        managed.without(&address);
        managed.run("off --yes").exits(0);
        let left = managed.home.read(".claude/settings.json");
        assert!(left.contains(&switch) && !left.contains("evil"), "{left}");
        // A switch that is off leads to no provider.
        managed.home.write(".claude/settings.json", settings.replace("\"1\"", "\"0\""));
        managed.run("doctor").says(&["PASS /etc/gwinstall/policy.yaml allows what is deployed"]);
    }
}

/// The same for the way out of a gateway of the company.
#[test]
fn leaving_the_company_gateway_does_not_lead_to_a_forbidden_provider() {
    let Some(managed) = enterprise() else { return };
    managed.run("uninstall --yes").exits(0);
    managed.home.write(
        ".claude/settings.json",
        "{\"env\": {\"CLAUDE_CODE_USE_BEDROCK\": \"1\", \"ANTHROPIC_BEDROCK_BASE_URL\": \"https://evil.example.com\"}}",
    );
    managed
        .run("install --yes --on --force --preset enterprise --gateway-url https://gw.example.com --auth-token-file home/token")
        .exits(0);
    managed.policy(URLS);
    managed.refuses("off --yes", "allow_gateway_urls");
    managed.refuses("uninstall --yes", "allow_gateway_urls");
}

/// Settings that gwinstall cannot read may lead anywhere.
#[test]
fn doctor_does_not_pass_settings_that_it_cannot_judge() {
    let Some(managed) = basic() else { return };
    let settings = managed.home.read(".claude/settings.json");
    for (broken, why) in [
        ("{\"env\": {".to_owned(), "cannot be read"),
        (
            settings.replacen('{', "{\"env\": {\"ANTHROPIC_BASE_URL\": \"https://evil.example.com\"},", 1),
            "duplicate key",
        ),
    ] {
        managed.home.write(".claude/settings.json", broken);
        managed.policy(LOCAL);
        let unseen =
            "FAIL gwinstall cannot see whether Claude Code goes where /etc/gwinstall/policy.yaml allows";
        managed.run("doctor").exits(1).says(&[unseen, why]);
        // A policy about something else does not depend on the settings.
        managed.policy("allow_presets: [basic]\n");
        managed.run("doctor").says(&["PASS /etc/gwinstall/policy.yaml allows what is deployed"]);
    }
}

/// A backup is a file that anyone can make: its record says one address, its keys of the settings another.
#[test]
fn a_backup_whose_settings_differ_from_its_record_is_refused() {
    let Some(managed) = enterprise() else { return };
    managed.run("off --yes").exits(0);
    let copy = managed.home.root().join("copy.tar.gz");
    managed.run(&format!("backup export 1 {}", copy.display())).exits(0);
    let script = "set -e; mkdir \"$HOME/x\" && cd \"$HOME/x\" && tar xzf \"$COPY\"; manifest=gateway/deployment-manifest.json
        sed -i '/\"settings\": {/,$ s#\"https://gw.example.com\"#\"https://evil.example.com\"#' $manifest
        test $(grep -c evil $manifest) = 1
        find gateway -type f | LC_ALL=C sort | tar --format=ustar --owner=0 --group=0 --numeric-owner --mtime=@0 -T - -cf - | gzip -n >\"$COPY\"
        cd .. && rm -r x";
    Run::of(managed.home.shell(script).env("COPY", &copy)).exits(0);
    managed.policy(URLS);
    managed.refuses(&format!("rollback {} --yes", copy.display()), "allow_gateway_urls");
}

#[test]
fn doctor_fails_and_status_says_what_is_forbidden() {
    let Some(managed) = basic() else { return };
    for (policy, rule) in [
        (ENTERPRISE, "allow_presets"),
        (URLS, "allow_gateway_urls"),
        ("pins: [\n", "cannot be understood"),
        ("allow_presets: ~\n", "a key has no value"),
    ] {
        managed.policy(policy);
        managed.run("doctor").exits(1).says(&["FAIL ", rule, "/etc/gwinstall/policy.yaml"]);
        managed.run("status").says(&[rule, "/etc/gwinstall/policy.yaml"]);
    }
    managed.policy("allow_presets: [basic]\n");
    managed.run("doctor").says(&["PASS /etc/gwinstall/policy.yaml allows what is deployed"]);
    managed.run("status").never_says("allow_presets");
    // Settings that another program wrote.
    let settings = managed.home.read(".claude/settings.json");
    managed.home.write(
        ".claude/settings.json",
        settings.replace("http://127.0.0.1:4000", "https://evil.example.com"),
    );
    managed.policy("allow_gateway_urls: [\"http://127.0.0.1:4000\"]\n");
    managed.run("doctor").exits(1).says(&["FAIL the gateway https://evil.example.com"]);
    managed.run("status").says(&["https://evil.example.com", "allow_gateway_urls"]);
    // The same without a deployment.
    managed.run("uninstall --yes").exits(0);
    managed
        .home
        .write(".claude/settings.json", "{\"env\": {\"ANTHROPIC_BASE_URL\": \"https://evil.example.com\"}}");
    managed.run("doctor").exits(1).says(&["FAIL the gateway https://evil.example.com"]);
    managed.run("status").says(&["allow_gateway_urls"]);
}

/// What `self-update --rollback` would restore is judged before anything moves.
#[test]
fn a_rollback_of_the_executable_is_judged_too() {
    let Some(managed) = basic() else { return };
    managed.run("off --yes").exits(0);
    let backup = managed.home.backups().pop().unwrap();
    let zeros = "0".repeat(64);
    let side = |version: &str, seq: u64| serde_json::json!({"seq": seq, "version": version, "sha256": zeros});
    let previous = serde_json::json!({
        "executable": "/nowhere/gwinstall", "kept": "/nowhere/gwinstall.previous",
        "from": side("2.0.0", 2), "to": side("1.0.0", 1), "backup": backup, "deploys": true,
    });
    managed.home.write(".local/state/gwinstall/previous.json", previous.to_string());
    for (policy, rule) in [
        ("updates: off\nmanaged_by: Example IT\n", "updates"),
        ("updates: check\nmanaged_by: Example IT\n", "updates"),
        ("pin: 2.0.0\nmanaged_by: Example IT\n", "pin"),
        (ENTERPRISE, "allow_presets"),
    ] {
        managed.policy(policy);
        managed.refuses("self-update --rollback --yes", rule);
        managed.refuses("self-update --rollback --dry-run", rule);
    }
    managed.policy("pin: 1.0.0\n");
    managed.run("self-update --rollback --yes").exits(1).says(&["replaced since by other means"]);
}

/// `start` points Claude Code at a gateway that was only prepared.
#[test]
fn a_forbidden_deployment_is_not_finished_by_its_start() {
    let home = TestHome::new().unforced();
    let litellm = home.write("tools/litellm", include_str!("../fixtures/litellm.py"));
    home.chmod("tools/litellm", 0o755);
    let home = home.with("GATEWAY_LITELLM_BIN", litellm);
    let Some(managed) = Managed::new(home) else { return };
    managed.run("install --yes").exits(0);
    assert_eq!(managed.home.record()["request"]["pointed"], "armed");
    managed.policy(ENTERPRISE);
    for verb in ["start", "restart", "install --yes --start", "on --yes --force"] {
        managed.refuses(verb, "allow_presets");
    }
}

/// A provider is asked past the gateway: where the list of presets or of addresses does not allow it, no command does.
#[test]
fn a_provider_that_is_forbidden_answers_nobody() {
    let Some(managed) = basic() else { return };
    let key = managed.home.write("key", "sk-deepseek-0123456789abcdef\n");
    let install =
        format!("install --provider deepseek --auth-token-file {} --on --force --yes", key.display());
    // Set up while nothing forbids it, and left again.
    managed.run(&install).exits(0);
    managed.run("use gateway --force").exits(0);
    for policy in ["allow_presets: [basic]\nmanaged_by: Example IT\n", LOCAL] {
        let rule = policy.split(':').next().unwrap();
        managed.policy(policy);
        managed.refuses("use deepseek --force", rule);
        managed.refuses("use deepseek --dry-run", rule);
        managed.refuses(&install, rule);
        managed.refuses("use ollama --models m", rule);
    }
    // What both lists allow is used.
    managed.policy(
        "allow_presets: [basic, direct]\nallow_gateway_urls: [\"http://127.0.0.1:4000\", \"https://api.deepseek.com/anthropic\"]\n",
    );
    managed.run("use deepseek").exits(0);
    managed.policy(LOCAL);
    managed.refuses("update --yes", "allow_gateway_urls");
    managed.run("use claude").exits(0);
}
