//! What the program says about itself: help, the manual page, completions.

use crate::home::{Run, TestHome};

/// Every command, in words.
const COMMANDS: [&str; 58] = [
    "",
    "install",
    "update",
    "rollback",
    "uninstall",
    "off",
    "use",
    "on",
    "status",
    "diff",
    "history",
    "usage",
    "doctor",
    "report",
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
    "backup restore",
    "resolve",
    "models",
    "models list",
    "models add",
    "models remove",
    "models check",
    "models test",
    "presets",
    "presets list",
    "presets show",
    "env",
    "env list",
    "env check",
    "env set",
    "env unset",
    "config",
    "config path",
    "start",
    "stop",
    "restart",
    "reload",
    "logs",
    "health",
    "self-update",
    "bundle",
    "bundle inspect",
    "bundle verify",
    "completions",
    "man",
    "version",
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
        let (_, examples) = every.split_once("Examples:\n").unwrap();
        assert_eq!(
            examples.lines().take_while(|line| line.starts_with("  gwinstall ")).count(),
            2,
            "{command}"
        );
    }
}

/// The overview has every command under a heading, and the exit codes of the README.
#[test]
fn the_overview_is_grouped() {
    let help = TestHome::new().run("--help").exits(0).stdout;
    let headings: Vec<&str> =
        help.lines().filter(|line| line.ends_with(':') && !line.starts_with(' ')).collect();
    let groups = ["Deploy:", "Gateway:", "Models and values:", "Backups:", "Servers:", "Program:"];
    assert_eq!(headings, [&groups[..], &["Options:", "Options of every command:", "Examples:"]].concat());
    let backups = help.split("Backups:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    assert_eq!(backups.lines().count(), 2);
    assert!(help.contains("Start the gateway [also: up, run, serve]"));
    let readme = include_str!("../../README.md");
    let codes = readme.lines().skip_while(|line| *line != "| code | meaning |").skip(2);
    let codes = codes.map_while(|line| line.strip_prefix("| ")?.split(" | ").next());
    let told = help.split("Exit codes: ").nth(1).unwrap().replace('\n', " ");
    for code in codes {
        let code = code.replace(", ", "/");
        assert!(format!("· {told}").contains(&format!("· {code} ")), "{code}: {told}");
    }
}

/// A pipe gets roff; a person sees a page, with `man` or without it.
#[test]
fn the_manual_is_shown_on_a_terminal() {
    let home = TestHome::new().with("PATH", "/nonexistent").with("PAGER", "cat -n; exit 0");
    let bin = home.path("bin");
    let home = home.with("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let shown = |home: &TestHome| {
        let terminal = crate::terminal::Terminal::open(home, "man", (400, 100));
        String::from_utf8(terminal.ends().bytes).unwrap()
    };
    home.write("bin/man", "#!/bin/sh\necho \"$@\"; head -n 1\n");
    home.chmod("bin/man", 0o755);
    let page = shown(&home);
    assert!(page.starts_with("-l -\r\n.ie") || page.starts_with("-l /dev/stdin\r\n.ie"), "{page}");
    // It fails: the help of all commands, in the pager.
    home.write("bin/man", "#!/bin/sh\nexit 1\n");
    let page = shown(&home);
    assert!(page.contains("1\tInstalls, updates"), "{page}");
    assert!(page.contains("gwinstall backup restore 1"), "{page}");
    home.write("bin/less", "#!/bin/sh\nexit 1\n");
    home.chmod("bin/less", 0o755);
    let page = shown(&home.with("PAGER", ""));
    assert!(page.starts_with("Installs, updates") && page.contains("gwinstall backup restore 1"), "{page}");
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
fn what_is_hidden_is_in_no_manual() {
    let home = TestHome::new();
    let said = home.run("man").exits(0).stdout.replace("\\-", "-");
    for hidden in ["--backup", "A backup is always made", "self-check"] {
        assert!(!said.contains(hidden), "{hidden}");
    }
    home.run("install --yes --backup").exits(0);
    home.run("self-check").exits(0);
}

/// README and program name the same command.
#[test]
fn the_readme_installs_litellm_as_the_program_says() {
    let home = TestHome::deployed();
    let said = Run::of(home.command("doctor").env("PATH", home.home())).all();
    let at = said.find("gwinstall runtime install").unwrap_or_else(|| panic!("no such command in {said}"));
    let command = said[at..].lines().next().unwrap();
    let readme = include_str!("../../README.md");
    assert!(readme.lines().any(|line| line == command), "README does not say: {command}");
}
