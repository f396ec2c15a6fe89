//! Which keys of a settings file are gwinstall's, which values they had before, and the change to the next set of keys.
//!
//! Exact without a stack of undo records: while the file still has the bytes that gwinstall wrote, the next text is made
//! from the original again, so the ledger always leads back to the original in one step, after any number of installs.
//! Once another program has written the file, only single keys are compared and changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::splice::{self, Draft, Splice};
use super::{BOM, KeyPath, Problem, Settings, hook, value_of};
use crate::domain::Sha256;

const SCHEMA: u32 = 1;

/// The value that a key is to have.
#[derive(Clone, PartialEq)]
pub struct DesiredValue {
    pub path: KeyPath,
    /// `None`: the key must be absent.
    pub value: Option<Value>,
    /// Replace a foreign value. Without it that value stays and is reported.
    pub take_over: bool,
    /// Stays out where the user removed it after gwinstall had set it.
    pub optional: bool,
}

impl fmt::Debug for DesiredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.path)
    }
}

/// What gwinstall remembers between two changes of the file. It holds the values that gwinstall replaced, so the file of
/// the ledger is private (mode 0600).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    schema: u32,
    /// gwinstall made the settings file.
    #[serde(default)]
    file_created: bool,
    /// The file held this, and no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blank: Option<String>,
    /// gwinstall added `env`.
    #[serde(default)]
    env_created: bool,
    #[serde(default)]
    keys: BTreeMap<KeyPath, Held>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact: Option<Exact>,
}

/// One of gwinstall's keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// The JSON text that gwinstall replaced; `None` if the key is new.
    before: Option<String>,
    /// Of the value that gwinstall set, in canonical form; `None` if gwinstall removed the key.
    set: Option<Sha256>,
}

/// The way back from the bytes that gwinstall wrote last to the original.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Exact {
    written: Sha256,
    original: Sha256,
    splices: Vec<Splice>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            file_created: false,
            blank: None,
            env_created: false,
            keys: BTreeMap::new(),
            exact: None,
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys().map(ToString::to_string)).finish()
    }
}

impl Ledger {
    /// Reads what `to_text` wrote. Refuses a newer schema: to undo by a half understood record would lose settings of the
    /// user.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        let head: Head = serde_json::from_str(text).map_err(|error| describe(&error))?;
        if head.schema > SCHEMA {
            return Err(format!("schema {}, this program knows {SCHEMA}: update it first", head.schema));
        }
        serde_json::from_str(text).map_err(|error| describe(&error))
    }

    pub fn to_text(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| describe(&error))
    }

    /// A substitute for a lost ledger: the keys of `paths` that are there, with their present values and none before.
    pub fn of_orphans(settings: &Settings, paths: &[KeyPath]) -> Self {
        let held = |path: &KeyPath| {
            let set = Some(fingerprint(&settings.get(path)?));
            Some((path.clone(), Held { before: None, set }))
        };
        let keys = paths.iter().filter_map(held).collect();
        Self { file_created: true, env_created: true, keys, ..Self::default() }
    }

    /// gwinstall's keys, in the order of their names.
    pub fn paths(&self) -> impl Iterator<Item = &KeyPath> {
        self.keys.keys()
    }

    /// The value that a key had before gwinstall.
    pub fn before(&self, path: &KeyPath) -> Option<Value> {
        self.keys.get(path)?.before.as_deref().map(value_of)
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The place of the error, without the text around it, which may be a secret.
fn describe(error: &serde_json::Error) -> String {
    format!("line {}, column {}: not a record of settings keys", error.line(), error.column())
}

/// The result of `converge`. Nothing is written yet.
pub struct Converged {
    /// The file to write if `changed` is not empty.
    pub bytes: Vec<u8>,
    pub ledger: Ledger,
    /// Keys that differ from the present file.
    pub changed: Vec<KeyPath>,
    /// Keys whose foreign value stays, although another was desired or gwinstall's is withdrawn.
    pub kept: Vec<KeyPath>,
    /// gwinstall made the file, and now it is empty.
    pub remove_file: bool,
}

/// Who set the value of a key.
#[derive(PartialEq)]
enum Owner {
    Gwinstall,
    Other,
    /// The file does not have the key.
    Absent,
}

impl Settings {
    /// The desired keys that hold a foreign value other than the desired one.
    pub fn foreign(&self, desired: &[DesiredValue], ledger: &Ledger) -> Vec<KeyPath> {
        let foreign = desired
            .iter()
            .filter(|key| self.owner(&key.path, ledger) == Owner::Other && !self.satisfies(key));
        foreign.map(|key| key.path.clone()).collect()
    }

    /// The text and ledger in which exactly the desired keys are gwinstall's. A key that is no longer desired gets the
    /// value that it had before gwinstall, unless another program changed it since.
    pub fn converge(&self, desired: &[DesiredValue], ledger: &Ledger) -> Result<Converged, Problem> {
        let file_created = ledger.file_created || self.absent;
        let blank = ledger.blank.clone().or_else(|| self.blank.clone());
        let mut next = Ledger { exact: None, file_created, blank, ..ledger.clone() };
        let mut pending = PendingChanges::default();
        for key in desired {
            self.reconcile(key, ledger, &mut next, &mut pending);
        }
        for (path, held) in &ledger.keys {
            if !desired.iter().any(|key| key.path == *path) {
                self.release(path, held, ledger, &mut next, &mut pending);
            }
        }
        let changed: Vec<KeyPath> = pending.targets.iter().map(|(path, _)| path.clone()).collect();
        if changed.is_empty() {
            let as_it_is = || Sha256::of(&self.bytes());
            let untouched = || Exact { written: as_it_is(), original: as_it_is(), splices: Vec::new() };
            next.exact = if ledger.is_empty() { Some(untouched()) } else { ledger.exact.clone() };
            return Ok(self.outcome(self.bytes(), next, changed, pending.kept));
        }
        let draft = match self.original(ledger) {
            Some(original) => self.rebuilt(original, desired, &mut next)?,
            None => self.patched(&pending, ledger, &mut next)?,
        };
        self.prove(&draft.settings, &pending, |path| {
            ledger.keys.contains_key(path) || desired.iter().any(|key| key.path == *path)
        })?;
        let bytes = draft.settings.bytes();
        Ok(draft.settings.outcome(bytes, next, changed, pending.kept))
    }

    /// Decides what one desired value changes in the file and the ledger.
    fn reconcile(
        &self,
        key: &DesiredValue,
        ledger: &Ledger,
        next: &mut Ledger,
        pending: &mut PendingChanges,
    ) {
        let DesiredValue { path, value, take_over, .. } = key;
        if self.is_left_out(key, ledger) {
            return;
        }
        let owner = self.owner(path, ledger);
        let satisfied = self.satisfies(key);
        if owner == Owner::Other && !satisfied && !take_over {
            pending.kept.push(path.clone());
            return;
        }
        // A later undo has to give back what another program wrote over gwinstall's value.
        let replaces = !ledger.keys.contains_key(path) || (owner == Owner::Other && !satisfied);
        let before = match (replaces, ledger.keys.get(path)) {
            (false, Some(held)) => held.before.clone(),
            _ => self.left_by_others(path),
        };
        next.keys.insert(path.clone(), Held { before, set: value.as_ref().map(fingerprint) });
        if !satisfied {
            pending.targets.push((path.clone(), value.as_ref().map(json_text)));
        }
    }

    /// Decides what happens to a key that is no longer desired.
    fn release(
        &self,
        path: &KeyPath,
        held: &Held,
        ledger: &Ledger,
        next: &mut Ledger,
        pending: &mut PendingChanges,
    ) {
        next.keys.remove(path);
        match self.owner(path, ledger) {
            Owner::Gwinstall if self.raw(path) != held.before.as_deref() => {
                pending.targets.push((path.clone(), held.before.clone()));
            }
            Owner::Gwinstall => {}
            Owner::Other | Owner::Absent => {
                let rest = self.left_by_others(path);
                if rest.as_deref() != self.raw(path) {
                    pending.targets.push((path.clone(), rest));
                }
                pending.kept.push(path.clone());
            }
        }
    }

    /// The JSON text that another program set at `path`. Beside its own hooks it may have kept the one of gwinstall.
    fn left_by_others(&self, path: &KeyPath) -> Option<String> {
        let rest = match path {
            KeyPath::Top(name) if name == "hooks" => self.get(path).as_ref().and_then(hook::without),
            _ => None,
        };
        match rest {
            Some(rest) => rest.as_ref().map(json_text),
            None => self.raw(path).map(str::to_owned),
        }
    }

    /// Whether gwinstall set the present value of `path`, or removed it.
    pub fn is_of_gwinstall(&self, path: &KeyPath, ledger: &Ledger) -> bool {
        self.owner(path, ledger) == Owner::Gwinstall
    }

    fn owner(&self, path: &KeyPath, ledger: &Ledger) -> Owner {
        let today = self.get(path).as_ref().map(fingerprint);
        match (ledger.keys.get(path), today) {
            (Some(held), today) if held.set == today => Owner::Gwinstall,
            (_, None) => Owner::Absent,
            (_, Some(_)) => Owner::Other,
        }
    }

    /// Whether the user removed an optional key that gwinstall had set. The ledger keeps it, so that it stays out.
    pub fn is_left_out(&self, key: &DesiredValue, ledger: &Ledger) -> bool {
        let was_set = || ledger.keys.get(&key.path).is_some_and(|held| held.set.is_some());
        key.optional && !key.take_over && self.get(&key.path).is_none() && was_set()
    }

    /// Whether the file already has the desired value.
    fn satisfies(&self, key: &DesiredValue) -> bool {
        self.get(&key.path).as_ref().map(fingerprint) == key.value.as_ref().map(fingerprint)
    }

    /// The file without gwinstall's keys, if gwinstall wrote its present bytes or has no key in it.
    fn original(&self, ledger: &Ledger) -> Option<Self> {
        let text = match &ledger.exact {
            _ if ledger.is_empty() => self.text.clone(),
            Some(exact) if Sha256::of(&self.bytes()) == exact.written => {
                splice::undo(&self.text, &exact.splices)?
            }
            _ => return None,
        };
        let original = Self::read(self.bom, text).ok()?;
        let proven =
            ledger.exact.as_ref().is_none_or(|exact| Sha256::of(&original.bytes()) == exact.original);
        proven.then_some(original)
    }

    /// All of gwinstall's keys put into the original, with the way back.
    fn rebuilt(&self, original: Self, desired: &[DesiredValue], next: &mut Ledger) -> Result<Draft, Problem> {
        let before = Sha256::of(&original.bytes());
        let mut draft = Draft::new(original);
        for key in desired.iter().filter(|key| next.keys.contains_key(&key.path)) {
            if draft.settings.satisfies(key) {
                continue;
            }
            match (&key.value, self.raw(&key.path).filter(|_| self.satisfies(key))) {
                (Some(_), Some(raw)) => draft.set(&key.path, raw)?,
                (Some(value), None) => draft.set(&key.path, &json_text(value))?,
                (None, _) => draft.remove(&key.path, false)?,
            }
        }
        next.env_created = draft.env_created;
        let written = Sha256::of(&draft.settings.bytes());
        next.exact = Some(Exact { written, original: before, splices: draft.made.clone() });
        Ok(draft)
    }

    /// Only the pending changes, put into the present file.
    fn patched(
        &self,
        pending: &PendingChanges,
        ledger: &Ledger,
        next: &mut Ledger,
    ) -> Result<Draft, Problem> {
        let mut draft = Draft::new(Self::read(self.bom, self.text.clone())?);
        for (path, target) in &pending.targets {
            match target {
                Some(raw) => draft.set(path, raw)?,
                None => draft.remove(path, ledger.env_created)?,
            }
        }
        next.env_created = (next.env_created || draft.env_created) && draft.settings.env().is_some();
        Ok(draft)
    }

    /// Refuses a result that differs from the present file in more than the pending changes. No layout is known for which
    /// this fails; it is a safeguard, because the file is the user's.
    fn prove(
        &self,
        after: &Self,
        pending: &PendingChanges,
        touched: impl Fn(&KeyPath) -> bool,
    ) -> Result<(), Problem> {
        let others = |settings: &Self| -> Vec<(KeyPath, String)> {
            let paths = settings.paths().filter(|path| !touched(path));
            paths.map(|path| (path.clone(), settings.raw(&path).unwrap_or_default().to_owned())).collect()
        };
        let meant = |path: &KeyPath| match pending.targets.iter().find(|(target, _)| target == path) {
            Some((_, raw)) => raw.as_deref().map(value_of),
            None => self.get(path),
        };
        let mut paths =
            self.paths().chain(after.paths()).chain(pending.targets.iter().map(|(path, _)| path.clone()));
        if others(self) == others(after) && paths.all(|path| after.get(&path) == meant(&path)) {
            return Ok(());
        }
        Err(Problem { line: 1, column: 1, why: "this layout cannot be edited safely".to_owned() })
    }

    /// Every member of the two levels, without `env` itself.
    fn paths(&self) -> impl Iterator<Item = KeyPath> {
        let top = self
            .members()
            .iter()
            .filter(|member| member.name != "env")
            .map(|member| KeyPath::top(&member.name));
        top.chain(self.env_names().map(KeyPath::env))
    }

    fn outcome(
        &self,
        bytes: Vec<u8>,
        mut ledger: Ledger,
        changed: Vec<KeyPath>,
        kept: Vec<KeyPath>,
    ) -> Converged {
        let gone = ledger.is_empty();
        let remove_file = gone && ledger.file_created && self.says_nothing() && !self.absent;
        let blank = ledger.blank.as_ref().filter(|_| gone && self.says_nothing());
        let bytes =
            blank.map_or(bytes, |blank| [if self.bom { BOM } else { &[] }, blank.as_bytes()].concat());
        if gone {
            ledger = Ledger::default();
        }
        Converged { bytes, ledger, changed, kept, remove_file }
    }
}

/// What one call of `converge` has to change.
#[derive(Default)]
struct PendingChanges {
    /// Keys to change, each with its new JSON text, or none to remove it.
    targets: Vec<(KeyPath, Option<String>)>,
    kept: Vec<KeyPath>,
}

/// The hash of a value in canonical spelling. The ledger holds nothing else of a secret.
fn fingerprint(value: &Value) -> Sha256 {
    Sha256::of(value.to_string().as_bytes())
}

/// A value as JSON text on one line, spaced as people write it.
fn json_text(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), json_text(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(json_text).collect::<Vec<_>>().join(", ")),
        plain => plain.to_string(),
    }
}
