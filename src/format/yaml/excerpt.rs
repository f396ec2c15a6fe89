//! A line of a file with a caret under the part in question.
//!
//! Promises: at most 80 columns wide; nothing from the file reaches the terminal as a control code; a value that looks
//! like a secret is replaced by stars in every message.

const WIDTH: usize = 80;
/// Line number, blank, bar, blank.
const GUTTER: usize = 8;
/// Columns kept before the caret when a line must be cut.
const BEFORE: usize = 24;

/// Line `line` of `text` and a row of `len` carets under `column` (all counted from 1, in characters).
pub fn excerpt(text: &str, line: usize, column: usize, len: usize) -> String {
    let source = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let source = source.strip_suffix('\r').unwrap_or(source);
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let shown: Vec<char> = without_secrets(source).chars().map(visible).collect();
    let at = column.saturating_sub(1).min(shown.len());
    let widths = |chars: &[char]| chars.iter().map(|c| width(*c)).sum::<usize>();
    let room = WIDTH - GUTTER;
    let end = (at + len.max(1)).min(shown.len());
    let mut from = 0;
    if widths(&shown) > room && widths(&shown[..end]) >= room {
        from = at;
        // Keep as much of the text before as leaves the marked part whole, or a few columns if that part is long.
        while from > 0
            && (widths(&shown[from - 1..end]) <= room - 2 || widths(&shown[from - 1..at]) <= BEFORE)
        {
            from -= 1;
        }
    }
    let mut room = room - usize::from(from > 0);
    let mut to = from;
    while to < shown.len() && widths(&shown[from..=to]) <= room {
        to += 1;
    }
    if to < shown.len() {
        room -= 1;
        while widths(&shown[from..to]) > room {
            to -= 1;
        }
    }
    let cut = |cut: bool| if cut { "…" } else { "" };
    let (head, tail) = (cut(from > 0), cut(to < shown.len()));
    let body: String = shown[from..to].iter().collect();
    let pad = " ".repeat(usize::from(from > 0) + widths(&shown[from..at]));
    let end = end.min(to);
    let carets = "^".repeat(if end > at { widths(&shown[at..end]).max(1) } else { 1 });
    format!("{line:>5} | {head}{body}{tail}\n      | {pad}{carets}")
}

/// A character as it may be shown.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}') =>
        {
            '?'
        }
        c => c,
    }
}

/// Columns that a terminal gives to `c`: two for East Asian wide characters and emoji.
fn width(c: char) -> usize {
    let wide = matches!(c,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}');
    if wide { 2 } else { 1 }
}

/// Whether a key of this name holds a secret by itself.
pub(in crate::format) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let counts = ["max_tokens", "token_limit", "tokens"].iter().any(|word| key.ends_with(word));
    let parts = [
        "api_key",
        "apikey",
        "master_key",
        "salt_key",
        "secret",
        "password",
        "passwd",
        "credentials",
        "private_key",
        "webhook_url",
    ];
    let token =
        key == "token" || key.ends_with("_token") || key.ends_with("-token") || key == "authorization";
    !counts && (token || parts.iter().any(|part| key.contains(part)))
}

/// `line` with the values of secret-looking keys, and anything that begins like a key, replaced star by character.
/// References to the environment stay readable.
pub(in crate::format) fn without_secrets(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    for password in passwords(&chars) {
        chars[password].fill('*');
    }
    let mut star = |from: usize, to: usize| chars[from..to].iter_mut().for_each(|c| *c = '*');
    let original: Vec<char> = line.chars().collect();
    let text_of = |from: usize, to: usize| original[from..to].iter().collect::<String>();
    let in_word = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut at = 0;
    while at < original.len() {
        let end = at + original[at..].iter().take_while(|c| in_word(c)).count();
        if end == at {
            at += 1;
            continue;
        }
        let word = text_of(at, end);
        if ["sk-", "AIza", "ghp_", "xoxb-", "AKIA"].iter().any(|start| word.starts_with(start))
            && word.len() >= 8
        {
            star(at, end);
        }
        let colon = end + original[end..].iter().take_while(|c| matches!(c, '"' | '\'' | ' ')).count();
        if names_a_secret(&word) && original.get(colon) == Some(&':') {
            let value = colon + 1 + original[colon + 1..].iter().take_while(|c| c.is_whitespace()).count();
            let quote = original.get(value).copied().filter(|c| matches!(c, '"' | '\''));
            let stop = |c: &char| match quote {
                Some(quote) => *c == quote,
                None => matches!(c, ',' | '}' | ']'),
            };
            let start = value + usize::from(quote.is_some());
            let stop = start + original[start..].iter().take_while(|c| !stop(c)).count();
            let value = text_of(start, stop);
            if !value.starts_with("os.environ") && !value.starts_with("${") {
                star(start, stop);
            }
            at = stop;
            continue;
        }
        at = end;
    }
    chars.into_iter().collect()
}

/// The places of passwords in URLs: `://user:password@`.
fn passwords(line: &[char]) -> Vec<std::ops::Range<usize>> {
    let starts =
        line.windows(3).enumerate().filter(|(_, window)| **window == [':', '/', '/']).map(|(at, _)| at + 3);
    let found = starts.filter_map(|start| {
        let len = line[start..].iter().take_while(|c| !c.is_whitespace() && !"/\"'?#,".contains(**c)).count();
        let authority = &line[start..start + len];
        let at = authority.iter().rposition(|c| *c == '@')?;
        let colon = authority[..at].iter().position(|c| *c == ':')?;
        Some(start + colon + 1..start + at)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_part_that_is_meant() {
        assert_eq!(excerpt("a: 1\nmodle: x # c\n", 2, 1, 5), "    2 | modle: x # c\n      | ^^^^^");
        assert_eq!(excerpt("a:\t\tx", 1, 5, 1), "    1 | a:  x\n      |     ^");
        assert_eq!(excerpt("日本: é", 1, 5, 9), "    1 | 日本: é\n      |       ^");
        assert_eq!(excerpt("", 9, 9, 9), "    9 | \n      | ^");
        assert_eq!(excerpt("a\u{1b}[2Jb\u{202e}", 1, 2, 1), "    1 | a?[2Jb?\n      |  ^");
    }

    #[test]
    fn wide_lines_are_cut_around_the_caret() {
        for (line, columns) in [
            ("x".repeat(200), [1, 30, 72, 73, 100, 199, 200, 201]),
            ("日".repeat(200), [1, 2, 36, 37, 38, 100, 200, 201]),
        ] {
            for column in columns {
                for len in [1, 5, 300] {
                    let shown = excerpt(&line, 1, column, len);
                    for row in shown.lines() {
                        let columns: usize = row.chars().map(width).sum();
                        assert!(columns <= WIDTH, "{columns}: {shown}");
                    }
                    assert!(shown.ends_with('^'));
                }
            }
        }
    }

    #[test]
    fn secrets_are_starred_out_and_references_are_not() {
        let rows = [
            ("  api_key: hunter2 and more", "  api_key: ****************"),
            ("{model: x, api_key: \"hunter2\", b: c}", "{model: x, api_key: \"*******\", b: c}"),
            ("  api_key: os.environ/KEY", "  api_key: os.environ/KEY"),
            ("  - sk-0123456789 # x", "  - ************* # x"),
            ("  max_tokens: 8192", "  max_tokens: 8192"),
            ("  \"redis_password\": 'p w'", "  \"redis_password\": '***'"),
            ("  auth_token:", "  auth_token:"),
            ("  database_url: postgresql://u:p:w@h/d", "  database_url: postgresql://u:***@h/d"),
        ];
        for (line, shown) in rows {
            assert_eq!(without_secrets(line), shown);
        }
    }
}
