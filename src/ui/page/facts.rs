//! What the page shows, as a command found it. Data only: no field holds a value of `.env`.

use crate::domain::check::Status;

/// Everything on the page.
#[derive(Debug)]
pub struct Page {
    pub gwinstall: &'static str,
    /// The moment at which the facts were collected, in UTC.
    pub made: String,
    /// The directory of the deployment.
    pub target: String,
    pub machine: String,
    pub state: State,
    /// A section that could not be collected holds the reason instead.
    pub models: Result<Models, String>,
    pub files: Result<Vec<FileRow>, String>,
    pub checks: Vec<CheckRow>,
    pub backups: Result<Vec<BackupRow>, String>,
    pub history: Result<History, String>,
    pub commands: Commands,
}

/// Commands that show more than the page, for the deployment that it is about.
#[derive(Debug)]
pub struct Commands {
    pub status: String,
    pub models: String,
    pub rollback: String,
    pub backups: String,
    pub history: String,
}

/// How urgent something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Notice,
    Bad,
}

/// One way to go on.
#[derive(Debug)]
pub struct Way {
    /// What it is good for; may be empty.
    pub purpose: String,
    /// What to paste; absent where no command does it.
    pub command: Option<String>,
}

/// A sentence, and what to do about it.
#[derive(Debug)]
pub struct Note {
    pub tone: Tone,
    pub text: String,
    pub ways: Vec<Way>,
}

#[derive(Debug)]
pub struct State {
    pub tone: Tone,
    /// The state in a few words.
    pub verdict: String,
    pub sentence: String,
    /// The parts of the deployment: a name and a value each.
    pub parts: Vec<(&'static str, String)>,
    pub notes: Vec<Note>,
    /// Names of variables that have no value.
    pub missing: Vec<String>,
    pub next: Option<String>,
}

#[derive(Debug)]
pub struct Models {
    /// The date of prices and limits.
    pub as_of: String,
    pub rows: Vec<ModelRow>,
}

#[derive(Debug)]
pub struct ModelRow {
    pub name: String,
    /// Absent for a name that the catalog does not know.
    pub known: Option<KnownModel>,
}

#[derive(Debug)]
pub struct KnownModel {
    pub full_name: String,
    pub tier: String,
    pub price_in: f64,
    pub price_out: f64,
    pub context_tokens: u64,
    pub output_tokens: u64,
    pub retires: Option<String>,
    pub is_past: bool,
    pub successor: Option<String>,
}

#[derive(Debug)]
pub struct FileRow {
    pub path: String,
    pub tone: Tone,
    pub what: &'static str,
    pub words: String,
    pub command: Option<String>,
}

#[derive(Debug)]
pub struct CheckRow {
    pub status: Status,
    pub message: String,
    pub ways: Vec<Way>,
}

#[derive(Debug)]
pub struct BackupRow {
    /// What `rollback N` counts.
    pub number: Option<usize>,
    pub name: String,
    pub made: String,
    pub age: String,
    pub size: String,
    pub before: String,
    pub preset: String,
    pub traits: String,
    pub is_valid: bool,
}

#[derive(Debug)]
pub struct History {
    /// Newest first.
    pub operations: Vec<OperationRow>,
    /// Whether the log holds no older ones.
    pub whole: bool,
}

#[derive(Debug)]
pub struct OperationRow {
    pub moment: String,
    pub operation: String,
    pub status: String,
    pub preset: String,
    pub files_changed: u64,
    pub duration_ms: u64,
    pub backup: String,
    pub error: String,
}
