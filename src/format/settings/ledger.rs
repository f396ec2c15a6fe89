//! What of a settings file is ours, what stood there before, and how to bring the file to the next set of keys.
//!
//! Exactness without a stack of undo records: as long as the file holds the very bytes that we wrote, the next text is
//! made from the original again, so the ledger always leads back to the original in one step, however many installs lay
//! in between. Once somebody else has written the file, only single keys are compared and changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::splice::{self, Draft, Splice};
use super::{KeyPath, Problem, Settings, value_of};
use crate::domain::Sha256;

const SCHEMA: u32 = 1;

/// A key that should hold a value of ours.
#[derive(Clone, PartialEq)]
pub struct Wish {
    pub path: KeyPath,
    /// `None`: the key must not be there.
    pub value: Option<Value>,
    /// Replace a value that is not ours; without it that value stays and is reported.
    pub take_over: bool,
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.path)
    }
}

/// What we must remember between two changes of the file. Holds the values that we replaced: private, mode 0600.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    schema: u32,
    /// There was no settings file before ours.
    #[serde(default)]
    file_created: bool,
    /// There was no `env` before ours.
    #[serde(default)]
    env_created: bool,
    #[serde(default)]
    keys: BTreeMap<KeyPath, Held>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact: Option<Exact>,
}

/// One key of ours.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// The JSON text that stood there; absent if there was no such key.
    before: Option<String>,
    /// Of the value that we set, in canonical form; absent if we removed the key.
    set: Option<Sha256>,
}

/// The way back from the bytes that we wrote last to those without us.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Exact {
    written: Sha256,
    original: Sha256,
    splices: Vec<Splice>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { schema: SCHEMA, file_created: false, env_created: false, keys: BTreeMap::new(), exact: None }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys().map(ToString::to_string)).finish()
    }
}

impl Ledger {
    /// Reads what `to_text` wrote. A newer schema is refused: undoing by a record that we half understand would lose
    /// somebody's settings.
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

    /// For keys of ours whose ledger was lost: those of `paths` that are there, as they are, with nothing before them.
    pub fn of_orphans(settings: &Settings, paths: &[KeyPath]) -> Self {
        let held = |path: &KeyPath| {
            let set = Some(fingerprint(&settings.get(path)?));
            Some((path.clone(), Held { before: None, set }))
        };
        let keys = paths.iter().filter_map(held).collect();
        Self { file_created: true, env_created: true, keys, ..Self::default() }
    }

    /// Our keys, in the order of their names.
    pub fn paths(&self) -> impl Iterator<Item = &KeyPath> {
        self.keys.keys()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Where it went wrong, without the text around it: that may be a secret.
fn describe(error: &serde_json::Error) -> String {
    format!("line {}, column {}: not a record of settings keys", error.line(), error.column())
}

/// What `converge` comes to. Nothing is written yet.
pub struct Converged {
    /// The file to write, if `changed` is not empty.
    pub bytes: Vec<u8>,
    pub ledger: Ledger,
    /// Keys that differ from the file as it is.
    pub changed: Vec<KeyPath>,
    /// Keys that stay as somebody else set them, against the wishes or in spite of the undoing.
    pub kept: Vec<KeyPath>,
    /// The file was made by us and says nothing any more.
    pub remove_file: bool,
}

/// How a key of the file relates to us.
#[derive(PartialEq)]
enum Owner {
    Ours,
    Foreign,
    Nobody,
}

impl Settings {
    /// The wished keys that hold a value which is neither ours nor the wished one.
    pub fn foreign(&self, wishes: &[Wish], ledger: &Ledger) -> Vec<KeyPath> {
        let foreign = wishes
            .iter()
            .filter(|wish| self.owner(&wish.path, ledger) == Owner::Foreign && !self.grants(wish));
        foreign.map(|wish| wish.path.clone()).collect()
    }

    /// The text and ledger in which exactly the wished keys are ours. Keys of ours that are no longer wished go back
    /// to what they were, unless somebody changed them since.
    pub fn converge(&self, wishes: &[Wish], ledger: &Ledger) -> Result<Converged, Problem> {
        let file_created = ledger.file_created || self.absent;
        let mut next = Ledger { exact: None, file_created, ..ledger.clone() };
        let mut turn = Turn::default();
        for wish in wishes {
            self.weigh_wish(wish, ledger, &mut next, &mut turn);
        }
        for (path, held) in &ledger.keys {
            if !wishes.iter().any(|wish| wish.path == *path) {
                self.weigh_release(path, held, ledger, &mut next, &mut turn);
            }
        }
        let changed: Vec<KeyPath> = turn.targets.iter().map(|(path, _)| path.clone()).collect();
        if changed.is_empty() {
            let as_it_is = || Sha256::of(&self.bytes());
            let untouched = || Exact { written: as_it_is(), original: as_it_is(), splices: Vec::new() };
            next.exact = if ledger.is_empty() { Some(untouched()) } else { ledger.exact.clone() };
            return Ok(self.outcome(self.bytes(), next, changed, turn.kept));
        }
        let draft = match self.original(ledger) {
            Some(original) => self.rebuilt(original, wishes, &mut next)?,
            None => self.patched(&turn, ledger, &mut next)?,
        };
        self.prove(&draft.settings, &turn, |path| {
            ledger.keys.contains_key(path) || wishes.iter().any(|wish| wish.path == *path)
        })?;
        let bytes = draft.settings.bytes();
        Ok(draft.settings.outcome(bytes, next, changed, turn.kept))
    }

    /// Decides what one wish means for the file and the ledger.
    fn weigh_wish(&self, wish: &Wish, ledger: &Ledger, next: &mut Ledger, turn: &mut Turn) {
        let Wish { path, value, take_over } = wish;
        let owner = self.owner(path, ledger);
        let granted = self.grants(wish);
        if owner == Owner::Foreign && !granted && !take_over {
            turn.kept.push(path.clone());
            return;
        }
        // What somebody put over our value is what a later undo owes them.
        let replaces = !ledger.keys.contains_key(path) || (owner == Owner::Foreign && !granted);
        let before = match (replaces, ledger.keys.get(path)) {
            (false, Some(held)) => held.before.clone(),
            _ => self.raw(path).map(str::to_owned),
        };
        next.keys.insert(path.clone(), Held { before, set: value.as_ref().map(fingerprint) });
        if !granted {
            turn.targets.push((path.clone(), value.as_ref().map(json_text)));
        }
    }

    /// Decides what happens to a key of ours that is no longer wished.
    fn weigh_release(
        &self,
        path: &KeyPath,
        held: &Held,
        ledger: &Ledger,
        next: &mut Ledger,
        turn: &mut Turn,
    ) {
        next.keys.remove(path);
        match self.owner(path, ledger) {
            Owner::Ours if self.raw(path) != held.before.as_deref() => {
                turn.targets.push((path.clone(), held.before.clone()));
            }
            Owner::Ours => {}
            Owner::Foreign | Owner::Nobody => turn.kept.push(path.clone()),
        }
    }

    fn owner(&self, path: &KeyPath, ledger: &Ledger) -> Owner {
        let today = self.get(path).as_ref().map(fingerprint);
        match (ledger.keys.get(path), today) {
            (Some(held), today) if held.set == today => Owner::Ours,
            (_, None) => Owner::Nobody,
            (_, Some(_)) => Owner::Foreign,
        }
    }

    /// Whether the file already holds what is wished.
    fn grants(&self, wish: &Wish) -> bool {
        self.get(&wish.path).as_ref().map(fingerprint) == wish.value.as_ref().map(fingerprint)
    }

    /// The file without us, if today's bytes are the ones we wrote, or if there is nothing of ours in it yet.
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

    /// All our keys put into the original anew, with the way back.
    fn rebuilt(&self, original: Self, wishes: &[Wish], next: &mut Ledger) -> Result<Draft, Problem> {
        let before = Sha256::of(&original.bytes());
        let mut draft = Draft::new(original);
        for wish in wishes.iter().filter(|wish| next.keys.contains_key(&wish.path)) {
            if draft.settings.grants(wish) {
                continue;
            }
            match (&wish.value, self.raw(&wish.path).filter(|_| self.grants(wish))) {
                (Some(_), Some(raw)) => draft.set(&wish.path, raw)?,
                (Some(value), None) => draft.set(&wish.path, &json_text(value))?,
                (None, _) => draft.remove(&wish.path, false)?,
            }
        }
        next.env_created = draft.env_created;
        let written = Sha256::of(&draft.settings.bytes());
        next.exact = Some(Exact { written, original: before, splices: draft.made.clone() });
        Ok(draft)
    }

    /// Only what has to change, put into the file as somebody else left it.
    fn patched(&self, turn: &Turn, ledger: &Ledger, next: &mut Ledger) -> Result<Draft, Problem> {
        let mut draft = Draft::new(Self::read(self.bom, self.text.clone())?);
        for (path, target) in &turn.targets {
            match target {
                Some(raw) => draft.set(path, raw)?,
                None => draft.remove(path, ledger.env_created)?,
            }
        }
        next.env_created = (next.env_created || draft.env_created) && draft.settings.env().is_some();
        Ok(draft)
    }

    /// Refuses a result that is not the file of today with exactly the targets changed. No layout is known for which
    /// this fails; it stands here because the file is not ours.
    fn prove(&self, after: &Self, turn: &Turn, touched: impl Fn(&KeyPath) -> bool) -> Result<(), Problem> {
        let others = |settings: &Self| -> Vec<(KeyPath, String)> {
            let paths = settings.paths().filter(|path| !touched(path));
            paths.map(|path| (path.clone(), settings.raw(&path).unwrap_or_default().to_owned())).collect()
        };
        let meant = |path: &KeyPath| match turn.targets.iter().find(|(target, _)| target == path) {
            Some((_, raw)) => raw.as_deref().map(value_of),
            None => self.get(path),
        };
        let mut ours =
            self.paths().chain(after.paths()).chain(turn.targets.iter().map(|(path, _)| path.clone()));
        if others(self) == others(after) && ours.all(|path| after.get(&path) == meant(&path)) {
            return Ok(());
        }
        Err(Problem { line: 1, column: 1, why: "this layout cannot be edited safely".to_owned() })
    }

    /// Every member of the two levels except `env` itself.
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
        if gone {
            ledger = Ledger::default();
        }
        Converged { bytes, ledger, changed, kept, remove_file }
    }
}

/// What one call of `converge` decided.
#[derive(Default)]
struct Turn {
    /// Keys to change, each with its JSON text to be; without one it goes.
    targets: Vec<(KeyPath, Option<String>)>,
    kept: Vec<KeyPath>,
}

/// A value independent of how it is spelled. Of a secret only this is remembered.
fn fingerprint(value: &Value) -> Sha256 {
    Sha256::of(value.to_string().as_bytes())
}

/// A value of ours as JSON text on one line, spaced as people write it.
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
