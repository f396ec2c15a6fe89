//! One change of one key as replacements in the text, in the style that the file already has.
//!
//! Promises: a member that is not changed keeps its bytes and its comments; an object on one line stays on one line; new
//! members take the indentation, line end and spacing of their neighbours; the result always parses.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::json::{self, Member, Node};
use super::{KeyPath, Problem, Settings};

/// A replacement that was made: at byte `at` of the text of that moment, `ins` bytes replaced `del`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Splice {
    at: usize,
    ins: usize,
    del: String,
}

/// Reverts the replacements, newest first. `None` if they do not fit the text.
pub(super) fn undo(text: &str, splices: &[Splice]) -> Option<String> {
    let mut text = text.to_owned();
    for splice in splices.iter().rev() {
        let range = splice.at..splice.at.checked_add(splice.ins)?;
        text.get(range.clone())?;
        text.replace_range(range, &splice.del);
    }
    Some(text)
}

/// A replacement to make: the text for a range.
type Edit = (Range<usize>, String);

/// A settings text between two changes.
pub(super) struct Draft {
    pub(super) settings: Settings,
    pub(super) made: Vec<Splice>,
    /// The change added `env`.
    pub(super) env_created: bool,
}

impl Draft {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, made: Vec::new(), env_created: false }
    }

    /// Sets `path` to the JSON text `raw`, in place or as a new last member.
    pub(super) fn set(&mut self, path: &KeyPath, raw: &str) -> Result<(), Problem> {
        let settings = &self.settings;
        let style = Style::of(settings);
        let edits = match (settings.member(path), path, settings.env()) {
            (Some(member), ..) => vec![(member.value.span.clone(), raw.to_owned())],
            (None, KeyPath::Top(name), _) => style.insert(&settings.root, "", &style.member(name, raw)),
            (None, KeyPath::Env(name), Some(env)) => {
                let indent = line_indent(&settings.text, env.name_span.start);
                style.insert(&env.value, indent, &style.member(name, raw))
            }
            (None, KeyPath::Env(name), None) => style.insert(&settings.root, "", &style.env_with(name, raw)),
        };
        self.env_created |= matches!(path, KeyPath::Env(_)) && settings.env().is_none();
        self.apply(edits)
    }

    /// Removes `path` if it is there. With `with_env`, removes `env` too if it holds nothing else.
    pub(super) fn remove(&mut self, path: &KeyPath, with_env: bool) -> Result<(), Problem> {
        let Settings { text, root, .. } = &self.settings;
        let Some(member) = self.settings.member(path) else { return Ok(()) };
        let edits = match (path, self.settings.env()) {
            (KeyPath::Env(_), Some(env)) if with_env && is_all_of(text, &env.value, member) => {
                removal(text, root, env)
            }
            (KeyPath::Env(_), Some(env)) => removal(text, &env.value, member),
            _ => removal(text, root, member),
        };
        self.apply(edits)
    }

    /// Makes the replacements from the last to the first, so that no range moves, and parses the text again.
    fn apply(&mut self, mut edits: Vec<Edit>) -> Result<(), Problem> {
        edits.sort_by_key(|(range, _)| range.start);
        let mut text = self.settings.text.clone();
        let mut made = Vec::with_capacity(edits.len());
        for (range, ins) in edits.into_iter().rev() {
            made.push(Splice { at: range.start, ins: ins.len(), del: text[range.clone()].to_owned() });
            text.replace_range(range, &ins);
        }
        let Settings { bom, absent, .. } = self.settings;
        self.settings = Settings { absent, ..Settings::read(bom, text)? };
        self.made.append(&mut made);
        Ok(())
    }
}

/// The style of the file.
struct Style<'a> {
    text: &'a str,
    line_end: &'static str,
    /// One level of indentation.
    unit: &'a str,
    colon: &'static str,
    /// Each member of the outermost object has its own line.
    spread: bool,
    /// Indentation of a new member of the outermost object.
    indent: &'a str,
}

impl<'a> Style<'a> {
    fn of(settings: &'a Settings) -> Self {
        let text = settings.text.as_str();
        let members = settings.members();
        let crlf = text.find('\n').is_some_and(|at| text[..at].ends_with('\r'));
        let lead_of = |member: &Member| lead(text, member.name_span.start);
        let tight =
            members.first().is_some_and(|member| &text[member.name_span.end..member.value.span.start] == ":");
        let unit = members.first().map(lead_of).and_then(after_line_end).filter(|unit| !unit.is_empty());
        let unit = unit.unwrap_or("  ");
        Self {
            text,
            line_end: if crlf { "\r\n" } else { "\n" },
            unit,
            colon: if tight { ":" } else { ": " },
            spread: members.last().map_or(text.contains('\n'), |member| lead_of(member).contains('\n')),
            indent: members.last().map(lead_of).map_or(Some(unit), after_line_end).unwrap_or_default(),
        }
    }

    fn member(&self, name: &str, raw: &str) -> String {
        format!("{}{}{raw}", serde_json::Value::from(name), self.colon)
    }

    /// A new `env` with one member.
    fn env_with(&self, name: &str, raw: &str) -> String {
        let member = self.member(name, raw);
        match self.spread {
            true => {
                let Self { line_end, unit, indent, .. } = self;
                self.member("env", &format!("{{{line_end}{indent}{unit}{member}{line_end}{indent}}}"))
            }
            false => self.member("env", &format!("{{{member}}}")),
        }
    }

    /// Adds `body` as the last member of `object`, which opens on a line indented by `outer`.
    fn insert(&self, object: &Node, outer: &str, body: &str) -> Vec<Edit> {
        match object.members.as_deref().unwrap_or_default() {
            [] => vec![self.insert_first(object, outer, body)],
            members @ [.., last] => self.insert_after(last, members.len() == 1, body),
        }
    }

    fn insert_first(&self, object: &Node, outer: &str, body: &str) -> Edit {
        let (open, close) = (object.span.start + 1, object.span.end - 1);
        let at = json::comments_end(self.text, open);
        let blanks = &self.text[at..close];
        if !self.spread && !self.text[open..close].contains('\n') {
            let gap = if at > open { " " } else { "" };
            return (at..close, format!("{gap}{body}"));
        }
        let Self { line_end, unit, .. } = self;
        let tail = match blanks.rfind('\n') {
            Some(last) => blanks[last..].to_owned(),
            None => format!("\n{outer}"),
        };
        let tail = if *line_end == "\r\n" { format!("\r{tail}") } else { tail };
        (at..close, format!("{line_end}{outer}{unit}{body}{tail}"))
    }

    fn insert_after(&self, last: &Member, only: bool, body: &str) -> Vec<Edit> {
        let end = last.value.span.end;
        let separator = match lead(self.text, last.name_span.start) {
            lead if lead.contains('\n') || !only => lead,
            _ => &self.colon[1..],
        };
        let after = last.comma.map_or(end, |comma| comma + 1);
        let at = if separator.contains('\n') { same_line_end(self.text, after) } else { after };
        match last.comma {
            Some(_) => vec![(at..at, format!("{separator}{body},"))],
            None if at == end => vec![(at..at, format!(",{separator}{body}"))],
            None => vec![(end..end, ",".to_owned()), (at..at, format!("{separator}{body}"))],
        }
    }
}

/// The blanks before `at`, and the line end before these if they begin the line.
fn lead(text: &str, at: usize) -> &str {
    let before = text[..at].trim_end_matches([' ', '\t']);
    let before = before.strip_suffix('\n').unwrap_or(before);
    let before = if before.len() < at && text[before.len()..].starts_with('\n') {
        before.strip_suffix('\r').unwrap_or(before)
    } else {
        before
    };
    &text[before.len()..at]
}

fn after_line_end(lead: &str) -> Option<&str> {
    lead.split_once('\n').map(|(_, indent)| indent)
}

fn line_indent(text: &str, at: usize) -> &str {
    let line = &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..at];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The end of the comments that follow `after`, if its line ends with them; else `after`.
fn same_line_end(text: &str, after: usize) -> usize {
    let mut end = after;
    loop {
        let at = end + blanks(&text[end..]);
        let line = &text[at..at + text[at..].find('\n').unwrap_or(text.len() - at)];
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.starts_with("//") {
            return at + line.len();
        }
        match line.strip_prefix("/*").and_then(|body| body.find("*/")) {
            Some(len) => end = at + len + 4,
            None if line.is_empty() => return end,
            None => return after,
        }
    }
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// Whether `object` holds only `member`, and no comment.
fn is_all_of(text: &str, object: &Node, member: &Member) -> bool {
    let span = member.span();
    let rest = [&text[object.span.start + 1..span.start], &text[span.end..object.span.end - 1]].concat();
    matches!(rest.trim(), "" | ",")
}

/// Removes `member` from `object`: its line if it has its own, else its text and the blanks beside it.
fn removal(text: &str, object: &Node, member: &Member) -> Vec<Edit> {
    let cut = |range: Range<usize>| (range, String::new());
    let Range { start, end } = member.span();
    if is_all_of(text, object, member) {
        return vec![cut(object.span.start + 1..object.span.end - 1)];
    }
    let follows = |at: usize| text[at + blanks(&text[at..])..].trim_start_matches('\r').starts_with('\n');
    // The line end before the member may end a comment, so it is removed only if another one follows.
    let from = |at: usize| if follows(at) { start - lead(text, start).len() } else { start };
    let Some(comma) = member.comma else {
        let members = object.members.as_deref().unwrap_or_default();
        let before = members.iter().filter_map(|other| other.comma).rfind(|comma| *comma < start);
        return match before {
            Some(comma) if text[comma + 1..start].trim().is_empty() => vec![cut(comma..end)],
            Some(comma) => vec![cut(comma..comma + 1), cut(from(end)..end)],
            None => vec![cut(from(end)..end)],
        };
    };
    let after = comma + 1;
    let to = if follows(after) { after } else { after + blanks(&text[after..]) };
    match text[end..comma].trim().is_empty() {
        true => vec![cut(from(after)..to)],
        // A comment between value and comma is the user's and stays.
        false => vec![cut(start..end), cut(comma..to)],
    }
}
