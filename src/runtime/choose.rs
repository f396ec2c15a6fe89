//! Which LiteLLM a deployment starts, decided when its record is written: `--venv DIR`, then a runtime of gwinstall, then
//! `gateway/venv`, then the PATH. A choice that was recorded stays as long as it is there, until the user agrees to another.

use std::path::{Path, PathBuf};

use super::environment::{self, Environment, State};
use super::facts::{Facts, Verdict};
use super::place;
use crate::bundle::Bundle;
use crate::domain::name::shell_word;
use crate::domain::place::files;
use crate::domain::runtime::{RuntimeId, RuntimeKind, RuntimeRequest};
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::{disk, system};
use crate::format::dotenv::DotEnv;

/// The variable that names the program to start.
pub const PROGRAM: &str = "GATEWAY_LITELLM_BIN";

/// The choice, and what the user should know about it.
#[derive(Debug, Default)]
pub struct Chosen {
    pub runtime: Option<RuntimeId>,
    pub notes: Vec<String>,
}

/// Chooses for a deployment that runs LiteLLM.
pub fn choose(
    place: &Place,
    bundle: &Bundle,
    asked: &RuntimeRequest,
    recorded: Option<&RuntimeId>,
) -> Result<Chosen> {
    let facts = || Facts::of(bundle).or_else(|_| Facts::embedded());
    if let Some(dir) = &asked.venv {
        return named(place, &facts, dir, asked.allow_unsafe)
            .map(|runtime| Chosen { runtime: Some(runtime), notes: Vec::new() });
    }
    if let Some(brought) = &asked.managed {
        let version = Some(brought.version.clone());
        let runtime = RuntimeId::new(RuntimeKind::Managed, version, &brought.path, &place.home);
        return Ok(Chosen { runtime: Some(runtime), notes: Vec::new() });
    }
    let mut notes = Vec::new();
    if let Some(kept) = recorded.filter(|recorded| recorded.kind == RuntimeKind::Venv) {
        let environment = environment::read(&kept.path(&place.home));
        if environment.runs() {
            let version = environment.version().map(str::to_owned);
            return Ok(Chosen { runtime: Some(RuntimeId { version, ..kept.clone() }), notes });
        }
        notes.push(format!("the recorded LiteLLM in {} cannot run", place.show(&environment.dir)));
    }
    if let Some(kept) = recorded.filter(|recorded| recorded.kind == RuntimeKind::Managed) {
        let environment = environment::read(&kept.path(&place.home));
        if environment.runs() && objection(&facts, &environment, asked.allow_unsafe)?.is_none() {
            return Ok(Chosen { runtime: Some(kept.clone()), notes });
        }
    }
    let managed = if has_any(place) { place::preferred(place, &facts()?)? } else { None };
    if let Some(found) = managed {
        let version = found.environment.version().map(str::to_owned);
        let runtime = RuntimeId::new(RuntimeKind::Managed, version, &found.path, &place.home);
        return Ok(Chosen { runtime: Some(runtime), notes });
    }
    let insisted = |dir: &Path, version: Option<&str>| {
        let same = |recorded: &&RuntimeId| {
            recorded.path(&place.home) == dir && recorded.version.as_deref() == version
        };
        asked.allow_unsafe || recorded.filter(same).is_some()
    };
    let runtime = found(place, &facts, &insisted, &mut notes)?;
    Ok(Chosen { runtime, notes })
}

/// Whether there may be a runtime of gwinstall: a run without any reads no more than this.
fn has_any(place: &Place) -> bool {
    disk::is_dir(&place::root(place))
}

/// The environment that `--venv` names.
fn named(place: &Place, facts: Known<'_>, dir: &Path, allow_unsafe: bool) -> Result<RuntimeId> {
    let refused = || Error::usage(format!("--venv: {} cannot be used", place.show(dir)));
    let environment = environment::read(dir);
    match &environment.state {
        State::Without => {
            return Err(refused()
                .because("it has no bin/litellm")
                .hint(Hint::run(&["runtime", "install"]).to("let gwinstall install LiteLLM")));
        }
        State::Broken(why) => {
            return Err(refused()
                .because(why)
                .hint(Hint::run(&["runtime", "install"]).to("let gwinstall install LiteLLM")));
        }
        State::Sound(_) | State::Unnamed => {}
    }
    if let Some(why) = objection(facts, &environment, allow_unsafe)? {
        let error = Error::new(Kind::Refused, refused().message()).because(why.reason);
        let again = Hint::run(&["runtime", "install"]).to("install a safe one");
        return Err(error.hint(match why.may_insist {
            true => again.or(Hint::again(&["--allow-unsafe-litellm"]).to("use it all the same")),
            false => again,
        }));
    }
    let version = environment.version().map(str::to_owned);
    Ok(RuntimeId::new(RuntimeKind::Venv, version, dir, &place.home))
}

struct Objection {
    reason: String,
    may_insist: bool,
}

/// What is known about the versions of LiteLLM, read only where there is one to judge.
type Known<'a> = &'a dyn Fn() -> Result<Facts>;

/// Why an environment that gwinstall did not build must not run.
fn objection(facts: Known<'_>, environment: &Environment, allow_unsafe: bool) -> Result<Option<Objection>> {
    if let Some(mark) = &environment.mark {
        let reason = format!("{} was left by a malicious version of LiteLLM", mark.display());
        return Ok(Some(Objection { reason, may_insist: false }));
    }
    let Some(version) = environment.version() else { return Ok(None) };
    Ok(match facts()?.verdict(version) {
        Verdict::Malicious => Some(Objection {
            reason: format!("LiteLLM {version} was published with malicious code"),
            may_insist: false,
        }),
        Verdict::Unsafe { below, reason } if !allow_unsafe => Some(Objection {
            reason: format!("LiteLLM {version} is older than {below}: {reason}"),
            may_insist: true,
        }),
        Verdict::Unsafe { .. } | Verdict::Fine => None,
    })
}

/// What the user installed: beside the gateway, else on the PATH. An unsafe version counts only if the user insists, or did so
/// when it was recorded. Nothing of this machine counts for an image.
fn found(
    place: &Place,
    facts: Known<'_>,
    insisted: &dyn Fn(&Path, Option<&str>) -> bool,
    notes: &mut Vec<String>,
) -> Result<Option<RuntimeId>> {
    let beside = environment::read(&place.file("venv"));
    match &beside.state {
        State::Sound(_) | State::Unnamed => {
            if let Some(why) = objection(facts, &beside, insisted(&beside.dir, beside.version()))? {
                notes.push(format!("{} is not used: {}", place.show(&beside.dir), why.reason));
            } else {
                let version = beside.version().map(str::to_owned);
                return Ok(Some(RuntimeId::new(RuntimeKind::Venv, version, &beside.dir, &place.home)));
            }
        }
        State::Broken(why) => notes.push(format!("{} cannot run: {why}", place.show(&beside.dir))),
        State::Without => {}
    }
    let Some(program) = system::program("litellm").filter(|_| !place.staged) else { return Ok(None) };
    let environment = environment::of_program(&program);
    let version = environment.as_ref().and_then(|environment| environment.version().map(str::to_owned));
    if let Some(environment) = &environment {
        if let Some(why) = environment.broken() {
            notes.push(format!("{} cannot run: {why}", shell_word(&program.to_string_lossy())));
            return Ok(None);
        }
        if let Some(why) = objection(facts, environment, insisted(&program, version.as_deref()))? {
            notes.push(format!("{} is not used: {}", place.show(&program), why.reason));
            return Ok(None);
        }
    }
    Ok(Some(RuntimeId::new(RuntimeKind::Path, version, &program, &place.home)))
}

/// What `.env` names as the program to start: the start script takes it before every other.
pub fn named_in_env(place: &Place) -> Option<PathBuf> {
    let bytes = disk::read_maybe(&place.file(files::ENV), disk::TEXT_CAP).ok().flatten()?;
    let file = DotEnv::parse(std::str::from_utf8(&bytes).ok()?);
    file.get(PROGRAM).filter(|named| !named.is_empty()).map(PathBuf::from)
}

/// Whether the start script finds a LiteLLM that it may start: the one that `.env` names, the recorded one, else what the user
/// installed.
pub fn is_available(place: &Place, recorded: Option<&RuntimeId>) -> bool {
    let found = || found(place, &Facts::embedded, &|_, _| false, &mut Vec::new());
    named_in_env(place).is_some_and(|program| disk::is_program(&program))
        || recorded.is_some_and(|runtime| is_there(place, runtime))
        || found().is_ok_and(|found| found.is_some())
}

/// Whether what a record names can run.
pub fn is_there(place: &Place, runtime: &RuntimeId) -> bool {
    let path = runtime.path(&place.home);
    match runtime.kind {
        RuntimeKind::Path => disk::is_program(&path),
        RuntimeKind::Managed | RuntimeKind::Venv => environment::read(&path).runs(),
    }
}
