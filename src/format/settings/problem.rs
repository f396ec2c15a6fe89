//! Why a text of settings.json is refused, and where.

use std::fmt;

/// Why a settings file cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Both counted from 1, the column in characters.
    pub line: usize,
    pub column: usize,
    pub why: String,
}

impl Problem {
    pub(super) fn at(text: &str, offset: usize, why: impl Into<String>) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        Self { line, column: before[start..].chars().count() + 1, why: why.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.why)
    }
}

impl std::error::Error for Problem {}
