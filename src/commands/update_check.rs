//! `self-update --check`: what is newer, whether this machine takes part in its roll-out, and nothing else.
//!
//! Promise: "up to date" is said only where it is proved, and a newer release that this machine is not offered yet is
//! named. Never: changes an executable or a deployment.

use serde_json::json;

use crate::domain::{Kind, Result};
use crate::doors::term;
use crate::release::documents::{Channel, Severity};
use crate::release::order::Step;
use crate::release::rules::Running;
use crate::release::update::{Candidate, News, UpdateCheck};
use crate::ui::answer::Answer;

/// One conditional GET. Exit 3 when something newer is offered, 0 only when it is proved that nothing is.
pub(super) fn report(check: &UpdateCheck<'_>) -> Result<Answer> {
    let news = check.news(true)?;
    let Some((channel, _)) = &news.channel else {
        let candidate = check.candidate(&news)?;
        return Ok(report_offline(&candidate, check.running));
    };
    let (facts, running) = (channel.facts(), check.running);
    let pinned = check.constraints.pins.first().map(ToString::to_string);
    let newer = news.newer(check.in_use.seq)?;
    let data = json!({
        "running": { "version": running.version, "seq": running.seq },
        "newest": { "version": facts.version, "seq": facts.seq, "severity": facts.severity, "at": facts.at },
        "newer": newer.is_some(),
        "offered": newer.map(|newer| json!({ "version": newer.version, "seq": newer.seq })),
        "rollout": news.rollout,
        "pinned": pinned,
    });
    let Some(newer) = newer else {
        return Ok(nothing_newer(check, &news, facts).data(data));
    };
    check.look_at(&news)?;
    let newest = newer.seq == facts.seq;
    let why = if urgent(check, facts, newest) { ", a security update" } else { "" };
    let mut text = format!("gwinstall {} is available{why}; {} runs here.", newer.version, running.version);
    match (&pinned, news.rollout.filter(|rollout| newest && rollout.takes_part)) {
        (Some(pin), _) => text.push_str(&format!("\n  This machine is pinned to {pin}.")),
        (None, rollout) => {
            if let Some(rollout) = rollout {
                text.push_str(&format!(
                    "\n  It goes to {} % of all machines now, and to this one.",
                    rollout.percent
                ));
            }
            text.push_str(&format!("\n  To install it: {}", term::command(&["self-update"])));
        }
    }
    text.push_str(&held_back(check, &news, facts));
    Ok(Answer::new(format!("{} is newer", newer.version)).text(text).data(data).exit(Kind::Pending))
}

/// Whether the release, or any as new as the channel asks for, should be taken now.
fn urgent(check: &UpdateCheck<'_>, facts: &Channel, newest: bool) -> bool {
    (newest && facts.severity == Severity::Security) || check.in_use.seq < facts.min_seq
}

/// What is said of a release that is not offered to this machine yet; nothing where there is none.
fn held_back(check: &UpdateCheck<'_>, news: &News, facts: &Channel) -> String {
    let Some(waiting) = news.waiting() else { return String::new() };
    let why = if urgent(check, facts, true) { "\n  It is a security update." } else { "" };
    let command = term::command(&["self-update", "--version", facts.version.as_str()]);
    format!("\n  {waiting}.{why}\n  To install {} on this machine now: {command}", facts.version)
}

/// Only an origin that answers now can prove what is newest; a directory shows what it holds.
fn nothing_newer(check: &UpdateCheck<'_>, news: &News, channel: &Channel) -> Answer {
    let version = &check.running.version;
    let held_back = held_back(check, news, channel);
    if !held_back.is_empty() {
        return Answer::new("nothing newer for this machine yet")
            .text(format!("gwinstall {version} stays for now.{held_back}"));
    }
    if check.origin.is_online() {
        return Answer::new("up to date").text(format!(
            "gwinstall {version} is the newest release of {}, according to its channel of {}.",
            channel.channel, channel.at
        ));
    }
    let origin = check.origin.shown();
    Answer::new("nothing newer there").text(format!("{origin} has nothing newer than gwinstall {version}."))
}

fn report_offline(candidate: &Candidate, running: &Running) -> Answer {
    let facts = candidate.manifest.facts();
    let newer = candidate.verdict.step == Step::Newer;
    let word = if newer { "newer than" } else { "not newer than" };
    let text = format!(
        "This origin has gwinstall {}, {word} {}.{}",
        facts.version,
        running.version,
        notes(candidate)
    );
    let answer = Answer::new(format!("{} is {word} what runs", facts.version)).text(text).data(json!({
        "running": { "version": running.version, "seq": running.seq },
        "newest": { "version": facts.version, "seq": facts.seq, "released": facts.released },
        "newer": newer,
        "notes": candidate.verdict.notes,
    }));
    if newer { answer.exit(Kind::Pending) } else { answer }
}

/// What belongs to a release that may be taken, each on a line of its own.
pub(super) fn notes(candidate: &Candidate) -> String {
    candidate.verdict.notes.iter().map(|note| format!("\n  note: {note}")).collect()
}
