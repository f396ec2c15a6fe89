//! `rollback`: back to a backup, with a safety backup of what is left behind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::{Common, RollbackArgs};
use crate::deploy::draft::draft;
use crate::deploy::{backup, goals, lost, store, values};
use crate::domain::Operation;
use crate::domain::record::EnvValue;
use crate::domain::record::Record;
use crate::domain::request::Request;
use crate::domain::{Place, Result};
use crate::doors::{prompt, term};
use crate::gateway;
use crate::render::{self, Value};

use super::answer::Answer;
use super::change::{self, Change};
use super::report;

pub(super) fn run(place: &Place, common: &Common, args: &RollbackArgs) -> Result<Answer> {
    let change = Change {
        safety: true,
        prune: false,
        ..Change::new(place, common, &args.confirm, Operation::Rollback)
    };
    change.recover()?;
    let last = store::record_as_found(place)?;
    let (path, entry) = chosen(place, args, last.as_ref())?;
    let filename = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let expected = entry.as_ref().map(|entry| entry.sha256_checksum);
    // A secret that is nowhere any more is looked for again, as an install would.
    let then = backup::open(&path, expected)?.record;
    let found = values_for(place, &then).unwrap_or_default();
    let backup = backup::open(&path, expected)?;
    let goal = goals::from_backup(place, backup, &filename, last.as_ref(), &found)?;
    let mut drafted = draft(place, last.as_ref(), goal)?;
    let preset = drafted.record.as_ref().map(|record| record.preset.clone()).unwrap_or_default();
    // Two releases may have the same files; which of them is deployed is still a fact to restore.
    let same_bundle =
        last.as_ref().map(|last| &last.bundle) == drafted.record.as_ref().map(|record| &record.bundle);
    if same_bundle && drafted.plan.changes().all(|step| step.class == crate::domain::tree::Class::Record) {
        let text = format!("Nothing to do: everything is as in {filename}.");
        return Ok(Answer::new("nothing to do").text(text).data(change::data(&drafted, None)));
    }
    let summary = format!(
        "Go back to {filename} (preset {preset})\n{}",
        report::plan(&drafted, term::manner().verbose)
    );
    if args.confirm.dry_run {
        let text = format!("{summary}\nThis was a dry run (plan {}): nothing was changed.", drafted.id);
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(change::data(&drafted, None)));
    }
    let Some(outcome) = change.carry_out(&mut drafted, &summary)? else {
        return Err(prompt::stopped());
    };
    let mut text = format!(
        "Back at {filename}: preset {preset}, {} changed.",
        crate::domain::name::count(outcome.changed, "file")
    );
    if let Some(safety) = &outcome.backup {
        text.push_str(&format!("\n  What was here before is kept: gwinstall rollback {}", safety.filename));
    }
    let variables = drafted.record.iter().flat_map(|record| &record.environment_variables);
    for (name, _) in variables.filter(|(_, known)| known.value == EnvValue::Missing) {
        text.push_str(&format!("\n  {name} has no value: gwinstall env set {name}"));
    }
    text.push_str("\n  Secrets in .env stayed as they are.");
    if let Some(verb) = gateway::takes_over(&drafted.plan) {
        text.push_str(&format!(" A running gateway takes it over with: gwinstall {}", verb.word()));
    }
    if !drafted.changed_keys.is_empty() {
        text.push_str(&format!("\n{}", report::OPEN_SESSIONS));
    }
    Ok(Answer::new(format!("back at {filename}")).text(text).data(change::data(&drafted, Some(&outcome))))
}

/// The backup that is meant: the one that was named, else one step back.
fn chosen(
    place: &Place,
    args: &RollbackArgs,
    last: Option<&Record>,
) -> Result<(PathBuf, Option<backup::Entry>)> {
    let restored_from = last.and_then(|last| last.restored_from.as_deref());
    backup::choose(place, args.backup.as_deref(), restored_from).map_err(|error| {
        // What is here then cannot be taken out either.
        if args.backup.is_none() && lost::is_lost(place) {
            return lost::refusal(place);
        }
        error.hint(match last {
            Some(_) => "to take everything out instead: gwinstall uninstall",
            None => "nothing is deployed; to deploy: gwinstall install",
        })
    })
}

/// What a gathering of an install of that record would find; without its bundle nothing, and values stay missing.
fn values_for(place: &Place, record: &Record) -> Result<BTreeMap<String, Value>> {
    let bundle = super::bundle_of(place, Some(record))?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    values::gather(place, &choice, &request).map(|values| values.found)
}
