//! Variables that a shell rc file exports: found by reading, never by running.
//!
//! Promises: nothing is evaluated and no other file is opened. A value is taken only from a whole line of the file
//! itself: `export NAME=value`, `NAME=value` beside an `export NAME`, or fish's `set -gx NAME value`. Whatever else
//! names the variable is not used and says so with its line, as does a value that a shell would have to compute. The
//! last line that names a variable decides, so a doubtful one never leaves an older value in force. What a file sources,
//! evaluates or calls is not followed.

use std::fmt;

use super::dotenv::DotEnv;

mod lines;
#[cfg(test)]
mod tests;
mod universal;

/// Whose rules the file follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// bash, zsh, dash.
    Posix,
    Fish,
    /// The file in which fish keeps its universal variables.
    FishVariables,
    /// environment.d of systemd: `NAME=VALUE` lines.
    EnvironmentD,
}

/// The line that decides about a variable. Its `Debug` form has no value: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Counted from 1.
    pub line: usize,
    pub value: Result<String, Skipped>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {:?}", self.line, self.value.as_ref().map(|_| "…"))
    }
}

/// Why the value on a line is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// Only a shell knows the value, or shells differ on it.
    Value(String),
    /// The line sets the variable for the shell alone.
    NotExported,
    /// The line is part of something that may not run, or of a text.
    Inside,
    /// The line has another form.
    NotPlain,
    /// From this line on it is unknown what the file means, and nothing in it is certain.
    Lost(usize),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not used: ")?;
        match self {
            Self::Value(why) => f.write_str(why),
            Self::NotExported => f.write_str("the file does not export it"),
            Self::Inside => f.write_str("the line is in a function, a condition or a text, and may not run"),
            Self::NotPlain => f.write_str("gwinstall reads only whole lines such as export NAME=value"),
            Self::Lost(line) => {
                write!(f, "gwinstall cannot follow the quotes and blocks of this file past line {line}")
            }
        }
    }
}

/// What the file says last about `name`.
pub fn scan(text: &str, dialect: Dialect, name: &str) -> Option<Found> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match dialect {
        Dialect::FishVariables => return universal_variable(text, name),
        Dialect::EnvironmentD => return environment_d(text, name),
        Dialect::Posix | Dialect::Fish => {}
    }
    let at_top = lines::at_top(text, dialect == Dialect::Fish);
    let mut variable =
        Variable { name, dialect, exported: false, stopped: false, assigned: None, last: None };
    for (at, line) in text.split('\n').enumerate() {
        let (number, line) = (at + 1, line.trim_matches([' ', '\t', '\r']));
        match &at_top {
            Ok(at_top) if at_top[at] && !variable.stopped => variable.read(number, line),
            _ if !names(line, name) => {}
            Ok(_) => variable.skip(number, Skipped::Inside),
            Err(from) => variable.skip(number, Skipped::Lost(*from)),
        }
    }
    variable.last
}

fn universal_variable(text: &str, name: &str) -> Option<Found> {
    let (line, value) = universal::scan(text, name)?;
    let value = value.map_err(|why| match why {
        universal::Refused::NotExported => Skipped::NotExported,
        universal::Refused::Value(why) => Skipped::Value(why.to_owned()),
    });
    Some(Found { line, value })
}

/// Every line of such a file is exported.
fn environment_d(text: &str, name: &str) -> Option<Found> {
    let (line, found) =
        text.lines().enumerate().filter(|(_, line)| line.starts_with(&format!("{name}="))).last()?;
    let variable = Variable {
        name,
        dialect: Dialect::EnvironmentD,
        exported: true,
        stopped: false,
        assigned: None,
        last: None,
    };
    Some(Found { line: line + 1, value: variable.value(found.trim_end())? })
}

/// Whether a line that is not a comment has the name as a word, and not to read the variable.
fn names(line: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !line.starts_with('#')
        && line.match_indices(name).any(|(at, _)| {
            !line[..at].ends_with(|c| part(c) || matches!(c, '$' | '{'))
                && !line[at + name.len()..].starts_with(part)
        })
}

/// What is known about a variable after some lines.
struct Variable<'a> {
    name: &'a str,
    dialect: Dialect,
    exported: bool,
    /// A `return` or an `exit` stands above.
    stopped: bool,
    /// The value that an `export` would export.
    assigned: Option<Found>,
    last: Option<Found>,
}

impl Variable<'_> {
    fn skip(&mut self, line: usize, why: Skipped) {
        (self.exported, self.assigned) = (false, None);
        self.last = Some(Found { line, value: Err(why) });
    }

    /// Reads a whole line of the file itself.
    fn read(&mut self, number: usize, line: &str) {
        let (command, rest) = split(line);
        self.stopped = matches!(command, "return" | "exit" | "exec");
        let talks = matches!(command, "alias" | "echo") && !line.contains([';', '&', '|']);
        if talks || !names(line, self.name) {
            return;
        }
        match (command, split(rest)) {
            ("export", _) => self.export(number, rest),
            ("typeset" | "declare", ("-x" | "-gx", rest)) if self.dialect == Dialect::Posix => {
                self.export(number, rest);
            }
            ("set", _) if self.dialect == Dialect::Fish => self.set(number, rest),
            _ => match self.value(line) {
                Some(Ok(_)) if self.dialect == Dialect::Fish => self.skip(number, Skipped::NotPlain),
                Some(value) => self.assign(Found { line: number, value }),
                None => self.skip(number, Skipped::NotPlain),
            },
        }
    }

    /// Takes `NAME` or `NAME=value`, what follows `export`.
    fn export(&mut self, number: usize, text: &str) {
        let (word, rest) = split(text);
        if word == self.name && (rest.is_empty() || rest.starts_with('#')) {
            self.exported = true;
            self.last = self.assigned.take().or(self.last.take());
            return;
        }
        match self.value(text) {
            Some(value) => {
                self.exported = true;
                self.assign(Found { line: number, value });
            }
            None => self.skip(number, Skipped::NotPlain),
        }
    }

    fn assign(&mut self, found: Found) {
        self.assigned = None;
        if !self.exported && found.value.is_ok() {
            self.last = Some(Found { line: found.line, value: Err(Skipped::NotExported) });
            self.assigned = Some(found);
        } else {
            self.last = Some(found);
        }
    }

    /// Takes what follows fish's `set`.
    fn set(&mut self, number: usize, text: &str) {
        let (mut exports, mut plain, mut rest) = (false, true, text);
        while let (option, after) = split(rest)
            && option.starts_with('-')
        {
            exports |= matches!(option, "-x" | "-gx" | "-xg" | "-Ux" | "-xU" | "--export");
            plain &= exports || matches!(option, "-g" | "-U" | "--global" | "--universal");
            rest = after;
        }
        let (word, value) = split(rest);
        if word != self.name || !exports || !plain {
            return self.skip(number, Skipped::NotPlain);
        }
        let single = value.starts_with('\'');
        let doubtful = match single {
            true => value.contains("\\'"),
            false => value.contains(['*', '?']) && !value.starts_with('"'),
        };
        let value = match (doubtful, self.value(&format!("{}={value}", self.name))) {
            (true, _) => Err(Skipped::Value("fish may expand it, or the quotes end elsewhere".to_owned())),
            (_, Some(Ok(value))) if single => Ok(value.replace("\\\\", "\\")),
            (_, Some(value)) => value,
            (_, None) => Err(Skipped::NotPlain),
        };
        self.exported = true;
        self.assign(Found { line: number, value });
    }

    /// The value of `NAME=value`: what every shell and every reader of a `.env` file takes for it.
    fn value(&self, text: &str) -> Option<Result<String, Skipped>> {
        let raw = text.strip_prefix(self.name)?.strip_prefix('=')?;
        let refuse = |why: &str| Some(Err(Skipped::Value(why.to_owned())));
        // The caller's reader puts U+FFFD where the bytes are not UTF-8.
        if raw.contains(|c: char| c.is_control() || c == '\u{fffd}') {
            return refuse("the value holds bytes that are not text");
        }
        if raw.starts_with('=') {
            return refuse("zsh takes = at the start of a value for the name of a program");
        }
        let line = DotEnv::parse(text);
        match line.get(self.name) {
            Some(value) => Some(Ok(value.to_owned())),
            None => refuse(line.problems().first().map_or("not a plain value", |problem| &problem.why)),
        }
    }
}

/// The first word, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim_start_matches([' ', '\t']))
}
