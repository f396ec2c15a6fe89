//! `help` and `version`, made from the command line's own definition. They are written to memory first: a reader that
//! closes the pipe early does not make the command fail.

use clap::{Command, CommandFactory};
use serde_json::json;

use crate::bundle::build;
use crate::cli::pages::{self, GROUPS};
use crate::cli::{Cli, HelpArgs, WIDEST};
use crate::domain::name::printable;
use crate::domain::secret::masked;
use crate::domain::{Error, Hint, Result, exit};
use crate::doors::term;

use super::wrong_input::nearest;
use crate::ui::answer::Answer;

/// `help [COMMAND]`: what `--help` says.
pub(super) fn help(args: &HelpArgs) -> Result<Answer> {
    let program = Cli::command();
    let mut command = &program;
    let mut path: Vec<String> = Vec::new();
    for word in &args.command {
        let unknown = || {
            let names = command.get_subcommands().map(Command::get_name);
            let near = nearest(word, names).map(str::to_owned);
            let shown = masked(word).unwrap_or_else(|| printable(word));
            let path = ["help".to_owned()].into_iter().chain(path.clone()).chain(near);
            Error::usage(format!("there is no command {shown:?}"))
                .hint(Hint::run(&path.collect::<Vec<String>>()))
        };
        command = command.find_subcommand(word).ok_or_else(unknown)?;
        path.push(command.get_name().to_owned());
    }
    Ok(asked(&path))
}

/// The help of a command, by its names from the top.
pub(super) fn asked(path: &[String]) -> Answer {
    let help = if path.is_empty() { overview() } else { page(path, Flags::All) };
    Answer::new("help").data(json!({ "help": help })).quoting(help)
}

/// The program: its commands by what they are for, the flags of all of them, and the exit codes.
fn overview() -> String {
    let program = Cli::command();
    let width = term::page_width(WIDEST);
    let about = |name: &str| {
        let command = program.find_subcommand(name)?;
        // That `model` is `models` needs no mention.
        let other = |alias: &&str| name.get(..3).is_none_or(|start| !alias.starts_with(start));
        let aliases: Vec<&str> = command.get_all_aliases().filter(other).collect();
        let aliases =
            if aliases.is_empty() { String::new() } else { format!(" [also: {}]", aliases.join(", ")) };
        Some(format!("{}{aliases}", command.get_about()?))
    };
    let column = GROUPS.iter().flat_map(|(_, names)| names.iter()).map(|name| name.len()).max().unwrap_or(0);
    let mut groups = Vec::new();
    for (heading, names) in GROUPS {
        let rows = names.iter().map(|name| format!("  {name:column$}  {}", about(name).unwrap_or_default()));
        groups.push(format!("{heading}:"));
        groups.extend(rows.flat_map(|row| term::fit(&row, width)));
        groups.push(String::new());
    }
    let after = format!(
        "{}\n\nWithout a command, gwinstall shows what is deployed and the next step.\nExit codes: {}",
        examples("", width),
        exit::in_brief()
    );
    Command::new("gwinstall")
        .about(program.get_about().cloned().unwrap_or_default())
        .version(build::VERSION)
        .override_usage("gwinstall [OPTIONS] [COMMAND]")
        .args(program.get_arguments().cloned())
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}")
        .before_help(groups.join("\n").trim_end().to_owned())
        .after_help(after)
        .term_width(width)
        .render_help()
        .to_string()
}

/// Which flags a page lists.
#[derive(Clone, Copy, PartialEq)]
enum Flags {
    Own,
    /// Also those of every command.
    All,
}

/// One command, with its examples.
fn page(path: &[String], flags: Flags) -> String {
    let program = Cli::command();
    let mut command = &program;
    for name in path {
        let Some(below) = command.find_subcommand(name) else { break };
        command = below;
    }
    let every = program.get_arguments().filter(|arg| flags == Flags::All && arg.is_global_set());
    let width = term::page_width(WIDEST);
    let name = [&["gwinstall".to_owned()], path].concat().join(" ");
    command
        .clone()
        .args(every.cloned())
        .bin_name(name)
        .after_help(examples(&path.join(" "), width))
        .disable_help_subcommand(true)
        .term_width(width)
        .render_help()
        .to_string()
}

/// The help of the program and of every command, one after the other.
pub(super) fn all() -> String {
    let mut pages = vec![overview()];
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name().to_owned();
        let below = command.get_subcommands().map(|below| vec![name.clone(), below.get_name().to_owned()]);
        let paths = std::iter::once(vec![name.clone()]).chain(below);
        pages.extend(paths.map(|path| page(&path, Flags::Own)));
    }
    pages.join("\n\n")
}

fn examples(path: &str, width: usize) -> String {
    let rows = pages::examples(path);
    let column = rows.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let row = |(line, what): &pages::Example| format!("  gwinstall {line:column$}  {what}");
    let rows = rows.iter().map(row).flat_map(|row| term::fit(&row, width));
    std::iter::once("Examples:".to_owned()).chain(rows).collect::<Vec<_>>().join("\n")
}

pub(super) fn version() -> Answer {
    let data = json!({
        "version": build::VERSION,
        "seq": build::seq(),
        "target": build::TARGET,
        "commit": build::COMMIT,
    });
    Answer::new(format!("gwinstall {}", build::VERSION)).data(data)
}

pub(super) fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes)
        .map_err(|error| Error::failed("what was generated is not UTF-8").because(error.utf8_error()))
}
