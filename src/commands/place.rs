//! Decides where the deployment lives: flags, environment, password database, what is in use.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::Common;
use crate::deploy::store;
use crate::domain::name::{printable, shell_word};
use crate::domain::place::files;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::{disk, system, term};

use super::invocation;

/// Resolves every directory, before anything is written.
pub(super) fn resolve(common: &Common) -> Result<Place> {
    let staged = common.home.is_some();
    let home = home(common)?;
    let config_dir = match system::path_variable("CLAUDE_CONFIG_DIR").filter(|_| !staged) {
        Some(dir) => checked("CLAUDE_CONFIG_DIR", &absolute(&dir)?)?,
        None => home.join(".claude"),
    };
    let config_dir = real(&config_dir)?;
    let state = system::path_variable("XDG_STATE_HOME").filter(|dir| !staged && dir.is_absolute());
    let state_dir = state.unwrap_or_else(|| home.join(".local/state")).join("gwinstall");
    let mut place = Place { home, target: Place::default_target(&config_dir), config_dir, state_dir, staged };
    let in_use = in_use(&place);
    let asked = match &common.target_dir {
        Some(dir) => Some(checked("--target-dir", &absolute(dir)?)?),
        None => system::path_variable("GWINSTALL_TARGET_DIR")
            .filter(|_| !staged)
            .map(|dir| checked("GWINSTALL_TARGET_DIR", &absolute(&dir)?))
            .transpose()?,
    };
    place.target = match (asked, in_use) {
        (Some(asked), Some(used)) if real(&asked)? != used => {
            return Err(Error::usage(format!("cannot use {}", asked.display()))
                .because(format!(
                    "the gateway of {} is deployed in {}, and there is one per configuration directory",
                    place.show(&place.config_dir),
                    place.show(&used)
                ))
                .hint(elsewhere(common)));
        }
        (Some(asked), _) => real(&asked)?,
        (None, Some(used)) => used,
        (None, None) => real(&place.target)?,
    };
    if place.target == place.home || place.target == place.config_dir || place.target == Path::new("/") {
        return Err(Error::usage(format!(
            "--target-dir: {} cannot be the gateway's own directory",
            place.show(&place.target)
        ))
        .hint("give a directory of its own, for example ~/.claude/gateway"));
    }
    Ok(place)
}

/// A directory that a flag names, which need not exist.
pub(super) fn directory(flag: &str, typed: &Path) -> Result<PathBuf> {
    real(&checked(flag, &absolute(typed)?)?)
}

/// The place for a command that can do without a home, as in a container or a service without one: what is not there holds
/// nothing.
pub(super) fn resolve_for_reading(common: &Common) -> Result<Place> {
    let home =
        system::path_variable("HOME").or_else(system::home_of_account).filter(|home| home.is_absolute());
    let home = home.unwrap_or_else(|| PathBuf::from("/nonexistent"));
    if common.home.is_some() || disk::is_dir(&home) {
        return resolve(common);
    }
    let config_dir = match system::path_variable("CLAUDE_CONFIG_DIR") {
        Some(dir) => checked("CLAUDE_CONFIG_DIR", &absolute(&dir)?)?,
        None => checked("HOME", &home)?.join(".claude"),
    };
    let (target, state_dir) = (Place::default_target(&config_dir), home.join(".local/state/gwinstall"));
    Ok(Place { home, target, config_dir, state_dir, staged: false })
}

/// The hint for a target that is not the one in use.
fn elsewhere(common: &Common) -> Hint {
    if common.target_dir.is_none() {
        return Hint::step("unset GWINSTALL_TARGET_DIR");
    }
    let run = term::invocation();
    let [here, home] = [&run.words, &run.place].map(|words| invocation::without(words, "--target-dir"));
    let uninstall = [home, vec!["uninstall".to_owned()]].concat();
    Hint::line(&here).to("work on the existing one").or(Hint::line(&uninstall).to("remove it first"))
}

fn home(common: &Common) -> Result<PathBuf> {
    if let Some(dir) = &common.home {
        let dir = checked("--home", &absolute(dir)?)?;
        if !disk::is_dir(&dir) {
            return Err(Error::usage(format!("--home: there is no directory {}", dir.display()))
                .hint(Hint::shell(format!("mkdir -p {}", shell_word(&dir.to_string_lossy())))));
        }
        let dir = real(&dir)?;
        if let Some((user, group)) = disk::owner(&dir).filter(|(user, _)| *user != 0 && system::is_root()) {
            system::become_user(user, group)?;
        }
        return Ok(dir);
    }
    let home = match system::path_variable("HOME") {
        Some(home) => checked("HOME", &home)?,
        None => system::home_of_account().ok_or_else(|| {
            Error::usage("HOME is not set, and the password database names no home directory")
                .hint("set HOME to your home directory")
        })?,
    };
    if !home.is_absolute() || !disk::is_dir(&home) {
        return Err(Error::usage(format!(
            "HOME is {}, which is not a directory",
            printable(&home.to_string_lossy())
        ))
        .hint("set HOME to your home directory"));
    }
    real(&home)
}

/// Paths must survive scripts, JSON and a terminal: UTF-8, no control characters.
fn checked(what: &str, path: &Path) -> Result<PathBuf> {
    let text = path.to_str().ok_or_else(|| Error::usage(format!("{what}: the path is not UTF-8")))?;
    if text.chars().any(char::is_control) {
        return Err(Error::usage(format!(
            "{what}: the path {:?} contains a control character",
            printable(text)
        )));
    }
    if path.components().any(|part| part.as_os_str() == "..") {
        return Err(Error::usage(format!("{what}: the path {} contains ..", printable(text)))
            .hint("give the path without .."));
    }
    if text.len() > 3000 {
        return Err(Error::usage(format!("{what}: the path is too long")));
    }
    Ok(path.to_path_buf())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(Error::usage("an empty path was given"));
    }
    if path.is_absolute() {
        return Ok(path.to_path_buf());
    }
    if path.as_os_str().as_encoded_bytes().starts_with(b"~") {
        return Err(Error::usage(format!(
            "{} begins with ~, which your shell did not expand",
            path.display()
        ))
        .hint("write $HOME instead of ~"));
    }
    Ok(system::current_dir()?.join(path.strip_prefix(".").unwrap_or(path)))
}

/// The path with links resolved as far as it exists, so that staging and target are on one file system.
fn real(path: &Path) -> Result<PathBuf> {
    let existing = disk::nearest_existing(path);
    let rest = path.strip_prefix(&existing).unwrap_or(Path::new(""));
    if let Some(next) = rest.components().next() {
        // A name that is there without a file behind it is a dangling link, which is an error.
        disk::real_file(&existing.join(next)).map_err(|error| error.of_kind(Kind::Usage))?;
    }
    let base = disk::canonical(&existing)?;
    Ok(if rest.as_os_str().is_empty() { base } else { base.join(rest) })
}

/// The target that a deployment of this configuration directory uses, if it has one.
fn in_use(place: &Place) -> Option<PathBuf> {
    let record = |target: &Path| {
        let there = Place { target: target.to_path_buf(), ..place.clone() };
        disk::exists(&there.file(files::RECORD)) || store::is_lost(&there)
    };
    let bytes = disk::read_maybe(&place.pointer(), disk::TEXT_CAP).ok().flatten();
    let value: Option<Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let target = value.and_then(|value| value.get("target").and_then(Value::as_str).map(PathBuf::from));
    target.filter(|target| record(target)).or_else(|| {
        let default = real(&place.target).ok()?;
        record(&default).then_some(default)
    })
}
