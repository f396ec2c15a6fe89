//! Presets and templates of a company: from `~/.claude/presets/` and from `--source-dir` they deploy what they say, and a
//! mistake in them is told in the file that a person wrote, with its line, before anything is changed.

use std::fs;
use std::path::Path;

use crate::world::{World, copy};

const PRESET: &str = "schema: 1
preset:
  name: acme
  description: The gateway of Acme
  template_file: templates/acme.yaml
  base: templates/acme.yaml
  default_models: [glm-5.2]
  gateway_types: [local]
  required_env_vars: [LITELLM_MASTER_KEY, GOOGLE_APPLICATION_CREDENTIALS]
  optional_env_vars: [VERTEXAI_PROJECT, VERTEXAI_LOCATION]
  deploy_tests: false
  deploy_examples: false
files:
  - {path: templates/acme.yaml, class: template, presets: [acme]}
";

const TEMPLATE: &str = "model_list: [] # gwinstall:models

litellm_settings:
  drop_params: true
  num_retries: 7

router_settings:
  model_group_alias: {} # gwinstall:aliases
  fallbacks: [] # gwinstall:fallbacks

general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
";

/// A world with this preset of its own.
fn world(preset: &str, template: &str) -> World {
    let world = World::new();
    let dir = world.home().join(".claude/presets/acme");
    fs::create_dir_all(dir.join("templates")).unwrap();
    fs::write(dir.join("preset.yaml"), preset).unwrap();
    fs::write(dir.join("templates/acme.yaml"), template).unwrap();
    world
}

#[test]
fn a_preset_of_ones_own_is_listed_deployed_and_kept_up() {
    let world = world(PRESET, TEMPLATE);
    let list = world.run(&["--json", "presets", "list"]).exits(0).data();
    let names: Vec<_> =
        list["presets"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["basic", "enterprise", "multi-provider", "proxy", "direct", "acme"]);
    let _ = world.run(&["presets", "show", "acme"]).exits(0).says("The gateway of Acme");
    let _ = world.run(&["install", "--preset", "acme", "--yes"]).exits(0);
    let config = world.read("config/litellm.yaml");
    assert!(config.contains("num_retries: 7") && config.contains("model_name: glm-5.2"), "{config}");
    assert!(!world.gateway("tests").exists() && !world.gateway("examples").exists());
    let _ = world.run(&["models", "add", "gpt-oss-120b", "--yes"]).exits(0);
    let _ = world.run(&["update", "--yes"]).exits(0).says("Already up to date");
    assert_eq!(world.record()["preset"], "acme");
}

/// Successors of retired models are counted wherever models are: in the list, in the preset, in what is deployed.
#[test]
fn the_models_of_a_preset_are_counted_alike() {
    let world = World::new();
    let list = world.run(&["--json", "presets", "list"]).exits(0).data();
    let table = world.run(&["presets", "list"]).exits(0).out;
    for preset in list["presets"].as_array().unwrap() {
        let name = preset["name"].as_str().unwrap();
        let shown = world.run(&["--json", "presets", "show", name]).exits(0).data();
        assert_eq!(preset["models"], shown["models"], "{name}");
        let row = table.lines().find(|line| line.starts_with(name)).unwrap();
        let count = preset["models"].as_array().unwrap().len();
        let told = if count == 0 { " - ".to_owned() } else { format!(" {count} ") };
        assert!(row.contains(&told), "{name}: {row}");
    }
    let basic = &list["presets"][0];
    let _ = world.run(&["install", "--yes"]).exits(0);
    assert_eq!(world.record()["models"], basic["models"]);
    let eight = format!("{} Vertex AI models", basic["default_models"].as_array().unwrap().len());
    assert!(basic["description"].as_str().unwrap().contains(&eight), "{basic}");
}

/// What is wrong, what is said about it, in which line.
#[test]
fn a_mistake_is_told_with_its_file_and_line_and_changes_nothing() {
    let template = |from: &str, to: &str| (PRESET.to_owned(), TEMPLATE.replace(from, to));
    let preset = |from: &str, to: &str| (PRESET.replace(from, to), TEMPLATE.to_owned());
    for (name, (preset, template), file, place) in [
        ("unknown section", template("router_settings", "router_setings"), "templates/acme.yaml", ":7:1: "),
        ("unknown key", template("num_retries", "num_retrys"), "templates/acme.yaml", ":5:3: "),
        (
            "broken YAML",
            template("num_retries: 7", "num_retries: ["),
            "templates/acme.yaml",
            "templates/acme.yaml:",
        ),
        ("a tab", template("  drop_params", "\tdrop_params"), "templates/acme.yaml", ":4:"),
        (
            "shell variable",
            template("num_retries: 7", "num_retries: ${RETRIES}"),
            "templates/acme.yaml",
            ":5:16: ",
        ),
        (
            "key given twice",
            template("  num_retries: 7", "  drop_params: false"),
            "templates/acme.yaml",
            ":5:3: ",
        ),
        (
            "key in the wrong section",
            template("  num_retries: 7", "  master_key: os.environ/X"),
            "templates/acme.yaml",
            ":5:3: ",
        ),
        ("field of the preset", preset("deploy_tests", "deploy_testz"), "acme/preset.yaml", "line 1"),
        ("broken preset", preset("name: acme", "name: [acme"), "acme/preset.yaml", "line "),
        ("unknown model", preset("[glm-5.2]", "[glm-9]"), "acme/preset.yaml", "glm-9"),
        ("name that is taken", preset("name: acme", "name: basic"), "acme/preset.yaml", "basic"),
        ("newer schema", preset("schema: 1", "schema: 2"), "acme/preset.yaml", "schema is 2"),
    ] {
        let world = world(&preset, &template);
        let before = world.snapshot();
        let listed = world.run(&["presets", "list"]).exits(0).says("multi-provider");
        assert!(listed.err.contains("warning: "), "{name}: {listed:?}");
        let shown = world.run(&["presets", "show", "acme"]);
        let installed = world.run(&["install", "--preset", "acme", "--yes"]);
        assert!(shown.code != 0 && installed.code != 0, "{name}: {shown:?} {installed:?}");
        for (arguments, said) in [("list", listed), ("show", shown), ("install", installed)] {
            assert!(
                said.err.contains(file) && said.err.contains(place),
                "{name}: {arguments:?}\n{}",
                said.err
            );
        }
        // What does not need it still works.
        let _ = world.run(&["status"]).exits(0);
        assert_eq!(before, world.snapshot(), "{name}");
    }
}

/// Another preset, of the bundle or of one's own, is deployed beside a broken one, which is named.
#[test]
fn a_broken_preset_does_not_stop_the_others() {
    let world = world(PRESET, TEMPLATE);
    let broken = world.home().join(".claude/presets/aaa");
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join("preset.yaml"), "schema: 1\npreset: [\n").unwrap();
    let _ =
        world.run(&["presets", "list"]).exits(0).says("acme").says("presets/aaa/preset.yaml cannot be used");
    let listed = world.run(&["--json", "presets", "list"]).exits(0).data();
    assert_eq!(listed["unusable"][0]["name"], "aaa", "{listed}");
    let _ = world.run(&["install", "--preset", "acme", "--yes"]).exits(0).says("presets/aaa/preset.yaml");
    let _ = world.run(&["install", "--preset", "basic", "--models", "glm-5.2", "--yes"]).exits(0);
    let _ = world.run(&["update", "--yes"]).exits(0);
    assert_eq!(world.record()["preset"], "basic");
    assert!(world.run(&["status"]).exits(0).err.is_empty());
}

/// Broken after it was deployed: what needs it names the mistake, not some other preset.
#[test]
fn a_deployed_preset_that_broke_is_named() {
    let world = world(PRESET, TEMPLATE);
    let _ = world.run(&["install", "--preset", "acme", "--yes"]).exits(0);
    let template = world.home().join(".claude/presets/acme/templates/acme.yaml");
    fs::write(&template, TEMPLATE.replace("num_retries", "num_retrys")).unwrap();
    let _ = world.run(&["status"]);
    for arguments in [&["env", "list"][..], &["models", "list"], &["update", "--yes"]] {
        let _ = world.run(arguments).exits(1).says("templates/acme.yaml:5:3:").says("gwinstall validate");
    }
    fs::write(&template, TEMPLATE).unwrap();
    let _ = world.run(&["env", "list"]).exits(0);
}

#[test]
fn a_directory_without_a_preset_is_named() {
    let world = World::new();
    fs::create_dir_all(world.home().join(".claude/presets/acme")).unwrap();
    fs::write(world.home().join(".claude/presets/acme/presets.yaml"), PRESET).unwrap();
    let _ = world
        .run(&["presets", "list"])
        .exits(0)
        .says("~/.claude/presets/acme has no preset.yaml; gwinstall ignores it");
}

/// The same for a whole bundle in a directory.
#[test]
fn a_source_directory_is_validated_with_lines() {
    let world = World::new();
    let source = world.home().join("source");
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/embedded")), &source);
    let _ = world.run(&["install", "--source-dir", "source", "--dry-run", "--yes"]).exits(0);
    for (file, from, to, place) in [
        ("templates/litellm-base.yaml", "  drop_params", "  drop_param", "litellm-base.yaml:"),
        ("templates/models/glm-5.2.yaml", "litellm_params", "litelm_params", "glm-5.2.yaml:"),
    ] {
        let path = source.join(file);
        let good = fs::read_to_string(&path).unwrap();
        assert!(good.contains(from));
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let line = good.lines().position(|line| line.contains(from)).unwrap() + 1;
        let said = world.run(&["install", "--source-dir", "source", "--yes"]).exits(1);
        let _ = said.says(&format!("source/{file}:{line}:")).says(place).says("gwinstall validate");
        fs::write(&path, good).unwrap();
    }
    assert!(!world.gateway("").exists());
}
