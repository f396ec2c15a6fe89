//! The strict reader of a LiteLLM configuration: what LiteLLM accepts without a word and then does not do.
//!
//! LiteLLM ignores most wrong keys, turns an unset `os.environ/NAME` into nothing, passes `${NAME}` on as text and drops
//! a model whose provider it does not know. Promises: each of these is found, with file, line, column and the right word
//! where there is a close one; a configuration that LiteLLM runs as its author meant it gives no error; no message holds
//! a secret. Several entries of one `model_name` are load balancing and legal.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use super::yaml::{Doc, Duplicate, Node, Place, excerpt};

mod closest;
mod keys;
mod models;
mod routing;
mod sections;
#[cfg(test)]
mod tests;
mod values;

pub use closest::closest;

/// Findings after which nobody reads on.
const FINDING_LIMIT: usize = 500;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// LiteLLM would refuse it, or do something else than it says.
    Error,
    /// It works, or may work, and is worth a look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Error { "error" } else { "warning" })
    }
}

/// One thing found, and where: line and column from 1, the length in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub line: usize,
    pub column: usize,
    pub len: usize,
    /// A stable name, `section.what`.
    pub rule: &'static str,
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Finding {
    /// `file:line:column: error: message`, the line with a caret, and what to write instead.
    pub fn report(&self, file: &str, text: &str) -> String {
        let Self { severity, line, column, message, .. } = self;
        let hint = self.hint.as_ref().map(|hint| format!("\n      = {hint}")).unwrap_or_default();
        format!(
            "{file}:{line}:{column}: {severity}: {message}\n{}{hint}",
            excerpt(text, *line, *column, self.len)
        )
    }
}

/// What is known around the file.
#[derive(Debug, Default, Clone, Copy)]
pub struct Context<'a> {
    /// Names of the variables that LiteLLM will find; without it, references are not followed.
    pub known_env: Option<&'a BTreeSet<String>>,
    /// A reference to a variable that is not set is an error; otherwise a warning, as at a first installation.
    pub unset_is_error: bool,
}

/// Everything that is wrong with a configuration, in the order of its lines.
pub fn check(text: &str, context: &Context<'_>) -> Vec<Finding> {
    let mut report = Report { context: *context, findings: Vec::new() };
    match Doc::read(text) {
        Err(error) => {
            let place = Place { line: error.line, column: error.column, len: error.len };
            report.add(Severity::Error, place, "yaml.syntax", error.why, None);
        }
        Ok((doc, duplicates)) => {
            duplicates.iter().for_each(|duplicate| report.duplicate(duplicate));
            sections::check(doc.root(), &mut report);
        }
    }
    report.findings.sort_by_key(|finding| (finding.line, finding.column, finding.severity));
    report.findings
}

/// The names under which models are served, in file order, each once.
pub fn model_names(text: &str) -> Vec<String> {
    let Ok(doc) = Doc::parse(text) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    for model in doc.root().and_then(|root| root.get("model_list")).and_then(Node::seq).into_iter().flatten()
    {
        if let Some(name) = model.get("model_name").and_then(Node::str)
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// The lines of each model, with the name under which it is served.
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
        values::each_scalar(doc.root(), &mut |_, value| {
            names.extend(value.str().and_then(values::reference).map(str::to_owned));
        });
    }
    names
}

/// Text out of the file as a terminal may have it: escapes in quotes can spell control codes.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Collects the findings of one file.
struct Report<'c> {
    context: Context<'c>,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn error(&mut self, at: Node<'_>, rule: &'static str, message: impl Into<String>, hint: Option<String>) {
        self.add(Severity::Error, at.place(), rule, message, hint);
    }

    fn warning(
        &mut self,
        at: Node<'_>,
        rule: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Severity::Warning, at.place(), rule, message, hint);
    }

    fn duplicate(&mut self, duplicate: &Duplicate) {
        let Duplicate { key, first, second } = duplicate;
        let message = format!(
            "duplicate key {key:?}: it stands on line {} too, and only the last one counts",
            first.line
        );
        self.add(Severity::Error, *second, "yaml.duplicate-key", message, None);
    }

    fn add(
        &mut self,
        severity: Severity,
        place: Place,
        rule: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let Place { line, column, len } = place;
        if self.findings.len() >= FINDING_LIMIT {
            return;
        }
        // Two checks may come to the same thing; the first one said it with more knowledge of the place.
        if self.findings.iter().any(|known| (known.line, known.column, known.rule) == (line, column, rule)) {
            return;
        }
        let (message, hint) = (printable(&message.into()), hint.as_deref().map(printable));
        self.findings.push(Finding { severity, line, column, len, rule, message, hint });
    }

    /// The name that a scalar stands for, where only a string makes sense; one that YAML takes for something else is
    /// reported.
    fn name<'d>(&mut self, node: Node<'d>) -> Option<&'d str> {
        if node.str().is_some() {
            return node.str();
        }
        match node.written() {
            Some(written) => {
                let message = format!("{written} is not text to YAML but {}", values::meaning(node));
                self.error(node, "yaml.not-text", message, Some(format!("put it in quotes: \"{written}\"")));
            }
            None => self.error(node, "yaml.not-text", "a name must stand here", None),
        }
        None
    }
}
