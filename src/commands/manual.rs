//! `completions`, `man`, `help` and `version`, made from the command line's own definition. They are written to memory first: a reader that
//! goes away early is no reason to fail.

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;

use crate::bundle::build;
use crate::cli::{Cli, CompletionsArgs, HelpArgs};
use crate::domain::name::{closest, printable};
use crate::domain::secret::masked;
use crate::domain::{Error, Result};

use super::answer::Answer;

/// `help [COMMAND]`: what `--help` says.
pub(super) fn help(args: &HelpArgs) -> Result<Answer> {
    let mut program = Cli::command();
    program.build();
    let mut command = &mut program;
    for word in &args.command {
        let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
        let unknown = || {
            let shown = masked(word).unwrap_or_else(|| printable(word));
            let error = Error::usage(format!("there is no command {shown:?}"));
            match closest(word, names.iter().map(String::as_str)).first() {
                Some(near) => error.hint(format!("gwinstall help {near}")),
                None => error.hint("gwinstall help"),
            }
        };
        command = command.find_subcommand_mut(word).ok_or_else(unknown)?;
    }
    let help = command.render_help().to_string();
    Ok(Answer::new("how to use it").data(json!({ "help": help })).quoting(help))
}

pub(super) fn version() -> Answer {
    let data = json!({ "version": build::VERSION, "seq": build::seq(), "target": build::TARGET });
    Answer::new(format!("gwinstall {}", build::VERSION)).data(data)
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gwinstall", &mut script);
    let script = text(script)?;
    Ok(Answer::new(format!("completions for {}", args.shell))
        .data(json!({ "shell": args.shell.to_string(), "script": script }))
        .text(script))
}

/// One page: the program, then a section for every command.
pub(super) fn man() -> Result<Answer> {
    let mut program = Cli::command().disable_help_flag(true);
    program.build();
    let mut page = Vec::new();
    let failed = |error: std::io::Error| Error::failed("cannot write the manual page").because(error);
    Man::new(program.clone()).render(&mut page).map_err(failed)?;
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
    Ok(Answer::new("the manual page").data(json!({ "roff": page })).text(page))
}

/// A section for `command`, and for those below it. What `clap_mangen` makes a section of a page becomes a part of ours.
fn push_sections(page: &mut String, command: &Command, parent: &str) -> std::io::Result<()> {
    let name = format!("{parent} {}", command.get_name());
    let below: Vec<&Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    if below.is_empty() {
        // Options of every command are told once, on the page of the program.
        let own = command.clone().bin_name(&name).display_name(&name).mut_args(|arg| {
            let everywhere = arg.is_global_set();
            arg.hide(everywhere)
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

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::failed("what was generated is not UTF-8"))
}
