//! YAML with places: what a text means to PyYAML (which LiteLLM reads with), and where each part of it stands.
//!
//! Promises: total and bounded (depth, aliases and what they expand to are limited); every node knows its line, column
//! and bytes; a key that stands twice is an error that names both lines; texts that PyYAML refuses or that two readers
//! would read differently are refused. Never writes YAML: edits are made in the text and read again.

use std::collections::BTreeMap;

mod build;
mod document;
mod excerpt;
mod resolve;
#[cfg(test)]
mod tests;
mod value;

use document::{Data, Kind};
pub use document::{Doc, Duplicate, Place, YamlError};
pub use excerpt::excerpt;
pub(super) use excerpt::names_a_secret;
pub use resolve::Scalar;
pub use value::Value;

impl Doc {
    /// Reads one document; a duplicate key is an error.
    pub fn parse(text: &str) -> Result<Self, YamlError> {
        let (doc, duplicates) = Self::read(text)?;
        match duplicates.first() {
            None => Ok(doc),
            Some(Duplicate { key, first, second: Place { line, column, len } }) => {
                let why = format!("duplicate key {key:?}, first on line {}", first.line);
                Err(YamlError { line: *line, column: *column, len: *len, why })
            }
        }
    }

    /// Reads one document and lists duplicate keys beside it, for a reader that reports everything at once.
    pub fn read(text: &str) -> Result<(Self, Vec<Duplicate>), YamlError> {
        build::build(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// The outermost node; none in an empty document.
    pub fn root(&self) -> Option<Node<'_>> {
        self.root.map(|id| Node { doc: self, id })
    }

    /// The meaning of the document, aliases and merge keys applied.
    pub fn to_value(&self) -> Value {
        self.root().map_or(Value::Scalar(Scalar::Null), Node::to_value)
    }
}

/// One node of a document. Aliases are followed by every question but `is_alias` and `place`.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    doc: &'d Doc,
    id: usize,
}

impl<'d> Node<'d> {
    fn data(self) -> &'d Data {
        let data = &self.doc.nodes[self.id];
        match data.kind {
            Kind::Alias(target) => &self.doc.nodes[target],
            _ => data,
        }
    }

    fn child(self, id: usize) -> Self {
        Self { doc: self.doc, id }
    }

    /// Where it stands; for an alias, where the alias stands.
    pub fn place(self) -> Place {
        Place::of(&self.doc.text, self.doc.nodes[self.id].span.clone())
    }

    pub fn is_alias(self) -> bool {
        matches!(self.doc.nodes[self.id].kind, Kind::Alias(_))
    }

    pub fn scalar(self) -> Option<&'d Scalar> {
        match &self.data().kind {
            Kind::Scalar { scalar, .. } => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that is a string.
    pub fn str(self) -> Option<&'d str> {
        match self.scalar()? {
            Scalar::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The text of any scalar, whatever it means: `no` for false.
    pub fn written(self) -> Option<&'d str> {
        match &self.data().kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// A scalar without quotes and tag, whose meaning was inferred.
    pub fn is_plain(self) -> bool {
        matches!(self.data().kind, Kind::Scalar { plain: true, .. })
    }

    pub fn is_map(self) -> bool {
        matches!(self.data().kind, Kind::Map { .. })
    }

    /// The items of a sequence.
    pub fn seq(self) -> Option<impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + use<'d>> {
        match &self.data().kind {
            Kind::Seq(items) => Some(items.iter().map(move |id| self.child(*id))),
            _ => None,
        }
    }

    /// Key and value of each member that the mapping itself writes down, in file order; nothing if it is no mapping.
    pub fn entries(self) -> impl Iterator<Item = (Self, Self)> + use<'d> {
        let own: &[(usize, usize)] = match &self.data().kind {
            Kind::Map { own, .. } => own,
            _ => &[],
        };
        own.iter().map(move |(key, value)| (self.child(*key), self.child(*value)))
    }

    /// The values of its merge keys.
    pub fn merges(self) -> impl Iterator<Item = Self> + use<'d> {
        let merges: &[usize] = match &self.data().kind {
            Kind::Map { merges, .. } => merges,
            _ => &[],
        };
        merges.iter().map(move |id| self.child(*id))
    }

    /// Like `entries`, after those that merge keys bring in; of equal keys the last one holds.
    pub fn merged_entries(self) -> Vec<(Self, Self)> {
        let mut all = Vec::new();
        for merge in self.merges() {
            match merge.seq() {
                // Of a list of mappings the first one wins.
                Some(items) => all.extend(items.rev().flat_map(Self::merged_entries)),
                None => all.extend(merge.merged_entries()),
            }
        }
        all.extend(self.entries());
        all
    }

    /// The value of the string key `key`.
    pub fn get(self, key: &str) -> Option<Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Key and value nodes of the string key `key`.
    pub fn entry(self, key: &str) -> Option<(Self, Self)> {
        self.merged_entries().into_iter().rfind(|(found, _)| found.str() == Some(key))
    }

    pub fn to_value(self) -> Value {
        match &self.data().kind {
            Kind::Scalar { scalar, .. } => Value::Scalar(scalar.clone()),
            Kind::Seq(items) => Value::Seq(items.iter().map(|id| self.child(*id).to_value()).collect()),
            Kind::Map { .. } => {
                let pairs =
                    self.merged_entries().into_iter().map(|(key, value)| (key.to_value(), value.to_value()));
                Value::Map(pairs.collect::<BTreeMap<_, _>>())
            }
            // `data` has followed the alias, and no alias names another.
            Kind::Alias(_) => Value::Scalar(Scalar::Null),
        }
    }
}
