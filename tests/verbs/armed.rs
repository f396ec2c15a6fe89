//! Where `install` points Claude Code: at a gateway that can answer, and nowhere new otherwise.

use crate::world::{World, program};

const SETTINGS: &str = ".claude/settings.json";

/// A machine where nothing is missing: LiteLLM on the PATH, the project, a login.
fn complete() -> World {
    let world = World::new().unforced();
    let tools = world.home().join("tools");
    program(&tools.join("litellm"), crate::world::LITELLM);
    let path = format!("{}:/usr/bin:/bin", tools.display());
    world
        .with("PATH", path)
        .with("VERTEXAI_PROJECT", "my-project")
        .with("GOOGLE_APPLICATION_CREDENTIALS", "/x")
}

fn pointed(world: &World) -> String {
    world.record()["request"]["pointed"].as_str().unwrap().to_owned()
}

/// A Claude Code that works must not wait for a gateway that cannot run.
#[test]
fn without_litellm_the_settings_stay_and_the_missing_things_are_named() {
    let world = World::new().unforced();
    let own = "{\n  \"theme\": \"dark\"\n}\n";
    std::fs::create_dir_all(world.home().join(".claude")).unwrap();
    std::fs::write(world.home().join(SETTINGS), own).unwrap();
    let said = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    let said = said.says("Claude Code keeps its present settings until the gateway can run");
    let said = said.says("LiteLLM is not installed").says("VERTEXAI_PROJECT");
    let _ = said.says("gwinstall runtime install").says("gwinstall start");
    assert_eq!(std::fs::read_to_string(world.home().join(SETTINGS)).unwrap(), own);
    assert_eq!(pointed(&world), "armed");
    let _ = world.run(&["status"]).exits(0).says("does not use it yet: gwinstall start");
    // `on` is as careful, and says how to insist.
    let on = world.run(&["on", "--yes"]).exits(1).says("LiteLLM is not installed");
    let _ = on.says("gwinstall on --yes --force");
    assert_eq!(std::fs::read_to_string(world.home().join(SETTINGS)).unwrap(), own);
    let _ = world.run(&["on", "--yes", "--force"]).exits(0);
    assert_eq!(pointed(&world), "on");
    assert!(world.settings()["env"]["ANTHROPIC_BASE_URL"].is_string());
    let _ = world.run(&["off", "--yes"]).exits(0);
    assert_eq!(std::fs::read_to_string(world.home().join(SETTINGS)).unwrap(), own);
}

#[test]
fn a_gateway_that_can_run_is_used_at_once() {
    let world = complete();
    let said = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    let _ = said.says("Claude Code is ready: claude");
    assert_eq!(pointed(&world), "on");
    assert_eq!(world.settings()["env"]["ANTHROPIC_MODEL"], "glm-5.2");
}

/// An armed deployment stays armed, whatever else changes, until something points Claude Code at it.
#[test]
fn other_changes_leave_an_armed_deployment_armed() {
    let world = World::new().unforced();
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    let _ = world.run(&["models", "add", "gpt-oss-120b", "--yes"]).exits(0);
    let _ = world.run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes"], "my-project\n").exits(0);
    assert_eq!(pointed(&world), "armed");
    assert!(!world.home().join(SETTINGS).exists());
    let _ = world.run(&["install", "--yes", "--on"]).exits(0);
    assert_eq!(pointed(&world), "on");
    assert!(world.home().join(SETTINGS).exists());
}

/// What the user decided with `off` holds until the user decides otherwise.
#[test]
fn off_stays_off() {
    let world = complete();
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    let _ = world.run(&["off", "--yes"]).exits(0);
    let said = world.run(&["install", "--models", "glm-5.2,gpt-oss-120b", "--yes"]).exits(0);
    let _ = said.says("because you ran gwinstall off").says("gwinstall on");
    assert_eq!(pointed(&world), "off");
    assert!(!world.home().join(SETTINGS).exists());
    let _ = world.run(&["install", "--yes", "--on"]).exits(0);
    assert_eq!(pointed(&world), "on");
    assert!(world.home().join(SETTINGS).exists());
}

/// `start` finishes an armed deployment: the gateway serves, and only then Claude Code is pointed at it.
#[test]
fn start_points_claude_code_at_an_armed_gateway() {
    if std::fs::metadata("/usr/bin/python3").is_err() {
        eprintln!("skipped: there is no python3 here");
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::new().unforced();
    let url = format!("http://127.0.0.1:{port}");
    let _ = world.run(&["install", "--models", "glm-5.2", "--gateway-url", &url, "--yes"]).exits(0);
    assert_eq!(pointed(&world), "armed");
    let _ = world.run(&["start"]).exits(1);
    assert!(!world.home().join(SETTINGS).exists());
    let _ = world.run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes"], "my-project\n").exits(0);
    program(&world.gateway("venv/bin/litellm"), crate::world::LITELLM);
    let started = world.run(&["start"]);
    let stopped = world.run(&["stop"]);
    let _ = started.exits(0).says("Claude Code is ready: claude");
    let _ = stopped.exits(0);
    assert_eq!(pointed(&world), "on");
    assert_eq!(world.settings()["env"]["ANTHROPIC_BASE_URL"], url);
}

/// `status` and `install` judge the same LiteLLM, wherever it is.
#[test]
fn a_litellm_on_the_path_is_not_called_missing() {
    let world = complete();
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    let said = world.run(&["status"]).exits(0).never_says("LiteLLM is not installed");
    let _ = said.never_says("runtime install");
    assert_eq!(world.run(&["--json", "status"]).data()["lacks"]["litellm"], false);
}

/// A LiteLLM that came after the installation is found by the start script, and so by `on`.
#[test]
fn on_finds_a_litellm_that_came_later() {
    let world = World::new()
        .unforced()
        .with("VERTEXAI_PROJECT", "my-project")
        .with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    let _ = world.run(&["on", "--yes"]).exits(1).says("LiteLLM is not installed");
    program(&world.gateway("venv/bin/litellm"), crate::world::LITELLM);
    let _ = world.run(&["on", "--yes"]).exits(0);
    assert_eq!(pointed(&world), "on");
}

/// The program that `.env` names is started before every other, and so is judged by everything that starts one.
#[test]
fn a_litellm_that_env_names_is_not_called_missing() {
    if std::fs::metadata("/usr/bin/python3").is_err() {
        eprintln!("skipped: there is no python3 here");
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let world = World::new()
        .unforced()
        .with("VERTEXAI_PROJECT", "my-project")
        .with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
    let _ = world.run(&["install", "--models", "glm-5.2", "--port", &port, "--yes"]).exits(0);
    let _ = world.run(&["start"]).exits(1).says("LiteLLM is not installed");
    let litellm = world.home().join("my own/litellm");
    let named = format!("{}GATEWAY_LITELLM_BIN='{}'\n", world.read(".env"), litellm.display());
    world.write(".env", &named);
    let _ = world
        .run(&["doctor"])
        .exits(1)
        .says("GATEWAY_LITELLM_BIN is not a program")
        .says("gwinstall env set GATEWAY_LITELLM_BIN");
    program(&litellm, crate::world::LITELLM);
    let started = world.run(&["start"]);
    let status = world.run(&["status"]);
    let stopped = world.run(&["stop"]);
    let _ = started.exits(0).says("Claude Code is ready: claude");
    let _ = status.exits(0).never_says("LiteLLM is not installed");
    let _ = stopped.exits(0);
    assert_eq!(pointed(&world), "on");
    assert_eq!(world.run(&["--json", "status"]).data()["lacks"]["litellm"], false);
}

/// A gateway that the user stopped does not start with a prompt.
#[test]
fn a_stopped_gateway_is_not_called_ready() {
    let world = complete();
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    let _ = world.run(&["stop"]).exits(0);
    let said = world.run(&["install", "--models", "gpt-oss-120b", "--yes"]).exits(0);
    let _ = said.never_says("is ready").says("you stopped the gateway").says("gwinstall start");
}

/// Without its record the settings say where Claude Code was pointed: an installation does not take it away.
#[test]
fn a_lost_record_leaves_claude_code_pointed_where_it_is() {
    let world = World::new().unforced();
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes", "--on"]).exits(0);
    let address = world.settings()["env"]["ANTHROPIC_BASE_URL"].clone();
    std::fs::remove_file(world.gateway("deployment-manifest.json")).unwrap();
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    assert_eq!(pointed(&world), "on");
    assert_eq!(world.settings()["env"]["ANTHROPIC_BASE_URL"], address);
}
