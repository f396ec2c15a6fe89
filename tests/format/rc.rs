//! Exports found by reading against what a shell really exports: a value that is taken must be true.

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

/// What dash does not know, and what once hid the lines below it.
const BASH_AND_ZSH: [&str; 24] = [
    "export A=1",
    "export A='x y' # don't",
    "A=2",
    "export A=\"3\"",
    "typeset -x A=4",
    "typeset B=5",
    "l=(\n  git # don't\n)",
    "(( i = 1 << 3 ))",
    "j=$((1<<2))",
    "(( 1 << 2 )) && z='a\nb'",
    "y=\"${x:-it\\'s} ${x//'a'/b}\"",
    "x=$(\n  # don't\n  echo 1\n)",
    "cat <<'E O' >/dev/null\nexport A=6\nE O",
    "x=$(case b in a) echo 1 ;; (b) echo 2 ;; esac)",
    "if [[ -n $y ]]; then export A=7; fi",
    "kimi() {\n  export A=8\n}",
    "function other { A=9 true; }",
    "case x in x) z=1;; esac",
    "[[ $A == 1* ]] && unset A",
    "case $A in 1) export A=10 ;; *) ;; esac",
    "x=$'it\\'s'",
    "true && {\nexport A=11\n}",
    "for A in 12 13; do :; done",
    "alias k='A=14 kimi'",
];

const FISH: [&str; 17] = [
    "set -gx A 1",
    "set -gx A 'x \\\\y\\n'",
    "set -gx A 'x\\'y' # '",
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
    let Some(value) = scan(script, dialect, "A").and_then(|found| found.value.ok()) else { return Ok(()) };
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
    fn a_value_that_is_taken_is_what_bash_dash_and_zsh_export(script in scripts(&POSIX)) {
        holds(&["bash", "dash", "zsh"], Dialect::Posix, &script)?;
    }

    #[test]
    fn a_value_that_is_taken_is_what_bash_and_zsh_export(script in scripts(&BASH_AND_ZSH)) {
        holds(&["bash", "zsh"], Dialect::Posix, &script)?;
    }

    #[test]
    fn a_value_that_is_taken_is_what_fish_exports(script in scripts(&FISH)) {
        holds(&["fish"], Dialect::Fish, &script)?;
    }
}

/// The comparison above would prove nothing if no shell ran or no value was ever taken.
#[test]
fn the_comparison_is_live() {
    let here: Vec<_> =
        ["bash", "dash", "zsh", "fish"].into_iter().filter(|shell| which::which(shell).is_ok()).collect();
    assert!(!here.is_empty(), "no shell is installed");
    for shell in here {
        assert_eq!(exported(shell, "export A=1").as_deref(), Some("1"), "{shell}");
    }
    let taken = |line: &&str| scan(line, Dialect::Posix, "A").is_some_and(|found| found.value.is_ok());
    assert!(POSIX.iter().filter(|line| taken(line)).count() >= 3);
}

/// No recursion, no step back: brackets cost what letters do.
#[test]
fn hostile_text_ends_in_one_pass() {
    for text in ["$(", "(\"", "<<E\n", "export A='", "if ", "{\n", "${", "\"$(", "\"\"a", "a=b", "[[", "\\"] {
        let hostile = format!("export A=b\n{}", text.repeat(60_000));
        for dialect in [Dialect::Posix, Dialect::Fish] {
            let started = std::time::Instant::now();
            drop(scan(&hostile, dialect, "A"));
            assert!(started.elapsed() < std::time::Duration::from_secs(5), "{text}");
        }
    }
}
