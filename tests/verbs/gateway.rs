//! The gateway's own verbs and `models check`, against a small server that answers as LiteLLM was seen to: without a
//! database a wrong key gets 400, liveliness and readiness ask for none.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Mutex, mpsc};

use crate::world::{World, program};

pub const KEY: &str = "sk-canary-gateway";
/// Ends the note of a request that showed the key.
const KEYED: &str = " with the key";

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    AsLiteLlm,
    /// Forgot its master key.
    Open,
    NotReady,
    /// Hangs up on who shows no key.
    Curt,
    SomethingElse,
}

/// The listening sockets of `serve`, by port.
static SOCKETS: Mutex<BTreeMap<u16, TcpListener>> = Mutex::new(BTreeMap::new());

/// Serves until the test process ends, and hands over every request line that it saw.
fn serve(manner: Manner, models: &'static [&'static str]) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    SOCKETS.lock().unwrap().insert(port, listener.try_clone().unwrap());
    let (seen, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = answer(stream.unwrap(), manner, models, &seen);
        }
    });
    (port, requests)
}

fn answer(
    mut stream: TcpStream,
    manner: Manner,
    models: &[&str],
    seen: &mpsc::Sender<String>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut request, mut key, mut length) = (String::new(), false, 0);
    reader.read_line(&mut request)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        key |= line == format!("authorization: bearer {KEY}");
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let _ = seen.send(format!("{path} {body}{}", if key { KEYED } else { "" }));
    let allowed = key || manner == Manner::Open;
    let list = models.iter().map(|id| format!(r#"{{"id": "{id}"}}"#)).collect::<Vec<_>>().join(", ");
    let (status, text) = match path.as_str() {
        _ if manner == Manner::SomethingElse => (200, "<html>hello</html>".to_owned()),
        "/health/liveliness" => (200, r#""I'm alive!""#.to_owned()),
        "/health/readiness" if manner == Manner::NotReady => (503, r#"{"status": "unhealthy"}"#.to_owned()),
        "/health/readiness" => (200, r#"{"status": "healthy", "db": "Not connected"}"#.to_owned()),
        "/health/readiness/details" if allowed => {
            (200, r#"{"status": "healthy", "litellm_version": "1.106.2"}"#.to_owned())
        }
        "/v1/models" if manner == Manner::Curt && !key => return Ok(()),
        "/v1/models" if allowed => (200, format!(r#"{{"data": [{list}]}}"#)),
        "/v1/messages" if allowed && body.contains("glm") => {
            (500, format!(r#"{{"error": {{"message": "no such thing, {KEY}"}}}}"#))
        }
        "/v1/messages" if allowed => (200, r#"{"content": []}"#.to_owned()),
        _ => (400, r#"{"error": {"message": "No connected db.", "type": "no_db_connection"}}"#.to_owned()),
    };
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

/// Deployed for a gateway on this port, with the key that the server wants. The server counts as the gateway.
fn world(port: u16, models: &str) -> World {
    let world = beside_a_stranger(port, models);
    if let Some(socket) = SOCKETS.lock().unwrap().get(&port) {
        count_as_gateway(&world, socket);
    }
    world
}

/// A process with the command line of the gateway holds the socket, until this process ends.
pub fn count_as_gateway(world: &World, socket: &TcpListener) {
    let port = socket.local_addr().unwrap().port();
    let socket = std::os::fd::OwnedFd::from(socket.try_clone().unwrap());
    let config = world.gateway("config/litellm.yaml");
    let words = ["--run_gunicorn", "--port", &port.to_string()].map(str::to_owned);
    let mut holder = std::process::Command::new("sh")
        .args(["-c", "while kill -0 $PPID 2>/dev/null; do sleep 0.2; done", "litellm"])
        .arg(config)
        .args(words)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // On a busy machine the system shows the words of a new process a moment later.
    let shown = || fs::read(format!("/proc/{}/cmdline", holder.id())).unwrap_or_default();
    for _ in 0..100 {
        if String::from_utf8_lossy(&shown()).contains("--run_gunicorn") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // Without this one that was stopped would stay as a zombie.
    std::thread::spawn(move || holder.wait());
}

/// Deployed for a gateway on this port, on which another program may listen.
pub fn beside_a_stranger(port: u16, models: &str) -> World {
    let url = format!("http://127.0.0.1:{port}");
    let world = World::new().with("LITELLM_MASTER_KEY", KEY);
    let _ = world.run(&["install", "--yes", "--models", models, "--gateway-url", &url]).exits(0);
    world
}

/// A program that took the port must not receive the key, even where it answers as LiteLLM does.
#[test]
fn the_key_is_not_sent_to_another_program_on_the_port() {
    let (port, requests) = serve(Manner::AsLiteLlm, &["gpt-oss-120b"]);
    let world = beside_a_stranger(port, "gpt-oss-120b");
    for command in [&["models", "check"][..], &["models", "check", "--call"], &["health"]] {
        let said = world.run(command).exits(1).never_says(KEY);
        let _ = said.says(&format!("(pid {}) listens on port {port}", std::process::id()));
    }
    assert!(requests.try_iter().all(|request| !request.ends_with(KEYED)), "the key was sent");
}

/// Status of each check of a `--json` answer, in order.
fn statuses(said: &crate::world::Said) -> Vec<String> {
    let checks = said.data()["checks"].as_array().unwrap().clone();
    checks.iter().map(|check| check["status"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_healthy_gateway_passes_the_four_checks_and_no_model_is_called() {
    let (port, requests) = serve(Manner::AsLiteLlm, &["gpt-oss-120b", "claude-opus-5-5"]);
    let world = world(port, "gpt-oss-120b");
    let said = world.run(&["--json", "health"]).exits(0).never_says(KEY);
    let names: Vec<String> = said.data()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["check_name"].as_str().unwrap().to_owned())
        .collect();
    let wanted = [
        "gateway_endpoint_reachable",
        "gateway_health_check",
        "models_endpoint_accessible",
        "authentication_successful",
    ];
    assert_eq!(names, wanted);
    assert!(
        requests
            .try_iter()
            .all(|request| !request.starts_with("/v1/messages") && !request.starts_with("/health "))
    );
}

#[test]
fn each_way_to_be_unhealthy_fails_its_own_check() {
    let (port, _seen) = serve(Manner::Open, &["gpt-oss-120b"]);
    let said = world(port, "gpt-oss-120b").run(&["--json", "health"]).exits(1);
    assert_eq!(statuses(&said), ["PASS", "PASS", "PASS", "FAIL"]);

    let (port, _seen) = serve(Manner::NotReady, &["gpt-oss-120b"]);
    let said = world(port, "gpt-oss-120b").run(&["--json", "health"]).exits(1);
    assert_eq!(statuses(&said), ["PASS", "FAIL", "PASS", "PASS"]);

    let (port, _seen) = serve(Manner::SomethingElse, &[]);
    let said = world(port, "gpt-oss-120b").run(&["--json", "health"]).exits(1);
    assert_eq!(statuses(&said), ["FAIL", "SKIP", "SKIP", "SKIP"]);

    let (port, _seen) = serve(Manner::AsLiteLlm, &["gpt-oss-120b"]);
    let other_key = world(port, "gpt-oss-120b");
    let _ = other_key
        .run_with(&["env", "set", "LITELLM_MASTER_KEY", "--no-reload", "--yes"], "sk-another-key")
        .exits(0);
    let said =
        other_key.run(&["health", "-v"]).exits(1).says("gwinstall restart").never_says("sk-another-key");
    let _ = said.says("FAIL authentication_successful");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _ = world(closed, "gpt-oss-120b").run(&["health"]).exits(1).says("gwinstall start");
}

/// The seeds' health answer: one word for all checks, the database and the version as LiteLLM tells them.
#[test]
fn health_has_one_word_for_all_checks() {
    for (manner, exit, word, database) in [
        (Manner::AsLiteLlm, 0, "healthy", Some("Not connected")),
        (Manner::Curt, 0, "degraded", Some("Not connected")),
        (Manner::NotReady, 1, "unhealthy", None),
        (Manner::SomethingElse, 1, "unhealthy", None),
    ] {
        let (port, _seen) = serve(manner, &["gpt-oss-120b"]);
        let world = world(port, "gpt-oss-120b");
        let said = world.run(&["--json", "health"]).exits(exit).never_says(KEY);
        let data = said.data();
        assert_eq!(data["status"], word, "{data}");
        assert_eq!(data["database"].as_str(), database, "{data}");
        let version = (manner != Manner::SomethingElse).then_some("1.106.2");
        assert_eq!(data["version"].as_str(), version, "{data}");
        assert!(data["uptime_seconds"].is_null(), "there is no pid file: {data}");
    }
    let (port, _seen) = serve(Manner::AsLiteLlm, &["gpt-oss-120b"]);
    let _ = world(port, "gpt-oss-120b")
        .run(&["health"])
        .exits(0)
        .says("LiteLLM 1.106.2 is ready (healthy; database: Not connected)");
}

#[test]
fn models_check_compares_and_calls_only_when_told() {
    let (port, requests) = serve(Manner::AsLiteLlm, &["gpt-oss-120b", "glm-5.2"]);
    let world = world(port, "gpt-oss-120b,glm-5.2");
    let _ = world.run(&["models", "check"]).exits(0).says("Every deployed model is served");
    assert!(requests.try_iter().all(|request| !request.starts_with("/v1/messages")));
    let said =
        world.run(&["models", "check", "--call"]).exits(1).says("the provider charges").never_says(KEY);
    let _ = said.says("PASS gpt-oss-120b answers").says("FAIL glm-5.2: 500 (no such thing, ****)");
    assert_eq!(requests.try_iter().filter(|request| request.starts_with("/v1/messages")).count(), 2);
    let _ = world.run(&["models", "add", "llama-4-maverick", "--no-reload", "--yes"]).exits(0);
    let _ = world.run(&["models", "check"]).exits(1).says("llama-4-maverick").says("gwinstall reload");
}

/// As LiteLLM is seen from outside: a process with the configuration of this home on its command line. When it is asked to end,
/// it runs `last` first.
fn stand_in(world: &World, last: &str) -> std::process::Child {
    let text = format!(
        "#!/bin/sh\nat_the_end() {{\n  {last}\n  trap - TERM\n  kill -TERM $$\n}}\ntrap at_the_end TERM\nwhile :; do sleep 0.05; done\n"
    );
    let gunicorn = world.home().join("gunicorn");
    program(&gunicorn, &text);
    let gateway = std::process::Command::new(gunicorn)
        .args([world.gateway("config/litellm.yaml").to_str().unwrap(), "--run_gunicorn"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    fs::write(world.gateway("litellm.pid"), format!("{}\n", gateway.id())).unwrap();
    gateway
}

/// What takes the script away would leave a gateway that you cannot stop any more. Claude Code has left it by then, because it
/// would start the gateway again.
#[test]
fn a_running_gateway_is_stopped_before_its_script_goes_and_after_claude_code_has_left() {
    let elsewhere = ["install", "--preset", "enterprise", "--gateway-url", "https://gw.example", "--yes"];
    for away in [&["uninstall", "--yes"][..], &["uninstall", "--purge", "--yes"], &elsewhere] {
        let world =
            World::deployed(&["--models", "gpt-oss-120b"]).with("ANTHROPIC_AUTH_TOKEN", "token-of-a-gateway");
        let settings = world.home().join(".claude/settings.json");
        assert!(fs::read_to_string(&settings).unwrap().contains("\"http://127.0.0.1:"));
        let (shown, files) = (world.home().join("shown"), world.home().join("files"));
        let last = format!(
            "cat '{}' >'{}' 2>/dev/null; ls '{}' >'{}'",
            settings.display(),
            shown.display(),
            world.gateway("").display(),
            files.display()
        );
        let mut gateway = stand_in(&world, &last);
        let said = world.run(away).exits(0).says("stops the gateway");
        assert!(gateway.wait().unwrap().code().is_none(), "ended by a signal");
        assert!(!world.gateway("litellm.pid").exists(), "{}", said.err);
        let shown = fs::read_to_string(shown).unwrap();
        assert!(!shown.contains("\"http://127.0.0.1:"), "{away:?}: Claude Code still uses it: {shown}");
        let files = fs::read_to_string(files).unwrap();
        assert!(files.contains("start-gateway.sh"), "{away:?}: {files}");
    }
}

#[test]
fn a_gateway_that_was_stopped_runs_again_when_its_removal_is_undone() {
    let Some(world) = World::with_litellm() else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let _ = world.run(&["install", "--models", "gpt-oss-120b", "--gateway-url", &url, "--yes"]).exits(0);
    let settings = world.settings();
    // Another program writes to a file of the deployment while the gateway ends.
    let edited = world.gateway("docs/operations.md");
    let mut gateway = stand_in(&world, &format!("echo mine >>'{}'", edited.display()));
    let undone = world.run(&["uninstall", "--yes"]);
    let ended = gateway.wait().unwrap();
    let health = world.run(&["health"]);
    let _ = world.run(&["stop"]).exits(0);
    let _ = undone
        .exits(6)
        .says("operations.md was changed by another program")
        .says("the gateway runs again as before");
    assert!(ended.code().is_none(), "ended by a signal");
    let _ = health.exits(0);
    assert_eq!(world.settings(), settings);
    assert!(fs::read_to_string(edited).unwrap().ends_with("mine\n"));
    assert!(!world.gateway(".gwinstall/journal").exists());
}

#[test]
fn the_script_that_fails_is_our_failure() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run(&["start"]).exits(1).says("the gateway did not start").says("gwinstall logs");
    let _ = world.run(&["stop"]).exits(0).says("does not run");
    let _ = world.run(&["reload"]).exits(1);
    // In JSON the script's words are talk when it went well, and the reason when it did not.
    let said = world.run(&["--json", "stop"]).exits(0).says("\"message\":\"nothing was running\"");
    assert_eq!(said.data()["verb"], "stop");
    let said = world.run(&["--json", "start"]).exits(1);
    let causes = said.data()["causes"].to_string();
    assert!(causes.contains("litellm"), "{causes}");
    assert!(said.err.contains("litellm"), "it is on stderr as well: {}", said.err);
    program(&world.gateway("start-gateway.sh"), "#!/bin/sh\nexit 7\n");
    let _ = world.run(&["restart"]).exits(1).says("ended with 7");
    fs::remove_file(world.gateway("start-gateway.sh")).unwrap();
    let _ = world.run(&["start"]).exits(2).says("gwinstall status");
    for verb in ["start", "stop", "restart", "reload"] {
        let _ = World::new().run(&[verb]).exits(2).says("nothing is deployed yet").says("gwinstall install");
    }
    let _ = World::new().run(&["logs"]).exits(1).says("gwinstall install");
}

/// A worker whose master was killed serves on: every command calls it the gateway, and `stop` ends it.
#[test]
fn a_worker_without_its_master_is_reported_and_stopped() {
    let (port, _seen) = serve(Manner::AsLiteLlm, &["gpt-oss-120b"]);
    let world = world(port, "gpt-oss-120b");
    world.write("litellm.pid", "4194303\n");
    let status = world.run(&["--json", "status"]);
    assert_eq!(status.data()["running"], true, "{}", status.out);
    let _ = world.run(&["status"]).says("running (pid ");
    let _ = world.run(&["health"]).exits(0);
    let _ = world.run(&["stop", "--now"]).exits(0).says("the gateway is stopped");
    assert!(world.gateway(".stopped").exists());
    let _ = world.run(&["--json", "stop"]).exits(0).says("nothing was running");
    let _ = world.run(&["uninstall", "--yes"]).exits(0);
    for name in [".stopped", ".starting", ".start-failed", ".serving", "litellm.pid"] {
        assert!(!world.gateway(name).exists(), "{name}");
    }
}

/// While another run is at work, repair would be the wrong advice.
#[test]
fn while_an_installation_runs_the_verbs_say_so() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let holder = format!(
        r#"{{"pid": {}, "command": "install", "since": "2026-11-26T10:00:00Z"}}"#,
        std::process::id()
    );
    world.write(".gwinstall/lock", &holder);
    world.write(".gwinstall/journal", "{ torn");
    for verb in ["start", "restart", "reload"] {
        let said = world.run(&[verb]).exits(6).says("is at work right now").never_says("--repair");
        let _ = said.says(&format!("gwinstall {verb}"));
    }
}

#[test]
fn logs_show_the_end_and_follow_until_nobody_reads() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run(&["logs"]).exits(1).says("gwinstall start");
    let lines: String = (1..=30_000).map(|n| format!("line {n}\n")).collect();
    fs::write(world.gateway("litellm.log"), lines).unwrap();
    let said = world.run(&["logs", "-n", "2"]).exits(0);
    assert_eq!(said.out, "line 29999\nline 30000\n");
    assert_eq!(world.run(&["logs", "-n", "20000"]).exits(0).out.lines().count(), 20_000);
    let _ = world.run(&["--json", "logs", "-f"]).exits(2);

    let mut child = world.command(&["logs", "-f", "-n", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "line 30000\n");
    let mut log = fs::OpenOptions::new().append(true).open(world.gateway("litellm.log")).unwrap();
    log.write_all(b"more\n").unwrap();
    line.clear();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "more\n");
    drop(reader);
    assert!(child.wait().unwrap().success(), "a closed pipe ends it");
}

#[test]
fn completions_and_manual_need_no_home_and_survive_a_closed_pipe() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = world.run(&["completions", shell]).exits(0);
        assert!(said.out.contains("GWINSTALL_COMPLETE"), "{shell}");
    }
    let page = world.run(&["man"]).exits(0).out;
    for section in
        [".SH \"GWINSTALL INSTALL\"", ".SH \"GWINSTALL BACKUP PRUNE\"", ".SH \"GWINSTALL ENV SET\""]
    {
        assert!(page.contains(section), "{section}");
    }
    assert!(!page.contains("\\-install(1)"), "it sends nobody to a page that does not exist");
    for arguments in [&["man"][..], &["completions", "bash"]] {
        let mut child = world
            .command(arguments)
            .env_remove("HOME")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert!(output.status.success());
    }
}
