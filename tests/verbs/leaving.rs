//! Open sessions of Claude Code while the gateway goes out of its settings: stand-ins that follow the settings as Claude
//! Code does, and runs that are killed half-way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{Said, World, mode};

const GATEWAY: &str = "http://127.0.0.1:9";
const TOKEN: &str = "company-token";
/// Settings of a user, with everything that has to come back byte for byte.
const ORIGINAL: &str = "{\r\n\t// mine\r\n\t\"model\": \"opus\",\r\n\t\"hooks\": {\"Stop\": [], },\r\n}\r\n";

/// A deployment that points Claude Code at a company's gateway, over these settings.
fn deployed(settings: &str, more: &[&str]) -> World {
    let world = World::new();
    fs::create_dir_all(world.home().join(".claude/sessions")).unwrap();
    fs::write(settings_of(&world), settings).unwrap();
    fs::write(world.home().join("token"), TOKEN).unwrap();
    let token = world.home().join("token");
    let mut words = vec!["install", "--yes", "--preset", "enterprise", "--gateway-type", "custom"];
    words.extend(["--gateway-url", GATEWAY, "--auth-token-file", token.to_str().unwrap()]);
    words.extend(more);
    let _ = world.run(&words).exits(0);
    world
}

fn settings_of(world: &World) -> PathBuf {
    world.home().join(".claude/settings.json")
}

/// What a session sends to where, by the settings that it has taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    address: String,
    credential: String,
}

/// A process that registers itself as Claude Code does. With `follow`, a thread does what Claude Code does with a change
/// of the settings: it waits until the file is stable, runs the hook that it knows, and takes over what is set; what is
/// removed stays.
struct Session {
    process: Child,
    entry: PathBuf,
    stop: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<Sent>>>,
    follower: Option<JoinHandle<()>>,
}

impl Session {
    fn open(world: &World, follows: bool) -> Self {
        Self::with(world, follows, &[])
    }

    fn with(world: &World, follows: bool, environment: &[(&str, &str)]) -> Self {
        let process = Command::new("sleep")
            .arg("600")
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let pid = process.id();
        let id = format!("session-{pid}");
        let entry = world.home().join(format!(".claude/sessions/{pid}.json"));
        fs::write(&entry, entry_text(pid, &id, start_of(pid).as_deref())).unwrap();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let follower = follows.then(|| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            let mut code = Follower::new(settings_of(world), id);
            sent.lock().unwrap().push(code.sends());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if code.follow() {
                        sent.lock().unwrap().push(code.sends());
                    }
                    std::thread::sleep(Duration::from_millis(40));
                }
            })
        });
        Self { process, entry, stop, sent, follower }
    }

    fn pid(&self) -> String {
        self.process.id().to_string()
    }

    /// Everything that it would have sent so far.
    #[track_caller]
    fn never_leaked(&self) -> Vec<Sent> {
        // The last write is noticed a moment later.
        std::thread::sleep(Duration::from_millis(900));
        let sent = self.sent.lock().unwrap().clone();
        for Sent { address, credential } in &sent {
            let right = match address.as_str() {
                GATEWAY => credential == "helper of gwinstall",
                "http://127.0.0.1:8" => credential == "own token",
                _ => credential == "login",
            };
            assert!(right, "{credential} goes to {address:?}: {sent:?}");
        }
        sent
    }

    fn close(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(follower) = self.follower.take() {
            let _ = follower.join();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
        let _ = fs::remove_file(&self.entry);
    }
}

fn entry_text(pid: u32, id: &str, start: Option<&str>) -> String {
    json!({ "pid": pid, "sessionId": id, "cwd": "/work", "startedAt": 1, "procStart": start }).to_string()
}

/// Field 22 of `/proc/PID/stat`.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_ascii_whitespace().nth(19)?.to_owned())
}

struct Follower {
    path: PathBuf,
    id: String,
    text: String,
    changed: Option<(String, Instant)>,
    environment: BTreeMap<String, String>,
    settings: Value,
}

impl Follower {
    fn new(path: PathBuf, id: String) -> Self {
        let mut new = Self {
            text: String::new(),
            path,
            id,
            changed: None,
            environment: BTreeMap::new(),
            settings: Value::Null,
        };
        new.text = new.read();
        new.take_over();
        new
    }

    fn read(&self) -> String {
        fs::read_to_string(&self.path).unwrap_or_else(|_| "{}".to_owned())
    }

    fn take_over(&mut self) {
        let plain: String = self.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        self.settings = serde_json::from_str(&plain.replace(", }", "}").replace(",}", "}")).unwrap();
        for (name, value) in self.settings["env"].as_object().into_iter().flatten() {
            self.environment.insert(name.clone(), value.as_str().unwrap().to_owned());
        }
    }

    /// Whether it took a change over.
    fn follow(&mut self) -> bool {
        let text = self.read();
        if text == self.text {
            self.changed = None;
            return false;
        }
        let since = match &self.changed {
            Some((known, since)) if *known == text => since.elapsed(),
            _ => {
                self.changed = Some((text.clone(), Instant::now()));
                Duration::ZERO
            }
        };
        if since < Duration::from_millis(400) {
            return false;
        }
        self.run_hooks();
        self.text = self.read();
        self.changed = None;
        self.take_over();
        true
    }

    fn run_hooks(&self) {
        for hook in self.settings["hooks"]["ConfigChange"].as_array().into_iter().flatten() {
            let command = hook["hooks"][0]["command"].as_str().unwrap();
            let mut shell =
                Command::new("/bin/sh").args(["-c", command]).stdin(Stdio::piped()).spawn().unwrap();
            let input = json!({ "session_id": self.id, "hook_event_name": "ConfigChange" }).to_string();
            let _ = std::io::Write::write_all(&mut shell.stdin.take().unwrap(), input.as_bytes());
            assert!(shell.wait().unwrap().success(), "a hook that fails keeps the change away");
        }
    }

    fn sends(&self) -> Sent {
        let variable = |name: &str| self.environment.get(name).cloned().unwrap_or_default();
        let helper = self.settings["apiKeyHelper"].as_str();
        let credential = match (variable("ANTHROPIC_AUTH_TOKEN"), variable("ANTHROPIC_API_KEY"), helper) {
            (token, ..) if !token.is_empty() => {
                if token == TOKEN {
                    "token of gwinstall"
                } else {
                    "own token"
                }
            }
            (_, key, _) if !key.is_empty() => "own key",
            (_, _, Some(helper)) if helper.contains("print-gateway-key.sh remote") => "helper of gwinstall",
            (_, _, Some(_)) => "other helper",
            _ => "login",
        };
        Sent { address: variable("ANTHROPIC_BASE_URL"), credential: credential.to_owned() }
    }
}

#[track_caller]
fn is_restored(world: &World, original: &str) {
    assert_eq!(fs::read_to_string(settings_of(world)).unwrap(), original);
    let left = fs::read_dir(world.gateway(".gwinstall")).map(|entries| {
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    });
    let left = left.unwrap_or_default();
    assert!(
        !left.iter().any(|name| name.starts_with("acknowledged") || name == "settings-before.json"),
        "{left:?}"
    );
}

fn pointed(world: &World) -> String {
    world.record()["request"]["pointed"].as_str().unwrap().to_owned()
}

fn log_lines(world: &World) -> usize {
    world.read("deployment.log").lines().count()
}

/// Waits until a finished transaction has written `text` to the settings.
#[track_caller]
fn until(world: &World, text: &str) {
    let began = Instant::now();
    let is_there = || fs::read_to_string(settings_of(world)).unwrap_or_default().contains(text);
    while !is_there() || world.gateway(".gwinstall/journal").exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "{text} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn off_leads_open_sessions_away_and_restores_the_exact_bytes() {
    let world = deployed(ORIGINAL, &[]);
    let (one, two) = (Session::open(&world, true), Session::open(&world, true));
    let (lines, backups) = (log_lines(&world), world.backups().len());
    let _ = world
        .run(&["off", "--yes"])
        .exits(0)
        .says("2 sessions of Claude Code are open")
        .says(&format!("pid {} in /work", one.pid()))
        .says("2 open sessions of Claude Code have left the gateway, too.");
    is_restored(&world, ORIGINAL);
    assert_eq!(pointed(&world), "off");
    assert_eq!((log_lines(&world), world.backups().len()), (lines + 1, backups + 1));
    for session in [one, two] {
        let sent = session.never_leaked();
        assert_eq!(sent.last().unwrap().address, "https://api.anthropic.com", "{sent:?}");
    }
    // The backup was made on the way, and still says what there was before.
    let _ = world.run(&["rollback", "--yes"]).exits(0);
    assert_eq!(pointed(&world), "on");
    assert_eq!(world_address(&world), GATEWAY);
}

fn world_address(world: &World) -> String {
    let text = fs::read_to_string(settings_of(world)).unwrap();
    let after = text.split("\"ANTHROPIC_BASE_URL\": \"").nth(1).unwrap_or_default();
    after.split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn without_an_open_session_nothing_is_waited_for() {
    let world = deployed(ORIGINAL, &[]);
    // The process has ended, and another one has its number.
    let me = std::process::id();
    for (pid, start) in [(4_000_000, "5"), (me, "5")] {
        let path = world.home().join(format!(".claude/sessions/{pid}.json"));
        fs::write(path, entry_text(pid, "old", Some(start))).unwrap();
    }
    let began = Instant::now();
    let _ = world.run(&["off", "--yes"]).exits(0).never_says("session");
    assert!(began.elapsed() < Duration::from_secs(2));
    is_restored(&world, ORIGINAL);
}

#[test]
fn what_the_user_changes_meanwhile_stays() {
    let world = deployed("{\"hooks\": {\"Stop\": []}}\n", &[]);
    let session = Session::open(&world, true);
    let mut off = quietly(&world, &["off", "--yes"]);
    until(&world, "-1;");
    let text = fs::read_to_string(settings_of(&world)).unwrap();
    let edited = text.replacen("\"Stop\": []", "\"Stop\": [{\"hooks\": []}]", 1);
    assert_ne!(text, edited);
    fs::write(settings_of(&world), edited.replacen('{', "{\"model\": \"opus\", ", 1)).unwrap();
    assert!(off.wait().unwrap().success());
    let settings = world.settings();
    assert_eq!(settings["hooks"], json!({ "Stop": [{ "hooks": [] }] }));
    assert_eq!(
        (settings["model"].as_str(), settings.get("apiKeyHelper"), settings.get("env")),
        (Some("opus"), None, None)
    );
    session.never_leaked();
}

fn quietly(world: &World, words: &[&str]) -> Child {
    world.command(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs `off` until the settings hold `text`, and kills it.
fn killed_at(world: &World, text: &str) {
    let mut off = quietly(world, &["off", "--yes"]);
    until(world, text);
    off.kill().unwrap();
    off.wait().unwrap();
}

#[test]
fn a_departure_that_is_killed_is_finished_by_the_next_command() {
    let finishes: [&[&str]; 3] =
        [&["off", "--yes"], &["doctor", "--repair", "--yes"], &["uninstall", "--yes"]];
    std::thread::scope(|scope| {
        for stage in ["-1;", "-2;"] {
            for words in finishes {
                scope.spawn(move || {
                    let world = deployed(ORIGINAL, &[]);
                    let session = Session::open(&world, true);
                    killed_at(&world, stage);
                    let _ = world.run(&["status"]).exits(3).says("Claude Code: leaves it");
                    let _ = world.run(words).exits(0);
                    is_restored(&world, ORIGINAL);
                    session.never_leaked();
                });
            }
        }
    });
}

#[test]
fn a_departure_that_is_killed_is_finished_by_looking_once_the_session_has_ended() {
    for (stage, words) in [("-1;", ["status", "--quiet"]), ("-2;", ["doctor", "--quiet"])] {
        let world = deployed(ORIGINAL, &[]);
        let mut session = Session::open(&world, true);
        killed_at(&world, stage);
        session.close();
        let _ = world.run(&words);
        is_restored(&world, ORIGINAL);
        assert_eq!(pointed(&world), "off");
    }
}

#[test]
fn a_session_that_does_not_follow_keeps_the_settings_away() {
    let world = deployed(ORIGINAL, &[]);
    let (following, mut silent) = (Session::open(&world, true), Session::open(&world, false));
    let lines = log_lines(&world);
    let names = format!("pid {} in /work", silent.pid());
    let said = world.run(&["--json", "off", "--yes"]).exits(3);
    assert_eq!(said.data()["sessions"]["waiting"][0]["pid"], json!(silent.process.id()));
    assert_eq!((pointed(&world), log_lines(&world)), ("leaving".to_owned(), lines));
    let text = fs::read_to_string(settings_of(&world)).unwrap();
    assert!(text.contains("https://api.anthropic.com") && !text.contains("gwinstall"), "{text}");
    assert!(text.contains("\"hooks\": {\"Stop\": [], }"), "{text}");
    let _ = world.run(&["status"]).exits(3).says(&names).says("close it");
    // The gateway goes only when no session needs it.
    let _ = world.run(&["uninstall", "--yes"]).exits(3).says(&names).says("uninstall --yes");
    assert!(world.gateway("scripts/print-gateway-key.sh").exists());
    // What else changes leaves the settings where they are.
    let _ = world.run_with(&["env", "set", "ANTHROPIC_AUTH_TOKEN", "--from", "-", "--yes"], "other").exits(0);
    assert_eq!(fs::read_to_string(settings_of(&world)).unwrap(), text);
    assert_eq!(pointed(&world), "leaving");
    following.never_leaked();
    silent.close();
    let _ = world.run(&["uninstall", "--yes"]).exits(0);
    assert!(!world.gateway("scripts/print-gateway-key.sh").exists());
    is_restored(&world, ORIGINAL);
}

#[test]
fn a_session_that_is_waited_for_may_be_taken_in_again() {
    let world = deployed(ORIGINAL, &[]);
    let _silent = Session::open(&world, false);
    let _ = world.run(&["off", "--yes"]).exits(3);
    let _ = world.run(&["on", "--yes"]).exits(0);
    assert_eq!((pointed(&world), world_address(&world)), ("on".to_owned(), GATEWAY.to_owned()));
    assert_eq!(world.record().get("waiting"), None);
    let _ = world.run(&["status"]).exits(0);
}

#[test]
fn a_session_of_another_container_counts_until_its_entry_is_gone() {
    let world = deployed(ORIGINAL, &[]);
    let entry = world.home().join(".claude/sessions/77.json");
    fs::write(&entry, r#"{"sessionId":"x","pidDomain":"linux:other:pid:[1]","cwd":"/there"}"#).unwrap();
    let _ = world.run(&["off", "--yes"]).exits(3).says("pid 77 in /there");
    fs::remove_file(entry).unwrap();
    let _ = world.run(&["status"]).exits(0).says("is as before gwinstall");
    is_restored(&world, ORIGINAL);
}

#[test]
fn uninstall_and_rollback_lead_away_first() {
    let purged = deployed(ORIGINAL, &[]);
    let session = Session::open(&purged, true);
    let _ = purged.run(&["uninstall", "--purge", "--yes"]).exits(0).says("has left the gateway, too");
    assert_eq!(fs::read_to_string(settings_of(&purged)).unwrap(), ORIGINAL);
    assert!(!purged.gateway("").exists());
    session.never_leaked();

    let world = deployed(ORIGINAL, &[]);
    let _ = world.run(&["off", "--yes"]).exits(0);
    let _ = world.run(&["on", "--yes"]).exits(0);
    let session = Session::open(&world, true);
    let _ = world.run(&["rollback", "--yes"]).exits(0).says("has left the gateway, too");
    is_restored(&world, ORIGINAL);
    assert_eq!(pointed(&world), "off");
    session.never_leaked();
}

#[test]
fn a_gateway_of_the_user_comes_back_with_its_own_credential() {
    let own = r#"{"env":{"ANTHROPIC_BASE_URL":"http://127.0.0.1:8","ANTHROPIC_AUTH_TOKEN":"own-token"}}"#;
    let world = deployed(own, &["--force"]);
    let session = Session::open(&world, true);
    let began = Instant::now();
    let _ = world.run(&["off", "--yes"]).exits(0);
    assert!(began.elapsed() >= Duration::from_millis(3500));
    is_restored(&world, own);
    let sent = session.never_leaked();
    assert_eq!(sent.last().unwrap().credential, "own token");
}

#[test]
fn a_session_with_a_key_of_its_shell_is_named() {
    let world = deployed(ORIGINAL, &[]);
    let session = Session::with(&world, true, &[("ANTHROPIC_API_KEY", "sk-own-secret")]);
    let _ = world
        .run(&["off", "--yes"])
        .exits(0)
        .says("Restart the session with ANTHROPIC_API_KEY from its shell; it is logged out until then")
        .says(&format!("pid {}", session.pid()))
        .never_says("sk-own-secret");
}

#[test]
fn nothing_is_changed_where_the_record_is_gone() {
    let world = deployed(ORIGINAL, &[]);
    let _session = Session::open(&world, true);
    fs::remove_dir_all(world.gateway("")).unwrap();
    let before = fs::read(settings_of(&world)).unwrap();
    let _ = world.run(&["uninstall", "--yes"]).exits(6).says("close them");
    assert_eq!(fs::read(settings_of(&world)).unwrap(), before);
}

#[test]
fn a_stopped_run_says_how_to_go_on() {
    let world = deployed(ORIGINAL, &[]);
    let session = Session::open(&world, true);
    let off = world.command(&["off", "--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(&world, "-1;");
    let pid = rustix::process::Pid::from_child(&off);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = off.wait_with_output().unwrap();
    let said = Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    let _ = said.exits(143).says("gwinstall off --yes");
    let _ = world.run(&["off", "--yes"]).exits(0);
    is_restored(&world, ORIGINAL);
    session.never_leaked();
}

#[test]
fn the_acknowledgements_are_private() {
    let world = deployed(ORIGINAL, &[]);
    let _session = Session::open(&world, true);
    let mut off = quietly(&world, &["off", "--yes"]);
    until(&world, "-1;");
    let own = world.gateway(".gwinstall");
    let found = fs::read_dir(own).unwrap().map(|entry| entry.unwrap().path());
    let dirs: Vec<PathBuf> = found.filter(|path| name_of(path).starts_with("acknowledged-")).collect();
    assert_eq!(dirs.len(), 1);
    assert_eq!((mode(&dirs[0]), name_of(&dirs[0]).len()), (0o700, "acknowledged-".len() + 32));
    assert!(off.wait().unwrap().success());
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn the_time_for_which_a_key_is_kept_is_the_users_if_they_set_one() {
    const NAME: &str = "CLAUDE_CODE_API_KEY_HELPER_TTL_MS";
    let own = format!(r#"{{"env":{{"{NAME}":"60000"}}}}"#);
    let world = deployed(&own, &[]);
    assert_eq!(world.settings()["env"][NAME], "60000");
    assert_eq!(world.record()["settings"]["keys"].get(format!("env.{NAME}")), None);
    let _ = world.run(&["status"]).exits(0);
    let _ = world.run(&["off", "--yes"]).exits(0);
    is_restored(&world, &own);
    let _ = world.run(&["on", "--yes"]).exits(0);
    assert_eq!(world.settings()["env"][NAME], "60000");

    let world = deployed("{}", &[]);
    assert_eq!(world.settings()["env"][NAME], "1000");
}

#[test]
fn an_armed_deployment_waits_for_on() {
    let world = deployed(ORIGINAL, &[]);
    let _ = world.run(&["off", "--yes"]).exits(0);
    let record = world.read("deployment-manifest.json");
    world.write("deployment-manifest.json", &record.replace(r#""pointed": "off""#, r#""pointed": "armed""#));
    let _ = world.run(&["status"]).exits(0).says("does not use it yet");
    let _ = world.run(&["update", "--yes"]).exits(0);
    assert_eq!(pointed(&world), "armed");
    is_restored(&world, ORIGINAL);
    let _ = world.run(&["on", "--yes"]).exits(0);
    assert_eq!((pointed(&world), world_address(&world)), ("on".to_owned(), GATEWAY.to_owned()));
}

#[test]
fn a_helper_command_of_an_earlier_version_is_known() {
    let world = deployed(ORIGINAL, &[]);
    let text = fs::read_to_string(settings_of(&world)).unwrap();
    fs::write(settings_of(&world), text.replace("print-gateway-key.sh remote", "print-gateway-key.sh"))
        .unwrap();
    fs::remove_dir_all(world.gateway("")).unwrap();
    let _ = world.run(&["status"]).exits(3).says("still points Claude Code at one");
    let _ = world.run(&["uninstall", "--yes"]).exits(0);
    assert!(!fs::read_to_string(settings_of(&world)).unwrap().contains("print-gateway-key.sh"));
}
