//! settings.json of Claude Code: our keys put in and taken out by the token, every other byte left alone.
//!
//! We own single keys of a file that belongs to somebody else, who edits it too. Promises: a file that does not parse
//! is never changed; a byte order mark, CR LF, comments, trailing commas, order, indentation, numbers and escapes of
//! foreign members survive; a value that is not ours is not replaced unless told; and taking our keys out again gives
//! the identical bytes if nobody else wrote the file in between, else touches our keys alone.
//!
//! There is one verb, `converge`: it brings the file from whatever it holds to holding exactly the wished keys of ours.
//! Install, change of preset, `off`, `on`, rollback and uninstall differ only in the wishes; none is an empty list. What
//! must be remembered between two calls is the `Ledger`, kept in a private file beside the deployment:
//!
//! ```ignore
//! let settings = Settings::parse(&bytes)?;                       // or Settings::absent()
//! let ledger = Ledger::parse(&text_of_settings_before_json)?;    // or Ledger::default()
//! let foreign = settings.foreign(&wishes, &ledger);              // ask or stop if this is not empty
//! let next = settings.converge(&wishes, &ledger)?;
//! // write next.bytes (or remove the file if next.remove_file) and next.ledger in one transaction
//! ```
//!
//! The secrets that we write are not in the ledger (it knows them by sha256); the values that we replaced are, because
//! they exist nowhere else. Neither type shows a value in its `Debug` form.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

mod json;
mod ledger;
mod problem;
mod splice;
#[cfg(test)]
mod tests;

pub use ledger::{Converged, Ledger, Wish};
pub use problem::Problem;

/// Where a key of ours can stand: at the top level, or in the object `env`. Its text form is `name` or `env.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPath {
    Top(String),
    Env(String),
}

impl KeyPath {
    pub fn top(name: impl Into<String>) -> Self {
        Self::Top(name.into())
    }

    pub fn env(name: impl Into<String>) -> Self {
        Self::Env(name.into())
    }

    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("env.") {
            Some(name) => Self::env(name),
            None => Self::top(text),
        }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) => f.write_str(name),
            Self::Env(name) => write!(f, "env.{name}"),
        }
    }
}

impl Serialize for KeyPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A settings file that parsed. The caller limits its size (1 MiB).
pub struct Settings {
    bom: bool,
    /// Without the byte order mark.
    text: String,
    root: json::Node,
    /// There is no such file yet.
    absent: bool,
}

impl Settings {
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let (bom, body) = match bytes.strip_prefix(BOM) {
            Some(body) => (true, body),
            None => (false, bytes),
        };
        let text = std::str::from_utf8(body).map_err(|error| {
            let good = String::from_utf8_lossy(&body[..error.valid_up_to()]);
            let utf16 = body.starts_with(b"\xff\xfe") || body.starts_with(b"\xfe\xff");
            Problem::at(&good, good.len(), if utf16 { "UTF-16: save the file as UTF-8" } else { "not UTF-8" })
        })?;
        Self::read(bom, text.to_owned())
    }

    /// A file that does not exist: empty but for what `converge` puts into it.
    pub fn absent() -> Self {
        let root = json::Node { span: 0..2, members: Some(Vec::new()) };
        Self { bom: false, text: "{}\n".to_owned(), root, absent: true }
    }

    /// The value at `path`. A number or string that no Rust type can hold comes as the string of its JSON text.
    pub fn get(&self, path: &KeyPath) -> Option<Value> {
        self.raw(path).map(value_of)
    }

    /// The JSON text at `path`.
    pub fn raw(&self, path: &KeyPath) -> Option<&str> {
        Some(&self.text[self.member(path)?.value.span.clone()])
    }

    /// Names of the members of `env`, in file order.
    pub fn env_names(&self) -> impl Iterator<Item = &str> {
        self.env()
            .and_then(|env| env.value.members.as_ref())
            .into_iter()
            .flatten()
            .map(|member| member.name.as_str())
    }

    /// Whether the file says nothing: an object without members or comments.
    pub fn says_nothing(&self) -> bool {
        let mut rest = self.text.clone();
        rest.retain(|c| !c.is_whitespace());
        rest == "{}"
    }

    fn read(bom: bool, text: String) -> Result<Self, Problem> {
        let root = json::read(&text, 2)?;
        let Some(members) = &root.members else {
            return Err(Problem::at(&text, root.span.start, "the file must hold an object: { … }"));
        };
        no_duplicates(&text, members)?;
        if let Some(env) = members.iter().find(|member| member.name == "env") {
            let Some(variables) = &env.value.members else {
                return Err(Problem::at(&text, env.value.span.start, "\"env\" must be an object: { … }"));
            };
            no_duplicates(&text, variables)?;
        }
        Ok(Self { bom, text, root, absent: false })
    }

    fn members(&self) -> &[json::Member] {
        self.root.members.as_deref().unwrap_or_default()
    }

    fn env(&self) -> Option<&json::Member> {
        self.members().iter().find(|member| member.name == "env")
    }

    fn member(&self, path: &KeyPath) -> Option<&json::Member> {
        match path {
            KeyPath::Top(name) => self.members().iter().find(|member| member.name == *name),
            KeyPath::Env(name) => {
                self.env()?.value.members.as_ref()?.iter().find(|member| member.name == *name)
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let bom = if self.bom { BOM } else { &[] };
        [bom, self.text.as_bytes()].concat()
    }
}

/// JavaScript takes the last of two equal keys, other readers the first: nobody can edit such a file safely.
fn no_duplicates(text: &str, members: &[json::Member]) -> Result<(), Problem> {
    let mut seen = std::collections::HashMap::new();
    for member in members {
        let start = member.name_span.start;
        if let Some(first) = seen.insert(member.name.as_str(), start) {
            let first = Problem::at(text, first, "").line;
            return Err(Problem::at(
                text,
                start,
                format!("the key {:?} stands twice, first on line {first}", member.name),
            ));
        }
    }
    Ok(())
}

/// The value of a JSON text out of a file that parsed, comments and trailing commas included.
fn value_of(raw: &str) -> Value {
    serde_json::from_str(raw)
        .or_else(|_| serde_json::from_str(&json::without_extras(raw)))
        .unwrap_or_else(|_| Value::String(raw.to_owned()))
}
