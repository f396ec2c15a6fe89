//! `backup diff`: what a rollback to a backup would change, line by line. Values of `.env` are never shown.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::UnlockArgs;
use crate::deploy::backup::{self, Backup};
use crate::deploy::context::EnvFile;
use crate::deploy::store;
use crate::domain::place::files;
use crate::domain::record::EnvValue;
use crate::domain::stand_in::is_value;
use crate::domain::tree::Found;
use crate::domain::{Kind, Place, Result};
use crate::doors::disk;
use crate::format::dotenv::DotEnv;
use crate::format::merge::unified_diff;

use super::seal;
use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, which: &str, unlock: &UnlockArgs) -> Result<Answer> {
    let (path, entry) = backup::choose(place, Some(which), None)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sum = entry.as_ref().map(|entry| entry.sha256_checksum);
    let backup = backup::open_with(&path, sum, &mut seal::unlock(unlock))?;
    let mut differences = differing_files(place, &backup)?;
    differences.extend(differing_variables(place, &backup)?);
    let data = json!({
        "backup": name,
        "differences": differences.iter().map(|one| json!({ "path": one.path, "change": one.change })).collect::<Vec<Value>>(),
    });
    if differences.is_empty() {
        return Ok(Answer::new("no difference")
            .text(format!("No difference: everything is as in {name}."))
            .data(data));
    }
    let text: Vec<&str> = differences.iter().map(|one| one.text.trim_end()).collect();
    let text = format!("What changed from {name} to now:\n{}", text.join("\n"));
    Ok(Answer::new(format!("there are differences to {name}")).quoting(text).data(data).exit(Kind::Pending))
}

struct Difference {
    path: String,
    /// `added`, `removed`, `changed` or `mode`, seen from the backup towards now.
    change: &'static str,
    text: String,
}

fn differing_files(place: &Place, backup: &Backup) -> Result<Vec<Difference>> {
    let now = store::record_as_found(place)?.map(|record| record.files).unwrap_or_default();
    let paths: BTreeSet<&String> = backup.files.keys().chain(now.keys()).collect();
    let mut differences = Vec::new();
    for path in paths {
        let then = backup.files.get(path);
        let found = disk::find(&store::live_path(place, path))?;
        let text = |old: &[u8], new: &[u8]| {
            unified_diff(&String::from_utf8_lossy(old), &String::from_utf8_lossy(new), path)
        };
        let read = || disk::read(&store::live_path(place, path), disk::TEXT_CAP);
        let (change, text) = match (then, found) {
            (None, Found::Absent) => continue,
            (Some(then), Found::File(stamp)) if then.stamp == stamp => continue,
            (Some(then), Found::File(stamp)) if then.stamp.sha256 == stamp.sha256 => {
                ("mode", format!("~ {path} mode {:04o} → {:04o}", then.stamp.mode, stamp.mode))
            }
            (Some(then), Found::File(_)) => ("changed", text(&then.bytes, &read()?)),
            (Some(_), Found::Absent) => ("removed", format!("- {path}")),
            (None, Found::File(_)) => ("added", format!("+ {path}")),
            (_, Found::Other(what)) => ("changed", format!("~ {path} is {what}")),
        };
        // A text that says nothing (binary content, for example) still is a difference.
        let text = if text.trim().is_empty() { format!("~ {path}") } else { text };
        differences.push(Difference { path: path.clone(), change, text });
    }
    Ok(differences)
}

/// Variables by name. Secrets are not in an archive, so only whether one has a value can be compared.
fn differing_variables(place: &Place, backup: &Backup) -> Result<Vec<Difference>> {
    let (text, archived) = (EnvFile::read(place)?.text, DotEnv::parse(&backup.env));
    let now = DotEnv::parse(&text);
    let recorded = &backup.record.environment_variables;
    let value =
        |file: &DotEnv, name: &str| file.get(name).filter(|value| is_value(name, value)).map(str::to_owned);
    let names: BTreeSet<String> = recorded
        .keys()
        .cloned()
        .chain(archived.entries().chain(now.entries()).map(|entry| entry.key.to_owned()))
        .collect();
    let mut differences = Vec::new();
    for name in names {
        let then = match recorded.get(&name) {
            Some(known) if known.value == EnvValue::Secret => Some(None),
            _ => value(&archived, &name).map(Some),
        };
        let (sign, change) = match (then, value(&now, &name)) {
            (None, None) => continue,
            (Some(_), None) => ("-", "removed"),
            (None, Some(_)) => ("+", "added"),
            (Some(None), Some(_)) => continue,
            (Some(Some(then)), Some(now)) if then == now => continue,
            (Some(Some(_)), Some(_)) => ("~", "changed"),
        };
        let text = format!("{sign} {} {name}", files::ENV);
        differences.push(Difference { path: format!("{}:{name}", files::ENV), change, text });
    }
    Ok(differences)
}
