//! What a text of YAML consists of: nodes with their places, and why a text is refused. Pure values.

use std::fmt;
use std::ops::Range;

use super::resolve::Scalar;

/// A place in a text: line and column from 1, the column and the length in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
    /// At least 1, and never past the end of the line.
    pub len: usize,
}

impl Place {
    /// The place of the bytes `span` of `text`.
    pub fn of(text: &str, span: Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |end| end + 1);
        let end = text.floor_char_boundary(span.end).max(start);
        let inside = text[start..end].lines().next().unwrap_or_default();
        Self {
            line: text[..start].bytes().filter(|b| *b == b'\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            len: inside.trim_end().chars().count().max(1),
        }
    }
}

/// Why a text is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    pub line: usize,
    pub column: usize,
    pub len: usize,
    pub why: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.why)
    }
}

impl std::error::Error for YamlError {}

/// A key that stands twice in one mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    pub key: String,
    pub first: Place,
    pub second: Place,
}

/// A text that was understood.
pub struct Doc {
    /// Without a byte order mark.
    pub(super) text: String,
    pub(super) nodes: Vec<Data>,
    pub(super) root: Option<usize>,
}

pub(super) struct Data {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

pub(super) enum Kind {
    Scalar {
        scalar: Scalar,
        /// The text after quotes and escapes.
        text: String,
        /// Neither quoted nor tagged: its meaning was inferred.
        plain: bool,
    },
    Seq(Vec<usize>),
    Map {
        own: Vec<(usize, usize)>,
        /// Values of `<<`, in file order.
        merges: Vec<usize>,
    },
    Alias(usize),
}
