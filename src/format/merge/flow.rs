//! A value written on one line, for a place between brackets.
//!
//! Promises: the text reads back as the value that it was written from, whatever its strings hold.

use super::super::yaml::{Doc, Node, Scalar, Value};

/// The value of `node` on one line.
pub(super) fn value(node: Node<'_>) -> String {
    if node.is_map() {
        let members = node.merged_entries();
        let members: Vec<String> =
            members.iter().map(|(key, member)| format!("{}: {}", value(*key), value(*member))).collect();
        return format!("{{{}}}", members.join(", "));
    }
    if let Some(items) = node.seq() {
        let items: Vec<String> = items.map(value).collect();
        return format!("[{}]", items.join(", "));
    }
    let written = node.written().unwrap_or_default();
    match node.scalar() {
        Some(Scalar::Str(text)) => string(text),
        Some(_) if written.is_empty() => "null".to_owned(),
        _ => written.to_owned(),
    }
}

/// A string without quotes where it reads back so, else in double quotes.
fn string(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_./-@+".contains(c);
    let plain = text.chars().all(harmless)
        && Doc::parse(&format!("[{text}]"))
            .is_ok_and(|doc| doc.to_value() == Value::Seq(vec![Value::text(text)]));
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
