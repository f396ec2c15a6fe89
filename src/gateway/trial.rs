//! A change of more than a model, tried before the first file changes: the new gateway is started on a port of its own from
//! a directory that looks like that of the gateway, has to serve, and is stopped.
//!
//! Promise: however the trial ends, its process and its directory go; what a killed run left, `end` stops and removes. Never:
//! touches a file, the port or the process of the gateway that runs.

use std::path::{Path, PathBuf};

use crate::deploy::draft::Draft;
use crate::deploy::store;
use crate::domain::name::printable;
use crate::domain::place::files;
use crate::domain::record::Record;
use crate::domain::secret::mask;
use crate::domain::tree::Content;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::disk::{self, At as _};
use crate::doors::progress::Waiting;
use crate::doors::{loopback, signals, system};
use crate::format::dotenv::DotEnv;
use crate::render;

use super::{Verb, process, serving};

/// The last lines of its log that a message repeats.
const LINES: usize = 5;
const LOG_TAIL: u64 = 16 << 10;
/// What the directory gets files of its own for, or must not see.
const NOT_LINKED: [&str; 6] =
    [files::START, files::RECORD, files::PID, files::GATEWAY_LOG, "backups", "config"];

/// Below the directory of the gateway; the start script knows it.
const DIRECTORY: &str = ".gwinstall/trial";

/// Whether a change is tried first: the gateway runs, and gets another preset, program, port or value.
pub fn is_due(place: &Place, before: Option<&Record>, draft: &Draft) -> bool {
    let Some((before, after)) = before.zip(draft.record.as_ref()) else { return false };
    let more_than_models = match super::takes_over(&draft.plan) {
        Some(Verb::Restart) => true,
        Some(_) => before.preset != after.preset,
        None => false,
    };
    more_than_models && after.runs_litellm() && !place.staged && process::pid(place).is_some()
}

/// Tries the gateway of a draft. Only with the lock of the place.
pub fn run(place: &Place, draft: &Draft) -> Result<()> {
    end(place)?;
    let Some(trial) = Trial::lay_out(place, draft)? else { return Ok(()) };
    let waiting = Waiting::begin("Trying the new gateway beside the running one");
    let served = trial.serves();
    waiting.end(served.is_ok());
    let served = served.map_err(|error| trial.explain(error));
    // The reason why it does not serve counts.
    let ended = end(place);
    served.and(ended)
}

/// Stops and removes a trial, also one that a killed run left. Only with the lock of the place.
pub fn end(place: &Place) -> Result<()> {
    let dir = directory(place);
    if !disk::exists(&dir) {
        return Ok(());
    }
    let stopped = run_quietly(&dir.join(files::START), &["stop", "--now"]);
    // A run that was killed while it wrote the script has started nothing with it.
    let runs = || process::pid(&Place { target: dir.clone(), ..place.clone() }).is_some();
    match stopped {
        Ok((0, _)) => {}
        Err(error) if runs() => return Err(error),
        Ok((_, said)) if runs() => {
            let error = Error::failed("the gateway that gwinstall tried does not stop");
            return Err(said.lines().map(printable).fold(error, Error::because));
        }
        Ok(_) | Err(_) => {}
    }
    disk::remove_tree(&dir).at("remove", &dir)
}

/// Whether a killed run left a trial.
pub fn is_left(place: &Place) -> bool {
    disk::exists(&directory(place))
}

fn directory(place: &Place) -> PathBuf {
    place.file(DIRECTORY)
}

fn run_quietly(script: &Path, words: &[&str]) -> Result<(u8, String)> {
    system::run_and_hear(script, words, &[("GWINSTALL_INTERNAL", "yes")], &mut |_| ())
}

/// A gateway that is laid out for a trial.
struct Trial {
    /// The place of its own, in which it is a gateway like any other.
    place: Place,
    record: Record,
}

impl Trial {
    /// Lays out the new gateway. `None` where its start script takes no other port, because the user changed it, or would
    /// take this directory for one without a home, as that of an older gwinstall does.
    fn lay_out(place: &Place, draft: &Draft) -> Result<Option<Self>> {
        let dir = directory(place);
        let failed = |error: std::io::Error| Error::failed("no port is free for a trial").because(error);
        let port = loopback::free_port().map_err(failed)?;
        let new = |name: &str| new_bytes(place, draft, name);
        let script = new(files::START)?;
        if !String::from_utf8_lossy(&script).contains(&format!("/{DIRECTORY}}}")) {
            return Ok(None);
        }
        let Some(script) = render::with_port(&script, port) else { return Ok(None) };
        let Some(record) = &draft.record else { return Ok(None) };
        let record = Record { gateway_url: format!("http://127.0.0.1:{port}"), ..record.clone() };
        disk::create_dirs(&dir.join("config")).at("create", &dir)?;
        let files = [
            // The start script is written first: a later run stops with it what was started in the directory.
            (files::START, Content::from(script), 0o700),
            (files::ENV, new(files::ENV)?, 0o600),
            (files::CONFIG, new(files::CONFIG)?, 0o600),
            (files::RECORD, store::record_bytes(&record)?.into(), 0o600),
        ];
        for (name, bytes, mode) in files {
            let path = dir.join(name);
            disk::create(&path, &bytes, mode).at("write", &path)?;
        }
        // A configuration may name files beside it.
        link_all(&place.target, &dir, &NOT_LINKED)?;
        link_all(&place.file("config"), &dir.join("config"), &["litellm.yaml"])?;
        Ok(Some(Self { place: Place { target: dir, ..place.clone() }, record }))
    }

    fn serves(&self) -> Result<()> {
        let (code, said) = run_quietly(&self.place.file(files::START), &["start"])?;
        signals::check()?;
        if code == 0 {
            return serving::wait(&self.place);
        }
        let error = Error::failed("it did not start");
        let lines = said.lines().filter(|line| !line.trim().is_empty());
        // Its advice names files that will be gone.
        let reasons = lines.take_while(|line| !line.trim_start().starts_with("try:"));
        let reason = |line: &str| printable(&self.as_shown(line.trim_start_matches("error: ")));
        Err(reasons.map(reason).fold(error, Error::because))
    }

    /// The error of a trial, with the end of its log, which goes with it.
    fn explain(&self, error: Error) -> Error {
        if matches!(error.kind(), Kind::Interrupted(_)) {
            return error;
        }
        let tail = disk::tail(&self.place.file(files::GATEWAY_LOG), LOG_TAIL).unwrap_or_default();
        let tail = self.as_shown(&String::from_utf8_lossy(&tail));
        let lines: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        // Not the hint of the cause: it names a log that goes.
        let message = "the new gateway does not serve, and nothing was changed; the running one goes on";
        let explained = Error::new(Kind::RolledBack, message).because(error.message());
        let explained = error.causes().iter().fold(explained, Error::because);
        let explained =
            last.iter().fold(explained, |error, line| error.because(format!("its log: {}", printable(line))));
        explained.hint(Hint::run(&["doctor"]))
    }

    /// Text without the values of the secret variables, and with the paths that stay.
    fn as_shown(&self, text: &str) -> String {
        let of_trial = format!("{}/", self.place.target.display());
        let text = text.replace(&of_trial, "");
        let env = disk::read_maybe(&self.place.file(files::ENV), disk::TEXT_CAP).ok().flatten();
        let env = DotEnv::parse(&String::from_utf8_lossy(&env.unwrap_or_default()));
        let names = self.record.environment_variables.iter().filter(|(_, known)| known.secret);
        let values = names.filter_map(|(name, _)| env.get(name)).filter(|value| value.len() >= 4);
        values.fold(text, |text, value| text.replace(value, &mask(value)))
    }
}

/// The bytes that a draft gives a file; those on disk where it leaves the file alone.
fn new_bytes(place: &Place, draft: &Draft, name: &str) -> Result<Content> {
    let step = draft.plan.changes().find(|step| step.name == name);
    if let Some(bytes) = step.and_then(|step| step.bytes.as_ref()) {
        return Ok(bytes.clone());
    }
    Ok(disk::read_maybe(&store::live_path(place, name), disk::TEXT_CAP)?.unwrap_or_default().into())
}

/// Links everything in one directory from another, but for hidden files and `others`.
fn link_all(from: &Path, into: &Path, others: &[&str]) -> Result<()> {
    for name in disk::list(from)?.iter().filter(|name| !name.starts_with('.')) {
        if !others.contains(&name.as_str()) && !disk::exists(&into.join(name)) {
            disk::symlink(&from.join(name), &into.join(name)).at("link", &into.join(name))?;
        }
    }
    Ok(())
}
