//! A finding in a configuration, and the report that collects the findings.

use std::collections::BTreeSet;
use std::fmt;

use super::names::Names;
use crate::format::yaml::{Duplicate, Node, Place, Scalar, excerpt};

/// The most findings that are of use to a reader.
pub(super) const FINDING_LIMIT: usize = 500;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// LiteLLM would refuse the line, or do something else than it says.
    Error,
    /// The line works, or may work, and is worth a look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Error { "error" } else { "warning" })
    }
}

/// A finding with its place: line and column from 1, the length in characters.
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

/// What the caller knows beyond the file.
#[derive(Debug, Default, Clone, Copy)]
pub struct Context<'a> {
    /// Names of the variables that LiteLLM will find; `None`: references are not followed.
    pub known_env: Option<&'a BTreeSet<String>>,
    /// The names of the LiteLLM that runs; `None`: those of the one that gwinstall installs.
    pub names: Option<&'a Names>,
    /// A reference to a variable that is not set is an error; otherwise a warning, as at a first installation.
    pub unset_is_error: bool,
}

/// Text from the file, made safe for a terminal: escapes in quotes can spell control codes.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Collects the findings of one file.
pub(super) struct Report<'c> {
    pub(super) context: Context<'c>,
    findings: Vec<Finding>,
}

impl<'c> Report<'c> {
    pub(super) fn new(context: Context<'c>) -> Self {
        Self { context, findings: Vec::new() }
    }

    pub(super) fn names(&self) -> &'c Names {
        match self.context.names {
            Some(names) => names,
            None => Names::table(),
        }
    }

    /// The findings in the order of their lines.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| (finding.line, finding.column, finding.severity));
        self.findings
    }

    pub(super) fn error(
        &mut self,
        at: Node<'_>,
        rule: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Severity::Error, at.place(), rule, message, hint);
    }

    pub(super) fn warning(
        &mut self,
        at: Node<'_>,
        rule: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Severity::Warning, at.place(), rule, message, hint);
    }

    pub(super) fn duplicate(&mut self, duplicate: &Duplicate) {
        let Duplicate { key, first, second } = duplicate;
        let message =
            format!("duplicate key {key:?}: line {} has it too, and only the last one counts", first.line);
        self.add(Severity::Error, *second, "yaml.duplicate-key", message, None);
    }

    pub(super) fn add(
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
        // Two checks may find one mistake; the first of them knows more about the place.
        if self.findings.iter().any(|known| (known.line, known.column, known.rule) == (line, column, rule)) {
            return;
        }
        let (message, hint) = (printable(&message.into()), hint.as_deref().map(printable));
        self.findings.push(Finding { severity, line, column, len, rule, message, hint });
    }

    /// The name that a scalar spells, where only a string makes sense. Reports a scalar that is not a string to YAML.
    pub(super) fn name<'d>(&mut self, node: Node<'d>) -> Option<&'d str> {
        if node.str().is_some() {
            return node.str();
        }
        match node.written() {
            Some(written) => {
                let message = format!("{written} is not text to YAML but {}", meaning(node));
                self.error(node, "yaml.not-text", message, Some(format!("put it in quotes: \"{written}\"")));
            }
            None => self.error(node, "yaml.not-text", "a name is needed here", None),
        }
        None
    }
}

/// The meaning of a scalar that is not a string.
pub(super) fn meaning(node: Node<'_>) -> String {
    match node.scalar() {
        Some(Scalar::Bool(truth)) => format!("the truth value {truth}"),
        Some(Scalar::Int(number)) => format!("the number {number}"),
        Some(Scalar::Big(digits)) => format!("the number {digits}"),
        Some(Scalar::Float(number)) => format!("the number {number}"),
        Some(Scalar::Timestamp(_)) => "a date".to_owned(),
        Some(Scalar::Null) => "nothing".to_owned(),
        _ => "a mapping or a list".to_owned(),
    }
}
