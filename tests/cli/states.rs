//! The stations of an operation that fails, as the log tells them: only those that it came to, and what became of what it
//! had changed.

use serde_json::{Value, json};

use crate::exits::{free_port, with_litellm};
use crate::home::TestHome;

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

/// D-024. Staged files that are no valid configuration end it before anything changed: there is nothing to undo.
#[test]
fn a_staged_configuration_that_is_not_valid_ends_it_before_a_change() {
    let home = TestHome::deployed();
    let sound = home.read(".claude/gateway/config/litellm.yaml");
    home.write(".claude/gateway/config/litellm.yaml", "model_list: nothing\n");
    home.run("backup create").exits(0);
    home.write(".claude/gateway/config/litellm.yaml", sound);
    home.refused(&mut home.command("rollback --yes"), 1).says(&["not valid"]);
    let states = json!(["CREATED", "VALIDATING", "BACKING_UP", "DEPLOYING", "FAILED"]);
    assert_eq!(ended(&home), (states, "failed".into(), Value::Null));
}

/// D-023. A live tree that does not pass is judged, and then taken back.
#[test]
fn a_live_tree_that_does_not_pass_is_validated_and_rolled_back() {
    let home = TestHome::deployed();
    home.write(".claude/gateway/start-gateway.sh", "not a script\n");
    home.refused(&mut home.command("models remove glm-5.2 --yes"), 5).says(&["start-gateway.sh"]);
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
