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
use crate::targets::scripts::{EXAMPLE, HOW_TO, SECRETS};
use crate::targets::spec::RANDOM;
use crate::ui::answer::Answer;

/// How a new file begins.
const PRIVATE: &str = "# The secrets of the gateway: mode 0600, and not for git.\n";

/// `render secrets`.
pub(super) fn run(place: &Place, out: &Place, lock_wait: u64) -> Result<Answer> {
    let mut files = files_of(out)?;
    if files.is_empty() {
        return Err(Error::usage(format!("{} holds no {EXAMPLE}", out.show(&out.target)))
            .hint(Hint::step("render a target into it first")));
    }
    let mut values = Values { deployed: deployed(place)?, ..Values::default() };
    files.iter().for_each(|file| values.take(file));
    let fill_in = |file: &mut File| Ok((file.path.clone(), file.fill_in(&mut values)?));
    let written = files.iter_mut().map(fill_in).collect::<Result<Vec<_>>>()?;
    let changed = rendered::write_private(out, written, lock_wait)?;
    let mut text = match changed {
        0 => "Nothing to do: every value is there.".to_owned(),
        _ => {
            let paths: Vec<String> = files.iter().map(|file| out.show(&file.path)).collect();
            format!("Wrote with mode 0600: {}", paths.join(", "))
        }
    };
    let missing: Vec<&String> = values.missing.iter().collect();
    if !missing.is_empty() {
        text = format!("{text}\nWithout a value: {}. Fill in what your models need.", list(&missing));
    }
    Ok(Answer::new("secrets").text(text).data(json!({ "changed": changed, "missing": missing })))
}

/// The `secrets.env` beside each example that render wrote: those that the record names.
fn files_of(out: &Place) -> Result<Vec<File>> {
    let record = rendered::record(out)?;
    let names = record.iter().flat_map(|record| record.files.keys());
    let examples = names.filter(|name| name.rsplit('/').next() == Some(EXAMPLE));
    let present = examples.map(|name| out.target.join(name)).filter(|example| disk::exists(example));
    present.map(|example| File::beside(&out.target, &example)).collect()
}

/// The values of the deployment on this machine, and those of `~/.claude/.env`.
fn deployed(place: &Place) -> Result<Vec<DotEnv>> {
    let read = |path: PathBuf| Ok(DotEnv::parse(&text_of(&path)?.unwrap_or_default()));
    [place.file(files::ENV), place.env_source()].into_iter().map(read).collect()
}

fn text_of(path: &Path) -> Result<Option<String>> {
    let bytes = disk::read_maybe(path, disk::TEXT_CAP)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
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

    /// The values of a text. A line that cannot be read is an error: to write the file again would lose its value.
    fn read(self, path: &Path, text: &str) -> Result<Vec<(String, String)>> {
        let broken = |line: usize, why: String| {
            Error::failed(format!("{} line {line} cannot be read, and nothing was changed", path.display()))
                .because(why)
                .hint(Hint::step("correct the line; a value with spaces or $ stands in single quotes"))
        };
        if self == Self::Quoted {
            let file = DotEnv::parse(text);
            let problem = file.problems().into_iter().next();
            let values = file.entries().map(|entry| (entry.key.to_owned(), entry.value.to_owned())).collect();
            return problem.map_or(Ok(values), |problem| Err(broken(problem.line, problem.why)));
        }
        let lines =
            text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
        let split = |(line, number): (&str, usize)| {
            let (name, value) =
                line.split_once('=').ok_or_else(|| broken(number, "it is not NAME=VALUE".to_owned()))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        lines.map(split).collect()
    }

    fn write(self, name: &str, value: &str) -> Result<String> {
        let unwritable = || Error::failed(format!("the value of {name} cannot be written into {SECRETS}"));
        match self {
            Self::Quoted => Ok(quote(value).map_err(|problem| unwritable().because(problem))?.into_owned()),
            Self::Literal if value.contains(['\n', '\r', '\0']) => {
                Err(unwritable().because("it has several lines"))
            }
            Self::Literal => Ok(value.to_owned()),
        }
    }
}

/// The values by environment and name: the first one that is found or generated is for all directories of the environment.
#[derive(Default)]
struct Values {
    deployed: Vec<DotEnv>,
    known: BTreeMap<(Option<String>, String), String>,
    missing: BTreeSet<String>,
}

impl Values {
    fn take(&mut self, file: &File) {
        for (name, value) in file.values.iter().filter(|(_, value)| !value.is_empty()) {
            let key = (file.environment.clone(), name.clone());
            self.known.entry(key).or_insert_with(|| value.clone());
        }
    }

    fn of(&mut self, environment: &Option<String>, name: &str) -> Result<Option<String>> {
        let key = (environment.clone(), name.to_owned());
        if let Some(value) = self.known.get(&key) {
            return Ok(Some(value.clone()));
        }
        let value = found(name, &self.deployed)?;
        match &value {
            Some(value) => drop(self.known.insert(key, value.clone())),
            None => drop(self.missing.insert(name.to_owned())),
        }
        Ok(value)
    }
}

/// One `secrets.env`, with the example beside it.
struct File {
    path: PathBuf,
    example: String,
    /// What it holds now; `None`: it is not there.
    text: Option<String>,
    values: Vec<(String, String)>,
    form: Form,
    environment: Option<String>,
}

impl File {
    fn beside(out: &Path, example: &Path) -> Result<Self> {
        let dir = example.parent().unwrap_or(out);
        let (path, form) = (dir.join(SECRETS), Form::of(dir));
        let text = text_of(&path)?;
        let values = form.read(&path, text.as_deref().unwrap_or_default())?;
        let environment = environment(out, dir);
        Ok(Self { path, example: text_of(example)?.unwrap_or_default(), text, values, form, environment })
    }

    /// What is there with a value behind each name that has none, else the example; below it the names that are missing.
    fn fill_in(&mut self, known: &mut Values) -> Result<String> {
        let names: Vec<String> = self.example.lines().filter_map(name_of).map(str::to_owned).collect();
        let mut filled = String::new();
        let mut written = BTreeSet::new();
        let begun = self.example.strip_prefix(HOW_TO).map(|names| format!("{PRIVATE}{names}"));
        let begun = begun.unwrap_or_else(|| self.example.clone());
        for line in self.text.as_ref().unwrap_or(&begun).lines() {
            let name = name_of(line);
            written.extend(name.map(str::to_owned));
            match name.filter(|name| without_a_value(line, name)) {
                Some(name) => filled.push_str(&self.line(known, name)?),
                None => filled.push_str(line),
            }
            filled.push('\n');
        }
        for name in names.iter().filter(|name| !written.contains(*name)) {
            filled.push_str(&format!("{}\n", self.line(known, name)?));
        }
        Ok(filled)
    }

    /// An empty value would be one to some readers, so a name without a value is a comment.
    fn line(&self, known: &mut Values, name: &str) -> Result<String> {
        let own = self.values.iter().rfind(|(key, value)| key == name && !value.is_empty());
        let value = match own {
            Some((_, value)) => Some(value.clone()),
            None => known.of(&self.environment, name)?,
        };
        Ok(match value {
            Some(value) => format!("{name}={}", self.form.write(name, &value)?),
            None => format!("#{name}="),
        })
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
