//! A change that a running gateway takes over before it is final, or that is undone together with it.

use std::net::TcpListener;

use crate::world::{Said, World};

/// A gateway that runs, with tools/ beside it: a file there changes what LiteLLM does.
fn running(models: &str) -> Option<World> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::with_litellm()?;
    let url = format!("http://127.0.0.1:{port}");
    let _ = world.run(&["install", "--models", models, "--gateway-url", &url, "--start", "--yes"]).exits(0);
    Some(world)
}

impl World {
    fn told(&self, name: &str, text: &str) {
        std::fs::write(self.home().join("tools").join(name), text).unwrap();
    }

    fn pid(&self) -> String {
        self.read("litellm.pid")
    }
}

fn model(world: &World) -> String {
    world.settings()["env"]["ANTHROPIC_MODEL"].as_str().unwrap().to_owned()
}

fn stop(world: &World) -> Said {
    world.run(&["stop"])
}

#[test]
fn models_are_served_at_once_without_another_command() {
    let Some(world) = running("glm-5.2") else { return };
    let pid = world.pid();
    let added = world.run(&["models", "add", "gpt-oss-120b", "--yes"]);
    let with = world.run(&["health"]);
    let removed = world.run(&["models", "remove", "gpt-oss-120b", "--yes"]);
    let without = world.run(&["health"]);
    let (kept, named) = (world.pid(), model(&world));
    let _ = stop(&world);
    let _ = added.exits(0).says("took over its new configuration").never_says("gwinstall reload");
    let _ = with.exits(0);
    let _ = removed.exits(0).says("took over its new configuration");
    let _ = without.exits(0);
    assert_eq!(kept, pid, "a reload keeps the process");
    assert_eq!(named, "glm-5.2");
}

#[test]
fn no_reload_leaves_the_gateway_and_names_the_command() {
    let Some(world) = running("glm-5.2") else { return };
    let added = world.run(&["models", "add", "gpt-oss-120b", "--yes", "--no-reload"]);
    let health = world.run(&["health"]);
    let _ = stop(&world);
    let _ = added.exits(0).says("The running gateway still has its old configuration: gwinstall reload");
    let _ = health.exits(1).says("not served: gpt-oss-120b");
}

/// The gate is not that something answers: every name has to be served.
#[test]
fn a_change_that_is_not_served_is_undone_with_the_settings() {
    let Some(world) = running("glm-5.2") else { return };
    let (settings, config) = (world.settings(), world.read("config/litellm.yaml"));
    world.told("hides", "gpt-oss-120b");
    let refused = world.run(&["models", "add", "gpt-oss-120b", "--yes"]);
    let after = world.run(&["health"]);
    let states = world.run(&["history", "--json"]);
    let _ = stop(&world);
    let refused = refused.exits(5).says("/v1/models does not list gpt-oss-120b");
    let _ = refused.says("the gateway runs again as before");
    let _ = after.exits(0);
    assert_eq!(world.settings(), settings);
    assert_eq!(world.read("config/litellm.yaml"), config);
    assert!(states.out.contains("rolled_back"), "{states:?}");
}

#[test]
fn a_configuration_that_litellm_refuses_never_reaches_the_running_process() {
    let Some(world) = running("glm-5.2") else { return };
    let (settings, config, pid) = (world.settings(), world.read("config/litellm.yaml"), world.pid());
    world.told("refuse", "");
    let refused = world.run(&["models", "add", "gpt-oss-120b", "--yes"]);
    std::fs::remove_file(world.home().join("tools/refuse")).unwrap();
    let (after, still) = (world.run(&["health"]), world.pid());
    let _ = stop(&world);
    let _ = refused.exits(5);
    let _ = after.exits(0);
    assert_eq!((world.settings(), world.read("config/litellm.yaml"), still), (settings, config, pid));
}

/// A reload may end the process: then the previous configuration has a process again.
#[test]
fn a_process_that_ends_with_the_change_runs_again_as_before() {
    let Some(world) = running("glm-5.2") else { return };
    let config = world.read("config/litellm.yaml");
    world.told("dies", "");
    let refused = world.run(&["models", "add", "gpt-oss-120b", "--yes"]);
    let after = world.run(&["health"]);
    let _ = stop(&world);
    let _ = refused.exits(5).says("the gateway runs again as before");
    let _ = after.exits(0);
    assert_eq!(world.read("config/litellm.yaml"), config);
}

/// Only a new process reads `.env`, so a value restarts it.
#[test]
fn a_value_restarts_the_gateway() {
    let Some(world) = running("glm-5.2") else { return };
    let pid = world.pid();
    let set = world.run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes"], "another-project\n");
    let (after, now) = (world.run(&["health"]), world.pid());
    let _ = stop(&world);
    let _ = set.exits(0).says("restarted");
    let _ = after.exits(0);
    assert_ne!(now, pid);
}

const TRYING: &str = "Trying the new gateway beside the running one";

fn set_project(world: &World) -> Said {
    world.run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes"], "another-project\n")
}

/// More than a model is tried beside the running gateway: what does not serve there costs it nothing.
#[test]
fn a_change_that_does_not_serve_beside_the_running_gateway_changes_nothing() {
    let Some(world) = running("glm-5.2") else { return };
    let before = (world.pid(), world.settings(), world.read(".env"), world.read("start-gateway.sh"));
    let key = world.read(".env");
    let key = key.lines().find_map(|line| line.strip_prefix("LITELLM_MASTER_KEY=")).unwrap().to_owned();
    world.told("falls", "");
    let fell = set_project(&world);
    std::fs::remove_file(world.home().join("tools/falls")).unwrap();
    world.told("hides", "gemini-3.8-flash");
    let hid = world.run(&["install", "multi-provider", "--models", "gemini-3.8-flash", "--yes"]);
    std::fs::remove_file(world.home().join("tools/hides")).unwrap();
    let health = world.run(&["health"]);
    let after = (world.pid(), world.settings(), world.read(".env"), world.read("start-gateway.sh"));
    let left = world.gateway(".gwinstall/trial").exists();
    let _ = stop(&world);
    let fell = fell.exits(5).says(TRYING).says("nothing was changed").says("its log: no plugin for sk-****");
    let _ = fell.never_says(&key);
    let _ = hid.exits(5).says("/v1/models does not list gemini-3.8-flash");
    let _ = health.exits(0);
    assert_eq!(after, before);
    assert!(!left, "the trial goes");
}

/// A value, another preset: tried, then taken over. A model, and what is not taken over, is not tried.
#[test]
fn a_trial_that_serves_leaves_nothing_behind() {
    let Some(world) = running("glm-5.2") else { return };
    world.write("config/plugin.py", "mine = 1\n");
    let model = world.run(&["models", "add", "gpt-oss-120b", "--yes"]);
    let left = world
        .run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes", "--no-reload"], "left-project\n")
        .never_says(TRYING);
    let value = set_project(&world);
    let (health, trial) = (world.run(&["health"]), world.gateway(".gwinstall/trial").exists());
    let _ = stop(&world);
    let _ = model.exits(0).never_says(TRYING);
    let _ = left.exits(0);
    let _ = value.exits(0).says(TRYING).says("restarted");
    let _ = health.exits(0);
    assert!(!trial);
    assert_eq!(world.read("config/plugin.py"), "mine = 1\n", "what the trial saw by a link stays");
    let _ = set_project(&world).exits(0).never_says(TRYING);
}

/// A run that is killed in its trial leaves a process; the next command stops it.
#[test]
fn a_killed_trial_is_stopped_by_the_next_command() {
    let Some(world) = running("glm-5.2") else { return };
    let pid = world.pid();
    world.told("unready", "");
    let mut setting = world
        .command(&["env", "set", "VERTEXAI_PROJECT", "--yes"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut setting.stdin.take().unwrap(), b"another-project\n").unwrap();
    let file = world.gateway(".gwinstall/trial/.serving");
    let began = std::time::Instant::now();
    while !file.exists() && began.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let tried = world.read(".gwinstall/trial/litellm.pid");
    setting.kill().unwrap();
    let _ = setting.wait();
    let line = |pid: &str| std::fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    let ran = String::from_utf8_lossy(&line(&tried)).into_owned();
    std::fs::remove_file(world.home().join("tools/unready")).unwrap();
    let next = world.run(&["models", "add", "gpt-oss-120b", "--yes"]);
    let (gone, left, now) =
        (line(&tried).is_empty(), world.gateway(".gwinstall/trial").exists(), world.pid());
    let _ = stop(&world);
    assert!(ran.contains(".gwinstall/trial/config/litellm.yaml"), "{ran}");
    let _ = next.exits(0);
    assert!(gone && !left, "the trial was not stopped");
    assert_eq!(now, pid, "the gateway itself goes on");
}

/// A run that is killed while it lays its trial out leaves half a script, or none.
#[test]
fn half_a_trial_is_removed_by_the_next_command() {
    let world = World::deployed(&["--models", "glm-5.2"]);
    for half in ["", "#!/bin/sh\nexit 1\n", "not a script"] {
        std::fs::create_dir_all(world.gateway(".gwinstall/trial/config")).unwrap();
        crate::world::program(&world.gateway(".gwinstall/trial/start-gateway.sh"), half);
        let _ = set_project(&world).exits(0);
        assert!(!world.gateway(".gwinstall/trial").exists(), "{half:?}");
    }
    std::fs::create_dir_all(world.gateway(".gwinstall/trial")).unwrap();
    let _ = world.run(&["models", "add", "gpt-oss-120b", "--yes"]).exits(0);
    assert!(!world.gateway(".gwinstall/trial").exists());
}

/// Another program may write settings.json while the gateway takes its time: its keys stay, and the change goes on.
#[test]
fn settings_that_change_during_the_gate_are_followed() {
    let Some(world) = running("glm-5.2") else { return };
    world.told("unready", "");
    let mut adding = world
        .command(&["models", "add", "gemini-3.1-pro-preview", "--yes"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let config = world.gateway("config/litellm.yaml");
    let began = std::time::Instant::now();
    while !std::fs::read_to_string(&config).unwrap().contains("gemini-3.1-pro-preview") {
        assert!(began.elapsed().as_secs() < 60, "the configuration did not change");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let path = world.home().join(".claude/settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(model(&world), "glm-5.2", "settings.json names a model that is not served yet");
    std::fs::write(&path, text.replacen('{', "{\n  \"theme\": \"dark\",", 1)).unwrap();
    std::fs::remove_file(world.home().join("tools/unready")).unwrap();
    let ended = adding.wait().unwrap();
    let _ = stop(&world);
    assert_eq!(ended.code(), Some(0));
    assert_eq!(world.settings()["theme"], "dark");
    assert_ne!(model(&world), "glm-5.2");
    // The way back to the user's own file still holds.
    let _ = world.run(&["uninstall", "--yes"]).exits(0);
    assert_eq!(world.settings(), serde_json::json!({ "theme": "dark" }));
}

/// What was asked for is not what is served, where an edit of the user stays.
#[test]
fn settings_name_only_what_the_merged_configuration_serves() {
    let world = World::deployed(&["--models", "glm-5.2,gpt-oss-120b"]);
    assert_eq!(model(&world), "glm-5.2");
    // The edit takes the name away that the settings point at.
    let config = world.read("config/litellm.yaml");
    let renamed = config
        .replace("model_name: glm-5.2\n", "model_name: mine\n")
        .replace("5-5: glm-5.2\n", "5-5: mine\n");
    world.write("config/litellm.yaml", &renamed);
    let said = world.run(&["models", "add", "deepseek-v4.1-flash", "--yes"]);
    let _ = said.says("it does not serve glm-5.2");
    let text = world.read("config/litellm.yaml");
    assert!(!text.contains("model_name: glm-5.2\n"), "{text}");
    let env = world.settings()["env"].clone();
    for key in ["ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"] {
        let name = env[key].as_str().unwrap();
        assert!(
            text.contains(&format!("model_name: {name}\n")),
            "{key} names {name}, which is not served:\n{text}"
        );
    }
}
