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
        text.push_str(&entry(bundle, choice, model)?);
    }
    push_other_names(text, bundle, choice)
}

/// The entry of a model, with the comments of its fragment.
fn entry(bundle: &Bundle, choice: &Choice<'_>, model: &Model) -> Result<String> {
    let Some(fragment) = &model.config_file else {
        let provider = choice.catalog.provider_of(&model.route);
        return Ok(provider.map(|provider| provider.entry(model)).unwrap_or_default());
    };
    let mut text = String::new();
    for line in bundle.text(fragment)?.lines() {
        match line {
            "model_list:" => {}
            comment if comment.starts_with('#') => text.push_str(&format!("  {comment}\n")),
            entry => text.push_str(&format!("{}\n", entry.trim_end())),
        }
    }
    Ok(text)
}

/// The families of Claude models whose other names are answered too. Not `claude-*`: LiteLLM lists a model for Claude Code's
/// picker as `claude-router-…`, unless an entry owns that name.
const FAMILIES: [(&str, Tier); 5] = [
    ("claude-haiku-*", Tier::Haiku),
    ("claude-sonnet-*", Tier::Sonnet),
    ("claude-opus-*", Tier::Opus),
    ("claude-fable-*", Tier::Opus),
    ("claude-mythos-*", Tier::Opus),
];

/// What answers to the names of Claude models that no entry has. Claude Code asks for some whatever its settings say: for
/// subagents, for skills that name a model, and for its tiers above Opus.
fn push_other_names(text: &mut String, bundle: &Bundle, choice: &Choice<'_>) -> Result<()> {
    let mut first = true;
    for (names, tier) in FAMILIES {
        let Some(model) = choice.tier_model(tier) else { continue };
        if first {
            text.push_str("\n  # Names of Claude models that Claude Code asks for by itself, whatever its settings say.\n");
        }
        first = false;
        for line in entry(bundle, choice, model)?.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let name = line.strip_suffix(&model.id).filter(|rest| rest.ends_with("- model_name: "));
            // Anthropic itself serves each of these names.
            let route = line.strip_suffix(&model.route).filter(|rest| rest.ends_with(" model: "));
            match (name, route) {
                (Some(rest), _) => text.push_str(&format!("{rest}{names}\n")),
                (_, Some(rest)) if model.route.starts_with("anthropic/") => {
                    text.push_str(&format!("{rest}anthropic/{names}\n"));
                }
                _ => text.push_str(&format!("{line}\n")),
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
