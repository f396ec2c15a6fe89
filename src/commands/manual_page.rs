//! `man`: one page, made from the command line's own definition and from tables. A terminal sees it in a pager, a pipe
//! gets it as roff.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;

use crate::cli::{Cli, pages};
use crate::domain::exit::EXITS;
use crate::domain::{Error, Result};
use crate::doors::{system, term};

use super::manual::{self, text};
use crate::ui::answer::Answer;

const ENVIRONMENT: [(&str, &str); 13] = [
    ("HOME", "The home directory; if it is not set, gwinstall asks the password database."),
    ("CLAUDE_CONFIG_DIR", "Claude Code's configuration directory, instead of ~/.claude."),
    ("XDG_STATE_HOME", "Where gwinstall keeps its own state, instead of ~/.local/state."),
    ("GWINSTALL_TARGET_DIR", "Like --target-dir."),
    ("GWINSTALL_BASE_URL", "Where releases come from: an https URL or a directory."),
    ("GWINSTALL_PIN", "Stay at this version, or at sha256:<its manifest>."),
    (
        "GWINSTALL_CA_BUNDLE, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS",
        "Files with further certificate authorities.",
    ),
    (
        "HTTPS_PROXY, ALL_PROXY, NO_PROXY",
        "The proxy for downloads, and the hosts that need none; HTTPS_PROXY is also a value for the gateway.",
    ),
    ("GITHUB_TOKEN, GH_TOKEN", "Sent to GitHub when gwinstall looks for releases, and nowhere else."),
    ("GATEWAY_LITELLM_BIN", "The litellm to start, instead of the one on PATH."),
    ("NO_COLOR", "If set, gwinstall prints no color."),
    ("TERM, ACCESSIBLE", "With TERM=dumb, or ACCESSIBLE set, gwinstall asks its questions line by line."),
    ("ANTHROPIC_API_KEY and others", "Values for the gateway: gwinstall env list names them all."),
];

const FILES: [(&str, &str); 9] = [
    ("~/.claude/gateway", "The gateway: configuration, scripts, guides."),
    ("~/.claude/gateway/.env", "Its values and secrets; readable by you alone."),
    ("~/.claude/gateway/backups", "The backups."),
    ("~/.claude/gateway/deployment.log", "One line for every operation that changed something."),
    ("~/.claude/settings.json", "Claude Code's settings, in which gwinstall writes its own keys only."),
    ("~/.claude/.env", "Values that gwinstall reads and never writes."),
    ("~/.claude/presets", "Presets of your own: NAME/preset.yaml."),
    (
        "~/.local/state/gwinstall",
        "What gwinstall knows about releases, and where a gateway is that is not in the usual directory.",
    ),
    ("/etc/gwinstall/policy.yaml", "The rules of a managed machine."),
];

pub(super) fn man() -> Result<Answer> {
    let page = page()?;
    let answer = Answer::new("the manual page").data(json!({ "roff": page }));
    if term::manner().json || !term::stdout_is_terminal() {
        return Ok(answer.quoting(page));
    }
    // `man` reads MANPAGER and PAGER itself. `-` is standard input to man-db only.
    let input = if cfg!(target_os = "macos") { "/dev/stdin" } else { "-" };
    if system::program("man").is_some_and(|man| term::shown_by(&man, &["-l", input], &page)) {
        return Ok(answer.text(""));
    }
    // Without `man` a user cannot read roff: gwinstall shows the help of all commands instead.
    let text = manual::all();
    Ok(if in_a_pager(&text) { answer.text("") } else { answer.quoting(text) })
}

/// Shows the text in the pager that the user chose, else in `less`; `false` if there is none.
fn in_a_pager(text: &str) -> bool {
    let chosen =
        ["MANPAGER", "PAGER"].into_iter().find_map(system::variable).filter(|pager| !pager.is_empty());
    match chosen {
        Some(pager) => term::shown_by(Path::new("/bin/sh"), &["-c", &pager], text),
        None => system::program("less").is_some_and(|less| term::shown_by(&less, &[], text)),
    }
}

/// One page: the program, then a section for every command.
fn page() -> Result<String> {
    let mut program = Cli::command().disable_help_flag(true);
    program.build();
    let mut page = Vec::new();
    let failed = |error: std::io::Error| Error::failed("cannot write the manual page").because(error);
    top(&Man::new(program.clone()), &mut page).map_err(failed)?;
    let mut page = text(page)?;
    // clap_mangen refers to a page of its own for every command; here they are sections of one page.
    for command in program.get_subcommands() {
        let name = command.get_name();
        let elsewhere = format!("gwinstall\\-{}(1)", name.replace('-', "\\-"));
        page = page.replace(&elsewhere, &format!("\\fBgwinstall {name}\\fR"));
    }
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        push_sections(&mut page, command, "gwinstall").map_err(failed)?;
    }
    push_table(&mut page, "EXIT STATUS", &EXITS.map(|row| (row.codes, row.meaning)));
    push_table(&mut page, "ENVIRONMENT", &ENVIRONMENT);
    push_table(&mut page, "FILES", &FILES);
    Ok(page)
}

fn top(man: &Man, page: &mut Vec<u8>) -> std::io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    man.render_subcommands_section(page)
}

fn push_examples(page: &mut String, path: &str) {
    page.push_str(".SS EXAMPLES\n");
    for (line, what) in pages::examples(path) {
        page.push_str(&format!(".TP\n\\fBgwinstall {}\\fR\n{}.\n", typed(line), typed(what)));
    }
}

/// In roff a dash is written as a minus sign, so that it can be copied.
fn typed(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

fn push_table(page: &mut String, title: &str, rows: &[(&str, &str)]) {
    page.push_str(&format!(".SH \"{title}\"\n"));
    for (term, text) in rows {
        page.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", typed(term), typed(text)));
    }
}

/// A section for `command`, and for those below it. Sections of `clap_mangen` become subsections.
fn push_sections(page: &mut String, command: &Command, parent: &str) -> std::io::Result<()> {
    let name = format!("{parent} {}", command.get_name());
    let below: Vec<&Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    if below.is_empty() {
        // The options of every command stand once, on the page of the program.
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
        push_examples(page, name.strip_prefix("gwinstall ").unwrap_or_default());
    }
    below.iter().try_for_each(|command| push_sections(page, command, &name))
}
