//! `service`, with a stand-in for systemctl that starts and stops what the unit says and writes down what it was asked. The real
//! systemd: section service-full of tests/run.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{LITELLM, World, program};

/// Reads the unit as systemd does, for the directives that gwinstall writes. A file `no-bus` beside it: there is no instance. A
/// file `kill` with a verb: gwinstall is killed when it asks that.
const SYSTEMCTL: &str = r#"#!/usr/bin/python3
import os, re, shlex, signal, subprocess, sys
here = os.path.dirname(os.path.abspath(sys.argv[0]))
home = os.path.dirname(here)
there = lambda name: os.path.exists(os.path.join(here, name))
words = [word for word in sys.argv[1:] if word != "--user"]
open(os.path.join(here, "asked"), "a").write(" ".join(words) + "\n")
if there("no-bus"):
    sys.exit("Failed to connect to bus: No medium found")
if there("kill") and open(os.path.join(here, "kill")).read() == words[0]:
    os.kill(os.getppid(), signal.SIGKILL)
    sys.exit(1)
unit = os.path.join(home, ".config/systemd/user/gwinstall-gateway.service")
wants = os.path.join(os.path.dirname(unit), "default.target.wants/gwinstall-gateway.service")
main = os.path.join(here, "main")
def command(name):
    line = re.search("^%s=(.*)$" % name, open(unit).read(), re.M)[1]
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)]
def runs():
    try:
        pid = int(open(main).read())
        return pid if open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] != "Z" else 0
    except (OSError, ValueError):
        return 0
def stop():
    if runs():
        subprocess.run(command("ExecStop"), stdin=subprocess.DEVNULL)
        if runs():
            os.kill(runs(), signal.SIGTERM)
if words[0] in ("stop", "restart"):
    stop()
if words[0] in ("start", "restart") and not runs():
    log = open(os.path.join(home, ".claude/gateway/litellm.log"), "a")
    child = subprocess.Popen(command("ExecStart"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    open(main, "w").write(str(child.pid))
if words[0] == "enable":
    os.makedirs(os.path.dirname(wants), exist_ok=True)
    if not os.path.lexists(wants):
        os.symlink(unit, wants)
if words[0] == "disable":
    stop()
    if os.path.lexists(wants):
        os.remove(wants)
if words[0] == "show":
    print("ActiveState=%s\nMainPID=%d" % ("active" if runs() else "inactive", runs()))
    print("UnitFileState=%s" % ("enabled" if os.path.lexists(wants) else "disabled"))
"#;

const LOGINCTL: &str = "#!/bin/sh\necho Linger=no\n";

const UNIT: &str = r#"# Written by gwinstall service install. To change it, make a drop-in: systemctl --user edit gwinstall-gateway.service
[Unit]
Description=LiteLLM gateway for Claude Code (gwinstall)
# A gateway that was stopped with gwinstall stop stays stopped until gwinstall start.
ConditionPathExists=!@PATH@/.stopped
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
ExecStart=/bin/sh "@WORD@/start-gateway.sh" service-run
# The listener closes, and running requests finish beside the next process.
ExecStop=/bin/sh "@WORD@/start-gateway.sh" service-stop
KillMode=process
TimeoutStopSec=60
SuccessExitStatus=SIGKILL
Restart=always
RestartSec=5
StandardOutput=append:@PATH@/litellm.log
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=default.target
"#;

/// A world whose systemctl is the stand-in; `None` where nothing can run it.
fn world() -> Option<World> {
    if !cfg!(target_os = "linux") || fs::metadata("/usr/bin/python3").is_err() {
        eprintln!("skipped: the stand-in for systemctl needs Linux and /usr/bin/python3");
        return None;
    }
    let world = World::new().with("VERTEXAI_PROJECT", "p").with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
    let tools = world.home().join("tools");
    program(&tools.join("systemctl"), SYSTEMCTL);
    program(&tools.join("loginctl"), LOGINCTL);
    program(&tools.join("litellm"), LITELLM);
    let path = format!("{}:/usr/bin:/bin", tools.display());
    Some(world.with("PATH", path))
}

/// With a gateway that can run.
fn deployed() -> Option<World> {
    let world = world()?;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _ = world.run(&["install", "--yes", "--models", "glm-5.2", "--port", &port.to_string()]).exits(0);
    let litellm = world.home().join("tools/litellm");
    let env = format!("{}GATEWAY_LITELLM_BIN={}\n", world.read(".env"), litellm.display());
    world.write(".env", &env);
    Some(world)
}

impl World {
    fn unit(&self) -> PathBuf {
        self.home().join(".config/systemd/user/gwinstall-gateway.service")
    }

    fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.home().join("tools/asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn stand_in(&self, name: &str, text: &str) {
        fs::write(self.home().join("tools").join(name), text).unwrap();
    }

    /// Nothing of the service is left.
    #[track_caller]
    fn has_no_service(&self) {
        assert!(!self.unit().exists(), "the unit is left");
        assert!(!self.gateway(".gwinstall/service").exists(), "gwinstall still knows a service");
        assert!(!self.unit().with_file_name("default.target.wants/gwinstall-gateway.service").is_symlink());
    }
}

/// Ends what a test has started, also where it fails.
struct Stops<'a>(&'a World);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        let _ = self.0.run(&["stop", "--now"]);
    }
}

#[test]
fn the_unit_names_the_path_whatever_it_holds() {
    for (name, path, word) in [
        ("plain", "plain", "plain"),
        ("b ob%h $HOME \"q\" 'ü'", "b ob%%h $HOME \"q\" 'ü'", "b ob%%h $$HOME \\\"q\\\" 'ü'"),
    ] {
        let Some(world) = world() else { return };
        let home = world.home().join(name);
        fs::create_dir(&home).unwrap();
        let top = fs::canonicalize(world.home()).unwrap();
        let world = world.with("HOME", home.to_str().unwrap());
        let _ = world.run(&["install", "--yes", "--models", "glm-5.2"]).exits(0);
        let shown = world.run(&["service", "install", "--dry-run"]).exits(0);
        let gateway = |name: &str| format!("{}/{name}/.claude/gateway", top.display());
        let unit = UNIT.replace("@PATH@", &gateway(path)).replace("@WORD@", &gateway(word));
        assert!(shown.out.contains(&unit), "{}\nis not in\n{}", unit, shown.out);
        assert!(!home.join(".config").exists(), "a dry run wrote");
        verify(&top, &unit);
    }
}

/// systemd's own reader, where there is one.
fn verify(dir: &Path, unit: &str) {
    let path = dir.join("gwinstall-gateway.service");
    fs::write(&path, unit).unwrap();
    let runtime = dir.join("runtime");
    fs::create_dir_all(&runtime).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--user"])
        .arg(&path)
        .env("XDG_RUNTIME_DIR", runtime)
        .output();
    let Ok(verified) = verified else {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !said.contains("gwinstall-gateway"), "{said}");
}

/// P-350.
#[test]
fn an_installed_service_runs_the_gateway_and_every_verb_goes_through_it() {
    let Some(world) = deployed() else { return };
    let _stops = Stops(&world);
    let installed = world.run(&["service", "install", "--yes"]).exits(0);
    let installed = installed.says("systemd keeps the gateway running");
    let _ = installed.says("To let it run from boot on: loginctl enable-linger");
    let asked = world.asked();
    let at = |word: &str| {
        asked.iter().position(|asked| asked == word).unwrap_or_else(|| panic!("no {word} in {asked:?}"))
    };
    assert!(at("daemon-reload") < at("enable gwinstall-gateway.service"));
    assert!(at("enable gwinstall-gateway.service") < at("restart gwinstall-gateway.service"));
    let unit = fs::read_to_string(world.unit()).unwrap();
    let _ = world.run(&["health"]).exits(0);
    let again = world.run(&["service", "install", "--yes", "--json"]).exits(0);
    let data = again.data();
    assert_eq!(data["service"]["state"], "running", "{data}");
    assert_eq!(fs::read_to_string(world.unit()).unwrap(), unit);

    let status = world.run(&["status", "--json"]);
    assert_eq!(status.data()["service"]["name"], "gwinstall-gateway.service");
    let _ = world
        .run(&["status"])
        .says("Service:     gwinstall-gateway.service (systemd): the gateway runs (pid");
    let pid = world.read("litellm.pid");
    let _ = world.run(&["models", "add", "gpt-oss-120b", "--yes"]).exits(0).says("took over");
    assert_eq!(world.read("litellm.pid"), pid);
    let _ = world.run(&["restart"]).exits(0);
    assert_ne!(world.read("litellm.pid"), pid);
    let main = || fs::read_to_string(world.home().join("tools/main")).unwrap();
    assert_eq!(world.read("litellm.pid").trim(), main());

    let _ = world.run(&["stop"]).exits(0);
    assert!(world.gateway(".stopped").exists());
    assert_eq!(world.asked().last().unwrap(), "stop gwinstall-gateway.service");
    let _ = world.run(&["service", "status"]).exits(0).says("the gateway is stopped: gwinstall start");
    let _ = world.run(&["start"]).exits(0);
    assert_eq!(world.read("litellm.pid").trim(), main());
    let _ = world.run(&["uninstall", "--yes"]).exits(0);
    world.has_no_service();
}

#[test]
fn a_gateway_that_runs_already_is_handed_over_and_runs_on_without_the_service() {
    let Some(world) = deployed() else { return };
    let _stops = Stops(&world);
    let _ = world.run(&["start"]).exits(0);
    let outside = world.read("litellm.pid");
    let _ = world.run(&["service", "install", "--yes"]).exits(0).says("is replaced by that of the service");
    let served = world.read("litellm.pid");
    assert_ne!(served, outside);
    let _ = world.run(&["service", "remove", "--yes"]).exits(0).says("The gateway runs on without it");
    world.has_no_service();
    let _ = world.run(&["health"]).exits(0);
    let _ = world.run(&["service", "remove", "--yes"]).exits(0).says("Nothing to do");
}

/// P-351.
#[test]
fn a_unit_that_is_not_of_gwinstall_or_was_edited_stays() {
    let Some(world) = deployed() else { return };
    let _stops = Stops(&world);
    fs::create_dir_all(world.unit().parent().unwrap()).unwrap();
    fs::write(world.unit(), "[Service]\nExecStart=/bin/true\n").unwrap();
    let refused = world.run(&["service", "install", "--yes"]).exits(2);
    let _ = refused.says("gwinstall did not write it").says("gwinstall service install --yes --force");
    let old = world.unit().with_file_name("gwinstall-gateway.service.gwinstall-old");
    let _ = world.run(&["service", "install", "--yes", "--force"]).exits(0);
    assert_eq!(fs::read_to_string(&old).unwrap(), "[Service]\nExecStart=/bin/true\n");
    let edited = format!("{}# mine\n", fs::read_to_string(world.unit()).unwrap());
    fs::write(world.unit(), &edited).unwrap();
    let _ = world.run(&["service", "install", "--yes"]).exits(2).says("was changed since gwinstall wrote it");
    let _ = world.run(&["uninstall", "--yes"]).exits(0).says("stays, disabled: you changed it");
    assert_eq!(fs::read_to_string(world.unit()).unwrap(), edited);
    assert!(!world.unit().with_file_name("default.target.wants/gwinstall-gateway.service").is_symlink());
}

/// P-352.
#[test]
fn without_an_instance_nothing_is_written() {
    let Some(world) = deployed() else { return };
    world.stand_in("no-bus", "");
    world.stand_in("asked", "");
    let before: Vec<_> = world.snapshot().into_iter().filter(|(path, _)| !path.ends_with("asked")).collect();
    let refused = world.run(&["service", "install", "--yes"]).exits(1);
    let _ = refused.says("Failed to connect to bus: No medium found").says("nothing was changed");
    let after: Vec<_> = world.snapshot().into_iter().filter(|(path, _)| !path.ends_with("asked")).collect();
    assert_eq!(before, after);
}

/// P-352.
#[test]
fn a_gateway_that_does_not_start_leaves_no_service() {
    let Some(world) = deployed() else { return };
    let _stops = Stops(&world);
    world.stand_in("refuse", "");
    let _ = world.run(&["service", "install", "--yes"]).exits(1).says("no service was installed");
    world.has_no_service();
}

/// P-352. An instance that goes away later: the gateway is started without it, and said so.
#[test]
fn without_its_manager_the_gateway_still_starts() {
    let Some(world) = deployed() else { return };
    let _stops = Stops(&world);
    let _ = world.run(&["service", "install", "--yes"]).exits(0);
    let _ = world.run(&["stop"]).exits(0);
    world.stand_in("no-bus", "");
    let _ = world
        .run(&["start"])
        .exits(0)
        .says("cannot be reached; the gateway is started and stopped without it");
    let _ = world.run(&["health"]).exits(0);
    let _ = world.run(&["stop"]).exits(0);
}

/// P-353.
#[test]
fn a_run_that_is_killed_is_finished_or_removed_by_the_next() {
    for verb in ["daemon-reload", "enable"] {
        for next in [["service", "install", "--yes"], ["service", "remove", "--yes"]] {
            let Some(world) = deployed() else { return };
            let _stops = Stops(&world);
            world.stand_in("kill", verb);
            assert_eq!(world.run(&["service", "install", "--yes"]).code, -1, "it was not killed at {verb}");
            fs::remove_file(world.home().join("tools/kill")).unwrap();
            assert!(world.unit().exists());
            let _ = world.run(&next).exits(0);
            if next[1] == "install" {
                let _ = world.run(&["health"]).exits(0);
                let _ = world.run(&["uninstall", "--yes"]).exits(0);
            }
            world.has_no_service();
        }
    }
    for verb in ["disable", "daemon-reload"] {
        let Some(world) = deployed() else { return };
        let _stops = Stops(&world);
        let _ = world.run(&["service", "install", "--yes"]).exits(0);
        world.stand_in("kill", verb);
        assert_eq!(world.run(&["uninstall", "--yes"]).code, -1, "it was not killed at {verb}");
        fs::remove_file(world.home().join("tools/kill")).unwrap();
        let _ = world.run(&["uninstall", "--yes"]).exits(0);
        world.has_no_service();
    }
}

#[test]
fn a_preset_without_a_gateway_here_has_no_service() {
    let Some(world) = world() else { return };
    let _ = world.run(&["service", "install", "--yes"]).exits(2).says("nothing is deployed yet");
    let enterprise = [
        "install",
        "--yes",
        "--preset",
        "enterprise",
        "--gateway-url",
        "https://gw.example",
        "--auth-token-file",
        "-",
    ];
    let _ = world.run_with(&enterprise, "token-of-a-gateway\n").exits(0);
    let _ = world.run(&["service", "install", "--yes"]).exits(2).says("runs no gateway on this machine");
    let _ = world.run(&["service", "install", "--home", world.home().to_str().unwrap()]).exits(2);
}
