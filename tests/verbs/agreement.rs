//! `doctor`, `status`, `env check`, `validate` and the checks before an installation look at the same deployment in many
//! states: a check that several of them print has the same verdict in all, and the verdict is the right one.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::world::{Said, World};

const PROJECT: &str = "VERTEXAI_PROJECT";
const LOGIN: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// The commands that look, with the field that holds their checks.
const LOOKING: [(&str, &[&str], &str); 4] = [
    ("doctor", &["--json", "doctor"], "checks"),
    ("status", &["--json", "status"], "checks"),
    ("env check", &["--json", "env", "check"], "checks"),
    ("install", &["--json", "install", "--dry-run", "--strict"], "pre_checks"),
];

/// A deployment with a value for every variable, on a port that nobody listens on.
fn complete(port: u16) -> World {
    let url = format!("http://127.0.0.1:{port}");
    let world = World::deployed(&["--models", "gpt-oss-120b", "--gateway-url", &url]);
    let login = world.home().join("login.json");
    fs::write(&login, r#"{"type": "authorized_user"}"#).unwrap();
    for (name, value) in [(PROJECT, "my-project"), (LOGIN, login.to_str().unwrap())] {
        let _ = world.run_with(&["env", "set", name, "--from", "-", "--yes"], value).exits(0);
    }
    world
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The verdicts of a command, by the name of the check.
fn verdicts(said: &Said, field: &str) -> BTreeMap<String, String> {
    let envelope: Value = serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{why}: {}", said.out));
    let checks = envelope["data"][field].as_array().cloned().unwrap_or_default();
    let word = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    checks.iter().map(|check| (word(check, "check_name"), word(check, "status"))).collect()
}

/// Each of `wanted` is a check, its verdict, and the commands that have to print it. What `doctor` says about the
/// configuration `validate` says, too.
#[track_caller]
fn agree(world: &World, state: &str, wanted: &[(&str, &str, &[&str])]) {
    agree_among(&LOOKING, world, state, wanted);
}

#[track_caller]
fn agree_among(
    looking: &[(&'static str, &[&str], &str)],
    world: &World,
    state: &str,
    wanted: &[(&str, &str, &[&str])],
) {
    let found: Vec<_> = looking
        .iter()
        .map(|(command, arguments, field)| (*command, verdicts(&world.run(arguments), field)))
        .collect();
    let mut first: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for (command, checks) in &found {
        for (name, verdict) in checks {
            let (earlier, known) = first.entry(name).or_insert((command, verdict));
            assert_eq!(verdict, known, "{state}: {command} and {earlier} disagree about {name}");
        }
    }
    for (name, verdict, commands) in wanted {
        for (command, checks) in found.iter().filter(|(command, _)| commands.contains(command)) {
            assert_eq!(checks.get(*name).map(String::as_str), Some(*verdict), "{state}: {name} of {command}");
        }
    }
    if let Some((_, verdict)) = first.get("yaml_config_valid").filter(|(_, verdict)| *verdict != "SKIP") {
        // A variable without a value is a fault of the deployment; for the configuration alone it is a warning.
        let validate = world.run(&["validate", "--strict"]);
        assert_eq!(validate.code == 0, *verdict == "PASS", "{state}: validate says {}", validate.out);
    }
}

const EVERYWHERE: &[&str] = &["doctor", "status", "env check", "install"];
const LOOKS: &[&str] = &["doctor", "status", "env check"];
/// Where nothing is deployed, `status` says so and checks nothing.
const LOOKS_WITHOUT: &[&str] = &["doctor", "env check"];
const FILES: &[&str] = &["doctor", "status"];
const PORT: &[&str] = &["doctor", "install"];

/// `.env` with this line in place of the one that sets the variable.
fn env_with(world: &World, name: &str, line: &str) {
    let text = world.read(".env");
    let kept = text.lines().map(|old| if old.starts_with(&format!("{name}=")) { line } else { old });
    world.write(".env", &(kept.collect::<Vec<_>>().join("\n") + "\n"));
}

fn settings_with(world: &World, edit: impl FnOnce(&mut Value)) {
    let mut settings = world.settings();
    edit(&mut settings);
    fs::write(world.home().join(".claude/settings.json"), settings.to_string()).unwrap();
}

#[test]
fn about_a_complete_deployment() {
    let world = complete(free_port());
    agree(
        &world,
        "complete",
        &[
            ("required_env_vars_present", "PASS", EVERYWHERE),
            ("env_file_permissions", "PASS", LOOKS),
            ("env_file_readable", "PASS", LOOKS),
            ("settings_point_here", "PASS", LOOKS),
            ("yaml_config_valid", "PASS", FILES),
            ("no_interrupted_run", "PASS", FILES),
            ("deployed", "PASS", FILES),
            ("no_litellm_running", "PASS", PORT),
        ],
    );
    let status = world.run(&["--json", "status"]).exits(0).data();
    assert_eq!((&status["running"], &status["points_here"]), (&json!(false), &json!(true)));
}

#[test]
fn about_values() {
    for (state, line) in [
        ("no value", ""),
        ("an empty value", "VERTEXAI_PROJECT="),
        ("a placeholder", "VERTEXAI_PROJECT=CHANGE-ME"),
    ] {
        let world = complete(free_port());
        env_with(&world, PROJECT, line);
        let wanted: &[_] =
            &[("required_env_vars_present", "FAIL", EVERYWHERE), ("yaml_config_valid", "FAIL", FILES)];
        agree(&world, state, wanted);
        let _ = world.run(&["status"]).says(&format!("no value yet for {PROJECT}"));
    }
    let world = complete(free_port());
    env_with(&world, "LITELLM_MASTER_KEY", "LITELLM_MASTER_KEY=sk-1234");
    // An installation makes a new key, and judges what is there after it.
    let guide = "the key of every guide";
    agree_among(&LOOKING[..3], &world, guide, &[("required_env_vars_present", "FAIL", LOOKS)]);
    let world = complete(free_port());
    fs::set_permissions(world.gateway(".env"), fs::Permissions::from_mode(0o644)).unwrap();
    agree(&world, "a readable .env", &[("env_file_permissions", "FAIL", LOOKS)]);
    let world = complete(free_port());
    fs::write(world.gateway(".env"), b"A=\xff\n").unwrap();
    let wanted: &[_] = &[("env_file_readable", "FAIL", LOOKS), ("required_env_vars_present", "SKIP", LOOKS)];
    agree(&world, "an .env that is not text", wanted);
}

#[test]
fn about_the_settings_of_claude_code() {
    type State = (&'static str, fn(&mut Value), &'static str, bool);
    let states: [State; 3] = [
        (
            "no address",
            |settings| drop(settings["env"].as_object_mut().unwrap().remove("ANTHROPIC_BASE_URL")),
            "FAIL",
            false,
        ),
        (
            "another address",
            |settings| settings["env"]["ANTHROPIC_BASE_URL"] = json!("https://other.example"),
            "FAIL",
            false,
        ),
        (
            "a helper of another program",
            |settings| settings["apiKeyHelper"] = json!("echo key"),
            "WARN",
            true,
        ),
    ];
    for (state, edit, verdict, here) in states {
        let world = complete(free_port());
        settings_with(&world, edit);
        agree(&world, state, &[("settings_point_here", verdict, LOOKS)]);
        let status = world.run(&["--json", "status"]);
        assert_eq!(status.code, if here { 0 } else { 3 }, "{state}");
        assert_eq!(status.data()["points_here"], json!(here), "{state}");
    }
    let world = complete(free_port());
    fs::write(world.home().join(".claude/settings.json"), "{").unwrap();
    agree(&world, "settings that do not parse", &[("settings_point_here", "FAIL", LOOKS)]);
    let world = complete(free_port());
    let _ = world.run(&["off", "--yes"]).exits(0);
    agree(&world, "off", &[("settings_point_here", "PASS", LOOKS)]);
}

#[test]
fn about_the_files_and_the_record() {
    let world = complete(free_port());
    world.write("config/litellm.yaml", "model_list: [\n");
    agree(&world, "broken YAML", &[("yaml_config_valid", "FAIL", FILES)]);
    let world = complete(free_port());
    fs::remove_file(world.gateway("deployment-manifest.json")).unwrap();
    agree(&world, "a lost record", &[("deployed", "FAIL", &["doctor"])]);
    let status = world.run(&["--json", "status"]).exits(3).data();
    assert_eq!(status["record_missing"], json!(true));
    let lost = "the record of the deployment in ~/.claude/gateway is missing";
    for command in [&["doctor"] as &[_], &["status"], &["env", "check"]] {
        let _ = world.run(command).says(lost);
    }
    let _ = world.run(&["install", "--dry-run"]).says("deployment-manifest.json was missing");
    let world = complete(free_port());
    fs::remove_dir_all(world.gateway("")).unwrap();
    let gone = "a directory that is gone";
    agree(&world, gone, &[("settings_point_here", "FAIL", LOOKS_WITHOUT), ("deployed", "WARN", &["doctor"])]);
    assert_eq!(world.run(&["--json", "status"]).exits(3).data()["points_here"], json!(true));
}

#[test]
fn about_another_program_on_the_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = complete(taken.local_addr().unwrap().port());
    agree(&world, "a taken port", &[("no_litellm_running", "FAIL", PORT)]);
    let status = world.run(&["status"]).exits(0).says("another program listens there");
    drop((status, taken));
}
