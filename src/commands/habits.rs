//! Commands and flags of other programs that people type, and the gwinstall command that does the same.
//!
//! Promise: the answer is a command to paste. For a word with two meanings gwinstall prints both commands, and runs
//! none of them by itself. What has one meaning only is an alias in `cli` instead.

use crate::domain::Hint;
use crate::domain::name::shell_word;
use crate::doors::term;

/// `X` stands for the words that follow up to a flag, `N` for a number; `a|b` for either. A command that begins with `!`
/// is one of another program.
const HABITS: [(&str, &[&str]); 99] = [
    ("runtime update|upgrade", &["runtime install"]),
    ("runtime delete|uninstall X", &["runtime remove X"]),
    ("models|model help", &["help models"]),
    ("presets|preset help", &["help presets"]),
    ("backup|backups help", &["help backup"]),
    ("env help", &["help env"]),
    ("models|model delete|del|drop|uninstall X", &["models remove X"]),
    ("presets|preset delete|del|rm|remove X", &["presets list"]),
    ("rm|remove|delete backup|backups X", &["backup list"]),
    ("rm|remove|delete backup|backups", &["backup list"]),
    ("ls|list", &["models list", "status"]),
    ("rm|remove|delete X", &["models remove X"]),
    ("rm|remove|delete", &["uninstall"]),
    ("add X", &["models add X"]),
    ("switch|profile X", &["install --preset X"]),
    ("switch|profile", &["presets list"]),
    ("presets|preset use|apply|install X", &["install --preset X"]),
    ("edit|open", &["!edit", "validate"]),
    ("config edit|open|set", &["!edit", "validate"]),
    ("config show|list|ls|get|view", &["status"]),
    ("env edit", &["!edit env"]),
    ("env rm|remove|delete|del|clear X", &["env unset X"]),
    ("env get|show X", &["env list"]),
    ("get X", &["env list"]),
    ("kill", &["stop"]),
    ("ps|info|show", &["status"]),
    ("check|test|ping", &["health", "models check --call"]),
    ("exam|bench|benchmark|eval", &["models test"]),
    ("test X", &["models test X"]),
    ("models|model ping|call", &["models check --call"]),
    ("models|model exam|bench|benchmark|eval|verify", &["models test"]),
    ("models|model exam|bench|benchmark|eval|verify X", &["models test X"]),
    ("ask|chat X", &["!claude -p X", "models check --call"]),
    ("render list|ls|targets|help", &["help render"]),
    ("render --out|-o X", &["render all --out X"]),
    ("render X", &["render X --out gateway"]),
    ("render", &["render all --out gateway"]),
    ("deploy compose|docker|docker-compose|podman", &["render compose --out compose"]),
    ("deploy kubernetes|k8s|kustomize", &["render kubernetes --out kubernetes"]),
    ("deploy helm|chart", &["render helm --out helm"]),
    ("compose|docker|docker-compose|podman", &["render compose --out compose"]),
    ("compose|docker|docker-compose|podman X", &["render compose --out compose"]),
    ("kubernetes|k8s|kubectl|kustomize", &["render kubernetes --out kubernetes"]),
    ("kubernetes|k8s|kubectl|kustomize X", &["render kubernetes --out kubernetes"]),
    ("helm", &["render helm --out helm"]),
    ("helm X", &["render helm --out helm"]),
    ("ansible|ansible-playbook", &["render ansible --out ansible"]),
    ("lambda", &["render lambda --out lambda"]),
    ("prometheus|grafana|monitoring", &["render monitoring --out monitoring"]),
    ("github|gha|github-actions", &["render github-actions --out pipeline"]),
    ("init|setup|configure|deploy", &["install"]),
    ("self update|upgrade", &["self-update"]),
    ("undo|revert|restore|back", &["rollback"]),
    ("undo|revert|restore X", &["rollback X"]),
    ("backup|backups delete|del|rm|remove X", &["backup list", "backup prune --dry-run"]),
    ("backup now|make|new|save", &["backup create"]),
    ("backup export X", &["backup export X ."]),
    ("enable", &["on"]),
    ("disable", &["off"]),
    ("login|auth|signin", &["env check", "env set NAME"]),
    ("ui|dashboard|web", &["status"]),
    ("service start|up|run", &["start"]),
    ("service stop|down", &["stop"]),
    ("service restart", &["restart"]),
    ("service logs|log", &["logs"]),
    ("service enable|on|add|create", &["service install"]),
    ("service disable|off|delete|uninstall", &["service remove"]),
    ("daemon|systemd|launchd|autostart X", &["service install"]),
    ("daemon|systemd|launchd|autostart", &["service install"]),
    ("export", &["backup export 1 ."]),
    ("export X", &["backup export X ."]),
    ("import X", &["backup import X"]),
    ("import", &["backup import FILE"]),
    ("-y|--yes", &["install --yes"]),
    ("install -p N", &["install --port N"]),
    ("install -p X", &["install --preset X"]),
    ("install --no-start", &["install"]),
    ("update X", &["update", "install --preset X"]),
    ("update --preset X", &["install --preset X"]),
    ("update --models X", &["install --models X"]),
    ("update --check", &["self-update --check", "diff"]),
    ("start --port|-p N", &["install --port N --start"]),
    ("start -d|--detach|--daemon|--background", &["start"]),
    ("start -f|--foreground|--fg", &["start", "logs --follow"]),
    ("stop -f|--force", &["stop --now"]),
    ("rollback --to X", &["rollback X"]),
    ("rollback --list", &["backup list"]),
    ("cost|costs|spend|spending|tokens|stats|ccusage", &["usage"]),
    ("price|prices|pricing", &["models list"]),
    ("usage day|daily", &["usage --by day"]),
    ("history --all|-a", &["history --limit 1000"]),
    ("diff X", &["backup diff X"]),
    ("verify --fix|--repair", &["diff", "update"]),
    ("doctor --fix", &["doctor --repair"]),
    ("completions sh", &["completions bash"]),
    ("resolve --ours|--mine", &["resolve --keep-mine"]),
    ("resolve --theirs", &["resolve --take-new"]),
    ("resolve X --ours|--mine", &["resolve X --keep-mine"]),
    ("resolve X --theirs", &["resolve X --take-new"]),
];

/// The gwinstall command for these words, if there is one.
pub(super) fn meant(words: &[String]) -> Option<Hint> {
    let words: Vec<String> = words.iter().flat_map(|word| apart(word)).collect();
    HABITS.iter().find_map(|(pattern, commands)| {
        let taken = captured(pattern, &words)?;
        commands.iter().map(|command| hint(command, &taken)).reduce(Hint::or)
    })
}

/// `--flag=value` as two words.
fn apart(word: &str) -> Vec<String> {
    match word.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => vec![flag.to_owned(), value.to_owned()],
        _ => vec![word.to_owned()],
    }
}

/// The words that `X` or `N` stands for, if the pattern fits. Flags may follow it.
fn captured(pattern: &str, words: &[String]) -> Option<Vec<String>> {
    let is_flag = |word: &String| word.starts_with('-');
    let mut taken = Vec::new();
    let mut rest = words;
    for part in pattern.split(' ') {
        let count = match part {
            "X" => rest.iter().take_while(|word| !is_flag(word)).count(),
            "N" => usize::from(rest.first()?.bytes().all(|byte| byte.is_ascii_digit())),
            literal => usize::from(
                literal
                    .split('|')
                    .any(|word| rest.first().is_some_and(|typed| typed.eq_ignore_ascii_case(word))),
            ),
        };
        if count == 0 {
            return None;
        }
        let (these, after) = rest.split_at(count);
        if matches!(part, "X" | "N") {
            taken.extend_from_slice(these);
        }
        rest = after;
    }
    rest.iter().all(is_flag).then_some(taken)
}

fn hint(command: &str, taken: &[String]) -> Hint {
    let words = |command: &str| -> Vec<String> {
        let parts = command.split(' ');
        parts
            .flat_map(|part| if matches!(part, "X" | "N") { taken.to_vec() } else { vec![part.to_owned()] })
            .collect()
    };
    match command.strip_prefix('!') {
        Some("edit") => edit(&["config", "path"]),
        Some("edit env") => edit(&["config", "path", "env"]),
        Some(other) => {
            Hint::shell(words(other).iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" "))
        }
        None => Hint::run(&words(command)),
    }
}

fn edit(path: &[&str]) -> Hint {
    Hint::shell(format!("${{EDITOR:-vi}} \"$({})\"", term::command(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Option<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        meant(&words).map(|hint| hint.to_string())
    }

    #[test]
    fn words_of_other_programs_are_known() {
        for (typed, command) in [
            ("remove a b", "gwinstall models remove a b"),
            ("remove a --yes", "gwinstall models remove a"),
            ("Remove", "gwinstall uninstall"),
            ("update --preset=proxy", "gwinstall install --preset proxy"),
            ("install -p 4001", "gwinstall install --port 4001"),
            ("install -p basic", "gwinstall install --preset basic"),
            ("rollback --to 2", "gwinstall rollback 2"),
            ("ask is it up", "claude -p is it up; or gwinstall models check --call"),
            ("env edit", "${EDITOR:-vi} \"$(gwinstall config path env)\""),
        ] {
            assert_eq!(text(typed).as_deref(), Some(command), "{typed}");
        }
        for unknown in ["install", "frobnicate", "start now", "update"] {
            assert_eq!(text(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_command_of_the_table_is_a_command_line() {
        use clap::CommandFactory as _;
        for command in HABITS
            .iter()
            .flat_map(|(_, commands)| commands.iter())
            .filter(|command| !command.starts_with('!'))
        {
            let line = format!("gwinstall {}", command.replace('X', "glm-5.2").replace(" N", " 4001"));
            let parsed = crate::cli::Cli::command().try_get_matches_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
