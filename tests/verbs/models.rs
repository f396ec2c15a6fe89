//! `models` and `presets`: the list is the catalog's, and another list of models is another installation.

use crate::world::World;

#[test]
fn the_list_marks_what_is_deployed_and_what_is_past_its_date() {
    let world = World::deployed(&["--models", "gpt-oss-20b"]);
    let data = world.run(&["--json", "models", "list"]).exits(0).data();
    let find =
        |id: &str| data["models"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone();
    assert_eq!(find("gpt-oss-20b")["deployed"], true);
    assert_eq!(find("gpt-oss-20b")["past_retirement"], true);
    assert_eq!(find("gpt-oss-120b")["deployed"], true, "the successor comes with it");
    assert_eq!(find("claude-opus-5-5")["deployed"], false);
    let _ =
        world.run(&["models", "list"]).exits(0).says("2026-10-21 !").says("US dollars per million tokens");
}

/// Every fact of the catalog about a model reaches a person.
#[test]
fn the_verbose_list_says_what_each_model_is() {
    let world = World::new();
    let data = world.run(&["--json", "models", "list"]).exits(0).data();
    let plain = world.run(&["models", "list"]).exits(0).never_says("Google Gemini 2.5 Flash");
    let lines: Vec<String> =
        world.run(&["-v", "models", "list"]).exits(0).out.lines().map(str::to_owned).collect();
    assert!(plain.out.lines().all(|line| lines.iter().any(|one| one == line)), "nothing else is lost");
    for model in data["models"].as_array().unwrap() {
        let fact = |name: &str| model[name].as_str().unwrap();
        let row = lines.iter().position(|line| line.split(' ').next() == Some(fact("id"))).unwrap();
        let (name, publisher) = (fact("full_name"), fact("publisher"));
        let words = format!("    {name} ({publisher}, {}): {}", fact("priority"), fact("description"));
        assert_eq!(lines[row + 1], words);
    }
}

#[test]
fn adding_and_removing_is_an_installation_with_another_list() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run(&["models", "add", "glm-5.2"]).exits(2).says("gwinstall models add glm-5.2 --yes");
    let before = world.snapshot();
    let _ = world.run(&["models", "add", "glm-5.2", "--dry-run"]).exits(0).says("dry run");
    assert_eq!(before, world.snapshot());
    let _ = world.run(&["models", "add", "glm-5.2", "--yes"]).exits(0);
    assert_eq!(world.record()["models"], serde_json::json!(["glm-5.2", "gpt-oss-120b"]));
    assert!(world.read("config/litellm.yaml").contains("model_name: glm-5.2"));
    let _ = world.run(&["models", "add", "glm-5.2", "--yes"]).exits(0).says("Nothing to do");
    let _ = world.run(&["models", "remove", "gpt-oss-120b", "--yes"]).exits(0);
    assert_eq!(world.record()["models"], serde_json::json!(["glm-5.2"]));
    let _ = world.run(&["models", "remove", "glm-5.2", "--yes"]).exits(2).says("it needs one");
}

/// Vertex AI takes labels for Gemini alone; Azure refuses a user as long as Claude Code's.
#[test]
fn a_route_that_the_catalog_does_not_list_brings_what_its_provider_needs() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world
        .run(&["models", "add", "vertex_ai/gemini-9", "vertex_ai/qwen/q", "azure/mine", "--yes"])
        .exits(0);
    let text = world.read("config/litellm.yaml");
    let entry =
        |route| text.split("- model_name: ").find(|entry| entry.lines().next() == Some(route)).unwrap();
    assert!(entry("vertex_ai/gemini-9").contains("      labels: {client: claude-code}\n"));
    assert!(!entry("vertex_ai/qwen/q").contains("labels"));
    assert!(entry("azure/mine").contains("      additional_drop_params: [user]\n"));
}

#[test]
fn wrong_names_are_answered_with_the_closest() {
    let world = World::deployed(&["--models", "gpt-oss-20b"]);
    let before = world.snapshot();
    let _ = world
        .run(&["models", "add", "gpt-oss-12b", "--yes"])
        .exits(2)
        .says("gwinstall models add gpt-oss-120b --yes");
    let _ = world
        .run(&["models", "remove", "glm-5.2", "--yes"])
        .exits(2)
        .says("glm-5.2 is not deployed")
        .says("deployed: gpt-oss-20b, gpt-oss-120b")
        .never_says("there is no model");
    let _ = world
        .run(&["models", "remove", "gpt-oss-12b", "--yes"])
        .exits(2)
        .says("there is no model")
        .says("gwinstall models remove gpt-oss-120b --yes");
    let _ = world
        .run(&["models", "remove", "gpt-oss-120b", "--yes"])
        .exits(2)
        .says("gwinstall models remove gpt-oss-120b gpt-oss-20b");
    assert_eq!(before, world.snapshot());
}

#[test]
fn a_gateway_elsewhere_has_no_list_of_ours() {
    let world = World::new();
    std::fs::write(world.home().join("token"), "tok-canary-1\n").unwrap();
    let enterprise =
        ["install", "--yes", "--gateway-type", "custom", "--gateway-url", "https://gw.example.com"];
    let arguments: Vec<&str> = enterprise.into_iter().chain(["--auth-token-file", "token"]).collect();
    let _ = world.run(&arguments).exits(0);
    let _ = world.run(&["models", "add", "glm-5.2", "--yes"]).exits(2).says("--models OPUS,SONNET,HAIKU");
    let _ = world.run(&["start"]).exits(2).says("runs no gateway on this machine");
    let _ = world.run(&["validate"]).exits(2).says("gwinstall validate FILE");
}

#[test]
fn presets_are_listed_and_shown_with_what_they_deploy() {
    let world = World::new();
    let list = world.run(&["--json", "presets", "list"]).exits(0).data();
    let names: Vec<_> =
        list["presets"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["basic", "enterprise", "multi-provider", "proxy", "direct"]);
    let shown = world.run(&["--json", "presets", "show", "enterprise"]).exits(0).data();
    assert_eq!(shown["runs_litellm"], false);
    assert!(!shown["files"].as_array().unwrap().iter().any(|file| file["path"] == "config/litellm.yaml"));
    let _ = world.run(&["presets", "show", "entreprise"]).exits(2).says("gwinstall presets show enterprise");
    assert!(world.snapshot().is_empty());
}

/// A newer bundle may have dropped a model that is deployed: the error names it and the way out, not a flag that nobody
/// gave.
#[test]
fn a_model_that_the_bundle_dropped_is_removed_first() {
    let world = World::deployed(&["--models", "glm-5.2,codestral"]);
    let bundle = world.home().join("bundle");
    crate::world::copy(std::path::Path::new("embedded"), &bundle);
    let catalog = std::fs::read_to_string(bundle.join("catalog.yaml")).unwrap();
    std::fs::write(bundle.join("catalog.yaml"), catalog.replace("codestral", "codestrel")).unwrap();
    let template = bundle.join("templates/models/codestral.yaml");
    let text = std::fs::read_to_string(&template).unwrap().replace("codestral", "codestrel");
    std::fs::remove_file(&template).unwrap();
    std::fs::write(bundle.join("templates/models/codestrel.yaml"), text).unwrap();
    let said = world.run(&["update", "--source-dir", "bundle", "--yes"]).exits(2).never_says("--models");
    let _ = said.says("this bundle no longer has codestral").says("gwinstall models remove codestral");
    let _ = world.run(&["models", "remove", "codestral", "--yes"]).exits(0);
    let _ = world.run(&["update", "--source-dir", "bundle", "--yes"]).exits(0);
}

/// Claude Code compacts in time also under the names of its own models, whose window it believes to be larger.
#[test]
fn a_small_window_is_compacted_in_time() {
    for (models, size) in
        [("gpt-oss-120b", Some("131072")), ("gemini-3.8-flash,codestral", Some("128000")), ("glm-5.2", None)]
    {
        let world = World::deployed(&["--models", models]);
        let env = world.settings()["env"].clone();
        assert_eq!(env["CLAUDE_CODE_AUTO_COMPACT_WINDOW"].as_str(), size, "{models}: {env}");
        let window: u64 = env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"].as_str().unwrap().parse().unwrap();
        assert!(size.is_none_or(|size| size == window.to_string()), "{models}");
    }
}
