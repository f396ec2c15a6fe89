//! Exports found by reading against what a shell really exports: a find without a note must be true.

use std::process::Command;

use gwinstall::format::rc::{Dialect, scan};
use proptest::prelude::*;

const POSIX: [&str; 24] = [
    "export A=1",
    "export A='x y'",
    "A=2",
    "export A",
    "unset A",
    "export A=\"q\\\"r \\\\ \\$x\"",
    "true && export A=3",
    "false || export A=4",
    "false && export A=5",
    "if false; then export A=6; else unset A; fi",
    "f() { export A=7; }",
    "set -a",
    "set +a",
    "export A=a\\ b'c'\"d\"",
    "export A=c#d # export A=8",
    "A=9 true",
    "export B=1 A=10",
    "cat >/dev/null <<E\nexport A=11\nE",
    ": $(echo \"export A=12\")",
    "( export A=13 )",
    "export A=$B",
    ": 'x\nexport A=14\n'",
    "A=15; export A",
    "if false; then export A; fi",
];

const FISH: [&str; 16] = [
    "set -gx A 1",
    "set -gx A 'x \\'y\\n'",
    "set -g A 2",
    "set -e A",
    "true; and set -gx A 3",
    "false; or set -gx A 4",
    "if false\nset -gx A 5\nelse\nset -e A\nend",
    "function f; set -gx A 6; end",
    "set -gx A \"q\\\"r \\\\ \\$x\"",
    "export A=7",
    "set -gx A c#d # set -gx A 8",
    "set -gx A $B",
    "set -gx A (echo 9)",
    "echo 'x\nset -gx A 10\n' >/dev/null",
    "set -gx A 11 12",
    "begin; set -gx A 13; end",
];

/// The value of A in the environment of a child of `shell`, after it ran `script`.
fn exported(shell: &str, script: &str) -> Option<String> {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("rc");
    std::fs::write(&file, format!("{script}\n/usr/bin/env -0\n")).unwrap();
    let output = Command::new(shell)
        .arg(&file)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home.path())
        .current_dir(home.path())
        .output()
        .unwrap_or_else(|error| panic!("{shell}: {error}"));
    let environment = String::from_utf8(output.stdout).unwrap();
    environment.split('\0').find_map(|pair| pair.strip_prefix("A=")).map(str::to_owned)
}

fn scripts(lines: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(lines), 1..6).prop_map(|lines| lines.join("\n"))
}

fn holds(shells: &[&str], dialect: Dialect, script: &str) -> Result<(), TestCaseError> {
    let finds = scan(script, dialect, "A");
    let Some(value) = finds.last().filter(|find| find.note.is_none()).and_then(|find| find.value.clone())
    else {
        return Ok(());
    };
    for shell in shells.iter().filter(|shell| which::which(shell).is_ok()) {
        let seen = exported(shell, script);
        prop_assert_eq!(seen.as_ref(), Some(&value), "{}:\n{}", shell, script);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// D-130, E06.
    #[test]
    fn a_find_without_a_note_is_what_bash_dash_and_zsh_export(script in scripts(&POSIX)) {
        holds(&["bash", "dash", "zsh"], Dialect::Posix, &script)?;
    }

    #[test]
    fn a_find_without_a_note_is_what_fish_exports(script in scripts(&FISH)) {
        holds(&["fish"], Dialect::Fish, &script)?;
    }
}

/// The comparison above would prove nothing if no shell ran or none of its finds were certain.
#[test]
fn the_comparison_is_live() {
    let here: Vec<_> =
        ["bash", "dash", "zsh", "fish"].into_iter().filter(|shell| which::which(shell).is_ok()).collect();
    assert!(!here.is_empty(), "no shell is installed");
    for shell in here {
        assert_eq!(exported(shell, "export A=1").as_deref(), Some("1"), "{shell}");
    }
    let certain =
        |line: &&str| scan(line, Dialect::Posix, "A").last().is_some_and(|find| find.note.is_none());
    assert!(POSIX.iter().filter(|line| certain(line)).count() >= 6);
}
