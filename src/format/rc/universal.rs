//! fish's file of universal variables: `SETUVAR --export NAME:VALUE`, with escapes.

/// Why a variable of the file has no value for a gateway.
pub(super) enum Refused {
    NotExported,
    Value(&'static str),
}

/// Stands between the elements of a list.
const NEXT_ELEMENT: char = '\u{1e}';

/// What the file says last about `name`, with the line, counted from 1.
pub(super) fn scan(text: &str, name: &str) -> Option<(usize, Result<String, Refused>)> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(at, line)| Some((at + 1, value(line, name)?))).last()
}

fn value(line: &str, name: &str) -> Option<Result<String, Refused>> {
    let mut rest = line.strip_prefix("SETUVAR ")?;
    let mut exported = false;
    while let Some((flag, after)) = rest.split_once(' ').filter(|(word, _)| word.starts_with("--")) {
        exported |= flag == "--export";
        rest = after;
    }
    let written = rest.strip_prefix(name)?.strip_prefix(':')?;
    if !exported {
        return Some(Err(Refused::NotExported));
    }
    let refused = |why| Some(Err(Refused::Value(why)));
    match unescaped(written) {
        Some(value) if value.contains(NEXT_ELEMENT) => refused("it is a list"),
        Some(value) if !value.contains(|c: char| c.is_control() || c == '\u{fffd}') => Some(Ok(value)),
        _ => refused("the value holds bytes that are not text"),
    }
}

/// The text behind fish's escapes; `None` for an escape that fish does not write.
fn unescaped(written: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let kind = escape.chars().next()?;
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '\\' => 0,
            _ => return None,
        };
        match digits {
            0 => text.push('\\'),
            _ => text.push(char::from_u32(u32::from_str_radix(escape.get(1..=digits)?, 16).ok()?)?),
        }
        rest = &escape[1 + digits..];
    }
    text.push_str(rest);
    Some(text)
}
