//! `render secrets`: writes `secrets.env` beside each `secrets.env.example`, from the values of this machine.
//!
//! Promise: a value that is there stays; what only the gateway has to know is generated once for each environment and is the same in
//! all of its directories; the file is private (0600). No value is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::deploy::rendered;
use crate::domain::name::list;
use crate::domain::place::files;
use crate::domain::stand_in;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{disk, system};
use crate::format::dotenv::{DotEnv, quote};
use crate::render::MASTER_KEY;
use crate::targets::spec::RANDOM;
use crate::ui::answer::Answer;

const EXAMPLE: &str = "secrets.env.example";
const FILE: &str = "secrets.env";

pub(super) fn run(place: &Place, out: &Place, lock_wait: u64) -> Result<Answer> {
    let directories = with_example(out)?;
    if directories.is_empty() {
        return Err(Error::usage(format!("{} holds no {EXAMPLE}", out.show(&out.target)))
            .hint(Hint::step("render a target into it first")));
    }
    let deployed = [read(&place.file(files::ENV))?, read(&place.env_source())?];
    let mut environments: BTreeMap<Option<String>, Values> = BTreeMap::new();
    let mut written = Vec::new();
    for dir in &directories {
        let values = environments.entry(environment(&out.target, dir)).or_default();
        require_readable(&dir.join(FILE), Form::of(dir))?;
        values.take(&Form::of(dir).read(&dir.join(FILE))?);
    }
    for dir in &directories {
        let values = environments.entry(environment(&out.target, dir)).or_default();
        let example = disk::read(&dir.join(EXAMPLE), disk::TEXT_CAP)?;
        let form = Form::of(dir);
        let own = form.read(&dir.join(FILE))?;
        let there = disk::read_maybe(&dir.join(FILE), disk::TEXT_CAP)?;
        let there = there.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let mut file = File { form, own, values, deployed: &deployed };
        written.push((dir.join(FILE), file.fill_in(&String::from_utf8_lossy(&example), there.as_deref())?));
    }
    let changed = rendered::write_private(out, written, lock_wait)?;
    let mut text = match changed {
        0 => "Nothing to do: every value is there.".to_owned(),
        _ => {
            let paths: Vec<String> = directories.iter().map(|dir| out.show(&dir.join(FILE))).collect();
            format!("Wrote with mode 0600: {}", paths.join(", "))
        }
    };
    let missing: BTreeSet<&String> = environments.values().flat_map(|values| &values.missing).collect();
    let missing: Vec<&String> = missing.into_iter().collect();
    if !missing.is_empty() {
        text = format!("{text}\nWithout a value: {}. Fill in what your models need.", list(&missing));
    }
    Ok(Answer::new("secrets").text(text).data(json!({ "changed": changed, "missing": missing })))
}

/// Refuses a file with a line that cannot be read: writing it again would lose the value.
fn require_readable(path: &Path, form: Form) -> Result<()> {
    let bytes = disk::read_maybe(path, disk::TEXT_CAP)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let problem = match form {
        Form::Quoted => {
            DotEnv::parse(&text).problems().into_iter().next().map(|problem| (problem.line, problem.why))
        }
        Form::Literal => text
            .lines()
            .position(|line| !line.trim().is_empty() && !line.starts_with('#') && !line.contains('='))
            .map(|at| (at + 1, "it is not NAME=VALUE".to_owned())),
    };
    let Some((line, why)) = problem else { return Ok(()) };
    Err(Error::failed(format!("{} line {line} cannot be read, and nothing was changed", path.display()))
        .because(why)
        .hint(Hint::step("correct the line; a value with spaces or $ stands in single quotes")))
}

fn read(path: &Path) -> Result<DotEnv> {
    let bytes = disk::read_maybe(path, disk::TEXT_CAP)?.unwrap_or_default();
    Ok(DotEnv::parse(&String::from_utf8_lossy(&bytes)))
}

/// The environment of a directory: the one whose overlay it is.
fn environment(out: &Path, dir: &Path) -> Option<String> {
    let below = dir.strip_prefix(out).ok()?;
    let mut parts = below.iter().skip_while(|part| *part != "overlays").skip(1);
    parts.next().map(|name| name.to_string_lossy().into_owned())
}

/// How a file of values is read by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// By a shell, by Compose and by systemd: quotes are not part of a value.
    Quoted,
    /// By kustomize: everything behind the first `=` is the value.
    Literal,
}

impl Form {
    fn of(dir: &Path) -> Self {
        if disk::exists(&dir.join("kustomization.yaml")) { Self::Literal } else { Self::Quoted }
    }

    fn read(self, path: &Path) -> Result<Vec<(String, String)>> {
        if self == Self::Quoted {
            let file = read(path)?;
            return Ok(file.entries().map(|entry| (entry.key.to_owned(), entry.value.to_owned())).collect());
        }
        let bytes = disk::read_maybe(path, disk::TEXT_CAP)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let values = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
        Ok(values
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.into(), value.into()))
            .collect())
    }

    fn write(self, name: &str, value: &str) -> Result<String> {
        let unwritable = || Error::failed(format!("the value of {name} cannot be written into {FILE}"));
        match self {
            Self::Quoted => Ok(quote(value).map_err(|problem| unwritable().because(problem))?.into_owned()),
            Self::Literal if value.contains(['\n', '\r', '\0']) => {
                Err(unwritable().because("it has several lines"))
            }
            Self::Literal => Ok(value.to_owned()),
        }
    }
}

/// The values of one environment: the first one that is found or generated is for all of its directories.
#[derive(Default)]
struct Values {
    known: BTreeMap<String, String>,
    missing: BTreeSet<String>,
}

impl Values {
    fn take(&mut self, found: &[(String, String)]) {
        for (name, value) in found.iter().filter(|(_, value)| !value.is_empty()) {
            self.known.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }

    fn of(&mut self, name: &str, deployed: &[DotEnv]) -> Result<Option<String>> {
        if !self.known.contains_key(name) {
            match found(name, deployed)? {
                Some(value) => self.known.insert(name.to_owned(), value),
                None => {
                    self.missing.insert(name.to_owned());
                    return Ok(None);
                }
            };
        }
        Ok(self.known.get(name).cloned())
    }
}

/// One `secrets.env`.
struct File<'a> {
    form: Form,
    /// What it holds now.
    own: Vec<(String, String)>,
    values: &'a mut Values,
    deployed: &'a [DotEnv],
}

impl File<'_> {
    /// What is there with a value behind each name that has none, else the example; below it the names that are missing.
    fn fill_in(&mut self, example: &str, there: Option<&str>) -> Result<String> {
        let mut text = String::new();
        let mut written = BTreeSet::new();
        for line in there.unwrap_or(example).lines() {
            let name = name_of(line);
            written.extend(name.map(str::to_owned));
            match name.filter(|name| without_a_value(line, name)) {
                Some(name) => text.push_str(&self.line(name)?),
                // The first lines of the example say how this file is made.
                None if there.is_none() && line.starts_with("# gwinstall render secrets") => {}
                None if there.is_none() && line.contains("Copy this file") => {
                    text.push_str("# The secrets of the gateway: mode 0600, and not for git.");
                }
                None => text.push_str(line),
            }
            text.push('\n');
        }
        for name in example.lines().filter_map(name_of).filter(|name| !written.contains(*name)) {
            text.push_str(&format!("{}\n", self.line(name)?));
        }
        Ok(text)
    }

    /// An empty value would be one to some readers, so a name without a value is a comment.
    fn line(&mut self, name: &str) -> Result<String> {
        Ok(match self.value(name)? {
            Some(value) => format!("{name}={}", self.form.write(name, &value)?),
            None => format!("#{name}="),
        })
    }

    fn value(&mut self, name: &str) -> Result<Option<String>> {
        let own = self.own.iter().rfind(|(key, value)| key == name && !value.is_empty());
        match own {
            Some((_, value)) => Ok(Some(value.clone())),
            None => self.values.of(name, self.deployed),
        }
    }
}

/// The name that a line gives a value, also where it is a comment without one.
fn name_of(line: &str) -> Option<&str> {
    let (name, value) = line.split_once('=')?;
    let bare = name.strip_prefix('#').filter(|_| value.is_empty()).unwrap_or(name);
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (!bare.is_empty() && bare.chars().all(plain)).then_some(bare)
}

fn without_a_value(line: &str, name: &str) -> bool {
    line.strip_prefix('#').unwrap_or(line).strip_prefix(name) == Some("=")
}

/// The value of a name on this machine: deployed, in `~/.claude/.env`, in the environment, or new.
fn found(name: &str, deployed: &[DotEnv]) -> Result<Option<String>> {
    let usable = |value: &str| stand_in::is_value(name, value);
    let known = deployed.iter().find_map(|file| file.get(name).filter(|value| usable(value)));
    if let Some(value) = known {
        return Ok(Some(value.to_owned()));
    }
    if let Some(value) = system::variable(name).filter(|value| usable(value)) {
        return Ok(Some(value));
    }
    if !RANDOM.contains(&name) {
        return Ok(None);
    }
    let random = system::random_hex(32)?;
    Ok(Some(if name == MASTER_KEY { format!("sk-{random}") } else { random }))
}

/// The directories that hold an example which render wrote: those that the record names.
fn with_example(out: &Place) -> Result<Vec<PathBuf>> {
    let record = rendered::record(out)?;
    let names = record.iter().flat_map(|record| record.files.keys());
    let examples = names.filter(|name| name.rsplit('/').next() == Some(EXAMPLE));
    let directory = |name: &String| out.target.join(name).parent().map(Path::to_path_buf);
    Ok(examples.filter_map(directory).filter(|dir| disk::exists(&dir.join(EXAMPLE))).collect())
}
