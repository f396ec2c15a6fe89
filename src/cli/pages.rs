//! What the help pages and the manual hold beside the flags: headings over the commands, and examples.

/// The commands by what they are for. Each stands in one group.
pub const GROUPS: [(&str, &[&str]); 6] = [
    (
        "Deploy",
        &[
            "install",
            "update",
            "uninstall",
            "on",
            "off",
            "use",
            "status",
            "diff",
            "verify",
            "resolve",
            "history",
            "doctor",
            "report",
        ],
    ),
    ("Gateway", &["runtime", "start", "stop", "restart", "reload", "service", "logs", "health"]),
    ("Models and values", &["models", "usage", "presets", "env", "config", "validate"]),
    ("Backups", &["rollback", "backup"]),
    ("Servers", &["render"]),
    ("Program", &["self-update", "bundle", "completions", "man", "help", "version"]),
];

/// A command line without the program's name, and what it is good for.
pub type Example = (&'static str, &'static str);

/// Two examples for every command; the empty path is the program.
pub const EXAMPLES: [(&str, [Example; 2]); 68] = [
    (
        "",
        [
            ("install", "deploy the preset basic, after a question"),
            ("status", "show what is deployed, and the next step"),
        ],
    ),
    (
        "install",
        [
            ("install basic --start", "deploy the preset basic and start the gateway"),
            ("install --models glm-5.2,gemini-3.8-flash", "deploy these two models"),
        ],
    ),
    (
        "update",
        [
            ("update --dry-run", "show what an update would change"),
            ("update --yes", "update without a question"),
        ],
    ),
    ("rollback", [("rollback", "undo the last change"), ("rollback 2", "restore the second newest backup")]),
    (
        "uninstall",
        [
            ("uninstall", "remove the gateway, and keep edits and backups"),
            ("uninstall --purge", "remove everything"),
        ],
    ),
    ("off", [("off", "use the normal login of Claude Code again"), ("off --yes", "without a question")]),
    ("on", [("on", "use the gateway again"), ("on --dry-run", "show which settings would change")]),
    (
        "use",
        [
            ("use deepseek", "have Claude Code ask DeepSeek directly"),
            ("use -", "go back to what it used before"),
        ],
    ),
    ("status", [("status", "show what is deployed"), ("status --json", "the same for a program")]),
    (
        "diff",
        [
            ("diff", "show what an update would change"),
            ("diff --bundle gateway.tar.gz", "compare with a bundle that you have"),
        ],
    ),
    (
        "history",
        [("history", "show the last ten operations"), ("history -n 1 --json", "the last one for a program")],
    ),
    (
        "usage",
        [
            ("usage --days 7", "tokens and cost of the last seven days by model"),
            ("usage --by day --compare glm-5.2", "by day, and the cost of the same tokens on glm-5.2"),
        ],
    ),
    ("doctor", [("doctor", "check the deployment"), ("doctor net", "check the way to the releases")]),
    (
        "report",
        [
            ("report --html gateway.html", "write a page about this deployment"),
            ("report --html - >gateway.html", "print the page"),
        ],
    ),
    (
        "validate",
        [
            ("validate", "check the deployed configuration"),
            ("validate litellm.yaml --strict", "check another file, and fail on a warning"),
        ],
    ),
    (
        "verify",
        [
            ("verify", "compare every file with the record"),
            ("verify --explain", "print commands that prove the same"),
        ],
    ),
    ("backup", [("backup list", "list all backups"), ("backup create", "create a backup now")]),
    ("backup list", [("backup list", "list all backups"), ("backup ls --json", "the same for a program")]),
    (
        "backup create",
        [
            ("backup create", "create a backup without secrets"),
            ("backup create --include-secrets --encrypt", "create one with them, under a passphrase"),
        ],
    ),
    ("backup verify", [("backup verify", "check all backups"), ("backup verify 1", "check the newest")]),
    (
        "backup pin",
        [("backup pin 1", "protect the newest backup"), ("backup pin 3", "protect the third newest")],
    ),
    (
        "backup unpin",
        [("backup unpin 1", "allow the newest to be removed again"), ("backup unpin 3", "the third newest")],
    ),
    (
        "backup prune",
        [
            ("backup prune --dry-run", "show which backups would be removed"),
            ("backup prune --keep 3", "keep the three newest"),
        ],
    ),
    (
        "backup diff",
        [
            ("backup diff 1", "compare the newest with what is deployed"),
            ("backup diff 1 --json", "the same for a program"),
        ],
    ),
    (
        "backup export",
        [
            ("backup export 1 .", "copy the newest into this directory"),
            ("backup export 2 old.age --encrypt", "encrypt the copy with a passphrase"),
        ],
    ),
    (
        "backup import",
        [
            ("backup import old.tar.gz", "check a backup and add it"),
            ("backup import old.tar.gz --json", "the same for a program"),
        ],
    ),
    (
        "backup restore",
        [
            ("backup restore 1", "restore the newest backup"),
            ("backup restore 1 --dry-run", "show what would change"),
        ],
    ),
    (
        "resolve",
        [
            ("resolve", "list the files that need a decision"),
            ("resolve docs/faq.md --keep-mine", "keep your version of this file"),
        ],
    ),
    ("models", [("models list", "list all models"), ("models add glm-5.2", "add a model to the deployment")]),
    ("models list", [("models list", "list all models"), ("models ls --json", "the same for a program")]),
    (
        "models add",
        [
            ("models add glm-5.2", "add a model"),
            ("models add glm-5.2 gpt-oss-120b --yes", "add two without a question"),
        ],
    ),
    (
        "models remove",
        [
            ("models remove glm-5.2", "remove a model"),
            ("models rm glm-5.2 --dry-run", "show what would change"),
        ],
    ),
    (
        "models check",
        [
            ("models check", "compare with the models of the running gateway"),
            ("models check --call", "send each model a short request"),
        ],
    ),
    (
        "models test",
        [
            ("models test", "test the models that Claude Code is pointed at"),
            ("models test glm-5.2 --long --yes", "test one, also with a long input"),
        ],
    ),
    ("presets", [("presets list", "list the presets"), ("presets show basic", "show what basic deploys")]),
    ("presets list", [("presets list", "list the presets"), ("presets ls --json", "the same for a program")]),
    (
        "presets show",
        [
            ("presets show basic", "show what basic deploys"),
            ("presets show enterprise", "show what enterprise deploys"),
        ],
    ),
    (
        "env",
        [
            ("env list", "list every variable"),
            ("env set VERTEXAI_PROJECT=my-project", "set a variable that is not a secret"),
        ],
    ),
    ("env list", [("env list", "list every variable"), ("env ls --json", "the same for a program")]),
    (
        "env check",
        [("env check", "check the required variables"), ("env check --json", "the same for a program")],
    ),
    (
        "env set",
        [
            ("env set ANTHROPIC_API_KEY --from key.txt --yes", "read the value from a file"),
            ("env set VERTEXAI_PROJECT=my-project", "set a variable that is not a secret"),
        ],
    ),
    (
        "env unset",
        [
            ("env unset HTTPS_PROXY", "remove the value"),
            ("env unset HTTPS_PROXY --dry-run", "see what would change"),
        ],
    ),
    (
        "config",
        [("config path", "where the LiteLLM configuration is"), ("config path env", "where the values are")],
    ),
    (
        "render",
        [
            ("render compose --out gateway", "write the files for Docker Compose"),
            ("render secrets --out gateway", "fill in the secrets of these files"),
        ],
    ),
    (
        "config path",
        [
            ("config path", "where the LiteLLM configuration is"),
            ("config path settings", "where Claude Code's settings are"),
        ],
    ),
    (
        "runtime",
        [
            ("runtime install", "install LiteLLM, after a question"),
            ("runtime list", "show what is installed, and what uses it"),
        ],
    ),
    (
        "runtime install",
        [
            ("runtime install --yes", "install LiteLLM without a question"),
            ("runtime install --from litellm-runtime.tar", "install it without a network"),
        ],
    ),
    (
        "runtime list",
        [("runtime list", "list the runtimes"), ("runtime ls --json", "the same for a program")],
    ),
    (
        "runtime remove",
        [
            ("runtime remove", "remove every runtime that nothing uses"),
            ("runtime rm --dry-run", "show which ones would be removed"),
        ],
    ),
    (
        "runtime export",
        [
            ("runtime export litellm-runtime.tar", "write the packages to a file"),
            ("runtime export rt.tar --python python3.12", "for this Python"),
        ],
    ),
    (
        "service",
        [
            ("service install", "keep the gateway running, after a question"),
            ("service status", "show whether there is a service, and what it does"),
        ],
    ),
    (
        "service install",
        [
            ("service install --yes", "install the service without a question"),
            ("service install --dry-run", "show the file that would be written"),
        ],
    ),
    (
        "service remove",
        [
            ("service remove", "remove the service, and let the gateway run on"),
            ("service rm --yes", "the same, without a question"),
        ],
    ),
    (
        "service status",
        [("service status", "show the service"), ("service status --json", "the same for a program")],
    ),
    ("start", [("start", "start the gateway"), ("up", "the same")]),
    ("stop", [("stop", "stop the gateway"), ("down", "the same")]),
    ("restart", [("restart", "restart the gateway"), ("restart --json", "the same for a program")]),
    ("reload", [("reload", "apply an edited configuration"), ("reload --json", "the same for a program")]),
    ("logs", [("logs -n 20", "show the last 20 lines"), ("logs --follow", "keep printing new lines")]),
    ("health", [("health", "check the running gateway"), ("health --json", "the same for a program")]),
    (
        "self-update",
        [
            ("self-update --check", "check whether an update exists"),
            ("self-update", "update gwinstall and its configuration"),
        ],
    ),
    (
        "bundle",
        [
            ("bundle verify gateway.tar.gz", "verify a bundle"),
            ("bundle inspect gateway.tar.gz", "show what it holds"),
        ],
    ),
    (
        "bundle inspect",
        [
            ("bundle inspect gateway.tar.gz", "show what a bundle holds"),
            ("bundle inspect gateway.tar.gz --json", "the same for a program"),
        ],
    ),
    (
        "bundle verify",
        [
            ("bundle verify gateway.tar.gz", "verify a bundle"),
            ("bundle verify gateway.tar.gz --json", "the same for a program"),
        ],
    ),
    (
        "completions",
        [
            ("completions bash", "print the script for bash"),
            ("completions zsh --install", "write it where zsh looks for it"),
        ],
    ),
    ("man", [("man", "show the manual page"), ("man >gwinstall.1", "write it to a file")]),
    (
        "help",
        [
            ("help install", "print the help of install"),
            ("help backup list", "print the help of backup list"),
        ],
    ),
    ("version", [("version", "print the version"), ("version --json", "with the number of the release")]),
];

/// The examples of a command, by its names from the top.
pub fn examples(path: &str) -> &'static [Example] {
    EXAMPLES.iter().find(|(known, _)| *known == path).map_or(&[], |(_, examples)| examples)
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;
    use crate::cli::Cli;

    fn visible(command: &Command) -> impl Iterator<Item = &Command> {
        command.get_subcommands().filter(|below| !below.is_hide_set())
    }

    #[test]
    fn every_command_stands_in_one_group() {
        let program = Cli::command();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut names: Vec<&str> = visible(&program).map(Command::get_name).collect();
        grouped.sort_unstable();
        names.sort_unstable();
        assert_eq!(grouped, names);
    }

    #[test]
    fn every_command_has_examples_that_are_command_lines() {
        let program = Cli::command();
        let mut paths = vec![String::new()];
        for command in visible(&program) {
            let name = command.get_name();
            paths.push(name.to_owned());
            paths.extend(visible(command).map(|below| format!("{name} {}", below.get_name())));
        }
        let known: Vec<&str> = EXAMPLES.iter().map(|(path, _)| *path).collect();
        for path in &paths {
            assert!(known.contains(&path.as_str()), "no example for {path:?}");
        }
        assert_eq!(known.len(), paths.len());
        for (line, _) in EXAMPLES.iter().flat_map(|(_, examples)| examples) {
            let words = line.split(' ').filter(|word| !word.starts_with('>'));
            let parsed = Cli::command().try_get_matches_from(std::iter::once("gwinstall").chain(words));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
