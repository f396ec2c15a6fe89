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
    let directories = with_example(&out.target)?;
    if directories.is_empty() {
        return Err(Error::usage(format!("{} holds no {EXAMPLE}", out.show(&out.target)))
            .hint(Hint::step("render a target into it first")));
    }
    let deployed = read(&place.file(files::ENV))?;
    let mut environments: BTreeMap<Option<String>, Values> = BTreeMap::new();
    let mut written = Vec::new();
    for dir in &directories {
        let values = environments.entry(environment(&out.target, dir)).or_default();
        values.take(&Form::of(dir).read(&dir.join(FILE))?);
    }
    for dir in &directories {
        let values = environments.entry(environment(&out.target, dir)).or_default();
        let example = disk::read(&dir.join(EXAMPLE), disk::TEXT_CAP)?;
        let form = Form::of(dir);
        let own = form.read(&dir.join(FILE))?;
        let mut file = File { form, own, values, deployed: &deployed };
        written.push((dir.join(FILE), file.fill_in(&String::from_utf8_lossy(&example))?));
    }
    let changed = rendered::write_private(out, written, lock_wait)?;
    let mut text = match changed {
        0 => "Nothing to do: every value is there.".to_owned(),
        changed => format!("Wrote {changed} × {FILE} with mode 0600."),
    };
    let missing: BTreeSet<&String> = environments.values().flat_map(|values| &values.missing).collect();
    let missing: Vec<&String> = missing.into_iter().collect();
    if !missing.is_empty() {
        text = format!("{text}\nWithout a value: {}. Fill in what your models need.", list(&missing));
    }
    Ok(Answer::new("secrets").text(text).data(json!({ "changed": changed, "missing": missing })))
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

    fn of(&mut self, name: &str, deployed: &DotEnv) -> Result<Option<String>> {
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
    deployed: &'a DotEnv,
}

impl File<'_> {
    /// The example with values behind its names, and below it what the user added.
    fn fill_in(&mut self, example: &str) -> Result<String> {
        let mut text = String::new();
        let mut written = BTreeSet::new();
        for line in example.lines() {
            text.push_str(line);
            if let Some(name) = line.strip_suffix('=').filter(|name| !name.starts_with('#')) {
                written.insert(name);
                if let Some(value) = self.value(name)? {
                    text.push_str(&self.form.write(name, &value)?);
                }
            }
            text.push('\n');
        }
        for (name, value) in self.own.iter().filter(|(name, _)| !written.contains(name.as_str())) {
            text.push_str(&format!("{name}={}\n", self.form.write(name, value)?));
        }
        Ok(text)
    }

    fn value(&mut self, name: &str) -> Result<Option<String>> {
        let own = self.own.iter().rfind(|(key, value)| key == name && !value.is_empty());
        match own {
            Some((_, value)) => Ok(Some(value.clone())),
            None => self.values.of(name, self.deployed),
        }
    }
}

/// The value of a name on this machine: deployed, in the environment, or new.
fn found(name: &str, deployed: &DotEnv) -> Result<Option<String>> {
    let usable = |value: &str| stand_in::is_value(name, value);
    if let Some(value) = deployed.get(name).filter(|value| usable(value)) {
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

/// The directories at and below `out` that hold an example, in the order of their paths.
fn with_example(out: &Path) -> Result<Vec<PathBuf>> {
    /// `all` → helm → objects → overlays → an environment.
    const DEEPEST: usize = 4;
    let mut found = Vec::new();
    let mut open = vec![(out.to_owned(), 0)];
    while let Some((dir, depth)) = open.pop() {
        if depth < DEEPEST {
            let below = disk::list(&dir)?.into_iter().map(|name| dir.join(name));
            open.extend(below.filter(|path| disk::is_dir(path)).map(|path| (path, depth + 1)));
        }
        if disk::exists(&dir.join(EXAMPLE)) {
            found.push(dir);
        }
    }
    found.sort();
    Ok(found)
}
