//! The presets that docs/configuration-reference.md shows are deployed as they stand there, in both ways that it names.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::world::{World, copy, program};

const GUIDE: &str = include_str!("../../embedded/docs/configuration-reference.md");
const EMBEDDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/embedded");

/// The first YAML of the guide that holds `mark`.
fn documented(mark: &str) -> &'static str {
    let blocks = GUIDE.split("```yaml\n").skip(1);
    let mut texts = blocks.map(|rest| rest.split("```").next().unwrap());
    texts.find(|text| text.contains(mark)).unwrap_or_else(|| panic!("the guide has no block with {mark}"))
}

/// The entry of `company` as it stands in the list `presets`.
fn company() -> &'static str {
    documented("name: company").strip_prefix("presets:\n").unwrap()
}

/// The documented preset in `~/.claude/presets/company`.
fn beside_the_settings(world: &World) {
    let dir = world.home().join(".claude/presets/company");
    fs::create_dir_all(&dir).unwrap();
    let entry = company().replacen("  - name", "    name", 1);
    fs::write(dir.join("preset.yaml"), format!("schema: 1\npreset:\n{entry}")).unwrap();
}

/// The documented entry in the catalog of a directory, after `edit`.
fn in_a_directory(world: &World, edit: impl Fn(String) -> String) {
    let source = world.home().join("company-bundle");
    copy(Path::new(EMBEDDED), &source);
    let catalog = fs::read_to_string(source.join("catalog.yaml")).unwrap();
    let catalog = catalog.replacen("\npresets:\n", &format!("\npresets:\n{}", company()), 1);
    fs::write(source.join("catalog.yaml"), edit(catalog)).unwrap();
}

/// Paths that a deployment of a preset that runs LiteLLM has, below scripts/, tests/ and beside them.
fn deployed_files(world: &World) -> Vec<String> {
    let record = world.record();
    let mut paths: Vec<String> = record["files"].as_object().unwrap().keys().cloned().collect();
    paths.retain(|path| !path.starts_with("templates/"));
    paths
}

/// D-033, D-113, D-171, D-217: whatever its name, a preset with a base gets what LiteLLM is started, stopped and tested with.
#[test]
fn the_documented_preset_has_all_that_the_presets_of_the_bundle_have() {
    let wanted = deployed_files(&World::deployed(&["--preset", "basic"]));
    for path in
        ["start-gateway.sh", "stop-gateway.sh", "scripts/start-litellm-proxy.sh", "tests/run-all-tests.sh"]
    {
        assert!(wanted.iter().any(|one| one == path), "{path}");
    }
    let own = World::new();
    beside_the_settings(&own);
    let _ = own.run(&["install", "--preset", "company", "--yes"]).exits(0);
    assert_eq!(deployed_files(&own), wanted);

    let world = World::new();
    in_a_directory(&world, |catalog| catalog);
    let _ =
        world.run(&["install", "--source-dir", "company-bundle", "--preset", "company", "--yes"]).exits(0);
    assert_eq!(deployed_files(&world), wanted);
    let elsewhere = World::new();
    let said = elsewhere.run(&["--json", "presets", "show", "enterprise"]).exits(0).data();
    assert!(!said["files"].to_string().contains("start-gateway.sh"));
}

/// What `install` tells to do next works, and `doctor` sees it run.
#[test]
fn the_documented_preset_is_started_and_doctor_agrees() {
    if fs::metadata("/usr/bin/python3").is_err() {
        eprintln!("skipped: there is no python3 here");
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::new();
    beside_the_settings(&world);
    let litellm = world.home().join("tools/litellm");
    program(&litellm, crate::world::LITELLM);
    let world =
        world.with("GATEWAY_LITELLM_BIN", litellm.to_str().unwrap()).with("VERTEXAI_PROJECT", "my-project");
    let url = format!("http://127.0.0.1:{port}");
    let _ = world
        .run(&["install", "--preset", "company", "--gateway-url", &url, "--yes"])
        .exits(0)
        .says("gwinstall start");
    let started = world.run(&["start"]);
    let doctor = world.run(&["doctor"]);
    let health = world.run(&["--json", "health"]).data();
    let stopped = world.run(&["stop"]);
    let _ = started.exits(0);
    let _ = doctor.says("the gateway is running (pid");
    assert!(health["uptime_seconds"].as_u64().unwrap() < 120, "{health}");
    let _ = stopped.exits(0).says("the gateway is stopped");
    let _ = world.run(&["doctor"]).never_says("the gateway is running");
}

/// A whole preset with a provider that the bundle has no model of: what the guide shows is enough.
#[test]
fn the_documented_preset_of_another_provider_is_deployed() {
    let world = World::new().with("OPENAI_API_KEY", "sk-proj-canary");
    let dir = world.home().join(".claude/presets/openai");
    fs::create_dir_all(dir.join("templates")).unwrap();
    fs::write(dir.join("preset.yaml"), documented("name: openai")).unwrap();
    let fragment = documented("  - model_name: gpt-5.6-terra");
    fs::write(dir.join("templates/gpt-5.6-terra.yaml"), fragment).unwrap();
    let _ = world.run(&["presets", "show", "openai"]).exits(0).says("By models:  OPENAI_API_KEY");
    let _ = world.run(&["install", "--preset", "openai", "--strict", "--yes"]).exits(0).never_says("canary");
    let config = world.read("config/litellm.yaml");
    let model = "  - model_name: gpt-5.6-terra\n    litellm_params:\n      model: openai/gpt-5.6-terra\n      \
                 api_key: os.environ/OPENAI_API_KEY\n";
    assert!(config.contains(model), "{config}");
    let _ = world.run(&["validate"]).exits(0);
    let _ = world.run(&["verify"]).exits(0);
    assert!(world.read(".env").contains("OPENAI_API_KEY=sk-proj-canary\n"));
    assert_eq!(world.settings()["env"]["ANTHROPIC_MODEL"], "gpt-5.6-terra");
    assert!(world.gateway("start-gateway.sh").exists());
    let _ = world.run(&["env", "check"]).exits(0);
}

/// Variables of providers that only presets of one's own use are known all the same.
#[test]
fn variables_of_other_providers_are_known() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    for name in ["OPENAI_API_KEY", "GEMINI_API_KEY", "OLLAMA_API_BASE"] {
        let said = world.run_with(&["env", "set", name, "--yes"], "http://127.0.0.1:1/canary");
        let _ =
            said.exits(0).says(&format!("{name} is set")).never_says("not known").never_says("did you mean");
        let listed = world.run(&["--json", "env", "list"]).exits(0).data();
        let variables = listed["variables"].as_array().unwrap();
        let known = variables.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(
            (&known["secret"], &known["need"]),
            (&(name != "OLLAMA_API_BASE").into(), &"unused".into())
        );
    }
    let _ = world
        .run_with(&["env", "set", "OLLAMA_BASE_URL", "--yes"], "http://127.0.0.1:11434")
        .exits(2)
        .says("the gateway reads OLLAMA_API_BASE")
        .says("gwinstall env set OLLAMA_API_BASE --yes");
}

/// A bundle that deploys a configuration and nothing to start it with: asked to start it, the installation is taken back.
#[test]
fn a_start_without_its_script_is_a_failure() {
    let world = World::new();
    let litellm = world.home().join("tools/litellm");
    program(&litellm, crate::world::LITELLM);
    let world =
        world.with("GATEWAY_LITELLM_BIN", litellm.to_str().unwrap()).with("VERTEXAI_PROJECT", "my-project");
    let entry = "{path: start-gateway.sh, class: script, executable: true";
    in_a_directory(&world, |catalog| {
        let of_basic = catalog.replace(entry, &format!("{entry}, presets: [basic]"));
        of_basic.replace("\n  - start-gateway.sh\n", "\n")
    });
    let said =
        world.run(&["install", "--source-dir", "company-bundle", "--preset", "company", "--start", "--yes"]);
    let _ = said.exits(5).says("there is no ~/.claude/gateway/start-gateway.sh").says("litellm_files");
    assert!(!world.gateway("config/litellm.yaml").exists());
    in_a_directory(&world, |catalog| catalog.replace("  - start-gateway.sh\n", "  - start-gatway.sh\n"));
    let _ = world
        .run(&["install", "--source-dir", "company-bundle", "--preset", "company", "--yes"])
        .exits(1)
        .says("litellm_files: start-gatway.sh is not listed under files");
}
