//! `config/litellm.yaml`: the base template with model fragments, aliases and fallbacks put in at its three slots.
//!
//! Text in, text out, so that every comment of base and fragments survives. Only deployed models are named.

use crate::bundle::Bundle;
use crate::bundle::base::Slot;
use crate::bundle::catalog::{Model, Tier};
use crate::domain::Result;

use super::choice::Choice;

/// Assembles the configuration from the template `base` of the bundle.
pub fn assemble(bundle: &Bundle, base: &str, choice: &Choice<'_>) -> Result<String> {
    let template = bundle.text(base)?;
    let mut text = String::with_capacity(template.len() * 4);
    for line in template.split_inclusive('\n') {
        match Slot::of(line) {
            Some(Ok(Slot::Models)) => push_models(&mut text, bundle, choice)?,
            Some(Ok(Slot::Aliases)) => {
                push_block(&mut text, "model_group_alias", "{}", &aliases(choice));
            }
            Some(Ok(Slot::Fallbacks)) => push_block(&mut text, "fallbacks", "[]", &fallbacks(choice)),
            // The bundle was checked to have no other.
            Some(Err(_)) | None => text.push_str(line),
        }
    }
    Ok(text)
}

fn push_models(text: &mut String, bundle: &Bundle, choice: &Choice<'_>) -> Result<()> {
    text.push_str("model_list:\n");
    for (index, model) in choice.models.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        for line in bundle.text(&model.config_file)?.lines() {
            match line {
                "model_list:" => {}
                comment if comment.starts_with('#') => text.push_str(&format!("  {comment}\n")),
                entry => text.push_str(&format!("{}\n", entry.trim_end())),
            }
        }
    }
    Ok(())
}

/// A key of `router_settings`: its lines below it, or its empty value beside it.
fn push_block(text: &mut String, key: &str, empty: &str, lines: &[String]) {
    if lines.is_empty() {
        text.push_str(&format!("  {key}: {empty}\n"));
        return;
    }
    text.push_str(&format!("  {key}:\n"));
    for line in lines {
        text.push_str(&format!("    {line}\n"));
    }
}

/// What Claude Code asks for by default → what answers it. A model that is deployed under the very name needs none.
fn aliases(choice: &Choice<'_>) -> Vec<String> {
    [Tier::Opus, Tier::Sonnet, Tier::Haiku]
        .into_iter()
        .filter_map(|tier| Some((choice.catalog.client_models.get(&tier)?, choice.tier_model(tier)?)))
        .filter(|(asked, _)| !choice.models.iter().any(|model| model.id == **asked))
        .map(|(asked, model)| format!("{asked}: {}", model.id))
        .collect()
}

/// A deployed retired model falls back to its deployed successor, any other to the deployed ones that its catalog entry names.
fn fallbacks(choice: &Choice<'_>) -> Vec<String> {
    let deployed = |id: &&str| choice.models.iter().any(|model| model.id == **id);
    let next =
        |model: &Model| after(choice, model).into_iter().filter(deployed).collect::<Vec<_>>().join(", ");
    let named = choice.models.iter().map(|model| (&model.id, next(model)));
    named.filter(|(_, next)| !next.is_empty()).map(|(id, next)| format!("- {id}: [{next}]")).collect()
}

/// The fallback models of this one, deployed or not.
fn after<'m>(choice: &Choice<'_>, model: &'m Model) -> Vec<&'m str> {
    match &model.successor {
        Some(successor) if choice.catalog.is_retired(model) => vec![successor],
        _ => model.fallbacks.iter().map(String::as_str).collect(),
    }
}
