//! A deployment whose record is gone: said as what it is, by every command, and mended by the command that is named.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::home::{Run, TestHome};

const RECORD: &str = ".claude/gateway/deployment-manifest.json";

/// A deployment without a backup, whose record somebody removed.
fn lost() -> TestHome {
    let home = TestHome::deployed();
    fs::remove_file(home.path(RECORD)).unwrap();
    home
}

/// The command that the hint of a JSON document names, without the program's name, and with the answer to its question.
fn named(status: &Run, command: &str) -> String {
    let document = status.json();
    let hint = document["hint"].as_str().unwrap();
    let way = hint.split("; or ").find_map(|way| way.find(command).map(|at| way[at..].to_owned()));
    let way = way.unwrap_or_else(|| panic!("{hint} names no {command}"));
    format!("{} --yes", way.strip_prefix("gwinstall ").unwrap())
}

/// D-025. Neither "nothing is deployed" nor "interrupted": both would be wrong, and the second would be mended by
/// removing what a repair needs.
#[test]
fn a_lost_record_is_told_and_nothing_is_removed() {
    let home = lost();
    let missing =
        ["the record of the deployment in ~/.claude/gateway is missing", "deployment-manifest.json"];
    for (arguments, code) in [("status", 3), ("", 0), ("doctor", 1), ("verify", 1), ("diff", 1)] {
        let run = home.touches_nothing(arguments).exits(code).says(&missing).says(&["gwinstall install"]);
        run.never_says("interrupted run").never_says("No gateway is deployed");
    }
    let before = home.tree();
    for arguments in [
        "doctor --repair --yes",
        "uninstall --yes",
        "uninstall --yes --purge",
        "uninstall --dry-run",
        "off --yes",
        "update --yes",
        "models remove glm-5.2 --yes",
        "env set VERTEXAI_PROJECT --from /dev/null --yes",
        "backup create",
        "rollback --yes",
    ] {
        home.refused(&mut home.command(arguments), 1).says(&["gwinstall install"]);
        let changes = before.changes(&home.tree());
        assert!(changes.is_empty(), "{arguments} changed {changes:?}");
    }
    let data = home.run("status --json").exits(3).json()["data"].clone();
    assert_eq!((&data["record_missing"], &data["interrupted"]), (&true.into(), &false.into()));
}

/// The installation that is named is that of what was deployed, also on another port, and keeps what the user changed.
/// Base copies tell what gwinstall deployed, so there are none of what it deployed earlier: a configuration of that name would be
/// taken for an edit of the user, and what the run announces would not be served.
#[test]
fn what_was_deployed_earlier_is_not_taken_for_what_is_deployed() {
    let home = TestHome::deployed();
    for change in
        ["install --preset multi-provider --yes", "rollback --yes", "install --preset multi-provider --yes"]
    {
        home.run(change).exits(0);
        let listed =
            Command::new("tar").arg("-tf").arg(home.path(".claude/gateway/.gwinstall/pristine.tar")).output();
        let held: BTreeSet<String> =
            String::from_utf8(listed.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
        let record = home.record();
        let files = record["files"].as_object().unwrap().values();
        let mergeable = files.filter(|file| file["class"] == "config" || file["class"] == "script");
        let needed: BTreeSet<String> =
            mergeable.map(|file| file["base"].as_str().unwrap().to_owned()).collect();
        assert_eq!(held, needed, "{change}");
    }
    fs::remove_file(home.path(RECORD)).unwrap();
    let refused = home.refused(&mut home.command("install --preset basic --yes"), 2);
    refused.says(&["config/litellm.yaml", "--force"]);
}

/// An archive of base copies that cannot be read stops what needs it, with the way on, and nothing else.
#[test]
fn base_copies_that_cannot_be_read_keep_nobody_from_leaving() {
    let home = TestHome::deployed();
    let archive = home.path(".claude/gateway/.gwinstall/pristine.tar");
    fs::remove_file(&archive).unwrap();
    std::os::unix::fs::symlink("/nonexistent", &archive).unwrap();
    let run = home.refused(&mut home.command("install --preset multi-provider --yes"), 1);
    run.says(&["pristine.tar", "symbolic link", "mv ~/.claude/gateway/.gwinstall/pristine.tar"]);
    home.run("uninstall --yes").exits(0);
    home.run("uninstall --yes --purge").exits(0);
    assert!(!home.path(".claude/gateway").exists());
}

#[test]
fn the_named_installation_writes_the_record_anew_and_keeps_edits() {
    let home = TestHome::new();
    home.write(".claude/settings.json", "{\"model\": \"mine\"}");
    home.run("install --yes --preset proxy --models glm-5.2 --proxy-url http://p.example:1 --gateway-url http://127.0.0.1:4711")
        .exits(0);
    let record = home.record();
    let config = format!("{}# mine\n", home.read(".claude/gateway/config/litellm.yaml"));
    home.write(".claude/gateway/config/litellm.yaml", &config);
    fs::remove_file(home.path(RECORD)).unwrap();
    let before = home.deployment();
    let install = named(&home.run("status --json").exits(3), "gwinstall install");
    home.run(&install).exits(0).says(&["deployment-manifest.json was missing; gwinstall writes a new one"]);
    assert_eq!(before.changes(&home.deployment()), [""; 0]);
    let anew = home.record();
    for fact in ["preset", "models", "gateway_url", "settings"] {
        assert_eq!(anew[fact], record[fact], "{fact}");
    }
    home.run("status").exits(0).says(&["config/litellm.yaml  is your version"]);
    home.run("uninstall --yes").exits(0);
    assert_eq!(home.read(".claude/settings.json"), "{\"model\": \"mine\"}", "the ledger was kept");
}

/// With a backup, going back to it is named first; what was here goes into the safety backup, edits included.
#[test]
fn a_rollback_brings_the_record_back_and_loses_no_edit() {
    let home = TestHome::deployed();
    let then = home.deployment();
    home.run("models remove glm-5.2 --yes").exits(0);
    let config = format!("{}# mine\n", home.read(".claude/gateway/config/litellm.yaml"));
    home.write(".claude/gateway/config/litellm.yaml", &config);
    fs::remove_file(home.path(RECORD)).unwrap();
    let status = home.run("status --json").exits(3);
    let backup = home.backups().pop().unwrap();
    assert!(status.json()["hint"].as_str().unwrap().contains(&backup));
    home.run(&named(&status, "gwinstall rollback")).exits(0);
    assert_eq!(then.changes(&home.deployment()), [""; 0]);
    home.run("status").exits(0);
    let safety = home.backups().pop().unwrap();
    assert_ne!(safety, backup);
    home.run(&format!("rollback {safety} --yes")).exits(0);
    assert_eq!(home.read(".claude/gateway/config/litellm.yaml"), config);
}

/// A damaged newest backup is not named.
#[test]
fn a_backup_that_cannot_be_used_is_not_named() {
    let home = TestHome::deployed();
    home.run("models remove glm-5.2 --yes").exits(0);
    fs::remove_file(home.path(RECORD)).unwrap();
    let backup = home.backups().pop().unwrap();
    fs::write(home.gateway("backups").join(backup), "damaged").unwrap();
    home.run("status").exits(3).never_says("gwinstall rollback").says(&["gwinstall install --preset basic"]);
}

/// Elsewhere too: without its record a target that is not the default is still the one in use.
#[test]
fn another_target_stays_the_one_in_use() {
    let home = TestHome::new();
    home.run("install --yes --models glm-5.2 --target-dir elsewhere").exits(0);
    fs::remove_file(home.root().join("elsewhere/deployment-manifest.json")).unwrap();
    home.run("status").exits(3).says(&["elsewhere/deployment-manifest.json is not there"]);
    let install = named(&home.run("status --json").exits(3), "gwinstall install");
    home.run(&install).exits(0);
    assert!(!home.gateway("").exists());
    home.run("status").exits(0);
}

/// The advice for a damaged record works too.
#[test]
fn a_damaged_record_can_be_put_aside() {
    let home = TestHome::deployed();
    home.write(RECORD, "{ torn");
    let run = home.run("status").exits(1).says(&["deployment-manifest.json.damaged"]);
    let hint = run.stderr.lines().find_map(|line| line.split_once("try: ")).unwrap().1;
    let hint = hint.split_once(": ").unwrap().1.replace("gwinstall", "\"$GW\"");
    Run::of(&mut home.shell(&hint)).exits(3).says(&["gwinstall install"]);
}
