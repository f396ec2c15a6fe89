//! `--target-dir`: one deployment per configuration directory, in any sane place, and remembered.

use std::fs;
use std::os::unix::fs::symlink;

use crate::home::{Run, TestHome, printing};

/// D-007, D-196.
#[test]
fn a_target_of_ones_own_is_remembered() {
    let home = TestHome::new();
    let target = home.path("srv/my gateway");
    Run::of(home.command("install --yes --target-dir").arg(&target)).exits(0);
    assert!(target.join("config/litellm.yaml").exists());
    assert!(!home.gateway("").exists());
    home.run("status").exits(0).says(&["~/srv/my gateway"]);
    home.touches_nothing("install --yes").exits(0);
    home.run("install --yes --models glm-5.2").exits(0);
    home.run("rollback --yes").exits(0);
    let helper = home.json(".claude/settings.json")["apiKeyHelper"].as_str().unwrap().to_owned();
    assert!(
        Run::of(home.shell("sh -c \"$HELPER\"").env("HELPER", printing(&helper)))
            .exits(0)
            .stdout
            .starts_with("sk-")
    );
    home.run("uninstall --yes --purge").exits(0);
    assert!(!target.exists());
    home.run("status").exits(0).says(&["No gateway is deployed"]);
}

/// D-196.
#[test]
fn a_second_target_is_exit_2_and_names_the_first() {
    let home = TestHome::deployed();
    let run = home.refused(home.command("install --yes --target-dir").arg(home.path("other")), 2);
    run.says(&["~/.claude/gateway", "gwinstall uninstall"]);
    let run = home.refused(home.command("install --yes").env("GWINSTALL_TARGET_DIR", home.path("other")), 2);
    run.says(&["~/.claude/gateway"]);
    // The same directory, also by another name, is no second one.
    symlink(home.path(".claude/gateway"), home.path("link")).unwrap();
    for same in [home.gateway(""), home.path("link"), home.path(".claude/./gateway/")] {
        Run::of(home.command("install --yes --target-dir").arg(same)).exits(0);
    }
}

#[test]
fn the_variable_names_a_target_too_and_the_flag_wins() {
    let base = TestHome::new();
    let (by_variable, by_flag) = (base.path("by-variable"), base.path("by-flag"));
    let home = base.with("GWINSTALL_TARGET_DIR", &by_variable);
    Run::of(home.command("install --yes --dry-run --target-dir").arg(&by_flag)).exits(0).says(&["~/by-flag"]);
    home.run("install --yes").exits(0);
    assert!(by_variable.join(".env").exists());
}

/// D-156.
#[test]
fn a_path_that_is_no_place_is_exit_2() {
    let home = TestHome::new();
    home.write("file", "x");
    let base = home.home().display();
    for (target, says) in [
        (String::new(), "--target-dir"),
        (format!("{base}/a/../b"), ".."),
        ("../gateway".to_owned(), ".."),
        ("~/gateway".to_owned(), "$HOME"),
        ("~root/gateway".to_owned(), "~"),
        (format!("{base}/a\nb"), "control character"),
        (format!("{base}/a\u{1b}[2J"), "control character"),
        ("/".to_owned(), "own directory"),
        (format!("{base}"), "own directory"),
        (format!("{base}/.claude"), "own directory"),
        (format!("/{}", "x".repeat(4000)), "too long"),
    ] {
        let run = home.refused(home.command("install --yes --target-dir").arg(&target), 2);
        run.says(&[says]).never_says("\u{1b}");
    }
    let run = home.refused(home.command("install --yes --target-dir").arg(home.path("file/gateway")), 1);
    run.says(&["not a directory"]);
}

#[test]
fn a_relative_target_is_taken_from_the_current_directory() {
    let home = TestHome::new();
    home.run("install --yes --target-dir ./here").exits(0);
    assert!(home.root().join("here/config/litellm.yaml").exists());
    Run::of(home.command("status").current_dir("/")).exits(0);
}

/// A link to another disk: staging happens beside the real target.
#[test]
fn a_linked_target_on_another_file_system_works() {
    let home = TestHome::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path(".claude")).unwrap();
    let link = home.path(".claude/gateway");
    symlink(elsewhere.path(), &link).unwrap();
    home.run("install --yes").exits(0);
    assert!(elsewhere.path().join("config/litellm.yaml").exists());
    home.touches_nothing("install --yes").exits(0);
    home.run("install --yes --preset proxy").exits(0);
    home.run("rollback --yes").exits(0);
    home.run("uninstall --yes --purge").exits(0);
    assert!(link.is_symlink(), "the link is the user's");
}

/// A command that is pasted works on the place of the run that printed it, never on the real home.
#[test]
fn printed_commands_carry_the_flags_of_the_run() {
    let home = TestHome::new();
    let stage = home.root().join("sta ge");
    fs::create_dir(&stage).unwrap();
    let flag = format!("gwinstall --home '{}'", stage.display());
    let with = |arguments: &str| {
        let mut command = home.command(arguments);
        command.arg("--home").arg(&stage);
        Run::of(&mut command)
    };
    with("").exits(0).says(&[&format!("{flag} install")]);
    with("install --yes").exits(0).says(&[&format!("{flag} env set")]).never_says("gwinstall env");
    with("backup list").exits(0).says(&[&format!("{flag} backup create")]);
    with("env set X")
        .exits(2)
        .says(&[&format!("gwinstall env set X --home '{}' --from PATH --yes", stage.display())]);
    with("rollback --yes --json").exits(1).says(&["--home '", "sta ge' uninstall\""]);
    // Also where the command line is wrong, and it is not known yet whether the home exists.
    let elsewhere = home.root().join("elsewhere");
    home.run("--home elsewhere env set X hush")
        .exits(2)
        .says(&[&format!("gwinstall --home {} env set X", elsewhere.display())]);
    // What is quoted stays as it is.
    with("help install").exits(0).never_says("gwinstall --home");

    let target = home.path("else where");
    let flag = format!("gwinstall --target-dir '{}'", target.display());
    let with = |arguments: &str| {
        let mut command = home.command(arguments);
        command.arg("--target-dir").arg(&target);
        Run::of(&mut command)
    };
    with("status").exits(0).says(&[&format!("{flag} install")]);
    with("install --yes").exits(0).says(&[&format!("{flag} env set")]);
    with("uninstall --yes").exits(0).says(&["uninstall --purge"]);
}

/// The way out of two targets is to leave the second out.
#[test]
fn a_refused_target_is_not_carried() {
    let home = TestHome::deployed();
    let run = home.refused(home.command("status --target-dir").arg(home.path("other")), 2);
    run.says(&["existing one: gwinstall status\n  to remove it first: gwinstall uninstall\n"]);
}
