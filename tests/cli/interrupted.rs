//! Signals, closed pipes, missing descriptors: the state is the previous one or the new one, and the exit code tells which.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::exits::{free_port, kill, wait_until, with_litellm};
use crate::home::{Run, TestHome};
use crate::tree::Tree;

/// Everything but what an operation is free to leave: its log line and backups.
fn state(home: &TestHome) -> Tree {
    const FREE: [&str; 7] = [
        "/backups",
        "/.gwinstall",
        "/.starting",
        "litellm.log",
        "litellm.pid",
        "deployment.log",
        "deployment-manifest.json",
    ];
    home.tree().without(|path| FREE.iter().any(|free| path.contains(free)))
}

/// D-025, D-199. At many moments: every tree is the old or the new one, and a stopped run says so with its code.
#[test]
fn a_signal_at_any_moment_leaves_the_old_state_or_the_new() {
    let home = TestHome::deployed();
    let old = state(&home);
    home.run("install --yes --preset proxy --models glm-5.2 --proxy-url http://p.example:1").exits(0);
    let new = state(&home);
    let mut stopped = 0;
    for (n, (signal, code)) in [("INT", 130), ("TERM", 143), ("HUP", 129)].iter().cycle().take(24).enumerate()
    {
        home.run("install --yes --preset basic --models gemini-3.8-flash,glm-5.2").exits(0);
        assert_eq!(old.changes(&state(&home)), [""; 0]);
        let mut child = home
            .command("install --yes --preset proxy --models glm-5.2 --proxy-url http://p.example:1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_micros(3000 + 2500 * n as u64));
        // It may have ended already; a process that was not waited for can still be signalled.
        kill(child.id(), signal);
        let status = child.wait().unwrap();
        let now = state(&home);
        if status.code() == Some(0) {
            assert_eq!(new.changes(&now), [""; 0]);
        } else {
            stopped += 1;
            let left = old.changes(&now);
            // A signal may arrive before the program has said that it wants to hear of it.
            let untouched = status.code().is_none() && left.is_empty();
            assert!(untouched || status.code() == Some(*code), "SIG{signal}: {status}");
            if !left.is_empty() {
                home.run("status").exits(3);
                home.run("doctor --repair --yes").exits(0);
                assert_eq!(old.changes(&state(&home)), [""; 0]);
            }
        }
        home.run("status").exits(0);
    }
    assert!(stopped > 0, "no run was ever stopped: the moments are wrong");
}

/// A reader that leaves early is no failure of ours.
#[test]
fn a_closed_stdout_changes_nothing_about_the_work() {
    for arguments in ["install --yes", "install --yes --verbose --json", "install --yes --verbose"] {
        let home = TestHome::new();
        let script = format!(
            "{{ \"$GW\" {arguments}; echo $? >\"$HOME/code\"; }} 2>&1 | head -n 1 >/dev/null; cat \"$HOME/code\""
        );
        let run = Run::of(&mut home.shell(&script));
        assert_eq!(run.stdout.trim(), "0", "{arguments}: {}", run.all());
        home.run("status").exits(0);
    }
    let home = TestHome::deployed();
    for arguments in [
        "status",
        "status --json",
        "diff",
        "history",
        "usage",
        "report --html -",
        "--help",
        "doctor",
        "rollback --yes --verbose",
        "uninstall --yes --verbose",
    ] {
        let script =
            format!("{{ \"$GW\" {arguments}; echo $? >\"$HOME/code\"; }} 2>&1 | true; cat \"$HOME/code\"");
        let run = Run::of(&mut home.shell(&script));
        assert!(["0", "1"].contains(&run.stdout.trim()), "{arguments}: {}", run.all());
        assert!(!run.all().contains("panick"), "{}", run.all());
    }
}

/// stdout on a full disk.
#[test]
fn a_full_stdout_changes_nothing_about_the_work() {
    let home = TestHome::new();
    let run = Run::of(&mut home.shell("exec \"$GW\" install --on --yes --verbose >/dev/full 2>/dev/full"));
    run.exits(0);
    home.run("status").exits(0);
}

/// H07. A program that finds descriptor 1 free would write its messages into the first file that it opens.
#[test]
fn closed_descriptors_write_into_no_file() {
    let usual = TestHome::new();
    usual.run("install --yes --models glm-5.2").exits(0);
    for closing in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"] {
        let home = TestHome::new();
        let run =
            Run::of(&mut home.shell(&format!("exec \"$GW\" install --on --yes --models glm-5.2 {closing}")));
        run.exits(0);
        let same = |tree: Tree| tree.without(|path| path == ".env");
        assert_eq!(same(usual.deployment()).changes(&same(home.deployment())), [""; 0], "{closing}");
        home.run("status").exits(0);
        Run::of(&mut home.shell(&format!("exec \"$GW\" uninstall --yes --purge {closing}"))).exits(0);
        assert!(!home.gateway("").exists());
    }
}

/// Nothing is asked without a terminal.
#[test]
fn a_closed_stdin_is_no_answer() {
    let home = TestHome::new();
    for script in [
        "exec \"$GW\" install --on <&-",
        "exec \"$GW\" install --on </dev/null",
        "yes | \"$GW\" install --on",
    ] {
        home.refused(&mut home.shell(script), 2).says(&["--yes"]);
    }
    home.refused(&mut home.shell("exec \"$GW\" install --on --yes --auth-token-file - <&-"), 2);
}

/// Ctrl-C at the question.
#[test]
fn ctrl_c_at_the_question_is_130_and_changes_nothing() {
    let home = TestHome::new();
    let script =
        "( sleep 0.5; printf '\\003' ) | script -qec '\"$GW\" install --on --preset basic' /dev/null";
    home.refused(&mut home.shell(script), 130).says(&["Go ahead?"]);
}

/// D-025. A run that was killed while its transaction was open is reported by what only looks, and taken back by the next
/// change, which says so, or by `doctor --repair`.
#[test]
fn a_killed_run_is_reported_and_taken_back() {
    let home = with_litellm(TestHome::deployed(), "exec sleep 30");
    // Takes the values of this environment in.
    home.run("install --yes").exits(0);
    let old = state(&home);
    let change = format!(
        "install --yes --preset proxy --models glm-5.2 --proxy-url http://p.example:1 --gateway-url http://127.0.0.1:{} --start",
        free_port()
    );
    let next = ["doctor --repair --yes", "install --yes", "update --yes", "rollback --yes", "off --yes"];
    for next in next {
        let mut child = home
            .command(&change)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        wait_until(|| home.gateway("litellm.pid").exists());
        // The script that waits for the gateway goes with it.
        Command::new("kill").args(["-9", "--", &format!("-{}", child.id())]).status().unwrap();
        child.wait().unwrap();
        let gateway = home.read(".claude/gateway/litellm.pid");
        Command::new("kill").args(["-9", gateway.trim()]).status().unwrap();
        fs::remove_file(home.gateway("litellm.pid")).unwrap();
        let interrupted = state(&home);
        assert!(!old.changes(&interrupted).is_empty(), "the run was not in the middle");
        home.touches_nothing("status").exits(3).says(&["interrupted", "gwinstall doctor --repair --yes"]);
        home.touches_nothing("doctor")
            .exits(3)
            .says(&["was interrupted before it was complete", "gwinstall doctor --repair --yes"]);
        assert_ne!(home.touches_nothing("install --dry-run").code, 7);
        home.touches_nothing("").exits(0).says(&["interrupted"]);
        home.refused(&mut home.command("doctor --repair"), 2).says(&["gwinstall doctor --repair --yes"]);
        let run = home.run(next);
        if next.starts_with("doctor") {
            run.exits(0).says(&["Repaired"]);
            assert_eq!(old.changes(&state(&home)), [""; 0]);
        } else {
            run.says(&["gwinstall install was interrupted earlier; its changes were undone."]);
        }
        if next.starts_with("off") {
            home.run("on --yes").exits(0);
        }
        assert_eq!(old.changes(&state(&home)), [""; 0], "{next}");
        home.run("status").exits(0);
    }
}

/// A file name of Linux may hold any byte. The journal names the file behind a linked settings.json exactly, so that a run
/// that was killed is undone.
#[test]
fn a_kill_is_undone_where_the_real_settings_lie_in_a_directory_that_is_not_utf8() {
    use std::os::unix::ffi::OsStringExt as _;
    let home = TestHome::new();
    let dir = home.home().join(std::ffi::OsString::from_vec(b"dot\xe9files".to_vec()));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("settings.json"), "{\"a\": 1}\n").unwrap();
    fs::create_dir_all(home.path(".claude")).unwrap();
    std::os::unix::fs::symlink(dir.join("settings.json"), home.settings()).unwrap();
    let before = fs::read(dir.join("settings.json")).unwrap();
    for call in [20, 60, 90] {
        let killed = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e"])
            .arg(format!("inject=renameat2:signal=KILL:when={call}"))
            .arg(crate::home::binary())
            .args(["install", "--preset", "basic", "--yes"])
            .env_clear()
            .env("HOME", home.home())
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        assert_eq!(killed.status.code(), None, "{killed:?}");
        home.run("doctor --repair --yes").exits(0);
        assert_eq!(fs::read(home.settings()).unwrap(), before, "killed at the rename {call}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        home.run("status").exits(0);
    }
    home.run("install --yes").exits(0);
    home.run("uninstall --yes").exits(0);
    assert_eq!(fs::read(home.settings()).unwrap(), before);
}
