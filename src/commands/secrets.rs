//! `render secrets`: writes `secrets.env` beside each `secrets.env.example`, from the values of this machine.
//!
//! Promise: a value that is there stays; what only the gateway has to know is generated once and is the same in every directory;
//! the file is private (0600). No value is printed.

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
    let mut values =
        Values { deployed: read(&place.file(files::ENV))?, known: BTreeMap::new(), missing: BTreeSet::new() };
    for dir in &directories {
        values.take(&read(&dir.join(FILE))?);
    }
    let mut filled = |dir: &PathBuf| {
        let example = disk::read(&dir.join(EXAMPLE), disk::TEXT_CAP)?;
        Ok((dir.join(FILE), values.fill_in(&String::from_utf8_lossy(&example))?))
    };
    let written = directories.iter().map(&mut filled).collect::<Result<Vec<_>>>()?;
    let changed = rendered::write_private(out, written, lock_wait)?;
    let mut text = match changed {
        0 => "Nothing to do: every value is there.".to_owned(),
        changed => format!("Wrote {changed} × {FILE} with mode 0600."),
    };
    let missing: Vec<&String> = values.missing.iter().collect();
    if !missing.is_empty() {
        text = format!("{text}\nWithout a value: {}. Fill in what your models need.", list(&missing));
    }
    Ok(Answer::new("secrets").text(text).data(json!({ "changed": changed, "missing": missing })))
}

fn read(path: &Path) -> Result<DotEnv> {
    let bytes = disk::read_maybe(path, disk::TEXT_CAP)?.unwrap_or_default();
    Ok(DotEnv::parse(&String::from_utf8_lossy(&bytes)))
}

/// The values for every directory: the first one that is found or generated is everybody's.
struct Values {
    deployed: DotEnv,
    known: BTreeMap<String, String>,
    missing: BTreeSet<String>,
}

impl Values {
    fn take(&mut self, file: &DotEnv) {
        let entries = file.entries().filter(|entry| !entry.value.is_empty());
        self.known.extend(entries.map(|entry| (entry.key.to_owned(), entry.value.to_owned())));
    }

    /// The example with values behind its names.
    fn fill_in(&mut self, example: &str) -> Result<String> {
        let mut text = String::new();
        for line in example.lines() {
            let name = line.strip_suffix('=').filter(|name| !name.starts_with('#'));
            text.push_str(line);
            if let Some(name) = name {
                text.push_str(&self.quoted(name)?);
            }
            text.push('\n');
        }
        Ok(text)
    }

    fn quoted(&mut self, name: &str) -> Result<String> {
        if !self.known.contains_key(name) {
            match found(name, &self.deployed)? {
                Some(value) => self.known.insert(name.to_owned(), value),
                None => {
                    self.missing.insert(name.to_owned());
                    return Ok(String::new());
                }
            };
        }
        let value = self.known.get(name).map_or("", String::as_str);
        let quoted = quote(value).map_err(|problem| {
            Error::failed(format!("the value of {name} cannot be written into {FILE}")).because(problem)
        })?;
        Ok(quoted.into_owned())
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

/// The directories of `out`, itself included, that hold an example.
fn with_example(out: &Path) -> Result<Vec<PathBuf>> {
    let below = disk::list(out)?.into_iter().map(|name| out.join(name)).filter(|dir| disk::is_dir(dir));
    let all = [out.to_owned()].into_iter().chain(below);
    Ok(all.filter(|dir| disk::exists(&dir.join(EXAMPLE))).collect())
}
