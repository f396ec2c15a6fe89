//! `models`: what the catalog knows, what is deployed, and another list of them. Adding and removing is an install
//! with another list; only `models check` and `models test` ask the gateway.

use serde_json::json;

use crate::bundle::Bundle;
use crate::bundle::catalog::{Catalog, Model};
use crate::cli::{Common, ConfirmArgs, ModelsCommand, TakeoverArgs};
use crate::deploy::lost;
use crate::domain::Operation;
use crate::domain::name::{closest, count, list, printable};
use crate::domain::record::Record;
use crate::domain::request::Request;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{system, term};
use crate::render;

use super::change::Change;
use super::{deployment, sources};
use super::{models_check, models_test};
use crate::ui::answer::Answer;
use crate::ui::table::columns;

pub(super) fn run(place: &Place, common: &Common, command: &ModelsCommand) -> Result<Answer> {
    match command {
        ModelsCommand::List => show(place),
        ModelsCommand::Add { models, confirm, takeover } => {
            change(place, common, (confirm, takeover), models, Verb::Add)
        }
        ModelsCommand::Remove { models, confirm, takeover } => {
            change(place, common, (confirm, takeover), models, Verb::Remove)
        }
        ModelsCommand::Check { call } => models_check::run(place, *call),
        ModelsCommand::Test(args) => models_test::run(place, args),
    }
}

fn show(place: &Place) -> Result<Answer> {
    let last = lost::record(place)?;
    let bundle = sources::deployed(place, last.as_ref())?;
    let deployed = last.map(|last| last.models).unwrap_or_default();
    let today = system::now().date();
    let head = ["MODEL", "TIER", "IN", "OUT", "CONTEXT", "ANSWER", "RETIRES", "SUCCESSOR", "DEPLOYED"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut data = Vec::new();
    for model in bundle.catalog.all_models() {
        let past = is_past(model, &today);
        let is_deployed = deployed.contains(&model.id);
        rows.push(row(model, past, is_deployed));
        let mut value = json!(model);
        value["deployed"] = json!(is_deployed);
        value["past_retirement"] = json!(past);
        data.push(value);
    }
    let foreign: Vec<&String> = deployed.iter().filter(|id| bundle.catalog.model(id).is_none()).collect();
    let mut text = columns(&rows, &[2, 3, 4, 5]);
    if term::manner().verbose {
        text = with_words(&text, bundle.catalog.all_models());
    }
    text.push_str("\nPrices are US dollars per million tokens, limits are tokens, of ");
    text.push_str(&bundle.catalog.as_of);
    text.push('.');
    if rows.iter().any(|row| row[6].ends_with('!')) {
        text.push_str(
            "\n! The date has passed: the provider may refuse the model; its successor takes over.",
        );
    }
    if !foreign.is_empty() {
        let names: Vec<String> = foreign.iter().map(|id| printable(id)).collect();
        text.push_str(&format!("\nAlso deployed, by names that the catalog does not know: {}", list(&names)));
    }
    Ok(Answer::new(format!("{} known, {} deployed", count(data.len(), "model"), deployed.len()))
        .text(text)
        .data(json!({ "models": data, "deployed": deployed, "as_of": bundle.catalog.as_of })))
}

/// Whether the model's retirement date has come, by the clock.
pub(super) fn is_past(model: &Model, today: &str) -> bool {
    model.retires.as_deref().is_some_and(|day| day <= today)
}

fn row(model: &Model, past: bool, deployed: bool) -> Vec<String> {
    let tier = json!(model.tier);
    let retires = model.retires.as_deref().unwrap_or("-");
    vec![
        model.id.clone(),
        tier.as_str().unwrap_or_default().to_owned(),
        format!("{:.2}", model.price_in),
        format!("{:.2}", model.price_out),
        model.context_tokens.to_string(),
        model.output_tokens.to_string(),
        if past { format!("{retires} !") } else { retires.to_owned() },
        model.successor.clone().unwrap_or_else(|| "-".to_owned()),
        if deployed { "yes".to_owned() } else { "-".to_owned() },
    ]
}

/// The table with what each model is below its row; the first line is the head.
fn with_words<'m>(table: &str, models: impl Iterator<Item = &'m Model>) -> String {
    let mut lines = table.lines();
    let mut text: Vec<String> = lines.next().map(str::to_owned).into_iter().collect();
    for (line, model) in lines.zip(models) {
        let Model { full_name, publisher, priority, description, .. } = model;
        text.push(line.to_owned());
        text.push(format!("    {full_name} ({publisher}, {priority}): {description}"));
    }
    text.join("\n")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
}

fn change(
    place: &Place,
    common: &Common,
    (confirm, takeover): (&ConfirmArgs, &TakeoverArgs),
    typed: &[String],
    verb: Verb,
) -> Result<Answer> {
    let change =
        Change::open(place, common, confirm, Operation::Models)?.without_takeover(takeover.no_reload);
    let typed: Vec<String> = typed.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
    let record = change.context.recorded()?.ok_or_else(|| {
        let names = typed.join(",");
        Error::usage("nothing is deployed yet").hint(match verb {
            Verb::Add => Hint::run(&["install", "--models", &names]),
            Verb::Remove => Hint::run(&["install"]),
        })
    })?;
    let source = sources::of_record(Some(record));
    let bundle = sources::bundle_for(place, &source, Some(&record.preset), Some(record), &typed)?;
    require_litellm(&bundle, record)?;
    let typed: Vec<String> = typed.iter().map(|name| bundle.catalog.id_of(name)).collect();
    let models = match verb {
        Verb::Add => added(&bundle.catalog, record, &typed)?,
        Verb::Remove => removed(&bundle, record, &typed)?,
    };
    let Some(models) = models else {
        let text = format!("Nothing to do: {} deployed already.", are(&typed));
        return Ok(Answer::new("nothing to do").text(text).data(json!({ "models": record.models })));
    };
    change.require_consent()?;
    for model in
        models.iter().filter_map(|id| bundle.catalog.model(id)).filter(|model| typed.contains(&model.id))
    {
        if let Some(provider) = bundle.catalog.undescribed_provider(model) {
            let set = term::command(&["env", "set", "NAME"]);
            term::talk(&format!(
                "note: LiteLLM reads the key of {provider} from a variable that its documentation names; to give it: {set}"
            ));
        }
        if is_past(model, &system::now().date()) {
            term::talk(&format!(
                "note: {} is past its retirement date; its successor comes with it",
                model.id
            ));
        }
    }
    deployment::deploy(change, bundle, &Request { models: Some(models), source, ..Request::default() })
}

fn are(names: &[String]) -> String {
    format!("{} {}", list(names), if names.len() == 1 { "is" } else { "are" })
}

/// Elsewhere the list is three names in a fixed order, for the three sizes that Claude Code knows.
fn require_litellm(bundle: &Bundle, last: &Record) -> Result<()> {
    if bundle.catalog.preset(&last.preset).is_some_and(|preset| preset.base.is_some()) {
        return Ok(());
    }
    if !last.has_gateway() {
        let provider = last.direct.as_ref().map_or("PROVIDER", |direct| direct.provider.as_str());
        return Err(Error::usage("no gateway is deployed, so there are no models to add or remove").hint(
            Hint::run(&["use", provider, "--models", "LARGE,MIDDLE,SMALL"])
                .to(format!("name the models of {provider}"))
                .or(Hint::run(&["install", "basic"]).to("deploy a gateway")),
        ));
    }
    Err(Error::usage(format!("the preset {} runs no LiteLLM here, so it has no list of models", last.preset))
        .because("which models there are is up to the gateway")
        .hint(
            Hint::run(&["install", "--models", "OPUS,SONNET,HAIKU"])
                .to("name the three that Claude Code asks for"),
        ))
}

/// The deployed models and further ones; `None` when they are all there.
fn added(catalog: &Catalog, last: &Record, typed: &[String]) -> Result<Option<Vec<String>>> {
    let mut models = last.models.clone();
    for name in typed {
        if catalog.model(name).is_none() {
            return Err(unknown(
                name,
                catalog.all_models().map(|model| model.id.as_str()).collect(),
                "known",
            ));
        }
        if !models.contains(name) {
            models.push(name.clone());
        }
    }
    Ok((models.len() > last.models.len()).then_some(models))
}

/// The deployed models without some of them.
fn removed(bundle: &Bundle, last: &Record, typed: &[String]) -> Result<Option<Vec<String>>> {
    if let Some(name) = typed.iter().find(|name| !last.models.contains(name)) {
        if bundle.catalog.model(name).is_some() {
            return Err(Error::usage(format!("{name} is not deployed"))
                .because(format!("deployed: {}", last.models.join(", ")))
                .hint(Hint::run(&["models", "list"])));
        }
        return Err(unknown(name, last.models.iter().map(String::as_str).collect(), "deployed"));
    }
    let left: Vec<String> = last.models.iter().filter(|id| !typed.contains(id)).cloned().collect();
    if left.is_empty() {
        return Err(Error::usage(format!("{} the last of the gateway, and it needs one", are(typed))).hint(
            Hint::run(&["models", "add", "NAME"])
                .to("deploy another one first")
                .or(Hint::run(&["uninstall"]).to("remove the gateway")),
        ));
    }
    let request = Request { models: Some(left.clone()), ..Request::default() };
    let again = render::choose(&bundle.catalog, &request, Some(&last.request))?.model_names();
    if let Some(back) = typed.iter().find(|name| again.contains(name)) {
        let retired: Vec<&str> = bundle
            .catalog
            .models
            .iter()
            .filter(|model| model.successor.as_ref() == Some(back) && again.contains(&model.id))
            .map(|model| model.id.as_str())
            .collect();
        return Err(Error::usage(format!("{back} cannot be removed alone"))
            .because(format!(
                "it is the successor of {}, which has retired and falls back to it",
                list(&retired)
            ))
            .hint(Hint::run(&[&["models", "remove", back.as_str()][..], &retired[..]].concat())));
    }
    Ok(Some(left))
}

pub(super) fn unknown(name: &str, known: Vec<&str>, what: &str) -> Error {
    let error = Error::usage(format!("there is no model {:?}", printable(name)))
        .because(format!("{what}: {}", known.join(", ")));
    match closest(name, known).as_slice() {
        [] => error.hint(Hint::run(&["models", "list"])),
        [near, ..] => error.hint(Hint::instead(name, *near).or(Hint::run(&["models", "list"]))),
    }
}
