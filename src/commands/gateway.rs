//! `start`, `stop`, `restart`, `reload`, `logs`, `health`: the running gateway.

use std::time::Duration;

use serde_json::json;

use crate::cli::{Common, ConfirmArgs, LogsArgs, OnArgs};
use crate::deploy::checks::Checks;
use crate::deploy::context::Context;
use crate::deploy::lost;
use crate::deploy::permission::Rules as _;
use crate::deploy::recover::{self, Interrupted};
use crate::domain::name::count;
use crate::domain::place::files;
use crate::domain::record::Pointed;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::{disk, signals, system, term};
use crate::gateway::ask::Gateway;
use crate::gateway::{self, Verb, health, process, serving};
use crate::inspect::facts::Facts;
use crate::inspect::{examine, state};
use crate::release::session;
use crate::ui::answer::Answer;
use crate::ui::install_report::READY;
use crate::ui::report;

use super::{install, switch};

pub(super) fn run(place: &Place, common: &Common, verb: Verb, now: bool) -> Result<Answer> {
    if place.staged {
        return Err(Error::usage(format!("`{}` cannot be combined with --home", verb.word()))
            .because("a gateway runs on the machine that the home belongs to")
            .hint(Hint::shell(format!("gwinstall {}", verb.word())).to("do it on that machine")));
    }
    match recover::look(place)? {
        _ if verb == Verb::Stop => {}
        Some(Interrupted::InFlight(_) | Interrupted::Unreadable) => {
            return Err(Error::failed(
                "an earlier run was interrupted, and its files may be of two versions",
            )
            .hint(Hint::run(&["doctor", "--repair", "--yes"])));
        }
        Some(found @ Interrupted::Running(_)) => {
            return Err(Error::new(Kind::Busy, state::interruption(&found))
                .hint(Hint::again::<&str>(&[]).to("do it once that has ended")));
        }
        Some(Interrupted::TemporaryFiles) | None => {}
    }
    let record = lost::record(place)?;
    if record.is_none() && !disk::exists(&place.file(files::START)) {
        return Err(Error::usage("nothing is deployed yet").hint(Hint::run(&["install"])));
    }
    let armed = record.as_ref().filter(|record| record.request.pointed == Pointed::Armed);
    if let Some(record) = armed.filter(|_| verb != Verb::Stop) {
        session::policy()?.permit_deployment(record)?;
    }
    let armed = armed.is_some();
    if armed
        && verb == Verb::Start
        && let Some(answer) = install::finish(place, common)?
    {
        return Ok(answer);
    }
    if verb == Verb::Start {
        warn_about_logins(place)?;
    }
    let url = record.map(|record| record.gateway_url);
    let idle = verb == Verb::Stop && process::pid(place).is_none();
    gateway::run_for_user(place, verb, now)?;
    let done = match verb {
        Verb::Start => "started",
        Verb::Stop if idle => "nothing was running",
        Verb::Stop => "stopped",
        Verb::Restart => "restarted",
        Verb::Reload => "reloaded",
    };
    let data = json!({ "verb": verb.word(), "gateway": url });
    if armed && matches!(verb, Verb::Start | Verb::Restart) {
        // The user installed the gateway to use it, and it can answer only now.
        serving::wait(place)?;
        let confirm = ConfirmArgs { yes: true, dry_run: false };
        let on = switch::on(place, common, &OnArgs { confirm, force: false })?;
        return Ok(Answer::new(on.message).text(READY).data(data));
    }
    // The script has already printed the outcome.
    Ok(Answer::new(done).text("").data(data))
}

/// A gateway without a login for a provider of its models starts, and calls to that provider fail.
fn warn_about_logins(place: &Place) -> Result<()> {
    let context = Context::load(place)?;
    let facts = Facts::gather(&context)?;
    let mut checks = Checks::default();
    let bundle = super::sources::deployed(place, facts.record());
    examine::providers_of(&mut checks, &facts, &bundle);
    checks.warnings().for_each(|check| term::talk(&report::check_line(check)));
    Ok(())
}

pub(super) fn health(place: &Place) -> Result<Answer> {
    let record = lost::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed yet").hint(Hint::run(&["install"])))?;
    let asked = Gateway::of(place, &record)?;
    signals::end_at_once();
    let mut checks = Checks::default();
    health::examine(&mut checks, &asked, &record);
    let text = report::check_lines(&checks.0);
    let failed = checks.failed().len();
    let data = json!({
        "gateway": asked.url,
        "status": health::word(&checks),
        "database": health::fact(&checks, "database"),
        "version": health::fact(&checks, "version"),
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

/// Largest part of a log that one run prints, so that memory stays bounded.
const LOG_CAP: u64 = 8 << 20;

/// How long the deployed gateway runs: the start script writes the pid file when the process starts.
fn uptime(place: &Place) -> Option<i64> {
    process::pid(place)?;
    let (_, started) = disk::facts(&place.file(files::PID))?;
    Some((system::now().unix() - started).max(0))
}

pub(super) fn logs(place: &Place, args: &LogsArgs) -> Result<Answer> {
    let path = place.file(files::GATEWAY_LOG);
    if args.follow && term::manner().json {
        return Err(Error::usage("--follow never ends, so it cannot be one JSON document")
            .hint("omit --json or --follow"));
    }
    if !disk::exists(&path) && !args.follow {
        return Err(Error::failed(format!("{} does not exist", place.show(&path)))
            .because("the gateway was never started, or its preset runs none on this machine")
            .hint(if lost::record(place)?.is_some() {
                Hint::run(&["start"])
            } else {
                Hint::run(&["install"])
            }));
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

/// Prints what the gateway appends, until a signal arrives or the output is closed. A rotated log is read from its
/// start.
fn follow(path: &std::path::Path, lines: &str, mut at: u64) -> Result<Answer> {
    let first = if lines.is_empty() { String::new() } else { format!("{lines}\n") };
    let mut open = term::raw_while_read(first.as_bytes());
    while open {
        signals::check()?;
        let len = disk::facts(path).map_or(0, |(len, _)| len);
        if len < at {
            at = 0;
        }
        let appended = if len > at { disk::read_from(path, at, 1 << 16)? } else { Vec::new() };
        at += appended.len() as u64;
        open = term::raw_while_read(&appended);
        if appended.is_empty() {
            system::sleep(Duration::from_millis(200));
        }
    }
    Ok(Answer::new("output closed").text(""))
}
