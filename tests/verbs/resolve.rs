//! `resolve`: a conflict is listed, shown and decided either way, in one transaction with a backup.

use std::fs;
use std::path::Path;

use crate::world::{World, copy};

/// Deployed from a directory, edited by the user, and shipped anew: `docs/faq.md` is in conflict.
fn world() -> World {
    let world = World::new();
    let source = world.home().join("source");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded"), &source);
    let dir = source.to_str().unwrap().to_owned();
    let _ = world.run(&["install", "--yes", "--models", "gpt-oss-120b", "--source-dir", &dir]).exits(0);
    world.write("docs/faq.md", "mine\n");
    fs::write(source.join("docs/faq.md"), "ours\n").unwrap();
    let _ = world.run(&["update", "--yes", "--source-dir", &dir]).exits(4);
    assert_eq!(world.read("docs/faq.md.gwinstall-new"), "ours\n");
    world
}

#[test]
fn a_conflict_is_listed_and_shown_before_it_is_decided() {
    let world = world();
    let before = world.snapshot();
    let _ = world.run(&["resolve"]).exits(0).says("docs/faq.md.gwinstall-new").says("--take-new");
    let _ = world.run(&["resolve", "docs/faq.md"]).exits(3).says("-mine").says("+ours");
    let _ = world
        .run(&["resolve", "docs/fax.md", "--keep-mine", "--yes"])
        .exits(2)
        .says("gwinstall resolve docs/faq.md");
    let _ = world.run(&["resolve", "docs/faq.md", "--keep-mine", "--take-new"]).exits(2);
    let _ = world.run(&["resolve", "--keep-mine"]).exits(2);
    let _ = world.run(&["resolve", "docs/faq.md", "--keep-mine"]).exits(2).says("--keep-mine --yes");
    let _ = world.run(&["resolve", "docs/faq.md", "--take-new", "--dry-run"]).exits(0).says("dry run");
    assert_eq!(before, world.snapshot());
}

#[test]
fn mine_keeps_my_file_and_drops_theirs() {
    let world = world();
    let _ = world.run(&["resolve", "docs/faq.md.gwinstall-new", "--keep-mine", "--yes"]).exits(0);
    assert_eq!(world.read("docs/faq.md"), "mine\n");
    assert!(!world.gateway("docs/faq.md.gwinstall-new").exists());
    let _ = world.run(&["resolve"]).exits(0).says("No conflict is open");
    let dir = world.home().join("source");
    let _ = world
        .run(&["update", "--yes", "--source-dir", dir.to_str().unwrap()])
        .exits(0)
        .says("Already up to date");
}

#[test]
fn theirs_takes_ours_and_the_backup_holds_mine() {
    let world = world();
    let path = world.gateway("docs/faq.md");
    let _ = world
        .run(&["resolve", path.to_str().unwrap(), "--take-new", "--yes"])
        .exits(0)
        .says("gwinstall rollback");
    assert_eq!(world.read("docs/faq.md"), "ours\n");
    assert!(!world.gateway("docs/faq.md.gwinstall-new").exists());
    let _ = world.run(&["verify"]).exits(0);
    let _ = world.run(&["rollback", "1", "--yes"]).exits(0);
    assert_eq!(world.read("docs/faq.md"), "mine\n");
}

#[test]
fn a_version_that_was_edited_is_nobodys_to_remove() {
    let world = world();
    world.write("docs/faq.md.gwinstall-new", "merged by hand\n");
    let before = world.snapshot();
    for side in ["--keep-mine", "--take-new"] {
        let _ = world
            .run(&["resolve", "docs/faq.md", side, "--yes"])
            .exits(1)
            .says("was changed after gwinstall wrote it");
    }
    assert_eq!(before, world.snapshot());
    fs::rename(world.gateway("docs/faq.md.gwinstall-new"), world.gateway("docs/faq.md")).unwrap();
    let _ = world.run(&["resolve", "docs/faq.md", "--keep-mine", "--yes"]).exits(0);
    assert_eq!(world.read("docs/faq.md"), "merged by hand\n");
}
