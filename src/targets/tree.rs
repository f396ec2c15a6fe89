//! The files of one target, with their writers.

use serde::Serialize;

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
            text.push_str(&serde_yaml::to_string(document).map_err(unwritable)?);
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
