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
