//! `install` and `update`: deploy a bundle with what the user asks for, or asked for before.

use crate::cli::{Common, ConfirmArgs, InstallArgs, UpdateArgs};
use crate::deploy::lacks;
use crate::domain::record::BundleOrigin;
use crate::domain::request::{Request, Source};
use crate::domain::{Error, Hint, Operation, Place, Result};
use crate::doors::term;
use crate::ui::answer::Answer;

use super::change::Change;
use super::deployment::deploy;
use super::runtime::{self, Coming, Wanted};
use super::supply::{self, Supplied};
use super::{install_flags, interactive, renewal, sources};

/// `gwinstall install`.
pub(super) fn run(place: &Place, common: &Common, args: &InstallArgs) -> Result<Answer> {
    let mut request = install_flags::request_of(place, args)?;
    let change = Change::open(place, common, &args.confirm, Operation::Install)?
        .backing_up(&args.keep, args.include_secrets)
        .without_takeover(args.takeover.no_reload);
    let preset = request.preset.as_deref().or(change.preset());
    let named = request.models.as_deref().unwrap_or_default();
    let bundle = sources::bundle_for(place, &request.source, preset, change.context.record.as_ref(), named)?;
    sources::name_unusable(&bundle);
    if let Some(file) = &args.runtime_from {
        request.runtime = runtime::bring(place, common, &args.confirm, &bundle, file)?;
    }
    // `--on` chooses nothing to deploy.
    let chose = request.flags.iter().any(|flag| flag != "--on");
    let asks = !args.confirm.yes && !change.is_dry() && term::is_interactive();
    let last = change.context.record.as_ref();
    if asks && chose {
        interactive::complete_flags(&bundle.catalog, last, &mut request)?;
    } else if asks {
        interactive::title(&change.context);
        request = Request { on: request.on, ..interactive::complete(place, &bundle.catalog, last)? };
    }
    let source = request.source.clone();
    let wanted = Wanted::of(None, &source, args.offline);
    let Supplied { mut request, litellm } =
        supply::complete(&change, common, &bundle, request, &wanted, asks)?;
    let mut change = bringing(change, common, litellm);
    renewal::renew(&mut change, common, &bundle, &mut request, &wanted, args.runtime.keep_runtime, asks)?;
    deploy(change, bundle, &request)
}

/// The change that first brings the LiteLLM that is missing.
fn bringing<'a>(mut change: Change<'a>, common: &'a Common, litellm: Option<Coming>) -> Change<'a> {
    let place = change.place();
    if let Some(litellm) = litellm {
        change.intention = litellm.intention(place, common);
        change.first = Some(Box::new(move || litellm.build(place, common)));
    }
    change
}

/// `start` of a deployment that Claude Code does not use yet: brings what is missing and starts it. `None`: nothing is
/// missing.
pub(super) fn finish(place: &Place, common: &Common) -> Result<Option<Answer>> {
    // The user asked for the start, and answers a question for each thing that is missing.
    let confirm = ConfirmArgs { yes: true, dry_run: false };
    let change = Change::open(place, common, &confirm, Operation::Install)?;
    let source = sources::of_record(change.context.record.as_ref());
    let bundle = sources::bundle_for(place, &source, change.preset(), change.context.record.as_ref(), &[])?;
    let request = Request { source, start: true, ..Request::default() };
    let lacks = supply::lacking(&change, &bundle, &request)?;
    if !lacks.iter().any(lacks::Lack::blocks_a_start) {
        return Ok(None);
    }
    if !term::is_interactive() {
        return Err(supply::refusal(&lacks));
    }
    let Supplied { mut request, litellm } =
        supply::complete(&change, common, &bundle, request, &Wanted::default(), true)?;
    let left = supply::lacking(&change, &bundle, &request)?;
    let (blocked, complete) = (left.iter().any(lacks::Lack::blocks_a_start), left.is_empty());
    if litellm.is_some() || !request.answers.is_empty() {
        request.start = complete;
        let answer = deploy(bringing(change, common, litellm), bundle, &request)?;
        if complete {
            return Ok(Some(answer));
        }
    }
    if blocked { Err(supply::refusal(&left)) } else { Ok(None) }
}

/// `gwinstall update`: the recorded request with the newest bundle.
pub(super) fn update(place: &Place, common: &Common, args: &UpdateArgs) -> Result<Answer> {
    let mut change = Change::open(place, common, &args.confirm, Operation::Update)?
        .backing_up(&args.keep, args.include_secrets)
        .without_takeover(args.takeover.no_reload);
    let deployed = &change.context.deployed()?.bundle;
    let source = sources::named(&args.bundle);
    if deployed.origin == BundleOrigin::Directory && source == Source::Newest {
        let dir = deployed.path.as_deref().unwrap_or("DIR");
        return Err(Error::usage(
            "the deployed files came from a directory, so update needs to know where the new ones are",
        )
        .hint(
            Hint::again(&["--source-dir", dir])
                .or(Hint::again(&["--embedded"]).to("take the files inside gwinstall")),
        ));
    }
    let bundle = sources::bundle_for(place, &source, change.preset(), change.context.record.as_ref(), &[])?;
    let (keep, max_age) = (args.keep.keep, args.keep.max_age);
    let mut request =
        Request { source: source.clone(), force: args.force, keep, max_age, ..Request::default() };
    let wanted = Wanted::of(args.runtime_from.as_deref(), &source, args.offline);
    let asks = !args.confirm.yes && !change.is_dry() && term::is_interactive();
    renewal::renew(&mut change, common, &bundle, &mut request, &wanted, args.runtime.keep_runtime, asks)?;
    deploy(change, bundle, &request)
}
