//! HOME as it can be: any name that a directory may have, and every way in which it can be wrong.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use crate::home::{Run, TestHome, is_root, printing};

/// Scripts, links, JSON and the helper have to survive these.
#[test]
fn any_name_of_a_home_works() {
    for name in [
        "a home",
        "o'home",
        "a\"home",
        "$HOME",
        "`home`",
        "$(touch canary)",
        "hömé 日本",
        "-rf",
        "a;b&c",
        "~",
        "%s{}[]*?",
        "#home",
    ] {
        let home = TestHome::named(name);
        home.run("install --yes").exits(0);
        home.touches_nothing("install --yes").exits(0);
        home.run("status").exits(0);
        // The scripts are quoted, and the helper is found by a shell.
        let helper = home.json(".claude/settings.json")["apiKeyHelper"].as_str().unwrap().to_owned();
        let run = Run::of(home.shell("sh -c \"$HELPER\"").env("HELPER", printing(&helper))).exits(0);
        assert_eq!(run.stdout.trim_end(), home.env_value("LITELLM_MASTER_KEY").unwrap(), "{name}");
        let run = Run::of(
            home.shell("sh \"$HOME/.claude/gateway/start-gateway.sh\" status").env("PATH", "/usr/bin:/bin"),
        );
        run.exits(3).says(&["does not run"]);
        home.run("install --yes --preset proxy").exits(0);
        home.run("rollback --yes").exits(0);
        home.run("uninstall --yes --purge").exits(0);
        let left: Vec<_> = home.tree().0.into_keys().filter(|path| home.path(path).is_file()).collect();
        assert!(left.is_empty(), "{name}: {left:?}");
        assert!(!home.root().join("canary").exists());
    }
}

#[test]
fn a_home_that_cannot_be_is_exit_2() {
    let home = TestHome::new();
    let file = home.write("file", "x");
    let missing = home.path("missing");
    let with_newline = home.path("a\nb");
    let with_escape = home.path("a\u{1b}[2Jb");
    for dir in [&with_newline, &with_escape] {
        fs::create_dir(dir).unwrap();
    }
    let long = format!("/{}", "x".repeat(4000));
    for (value, says) in [
        ("relative/home".as_ref(), "not a directory"),
        (".".as_ref(), "not a directory"),
        (missing.as_os_str(), "not a directory"),
        (file.as_os_str(), "not a directory"),
        (with_newline.as_os_str(), "control character"),
        (with_escape.as_os_str(), "control character"),
        (OsStr::from_bytes(b"/tmp/\xff"), "not UTF-8"),
        (long.as_ref(), "too long"),
    ] {
        for arguments in ["install --yes", "status", "doctor"] {
            let run = home.refused(home.command(arguments).env("HOME", value), 2);
            run.says(&["HOME", says]).never_says("\u{1b}");
        }
    }
}

/// As everywhere: HOME unset or empty means the password database.
#[test]
fn without_home_the_password_database_is_asked() {
    if !is_root() {
        eprintln!("not checked: it would look at the home of whoever runs the tests");
        return;
    }
    // Nobody's home is /nonexistent on Debian: the program says so instead of writing somewhere else.
    for home in [TestHome::new().without("HOME"), TestHome::new().with("HOME", "")] {
        let home = home.owned_by_nobody();
        let run = home.run("install --yes");
        assert!([1, 2].contains(&run.code), "{}", run.all());
        run.says(&["/nonexistent"]);
        assert_eq!(home.tree().0.len(), 1);
    }
    // A password database of our own, where the machine lets us show one.
    let home = TestHome::new();
    let passwd = home.root().join("passwd");
    fs::write(&passwd, format!("root:x:0:0:root:{}:/bin/sh\n", home.home().display())).unwrap();
    let script = format!(
        "mount --bind '{}' /etc/passwd; unset HOME; exec \"$GW\" install --on --yes",
        passwd.display()
    );
    let Some(mut command) = home.unshared(&script) else { return };
    Run::of(&mut command).exits(0).says(&["~/.claude/gateway"]);
    assert!(home.gateway("config/litellm.yaml").exists());
}

/// For an image: everything below the directory, its owner, no key of this machine.
#[test]
fn two_images_hold_no_key_and_make_different_ones() {
    let mut keys = Vec::new();
    for _ in 0..2 {
        let home = TestHome::new()
            .with("LITELLM_MASTER_KEY", "sk-of-the-builder")
            .with("HOME", "/nonexistent")
            .owned_by_nobody();
        let mut command = home.command("install --yes --home");
        if is_root() {
            command = std::process::Command::new(crate::home::binary());
            command
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("LITELLM_MASTER_KEY", "sk-of-the-builder")
                .args(["install", "--yes", "--home"]);
        }
        Run::of(command.arg(home.home())).exits(0);
        assert_eq!(home.env_value("LITELLM_MASTER_KEY").as_deref(), Some(""));
        let owner = fs::metadata(home.home()).unwrap().uid();
        for (path, _) in home.tree().0 {
            assert_eq!(fs::symlink_metadata(home.path(&path)).unwrap().uid(), owner, "{path}");
        }
        let root = home.root().to_string_lossy().into_owned();
        let naming: Vec<_> = home.tree().holding(&root).into_iter().map(str::to_owned).collect();
        assert!(naming.is_empty(), "paths of the building machine are in {naming:?}");
        keys.push(first_start(&home));
    }
    assert_ne!(keys[0], keys[1]);
    assert!(keys.iter().all(|key| key.starts_with("sk-") && key.len() == 67), "{keys:?}");
}

/// Starts the deployed gateway up to the moment where LiteLLM would listen, and returns the key that it was given.
fn first_start(home: &TestHome) -> String {
    let bin = home.root().join("bin");
    fs::create_dir(&bin).unwrap();
    let told = home.root().join("told");
    fs::write(
        bin.join("litellm"),
        format!("#!/bin/sh\ncase \"$*\" in *--validate_config*) exit 0 ;; esac\nprintf %s \"$LITELLM_MASTER_KEY\" >'{}'\n", told.display()),
    )
    .unwrap();
    let script = "chmod +x \"$BIN/litellm\"; PATH=$BIN:$PATH; export PATH GOOGLE_APPLICATION_CREDENTIALS=/x VERTEXAI_PROJECT=p; \
                  sed -i 's/^#VERTEXAI_PROJECT=.*/VERTEXAI_PROJECT=p/' \"$STAGED/.claude/gateway/.env\"; \
                  exec sh \"$STAGED/.claude/gateway/start-gateway.sh\" run";
    let mut command = home.shell(script);
    command.env("BIN", &bin).env("STAGED", home.home());
    Run::of(&mut command).exits(0).says(&["generated LITELLM_MASTER_KEY"]);
    let key = fs::read_to_string(&told).unwrap();
    assert_eq!(home.env_value("LITELLM_MASTER_KEY").unwrap(), key);
    assert_eq!(home.mode(".claude/gateway/.env"), 0o600);
    key
}

/// Claude Code's own variable moves everything with it.
#[test]
fn claude_config_dir_is_followed() {
    let base = TestHome::new();
    let dir = base.path("elsewhere/claude config");
    let home = base.with("CLAUDE_CONFIG_DIR", &dir);
    home.run("install --yes").exits(0);
    assert!(dir.join("gateway/config/litellm.yaml").exists() && dir.join("settings.json").exists());
    assert!(!home.path(".claude").exists());
    let helper =
        home.json("elsewhere/claude config/settings.json")["apiKeyHelper"].as_str().unwrap().to_owned();
    let run = Run::of(home.shell("sh -c \"$HELPER\"").env("HELPER", printing(&helper))).exits(0);
    assert!(run.stdout.starts_with("sk-"), "the helper is found with the space in its path");
    home.touches_nothing("install --yes").exits(0);
    home.run("uninstall --yes --purge").exits(0);
    assert!(!dir.join("gateway").exists());
    for wrong in ["../x", "a/../b", "~/claude"] {
        home.refused(home.command("install --yes").env("CLAUDE_CONFIG_DIR", wrong), 2);
    }
}

/// Modes do not depend on the umask. D-201, D-202, D-203, D-204, H06.
#[test]
fn any_umask_gives_the_same_modes() {
    let deployed = |umask: &str| {
        let home = TestHome::new();
        Run::of(&mut home.shell(&format!("umask {umask}; exec \"$GW\" install --on --yes"))).exits(0);
        let all = home.tree().0.into_iter().filter(|(path, _)| path.starts_with(".claude/gateway"));
        all.map(|(path, _)| (home.mode(&path), path)).collect::<Vec<_>>()
    };
    let usual = deployed("022");
    for umask in ["000", "077", "0777"] {
        let other = deployed(umask);
        let odd: Vec<_> = other.iter().filter(|mode| !usual.contains(mode)).collect();
        assert!(odd.is_empty() && usual.len() == other.len(), "umask {umask}: {odd:?}");
    }
    let of = |path: &str| usual.iter().find(|(_, known)| known.ends_with(path)).unwrap().0;
    assert_eq!(
        (of("gateway"), of("gateway/.env"), of("config/litellm.yaml"), of("start-gateway.sh")),
        (0o700, 0o600, 0o644, 0o755)
    );
    assert_eq!(
        (of("deployment-manifest.json"), of("deployment.log"), of(".gwinstall")),
        (0o600, 0o600, 0o700)
    );
}

/// P-238. ~/.claude is the user's: a looser mode is said once, with its command, and stays.
#[test]
fn looser_modes_of_claude_codes_directory_are_said_once_and_stay() {
    let home = TestHome::new();
    home.write(".claude/settings.json", "{}");
    home.chmod(".claude", 0o755);
    home.run("install --yes")
        .exits(0)
        .says(&["other users can look into ~/.claude (mode 0755)", "chmod 700 ~/.claude"]);
    assert_eq!(home.mode(".claude"), 0o755);
    let again = home.run("install --yes --models glm-5.2").exits(0);
    assert!(!again.all().contains("chmod 700"), "{}", again.all());
    let made = TestHome::new();
    assert!(!made.run("install --yes").exits(0).all().contains("chmod 700"));
    assert_eq!(made.mode(".claude"), 0o700);
}
