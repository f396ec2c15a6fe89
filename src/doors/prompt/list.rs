//! A list to choose from with the arrow keys: one of it, or several. What is shown is computed from the size of the
//! window; a list that is longer than it scrolls.

use super::item::{Answered, Item};
use super::keys::Key;
use super::screen::{Event, Line, Screen};
use crate::domain::Result;
use crate::doors::window::Size;
use crate::doors::wrap::{columns, wrap, wrap_under};

/// How a name and what is said about it are set side by side; below that room they stand one below the other.
const ROOM_FOR_NOTES: usize = 24;

pub(super) struct List<'a> {
    pub question: &'a str,
    pub items: &'a [Item],
    /// What is marked, where several can be; `None` where one is chosen.
    pub marked: Option<Vec<bool>>,
    pub at: usize,
    /// Why the last key was not taken.
    pub complaint: &'static str,
}

impl List<'_> {
    /// Asks until something is chosen. The indices of that, in the order of the list.
    pub(super) fn ask(mut self) -> Result<Answered<Vec<usize>>> {
        let mut screen = Screen::open()?;
        loop {
            screen.draw(self.frame(screen.size()), None);
            let Event::Key(key) = screen.event()? else { continue };
            match self.press(&key) {
                Pressed::More => {}
                Pressed::Stop => return Ok(None),
                Pressed::Chosen(indices) => {
                    let names: Vec<&str> =
                        indices.iter().map(|index| self.items[*index].name.as_str()).collect();
                    let said = format!("{}: {}", self.question, names.join(", "));
                    let width = screen.size().width.saturating_sub(1);
                    screen.close(&wrap(&said, width));
                    return Ok(Some(indices));
                }
            }
        }
    }

    fn press(&mut self, key: &Key) -> Pressed {
        let last = self.items.len().saturating_sub(1);
        self.complaint = "";
        match key {
            Key::Up | Key::Char('k') => self.at = self.at.checked_sub(1).unwrap_or(last),
            Key::Down | Key::Char('j') => self.at = if self.at == last { 0 } else { self.at + 1 },
            Key::Home | Key::PageUp if *key == Key::Home || self.at < 5 => self.at = 0,
            Key::PageUp => self.at -= 5,
            Key::End => self.at = last,
            Key::PageDown => self.at = (self.at + 5).min(last),
            Key::Escape | Key::EndOfInput => return Pressed::Stop,
            Key::Enter => return self.chosen(),
            _ => self.mark(key),
        }
        Pressed::More
    }

    fn mark(&mut self, key: &Key) {
        let Some(marked) = &mut self.marked else { return };
        match key {
            Key::Char(' ') => marked[self.at] = !marked[self.at],
            Key::Char('a') => {
                let all = marked.iter().all(|one| *one);
                marked.fill(!all);
            }
            _ => {}
        }
    }

    fn chosen(&mut self) -> Pressed {
        let Some(marked) = &self.marked else { return Pressed::Chosen(vec![self.at]) };
        let indices: Vec<usize> = (0..marked.len()).filter(|index| marked[*index]).collect();
        if indices.is_empty() {
            self.complaint = "mark at least one with the space key";
            return Pressed::More;
        }
        Pressed::Chosen(indices)
    }

    /// The question, as much of the list as fits around the cursor, and the keys.
    fn frame(&self, size: Size) -> Vec<Line> {
        let width = size.width.saturating_sub(1);
        let mut lines: Vec<Line> =
            wrap(&format!("{}:", self.question), width).into_iter().map(Line::from).collect();
        let help = match (&self.marked, self.complaint) {
            (_, complaint) if !complaint.is_empty() => complaint,
            (Some(_), _) => "space marks, a marks all, enter accepts, esc cancels",
            (None, _) => "arrows move, enter picks, esc cancels",
        };
        let mut help = wrap(&format!("  {help}"), width);
        // An item, what is said about it, and how much is hidden above and below.
        if self.complaint.is_empty() && size.height < lines.len() + help.len() + 5 {
            help.clear();
        }
        let blocks: Vec<Vec<Line>> = (0..self.items.len()).map(|index| self.block(index, width)).collect();
        let room = size.height.saturating_sub(lines.len() + help.len() + 1);
        let (from, to) = window(&blocks, self.at, room);
        if from > 0 {
            lines.push(format!("  ({from} more above)").into());
        }
        lines.extend(blocks[from..to].iter().flatten().cloned());
        if to < blocks.len() {
            lines.push(format!("  ({} more below)", blocks.len() - to).into());
        }
        lines.extend(help.into_iter().map(Line::from));
        lines
    }

    /// An item in one line or more.
    fn block(&self, index: usize, width: usize) -> Vec<Line> {
        let item = &self.items[index];
        let pointer = if index == self.at { ">" } else { " " };
        let mark = match &self.marked {
            Some(marked) if marked[index] => " [x]",
            Some(_) => " [ ]",
            None => "",
        };
        let head = format!("{pointer}{mark} ");
        let longest = self.items.iter().map(|item| columns(&item.name)).max().unwrap_or(0);
        let column = columns(&head) + longest + 2;
        let name = format!("{head}{}", item.name);
        let lines = if item.note.is_empty() {
            vec![name]
        } else if column + columns(&item.note).min(ROOM_FOR_NOTES) <= width {
            wrap_under(&format!("{name:<column$}{}", item.note), width, column)
        } else {
            let below = columns(&head) + 2;
            let note = item.note.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut lines = vec![name];
            lines.extend(wrap_under(&format!("{:below$}{note}", ""), width, below));
            lines
        };
        lines.into_iter().map(|text| Line { text, bold: index == self.at }).collect()
    }
}

enum Pressed {
    More,
    Stop,
    Chosen(Vec<usize>),
}

/// The items that are shown: as many around the chosen one as there is room for, with the lines that say how many are
/// left out.
fn window(blocks: &[Vec<Line>], at: usize, room: usize) -> (usize, usize) {
    let height = |from: usize, to: usize| {
        let shown: usize = blocks[from..to].iter().map(Vec::len).sum();
        shown + usize::from(from > 0) + usize::from(to < blocks.len())
    };
    let (mut from, mut to) = (at, (at + 1).min(blocks.len()));
    loop {
        let more_above = from > 0 && height(from - 1, to) <= room;
        let more_below = to < blocks.len() && height(from, to + 1) <= room;
        match (more_above, more_below) {
            (true, true) if at - from <= to - at => from -= 1,
            (_, true) => to += 1,
            (true, false) => from -= 1,
            (false, false) => return (from, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        [("gemini-2.5-flash", " 0.30/2.50   gone 2026-10-16"), ("glm-5.2", " 1.40/4.40"), ("x", "")]
            .into_iter()
            .cycle()
            .take(18)
            .map(|(name, note)| Item::new(name, note))
            .collect()
    }

    fn list(items: &[Item], marked: Option<Vec<bool>>) -> List<'_> {
        List { question: "Models", items, marked, at: 0, complaint: "" }
    }

    #[test]
    fn a_frame_fits_into_every_window() {
        let items = items();
        let mut list = list(&items, Some(vec![true; 18]));
        for width in (30..100).step_by(3) {
            for height in (6..50).step_by(2) {
                for at in 0..18 {
                    list.at = at;
                    let frame = list.frame(Size { width, height });
                    assert!(frame.len() <= height, "{width}x{height} at {at}: {frame:#?}");
                    assert!(
                        frame.iter().all(|line| columns(&line.text) < width),
                        "{width}x{height}: {frame:#?}"
                    );
                    assert!(frame.iter().any(|line| line.text.starts_with('>')), "{width}x{height}");
                }
            }
        }
    }

    #[test]
    fn keys_move_mark_and_choose() {
        let items = items();
        let mut several = list(&items, Some(vec![false; 18]));
        for key in [Key::Up, Key::Char(' '), Key::Down, Key::Down, Key::Char(' ')] {
            assert!(matches!(several.press(&key), Pressed::More));
        }
        assert!(matches!(several.press(&Key::Enter), Pressed::Chosen(found) if found == [1, 17]));
        let mut one = list(&items, None);
        for wrong in [Key::Char('q'), Key::Char('y'), Key::Unknown, Key::Pasted("1\n".into()), Key::Backspace]
        {
            assert!(matches!(one.press(&wrong), Pressed::More));
        }
        assert_eq!(one.at, 0);
        for (key, at) in
            [(Key::End, 17), (Key::PageUp, 12), (Key::Home, 0), (Key::PageUp, 0), (Key::PageDown, 5)]
        {
            one.press(&key);
            assert_eq!(one.at, at, "{key:?}");
        }
        assert!(matches!(one.press(&Key::Escape), Pressed::Stop));
    }

    #[test]
    fn nothing_marked_is_no_answer() {
        let items = items();
        let mut several = list(&items, Some(vec![false; 18]));
        assert!(matches!(several.press(&Key::Enter), Pressed::More));
        let frame = several.frame(Size { width: 60, height: 40 });
        assert_eq!(frame.last().unwrap().text, "  mark at least one with the space key");
    }
}
