//! A lost record: files that only a deployment has exist, and `deployment-manifest.json` does not. The user removed
//! it, or copied the directory without it.
//!
//! Promise: looks only. A command that finds this state keeps what a later repair needs (the ledger of settings, the
//! base copies) and names the command that repairs it.

use serde_json::Value;

use crate::domain::name::list;
use crate::domain::place::files;
use crate::domain::record::Record;
use crate::domain::request::DEFAULT_PORT;
use crate::domain::{Error, Hint, Operation, Place, Result};
use crate::doors::disk;
use crate::format::settings::{KeyPath, Settings};

use super::{backup, store};

/// The end of the log that is read for what was deployed: many lines.
const LOG_TAIL: u64 = 64 << 10;

/// The record of the deployment; `None` if nothing is deployed. A lost record is an error: gwinstall then does not
/// know what is deployed.
pub fn record(place: &Place) -> Result<Option<Record>> {
    match store::record_as_found(place)? {
        None if store::is_lost(place) => Err(refusal(place)),
        found => Ok(found),
    }
}

/// The error for a lost record: what is missing, how gwinstall knows, and the command that restores it.
pub fn refusal(place: &Place) -> Error {
    let seen = [files::CONFIG, files::START, files::ENV].iter().chain(&store::MARKS);
    let seen: Vec<&str> = seen.copied().filter(|name| disk::exists(&place.file(name))).collect();
    Error::failed(format!("the record of the deployment in {} is missing", place.show(&place.target)))
        .because(format!(
            "{} is not there, while {} {}",
            place.show(&place.file(files::RECORD)),
            list(&seen),
            if seen.len() == 1 { "is" } else { "are" }
        ))
        .because("without it gwinstall cannot know what to update or remove")
        .hint(ways_back(place))
}

/// The commands that write a new record.
fn ways_back(place: &Place) -> Hint {
    let install = Hint::run(&install_again(place)).to("write a new record and keep what is deployed");
    match newest_backup(place) {
        Some(name) => Hint::run(&["rollback"]).to(format!("return to {name}")).or(install),
        None => install,
    }
}

/// The backup that a plain `rollback` goes to, if it can be used.
fn newest_backup(place: &Place) -> Option<String> {
    let (path, entry) = backup::choose(place, None, None).ok()?;
    let entry = entry?;
    let sum = Some(entry.sha256_checksum);
    let usable = if entry.encrypted {
        backup::look_at_sealed(&path, sum).is_ok()
    } else {
        backup::open(&path, sum).is_ok()
    };
    usable.then_some(entry.filename)
}

/// The `install` command for the last deployment, as far as the log and the settings show it.
fn install_again(place: &Place) -> Vec<String> {
    let mut command = vec!["install".to_owned()];
    let mut add = |flag: &str, value: String| command.extend([flag.to_owned(), value]);
    let tail = disk::tail(&place.log(), LOG_TAIL).unwrap_or_default();
    let last = String::from_utf8_lossy(&tail).lines().rev().find_map(deployed_by);
    if let Some((preset, models)) = last {
        add("--preset", preset);
        if !models.is_empty() {
            add("--models", models.join(","));
        }
    }
    if let Some(url) = local_url(place) {
        add("--gateway-url", url);
    }
    command
}

/// Preset and models from a line of the log, if its operation left a deployment.
fn deployed_by(line: &str) -> Option<(String, Vec<String>)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let word = |key: &str| line.get(key).and_then(Value::as_str);
    if word("status") != Some("success") || word("operation") == Some(Operation::Uninstall.word()) {
        return None;
    }
    let models = line.get("models_deployed")?.as_array()?;
    Some((word("preset")?.to_owned(), models.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
}

/// The URL of a gateway on this machine, unless it is the default. `.env` holds the URL of a remote gateway.
fn local_url(place: &Place) -> Option<String> {
    let bytes = disk::read_maybe(&place.settings(), disk::TEXT_CAP).ok()??;
    let url = Settings::parse(&bytes).ok()?.get(&KeyPath::Env("ANTHROPIC_BASE_URL".to_owned()))?;
    let url = url.as_str().filter(|url| url.starts_with("http://127.0.0.1:"))?;
    (url != format!("http://127.0.0.1:{DEFAULT_PORT}")).then(|| url.to_owned())
}
