//! The changes from the last version to the new one, made in the user's text.
//!
//! Promises: only what changed is touched: comments, quotes, order, brackets, line ends and indentation of the rest stay
//! byte for byte. It makes the changes that a merge of values allows and proves nothing: the caller reads the result
//! and compares. `None` means a layout that it makes no edit in.

use std::ops::Range;

use super::super::yaml::{Doc, Node, Value};
use super::flow;
use super::layout::{self, Entry, in_brackets, indent, line_end, line_start, next_line};
use super::pairs::{self, Numbers};

/// The text of `local` with the changes from `base` to `new`. The values of all three must merge without a conflict.
pub(super) fn splice(base: &Doc, local: &Doc, new: &Doc) -> Option<String> {
    let crlf = local.text().contains("\r\n");
    let mut editor =
        Editor { base, local, new, line_feed: if crlf { "\r\n" } else { "\n" }, edits: Vec::new() };
    let (root, wanted) = (local.root()?, new.root()?);
    if !root.is_map() || !wanted.is_map() {
        return None;
    }
    editor.mapping(base.root().filter(|root| root.is_map()), root, wanted, true)?;
    editor.apply()
}

struct Editor<'d> {
    base: &'d Doc,
    local: &'d Doc,
    new: &'d Doc,
    line_feed: &'static str,
    /// Bytes of the local text and what replaces them.
    edits: Vec<(Range<usize>, String)>,
}

/// A collection in all three versions, with the numbers of its entries.
struct Level<'d> {
    base: Vec<Entry<'d>>,
    local: Vec<Entry<'d>>,
    new: Vec<Entry<'d>>,
    numbers: Numbers,
}

impl<'d> Level<'d> {
    fn base_of(&self, number: usize) -> Option<Entry<'d>> {
        self.numbers.base.iter().position(|known| *known == number).map(|at| self.base[at])
    }

    fn new_of(&self, number: usize) -> Option<Entry<'d>> {
        self.numbers.new.iter().position(|known| *known == number).map(|at| self.new[at])
    }
}

impl<'d> Editor<'d> {
    fn apply(mut self) -> Option<String> {
        self.edits.sort_by_key(|(bytes, _)| (bytes.start, bytes.end));
        let text = self.local.text();
        let (mut done, mut result) = (0, String::with_capacity(text.len() + 256));
        for (bytes, put) in &self.edits {
            match text.get(done..bytes.start) {
                Some(unchanged) => result.push_str(unchanged),
                // Two removals may share a comma or a blank line.
                None if put.is_empty() => {}
                None => return None,
            }
            result.push_str(put);
            done = done.max(bytes.end);
        }
        result.push_str(text.get(done..)?);
        Some(result)
    }

    fn mapping(&mut self, base: Option<Node<'d>>, local: Node<'d>, new: Node<'d>, root: bool) -> Option<()> {
        if local.is_alias() || new.merges().next().is_some() {
            return None;
        }
        let level = Level {
            base: base.map_or_else(Vec::new, |base| layout::members(self.base, base)),
            local: layout::members(self.local, local),
            new: layout::members(self.new, new),
            numbers: number_members(base, local, new)?,
        };
        self.level(&level, local, root)
    }

    fn list(&mut self, base: Node<'d>, local: Node<'d>, new: Node<'d>, models: bool) -> Option<()> {
        if local.is_alias() {
            return None;
        }
        let values =
            |list: Node<'d>| list.seq().into_iter().flatten().map(Node::to_value).collect::<Vec<Value>>();
        let numbers = pairs::number(models, &values(base), &values(local), &values(new))?;
        if numbers.ordered && numbers.reordered() {
            return None;
        }
        let level = Level {
            base: layout::items(self.base, base),
            local: layout::items(self.local, local),
            new: layout::items(self.new, new),
            numbers,
        };
        self.level(&level, local, false)
    }

    /// Changes, removes and adds the entries of one collection.
    fn level(&mut self, level: &Level<'d>, local: Node<'d>, root: bool) -> Option<()> {
        let (mut kept, mut removed) = (Vec::new(), Vec::new());
        for (entry, number) in level.local.iter().zip(&level.numbers.local) {
            if !level.numbers.keeps(*number) {
                removed.push((*entry, level.base_of(*number)));
                continue;
            }
            kept.push(*entry);
            if let Some(new) = level.new_of(*number) {
                self.change(level.base_of(*number), *entry, new, root)?;
            }
        }
        // An empty block says nothing at all: the caller replaces the whole value.
        if kept.is_empty() && !removed.is_empty() {
            return None;
        }
        for (entry, base) in removed {
            self.remove(entry, base, &kept)?;
        }
        for (at, after) in level.numbers.added() {
            self.add(level.new[at], after.map(|after| kept[after]), kept.first().copied(), local)?;
        }
        Some(())
    }

    fn change(
        &mut self,
        base: Option<Entry<'d>>,
        local: Entry<'d>,
        new: Entry<'d>,
        root: bool,
    ) -> Option<()> {
        let (mine, wanted) = (local.value.to_value(), new.value.to_value());
        let shipped = base.map(|base| base.value.to_value());
        if mine == wanted || shipped.as_ref() == Some(&wanted) {
            return Some(());
        }
        let before = self.edits.len();
        let inside = match (&mine, &wanted) {
            (Value::Map(_), Value::Map(_)) => {
                let base = base.map(|base| base.value).filter(|base| base.is_map());
                self.mapping(base, local.value, new.value, false)
            }
            (Value::Seq(_), Value::Seq(_)) => {
                let models = root && local.key.and_then(Node::str) == Some("model_list");
                let base = base.map(|base| base.value).filter(|base| base.seq().is_some());
                base.and_then(|base| self.list(base, local.value, new.value, models))
            }
            _ => None,
        };
        if inside.is_some() {
            return Some(());
        }
        self.edits.truncate(before);
        // Only a value that the user did not change is replaced as a whole.
        if shipped.as_ref() == Some(&mine) { self.replace(local, new) } else { None }
    }

    fn replace(&mut self, local: Entry<'d>, new: Entry<'d>) -> Option<()> {
        if let (Some(bytes), Some(source)) = (local.inline_scalar(), new.inline_scalar()) {
            let written = &new.text[source];
            let quoted = written.starts_with(['"', '\'']);
            let plain = !local.flow || !written.contains([',', '[', ']', '{', '}']);
            let safe = (quoted || plain) && !new.value.is_alias();
            let text = if safe { written.to_owned() } else { flow::value(new.value) };
            self.edits.push((bytes, text));
            return Some(());
        }
        let end = local.end()?;
        if local.flow && local.key.is_none() {
            self.edits.push((local.value.span(), flow::value(new.value)));
            return Some(());
        }
        let (from, colon) = (local.after_name()?, if local.key.is_some() { ":" } else { "" });
        let text = if local.flow || new.flow {
            format!("{colon} {}", flow::value(new.value))
        } else {
            let source = &new.text[new.after_name()?..new.end()?];
            let lines = indented(source, new.column()?, local.column()?);
            lines.join(self.line_feed)
        };
        self.edits.push((from..end, text));
        Some(())
    }

    fn remove(&mut self, entry: Entry<'d>, base: Option<Entry<'d>>, kept: &[Entry<'d>]) -> Option<()> {
        let (start, end) = (entry.start()?, entry.end()?);
        if entry.flow {
            self.remove_between_brackets(entry.text, start, end, kept)?;
        } else if entry.begins_line() {
            self.remove_lines(entry, base)?;
        } else {
            // The first member of a list's item shares its line with the dash.
            let rest = &entry.text[end..];
            let next = end + (rest.len() - rest.trim_start().len());
            let comment = entry.text[next..].starts_with('#');
            self.edits.push((start..if comment { end } else { next }, String::new()));
        }
        Some(())
    }

    fn remove_between_brackets(
        &mut self,
        text: &str,
        start: usize,
        end: usize,
        kept: &[Entry<'d>],
    ) -> Option<()> {
        let comma = text[end..].find(|c: char| !c.is_whitespace()).map(|at| end + at);
        let comma = comma.filter(|at| text[*at..].starts_with(','));
        let mut bytes = start..comma.map_or(end, |comma| comma + 1);
        let after = &text[bytes.end..];
        bytes.end += after.len() - after.trim_start_matches(' ').len();
        if comma.is_none() {
            // The last one takes the comma before it along, unless a comment is in between.
            let before = kept.iter().filter_map(Entry::end).filter(|other| *other <= start).max();
            bytes.start = before.filter(|at| !text[*at..start].contains('#')).unwrap_or(start);
            bytes.end = end;
        }
        let (line, rest) = (line_start(text, bytes.start), &text[bytes.end..line_end(text, bytes.end)]);
        if text[line..bytes.start].trim().is_empty() && rest.is_empty() {
            bytes = line..next_line(text, bytes.end);
        }
        self.edits.push((bytes, String::new()));
        Some(())
    }

    /// Removes the lines of an entry, and those comments around it that the new version does not have any more.
    fn remove_lines(&mut self, entry: Entry<'d>, base: Option<Entry<'d>>) -> Option<()> {
        let text = entry.text;
        let (start, end) = (line_start(text, entry.start()?), entry.end()?);
        let last = entry.last_line_end()?;
        let shipped = base.filter(|base| !base.flow).map(comments_around).unwrap_or_default();
        let times = |text: &str, line: &str| text.lines().filter(|other| other.trim() == line).count();
        let gone = |line: &str| {
            shipped.contains(&line) && times(self.base.text(), line) > times(self.new.text(), line)
        };
        let mut above = entry.lines_above();
        let mut from = start;
        while let Some(line) = above.last().copied() {
            let words = text[line..from].trim();
            if words.is_empty() || !gone(words) {
                break;
            }
            from = line;
            above.pop();
        }
        let mut to = next_line(text, end);
        while to < last {
            let line = text[to..line_end(text, to)].trim();
            if !line.is_empty() && !gone(line) {
                break;
            }
            to = next_line(text, to);
        }
        // One blank line between what remains, not two.
        let blank_above = above.last().filter(|line| text[**line..from].trim().is_empty());
        let blank_below = to >= text.len() || text[to..line_end(text, to)].trim().is_empty();
        if let (Some(line), true) = (blank_above, blank_below) {
            from = *line;
        }
        self.edits.push((from..to, String::new()));
        Some(())
    }

    /// Adds an entry of the new version after the local entry `after`, or before `first`, to the collection `inside`.
    fn add(
        &mut self,
        entry: Entry<'d>,
        after: Option<Entry<'d>>,
        first: Option<Entry<'d>>,
        inside: Node<'d>,
    ) -> Option<()> {
        if in_brackets(self.local.text(), inside) {
            return self.add_between_brackets(entry, after, first, inside);
        }
        let first = first?;
        // The order of members means nothing, and comments above the first one stay above it.
        let after = if entry.key.is_some() { Some(after.unwrap_or(first)) } else { after };
        let column = first.column()?;
        match after {
            Some(after) => {
                // The start of the next line, because the line of `after` itself may go.
                let text = after.text;
                let at = next_line(text, after.last_line_end()?);
                let lines = self.block(entry, column, &comments_from(text, at))?;
                let ended = text[..at].ends_with('\n');
                let line = |line: &String| match ended {
                    true => format!("{line}{}", self.line_feed),
                    false => format!("{}{line}", self.line_feed),
                };
                self.edits.push((at..at, lines.iter().map(line).collect()));
            }
            None => {
                let at = self.above(first)?;
                let lines = self.block(entry, column, &[])?;
                let lines = lines.iter().skip_while(|line| line.is_empty());
                let text: String = lines.map(|line| format!("{line}{}", self.line_feed)).collect();
                self.edits.push((at..at, text));
            }
        }
        Some(())
    }

    /// The start of the first of the comment lines directly above an entry.
    fn above(&self, first: Entry<'d>) -> Option<usize> {
        if !first.begins_line() {
            return None;
        }
        let lines = first.lines_above();
        let comments = lines.iter().rev().take_while(|line| !blank_line(first.text, **line));
        Some(comments.last().copied().unwrap_or(line_start(first.text, first.start()?)))
    }

    fn add_between_brackets(
        &mut self,
        entry: Entry<'d>,
        after: Option<Entry<'d>>,
        first: Option<Entry<'d>>,
        inside: Node<'d>,
    ) -> Option<()> {
        let text = self.local.text();
        let value = flow::value(entry.value);
        let put = entry.key.map_or_else(|| value.clone(), |key| format!("{}: {value}", flow::value(key)));
        let after = if entry.key.is_some() { after.or(first) } else { after };
        let edit = match (after, first) {
            (Some(after), _) => {
                let (start, end) = (after.start()?, after.end()?);
                let before = &text[line_start(text, start)..start];
                let alone = before.trim().is_empty();
                let gap = if alone { format!("{}{before}", self.line_feed) } else { " ".to_owned() };
                (end..end, format!(",{gap}{put}"))
            }
            (None, Some(first)) => (first.start()?..first.start()?, format!("{put}, ")),
            (None, None) => (inside.span().start + 1..inside.span().end - 1, put),
        };
        self.edits.push(edit);
        Some(())
    }

    /// The lines of an entry of the new version, with the comments above it that are not in `known`.
    fn block(&self, entry: Entry<'d>, column: usize, known: &[&str]) -> Option<Vec<String>> {
        let pad = " ".repeat(column);
        if entry.flow {
            let value = flow::value(entry.value);
            let name = entry.key.map_or_else(|| "-".to_owned(), |key| format!("{}:", flow::value(key)));
            return Some(vec![format!("{pad}{name} {value}")]);
        }
        let (start, from) = (entry.start()?, entry.column()?);
        let mut lines = Vec::new();
        if entry.begins_line() {
            let above = entry.lines_above();
            let deeper = |line: &usize| {
                let line = &entry.text[*line..line_end(entry.text, *line)];
                !line.trim().is_empty() && indent(line) > from
            };
            let own = above.iter().rposition(deeper).map_or(0, |last| last + 1);
            let comments =
                above[own..].iter().map(|line| entry.text[*line..line_end(entry.text, *line)].trim());
            for comment in comments.filter(|comment| !known.contains(comment)) {
                let again = comment.is_empty() && lines.last().is_some_and(String::is_empty);
                if !again {
                    lines.push(if comment.is_empty() { String::new() } else { format!("{pad}{comment}") });
                }
            }
        }
        let source = entry.text[start..entry.last_line_end()?].trim_end();
        let mut body = indented(source, from, column).into_iter();
        lines.push(format!("{pad}{}", body.next()?));
        lines.extend(body);
        Some(lines)
    }
}

/// Numbers the members of a mapping by their keys. What a merge key brings into the local one is not written there: it stays
/// as it is, and a value that the new version changed is added beside the merge key and wins.
fn number_members(base: Option<Node<'_>>, local: Node<'_>, new: Node<'_>) -> Option<Numbers> {
    let keys = |node: Node<'_>| node.entries().map(|(key, _)| key.to_value()).collect::<Vec<Value>>();
    let (mut shipped, mine, wanted) = (base.map(keys).unwrap_or_default(), keys(local), keys(new));
    if let (Value::Map(all), Value::Map(new)) = (local.to_value(), new.to_value()) {
        let before = base.map(Node::to_value);
        let before = |key: &Value| match &before {
            Some(Value::Map(members)) => members.get(key),
            _ => None,
        };
        for key in wanted.iter().filter(|key| !mine.contains(key) && all.contains_key(key)) {
            let changed = all.get(key) != new.get(key) && before(key) != new.get(key);
            shipped.retain(|known| known != key);
            if !changed {
                shipped.push(key.clone());
            }
        }
    }
    let [shipped, mine, wanted] = [&shipped, &mine, &wanted].map(|keys| keys.iter().collect::<Vec<_>>());
    pairs::number_keys(&shipped, &mine, &wanted)
}

fn blank_line(text: &str, at: usize) -> bool {
    text[at..line_end(text, at)].trim().is_empty()
}

/// The comment lines from the line at `at` on, up to the first line that is not one or blank.
fn comments_from(text: &str, at: usize) -> Vec<&str> {
    let lines = text[at..].lines().map(str::trim);
    lines
        .take_while(|line| line.is_empty() || line.starts_with('#'))
        .filter(|line| !line.is_empty())
        .collect()
}

/// The comment lines above an entry and below it as far as they belong to it.
fn comments_around(entry: Entry<'_>) -> Vec<&str> {
    let mut comments: Vec<&str> = entry
        .lines_above()
        .iter()
        .map(|line| entry.text[*line..line_end(entry.text, *line)].trim())
        .filter(|line| !line.is_empty())
        .collect();
    if let (Some(end), Some(last)) = (entry.end(), entry.last_line_end()) {
        let below = &entry.text[next_line(entry.text, end).min(last)..last];
        comments.extend(below.lines().map(str::trim).filter(|line| line.starts_with('#')));
    }
    comments
}

/// The lines of `source`, the second and later ones moved from column `from` to column `to`.
fn indented(source: &str, from: usize, to: usize) -> Vec<String> {
    let moved = |(at, line): (usize, &str)| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if at == 0 || line.trim().is_empty() {
            return line.trim_end().to_owned();
        }
        let own = (indent(line) + to).saturating_sub(from);
        format!("{}{}", " ".repeat(own), line.trim_start_matches(' '))
    };
    source.split('\n').enumerate().map(moved).collect()
}
