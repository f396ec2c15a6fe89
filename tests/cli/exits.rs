//! The table of exit codes: one test a row, named after it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bundle::SourceDir;
use crate::home::{Run, TestHome};

/// Values for every required variable, so that `--start` and `--strict` go on.
fn with_values(home: TestHome) -> TestHome {
    home.with("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json").with("VERTEXAI_PROJECT", "my-project")
}

/// A `litellm` on PATH that accepts any configuration and then does this.
pub fn with_litellm(home: TestHome, then: &str) -> TestHome {
    let bin = home.root().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = bin.join("litellm");
    let text = format!("#!/bin/sh\ncase \"$*\" in *--validate_config*) echo ok; exit 0 ;; esac\n{then}\n");
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    with_values(home).with("PATH", path)
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn exit_0_done_or_nothing_to_do() {
    let home = TestHome::new();
    for arguments in [
        "",
        "--version",
        "--help",
        "status",
        "install --yes",
        "install --yes",
        "status",
        "uninstall --yes",
        "uninstall --yes",
    ] {
        home.run(arguments).exits(0);
    }
}

/// D-021.
#[test]
fn exit_1_failed_and_nothing_changed() {
    let home = TestHome::new();
    home.write(".claude/settings.json", "{");
    home.refused(&mut home.command("install --yes"), 1).says(&["settings.json", "try:"]);
}

/// D-108.
#[test]
fn exit_1_a_check_before_the_change_failed() {
    let home = TestHome::new();
    home.refused(&mut home.command("install --yes --strict"), 1).says(&[
        "no value yet for",
        "VERTEXAI_PROJECT",
        "no Google login was found",
        "~/.claude/.env",
    ]);
}

/// D-007, D-105, D-156.
#[test]
fn exit_1_the_target_cannot_be_written() {
    let home = TestHome::new();
    fs::create_dir(home.path(".claude")).unwrap();
    let home = home.owned_by_nobody();
    home.chmod(".claude", 0o500);
    home.refused(&mut home.command("install --yes"), 1).says(&["is not writable", "~/.claude"]);
    home.chmod(".claude", 0o700);
    home.run("install --yes").exits(0);
}

/// D-106, D-205, D-206. 50 MB must be free; below 100 there is a warning.
#[test]
fn exit_1_the_disk_is_too_small() {
    let home = TestHome::new();
    let on_a_disk_of = |size: &str| {
        let script =
            format!("mount -t tmpfs -o size={size} none \"$HOME\"; cd /; \"$GW\" install --on --yes");
        home.unshared(&script).map(|mut command| Run::of(&mut command))
    };
    let (Some(small), Some(tight), Some(enough)) =
        (on_a_disk_of("40m"), on_a_disk_of("80m"), on_a_disk_of("200m"))
    else {
        return;
    };
    small.exits(1).says(&["FAIL only", "MB are free", "df -h", "nothing was changed"]);
    tight.exits(0).says(&["leave room for backups"]);
    enough.exits(0).never_says("MB are free");
}

/// D-106. A disk may have room for bytes and none for files.
#[test]
fn exit_1_the_disk_takes_no_more_files() {
    let home = TestHome::new();
    let script =
        "mount -t tmpfs -o size=200m,nr_inodes=900 none \"$HOME\"; cd /; exec \"$GW\" install --on --yes";
    let Some(mut command) = home.unshared(script) else { return };
    Run::of(&mut command).exits(1).says(&["FAIL only", "more files fit", "df -i"]);
}

/// D-107.
#[test]
fn exit_1_another_program_on_the_port_when_it_must_be_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // It hangs up on everybody.
    std::thread::spawn(move || taken.incoming().for_each(drop));
    let home = with_litellm(TestHome::new(), "exit 1");
    let install = format!("install --yes --gateway-url http://127.0.0.1:{port}");
    home.refused(&mut home.command(&format!("{install} --start")), 1)
        .says(&["FAIL another program listens on port", &port.to_string()]);
    home.run(&install).exits(0).says(&["WARN another program listens on port"]);
}

/// D-153, D-154.
#[test]
fn exit_2_wrong_usage() {
    let home = TestHome::new();
    for arguments in [
        "--no-such-flag",
        "no-such-command",
        "install --preset",
        "install --preset fancy --yes",
        "install --yes --models nothing",
        "install",
        "update --yes",
        "off --yes",
    ] {
        home.refused(&mut home.command(arguments), 2);
    }
}

#[test]
fn exit_3_something_to_do() {
    let home = TestHome::deployed();
    home.write(".claude/gateway/docs/faq.md", "mine\n");
    home.touches_nothing("status").exits(3).says(&["M docs/faq.md"]);
    let source = SourceDir::new(&home).ships("docs/operations.md", "next");
    home.touches_nothing(&format!("diff --source-dir {}", source.path().display()))
        .exits(3)
        .says(&["docs/operations.md", "+next"]);
    // A stopped gateway, warnings and retired models are no reason.
    let other = TestHome::new();
    other.run("install --yes").exits(0).says(&["WARN", "retirement"]);
    other.run("status").exits(0).says(&["not running"]);
}

/// P-020.
#[test]
fn exit_4_deployed_but_a_conflict_kept_the_users_file() {
    let home = TestHome::deployed();
    home.write(".claude/gateway/docs/faq.md", "mine\n");
    let source = SourceDir::new(&home).ships("docs/faq.md", "ours");
    home.run(&source.install()).exits(4).says(&["Conflict", "docs/faq.md.gwinstall-new"]);
    assert_eq!(home.read(".claude/gateway/docs/faq.md"), "mine\n");
}

/// D-023, D-024, D-137: the log says `rolled_back`.
#[test]
fn exit_5_the_gateway_did_not_come_up_and_all_is_as_before() {
    let home = with_litellm(TestHome::deployed(), "echo no; exit 1");
    let before = home.live().without(|path| path.ends_with("litellm.log") || path.ends_with("litellm.pid"));
    let run = home.run(&format!("install --yes --preset proxy --proxy-url http://proxy.example:3128 --gateway-url http://127.0.0.1:{} --start", free_port())).exits(5);
    run.says(&["rolled back", "litellm.log"]);
    let after = home.live().without(|path| path.ends_with("litellm.log") || path.ends_with("litellm.pid"));
    assert_eq!(before.changes(&after), [""; 0]);
    assert!(home.backups().is_empty(), "the backup of an undone run stays");
    let last = home.log().pop().unwrap();
    assert_eq!(last["status"], "rolled_back");
    assert_eq!(last["states"].as_array().unwrap().last().unwrap(), "FAILED");
    assert!(last["states"].as_array().unwrap().contains(&"ROLLING_BACK".into()));
    assert!(!last["error_message"].as_str().unwrap().is_empty());
}

/// D-199. A first installation that is undone leaves an empty home empty.
#[test]
fn exit_5_of_a_first_installation_leaves_nothing() {
    let home = with_litellm(TestHome::new(), "exit 1");
    home.run(&format!("install --yes --gateway-url http://127.0.0.1:{} --start", free_port())).exits(5);
    let left = home.tree().without(|path| path.ends_with("litellm.log") || path.ends_with("litellm.pid"));
    let files: Vec<_> = left.0.keys().filter(|path| home.path(path).is_file()).collect();
    assert!(files.is_empty(), "{files:?}");
}

/// D-196. The second one names the first.
#[test]
fn exit_6_two_installs_at_once() {
    let home = with_litellm(TestHome::new(), "exec sleep 30");
    let port = free_port();
    let mut first = home
        .command(&format!("install --yes --gateway-url http://127.0.0.1:{port} --start"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| home.gateway("litellm.pid").exists());
    let before = home.live();
    let run = home.run("install --yes --preset proxy").exits(6);
    run.says(&[&format!("pid {}", first.id()), "running for ", " s", "--lock-wait"]);
    assert_eq!(before.changes(&home.live()), [""; 0]);
    home.run("status --json").exits(3);
    // With patience the second waits, and gives up in time.
    let started = Instant::now();
    home.run("install --yes --preset proxy --lock-wait 1").exits(6);
    assert!(started.elapsed() >= Duration::from_secs(1));
    let fake = fs::read_to_string(home.gateway("litellm.pid")).unwrap();
    kill(fake.trim().parse().unwrap(), "TERM");
    assert_eq!(first.wait().unwrap().code(), Some(5));
}

#[test]
fn exit_6_the_files_changed_between_question_and_answer() {
    let home = TestHome::deployed();
    // The answer comes after another run changed what was shown.
    let script = "( sleep 0.4; \"$GW\" off --yes >/dev/null 2>&1; echo y ) | script -qec '\"$GW\" install --on --preset basic --models glm-5.2' /dev/null";
    let run = Run::of(&mut home.shell(script));
    assert_eq!(run.code, 6, "{}", run.all());
    assert_eq!(home.record()["models"].as_array().unwrap().len(), 2);
}

#[test]
fn exit_7_something_is_left_for_the_user() {
    let home = TestHome::deployed();
    home.write(".claude/gateway/.gwinstall/journal", "{ torn");
    home.refused(&mut home.command("install --yes --preset proxy"), 7).says(&["journal", "cannot be read"]);
    home.refused(&mut home.command("doctor --repair --yes"), 7);
    home.touches_nothing("status").exits(3).says(&["interrupted"]);
    fs::remove_file(home.gateway(".gwinstall/journal")).unwrap();
    home.run("status").exits(0);
}

/// D-162.
#[test]
fn exit_8_an_archive_does_not_verify() {
    let home = TestHome::deployed();
    home.run("install --yes --models glm-5.2").exits(0);
    let backup = home.gateway("backups").join(&home.backups()[0]);
    fs::write(&backup, "no archive").unwrap();
    home.refused(&mut home.command("rollback --yes"), 8).says(&["cannot be used", "gwinstall backup list"]);
}

/// 130, 129 and 143 while waiting for the lock; `interrupted.rs` stops it at other moments.
#[test]
fn exit_130_and_143_stopped_by_a_signal() {
    let home = TestHome::deployed();
    let lock = fs::File::create(home.gateway(".gwinstall/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let before = home.live();
        let child = home
            .command("install --yes --models glm-5.2 --lock-wait 20")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(200));
        kill(child.id(), signal);
        let run =
            Run::from(format!("install and SIG{signal}"), &child.wait_with_output().unwrap()).exits(code);
        run.says(&["stopped by"]);
        assert_eq!(before.changes(&home.live()), [""; 0]);
    }
}

/// `nohup` is a wish: the end of a session then ends nothing. Read off the process while it waits for its standard input.
#[test]
fn a_sighup_that_is_ignored_from_the_start_stays_ignored() {
    let home = TestHome::new();
    let waiting = "exec \"$GW\" install --on --yes --preset enterprise --gateway-url https://g.example --auth-token-file -";
    let ignores = |script: &str| {
        let mut child = home
            .shell(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mask = |name: &str| {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
            u64::from_str_radix(&line, 16).unwrap()
        };
        // Handlers are there when SIGTERM, number 15, has one.
        wait_until(|| mask("SigCgt:") & 1 << 14 != 0);
        let ignored = mask("SigIgn:") & 1 != 0;
        kill(child.id(), "TERM");
        drop(child.stdin.take());
        child.wait().unwrap();
        ignored
    };
    assert!(ignores(&format!("trap '' HUP; {waiting}")));
    assert!(!ignores(waiting));
}

/// A fleet waits before it asks, and a signal ends the wait.
#[test]
fn a_signal_ends_the_wait_for_jitter() {
    let home = TestHome::new();
    // An id whose wait is half an hour, for a machine that has none.
    let state = home.home().join(".local/state/gwinstall");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("machine-id"), "3d1219c7c4c5404aaa1f6d2a48adfda4\n").unwrap();
    let mut child = home.command("self-update --yes --jitter 3600");
    let mut child = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    wait_until(|| {
        let caught = fs::read_to_string(&status).unwrap();
        let caught = caught.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&caught, 16).unwrap() & 1 << 14 != 0
    });
    sleep(Duration::from_secs(1));
    assert_eq!(child.try_wait().unwrap(), None, "it did not wait");
    kill(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

pub fn kill(pid: u32, signal: &str) {
    let status = std::process::Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
    assert!(status.unwrap().success(), "kill {pid}");
}

pub fn wait_until(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < Duration::from_secs(20), "it did not happen within 20 s");
        sleep(Duration::from_millis(20));
    }
}

/// A plan that would be refused is shown all the same, with what would stop it.
#[test]
fn exit_0_a_dry_run_whose_checks_fail() {
    let home = TestHome::new();
    for arguments in ["install --dry-run --target-dir /etc/passwd", "install --dry-run --strict"] {
        home.refused(&mut home.command(arguments), 0).says(&["FAIL", "Without --dry-run it would stop"]);
    }
    let run = home.run("install --dry-run --strict --json").exits(0).json();
    assert_eq!(run["data"]["would_stop"], true);
}

/// What was named and is not there is wrong usage, whichever command it was named to.
#[test]
fn exit_2_a_named_file_that_is_not_there() {
    let home = TestHome::deployed();
    for arguments in [
        "validate /nope",
        "backup import /nope",
        "backup verify nope",
        "rollback nope --yes",
        "install --yes --auth-token-file /nope",
        "install --yes --source-dir /nope",
        "env set X --from /nope --yes",
        "self-update --from /nope",
    ] {
        home.refused(&mut home.command(arguments), 2);
    }
    fs::remove_file(home.gateway("config/litellm.yaml")).unwrap();
    home.refused(&mut home.command("validate"), 1).says(&["deleted since", "gwinstall install --yes"]);
}
