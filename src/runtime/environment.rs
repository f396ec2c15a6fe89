//! An environment on disk, read without running any of it: its version is the name of a directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::doors::disk;

/// The file that the malicious versions wrote beside the packages.
pub const MARK: &str = "litellm_init.pth";

/// An environment: `bin/`, `lib/` and what is installed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub dir: PathBuf,
    pub state: State,
    /// What a malicious version left: every start of its Python runs it, whatever is installed now.
    pub mark: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It holds this version of LiteLLM.
    Sound(String),
    /// It runs LiteLLM and does not say which.
    Unnamed,
    /// It has a LiteLLM that cannot run: why.
    Broken(String),
    /// There is no LiteLLM in it.
    Without,
}

impl Environment {
    /// The version, of an environment that can run.
    pub fn version(&self) -> Option<&str> {
        match &self.state {
            State::Sound(version) => Some(version),
            _ => None,
        }
    }

    pub fn runs(&self) -> bool {
        matches!(self.state, State::Sound(_) | State::Unnamed)
    }

    pub fn broken(&self) -> Option<&str> {
        match &self.state {
            State::Broken(why) => Some(why),
            _ => None,
        }
    }

    pub fn program(&self) -> PathBuf {
        self.dir.join("bin/litellm")
    }
}

pub fn read(dir: &Path) -> Environment {
    let marks = packages(dir).into_iter().map(|packages| packages.join(MARK));
    Environment {
        dir: dir.to_path_buf(),
        state: state(dir),
        mark: marks.into_iter().find(|mark| disk::exists(mark)),
    }
}

fn state(dir: &Path) -> State {
    let found = versions(dir);
    let program = dir.join("bin/litellm");
    if !disk::exists(&program) {
        return match found.first() {
            None => State::Without,
            Some(_) => State::Broken("its bin/litellm is missing".to_owned()),
        };
    }
    let pythons = ["bin/python", "bin/python3"].map(|name| dir.join(name));
    if disk::exists(&dir.join("pyvenv.cfg")) && !pythons.iter().any(|python| disk::is_program(python)) {
        let links =
            pythons.iter().filter_map(|python| disk::link_target(python).filter(|to| to.is_absolute()));
        let to = links.map(|to| format!(": {} does not exist", to.display())).next();
        let why = "the Python that it was made with is gone";
        return State::Broken(format!("{why}{}", to.unwrap_or_default()));
    }
    if !disk::is_program(&program) {
        return State::Broken("its bin/litellm is not a program".to_owned());
    }
    match found.as_slice() {
        [] => State::Unnamed,
        [version] => State::Sound(version.clone()),
        several => {
            State::Broken(format!("it holds several versions of LiteLLM at once: {}", several.join(", ")))
        }
    }
}

/// The versions of LiteLLM in `lib` and `lib64`, which is often a link to it.
fn versions(dir: &Path) -> Vec<String> {
    let found: BTreeSet<String> = packages(dir)
        .iter()
        .flat_map(|packages| {
            disk::list(packages).unwrap_or_default().into_iter().filter_map(|name| version_of(&name))
        })
        .collect();
    found.into_iter().collect()
}

/// The directories that hold the packages of an environment, each once.
pub(super) fn packages(dir: &Path) -> BTreeSet<PathBuf> {
    let libs = ["lib", "lib64"].map(|lib| dir.join(lib));
    let pythons = libs.iter().flat_map(|lib| {
        let names =
            disk::list(lib).unwrap_or_default().into_iter().filter(|name| name.starts_with("python3"));
        names.map(|name| lib.join(name)).collect::<Vec<_>>()
    });
    let found = pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name)));
    found.filter_map(|dir| disk::canonical(&dir).ok()).collect()
}

/// `1.106.2` of `litellm-1.106.2.dist-info`.
fn version_of(name: &str) -> Option<String> {
    let version = name.strip_prefix("litellm-")?.strip_suffix(".dist-info")?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| version.to_owned())
}

/// The environment that a program on the PATH belongs to: installers put a link there.
pub fn of_program(program: &Path) -> Option<Environment> {
    let real = disk::canonical(program).ok()?;
    let dir = real.parent()?.parent()?;
    let environment = read(dir);
    // Elsewhere, as in /usr, packages of several programs lie together.
    disk::exists(&dir.join("pyvenv.cfg")).then_some(environment)
}

#[cfg(test)]
mod tests;
