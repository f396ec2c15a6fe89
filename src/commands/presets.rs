//! `presets`: what the bundle offers, and what one of them deploys.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::bundle::catalog::{Catalog, Preset};
use crate::cli::PresetsCommand;
use crate::deploy::lost;
use crate::domain::name::{closest, count, list, printable};
use crate::domain::place::files;
use crate::domain::request::{Request, Source};
use crate::domain::tree::{Class, Wanted};
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{disk, term};
use crate::render::{self, Choice, Need};

use crate::ui::answer::Answer;
use crate::ui::table::columns;

pub(super) fn run(place: &Place, command: &PresetsCommand) -> Result<Answer> {
    let last = lost::record(place)?;
    let bundle = match super::sources::of_record(last.as_ref()) {
        Source::Directory(dir) if !disk::is_dir(&dir) => super::sources::bundle(place, &Source::Newest),
        source => super::sources::bundle(place, &source),
    }?;
    let deployed = last.map(|last| last.preset);
    for dir in without_a_preset(place)? {
        term::talk(&format!("note: {} has no preset.yaml; gwinstall ignores it", place.show(&dir)));
    }
    match command {
        PresetsCommand::List => {
            super::sources::name_unusable(&bundle);
            all(&bundle, deployed.as_deref())
        }
        PresetsCommand::Show { preset } => {
            bundle.require_usable(preset)?;
            one(&bundle, deployed.as_deref(), preset)
        }
    }
}

/// Directories in `~/.claude/presets` that look like a preset and hold none.
fn without_a_preset(place: &Place) -> Result<Vec<PathBuf>> {
    let own = place.config_dir.join("presets");
    let dirs = disk::list(&own)?.into_iter().map(|name| own.join(name));
    Ok(dirs.filter(|dir| disk::is_dir(dir) && !disk::exists(&dir.join("preset.yaml"))).collect())
}

/// What an installation of this preset deploys when nothing else is asked for.
fn by_default<'a>(catalog: &'a Catalog, preset: &Preset) -> Result<Choice<'a>> {
    let request = Request { preset: Some(preset.name.clone()), ..Request::default() };
    render::choose(catalog, &request, None)
}

fn all(bundle: &Bundle, deployed: Option<&str>) -> Result<Answer> {
    let mut rows = vec![["PRESET", "GATEWAY", "MODELS", "DEPLOYED", ""].map(str::to_owned).to_vec()];
    let mut data = Vec::new();
    for preset in &bundle.catalog.presets {
        let is_deployed = deployed == Some(&preset.name);
        let choice = by_default(&bundle.catalog, preset)?;
        rows.push(vec![
            preset.name.clone(),
            preset.gateway_types.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(", "),
            if choice.runs_litellm() { choice.models.len().to_string() } else { "-".to_owned() },
            if is_deployed { "yes" } else { "-" }.to_owned(),
            preset.description.clone(),
        ]);
        data.push(json!({
            "name": preset.name,
            "description": preset.description,
            "gateway_types": preset.gateway_types,
            "default_models": preset.default_models,
            "models": choice.model_names(),
            "runs_litellm": preset.base.is_some(),
            "deployed": is_deployed,
        }));
    }
    let unusable: Vec<Value> = bundle
        .unusable
        .iter()
        .map(|one| json!({ "name": one.name, "error": one.error.to_string() }))
        .collect();
    let mut text = columns(&rows, &[2]);
    text.push_str(&format!("\nTo see one of them: {}", term::command(&["presets", "show", "NAME"])));
    Ok(Answer::new(count(data.len(), "preset"))
        .text(text)
        .data(json!({ "presets": data, "unusable": unusable })))
}

fn one(bundle: &Bundle, deployed: Option<&str>, typed: &str) -> Result<Answer> {
    let catalog = &bundle.catalog;
    let names: Vec<&str> = catalog.presets.iter().map(|preset| preset.name.as_str()).collect();
    let Some(preset) = catalog.preset(typed) else {
        let error = Error::usage(format!("there is no preset {:?}", printable(typed)))
            .because(format!("the presets are {}", list(&names)));
        return Err(match closest(typed, names.iter().copied()).first() {
            Some(near) => error.hint(Hint::run(&["presets", "show", near])),
            None => error.hint(Hint::run(&["presets", "list"])),
        });
    };
    let choice = by_default(catalog, preset)?;
    let wanted = render::files_of(bundle, &choice)?;
    let models: Vec<String> = choice.models.iter().map(|model| model.id.clone()).collect();
    let needs = render::needs(&choice);
    let named = |asked: &dyn Fn(Need) -> bool| -> Vec<&str> {
        needs.iter().filter(|(_, need)| asked(*need)).map(|(name, _)| name.as_str()).collect()
    };
    let data = json!({
        "name": preset.name,
        "description": preset.description,
        "gateway_types": preset.gateway_types,
        "template_file": preset.template_file,
        "models": models,
        "required": named(&Need::is_required),
        "required_by_models": named(&|need| need == Need::ByModels),
        "optional": named(&|need| need == Need::Optional),
        "runs_litellm": preset.base.is_some(),
        "deployed": deployed == Some(&preset.name),
        "files": wanted.iter().map(|(path, file)| json!({ "path": path, "class": file.class })).collect::<Vec<Value>>(),
    });
    Ok(Answer::new(format!("preset {}", preset.name)).text(text(preset, &models, &needs, &wanted)).data(data))
}

fn text(preset: &Preset, models: &[String], needs: &[(String, Need)], wanted: &Wanted) -> String {
    let mut rows = vec![
        ("Gateway:", list(&preset.gateway_types)),
        (
            "Runs:",
            if preset.base.is_some() { "LiteLLM on this machine" } else { "nothing on this machine" }
                .to_owned(),
        ),
        ("Reference:", preset.template_file.clone()),
    ];
    if !models.is_empty() {
        rows.push(("Models:", models.join(", ")));
    }
    for (title, kind) in
        [("Required:", Need::Required), ("By models:", Need::ByModels), ("Optional:", Need::Optional)]
    {
        let names: Vec<&str> =
            needs.iter().filter(|(_, need)| *need == kind).map(|(name, _)| name.as_str()).collect();
        match kind {
            _ if names.is_empty() => {}
            Need::ByModels => {
                rows.push((title, format!("{} (required by the models above)", names.join(", "))));
            }
            _ => rows.push((title, names.join(", "))),
        }
    }
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, text)| vec![format!("  {name}"), text]).collect();
    let mut lines = vec![format!("{}: {}", preset.name, preset.description), columns(&rows, &[])];
    lines.push(format!("  It deploys {}:", count(wanted.len(), "file")));
    for (class, noun) in [
        (Class::Config, "configuration"),
        (Class::Script, "scripts"),
        (Class::Template, "templates"),
        (Class::Doc, "docs"),
        (Class::Example, "examples"),
        (Class::Test, "tests"),
    ] {
        let paths: Vec<&str> =
            wanted.iter().filter(|(_, file)| file.class == class).map(|(path, _)| path.as_str()).collect();
        match paths.as_slice() {
            [] => {}
            [only] => lines.push(format!("    {noun}: {only}")),
            several => lines.push(format!("    {noun}: {}", several.len())),
        }
    }
    lines.push(format!("  and {} (values), and sets its keys in Claude Code's settings.", files::ENV));
    let dry_run = term::command(&["install", "--preset", &preset.name, "--dry-run", "--verbose"]);
    lines.push(format!("To see every change: {dry_run}"));
    lines.join("\n")
}
