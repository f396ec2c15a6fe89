//! Names that people type: which characters they may hold, and what they probably meant.

use std::borrow::Cow;

/// Whether `name` is a model name: 1–200 of `A-Z a-z 0-9 . _ : / @ + -`, starting with a letter or digit, and no
/// path step. The alphabet keeps names safe in YAML, shells, URLs and file names alike.
pub fn is_model_name(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/@+-".contains(&b))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.split('/').any(|step| step.is_empty() || step == "." || step == "..")
}

/// The names nearest to what was typed, best first, at most three, none if nothing is near.
pub fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let typed = typed.to_ascii_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&typed, &name.to_ascii_lowercase()), name))
        .filter(|(score, _)| *score >= 0.75)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().map(|(_, name)| name).take(3).collect()
}

/// Text from outside, made safe to print: control characters, bidirectional overrides and the like are escaped, and
/// more than 120 characters are cut.
pub fn printable(text: &str) -> String {
    let mut shown: String = text.chars().take(120).flat_map(escape).collect();
    if text.chars().nth(120).is_some() {
        shown.push('…');
    }
    shown
}

fn escape(c: char) -> Vec<char> {
    if is_hidden(c) { c.escape_unicode().collect() } else { vec![c] }
}

/// Whether a terminal acts on a character instead of showing it, or shows nothing: control characters (C0, C1, DEL), marks
/// of the direction of writing, line and paragraph separators, characters without width, tags.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text as a terminal may see it: what it would act on is escaped, but for line ends, tabs and colors.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) && !matches!(c, '\n' | '\t')) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let color = color_at(rest);
        let length = color.unwrap_or(c.len_utf8());
        match c {
            _ if color.is_some() || matches!(c, '\n' | '\t') || !is_hidden(c) => {
                safe.push_str(&rest[..length])
            }
            // The end of a line of Windows.
            '\r' if rest.starts_with("\r\n") => {}
            _ => safe.extend(c.escape_unicode()),
        }
        rest = &rest[length..];
    }
    Cow::Owned(safe)
}

/// The length of the sequence that changes the color of what follows, if the text begins with one. One that conceals is not
/// among them.
fn color_at(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\x1b[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let conceals = numbers[..end].split(';').any(|number| number.trim_start_matches('0') == "8");
    (numbers[end..].starts_with('m') && end <= 20 && !conceals).then_some("\x1b[".len() + end + 1)
}

/// JSON in which no terminal acts on a character: what its writer leaves as it is becomes an escape of JSON.
pub fn shown_json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut units = [0; 2];
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) && c != '\n' {
            safe.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// A value as gwinstall shows it: masked when it is secret or holds a login.
pub fn mask_or_show(value: &str, secret: bool) -> String {
    if secret { super::secret::mask(value) } else { super::secret::mask_userinfo(&printable(value)) }
}

/// `a, b and c`.
pub fn list<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// `1 file`, `2 files`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Shell-quotes a path or word so that a command in a message can be pasted as it stands.
pub fn shell_word(word: &str) -> String {
    let plain =
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./:@%+=,-~".contains(&b));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_names_have_a_safe_alphabet() {
        for good in ["gemini-2.5-pro", "claude-sonnet-5-5", "vertex_ai/meta/llama@1", "a"] {
            assert!(is_model_name(good), "{good}");
        }
        for bad in ["", "../x", "a/../b", "a\"b", "a b", "a\nb", "{{7*7}}", "${X}", "-x", "*a", "#", "a//b"] {
            assert!(!is_model_name(bad), "{bad}");
        }
        assert!(!is_model_name(&"x".repeat(201)));
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        let known = ["basic", "enterprise", "multi-provider", "proxy"];
        assert_eq!(closest("basci", known)[0], "basic");
        assert_eq!(closest("Enterprize", known)[0], "enterprise");
        assert!(closest("zzz", known).is_empty());
    }

    #[test]
    fn what_is_printed_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[2J\u{202e}b"), "a\\u{1b}[2J\\u{202e}b");
        assert_eq!(printable("a\u{2028}\u{61c}\u{9b}b"), "a\\u{2028}\\u{61c}\\u{9b}b");
    }

    #[test]
    fn a_terminal_sees_lines_tabs_and_colors_and_nothing_else_that_it_acts_on() {
        for same in ["a\tb\nc", "\x1b[33mWARN\x1b[0m x", "\x1b[1;38;5;9mx\x1b[m", "é 世 🙂"] {
            assert_eq!(shown(same), same);
        }
        for (text, safe) in [
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("\x1b[8mhidden", "\\u{1b}[8mhidden"),
            ("\x1b[31;08mhidden", "\\u{1b}[31;08mhidden"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("a\rb\r\nc", "a\\u{d}b\nc"),
            ("\u{9b}2J\u{202e}\u{2028}", "\\u{9b}2J\\u{202e}\\u{2028}"),
            ("\x1b[31", "\\u{1b}[31"),
            ("\x1b", "\\u{1b}"),
        ] {
            assert_eq!(shown(text), safe);
        }
    }

    #[test]
    fn json_without_what_a_terminal_acts_on_is_the_same_json() {
        let value = serde_json::json!({ "a\u{9b}": "\u{202e}\u{2028}\u{1b}\u{e0041}\n é" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = shown_json(&text);
        assert!(!safe.chars().any(|c| is_hidden(c) && c != '\n'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        assert_eq!(printable(&"x".repeat(500)).chars().count(), 121);
    }

    #[test]
    fn words_paste_back_into_a_shell() {
        assert_eq!(shell_word("/home/a b/it's"), r"'/home/a b/it'\''s'");
        assert_eq!(shell_word("~/.claude"), "~/.claude");
    }
}
