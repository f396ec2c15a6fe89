//! The seven prerequisites that people miss, and `validate`: each is found, and the command that mends it is named.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{World, program};
use serde_json::Value;

/// A `litellm` whose interpreter says this.
fn with_python(world: World, said: &str) -> World {
    let python = world.home().join("tools/python3");
    program(&python, &format!("#!/bin/sh\necho '{said}'\n"));
    let litellm = world.home().join("tools/litellm");
    program(&litellm, &format!("#!{}\nraise SystemExit('never run')\n", python.display()));
    world.with("GATEWAY_LITELLM_BIN", litellm.to_str().unwrap())
}

fn deployed() -> World {
    World::deployed(&["--models", "gpt-oss-120b"])
}

#[track_caller]
fn check(world: &World, name: &str) -> Value {
    let data = world.run(&["--json", "doctor"]).data();
    let found = data["checks"].as_array().unwrap().iter().find(|check| check["check_name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no check {name} in {data}"))
}

#[track_caller]
fn fails(world: &World, name: &str, command: &str) {
    let check = check(world, name);
    assert_eq!(check["status"], "FAIL", "{check}");
    assert!(check["hint"].as_str().unwrap().contains(command), "{check}");
}

#[test]
fn a_package_that_is_missing_beside_litellm_is_named_with_its_pip() {
    let all = r#"{"python": [3, 12, 1], "packages": {"litellm": "1.106.2", "google-auth": "2.0", "prisma": "0.15", "gunicorn": "23"}}"#;
    let whole = with_python(deployed(), all);
    for name in [
        "python_recent_enough",
        "litellm_installed",
        "litellm_version_safe",
        "google_auth_installed",
        "prisma_installed",
    ] {
        assert_eq!(check(&whole, name)["status"], "PASS", "{name}");
    }
    let bare = with_python(deployed(), r#"{"python": [3, 12, 1], "packages": {"litellm": "1.106.2"}}"#);
    let pip = "/tools/python3 -m pip install 'litellm[proxy,google]' prisma";
    fails(&bare, "google_auth_installed", pip);
    fails(&bare, "prisma_installed", pip);
    let _ = bare.run(&["doctor"]).exits(1);
}

#[test]
fn poisoned_versions_and_old_pythons_are_named() {
    for version in ["1.82.7", "1.82.8"] {
        let said = format!(r#"{{"python": [3, 12, 1], "packages": {{"litellm": "{version}"}}}}"#);
        let poisoned = with_python(deployed(), &said);
        fails(&poisoned, "litellm_version_safe", "gwinstall runtime install");
        let found = check(&poisoned, "litellm_version_safe");
        assert!(found["message"].as_str().unwrap().contains("do not start it"), "{found}");
    }
    let old = with_python(deployed(), r#"{"python": [3, 8, 10], "packages": {"litellm": "1.0"}}"#);
    fails(&old, "python_recent_enough", "gwinstall runtime install");
    let new = with_python(deployed(), r#"{"python": [3, 15, 0], "packages": {}}"#);
    fails(&new, "python_recent_enough", "install Python 3.14");
    let newest = with_python(deployed(), r#"{"python": [3, 14, 9], "packages": {}}"#);
    assert_eq!(check(&newest, "python_recent_enough")["status"], "PASS");
    let silent = with_python(deployed(), "no answer");
    fails(&silent, "python_recent_enough", "Python 3.10");
    let absent = deployed().with("GATEWAY_LITELLM_BIN", "/nowhere/litellm");
    fails(&absent, "litellm_installed", "unset GATEWAY_LITELLM_BIN");
}

/// What the guide on security asks for, `doctor` asks for too; it stays possible to run an older one.
#[test]
fn a_version_with_a_known_hole_is_a_warning_with_its_upgrade() {
    let guide = include_str!("../../embedded/docs/security-best-practices.md");
    assert!(guide.contains("Use 1.84.0 or later"));
    for (version, status) in [
        ("1.83.14", "WARN"),
        ("1.9.0", "WARN"),
        ("0.99.1", "WARN"),
        ("unreadable", "WARN"),
        ("1.84.0", "PASS"),
        ("1.106.2", "PASS"),
        ("2.0.0rc1", "PASS"),
    ] {
        let said = format!(r#"{{"python": [3, 12, 1], "packages": {{"litellm": "{version}"}}}}"#);
        let found = check(&with_python(deployed(), &said), "litellm_version_safe");
        assert_eq!(found["status"], status, "{found}");
        let upgrade = "/tools/python3 -m pip install --upgrade 'litellm[proxy,google]>=1.84.0' prisma";
        let told = found["hint"].as_str().is_some_and(|hint| hint.contains(upgrade));
        assert_eq!(told, status == "WARN", "{found}");
    }
}

/// A venv at `venv` with LiteLLM in this version: its package directory, and its interpreter, which is a real one.
fn venv_with(venv: &Path, version: &str) -> Option<(PathBuf, PathBuf)> {
    let Some(python) =
        ["/usr/bin/python3", "/usr/local/bin/python3"].into_iter().find(|path| fs::metadata(path).is_ok())
    else {
        eprintln!("skipped: there is no python3 here");
        return None;
    };
    let interpreter = venv.join("bin/python3");
    fs::create_dir_all(venv.join("bin")).unwrap();
    std::os::unix::fs::symlink(python, &interpreter).unwrap();
    fs::write(venv.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
    let of_python = Command::new(python)
        .args(["-c", "import sys; print('python%d.%d' % sys.version_info[:2])"])
        .output()
        .unwrap();
    let packages =
        venv.join("lib").join(String::from_utf8(of_python.stdout).unwrap().trim()).join("site-packages");
    let facts = packages.join(format!("litellm-{version}.dist-info"));
    fs::create_dir_all(&facts).unwrap();
    let metadata = format!("Metadata-Version: 2.1\nName: litellm\nVersion: {version}\n");
    fs::write(facts.join("METADATA"), metadata).unwrap();
    program(&venv.join("bin/litellm"), &format!("#!{}\n", interpreter.display()));
    Some((packages, interpreter))
}

/// The mark outlives an upgrade, so it counts whatever the version; and no advice runs that Python again.
#[test]
fn what_a_poisoned_version_left_is_found_is_not_run_and_goes_with_its_venv() {
    for (version, pth, poisoned) in [
        ("1.82.8", "evil.pth", true),
        ("1.82.7", "evil.pth", true),
        ("1.106.2", "litellm_init.pth", true),
        ("1.106.2", "other.pth", false),
    ] {
        let world = deployed();
        let Some((packages, python)) = venv_with(&world.gateway("venv"), version) else { return };
        let mark = world.home().join("it-ran");
        fs::write(packages.join(pth), format!("import os; open({:?}, 'w')\n", mark.to_str().unwrap()))
            .unwrap();
        let said = world.run(&["doctor"]);
        assert!(!mark.exists(), "a .pth file of the packages was run");
        assert_eq!(said.out.contains("-m pip install"), !poisoned, "{}", said.out);
        if poisoned {
            fails(
                &world,
                "litellm_version_safe",
                "rm -rf ~/.claude/gateway/venv && gwinstall runtime install",
            );
        } else {
            assert_eq!(check(&world, "litellm_version_safe")["status"], "PASS");
        }
        // The control: an ordinary start of that interpreter does run it.
        let _ = Command::new(python).args(["-c", ""]).status();
        assert!(mark.exists());
    }
}

/// Without a venv the advice names what to delete, and touches nothing else of that Python.
#[test]
fn a_poisoned_version_outside_a_venv_is_deleted_by_its_files() {
    let said = r#"{"python": [3, 12, 1], "packages": {"litellm": "1.82.7"}, "mark": "/opt/p/litellm_init.pth", "site": "/opt/p"}"#;
    fails(
        &with_python(deployed(), said),
        "litellm_version_safe",
        "rm -f /opt/p/litellm_init.pth && rm -rf /opt/p/litellm /opt/p/litellm-*.dist-info && gwinstall runtime install",
    );
}

/// What pip, pipx, uv and pyenv write as the first line of `litellm` differs; whoever cannot be understood is no failure.
#[test]
fn the_python_of_litellm_is_found_through_env_or_is_said_to_be_unknown() {
    let all = r#"{"python": [3, 12, 1], "packages": {"litellm": "1.106.2"}}"#;
    let world = with_python(deployed(), all);
    let path = format!("{}:/usr/bin:/bin", world.home().join("tools").display());
    let litellm = world.home().join("tools/litellm");
    let elsewhere = world.home().join("elsewhere/litellm");
    program(&elsewhere, "#!/usr/bin/env python3\n");
    let world = world.with("PATH", path).with("GATEWAY_LITELLM_BIN", elsewhere.to_str().unwrap());
    assert_eq!(check(&world, "python_recent_enough")["details"]["version"], "3.12.1");
    assert_eq!(check(&world, "litellm_version_safe")["status"], "PASS");
    // A shim of pyenv is a shell script, with its Python beside it.
    program(&litellm, "#!/usr/bin/env bash\nexec pyenv exec litellm \"$@\"\n");
    let shim = world.with("GATEWAY_LITELLM_BIN", litellm.to_str().unwrap());
    assert_eq!(check(&shim, "python_recent_enough")["status"], "PASS");
    program(&elsewhere, "#!/bin/sh\nexec /opt/litellm \"$@\"\n");
    let unknown = shim.with("GATEWAY_LITELLM_BIN", elsewhere.to_str().unwrap());
    let found = check(&unknown, "python_recent_enough");
    assert_eq!(found["status"], "WARN", "{found}");
    assert!(found["message"].as_str().unwrap().contains("cannot tell which Python"), "{found}");
}

#[test]
fn claude_code_is_asked_for_its_version_and_nothing_else() {
    let tools = |world: World| {
        let path = format!("{}:/usr/bin:/bin", world.home().join("tools").display());
        world.with("PATH", path)
    };
    let name = "claude_code_recent_enough";
    // An enterprise gateway has this end too.
    let enterprise = [
        "--gateway-type",
        "zuplo",
        "--gateway-url",
        "https://gateway.example.com",
        "--auth-token",
        "t-t-t-t",
    ];
    // With a key helper, which both presets deploy, the listing works later only.
    for (world, middling) in
        [(deployed(), "WARN"), (World::deployed(&enterprise), "WARN"), (World::new(), "PASS")]
    {
        let world = tools(world);
        let claude = world.home().join("tools/claude");
        if system_has_none("claude") {
            let absent = check(&world, name);
            assert_eq!(absent["status"], "WARN", "{absent}");
            assert_eq!(absent["hint"], "npm install -g @anthropic-ai/claude-code");
        }
        let seen = world.home().join("seen");
        let script = |rest: &str| {
            format!("#!/bin/sh\necho \"$*|$DISABLE_AUTOUPDATER\" >>'{}'\n{rest}\n", seen.display())
        };
        for (says, status) in [
            ("echo '2.1.329 (Claude Code)'", "PASS"),
            ("echo '2.1.223 (Claude Code)'", middling),
            ("echo '2.1.128 (Claude Code)'", "WARN"),
            ("echo nonsense", "WARN"),
            ("exit 1", "WARN"),
        ] {
            program(&claude, &script(says));
            let found = check(&world, name);
            assert_eq!(found["status"], status, "{found}");
        }
        assert_eq!(fs::read_to_string(&seen).unwrap(), "--version|1\n".repeat(5));
    }
}

/// A `claude` that never ends is ended.
#[test]
fn a_claude_code_that_does_not_answer_holds_nothing_up() {
    let world = World::new();
    let path = format!("{}:/usr/bin:/bin", world.home().join("tools").display());
    let world = world.with("PATH", path);
    program(&world.home().join("tools/claude"), "#!/bin/sh\nsleep 300\n");
    let started = std::time::Instant::now();
    let found = check(&world, "claude_code_recent_enough");
    assert_eq!(found["status"], "WARN", "{found}");
    assert!(found["message"].as_str().unwrap().contains("did not answer within 10 s"), "{found}");
    assert!(started.elapsed().as_secs() < 60);
}

fn system_has_none(name: &str) -> bool {
    ["/usr/bin", "/bin"].iter().all(|dir| fs::metadata(Path::new(dir).join(name)).is_err())
}

/// In the order of Google's libraries, without asking anybody; what stands in the variable is never repeated unless it is a path.
#[test]
fn the_login_at_google_is_looked_for_where_its_libraries_look() {
    let name = "google_login_found";
    let world = deployed();
    let status = |world: &World, wanted: &str, says: &str| {
        let found = check(world, name);
        assert_eq!(found["status"], wanted, "{found}");
        assert!(found["message"].as_str().unwrap().contains(says), "{found}");
        found["hint"].as_str().unwrap_or_default().to_owned()
    };
    let of_google = fs::read("/sys/class/dmi/id/product_name").is_ok_and(|name| name.starts_with(b"Google"));
    if !of_google {
        let hint = status(&world, "WARN", "no Google login was found");
        assert!(hint.starts_with("gcloud auth application-default login"), "{hint}");
    }
    let login = world.home().join(".config/gcloud/application_default_credentials.json");
    fs::create_dir_all(login.parent().unwrap()).unwrap();
    fs::write(&login, "{}").unwrap();
    let _ = status(&world, "WARN", "is not a Google credential");
    fs::write(&login, r#"{"type": "authorized_user"}"#).unwrap();
    let _ = status(&world, "PASS", "~/.config/gcloud/application_default_credentials.json");
    let env = world.read(".env");
    let named = |value: &str| {
        world.write(".env", &format!("{env}\nGOOGLE_APPLICATION_CREDENTIALS={value}\n"));
    };
    named("/nowhere/key.json");
    let hint = status(&world, "WARN", "/nowhere/key.json in GOOGLE_APPLICATION_CREDENTIALS does not exist");
    assert_eq!(hint, "gwinstall env set GOOGLE_APPLICATION_CREDENTIALS");
    named("'{\"private_key\": \"abc\"}'");
    let _ = status(&world, "WARN", "is not an absolute path");
    let _ = world.run(&["doctor"]).never_says("private_key");
    named(login.to_str().unwrap());
    let _ = status(&world, "PASS", "authorized_user");
    let anthropic = World::deployed(&["--preset", "multi-provider", "--models", "claude-sonnet-5-5"]);
    let _ = status(&anthropic, "SKIP", "no deployed model");
}

#[test]
fn a_busy_port_a_placeholder_and_a_proxy_in_between_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", taken.local_addr().unwrap().port());
    let world = World::deployed(&["--models", "gpt-oss-120b", "--gateway-url", &url]);
    fails(&world, "no_litellm_running", "gwinstall install --gateway-url http://127.0.0.1:");
    for placeholder in ["sk-1234", "CHANGE-ME-LITELLM_MASTER_KEY"] {
        let env = world.read(".env");
        let rest: String = env
            .lines()
            .filter(|line| !line.starts_with("LITELLM_MASTER_KEY"))
            .fold(String::new(), |text, line| text + line + "\n");
        world.write(".env", &format!("{rest}LITELLM_MASTER_KEY={placeholder}\n"));
        fails(&world, "master_key_set", "gwinstall env set LITELLM_MASTER_KEY");
    }
    let world = world.with("HTTPS_PROXY", "http://proxy:3128");
    let proxy = check(&world, "no_proxy_covers_gateway");
    assert_eq!(proxy["status"], "WARN", "{proxy}");
    let hint = proxy["hint"].as_str().unwrap();
    assert!(
        hint.contains("gwinstall install") && hint.contains("export NO_PROXY=localhost,127.0.0.1"),
        "{hint}"
    );
    // That command does it.
    let _ = world.run(&["install", "--yes"]);
    assert_eq!(check(&world, "no_proxy_covers_gateway")["status"], "PASS");
}

/// A port that accepts and says nothing costs one wait: it is asked whether it listens, then who it is, and no more.
#[test]
fn a_silent_port_is_asked_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let world =
        World::deployed(&["--models", "gpt-oss-120b", "--gateway-url", &format!("http://127.0.0.1:{port}")]);
    // What the installation asked.
    taken.set_nonblocking(true).unwrap();
    let asked = || std::iter::from_fn(|| taken.accept().ok()).count();
    assert!(asked() > 0, "the control");
    fails(&world, "no_litellm_running", "gwinstall install --gateway-url http://127.0.0.1:");
    assert_eq!(asked(), 2);
}

#[test]
fn validate_points_at_the_place_and_exits_1() {
    let world = deployed();
    // A deployment that still lacks a value has a good configuration.
    let said = world.run(&["validate"]).exits(0).says("gwinstall env set VERTEXAI_PROJECT");
    let _ = said.says("is valid, with 1 warning.");
    let _ = world.run(&["validate", "--strict"]).exits(1).says("VERTEXAI_PROJECT");
    fails(&world, "required_env_vars_present", "gwinstall env set VERTEXAI_PROJECT");
    // What concerns several models is said once, with their names.
    let _ = world.run(&["models", "add", "glm-5.2", "llama-4-maverick", "--yes"]).exits(0);
    let said = world.run(&["validate"]).exits(0);
    assert_eq!(said.out.matches("warning: VERTEXAI_PROJECT is not set").count(), 1, "{}", said.out);
    assert_eq!(said.out.matches("gwinstall env set VERTEXAI_PROJECT").count(), 1, "{}", said.out);
    let _ = said
        .says("models glm-5.2, gpt-oss-120b, llama-4-maverick, claude-haiku-*, claude-sonnet-*, claude-opus-*, claude-fable-* and claude-mythos-*")
        .says("is valid, with 1 warning.");
    let _ = world.run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes"], "mine").exits(0);
    let _ = world.run(&["validate"]).exits(0).says("is valid");
    let text =
        "model_list:\n  - model_name: x\n    litellm_params:\n      model: vertex_ai/x\nrouter_setings: {}\n";
    fs::write(world.home().join("bad.yaml"), text).unwrap();
    let said = world.run(&["validate", "bad.yaml"]).exits(1);
    let _ = said.says("bad.yaml:5:1: error:").says("^^^^").says("router_settings");
    let data = world.run(&["--json", "validate", "bad.yaml"]).exits(1).data();
    assert_eq!((data["errors"].as_u64(), data["findings"][0]["line"].as_u64()), (Some(1), Some(5)));
    fs::write(world.home().join("latin.yaml"), b"a: 1\nb: \xe9\n").unwrap();
    let _ = world.run(&["validate", "latin.yaml"]).exits(1).says("latin.yaml:2");
    let _ = world.run(&["validate", "absent.yaml"]).exits(2);
}
