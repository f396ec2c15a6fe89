//! The phases of an operation that fails, as the log tells them: only those that it came to, and what became of what it
//! had changed.

use serde_json::{Value, json};

use crate::exits::{free_port, with_litellm};
use crate::home::{Run, TestHome};

/// States, status and outcome of the last operation in the log.
fn ended(home: &TestHome) -> (Value, Value, Value) {
    let last = home.log().pop().unwrap();
    (last["states"].clone(), last["status"].clone(), last["outcome"].clone())
}

/// A deployment whose configuration cannot be replaced: its directory takes no new file.
fn with_a_closed_config() -> TestHome {
    let home = TestHome::deployed();
    home.chmod(".claude/gateway/config", 0o500);
    let home = home.owned_by_nobody();
    home.chmod(".claude/gateway/config", 0o500);
    home
}

/// D-023, D-024. What failed while files were exchanged was taken back, and the live tree was never judged.
#[test]
fn a_failed_exchange_is_rolled_back_and_was_not_validated() {
    let home = with_a_closed_config();
    home.refused(&mut home.command("models remove glm-5.2 --yes"), 1).says(&["config/litellm.yaml"]);
    let states = json!(["CREATED", "VALIDATING", "BACKING_UP", "DEPLOYING", "ROLLING_BACK", "FAILED"]);
    assert_eq!(ended(&home), (states, "rolled_back".into(), "rolled_back".into()));
}

/// The gateway is gone and its settings are back: that gwinstall cannot see which LiteLLM stays is said, and is no failure.
#[test]
fn an_uninstall_that_is_done_does_not_fail_over_what_it_cannot_look_at() {
    let home = TestHome::deployed();
    home.write(".local/share/gwinstall/runtime/x", "");
    home.chmod(".local/share/gwinstall/runtime", 0o000);
    let home = home.owned_by_nobody();
    home.chmod(".local/share/gwinstall/runtime", 0o000);
    let run = home.run("uninstall --yes");
    home.chmod(".local/share/gwinstall/runtime", 0o700);
    run.exits(0).says(&["gwinstall removed the gateway", "note: cannot list", "permission denied"]);
    assert!(!home.path(".claude/gateway/deployment-manifest.json").exists());
}

/// D-024. Staged files that are no valid configuration end it before anything changed: there is nothing to undo.
#[test]
fn a_staged_configuration_that_is_not_valid_ends_it_before_a_change() {
    let home = TestHome::deployed();
    let sound = home.read(".claude/gateway/config/litellm.yaml");
    home.write(".claude/gateway/config/litellm.yaml", "model_list: nothing\n");
    home.run("backup create").exits(0);
    home.write(".claude/gateway/config/litellm.yaml", sound);
    home.refused(&mut home.command("rollback --yes"), 1)
        .says(&["the configuration in the backup is not valid", "litellm.yaml:1:", "gwinstall backup list"])
        .never_says("gwinstall validate");
    let states = json!(["CREATED", "VALIDATING", "BACKING_UP", "DEPLOYING", "FAILED"]);
    assert_eq!(ended(&home), (states, "failed".into(), Value::Null));
}

/// A change that fails when the gateway is started.
fn with_a_gateway_that_does_not_start() -> (TestHome, String) {
    let install = format!(
        "install --yes --preset proxy --proxy-url http://p.example:1 --gateway-url http://127.0.0.1:{} --start",
        free_port()
    );
    (with_litellm(TestHome::deployed(), "exit 1"), install)
}

/// D-023. A live tree that does not pass is judged, and then taken back.
#[test]
fn a_live_tree_that_does_not_pass_is_validated_and_rolled_back() {
    let (home, install) = with_a_gateway_that_does_not_start();
    home.run(&install).exits(5);
    let states = json!([
        "CREATED",
        "VALIDATING",
        "BACKING_UP",
        "DEPLOYING",
        "VALIDATING_POST",
        "ROLLING_BACK",
        "FAILED"
    ]);
    assert_eq!(ended(&home), (states, "rolled_back".into(), "rolled_back".into()));
}

/// C-023. Of a success there is no outcome to tell.
#[test]
fn a_success_has_no_outcome() {
    let home = TestHome::deployed();
    let (_, status, outcome) = ended(&home);
    assert_eq!((status, outcome), ("success".into(), Value::Null));
}

/// D-024. What somebody edited meanwhile stays, so not everything is back: the outcome says so.
#[test]
fn an_undo_that_had_to_leave_something_is_no_rollback() {
    let home = TestHome::deployed();
    let edit = format!("echo '# meanwhile' >>{}; exit 1", home.gateway("config/litellm.yaml").display());
    let home = with_litellm(home, &edit);
    home.run(&format!(
        "install --yes --preset proxy --proxy-url http://p.example:1 --gateway-url http://127.0.0.1:{} --start",
        free_port()
    ))
    .exits(7)
    .says(&["was edited and stays"]);
    let (states, status, outcome) = ended(&home);
    assert_eq!((status, outcome), ("failed".into(), "rollback_failed".into()));
    assert!(states.as_array().unwrap().ends_with(&["ROLLING_BACK".into(), "FAILED".into()]));
}

/// D-137, P-180. `--json` of a failure tells what the log tells, and the checks of both sides of the change.
#[test]
fn json_of_a_failure_has_states_outcome_and_checks() {
    let (home, install) = with_a_gateway_that_does_not_start();
    let data = home.run(&format!("{install} --json")).exits(5).json()["data"].clone();
    let (states, _, outcome) = ended(&home);
    assert_eq!((&data["states"], &data["outcome"]), (&states, &outcome));
    let of = |checks: &str, name: &str| {
        let check = data[checks].as_array().unwrap().iter().find(|check| check["check_name"] == name);
        check.unwrap_or_else(|| panic!("no {name} in {checks}: {data}"))["status"].clone()
    };
    assert_eq!(of("checks", "yaml_config_valid"), "PASS");
    assert_eq!(of("pre_checks", "source_structure_valid"), "PASS");
    assert!(data["causes"].as_array().is_some_and(|causes| !causes.is_empty()));
}

/// D-021, D-152. A check before the change ends it in VALIDATING: a line in the log, where there is one, and no change.
#[test]
fn a_refusal_by_a_check_before_the_change_is_logged() {
    let home = TestHome::deployed();
    let before = home.log().len();
    let run = home.refused(&mut home.command("install --yes --models glm-5.2 --strict --json"), 1);
    let data = run.json()["data"].clone();
    let states = json!(["CREATED", "VALIDATING", "FAILED"]);
    assert_eq!((&data["states"], &data["outcome"]), (&states, &Value::Null));
    let failed = data["pre_checks"].as_array().unwrap().iter().find(|check| check["status"] == "FAIL");
    assert_eq!(failed.unwrap()["check_name"], "required_env_vars_present");
    assert_eq!(home.log().len(), before + 1);
    assert_eq!(ended(&home), (states, "failed".into(), Value::Null));
    let last = home.log().pop().unwrap();
    assert_eq!((&last["operation"], &last["preset"]), (&"install".into(), &"basic".into()));
    assert!(last["error_message"].as_str().unwrap().contains("no value yet for"));
    // A dry run and a first installation have nothing to write to.
    home.touches_nothing("install --dry-run --models glm-5.2 --strict").exits(0);
    let home = TestHome::new();
    let run = home.touches_nothing("install --yes --strict --json").exits(1);
    assert_eq!(run.json()["data"]["states"], json!(["CREATED", "VALIDATING", "FAILED"]));
}

/// The phases of the one line about times, on stderr.
fn timed(run: &Run) -> Vec<String> {
    let line = run.stderr.lines().find_map(|line| Some(line.split_once("] INFO: time: ")?.1));
    let line = line.unwrap_or_else(|| panic!("{} tells no times:\n{}", run.what, run.all()));
    let phase = |one: &str| {
        let (phase, milliseconds) = one.strip_suffix(" ms").unwrap().rsplit_once(' ').unwrap();
        milliseconds.parse::<u64>().unwrap();
        phase.to_owned()
    };
    line.split(", ").map(phase).collect()
}

/// `--verbose` promises the time of each step: of those that were come to, also where it failed.
#[test]
fn verbose_tells_the_time_of_each_phase() {
    let home = TestHome::new();
    let all = ["backup", "staging", "validation", "exchange", "checks"];
    let first = home.run("install --yes --verbose --models gemini-3.8-flash,glm-5.2").exits(0);
    assert_eq!(timed(&first), all[1..], "before the first there is nothing to back up");
    let lines = first.all();
    for phase in &all[1..] {
        let of = |word: &str, end: &str| {
            lines.lines().any(|line| {
                line.starts_with('[') && line.contains(&format!("Z] {word}")) && line.ends_with(end)
            })
        };
        let completed = of("SUCCESS: Completed in ", &format!(" s: {phase}"));
        assert!(of("INFO: Starting ", phase) && completed, "{phase}: {lines}");
    }
    assert_eq!(timed(&home.run("off --yes --verbose").exits(0)), all);
    let quiet = home.run("on --yes").exits(0);
    assert!(!quiet.all().contains("time: "), "{}", quiet.all());
    let json = home.run("off --yes --json").exits(0).json();
    let phases: Vec<_> =
        json["data"]["times"].as_array().unwrap().iter().map(|one| one["phase"].clone()).collect();
    assert_eq!(phases, all);
    let home = with_a_closed_config();
    let failed = home.run("models remove glm-5.2 --yes --verbose").exits(1);
    assert_eq!(timed(&failed), all[..4]);
    let error = |line: &str| line.contains("Z] ERROR: Failed after ") && line.ends_with(" s: exchange");
    assert!(failed.stderr.lines().any(error), "{}", failed.all());
}

/// P-297, P-298, P-300, P-304. With `--verbose` every check and every phase is a line with its moment and its level.
#[test]
fn verbose_logs_each_check_with_its_moment_and_level() {
    let home = TestHome::new();
    let run = home.run("install --yes --verbose --models gemini-3.8-flash,glm-5.2").exits(0);
    let logged = |level: &str, text: &str| {
        let is = |line: &&str| line.starts_with("[20") && line.contains(&format!("Z] {level}: {text}"));
        assert!(run.stderr.lines().any(|line| is(&line)), "{level} {text}: {}", run.stderr);
    };
    logged("SUCCESS", "disk_space_sufficient: ");
    logged("SUCCESS", "source_structure_valid: ");
    logged("SUCCESS", "yaml_config_valid: config/litellm.yaml is valid");
    logged("WARN", "required_env_vars_present: ");
    logged("WARN", "optional, and without a value: ");
    logged("INFO", "aws_login_found: ");
    let bare = |line: &str| ["PASS", "WARN", "FAIL", "SKIP"].iter().any(|word| line.starts_with(word));
    assert!(!run.stderr.lines().any(bare), "{}", run.stderr);
    let quiet = TestHome::new().run("install --yes --models gemini-3.8-flash").exits(0);
    assert!(!quiet.all().contains("without a value:"), "{}", quiet.all());
}

/// P-280. `--verbose` names the record beside the other files of the plan.
#[test]
fn verbose_shows_the_record_in_the_plan() {
    let home = TestHome::new();
    let said = home.run("install --dry-run --verbose").exits(0);
    assert!(said.stdout.contains("deployment-manifest.json"), "{}", said.all());
    let short = home.run("install --dry-run").exits(0);
    assert!(!short.all().contains("deployment-manifest.json"), "{}", short.all());
}
