//! Where the members of a configuration stand in its text: their ends, their lines, the comments around them.
//!
//! Promises: every place lies at a character boundary of the text. `None` means a layout that no edit is made in, such as a
//! list in a list on one line.

use std::ops::Range;

use super::super::yaml::{Doc, Node, Scalar};

/// A member of a mapping, or an item of a list, in its text.
#[derive(Clone, Copy)]
pub(super) struct Entry<'d> {
    pub(super) text: &'d str,
    pub(super) key: Option<Node<'d>>,
    pub(super) value: Node<'d>,
    /// Between brackets.
    pub(super) flow: bool,
}

/// The members of a mapping as they are written in it.
pub(super) fn members<'d>(doc: &'d Doc, mapping: Node<'d>) -> Vec<Entry<'d>> {
    let flow = in_brackets(doc.text(), mapping);
    mapping.entries().map(|(key, value)| Entry { text: doc.text(), key: Some(key), value, flow }).collect()
}

/// The items of a list as they are written in it.
pub(super) fn items<'d>(doc: &'d Doc, list: Node<'d>) -> Vec<Entry<'d>> {
    let flow = in_brackets(doc.text(), list);
    let item = |value| Entry { text: doc.text(), key: None, value, flow };
    list.seq().into_iter().flatten().map(item).collect()
}

/// Whether a collection is written with brackets.
pub(super) fn in_brackets(text: &str, node: Node<'_>) -> bool {
    !node.is_alias() && text[node.span().start..].starts_with(['{', '['])
}

/// The start of the line that holds the byte `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// The end of the line that holds the byte `at`, before its line feed and carriage return.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    if text[at..end].ends_with('\r') { end - 1 } else { end }
}

/// The start of the line after the one that holds the byte `at`.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// The columns of blanks that a line begins with.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

impl<'d> Entry<'d> {
    /// Where the entry begins: its key, its dash, or between brackets its value.
    pub(super) fn start(&self) -> Option<usize> {
        match self.key {
            Some(key) => Some(key.span().start),
            None if self.flow => Some(self.value.span().start),
            None => self.dash(),
        }
    }

    /// The dash of a list's item, if it stands alone before it.
    fn dash(&self) -> Option<usize> {
        let at = self.value.span().start;
        let start = line_start(self.text, at);
        let before = &self.text[start..at];
        let dash = start + indent(before);
        let rest = self.text[dash..at].strip_prefix("- ")?;
        (!rest.trim_start().starts_with("- ")).then_some(dash)
    }

    /// The column in which the entry begins.
    pub(super) fn column(&self) -> Option<usize> {
        let start = self.start()?;
        Some(start - line_start(self.text, start))
    }

    /// Whether nothing but blanks is before the entry on its line.
    pub(super) fn begins_line(&self) -> bool {
        self.start().is_some_and(|at| self.text[line_start(self.text, at)..at].trim_matches(' ').is_empty())
    }

    /// The byte after the entry, without what follows on its line.
    pub(super) fn end(&self) -> Option<usize> {
        match (end_of(self.text, self.value), self.key) {
            (Some(end), _) => Some(end),
            (None, Some(key)) => {
                let rest = &self.text[key.span().end..];
                let blanks = rest.len() - rest.trim_start_matches(' ').len();
                let colon = rest[blanks..].starts_with(':');
                Some(key.span().end + if colon { blanks + 1 } else { 0 })
            }
            (None, None) => None,
        }
    }

    /// Where the value begins, with what comes before it: after the key or the dash.
    pub(super) fn after_name(&self) -> Option<usize> {
        match self.key {
            Some(key) => Some(key.span().end),
            None => self.start().map(|dash| dash + 1),
        }
    }

    /// The bytes of a scalar that stands on the line of its name, without an anchor or a tag before it.
    pub(super) fn inline_scalar(&self) -> Option<Range<usize>> {
        self.value.scalar()?;
        let span = self.value.span();
        let name = if self.flow && self.key.is_none() { span.start } else { self.after_name()? };
        let line = self.text.get(name..self.end()?)?;
        (!span.is_empty() && !line.contains('\n')).then_some(span)
    }

    /// The end of the last line that belongs to the entry: with the comments below that are indented deeper.
    pub(super) fn last_line_end(&self) -> Option<usize> {
        let (end, column) = (self.end()?, self.column()?);
        let rest = self.text[end..line_end(self.text, end)].trim_start();
        if !rest.is_empty() && !rest.starts_with('#') {
            return None;
        }
        let (mut last, mut at) = (line_end(self.text, end), next_line(self.text, end));
        while at < self.text.len() {
            let line = &self.text[at..line_end(self.text, at)];
            match line.trim() {
                "" => {}
                comment if comment.starts_with('#') && indent(line) > column => {
                    last = line_end(self.text, at);
                }
                _ => break,
            }
            at = next_line(self.text, at);
        }
        Some(last)
    }

    /// The starts of the comment lines and blank lines directly above the entry, first line first.
    pub(super) fn lines_above(&self) -> Vec<usize> {
        let mut lines = Vec::new();
        let Some(start) = self.start() else { return lines };
        let mut at = line_start(self.text, start);
        while at > 0 {
            let above = line_start(self.text, at - 1);
            let line = self.text[above..at].trim();
            if !line.is_empty() && !line.starts_with('#') {
                break;
            }
            lines.push(above);
            at = above;
        }
        lines.reverse();
        lines
    }
}

/// The byte after the last part of a node; `None` for a value that is not written.
fn end_of(text: &str, node: Node<'_>) -> Option<usize> {
    let span = node.span();
    if node.is_alias() || in_brackets(text, node) {
        return Some(span.end);
    }
    if node.scalar().is_some() {
        let written = text[span.clone()].trim_end();
        let nothing = written.is_empty() && (span.is_empty() || node.scalar() == Some(&Scalar::Null));
        return (!nothing).then_some(span.start + written.len());
    }
    let doc_ends = |entry: Entry<'_>| entry.end();
    let own = node
        .entries()
        .map(|(key, value)| Entry { text, key: Some(key), value, flow: false })
        .filter_map(doc_ends);
    let items = node
        .seq()
        .into_iter()
        .flatten()
        .map(|value| end_of(text, value).unwrap_or_else(|| value.span().start.min(text.len())));
    let merged = node.merges().filter_map(|value| end_of(text, value));
    own.chain(items).chain(merged).max()
}
