//! Who uses a runtime: deployments, backups, processes. Looks only.

use std::path::PathBuf;

use serde_json::Value;

use crate::deploy::{backup, store};
use crate::domain::Place;
use crate::domain::name::count;
use crate::domain::runtime::RuntimeId;
use crate::doors::{disk, processes};
use crate::runtime::place::Managed;

/// What names one runtime.
#[derive(Debug, Clone, Default)]
pub(super) struct Users {
    /// Directories of deployments.
    pub deployments: Vec<String>,
    /// File names of backups.
    pub backups: Vec<String>,
    pub processes: Vec<i32>,
}

impl Users {
    pub(super) fn is_empty(&self) -> bool {
        self.deployments.is_empty() && self.backups.is_empty() && self.processes.is_empty()
    }

    pub(super) fn in_words(&self) -> Vec<String> {
        let deployments = self.deployments.iter().map(|dir| format!("the gateway in {dir}"));
        let backups = self.backups.iter().map(|name| format!("the backup {name}"));
        let processes = self.processes.iter().map(|pid| format!("process {pid}"));
        deployments.chain(backups).chain(processes).collect()
    }

    /// For a column of a table.
    pub(super) fn in_brief(&self) -> String {
        let mut words = self.deployments.clone();
        words.extend((!self.backups.is_empty()).then(|| count(self.backups.len(), "backup")));
        words.extend(self.processes.iter().map(|pid| format!("process {pid}")));
        if words.is_empty() { "-".to_owned() } else { words.join(", ") }
    }
}

/// The users of each runtime, in the order of `found`.
pub(super) fn users(place: &Place, found: &[Managed]) -> Vec<Users> {
    let mut users: Vec<Users> = vec![Users::default(); found.len()];
    if found.is_empty() {
        return users;
    }
    for target in targets(place) {
        let there = Place { target, ..place.clone() };
        let record = store::record_as_found(&there).ok().flatten();
        add(&mut users, found, place, record.and_then(|record| record.runtime), |users| {
            users.deployments.push(place.show(&there.target));
        });
        for entry in backup::list(&there).unwrap_or_default() {
            let opened = backup::open(&there.backups().join(&entry.filename), None).ok();
            add(&mut users, found, place, opened.and_then(|backup| backup.record.runtime), |users| {
                users.backups.push(entry.filename.clone());
            });
        }
    }
    for (one, users) in found.iter().zip(&mut users) {
        users.processes = processes::using(&one.path);
    }
    users
}

fn add(
    users: &mut [Users],
    found: &[Managed],
    place: &Place,
    named: Option<RuntimeId>,
    add: impl FnOnce(&mut Users),
) {
    let Some(path) = named.map(|runtime| runtime.path(&place.home)) else { return };
    if let Some(at) = found.iter().position(|one| one.path == path) {
        add(&mut users[at]);
    }
}

/// The directories of this user's deployments: this one, and those that are not where gwinstall would look.
fn targets(place: &Place) -> Vec<PathBuf> {
    let places = place.state_dir.join("places");
    let target = |name: String| {
        let bytes = disk::read_maybe(&places.join(name), disk::TEXT_CAP).ok().flatten()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        value.get("target").and_then(Value::as_str).map(PathBuf::from)
    };
    let mut targets = vec![place.target.clone(), place.home.join(".claude/gateway")];
    targets.extend(disk::list(&places).unwrap_or_default().into_iter().filter_map(target));
    targets.sort();
    targets.dedup();
    targets
}
