//! `diff`: what an update would change, line by line. The same plan as `update`, printed instead of carried out.

use crate::bundle::Bundle;
use crate::cli::DiffArgs;
use crate::deploy::context::Context;
use crate::deploy::draft::{Draft, draft};
use crate::deploy::goals::{self, Pointing};
use crate::deploy::values;
use crate::domain::plan::{Action, Step};
use crate::domain::request::Request;
use crate::domain::tree::{Class, Content};
use crate::domain::{Kind, Operation, Place, Result};
use crate::doors::disk;
use crate::format::merge::unified_diff;
use crate::render;

use super::{change, sources};
use crate::ui::answer::Answer;
use crate::ui::report;

pub(super) fn run(place: &Place, args: &DiffArgs) -> Result<Answer> {
    change::not_interrupted(place)?;
    let context = Context::load(place)?;
    let record = context.deployed()?;
    let request = Request { source: sources::named(&args.bundle), ..Request::default() };
    let bundle = sources::bundle(place, &request.source)?;
    let choice = render::choose(&bundle.catalog, &request, Some(&record.request))?;
    let values = values::gather(place, &choice, &request)?;
    let pointed = record.request.pointed;
    let goal =
        goals::from_choice(&context, Operation::Update, &bundle, &choice, &values, Pointing::Is(pointed), false)?;
    let drafted = draft(&context, goal)?;
    let text = text(&bundle, &drafted)?;
    let data = change::data(&drafted, None);
    if text.is_empty() {
        return Ok(Answer::new("no difference")
            .text("No difference: everything is as the bundle has it.")
            .data(data));
    }
    Ok(Answer::new("there are differences").quoting(text).data(data).exit(Kind::Pending))
}

fn text(bundle: &Bundle, drafted: &Draft) -> Result<String> {
    let mut text = String::new();
    for step in &drafted.plan.steps {
        match step.action {
            Action::Keep | Action::Conflict | Action::StayDeleted => {
                text.push_str(&format!("= {} — {}\n", step.name, report::reason(step)));
                if let Some(shipped) = bundle.file(&step.name).filter(|_| step.pre.is_some()) {
                    text.push_str(&between(&step.name, shipped, &disk::read(&step.path, disk::TEXT_CAP)?));
                }
            }
            // gwinstall never shows secrets, and a change of the record does not matter to the user.
            _ if !step.changes() || step.class == Class::Record => {}
            _ if matches!(step.class, Class::Env | Class::Settings) => {
                text.push_str(&format!("~ {} — {}\n", step.name, step.reason));
            }
            _ => text.push_str(&changed(step)?),
        }
    }
    Ok(text)
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
