//! What must write nothing: a second installation, a dry run, and everything that only looks.

use std::process::Command;

use crate::home::{Run, TestHome};

const INSTALL: &str = "install --yes --models gemini-3.8-flash,glm-5.2";

/// Commands that only look, with the exit code on a deployment that is as deployed.
const LOOKING: [(&str, i32); 20] = [
    ("runtime list", 0),
    ("runtime remove", 0),
    ("service status", 0),
    ("service remove", 0),
    ("", 0),
    ("status", 0),
    ("status --json", 0),
    ("diff", 0),
    ("diff --json", 0),
    ("history", 0),
    ("usage", 0),
    ("report --html -", 0),
    ("install --dry-run", 0),
    ("install --preset proxy --dry-run", 0),
    ("install --models glm-5.2 --dry-run --json", 0),
    ("update --dry-run", 0),
    ("off --dry-run", 0),
    ("uninstall --dry-run", 0),
    ("uninstall --purge --dry-run", 0),
    ("--help", 0),
];

/// P-022, D-013.
#[test]
fn looking_touches_nothing() {
    let home = TestHome::deployed();
    for (arguments, code) in LOOKING {
        home.touches_nothing(arguments).exits(code);
    }
    // Its code depends on the programs of this machine.
    let doctor = home.touches_nothing("doctor");
    assert!([0, 1].contains(&doctor.code), "{}", doctor.all());
}

/// D-013. Before anything is deployed there is not even a directory.
#[test]
fn looking_makes_no_directory_in_an_empty_home() {
    let home = TestHome::new();
    for (arguments, code) in [
        ("", 0),
        ("status", 0),
        ("install --dry-run", 0),
        ("diff", 2),
        ("history", 0),
        ("usage", 0),
        ("report --html -", 0),
        ("doctor", 0),
        ("uninstall --yes", 0),
    ] {
        home.touches_nothing(arguments).exits(code);
    }
    assert_eq!(home.tree().0.len(), 1);
}

/// P-022.
#[test]
fn a_second_install_rewrites_nothing() {
    let home = TestHome::deployed();
    for again in
        [INSTALL, "install --yes", "install", "update --yes", "install --yes --force", "install --yes --json"]
    {
        let said = if again.ends_with("--json") { "nothing to do" } else { "Already up to date" };
        home.touches_nothing(again).exits(0).says(&[said]);
    }
    assert!(home.backups().is_empty(), "a change that changes nothing made a backup");
    assert_eq!(home.log().len(), 1);
}

#[test]
fn on_and_off_twice_change_nothing_the_second_time() {
    let home = TestHome::deployed();
    home.touches_nothing("on --yes").exits(0).says(&["Nothing to do"]);
    home.run("off --yes").exits(0);
    home.touches_nothing("off --yes").exits(0).says(&["Nothing to do"]);
}

/// D-013. The plan of a dry run is the plan of the run.
#[test]
fn a_dry_run_shows_the_plan_that_is_carried_out() {
    let home = TestHome::deployed();
    let dry = home.run("install --models glm-5.2 --dry-run --json").exits(0).json();
    let real = home.run("install --models glm-5.2 --yes --json").exits(0).json();
    assert_eq!(dry["data"]["plan_id"], real["data"]["plan_id"]);
    assert_eq!(dry["data"]["steps"], real["data"]["steps"]);
    let rollback = home.run("rollback --dry-run --json").exits(0).json();
    assert_eq!(
        rollback["data"]["plan_id"],
        home.run("rollback --yes --json").exits(0).json()["data"]["plan_id"]
    );
}

/// D-013. Same on a medium that cannot be written: a dry run says what stands in the way, and is still a dry run.
#[test]
fn looking_works_on_a_read_only_mount() {
    let home = TestHome::deployed();
    let mount = "mount --bind \"$HOME\" \"$HOME\"; mount -o remount,ro,bind \"$HOME\"; cd /;";
    for (arguments, code) in LOOKING {
        let Some(mut command) = home.unshared(&format!("{mount} exec \"$GW\" {arguments}")) else { return };
        let run = Run::of(&mut command).exits(code);
        if arguments.starts_with("install --preset") {
            run.says(&["is not writable"]);
        }
    }
    let Some(mut command) =
        home.unshared(&format!("{mount} exec \"$GW\" install --on --models glm-5.2 --yes"))
    else {
        return;
    };
    home.refused(&mut command, 1).says(&["is not writable"]);
}

/// A second install opens no file for writing, makes no directory and syncs nothing.
#[test]
fn a_second_install_makes_no_changing_system_call() {
    const CHANGING: &str = "creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,\
         rmdir,chmod,fchmod,fchmodat,chown,fchown,fchownat,truncate,ftruncate,utimensat,fsync,fdatasync,sync_file_range";
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("not checked: strace is not installed");
        return;
    }
    let home = TestHome::deployed();
    let trace = home.root().join("trace");
    let calls = |arguments: &str| {
        let script = format!(
            "exec strace -f -qq -o '{}' -e 'trace=open,openat,{CHANGING}' \"$GW\" {arguments}",
            trace.display()
        );
        Run::of(&mut home.shell(&script)).exits(0);
        let text = std::fs::read_to_string(&trace).unwrap();
        let opens = |line: &str| line.contains(" open(") || line.contains(" openat(");
        let writes = |line: &str| ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| line.contains(flag));
        let changing =
            |line: &&str| (!opens(line) || writes(line)) && !line.contains("\"/dev/") && line.contains('(');
        text.lines().filter(changing).map(str::to_owned).collect::<Vec<_>>()
    };
    for arguments in ["install --yes", "status", "diff", "install --models glm-5.2 --dry-run"] {
        let found = calls(arguments);
        assert!(found.is_empty(), "{arguments}: {found:#?}");
    }
    assert!(calls("install --models glm-5.2 --yes").len() > 10, "the trace sees nothing");
}

/// A change reads what it rests on twice: for the plan, and again under the lock. A third look would be another truth.
#[test]
fn a_change_opens_settings_record_and_ledger_twice() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("not checked: strace is not installed");
        return;
    }
    for change in ["install --on --models glm-5.2 --yes", "off --yes", "use claude", "uninstall --yes"] {
        let home = TestHome::deployed();
        let trace = home.root().join("trace");
        let line =
            format!("exec strace -f -qq -o '{}' -e trace=open,openat \"$GW\" {change}", trace.display());
        Run::of(&mut home.shell(&line)).exits(0);
        let text = std::fs::read_to_string(&trace).unwrap();
        for file in
            [".claude/settings.json\"", "gateway/deployment-manifest.json\"", "settings-before.json\""]
        {
            assert_eq!(text.lines().filter(|line| line.contains(file)).count(), 2, "{change}: {file}");
        }
    }
}
