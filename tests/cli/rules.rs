//! The decision table, row by row: what happens to a file depends on what we shipped, what is there, and what we ship now.
//!
//! Each row is a test through the program; `rule` in the plan says which row decided.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::bundle::SourceDir;
use crate::home::TestHome;

const INSTALL: &str = "install --yes --json --models gemini-3.8-flash,glm-5.2";
const DOC: &str = "docs/faq.md";
const SCRIPT: &str = "scripts/health-check.sh";
const CONFIG: &str = "config/litellm.yaml";
const START: &str = "start-gateway.sh";

fn in_gateway(path: &str) -> String {
    format!(".claude/gateway/{path}")
}

fn decided(rule: u64, action: &str) -> (u64, String) {
    (rule, action.to_owned())
}

/// P-020.
#[test]
fn rule_1_a_new_file_is_created() {
    let home = TestHome::new();
    let run = home.run(INSTALL).exits(0);
    for path in [DOC, SCRIPT, CONFIG, START, ".env"] {
        assert_eq!(run.rule(path), decided(1, "create"), "{path}");
    }
    for (path, mode) in [(DOC, 0o644), (SCRIPT, 0o755), (CONFIG, 0o644), (START, 0o755), (".env", 0o600)] {
        assert_eq!(home.mode(&in_gateway(path)), mode, "{path}");
    }
}

#[test]
fn rule_2_a_file_that_is_there_as_wanted_is_adopted_and_not_written() {
    let home = TestHome::new();
    let path = home.write(&in_gateway(DOC), fs::read(SourceDir::new(&home).path().join(DOC)).unwrap());
    let before = fs::metadata(&path).unwrap();
    assert_eq!(home.run(INSTALL).exits(0).rule(DOC), decided(2, "same"));
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    home.run("uninstall --yes").exits(0);
    assert!(!path.exists(), "an adopted file is ours from then on");
}

/// P-020.
#[test]
fn rule_3_a_foreign_file_stops_the_installation() {
    for path in [DOC, SCRIPT, CONFIG, START] {
        let home = TestHome::new();
        home.write(&in_gateway(path), "somebody else's\n");
        home.refused(&mut home.command(INSTALL), 2).says(&[path, "--force"]);
    }
}

#[test]
fn rule_3_force_takes_over_and_keeps_the_old_file_beside_it() {
    let home = TestHome::new();
    home.write(&in_gateway(DOC), "somebody else's\n");
    home.chmod(&in_gateway(DOC), 0o640);
    let run = home.run(&format!("{INSTALL} --force")).exits(0);
    assert_eq!(run.rule(DOC), decided(3, "replace"));
    let aside = in_gateway("docs/faq.md.gwinstall-old");
    assert_eq!(home.read(&aside), "somebody else's\n");
    assert_eq!(home.mode(&aside), 0o640);
    home.run("uninstall --yes").exits(0).says(&["docs/faq.md"]);
    assert_eq!(home.read(&in_gateway(DOC)), "somebody else's\n", "it is back in its place");
    assert_eq!(home.mode(&in_gateway(DOC)), 0o640);
    assert!(!home.path(&aside).exists());
    // And gives way once more, without being lost.
    let run = home.run("rollback --yes --json").exits(0);
    assert_eq!(run.rule(DOC), decided(14, "replace"));
    assert_eq!(home.read(&aside), "somebody else's\n");
    home.run("uninstall --yes").exits(0);
    assert_eq!(home.read(&in_gateway(DOC)), "somebody else's\n");
}

/// What the user changed of ours is theirs, and so is what stood there before: neither replaces the other.
#[test]
fn rule_3_an_edited_file_and_the_one_before_it_both_stay() {
    let home = TestHome::new();
    home.write(&in_gateway(DOC), "somebody else's\n");
    home.run(&format!("{INSTALL} --force")).exits(0);
    home.write(&in_gateway(DOC), "mine\n");
    home.run("uninstall --yes").exits(0).says(&["docs/faq.md", "docs/faq.md.gwinstall-old"]);
    assert_eq!(home.read(&in_gateway(DOC)), "mine\n");
    assert_eq!(home.read(&in_gateway("docs/faq.md.gwinstall-old")), "somebody else's\n");
}

#[test]
fn rule_3_force_twice_never_overwrites_what_it_moved_aside() {
    let home = TestHome::new();
    home.write(&in_gateway("docs/faq.md.gwinstall-old"), "from before\n");
    home.write(&in_gateway(DOC), "somebody else's\n");
    let mut command = home.command(&format!("{INSTALL} --force"));
    home.refused(&mut command, 2).says(&["docs/faq.md.gwinstall-old", "mv "]);
}

/// P-020.
#[test]
fn rule_4_an_untouched_file_is_replaced_by_its_next_version() {
    for path in [DOC, SCRIPT] {
        let home = TestHome::new();
        home.run(INSTALL).exits(0);
        let run = home.run(&(SourceDir::new(&home).ships(path, "# next").install() + " --json")).exits(0);
        assert_eq!(run.rule(path), decided(4, "replace"), "{path}");
        assert!(home.read(&in_gateway(path)).ends_with("# next\n"));
    }
}

#[test]
fn rule_4_permissions_that_the_user_tightened_stay_tight() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    home.chmod(&in_gateway(DOC), 0o600);
    home.chmod(&in_gateway(SCRIPT), 0o700);
    let source = SourceDir::new(&home).ships(DOC, "next").ships(SCRIPT, "# next");
    home.run(&source.install()).exits(0);
    assert_eq!(home.mode(&in_gateway(DOC)), 0o600);
    assert_eq!(home.mode(&in_gateway(SCRIPT)) & 0o100, 0o100, "a script stays executable");
}

/// P-020. Kept, and listed every time.
#[test]
fn rule_5_a_file_that_only_the_user_changed_is_kept_and_listed() {
    for path in [DOC, SCRIPT, CONFIG, START] {
        let home = TestHome::new();
        home.run(INSTALL).exits(0);
        let mine = home.read(&in_gateway(path)) + "# mine\n";
        home.write(&in_gateway(path), &mine);
        home.run("status").exits(3).says(&[path, "changed since"]);
        let run = home.run("install --yes --json").exits(0);
        assert_eq!(run.rule(path), decided(5, "keep"), "{path}");
        home.touches_nothing("install --yes").exits(0).says(&[path]);
        home.run("install --yes").exits(0).says(&[path, "gwinstall diff"]);
        // Another change in the same run leaves it alone and lists it again.
        let run = home.run("install --yes --preset proxy --models glm-5.2 --verbose").exits(0);
        if path == CONFIG {
            // Both sides changed it now, in places that do not touch.
            assert!(home.read(&in_gateway(path)).contains("# mine"));
            assert!(!home.read(&in_gateway(path)).contains("gemini-3.8-flash"));
        } else {
            run.says(&[path, "rule 5"]);
            assert_eq!(home.read(&in_gateway(path)), mine, "{path}");
        }
        home.run("status").exits(0).says(&[path, "your version"]);
    }
}

#[test]
fn rule_6_an_edit_that_is_what_the_next_version_has_is_adopted() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    let source = SourceDir::new(&home).ships(DOC, "the same idea");
    let path = home.write(&in_gateway(DOC), fs::read(source.path().join(DOC)).unwrap());
    let before = fs::metadata(&path).unwrap().ino();
    let run = home.run(&(source.install() + " --json")).exits(0);
    assert_eq!(run.rule(DOC), decided(6, "same"));
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);
}

/// P-020. Both sides changed the same line: exit 4, the user's file stays, ours is beside it.
#[test]
fn rule_7_a_conflict_keeps_the_users_file_and_offers_ours() {
    for path in [DOC, SCRIPT, START] {
        let home = TestHome::new();
        home.run(INSTALL).exits(0);
        let shipped = home.read(&in_gateway(path));
        home.write(&in_gateway(path), format!("{shipped}# mine\n"));
        home.chmod(&in_gateway(path), 0o744);
        let source = SourceDir::new(&home).ships(path, "# ours");
        let run = home.run(&(source.install() + " --json")).exits(4);
        assert_eq!(run.rule(path), decided(7, "conflict"), "{path}");
        assert_eq!(run.json()["data"]["conflicts"][0], path);
        assert_eq!(run.json()["ok"], true);
        assert_eq!(home.read(&in_gateway(path)), format!("{shipped}# mine\n"));
        assert_eq!(home.mode(&in_gateway(path)), 0o744);
        let offer = in_gateway(&format!("{path}.gwinstall-new"));
        assert!(home.read(&offer).contains("# ours"), "{path}");
        home.run("status").exits(0).says(&[path, "gwinstall resolve"]);
        // The same question never comes twice.
        home.touches_nothing(&source.install()).exits(0);
        home.run("uninstall --yes").exits(0).says(&[path]);
        assert_eq!(home.read(&in_gateway(path)), format!("{shipped}# mine\n"));
    }
}

#[test]
fn rule_7_a_conflict_is_over_when_the_user_takes_our_version() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    home.write(&in_gateway(DOC), "mine\n");
    let source = SourceDir::new(&home).ships(DOC, "ours");
    home.run(&source.install()).exits(4);
    let offer = in_gateway("docs/faq.md.gwinstall-new");
    home.write(&in_gateway(DOC), home.read(&offer));
    home.run(&source.install()).exits(0);
    assert!(!home.path(&offer).exists(), "the offer of a settled conflict stays behind");
    home.run("status").exits(0).never_says("gwinstall resolve");
}

#[test]
fn rule_8_what_is_optional_stays_deleted_and_what_is_needed_comes_back() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    let all =
        [DOC, "templates/env-vars-reference.md", "examples/us1-quickstart-basic.md", SCRIPT, CONFIG, START];
    for path in all {
        fs::remove_file(home.gateway(path)).unwrap();
    }
    home.run("status").exits(3).says(&all);
    let run = home.run("install --yes --json").exits(0);
    for path in &all[..3] {
        assert_eq!(run.rule(path), decided(8, "stay-deleted"), "{path}");
        assert!(!home.gateway(path).exists(), "{path}");
    }
    for path in &all[3..] {
        assert_eq!(run.rule(path), decided(8, "create"), "{path}");
        assert!(home.gateway(path).exists(), "{path}");
    }
    home.run("status").exits(0);
    home.touches_nothing("install --yes").exits(0);
}

#[test]
fn rule_9_a_deleted_file_of_which_there_is_a_newer_version() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    for path in [DOC, SCRIPT] {
        fs::remove_file(home.gateway(path)).unwrap();
    }
    let source = SourceDir::new(&home).ships(DOC, "next").ships(SCRIPT, "# next");
    let run = home.run(&(source.install() + " --json")).exits(0);
    assert_eq!(run.rule(DOC), decided(9, "stay-deleted"));
    assert_eq!(run.rule(SCRIPT), decided(9, "create"));
    assert!(!home.gateway(DOC).exists());
    assert!(home.read(&in_gateway(SCRIPT)).ends_with("# next\n"));
}

#[test]
fn rule_10_an_untouched_file_that_is_no_longer_shipped_is_removed() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    let run = home.run(&(SourceDir::new(&home).drops(DOC).install() + " --json")).exits(0);
    assert_eq!(run.rule(DOC), decided(10, "remove"));
    assert!(!home.gateway(DOC).exists());
    home.run("rollback --yes").exits(0);
    assert!(home.gateway(DOC).exists(), "the backup holds it");
}

#[test]
fn rule_11_an_edited_file_that_is_no_longer_shipped_is_released() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    home.write(&in_gateway(DOC), "mine\n");
    let run = home.run(&(SourceDir::new(&home).drops(DOC).install() + " --json")).exits(0);
    assert_eq!(run.rule(DOC), decided(11, "release"));
    home.run("uninstall --purge --yes").exits(0);
    assert_eq!(home.read(&in_gateway(DOC)), "mine\n", "a released file is none of ours, not even to purge");
}

#[test]
fn rule_12_a_symlink_or_directory_at_a_path_of_ours_is_kept_and_not_followed() {
    let home = TestHome::new();
    let elsewhere = home.write("dotfiles/faq.md", "my faq\n");
    fs::create_dir_all(home.gateway("docs")).unwrap();
    symlink(&elsewhere, home.gateway(DOC)).unwrap();
    fs::create_dir(home.gateway("docs/operations.md")).unwrap();
    let run = home.run(INSTALL).exits(0);
    assert_eq!(run.rule(DOC), decided(12, "keep"));
    assert_eq!(run.rule("docs/operations.md"), decided(12, "keep"));
    home.touches_nothing("install --yes").exits(0).says(&[DOC]);
    home.run("status").exits(0).says(&[DOC, "your version"]);
    home.run("uninstall --yes").exits(0);
    assert_eq!(fs::read_link(home.gateway(DOC)).unwrap(), elsewhere);
    assert_eq!(home.read("dotfiles/faq.md"), "my faq\n");
    assert!(home.gateway("docs/operations.md").is_dir());
}

/// D-203, D-202.
#[test]
fn rule_13_a_script_is_executable_and_an_env_file_private_again() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    for (path, mode) in [(SCRIPT, 0o644), (".env", 0o644), (DOC, 0o600)] {
        home.chmod(&in_gateway(path), mode);
    }
    let run = home.run("install --yes --json").exits(0);
    assert_eq!(run.rule(SCRIPT), decided(13, "chmod"));
    assert_eq!(home.mode(&in_gateway(SCRIPT)), 0o755);
    assert_eq!(home.mode(&in_gateway(".env")), 0o600);
    assert_eq!(home.mode(&in_gateway(DOC)), 0o600, "a document's mode is the user's");
}

/// Files that nobody deployed are never saved, changed or removed.
#[test]
fn files_of_others_inside_the_deployment_stay_through_everything() {
    let home = TestHome::new();
    let mine =
        [".claude/gateway/notes.txt", ".claude/gateway/docs/my-notes.md", ".claude/gateway/venv/bin/litellm"];
    for path in mine {
        home.write(path, "mine\n");
    }
    for arguments in [
        "install --yes",
        "install --preset enterprise --gateway-url https://gw.example --auth-token t0ken-t0ken --yes",
        "rollback --yes",
        "uninstall --purge --yes",
    ] {
        home.run(arguments).exits(0);
        for path in mine {
            assert_eq!(home.read(path), "mine\n", "{path} after {arguments}");
        }
    }
}

/// What is not given comes from the record, also with another preset: only models and types are the preset's own.
#[test]
fn another_preset_keeps_the_port() {
    let home = TestHome::new().with("HTTPS_PROXY", "http://proxy.example:3128");
    home.run("install --yes --models glm-5.2 --gateway-url http://127.0.0.1:4999").exits(0);
    home.run("install --yes --preset proxy").exits(0);
    assert_eq!(home.record()["gateway_url"], "http://127.0.0.1:4999");
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_BASE_URL"], "http://127.0.0.1:4999");
    let enterprise =
        "install --yes --preset enterprise --gateway-url https://gw.example.com --auth-token tok-123456";
    home.run(enterprise).exits(0);
    home.run("install --yes --preset basic").exits(0);
    assert_eq!(
        home.record()["gateway_url"],
        "http://127.0.0.1:4000",
        "a company's address is no port of ours"
    );
}

/// A preset that makes no use of a proxy does not drop it without a word.
#[test]
fn a_proxy_goes_with_a_preset_that_uses_it() {
    let home = TestHome::new();
    let basic = "install --yes --preset basic --proxy-url http://proxy.example:3128";
    home.refused(&mut home.command(basic), 2).says(&["--preset basic", "--preset proxy"]);
    home.run(&format!("{basic} --preset proxy").replace("--preset basic ", "")).exits(0);
    assert_eq!(home.env_value("HTTPS_PROXY").unwrap(), "http://proxy.example:3128");
}

/// With nothing to change `--strict` is still strict, and `--start` still starts.
#[test]
fn an_unchanged_deployment_is_still_judged_and_started() {
    let home = TestHome::deployed();
    home.run("install --yes").exits(0).says(&["Already up to date"]);
    home.refused(&mut home.command("install --yes --strict"), 1).says(&["VERTEXAI_PROJECT"]);
    home.refused(&mut home.command("install --yes --start"), 1).says(&["VERTEXAI_PROJECT"]);
    home.run("install --yes --start --dry-run").exits(0);
}
