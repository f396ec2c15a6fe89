//! Shell text cut into commands and words, without running any of it.
//!
//! Knows quotes, comments, continuations, here-documents and substitutions of bash, zsh, dash and of fish, well enough
//! to tell a literal word from one that a shell would have to compute. Total: any text gives some answer, in one pass.

use super::Dialect;

/// One simple command: its words and where it stands.
pub(super) struct Command {
    pub(super) words: Vec<Word>,
    pub(super) line: usize,
    /// It runs only if something before it succeeds or fails, or in a subshell.
    pub(super) conditional: bool,
}

/// One word with its quotes taken off.
#[derive(Default, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    /// A shell would compute part of it: `$`, a backtick, `~`, braces.
    pub(super) computed: bool,
    /// Some of it was quoted, so it is no keyword.
    pub(super) quoted: bool,
}

/// Cuts `text` into commands.
pub(super) fn commands(text: &str, dialect: Dialect) -> Vec<Command> {
    let mut lexer = Lexer {
        chars: text.chars().collect(),
        at: 0,
        line: 1,
        fish: dialect == Dialect::Fish,
        done: Vec::new(),
        words: Vec::new(),
        word: None,
        started: 1,
        conditional: false,
        parens: 0,
        heredocs: Vec::new(),
    };
    lexer.run();
    lexer.done
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    fish: bool,
    done: Vec<Command>,
    words: Vec<Word>,
    word: Option<Word>,
    started: usize,
    conditional: bool,
    parens: usize,
    /// Words that end the here-documents begun on this line.
    heredocs: Vec<String>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn run(&mut self) {
        while let Some(c) = self.next() {
            match c {
                ' ' | '\t' | '\r' => self.end_word(),
                '\n' => {
                    self.end_command(false);
                    self.skip_heredocs();
                }
                '#' if self.word.is_none() => self.skip_comment(),
                ';' => self.end_command(false),
                '&' | '|' => {
                    let twice = self.peek(0) == Some(c);
                    self.at += usize::from(twice);
                    self.end_command(twice);
                }
                '(' if self.fish || self.word.as_ref().is_some_and(|word| word.text.ends_with('=')) => {
                    self.open_word().computed = true;
                    self.skip_nested(')');
                }
                '(' => {
                    self.end_command(false);
                    self.parens += 1;
                }
                ')' => {
                    self.end_command(false);
                    self.parens = self.parens.saturating_sub(1);
                }
                '<' | '>' => self.redirection(c),
                _ => self.word_char(c),
            }
        }
        self.end_command(false);
    }

    fn word_char(&mut self, c: char) {
        match c {
            '\\' => self.escaped(),
            '\'' => self.single_quoted(),
            '"' => self.double_quoted(),
            '$' => {
                self.open_word().computed = true;
                self.skip_substitution();
            }
            '`' => {
                self.open_word().computed = true;
                self.skip_to_backtick();
            }
            '~' => {
                let word = self.open_word();
                word.computed |= word.text.is_empty() || word.text.ends_with(['=', ':']);
                word.text.push(c);
            }
            // Alone it opens a block; inside a word it may be a brace expansion.
            '{' => {
                let part_of_word = self.word.is_some() || !self.peek(0).is_none_or(char::is_whitespace);
                let word = self.open_word();
                word.computed |= part_of_word;
                word.text.push(c);
            }
            _ => {
                let glob = self.fish && matches!(c, '*' | '?');
                let word = self.open_word();
                word.computed |= glob;
                word.text.push(c);
            }
        }
    }

    fn open_word(&mut self) -> &mut Word {
        if self.word.is_none() && self.words.is_empty() {
            self.started = self.line;
        }
        self.word.get_or_insert_default()
    }

    fn quoted_word(&mut self) -> &mut Word {
        let word = self.open_word();
        word.quoted = true;
        word
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    /// Ends the command; `then_conditional` says whether the next one depends on how this one ended.
    fn end_command(&mut self, then_conditional: bool) {
        self.end_word();
        if self.words.is_empty() {
            self.conditional |= then_conditional;
            return;
        }
        let words = std::mem::take(&mut self.words);
        let conditional = self.conditional || self.parens > 0;
        self.done.push(Command { words, line: self.started, conditional });
        self.conditional = then_conditional;
    }

    fn skip_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    /// A backslash outside quotes.
    fn escaped(&mut self) {
        let fish = self.fish;
        match self.next() {
            None | Some('\n') => {}
            Some(c) => {
                let word = self.quoted_word();
                word.computed |= fish && c.is_alphanumeric();
                word.text.push(c);
            }
        }
    }

    fn single_quoted(&mut self) {
        self.quoted_word();
        while let Some(c) = self.next().filter(|c| *c != '\'') {
            let c = match self.peek(0).filter(|next| self.fish && c == '\\' && matches!(next, '\'' | '\\')) {
                Some(next) => {
                    self.at += 1;
                    next
                }
                None => c,
            };
            self.open_word().text.push(c);
        }
    }

    fn double_quoted(&mut self) {
        self.quoted_word();
        while let Some(c) = self.next().filter(|c| *c != '"') {
            match c {
                '\\' if self.peek(0) == Some('\n') => {
                    self.next();
                }
                '\\' if self
                    .peek(0)
                    .is_some_and(|next| matches!(next, '"' | '\\' | '$') || (next == '`' && !self.fish)) =>
                {
                    let literal = self.next();
                    self.open_word().text.extend(literal);
                }
                '$' => {
                    self.open_word().computed = true;
                    if matches!(self.peek(0), Some('(' | '{')) {
                        self.skip_substitution();
                    }
                }
                '`' => {
                    self.open_word().computed = true;
                    if !self.fish {
                        self.skip_to_backtick();
                    }
                }
                _ => self.open_word().text.push(c),
            }
        }
    }

    /// Stands after a `$`: skips `(…)`, `{…}` or a `'…'` with escapes; a name is left to be read as text.
    fn skip_substitution(&mut self) {
        match self.peek(0) {
            Some('(') => {
                self.at += 1;
                self.skip_nested(')');
            }
            Some('{') => {
                self.at += 1;
                self.skip_nested('}');
            }
            Some('\'') if !self.fish => {
                self.at += 1;
                while let Some(c) = self.next().filter(|c| *c != '\'') {
                    if c == '\\' {
                        self.next();
                    }
                }
            }
            _ => {}
        }
    }

    /// Skips to the bracket that closes what is open, past quotes and nested brackets of any kind.
    fn skip_nested(&mut self, close: char) {
        let mut open = vec![close];
        while let Some(c) = self.next() {
            let top = open.last().copied();
            if top == Some(c) {
                open.pop();
                if open.is_empty() {
                    return;
                }
                continue;
            }
            match (top, c) {
                (Some('\''), _) => {}
                (_, '\\') => {
                    self.next();
                }
                (Some('"'), '$') if self.peek(0) == Some('(') => {
                    self.at += 1;
                    open.push(')');
                }
                (Some('"'), _) => {}
                (_, '(') => open.push(')'),
                (_, '{') => open.push('}'),
                (_, '\'' | '"') => open.push(c),
                _ => {}
            }
        }
    }

    fn skip_to_backtick(&mut self) {
        while let Some(c) = self.next().filter(|c| *c != '`') {
            if c == '\\' {
                self.next();
            }
        }
    }

    /// `<`, `>` and their doubles: the target becomes a word of its own, which no assignment looks like.
    fn redirection(&mut self, c: char) {
        self.end_word();
        if c != '<' || self.peek(0) != Some('<') || self.fish {
            return;
        }
        self.at += 1;
        if self.peek(0) == Some('<') {
            self.at += 1;
            return;
        }
        while self.peek(0).is_some_and(|c| matches!(c, '-' | ' ' | '\t')) {
            self.at += 1;
        }
        let mut end = String::new();
        while let Some(c) = self.peek(0).filter(|c| !c.is_whitespace() && !matches!(c, ';' | '&' | '|' | ')'))
        {
            self.at += 1;
            end.extend((!matches!(c, '\'' | '"' | '\\')).then_some(c));
        }
        self.heredocs.push(end);
    }

    /// Stands at the start of a line: skips the here-documents that begin there.
    fn skip_heredocs(&mut self) {
        for end in std::mem::take(&mut self.heredocs) {
            while self.at < self.chars.len() {
                let start = self.at;
                self.skip_comment();
                let line: String = self.chars[start..self.at].iter().collect();
                self.next();
                if line.trim_start_matches('\t').trim_end_matches('\r') == end {
                    break;
                }
            }
        }
    }
}
