//! YAML with places: what a text means to PyYAML, which LiteLLM uses, and the place of each part.
//!
//! Promises: total and bounded (depth, aliases and what they expand to are limited); every node knows its line, column
//! and bytes; a duplicate key is an error that names both lines; texts that PyYAML refuses or that two readers
//! would read differently are refused. Never writes YAML: edits are made in the text and read again.

use std::collections::BTreeMap;
use std::ops::Range;

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
pub(super) use excerpt::{names_a_secret, without_secrets};
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

    /// Reads one document and lists its duplicate keys, for a caller that reports everything at once.
    pub fn read(text: &str) -> Result<(Self, Vec<Duplicate>), YamlError> {
        build::build(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// The text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost node; `None` in an empty document.
    pub fn root(&self) -> Option<Node<'_>> {
        self.root.map(|id| Node { doc: self, id })
    }

    /// The value of the document, with aliases and merge keys applied.
    pub fn to_value(&self) -> Value {
        self.root().map_or(Value::Scalar(Scalar::Null), Node::to_value)
    }
}

/// One node of a document. Every method except `is_alias` and `place` follows an alias.
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

    /// The place of the node; of an alias, the place of the alias itself.
    pub fn place(self) -> Place {
        Place::of(&self.doc.text, self.doc.nodes[self.id].span.clone())
    }

    /// The bytes of the node in the text of `Doc::text`, without an anchor or a tag. A block collection may end after the
    /// comments that follow it.
    pub fn span(self) -> Range<usize> {
        self.doc.nodes[self.id].span.clone()
    }

    pub fn is_alias(self) -> bool {
        matches!(self.doc.nodes[self.id].kind, Kind::Alias(_))
    }

    /// Whether an anchor stands before the node.
    pub fn is_anchored(self) -> bool {
        let before = self.doc.text.get(..self.span().start).unwrap_or_default();
        before.split_whitespace().next_back().is_some_and(|word| word.starts_with('&'))
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

    /// The text of any scalar as it is written: `no` for false.
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

    /// Key and value of each member that is written in the mapping itself, in file order; nothing if the node is not a
    /// mapping.
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

    /// The members that merge keys bring in, then those of `entries`; of equal keys the last one counts.
    pub fn merged_entries(self) -> Vec<(Self, Self)> {
        let mut all = Vec::new();
        for merge in self.merges() {
            match merge.seq() {
                // In a list of mappings the first one counts.
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
