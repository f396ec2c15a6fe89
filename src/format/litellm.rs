//! The strict reader of a LiteLLM configuration: it finds what LiteLLM accepts silently and then does not do.
//!
//! LiteLLM ignores most wrong keys, turns an unset `os.environ/NAME` into nothing, passes `${NAME}` on as text and drops
//! a model whose provider it does not know. Promises: each of these is found, with file, line, column and the right word
//! if there is a close one; a configuration that LiteLLM runs as its author meant it gives no error; no message holds
//! a secret. Several entries of one `model_name` are load balancing and legal.

use std::collections::BTreeSet;
use std::ops::Range;

use super::yaml::{Doc, Node, Place};

mod callbacks;
mod closest;
mod file;
mod finding;
mod keys;
mod models;
mod names;
mod provider;
mod refused;
mod routing;
mod sections;
mod served;
#[cfg(test)]
mod tests;
mod values;

pub use finding::{Context, Finding, Severity};
pub use names::Names;
pub use served::{Served, base_of_key};

use finding::Report;

/// Variables that decide what LiteLLM makes of a configuration although none refers to them.
pub const SWITCHES: [&str; 2] = [models::ENVIRONMENT, refused::LICENCE];

/// Everything that is wrong with a configuration, in the order of its lines.
pub fn check(text: &str, context: &Context<'_>) -> Vec<Finding> {
    let mut report = Report::new(*context);
    match Doc::read(text) {
        Err(error) => {
            let place = Place { line: error.line, column: error.column, len: error.len };
            report.add(Severity::Error, place, "yaml.syntax", error.why, None);
        }
        Ok((doc, duplicates)) => {
            duplicates.iter().for_each(|duplicate| report.duplicate(duplicate));
            file::check(doc.root(), &mut report);
        }
    }
    report.sorted()
}

/// The lines of each model, with its model_name.
pub fn model_lines(text: &str) -> Vec<(Range<usize>, String)> {
    let Ok(doc) = Doc::parse(text) else { return Vec::new() };
    let sections = doc.root().into_iter().flat_map(Node::entries);
    let starts: Vec<usize> = sections.map(|(key, _)| key.place().line).collect();
    let models = doc.root().and_then(|root| root.get("model_list")).and_then(Node::seq).into_iter().flatten();
    let models: Vec<Node<'_>> = models.collect();
    let lines = |index: usize, model: &Node<'_>| {
        let start = model.place().line;
        let next = models.get(index + 1).map(|next| next.place().line);
        let section = starts.iter().copied().filter(|line| *line > start).min();
        start..next.or(section).unwrap_or(usize::MAX)
    };
    let named = |(index, model): (usize, &Node<'_>)| {
        Some((lines(index, model), model.get("model_name")?.str()?.to_owned()))
    };
    models.iter().enumerate().filter_map(named).collect()
}

/// The variables that the configuration refers to as `os.environ/NAME`.
pub fn references(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Ok(doc) = Doc::parse(text) {
        values::each_scalar(doc.root(), &mut |spot, value| {
            names.extend(value.str().and_then(|text| spot.reference(text)).map(str::to_owned));
        });
    }
    names
}
