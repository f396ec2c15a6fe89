//! The frame of every command that changes a deployment: recover, load, draft, show, ask, apply, report.
//!
//! Promise: a verb supplies a goal and its texts, and all verbs share the rest: a dry run writes nothing, nothing is
//! written without consent, and an error says whether the change was undone.

use serde_json::{Map, Value, json};

use crate::cli::{Common, ConfirmArgs, KeepArgs};
use crate::deploy::backup::KEEP;
use crate::deploy::checks;
use crate::deploy::context::Context;
use crate::deploy::converge::{self, Failed, Gateway, Outcome};
use crate::deploy::draft::{self, Draft};
use crate::deploy::goals::Goal;
use crate::deploy::recover::{self, Interrupted};
use crate::deploy::strangers;
use crate::domain::{Error, Hint, Kind, Operation, Place, Result};
use crate::doors::{prompt, signals, term};
use crate::gateway::ending::Ending;
use crate::gateway::{self, Verb, process, trial};
use crate::inspect::state;
use crate::release::policy::Policy;
use crate::release::session;

use crate::gateway::takeover::Takeover;
use crate::ui::answer::Answer;
use crate::ui::report;

use super::leaving;

/// One change that a command makes.
pub(super) struct Change<'a> {
    pub context: Context<'a>,
    pub operation: Operation,
    /// The rules of this machine, read once.
    pub rules: Policy,
    common: &'a Common,
    confirm: &'a ConfirmArgs,
    keep: KeepArgs,
    include_secrets: bool,
    /// Whether no backup can undo it: then an empty answer means no.
    irreversible: bool,
    /// Whether the gateway is to run at the end, also where it does not run now.
    pub start: bool,
    /// What the change needs, and is brought once the user has agreed.
    pub first: Option<Box<dyn FnOnce() -> Result<()> + 'a>>,
    /// What `first` brings, for the plan.
    pub intention: String,
    /// Whether a running gateway takes the change over, which is part of the change.
    takes_over: bool,
    /// Fields of the JSON besides the plan and the outcome.
    pub facts: Map<String, Value>,
}

impl<'a> Change<'a> {
    /// Finishes or undoes what an interrupted run left, then reads what is deployed.
    pub(super) fn open(
        place: &'a Place,
        common: &'a Common,
        confirm: &'a ConfirmArgs,
        operation: Operation,
    ) -> Result<Self> {
        if confirm.dry_run {
            not_interrupted(place)?;
        } else {
            recover_first(place, operation, common.lock_wait)?;
        }
        let mut context = Context::load(place)?;
        // The others decide about the settings themselves.
        let settles = matches!(
            operation,
            Operation::Install
                | Operation::On
                | Operation::Off
                | Operation::Use
                | Operation::Uninstall
                | Operation::Rollback
        );
        if !confirm.dry_run && !settles && leaving::finish(&context, common.lock_wait)? {
            context = Context::load(place)?;
        }
        Ok(Self {
            context,
            operation,
            rules: session::policy()?,
            common,
            confirm,
            keep: KeepArgs { keep: None, max_age: None },
            include_secrets: false,
            irreversible: false,
            start: false,
            first: None,
            intention: String::new(),
            takes_over: true,
            facts: Map::new(),
        })
    }

    /// Sets which old backups stay, and whether the new one keeps secret values.
    #[must_use]
    pub(super) fn backing_up(self, keep: &KeepArgs, include_secrets: bool) -> Self {
        Self { keep: keep.clone(), include_secrets, ..self }
    }

    /// Leaves a running gateway with its old configuration.
    #[must_use]
    pub(super) fn without_takeover(self, no_reload: bool) -> Self {
        Self { takes_over: !no_reload, ..self }
    }

    #[must_use]
    pub(super) fn irreversible(self, irreversible: bool) -> Self {
        Self { irreversible, ..self }
    }

    pub(super) fn place(&self) -> &'a Place {
        self.context.place
    }

    /// The deployed preset.
    pub(super) fn preset(&self) -> Option<&str> {
        self.context.record.as_ref().map(|record| record.preset.as_str())
    }

    pub(super) fn is_dry(&self) -> bool {
        self.confirm.dry_run
    }

    pub(super) fn draft(&self, goal: Goal) -> Result<Draft> {
        draft::draft(&self.context, goal, &self.rules)
    }

    /// The answer if the deployment is already in the desired state.
    pub(super) fn nothing_to_do(&self, draft: &Draft, text: impl Into<String>) -> Answer {
        Answer::new("nothing to do").text(text).data(self.data(draft, None))
    }

    /// Without a terminal a change needs `--yes`. A command that asks for a secret calls this before it asks.
    pub(super) fn require_consent(&self) -> Result<()> {
        if self.is_dry() || self.confirm.yes || term::is_interactive() {
            return Ok(());
        }
        Err(without_a_terminal().hint(yes().or(Hint::again(&["--dry-run"]).to("see what would change"))))
    }

    /// Shows `summary`, asks, applies the draft and answers with what `done` makes of the outcome.
    pub(super) fn carry_out(
        mut self,
        mut draft: Draft,
        summary: &str,
        done: impl FnOnce(&Draft, &Outcome) -> Result<Answer>,
    ) -> Result<Answer> {
        // The way out stays open.
        if !matches!(self.operation, Operation::Off | Operation::Uninstall) {
            converge::refuse_foreign_home(self.place())?;
            strangers::require_none(self.place())?;
        }
        if self.is_dry() {
            return Ok(self.dry_run(&draft, summary));
        }
        // A person has nothing to decide where only the record follows an edit.
        let brings_files = matches!(self.operation, Operation::Install | Operation::Update);
        if !(brings_files && draft.changes_only_the_record()) {
            self.ask(summary)?;
        }
        if let Some(bring) = self.first.take() {
            bring()?;
        }
        if self.takes_over && trial::is_due(self.place(), self.context.record.as_ref(), &draft) {
            self.try_out(&draft)?;
        }
        let mut left =
            leaving::lead_away(&self.context, self.operation, &draft, (&self.rules, self.common.lock_wait))?;
        if !left.staying.is_empty() {
            return leaving::stays(self.place(), self.operation, &left);
        }
        let held = left.held.take();
        if held.is_some() {
            self.context = Context::load(self.place())?;
            draft = draft.again(&self.context, &self.rules)?;
        }
        let takeover =
            Takeover::of(self.place(), &draft, self.start).filter(|_| self.takes_over || self.start);
        let ending = Ending::of(self.place(), &draft);
        let led_away = held.is_some();
        let outcome = self.apply(&mut draft, held, takeover.as_ref(), ending.as_ref()).map_err(|failed| {
            let error = self.failure(*failed, takeover.as_ref(), ending.as_ref());
            if led_away { error.because(leaving::ON_ITS_WAY) } else { error }
        })?;
        for check in &outcome.checks {
            report::log_check(check);
        }
        tell_times(&outcome);
        let answer = done(&draft, &outcome)?;
        let mut data = merged(self.data(&draft, Some(&outcome)), answer.data.clone());
        data["gateway"] = json!(takeover.as_ref().map(|takeover| takeover.verb.word()));
        let text = match takeover {
            Some(takeover) => takeover.done().to_owned(),
            None => self.still_to_take_over(&draft),
        };
        let data = merged(data, json!({ "sessions": leaving::as_json(&left) }));
        Ok(answer.line(&text).line(leaving::words(self.place(), &left).trim_start()).data(data))
    }

    /// Has the new gateway serve beside the running one; nothing is changed if it does not.
    fn try_out(&self, draft: &Draft) -> Result<()> {
        let held = converge::lock(self.place(), self.operation, self.common.lock_wait)?;
        let tried = trial::run(self.place(), draft);
        drop(held);
        tried.map_err(|error| self.refused(error))
    }

    /// The command with which a running gateway takes over what it was left without.
    fn still_to_take_over(&self, draft: &Draft) -> String {
        let had_one = self.context.record.is_some() && draft.record.is_some() && !self.place().staged;
        match gateway::takes_over(&draft.plan).filter(|_| had_one && process::pid(self.place()).is_some()) {
            Some(verb) => format!(
                "The running gateway still has its old configuration: {}",
                term::command(&[verb.word()])
            ),
            None => String::new(),
        }
    }

    fn dry_run(&self, draft: &Draft, summary: &str) -> Answer {
        let text = format!("{summary}\nThis was a dry run (plan {}): nothing was changed.", draft.id);
        Answer::new("dry run: nothing was changed").text(text).data(self.data(draft, None))
    }

    fn ask(&self, summary: &str) -> Result<()> {
        let asks = !self.confirm.yes && term::is_interactive();
        match summary {
            "" => {}
            // The user cannot agree to a plan that `--quiet` hides.
            shown if asks => term::error(shown),
            shown => term::talk(shown),
        }
        self.require_consent()?;
        consent(self.confirm.yes, "Go ahead?", !self.irreversible)
    }

    fn apply(
        &self,
        draft: &mut Draft,
        held: Option<converge::Held>,
        takeover: Option<&Takeover<'_>>,
        ending: Option<&Ending<'_>>,
    ) -> std::result::Result<Outcome, Box<Failed>> {
        match (takeover, ending) {
            (Some(takeover), _) => {
                self.converge(Some(Gateway::TakesOver(&|| takeover.pass()))).apply(draft, held)
            }
            (None, Some(ending)) => self.converge(Some(Gateway::Ends(&|| ending.pass()))).apply(draft, held),
            (None, None) => self.converge(None).apply(draft, held),
        }
    }

    fn converge<'b>(&'b self, gateway: Option<Gateway<'b>>) -> converge::Change<'b> {
        converge::Change {
            place: self.place(),
            record: self.context.record.as_ref(),
            operation: self.operation,
            lock_wait: self.common.lock_wait,
            include_secrets: self.include_secrets,
            keep: self.keep.keep.or(self.recorded_keep()).unwrap_or(KEEP),
            max_age_days: self.keep.max_age.or(self.recorded_max_age()),
            gateway,
        }
    }

    /// How many backups stay, as an earlier command said.
    fn recorded_keep(&self) -> Option<usize> {
        self.context.record.as_ref()?.request.keep
    }

    /// After how many days a backup goes, as an earlier command said.
    fn recorded_max_age(&self) -> Option<u32> {
        self.context.record.as_ref()?.request.max_age
    }

    /// A check refused the change before it began.
    pub(super) fn refused(&self, error: Error) -> Error {
        let failed = self.converge(None).refuse(self.context.record.as_ref(), error);
        self.failure(failed, None, None)
    }

    /// The error of a change that was refused or undone: a gateway that ran before runs again, and a program reads the
    /// outcome.
    fn failure(&self, failed: Failed, takeover: Option<&Takeover<'_>>, ending: Option<&Ending<'_>>) -> Error {
        let Failed { error, outcome } = failed;
        tell_times(&outcome);
        // A change that was refused before it touched a file leaves the gateway alone.
        let takeover = takeover.filter(|_| outcome.undo.is_some());
        let error = match (takeover, ending) {
            (Some(takeover), _) => takeover.back(error),
            (None, Some(ending)) => ending.back(error),
            (None, None) => error,
        };
        let error = error
            .fact("states", json!(outcome.states))
            .fact("outcome", json!(outcome.undo))
            .fact("checks", checks::json(&outcome.checks))
            .fact("duration_ms", json!(outcome.duration_ms))
            .fact("times", json!(outcome.times));
        match self.facts.get("pre_checks") {
            Some(checks) => error.fact("pre_checks", checks.clone()),
            None => error,
        }
    }

    /// The machine-readable form of a draft and its outcome.
    fn data(&self, draft: &Draft, outcome: Option<&Outcome>) -> Value {
        merged(data(draft, outcome), Value::Object(self.facts.clone()))
    }
}

/// Asks whether gwinstall may make a change, unless the user said `--yes`; `default` is what an empty answer means.
pub(super) fn consent(said_yes: bool, question: &str, default: bool) -> Result<()> {
    if !said_yes && !term::is_interactive() {
        return Err(without_a_terminal().hint(yes()));
    }
    if said_yes || prompt::confirm(question, default)? {
        return Ok(());
    }
    signals::check()?;
    Err(prompt::stopped())
}

fn without_a_terminal() -> Error {
    Error::usage("this changes files, and there is no terminal to ask on")
}

fn yes() -> Hint {
    Hint::again(&["--yes"])
}

/// The fields of `more` added to those of `data`.
fn merged(mut data: Value, more: Value) -> Value {
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    data
}

fn tell_times(outcome: &Outcome) {
    if let Some(line) = report::times(&outcome.times) {
        term::detail(&line);
    }
}

/// Refuses to plan over half-exchanged files: commands that only look report the interrupted run instead.
pub(super) fn not_interrupted(place: &Place) -> Result<()> {
    match recover::look(place)? {
        Some(found @ (Interrupted::InFlight(_) | Interrupted::Unreadable)) => {
            Err(Error::new(Kind::Pending, state::interruption(&found))
                .because("gwinstall cannot tell what would change before that is undone")
                .hint(state::repair()))
        }
        Some(found @ Interrupted::Running(_)) => Err(Error::new(Kind::Busy, state::interruption(&found))
            .hint(Hint::again(&["--lock-wait", "30"]).to("wait for it"))),
        Some(Interrupted::TemporaryFiles) | None => Ok(()),
    }
}

/// Recovers and reports it; a leftover stops the command with exit 7.
pub(super) fn recover_first(place: &Place, operation: Operation, wait: u64) -> Result<()> {
    if trial::is_left(place) {
        let held = converge::lock(place, operation, wait)?;
        trial::end(place)?;
        drop(held);
        term::detail("The trial of an earlier, interrupted run was stopped and removed.");
    }
    let Some(recovered) = converge::recover_first(place, operation, wait)? else {
        return session::recover(place, wait);
    };
    match &recovered.undone {
        Some(undone) => {
            term::talk(&format!("gwinstall {undone} was interrupted earlier; its changes were undone."))
        }
        None => term::detail("What an earlier, interrupted run left was removed."),
    }
    // The gateway may have taken over what was just undone.
    let verb = match (recovered.start_changed, recovered.config_changed) {
        (true, _) => Some(Verb::Restart),
        (false, true) => Some(Verb::Reload),
        (false, false) => None,
    };
    if let Some(verb) = verb.filter(|_| process::pid(place).is_some()) {
        let _ = gateway::run_script(place, verb);
    }
    if recovered.leftovers.is_empty() {
        return session::recover(place, wait);
    }
    let error = Error::new(Kind::Leftovers, "an earlier run was undone, and some files are left for you");
    let error = recovered.leftovers.iter().fold(error, |error, leftover| error.because(leftover));
    Err(error.hint(Hint::again::<&str>(&[]).to("go on once you have decided about them")))
}

/// The machine-readable form of a draft and its outcome.
pub(super) fn data(draft: &Draft, outcome: Option<&Outcome>) -> Value {
    // As values they take ten times their text, so only where a program reads them.
    let read = draft.plan.steps.iter().filter(|_| term::manner().json);
    let steps: Vec<Value> = read.map(report::step_json).collect();
    let (changed, kept) = (draft::paths(&draft.changed_keys), draft::paths(&draft.kept_keys));
    let mut data = json!({
        "plan_id": draft.id,
        "steps": steps,
        "settings_keys": { "changed": changed, "kept": kept },
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
