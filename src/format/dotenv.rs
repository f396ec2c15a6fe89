//! `.env`: KEY=VALUE lines read as text and edited by the line.
//!
//! Promises: nothing in the file is evaluated; an unchanged line keeps its bytes; an accepted value means the same to
//! bash and dash (`set -a; . ./.env`), to a `while read` loop that strips one pair of single quotes, and to docker compose
//! (whose older versions cut `v#c` at the `#`, so gwinstall writes a value with `#` in quotes). A form on which these
//! disagree counts as absent and is reported with its line.
//!
//! | line | read as |
//! |---|---|
//! | `K=v` · `export K=v` · `  K=v  ` · `K=v # note` · `K=v#c` | `v` · `v` · `v` · `v` · `v#c` |
//! | `K=` · `K='a $b # c'` · `K="a b"` | empty · `a $b # c` · `a b` |
//! | `K=$A` · `K="$(x)"` · `` K=`x` `` | absent: a shell would expand it, the others would not |
//! | `K=a\b` · `K="a\n"` · `K=~/x` | absent: shells drop or expand it, compose does not |
//! | `K=a b` · `K=a;b` · `K=a"b"` · `K='a'b` | absent: a shell runs or joins the rest |
//! | `K = v` · `K` · `=v` · `K:` · `1K=v` · `K+=v` | absent: not an assignment to a shell |
//! | `K='a` up to the line of the next `'` · `K=a\` · `K=$(cat <<E` up to `E` | absent, with the lines that they swallow |
//! | the last of several `K=` | counts, the earlier ones are reported |
//!
//! A CR before the line feed and a byte order mark are never part of a key or a value; both stay in the file and are
//! reported, because a shell that sources the file would read them.
//!
//! gwinstall writes a value bare (`K=v`) where every reader agrees, else in single quotes. Only `docker run --env-file`
//! keeps those quotes: `needs_quotes` says for which values that matters.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

mod line;
#[cfg(test)]
mod tests;

use line::Flaw;

pub use line::{Quoting, is_name};

/// A parsed file that keeps every byte.
#[derive(Clone)]
pub struct DotEnv {
    bom: bool,
    lines: Vec<Line>,
}

#[derive(Clone)]
struct Line {
    /// With its line end, if it has one.
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Entry {
        key: String,
        value: String,
        quoting: Quoting,
        span: Range<usize>,
    },
    Placeholder {
        key: String,
    },
    Broken {
        key: Option<String>,
        why: String,
    },
    /// A comment, a blank line, or a part of a value that began on an earlier line.
    Other,
}

/// One accepted assignment. Its `Debug` form has no value: it may be a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: &'a str,
    pub value: &'a str,
    /// Counted from 1.
    pub line: usize,
    pub quoting: Quoting,
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=… (line {}, {:?})", self.key, self.line, self.quoting)
    }
}

/// A line that is not used, or that other programs read differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub line: usize,
    /// The variable in question, if the line names one.
    pub key: Option<String>,
    pub why: String,
}

/// A key or value that no accepted form can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritable(&'static str);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unwritable {}

impl Default for DotEnv {
    fn default() -> Self {
        Self::parse("")
    }
}

impl fmt::Debug for DotEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

impl DotEnv {
    pub fn parse(text: &str) -> Self {
        let (bom, body) = match text.strip_prefix('\u{feff}') {
            Some(body) => (true, body),
            None => (false, text),
        };
        let texts: Vec<&str> = body.split_inclusive('\n').collect();
        let mut lines = Vec::with_capacity(texts.len());
        while let Some(text) = texts.get(lines.len()) {
            let number = lines.len() + 1;
            let (kind, last) = classify(text, number, &texts[number..]);
            lines.push(Line { text: (*text).to_owned(), kind });
            let swallowed = texts[number..last.max(number)].iter();
            lines.extend(swallowed.map(|text| Line { text: (*text).to_owned(), kind: Kind::Other }));
        }
        Self { bom, lines }
    }

    /// The value of `key` in the last line that assigns it; `None` if that line cannot be read.
    pub fn get(&self, key: &str) -> Option<&str> {
        match &self.lines[self.last_of(key)?].kind {
            Kind::Entry { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Every accepted assignment in file order, earlier duplicates included.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines.iter().enumerate().filter_map(|(at, line)| match &line.kind {
            Kind::Entry { key, value, quoting, .. } => {
                Some(Entry { key, value, line: at + 1, quoting: *quoting })
            }
            _ => None,
        })
    }

    /// Lines `#NAME=CHANGE-ME-NAME`: variables that the user still has to fill in.
    pub fn placeholders(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lines.iter().enumerate().filter_map(|(at, line)| match &line.kind {
            Kind::Placeholder { key } => Some((key.as_str(), at + 1)),
            _ => None,
        })
    }

    /// What a person should know, in file order. No message holds a value.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut report = |line, key: Option<&str>, why: String| {
            problems.push(Problem { line, key: key.map(str::to_owned), why });
        };
        if self.bom {
            report(1, None, "a byte order mark: a shell reads it as part of the first line".to_owned());
        }
        if let Some(at) = self.lines.iter().position(|line| line.text.ends_with("\r\n")) {
            report(at + 1, None, "lines end in CR LF: a shell reads the CR as part of the value".to_owned());
        }
        let last: HashMap<&str, usize> = self.entries().map(|entry| (entry.key, entry.line)).collect();
        for (at, line) in self.lines.iter().enumerate() {
            match &line.kind {
                Kind::Broken { key, why } => report(at + 1, key.as_deref(), why.clone()),
                Kind::Entry { key, .. } if last.get(key.as_str()).is_some_and(|last| *last > at + 1) => {
                    report(
                        at + 1,
                        Some(key),
                        format!("{key} is set again on line {}: the last line counts", last[key.as_str()]),
                    );
                }
                _ => {}
            }
        }
        problems
    }

    /// Sets `key` in the line that has it, else in its placeholder line, else in a new last line. The rest of a replaced
    /// line (`export`, a comment after the value) stays. An error if an earlier line leaves something open and would
    /// swallow the new line.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Unwritable> {
        if !line::is_name(key) {
            return Err(Unwritable("the name of a variable is a letter or _ and then letters, digits or _"));
        }
        let written = quote(value)?;
        if !self.reads_back_after(|file| file.put(key, value, &written)) {
            return Err(Unwritable(
                "an earlier line opens a quote or a here-document, or ends in a backslash, and would swallow it",
            ));
        }
        Ok(())
    }

    fn put(&mut self, key: &str, value: &str, written: &str) {
        let quoting = if written.starts_with('\'') { Quoting::Single } else { Quoting::Bare };
        let last = self.last_of(key);
        if let Some(line) = last.map(|at| &mut self.lines[at])
            && let Kind::Entry { value: old, quoting: form, span, .. } = &mut line.kind
        {
            line.text.replace_range(span.clone(), written);
            *span = span.start..span.start + written.len();
            (*old, *form) = (value.to_owned(), quoting);
            return;
        }
        let at = self.placeholder_after(key, last);
        let end = at.map_or(self.line_end(), |at| line_end_of(&self.lines[at].text));
        let start = key.len() + 1;
        let span = start..start + written.len();
        let kind = Kind::Entry { key: key.to_owned(), value: value.to_owned(), quoting, span };
        let line = Line { text: format!("{key}={written}{end}"), kind };
        match at {
            Some(at) => self.lines[at] = line,
            None => self.append(line),
        }
    }

    /// Makes a change and reverts it if the text would then be read differently from the lines in memory: a quote that an
    /// earlier line leaves open ends at the next quote, in whichever line.
    fn reads_back_after(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let before = self.lines.clone();
        change(self);
        let read = Self::parse(&self.to_text());
        let same = read.entries().eq(self.entries()) && read.placeholders().eq(self.placeholders());
        if !same {
            self.lines = before;
        }
        same
    }

    /// Removes every accepted line of `key` and says whether there was one. Comments and lines that cannot be read stay.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| !matches!(&line.kind, Kind::Entry { key: found, .. } if found == key));
        self.lines.len() != before
    }

    /// Removes the comment that `placeholder` adds.
    pub fn remove_placeholder(&mut self, key: &str) {
        self.lines.retain(|line| !matches!(&line.kind, Kind::Placeholder { key: found } if found == key));
    }

    /// Adds `#NAME=CHANGE-ME-NAME` unless the file already has a line for `key`, filled in or not, or an earlier line
    /// would swallow it.
    pub fn placeholder(&mut self, key: &str) {
        if !line::is_name(key) || self.last_of(key).is_some() || self.placeholder_after(key, None).is_some() {
            return;
        }
        let kind = Kind::Placeholder { key: key.to_owned() };
        let line = Line { text: format!("#{key}=CHANGE-ME-{key}{}", self.line_end()), kind };
        self.reads_back_after(|file| file.append(line));
    }

    /// Adds comment lines at the end, one for each line of `text`; an empty line becomes a blank one. A line whose
    /// quotes would close what an earlier line leaves open is left out.
    pub fn comment(&mut self, text: &str) {
        for line in text.split('\n') {
            let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let clean = clean.trim_end();
            let hash = if clean.is_empty() { "" } else { "# " };
            let line = Line { text: format!("{hash}{clean}{}", self.line_end()), kind: Kind::Other };
            self.reads_back_after(|file| file.append(line));
        }
    }

    pub fn to_text(&self) -> String {
        let bom = if self.bom { "\u{feff}" } else { "" };
        std::iter::once(bom).chain(self.lines.iter().map(|line| line.text.as_str())).collect()
    }

    /// The last line that assigns `key`, even if it cannot be read.
    fn last_of(&self, key: &str) -> Option<usize> {
        self.lines.iter().rposition(|line| match &line.kind {
            Kind::Entry { key: found, .. } => found == key,
            Kind::Broken { key: Some(found), .. } => found == key,
            _ => false,
        })
    }

    /// The placeholder line of `key`, if a value there would count more than line `last`.
    fn placeholder_after(&self, key: &str, last: Option<usize>) -> Option<usize> {
        let at = self
            .lines
            .iter()
            .rposition(|line| matches!(&line.kind, Kind::Placeholder { key: found } if found == key))?;
        last.is_none_or(|last| at > last).then_some(at)
    }

    /// The line end of the first line, for all new lines.
    fn line_end(&self) -> &'static str {
        self.lines.first().map_or("\n", |line| line_end_of(&line.text))
    }

    fn append(&mut self, line: Line) {
        let end = self.line_end();
        if let Some(last) = self.lines.last_mut().filter(|last| !last.text.ends_with('\n')) {
            last.text.push_str(end);
        }
        self.lines.push(line);
    }
}

fn line_end_of(text: &str) -> &'static str {
    if text.ends_with("\r\n") { "\r\n" } else { "\n" }
}

/// The kind of line `number`, and the number of the last line that belongs to it.
fn classify(text: &str, number: usize, following: &[&str]) -> (Kind, usize) {
    let body = line::without_end(text);
    if body.contains(|c: char| c.is_control() && c != '\t') {
        return (Kind::Broken { key: None, why: "a control character".to_owned() }, number);
    }
    let trimmed = body.trim_start_matches([' ', '\t']);
    if trimmed.is_empty() {
        return (Kind::Other, number);
    }
    if let Some(comment) = trimmed.strip_prefix('#') {
        let kind = line::placeholder_key(comment).map(|key| Kind::Placeholder { key: key.to_owned() });
        return (kind.unwrap_or(Kind::Other), number);
    }
    let line = line::read(body);
    let key = line.key.map(str::to_owned);
    let (why, last) = match line.value {
        Ok((value, quoting, span)) => {
            let key = key.unwrap_or_default();
            return (Kind::Entry { key, value: value.to_owned(), quoting, span }, number);
        }
        Err(Flaw::Here(why)) => (why.to_owned(), number),
        Err(Flaw::OpenQuote(quote)) => match following.iter().position(|text| line::closes(text, quote)) {
            Some(more) => {
                let last = number + more + 1;
                (format!("a quoted value over several lines (to line {last}) is not supported"), last)
            }
            None => ("the quote is never closed".to_owned(), number),
        },
        Err(Flaw::Continued) => {
            let more = following.iter().take_while(|text| line::without_end(text).ends_with('\\')).count();
            let last = (number + more + 1).min(number + following.len());
            (format!("a value continued with \\ (to line {last}) is not supported"), last)
        }
        Err(Flaw::Heredoc(end)) => {
            let more =
                following.iter().position(|text| line::without_end(text).trim_start_matches('\t') == end);
            let last = number + more.map_or(following.len(), |more| more + 1);
            (format!("a here-document (to line {last}) is not supported"), last)
        }
    };
    (Kind::Broken { key, why }, last)
}

/// The text to put after `KEY=` so that every reader gets `value` back.
pub fn quote(value: &str) -> Result<Cow<'_, str>, Unwritable> {
    if !needs_quotes(value) {
        return Ok(Cow::Borrowed(value));
    }
    if value.contains(char::is_control) {
        return Err(Unwritable("a line break or another control character cannot be written to .env"));
    }
    if value.contains('\'') {
        return Err(Unwritable(
            "a single quote cannot be written to .env: shells and docker compose read it differently",
        ));
    }
    if value.ends_with('\\') {
        return Err(Unwritable(
            "a backslash at the end cannot be written to .env: docker compose reads it as an escape",
        ));
    }
    Ok(Cow::Owned(format!("'{value}'")))
}

/// Whether `value` is written in quotes, which `docker run --env-file` would keep as part of it.
pub fn needs_quotes(value: &str) -> bool {
    !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(&b))
}
