//! HTML as it is written: markup of this program as it is, all other text through one of two escapes.
//!
//! Promise: `markup` takes only what is compiled in, so text from outside reaches the page as text or as the value of
//! an attribute, and never as an element. What a reader cannot see, or what would turn a line around, is shown by its
//! code.

use crate::domain::name::is_hidden;

/// No cell of the page needs more characters.
const LONGEST: usize = 2000;

/// A part of a page.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&escape_text(text));
        self
    }

    /// ` name="value"`, for a start tag that is open.
    pub(super) fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.markup(" ").markup(name).markup("=\"");
        self.0.push_str(&escape_attribute(value));
        self.markup("\"")
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Text between tags.
fn escape_text(text: &str) -> String {
    escaped(text, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    })
}

/// The value of an attribute, between quotes.
fn escape_attribute(value: &str) -> String {
    escaped(value, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        '`' => Some("&#96;"),
        _ => None,
    })
}

fn escaped(text: &str, entity: impl Fn(char) -> Option<&'static str>) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars().take(LONGEST) {
        match entity(c) {
            Some(entity) => safe.push_str(entity),
            None if is_hidden(c) => safe.extend(c.escape_unicode()),
            None => safe.push(c),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        safe.push('…');
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_stays_text() {
        assert_eq!(
            escape_text("<script>alert(1)</script> & \"a\" 'b'"),
            "&lt;script&gt;alert(1)&lt;/script&gt; &amp; \"a\" 'b'"
        );
        assert_eq!(escape_text("]]> --> <!-- &amp;"), "]]&gt; --&gt; &lt;!-- &amp;amp;");
        assert_eq!(escape_text("a\u{2028}b\u{202e}c\0d\re\nf\u{200b}"), {
            r"a\u{2028}b\u{202e}c\u{0}d\u{d}e\u{a}f\u{200b}"
        });
        assert_eq!(escape_text("Grüße 設 🦀"), "Grüße 設 🦀");
    }

    #[test]
    fn a_value_never_leaves_its_attribute() {
        let hostile = "\" onload=\"x\" ' ` < > & \u{2028}\u{202e}\0\n";
        assert_eq!(
            escape_attribute(hostile),
            r"&quot; onload=&quot;x&quot; &#39; &#96; &lt; &gt; &amp; \u{2028}\u{202e}\u{0}\u{a}"
        );
        let mut html = Html::default();
        html.markup("<time").attribute("datetime", hostile).markup(">");
        assert_eq!(html.into_text().matches('"').count(), 2);
    }

    #[test]
    fn long_text_is_cut() {
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(escape_text(&long).chars().count(), LONGEST + 1);
        assert!(escape_text(&long).ends_with("x…"));
        assert_eq!(escape_text(&long[1..]), long[1..]);
    }
}
