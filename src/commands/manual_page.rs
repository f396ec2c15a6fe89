//! `man`: one page, made from the command line's own definition and from the three tables below.

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;

use crate::cli::Cli;
use crate::domain::{Error, Result};

use super::manual::text;
use crate::ui::answer::Answer;

/// The rows of the table in the README.
const EXIT_STATUS: [(&str, &str); 12] = [
    ("0", "Done, or nothing to do."),
    ("1", "Failed; nothing changed."),
    (
        "2",
        "Wrong usage: a flag, a name, a URL, a path, a missing --yes, a foreign value without --force, nothing deployed.",
    ),
    (
        "3",
        "Something to do: status, diff, verify, backup diff, resolve FILE or self-update --check found a difference or an update.",
    ),
    ("4", "Deployed, but a conflict kept your file."),
    ("5", "The new deployment did not pass its checks; rolled back."),
    ("6", "Another run is at work, or a file changed meanwhile; nothing changed."),
    ("7", "Recovered from an interrupted run, and something is left for you."),
    ("8", "A signature, checksum or archive did not verify; nothing changed."),
    ("9", "Refused by policy: pin, downgrade, deny list, managed machine."),
    ("10", "The network failed; worth a retry."),
    ("130, 143", "Stopped by Ctrl-C or SIGTERM; as before, or recovered by the next run."),
];

const ENVIRONMENT: [(&str, &str); 13] = [
    ("HOME", "The home directory; without it the password database is asked."),
    ("CLAUDE_CONFIG_DIR", "Claude Code's configuration directory, instead of ~/.claude."),
    ("XDG_STATE_HOME", "Where gwinstall keeps what it knows about releases, instead of ~/.local/state."),
    ("GWINSTALL_TARGET_DIR", "Like --target-dir."),
    ("GWINSTALL_BASE_URL", "Where releases come from: an https URL or a directory."),
    ("GWINSTALL_PIN", "Stay at this version, or at sha256:<its manifest>."),
    (
        "GWINSTALL_CA_BUNDLE, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS",
        "Files with further certificate authorities.",
    ),
    (
        "HTTPS_PROXY, ALL_PROXY, NO_PROXY",
        "The proxy on the way to the releases, and the hosts that need none; HTTPS_PROXY is also a value for the gateway.",
    ),
    ("GITHUB_TOKEN, GH_TOKEN", "Sent to GitHub when releases are asked for, and nowhere else."),
    ("GATEWAY_LITELLM_BIN", "The litellm to start, instead of the one on PATH."),
    ("NO_COLOR", "No color."),
    ("TERM, ACCESSIBLE", "With TERM=dumb, or ACCESSIBLE set, questions are asked line by line."),
    ("ANTHROPIC_API_KEY and others", "Values for the gateway: gwinstall env list names them all."),
];

const FILES: [(&str, &str); 9] = [
    ("~/.claude/gateway", "The gateway: configuration, scripts, guides."),
    ("~/.claude/gateway/.env", "Its values and secrets; readable by you alone."),
    ("~/.claude/gateway/backups", "The backups."),
    ("~/.claude/gateway/deployment.log", "One line for every operation that changed something."),
    ("~/.claude/settings.json", "Claude Code's settings, of which gwinstall writes its own keys."),
    ("~/.claude/.env", "Values that gwinstall reads and never writes."),
    ("~/.claude/presets", "Presets of your own: NAME/preset.yaml."),
    ("~/.local/state/gwinstall", "What is known about releases, and places other than the usual one."),
    ("/etc/gwinstall/policy.yaml", "The rules of a managed machine."),
];

/// One page: the program, then a section for every command.
pub(super) fn man() -> Result<Answer> {
    let mut program = Cli::command().disable_help_flag(true);
    program.build();
    let mut page = Vec::new();
    let failed = |error: std::io::Error| Error::failed("cannot write the manual page").because(error);
    top(&Man::new(program.clone()), &mut page).map_err(failed)?;
    let mut page = text(page)?;
    // There is one page: what would be pages of their own are sections of it.
    for command in program.get_subcommands() {
        let name = command.get_name();
        let elsewhere = format!("gwinstall\\-{}(1)", name.replace('-', "\\-"));
        page = page.replace(&elsewhere, &format!("\\fBgwinstall {name}\\fR"));
    }
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        push_sections(&mut page, command, "gwinstall").map_err(failed)?;
    }
    push_table(&mut page, "EXIT STATUS", &EXIT_STATUS);
    push_table(&mut page, "ENVIRONMENT", &ENVIRONMENT);
    push_table(&mut page, "FILES", &FILES);
    Ok(Answer::new("the manual page").data(json!({ "roff": page })).text(page))
}

fn top(man: &Man, page: &mut Vec<u8>) -> std::io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    man.render_subcommands_section(page)
}

fn push_table(page: &mut String, title: &str, rows: &[(&str, &str)]) {
    // A dash is a minus sign there, which can be copied.
    let typed = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    page.push_str(&format!(".SH \"{title}\"\n"));
    for (term, text) in rows {
        page.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", typed(term), typed(text)));
    }
}

/// A section for `command`, and for those below it. What `clap_mangen` makes a section of a page becomes a part of ours.
fn push_sections(page: &mut String, command: &Command, parent: &str) -> std::io::Result<()> {
    let name = format!("{parent} {}", command.get_name());
    let below: Vec<&Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    if below.is_empty() {
        // Options of every command are told once, on the page of the program.
        let own = command.clone().bin_name(&name).display_name(&name).mut_args(|arg| {
            let elsewhere = arg.is_global_set() || arg.is_hide_set();
            arg.hide(elsewhere)
        });
        let man = Man::new(own);
        let mut part = Vec::new();
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        let part = String::from_utf8_lossy(&part).replace("\n.SH ", "\n.SS ");
        let part = part.strip_prefix(".SH ").map_or(part.clone(), |rest| format!(".SS {rest}"));
        page.push_str(&format!(".SH \"{}\"\n{part}", name.to_uppercase()));
    }
    below.iter().try_for_each(|command| push_sections(page, command, &name))
}
