//! What can go wrong, and the one place where a kind of failure becomes an exit code.
//!
//! An error says three things: the message (what failed, on which path), the causes (why, lower case, outermost
//! first) and a hint (a command that the user can paste). For programs it may carry facts, such as the checks that
//! were made. It never carries a secret.

use std::fmt;

use serde_json::{Map, Value};

use super::Hint;

/// The result of a function that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Kinds of failure. What each means to the user is a row of `exit::EXITS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Failed,
    /// The user gave up at a question.
    Cancelled,
    Usage,
    Pending,
    Conflict,
    RolledBack,
    Busy,
    Leftovers,
    Unverified,
    Refused,
    Network,
    /// By this signal.
    Interrupted(i32),
}

impl Kind {
    /// The process exit code of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::Cancelled => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::Conflict => 4,
            Self::RolledBack => 5,
            Self::Busy => 6,
            Self::Leftovers => 7,
            Self::Unverified => 8,
            Self::Refused => 9,
            Self::Network => 10,
            Self::Interrupted(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
        }
    }
}

/// One failure: kind, message, causes, hint.
#[derive(Debug, Clone)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hint: Option<Hint>,
    facts: Map<String, Value>,
}

impl Error {
    /// A failure of `kind`; `message` says what failed and on which path.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            facts: Map::new(),
        }))
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub fn unverified(message: impl Into<String>) -> Self {
        Self::new(Kind::Unverified, message)
    }

    /// Adds a cause; the first cause added is the outermost.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.0.causes.push(cause.to_string());
        self
    }

    /// Adds what the user can do now. The first hint stays.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Adds another way to go on beside the one that is there.
    #[must_use]
    pub fn or_hint(mut self, other: Hint) -> Self {
        let first = self.0.hint.take();
        self.0.hint = Some(match first {
            Some(first) => first.or(other),
            None => other,
        });
        self
    }

    /// Adds facts for programs beside the causes.
    #[must_use]
    pub fn fact(mut self, name: &str, value: Value) -> Self {
        self.0.facts.insert(name.to_owned(), value);
        self
    }

    /// Puts `message` in front; the previous message becomes the first cause.
    #[must_use]
    pub fn under(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.0.message, message.into());
        self.0.causes.insert(0, inner);
        self
    }

    /// This failure with another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    pub fn facts(&self) -> &Map<String, Value> {
        &self.0.facts
    }

    pub fn advice(&self) -> Option<&Hint> {
        self.0.hint.as_ref()
    }
}

impl fmt::Display for Error {
    /// Message and causes on one line, as a log wants it: `message: cause: cause`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        self.0.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::exit::{EXITS, Exit};

    #[test]
    fn every_kind_has_its_row_of_the_exit_code_table() {
        let rows = [
            (Kind::Failed, 1),
            (Kind::Cancelled, 1),
            (Kind::Usage, 2),
            (Kind::Pending, 3),
            (Kind::Conflict, 4),
            (Kind::RolledBack, 5),
            (Kind::Busy, 6),
            (Kind::Leftovers, 7),
            (Kind::Unverified, 8),
            (Kind::Refused, 9),
            (Kind::Network, 10),
            (Kind::Interrupted(2), 130),
            (Kind::Interrupted(15), 143),
        ];
        for (kind, code) in rows {
            assert_eq!(kind.exit_code(), code, "{kind:?}");
            let row = |row: &Exit| row.codes.split(", ").any(|known| known == code.to_string());
            assert_eq!(EXITS.iter().filter(|one| row(one)).count(), 1, "{kind:?}");
        }
    }

    #[test]
    fn under_keeps_the_inner_message_as_the_first_cause() {
        let error = Error::failed("cannot read a").because("denied").under("cannot plan");
        assert_eq!(error.to_string(), "cannot plan: cannot read a: denied");
    }
}
