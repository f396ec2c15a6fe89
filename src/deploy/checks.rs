//! The checks around a deployment: before it, over the staged files, and over the live tree.
//!
//! Names are those of the data model and an interface. A failed check before the change means exit 1 and nothing
//! changed; after it, exit 5 and everything undone.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::domain::check::{Check, CheckName, Finding, Status};
use crate::domain::name::count;
use crate::domain::place::files;
use crate::domain::record::{Record, SettingsValue};
use crate::domain::tree::{Class, Content};
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::{disk, system, term};
use crate::format::settings::KeyPath;
use crate::format::{litellm, schema};
use crate::runtime::names::known_names;

use super::draft::Draft;
use super::store;

/// Bytes that must be free, at least; twice that is recommended.
const SPACE_NEEDED: u64 = 50 << 20;

/// Collects results. Only this type times and stamps a check.
#[derive(Debug, Default)]
pub struct Checks(pub Vec<Check>);

impl Checks {
    pub fn run(&mut self, check_name: CheckName, check: impl FnOnce() -> Finding) {
        let watch = system::Stopwatch::start();
        let timestamp = system::now();
        let Finding { status, message, details, hint } = check();
        let duration_ms = watch.milliseconds();
        self.0.push(Check { check_name, status, message, details, timestamp, duration_ms, hint });
    }

    pub fn failed(&self) -> Vec<&Check> {
        self.0.iter().filter(|check| check.status == Status::Fail).collect()
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().filter(|check| check.status == Status::Warn)
    }

    /// Turns the failures of these checks into warnings: they do not concern this operation.
    pub fn only_warn(&mut self, names: &[CheckName]) {
        let failed = |check: &&mut Check| check.status == Status::Fail && names.contains(&check.check_name);
        self.0.iter_mut().filter(failed).for_each(|check| check.status = Status::Warn);
    }

    /// All checks for a program.
    pub fn json(&self) -> Value {
        json(&self.0)
    }

    /// An error of `kind` if a check failed.
    pub fn require(&self, kind: Kind, what: &str) -> Result<()> {
        let failed = self.failed();
        let Some(first) = failed.first() else { return Ok(()) };
        let error = failed.iter().fold(Error::new(kind, what), |error, check| error.because(&check.message));
        Err(match &first.hint {
            Some(hint) => error.hint(hint.clone()),
            None => error,
        })
    }
}

/// Checks for a program.
pub fn json(checks: &[Check]) -> Value {
    checks.iter().map(|check| check.json(term::invocation())).collect()
}

/// Whether the source of the files exists and is consistent; reading the bundle has proven it.
pub fn source(checks: &mut Checks, bundle: &crate::bundle::Bundle) {
    let from = bundle.id.path.clone().unwrap_or_else(|| "the executable itself".to_owned());
    checks.run(CheckName::SourceDirectoryExists, || Finding::pass(format!("files come from {from}")));
    checks.run(CheckName::SourceStructureValid, || {
        let files = bundle.files().len();
        Finding::pass(format!("{} as its catalog lists them", count(files, "file")))
            .details(json!({ "files": files, "version": bundle.id.version }))
    });
}

/// Whether gwinstall may write where it must. Looks at permissions and writes nothing.
pub fn target_writable(place: &Place) -> Finding {
    for dir in [place.target.as_path(), place.config_dir.as_path()] {
        let existing = disk::nearest_existing(dir);
        if !disk::is_dir(&existing) {
            return Finding::fail(format!("{} is not a directory", place.show(&existing)))
                .hint(Hint::shell(format!("ls -ld {}", place.paste(&existing))).to("look at it"));
        }
        if !disk::may_write(&existing) {
            return Finding::fail(format!(
                "{} is not writable by {}",
                place.show(&existing),
                system::user_name()
            ))
            .hint(Hint::shell(format!("ls -ld {}", place.paste(&existing))).to("see its owner and mode"));
        }
    }
    Finding::pass(format!("{} can be written", place.show(&place.target)))
}

pub fn disk_space(place: &Place) -> Finding {
    let dir = disk::nearest_existing(&place.target);
    let Some((bytes, inodes)) = disk::free_space(&dir) else {
        return Finding::skip("the file system does not report its free space");
    };
    let megabytes = bytes >> 20;
    let details = json!({ "free_bytes": bytes, "needed_bytes": SPACE_NEEDED, "free_inodes": inodes });
    let shown = place.show(&dir);
    let found = if bytes < SPACE_NEEDED {
        Finding::fail(format!("only {megabytes} MB are free at {shown}, 50 are needed"))
            .hint(Hint::shell(format!("df -h {}", place.paste(&dir))))
    } else if inodes < 1_000 {
        Finding::fail(format!("only {inodes} more files fit at {shown}, 1000 are needed"))
            .hint(Hint::shell(format!("df -i {}", place.paste(&dir))))
    } else if bytes < 2 * SPACE_NEEDED {
        Finding::warn(format!("{megabytes} MB are free at {shown}; 100 leave room for backups"))
    } else {
        Finding::pass(format!("{megabytes} MB are free"))
    };
    found.details(details)
}

/// Where the schema of Claude Code's settings lies in a bundle.
pub const SCHEMA: &str = "templates/settings-schema.json";

/// Whether settings.json will be what its schema says. A mistake in a key of gwinstall stops the change; the keys of the
/// user are the user's own.
pub fn settings(checks: &mut Checks, draft: &Draft, schema: Option<&Content>) {
    let written = draft.plan.changes().find(|step| step.class == Class::Settings);
    let written = written.and_then(|step| serde_json::from_slice(step.bytes.as_deref()?).ok());
    let schema = schema.and_then(|text| serde_json::from_slice(text).ok());
    if let (Some(written), Some(schema)) = (written, schema) {
        checks.run(CheckName::SettingsValid, || settings_finding(&schema::check(&schema, &written), draft));
    }
}

fn settings_finding(faults: &[schema::Fault], draft: &Draft) -> Finding {
    let key = |fault: &schema::Fault| fault.path.join(".");
    let is_own = |fault: &&schema::Fault| draft.sets(&KeyPath::parse(&key(fault)));
    let shown = |fault: &schema::Fault| match &*key(fault) {
        "" => format!("settings.json {}", fault.what),
        key => format!("settings.json: {key} {}", fault.what),
    };
    if let Some(own) = faults.iter().find(is_own) {
        return Finding::fail(shown(own)).details(json!({ "key": key(own), "rule": own.what }));
    }
    match faults {
        [] => Finding::pass(format!("settings.json agrees with {SCHEMA}")),
        [first, ..] => Finding::warn(shown(first)).details(json!({ "key": key(first), "rule": first.what })),
    }
}

/// Whether the LiteLLM of this record does what the author of a configuration meant, wherever its variables come from.
pub fn yaml_config(place: &Place, record: Option<&Record>, shown: &str, text: &str) -> Finding {
    let names = known_names(place, record.and_then(|record| record.runtime.as_ref()));
    let context = litellm::Context { names: names.as_ref(), ..litellm::Context::default() };
    yaml_finding(shown, &litellm::check(text, &context), record.map_or(0, |record| record.models.len()))
}

/// The result for a configuration in which the validator found these problems.
pub fn yaml_finding(shown: &str, findings: &[litellm::Finding], models: usize) -> Finding {
    let errors: Vec<_> =
        findings.iter().filter(|finding| finding.severity == litellm::Severity::Error).collect();
    match errors.first() {
        None => Finding::pass(format!("{shown} is valid, {}", count(models, "model")))
            .details(json!({ "config_file": shown, "models_found": models, "syntax_errors": 0 })),
        Some(first) => Finding::fail(format!("{shown}:{}:{}: {}", first.line, first.column, first.message))
            .details(json!({
                "config_file": shown,
                "syntax_errors": errors.len(),
                "only_unset_variables": errors.iter().all(|error| error.rule == "env.unset"),
            }))
            .hint(Hint::run(&["validate"])),
    }
}

/// Checks the files that an operation does not replace, before it begins: a mistake of the user in them is not a
/// failure of the new files, and gwinstall undoes nothing for it. `written` says which files the operation writes
/// itself.
pub fn kept_files(place: &Place, record: &Record, written: &dyn Fn(&str) -> bool) -> Result<()> {
    for name in [files::CONFIG, files::START] {
        let Some(known) = record.files.get(name).filter(|_| !written(name)) else { continue };
        let finding =
            if name == files::CONFIG { live_config(place, record) } else { startup_script(place, record) };
        if finding.status != Status::Fail {
            continue;
        }
        let path = place.file(name);
        let error =
            Error::failed(format!("{} cannot be used as it is, and nothing was changed", place.show(&path)))
                .because(finding.message);
        let edited = disk::find(&path)?.stamp().is_some_and(|stamp| stamp.sha256 != known.base);
        let look = Hint::run(&[if name == files::CONFIG { "validate" } else { "diff" }]);
        return Err(if edited {
            let rename = format!("mv {0} {0}.mine", place.paste(&path));
            error.because("this is your edit, which stays until you fix it").hint(
                look.to("see it").or(Hint::shell(rename).to(
                    "have the shipped version instead, move yours away, then run the same command again",
                )),
            )
        } else {
            error.hint(look)
        });
    }
    Ok(())
}

/// A configuration, and what its validation found.
pub struct Validated {
    pub text: String,
    pub finding: Finding,
}

/// The checks of the live tree, before the change becomes final. `validated`: the configuration that was staged.
pub fn live(checks: &mut Checks, place: &Place, record: &Record, validated: Option<Validated>) {
    checks.run(CheckName::FilesCopiedCount, || files_copied(place, record));
    checks.run(CheckName::YamlConfigValid, || config_in_place(place, record, validated));
    checks.run(CheckName::EnvFilePermissions, || private(place, files::ENV));
    checks.run(CheckName::ScriptsExecutable, || executable(place, record));
    checks.run(CheckName::StartupScriptGenerated, || startup_script(place, record));
}

pub fn files_copied(place: &Place, record: &Record) -> Finding {
    let expected: Vec<PathBuf> =
        record.files.iter().filter(|(_, file)| !file.deleted).map(|(path, _)| place.file(path)).collect();
    let missing: Vec<String> =
        expected.iter().filter(|path| !disk::exists(path)).map(|path| place.show(path)).collect();
    let details = json!({ "expected": expected.len(), "missing": missing });
    match missing.first() {
        None => Finding::pass(format!("{} in place", count(expected.len(), "file"))).details(details),
        Some(first) => Finding::fail(format!(
            "{} of {} missing, first {first}",
            count(missing.len(), "file"),
            expected.len()
        ))
        .details(details),
    }
}

fn live_config(place: &Place, record: &Record) -> Finding {
    config_in_place(place, record, None)
}

fn config_in_place(place: &Place, record: &Record, validated: Option<Validated>) -> Finding {
    if !record.runs_litellm() {
        return Finding::skip("this preset runs no LiteLLM here");
    }
    let path = store::live_path(place, files::CONFIG);
    match (disk::read(&path, disk::TEXT_CAP).map(String::from_utf8), validated) {
        (Ok(Ok(text)), Some(validated)) if validated.text == text => validated.finding,
        (Ok(Ok(text)), _) => yaml_config(place, Some(record), files::CONFIG, &text),
        (Ok(Err(_)), _) => Finding::fail(format!("{} is not UTF-8", files::CONFIG)),
        (Err(error), _) => Finding::fail(error.to_string()),
    }
}

/// Whether only the owner can read a file.
pub fn private(place: &Place, file: &str) -> Finding {
    match disk::mode(&place.file(file)) {
        None => Finding::fail(format!("{file} is missing")).hint(Hint::run(&["install"])),
        Some(mode) if mode & 0o077 == 0 => Finding::pass(format!("{file} has mode {mode:04o}")),
        Some(mode) => Finding::fail(format!("{file} has mode {mode:04o}: other users can read it"))
            .hint(Hint::shell(format!("chmod 600 {}", place.paste(&place.file(file))))),
    }
}

pub fn executable(place: &Place, record: &Record) -> Finding {
    let scripts = record.files.iter().filter(|(_, file)| file.mode & 0o100 != 0 && !file.deleted);
    let dull: Vec<&String> = scripts
        .clone()
        .filter(|(path, _)| disk::mode(&place.file(path)).is_some_and(|mode| mode & 0o100 == 0))
        .map(|(path, _)| path)
        .collect();
    match dull.first() {
        // It was mounted so after the installation.
        None if system::is_noexec(&place.target) && runs_helper_as_program(record) => {
            Finding::fail("the file system runs no programs, so Claude Code gets no key")
                .hint(Hint::run(&["install"]).to("let Claude Code give the script to the shell"))
        }
        None if system::is_noexec(&place.target) => Finding::pass(
            "the file system runs no programs, so Claude Code and gwinstall give the scripts to the shell",
        ),
        None => Finding::pass(format!("{} executable", count(scripts.count(), "script"))),
        Some(first) => Finding::fail(format!("{first} is not executable"))
            .hint(Hint::shell(format!("chmod +x {}", place.paste(&place.file(first))))),
    }
}

fn runs_helper_as_program(record: &Record) -> bool {
    let helper = record.settings.keys.get("apiKeyHelper");
    matches!(helper, Some(SettingsValue::Value(command)) if command.as_str().is_some_and(|text| !text.starts_with("sh ")))
}

pub fn startup_script(place: &Place, record: &Record) -> Finding {
    if !record.files.contains_key(files::START) {
        return Finding::skip("this preset starts no gateway here");
    }
    let head = disk::read(&place.file(files::START), disk::TEXT_CAP).map(|text| text.starts_with(b"#!/"));
    match head {
        Ok(true) => Finding::pass(format!("{} is ready", files::START)),
        Ok(false) => Finding::fail(format!("{} is not a script", files::START)),
        Err(error) => Finding::fail(error.to_string()),
    }
}
