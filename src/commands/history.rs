//! `history`: the last operations, newest first. Reads only the end of the log, however long it is.

use serde_json::{Value, json};

use crate::cli::HistoryArgs;
use crate::domain::name::{count, printable};
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::disk;

use crate::ui::answer::Answer;

/// Longer than any line of the log; the tail that is read grows until it holds enough lines.
const LINE: u64 = 4096;

/// However long the lines are that another program put there, no more is read than this, or than the limit asks for.
const MOST: u64 = 4 << 20;

/// An operation takes some 10 KB of memory while it is read; of more than these nothing can be seen at once anyway.
const MOST_OPERATIONS: usize = 5000;

pub(super) fn run(place: &Place, args: &HistoryArgs) -> Result<Answer> {
    if args.limit == 0 {
        return Err(Error::usage("--limit must be at least 1").hint(Hint::run(&["history", "--limit", "1"])));
    }
    let limit = args.limit.min(MOST_OPERATIONS);
    let path = place.log();
    let len = disk::facts(&path).map_or(0, |(len, _)| len);
    let mut bytes = LINE * (limit as u64 + 1);
    let most = bytes.max(MOST);
    let operations = loop {
        let tail = disk::tail(&path, bytes)?;
        let (text, whole) = (String::from_utf8_lossy(&tail), bytes >= len);
        // The first line of a tail may be cut.
        let cut = if whole { 0 } else { text.find('\n').map_or(text.len(), |end| end + 1) };
        let lines = text[cut..].lines().rev();
        let operations: Vec<Value> =
            lines.filter_map(|line| serde_json::from_str(line).ok()).take(limit).collect();
        if whole || operations.len() >= limit || bytes >= most {
            break operations;
        }
        bytes = bytes.saturating_mul(4).min(most);
    };
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
