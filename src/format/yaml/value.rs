//! The value of a document, without places, for comparing what two texts mean.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use super::Scalar;

/// A YAML value. The order of a mapping's keys means nothing, so two mappings are equal in any order.
#[derive(Debug, Clone)]
pub enum Value {
    Scalar(Scalar),
    Seq(Vec<Self>),
    Map(BTreeMap<Self, Self>),
}

impl Value {
    /// The value of `key`, if this is a mapping that has it.
    pub fn at(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.get(&Self::text(key)),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Scalar(Scalar::Str(text)) => Some(text),
            _ => None,
        }
    }

    #[cfg(test)]
    pub fn as_seq(&self) -> Option<&[Self]> {
        match self {
            Self::Seq(items) => Some(items),
            _ => None,
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Scalar(Scalar::Str(text.into()))
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Scalar(Scalar::Null) => 0,
            Self::Scalar(Scalar::Bool(_)) => 1,
            Self::Scalar(Scalar::Int(_)) => 2,
            Self::Scalar(Scalar::Big(_)) => 3,
            Self::Scalar(Scalar::Float(_)) => 4,
            Self::Scalar(Scalar::Str(_)) => 5,
            Self::Scalar(Scalar::Timestamp(_)) => 6,
            Self::Seq(_) => 7,
            Self::Map(_) => 8,
        }
    }
}

impl Ord for Value {
    /// A total order: not-a-number equals itself, and 1 is not 1.0.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Seq(a), Self::Seq(b)) => a.cmp(b),
            (Self::Map(a), Self::Map(b)) => a.cmp(b),
            (Self::Scalar(a), Self::Scalar(b)) => match (a, b) {
                (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
                (Scalar::Int(a), Scalar::Int(b)) => a.cmp(b),
                (Scalar::Float(a), Scalar::Float(b)) => a.total_cmp(b),
                (Scalar::Big(a), Scalar::Big(b))
                | (Scalar::Str(a), Scalar::Str(b))
                | (Scalar::Timestamp(a), Scalar::Timestamp(b)) => a.cmp(b),
                _ => self.rank().cmp(&other.rank()),
            },
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl fmt::Display for Value {
    /// JSON with the types kept apart (`!float 1`, `!timestamp …`): for tests and messages, not for files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(Scalar::Null) => f.write_str("null"),
            Self::Scalar(Scalar::Bool(truth)) => write!(f, "{truth}"),
            Self::Scalar(Scalar::Int(number)) => write!(f, "{number}"),
            Self::Scalar(Scalar::Big(digits)) => f.write_str(digits),
            Self::Scalar(Scalar::Float(number)) => write!(f, "!float {number}"),
            Self::Scalar(Scalar::Str(text)) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Scalar(Scalar::Timestamp(text)) => write!(f, "!timestamp {text}"),
            Self::Seq(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(members) => {
                f.write_str("{")?;
                for (at, (key, value)) in members.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}
