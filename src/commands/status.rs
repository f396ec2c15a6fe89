//! `status`: what is deployed and whether it is as deployed. Reads only; a stopped gateway, warnings and retired
//! models never change its exit code.

use serde_json::json;

use crate::bundle::{Bundle, build};
use crate::deploy::context::Context;
use crate::deploy::recover::{self, Interrupted};
use crate::deploy::{lost, settings, store};
use crate::domain::name::{count, list};
use crate::domain::record::Record;
use crate::domain::{Kind, Place, Result};
use crate::doors::{disk, system, term};

use crate::gateway::process::{self, Running};
use crate::inspect::drift::{self, Drift};
use crate::inspect::overrides;
use crate::inspect::pointed::Pointed;
use crate::ui::answer::Answer;
use crate::ui::report;

/// `gwinstall` alone: the status, or the first step.
pub(super) fn overview(place: &Place) -> Result<Answer> {
    let nothing = store::record_as_found(place)?.is_none() && !store::is_lost(place) && !is_orphaned(place);
    if nothing && recover::look(place)?.is_none() {
        let text = "No gateway is deployed for this user yet.\n\n  Deploy one:      gwinstall install\n  See it first:    gwinstall install --dry-run\n  Other presets:   gwinstall presets list\n  Everything else: gwinstall --help";
        return Ok(Answer::new("nothing is deployed").text(text).data(json!({ "deployed": false })));
    }
    let mut answer = run(place)?;
    answer.exit = 0;
    Ok(answer)
}

pub(super) fn run(place: &Place) -> Result<Answer> {
    let interrupted = recover::look(place)?;
    let Some(record) = store::record_as_found(place)? else {
        return Ok(if store::is_lost(place) {
            without_record(place, interrupted)
        } else {
            not_deployed(place, interrupted)
        });
    };
    let drifted = drift::of(place, &record)?;
    let yours: Vec<&String> = record
        .files
        .iter()
        .filter(|(path, file)| {
            let edited = file.base != file.sha256 && !drifted.iter().any(|drift| drift.path == **path);
            // What stands where we had a file is the user's; what they deleted is not there to name.
            if file.deleted { disk::exists(&place.file(path)) } else { edited }
        })
        .map(|(path, _)| path)
        .collect();
    let running = running(place, &record);
    let overrides = overrides::of(place, &record);
    let pointed = Pointed::of(place, &record);
    let mut lines = headline(place, &record, running, &pointed);
    lines.extend(
        drifted.iter().map(|drift| format!("  {} {}  {}", drift.sign(), drift.shown(), drift.words(place))),
    );
    lines.extend(yours.iter().map(|path| format!("  = {path}  is your version")));
    let offers: Vec<&String> =
        record.files.iter().filter(|(_, file)| file.offered.is_some()).map(|(path, _)| path).collect();
    lines.extend(
        offers
            .iter()
            .map(|path| format!("  ! {path}  has a version of ours beside it: gwinstall resolve {path}")),
    );
    lines.extend(overrides.iter().map(|line| format!("  note: {line}")));
    lines.extend(retired(place, &record));
    let news = crate::release::session::news(place);
    lines.extend(news.lines.iter().map(|line| format!("  note: {line}")));
    if let Some(found) = &interrupted {
        lines.push(interruption(found));
    }
    let pending = !drifted.is_empty() || interrupted.is_some() || !pointed.as_recorded(&record);
    let summary = if pending { "something differs from the deployment" } else { "deployed, and as deployed" };
    let answer = Answer::new(summary).text(lines.join("\n")).data(json!({
        "deployed": true,
        "record": record,
        "drift": drifted.iter().map(Drift::json).collect::<Vec<_>>(),
        "yours": yours,
        "conflicts": offers,
        "interrupted": interrupted.is_some(),
        "running": running.is_some_and(Running::is_ours),
        "points_here": pointed == Pointed::Here,
        "overrides": overrides,
        "version": build::VERSION,
        "last_check": news.last,
    }));
    Ok(if pending { answer.exit(Kind::Pending) } else { answer })
}

fn not_deployed(place: &Place, interrupted: Option<Interrupted>) -> Answer {
    match interrupted {
        None if is_orphaned(place) => {
            Answer::new("Claude Code is pointed at a gateway that is gone")
                .text(format!(
                    "No gateway is deployed, but {} still points Claude Code at one.\n  To take our keys out: gwinstall uninstall\n  To deploy it again:   gwinstall install",
                    place.show(&place.settings())
                ))
                .data(json!({ "deployed": false, "points_here": true }))
                .exit(Kind::Pending)
        }
        Some(found) => Answer::new("an earlier run was interrupted")
            .text(interruption(&found))
            .data(json!({ "deployed": false, "interrupted": true }))
            .exit(Kind::Pending),
        None => Answer::new("nothing is deployed")
            .text("No gateway is deployed. To deploy one: gwinstall install")
            .data(json!({ "deployed": false })),
    }
}

/// A deployment is here and its record is not: what there is to say is what is missing.
fn without_record(place: &Place, interrupted: Option<Interrupted>) -> Answer {
    let refusal = lost::refusal(place);
    let mut lines = vec![term::paint(refusal.message(), term::Style::Yellow)];
    lines.extend(refusal.causes().iter().map(|cause| format!("  {cause}")));
    let ways = refusal.advice().map(term::hint_lines).unwrap_or_default();
    lines.extend(ways.iter().map(|way| format!("  {way}")));
    lines.extend(interrupted.as_ref().map(interruption));
    let data = json!({
        "deployed": true,
        "record": null,
        "record_missing": true,
        "interrupted": interrupted.is_some(),
    });
    let answer = Answer::new(refusal.message()).text(lines.join("\n")).data(data).exit(Kind::Pending);
    Answer { hint: refusal.advice().cloned(), ..answer }
}

fn headline(place: &Place, record: &Record, running: Option<Running>, pointed: &Pointed) -> Vec<String> {
    let mut lines = vec![format!(
        "Preset {} ({}), deployed {} into {}",
        record.preset,
        record.gateway_type,
        record.timestamp,
        place.show(&place.target)
    )];
    if !record.models.is_empty() {
        lines.push(format!("  Models:      {}", record.models.join(", ")));
    }
    let gateway = match running {
        None => record.gateway_url.clone(),
        Some(Running::Ours { pid, listens: false }) => format!(
            "{}, running (pid {pid}), but it does not listen there (yet): gwinstall restart",
            record.gateway_url
        ),
        Some(Running::Ours { pid, .. }) => format!("{}, running (pid {pid})", record.gateway_url),
        Some(Running::No) => format!("{}, not running: gwinstall start", record.gateway_url),
        Some(Running::Foreign { .. }) => {
            format!("{}, but another program listens there: gwinstall doctor", record.gateway_url)
        }
    };
    lines.push(format!("  Gateway:     {gateway}"));
    lines.push(format!("  Claude Code: {}", pointed.words()));
    lines.push(format!(
        "  Files:       {}, bundle {} ({})",
        count(record.files.len(), "file"),
        record.bundle.version,
        record.bundle.origin
    ));
    lines
}

fn running(place: &Place, record: &Record) -> Option<Running> {
    record.port().filter(|_| !place.staged).map(|port| process::look(place, port))
}

fn retired(place: &Place, record: &Record) -> Vec<String> {
    let Ok(bundle) = super::sources::deployed(place, Some(record)) else { return Vec::new() };
    let past = past_retirement(&bundle, record);
    if past.is_empty() {
        Vec::new()
    } else {
        vec![format!("  note: past the retirement date: {}", list(&past))]
    }
}

/// Deployed models whose date has come, by the clock.
fn past_retirement(bundle: &Bundle, record: &Record) -> Vec<String> {
    let today = system::now().date();
    let gone = |id: &&String| {
        bundle.catalog.model(id).is_some_and(|model| model.retires.as_ref().is_some_and(|day| *day <= today))
    };
    record.models.iter().filter(gone).cloned().collect()
}

fn interruption(found: &Interrupted) -> String {
    let what = term::paint(&report::interruption(found), term::Style::Yellow);
    match found {
        Interrupted::Running(_) => format!("note: {what}"),
        _ => format!("note: {what}\n  try: gwinstall doctor --repair --yes"),
    }
}

/// Whether the ledger of settings can be read; used by `doctor`.
pub(super) fn ledger_is_sound(place: &Place) -> bool {
    settings::ledger(place).is_ok()
}

fn is_orphaned(place: &Place) -> bool {
    Context::load(place).is_ok_and(|context| context.is_orphaned())
}
