//! `rollback`: restores a backup, after a safety backup of the current state.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::{Common, RollbackArgs};
use crate::deploy::context::Context;
use crate::deploy::converge::Outcome;
use crate::deploy::draft::Draft;
use crate::deploy::{backup, goals, lost, values};
use crate::domain::name::count;
use crate::domain::record::{EnvValue, Pointed, Record};
use crate::domain::request::Request;
use crate::domain::tree::Class;
use crate::domain::{Hint, Operation, Place, Result};
use crate::doors::term;
use crate::release::session;
use crate::render::{self, Value};
use crate::ui::report;

use super::change::Change;
use super::{seal, sources};
use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, common: &Common, args: &RollbackArgs) -> Result<Answer> {
    let change = Change::open(place, common, &args.confirm, Operation::Rollback)?
        .without_takeover(args.takeover.no_reload);
    let (path, entry) = chosen(&change.context, args)?;
    let filename = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if entry.is_none() {
        session::permit_unsigned("a backup from elsewhere")?;
    }
    let sum = entry.map(|entry| entry.sha256_checksum);
    let backup = backup::open_with(&path, sum, &mut seal::unlock(&args.unlock))?;
    // gwinstall searches again for a secret that `.env` has lost, as `install` does.
    let found = values_for(place, &backup.record).unwrap_or_default();
    let goal = goals::from_backup(&change.context, backup, &filename, &found)?;
    for note in &goal.notes.runtime {
        term::talk(&format!("note: {note}"));
    }
    let draft = change.draft(goal)?;
    // Two releases may have the same files; which of them is deployed is still a fact to restore.
    let same_bundle = change.context.record.as_ref().map(|record| &record.bundle)
        == draft.record.as_ref().map(|record| &record.bundle);
    if same_bundle && draft.plan.changes().all(|step| step.class == Class::Record) {
        return Ok(change.nothing_to_do(&draft, format!("Nothing to do: everything is as in {filename}.")));
    }
    let preset = draft.record.as_ref().map(|record| record.preset.clone()).unwrap_or_default();
    let summary = format!(
        "Roll back to {filename} (preset {preset})\n{}",
        report::plan(&draft, term::manner().verbose)
    );
    change.carry_out(draft, &summary, |draft, outcome| {
        Ok(Answer::new(format!("rolled back to {filename}")).text(done(draft, outcome, &filename, &preset)))
    })
}

fn done(draft: &Draft, outcome: &Outcome, filename: &str, preset: &str) -> String {
    let mut text =
        format!("Rolled back to {filename}: preset {preset}, {} changed.", count(outcome.changed, "file"));
    if let Some(safety) = &outcome.backup {
        let back = term::command(&["rollback", &safety.filename]);
        text.push_str(&format!("\n  To undo this rollback: {back}"));
    }
    let variables = draft.record.iter().flat_map(|record| &record.environment_variables);
    for (name, _) in variables.filter(|(_, known)| known.value == EnvValue::Missing) {
        text.push_str(&format!("\n  {name} has no value: {}", term::command(&["env", "set", name])));
    }
    text.push_str("\n  Secrets in .env stayed as they are.");
    let on = draft.record.as_ref().is_some_and(|record| record.request.pointed == Pointed::On);
    if on && !draft.changed_keys.is_empty() {
        text.push_str(&format!("\n{}", report::OPEN_SESSIONS));
    }
    text
}

/// The backup to restore: the one that the user named, else one step back.
fn chosen(context: &Context<'_>, args: &RollbackArgs) -> Result<(PathBuf, Option<backup::Entry>)> {
    let restored_from = context.record.as_ref().and_then(|record| record.restored_from.as_deref());
    backup::choose(context.place, args.backup.as_deref(), restored_from).map_err(|error| {
        // Without its record a deployment cannot be uninstalled either.
        if args.backup.is_none() && context.is_lost() {
            return lost::refusal(context.place);
        }
        match context.record {
            Some(_) => error.hint(Hint::run(&["uninstall"]).to("remove the gateway instead")),
            None => error.because("nothing is deployed").hint(Hint::run(&["install"])),
        }
    })
}

/// What an install of that record would find; without its bundle nothing, and values stay missing.
fn values_for(place: &Place, record: &Record) -> Result<BTreeMap<String, Value>> {
    let bundle = sources::deployed(place, Some(record))?;
    let request = Request::default();
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    values::gather(place, &choice, &request).map(|values| values.found)
}
