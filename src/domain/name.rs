//! Names that people type: which characters they may hold, and what they probably meant.

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
    let hidden = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if hidden { c.escape_unicode().collect() } else { vec![c] }
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
        assert_eq!(printable(&"x".repeat(500)).chars().count(), 121);
    }

    #[test]
    fn words_paste_back_into_a_shell() {
        assert_eq!(shell_word("/home/a b/it's"), r"'/home/a b/it'\''s'");
        assert_eq!(shell_word("~/.claude"), "~/.claude");
    }
}
