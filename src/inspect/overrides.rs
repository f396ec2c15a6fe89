//! Settings files that override the user's: an administrator's, and those of the project in the current directory.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::domain::check::Finding;
use crate::domain::record::Record;
use crate::domain::{Hint, Place};
use crate::doors::{disk, system};
use crate::format::settings::{KeyPath, Settings};
use crate::render;

/// One sentence for each key that another file sets, with the file that sets it.
pub fn of(place: &Place, record: &Record) -> Vec<String> {
    if place.staged {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut files = managed();
    if let Ok(dir) = system::current_dir() {
        files.extend(["settings.local.json", "settings.json"].map(|name| dir.join(".claude").join(name)));
    }
    let own = place.settings();
    for path in files.iter().filter(|path| **path != own) {
        let Ok(Some(bytes)) = disk::read_maybe(path, disk::TEXT_CAP) else { continue };
        let Ok(settings) = Settings::parse(&bytes) else { continue };
        let keys = [
            "env.ANTHROPIC_BASE_URL",
            "env.ANTHROPIC_AUTH_TOKEN",
            "env.ANTHROPIC_API_KEY",
            "env.ANTHROPIC_MODEL",
            "apiKeyHelper",
        ];
        let switches = settings.env_names().filter(|name| render::is_provider_switch(name));
        let keys = keys.map(str::to_owned).into_iter().chain(switches.map(|name| format!("env.{name}")));
        for key in keys {
            let path_of_key = KeyPath::parse(&key);
            if settings.get(&path_of_key).is_some_and(|value| !record.settings.sets(&key, &value)) {
                found
                    .push(format!("{} sets {key}, which wins over the value of gwinstall", place.show(path)));
            }
        }
    }
    found
}

/// Settings that an administrator manages, with their drop-in files.
fn managed() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for dir in ["/etc/claude-code", "/Library/Application Support/ClaudeCode"].map(Path::new) {
        files.push(dir.join("managed-settings.json"));
        let drop_ins = dir.join("managed-settings.d");
        let names = disk::list(&drop_ins).unwrap_or_default();
        files.extend(names.iter().filter(|name| name.ends_with(".json")).map(|name| drop_ins.join(name)));
    }
    files
}

pub fn finding(overrides: &[String]) -> Finding {
    let Some(first) = overrides.first() else {
        return Finding::pass("no other settings file wins over the values of gwinstall");
    };
    let way = if first.contains("managed-settings") {
        "ask your administrator to take the key out of that file"
    } else {
        "take the key out of that file, or work in another directory"
    };
    Finding::warn(first.clone()).details(json!({ "overrides": overrides })).hint(Hint::step(way))
}
