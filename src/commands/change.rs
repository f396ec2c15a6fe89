//! What every changing command does around its draft: recover first, show, ask, apply, say.

use serde_json::{Value, json};

use crate::cli::{Common, ConfirmArgs, KeepArgs};
use crate::deploy::backup::KEEP;
use crate::deploy::checks::{self, Running};
use crate::deploy::converge::{self, Manner, Outcome};
use crate::deploy::draft::Draft;
use crate::deploy::recover::{self, Interrupted};
use crate::domain::place::files;
use crate::domain::{Error, Kind, Operation, Place, Result};
use crate::doors::{prompt, signals, term};
use crate::gateway::{self, Verb};

use super::report;

/// Options of one change.
pub(super) struct Change<'a> {
    pub place: &'a Place,
    pub common: &'a Common,
    pub confirm: &'a ConfirmArgs,
    pub operation: Operation,
    pub include_secrets: bool,
    pub safety: bool,
    pub keep: KeepArgs,
    pub prune: bool,
    /// No backup brings it back: an empty answer means no.
    pub for_good: bool,
    pub gate: &'a dyn Fn() -> Result<()>,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        place: &'a Place,
        common: &'a Common,
        confirm: &'a ConfirmArgs,
        operation: Operation,
    ) -> Self {
        let keep = KeepArgs { keep: KEEP, max_age: None };
        Self {
            place,
            common,
            confirm,
            operation,
            include_secrets: false,
            safety: false,
            keep,
            prune: true,
            for_good: false,
            gate: &|| Ok(()),
        }
    }

    /// Finishes or undoes what an interrupted run left, and says so.
    pub(super) fn recover(&self) -> Result<()> {
        if self.confirm.dry_run {
            return not_interrupted(self.place);
        }
        recover_first(self.place, self.operation, self.common.lock_wait)
    }

    /// Shows the plan, asks, and carries it out; the draft's record is completed by it. `None`: the user said no.
    pub(super) fn carry_out(&self, draft: &mut Draft, summary: &str) -> Result<Option<Outcome>> {
        let asks = !self.confirm.yes && term::is_interactive();
        match summary {
            "" => {}
            // Nobody can agree to what is not shown.
            shown if asks => term::error(shown),
            shown => term::talk(shown),
        }
        if !self.confirm.yes {
            if !term::is_interactive() {
                return Err(Error::usage(format!(
                    "{} changes files, and there is no terminal to ask on",
                    self.operation
                ))
                .hint(format!("gwinstall {} --yes (or --dry-run to see what it would do)", self.operation)));
            }
            if !prompt::confirm("Go ahead?", !self.for_good)? {
                signals::check()?;
                return Ok(None);
            }
        }
        let manner = Manner {
            operation: self.operation,
            lock_wait: self.common.lock_wait,
            include_secrets: self.include_secrets,
            safety: self.safety,
            keep: self.keep.keep,
            max_age_days: self.keep.max_age,
            prune: self.prune,
            gate: self.gate,
        };
        let stopped = self.stop_what_would_be_lost(draft)?;
        let outcome = converge::apply(self.place, &manner, draft)
            .inspect_err(|error| error.facts().get("times").into_iter().for_each(tell_times))
            .map_err(
                |error| if stopped { gateway::up_again(self.place, Verb::Start, error) } else { error },
            )?;
        for check in &outcome.checks {
            term::detail(&report::check_line(check));
        }
        tell_times(&json!(outcome.times));
        Ok(Some(outcome))
    }
}

impl Change<'_> {
    /// With its script a running gateway would lose the one who can stop it.
    fn stop_what_would_be_lost(&self, draft: &Draft) -> Result<bool> {
        let taken = draft.plan.changes().any(|step| step.name == files::START && step.post.is_none());
        if !taken || self.place.staged {
            return Ok(false);
        }
        let Running::Ours(pid) = checks::running(self.place, 0) else { return Ok(false) };
        term::talk(&format!("The gateway (pid {pid}) is stopped first: what stops it goes."));
        gateway::run_script(self.place, Verb::Stop)?;
        Ok(true)
    }
}

fn tell_times(times: &Value) {
    if let Some(line) = report::times(times) {
        term::detail(&line);
    }
}

/// A plan over half-exchanged files would be wrong: commands that only look say so instead.
pub(super) fn not_interrupted(place: &Place) -> Result<()> {
    match recover::look(place)? {
        Some(found @ (Interrupted::InFlight(_) | Interrupted::Unreadable)) => {
            Err(Error::new(Kind::Pending, report::interruption(&found))
                .because("what would change cannot be told before that is taken back")
                .hint("gwinstall doctor --repair --yes"))
        }
        Some(found @ Interrupted::Running(_)) => Err(Error::new(Kind::Busy, report::interruption(&found))
            .hint("wait for it, then run the same command again")),
        Some(Interrupted::Rubbish) | None => Ok(()),
    }
}

/// Recovers and says so; a leftover stops the command with exit 7.
pub(super) fn recover_first(place: &Place, operation: Operation, wait: u64) -> Result<()> {
    let Some(recovered) = converge::recover_first(place, operation, wait)? else {
        return super::releases::recover(place, wait);
    };
    match &recovered.undone {
        Some(undone) => {
            term::talk(&format!("An earlier {undone} was interrupted; its changes were taken back."))
        }
        None => term::detail("What an earlier, interrupted run left was removed."),
    }
    if recovered.config_changed && matches!(checks::running(place, 0), Running::Ours(_)) {
        // The gateway may have loaded the configuration that was just taken back.
        let _ = gateway::run_script(place, Verb::Reload);
    }
    if recovered.leftovers.is_empty() {
        return super::releases::recover(place, wait);
    }
    let error = Error::new(Kind::Leftovers, "an earlier run was taken back, and something is left for you");
    let error = recovered.leftovers.iter().fold(error, |error, leftover| error.because(leftover));
    Err(error.hint("decide about the files above, then run the same command again"))
}

/// The machine-readable form of a draft and what became of it.
pub(super) fn data(draft: &Draft, outcome: Option<&Outcome>) -> Value {
    // As values they take ten times their text, so only where somebody reads them.
    let read = draft.plan.steps.iter().filter(|_| term::manner().json);
    let steps: Vec<Value> = read.map(report::step_json).collect();
    let mut data = json!({
        "plan_id": draft.id,
        "steps": steps,
        "settings_keys": { "changed": draft.changed_keys, "kept": draft.kept_keys },
    });
    if let Some(outcome) = outcome {
        data["states"] = json!(outcome.states);
        data["changed"] = json!(outcome.changed);
        data["backup"] = json!(outcome.backup.as_ref().map(|entry| &entry.filename));
        data["pruned"] = json!(outcome.pruned);
        data["checks"] = checks::json(&outcome.checks);
        data["conflicts"] = json!(outcome.conflicts);
        data["duration_ms"] = json!(outcome.duration_ms);
        data["times"] = json!(outcome.times);
    }
    data
}
