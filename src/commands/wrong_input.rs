//! A wrong command line: what is wrong with it, and the line that the user probably meant. Pure.
//!
//! Promise: the answer uses the parser's data, not its text; no message repeats a possible secret; and for a typing
//! error gwinstall never suggests a command that removes something while another name is as close.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, Parser};

use crate::cli::Cli;
use crate::domain::name::{list, printable};
use crate::domain::secret::masked;
use crate::domain::{Error, Hint};
use crate::ui::answer;

use super::invocation::is_variable;
use super::{habits, invocation};

/// Flags of other programs, with their value if that matters, and the flags of gwinstall for them.
const FLAGS: [(&str, Option<&str>, &[&str]); 12] = [
    ("--format", Some("json"), &["--json"]),
    ("--output", Some("json"), &["--json"]),
    ("-o", Some("json"), &["--json"]),
    ("--silent", None, &["--quiet"]),
    ("--debug", None, &["--verbose"]),
    ("--no-color", None, &["--color", "never"]),
    ("--assume-yes", None, &["--yes"]),
    ("--no-input", None, &["--yes"]),
    ("--non-interactive", None, &["--yes"]),
    ("--check", None, &["--dry-run"]),
    ("--what-if", None, &["--dry-run"]),
    ("--plan", None, &["--dry-run"]),
];

/// The commands that list the names which these commands take.
const NAMES: [(&str, &str); 14] = [
    ("runtime remove", "runtime list"),
    ("runtime", "help runtime"),
    ("service", "help service"),
    ("models add", "models list"),
    ("models remove", "models list"),
    ("presets show", "presets list"),
    ("env set", "env list"),
    ("backup pin", "backup list"),
    ("backup unpin", "backup list"),
    ("backup diff", "backup list"),
    ("backup export", "backup list"),
    ("completions", "completions bash"),
    ("config", "config path"),
    ("bundle", "help bundle"),
];

/// Commands that gwinstall does not suggest for a typing error while another name is as close.
const REMOVING: [&str; 3] = ["uninstall", "prune", "remove"];

/// The error for a command line that is wrong. `words` are the user's, without the flags that name the deployment and
/// without secrets.
pub(super) fn explain(error: &clap::Error, words: &[String]) -> Error {
    let wrong = Wrong::of(error, words);
    if let Some(own) = wrong.value_of_env() {
        return own;
    }
    let said = wrong.said();
    let meant = habits::meant(&wrong.spoken()).or_else(|| wrong.meant());
    // The refused line itself is not an answer.
    said.hint(
        meant
            .filter(|meant| words.iter().any(|word| word == "-") || *meant != run(words))
            .unwrap_or_else(|| wrong.help()),
    )
}

struct Wrong<'a> {
    error: &'a clap::Error,
    words: &'a [String],
    /// The deepest command that the words name.
    command: Command,
    /// Its names, from the top.
    path: Vec<String>,
}

impl<'a> Wrong<'a> {
    fn of(error: &'a clap::Error, words: &'a [String]) -> Self {
        let mut program = Cli::command();
        // The flags of every command are arguments of each from here on.
        program.build();
        let (command, path) = reached(&program, words);
        Self { error, words, command: command.clone(), path }
    }

    /// The command as it is typed.
    fn name(&self) -> String {
        [&["gwinstall".to_owned()], self.path.as_slice()].concat().join(" ")
    }

    fn text(&self, kind: ContextKind) -> Option<&'a str> {
        match self.error.get(kind)? {
            ContextValue::String(text) => Some(text),
            ContextValue::Strings(texts) => texts.first().map(String::as_str),
            _ => None,
        }
    }

    fn texts(&self, kind: ContextKind) -> Vec<String> {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => vec![text.clone()],
            Some(ContextValue::Strings(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    /// The word that the parser stopped at.
    fn typed(&self) -> &'a str {
        [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
            .into_iter()
            .find_map(|kind| self.text(kind))
            .unwrap_or_default()
    }

    /// The argument that the error is about: `--lines` for `--lines <N>`, `SHELL` for `<SHELL>`.
    fn argument(&self) -> &'a str {
        let text = self.text(ContextKind::InvalidArg).unwrap_or_default();
        bare(text.split(' ').next().unwrap_or_default())
    }

    /// Whether the parser stopped at a word that is not repeated: a secret, or the flag in front of one.
    fn hid_a_secret(&self) -> bool {
        let typed = self.typed();
        let attached = format!("{typed}=");
        matches!(self.error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand)
            && !typed.is_empty()
            && !self.words.iter().any(|word| word == typed || word.starts_with(&attached))
            && self.whole_flag() == typed
    }

    /// The word that the parser stopped at, as it may be shown.
    fn safe_typed(&self) -> String {
        match masked(self.typed()) {
            Some(masked) => masked,
            None if self.hid_a_secret() => "****".to_owned(),
            None => printable(self.typed()),
        }
    }

    /// What is wrong, without what to do.
    fn said(&self) -> Error {
        let name = self.name();
        let value = self.text(ContextKind::InvalidValue).unwrap_or_default();
        let argument = self.argument();
        match self.error.kind() {
            ErrorKind::InvalidSubcommand => {
                let typed = [self.path.as_slice(), &[self.safe_typed()]].concat().join(" ");
                Error::usage(format!("there is no command {typed:?}"))
            }
            ErrorKind::UnknownArgument if self.is_misplaced() => {
                Error::usage(format!("{} belongs after {}", self.typed(), self.path.join(" ")))
            }
            ErrorKind::UnknownArgument if self.typed().starts_with('-') => {
                Error::usage(format!("{name} has no flag {}", safe(self.whole_flag())))
            }
            ErrorKind::UnknownArgument => {
                Error::usage(format!("{name} does not expect {:?}", self.safe_typed()))
            }
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let below: Vec<&str> = self.visible().map(Command::get_name).collect();
                Error::usage(format!("{name} needs a command: {}", list(&below).replace(" and ", " or ")))
            }
            ErrorKind::MissingRequiredArgument => {
                let missing = self.texts(ContextKind::InvalidArg);
                let missing: Vec<String> = missing.iter().map(|text| bare(text).replace('<', "")).collect();
                Error::usage(format!("{name} needs {}", list(&missing)))
            }
            ErrorKind::InvalidValue if value.is_empty() => {
                let text = self.text(ContextKind::InvalidArg).unwrap_or_default();
                Error::usage(format!(
                    "{argument} needs a value: {}",
                    bare(text.rsplit(' ').next().unwrap_or_default())
                ))
            }
            ErrorKind::InvalidValue => Error::usage(format!("{argument} cannot be {:?}", safe(value)))
                .because(format!("it is one of {}", list(&self.texts(ContextKind::ValidValue)))),
            ErrorKind::ValueValidation => {
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let why = if is_number { "is too large" } else { "is not a whole number" };
                Error::usage(format!("{argument}: {:?} {why}", safe(value)))
            }
            ErrorKind::TooManyValues => Error::usage(format!("{argument} takes no value")),
            ErrorKind::ArgumentConflict => {
                let prior = self.texts(ContextKind::PriorArg);
                let prior: Vec<&str> =
                    prior.iter().filter_map(|text| text.split(' ').next()).map(bare).collect();
                Error::usage(format!("{argument} cannot be used with {}", list(&prior)))
            }
            ErrorKind::InvalidUtf8 => Error::usage("a word of the command line is not UTF-8"),
            kind => Error::usage(kind.as_str().unwrap_or("the command line cannot be read")),
        }
    }

    /// The words without the flags of every command that say how to talk: habits are about the others.
    fn spoken(&self) -> Vec<String> {
        let mut spoken = Vec::new();
        let mut rest = self.words.iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "-q" | "--quiet" | "-v" | "--verbose" | "--json" | "--plain" => {}
                "--color" | "--lock-wait" => drop(rest.next()),
                _ => spoken.push(word.clone()),
            }
        }
        spoken
    }

    /// The line that the user probably meant, by the definition of the command.
    fn meant(&self) -> Option<Hint> {
        let typed = self.typed();
        match self.error.kind() {
            ErrorKind::InvalidSubcommand => self.command_meant(typed),
            ErrorKind::UnknownArgument if typed.starts_with('-') => self.flag_meant(typed),
            ErrorKind::UnknownArgument => Some(self.without_words()),
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                if self.command.find_subcommand("list").is_some() =>
            {
                Some(run(&[self.path.as_slice(), &["list".to_owned()]].concat()))
            }
            ErrorKind::MissingRequiredArgument if typed.starts_with('-') => {
                Some(run(&[self.words, &[typed.to_owned()]].concat()))
            }
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => self.value_meant(),
            ErrorKind::TooManyValues => {
                let value = self.text(ContextKind::InvalidValue)?;
                self.replaced(&format!("{}={value}", self.argument()), &[self.argument()])
            }
            _ => None,
        }
    }

    /// The command that lists the names which this one takes, else its help.
    fn help(&self) -> Hint {
        let path = self.path.join(" ");
        let names = NAMES.iter().find(|(command, _)| *command == path).map(|(_, names)| *names);
        match names {
            Some(names) => run(&names.split(' ').map(str::to_owned).collect::<Vec<_>>()),
            None => run(&[&["help".to_owned()], self.path.as_slice()].concat()),
        }
    }

    fn visible(&self) -> impl Iterator<Item = &Command> {
        self.command.get_subcommands().filter(|below| !below.is_hide_set())
    }

    fn command_meant(&self, typed: &str) -> Option<Hint> {
        let names =
            self.visible().flat_map(|below| std::iter::once(below.get_name()).chain(below.get_all_aliases()));
        if let Some(near) = nearest(typed, names) {
            return self.replaced(typed, &[near]);
        }
        match self.path.first().map(String::as_str) {
            Some("presets") => self.replaced(typed, &["show", typed]),
            Some("models") => self.replaced(typed, &["add", typed]),
            _ => None,
        }
    }

    fn flag_meant(&self, typed: &str) -> Option<Hint> {
        let flags: Vec<&Arg> = self.command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
        let longs = || flags.iter().flat_map(|flag| flag.get_long_and_visible_aliases().unwrap_or_default());
        let name = typed.trim_start_matches('-');
        if self.hid_a_secret() {
            // What takes the place of the secret goes behind the command.
            let at = self.words.iter().position(|word| word == "-")?;
            let (before, after) = (&self.words[..at.saturating_sub(1)], &self.words[at + 1..]);
            return Some(run(&[before, after, &self.words[at.saturating_sub(1)..=at]].concat()));
        }
        if self.is_misplaced() {
            let behind = self.words.iter().filter(|word| *word != typed).cloned();
            return Some(run(&behind.chain([typed.to_owned()]).collect::<Vec<_>>()));
        }
        let whole = self.whole_flag();
        if longs().any(|long| format!("-{long}") == whole) {
            return self.replaced(whole, &[&format!("-{whole}")]);
        }
        if let Some(hint) = self.foreign_flag(typed, &longs().collect::<Vec<_>>()) {
            return Some(hint);
        }
        if let Some(near) = nearest(name, longs().filter(|_| typed.starts_with("--"))) {
            return self.replaced(typed, &[&format!("--{near}")]);
        }
        // A command that only looks does no harm without the flag.
        let names = self.path.join("-");
        answer::only_tells(&names).then(|| self.replaced(typed, &[])).flatten()
    }

    /// Right, and in front of the command that takes it.
    fn is_misplaced(&self) -> bool {
        let name = self.typed().trim_start_matches('-');
        self.typed().starts_with('-')
            && self.command.get_arguments().any(|arg| {
                arg.get_long() == Some(name) || arg.get_short().is_some_and(|short| name == short.to_string())
            })
    }

    /// The flag as it was typed: of `-json` the parser names only the first letter.
    fn whole_flag(&self) -> &str {
        let typed = self.typed();
        let longer =
            |word: &&String| !word.starts_with("--") && word.starts_with(typed) && !typed.starts_with("--");
        self.words.iter().find(longer).map_or(typed, String::as_str)
    }

    fn foreign_flag(&self, typed: &str, longs: &[&str]) -> Option<Hint> {
        let at =
            self.words.iter().position(|word| word == typed || word.starts_with(&format!("{typed}=")))?;
        let attached = self.words[at].split_once('=').map(|(_, value)| value);
        let value = attached.or_else(|| self.words.get(at + 1).map(String::as_str));
        let (_, wanted, here) = FLAGS
            .iter()
            .find(|(flag, wanted, _)| *flag == typed && (wanted.is_none() || *wanted == value))?;
        longs.contains(&here[0].trim_start_matches('-')).then_some(())?;
        let taken = 1 + usize::from(wanted.is_some() && attached.is_none());
        let here: Vec<String> = here.iter().map(|word| (*word).to_owned()).collect();
        Some(run(&[&self.words[..at], &here, &self.words[at + taken..]].concat()))
    }

    fn value_meant(&self) -> Option<Hint> {
        let value = self.text(ContextKind::InvalidValue)?;
        let name = self.text(ContextKind::InvalidArg).unwrap_or_default();
        let flag = self.argument();
        if value.is_empty()
            && !self.words.iter().any(|word| word == flag)
            && invocation::PLACE.contains(&flag)
        {
            // What names the deployment is not among the words.
            let line = [&[flag.to_owned(), "DIR".to_owned()], self.words].concat();
            return Some(Hint::line(&line));
        }
        if value.is_empty() {
            // A secret is asked for by now; for others its kind stands where it is missing.
            let missing = self.words.last().is_some_and(|word| word == flag);
            let kind = bare(name.rsplit(' ').next().unwrap_or_default()).to_owned();
            return Some(
                run(&[self.words, if missing { std::slice::from_ref(&kind) } else { &[] }].concat()),
            );
        }
        let valid = self.texts(ContextKind::ValidValue);
        let near =
            nearest(value, valid.iter().map(String::as_str)).or(self.text(ContextKind::SuggestedValue));
        if let Some(near) = near {
            return self.replaced(value, &[near]);
        }
        let long = flag.trim_start_matches('-');
        let arg = self.command.get_arguments().find(|arg| arg.get_long() == Some(long));
        match arg {
            Some(arg) => {
                let usual = arg.get_default_values().first().and_then(|value| value.to_str());
                self.replaced(value, &[usual?])
            }
            None => self.replaced(value, &[]),
        }
    }

    /// The line without the words that are not expected.
    fn without_words(&self) -> Hint {
        let mut words = self.words.to_vec();
        let mut typed = self.typed().to_owned();
        while let Some(at) = words.iter().rposition(|word| *word == typed) {
            words.remove(at);
            match Cli::try_parse_from(std::iter::once("gwinstall").chain(words.iter().map(String::as_str))) {
                Ok(Cli { command: Some(crate::cli::Command::Install(args)), .. }) => {
                    // Where one word too many was given, the one before it is a preset only if there is such a one.
                    let Some(word) = args.preset_word.filter(|word| !is_preset(word)) else {
                        return run(&words);
                    };
                    typed = word;
                }
                Err(error) if error.kind() == ErrorKind::UnknownArgument => {
                    let Some(ContextValue::String(next)) = error.get(ContextKind::InvalidArg) else { break };
                    typed.clone_from(next);
                }
                _ => return run(&words),
            }
        }
        self.help()
    }

    /// The line with these words in place of one.
    fn replaced(&self, typed: &str, meant: &[&str]) -> Option<Hint> {
        let attached = format!("{typed}=");
        let at = self.words.iter().position(|word| word == typed || word.starts_with(&attached))?;
        let mut meant: Vec<String> = meant.iter().map(|word| (*word).to_owned()).collect();
        if let (Some(value), Some(last)) = (self.words[at].strip_prefix(&attached), meant.last_mut()) {
            *last = format!("{last}={value}");
        }
        Some(run(&[&self.words[..at], &meant, &self.words[at + 1..]].concat()))
    }

    /// The error for a value on the command line: usually it is the secret itself.
    fn value_of_env(&self) -> Option<Error> {
        let typed = self.typed();
        let given = match self.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["env", "set"] if self.error.kind() == ErrorKind::UnknownArgument && !typed.starts_with('-') => {
                true
            }
            ["env"] => typed.contains('=') || is_variable(typed),
            [] => typed == "set" && self.words.len() > 1,
            _ => false,
        };
        let name = |word: &String| Some(word.split('=').next()?.to_owned()).filter(|name| is_variable(name));
        let name = self.words.iter().find_map(name).unwrap_or_else(|| "NAME".to_owned());
        given.then(|| {
            Error::usage("give the name alone: a value on a command line is visible to every process").hint(
                Hint::run(&["env", "set", &name]).or(Hint::run(&["env", "set", &format!("{name}=VALUE")])
                    .to("set a value that is not a secret")),
            )
        })
    }
}

/// The deepest command that the words name, and its names from the top.
pub(super) fn reached<'p>(program: &'p Command, words: &[String]) -> (&'p Command, Vec<String>) {
    let mut command = program;
    let mut path = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(below) = command.find_subcommand(word) {
            path.push(below.get_name().to_owned());
            command = below;
        } else if takes_a_value(command, word) || takes_a_value(program, word) {
            rest.next();
        } else if !word.starts_with('-') {
            break;
        }
    }
    (command, path)
}

/// Whether the word behind this one is the value of a flag.
fn takes_a_value(command: &Command, word: &str) -> bool {
    let name = word.trim_start_matches('-');
    let named = |arg: &&Arg| {
        let longs = arg.get_long_and_visible_aliases().unwrap_or_default();
        word.starts_with("--") && longs.contains(&name)
            || word.len() == 2 && arg.get_short().is_some_and(|short| name == short.to_string())
    };
    let found = command.get_arguments().filter(|_| word.starts_with('-')).find(named);
    found.is_some_and(|arg| arg.get_action().takes_values())
}

fn run(words: &[String]) -> Hint {
    Hint::run(words)
}

/// A word of the command line as it may be shown.
fn safe(word: &str) -> String {
    masked(word).unwrap_or_else(|| printable(word))
}

/// The name of an argument without the signs around it.
fn bare(text: &str) -> &str {
    text.trim_end_matches("...").trim_matches(['<', '>', '[', ']'])
}

pub(super) fn is_preset(word: &str) -> bool {
    crate::bundle::Bundle::embedded().is_ok_and(|bundle| bundle.catalog.preset(word).is_some())
}

/// The name that a typing error probably stands for: one edit in three letters, or an unfinished name.
pub(super) fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let typed = typed.to_ascii_lowercase();
    if typed.len() < 2 {
        return None;
    }
    let distance = |name: &str| {
        let edits = strsim::damerau_levenshtein(&typed, &name.to_ascii_lowercase());
        let unfinished = typed.len() >= 3 && name.starts_with(&typed);
        (edits <= (typed.len() / 3).max(1) || unfinished).then_some(if unfinished { 0 } else { edits })
    };
    names
        .filter_map(|name| Some((distance(name)?, REMOVING.contains(&name), name)))
        .min()
        .map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_fingers_finds_the_name_and_another_word_does_not() {
        let names = [
            "install",
            "uninstall",
            "on",
            "off",
            "stop",
            "resolve",
            "logs",
            "self-update",
            "prune",
            "presets",
        ];
        for (typed, meant) in [
            ("isntall", "install"),
            ("Install", "install"),
            ("unistall", "uninstall"),
            ("instal", "install"),
            ("ofd", "off"),
            ("selfupdate", "self-update"),
            ("self", "self-update"),
            ("pre", "presets"),
        ] {
            assert_eq!(nearest(typed, names.into_iter()), Some(meant), "{typed}");
        }
        for other in ["config", "setup", "serve", "login", "ui", "ps", "frobnicate", "x", "auth"] {
            assert_eq!(nearest(other, names.into_iter()), None, "{other}");
        }
    }
}
