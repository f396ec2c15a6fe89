//! The edit of settings.json inside a draft, worked out from the desired keys, the ledger and the file as it is.
//!
//! Promise: gwinstall changes the real file behind every link, never touches a file that does not parse, and replaces
//! a value of the user or another program only with `--force`, or where leaving it would leak a key. Reads only.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::Value;

use crate::domain::name::shell_word;
use crate::domain::place::files;
use crate::domain::plan::Step;
use crate::domain::record::{SettingsRecord, SettingsValue};
use crate::domain::tree::Class;
use crate::domain::{Error, Place, Result, Sha256};
use crate::doors::disk;
use crate::format::settings::{Converged, DesiredValue, KeyPath, Ledger, Problem, Settings};
use crate::render::{BASE_URL, DesiredKey, is_helper_command, keys_beside_gateway_helper};

use super::plan::Stance;
use super::step;

/// The key of the user's hooks, which holds one of gwinstall for seconds.
pub(super) const HOOKS: &str = "hooks";

/// Claude Code works without these: a user who removes one of them means it.
const OPTIONAL: [&str; 10] = [
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
    "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
    "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
];

/// The edit of settings.json, worked out.
pub(super) struct SettingsEdit {
    path: PathBuf,
    pub(super) step: Option<Step>,
    ledger: Ledger,
    /// The file of the ledger as it was read.
    ledger_read: Option<Sha256>,
    /// Keys with a value that gwinstall did not set and the user has to decide about.
    pub(super) foreign: Vec<KeyPath>,
    pub(super) kept: Vec<KeyPath>,
    /// Keys that have a value of the user and need no other.
    yielded: Vec<KeyPath>,
    pub(super) changed: Vec<KeyPath>,
    /// Whether gwinstall replaces a value that it did not set.
    pub(super) took_over: bool,
    /// The mode to restore once the file holds no secret.
    pub(super) mode_before: Option<u32>,
}

/// Claude Code's settings as found: the real file behind every link.
pub struct SettingsFile {
    path: PathBuf,
    /// `None` if there is no file.
    bytes: Option<Vec<u8>>,
    parsed: std::result::Result<Settings, Problem>,
}

impl SettingsFile {
    pub(super) fn read(place: &Place) -> Result<Self> {
        let path = disk::real_file(&place.settings())?;
        let bytes = disk::read_maybe(&path, disk::TEXT_CAP).map_err(|error| untouched(error, place))?;
        let parsed = bytes.as_deref().map_or_else(|| Ok(Settings::absent()), Settings::parse);
        Ok(Self { path, bytes, parsed })
    }

    /// The settings, where they parse.
    pub fn parsed(&self) -> Option<&Settings> {
        self.parsed.as_ref().ok()
    }

    /// Why the settings do not parse.
    pub fn problem(&self) -> Option<&Problem> {
        self.parsed.as_ref().err()
    }

    /// The value of a key, where the settings parse and have it.
    pub fn get(&self, key: &KeyPath) -> Option<Value> {
        self.parsed()?.get(key)
    }

    /// The keys of gwinstall with their present values, without one that another program has changed since.
    pub(super) fn held(&self, ledger: &Ledger) -> Vec<DesiredKey> {
        let Some(settings) = self.parsed() else { return Vec::new() };
        let held = ledger.paths().filter(|path| settings.is_of_gwinstall(path, ledger));
        held.map(|path| {
            let (path, value) = (path.clone(), settings.get(path));
            DesiredKey { path, value, secret: false, always: false, yields: false }
        })
        .collect()
    }

    /// Whether Claude Code asks the helper of this place for its key.
    pub(super) fn names_gateway_helper(&self, place: &Place) -> bool {
        self.parsed().is_some_and(|settings| holds_gateway_helper(place, settings))
    }
}

impl SettingsEdit {
    /// Works out the edit that leaves exactly `desired` as keys of gwinstall. `tightened` is the mode that the file had
    /// before a secret of gwinstall made it private.
    pub(super) fn work_out(
        place: &Place,
        found: &SettingsFile,
        ledger: &LedgerFile,
        desired: &[DesiredKey],
        stance: Stance,
        tightened: Option<u32>,
    ) -> Result<Self> {
        let mut edit = Self {
            path: found.path.clone(),
            step: None,
            ledger: ledger.ledger.clone(),
            ledger_read: ledger.read,
            foreign: Vec::new(),
            kept: Vec::new(),
            yielded: Vec::new(),
            changed: Vec::new(),
            took_over: false,
            mode_before: tightened,
        };
        if edit.ledger.is_empty()
            && let Some(settings) = found.parsed()
        {
            edit.ledger = orphans(place, settings);
        }
        // gwinstall has no key in it and needs none, so not even its syntax matters.
        if !desired.is_empty() || !edit.ledger.is_empty() {
            edit.converge(place, found, desired, stance)?;
        }
        Ok(edit)
    }

    fn converge(
        &mut self,
        place: &Place,
        found: &SettingsFile,
        desired: &[DesiredKey],
        stance: Stance,
    ) -> Result<()> {
        let refused = |problem: &Problem| {
            Error::failed(format!("cannot edit {}", place.show(&place.settings()))).because(problem)
        };
        let settings = found.parsed.as_ref().map_err(|problem| untouched(refused(problem), place))?;
        let force = stance == Stance::Deploy { force: true };
        let always = |path: &KeyPath| desired.iter().any(|key| key.always && key.path == *path);
        // Without the address Claude Code does not use the gateway, and then the whole is what the user asks for.
        let in_use = settings.is_of_gwinstall(&KeyPath::env(BASE_URL), &self.ledger);
        let known = |path: &KeyPath| self.ledger.paths().any(|recorded| recorded == path);
        // To Claude Code these are no value, so gwinstall replaces nothing that works.
        let is_blank = |value: Value| value.is_null() || value == "";
        let blank = |path: &KeyPath| !known(path) && settings.get(path).is_some_and(is_blank);
        let key = |key: &DesiredKey| DesiredValue {
            path: key.path.clone(),
            value: key.value.clone(),
            take_over: force || key.always || blank(&key.path),
            optional: in_use && OPTIONAL.iter().any(|name| key.path == KeyPath::env(*name)),
        };
        // The user's own value of such a key is neither replaced nor a matter of a decision.
        let yields = |key: &&DesiredKey| {
            key.yields
                && settings.get(&key.path).is_some()
                && !settings.is_of_gwinstall(&key.path, &self.ledger)
        };
        self.yielded = desired.iter().filter(yields).map(|key| key.path.clone()).collect();
        let values: Vec<DesiredValue> = desired.iter().filter(|key| !yields(key)).map(key).collect();
        let left_out = values.iter().filter(|key| settings.is_left_out(key, &self.ledger));
        self.yielded.extend(left_out.map(|key| key.path.clone()));
        // A key that the user changed after gwinstall set it stays; one that gwinstall never set needs a decision.
        self.foreign = settings.foreign(&values, &self.ledger);
        let decided = |path: &KeyPath| known(path) || always(path) || blank(path);
        self.foreign.retain(|path| stance != Stance::Restore && !decided(path));
        if force {
            self.took_over = !self.foreign.is_empty();
            self.foreign.clear();
        }
        let converged = settings.converge(&values, &self.ledger).map_err(|problem| refused(&problem))?;
        let secret =
            desired.iter().any(|key| key.secret && key.value.is_some()) && !converged.ledger.is_empty();
        self.step = Some(self.file_step(&converged, found.bytes.as_deref(), secret)?);
        self.ledger = converged.ledger;
        // A key that the user removed stays removed, and there is no value to report.
        self.kept = converged.kept.into_iter().filter(|path| settings.get(path).is_some()).collect();
        self.changed = converged.changed;
        Ok(())
    }

    fn file_step(&mut self, converged: &Converged, read: Option<&[u8]>, secret: bool) -> Result<Step> {
        let exists = read.is_some();
        let path = self.path.clone();
        let found = step::as_read(&path, read.map(Sha256::of));
        if converged.remove_file {
            let step = step::remove("settings.json", path, Class::Settings, &found);
            return Ok(Step { reason: "gwinstall created it, and nothing else is in it", ..step });
        }
        if !exists && converged.changed.is_empty() {
            return Ok(step::remove("settings.json", path, Class::Settings, &found));
        }
        let mode = found.stamp().map_or(0o600, |stamp| stamp.mode);
        if exists && mode & 0o200 == 0 && !converged.changed.is_empty() {
            return Err(Error::failed(format!("cannot edit {}", path.display()))
                .because("it is read-only, and that may be on purpose")
                .hint(format!("chmod u+w {}", shell_word(&path.display().to_string()))));
        }
        let mode = self.mode(mode, secret);
        let bytes = converged.bytes.clone();
        let step = step::write_over("settings.json", path, Class::Settings, bytes, mode, &found)?;
        Ok(Step { reason: "only the keys of gwinstall", ..step })
    }

    /// The mode of the file: private while it holds a secret of gwinstall, its previous mode afterwards.
    fn mode(&mut self, mode: u32, secret: bool) -> u32 {
        let private = mode & 0o700;
        if secret {
            self.mode_before = self.mode_before.or((mode != private).then_some(mode));
            return private;
        }
        self.mode_before.take().filter(|before| mode == before & 0o700).unwrap_or(mode)
    }

    /// The part of the record about settings.json.
    pub(super) fn record(&self, place: &Place, desired: &[DesiredKey]) -> SettingsRecord {
        SettingsRecord {
            path: place.show(&self.path),
            keys: recorded_keys(desired, &[&self.kept[..], &self.yielded].concat()),
            mode_before: self.mode_before,
        }
    }

    /// The step that writes the previous values of keys. Only this private file of gwinstall holds them.
    pub(super) fn ledger_step(&self, place: &Place) -> Result<Step> {
        let path = place.file(files::SETTINGS_BEFORE);
        let found = step::as_read(&path, self.ledger_read);
        if self.ledger.is_empty() {
            return Ok(step::remove(files::SETTINGS_BEFORE, path, Class::Record, &found));
        }
        let text = self.ledger.to_text().map_err(|why| {
            Error::failed(format!("cannot write {}, so nothing was changed", path.display())).because(why)
        })?;
        step::write_over(files::SETTINGS_BEFORE, path, Class::Record, text.into_bytes(), 0o600, &found)
    }
}

/// The ledger of previous values, and the file that it was read from.
#[derive(Debug, Clone, Default)]
pub(super) struct LedgerFile {
    pub ledger: Ledger,
    /// The bytes that were read; `None`: there was no file.
    pub read: Option<Sha256>,
}

impl LedgerFile {
    pub(super) fn read(place: &Place) -> Result<Self> {
        let path = place.file(files::SETTINGS_BEFORE);
        let Some(bytes) = disk::read_maybe(&path, 8 << 20)? else { return Ok(Self::default()) };
        let ledger = Ledger::parse(&String::from_utf8_lossy(&bytes))
            .map_err(|why| Error::failed(format!("cannot use {}", path.display())).because(why))?;
        Ok(Self { ledger, read: Some(Sha256::of(&bytes)) })
    }
}

/// The script that prints the key, as a command in settings.json names it: a shell runs it, so `~` works and anything
/// else is quoted.
pub(super) fn helper_script(place: &Place) -> String {
    if place.config_dir == place.home.join(".claude") && place.target_is_default() {
        return format!("~/.claude/gateway/{}", files::KEY_HELPER);
    }
    shell_word(&place.file(files::KEY_HELPER).display().to_string())
}

fn holds_gateway_helper(place: &Place, settings: &Settings) -> bool {
    let helper = settings.get(&KeyPath::top("apiKeyHelper"));
    let script = helper_script(place);
    helper.is_some_and(|helper| helper.as_str().is_some_and(|command| is_helper_command(command, &script)))
}

/// A ledger of the keys that only gwinstall can have set, for settings without a ledger.
fn orphans(place: &Place, settings: &Settings) -> Ledger {
    if !holds_gateway_helper(place, settings) {
        return Ledger::default();
    }
    let mut paths = keys_beside_gateway_helper();
    // gwinstall writes these two empty; no other program has a reason to.
    for name in ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"] {
        let blank = KeyPath::env(name);
        paths.extend(settings.get(&blank).filter(|value| value == "").map(|_| blank));
    }
    Ledger::of_orphans(settings, &paths)
}

fn untouched(error: Error, place: &Place) -> Error {
    let shown = place.paste(&place.settings());
    error.hint(if disk::is_dir(&place.settings()) {
        format!("see what is in it: ls -la {shown}; move it away, then run the same command again")
    } else {
        format!("fix {shown} (gwinstall did not touch it), then run the same command again")
    })
}

/// What the record keeps of the keys that gwinstall sets or removes.
fn recorded_keys(desired: &[DesiredKey], kept: &[KeyPath]) -> IndexMap<String, SettingsValue> {
    let managed = desired.iter().filter(|key| !kept.contains(&key.path));
    managed
        .map(|key| {
            let kept = match &key.value {
                Some(_) if key.secret => SettingsValue::Secret,
                Some(value) => SettingsValue::Value(value.clone()),
                None => SettingsValue::Removed,
            };
            (key.path.to_string(), kept)
        })
        .collect()
}
