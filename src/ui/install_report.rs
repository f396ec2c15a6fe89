//! What `install`, `update` and `models` say: the intention, and what became of it. Every text here is snapshot-tested.

use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use crate::deploy::checks::Checks;
use crate::deploy::converge::Outcome;
use crate::deploy::draft::Draft;
use crate::deploy::goals::{Goal, Notes};
use crate::deploy::lacks::{self, Lack};
use crate::domain::name::{count, list};
use crate::domain::place::files;
use crate::domain::plan::{Action, Step};
use crate::domain::record::{Pointed, Record};
use crate::domain::request::{GatewayType, Request};
use crate::domain::{Kind, Place};
use crate::doors::{disk, term};
use crate::gateway::process;
use crate::render::Choice;

use super::answer::Answer;
use super::report;

/// The last line where Claude Code can be used at once.
pub const READY: &str = "Claude Code is ready: claude";

/// What to read when something does not work.
const GUIDE: &str = "docs/troubleshooting-guide.md";

/// What the texts are made of.
pub struct Report<'a> {
    place: &'a Place,
    preset: String,
    models: Vec<String>,
    gateway_url: String,
    gateway_type: GatewayType,
    /// The provider that Claude Code asks without the gateway, and where.
    direct: Option<(String, String)>,
    /// The request changes the gateway, and not who answers Claude Code.
    about_gateway: bool,
    runs_litellm: bool,
    /// Retired models that are deployed.
    retired: Vec<String>,
    notes: Notes,
    first: bool,
    start: bool,
    /// Whether the gateway runs after the change: looked up once.
    runs_now: OnceCell<bool>,
}

impl<'a> Report<'a> {
    /// `first`: nothing was deployed before.
    pub fn of(place: &'a Place, choice: &Choice<'_>, goal: &Goal, first: bool, request: &Request) -> Self {
        let about_gateway = request.provider.is_none() && choice.gateway_type != GatewayType::Direct;
        Self {
            about_gateway,
            place,
            preset: choice.preset.name.clone(),
            models: if about_gateway { choice.model_names() } else { models(choice) },
            gateway_url: goal.record.as_ref().map(|record| record.gateway_url.clone()).unwrap_or_default(),
            gateway_type: choice.gateway_type,
            direct: choice
                .direct
                .as_ref()
                .map(|direct| (direct.provider.name.clone(), direct.url.as_str().to_owned())),
            runs_litellm: choice.runs_litellm(),
            retired: choice.retired().into_iter().map(|model| model.id.clone()).collect(),
            notes: goal.notes.clone(),
            first,
            start: request.start,
            runs_now: OnceCell::new(),
        }
    }

    /// Whether the gateway of this machine is to run at the end.
    pub fn starts(&self) -> bool {
        self.start && self.runs_litellm
    }

    /// Whether this machine runs the gateway.
    fn runs_here(&self) -> bool {
        self.runs_litellm && !self.place.staged
    }

    /// Whether the gateway of this machine runs after the change.
    pub fn runs_now(&self) -> bool {
        let runs = || self.runs_here() && process::pid(self.place).is_some();
        *self.runs_now.get_or_init(runs)
    }

    /// What a program reads besides the plan and the outcome.
    pub fn facts(&self) -> Map<String, Value> {
        let facts = [
            ("preset", json!(self.preset)),
            ("models", json!(self.models)),
            ("gateway_url", json!(self.gateway_url)),
            ("missing", json!(self.notes.missing)),
        ];
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What is about to happen, before the question.
    pub fn intention(&self, draft: &Draft) -> String {
        let steps = report::plan(draft, term::manner().verbose);
        if steps.is_empty() {
            return "Only the record of the deployment changes.".to_owned();
        }
        let verb = if self.first { "Deploy" } else { "Change" };
        let mut text = format!("{verb} preset {} in {}", self.preset, self.place.show(&self.place.target));
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
            let are = if self.retired.len() == 1 {
                "is past its retirement date; its requests fall back to its successor"
            } else {
                "are past their retirement dates; requests fall back to their successors"
            };
            notes.push(format!("note: {} {are}", list(&self.retired)));
        }
        notes.extend(self.open_to_others());
        notes.extend(self.notes.runtime.iter().map(|note| format!("note: {note}")));
        if self.notes.foreign_helper {
            notes.push("note: settings.json has an apiKeyHelper of another program; it stays, and gwinstall writes the token to settings.json".to_owned());
        }
        if !self.notes.unserved.is_empty() {
            notes.push(format!(
                "note: your edit of config/litellm.yaml stays, and it does not serve {}; gwinstall points Claude Code only at models that it serves",
                list(&self.notes.unserved)
            ));
        }
        if !self.notes.removed_variables.is_empty() {
            notes.push(format!(
                "note: gwinstall removes from .env what is no longer needed: {}",
                list(&self.notes.removed_variables)
            ));
        }
        if !self.notes.kept_variables.is_empty() {
            notes.push(format!(
                "note: .env keeps {}, which you set and this preset does not use",
                list(&self.notes.kept_variables)
            ));
        }
        notes
    }

    /// The directory of Claude Code belongs to the user, so its mode stays, and is said once.
    fn open_to_others(&self) -> Option<String> {
        let dir = &self.place.config_dir;
        let mode = disk::mode(dir).filter(|mode| self.first && !self.place.staged && mode & 0o077 != 0)?;
        Some(format!(
            "note: other users can look into {} (mode {mode:04o}); to close it: chmod 700 {}",
            self.place.show(dir),
            self.place.paste(dir)
        ))
    }

    pub fn unchanged(&self, draft: &Draft) -> String {
        let offered = |step: &Step| {
            let files = draft.record.as_ref().map(|record| &record.files);
            files.and_then(|files| files.get(&step.name)).is_some_and(|file| file.offered.is_some())
        };
        let kept = draft.plan.steps.iter().filter(|step| step.action == Action::Keep);
        let (open, kept): (Vec<&Step>, Vec<&Step>) = kept.partition(|step| offered(step));
        let kept: Vec<&str> = kept.iter().map(|step| step.name.as_str()).collect();
        let mut text = format!("Already up to date (preset {}).", self.preset);
        if !kept.is_empty() {
            let diff = term::command(&["diff"]);
            text.push_str(&format!("\nYour version stays: {}. To see the difference: {diff}", list(&kept)));
        }
        for note in &self.notes.runtime {
            text.push_str(&format!("\nnote: {note}"));
        }
        for step in open {
            let resolve = term::command(&["resolve", &step.name]);
            text.push_str(&format!("\nA conflict is open: {} ({resolve})", step.name));
        }
        text
    }

    /// What would stop the change of a dry run. Its exit code is 0 all the same: the plan was asked for, and JSON has
    /// `would_stop`.
    pub fn would_stop(&self, checks: &Checks) -> String {
        let failed = checks.failed();
        if failed.is_empty() {
            return String::new();
        }
        let reasons: Vec<&str> = failed.iter().map(|check| check.message.as_str()).collect();
        format!("\nWithout --dry-run it would stop before any change: {}.", reasons.join("; "))
    }

    /// Whether Claude Code can be used now, and how to go on where it cannot.
    fn answerer(&self, draft: &Draft, lacks: &[Lack], running: bool) -> Vec<String> {
        let place = self.place;
        let Some(record) = &draft.record else { return Vec::new() };
        if self.runs_litellm && place.staged {
            return vec!["Staged for an image: each machine makes its own key when start-gateway.sh runs for the first time.".to_owned()];
        }
        match &self.direct {
            Some(_) if record.request.pointed == Pointed::On => vec![READY.to_owned()],
            None if self.runs_litellm => usable(place, record, lacks, running),
            _ => Vec::new(),
        }
    }

    /// What the change did.
    pub fn done(&self, draft: &Draft, outcome: &Outcome) -> Answer {
        if outcome.changed == 0 {
            return Answer::new("nothing to do").text(self.unchanged(draft));
        }
        let place = self.place;
        let running = self.runs_now();
        let lacks = draft
            .record
            .as_ref()
            .map_or_else(Vec::new, |record| lacks::of(place, record, &self.notes.logins));
        let mut lines = self.answerer(draft, &lacks, running);
        lines.push(format!(
            "Deployed preset {} in {} ({} changed in {} s).",
            self.preset,
            place.show(&place.target),
            count(outcome.changed, "file"),
            tenths(outcome.duration_ms)
        ));
        match &self.direct {
            Some((provider, url)) if !self.about_gateway => {
                lines.push(format!("  Provider: {provider} ({url})"))
            }
            _ => lines.push(format!("  Gateway:  {} ({})", self.gateway_url, self.gateway_type)),
        }
        if !self.models.is_empty() {
            lines.push(format!("  Models:   {}", self.models.join(", ")));
        }
        if let Some(backup) = &outcome.backup {
            lines.push(format!(
                "  Backup:   {} (to return to it: {})",
                backup.filename,
                term::command(&["rollback"])
            ));
        }
        if self.runs_here() && (running || lacks.is_empty()) {
            lines.push(format!("  Log:      {}", term::command(&["logs", "-f"])));
        }
        if self.first && disk::exists(&place.file(GUIDE)) {
            lines.push(format!("  Guide:    {}", place.show(&place.file(GUIDE))));
        }
        for conflict in &outcome.conflicts {
            let resolve = term::command(&["resolve", conflict]);
            lines.push(format!(
                "  Conflict: {conflict} stays as you changed it; the new version is {conflict}.gwinstall-new ({resolve})"
            ));
        }
        if !draft.changed_keys.is_empty() && !self.place.staged {
            lines.push(report::OPEN_SESSIONS.to_owned());
        }
        let answer = Answer::new(format!("deployed preset {}", self.preset)).text(lines.join("\n"));
        if outcome.conflicts.is_empty() { answer } else { answer.exit(Kind::Conflict) }
    }
}

/// The models that Claude Code uses after the change.
fn models(choice: &Choice<'_>) -> Vec<String> {
    let Some(direct) = &choice.direct else { return choice.model_names() };
    let mut names = direct.names.clone();
    names.dedup();
    names
}

/// Whether Claude Code uses the gateway now, and if it does not, what is missing and how to go on.
fn usable(place: &Place, record: &Record, lacks: &[Lack], running: bool) -> Vec<String> {
    let steps = |last: &str| {
        let next = lacks.iter().flat_map(Lack::next).flat_map(|next| next.commands(term::invocation()));
        let commands: Vec<String> = next.chain([term::command(&[last])]).collect();
        commands.join(" && ")
    };
    let yellow = |text: &str| term::paint(text, term::Style::Yellow);
    match record.request.pointed {
        // Said at the end, after what the gateway did.
        Pointed::On if running => Vec::new(),
        Pointed::On if lacks.is_empty() && disk::exists(&place.file(files::STOPPED)) => vec![
            yellow("Claude Code will not work until the gateway runs, because you stopped the gateway."),
            format!("  To start it: {}", steps("start")),
        ],
        Pointed::On if lacks.is_empty() => {
            vec![format!("{READY} (the gateway starts with the first prompt)")]
        }
        Pointed::On => vec![
            yellow(&format!(
                "Claude Code will not work until the gateway {}s: {}.",
                lacks::until(lacks),
                lacks::sentence(lacks)
            )),
            format!("  To start it: {}", steps("start")),
            format!("  To use the normal login of Claude Code instead: {}", term::command(&["off"])),
        ],
        Pointed::Armed if lacks.is_empty() => vec![
            yellow("Claude Code keeps its present settings until the gateway runs."),
            format!("  To start it: {}", steps("start")),
        ],
        Pointed::Armed => vec![
            yellow(&format!(
                "Claude Code keeps its present settings until the gateway can {}: {}.",
                lacks::until(lacks),
                lacks::sentence(lacks)
            )),
            format!("  To finish: {}", steps("start")),
        ],
        Pointed::Off | Pointed::Leaving => vec![format!(
            "Claude Code does not use the gateway, because you ran {}. To use it: {}",
            term::command(&["off"]),
            term::command(&["on"])
        )],
    }
}

/// Seconds with one decimal, rounded up: no change takes no time.
fn tenths(milliseconds: u64) -> String {
    let tenths = milliseconds.div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}
