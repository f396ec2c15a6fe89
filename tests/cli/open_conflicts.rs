//! A conflict stays open, whatever runs next, until it is resolved or over; and what common sense merges is merged.

use std::fs;
use std::os::unix::fs::symlink;

use crate::bundle::SourceDir;
use crate::home::TestHome;

const CONFIG: &str = ".claude/gateway/config/litellm.yaml";
const OFFER: &str = ".claude/gateway/config/litellm.yaml.gwinstall-new";
const BASE: &str = "templates/litellm-base.yaml";

/// `path` with `from` replaced; the text must be there.
fn edit(home: &TestHome, path: &str, from: &str, to: &str) {
    let text = home.read(path);
    assert!(text.contains(from), "{from:?} is not in\n{text}");
    home.write(path, text.replacen(from, to, 1));
}

/// A bundle whose configuration waits for `seconds`.
fn waits(home: &TestHome, seconds: u32) -> SourceDir {
    let source = SourceDir::new(home);
    let text = fs::read_to_string(source.path().join(BASE)).unwrap();
    assert!(text.contains("request_timeout: 600"));
    source.replaces(BASE, &text.replace("request_timeout: 600", &format!("request_timeout: {seconds}")))
}

/// Deployed, the timeout changed by the user to 900 and by the bundle to 1200.
fn conflict() -> (TestHome, SourceDir) {
    let home = TestHome::deployed();
    edit(&home, CONFIG, "request_timeout: 600", "request_timeout: 900");
    let source = waits(&home, 1200);
    home.run(&source.install()).exits(4).says(&["gwinstall resolve config/litellm.yaml"]);
    (home, source)
}

fn of_record(home: &TestHome, field: &str) -> serde_json::Value {
    home.record()["files"]["config/litellm.yaml"][field].clone()
}

#[test]
fn a_model_of_the_user_and_a_model_that_is_added_both_stay() {
    let home = TestHome::new();
    home.run("install --yes --preset basic --models gemini-3.8-flash,glm-5.2").exits(0);
    let mine = "\n  # mine\n  - model_name: own\n    litellm_params:\n      model: openai/own\n      api_key: os.environ/OWN_KEY # not here\n";
    edit(&home, CONFIG, "\n\nlitellm_settings:", &format!("\n{mine}\nlitellm_settings:"));
    home.run("models add gpt-oss-120b --yes").exits(0);
    let config = home.read(CONFIG);
    assert!(config.contains(mine.trim_start()) && config.contains("- model_name: gpt-oss-120b"), "{config}");
    assert!(!home.path(OFFER).exists());
    home.run("models remove glm-5.2 --yes").exits(0);
    let config = home.read(CONFIG);
    assert!(config.contains(mine.trim_start()) && !config.contains("glm-5.2"), "{config}");
    home.run("validate").never_says("duplicate");
}

#[test]
fn a_conflict_stays_open_whatever_runs_next() {
    let (home, source) = conflict();
    let delivered = of_record(&home, "base");
    let offered = home.read(OFFER);
    assert!(offered.contains("request_timeout: 1200"));
    home.touches_nothing(&source.install()).exits(0).says(&["A conflict is open: config/litellm.yaml"]);
    let value = home.write("value", "mine\n");
    home.run(&format!("env set VERTEXAI_PROJECT --from {} --yes", value.display())).exits(0);
    home.run("off --yes").exits(0);
    home.run("on --yes").exits(0);
    assert_eq!(home.read(OFFER), offered);
    assert_eq!(of_record(&home, "base"), delivered, "a version that was not delivered is not a base");
    // A newer version is the one that is offered from then on.
    home.run("models add gpt-oss-120b --yes").exits(4).says(&["gwinstall resolve config/litellm.yaml"]);
    assert!(home.read(OFFER).contains("gpt-oss-120b") && home.read(OFFER).contains("request_timeout: 1200"));
    assert_eq!(of_record(&home, "base"), delivered);
    home.run("resolve").exits(0).says(&["config/litellm.yaml"]);
    home.run("status").says(&["config/litellm.yaml  has a new version beside it"]);
    assert!(home.read(CONFIG).contains("request_timeout: 900"));
}

#[test]
fn a_conflict_is_over_when_the_newest_version_merges() {
    let (home, source) = conflict();
    edit(&home, CONFIG, "request_timeout: 900", "request_timeout: 600 # as it was");
    home.run(&source.install()).exits(0).says(&["its conflict is over"]);
    let config = home.read(CONFIG);
    assert!(config.contains("request_timeout: 1200 # as it was"), "{config}");
    assert!(!home.path(OFFER).exists());
    home.run("resolve").exits(0).says(&["No conflict is open"]);
    // The bundle that was deployed before has the delivered value: nothing is left to offer.
    let (home, _) = conflict();
    let back = waits(&home, 600);
    home.run(&back.install()).exits(0);
    assert!(!home.path(OFFER).exists() && home.read(CONFIG).contains("request_timeout: 900"));
    home.run("resolve").exits(0).says(&["No conflict is open"]);
}

#[test]
fn the_version_that_was_decided_about_is_the_next_base() {
    let (home, _) = conflict();
    home.run("resolve config/litellm.yaml --keep-mine --yes").exits(0);
    assert!(!home.path(OFFER).exists());
    let next = waits(&home, 1200).ships(BASE, "# next");
    home.run(&next.install()).exits(0);
    let config = home.read(CONFIG);
    assert!(config.contains("request_timeout: 900") && config.contains("# next"), "{config}");
    let newer = waits(&home, 1300);
    home.run(&newer.install()).exits(4);
    home.run("resolve config/litellm.yaml --take-new --yes").exits(0);
    assert!(home.read(CONFIG).contains("request_timeout: 1300"));
    home.run(&newer.install()).exits(0);
    home.run("verify").exits(0);
}

#[test]
fn an_offered_version_that_the_user_edited_is_not_overwritten() {
    let (home, _) = conflict();
    home.write(OFFER, "merged by hand\n");
    home.run(&waits(&home, 1300).install()).exits(4);
    assert_eq!(home.read(OFFER), "merged by hand\n");
}

#[test]
fn a_rollback_ends_a_conflict_and_another_one_opens_it_again() {
    let (home, _) = conflict();
    let offered = home.read(OFFER);
    home.run("rollback --yes").exits(0);
    assert!(!home.path(OFFER).exists());
    home.run("resolve").exits(0).says(&["No conflict is open"]);
    let safety = home.backups().pop().unwrap();
    home.run(&format!("rollback {safety} --yes")).exits(0);
    assert_eq!(home.read(OFFER), offered);
    home.run("resolve").exits(0).says(&["config/litellm.yaml"]);
}

/// The line of the port is a value like any other: an edit stays, and another port of the installation is a conflict.
#[test]
fn a_port_that_the_user_changed_conflicts_with_another_port() {
    let home = TestHome::deployed();
    let start = ".claude/gateway/start-gateway.sh";
    edit(&home, start, "GATEWAY_PORT=4000", "GATEWAY_PORT=4001");
    home.run("models remove glm-5.2 --yes").exits(0);
    assert!(home.read(start).contains("GATEWAY_PORT=4001 #"));
    home.run("install --gateway-url http://127.0.0.1:5000 --yes")
        .exits(4)
        .says(&["start-gateway.sh", "gwinstall resolve start-gateway.sh"]);
    assert!(home.read(start).contains("GATEWAY_PORT=4001 #"));
    home.run("diff").exits(3).says(&["-GATEWAY_PORT=4001", "+GATEWAY_PORT=5000"]);
    home.run("resolve start-gateway.sh --take-new --yes").exits(0);
    assert!(home.read(start).contains("GATEWAY_PORT=5000 #"));
}

/// A guide that an update brings for the first time, where the user has a file of that name.
#[test]
fn a_file_of_the_user_does_not_block_a_newly_shipped_guide() {
    let home = TestHome::new();
    home.run(&SourceDir::new(&home).drops("docs/faq.md").install()).exits(0);
    home.write(".claude/gateway/docs/faq.md", "mine\n");
    home.run("install --yes").exits(0).says(&["docs/faq.md"]);
    assert_eq!(home.read(".claude/gateway/docs/faq.md"), "mine\n");
    home.touches_nothing("install --yes").exits(0).says(&["docs/faq.md"]);
    home.run("verify").exits(0);
    home.run("uninstall --yes").exits(0);
    assert_eq!(home.read(".claude/gateway/docs/faq.md"), "mine\n");
    // What the gateway needs still asks.
    let home = TestHome::new();
    home.run(&SourceDir::new(&home).drops("scripts/debug-auth.sh").install()).exits(0);
    home.write(".claude/gateway/scripts/debug-auth.sh", "mine\n");
    home.run("install --yes").exits(2).says(&["scripts/debug-auth.sh", "--force"]);
}

/// `diff` shows the lines that the user changed, against what was delivered.
#[test]
fn the_edits_of_the_user_are_shown() {
    let home = TestHome::deployed();
    edit(&home, CONFIG, "request_timeout: 600", "request_timeout: 900\n  api_key: canary-in-clear");
    let run = home.run("diff").exits(3).never_says("canary");
    run.says(&["= config/litellm.yaml", "-  request_timeout: 600", "+  request_timeout: 900"])
        .never_says("master_key");
    let (home, source) = conflict();
    let diff = format!("diff --source-dir {}", source.path().display());
    let run = home.run(&diff).exits(3);
    run.says(&["-  request_timeout: 900", "+  request_timeout: 1200"]).never_says("master_key");
}

/// The configuration and the values of a person who keeps them elsewhere, behind links.
#[test]
fn a_configuration_behind_a_link_is_merged_where_it_is() {
    let home = TestHome::deployed();
    for (name, path) in [("litellm.yaml", CONFIG), ("env", ".claude/gateway/.env")] {
        home.write(&format!("dotfiles/{name}"), home.read(path));
        fs::remove_file(home.path(path)).unwrap();
        symlink(home.path(&format!("dotfiles/{name}")), home.path(path)).unwrap();
    }
    edit(&home, "dotfiles/litellm.yaml", "num_retries: 2", "num_retries: 5");
    home.run("models add gpt-oss-120b --yes").exits(0).never_says("loop");
    let config = home.read("dotfiles/litellm.yaml");
    assert!(config.contains("num_retries: 5") && config.contains("gpt-oss-120b"), "{config}");
    let value = home.write("value", "mine\n");
    home.run(&format!("env set VERTEXAI_PROJECT --from {} --yes", value.display())).exits(0);
    assert!(home.read("dotfiles/env").contains("VERTEXAI_PROJECT=mine"));
    for path in [CONFIG, ".claude/gateway/.env"] {
        assert!(fs::symlink_metadata(home.path(path)).unwrap().is_symlink(), "{path}");
    }
    for command in ["status", "doctor", "env check", "verify", "validate", "diff", "backup create"] {
        home.run(command).never_says("loop").never_says("regular file");
    }
    home.run("rollback 3 --yes").exits(0);
    assert!(!home.read("dotfiles/litellm.yaml").contains("gpt-oss-120b"));
    home.run("uninstall --yes").exits(0);
    assert!(home.path("dotfiles/litellm.yaml").exists() && home.path("dotfiles/env").exists());
}

/// A link that leads nowhere is named as what it is.
#[test]
fn a_dangling_link_is_named() {
    let home = TestHome::deployed();
    fs::remove_file(home.path(CONFIG)).unwrap();
    symlink("/nonexistent/litellm.yaml", home.path(CONFIG)).unwrap();
    for command in ["status", "install --yes", "validate"] {
        home.run(command).never_says("loop").never_says("too many levels");
    }
    home.run("install --yes").exits(1).says(&["it is a symbolic link that gwinstall does not follow"]);
    assert!(fs::symlink_metadata(home.path(CONFIG)).unwrap().is_symlink());
}
