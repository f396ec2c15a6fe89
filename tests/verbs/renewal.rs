//! An update whose bundle names another LiteLLM than the one that gwinstall installed: both arrive together, or neither does.
//! uv and LiteLLM are stand-ins.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use crate::runtime::with_uv;
use crate::world::{LITELLM, Said, World, copy, program};

const OLD: &str = "1.106.2";
const NEW: &str = "1.107.0";

/// A gateway that runs with the LiteLLM of the embedded bundle, which gwinstall built.
fn running() -> Option<World> {
    let world = with_uv(World::new())?;
    let litellm = world.home().join("litellm.py");
    program(&litellm, LITELLM);
    let world = world
        .with("STAND_IN_LITELLM", litellm.to_str().unwrap())
        .with("VERTEXAI_PROJECT", "my-project")
        .with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let _ =
        world.run(&["install", "--models", "glm-5.2", "--gateway-url", &url, "--start", "--yes"]).exits(0);
    Some(world)
}

/// The embedded bundle with another LiteLLM; below `oldest` its versions count as unsafe.
fn newer(world: &World, oldest: &str) -> String {
    let dir = world.home().join("newer");
    copy(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("embedded"), &dir);
    for name in ["runtime/litellm.lock", "runtime/runtime.yaml"] {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        let text = text.replace(&format!("litellm=={OLD}"), &format!("litellm=={NEW}"));
        let text = text.replace(&format!("litellm: {OLD}"), &format!("litellm: {NEW}"));
        let text = text.replace("below: 1.84.0", &format!("below: {oldest}"));
        fs::write(dir.join(name), text).unwrap();
    }
    dir.to_str().unwrap().to_owned()
}

/// The versions that are installed.
fn installed(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.home().join(".local/share/gwinstall/runtime")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut versions: Vec<String> = names
        .filter(|name| name.starts_with('1'))
        .map(|name| name.split('-').next().unwrap().to_owned())
        .collect();
    versions.sort();
    versions
}

fn recorded(world: &World) -> String {
    world.record()["runtime"]["version"].as_str().unwrap().to_owned()
}

/// The version of the LiteLLM whose process runs.
fn runs(world: &World) -> String {
    let line = fs::read(format!("/proc/{}/cmdline", world.read("litellm.pid").trim())).unwrap();
    let line = String::from_utf8_lossy(&line).into_owned();
    let name = line.split("gwinstall/runtime/").nth(1).unwrap_or_default();
    name.split('-').next().unwrap().to_owned()
}

/// Stops the gateway before a failed assertion would leave it running.
fn stopped(world: &World, said: Said) -> Said {
    let _ = world.run(&["stop", "--now"]);
    said
}

#[test]
fn an_update_builds_the_litellm_of_its_bundle_first_and_keeps_the_old_one() {
    let Some(world) = running() else { return };
    let from = newer(&world, "1.84.0");
    let before = world.snapshot();
    let dry = world.run(&["update", "--source-dir", &from, "--dry-run"]);
    let refused = world.run(&["update", "--source-dir", &from]);
    let same = world.snapshot() == before;
    let updated = world.run(&["update", "--source-dir", &from, "--yes"]);
    let (now, health) = (runs(&world), world.run(&["health"]));
    let back = world.run(&["rollback", "--yes"]);
    let after = runs(&world);
    let kept = stopped(&world, world.run(&["runtime", "remove", "--yes"]));
    let _ = dry.exits(0).says(&format!("Install LiteLLM {NEW} first: 107 MB to download")).says("about 20 s");
    let _ = refused.exits(2).says("--yes");
    assert!(same, "nothing changes without an answer");
    let _ = updated.exits(0).says(&format!("Installed LiteLLM {NEW}")).says("was restarted");
    let _ = health.exits(0);
    assert_eq!(now, NEW);
    let _ = back.exits(0);
    assert_eq!((after.as_str(), recorded(&world).as_str()), (OLD, OLD));
    let _ = kept.exits(0);
    assert_eq!(installed(&world), [OLD, NEW], "a backup names the newer one");
}

/// What the new LiteLLM does not serve takes configuration, settings and process back to the old one.
#[test]
fn a_new_litellm_that_does_not_serve_is_left_for_the_old_one() {
    let Some(world) = running() else { return };
    let from = newer(&world, "1.84.0");
    let (settings, script) = (world.settings(), world.read("start-gateway.sh"));
    let broken = LITELLM.replace("\nnames()\n", "\nsys.exit(3)\n");
    assert_ne!(broken, LITELLM);
    fs::write(world.home().join("litellm.py"), broken).unwrap();
    let refused = world.run(&["update", "--source-dir", &from, "--yes", "--json"]);
    let (now, health) = (runs(&world), stopped(&world, world.run(&["health"])));
    assert_eq!(refused.code, 5, "{refused:?}");
    let _ = health.exits(0);
    assert_eq!((now.as_str(), recorded(&world).as_str()), (OLD, OLD));
    assert_eq!((world.settings(), world.read("start-gateway.sh")), (settings, script));
}

/// A build that fails changes nothing, and the message names the way without it.
#[test]
fn a_new_litellm_that_cannot_be_built_changes_nothing() {
    let Some(world) = running() else { return };
    let from = newer(&world, "1.84.0");
    let (pid, script) = (world.read("litellm.pid"), world.read("start-gateway.sh"));
    let world = world.with("STAND_IN", "net sync");
    let refused = world.run(&["update", "--source-dir", &from, "--yes"]);
    let unchanged = (world.read("litellm.pid"), world.read("start-gateway.sh")) == (pid, script);
    let kept = world.run(&["update", "--source-dir", &from, "--yes", "--keep-runtime"]);
    let later = world.run(&["models", "add", "gpt-oss-120b", "--yes"]);
    let now = runs(&world);
    let kept = stopped(&world, kept);
    let _ = refused.exits(10).says("cannot be fetched").says("--keep-runtime");
    assert!(unchanged, "a build that fails changes nothing");
    let _ = kept.exits(0).never_says("Install LiteLLM");
    let _ = later.exits(0);
    assert_eq!((now.as_str(), recorded(&world).as_str()), (OLD, OLD));
    assert_eq!(installed(&world), [OLD]);
}

#[test]
fn a_litellm_with_a_known_hole_is_not_kept() {
    let Some(world) = running() else { return };
    let from = newer(&world, NEW);
    let before = world.read("deployment-manifest.json");
    let refused = world.run(&["update", "--source-dir", &from, "--yes", "--keep-runtime"]);
    let unchanged = world.read("deployment-manifest.json") == before;
    let updated = world.run(&["install", "--source-dir", &from, "--yes"]);
    let now = runs(&world);
    let updated = stopped(&world, updated);
    let _ = refused.exits(9).says(&format!("LiteLLM {OLD}")).says(&format!("older than {NEW}"));
    assert!(unchanged);
    let _ = updated.exits(0);
    assert_eq!(now, NEW);
}
