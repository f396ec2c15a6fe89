//! Files that the user broke by hand: named as theirs before anything changes, and in nobody's way.

use crate::home::TestHome;

const CONFIG: &str = ".claude/gateway/config/litellm.yaml";
const START: &str = ".claude/gateway/start-gateway.sh";

/// Exit 1 and not 5: what is wrong was wrong before, and nothing was deployed that had to be taken back.
#[test]
fn a_configuration_that_the_user_broke_is_named_as_theirs() {
    for change in
        ["models remove glm-5.2 --yes", "install --yes --models glm-5.2", "install --yes --preset proxy"]
    {
        let home = TestHome::deployed();
        let text = home.read(CONFIG);
        home.write(CONFIG, text.replacen("model_list:", "model_list: [", 1));
        let run = home.refused(&mut home.command(change), 1);
        run.says(&[
            "~/.claude/gateway/config/litellm.yaml cannot be used as it is, and nothing was changed",
            "config/litellm.yaml:",
            "this is your edit",
            "gwinstall validate",
        ])
        .never_says("the new deployment");
        home.run("validate").exits(1);
        let last = home.log().pop().unwrap();
        assert_eq!(last["states"], serde_json::json!(["CREATED", "VALIDATING", "FAILED"]));
        assert!(home.backups().is_empty());
        // The hint: ours comes back, and the change goes through.
        std::fs::rename(home.path(CONFIG), home.path(&format!("{CONFIG}.mine"))).unwrap();
        home.run(change).exits(0);
    }
}

#[test]
fn a_start_script_that_the_user_broke_is_named_as_theirs() {
    let home = TestHome::deployed();
    home.write(START, "echo mine\n");
    home.refused(&mut home.command("models remove glm-5.2 --yes"), 1).says(&[
        "start-gateway.sh cannot be used as it is",
        "this is your edit",
        "gwinstall diff",
    ]);
}

/// What points Claude Code away from a broken gateway, or gives it a value, must not ask for a sound one.
#[test]
fn off_on_and_env_set_work_beside_a_broken_configuration() {
    let home = TestHome::deployed();
    home.write(CONFIG, "model_list: [\n");
    home.write("value", "my-project\n");
    let value = home.path("value");
    for change in ["off", "on", &format!("env set VERTEXAI_PROJECT --from {}", value.display())] {
        let run = home.run(&format!("{change} --yes --json"));
        assert_eq!(run.code, 0, "{change}: {}", run.all());
        let checks = run.json()["data"]["checks"].clone();
        let yaml = checks.as_array().unwrap().iter().find(|check| check["check_name"] == "yaml_config_valid");
        assert_eq!(yaml.unwrap()["status"], "WARN", "{change}");
    }
    assert_eq!(home.read(CONFIG), "model_list: [\n");
    assert_eq!(home.env_value("VERTEXAI_PROJECT").as_deref(), Some("my-project"));
}

/// A key that LiteLLM passes on, a model for an environment, a setting of a later LiteLLM: `validate` warns, and every change
/// goes through and keeps the edit.
#[test]
fn a_doubtful_line_of_the_user_stops_no_change() {
    let own = "model_list:\n  - model_name: own\n    litellm_params:\n      model: bedrock/x\n      \
               model_id: arn:aws:bedrock:eu-west-1:000000000000:application-inference-profile/abc\n      vertex_projct: p\n    \
               model_info:\n      supported_environments: [production]\n";
    for change in ["install --yes", "update --yes", "models add glm-5.2 --yes", "models remove glm-5.2 --yes"]
    {
        let home = TestHome::deployed();
        if change.starts_with("models add") {
            home.run("models remove glm-5.2 --yes").exits(0);
        }
        home.write(CONFIG, home.read(CONFIG).replacen("model_list:\n", own, 1));
        home.run(change).exits(0);
        let text = home.read(CONFIG);
        assert!(
            text.contains("vertex_projct") && text.contains("supported_environments"),
            "{change}: {text}"
        );
    }
}
