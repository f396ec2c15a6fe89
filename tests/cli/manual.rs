//! What the program says about itself: help, the manual page, completions.

use crate::home::{Run, TestHome};

/// Every command, in words.
const COMMANDS: [&str; 46] = [
    "",
    "install",
    "update",
    "rollback",
    "uninstall",
    "off",
    "on",
    "status",
    "diff",
    "history",
    "doctor",
    "validate",
    "verify",
    "backup",
    "backup list",
    "backup create",
    "backup verify",
    "backup pin",
    "backup unpin",
    "backup prune",
    "backup diff",
    "backup export",
    "backup import",
    "resolve",
    "models",
    "models list",
    "models add",
    "models remove",
    "models check",
    "presets",
    "presets list",
    "presets show",
    "env",
    "env list",
    "env check",
    "env set",
    "start",
    "stop",
    "logs",
    "health",
    "self-update",
    "bundle inspect",
    "bundle verify",
    "completions",
    "man",
    "help",
];

/// No line is longer than the window, no value is without an explanation, and what every command takes comes last.
#[test]
fn help_fits_the_window_and_explains_every_value() {
    let home = TestHome::new();
    for command in COMMANDS {
        for columns in [48, 80] {
            let home = TestHome::new().with("COLUMNS", columns.to_string());
            let help = home.run(&format!("{command} --help")).exits(0).stdout;
            let widest = help.lines().max_by_key(|line| line.chars().count()).unwrap();
            assert!(widest.starts_with("Usage:") || widest.chars().count() <= columns, "{command}: {widest}");
        }
        let help = home.run(&format!("{command} --help")).exits(0).stdout;
        let bare = |line: &&str| {
            let name = line.trim_start();
            name.len() < line.len() && name.starts_with(['<', '[']) && !name.contains(' ')
        };
        assert_eq!(help.lines().find(bare), None, "{command}");
        let (own, every) = help.split_once("Options of every command:").unwrap();
        assert!(every.contains("--lock-wait") && every.contains("--json"), "{command}");
        assert!(!own.contains("--lock-wait") && own.contains("--help"), "{command}");
    }
}

/// The README and the manual page have the same table.
#[test]
fn the_manual_page_has_the_exit_codes_of_the_readme() {
    let page = TestHome::new().run("man").exits(0).stdout.replace("\\-", "-");
    let (_, rows) = page.split_once(".SH \"EXIT STATUS\"\n").unwrap();
    let (rows, others) = rows.split_once(".SH").unwrap();
    let readme = include_str!("../../README.md");
    let table = readme.split("| code | meaning |\n|---|---|\n").nth(1).unwrap();
    let expected: String = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let (first, rest) = cells[2].split_at(1);
            format!(".TP\n\\fB{}\\fR\n{}{}.\n", cells[1], first.to_uppercase(), rest.replace('`', ""))
        })
        .collect();
    assert_eq!(rows, expected);
    assert!(others.contains("GWINSTALL_BASE_URL") && others.contains("~/.claude/gateway/.env"), "{others}");
}

/// What is hidden is shown nowhere, and accepted all the same.
#[test]
fn what_is_hidden_is_in_no_completion_and_no_manual() {
    let home = TestHome::new();
    for arguments in ["man", "completions bash", "completions zsh", "completions fish"] {
        let said = home.run(arguments).exits(0).stdout.replace("\\-", "-");
        for hidden in ["--backup", "-l backup", "A backup is always made", "self-check"] {
            assert!(!said.contains(hidden), "{arguments}: {hidden}");
        }
    }
    home.run("install --yes --backup").exits(0);
    home.run("self-check").exits(0);
}

/// Bash offers the names of the embedded bundle.
#[test]
fn bash_completes_presets_and_models() {
    let home = TestHome::new();
    for (words, expected) in [
        ("install --preset ''", "basic enterprise multi-provider proxy"),
        ("install --gateway-type z", "zuplo"),
        ("models add glm", "glm-5.2"),
        ("presets show b", "basic"),
        ("backup ex", "export"),
    ] {
        let script = format!(
            "bash -c 'eval \"$(\"$GW\" completions bash)\"; COMP_WORDS=(gwinstall \"$@\"); COMP_CWORD=$#; \
             _gwinstall gwinstall \"${{@: -1}}\" \"${{@: -2:1}}\"; echo \"${{COMPREPLY[@]}}\"' bash {words}"
        );
        let run = Run::of(&mut home.shell(&script)).exits(0);
        assert_eq!(run.stdout.trim(), expected, "{words}: {}", run.stderr);
    }
}

/// Plain pip fails where the distribution keeps its Python to itself: README and program name the same venv.
#[test]
fn the_readme_installs_litellm_as_the_program_says() {
    let home = TestHome::deployed();
    let said = Run::of(home.command("doctor").env("PATH", home.home())).all();
    let at = said.find("python3 -m venv").unwrap_or_else(|| panic!("no venv in {said}"));
    let command = said[at..].lines().next().unwrap();
    let readme = include_str!("../../README.md");
    assert!(readme.lines().any(|line| line == command), "README does not say: {command}");
    assert_eq!(readme.matches("pip install").count(), 1);
}
