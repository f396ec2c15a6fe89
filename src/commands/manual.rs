//! `completions`, `help` and `version`, made from the command line's own definition. They are written to memory first: a reader that
//! goes away early is no reason to fail.

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use serde_json::json;

use crate::bundle::{self, Catalog, build};
use crate::cli::{Cli, CompletionsArgs, HelpArgs};
use crate::domain::name::printable;
use crate::domain::request::GatewayType;
use crate::domain::secret::masked;
use crate::domain::{Error, Hint, Result};

use super::wrong_input::nearest;
use crate::ui::answer::Answer;

/// `help [COMMAND]`: what `--help` says.
pub(super) fn help(args: &HelpArgs) -> Result<Answer> {
    let mut program = Cli::command();
    program.build();
    let mut command = &mut program;
    let mut path = vec!["help".to_owned()];
    for word in &args.command {
        let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
        let unknown = || {
            let shown = masked(word).unwrap_or_else(|| printable(word));
            let near = nearest(word, names.iter().map(String::as_str)).map(str::to_owned);
            let path: Vec<String> = path.iter().cloned().chain(near).collect();
            Error::usage(format!("there is no command {shown:?}")).hint(Hint::run(&path))
        };
        command = command.find_subcommand_mut(word).ok_or_else(unknown)?;
        path.push(word.clone());
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
    clap_complete::generate(
        args.shell,
        &mut offered(&Cli::command(), &bundle::embedded()?.catalog),
        "gwinstall",
        &mut script,
    );
    let script = text(script)?;
    Ok(Answer::new(format!("completions for {}", args.shell))
        .data(json!({ "shell": args.shell.to_string(), "script": script }))
        .text(script))
}

/// The command line as it is offered for completion: nothing hidden, and with the names that the embedded bundle knows.
/// Others are accepted all the same.
fn offered(command: &Command, catalog: &Catalog) -> Command {
    let args = command.get_arguments().filter(|arg| !arg.is_hide_set()).cloned().map(|arg| {
        let names: Vec<&str> = match arg.get_id().as_str() {
            "preset" => catalog.presets.iter().map(|preset| preset.name.as_str()).collect(),
            "models" => catalog.models.iter().map(|model| model.id.as_str()).collect(),
            "gateway_type" => GatewayType::ALL.map(GatewayType::word).to_vec(),
            _ => return arg,
        };
        arg.value_parser(PossibleValuesParser::new(names.into_iter().map(lasting)))
    });
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    Command::new(lasting(command.get_name()))
        .about(command.get_about().cloned().unwrap_or_default())
        .version(build::VERSION)
        .disable_version_flag(command.get_version().is_none())
        .disable_help_subcommand(true)
        .args(args)
        .subcommands(below.map(|below| offered(below, catalog)))
}

/// Names are asked to live as long as the program, which ends when they are printed.
fn lasting(name: &str) -> &'static str {
    name.to_owned().leak()
}

pub(super) fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::failed("what was generated is not UTF-8"))
}
