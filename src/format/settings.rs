//! settings.json of Claude Code: gwinstall's keys are put in and taken out by the token, every other byte stays.
//!
//! gwinstall owns single keys of a file that the user and Claude Code edit too. Promises: a file that does not parse is
//! never changed; a byte order mark, CR LF, comments, trailing commas, order, indentation, numbers and escapes of foreign
//! members survive; a foreign value is replaced only on request; and taking gwinstall's keys out again gives the identical
//! bytes if no other program wrote the file in between, else touches only these keys.
//!
//! There is one verb, `converge`: it changes the file until exactly the desired keys are gwinstall's. Install, change of
//! preset, `off`, `on`, rollback and uninstall differ only in the desired values; for some the list is empty. The `Ledger`
//! is what has to be remembered between two calls; it lies in a private file beside the deployment:
//!
//! ```ignore
//! let settings = Settings::parse(&bytes)?;                       // or Settings::absent()
//! let ledger = Ledger::parse(&text_of_settings_before_json)?;    // or Ledger::default()
//! let foreign = settings.foreign(&desired, &ledger);             // ask or stop if this is not empty
//! let next = settings.converge(&desired, &ledger)?;
//! // write next.bytes (or remove the file if next.remove_file) and next.ledger in one transaction
//! ```
//!
//! The ledger knows the secrets that gwinstall writes only by their sha256; it holds the values that gwinstall replaced,
//! because no other copy exists. Neither type shows a value in its `Debug` form.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub mod hook;
mod json;
mod ledger;
mod problem;
mod splice;
#[cfg(test)]
mod tests;

pub use ledger::{Converged, DesiredValue, Ledger};
pub use problem::Problem;

/// The place of a key: the top level, or the object `env`. Its text form is `name` or `env.NAME`.
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
    /// The file does not exist yet.
    absent: bool,
    /// The bytes of a file without a value, which Claude Code takes for `{}`; `text` then holds that.
    blank: Option<String>,
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
        if text.chars().all(char::is_whitespace) {
            return Ok(Self { bom, absent: false, blank: Some(text.to_owned()), ..Self::absent() });
        }
        Self::read(bom, text.to_owned())
    }

    /// A file that does not exist. It will hold only what `converge` puts into it.
    pub fn absent() -> Self {
        let root = json::Node { span: 0..2, members: Some(Vec::new()) };
        Self { bom: false, text: "{}\n".to_owned(), root, absent: true, blank: None }
    }

    /// The value at `path`. A number or string that no Rust type can hold is given as the string of its JSON text.
    pub fn get(&self, path: &KeyPath) -> Option<Value> {
        self.raw(path).map(value_of)
    }

    /// The JSON text at `path`.
    pub fn raw(&self, path: &KeyPath) -> Option<&str> {
        Some(&self.text[self.member(path)?.value.span.clone()])
    }

    /// A member of `env` as the text that Claude Code makes of it.
    pub fn env_text(&self, name: &str) -> Option<String> {
        let value = self.get(&KeyPath::env(name))?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// Names of the members of `env`, in file order.
    pub fn env_names(&self) -> impl Iterator<Item = &str> {
        self.env()
            .and_then(|env| env.value.members.as_ref())
            .into_iter()
            .flatten()
            .map(|member| member.name.as_str())
    }

    /// Whether the file is an object without members and comments.
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
        Ok(Self { bom, text, root, absent: false, blank: None })
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
        [bom, self.blank.as_ref().unwrap_or(&self.text).as_bytes()].concat()
    }
}

/// JavaScript takes the last of two equal keys, other readers take the first: no edit of such a file is safe.
fn no_duplicates(text: &str, members: &[json::Member]) -> Result<(), Problem> {
    let mut seen = std::collections::HashMap::new();
    for member in members {
        let start = member.name_span.start;
        if let Some(first) = seen.insert(member.name.as_str(), start) {
            let first = Problem::at(text, first, "").line;
            return Err(Problem::at(
                text,
                start,
                format!("duplicate key {:?}, first on line {first}", member.name),
            ));
        }
    }
    Ok(())
}

/// The value of a part of a file that parsed. The part may have comments and trailing commas.
fn value_of(raw: &str) -> Value {
    serde_json::from_str(raw)
        .or_else(|_| serde_json::from_str(&json::without_extras(raw)))
        .unwrap_or_else(|_| Value::String(raw.to_owned()))
}
