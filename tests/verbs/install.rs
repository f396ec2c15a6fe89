//! What `install` says where little or nothing happens: a plan without steps, a dry run of what would be refused, a start
//! that ends before LiteLLM was asked to serve.

use std::net::TcpListener;

use crate::world::{World, copy, program};

/// The same address in other words changes what was asked for, and nothing that a person would look at.
#[test]
fn a_change_of_the_record_alone_has_no_headline() {
    let world = World::deployed(&["--models", "glm-5.2"]);
    let asked = ["install", "--gateway-url", "http://localhost:4000"];
    let shown = world.run(&[&asked[..], &["--dry-run"]].concat()).exits(0).never_says("Change preset");
    assert!(
        shown.out.starts_with("Only the record of the deployment changes.\nThis was a dry run"),
        "{shown:?}"
    );
    let said = world.run(&[&asked[..], &["--yes"]].concat()).exits(0).never_says("Change preset");
    let said = said.never_says("Only the record").says("Already up to date");
    assert!(!said.out.contains("\n\n") && !said.err.contains("\n\n"), "{said:?}");
    assert_eq!(world.record()["gateway_url"], "http://127.0.0.1:4000");
    let _ = world.run(&[&asked[..], &["--yes"]].concat()).exits(0).never_says("Only the record");
}

/// A dry run says how the real one would end.
#[test]
fn a_dry_run_says_that_the_real_run_would_stop() {
    let world = World::new();
    let asked = ["install", "--strict", "--models", "glm-5.2"];
    let dry = [&asked[..], &["--dry-run"]].concat();
    let would = "Without --dry-run it would stop before any change: no value yet for";
    let _ = world.run(&dry).exits(0).says("FAIL no value yet for").says(would);
    let said = world.run(&[&["--json"], &dry[..]].concat()).exits(0);
    assert_eq!(said.data()["would_stop"], true);
    let _ = world.run(&[&asked[..], &["--yes"]].concat()).exits(1);
    assert!(world.snapshot().is_empty());
    let fine = world.run(&["install", "--models", "glm-5.2", "--dry-run"]).exits(0);
    let _ = fine.never_says("it would stop");
}

/// What start-gateway.sh refuses before it opens the log is told by itself; the log is named only where there is one.
#[test]
fn a_start_that_litellm_refuses_points_at_something_that_exists() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let start = |validates: bool, manner: &str| {
        let world =
            World::new().with("VERTEXAI_PROJECT", "my-project").with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
        let litellm = world.home().join("tools/litellm");
        let refusal = if validates { "exit 0" } else { "echo no such provider; exit 1" };
        let text =
            format!("#!/bin/sh\ncase \"$*\" in *--validate_config*) {refusal} ;; esac\necho died; exit 1\n");
        program(&litellm, &text);
        let world = world.with("GATEWAY_LITELLM_BIN", litellm.to_str().unwrap());
        let said = world
            .run(&[manner, "install", "--models", "glm-5.2", "--gateway-url", &url, "--start", "--yes"])
            .exits(5);
        (world, said)
    };
    let (world, said) = start(false, "-v");
    let _ = said.says("no such provider").says("gwinstall doctor").never_says("litellm.log");
    assert!(!world.gateway("litellm.log").exists());
    // Who reads JSON reads no stderr.
    let (_, said) = start(false, "--json");
    assert!(said.out.contains("no such provider"), "{said:?}");
    let (world, said) = start(true, "-v");
    let _ = said.says("tail -n 30 ~/.claude/gateway/litellm.log");
    assert!(world.read("litellm.log").contains("died"));
}

/// `--start` over a running gateway: it runs with what was deployed, or, where LiteLLM refuses that, with what was there.
#[test]
fn start_over_a_running_gateway_brings_it_to_the_new_state_and_back() {
    let Some(world) = World::with_litellm() else { return };
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (first, second, third) = (free(), free(), free());
    let answers = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let at = |port: u16| {
        let url = format!("http://127.0.0.1:{port}");
        world.run(&["install", "--models", "glm-5.2", "--gateway-url", &url, "--start", "--yes"])
    };
    let started = at(first);
    let moved = at(second);
    let (left, arrived) = (answers(first), answers(second));
    std::fs::write(world.home().join("tools/refuse"), "").unwrap();
    let refused = at(third);
    std::fs::remove_file(world.home().join("tools/refuse")).unwrap();
    let again = world.run(&["start"]);
    let still = answers(second);
    // What takes the gateway away and is refused leaves its process alone, too.
    let process = world.read("litellm.pid");
    let lock = std::fs::File::open(world.gateway(".gwinstall/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let busy = world.run(&["uninstall", "--yes"]);
    let (after, served) = (answers(second), world.read("litellm.pid"));
    drop(lock);
    let stopped = world.run(&["stop"]);
    let _ = started.exits(0).never_says("gwinstall reload").never_says("does not run yet");
    let _ = moved.exits(0).never_says("gwinstall re");
    assert!(!left && arrived, "{left} {arrived}");
    let _ = refused.exits(5).says("the new gateway does not serve");
    let _ = again.exits(0);
    assert!(still && after, "{still} {after}");
    let _ = busy.exits(6).never_says("stops the gateway");
    assert_eq!(served, process);
    assert_eq!(world.record()["gateway_url"], format!("http://127.0.0.1:{second}"));
    let _ = stopped.exits(0).says("is stopped");
}

/// P-292 to P-296. The command line that the plan gives as its example, as it stands there.
#[test]
fn the_example_of_the_plan_is_deployed_and_started() {
    let Some(world) = World::with_litellm() else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let url = format!("http://127.0.0.1:{port}");
    let example = ["install", "--models", "gemini-2.5-flash,deepseek-r1", "--backup", "--start", "--verbose"];
    let said = world.run(&[&example[..], &["--gateway-url", &url, "--yes"]].concat());
    let stopped = world.run(&["stop"]);
    let _ = said
        .exits(0)
        .says("SUCCESS: yaml_config_valid")
        .says("Deployed preset basic")
        .says(&format!("{url} (pid "));
    let _ = stopped.exits(0).says("is stopped");
    for model in ["gemini-2.5-flash", "deepseek-r1"] {
        assert!(world.read("config/litellm.yaml").contains(&format!("model_name: {model}\n")), "{model}");
    }
}

/// P-204, P-282. settings.json is checked by the schema of the bundle: the user's own mistake is a warning, and stays.
#[test]
fn settings_are_checked_by_their_schema() {
    let world = World::new();
    let asked = ["install", "--models", "glm-5.2", "--yes", "--verbose"];
    let settings = world.home().join(".claude/settings.json");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    std::fs::write(&settings, "{\"anthropicBaseUrl\": \"canary\"}").unwrap();
    let said = world.run(&asked).exits(0);
    let warned = said
        .says("WARN: settings_valid: settings.json must not have anthropicBaseUrl here")
        .never_says("canary");
    assert_eq!(world.settings()["anthropicBaseUrl"], "canary", "{warned:?}");
    let sound = World::new();
    let _ = sound.run(&asked).exits(0).says("SUCCESS: settings_valid: settings.json agrees with templates/");
}

/// A key of gwinstall that breaks the schema is a mistake of the bundle, and nothing is changed.
#[test]
fn a_key_of_gwinstall_that_breaks_the_schema_stops_the_change() {
    let world = World::new();
    let source = world.home().join("source");
    copy(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/embedded")), &source);
    let schema = source.join("templates/settings-schema.json");
    let text = std::fs::read_to_string(&schema).unwrap();
    assert!(text.contains("\"^https?://"));
    std::fs::write(&schema, text.replacen("\"^https?://", "\"^https://", 1)).unwrap();
    let before = world.snapshot();
    let asked = ["install", "--source-dir", "source", "--models", "glm-5.2", "--yes"];
    let said = world.run(&asked).exits(1);
    let _ =
        said.says("settings.json: env.ANTHROPIC_BASE_URL must match ^https://").says("nothing was changed");
    assert_eq!(world.snapshot(), before);
}
