//! Columns, and lines broken between words, for a person's eyes. Pure.

/// A line in lines of at most `width` columns. What continues it stands two columns further in, or below the value where
/// the line is a name and a value. A table, which has more columns than these, stays as it is. Each of `whole` is one
/// word, whatever blanks it holds.
pub(super) fn fit(line: &str, width: usize, whole: &[String]) -> Vec<String> {
    let indent = indent(line);
    let Some(gap) = line[indent..].find("  ") else { return broken(line, width, indent + 2, whole) };
    let after = &line[indent + gap..];
    let value = after.trim_start_matches(' ');
    let column = columns(line) - columns(value);
    if value.contains("  ") {
        return vec![line.to_owned()];
    }
    let longest = words(&line[indent..], whole).into_iter().map(columns).max().unwrap_or(0);
    broken(line, width, if column + longest > width { indent + 2 } else { column }, whole)
}

/// `text` in lines of at most `width` columns where its words allow it; what continues a line stands two columns
/// further in. What is copied as one stays whole: a path, an address, a name.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    wrap_under(text, width, indent(text) + 2)
}

/// `text` in lines of at most `width` columns; what continues a line stands in `column`.
pub(super) fn wrap_under(text: &str, width: usize, column: usize) -> Vec<String> {
    broken(text, width, column, &[])
}

fn broken(text: &str, width: usize, column: usize, whole: &[String]) -> Vec<String> {
    if columns(text) <= width {
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    let mut line = " ".repeat(indent(text));
    let mut empty = true;
    for word in words(text.trim_start_matches(' '), whole) {
        // A command gets a line of its own even where it is longer than the line: then it can be copied as one.
        let breaks = column + columns(word) <= width || word.contains(' ');
        if !empty && breaks && columns(&line) + 1 + columns(word) > width {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(column);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

/// The text between blanks, where what begins within a word and is to stay whole takes the word to its end.
fn words<'a>(text: &'a str, whole: &[String]) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        let first = rest.find(' ').unwrap_or(rest.len());
        let end_of =
            |kept: &String| rest.find(kept.as_str()).filter(|at| *at < first).map(|at| at + kept.len());
        let kept = whole.iter().filter_map(end_of).max().unwrap_or(0);
        let Some(end) = rest[kept..].find(' ') else { break };
        words.push(&rest[..kept + end]);
        rest = &rest[kept + end + 1..];
    }
    words.push(rest);
    words
}

fn indent(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

/// Columns that a text takes on a terminal: two for a wide character, none for an accent or a sequence that paints.
pub fn columns(text: &str) -> usize {
    let mut count = 0;
    let mut painting = false;
    for c in text.chars() {
        match (painting, c) {
            (false, '\x1b') => painting = true,
            (true, c) => painting = !c.is_ascii_alphabetic(),
            (false, c) => count += width(c),
        }
    }
    count
}

/// Columns of one character.
pub(super) fn width(c: char) -> usize {
    unicode_width::UnicodeWidthChar::width(c).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_stand_in() {
        assert_eq!(wrap("short", 20), ["short"]);
        assert_eq!(wrap("  note: one two three", 14), ["  note: one", "    two three"]);
        assert_eq!(wrap("see /a/path/that/is/longer here", 12), ["see /a/path/that/is/longer", "  here"]);
        assert_eq!(wrap_under("name  a b c d", 9, 6), ["name  a b", "      c d"]);
    }

    #[test]
    fn commands_and_tables_stay_whole() {
        let whole = ["gwinstall diff --all", "gwinstall diff", "chmod 600 /a/b/c"].map(str::to_owned);
        let fit = |line, width| fit(line, width, &whole);
        assert_eq!(
            fit("  to see it: gwinstall diff --all", 24),
            ["  to see it:", "    gwinstall diff --all"]
        );
        assert_eq!(
            fit("  (gwinstall diff shows it to you)", 20),
            ["  (gwinstall diff", "    shows it to you)"]
        );
        assert_eq!(fit("  Start:   gwinstall diff", 20), ["  Start:", "    gwinstall diff"]);
        assert_eq!(fit("    gwinstall diff --all", 8), ["    gwinstall diff --all"]);
        assert_eq!(
            fit("  try: chmod 600 /a/b/c; or gwinstall diff", 26),
            ["  try: chmod 600 /a/b/c;", "    or gwinstall diff"]
        );
        assert_eq!(
            fit("  Missing:  ONE, TWO, THREE", 20),
            ["  Missing:  ONE,", "            TWO,", "            THREE"]
        );
        assert_eq!(fit("a  b c  d e", 5), ["a  b c  d e"]);
    }

    #[test]
    fn paint_takes_no_room() {
        assert_eq!(columns("\x1b[33mWARN\x1b[0m x"), 6);
        assert_eq!(wrap("\x1b[33mWARN\x1b[0m x", 6).len(), 1);
    }

    #[test]
    fn wide_characters_take_two_columns_and_accents_none() {
        assert_eq!((columns("設定 x"), columns("e\u{301}te"), columns("🦀")), (6, 3, 2));
        assert_eq!(wrap("see 設定 設定", 10), ["see 設定", "  設定"]);
    }

    #[test]
    fn no_text_is_lost_at_any_width() {
        let text = "  Deploy preset basic in ~/.claude/gateway with 11 models: gemini-2.5-flash, deepseek-r1";
        for width in 1..100 {
            let words: Vec<String> = wrap(text, width)
                .iter()
                .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .collect();
            assert_eq!(words, text.split_whitespace().collect::<Vec<_>>(), "{width}");
        }
    }
}
