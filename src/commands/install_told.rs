//! What `install`, `update` and `models` say: the intention, and what became of it. Every text here is snapshot-tested.

use serde_json::json;

use crate::deploy::checks::{self, Checks, Running};
use crate::deploy::converge::Outcome;
use crate::deploy::draft::Draft;
use crate::deploy::goals::Prepared;
use crate::domain::name::{count, list};
use crate::domain::plan::Action;
use crate::domain::record::Record;
use crate::domain::{Kind, Place};
use crate::doors::term;
use crate::gateway;

use super::answer::Answer;
use super::{change, report};

/// What the texts are made of.
pub(super) struct Told {
    preset: String,
    models: Vec<String>,
    gateway_url: String,
    port: u16,
    pub(super) runs_litellm: bool,
    missing: Vec<String>,
    kept_variables: Vec<String>,
    removed_variables: Vec<String>,
    foreign_helper: bool,
    retired: Vec<(String, Option<String>)>,
    fresh: bool,
}

impl Told {
    pub(super) fn of(prepared: &Prepared, last: Option<&Record>) -> Self {
        Self {
            preset: prepared.preset.clone(),
            models: prepared.models.clone(),
            gateway_url: prepared.gateway_url.clone(),
            port: prepared.port,
            runs_litellm: prepared.runs_litellm,
            missing: prepared.missing.clone(),
            kept_variables: prepared.kept_variables.clone(),
            removed_variables: prepared.removed_variables.clone(),
            foreign_helper: prepared.foreign_helper,
            retired: prepared.retired.clone(),
            fresh: last.is_none(),
        }
    }

    /// What is about to happen, before the question.
    pub(super) fn intention(&self, place: &Place, draft: &Draft) -> String {
        let steps = report::plan(draft, term::manner().verbose);
        if steps.is_empty() {
            return "Only the record of the deployment changes.".to_owned();
        }
        let verb = if self.fresh { "Deploy" } else { "Change" };
        let mut text = format!("{verb} preset {} in {}", self.preset, place.show(&place.target));
        if !self.models.is_empty() {
            text.push_str(&format!(
                " with {}: {}",
                count(self.models.len(), "model"),
                self.models.join(", ")
            ));
        }
        text.push('\n');
        text.push_str(&steps);
        for note in self.notes() {
            text.push_str(&format!("\n  {note}"));
        }
        text
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.retired.is_empty() {
            let models: Vec<&str> = self.retired.iter().map(|(model, _)| model.as_str()).collect();
            let are = if models.len() == 1 {
                "is past its retirement date; its requests fall back to its successor"
            } else {
                "are past their retirement dates; requests fall back to their successors"
            };
            notes.push(format!("note: {} {are}", list(&models)));
        }
        if self.foreign_helper {
            notes.push("note: settings.json has an apiKeyHelper that is not ours; it stays, and the token is written to settings.json".to_owned());
        }
        if !self.removed_variables.is_empty() {
            notes.push(format!(
                "note: taken out of .env, no longer needed: {}",
                list(&self.removed_variables)
            ));
        }
        if !self.kept_variables.is_empty() {
            notes.push(format!(
                "note: .env keeps {}, which this preset does not use: what you set stays",
                list(&self.kept_variables)
            ));
        }
        notes
    }

    fn data(&self, draft: &Draft, outcome: Option<&Outcome>, checks: &Checks) -> serde_json::Value {
        let mut data = change::data(draft, outcome);
        data["preset"] = json!(self.preset);
        data["models"] = json!(self.models);
        data["gateway_url"] = json!(self.gateway_url);
        data["missing"] = json!(self.missing);
        data["pre_checks"] = checks.json();
        data
    }

    pub(super) fn unchanged(&self, draft: &Draft, checks: &Checks) -> Answer {
        let kept: Vec<&str> = draft
            .plan
            .steps
            .iter()
            .filter(|step| step.action == Action::Keep)
            .map(|step| step.name.as_str())
            .collect();
        let mut text = format!("Nothing to do: preset {} is deployed as wanted.", self.preset);
        if !kept.is_empty() {
            text.push_str(&format!(
                "\nYour version stays: {}. To see the difference: gwinstall diff",
                list(&kept)
            ));
        }
        Answer::new("nothing to do").text(text).data(self.data(draft, None, checks))
    }

    pub(super) fn dry_run(&self, summary: &str, draft: &Draft, checks: &Checks) -> Answer {
        let mut text = format!("{summary}\nThis was a dry run (plan {}): nothing was changed.", draft.id);
        let failed = checks.failed();
        if !failed.is_empty() {
            let names: Vec<&str> = failed.iter().map(|check| check.check_name.word()).collect();
            text.push_str(&format!(
                "\nWithout --dry-run it would stop before any change, because of {}.",
                list(&names)
            ));
        }
        let mut data = self.data(draft, None, checks);
        data["would_stop"] = json!(!failed.is_empty());
        // Exit 0 all the same: what was asked for is the plan, and JSON has `would_stop`.
        Answer::new("dry run: nothing was changed").text(text).data(data)
    }

    /// `started`: the gateway runs with it already.
    pub(super) fn done(
        &self,
        place: &Place,
        draft: &Draft,
        outcome: &Outcome,
        checks: &Checks,
        started: bool,
    ) -> Answer {
        if outcome.changed == 0 {
            return self.unchanged(draft, checks);
        }
        let mut lines = Vec::new();
        let running = self.runs_litellm
            && !place.staged
            && matches!(checks::running(place, self.port), Running::Ours(_));
        if self.runs_litellm && place.staged {
            lines.push("Staged for an image: each machine makes its own key when start-gateway.sh runs for the first time.".to_owned());
        } else if self.runs_litellm && !running {
            lines.push(term::paint(
                "Claude Code now waits for a gateway that does not run yet.",
                term::Style::Yellow,
            ));
            lines.push("  Start it, then try it: gwinstall start && claude -p hi".to_owned());
            lines.push("  Or point away from it: gwinstall off".to_owned());
        }
        lines.push(format!(
            "Deployed preset {} in {} ({} changed).",
            self.preset,
            place.show(&place.target),
            count(outcome.changed, "file")
        ));
        lines.push(format!("  Gateway:  {}", self.gateway_url));
        if !self.models.is_empty() {
            lines.push(format!("  Models:   {}", self.models.join(", ")));
        }
        if let Some(backup) = &outcome.backup {
            lines.push(format!("  Backup:   {} (gwinstall rollback goes back to it)", backup.filename));
        }
        if !self.missing.is_empty() {
            lines.push(format!("  Missing:  {}", self.missing.join(", ")));
            lines.push(format!("            gwinstall env set {}", self.missing[0]));
        }
        for conflict in &outcome.conflicts {
            lines.push(format!("  Conflict: {conflict} stays as you changed it; ours is {conflict}.gwinstall-new (gwinstall resolve {conflict})"));
        }
        if let Some(verb) = gateway::takes_over(&draft.plan).filter(|_| running && !started) {
            lines.push(format!(
                "The gateway still runs with its old configuration: gwinstall {}",
                verb.word()
            ));
        }
        if !draft.changed_keys.is_empty() {
            lines.push(report::OPEN_SESSIONS.to_owned());
        }
        let answer = Answer::new(format!("deployed preset {}", self.preset))
            .text(lines.join("\n"))
            .data(self.data(draft, Some(outcome), checks));
        if outcome.conflicts.is_empty() { answer } else { answer.exit(Kind::Conflict) }
    }
}
