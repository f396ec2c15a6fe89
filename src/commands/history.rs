//! `history`: the last operations, newest first. Reads only the end of the log, however long it is.

use serde_json::{Value, json};

use crate::cli::HistoryArgs;
use crate::domain::name::{count, printable};
use crate::domain::{Error, Hint, Place, Result};
use crate::inspect::history;
use crate::ui::answer::Answer;

/// An operation takes some 10 KB of memory while it is read; of more than these nothing can be seen at once anyway.
const MOST_OPERATIONS: usize = 5000;

pub(super) fn run(place: &Place, args: &HistoryArgs) -> Result<Answer> {
    if args.limit == 0 {
        return Err(Error::usage("--limit must be at least 1").hint(Hint::run(&["history", "--limit", "1"])));
    }
    let limit = args.limit.min(MOST_OPERATIONS);
    let operations = history::newest(place, limit, |line| serde_json::from_str(line).ok())?.operations;
    if operations.is_empty() {
        return Ok(Answer::new("no operations yet")
            .text("No operations yet.")
            .data(json!({ "operations": [] })));
    }
    let text: Vec<String> = operations.iter().map(line).collect();
    Ok(Answer::new(count(operations.len(), "operation"))
        .text(text.join("\n"))
        .data(json!({ "operations": operations })))
}

fn line(operation: &Value) -> String {
    let word = |key: &str| operation.get(key).and_then(Value::as_str).map(printable).unwrap_or_default();
    let number = |key: &str| operation.get(key).and_then(Value::as_u64).unwrap_or(0);
    let mut text = format!(
        "{}  {:<13} {:<11} {} ({} changed, {} ms)",
        word("timestamp"),
        word("operation"),
        word("status"),
        word("preset"),
        number("files_copied"),
        number("duration_ms")
    );
    let made = word("backup_created");
    let about = if made.is_empty() { word("backup") } else { made };
    for (label, what) in [("backup", about), ("error", word("error_message"))] {
        if !what.is_empty() {
            text.push_str(&format!("\n    {label}: {what}"));
        }
    }
    text
}
