//! From nothing to a Claude Code that answers: what one command brings, what it refuses before it changes anything, and what
//! `status` says about the rest. uv and LiteLLM are stand-ins.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use crate::runtime::with_uv;
use crate::world::{LITELLM, World, program};

const READY: &str = "Claude Code is ready: claude";

fn free_address() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

/// A machine with Python and uv, and without LiteLLM.
fn bare() -> Option<World> {
    let world = with_uv(World::new().unforced())?;
    let litellm = world.home().join("litellm.py");
    program(&litellm, LITELLM);
    Some(world.with("STAND_IN_LITELLM", litellm.to_str().unwrap()))
}

fn with_values(world: World) -> World {
    world.with("VERTEXAI_PROJECT", "my-project").with("GOOGLE_APPLICATION_CREDENTIALS", "/x")
}

fn runtimes(world: &World) -> usize {
    let entries = fs::read_dir(world.home().join(".local/share/gwinstall/runtime"));
    entries.map_or(0, |entries| entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count())
}

#[test]
fn one_command_brings_litellm_starts_it_and_points_claude_code_at_it() {
    let Some(world) = bare().map(with_values) else { return };
    let url = free_address();
    let asked = ["install", "--models", "glm-5.2", "--gateway-url", &url, "--start"];
    let before = world.snapshot();
    let dry = world.run(&[&asked[..], &["--dry-run"]].concat()).exits(0);
    let _ = dry
        .says("Install LiteLLM 1.106.2 first: 107 MB to download, 480 MB on disk")
        .never_says("it would stop");
    let _ = world.run(&asked).exits(2).says("--start --yes");
    assert_eq!(world.snapshot(), before);
    let said = world.run(&[&asked[..], &["--yes", "--verbose"]].concat());
    let status = world.run(&["status"]);
    let stopped = world.run(&["stop"]);
    let said = said
        .exits(0)
        .says("Installed LiteLLM 1.106.2")
        .says("Deployed preset basic")
        .says("  Log:      gwinstall logs -f\n");
    assert_eq!(said.out.trim_end().lines().last(), Some(READY), "{said:?}");
    for work in ["Installing LiteLLM 1.106.2", "Starting the gateway"] {
        assert!(said.err.contains(&format!("] INFO: {work}")), "{said:?}");
        assert!(
            said.err.lines().any(|line| line.starts_with('[')
                && line.contains("SUCCESS: Completed in ")
                && line.ends_with(work)),
            "{said:?}"
        );
    }
    let _ = status.exits(0).says("running (pid ").never_says("LiteLLM is not installed").never_says("Next:");
    let _ = stopped.exits(0);
    assert_eq!(runtimes(&world), 1);
    assert_eq!(world.record()["runtime"]["version"], "1.106.2");
    assert_eq!(world.settings()["env"]["ANTHROPIC_BASE_URL"], url);
}

#[test]
fn a_value_that_is_missing_is_named_before_anything_is_fetched() {
    let Some(world) = bare() else { return };
    let before = world.snapshot();
    let said = world.run(&["install", "--models", "glm-5.2", "--start", "--yes"]).exits(1);
    let _ = said.says("VERTEXAI_PROJECT").says("nothing was changed");
    assert_eq!(world.snapshot(), before);
    assert_eq!(runtimes(&world), 0);
}

#[test]
fn without_the_network_nothing_is_deployed() {
    let Some(world) = bare().map(|world| with_values(world).with("STAND_IN", "net sync")) else { return };
    let url = free_address();
    let asked = ["install", "--models", "glm-5.2", "--gateway-url", &url, "--start", "--yes"];
    let said = world.run(&asked).exits(10);
    let _ = said.says("the packages cannot be fetched").says("gwinstall runtime export");
    assert!(!world.home().join(".claude").exists());
    assert_eq!(runtimes(&world), 0);
}

#[test]
fn start_without_a_terminal_names_what_is_missing() {
    let Some(world) = bare() else { return };
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    let _ = world.run(&["status"]).exits(0).says("LiteLLM is not installed").says("Next: gwinstall start");
    let data = world.run(&["status", "--json"]).exits(0).data();
    assert_eq!((&data["state"], &data["lacks"]["litellm"]), (&"armed".into(), &true.into()), "{data}");
    let said = world.run(&["start"]).exits(1).says("the gateway cannot start yet");
    for command in ["runtime install", "env set VERTEXAI_PROJECT"] {
        assert!(said.err.contains(&format!("try: gwinstall {command}\n")), "{said:?}");
    }
    assert!(said.err.contains("try: gcloud auth application-default login\n"), "{said:?}");
}

/// An edit while the gateway runs is pending until the gateway has it.
#[test]
fn status_names_the_command_that_a_running_gateway_needs() {
    let Some(world) = bare().map(with_values) else { return };
    let url = free_address();
    let install = world.run(&["install", "--models", "glm-5.2", "--gateway-url", &url, "--start", "--yes"]);
    // Times of files count in seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let edited = format!("{}# mine\n", world.read("config/litellm.yaml"));
    world.write("config/litellm.yaml", &edited);
    let reload = (world.run(&["status"]), world.run(&["status", "--json"]));
    let reloaded = (world.run(&["reload"]), world.run(&["status"]));
    std::thread::sleep(Duration::from_millis(1100));
    let edited = format!("{}# mine\n", world.read(".env"));
    world.write(".env", &edited);
    let restart = world.run(&["status"]);
    let stopped = world.run(&["stop"]);
    let _ = (install.exits(0), stopped.exits(0));
    let _ = reload.0.says("reload pending").says("Next: gwinstall reload");
    assert_eq!(reload.1.data()["pending"], "reload");
    let _ = reloaded.0.exits(0).says("Reloading the configuration …");
    let _ = reloaded.1.never_says("pending");
    let _ = restart.says("restart pending").says("Next: gwinstall restart");
}

/// The record follows an edit of the user without a question, with and without a terminal.
#[test]
fn an_edit_of_the_user_alone_is_recorded_without_a_question() {
    let world = World::deployed(&["--models", "glm-5.2"]);
    let edited = format!("{}# mine\n", world.read("config/litellm.yaml"));
    world.write("config/litellm.yaml", &edited);
    let _ = world
        .run(&["update"])
        .exits(0)
        .says("Already up to date")
        .says("Your version stays: config/litellm.yaml");
    assert_eq!(world.read("config/litellm.yaml"), edited);
    let _ = world.run(&["update"]).exits(0).says("Already up to date");
    world.write("config/litellm.yaml", &format!("{edited}# again\n"));
    let _ = world.run(&["install"]).exits(0).says("Already up to date");
}
