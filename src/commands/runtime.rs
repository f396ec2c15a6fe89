//! `runtime`: installs, lists, removes and exports the LiteLLM that the gateway runs.
//!
//! A runtime belongs to the user and not to one deployment, so it is built first, and the deployment records it afterwards in a
//! transaction of its own. Never: removes a runtime that a deployment, a backup or a process names.

use std::path::Path;

use serde_json::json;

use crate::bundle::Bundle;
use crate::cli::{
    Common, ConfirmArgs, RuntimeCommand, RuntimeExportArgs, RuntimeInstallArgs, RuntimeRemoveArgs,
};
use crate::deploy::lost;
use crate::domain::name::{count, list, printable};
use crate::domain::request::{self, Request};
use crate::domain::runtime::{Brought, RuntimeRequest};
use crate::domain::{Error, Hint, Kind, Operation, Place, Result};
use crate::doors::disk::{self, At as _};
use crate::doors::{system, term};
use crate::gateway::process;
use crate::runtime::archive::{self, Packed};
use crate::runtime::build::{Built, Order};
use crate::runtime::builder::Source;
use crate::runtime::facts::Facts;
use crate::runtime::place::{self as runtimes, Managed};
use crate::runtime::python::{self, Python};
use crate::runtime::{mirror, staging};
use crate::ui::answer::Answer;
use crate::ui::table;

use super::change::{self, Change};
use super::runtime_users::{Users, users};
use super::{deployment, sources};

pub(super) fn run(place: &Place, common: &Common, command: &RuntimeCommand) -> Result<Answer> {
    match command {
        RuntimeCommand::Install(args) => install(place, common, args),
        RuntimeCommand::List => all(place),
        RuntimeCommand::Remove(args) => remove(place, common, args),
        RuntimeCommand::Export(args) => export(place, args),
    }
}

/// What a runtime is built from.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    pub from: Option<&'a Path>,
    pub offline: bool,
    pub python: Option<&'a Path>,
}

impl<'a> Wanted<'a> {
    /// For an installation: from the file that the user named, or from the release file if that carries LiteLLM.
    pub(super) fn of(from: Option<&'a Path>, source: &'a request::Source, offline: bool) -> Self {
        let carried = || match source {
            request::Source::File(file) if carries_litellm(file) => Some(file.as_path()),
            _ => None,
        };
        Self { from: from.or_else(carried), offline, python: None }
    }
}

/// Whether a file of a release carries LiteLLM, for whatever machine.
pub(super) fn carries_litellm(file: &Path) -> bool {
    let found = system::current_dir().and_then(|dir| archive::runtimes_in(&dir.join(file)));
    found.is_ok_and(|found| !found.is_empty())
}

fn install(place: &Place, common: &Common, args: &RuntimeInstallArgs) -> Result<Answer> {
    let record = lost::record(place)?;
    let source = sources::of_record(record.as_ref());
    let facts = Facts::of(&sources::bundle(place, &source)?)?;
    let wanted = Wanted { from: args.from.as_deref(), offline: args.offline, python: args.python.as_deref() };
    let found = find(place, &facts, &wanted)?;
    let order = order(place, &facts, &found, common);
    let uses = record.as_ref().is_some_and(|record| record.runs_litellm());
    let recorded =
        record.as_ref().and_then(|record| record.runtime.as_ref()).map(|runtime| runtime.path(&place.home));
    if order.is_built() && (!uses || recorded.as_deref() == Some(&order.path())) {
        if !args.confirm.dry_run {
            staging::tidy(&runtimes::root(place))?;
        }
        let text =
            format!("Nothing to do: LiteLLM {} is in {}.", facts.data.litellm, place.show(&order.path()));
        return Ok(Answer::new("nothing to do").text(text).data(facts_of(place, &order, None)));
    }
    if args.confirm.dry_run {
        let text = format!("{}\nThis was a dry run: nothing was changed.", intention(&order));
        return Ok(Answer::new("dry run: nothing was changed")
            .text(text)
            .data(facts_of(place, &order, None)));
    }
    let built = agreed(&order, &args.confirm)?;
    let data = facts_of(place, &order, Some(&built));
    let text = told(place, &order, &built);
    if !uses {
        return Ok(Answer::new(format!("LiteLLM {} is installed", facts.data.litellm)).text(text).data(data));
    }
    let recorded = record_it(place, common, brought(&order), source)?;
    let next = if recorded.exit == Kind::Conflict.exit_code() {
        recorded.text.clone()
    } else if process::pid(place).is_some() && !place.staged {
        format!(
            "The gateway still runs with the LiteLLM that it was started with: {}",
            term::command(&["restart"])
        )
    } else if place.staged {
        "The image's gateway starts with it.".to_owned()
    } else {
        format!("The gateway starts with it: {}", term::command(&["start"]))
    };
    let mut answer =
        Answer::new(format!("LiteLLM {} is installed", facts.data.litellm)).text(format!("{text}\n{next}"));
    answer.exit = recorded.exit;
    Ok(answer.data(data))
}

/// Builds the runtime before an installation uses it; the request then names it.
pub(super) fn bring(
    place: &Place,
    common: &Common,
    confirm: &ConfirmArgs,
    bundle: &Bundle,
    from: &Path,
) -> Result<RuntimeRequest> {
    let facts = Facts::of(bundle)?;
    let wanted = Wanted { from: Some(from), offline: true, python: None };
    let found = find(place, &facts, &wanted)?;
    let order = order(place, &facts, &found, common);
    if !order.is_built() {
        if confirm.dry_run {
            term::talk(&intention(&order));
            return Ok(RuntimeRequest::default());
        }
        let built = agreed(&order, confirm)?;
        term::talk(&told(place, &order, &built));
    } else if !confirm.dry_run {
        staging::tidy(&runtimes::root(place))?;
    }
    Ok(RuntimeRequest { managed: Some(brought(&order)), ..RuntimeRequest::default() })
}

/// LiteLLM for an installation that lacks it: found, and built once the user has agreed to the installation.
pub(super) struct Coming {
    facts: Facts,
    found: Found,
}

impl Coming {
    /// A file that does not fit this machine leaves the network, unless the user forbids that.
    pub(super) fn find(place: &Place, bundle: &Bundle, wanted: &Wanted<'_>) -> Result<Self> {
        let facts = Facts::of(bundle)?;
        let found = find(place, &facts, wanted).or_else(|error| {
            if wanted.offline || wanted.from.is_none() {
                Err(error)
            } else {
                find(place, &facts, &Wanted::default())
            }
        })?;
        Ok(Self { facts, found })
    }

    fn order<'a>(&'a self, place: &'a Place, common: &Common) -> Order<'a> {
        order(place, &self.facts, &self.found, common)
    }

    pub(super) fn brought(&self, place: &Place, common: &Common) -> Brought {
        brought(&self.order(place, common))
    }

    pub(super) fn litellm(&self) -> &str {
        &self.facts.data.litellm
    }

    pub(super) fn is_built(&self, place: &Place, common: &Common) -> bool {
        self.order(place, common).is_built()
    }

    /// What it takes, for a question.
    pub(super) fn takes(&self, place: &Place, common: &Common) -> String {
        takes(&self.order(place, common))
    }

    /// What it takes, for a plan.
    pub(super) fn intention(&self, place: &Place, common: &Common) -> String {
        if self.is_built(place, common) {
            return format!("  Start LiteLLM {} from now on, which is installed.", self.litellm());
        }
        format!("  Install LiteLLM {} first: {}.", self.litellm(), self.takes(place, common))
    }

    pub(super) fn build(&self, place: &Place, common: &Common) -> Result<()> {
        let order = self.order(place, common);
        let built = order.build()?;
        term::talk(&told(place, &order, &built));
        Ok(())
    }
}

fn brought(order: &Order<'_>) -> Brought {
    Brought { path: order.path(), version: order.facts.data.litellm.clone() }
}

/// The Python and the source that fit together.
struct Found {
    python: Python,
    source: Source,
}

fn find(place: &Place, facts: &Facts, wanted: &Wanted<'_>) -> Result<Found> {
    let Some(file) = wanted.from else {
        let source = if wanted.offline { Source::Offline } else { Source::Index };
        let python = python::find(facts, wanted.python, None).or_else(|error| {
            let mirrored = || mirror::offered(place, facts).filter(|_| wanted.python.is_none());
            if wanted.offline { Err(error) } else { mirrored().ok_or_else(|| with_mirror(error)) }
        })?;
        return Ok(Found { python, source });
    };
    let file = system::current_dir()?.join(file);
    let mut refused = None;
    for packed in archive::runtimes_in(&file)? {
        match python_for(facts, &packed, wanted.python) {
            Ok(python) => return Ok(Found { python, source: Source::Archive(packed) }),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        Error::usage(format!("--from: {} carries no LiteLLM", file.display())).hint(
            Hint::run(&["runtime", "export", "litellm-runtime.tar"])
                .to("make a file that does, on a machine that has the network"),
        )
    }))
}

/// The error of a machine without Python, with the way that needs nothing of the system.
fn with_mirror(error: Error) -> Error {
    error.or_hint(Hint::step(format!("install uv and name a mirror of Python to it in {}", mirror::MIRROR)))
}

/// The Python for which the packages of a file were fetched.
fn python_for(facts: &Facts, packed: &Packed, named: Option<&Path>) -> Result<Python> {
    let about = archive::about(packed, facts)?;
    let python = python::find(facts, named, Some(&about.python))?;
    if python.platform() != about.platform {
        return Err(Error::usage(format!(
            "--from: {} is for {}",
            packed.file.display(),
            printable(&about.platform)
        ))
        .because(format!("this machine is {}", python.platform()))
        .hint("make the archive on a machine of this kind: gwinstall runtime export FILE"));
    }
    Ok(python)
}

fn order<'a>(place: &'a Place, facts: &'a Facts, found: &'a Found, common: &Common) -> Order<'a> {
    Order { place, facts, python: &found.python, source: &found.source, lock_wait: common.lock_wait }
}

/// What an installation takes.
fn takes(order: &Order<'_>) -> String {
    let data = &order.facts.data;
    let size = match order.source {
        Source::Index => format!("{} MB to download, ", data.download_mb),
        Source::Offline | Source::Archive(_) => String::new(),
    };
    let python = match &order.python.to_fetch {
        Some(_) => format!("Python {} from your mirror, ", order.python.version),
        None => String::new(),
    };
    format!(
        "{python}{size}{} MB on disk, about 20 s with uv, about a minute and a half with pip",
        data.disk_mb
    )
}

fn intention(order: &Order<'_>) -> String {
    format!(
        "LiteLLM {}: {}.\n  {} (Python {})",
        order.facts.data.litellm,
        takes(order),
        order.place.show(&order.path()),
        order.python.version
    )
}

/// Asks, then builds.
fn agreed(order: &Order<'_>, confirm: &ConfirmArgs) -> Result<Built> {
    if !order.is_built() {
        let shown = intention(order);
        if !confirm.yes && term::is_interactive() {
            term::error(&shown)
        } else {
            term::talk(&shown)
        }
        change::consent(confirm.yes, "Install it?", true)?;
    }
    order.build()
}

fn told(place: &Place, order: &Order<'_>, built: &Built) -> String {
    let (version, path) = (&order.facts.data.litellm, place.show(&built.path));
    match built.tool {
        None => format!("LiteLLM {version} is in {path}."),
        Some(tool) => format!(
            "Installed LiteLLM {version} in {path} (Python {}, with {tool}, {} s).",
            order.python.version,
            built.milliseconds.div_ceil(1000)
        ),
    }
}

fn facts_of(place: &Place, order: &Order<'_>, built: Option<&Built>) -> serde_json::Value {
    json!({
        "litellm": order.facts.data.litellm,
        "name": runtimes::name(order.facts, order.python),
        "path": order.path(),
        "shown": place.show(&order.path()),
        "python": order.python.version,
        "built": built.is_some_and(|built| built.tool.is_some()),
        "tool": built.and_then(|built| built.tool),
        "files": built.map(|built| built.files),
        "duration_ms": built.map(|built| built.milliseconds),
    })
}

/// The deployment uses the runtime from now on: its record and its start script say so.
fn record_it(place: &Place, common: &Common, brought: Brought, source: request::Source) -> Result<Answer> {
    // The user agreed to the installation, of which this is the end.
    let yes = ConfirmArgs { yes: true, dry_run: false };
    let change = Change::open(place, common, &yes, Operation::Runtime)?;
    let bundle = sources::bundle(place, &source)?;
    let runtime = RuntimeRequest { managed: Some(brought), ..RuntimeRequest::default() };
    deployment::deploy(change, bundle, &Request { source, runtime, ..Request::default() })
}

fn all(place: &Place) -> Result<Answer> {
    let found = runtimes::list(place)?;
    let users = users(place, &found);
    let mut rows = vec![["NAME", "LITELLM", "PYTHON", "MB", "USED BY"].map(str::to_owned).to_vec()];
    let mut data = Vec::new();
    for (one, users) in found.iter().zip(&users) {
        let megabytes = disk::tree_size(&one.path) / 1_000_000;
        let state = one.environment.broken();
        rows.push(vec![
            one.name.clone(),
            one.environment.version().unwrap_or("broken").to_owned(),
            python::version_of_tag(&one.python),
            megabytes.to_string(),
            users.in_brief(),
        ]);
        data.push(json!({
            "name": one.name, "path": one.path, "litellm": one.environment.version(), "broken": state,
            "python": python::version_of_tag(&one.python), "megabytes": megabytes,
            "used_by": { "deployments": users.deployments, "backups": users.backups, "processes": users.processes },
        }));
    }
    let message = format!("{} installed", count(found.len(), "runtime"));
    if found.is_empty() {
        let text = format!(
            "gwinstall installed no LiteLLM yet. To install it: {}",
            term::command(&["runtime", "install"])
        );
        return Ok(Answer::new(message).text(text).data(json!({ "runtimes": data })));
    }
    let mut text = table::columns(&rows, &[3]);
    for one in &found {
        if let Some(why) = one.environment.broken() {
            text.push_str(&format!("\n{} cannot run: {why}", one.name));
        }
    }
    Ok(Answer::new(message).text(text).data(json!({ "runtimes": data })))
}

fn remove(place: &Place, common: &Common, args: &RuntimeRemoveArgs) -> Result<Answer> {
    let found = runtimes::list(place)?;
    let chosen: Vec<&Managed> = match &args.name {
        None => found.iter().collect(),
        Some(name) => vec![found.iter().find(|one| one.name == *name).ok_or_else(|| {
            Error::usage(format!("no runtime has the name {}", printable(name)))
                .hint(Hint::run(&["runtime", "list"]))
        })?],
    };
    let users = users(place, &found);
    let users_of = |one: &Managed| {
        users.iter().zip(&found).find(|(_, known)| known.name == one.name).map(|(users, _)| users)
    };
    let used = |one: &&Managed| users_of(one).is_some_and(|users| !users.is_empty());
    if let Some(kept) = chosen.iter().find(|one| args.name.is_some() && used(one)) {
        let users = users_of(kept).map(Users::in_words).unwrap_or_default();
        return Err(Error::failed(format!("{} is in use, and nothing was removed", kept.name))
            .because(format!("{} it", name_it(&users)))
            .hint(Hint::run(&["runtime", "list"])));
    }
    let unused: Vec<&Managed> = chosen.into_iter().filter(|one| !used(one)).collect();
    if unused.is_empty() {
        let text = "Nothing to do: every runtime is in use, or there is none.";
        return Ok(Answer::new("nothing to do").text(text).data(json!({ "removed": [] })));
    }
    let names: Vec<&str> = unused.iter().map(|one| one.name.as_str()).collect();
    if args.confirm.dry_run {
        let text = format!("It would remove {}.\nThis was a dry run: nothing was changed.", list(&names));
        return Ok(Answer::new("dry run: nothing was changed").text(text).data(json!({ "removed": names })));
    }
    term::talk(&format!("Remove {}", list(&names)));
    change::consent(args.confirm.yes, "Go ahead?", true)?;
    discard(place, &unused, common.lock_wait)?;
    let text = format!("Removed {}.", list(&names));
    Ok(Answer::new(format!("removed {}", count(names.len(), "runtime")))
        .text(text)
        .data(json!({ "removed": names })))
}

fn name_it(users: &[String]) -> String {
    let verb = if users.len() == 1 { "names" } else { "name" };
    format!("{} {verb}", list(users))
}

/// Removes runtimes that nothing uses: out of their place in one step, then file by file.
pub(super) fn discard(place: &Place, unused: &[&Managed], wait: u64) -> Result<()> {
    let root = runtimes::root(place);
    let _lock = staging::lock(&root, wait)?;
    for one in unused {
        let aside = runtimes::aside(&root)?;
        disk::rename(&one.path, &aside).at("remove", &one.path)?;
    }
    staging::remove_leftovers(&root)
}

fn export(place: &Place, args: &RuntimeExportArgs) -> Result<Answer> {
    let to = system::current_dir()?.join(&args.file);
    if disk::exists(&to) {
        return Err(
            Error::usage(format!("{} exists", place.show(&to))).hint("name a file that does not exist yet")
        );
    }
    let record = lost::record(place)?;
    let facts = Facts::of(&sources::deployed(place, record.as_ref())?)?;
    let python = python::find(&facts, args.python.as_deref(), None)?;
    let data = &facts.data;
    term::talk(&format!(
        "LiteLLM {}: gwinstall fetches its packages ({} MB) and writes them to one file.",
        data.litellm, data.download_mb
    ));
    let written = archive::export(place, &facts, &python, &to)?;
    let (shown, megabytes) = (place.show(&to), written.bytes / 1_000_000);
    let text = format!(
        "Wrote {shown}: {} for Python {} on {}, {megabytes} MB.\nTo use it: gwinstall runtime install --from {}",
        count(written.packages, "package"),
        python::version_of_tag(&python.tag()),
        python.platform(),
        place.paste(&to)
    );
    Ok(Answer::new(format!("wrote {shown}")).text(text).data(json!({
        "path": to, "packages": written.packages, "bytes": written.bytes, "litellm": data.litellm,
        "python": python.tag(), "platform": python.platform(),
    })))
}

/// Whether the end of this deployment and of its backups leaves runtimes that nothing uses.
pub(super) fn are_left_by(place: &Place) -> Result<bool> {
    let found = runtimes::list(place)?;
    let shown = place.show(&place.target);
    let others = |users: &Users| users.deployments.iter().any(|dir| *dir != shown);
    Ok(users(place, &found).iter().any(|users| !others(users)))
}

/// After an uninstall: names the runtimes that no deployment uses any more, or removes those that nothing uses.
pub(super) fn after_uninstall(place: &Place, purge: bool, wait: u64) -> Result<Vec<String>> {
    let found = runtimes::list(place)?;
    let users = users(place, &found);
    let (mut lines, mut unused) = (Vec::new(), Vec::new());
    for (one, users) in found.iter().zip(&users).filter(|(_, users)| users.deployments.is_empty()) {
        let version = one.environment.version().unwrap_or("that cannot run");
        let shown = place.show(&one.path);
        if purge && users.is_empty() {
            unused.push(one);
        } else if users.is_empty() {
            let remove = term::command(&["runtime", "remove", &one.name]);
            lines.push(format!("  LiteLLM {version} in {shown} stays. To remove it: {remove}"));
        } else {
            lines.push(format!("  LiteLLM {version} in {shown} stays: {} it", name_it(&users.in_words())));
        }
    }
    if !unused.is_empty() {
        discard(place, &unused, wait)?;
        lines.push(format!(
            "  gwinstall removed the LiteLLM that it had installed ({}).",
            count(unused.len(), "runtime")
        ));
    }
    if purge {
        runtimes::leave(place)?;
    }
    Ok(lines)
}
