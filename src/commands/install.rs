//! `install` and `update`: deploy a bundle with what was asked for, or what was asked for before.

use serde_json::json;

use crate::bundle::Bundle;
use crate::cli::{Common, InstallArgs, UpdateArgs};
use crate::deploy::checks::{self, Checks, Running};
use crate::deploy::converge::Outcome;
use crate::deploy::draft::{Draft, draft};
use crate::deploy::goals::{self, Extent, Prepared, Wish};
use crate::deploy::{store, values};
use crate::domain::check::Status;
use crate::domain::name::{count, list};
use crate::domain::plan::Action;
use crate::domain::record::Record;
use crate::domain::request::{self, Request};
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Kind, Place, Result, Secret};
use crate::doors::{disk, prompt, term};
use crate::gateway;
use crate::render;

use super::answer::Answer;
use super::change::{self, Change};
use super::{interactive, releases, report};

/// `gwinstall install`.
pub(super) fn run(place: &Place, common: &Common, args: &InstallArgs) -> Result<Answer> {
    let request = request_of(args)?;
    let change = Change {
        include_secrets: args.include_secrets,
        keep: args.keep.clone(),
        ..Change::new(place, common, &args.confirm, "install")
    };
    change.recover()?;
    let asked =
        request.flags.is_empty() && !args.confirm.yes && !args.confirm.dry_run && term::is_interactive();
    let request = if asked {
        let bundle = super::bundle(place, &request.source)?;
        interactive::complete(place, &bundle.catalog, store::record(place)?.as_ref())?
    } else {
        request
    };
    deploy(
        &change,
        &request,
        &Options { force: args.force, start: args.start, strict: args.strict, show_values: asked },
    )
}

/// `gwinstall update`: the recorded request with the newest bundle.
pub(super) fn update(place: &Place, common: &Common, args: &UpdateArgs) -> Result<Answer> {
    let change = Change {
        include_secrets: args.include_secrets,
        keep: args.keep.clone(),
        ..Change::new(place, common, &args.confirm, "update")
    };
    change.recover()?;
    let last = store::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed yet").hint("gwinstall install"))?;
    let request = Request { source: super::source(&args.bundle), ..Request::default() };
    if last.bundle.origin == "directory" && request.source == request::Source::Newest {
        let dir = last.bundle.path.as_deref().unwrap_or("DIR");
        return Err(Error::usage(
            "the deployed files came from a directory, so update must be told where from",
        )
        .hint(format!("gwinstall update --source-dir {dir}, or --embedded for the files inside gwinstall")));
    }
    deploy(&change, &request, &Options { force: args.force, start: false, strict: false, show_values: false })
}

pub(super) struct Options {
    pub force: bool,
    pub start: bool,
    pub strict: bool,
    /// Name the values that were found, for somebody who was asked.
    pub show_values: bool,
}

/// The request of `models add` and `models remove` is an install with another list.
pub(super) fn deploy(change: &Change<'_>, request: &Request, options: &Options) -> Result<Answer> {
    change.recover()?;
    let place = change.place;
    let bundle = super::bundle(place, &request.source)?;
    let last = store::record(place)?;
    let choice = render::choose(&bundle.catalog, request, last.as_ref().map(|last| &last.request))?;
    let values = values::gather(place, &choice, request)?;
    for note in &values.notes {
        term::talk(&format!("note: {note}"));
    }
    if options.show_values {
        let found: Vec<_> = values.found.iter().filter(|(_, value)| value.source != "generated").collect();
        interactive::show_found(&found, &|name| bundle.catalog.is_secret(name));
    }
    // `update` leaves Claude Code pointed wherever it is; `install` points it here.
    let off = change.operation != "install" && last.as_ref().is_some_and(|last| last.request.off);
    let prepared = goals::from_request(&Wish {
        place,
        bundle: &bundle,
        request,
        last: last.as_ref(),
        values: &values,
        extent: Extent::All,
        force: options.force,
        operation: change.operation,
        off,
        env_text: None,
    })?;
    releases::permit(&prepared.preset, &HttpUrl::parse("the gateway URL", &prepared.gateway_url)?)?;
    let checks = pre_checks(place, &bundle, &prepared, last.as_ref(), options);
    let facts = Facts::of(&prepared, last.as_ref());
    let mut drafted = draft(place, last.as_ref(), prepared.goal)?;
    if drafted.plan.is_empty() {
        return Ok(facts.unchanged(&drafted, &checks));
    }
    for check in &checks.0 {
        if check.status != Status::Pass || term::manner().verbose {
            term::talk(&report::check_line(check));
        }
    }
    if !change.confirm.dry_run {
        checks.demand(Kind::Failed, "a check before the change failed, and nothing was changed")?;
    }
    let summary = facts.intention(place, &drafted);
    if change.confirm.dry_run {
        return Ok(facts.dry_run(&summary, &drafted, &checks));
    }
    let gate = || if options.start { gateway::start_in_transaction(place) } else { Ok(()) };
    let change = Change { gate: &gate, keep: change.keep.clone(), ..*change };
    match change.carry_out(&mut drafted, &summary)? {
        Some(outcome) => Ok(facts.done(place, &drafted, &outcome, &checks)),
        None => Err(prompt::stopped()),
    }
}

/// Parses every flag; nothing is read or written before all of them are right.
fn request_of(args: &InstallArgs) -> Result<Request> {
    let proxy_auth = args.proxy_auth.as_deref().map(Secret::new);
    let mut flags = Vec::new();
    for (given, name) in [
        (args.preset.is_some(), "--preset"),
        (args.models.is_some(), "--models"),
        (args.gateway_type.is_some(), "--gateway-type"),
        (args.gateway_url.is_some(), "--gateway-url"),
        (args.auth_token.is_some() || args.auth_token_file.is_some(), "--auth-token"),
        (args.proxy_url.is_some(), "--proxy-url"),
        (args.proxy_auth.is_some(), "--proxy-auth"),
        (args.bundle.source_dir.is_some(), "--source-dir"),
        (args.bundle.bundle.is_some(), "--bundle"),
        (args.force, "--force"),
        (args.start, "--start"),
        (args.strict, "--strict"),
        (args.include_secrets, "--include-secrets"),
    ] {
        if given {
            flags.push(name.to_owned());
        }
    }
    for (given, flag, better) in [
        (args.auth_token.is_some(), "--auth-token", "--auth-token-file"),
        (args.proxy_auth.is_some(), "--proxy-auth", "HTTPS_PROXY in the environment"),
    ] {
        if given {
            term::talk(&format!(
                "warning: {flag} is visible to every process of this machine; {better} is not"
            ));
        }
    }
    Ok(Request {
        preset: args.preset.clone(),
        models: args.models.as_deref().map(request::models).transpose()?,
        gateway_type: args.gateway_type.as_deref().map(request::gateway_type).transpose()?,
        gateway_url: args
            .gateway_url
            .as_deref()
            .map(|url| HttpUrl::parse("--gateway-url", url))
            .transpose()?,
        auth_token: auth_token(args)?,
        proxy: args.proxy_url.as_deref().map(|url| request::proxy(url, proxy_auth.as_ref())).transpose()?,
        source: super::source(&args.bundle),
        flags,
    })
}

fn auth_token(args: &InstallArgs) -> Result<Option<Secret>> {
    if let Some(token) = &args.auth_token {
        return request::token("--auth-token", token).map(Some);
    }
    let Some(path) = &args.auth_token_file else { return Ok(None) };
    if path.as_os_str() == "-" {
        let typed = prompt::read_secret("Token of the gateway")?;
        return request::token("--auth-token-file -", typed.expose()).map(Some);
    }
    let bytes = disk::read(&disk::real_file(path)?, 1 << 16).map_err(|error| error.of_kind(Kind::Usage))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("--auth-token-file: {} is not text", path.display())))?;
    request::token("--auth-token-file", &text).map(Some)
}

fn pre_checks(
    place: &Place,
    bundle: &Bundle,
    prepared: &Prepared,
    last: Option<&Record>,
    options: &Options,
) -> Checks {
    let mut checks = Checks::default();
    checks::source(&mut checks, bundle);
    checks.run("target_directory_writable", || checks::target_writable(place));
    checks.run("disk_space_sufficient", || checks::disk_space(place));
    if prepared.runs_litellm && !place.staged {
        let must_be_free = options.start || options.strict;
        checks.run("no_litellm_running", || checks::no_litellm_running(place, prepared.port, must_be_free));
    }
    let strict = options.strict || options.start;
    checks.run("required_env_vars_present", || {
        let finding = checks::required_env_vars(&prepared.missing, strict);
        // Only what is deployed has an .env to write to.
        let Some(first) = prepared.missing.first().filter(|_| last.is_none()) else { return finding };
        let hint = if strict {
            format!("export {first}=…, or write it to ~/.claude/.env; then run this again")
        } else {
            format!("once it is deployed: gwinstall env set {first}")
        };
        finding.hint(hint)
    });
    checks
}

/// What the texts of an install are made of.
struct Facts {
    preset: String,
    models: Vec<String>,
    gateway_url: String,
    port: u16,
    runs_litellm: bool,
    missing: Vec<String>,
    kept_variables: Vec<String>,
    removed_variables: Vec<String>,
    foreign_helper: bool,
    retired: Vec<(String, Option<String>)>,
    fresh: bool,
}

impl Facts {
    fn of(prepared: &Prepared, last: Option<&Record>) -> Self {
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
    fn intention(&self, place: &Place, draft: &Draft) -> String {
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
        text.push_str(&report::plan(draft, term::manner().verbose));
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
                "note: {} no longer needed and taken out of .env",
                list(&self.removed_variables)
            ));
        }
        if !self.kept_variables.is_empty() {
            notes.push(format!(
                "note: .env keeps {}, which this preset does not use; they are yours",
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
        data["pre_checks"] = json!(checks.0);
        data
    }

    fn unchanged(&self, draft: &Draft, checks: &Checks) -> Answer {
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

    fn dry_run(&self, summary: &str, draft: &Draft, checks: &Checks) -> Answer {
        let text = format!("{summary}\nThis was a dry run (plan {}): nothing was changed.", draft.id);
        Answer::new("dry run: nothing was changed").text(text).data(self.data(draft, None, checks))
    }

    fn done(&self, place: &Place, draft: &Draft, outcome: &Outcome, checks: &Checks) -> Answer {
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
            lines.push("  Start it:              gwinstall start".to_owned());
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
        if running {
            lines.push("The gateway still runs with its old configuration: gwinstall reload".to_owned());
        }
        lines.push(
            "Sessions of Claude Code that are open keep their old settings until they are restarted."
                .to_owned(),
        );
        let answer = Answer::new(format!("deployed preset {}", self.preset))
            .text(lines.join("\n"))
            .data(self.data(draft, Some(outcome), checks));
        if outcome.conflicts.is_empty() { answer } else { answer.exit(Kind::Conflict) }
    }
}
