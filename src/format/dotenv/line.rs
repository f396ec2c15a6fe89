//! One line of a `.env` file: its key and value, or the reason why it has none. Other lines are not considered.

use std::ops::Range;

/// How a value is quoted in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    Bare,
    Single,
    Double,
}

/// Why a line has no usable value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw<'a> {
    /// The line itself is wrong.
    Here(&'static str),
    /// This quote is not closed on the line.
    OpenQuote(char),
    /// A backslash at the end of the line.
    Continued,
    /// `<<WORD`, with the word that ends it.
    Heredoc(&'a str),
}

/// The result of `read`: the key if there is one, and the value with its range (quotes included) in the line.
pub(super) struct Assignment<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) value: Result<(&'a str, Quoting, Range<usize>), Flaw<'a>>,
}

/// A line without its line end. A CR before the line feed, or at the end of the file, belongs to the line end.
pub(super) fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// A name that every shell accepts: a letter or `_`, then letters, digits and `_`.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The key of `NAME=CHANGE-ME-NAME`, the text after the `#` of a placeholder line.
pub(super) fn placeholder_key(comment: &str) -> Option<&str> {
    let (key, value) = comment.trim_matches([' ', '\t']).split_once('=')?;
    (is_name(key) && value.strip_prefix("CHANGE-ME-") == Some(key)).then_some(key)
}

/// Reads one line that is neither blank nor a comment and holds no control character but tabs.
pub(super) fn read(line: &str) -> Assignment<'_> {
    let mut assignment = read_closed(line);
    // That the line swallows the next ones matters more than what else is wrong with it.
    if assignment.value.is_err()
        && let Some(flaw) = left_open(line)
    {
        assignment.value = Err(flaw);
    }
    assignment
}

fn read_closed(line: &str) -> Assignment<'_> {
    let nothing = |why| Assignment { key: None, value: Err(Flaw::Here(why)) };
    let text = line.trim_start_matches([' ', '\t']);
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => text,
    };
    let Some((name, raw)) = text.split_once('=') else {
        return nothing("not KEY=VALUE: there is no =");
    };
    let key = name.trim_end_matches([' ', '\t']);
    if key.is_empty() {
        return nothing("no key before the =");
    }
    if !is_name(key) {
        return nothing("the text before the = is not the name of a variable");
    }
    if key.len() < name.len() {
        return Assignment {
            key: Some(key),
            value: Err(Flaw::Here("a space before the =: to a shell this is a command")),
        };
    }
    let offset = line.len() - raw.len();
    let value = read_value(raw)
        .map(|(value, quoting, span)| (value, quoting, span.start + offset..span.end + offset));
    Assignment { key: Some(key), value: value.map_err(Flaw::Here) }
}

/// Reads the text after the `=`; the range is that of the value with its quotes.
fn read_value(raw: &str) -> Result<(&str, Quoting, Range<usize>), &'static str> {
    if let Some(quote) = raw.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let inner = &raw[1..];
        let end = inner.find(quote).ok_or("the quote is not closed")?;
        let value = &inner[..end];
        if quote == '"' {
            literal_in_double_quotes(value)?;
        }
        if !ends_here(&inner[end + 1..]) {
            return Err("text after the closing quote");
        }
        let quoting = if quote == '"' { Quoting::Double } else { Quoting::Single };
        return Ok((value, quoting, 0..end + 2));
    }
    let end = raw.find([' ', '\t']).unwrap_or(raw.len());
    let (value, rest) = raw.split_at(end);
    literal_bare(value)?;
    match ends_here(rest) {
        true => Ok((value, Quoting::Bare, 0..end)),
        false if value.is_empty() => Err("a space after the ="),
        false => Err("a space in a value without quotes"),
    }
}

/// Whether only blanks, or blanks and a comment, follow a value. `#` starts a comment only after a blank.
fn ends_here(rest: &str) -> bool {
    let after = rest.trim_start_matches([' ', '\t']);
    after.is_empty() || (after.len() < rest.len() && after.starts_with('#'))
}

fn literal_in_double_quotes(value: &str) -> Result<(), &'static str> {
    match value.chars().find(|c| matches!(c, '$' | '`' | '\\')) {
        Some('\\') => Err("a backslash in double quotes: shells and docker compose read it differently"),
        Some(_) => Err("$ or ` in double quotes: a shell would expand it"),
        None => Ok(()),
    }
}

/// Refuses characters that a shell does not read literally outside quotes.
fn literal_bare(value: &str) -> Result<(), &'static str> {
    match value.chars().find(|c| "$`\\\"';&|<>(){}".contains(*c)) {
        Some('$' | '`') => Err("$ or ` outside single quotes: a shell would expand it"),
        Some('\\') => Err("a backslash without quotes: shells drop it, docker compose keeps it"),
        Some('"' | '\'') => Err("a quote inside a value without quotes"),
        Some(_) => Err("a character that a shell treats as an operator: put the value in single quotes"),
        None if value.starts_with('~') || value.contains(":~") => {
            Err("a shell would expand ~: write the whole path")
        }
        None => Ok(()),
    }
}

/// What `line` leaves open for the next lines, by the rules of a shell: a quote, a continuation, a here-document.
fn left_open(line: &str) -> Option<Flaw<'_>> {
    let mut open = None;
    let mut after_blank = true;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (open, c) {
            (Some('"') | None, '\\') if chars.next().is_none() => {
                return Some(open.map_or(Flaw::Continued, Flaw::OpenQuote));
            }
            (Some(quote), _) if c == quote => open = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => open = Some(c),
            (None, '#') if after_blank => break,
            (None, '<') if line[at..].starts_with("<<") => {
                return heredoc_end(&line[at + 2..]).map(Flaw::Heredoc);
            }
            (None, _) => {}
        }
        after_blank = matches!(c, ' ' | '\t');
    }
    open.map(Flaw::OpenQuote)
}

/// Whether a value opened with `quote` on an earlier line closes on this one.
pub(super) fn closes(line: &str, quote: char) -> bool {
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quote == '"' => drop(chars.next()),
            _ if c == quote => return true,
            _ => {}
        }
    }
    false
}

/// The word that ends a here-document; `text` follows the `<<`.
fn heredoc_end(text: &str) -> Option<&str> {
    let word = text.trim_start_matches(['-', ' ', '\t']).trim_start_matches(['\'', '"', '\\']);
    let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
    (end > 0).then(|| &word[..end])
}
