//! The command line, parsed; and what is said about one that is wrong.
//!
//! Promise: nothing that may be a secret is repeated, the way out is named as text and as JSON alike, and a slip of the
//! fingers is never led to a command that takes things away while another is as near.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Parser};
use serde_json::{Value, json};

use crate::cli::Cli;
use crate::domain::name::closest;
use crate::domain::{Error, secret};
use crate::doors::term;

use super::{answer, env_set, invocation};

/// Words of other programs for what is meant here.
const SYNONYMS: [(&str, &str); 6] = [
    ("upgrade", "update"),
    ("remove", "uninstall"),
    ("delete", "uninstall"),
    ("restore", "rollback"),
    ("undo", "rollback"),
    ("log", "logs"),
];

/// Parses the command line. Help and version go to stdout and end with 0, mistakes to stderr with 2.
pub fn parse(arguments: Vec<OsString>) -> Result<Cli, u8> {
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    term::set_invocation(invocation::of(&words));
    let json = words.iter().any(|word| word == "--json");
    Cli::try_parse_from(arguments).map_err(|mut error| match error.kind() {
        ErrorKind::DisplayHelp if json => {
            let help = error.render().to_string();
            term::data(&answer::envelope("help", 0, "how to use it", None, json!({ "help": help })));
            answer::exit_when_written("help", 0)
        }
        ErrorKind::DisplayVersion if json => answer::print("version", true, Ok(super::manual::version())),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            term::raw(error.render().to_string().as_bytes());
            answer::exit_when_written("help", 0)
        }
        _ => {
            if let Some(own) = value_of_env(&error, &words) {
                return answer::print("usage", json, Err(own));
            }
            mask(&mut error);
            suggest(&mut error, &words);
            told(&error.render().to_string(), json);
            2
        }
    })
}

fn told(text: &str, json: bool) {
    if !json {
        return term::error(text.trim_end());
    }
    let (message, hint) = summary(text);
    term::data(&answer::envelope("usage", 2, &message, Some(&hint.into()), Value::Null));
}

/// What stands before the usage in one line, and the tips; without any, how to get help.
fn summary(text: &str) -> (String, String) {
    let (said, usage) = text.split_once("\nUsage: ").unwrap_or((text, ""));
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let tips: Vec<&str> = lines().filter_map(|line| line.strip_prefix("tip: ")).collect();
    let rest = |line: &&str| !line.starts_with("tip: ") && !line.starts_with("For more information");
    let message: Vec<&str> = lines().filter(rest).collect();
    let message = message.join(" ");
    let hint = if tips.is_empty() {
        let command = usage.lines().next().unwrap_or("gwinstall").split(' ');
        let names: Vec<&str> = command.take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
        format!("{} --help", if names.is_empty() { "gwinstall".to_owned() } else { names.join(" ") })
    } else {
        tips.join("; ")
    };
    (message.trim_start_matches("error: ").to_owned(), hint)
}

/// A value given to `env` on the command line: the secret itself, more often than not.
fn value_of_env(error: &clap::Error, words: &[String]) -> Option<Error> {
    let (_, path) = reached(words);
    let typed = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand].map(|kind| text_of(error, kind));
    let typed = typed.into_iter().flatten().next()?;
    let names: &[String] = match path.as_slice() {
        [env, set] if env == "env" && set == "set" && !typed.starts_with('-') => {
            &words[words.iter().position(|word| word == "set")? + 1..]
        }
        [env] if env == "env" && (typed.contains('=') || is_variable(typed)) => words,
        _ => return None,
    };
    let name =
        names.iter().map(|word| word.split('=').next().unwrap_or_default()).find(|word| is_variable(word));
    Some(env_set::name_alone(name.unwrap_or("NAME")))
}

fn is_variable(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// Takes what looks like a secret out of what is about to be said.
fn mask(error: &mut clap::Error) {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        let Some(masked) = text_of(error, kind).and_then(secret::masked) else { continue };
        error.insert(kind, ContextValue::String(masked));
        // It would be repeated there.
        error.insert(ContextKind::Suggested, ContextValue::None);
    }
}

/// At most one command is suggested: the nearest, or what other programs call so.
fn suggest(error: &mut clap::Error, words: &[String]) {
    let Some(typed) = text_of(error, ContextKind::InvalidSubcommand).map(str::to_ascii_lowercase) else {
        return;
    };
    let (command, path) = reached(words);
    let names = command.get_subcommands().filter(|command| !command.is_hide_set()).map(Command::get_name);
    let synonym =
        SYNONYMS.iter().find(|(word, _)| path.is_empty() && *word == typed).map(|(_, meant)| *meant);
    let best = synonym.or_else(|| closest(&typed, names).first().copied());
    let best = best.map_or(ContextValue::None, |best| ContextValue::String(best.to_owned()));
    error.insert(ContextKind::SuggestedSubcommand, best);
}

/// The deepest command that the words name, and its name in words.
fn reached(words: &[String]) -> (Command, Vec<String>) {
    let mut command = Cli::command();
    let mut path = Vec::new();
    for word in words {
        if let Some(below) = command.find_subcommand(word).cloned() {
            command = below;
            path.push(word.clone());
        }
    }
    (command, path)
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn what_is_missing_and_every_tip_survive_in_one_line() {
        let missing = "error: the following required arguments were not provided:\n  <MODELS>...\n\nUsage: gwinstall models add <MODELS>...\n\nFor more information, try '--help'.\n";
        let (message, hint) = summary(missing);
        assert_eq!(message, "the following required arguments were not provided: <MODELS>...");
        assert_eq!(hint, "gwinstall models add --help");
        let misspelt = "error: unexpected argument '--presett' found\n\n  tip: a similar argument exists: '--preset'\n\nUsage: gwinstall install [OPTIONS]\n";
        let (message, hint) = summary(misspelt);
        assert_eq!(message, "unexpected argument '--presett' found");
        assert_eq!(hint, "a similar argument exists: '--preset'");
        assert_eq!(summary("error: a\n\nFor more information, try '--help'.\n").1, "gwinstall --help");
    }
}
