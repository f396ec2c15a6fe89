//! Where settings.json may be: behind links, on a mount of its own, read-only, enormous.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt as _, symlink};

use crate::home::{Run, TestHome};

const BEFORE: &str = "{\n  \"model\": \"opus\"\n}\n";

/// P-142. People keep it in a repository of dotfiles: the real file is written, every link stays a link.
#[test]
fn three_links_are_followed_and_kept() {
    let home = TestHome::new();
    let real = home.write("dotfiles/claude/settings.json", BEFORE);
    fs::create_dir(home.path(".claude")).unwrap();
    symlink(&real, home.path("second")).unwrap();
    symlink("second", home.path("first")).unwrap();
    symlink("../first", home.settings()).unwrap();
    home.run("install --yes").exits(0);
    let links = [".claude/settings.json", "first", "second"];
    let targets: Vec<_> = links.iter().map(|link| fs::read_link(home.path(link)).unwrap()).collect();
    assert_eq!(targets, [std::path::Path::new("../first"), "second".as_ref(), real.as_path()]);
    assert!(fs::read_to_string(&real).unwrap().contains("ANTHROPIC_BASE_URL"));
    home.run("uninstall --yes").exits(0);
    assert_eq!(fs::read_to_string(&real).unwrap(), BEFORE);
    assert!(links.iter().all(|link| fs::read_link(home.path(link)).is_ok()));
}

/// The whole configuration directory may be a link too.
#[test]
fn a_linked_configuration_directory_works() {
    let home = TestHome::new();
    home.write("dotfiles/claude/settings.json", BEFORE);
    symlink("dotfiles/claude", home.path(".claude")).unwrap();
    home.run("install --yes").exits(0);
    assert!(home.path("dotfiles/claude/gateway/config/litellm.yaml").exists());
    home.touches_nothing("install --yes").exits(0);
    home.run("uninstall --yes --purge").exits(0);
    assert_eq!(home.read("dotfiles/claude/settings.json"), BEFORE);
    assert!(home.path(".claude").is_symlink());
}

/// P-142.
#[test]
fn a_dangling_link_and_a_circle_stop_the_installation() {
    for (target, says) in [("nowhere.json", "does not exist"), ("settings.json", "circle")] {
        let home = TestHome::new();
        fs::create_dir(home.path(".claude")).unwrap();
        symlink(target, home.settings()).unwrap();
        home.refused(&mut home.command("install --yes"), 1).says(&["settings.json", says]);
    }
}

#[test]
fn a_read_only_file_stops_the_installation() {
    let home = TestHome::new();
    home.write(".claude/settings.json", BEFORE);
    home.chmod(".claude/settings.json", 0o444);
    home.refused(&mut home.command("install --yes"), 1).says(&["read-only", "chmod u+w"]);
    home.refused(&mut home.command("install --yes --force"), 1);
}

/// What is no file is no settings file.
#[test]
fn a_directory_or_fifo_in_its_place_stops_the_installation() {
    let home = TestHome::new();
    fs::create_dir_all(home.settings()).unwrap();
    home.refused(&mut home.command("install --yes"), 1).says(&["settings.json", "it is a directory"]);
    fs::remove_dir(home.settings()).unwrap();
    assert!(home.shell("mkfifo \"$HOME/.claude/settings.json\"").status().unwrap().success());
    home.refused(&mut home.command("install --yes"), 1).says(&["settings.json"]);
}

/// A container often mounts this one file: rename over it is EBUSY, so it is written in place, journalled.
#[test]
fn a_bind_mounted_file_is_written_in_place() {
    let home = TestHome::new();
    home.write(".claude/settings.json", BEFORE);
    let outside = home.root().join("outside.json");
    fs::write(&outside, BEFORE).unwrap();
    let inode = fs::metadata(&outside).unwrap().ino();
    let script = format!(
        "mount --bind '{}' \"$HOME/.claude/settings.json\"; \"$GW\" install --on --yes; grep -q ANTHROPIC_BASE_URL '{0}'; \"$GW\" status; \
         \"$GW\" install --on --yes --models glm-5.2; \"$GW\" rollback --yes; \"$GW\" uninstall --yes",
        outside.display()
    );
    let Some(mut command) = home.unshared(&script) else { return };
    Run::of(&mut command).exits(0);
    assert_eq!(fs::read_to_string(&outside).unwrap(), BEFORE);
    assert_eq!(fs::metadata(&outside).unwrap().ino(), inode, "the mounted file itself");
    assert_eq!(home.read(".claude/settings.json"), BEFORE);
}

/// A mounted file whose mode cannot change, as a shared folder of a virtual machine has it, although chmod says otherwise: the
/// change needs another mode for the token, and goes without it.
#[test]
fn a_bind_mounted_file_that_keeps_its_mode_is_written_all_the_same() {
    let home = TestHome::new();
    let mine = "{\n  \"apiKeyHelper\": \"/usr/local/bin/mine\"\n}\n";
    home.write(".claude/settings.json", mine);
    let outside = home.root().join("outside.json");
    fs::write(&outside, mine).unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o640)).unwrap();
    let script = format!(
        "mount --bind '{}' \"$HOME/.claude/settings.json\"; command -v strace >/dev/null || exit 77
         gw() {{ strace -f -qq -o /dev/null -e inject=chmod,fchmodat:retval=0 \"$GW\" \"$@\"; }}
         gw install --on --yes; grep -q ANTHROPIC_AUTH_TOKEN '{0}'; gw uninstall --yes",
        outside.display()
    );
    let Some(mut command) = home.unshared(&script) else { return };
    let run = Run::of(&mut command);
    if run.code == 77 {
        eprintln!("not checked: strace is not installed");
        return;
    }
    run.exits(0);
    assert_eq!(fs::read_to_string(&outside).unwrap(), mine);
}

/// 200 MB: refused at once, with little memory.
#[test]
fn an_enormous_file_is_refused_without_being_read() {
    let home = TestHome::new();
    let path = home.write(".claude/settings.json", "{}");
    fs::File::options().write(true).open(&path).unwrap().set_len(200 << 20).unwrap();
    // The limit is on address space, which bounds what can be read into memory.
    let mut command = home.shell("ulimit -v 150000; exec \"$GW\" install --on --yes");
    home.refused(&mut command, 1).says(&["settings.json", "too large", "1 MiB"]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 200 << 20);
}

/// A file just above the limit is as untouched as a huge one; one just below is edited.
#[test]
fn one_mebibyte_is_the_limit() {
    let home = TestHome::new();
    let of_size = |size: usize| format!("{{\"a\": \"{}\"}}", "x".repeat(size - 9));
    home.write(".claude/settings.json", of_size((1 << 20) + 1));
    home.refused(&mut home.command("install --yes"), 1).says(&["too large", "1 MiB"]);
    let below = of_size((1 << 20) - 4096);
    home.write(".claude/settings.json", &below);
    home.run("install --yes").exits(0);
    home.run("uninstall --yes").exits(0);
    assert_eq!(home.read(".claude/settings.json"), below);
}

/// Owner and group stay, and a second name of the file is not cut off silently.
#[test]
fn ownership_of_the_file_stays() {
    let home = TestHome::new();
    home.write(".claude/settings.json", BEFORE);
    let home = home.owned_by_nobody();
    let before = fs::metadata(home.settings()).unwrap();
    home.run("install --yes").exits(0);
    let after = fs::metadata(home.settings()).unwrap();
    assert_eq!((before.uid(), before.gid(), before.mode()), (after.uid(), after.gid(), after.mode()));
}
