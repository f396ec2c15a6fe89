//! JSON with comments and trailing commas, read for its places: where each member of the two outer levels stands.
//!
//! Promises: strict in everything else (no single quotes, no bare names, no raw control characters, no NaN); bounded
//! depth, so no input exhausts the stack; numbers and strings are never converted, only their places are kept.
//!
//! Not the parser of a crate: jsonc-parser 0.34 accepts what `JSON.parse` of Claude Code refuses (line breaks in strings,
//! blanks of Unicode), refuses `"\ud800"`, which that accepts, and holds 76 MiB for a text of 1 MiB.

use std::ops::Range;

use super::problem::Problem;

/// Deeper than any settings file, shallower than any stack.
const DEPTH_LIMIT: usize = 200;

/// A value by its place. `members` is filled in for the objects of the levels that were asked for.
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) members: Option<Vec<Member>>,
}

/// `"name": value` in an object, and the comma after it.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) name_span: Range<usize>,
    pub(super) value: Node,
    pub(super) comma: Option<usize>,
}

impl Member {
    /// From the name to the end of the value.
    pub(super) fn span(&self) -> Range<usize> {
        self.name_span.start..self.value.span.end
    }
}

/// Reads `text` as one value, keeping the members of the outer `levels` levels.
pub(super) fn read(text: &str, levels: usize) -> Result<Node, Problem> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.skip_blank()?;
    if reader.at == text.len() {
        return Err(Problem::at(text, 0, "the file is empty: a settings file holds at least {}"));
    }
    let node = reader.value(levels)?;
    reader.skip_blank()?;
    match reader.at == text.len() {
        true => Ok(node),
        false => Err(reader.problem("text after the end of the value")),
    }
}

/// `raw`, a value that `read` accepted, without comments and trailing commas: what a plain JSON reader takes.
pub(super) fn without_extras(raw: &str) -> String {
    let mut plain = String::with_capacity(raw.len());
    let mut reader = Reader { text: raw, at: 0, depth: 0 };
    while reader.skip_blank().is_ok() && reader.at < raw.len() {
        let start = reader.at;
        match raw.as_bytes()[start] {
            b'"' => drop(reader.string()),
            b',' => {
                reader.at += 1;
                let closes = reader.skip_blank().is_ok() && matches!(reader.peek(), Some(b'}' | b']'));
                plain.push_str(if closes { "" } else { "," });
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b':' => reader.at += 1,
            _ => {
                reader.at += raw[start..]
                    .bytes()
                    .take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
                    .count()
                    .max(1)
            }
        }
        plain.push_str(&raw[start..reader.at]);
    }
    plain
}

/// The end of the last comment between `at` and the next token, or `at` if there is none.
pub(super) fn comments_end(text: &str, at: usize) -> usize {
    let mut reader = Reader { text, at, depth: 0 };
    let mut end = at;
    loop {
        reader.skip_spaces();
        match reader.skip_comment() {
            Ok(true) => end = reader.at,
            _ => return end,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn problem(&self, why: &str) -> Problem {
        Problem::at(self.text, self.at, why)
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn skip_blank(&mut self) -> Result<(), Problem> {
        loop {
            self.skip_spaces();
            if !self.skip_comment()? {
                return Ok(());
            }
        }
    }

    fn skip_comment(&mut self) -> Result<bool, Problem> {
        let rest = &self.text[self.at..];
        let len = if rest.starts_with("//") {
            let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
            let line = line.strip_suffix('\r').unwrap_or(line);
            // Readers differ on whether a lone CR ends the comment; so nobody can say what the file means.
            if line.contains('\r') {
                return Err(self.problem("a carriage return inside this comment"));
            }
            line.len()
        } else if let Some(body) = rest.strip_prefix("/*") {
            2 + body.find("*/").ok_or_else(|| self.problem("this comment is never closed"))? + 2
        } else {
            return Ok(false);
        };
        if self.text[self.at..self.at + len].contains('\0') {
            return Err(self.problem("a NUL character inside this comment"));
        }
        self.at += len;
        Ok(true)
    }

    fn value(&mut self, levels: usize) -> Result<Node, Problem> {
        let start = self.at;
        let mut members = None;
        match self.peek() {
            Some(b'{') => {
                let found = self.nested(|reader| reader.object(levels.saturating_sub(1), levels > 0))?;
                members = (levels > 0).then_some(found);
            }
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => drop(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        }
        Ok(Node { span: start..self.at, members })
    }

    fn nested<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        if self.depth == DEPTH_LIMIT {
            return Err(self.problem(&format!("nested deeper than {DEPTH_LIMIT} levels")));
        }
        self.depth += 1;
        self.at += 1;
        let found = body(self)?;
        self.depth -= 1;
        Ok(found)
    }

    /// Stands after the `{`.
    fn object(&mut self, levels: usize, keep: bool) -> Result<Vec<Member>, Problem> {
        let mut members = Vec::new();
        loop {
            self.skip_blank()?;
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(members);
                }
                Some(b'"') => {}
                Some(_) => return Err(self.problem("expected a key in double quotes or }")),
                None => return Err(self.problem("the file ends inside an object: a } is missing")),
            }
            let start = self.at;
            let name = self.string()?;
            let name_span = start..self.at;
            self.skip_blank()?;
            if self.peek() != Some(b':') {
                return Err(self.problem("expected : after the key"));
            }
            self.at += 1;
            self.skip_blank()?;
            let value = self.value(levels)?;
            let comma = self.comma(b'}')?;
            if keep {
                members.push(Member { name, name_span, value, comma });
            }
        }
    }

    /// Stands after the `[`.
    fn array(&mut self) -> Result<(), Problem> {
        loop {
            self.skip_blank()?;
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(());
            }
            self.value(0)?;
            self.comma(b']')?;
        }
    }

    /// Takes the comma after a value, which may be missing only before `close`.
    fn comma(&mut self, close: u8) -> Result<Option<usize>, Problem> {
        self.skip_blank()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(Some(self.at - 1))
            }
            Some(byte) if byte == close => Ok(None),
            Some(_) => Err(self.problem(&format!("expected , or {}", char::from(close)))),
            None => {
                Err(self.problem(&format!("the file ends too early: a {} is missing", char::from(close))))
            }
        }
    }

    /// Takes a string and gives its text; where an escape names half of a surrogate pair, which JavaScript accepts and
    /// no Rust string can hold, the JSON text itself.
    fn string(&mut self) -> Result<String, Problem> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(Problem::at(self.text, start, "this string is never closed")),
                Some(b'"') => break,
                Some(byte) if byte < 0x20 => {
                    return Err(self.problem("a control character or line break inside a string"));
                }
                Some(b'\\') => self.escape()?,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        let raw = &self.text[start..self.at];
        Ok(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()))
    }

    fn escape(&mut self) -> Result<(), Problem> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let len = match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if rest.len() > 4 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(self.problem("not an escape of JSON")),
        };
        self.at += len;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Problem> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let whole = self.digits();
        let leading_zero = whole > 1 && self.text.as_bytes()[self.at - whole] == b'0';
        let mut good = whole > 0 && !leading_zero;
        if self.peek() == Some(b'.') {
            self.at += 1;
            good &= self.digits() > 0;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            good &= self.digits() > 0;
        }
        match good {
            true => Ok(()),
            false => Err(Problem::at(self.text, start, "not a number of JSON")),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self) -> Result<(), Problem> {
        let rest = &self.text[self.at..];
        let len = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if !matches!(&rest[..len], "true" | "false" | "null") {
            let why = if rest.is_empty() {
                "the file ends where a value should stand"
            } else {
                "not a value of JSON"
            };
            return Err(self.problem(why));
        }
        self.at += len;
        Ok(())
    }
}
