//! `runtime`, with a stand-in for uv that installs a LiteLLM of three files: what is built, refused, recorded, removed, and
//! what a run that is killed or fails at any stage leaves. The real uv and the real packages: `the_real_uv…` at the end, and
//! section runtime-full of tests/run.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{Said, World, mode, program};

/// Does what uv does, for one package. `STAND_IN` names a stage at which it stops, and how.
const UV: &str = include_str!("../fixtures/uv.sh");

/// A world with the stand-in on its PATH; `None` where there is no Python to make anything with.
pub fn with_uv(world: World) -> Option<World> {
    let Ok(python) = fs::canonicalize("/usr/bin/python3") else {
        eprintln!("skipped: there is no /usr/bin/python3");
        return None;
    };
    assert!(python.exists());
    program(&world.home().join("tools/uv"), UV);
    let path = format!("{}:/usr/bin:/bin", world.home().join("tools").display());
    let log = world.home().join("uv.log").to_str().unwrap().to_owned();
    Some(world.with("PATH", path).with("STAND_IN_LOG", log))
}

fn root(world: &World) -> PathBuf {
    world.home().join(".local/share/gwinstall/runtime")
}

/// Names of the runtimes, and of anything that a run left beside them.
fn names(world: &World) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root(world)) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
    names.sort();
    names
}

fn log(world: &World) -> String {
    fs::read_to_string(world.home().join("uv.log")).unwrap_or_default()
}

/// The only runtime, complete.
#[track_caller]
fn only(world: &World) -> PathBuf {
    let names = names(world);
    let [name] = names.as_slice() else { panic!("{names:?}") };
    assert!(name.starts_with("1.106.2-cp3"), "{name}");
    let dir = root(world).join(name);
    assert!(
        dir.join("bin/litellm").exists()
            && dir.join("lib/python3.11/site-packages/litellm/__init__.py").exists()
    );
    dir
}

fn install(world: &World, more: &[&str]) -> Said {
    world.run(&[&["runtime", "install", "--yes"], more].concat())
}

#[test]
fn it_is_built_with_hashes_listed_and_recorded() {
    let Some(world) = with_uv(World::deployed(&["--models", "gpt-oss-120b"])) else { return };
    let before = world.snapshot();
    let dry = world
        .run(&["runtime", "install", "--dry-run"])
        .exits(0)
        .says("107 MB to download")
        .says("480 MB on disk");
    let _ = dry.says("nothing was changed");
    assert_eq!(world.snapshot(), before);
    let _ = world.run(&["runtime", "install"]).exits(2).says("gwinstall runtime install --yes");
    let _ = install(&world, &[]).exits(0).says("Installed LiteLLM 1.106.2").says("gwinstall start");
    let dir = only(&world);
    assert_eq!((mode(&root(&world)), mode(&dir)), (0o700, 0o700));
    let log = log(&world);
    for flag in
        ["--relocatable", "--require-hashes", "--no-build", "--compile-bytecode", "UV_PYTHON_DOWNLOADS=never"]
    {
        assert!(log.contains(flag), "no {flag} in {log}");
    }
    let name = dir.file_name().unwrap().to_str().unwrap();
    let relative = format!(".local/share/gwinstall/runtime/{name}");
    assert_eq!(
        world.record()["runtime"],
        serde_json::json!({"kind": "managed", "version": "1.106.2", "path": relative})
    );
    let line = format!("GATEWAY_LITELLM=\"${{HOME-}}\"/'{relative}' # gwinstall:litellm");
    assert!(world.read("start-gateway.sh").lines().any(|found| found == line));
    let listed = world.run(&["runtime", "list", "--json"]).exits(0).data()["runtimes"][0].clone();
    assert_eq!((listed["litellm"].as_str(), listed["name"].as_str()), (Some("1.106.2"), Some(name)));
    assert_eq!(listed["used_by"]["deployments"], serde_json::json!(["~/.claude/gateway"]));
    let before = world.snapshot();
    let _ = install(&world, &[]).exits(0).says("Nothing to do");
    let _ = world.run(&["install", "--yes"]).exits(0).says("Already up to date");
    assert_eq!(world.snapshot(), before);
}

#[test]
fn what_uses_it_keeps_it() {
    let Some(world) = with_uv(World::deployed(&["--models", "gpt-oss-120b"])) else { return };
    let _ = install(&world, &[]).exits(0);
    let dir = only(&world);
    let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let _ = world
        .run(&["runtime", "remove", &name, "--yes"])
        .exits(1)
        .says("the gateway in ~/.claude/gateway names it");
    let _ = world.run(&["runtime", "remove", "1.0", "--yes"]).exits(2).says("gwinstall runtime list");
    let _ = world.run(&["runtime", "remove", "--yes"]).exits(0).says("Nothing to do");
    // A backup that was made with it names it too.
    let _ = world.run(&["models", "add", "glm-5.2", "--yes"]).exits(0);
    let said = world.run(&["uninstall", "--yes"]).exits(0);
    let _ =
        said.says("LiteLLM 1.106.2 in ~/.local/share/gwinstall/runtime/").says("the backup gateway-backup-");
    let _ = world.run(&["runtime", "remove", &name, "--yes"]).exits(1).says("the backup");
    let mut process = Command::new("sleep").arg0(dir.join("bin/litellm")).arg("60").spawn().unwrap();
    let _ = world.run(&["uninstall", "--purge", "--yes"]).exits(0).says(&format!("process {}", process.id()));
    assert_eq!(only(&world), dir);
    process.kill().unwrap();
    let _ = process.wait();
    let _ = world.run(&["runtime", "remove", &name, "--yes"]).exits(0).says("Removed");
    assert_eq!(names(&world), [""; 0]);
}

#[test]
fn purge_removes_it_and_what_it_lay_in() {
    let Some(world) = with_uv(World::deployed(&["--models", "gpt-oss-120b"])) else { return };
    let _ = install(&world, &[]).exits(0);
    let _ = world
        .run(&["uninstall", "--purge", "--dry-run"])
        .exits(0)
        .says("the LiteLLM that gwinstall installed");
    let _ = world.run(&["uninstall", "--purge", "--yes"]).exits(0).says("gwinstall removed the LiteLLM");
    assert!(!world.home().join(".local/share/gwinstall").exists());
}

/// Each stage of the build, and each way to end there: nothing that counts is left, and the next run succeeds.
#[test]
fn a_run_that_ends_at_any_stage_leaves_nothing_that_counts() {
    let stages = ["venv", "half-a-venv", "sync", "half-a-package", "done"];
    let kills = stages.map(|stage| (stage, "die", -1, ""));
    let failures = ["half-a-venv", "half-a-package"].into_iter().flat_map(|stage| {
        let ways = [
            ("fail", 1, "something went wrong"),
            ("hash", 8, "is not the one that the lock names"),
            ("full", 1, "the disk is full"),
            ("net", 10, "cannot be fetched"),
        ];
        ways.map(|(way, code, words)| (stage, way, code, words))
    });
    for (stage, way, code, words) in kills.into_iter().chain(failures) {
        let Some(world) = with_uv(World::new()) else { return };
        let world = world.with("STAND_IN", format!("{way} {stage}"));
        let said = install(&world, &[]).exits(code).says(words).never_says("s3cret");
        let left = names(&world);
        assert!(left.iter().all(|name| name.starts_with(".staging-")), "{way} {stage}: {left:?}");
        assert_eq!(left.is_empty(), way != "die", "{way} {stage}: {left:?} {said:?}");
        let world = world.with("STAND_IN", "");
        let _ = install(&world, &[]).exits(0).says("Installed LiteLLM");
        let _ = only(&world);
    }
}

/// A run that was killed after the runtime was in its place, and before the rest of its directory was removed.
#[test]
fn what_a_run_left_beside_a_whole_runtime_is_removed() {
    let Some(world) = with_uv(World::new()) else { return };
    let _ = install(&world, &[]).exits(0);
    let left = only(&world).with_file_name(".staging-4711-0815abcd");
    fs::create_dir_all(left.join("wheels")).unwrap();
    fs::write(left.join("wheels/litellm.whl"), "half").unwrap();
    let _ = install(&world, &["--dry-run"]).exits(0).says("Nothing to do");
    assert!(left.exists());
    // Another run may be at work in it.
    let lock = fs::File::open(left.with_file_name("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let _ = install(&world, &[]).exits(0).says("Nothing to do");
    assert!(left.exists());
    drop(lock);
    let _ = install(&world, &[]).exits(0).says("Nothing to do");
    let _ = only(&world);
}

/// An installer that reports success is not believed.
#[test]
fn what_is_incomplete_damaged_or_does_not_run_does_not_count() {
    for (variable, value, words) in [
        ("STAND_IN", "missing", "__init__.py is missing"),
        ("STAND_IN", "damaged", "__init__.py is damaged"),
        ("STAND_IN_SMOKE", "3", "LiteLLM was installed and does not run"),
    ] {
        let Some(world) = with_uv(World::new()) else { return };
        let _ = install(&world.with(variable, value), &[]).exits(1).says(words);
    }
    let Some(world) = with_uv(World::new()) else { return };
    let world = world.with("STAND_IN_SMOKE", "3");
    let _ = install(&world, &[]).exits(1);
    assert_eq!(names(&world), [""; 0]);
}

#[test]
fn two_at_once_build_one() {
    let Some(world) = with_uv(World::new()) else { return };
    let world = world.with("STAND_IN", "wait sync");
    let mut first = world
        .command(&["runtime", "install", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !log(&world).contains("stage sync") && started.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = install(&world, &[]).exits(6).says("another gwinstall").says("--lock-wait=300");
    let _ = install(&world, &["--lock-wait", "60"]).exits(0).says("LiteLLM 1.106.2 is in");
    assert!(first.wait().unwrap().success());
    let _ = only(&world);
    assert_eq!(log(&world).matches("stage done").count(), 1);
}

#[test]
fn settings_of_pip_reach_uv_and_no_login_is_shown() {
    let Some(world) = with_uv(World::new()) else { return };
    let index = "https://me:s3cret@mirror.corp/simple";
    let world =
        world.with("PIP_INDEX_URL", index).with("PIP_CERT", "/ca.pem").with("VIRTUAL_ENV", "/elsewhere");
    let _ = install(&world, &[]).exits(0).says("gives it your index-url and cert").never_says("s3cret");
    let log = log(&world);
    assert!(
        log.contains(&format!("UV_DEFAULT_INDEX={index}")) && log.contains("SSL_CERT_FILE=/ca.pem"),
        "{log}"
    );
    let Some(world) = with_uv(World::new()) else { return };
    let world = world.with("PIP_INDEX_URL", index).with("UV_DEFAULT_INDEX", "https://own.corp/simple");
    let _ = install(&world, &[]).exits(0).never_says("index-url");
}

/// The way to packages and Python, and nothing else of what a shell has exported.
#[test]
fn an_installer_sees_the_index_the_mirror_and_nothing_else() {
    let Some(world) = with_uv(World::new()) else { return };
    let passed = [
        "UV_PYTHON_INSTALL_MIRROR",
        "UV_INDEX_URL",
        "PIP_INDEX_URL",
        "UV_INDEX_CORP_PASSWORD",
        "https_proxy",
        "NETRC",
    ];
    let kept_back = [
        "ANTHROPIC_API_KEY",
        "LITELLM_MASTER_KEY",
        "UV_LINK_MODE",
        "UV_OVERRIDE",
        "PIP_CONSTRAINT",
        "VIRTUAL_ENV",
    ];
    let world =
        passed.iter().chain(&kept_back).fold(world, |world, name| world.with(name, format!("/of-{name}")));
    let _ = install(&world, &[]).exits(0);
    let log = log(&world);
    for name in passed {
        assert!(log.contains(&format!("{name}=/of-{name}\n")), "{name} did not reach uv: {log}");
    }
    for name in kept_back {
        assert!(!log.contains(name), "{name} reached uv: {log}");
    }
}

#[test]
fn offline_and_unfit_pythons_are_refused_before_anything_is_made() {
    let Some(world) = with_uv(World::new()) else { return };
    let world = world.with("STAND_IN", "net sync");
    let _ = install(&world, &["--offline"]).exits(10).says("gwinstall runtime export");
    assert!(log(&world).contains("--offline"));
    let old = world.home().join("old/python3");
    program(
        &old,
        "#!/bin/sh\necho '{\"version\": \"3.8.1\", \"implementation\": \"cpython\", \"program\": \"/bin/sh\", \"os\": \"linux\", \"machine\": \"x86_64\", \"glibc\": \"2.36\", \"venv\": true, \"pip\": true, \"mark\": null}'\n",
    );
    let _ = install(&world, &["--python", old.to_str().unwrap()])
        .exits(2)
        .says("it is Python 3.8.1")
        .says("3.10 to 3.14");
    let _ = install(&world, &["--python", "/nowhere"]).exits(2);
    let _ = install(&world, &["--from", "nowhere.tar"]).exits(2).says("there is no file");
    fs::write(world.home().join("not.tar"), "text").unwrap();
    let _ = install(&world, &["--from", "not.tar"]).exits(8).says("is not a runtime that gwinstall exported");
    assert_eq!(names(&world), [""; 0]);
}

/// Without any Python, uv brings one from the mirror that the user named, and from nowhere else.
#[test]
fn a_machine_without_python_gets_one_from_the_mirror_of_the_user() {
    let Some(world) = with_uv(World::new()) else { return };
    let tools = world.home().join("tools");
    for name in [
        "cat", "chmod", "cp", "dirname", "env", "grep", "ln", "mkdir", "sed", "sh", "sort", "tail", "tr",
        "true", "uname", "wc",
    ] {
        std::os::unix::fs::symlink(Path::new("/usr/bin").join(name), tools.join(name)).unwrap();
    }
    let world = world.with("PATH", tools.to_str().unwrap());
    let refused = install(&world, &[]).exits(1).says("gwinstall found no Python");
    let _ = refused.says("UV_PYTHON_INSTALL_MIRROR");
    let world = world.with("UV_PYTHON_INSTALL_MIRROR", "file:///srv/python");
    let _ = install(&world, &["--offline"]).exits(1).says("gwinstall found no Python");
    let before = world.snapshot();
    let dry = world.run(&["runtime", "install", "--dry-run"]).exits(0);
    let _ = dry.says("Python 3.13.18 from your mirror, 107 MB to download");
    assert_eq!(world.snapshot(), before, "nothing is fetched for a plan");
    let _ = install(&world, &[]).exits(0).says("Python 3.13.18, with uv");
    let log = log(&world);
    assert!(log.contains("UV_PYTHON_INSTALL_MIRROR=file:///srv/python\n"), "{log}");
    assert!(log.contains("--no-bin --install-dir"), "{log}");
    let names = names(&world);
    assert!(names.len() == 1 && names[0].starts_with("1.106.2-cp313-linux-"), "{names:?}");
    let _ = install(&world, &[]).exits(0).says("Nothing to do");
    assert_eq!(log.matches("stage python").count(), 1);
    let _ = world.run(&["install", "--models", "gpt-oss-120b", "--yes"]).exits(0);
    let _ = world.run(&["uninstall", "--purge", "--yes"]).exits(0);
    assert!(!world.home().join(".local/share/gwinstall").exists(), "a purge removes that Python too");
}

/// A tar of these files.
fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut packer = gwinstall::bundle::pack::Packer::new(Vec::new());
    for (name, bytes) in entries {
        packer.file(name, 0o644, bytes).unwrap();
    }
    packer.finish().unwrap()
}

/// The offline archive of a release may carry LiteLLM for several machines; this machine takes its own.
#[test]
fn an_offline_archive_carries_litellm_and_its_lock_decides() {
    let Some(world) = with_uv(World::new()) else { return };
    let python = Command::new("/usr/bin/python3")
        .args(["-c", "import platform, sys; print('cp%d%d' % sys.version_info[:2], platform.machine())"])
        .output()
        .unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    let (tag, machine) = python.trim().split_once(' ').unwrap();
    let facts = gwinstall::runtime::facts::Facts::embedded().unwrap();
    let runtime = |machine: &str, wheels: Value| {
        let about = serde_json::json!({"schema": 1, "litellm": "1.106.2", "lock_sha256": facts.lock_sha256,
            "python": tag, "platform": format!("linux-{machine}"), "wheels": wheels});
        let forged = "ab".repeat(32);
        let wheel = (format!("wheels/{forged}"), &b"forged"[..]);
        let about = about.to_string();
        let entries = [("runtime.json", about.as_bytes()), (wheel.0.as_str(), wheel.1)];
        tar(if wheels == serde_json::json!({}) { &entries[..1] } else { &entries })
    };
    let offline = |wheels: Value| {
        let (other, own) = (runtime("riscv64", serde_json::json!({})), runtime(machine, wheels));
        let names =
            ["riscv64", machine].map(|machine| format!("gwinstall-runtime-1.0.0-{tag}-linux-{machine}.tar"));
        let files = [("manifest.json", &b"{}"[..]), (&names[0], &other), (&names[1], &own)];
        fs::write(world.home().join("offline.tar"), tar(&files)).unwrap();
    };
    offline(serde_json::json!({ "ab".repeat(32): "litellm-1.106.2-py3-none-any.whl" }));
    let forged = install(&world, &["--from", "offline.tar"]).exits(8);
    let _ = forged.says("is not a package that the lock of gwinstall names");
    assert_eq!(names(&world), [""; 0]);
    offline(serde_json::json!({}));
    let _ = install(&world, &["--from", "offline.tar"]).exits(0).says("Installed LiteLLM 1.106.2");
    let log = log(&world);
    assert!(log.contains("--offline --no-index --find-links"), "{log}");
    fs::write(world.home().join("without.tar"), tar(&[("manifest.json", b"{}")])).unwrap();
    let other = World::new();
    fs::copy(world.home().join("without.tar"), other.home().join("without.tar")).unwrap();
    let _ = install(&other, &["--from", "without.tar"]).exits(2).says("carries no LiteLLM");
}

/// A `litellm` that only has to be there, in an environment of this version.
fn venv(dir: &Path, version: &str) {
    program(&dir.join("bin/litellm"), "#!/bin/sh\nexit 0\n");
    program(&dir.join("bin/python"), "#!/bin/sh\nexit 0\n");
    fs::write(dir.join("pyvenv.cfg"), "").unwrap();
    fs::create_dir_all(dir.join(format!("lib/python3.11/site-packages/litellm-{version}.dist-info")))
        .unwrap();
}

#[test]
fn the_choice_is_the_users_then_ours_then_what_is_found() {
    let Some(world) = with_uv(World::deployed(&["--models", "gpt-oss-120b"])) else { return };
    let _ = world.run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes"], "my-project\n").exits(0);
    let kind = |world: &World| world.record()["runtime"]["kind"].as_str().map(str::to_owned);
    assert_eq!(kind(&world), None);
    venv(&world.gateway("venv"), "1.106.2");
    let _ = world.run(&["install", "--yes"]).exits(0);
    assert_eq!(world.record()["runtime"]["path"], ".claude/gateway/venv");
    // A Python that went with an upgrade of the system.
    fs::remove_file(world.gateway("venv/bin/python")).unwrap();
    std::os::unix::fs::symlink("/opt/gone/python3.9", world.gateway("venv/bin/python")).unwrap();
    let gone = "/opt/gone/python3.9 does not exist";
    let _ = world.run(&["doctor"]).says(gone).says("gwinstall runtime install");
    let _ = world.run(&["start"]).exits(1).says("the LiteLLM in").says(gone);
    let _ = install(&world, &[]).exits(0);
    assert_eq!(kind(&world).as_deref(), Some("managed"));
    let own = world.home().join("my venv");
    venv(&own, "1.105.0");
    let _ = world.run(&["install", "--venv", "my venv", "--yes"]).exits(0);
    assert_eq!(world.record()["runtime"]["path"], "my venv");
    assert!(
        world
            .read("start-gateway.sh")
            .contains("\nGATEWAY_LITELLM=\"${HOME-}\"/'my venv' # gwinstall:litellm\n")
    );
    let _ = world.run(&["install", "--yes"]).exits(0).says("Already up to date");
    assert_eq!(kind(&world).as_deref(), Some("venv"));
    let _ = install(&world, &[]).exits(0);
    assert_eq!(kind(&world).as_deref(), Some("managed"));
    let _ = world.run(&["install", "--venv", "nothing", "--yes"]).exits(2).says("it has no bin/litellm");
}

/// The key helper starts the gateway without any variable of the caller, its home included.
#[test]
fn a_litellm_in_the_home_is_started_on_demand() {
    if fs::metadata("/usr/bin/python3").is_err() {
        eprintln!("skipped: there is no python3 here");
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world =
        World::new().with("VERTEXAI_PROJECT", "my-project").with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
    venv(&world.home().join("my venv"), "1.106.2");
    // An environment runs its program with its own Python.
    fs::remove_file(world.home().join("my venv/bin/python")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/python3", world.home().join("my venv/bin/python")).unwrap();
    program(&world.home().join("my venv/bin/litellm"), crate::world::LITELLM);
    let url = format!("http://127.0.0.1:{port}");
    let words = ["install", "--venv", "my venv", "--models", "glm-5.2", "--gateway-url", &url, "--yes"];
    let _ = world.run(&words).exits(0);
    let helper =
        world.settings()["apiKeyHelper"].as_str().unwrap().replace('~', world.home().to_str().unwrap());
    let run = Command::new("/bin/sh").args(["-c", &helper]).env_clear().output().unwrap();
    let _ = world.run(&["stop", "--now"]).exits(0);
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success() && run.stdout.starts_with(b"sk-"), "{said}");
}

#[test]
fn a_version_with_a_known_hole_runs_only_if_the_user_insists() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes"], "my-project\n").exits(0);
    let dir = world.home().join("old");
    venv(&dir, "1.83.6");
    let refused = world.run(&["install", "--venv", "old", "--yes"]).exits(9).says("CVE-2026-42271");
    let _ = refused.says("gwinstall install --venv old --yes --on --allow-unsafe-litellm");
    let _ = world.run(&["install", "--venv", "old", "--yes", "--allow-unsafe-litellm"]).exits(0);
    assert_eq!(world.record()["runtime"]["version"], "1.83.6");
    let _ = world.run(&["install", "--yes"]).exits(0).says("Already up to date");
    let bad = world.home().join("bad");
    venv(&bad, "1.82.8");
    let _ = world
        .run(&["install", "--venv", "bad", "--yes", "--allow-unsafe-litellm"])
        .exits(9)
        .says("malicious code");
    // What is only found is passed over, and the script does not start it either.
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run_with(&["env", "set", "VERTEXAI_PROJECT", "--yes"], "my-project\n").exits(0);
    venv(&world.gateway("venv"), "1.83.6");
    let _ = world
        .run(&["install", "--strict", "--dry-run"])
        .exits(0)
        .says("is not used: LiteLLM 1.83.6 is older than");
    let _ = world.run(&["start"]).exits(1).says("has known security holes");
}

/// A rollback to a LiteLLM that is gone keeps the present one.
#[test]
fn a_rollback_keeps_what_can_run() {
    let Some(world) = with_uv(World::new()) else { return };
    let dir = world.home().join("first");
    venv(&dir, "1.105.0");
    let _ = world.run(&["install", "--models", "gpt-oss-120b", "--venv", "first", "--yes"]).exits(0);
    let _ = install(&world, &[]).exits(0);
    let managed = world.record()["runtime"].clone();
    let _ = world.run(&["rollback", "--yes"]).exits(0).never_says("is gone");
    assert_eq!(world.record()["runtime"]["path"], "first");
    let _ = install(&world, &[]).exits(0);
    fs::remove_dir_all(&dir).unwrap();
    let _ = world.run(&["models", "add", "glm-5.2", "--yes"]).exits(0);
    let _ = world.run(&["rollback", "2", "--yes"]).exits(0).says("~/first, is gone; the present one stays");
    assert_eq!(world.record()["runtime"], managed);
    assert!(!world.read("start-gateway.sh").contains("/'first'"));
    let _ = world.run(&["status"]).exits(0);
    let _ = world.run(&["install", "--yes"]).exits(0);
}

/// The start script takes what was recorded, wherever the home lies now, and starts it with the Python beside it.
#[test]
fn a_moved_home_starts_its_own_litellm() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::new();
    let dir = world.home().join("rt");
    venv(&dir, "1.106.2");
    fs::remove_file(dir.join("bin/python")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/python3", dir.join("bin/python")).unwrap();
    // As pip leaves it when its directory moves: the Python in the first line is not there.
    let moved = crate::world::LITELLM.replace("/usr/bin/python3", "/gone/bin/python3");
    program(&dir.join("bin/litellm"), &moved);
    let url = format!("http://127.0.0.1:{port}");
    let _ = world
        .run(&["install", "--models", "gpt-oss-120b", "--venv", "rt", "--gateway-url", &url, "--yes"])
        .exits(0);
    let env =
        world.read(".env").replace("#VERTEXAI_PROJECT=CHANGE-ME-VERTEXAI_PROJECT", "VERTEXAI_PROJECT=p");
    world.write(".env", &env);
    let moved = World::new();
    crate::world::copy(&world.home().join(".claude"), &moved.home().join(".claude"));
    crate::world::copy(&dir, &moved.home().join("rt"));
    drop(world);
    let started = moved.run(&["start"]).exits(0);
    let pid = moved.read("litellm.pid");
    let line = fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap();
    let _ = moved.run(&["stop"]).exits(0);
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let home = moved.home().display();
    assert!(line.starts_with(&format!("{home}/rt/bin/python {home}/rt/bin/litellm ")), "{line} {started:?}");
}

/// With the real uv where there is one: the real LiteLLM, tried for real. It takes half a minute and 500 MB.
#[test]
fn the_real_uv_builds_the_real_litellm() {
    let which = Command::new("sh").args(["-c", "command -v uv"]).output().unwrap();
    let uv = String::from_utf8(which.stdout).unwrap().trim().to_owned();
    if uv.is_empty() {
        return eprintln!("skipped: uv is not on the PATH");
    }
    let mut world = World::new();
    let tools = Path::new(&uv).parent().unwrap().display().to_string();
    world = world.with("PATH", format!("{tools}:/usr/bin:/bin"));
    for (name, value) in
        std::env::vars().filter(|(name, _)| ["PIP_", "UV_", "SSL_"].iter().any(|own| name.starts_with(own)))
    {
        world = world.with(&name, value);
    }
    let said = install(&world, &["--json"]);
    if said.code == 10 {
        return eprintln!("skipped: the packages cannot be fetched: {}", said.out);
    }
    let data: Value = said.exits(0).data();
    assert_eq!((data["tool"].as_str(), data["litellm"].as_str()), (Some("uv"), Some("1.106.2")));
    assert!(data["files"].as_u64().unwrap() > 5000, "{data}");
    let _ = world.run(&["runtime", "list"]).exits(0).says("1.106.2");
}
