//! `diff`: what an update would change, line by line, and what the user changed in the files that stay. The same plan as
//! `update`, printed instead of carried out.

use crate::bundle::Bundle;
use crate::cli::DiffArgs;
use crate::deploy::context::Context;
use crate::deploy::draft::{Draft, draft};
use crate::deploy::goals;
use crate::deploy::plan::NEW_SUFFIX;
use crate::deploy::{bases, resolve, values};
use crate::domain::plan::{Action, Step};
use crate::domain::request::Request;
use crate::domain::tree::{Class, Content};
use crate::domain::{Kind, Operation, Place, Result};
use crate::doors::disk;
use crate::format::merge::unified_diff;
use crate::release::session;
use crate::render;

use super::{change, sources};
use crate::ui::answer::Answer;
use crate::ui::report;

pub(super) fn run(place: &Place, args: &DiffArgs) -> Result<Answer> {
    change::not_interrupted(place)?;
    let context = Context::load(place)?;
    let record = context.deployed()?;
    let request = Request { source: sources::named(&args.bundle), ..Request::default() };
    let bundle = sources::bundle_for(place, &request.source, Some(&record.preset), Some(record), &[])?;
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let values = values::gather(place, &choice, &request)?;
    let goal = goals::where_it_is(&context, Operation::Update, &bundle, &choice, &values)?;
    let drafted = draft(&context, goal, &session::policy()?)?;
    let text = text(place, &bundle, &drafted)?;
    let data = change::data(&drafted, None);
    if text.is_empty() {
        return Ok(Answer::new("no difference")
            .text("No difference: everything is as the bundle has it.")
            .data(data));
    }
    Ok(Answer::new("there are differences").quoting(text).data(data).exit(Kind::Pending))
}

fn text(place: &Place, bundle: &Bundle, drafted: &Draft) -> Result<String> {
    let mut text = String::new();
    for step in &drafted.plan.steps {
        match step.action {
            Action::Keep | Action::Conflict | Action::StayDeleted => {
                text.push_str(&format!("= {} — {}\n", step.name, report::reason(step)));
                if step.pre.is_some() {
                    text.push_str(&kept(place, bundle, drafted, step)?);
                }
            }
            // gwinstall never shows secrets, and a change of the record does not matter to the user.
            _ if !step.changes() || step.class == Class::Record => {}
            _ if matches!(step.class, Class::Env | Class::Settings) => {
                text.push_str(&format!("~ {} — {}\n", step.name, step.reason));
            }
            // The difference to the local version is shown there.
            _ if step.name.ends_with(NEW_SUFFIX) => {}
            _ => text.push_str(&changed(step)?),
        }
    }
    Ok(text)
}

/// The lines of a local version that stays: in a conflict against the new version, else what the user changed.
fn kept(place: &Place, bundle: &Bundle, drafted: &Draft, step: &Step) -> Result<String> {
    let known = drafted.record.as_ref().and_then(|record| record.files.get(&step.name));
    let local = disk::read(&step.path, disk::TEXT_CAP)?;
    let shipped = || bundle.file(&step.name).map(|bytes| bytes.to_vec());
    let base_copy = |sha256| bases::base_copy(place, sha256).map(|bytes| bytes.to_vec());
    if let Some(offered) = known.and_then(|known| known.offered.as_deref().copied()) {
        let written = format!("{}{NEW_SUFFIX}", step.name);
        let planned = drafted.plan.steps.iter().find(|other| other.name == written);
        let planned = planned.and_then(|step| step.bytes.as_ref()).map(|bytes| bytes.to_vec());
        let stored = || base_copy(offered).or_else(|| resolve::beside(place, &step.name, offered));
        let new = planned.or_else(stored).or_else(shipped);
        return Ok(new.map_or_else(String::new, |new| between(&step.name, &local, &new)));
    }
    let delivered = known.and_then(|known| base_copy(known.base)).or_else(shipped);
    Ok(delivered.map_or_else(String::new, |delivered| between(&step.name, &delivered, &local)))
}

fn changed(step: &Step) -> Result<String> {
    let old = if step.pre.is_some() { disk::read(&step.path, disk::TEXT_CAP)? } else { Vec::new() };
    let new = match (&step.bytes, step.post) {
        (Some(bytes), _) => bytes.clone(),
        (None, Some(_)) => return Ok(format!("~ {} — {}\n", step.name, step.reason)),
        (None, None) => Content::default(),
    };
    Ok(between(&step.name, &old, &new))
}

fn between(name: &str, old: &[u8], new: &[u8]) -> String {
    unified_diff(&String::from_utf8_lossy(old), &String::from_utf8_lossy(new), name)
}
