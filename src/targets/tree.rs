//! The files of one target, with their writers.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::tree::{Class, Content, Wanted, WantedFile};
use crate::domain::{Error, Result};

/// The first line of every file that can hold a comment.
const WRITTEN: &str = "Written by `gwinstall render`; your edits stay when you render again.";

/// Files by their path below the target's directory.
#[derive(Debug, Default)]
pub struct Tree(Wanted);

impl Tree {
    /// A YAML file of one or several documents.
    pub fn yaml<T: Serialize>(&mut self, path: &str, documents: &[T]) -> Result<()> {
        let mut text = format!("# {WRITTEN}\n");
        for (index, document) in documents.iter().enumerate() {
            if index > 0 {
                text.push_str("---\n");
            }
            text.push_str(&yaml(document)?);
        }
        self.text(path, text);
        Ok(())
    }

    pub fn json(&mut self, path: &str, document: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(document).map_err(unwritable)?;
        text.push('\n');
        self.text(path, text);
        Ok(())
    }

    /// A file whose comments begin with `#`.
    pub fn commented(&mut self, path: &str, body: &str) {
        self.text(path, format!("# {WRITTEN}\n{body}"));
    }

    /// A file as it stands.
    pub fn text(&mut self, path: &str, text: impl Into<Vec<u8>>) {
        let bytes: Content = text.into().into();
        self.0.insert(path.to_owned(), WantedFile::new(bytes, 0o644, Class::Script));
    }

    /// The configuration of LiteLLM: merged by its structure.
    pub fn configuration(&mut self, path: &str, bytes: Content) {
        self.0.insert(path.to_owned(), WantedFile::new(bytes, 0o644, Class::Config));
    }

    pub fn program(&mut self, path: &str, bytes: Content) {
        self.0.insert(path.to_owned(), WantedFile::new(bytes, 0o755, Class::Script));
    }

    /// A text for people: it stays deleted when the user deletes it.
    pub fn guide(&mut self, path: &str, text: String) {
        self.0.insert(path.to_owned(), WantedFile::new(text.into_bytes().into(), 0o644, Class::Doc));
    }

    /// Puts the files of `other` below `directory`.
    pub fn place(&mut self, directory: &str, other: Self) {
        self.0.extend(other.0.into_iter().map(|(path, file)| (format!("{directory}/{path}"), file)));
    }

    pub fn into_wanted(self) -> Wanted {
        self.0
    }

    /// Leaves a file out.
    pub fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// The file of another tree under a path of this one; `None`: it has no such file.
    pub fn take(&mut self, other: &Self, from: &str, to: &str) -> Option<()> {
        let file = other.0.get(from)?;
        self.0.insert(to.to_owned(), file.clone());
        Some(())
    }

    /// The mode of each file.
    pub fn modes(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file.stamp.mode))
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// An object of gwinstall's own that its format cannot hold: not a fault of the user.
pub(super) fn unwritable(error: impl std::fmt::Display) -> Error {
    Error::failed("gwinstall cannot write a rendered file").because(error)
}

/// Stands for a string that the writer of YAML would leave without quotes.
const SET_ASIDE: &str = "gwinstall-set-aside-";
/// Digits behind it.
const DIGITS: usize = 6;

/// A document that readers of YAML 1.1 (Kubernetes, Helm, Ansible) and of YAML 1.2 understand in the same way.
fn yaml(document: &impl Serialize) -> Result<String> {
    let mut aside = Vec::new();
    let value = set_aside(serde_json::to_value(document).map_err(unwritable)?, &mut aside);
    let text = serde_yaml::to_string(&value).map_err(unwritable)?;
    let mut parts = text.split(SET_ASIDE);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (index, rest) = part.split_at_checked(DIGITS).unwrap_or((part, ""));
        let string = index.parse().ok().and_then(|index: usize| aside.get(index));
        // A string of JSON is a string of every YAML.
        whole.push_str(&serde_json::to_string(&string).map_err(unwritable)?);
        whole.push_str(rest);
    }
    Ok(whole)
}

/// Replaces each ambiguous string by a word that needs no quotes.
fn set_aside(value: Value, aside: &mut Vec<String>) -> Value {
    match value {
        Value::String(string) if is_ambiguous(&string) => {
            aside.push(string);
            Value::String(format!("{SET_ASIDE}{:0DIGITS$}", aside.len() - 1))
        }
        Value::Array(items) => items.into_iter().map(|item| set_aside(item, aside)).collect(),
        Value::Object(fields) => {
            let mut whole = Map::new();
            for (key, value) in fields {
                let key = set_aside(Value::String(key), aside);
                let value = set_aside(value, aside);
                whole.insert(key.as_str().unwrap_or_default().to_owned(), value);
            }
            Value::Object(whole)
        }
        other => other,
    }
}

/// Whether YAML 1.1 reads the plain string as something else: a truth value, a number with `_` or `:`, a date, a merge.
fn is_ambiguous(string: &str) -> bool {
    const WORDS: [&str; 8] = ["y", "yes", "n", "no", "on", "off", "=", "<<"];
    let number = string.strip_prefix(['+', '-']).unwrap_or(string);
    let number = number.strip_prefix('.').unwrap_or(number);
    string.contains(SET_ASIDE)
        || WORDS.contains(&string.to_ascii_lowercase().as_str())
        || number.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn yaml_gives_every_string_back_and_quotes_what_yaml_1_1_would_change() {
        let strings = [
            "on",
            "Off",
            "yes",
            "N",
            "1_000",
            "12:30:45",
            "0o17",
            "017",
            "0x1F",
            "1e3",
            ".5",
            "2001-12-14",
            "=",
            "<<",
            "~",
            "null",
            "true",
            "",
            " a",
            "a ",
            "a: b",
            "a #b",
            "'",
            "\"",
            "\\",
            "$a$$(B)",
            "%x",
            "${{ z }}",
            "{{ z }}",
            "!a",
            "&a",
            "*a",
            "- a",
            "a\nb\n",
            "gwinstall-set-aside-000001",
            "gwinstall-set-aside-",
            "\u{e9}",
        ];
        let document: BTreeMap<&str, &str> = strings.iter().map(|string| (*string, *string)).collect();
        let text = yaml(&document).unwrap();
        let read: BTreeMap<String, String> = serde_yaml::from_str(&text).unwrap();
        assert_eq!(
            read,
            document.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            "{text}"
        );
        for plain in ["on", "Off", "yes", "N", "1_000", "12:30:45", "0o17", "2001-12-14", "=", "<<"] {
            assert!(text.contains(&format!("\"{plain}\": \"{plain}\"")), "{plain} in {text}");
        }
    }
}
