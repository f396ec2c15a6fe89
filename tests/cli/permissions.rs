//! Permissions of what is run and of what it reads: a looser mode is seen and taken back, a stricter one is the user's.
//! D-203, D-204, rule 13.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::bundle::SourceDir;
use crate::home::{Run, TestHome};

const LOOSE: [&str; 3] = ["scripts/print-gateway-key.sh", "start-gateway.sh", "config/litellm.yaml"];

fn in_gateway(path: &str) -> String {
    format!(".claude/gateway/{path}")
}

/// The script that `verify --explain` prints, run by a shell.
fn explained(home: &TestHome) -> Run {
    let printed = home.run("verify --explain").stdout;
    let script = printed.split_once("The same without gwinstall, in a shell:\n").unwrap().1;
    Run::of(&mut home.shell(&format!("set -e\n{script}")))
}

#[test]
fn a_mode_that_lets_others_write_is_seen_and_taken_back() {
    let home = TestHome::deployed();
    explained(&home).exits(0);
    for path in LOOSE {
        home.chmod(&in_gateway(path), 0o777);
    }
    for command in ["status", "verify"] {
        let run = home.touches_nothing(command).exits(3);
        for path in LOOSE {
            run.all().find(path).unwrap_or_else(|| panic!("{command} is silent about {path}"));
            let hint = format!("other users can write to it: chmod go-w ~/.claude/gateway/{path}");
            assert!(run.all().contains(&hint), "{}", run.all());
        }
    }
    assert_eq!(explained(&home).code, 1);
    let drift = home.run("status --json").json()["data"]["drift"].clone();
    assert_eq!(drift[0], serde_json::json!({ "path": "config/litellm.yaml", "kind": "writable" }));
    home.run("diff").exits(3).says(&["start-gateway.sh"]);
    let run = home.run("install --yes --json").exits(0);
    for (path, mode) in LOOSE.into_iter().zip([0o755, 0o755, 0o644]) {
        assert_eq!(run.rule(path), (13, "chmod".to_owned()), "{path}");
        assert_eq!(home.mode(&in_gateway(path)), mode, "{path}");
    }
    home.run("status").exits(0);
    home.run("verify").exits(0);
    explained(&home).exits(0);
}

/// A newer version does not bring a loose mode along, and a file that the user edited is mended by the named command.
#[test]
fn a_loose_mode_goes_with_a_newer_version_and_by_the_named_command() {
    let home = TestHome::deployed();
    home.chmod(&in_gateway("scripts/health-check.sh"), 0o777);
    let edited = home.read(&in_gateway("start-gateway.sh")) + "# mine\n";
    home.write(&in_gateway("start-gateway.sh"), edited);
    home.chmod(&in_gateway("start-gateway.sh"), 0o775);
    let source = SourceDir::new(&home).ships("scripts/health-check.sh", "# next");
    home.run(&source.install()).exits(0);
    assert_eq!(home.mode(&in_gateway("scripts/health-check.sh")), 0o755);
    let said = home.run("status").exits(3).all();
    let command = said.lines().find_map(|line| line.split_once("other users can write to it: ")).unwrap().1;
    Run::of(&mut home.shell(command)).exits(0);
    home.run("status").exits(0);
}

#[test]
fn a_script_that_lost_its_x_is_seen() {
    let home = TestHome::deployed();
    home.chmod(&in_gateway("scripts/health-check.sh"), 0o600);
    for command in ["status", "verify"] {
        home.run(command).exits(3).says(&["is no longer executable: chmod u+x"]);
    }
    assert_eq!(explained(&home).code, 1);
    home.run("install --yes").exits(0);
    assert_eq!(
        home.mode(&in_gateway("scripts/health-check.sh")),
        0o700,
        "executable, and as strict as it was"
    );
    home.run("status").exits(0);
}

/// Stricter modes are a choice, and the mode of a document is the user's.
#[test]
fn a_stricter_mode_is_no_difference_and_stays() {
    let home = TestHome::deployed();
    let strict = [
        ("start-gateway.sh", 0o700),
        ("scripts/health-check.sh", 0o500),
        ("scripts/print-gateway-key.sh", 0o744),
        ("config/litellm.yaml", 0o600),
        ("docs/faq.md", 0o664),
    ];
    for (path, mode) in strict {
        home.chmod(&in_gateway(path), mode);
    }
    for command in ["status", "verify", "diff"] {
        home.touches_nothing(command).exits(0);
    }
    home.run("install --yes").exits(0).says(&["Already up to date"]);
    let source =
        SourceDir::new(&home).ships("scripts/health-check.sh", "# next").ships("docs/faq.md", "next");
    home.run(&source.install()).exits(0);
    for (path, mode) in strict {
        assert_eq!(home.mode(&in_gateway(path)), mode, "{path}");
    }
    home.run("status").exits(0);
}

/// Whatever the umask of who deploys, also for an image.
#[test]
fn no_umask_raises_an_alarm() {
    for umask in ["000", "002", "022", "077"] {
        let home = TestHome::new();
        let staged = home.root().join("image");
        fs::create_dir(&staged).unwrap();
        let at = format!("--home {}", staged.display());
        let script = format!(
            "umask {umask}; \"$GW\" install --on --yes && \"$GW\" status && \"$GW\" verify && \"$GW\" install --on --yes && \
             \"$GW\" {at} install --yes && \"$GW\" {at} status && \"$GW\" {at} verify"
        );
        Run::of(&mut home.shell(&script)).exits(0).says(&["Already up to date"]);
    }
}

/// What is gone was deleted, and not changed.
#[test]
fn verify_tells_a_deleted_file_from_a_changed_one() {
    let home = TestHome::deployed();
    fs::remove_file(home.gateway("docs/faq.md")).unwrap();
    home.write(&in_gateway("docs/operations.md"), "mine\n");
    let run = home.run("verify").exits(3);
    run.says(&["docs/faq.md  deleted since", "docs/operations.md  changed since"]);
}

/// Another user who can rename a directory on the way puts a helper of theirs in its place, and Claude Code runs it.
#[test]
fn a_place_where_another_user_can_replace_files_is_refused_with_the_command_that_closes_it() {
    let refused = |home: &TestHome, words: &[&str]| {
        for command in ["install --yes", "install --dry-run"] {
            home.touches_nothing(command).exits(2).says(words);
        }
    };
    for (path, mode) in [(".claude", 0o777), (".claude/gateway", 0o777), ("", 0o757), (".claude", 0o773)] {
        let home = TestHome::new();
        fs::create_dir_all(home.path(".claude/gateway")).unwrap();
        home.chmod(path, mode);
        refused(&home, &["every user of this machine may write there", "chmod go-w "]);
    }
    // A link leads to such a place.
    let home = TestHome::new();
    fs::create_dir_all(home.path(".claude")).unwrap();
    fs::create_dir_all(home.root().join("open/gateway")).unwrap();
    fs::set_permissions(home.root().join("open"), fs::Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::symlink(home.root().join("open/gateway"), home.path(".claude/gateway")).unwrap();
    refused(&home, &["open", "every user of this machine may write there"]);
    // In a sticky directory only the owner replaces a file.
    let home = TestHome::new();
    fs::create_dir_all(home.path(".claude")).unwrap();
    home.chmod(".claude", 0o1777);
    home.run("install --yes").exits(0);
    home.chmod(".claude", 0o777);
    home.run("doctor --verbose").says(&["FAIL no_other_user_can_write", "chmod go-w "]);
    for command in ["install --models glm-5.2 --yes", "models remove glm-5.2 --yes"] {
        home.run(command).exits(2);
    }
    home.run("off --yes").exits(0);
    home.run("on --yes").exits(2);
    home.run("uninstall --purge --yes").exits(0);
}

/// Each link on the way, the real settings.json, and an access list count too.
#[test]
fn a_way_past_the_directories_that_are_named_is_refused_too() {
    let open_directory = |home: &TestHome| {
        let dir = home.root().join("open");
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        dir
    };
    let refused =
        |home: &TestHome, words: &[&str]| drop(home.touches_nothing("install --yes").exits(2).says(words));
    // A link in the middle.
    let home = TestHome::new();
    let real = home.root().join("real");
    fs::create_dir_all(&real).unwrap();
    let middle = open_directory(&home).join("link");
    std::os::unix::fs::symlink(&real, &middle).unwrap();
    std::os::unix::fs::symlink(&middle, home.path(".claude")).unwrap();
    refused(&home, &["open", "every user of this machine may write there"]);
    // The directory of the real settings.json, and the file itself.
    let home = TestHome::new();
    fs::create_dir_all(home.path(".claude")).unwrap();
    let real = open_directory(&home).join("settings.json");
    fs::write(&real, "{}").unwrap();
    std::os::unix::fs::symlink(&real, home.settings()).unwrap();
    refused(&home, &["open", "every user of this machine may write there"]);
    let home = TestHome::new();
    let settings = home.write(".claude/settings.json", "{}");
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&home, &["settings.json", "chmod go-w "]);
    // An access list.
    let home = TestHome::new();
    fs::create_dir_all(home.path(".claude")).unwrap();
    let granted = Command::new("setfacl").args(["-m", "u:5002:rwx"]).arg(home.path(".claude")).status();
    if granted.is_ok_and(|status| status.success()) {
        refused(&home, &["5002 may write there by its access list", "setfacl -b "]);
    } else {
        eprintln!("not checked: no access list can be set here");
    }
}

#[test]
fn a_directory_of_another_owner_or_group_is_refused() {
    if !crate::home::is_root() {
        eprintln!("not checked: this needs root");
        return;
    }
    let home = TestHome::new();
    fs::create_dir_all(home.path(".claude")).unwrap();
    std::os::unix::fs::chown(home.path(".claude"), Some(65_534), None).unwrap();
    home.touches_nothing("install --yes").exits(2).says(&["it belongs to nobody", "ls -ld "]);
    // 100 is `users` on Debian: a group that other users may be in is one that the machine lists with a member.
    let group = fs::read_to_string("/etc/group").unwrap();
    let other = group
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|g| g.len() > 3 && !g[3].is_empty());
    let (home, mode) = (TestHome::new(), 0o775);
    fs::create_dir_all(home.path(".claude")).unwrap();
    home.chmod(".claude", mode);
    if let Some(group) = other {
        std::os::unix::fs::chown(home.path(".claude"), None, group[2].parse().ok()).unwrap();
        home.chmod(".claude", mode);
        home.touches_nothing("install --yes").exits(2).says(&["it has other members", "chmod g-w "]);
    }
    // The private group of a user is no finding.
    std::os::unix::fs::chown(home.path(".claude"), None, Some(0)).unwrap();
    home.run("install --yes").exits(0);
}

/// OpenShift runs a container as a user with any number and the group of root, in a home of the image's user that is open to
/// this group. On a machine with other users the same directory is refused.
#[test]
fn a_home_that_a_container_lends_is_used() {
    let unshare = "unshare --pid --fork --mount-proc";
    let can = Command::new("sh").args(["-c", &format!("{unshare} setpriv --version")]).output();
    if !crate::home::is_root() || !can.is_ok_and(|output| output.status.success()) {
        eprintln!("not checked: this needs root, unshare and setpriv");
        return;
    }
    let home = TestHome::new();
    fs::set_permissions(home.root(), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(home.home(), Some(70_001), Some(0)).unwrap();
    home.chmod("", 0o770);
    let install = |around: &str, group: u32| {
        let user = format!("setpriv --reuid 70123 --regid {group} --groups 0");
        Run::of(&mut home.shell(&format!("exec {around} {user} \"$GW\" install --yes")))
    };
    install("", 0).exits(2).says(&["it belongs to 70001"]);
    install(unshare, 70_123).exits(2).says(&["it belongs to 70001"]);
    assert!(!home.path(".claude").exists());
    install(unshare, 0).exits(0);
    assert_eq!(home.mode(".claude/gateway/.env"), 0o600);
}
