//! `start`, `stop`, `restart`, `reload`, `logs`, `health`: the running gateway.

use std::time::Duration;

use serde_json::json;

use crate::cli::LogsArgs;
use crate::deploy::checks::Checks;
use crate::deploy::lost;
use crate::deploy::recover::{self, Interrupted};
use crate::domain::name::count;
use crate::domain::place::files;
use crate::domain::{Error, Kind, Place, Result};
use crate::doors::{disk, signals, system, term};
use crate::gateway::ask::Gateway;
use crate::gateway::{self, Verb, health, process};

use crate::ui::answer::Answer;
use crate::ui::report;

pub(super) fn run(place: &Place, verb: Verb) -> Result<Answer> {
    if place.staged {
        return Err(Error::usage(format!(
            "{} is for the machine that runs it, not with --home",
            verb.word()
        ))
        .hint("on that machine: gwinstall start"));
    }
    if let Some(Interrupted::InFlight(_) | Interrupted::Unreadable) = recover::look(place)?
        && verb != Verb::Stop
    {
        return Err(Error::failed("an earlier run was interrupted, and its files may be of two versions")
            .hint("gwinstall doctor --repair --yes"));
    }
    let url = lost::record(place)?.map(|record| record.gateway_url);
    let idle = verb == Verb::Stop && process::pid(place).is_none();
    gateway::run_script(place, verb)?;
    let done = match verb {
        Verb::Start => "started",
        Verb::Stop if idle => "nothing was running",
        Verb::Stop => "stopped",
        Verb::Restart => "restarted",
        Verb::Reload => "reloaded",
    };
    // The script has said it to a person.
    Ok(Answer::new(done).text("").data(json!({ "verb": verb.word(), "gateway": url })))
}

pub(super) fn health(place: &Place) -> Result<Answer> {
    let record = lost::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed yet").hint("gwinstall install"))?;
    let asked = Gateway::of(place, &record)?;
    let mut checks = Checks::default();
    health::examine(&mut checks, &asked, &record);
    let text: Vec<String> = checks.0.iter().map(report::check_line).collect();
    let failed = checks.failed().len();
    let data = json!({
        "gateway": asked.url,
        "status": health::word(&checks),
        "database": health::told(&checks, "database"),
        "version": health::told(&checks, "version"),
        "uptime_seconds": uptime(place),
        "checks": checks.json(),
    });
    if failed == 0 {
        return Ok(Answer::new(format!("the gateway is {}", health::word(&checks)))
            .text(text.join("\n"))
            .data(data));
    }
    let message = format!("the gateway is not healthy: {} failed", count(failed, "check"));
    Ok(Answer::new(message).text(text.join("\n")).data(data).exit(Kind::Failed))
}

/// More of a log at once helps nobody, and memory stays bounded.
const LOG_CAP: u64 = 8 << 20;

/// How long the process of ours runs: the start script writes the pid file once it has one.
fn uptime(place: &Place) -> Option<i64> {
    process::pid(place)?;
    let (_, started) = disk::facts(&place.file(files::PID))?;
    Some((system::now().unix() - started).max(0))
}

pub(super) fn logs(place: &Place, args: &LogsArgs) -> Result<Answer> {
    let path = place.file(files::GATEWAY_LOG);
    if args.follow && term::manner().json {
        return Err(Error::usage("--follow never ends, so it cannot be one JSON document")
            .hint("leave --json or --follow out"));
    }
    if !disk::exists(&path) && !args.follow {
        return Err(Error::failed(format!("there is no {}", place.show(&path)))
            .because("the gateway was never started, or its preset runs none on this machine")
            .hint("gwinstall start"));
    }
    let end = disk::facts(&path).map_or(0, |(len, _)| len);
    let lines = last_lines(&path, args.lines)?;
    if args.follow {
        return follow(&path, &lines, end);
    }
    let data = json!({ "path": path, "lines": lines.lines().collect::<Vec<_>>() });
    Ok(Answer::new(count(lines.lines().count(), "line")).text(lines).data(data))
}

/// The last `n` lines; the tail that is read grows until it holds enough of them.
fn last_lines(path: &std::path::Path, n: usize) -> Result<String> {
    let len = disk::facts(path).map_or(0, |(len, _)| len);
    let mut bytes: u64 = 1 << 16;
    loop {
        let tail = disk::tail(path, bytes)?;
        let text = String::from_utf8_lossy(&tail).into_owned();
        let whole = bytes >= len;
        let lines: Vec<&str> = text.lines().skip(usize::from(!whole)).collect();
        if whole || lines.len() >= n || bytes >= LOG_CAP {
            return Ok(lines[lines.len().saturating_sub(n)..].join("\n"));
        }
        bytes = bytes.saturating_mul(4).min(LOG_CAP);
    }
}

/// Passes on what is appended, until a signal or until nobody reads. A log that was rotated begins anew.
fn follow(path: &std::path::Path, lines: &str, mut at: u64) -> Result<Answer> {
    let first = if lines.is_empty() { String::new() } else { format!("{lines}\n") };
    let mut open = term::raw_while_read(first.as_bytes());
    while open {
        signals::check()?;
        let len = disk::facts(path).map_or(0, |(len, _)| len);
        if len < at {
            at = 0;
        }
        let news = if len > at { disk::read_from(path, at, 1 << 16)? } else { Vec::new() };
        at += news.len() as u64;
        open = term::raw_while_read(&news);
        if news.is_empty() {
            system::sleep(Duration::from_millis(200));
        }
    }
    Ok(Answer::new("nobody reads any more").text(""))
}
