//! A line of text, typed and corrected: shown, or not shown where it is a secret.

use super::item::Answered;
use super::keys::Key;
use super::screen::{Event, Line, Screen};
use crate::domain::Result;
use crate::doors::wrap::{self, wrap};

/// Columns that are left for the answer in the line where it begins.
const ROOM: usize = 4;
/// No answer is longer.
const LONGEST: usize = 64 << 10;

pub(super) struct Typed {
    characters: Vec<char>,
    at: usize,
    hidden: bool,
}

/// Asks for a line; an empty one is the default. `None`: given up.
pub(super) fn ask(question: &str, default: &str, hidden: bool) -> Result<Answered<String>> {
    let mut typed = Typed { characters: Vec::new(), at: 0, hidden };
    let mut screen = Screen::open()?;
    loop {
        let width = screen.size().width.saturating_sub(1);
        let (lines, cursor) = typed.shown(question, width);
        screen.draw(lines, Some(cursor));
        let Event::Key(key) = screen.event()? else { continue };
        match key {
            Key::Enter => {
                if typed.characters.is_empty() {
                    typed.characters = default.chars().collect();
                }
                let (lines, _) = typed.shown(question, width);
                let said: Vec<String> = lines.into_iter().map(|line| line.text).collect();
                screen.close(&said);
                return Ok(Some(typed.characters.into_iter().collect()));
            }
            Key::Escape => return Ok(None),
            Key::EndOfInput if typed.characters.is_empty() => return Ok(None),
            key => typed.press(&key),
        }
    }
}

impl Typed {
    fn press(&mut self, key: &Key) {
        match key {
            Key::Char(c) => self.insert(*c),
            // The user does not see how many lines were pasted: all of them are read, so that a wrong paste is refused.
            Key::Pasted(text) if self.hidden => text.trim().chars().for_each(|c| self.insert(c)),
            // A line of it: what an editor put behind the last word ends nothing.
            Key::Pasted(text) => {
                text.trim().chars().take_while(|c| !c.is_control()).for_each(|c| self.insert(c));
            }
            Key::Left => self.at = self.at.saturating_sub(1),
            Key::Right => self.at = (self.at + 1).min(self.characters.len()),
            Key::Home => self.at = 0,
            Key::End => self.at = self.characters.len(),
            Key::Backspace if self.at > 0 => {
                self.at -= 1;
                self.characters.remove(self.at);
            }
            Key::Delete | Key::EndOfInput if self.at < self.characters.len() => {
                self.characters.remove(self.at);
            }
            Key::ClearLine => {
                self.characters.drain(..self.at);
                self.at = 0;
            }
            Key::ClearWord => {
                let before = &self.characters[..self.at];
                let end = before.iter().rposition(|c| *c != ' ').map_or(0, |last| last + 1);
                let start = before[..end].iter().rposition(|c| *c == ' ').map_or(0, |last| last + 1);
                self.characters.drain(start..self.at);
                self.at = start;
            }
            _ => {}
        }
    }

    fn insert(&mut self, c: char) {
        if self.characters.len() < LONGEST {
            self.characters.insert(self.at, c);
            self.at += 1;
        }
    }

    /// The question with what is typed behind it, broken where the window ends, and where the cursor is.
    fn shown(&self, question: &str, width: usize) -> (Vec<Line>, (usize, usize)) {
        let mut asked = wrap(question, width.saturating_sub(ROOM));
        let last = asked.pop().unwrap_or_default() + " ";
        let typed: &[char] = if self.hidden { &[] } else { &self.characters };
        let at = last.chars().count() + if self.hidden { 0 } else { self.at };
        let (rows, (row, column)) = broken(last.chars().chain(typed.iter().copied()), at, width);
        let above = asked.len();
        (asked.into_iter().chain(rows).map(Line::from).collect(), (above + row, column))
    }
}

/// Characters in rows of at most `width` columns, and the row and the column where the character number `at` stands or
/// would be typed.
fn broken(characters: impl Iterator<Item = char>, at: usize, width: usize) -> (Vec<String>, (usize, usize)) {
    let (mut rows, mut column) = (vec![String::new()], 0);
    let mut cursor = None;
    for (index, c) in characters.enumerate() {
        let room = wrap::width(c);
        if column + room > width {
            rows.push(String::new());
            column = 0;
        }
        if index == at {
            cursor = Some((rows.len() - 1, column));
        }
        rows.last_mut().into_iter().for_each(|row| row.push(c));
        column += room;
    }
    // Behind a full row the next character stands in a new one.
    if cursor.is_none() && column == width {
        rows.push(String::new());
        column = 0;
    }
    let end = (rows.len() - 1, column);
    (rows, cursor.unwrap_or(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[Key]) -> Typed {
        let mut typed = Typed { characters: Vec::new(), at: 0, hidden: false };
        keys.iter().for_each(|key| typed.press(key));
        typed
    }

    fn text(keys: &[Key]) -> String {
        typed(keys).characters.into_iter().collect()
    }

    #[test]
    fn a_line_is_corrected_with_the_usual_keys() {
        let word = |text: &str| text.chars().map(Key::Char).collect::<Vec<_>>();
        let with = |more: &[Key]| text(&[word("one two"), more.to_vec()].concat());
        assert_eq!(with(&[Key::Backspace, Key::Home, Key::Delete, Key::Char('O')]), "One tw");
        assert_eq!(with(&[Key::ClearWord]), "one ");
        assert_eq!(with(&[Key::ClearWord, Key::ClearWord, Key::Char('x')]), "x");
        assert_eq!(with(&[Key::Left, Key::Left, Key::ClearLine]), "wo");
        assert_eq!(with(&[Key::Right, Key::Up, Key::Unknown, Key::End]), "one two");
    }

    #[test]
    fn a_paste_is_one_line_and_answers_nothing() {
        assert_eq!(text(&[Key::Pasted("  https://gw.example\ny\n".into())]), "https://gw.example");
        assert_eq!(text(&[Key::Pasted("a\x1b[31mb".into())]), "a");
    }

    #[test]
    fn a_hidden_paste_loses_no_line() {
        let mut hidden = Typed { hidden: true, ..typed(&[]) };
        hidden.press(&Key::Pasted("{\n  \"key\": 1\n}\n".into()));
        assert_eq!(hidden.characters.iter().collect::<String>(), "{\n  \"key\": 1\n}");
    }

    #[test]
    fn a_secret_is_not_shown_and_a_long_line_is_broken() {
        let mut long = typed(&[Key::Pasted("x".repeat(30))]);
        let (lines, cursor) = long.shown("URL:", 20);
        assert_eq!((lines.len(), cursor), (2, (1, 15)));
        long.hidden = true;
        let (lines, cursor) = long.shown("Token:", 20);
        assert_eq!((lines, cursor), (vec![Line::from("Token: ".to_owned())], (0, 7)));
        let (lines, cursor) = long.shown("Token, not shown:", 16);
        assert_eq!((lines.len(), cursor), (2, (1, 9)));
        // The cursor after a full line stands in the next one.
        assert_eq!(typed(&[Key::Pasted("x".repeat(15))]).shown("URL:", 20).1, (1, 0));
    }

    #[test]
    fn wide_characters_are_never_cut_in_two() {
        let shown = |text: &str, keys: &[Key]| {
            let typed = typed(&[&[Key::Pasted(text.into())], keys].concat());
            let (lines, cursor) = typed.shown("URL:", 10);
            (lines.into_iter().map(|line| line.text).collect::<Vec<_>>(), cursor)
        };
        assert_eq!(shown("設定設定", &[]), (vec!["URL: 設定".to_owned(), "設定".to_owned()], (1, 4)));
        assert_eq!(shown("設定設", &[Key::Left]).1, (1, 0));
        assert_eq!(shown("設定設", &[Key::Left, Key::Left]).1, (0, 7));
        assert_eq!(shown("e\u{301}te\u{301}", &[]).1, (0, 8));
        // An accent behind a full row still belongs to it.
        assert_eq!(shown("abcde\u{301}", &[]).0[0], "URL: abcde\u{301}");
    }
}
