//! `backup`: the archives are listed, made, checked, kept and copied as the design says, and nothing refused leaves a
//! trace.

use std::fs;

use crate::world::{World, mode};

/// Three backups: before two changes, and one made by hand.
fn world() -> World {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run(&["models", "add", "glm-5.2", "--yes"]).exits(0);
    let _ = world.run(&["models", "add", "llama-4-maverick", "--yes"]).exits(0);
    let _ = world.run(&["backup", "create"]).exits(0).says("backup pin");
    world
}

#[test]
fn the_list_tells_number_operation_and_what_is_special() {
    let world = world();
    let _ = world.run(&["backup", "pin", "2"]).exits(0).says("never removed by pruning");
    let _ = world.run(&["backup", "pin", "2"]).exits(0).says("was pinned already");
    let _ = world.run(&["rollback", "1", "--yes"]).exits(0);
    let _ = world.run(&["backup", "create", "--include-secrets"]).exits(0).says("keep it private");
    let list = world.run(&["--json", "backup", "list"]).exits(0).data();
    let facts: Vec<_> = list["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["number"].as_u64(), one["pinned"] == true, one["safety"] == true, one["secrets"] == true)
        })
        .collect();
    // Rolling back to the state of the newest changes nothing, so there is no safety backup.
    assert_eq!(facts[0], (Some(1), false, false, true));
    assert_eq!(facts[2], (Some(3), true, false, false));
    let _ = world.run(&["backup", "unpin", "3"]).exits(0).says("may be pruned again");
    let _ = world
        .run(&["backup", "list"])
        .exits(0)
        .says("holds secrets")
        .says("AGE")
        .says(" s ")
        .never_says("pinned");
}

/// Every operation that did something has its line in the log, and what did nothing has none.
#[test]
fn each_change_of_the_backups_is_in_the_log() {
    let world = world();
    let logged = || {
        let log = world.read("deployment.log");
        let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["operation"].as_str().unwrap().starts_with("backup ")).collect::<Vec<_>>()
    };
    let _ = world.run(&["backup", "pin", "2"]).exits(0);
    let _ = world.run(&["backup", "pin", "2"]).exits(0);
    let _ = world.run(&["backup", "unpin", "2"]).exits(0);
    let _ = world.run(&["backup", "export", "3", "copy.tar.gz"]).exits(0);
    let _ = world.run(&["backup", "prune", "--keep", "1", "--yes"]).exits(0);
    let _ = world.run(&["backup", "prune", "--keep", "1", "--yes"]).exits(0);
    let _ = world.run(&["backup", "import", "copy.tar.gz"]).exits(0);
    let lines = logged();
    let operations: Vec<_> = lines.iter().map(|line| line["operation"].as_str().unwrap()).collect();
    assert_eq!(
        operations,
        ["create", "pin", "unpin", "prune", "import"].map(|verb| format!("backup {verb}"))
    );
    for line in &lines {
        assert_eq!((line["status"].as_str(), line["preset"].as_str()), (Some("success"), Some("basic")));
        assert!(!line["backup"].is_null() && !line["timestamp"].is_null(), "{line}");
    }
    let _ = world
        .run(&["history"])
        .exits(0)
        .says("backup create")
        .says("backup pin")
        .says("    backup: gateway-");
}

#[test]
fn a_safety_backup_has_no_number() {
    let world = world();
    let _ = world.run(&["rollback", "3", "--yes"]).exits(0);
    let list = world.run(&["--json", "backup", "list"]).exits(0).data();
    assert_eq!(list["backups"][0]["safety"], true);
    assert!(list["backups"][0]["number"].is_null());
    assert_eq!(list["backups"][1]["number"], 1);
}

#[test]
fn verify_reads_whole_archives_and_damage_exits_8() {
    let world = world();
    let _ = world.run(&["backup", "verify"]).exits(0);
    let name = world.backups()[0].clone();
    let path = world.gateway("backups").join(&name);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let _ = world.run(&["backup", "verify", &name]).exits(8).says("damaged");
    let all = world.run(&["--json", "backup", "verify"]).exits(8).data();
    assert_eq!(all["damaged"], 1);
    let listed = world.run(&["--json", "backup", "list"]).exits(0).data();
    assert_eq!(listed["backups"].as_array().unwrap().last().unwrap()["is_valid"], false, "{listed}");
    let _ = world.run(&["backup", "list"]).exits(0).says("damaged");
    // Without its line in the index only the archive itself speaks.
    fs::remove_file(world.gateway("backups/metadata.json")).unwrap();
    let _ = world.run(&["backup", "verify", &name]).exits(8);
    let _ = world.run(&["backup", "list"]).exits(0).says("damaged");
}

#[test]
fn pruning_keeps_the_newest_the_pinned_and_the_newest_whole_one() {
    let world = world();
    let all = world.backups();
    let _ = world.run(&["backup", "prune", "--keep", "0"]).exits(2).says("--yes");
    let before = world.snapshot();
    let _ = world.run(&["backup", "prune", "--keep", "0", "--dry-run"]).exits(0).says(&all[0]);
    assert_eq!(before, world.snapshot());
    let _ = world.run(&["backup", "pin", &all[0]]).exits(0);
    fs::write(world.gateway("backups").join(all.last().unwrap()), "torn").unwrap();
    fs::remove_file(world.gateway("backups/metadata.json")).unwrap();
    let _ = world.run(&["backup", "pin", &all[0]]).exits(0);
    let _ = world.run(&["backup", "prune", "--keep", "0", "--yes"]).exits(0);
    assert_eq!(world.backups(), all, "pinned, newest whole, newest");
    let _ = world.run(&["backup", "unpin", &all[0]]).exits(0);
    let _ = world.run(&["backup", "prune", "--keep", "0", "--yes"]).exits(0);
    assert_eq!(world.backups(), all[1..]);
}

#[test]
fn diff_names_files_and_variables_but_no_value() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run(&["backup", "create"]).exits(0);
    let _ = world.run(&["backup", "diff", "1"]).exits(0).says("No difference");
    world.write("docs/faq.md", "mine\n");
    fs::remove_file(world.gateway("docs/operations.md")).unwrap();
    let env = world.read(".env");
    world.write(".env", &format!("{env}SECRET_THING=canary-4711\n"));
    let said = world.run(&["--json", "backup", "diff", "1"]).exits(3).never_says("canary-4711");
    let changes: Vec<_> = said.data()["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["change"].as_str().unwrap(), one["path"].as_str().unwrap()))
        .collect();
    assert_eq!(changes, ["changed docs/faq.md", "removed docs/operations.md", "added .env:SECRET_THING"]);
}

#[test]
fn an_exported_backup_is_private_and_comes_back_on_another_machine() {
    let world = world();
    let out = world.home().join("out.tgz");
    let out = out.to_str().unwrap();
    let _ = world.run(&["backup", "export", "1", out]).exits(0).says("sha256");
    assert_eq!(mode(out.as_ref()), 0o600);
    let _ = world.run(&["backup", "export", "1", out]).exits(2).says("never overwrites");
    let _ = world.run(&["backup", "import", out]).exits(2).says("here already");

    let other = World::new();
    let _ = other.run(&["backup", "import", out]).exits(0).says("Imported as gateway-backup-");
    let _ = other.run(&["rollback", "--yes"]).exits(0);
    assert_eq!(other.record()["models"], world.record()["models"]);
}

#[test]
fn foreign_archives_are_refused_and_leave_nothing_behind() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let inside = world.home().join("x");
    fs::write(&inside, "x").unwrap();
    let foreign = world.home().join("gateway-backup-20260101-000000.tar.gz");
    let tar = std::process::Command::new("tar")
        .arg("-czf")
        .arg(&foreign)
        .arg("-C")
        .arg(world.home())
        .arg("x")
        .status();
    assert!(tar.unwrap().success());
    fs::write(world.home().join("junk"), "junk").unwrap();
    let before = world.snapshot();
    for file in [foreign.to_str().unwrap(), "junk"] {
        let _ = world.run(&["backup", "import", file]).exits(8).says("not a backup of a gateway");
    }
    let _ = world.run(&["backup", "import", "absent"]).exits(2);
    let _ = world.run(&["backup", "pin", "9"]).exits(2).says("backup list");
    assert_eq!(before, world.snapshot());
}

#[test]
fn without_a_deployment_there_is_nothing_to_back_up() {
    let world = World::new();
    let _ = world.run(&["backup", "create"]).exits(2).says("gwinstall install");
    let _ = world.run(&["backup", "list"]).exits(0).says("no backup yet");
    assert!(!world.home().join(".claude").exists(), "a refused run leaves no directory");
}

/// A refusal, an import and an uninstall leave no lock that would look like an interrupted run.
#[test]
fn what_has_ended_does_not_look_interrupted() {
    let world = world();
    let out = world.home().join("out.tgz");
    let _ = world.run(&["backup", "export", "1", out.to_str().unwrap()]).exits(0);
    let other = World::new();
    let _ = other.run(&["backup", "import", out.to_str().unwrap()]).exits(0);
    let _ = other.run(&["status"]).exits(0);
    let _ = world.run(&["uninstall", "--yes"]).exits(0);
    let _ = world.run(&["status"]).exits(0);
}

/// What `--keep` said holds for later commands that have no such flag.
#[test]
fn the_number_of_backups_to_keep_is_remembered() {
    let world = World::deployed(&["--models", "glm-5.2", "--keep", "9"]);
    for models in ["gpt-oss-120b", "glm-5.2,gpt-oss-120b"].iter().cycle().take(8) {
        let _ = world.run(&["install", "--models", models, "--yes"]).exits(0);
    }
    assert_eq!(world.backups().len(), 8);
    let _ = world.run(&["models", "remove", "glm-5.2", "--yes"]).exits(0);
    assert_eq!(world.backups().len(), 9);
    let _ = world.run(&["models", "add", "glm-5.2", "--yes"]).exits(0);
    assert_eq!(world.backups().len(), 9);
    let _ = world.run(&["install", "--models", "glm-5.2", "--keep", "2", "--yes"]).exits(0);
    assert_eq!(world.backups().len(), 2);
}

/// What `--max-age` said holds for later commands that have no such flag.
#[test]
fn the_age_of_backups_is_remembered() {
    let world = World::deployed(&["--models", "glm-5.2", "--max-age", "3"]);
    assert_eq!(world.record()["request"]["max_age"], 3);
    let _ = world.run(&["models", "add", "gpt-oss-120b", "--yes"]).exits(0);
    let dir = world.gateway("backups");
    let old = "gateway-backup-20240101-000000.tar.gz";
    fs::copy(dir.join(&world.backups()[0]), dir.join(old)).unwrap();
    assert!(world.backups().iter().any(|name| name == old));
    let _ = world.run(&["models", "remove", "glm-5.2", "--yes"]).exits(0);
    assert!(world.backups().iter().all(|name| name != old), "{:?}", world.backups());
    assert_eq!((world.backups().len(), &world.record()["request"]["max_age"]), (2, &3.into()));
    let _ = world.run(&["update", "--max-age", "9", "--yes"]).exits(0);
    assert_eq!(world.record()["request"]["max_age"], 9);
}

/// P-115. docs/configuration-reference.md describes each field of the index.
#[test]
fn each_field_of_the_index_is_described() {
    let world = world();
    let index = fs::read_to_string(world.gateway("backups/metadata.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let guide = include_str!("../../embedded/docs/configuration-reference.md");
    let section = guide.split_once("`backups/metadata.json`").unwrap().1;
    let described = section.split_once("`deployment.log`").unwrap().0;
    let entry = index["backups"][0].as_object().unwrap();
    assert!(entry.len() > 8 && index.as_object().unwrap().len() == 2, "{index}");
    for field in entry.keys().chain(index.as_object().unwrap().keys()) {
        assert!(described.contains(&format!("`{field}`")), "{field} is not described");
    }
}
