//! A line of text, typed and corrected: shown, or not shown where it is a secret.

use super::Answered;
use super::keys::Key;
use super::screen::{Event, Line, Screen};
use crate::domain::Result;
use crate::doors::wrap::wrap;

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
        let before = last.chars().count();
        let typed: &[char] = if self.hidden { &[] } else { &self.characters };
        let all: Vec<char> = last.chars().chain(typed.iter().copied()).collect();
        let broken = all.chunks(width).map(|part| part.iter().collect::<String>());
        let at = before + if self.hidden { 0 } else { self.at };
        let above = asked.len();
        let mut lines: Vec<Line> = asked.into_iter().chain(broken).map(Line::from).collect();
        if above + at / width >= lines.len() {
            lines.push(Line::default());
        }
        (lines, (above + at / width, at % width))
    }
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
}
