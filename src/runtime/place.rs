//! Where runtimes are kept, and what they are called.

use std::path::{Path, PathBuf};

use super::environment::{self, Environment};
use super::facts::Facts;
use super::python::Python;
use crate::domain::{Place, Result};
use crate::doors::disk::{self, At as _};
use crate::doors::system;

/// What begins so is being built, or was when its run was killed.
pub(super) const STAGING: &str = ".staging-";

/// The directory of all runtimes of this user.
pub fn root(place: &Place) -> PathBuf {
    let data = system::path_variable("XDG_DATA_HOME").filter(|dir| !place.staged && dir.is_absolute());
    data.unwrap_or_else(|| place.home.join(".local/share")).join("gwinstall/runtime")
}

/// The directory of the Pythons that uv brought.
pub(super) fn pythons(place: &Place) -> PathBuf {
    root(place).with_file_name("python")
}

/// `<LiteLLM version>-<Python tag>-<platform>-<8 digits of the lock's sha256>`.
pub fn name(facts: &Facts, python: &Python) -> String {
    format!("{}-{}-{}-{}", facts.data.litellm, python.tag(), python.platform(), short(facts))
}

fn short(facts: &Facts) -> String {
    facts.lock_sha256.to_string().chars().take(8).collect()
}

/// Whether a runtime was built from this lock; its name says so.
pub fn is_of(runtime: &Path, facts: &Facts) -> bool {
    let name = runtime.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(&format!("-{}", short(facts)))
}

/// A runtime that gwinstall built.
#[derive(Debug, Clone)]
pub struct Managed {
    pub name: String,
    pub path: PathBuf,
    pub environment: Environment,
    /// `cp311`.
    pub python: String,
}

/// A new name for what is about to be removed: the next run removes it if this one is killed.
pub fn aside(root: &Path) -> Result<PathBuf> {
    Ok(root.join(format!("{STAGING}{}-{}", system::pid(), system::random_hex(4)?)))
}

/// Removes the directories of gwinstall that are empty once every runtime is gone.
pub fn leave(place: &Place) -> Result<()> {
    let root = root(place);
    if !disk::is_dir(&root) || !list(place)?.is_empty() {
        return Ok(());
    }
    let lock = root.join("lock");
    disk::remove(&lock).at("remove", &lock)?;
    // Only runtimes run with the Pythons that uv brought.
    let pythons = pythons(place);
    disk::remove_tree(&pythons).at("remove", &pythons)?;
    for dir in [Some(root.as_path()), root.parent()].into_iter().flatten() {
        disk::remove_dir_if_empty(dir).at("remove", dir)?;
    }
    Ok(())
}

/// All runtimes, oldest name first.
pub fn list(place: &Place) -> Result<Vec<Managed>> {
    let root = root(place);
    let names = disk::list(&root)?.into_iter().filter(|name| is_name(name));
    Ok(names.map(|name| managed(&root, name)).collect())
}

fn managed(root: &Path, name: String) -> Managed {
    let path = root.join(&name);
    let python = name.split('-').find(|part| part.starts_with("cp")).unwrap_or_default().to_owned();
    Managed { environment: environment::read(&path), python, name, path }
}

/// Whether a name in the directory is that of a runtime: a version first, the lock last.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .rsplit('-')
            .next()
            .is_some_and(|lock| lock.len() == 8 && lock.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The runtime that a deployment takes: one that this lock built, else the newest; only one that can run.
pub fn preferred(place: &Place, facts: &Facts) -> Result<Option<Managed>> {
    let mut found: Vec<Managed> =
        list(place)?.into_iter().filter(|one| one.environment.version().is_some()).collect();
    let short = short(facts);
    found.sort_by_key(|one| {
        let version = super::version::numbers(one.environment.version().unwrap_or_default());
        (one.name.ends_with(&short), version, super::version::numbers(one.python.trim_start_matches("cp")))
    });
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_in_the_directory_are_not_runtimes() {
        assert!(
            is_name("1.106.2-cp311-linux-x86_64-a59b33fa")
                && is_name("1.106.2-cp310-linux-aarch64-musl-00000000")
        );
        for other in
            ["lock", ".staging-1-2", "1.106.2", "notes-a59b33fa", "1.106.2-cp311-linux-x86_64-a59b33fa.old"]
        {
            assert!(!is_name(other), "{other}");
        }
    }
}
