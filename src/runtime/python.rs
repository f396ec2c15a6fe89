//! The Python that a runtime is made with: found, asked for what it is, judged.
//!
//! It is asked with `-I -S`: neither the directory of the user nor the `.pth` files of its packages take part.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::facts::Facts;
use super::version::{is_below, numbers};
use crate::domain::name::printable;
use crate::domain::{Error, Hint, Result};
use crate::doors::{disk, system};

const PATIENCE: Duration = Duration::from_secs(20);

/// Of an environment it names the Python below it, so that a runtime does not depend on that environment.
const ASK: &str = r#"
import importlib.util, json, os, platform, site, sys
paths = site.getsitepackages()
known = lambda name: importlib.util.find_spec(name) is not None
marks = [os.path.join(path, "litellm_init.pth") for path in paths]
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "implementation": sys.implementation.name,
    "program": getattr(sys, "_base_executable", None) or sys.executable,
    "os": sys.platform,
    "machine": platform.machine(),
    "glibc": platform.libc_ver()[1] if platform.libc_ver()[0] == "glibc" else "",
    "venv": known("venv") and known("ensurepip"),
    "pip": any(os.path.isdir(os.path.join(path, "pip")) for path in paths),
    "mark": next(filter(os.path.exists, marks), None),
}))
"#;

/// What an interpreter says about itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Python {
    pub version: String,
    implementation: String,
    pub program: PathBuf,
    os: String,
    machine: String,
    /// Empty where the C library is another one.
    glibc: String,
    /// Whether it makes environments that have pip.
    pub venv: bool,
    pub pip: bool,
    /// What a malicious LiteLLM left: every ordinary start of this Python would run it.
    mark: Option<PathBuf>,
    /// What uv calls it, of one that uv has to bring first.
    #[serde(skip)]
    pub to_fetch: Option<String>,
}

impl Python {
    /// One that is not there yet. `glibc` is empty where the C library is another one.
    pub(super) fn to_fetch(
        key: String,
        version: String,
        program: PathBuf,
        os: &str,
        machine: &str,
        glibc: &str,
    ) -> Self {
        Self {
            version,
            implementation: "cpython".to_owned(),
            program,
            os: os.to_owned(),
            machine: machine.to_owned(),
            glibc: glibc.to_owned(),
            venv: true,
            pip: false,
            mark: None,
            to_fetch: Some(key),
        }
    }

    /// `cp311`.
    pub fn tag(&self) -> String {
        let numbers = numbers(&self.version);
        format!("cp{}{}", numbers.first().unwrap_or(&0), numbers.get(1).unwrap_or(&0))
    }

    /// `linux-x86_64`, `linux-x86_64-musl`, `darwin-arm64`.
    pub fn platform(&self) -> String {
        let libc = if self.os == "linux" && self.glibc.is_empty() { "-musl" } else { "" };
        format!("{}-{}{libc}", self.os, self.machine)
    }

    /// Why the lock cannot be installed with it.
    pub(super) fn unfit(&self, facts: &Facts) -> Option<String> {
        let pythons = &facts.data.python;
        let minor = numbers(&self.version).into_iter().take(2).collect::<Vec<_>>();
        if let Some(mark) = &self.mark {
            return Some(format!(
                "{} comes from a malicious LiteLLM, and this Python runs it",
                mark.display()
            ));
        }
        if self.implementation != "cpython" {
            return Some(format!(
                "it is {}, and LiteLLM's packages are for CPython",
                printable(&self.implementation)
            ));
        }
        if minor < numbers(&pythons.oldest) || minor > numbers(&pythons.newest) {
            return Some(format!(
                "it is Python {}, and LiteLLM needs {} to {}",
                self.version, pythons.oldest, pythons.newest
            ));
        }
        if !self.glibc.is_empty() && is_below(&self.glibc, &pythons.oldest_glibc) {
            return Some(format!(
                "this system has glibc {}, and LiteLLM's packages need {}",
                self.glibc, pythons.oldest_glibc
            ));
        }
        let platform = self.platform();
        (!facts.data.platforms.contains(&platform))
            .then(|| format!("LiteLLM has no packages for {}", printable(&platform)))
    }
}

pub(super) fn ask(program: &Path) -> std::result::Result<Python, String> {
    let said = system::listen_to(program, &["-I", "-S", "-c", ASK], &[], PATIENCE)?;
    let python: Python = serde_json::from_str(said.lines().last().unwrap_or_default())
        .map_err(|_error| format!("{} gave no usable answer", program.display()))?;
    if disk::is_program(&python.program) {
        Ok(python)
    } else {
        Err(format!("{} names no program of its own", program.display()))
    }
}

/// The Python that `--python` names, else the first on the PATH that fits; `tag`: only one of this version.
pub fn find(facts: &Facts, named: Option<&Path>, tag: Option<&str>) -> Result<Python> {
    let right = |python: &Python| tag.is_none_or(|tag| python.tag() == tag);
    if let Some(path) = named {
        let refused =
            |why: String| Error::usage(format!("--python: {} cannot be used", path.display())).because(why);
        let path = match path.components().count() {
            1 => system::program(&path.to_string_lossy())
                .ok_or_else(|| refused("it is not on the PATH".to_owned()))?,
            _ => system::current_dir()?.join(path),
        };
        let python = ask(&path).map_err(refused)?;
        return match python.unfit(facts) {
            Some(why) => Err(refused(why)),
            None if !right(&python) => {
                Err(refused(format!("the archive is for {}", version_of_tag(tag.unwrap_or_default()))))
            }
            None => Ok(python),
        };
    }
    let mut reasons = Vec::new();
    for name in names(facts, tag) {
        let Some(path) = system::program(&name) else { continue };
        match ask(&path).and_then(|python| {
            python.unfit(facts).map_or(Ok(python), |why| Err(format!("{}: {why}", path.display())))
        }) {
            Ok(python) if right(&python) => return Ok(python),
            Ok(_) => {}
            Err(why) => reasons.push(why),
        }
    }
    Err(none(facts, tag, reasons))
}

/// `python3` first, because it is the one that the system keeps.
fn names(facts: &Facts, tag: Option<&str>) -> Vec<String> {
    if let Some(tag) = tag {
        return vec!["python3".to_owned(), format!("python{}", version_of_tag(tag))];
    }
    let minor = |version: &str| numbers(version).get(1).copied().unwrap_or(0);
    let range = minor(&facts.data.python.oldest)..=minor(&facts.data.python.newest);
    std::iter::once("python3".to_owned()).chain(range.rev().map(|minor| format!("python3.{minor}"))).collect()
}

/// `3.11` of `cp311`.
pub fn version_of_tag(tag: &str) -> String {
    let digits = tag.trim_start_matches("cp");
    let (major, minor) = digits.split_at(digits.len().min(1));
    format!("{major}.{minor}")
}

fn none(facts: &Facts, tag: Option<&str>, reasons: Vec<String>) -> Error {
    let pythons = &facts.data.python;
    let wanted = match tag {
        Some(tag) => format!("Python {}", version_of_tag(tag)),
        None => format!("Python {} to {}", pythons.oldest, pythons.newest),
    };
    let error = Error::failed(format!("gwinstall found no Python for LiteLLM, which needs {wanted}"));
    let error = if reasons.is_empty() { error.because("there is no python3 on the PATH") } else { error };
    let error = reasons.into_iter().fold(error, |error, why| error.because(why));
    error.hint(
        Hint::shell("sudo apt-get install python3 python3-venv")
            .to("install one, for example")
            .or(Hint::again(&["--python", "/path/to/python3"]).to("name one that is not on the PATH")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(version: &str, glibc: &str) -> Python {
        Python {
            version: version.to_owned(),
            implementation: "cpython".to_owned(),
            program: PathBuf::from("/usr/bin/python3"),
            os: "linux".to_owned(),
            machine: "x86_64".to_owned(),
            glibc: glibc.to_owned(),
            venv: true,
            pip: true,
            mark: None,
            to_fetch: None,
        }
    }

    #[test]
    fn a_python_is_judged_by_what_the_lock_covers() {
        let facts = Facts::embedded().unwrap();
        let why = |python: Python| python.unfit(&facts).unwrap_or_default();
        assert_eq!(why(python("3.11.2", "2.36")), "");
        assert_eq!(why(python("3.14.0", "")), "");
        assert_eq!(python("3.14.0", "").platform(), "linux-x86_64-musl");
        assert_eq!(
            (python("3.9.18", "2.36").tag(), version_of_tag("cp310")),
            ("cp39".to_owned(), "3.10".to_owned())
        );
        assert!(why(python("3.9.18", "2.36")).contains("needs 3.10 to 3.14"));
        assert!(why(python("3.15.0", "2.36")).contains("needs 3.10 to 3.14"));
        assert!(why(python("3.11.2", "2.17")).contains("glibc 2.17"));
        assert!(
            why(Python { machine: "riscv64".to_owned(), ..python("3.11.2", "2.36") })
                .contains("linux-riscv64")
        );
        assert!(
            why(Python { implementation: "pypy".to_owned(), ..python("3.11.2", "2.36") }).contains("pypy")
        );
        let marked = Python { mark: Some(PathBuf::from("/p/litellm_init.pth")), ..python("3.11.2", "2.36") };
        assert!(why(marked).contains("malicious"));
    }

    #[test]
    fn this_machine_s_python_answers() {
        let Some(path) = system::program("python3") else { return eprintln!("skipped: there is no python3") };
        let python = ask(&path).unwrap();
        assert!(python.version.starts_with("3.") && disk::is_program(&python.program), "{python:?}");
    }
}
