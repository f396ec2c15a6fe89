//! `install` and `update`: deploy a bundle with what was asked for, or what was asked for before.

use crate::bundle::Bundle;
use crate::cli::{Common, InstallArgs, UpdateArgs};
use crate::deploy::checks::{self, Checks};
use crate::deploy::converge;
use crate::deploy::draft::draft;
use crate::deploy::goals::{self, Extent, Prepared, Wish};
use crate::deploy::values::{self, Values};
use crate::deploy::{lost, store};
use crate::domain::Operation;
use crate::domain::check::{CheckName, Status};
use crate::domain::place::files;
use crate::domain::record::BundleOrigin;
use crate::domain::record::Record;
use crate::domain::record::ValueSource;
use crate::domain::request::{self, Request};
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Kind, Place, Result};
use crate::doors::{prompt, term};
use crate::gateway;
use crate::render;

use super::answer::Answer;
use super::change::Change;
use super::install_told::Told;
use super::starting::Starting;
use super::{install_flags, interactive, prerequisites, releases, report};

/// `gwinstall install`.
pub(super) fn run(place: &Place, common: &Common, args: &InstallArgs) -> Result<Answer> {
    let request = install_flags::request_of(place, args)?;
    let change = Change {
        include_secrets: args.include_secrets,
        keep: args.keep.clone(),
        ..Change::new(place, common, &args.confirm, Operation::Install)
    };
    change.recover()?;
    let asked =
        request.flags.is_empty() && !args.confirm.yes && !args.confirm.dry_run && term::is_interactive();
    let request = if asked {
        let bundle = super::bundle(place, &request.source)?;
        interactive::complete(place, &bundle.catalog, store::record_as_found(place)?.as_ref())?
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
        ..Change::new(place, common, &args.confirm, Operation::Update)
    };
    change.recover()?;
    let last = store::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed yet").hint("gwinstall install"))?;
    let request = Request { source: super::source(&args.bundle), ..Request::default() };
    if last.bundle.origin == BundleOrigin::Directory && request.source == request::Source::Newest {
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
    let last = store::record_as_found(place)?;
    let choice = render::choose(&bundle.catalog, request, last.as_ref().map(|last| &last.request))?;
    let values = values::gather(place, &choice, request)?;
    tell_what_was_found(place, last.is_none(), &bundle, &values, options);
    // `update` leaves Claude Code pointed wherever it is; `install` points it here.
    let off = change.operation != Operation::Install && last.as_ref().is_some_and(|last| last.request.off);
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
        env: None,
    })?;
    releases::permit(&prepared.preset, &HttpUrl::parse("the gateway URL", &prepared.gateway_url)?)?;
    let checks = pre_checks(place, &bundle, &prepared, last.as_ref(), options);
    let told = Told::of(&prepared, last.as_ref());
    let mut drafted = draft(place, last.as_ref(), prepared.goal)?;
    let unchanged = drafted.plan.is_empty();
    if unchanged && (change.confirm.dry_run || !(options.start || options.strict)) {
        return Ok(told.unchanged(&drafted, &checks));
    }
    for check in &checks.0 {
        if check.status != Status::Pass || term::manner().verbose {
            term::talk(&report::check_line(check));
        }
    }
    if !change.confirm.dry_run {
        checks.demand(Kind::Failed, "a check before the change failed, and nothing was changed").map_err(
            |error| with_pre(converge::refused(place, change.operation, last.as_ref(), error), &checks),
        )?;
    }
    if unchanged {
        if options.start && told.runs_litellm {
            gateway::run_script(place, gateway::Verb::Start)?;
        }
        return Ok(told.unchanged(&drafted, &checks));
    }
    // From here on memory is for the plan.
    drop((last, bundle));
    let summary = told.intention(place, &drafted);
    if change.confirm.dry_run {
        return Ok(told.dry_run(&summary, &drafted, &checks));
    }
    let starting = (options.start && told.runs_litellm).then(|| Starting::of(place, &drafted));
    let gate = || starting.as_ref().map_or(Ok(()), Starting::go);
    let change = Change { gate: &gate, keep: change.keep.clone(), ..*change };
    let carried = change.carry_out(&mut drafted, &summary).map_err(|error| match &starting {
        Some(starting) => starting.back(error),
        None => error,
    });
    match carried.map_err(|error| with_pre(error, &checks))? {
        Some(outcome) => Ok(told.done(place, &drafted, &outcome, &checks, starting.is_some())),
        None => Err(prompt::stopped()),
    }
}

/// What a person should know before the plan: a lost record, values that were passed over, values that were found.
fn tell_what_was_found(place: &Place, no_record: bool, bundle: &Bundle, values: &Values, options: &Options) {
    if no_record && lost::is_lost(place) {
        term::talk(&format!(
            "note: {} was missing and is written anew",
            place.show(&place.file(files::RECORD))
        ));
    }
    for note in &values.notes {
        term::talk(&format!("note: {note}"));
    }
    if options.show_values {
        let found: Vec<_> =
            values.found.iter().filter(|(_, value)| value.source != ValueSource::Generated).collect();
        interactive::show_found(&found, &|name| bundle.catalog.is_secret(name));
    }
}

/// A failure with what the checks before the change found.
fn with_pre(error: Error, checks: &Checks) -> Error {
    error.fact("pre_checks", checks.json())
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
    checks.run(CheckName::TargetDirectoryWritable, || checks::target_writable(place));
    checks.run(CheckName::DiskSpaceSufficient, || checks::disk_space(place));
    if prepared.runs_litellm && !place.staged {
        let must_be_free = options.start || options.strict;
        checks.run(CheckName::NoLitellmRunning, || {
            checks::no_litellm_running(place, prepared.port, must_be_free)
        });
    }
    if options.start && prepared.runs_litellm && !place.staged {
        prerequisites::before_a_start(&mut checks, place);
    }
    let strict = options.strict || options.start;
    checks.run(CheckName::RequiredEnvVarsPresent, || {
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
