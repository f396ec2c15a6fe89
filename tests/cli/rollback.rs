//! Rollback: every byte and mode of what we deployed comes back, secrets and the user's own changes stay as they are.

use crate::bundle::SourceDir;
use crate::home::{Run, TestHome};

fn models(home: &TestHome) -> Vec<String> {
    let record = home.record();
    record["models"].as_array().unwrap().iter().map(|model| model.as_str().unwrap().to_owned()).collect()
}

/// P-233, D-168, D-178.
#[test]
fn every_byte_and_mode_comes_back() {
    let home = TestHome::new();
    home.write(".claude/settings.json", "{\"model\": \"opus\"}");
    home.run("install --yes").exits(0);
    // Edits and modes of the user are part of the state that a rollback goes to.
    home.write(".claude/gateway/docs/faq.md", "mine\n");
    home.chmod(".claude/gateway/docs/faq.md", 0o600);
    home.chmod(".claude/gateway/scripts/health-check.sh", 0o700);
    let before = (home.deployment(), home.read(".claude/settings.json"));
    let source = SourceDir::new(&home)
        .ships("docs/operations.md", "next")
        .ships("start-gateway.sh", "# next")
        .drops("docs/routing-strategies.md");
    home.run(&(source.install() + " --preset proxy --models glm-5.2 --gateway-url http://127.0.0.1:4555"))
        .exits(0);
    assert!(before.0.changes(&home.deployment()).len() > 4);
    home.run("rollback --yes").exits(0);
    assert_eq!(before.0.changes(&home.deployment()), [""; 0]);
    assert_eq!(before.1, home.read(".claude/settings.json"));
    assert_eq!(home.record()["operation"], "rollback");
    home.run("status").exits(0);
}

/// D-176, D-178. There and back again: the safety backup is the way back.
#[test]
fn a_rollback_can_be_rolled_back() {
    let home = TestHome::deployed();
    home.run("install --yes --models glm-5.2").exits(0);
    let after = home.deployment();
    home.run("rollback --yes").exits(0).says(&["To undo this rollback: gwinstall rollback gateway-backup-"]);
    assert_eq!(models(&home), ["gemini-3.8-flash", "glm-5.2"]);
    let safety = home.backups().pop().unwrap();
    let index = home.json(".claude/gateway/backups/metadata.json");
    assert_eq!(index["backups"].as_array().unwrap().last().unwrap()["safety"], true);
    home.run(&format!("rollback {safety} --yes")).exits(0);
    assert_eq!(after.changes(&home.deployment()), [""; 0]);
}

/// D-175, D-176. Plain `rollback` walks back a step at a time; a number counts from the newest.
#[test]
fn one_step_back_at_a_time_or_by_number_or_name() {
    let home = TestHome::new();
    let states = ["glm-5.2", "gemini-3.8-flash", "gpt-oss-120b", "gemini-3.5-flash-lite"];
    for model in states {
        home.run(&format!("install --yes --models {model}")).exits(0);
    }
    for expected in ["gpt-oss-120b", "gemini-3.8-flash", "glm-5.2"] {
        home.run("rollback --yes").exits(0);
        assert_eq!(models(&home), [expected]);
    }
    let run = home.refused(&mut home.command("rollback --yes"), 1);
    run.says(&["the oldest state already", "gwinstall rollback 1", "gwinstall backup list"])
        .never_says("uninstall")
        .never_says("there is no backup");
    home.run("rollback 1 --yes").exits(0);
    assert_eq!(models(&home), ["gpt-oss-120b"]);
    home.run("rollback 3 --yes").exits(0);
    assert_eq!(models(&home), ["glm-5.2"]);
    for wrong in ["0", "4", "99", "-1", "nothing.tar.gz", "../../etc/passwd", "/nowhere/x.tar.gz"] {
        home.refused(home.command("rollback --yes").args(["--", wrong]), 2).says(&["gwinstall backup list"]);
    }
}

/// D-175.
#[test]
fn without_a_backup_there_is_nothing_to_go_back_to() {
    let home = TestHome::new();
    home.refused(&mut home.command("rollback --yes"), 1)
        .says(&["there is no backup", "gwinstall install"])
        .never_says("uninstall");
    let home = TestHome::deployed();
    home.refused(&mut home.command("rollback --yes"), 1).says(&["gwinstall uninstall"]);
}

/// A rotated key stays rotated.
#[test]
fn secrets_stay_as_they_are_now() {
    let home = TestHome::new().with("GOOGLE_APPLICATION_CREDENTIALS", "/first.json");
    home.run("install --yes").exits(0);
    let old = home.env_value("LITELLM_MASTER_KEY").unwrap();
    home.run("install --yes --models glm-5.2").exits(0);
    let rotated = "sk-rotated-0123456789abcdef";
    let text = home.read(".claude/gateway/.env").replace(&old, rotated);
    home.write(".claude/gateway/.env", text);
    home.run("rollback --yes").exits(0);
    assert_eq!(home.env_value("LITELLM_MASTER_KEY").unwrap(), rotated);
    assert_eq!(home.env_value("GOOGLE_APPLICATION_CREDENTIALS").unwrap(), "/first.json");
    assert!(home.tree().holding(&old).is_empty());
    home.run("rollback 1 --yes").exits(0);
    assert_eq!(home.env_value("LITELLM_MASTER_KEY").unwrap(), rotated);
}

/// A value that is no secret returns, unless the user changed it since.
#[test]
fn other_values_return_unless_the_user_changed_them() {
    let home = TestHome::new();
    let first = "install --yes --preset proxy --proxy-url http://one.example:1";
    Run::of(home.command(first).env("SSL_CERT_FILE", "/etc/ssl/corp.pem")).exits(0);
    home.run("install --yes --preset basic").exits(0);
    assert_eq!(home.env_value("SSL_CERT_FILE"), None);
    home.run("rollback --yes").exits(0);
    assert_eq!(home.env_value("SSL_CERT_FILE").as_deref(), Some("/etc/ssl/corp.pem"));
    let text = home
        .read(".claude/gateway/.env")
        .replace("VERTEXAI_LOCATION=us-central1", "VERTEXAI_LOCATION=europe-west4");
    home.write(".claude/gateway/.env", text);
    home.run("install --yes --models glm-5.2").exits(0);
    home.run("rollback --yes").exits(0);
    assert_eq!(home.env_value("VERTEXAI_LOCATION").as_deref(), Some("europe-west4"));
}

/// A secret that went with a change of preset is in no backup: what is missing now is said, with the command that helps.
#[test]
fn what_is_missing_after_a_rollback_is_said() {
    let home = TestHome::new();
    home.run("install --yes --preset proxy --proxy-url http://one.example:1 --proxy-auth me:word").exits(0);
    home.run("install --yes --preset basic").exits(0);
    assert!(home.tree().holding("me:word").is_empty());
    home.run("rollback --yes").exits(0).says(&["HTTPS_PROXY", "gwinstall env set"]);
}

/// After an uninstall the backups still bring everything back.
#[test]
fn rollback_after_uninstall_brings_everything_back() {
    let home = TestHome::new();
    home.write(".claude/settings.json", "{\"model\": \"opus\"}");
    home.run("install --yes").exits(0);
    let before = (home.deployment(), home.read(".claude/settings.json"));
    home.run("uninstall --yes").exits(0).says(&["gwinstall rollback"]);
    assert_eq!(home.read(".claude/settings.json"), "{\"model\": \"opus\"}");
    home.run("rollback --yes").exits(0);
    assert_eq!(before.0.changes(&home.deployment()), [""; 0]);
    assert_eq!(before.1, home.read(".claude/settings.json"));
    home.run("uninstall --yes --purge").exits(0);
    assert_eq!(home.read(".claude/settings.json"), "{\"model\": \"opus\"}");
    assert!(!home.gateway("").exists());
}

/// A key of settings.json that the user changed since stays.
#[test]
fn a_settings_key_that_the_user_changed_since_stays() {
    let home = TestHome::deployed();
    home.run("install --yes --models glm-5.2 --gateway-url http://127.0.0.1:4555").exits(0);
    let text = home.read(".claude/settings.json").replace("http://127.0.0.1:4555", "http://127.0.0.1:7777");
    home.write(".claude/settings.json", text);
    home.run("rollback --yes").exits(0).says(&["ANTHROPIC_BASE_URL", "you changed it"]);
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_BASE_URL"], "http://127.0.0.1:7777");
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_MODEL"], "gemini-3.8-flash");
}

/// Nothing to do is nothing written.
#[test]
fn a_rollback_to_what_is_there_writes_nothing() {
    let home = TestHome::deployed();
    home.run("install --yes --models glm-5.2").exits(0);
    home.run("rollback --yes").exits(0);
    let name = &home.backups()[0];
    home.touches_nothing(&format!("rollback {name} --yes")).exits(0).says(&["Nothing to do"]);
}

/// Off is a state like any other: a rollback does not switch the gateway on behind the user's back.
#[test]
fn off_survives_where_the_backup_has_it() {
    let home = TestHome::deployed();
    home.run("off --yes").exits(0);
    home.run("install --yes --models glm-5.2").exits(0);
    assert!(home.settings().exists(), "install points Claude Code at the gateway");
    home.run("rollback --yes").exits(0);
    assert!(!home.settings().exists());
    home.run("status").exits(0).says(&["gwinstall on"]);
}

/// Root would leave files that their owner cannot change: it is told to be that user, or to stage.
#[test]
fn root_in_a_home_of_another_is_refused() {
    if !crate::home::is_root() {
        eprintln!("not checked: it takes root");
        return;
    }
    let home = TestHome::new().owned_by_nobody();
    let as_root = |arguments: &str| {
        let mut command = std::process::Command::new(crate::home::binary());
        command.env_clear().env("HOME", home.home()).env("PATH", "/usr/bin:/bin").args(arguments.split(' '));
        command
    };
    home.refused(&mut as_root("install --yes"), 2).says(&["belongs to another user", "gwinstall --home"]);
    home.run("install --yes").exits(0);
    for arguments in ["install --yes --preset proxy", "off --yes", "uninstall --yes"] {
        home.refused(&mut as_root(arguments), 2);
    }
    Run::of(&mut as_root("status")).exits(0);
    home.run("install --yes --preset proxy").exits(0);
}

/// A value may be any word, also one that a program could use for "there is none": nothing of it is lost by a rollback.
#[test]
fn words_that_look_like_marks_come_back_as_values() {
    const WORDS: [&str; 12] =
        ["secret", "set", "missing", "null", "removed", "value", "none", "all", "true", "0", "-0", "state"];
    for word in WORDS.iter().filter(|word| !word.starts_with('-')) {
        let home = TestHome::new();
        home.write("token", "t0ken-0123456789\n");
        let token = home.path("token");
        let enterprise = format!(
            "install --yes --preset enterprise --gateway-type custom --gateway-url https://gw.example.com --auth-token-file {}",
            token.display()
        );
        home.run(&format!("{enterprise} --models {word},mid,small")).exits(0);
        let settings = home.json(".claude/settings.json");
        assert_eq!(settings["env"]["ANTHROPIC_MODEL"], *word);
        home.run("install --yes --models other").exits(0);
        home.run("rollback --yes").exits(0);
        assert_eq!(home.json(".claude/settings.json"), settings, "{word}");
        home.run("off --yes").exits(0);
        home.run("on --yes").exits(0);
        assert_eq!(home.json(".claude/settings.json"), settings, "{word}");
        home.run("status").exits(0).says(&[word, "uses it"]);
    }
}
