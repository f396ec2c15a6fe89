//! `render`: the gateway's files for servers, written into a directory of the user's with the rules of a deployment.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::{Common, RenderArgs};
use crate::deploy::context::Context;
use crate::deploy::rendered::{self, Goal, Rendered, Side, Work};
use crate::domain::name::{closest, count, list, printable};
use crate::domain::place::files;
use crate::domain::plan::{Action, Plan, Step};
use crate::domain::request::{self, Request};
use crate::domain::tree::Class;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::disk;
use crate::format::merge::unified_diff;
use crate::render;
use crate::targets::values::{SCHEMA, Values};
use crate::targets::{self, Spec, Target, Tree};
use crate::ui::answer::Answer;
use crate::ui::report;

use super::{change, place as places, secrets, sources};

/// Renders every target, each into a directory of its name.
const ALL: &str = "all";
/// Fills in `secrets.env`.
const SECRETS: &str = "secrets";
const VALUES: &str = "gateway.yaml";

pub(super) fn run(place: &Place, common: &Common, args: &RenderArgs) -> Result<Answer> {
    if args.schema {
        let schema = serde_json::from_str(SCHEMA).unwrap_or(Value::Null);
        return Ok(Answer::new("the schema of gateway.yaml").quoting(SCHEMA).data(schema));
    }
    let (Some(typed), Some(out)) = (&args.target, &args.out) else {
        return Err(Error::usage("render needs a target and --out"));
    };
    // The record of the directory holds the name, whichever word was typed.
    let word = Target::parse(typed).map_or(typed.as_str(), |target| target.word());
    let out = rendered::place(&place.home, &places::directory("--out", out)?);
    if word == SECRETS {
        require_no_flag_of_files(args)?;
        rendered::recover(&out, common.lock_wait)?;
        return secrets::run(place, &out, common.lock_wait);
    }
    let targets = targets_of(word)?;
    if args.check || args.diff {
        change::not_interrupted(&out)?;
    } else {
        rendered::recover(&out, common.lock_wait)?;
    }
    refuse_inside_another(&out)?;
    let (values, environments) = values(args)?;
    let tree = tree(place, args, &targets, values, environments)?;
    let left_out = tree.left_out;
    let resolve = match (args.keep_mine, args.take_new) {
        (true, _) => Some(Side::Mine),
        (_, true) => Some(Side::New),
        _ => None,
    };
    let goal = Goal {
        target: word.to_owned(),
        environment: args.environment.clone(),
        version: tree.version,
        files: tree.files.into_wanted(),
        force: args.force,
        resolve,
    };
    require_same_target(&out, word)?;
    let work = rendered::work_out(out.clone(), goal)?;
    if args.diff {
        return diff(work.plan());
    }
    let answer = if args.check { check(&out, work.plan()) } else { write(&out, work, common.lock_wait)? };
    Ok(left_out.iter().fold(answer, |answer, why| answer.line(why)))
}

/// `secrets` fills in what the files of a target name, so the flags of a target do not go with it.
fn require_no_flag_of_files(args: &RenderArgs) -> Result<()> {
    let given = [
        ("--check", args.check),
        ("--diff", args.diff),
        ("--force", args.force),
        ("--keep-mine", args.keep_mine),
        ("--take-new", args.take_new),
        ("--environment", args.environment.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => Err(Error::usage(format!("{flag} does not go with render secrets"))
            .because("it fills in the secrets.env that the rendered files name")
            .hint(Hint::run(&[
                "render",
                SECRETS,
                "--out",
                &args.out.as_deref().unwrap_or(Path::new(".")).to_string_lossy(),
            ]))),
    }
}

/// The targets that a word stands for.
fn targets_of(word: &str) -> Result<Vec<Target>> {
    if word == ALL {
        return Ok(Target::ALL.to_vec());
    }
    if let Some(target) = Target::parse(word) {
        return Ok(vec![target]);
    }
    let known: Vec<&str> = Target::ALL.iter().map(|target| target.word()).chain([ALL, SECRETS]).collect();
    let error = Error::usage(format!("{} is not a target of render", printable(word)));
    Err(match closest(word, known.iter().copied()).first() {
        Some(meant) => error.hint(Hint::instead(word, *meant)),
        None => error.because(format!("known: {}", known.join(", "))),
    })
}

/// `gateway.yaml`, and the same with each of its environments.
fn values(args: &RenderArgs) -> Result<(Values, Vec<(String, Values)>)> {
    let path = args.values.clone().unwrap_or_else(|| PathBuf::from(VALUES));
    let bytes = match disk::read_maybe(&path, disk::TEXT_CAP)? {
        Some(bytes) => bytes,
        None if args.values.is_none() => Vec::new(),
        None => {
            return Err(Error::usage(format!("{} does not exist", printable(&path.to_string_lossy())))
                .hint(Hint::run(&["render", "--schema"]).to("see what it can hold")));
        }
    };
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::usage(format!("{} is not UTF-8", path.display())).because(error))?;
    Values::parse(&text)
        .map_err(|error| error.under(format!("cannot use {}", printable(&path.to_string_lossy()))))
}

/// The files, and the version of the configuration that they are from.
struct Files {
    files: Tree,
    version: String,
    /// Of all targets, the reasons of those for which `gateway.yaml` holds the wrong values.
    left_out: Vec<String>,
}

fn tree(
    place: &Place,
    args: &RenderArgs,
    targets: &[Target],
    values: Values,
    environments: Vec<(String, Values)>,
) -> Result<Files> {
    let context = Context::load(place)?;
    let last = context.record.as_ref();
    let request = Request {
        preset: args.preset.clone(),
        models: args.models.as_deref().map(request::models).transpose()?,
        source: sources::named(&args.bundle),
        ..Request::default()
    };
    let preset = args.preset.as_deref().or(last.map(|last| last.preset.as_str()));
    let named = request.models.as_deref().unwrap_or_default();
    let bundle = sources::bundle_for(place, &request.source, preset, last, named)?;
    let choice = render::choose(&bundle.catalog, &request, last.map(|last| &last.request))?;
    let another = match &args.preset {
        Some(typed) => Hint::instead(typed, "basic"),
        None => Hint::again(&["--preset", "basic"]),
    };
    if choice.preset.base.is_none() {
        let name = &choice.preset.name;
        return Err(Error::usage(format!(
            "the preset {name} has its gateway elsewhere, and a server runs one"
        ))
        .hint(another));
    }
    let spec = |values| Spec::new(&bundle, &choice, values);
    let base = match &args.environment {
        None => spec(values)?,
        Some(name) => {
            let names: Vec<&str> = environments.iter().map(|(name, _)| name.as_str()).collect();
            let found = environments.iter().find(|(known, _)| known == name);
            spec(found.map(|(_, values)| values.clone()).ok_or_else(|| unknown_environment(name, &names))?)?
        }
    };
    // The values of one environment were asked for: there is nothing to lay over them.
    let overlays = if args.environment.is_some() { Vec::new() } else { environments };
    let overlays =
        overlays.into_iter().map(|(name, values)| Ok((name, spec(values)?))).collect::<Result<Vec<_>>>()?;
    let request = targets::Request { spec: &base, environments: &overlays };
    let (files, left_out) = render_each(targets, &request)?;
    Ok(Files { files, version: bundle.id.version.clone(), left_out })
}

/// One target, or each of several in a directory of its name. Of several, one that `gateway.yaml` does not fit is left out: no file
/// of values fits all of them.
fn render_each(targets: &[Target], request: &targets::Request<'_>) -> Result<(Tree, Vec<String>)> {
    if let [target] = targets {
        return Ok((targets::render(*target, request)?, Vec::new()));
    }
    let mut files = Tree::default();
    let mut refusals = Vec::new();
    for target in targets {
        match targets::render(*target, request) {
            Ok(rendered) => files.place(target.word(), rendered),
            Err(error) if error.kind() == Kind::Usage => refusals.push(error),
            Err(error) => return Err(error),
        }
    }
    let left_out = refusals.iter().map(|error| format!("Left out: {error}")).collect();
    match refusals.into_iter().next() {
        Some(error) if files.paths().next().is_none() => Err(error),
        _ => Ok((files, left_out)),
    }
}

fn unknown_environment(typed: &str, known: &[&str]) -> Error {
    let error = Error::usage(format!("gateway.yaml has no environment {}", printable(typed)));
    match closest(typed, known.iter().copied()).first() {
        Some(meant) => error.hint(Hint::instead(typed, *meant)),
        None if known.is_empty() => error.because("it has no environments"),
        None => error.because(format!("it has {}", list(known))),
    }
}

/// A directory of `render all` is rendered as a whole.
fn refuse_inside_another(out: &Place) -> Result<()> {
    let Some(above) = out.target.parent() else { return Ok(()) };
    let part = out.target.file_name().map(|name| format!("{}/", name.to_string_lossy()));
    let outer = rendered::record(&rendered::place(&out.home, above))?;
    let (Some(outer), Some(part)) = (outer, part) else { return Ok(()) };
    if !outer.files.keys().any(|path| path.starts_with(&part)) {
        return Ok(());
    }
    Err(Error::usage(format!("{} belongs to what `render {}` wrote", out.show(&out.target), outer.target))
        .hint(Hint::run(&["render", &outer.target, "--out", &above.to_string_lossy()])))
}

/// A directory holds one target.
fn require_same_target(out: &Place, word: &str) -> Result<()> {
    match rendered::record(out)? {
        Some(Rendered { target, .. }) if target != word => {
            Err(Error::usage(format!("{} holds the files of {target}", out.show(&out.target)))
                .because("one directory holds one target, or all of them below it"))
        }
        _ => Ok(()),
    }
}

/// What differs from what would be rendered.
fn check(out: &Place, plan: &Plan) -> Answer {
    let differs =
        |step: &&Step| step.class != Class::Record && (step.changes() || step.action != Action::Same);
    let lines: Vec<String> = plan.steps.iter().filter(differs).map(report::line).collect();
    let data =
        json!({ "files": plan.steps.iter().filter(differs).map(report::step_json).collect::<Vec<_>>() });
    let shown = out.show(&out.target);
    if lines.is_empty() && plan.is_empty() {
        let text = format!("{shown} is as render would write it.");
        return Answer::new("no difference").text(text).data(data);
    }
    let lines = if lines.is_empty() { vec![format!("  {} is out of date", files::RENDERED)] } else { lines };
    Answer::new("there are differences")
        .text(format!("{shown} differs from what render would write:\n{}", lines.join("\n")))
        .data(data)
        .exit(Kind::Pending)
}

fn diff(plan: &Plan) -> Result<Answer> {
    let mut text = String::new();
    for step in plan.changes().filter(|step| step.class != Class::Record) {
        let old = if step.pre.is_some() { disk::read(&step.path, disk::TEXT_CAP)? } else { Vec::new() };
        let new = step.bytes.as_deref().map_or_else(Vec::new, <[u8]>::to_vec);
        let lines = unified_diff(&String::from_utf8_lossy(&old), &String::from_utf8_lossy(&new), &step.name);
        text.push_str(&lines);
    }
    if text.is_empty() {
        return Ok(Answer::new("no difference").text("No difference: render would write nothing."));
    }
    let data = json!({ "diff": text });
    Ok(Answer::new("there are differences").quoting(text).data(data).exit(Kind::Pending))
}

fn write(out: &Place, work: Work, lock_wait: u64) -> Result<Answer> {
    let shown = out.show(&out.target);
    let open = work.open.clone();
    let (changed, plan) = if work.changes_nothing() {
        (0, work.plan().clone())
    } else {
        let plan = work.carry_out(lock_wait)?;
        (plan.changes().filter(|step| step.class != Class::Record).count(), plan)
    };
    let mut lines = vec![match changed {
        0 => format!("{shown} is up to date."),
        changed => format!("Wrote {} in {shown}; README.md says how to use them.", count(changed, "file")),
    }];
    let kept = |step: &&Step| {
        matches!(
            step.action,
            Action::Keep | Action::Conflict | Action::Merge | Action::StayDeleted | Action::Release
        )
    };
    lines.extend(plan.steps.iter().filter(kept).map(report::line));
    let data = json!({ "out": out.target, "changed": changed, "conflicts": open,
        "files": plan.steps.iter().map(report::step_json).collect::<Vec<_>>() });
    let message = if changed == 0 { "nothing to do" } else { "rendered" };
    let answer = Answer::new(message).text(lines.join("\n")).data(data);
    if open.is_empty() {
        return Ok(answer);
    }
    let next = "Join each with its .gwinstall-new, then render again with --keep-mine (or --take-new).";
    Ok(answer.line(next).exit(Kind::Conflict))
}
