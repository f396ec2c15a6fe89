//! Which lines of a shell file are commands of the file itself, and which are part of something longer.
//!
//! Promises: one pass, no recursion, no guess. Quotes, brackets, blocks and here-documents are followed only to know
//! where they end; a file in which they do not come out even is refused, since any line of it may then be inside
//! something.

use std::collections::VecDeque;

/// Keywords that open a block, each with the one that closes it in bash, zsh and dash, and in fish.
const BLOCKS: [(&str, Option<&str>, Option<&str>); 10] = [
    ("if", Some("fi"), Some("end")),
    ("while", Some("done"), Some("end")),
    ("for", Some("done"), Some("end")),
    ("until", Some("done"), None),
    ("select", Some("done"), None),
    ("case", Some("esac"), None),
    ("switch", None, Some("end")),
    ("function", None, Some("end")),
    ("begin", None, Some("end")),
    ("{", Some("}"), Some("}")),
];
/// Keywords right after which another one may stand.
const BEFORE_COMMANDS: [&str; 14] =
    ["if", "while", "until", "begin", "{", "then", "else", "elif", "do", "!", "time", "and", "or", "not"];

/// Something that has been opened.
#[derive(Clone, Copy)]
enum Open {
    /// Text up to this end. The flag: a backslash takes the next character with it.
    Text(&'static str, bool),
    /// Commands up to this keyword or bracket.
    Code(&'static str),
}

/// Whether each line of `text` begins and ends outside of everything. An error is the line from which that is unknown.
pub(super) fn at_top(text: &str, fish: bool) -> Result<Vec<bool>, usize> {
    let mut reader = Reader { fish, ..Reader::default() };
    let mut lines = Vec::new();
    for line in text.split('\n') {
        lines.push(reader.line(line.strip_suffix('\r').unwrap_or(line)).ok_or(reader.number)?);
    }
    let open = reader.open.first().map(|(_, line)| *line);
    open.or(reader.heredocs.front().map(|(.., line)| *line)).map_or(Ok(lines), Err)
}

#[derive(Default)]
struct Reader {
    fish: bool,
    number: usize,
    /// What is open, with the lines that opened it.
    open: Vec<(Open, usize)>,
    /// Of each here-document that begins after this line: its end, whether tabs may stand before that, this line.
    heredocs: VecDeque<(String, bool, usize)>,
    /// The last line of a here-document ends in a backslash.
    escaped: bool,
    /// The last thing is a backslash, an operator, or the `()` of a function: what it belongs to goes on.
    unfinished: bool,
    /// A keyword may stand here.
    starts: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<bool> {
        self.number += 1;
        if let Some((end, tabs, _)) = self.heredocs.front() {
            let bare = if *tabs { line.trim_start_matches('\t') } else { line };
            // Shells differ on an end behind a backslash: it is not taken for one.
            if bare == end && !self.escaped {
                self.heredocs.pop_front();
            }
            self.escaped = line.ends_with('\\');
            return Some(false);
        }
        let before = self.open.is_empty() && !self.unfinished;
        self.starts = true;
        let (mut rest, mut last) = (line, ' ');
        while let Some(c) = rest.chars().next() {
            let length = match self.open.last() {
                Some((Open::Text(end, escapes), _)) => self.text(rest, end, *escapes)?,
                // Behind a bracket it is part of a pattern of zsh.
                _ if c == '#' && is_gap(last) && !matches!(last, '(' | ')') => break,
                _ => self.code(rest, c, last)?,
            };
            last = rest[..length].chars().next_back()?;
            rest = &rest[length..];
        }
        Some(before && self.open.is_empty() && self.heredocs.is_empty() && !self.unfinished)
    }

    fn push(&mut self, open: Open) {
        self.open.push((open, self.number));
    }

    fn waits_for(&self, word: &str) -> bool {
        matches!(self.open.last(), Some((Open::Code(end), _)) if *end == word)
    }

    /// Inside a text: how many bytes of `rest` are one step.
    fn text(&mut self, rest: &str, end: &str, escapes: bool) -> Option<usize> {
        if rest.starts_with(end) {
            self.open.pop();
            return Some(end.len());
        }
        if end == "\"" && (rest.starts_with("$(") || rest.starts_with("${")) {
            return Some(self.dollar(rest));
        }
        if end == "}" && rest.starts_with('\'') {
            // Of `"${x:-it's}"` bash makes an open quote, and zsh and dash the words that stand there.
            let quoted = rest[1..].find(['\'', '"', '}'])? + 1;
            return rest[quoted..].starts_with('\'').then_some(quoted + 1);
        }
        Some(step(rest, escapes))
    }

    /// Inside commands: how many bytes of `rest`, which begins with `c` and stands behind `last`, are one step.
    fn code(&mut self, rest: &str, c: char, last: char) -> Option<usize> {
        if is_gap(last) {
            let end = rest.find(|c| is_gap(c) || "\"'$`\\=[".contains(c)).unwrap_or(rest.len());
            if end > 0 {
                self.word(&rest[..end], rest[end..].chars().next())?;
                return Some(end);
            }
        }
        match c {
            ' ' | '\t' => {}
            ';' | '&' | '|' => {
                self.unfinished = c == '|' || (c == '&' && matches!(last, '&' | '|'));
                self.starts = true;
            }
            '(' | ')' => return self.bracket(rest, last),
            '<' if !self.fish && rest.starts_with("<<") => return self.heredoc(rest),
            _ => {
                (self.unfinished, self.starts) = (rest == "\\", false);
                match c {
                    '$' => return Some(self.dollar(rest)),
                    '"' => self.push(Open::Text("\"", true)),
                    '\'' => self.push(Open::Text("'", self.fish)),
                    '`' if !self.fish => self.push(Open::Text("`", true)),
                    '[' if !self.fish && (last.is_alphanumeric() || last == '_') => {
                        self.push(Open::Text("]", true));
                    }
                    _ => {}
                }
            }
        }
        Some(step(rest, true))
    }

    fn dollar(&mut self, rest: &str) -> usize {
        let texts = [("$((", "))"), ("${", "}"), ("$'", "'")];
        let text = texts.iter().find(|(begin, _)| !self.fish && rest.starts_with(begin));
        let (begin, open) = match text {
            Some((begin, end)) => (*begin, Open::Text(end, true)),
            None if rest.starts_with("$(") => ("$(", Open::Code(")")),
            None => return 1,
        };
        self.starts = true;
        self.push(open);
        begin.len()
    }

    fn bracket(&mut self, rest: &str, last: char) -> Option<usize> {
        self.unfinished = rest.starts_with("()");
        if self.unfinished {
            // The body of a function follows.
            self.starts = true;
            return Some(2);
        }
        if rest.starts_with("((") && is_gap(last) {
            self.push(Open::Text("))", true));
            return Some(2);
        }
        if rest.starts_with('(') {
            self.starts = is_gap(last);
            self.push(Open::Code(")"));
            return Some(1);
        }
        // Another one ends a pattern.
        let pops = self.waits_for(")");
        self.starts = pops.then(|| self.open.pop()).is_none() || self.waits_for("esac");
        (pops || self.waits_for("esac")).then_some(1)
    }

    fn heredoc(&mut self, rest: &str) -> Option<usize> {
        if rest.starts_with("<<<") {
            return Some(3);
        }
        let tabs = rest.starts_with("<<-");
        let after = rest[2 + usize::from(tabs)..].trim_start_matches([' ', '\t']);
        let (end, left) = match after.chars().next() {
            Some(quote @ ('\'' | '"')) => after[1..].split_once(quote)?,
            _ => {
                let word = after.strip_prefix('\\').unwrap_or(after);
                word.split_at(word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len()))
            }
        };
        if end.is_empty() || !left.chars().next().is_none_or(is_gap) {
            return None;
        }
        self.heredocs.push_back((end.to_owned(), tabs, self.number));
        Some(rest.len() - left.len())
    }

    /// Follows the blocks. `next` is the character behind the word.
    fn word(&mut self, word: &str, next: Option<char>) -> Option<()> {
        let starts = std::mem::replace(&mut self.starts, false);
        self.unfinished = false;
        let pattern = self.waits_for("esac") && word != "esac" && matches!(next, Some(')' | '|'));
        // To zsh a brace counts wherever it stands.
        if !(starts || matches!(word, "{" | "}")) || pattern || !next.is_none_or(is_gap) {
            return Some(());
        }
        let close = |(_, posix, fish): &(_, _, _)| if self.fish { *fish } else { *posix };
        let closes = BLOCKS.iter().any(|row| close(row) == Some(word));
        let opens = BLOCKS.iter().find(|(open, ..)| *open == word).and_then(close);
        if closes {
            self.waits_for(word).then(|| self.open.pop())?;
        } else if let Some(end) = opens {
            self.push(Open::Code(end));
        } else if !self.fish && matches!(word, "foreach" | "repeat") {
            // Blocks of zsh that have another form.
            return None;
        }
        self.starts = closes || (BEFORE_COMMANDS.contains(&word) && !(self.fish && word == "else"));
        Some(())
    }
}

/// Blanks and operators, between which words stand.
fn is_gap(c: char) -> bool {
    " \t;&|()<>".contains(c)
}

/// The first character of `rest`, with the next one if it is a backslash that `escapes`.
fn step(rest: &str, escapes: bool) -> usize {
    let taken = if escapes && rest.starts_with('\\') { 2 } else { 1 };
    rest.chars().take(taken).map(char::len_utf8).sum()
}
