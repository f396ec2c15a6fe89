//! Claude Code and LiteLLM of versions that were tested together, were not, or are known to fail together.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::world::{World, copy, program};

const TESTED: &str = "1.106.2";

/// A home where Claude Code of this version is installed as its own installer does it, and LiteLLM in a venv; the bundle beside
/// them says that the pair of ranges is broken.
fn world(claude_code: &str, broken: &str) -> (World, String) {
    let world = World::new();
    let home = world.home().to_owned();
    let versions = home.join(".local/share/claude/versions");
    program(&versions.join(claude_code), &format!("#!/bin/sh\necho '{claude_code} (Claude Code)'\n"));
    fs::create_dir_all(home.join(".local/bin")).unwrap();
    std::os::unix::fs::symlink(versions.join(claude_code), home.join(".local/bin/claude")).unwrap();
    let venv = litellm(&world, TESTED);
    let bundle = home.join("bundle");
    copy(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/embedded")), &bundle);
    let facts = bundle.join("runtime/runtime.yaml");
    let text = fs::read_to_string(&facts).unwrap();
    assert!(text.contains("  broken: []\n"));
    fs::write(&facts, text.replace("  broken: []\n", &format!("  broken: [{broken}]\n"))).unwrap();
    (world, venv.to_str().unwrap().to_owned())
}

fn litellm(world: &World, version: &str) -> PathBuf {
    let venv = world.home().join(format!("venv-{version}"));
    let facts = venv.join(format!("lib/python3.11/site-packages/litellm-{version}.dist-info"));
    fs::create_dir_all(&facts).unwrap();
    fs::write(venv.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
    let said = format!("{{\"python\": [3, 11, 2], \"packages\": {{\"litellm\": \"{version}\"}}}}");
    program(&venv.join("bin/python3"), &format!("#!/bin/sh\necho '{said}'\n"));
    program(&venv.join("bin/litellm"), &format!("#!{}\n", venv.join("bin/python3").display()));
    venv
}

const BROKEN: &str = "{claude_code: {from: 2.1.300}, litellm: {below: 1.200.0}, reason: tools are dropped}";

fn doctor(world: &World) -> Value {
    let data = world.run(&["--json", "doctor"]).data();
    data["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check_name"] == "pair_tested")
        .cloned()
        .unwrap()
}

#[test]
fn doctor_says_what_is_known_of_the_pair() {
    for (claude_code, status, says) in [
        ("2.1.329", "PASS", "Claude Code 2.1.329 and LiteLLM 1.106.2 were tested together"),
        ("2.1.300", "PASS", "older and newer versions were tested together"),
        ("9.0.0", "WARN", "the newest tested Claude Code is 2."),
        ("2.0.1", "WARN", "the oldest tested Claude Code is 2."),
    ] {
        let (world, venv) = world(claude_code, "");
        let _ = world.run(&["install", "--models", "glm-5.2", "--venv", &venv, "--yes"]).exits(0);
        let found = doctor(&world);
        assert_eq!(found["status"], status, "{found}");
        assert!(found["message"].as_str().unwrap().contains(says), "{found}");
        assert_eq!(found["details"]["claude_code"], claude_code);
    }
}

#[test]
fn a_broken_pair_is_refused_before_anything_changes() {
    let (world, venv) = world("2.1.329", BROKEN);
    let before = world.snapshot();
    let line = ["install", "--source-dir", "bundle", "--models", "glm-5.2", "--venv", &venv, "--yes"];
    let said = world.run(&line).exits(1);
    let said = said.says("Claude Code 2.1.329 and LiteLLM 1.106.2 do not work together: tools are dropped");
    let _ = said.says("claude update").says("--allow-unsafe-litellm").says("nothing was changed");
    assert_eq!(world.snapshot(), before);
    let insists = [&line[..], &["--allow-unsafe-litellm"]].concat();
    let _ = world.run(&insists).exits(0).says("WARN").says("tools are dropped");
    // The deployed bundle knows better than the one inside the program.
    assert_eq!(doctor(&world)["status"], "FAIL");
    let refused = world.run(&["models", "add", "gpt-oss-120b", "--yes"]).exits(1);
    let _ = refused.says("gwinstall install --allow-unsafe-litellm");
}

#[test]
fn update_names_an_untested_pair_and_refuses_a_broken_one() {
    let (world, venv) = world("9.0.0", "");
    let install = world.run(&["install", "--models", "glm-5.2", "--venv", &venv, "--yes"]).exits(0);
    let _ = install.never_says("tested together");
    let notes = world.home().join("bundle/templates/models/glm-5.2.yaml");
    let text = fs::read_to_string(&notes).unwrap();
    fs::write(&notes, format!("# A newer bundle.\n{text}")).unwrap();
    let update = ["update", "--source-dir", "bundle", "--yes"];
    let untested = "Claude Code 9.0.0 and LiteLLM 1.106.2 were not tested together";
    let _ = world.run(&update).exits(0).says(untested).says("the newest tested Claude Code is 2.");
    // Also where nothing is new; and the advice is not the command itself.
    let _ =
        world.run(&update).exits(0).says("Already up to date").says(untested).never_says("gwinstall update");
    let facts = world.home().join("bundle/runtime/runtime.yaml");
    let text = fs::read_to_string(&facts).unwrap();
    fs::write(&facts, text.replace("  broken: []\n", &format!("  broken: [{BROKEN}]\n"))).unwrap();
    fs::write(&notes, "# Newer still.\n".to_owned() + &fs::read_to_string(&notes).unwrap()).unwrap();
    let before = world.record();
    let refused = world.run(&update).exits(1).says("do not work together: tools are dropped");
    let _ = refused.says("gwinstall install --allow-unsafe-litellm");
    assert_eq!(world.record(), before);
}

/// npm installs the program without its version in the path; the package.json above it says it.
#[test]
fn the_version_of_an_npm_package_is_read_from_its_package() {
    let (world, venv) = world("2.1.329", BROKEN);
    let link = world.home().join(".local/bin/claude");
    let package = world.home().join("npm/node_modules/@anthropic-ai/claude-code");
    program(&package.join("bin/claude.exe"), "#!/bin/sh\ntouch \"$HOME/it-ran\"\n");
    let line =
        ["install", "--source-dir", "bundle", "--models", "glm-5.2", "--venv", &venv, "--yes", "--dry-run"];
    for (says, refused) in [
        ("{\"name\": \"@anthropic-ai/claude-code\", \"version\": \"2.1.301\"}", true),
        ("{\"name\": \"@anthropic-ai/claude-code\", \"version\": \"2.1.299\"}", false),
        ("{\"name\": \"another\", \"version\": \"2.1.301\"}", false),
        ("nonsense", false),
    ] {
        fs::write(package.join("package.json"), says).unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(package.join("bin/claude.exe"), &link).unwrap();
        let said = world.run(&line);
        assert_eq!(said.out.contains("do not work together"), refused, "{says}: {said:?}");
    }
    assert!(!world.home().join("it-ran").exists(), "Claude Code was run");
}

/// A version manager names its directories after the version of Node, and an older package has its program in its own directory.
#[test]
fn a_version_of_node_is_not_that_of_claude_code() {
    for (below, program_in) in [
        (".local/share/mise/installs/node/22.11.0/lib", "bin/claude.exe"),
        (".asdf/installs/nodejs/9.9.9/lib", "cli.js"),
        ("Cellar/node/25.1.0/lib", "cli.js"),
    ] {
        let (world, venv) = world("2.1.329", BROKEN);
        let link = world.home().join(".local/bin/claude");
        let package = world.home().join(below).join("node_modules/@anthropic-ai/claude-code");
        program(&package.join(program_in), "#!/bin/sh\nexit 1\n");
        let facts = "{\"name\": \"@anthropic-ai/claude-code\", \"version\": \"2.1.310\"}";
        fs::write(package.join("package.json"), facts).unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(package.join(program_in), &link).unwrap();
        let line = ["install", "--source-dir", "bundle", "--models", "glm-5.2", "--venv", &venv, "--yes"];
        let _ =
            world.run(&line).exits(1).says("Claude Code 2.1.310 and LiteLLM 1.106.2 do not work together");
    }
}
