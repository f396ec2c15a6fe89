//! File systems and files with abilities of their own: modes that do not stick, no exchange, no links, a filter in front of
//! system calls, a second name, an ACL, another group. Each works, or is refused with the true reason and nothing left.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use rustix::fs::XattrFlags;

use crate::home::{Run, TestHome};

const SETTINGS: &str = "{\n  \"model\": \"opus\"\n}\n";

/// The program with answers of the kernel that are strace's; `None` where strace is not installed.
fn answered(home: &TestHome, answers: &[&str], arguments: &str) -> Option<Command> {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("not checked: strace is not installed");
        return None;
    }
    let inject: String = answers.iter().map(|answer| format!(" -e inject={answer}")).collect();
    Some(home.shell(&format!("exec strace -f -qq -o /dev/null{inject} \"$GW\" {arguments}")))
}

/// FAT, CIFS and shared folders of virtual machines accept a mode and keep another. The keys would be readable by
/// everyone, and gwinstall could not tell its own files from edited ones.
#[test]
fn a_file_system_that_keeps_no_modes_is_refused_with_nothing_left() {
    let home = TestHome::new();
    let before = home.tree();
    let Some(mut command) = answered(&home, &["fchmod:retval=0"], "install --preset basic --yes") else {
        return;
    };
    Run::of(&mut command).exits(1).says(&["does not keep the mode of a file", "--target-dir"]);
    assert_eq!(before.changes(&home.tree()), Vec::<String>::new());
}

#[test]
fn without_exchange_and_without_links_every_change_works() {
    for refusal in ["renameat2:error=EINVAL", "renameat2:error=EPERM", "renameat2:error=ENOTTY"] {
        let answers = [refusal, "link,linkat:error=EPERM"];
        let home = TestHome::new();
        home.write(".claude/settings.json", SETTINGS);
        let before = home.tree();
        for arguments in [
            "install --preset basic --on --yes",
            "install --models glm-5.2 --on --yes",
            "rollback --yes",
            "uninstall --purge --yes",
        ] {
            let Some(mut command) = answered(&home, &answers, arguments) else { return };
            Run::of(&mut command).exits(0);
        }
        assert_eq!(before.changes(&home.tree()), Vec::<String>::new(), "{refusal}");
    }
}

/// There an empty file holds the path of a new one for a moment: a run that is killed in it is undone, too.
#[test]
fn without_exchange_and_without_links_a_kill_is_undone() {
    let answers = ["renameat2:error=EINVAL", "link,linkat:error=EPERM"];
    for nth in [3, 40, 100] {
        let home = TestHome::new();
        home.write(".claude/settings.json", SETTINGS);
        let before = home.tree();
        let kill = format!("rename:signal=KILL:when={nth}");
        let Some(mut command) =
            answered(&home, &[answers[0], answers[1], &kill], "install --preset basic --on --yes")
        else {
            return;
        };
        assert!(!command.output().unwrap().status.success());
        home.run("doctor --repair --yes").exits(0);
        assert_eq!(before.changes(&home.tree()), Vec::<String>::new(), "killed at the rename {nth}");
    }
}

/// An old filter of system calls answers EPERM to one that it does not know.
#[test]
fn a_filter_in_front_of_faccessat2_changes_nothing() {
    for error in ["EPERM", "ENOSYS"] {
        let home = TestHome::new();
        let answer = format!("faccessat2:error={error}");
        let Some(mut command) = answered(&home, &[&answer], "install --preset basic --yes") else { return };
        Run::of(&mut command).exits(0);
    }
}

#[test]
fn a_sync_that_fails_leaves_the_home_as_it_was() {
    let mut failed = 0;
    for (call, nth) in [("fsync", 1), ("fsync", 3), ("syncfs", 1), ("syncfs", 2)] {
        let home = TestHome::new();
        let before = home.tree();
        let answer = format!("{call}:error=EIO:when={nth}");
        let Some(mut command) = answered(&home, &[&answer], "install --preset basic --on --yes") else {
            return;
        };
        // A file system that is not flushed as a whole gets more of the one call and none of the other.
        if Run::of(&mut command).code != 0 {
            failed += 1;
            assert_eq!(before.changes(&home.tree()), Vec::<String>::new(), "{answer}");
        }
    }
    assert!(failed >= 2, "no call failed");
}

/// An editor or a dotfiles program knows the file by its other name; a backup program gave it attributes.
#[test]
fn settings_keep_their_second_name_their_acl_and_their_attributes() {
    let home = TestHome::new();
    let settings = home.write(".claude/settings.json", SETTINGS);
    let other = home.write("dotfiles/keep", "");
    let other = other.with_file_name("settings.json");
    fs::hard_link(&settings, &other).unwrap();
    let attributes = [("user.tag", &b"keep"[..]), ("system.posix_acl_access", &ACL[..])];
    for (name, value) in attributes {
        if let Err(error) = rustix::fs::setxattr(&settings, name, value, XattrFlags::empty()) {
            eprintln!("not checked: {name}: {error}");
        }
    }
    let facts = |path: &Path| {
        let meta = fs::metadata(path).unwrap();
        let attributes: Vec<_> = attributes.iter().map(|(name, _)| attribute(path, name)).collect();
        (meta.ino(), meta.nlink(), meta.permissions().mode(), attributes)
    };
    let before = facts(&settings);
    for (arguments, gateway) in [
        ("install --preset basic --yes", true),
        ("off --yes", false),
        ("on --yes", true),
        ("uninstall --yes", false),
    ] {
        home.run(arguments).exits(0);
        assert_eq!(facts(&settings), before, "{arguments}");
        let text = fs::read_to_string(&other).unwrap();
        assert_eq!(text.contains("ANTHROPIC_BASE_URL"), gateway, "{arguments}: {text}");
    }
    assert_eq!(fs::read_to_string(&other).unwrap(), SETTINGS);
}

/// `u::rw-,u:1000:r--,g::r--,m::r--,o::---` as the kernel keeps it.
const ACL: [u8; 44] = {
    let mut acl = [0u8; 44];
    acl[0] = 2;
    let entries: [(u8, u8, u32); 5] =
        [(1, 6, u32::MAX), (2, 4, 1000), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    let mut n = 0;
    while n < 5 {
        let (tag, bits, id) = entries[n];
        let at = 4 + 8 * n;
        acl[at] = tag;
        acl[at + 2] = bits;
        let id = id.to_le_bytes();
        let mut byte = 0;
        while byte < 4 {
            acl[at + 4 + byte] = id[byte];
            byte += 1;
        }
        n += 1;
    }
    acl
};

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::getxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// A team shares the file through a group: gwinstall neither locks it out nor opens the file to another group.
#[test]
fn settings_keep_their_group() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not checked: this needs root");
        return;
    }
    let home = TestHome::new();
    let settings = home.write(".claude/settings.json", SETTINGS);
    chown(&settings, None, Some(100)).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o660)).unwrap();
    let facts = || {
        let meta = fs::metadata(&settings).unwrap();
        (meta.uid(), meta.gid(), meta.permissions().mode() & 0o7777)
    };
    let before = facts();
    for arguments in ["install --preset basic --yes", "off --yes", "on --yes", "uninstall --yes"] {
        home.run(arguments).exits(0);
        assert_eq!(facts(), before, "{arguments}");
    }
    assert_eq!(fs::read_to_string(&settings).unwrap(), SETTINGS);
}

/// A kill while such a file is rewritten in place leaves it torn for a moment; recovery restores it.
#[test]
fn a_kill_while_settings_are_rewritten_in_place_is_undone() {
    for (call, torn) in [("write", Some("")), ("fsync", None)] {
        let home = TestHome::new();
        let settings = home.write(".claude/settings.json", SETTINGS);
        let other = home.path("second-name");
        fs::hard_link(&settings, &other).unwrap();
        if Command::new("strace").arg("-V").output().is_err() {
            eprintln!("not checked: strace is not installed");
            return;
        }
        // Only at the calls on this file.
        let script = format!(
            "exec strace -f -qq -o /dev/null -P '{}' -e inject={call}:signal=KILL \"$GW\" install --on --yes",
            settings.display()
        );
        let killed = home.shell(&script).output().unwrap();
        assert!(!killed.status.success(), "{call}: not killed");
        let left = fs::read_to_string(&other).unwrap();
        assert_ne!(left, SETTINGS, "{call}: killed too early");
        assert!(torn.is_none_or(|torn| left == torn), "{call}: {left}");
        home.run("doctor --repair --yes").exits(0);
        assert_eq!(fs::read_to_string(&other).unwrap(), SETTINGS, "{call}");
        assert_eq!(fs::metadata(&settings).unwrap().ino(), fs::metadata(&other).unwrap().ino());
    }
}

/// No permission shows that a file is immutable or append-only, so the message does.
#[test]
fn a_file_with_a_flag_is_named_with_what_lets_it_be_changed() {
    for (flag, word) in [('i', "immutable"), ('a', "append-only")] {
        let home = TestHome::new();
        let settings = home.write(".claude/settings.json", SETTINGS);
        let made = Command::new("chattr").arg(format!("+{flag}")).arg(&settings).output();
        if !made.is_ok_and(|done| done.status.success()) {
            eprintln!("not checked: chattr +{flag} does not work here");
            continue;
        }
        let run = home.run("install --preset basic --yes");
        let left = home.tree();
        Command::new("chattr").arg(format!("-{flag}")).arg(&settings).output().unwrap();
        run.says(&[&format!("settings.json is {word}"), &format!("sudo chattr -{flag} ")]);
        assert_eq!(fs::read_to_string(&settings).unwrap(), SETTINGS);
        assert!(!left.0.contains_key(".claude/gateway/deployment-manifest.json"));
    }
}

/// A hardened machine mounts /home noexec: scripts run through the shell, and Claude Code gets its key.
#[test]
fn on_a_file_system_that_runs_no_programs_scripts_go_through_the_shell() {
    let home = TestHome::new();
    let script = "mount -t tmpfs -o noexec,mode=700 none \"$HOME\" || exit 77
        \"$GW\" install --preset basic --on --yes >/dev/null 2>&1 || exit 1
        grep -o '\"apiKeyHelper\": \"[^\"]*\"' ~/.claude/settings.json
        eval \"$(sed -n 's/.*\"apiKeyHelper\": \"\\(.*\\) local\".*/\\1/p' ~/.claude/settings.json)\" | cut -c1-3
        \"$GW\" stop; \"$GW\" start 2>&1 | head -2
        \"$GW\" doctor --verbose | grep scripts_executable
        \"$GW\" uninstall --purge --yes >/dev/null 2>&1; ls -A
        mount -o remount,exec \"$HOME\"; \"$GW\" install --preset basic --on --yes >/dev/null 2>&1
        mount -o remount,noexec \"$HOME\"; \"$GW\" doctor --verbose | grep -A1 scripts_executable
        \"$GW\" install --on --yes >/dev/null 2>&1; grep -c 'apiKeyHelper\": \"sh ' ~/.claude/settings.json";
    let Some(mut command) = home.unshared(script) else { return };
    let run = Run::of(&mut command);
    if run.code == 77 {
        eprintln!("not checked: no tmpfs can be mounted here");
        return;
    }
    let run = run.says(&[
        "\"apiKeyHelper\": \"sh ~/.claude/gateway/scripts/print-gateway-key.sh local\"",
        "sk-",
        "PASS",
    ]);
    run.never_says("ermission denied");
}

/// People keep ~/.claude in git. What `git add -A` takes is public one push later.
#[test]
fn git_ignores_the_gateway_and_doctor_sees_keys_that_git_tracks() {
    let git = |home: &TestHome, words: &str| {
        let script = format!("git -c user.name=a -c user.email=a@b -C ~/.claude {words}");
        home.shell(&script).output().map(|done| String::from_utf8(done.stdout).unwrap()).unwrap_or_default()
    };
    let home = TestHome::new();
    if !git(&home, "--version").starts_with("git") {
        eprintln!("not checked: git is not installed");
        return;
    }
    home.write(".claude/notes.md", "mine\n");
    git(&home, "init -q");
    home.run("install --yes").exits(0);
    assert_eq!(git(&home, "status --porcelain -uall"), "?? notes.md\n?? settings.json\n");
    home.run("doctor --verbose").says(&["PASS env_file_not_in_git"]);
    fs::remove_file(home.gateway(".gitignore")).unwrap();
    home.run("install --yes").exits(0);
    assert!(!home.gateway(".gitignore").exists(), "a deleted one stays deleted");
    home.run("doctor --verbose")
        .says(&["WARN env_file_not_in_git", "git does not ignore ~/.claude/gateway/.env"]);
    git(&home, "add -A");
    home.run("doctor --verbose").says(&["FAIL env_file_not_in_git", "rm --cached .env"]);
    home.run("uninstall --purge --yes").exits(0);
    assert!(!home.gateway("").exists());
    // What an uninstall leaves holds keys, too.
    for purge_what_is_left in [false, true] {
        let home = TestHome::new();
        home.write(".claude/notes.md", "mine\n");
        git(&home, "init -q");
        home.run("install --yes").exits(0);
        home.run("uninstall --yes").exits(0);
        assert!(home.gateway(".env").exists());
        assert_eq!(git(&home, "status --porcelain -uall"), "?? notes.md\n");
        if purge_what_is_left {
            home.run("uninstall --purge --yes").exits(0);
            assert!(!home.gateway("").exists());
        } else {
            home.run("install --yes").exits(0);
            assert_eq!(git(&home, "status --porcelain -uall"), "?? notes.md\n?? settings.json\n");
        }
    }
}

/// A FIFO in the place of a file that gwinstall reads, writes or locks would be waited for for ever.
#[test]
fn a_fifo_in_the_place_of_a_file_is_not_waited_for() {
    let gateway = |path: &str| format!(".claude/gateway/{path}");
    for (path, commands) in [
        (
            gateway(".gwinstall/lock"),
            &["install --models glm-5.2 --yes", "doctor --repair --yes", "status"][..],
        ),
        (gateway("deployment.log"), &["install --models glm-5.2 --yes", "history"]),
        (gateway("config/litellm.yaml"), &["validate", "doctor", "start", "install --yes"]),
        (gateway(".env"), &["start", "stop", "env list", "install --yes"]),
        (gateway(".starting"), &["start", "stop", "status"]),
        (gateway(".stopped"), &["start", "stop"]),
        (gateway("litellm.pid"), &["start", "stop", "status"]),
        (gateway("litellm.log"), &["start", "logs"]),
        (gateway("start-gateway.sh"), &["doctor", "install --yes"]),
        (gateway("backups/metadata.json"), &["backup list", "install --models glm-5.2 --yes"]),
        (".claude/settings.json".to_owned(), &["status", "install --yes", "off --yes", "uninstall --yes"]),
    ] {
        for command in commands {
            let home = TestHome::deployed();
            let fifo = home.path(&path);
            let _ = fs::remove_file(&fifo);
            fs::create_dir_all(fifo.parent().unwrap()).unwrap();
            assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
            let helper = "timeout 20 sh ~/.claude/gateway/scripts/print-gateway-key.sh local >/dev/null 2>&1";
            let script = format!(
                "timeout 20 \"$GW\" {command} >/dev/null 2>&1; [ $? -ne 124 ] && {{ {helper}; [ $? -ne 124 ]; }}"
            );
            assert!(home.shell(&script).status().unwrap().success(), "{path}: {command} hangs");
        }
    }
}
