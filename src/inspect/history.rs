//! The log of operations, read from its end. Looks only.
//!
//! Promise: however long the log is, and however long the lines are that another program put there, no more of it is
//! held than the operations asked for take.

use crate::domain::{Place, Result};
use crate::doors::disk;

/// Longer than any line that gwinstall writes.
const LINE: u64 = 4096;

/// The log is read by this much at first, and by more only where that holds too few lines.
const AT_ONCE: u64 = 4 << 20;

/// The newest operations, newest first.
#[derive(Debug)]
pub struct Newest<T> {
    pub operations: Vec<T>,
    /// Whether this is all that the log holds.
    pub whole: bool,
}

/// At most `limit` operations, each as `read` takes it from its line; lines that it cannot read are left out.
pub fn newest<T>(place: &Place, limit: usize, read: impl Fn(&str) -> Option<T>) -> Result<Newest<T>> {
    let path = place.log();
    let len = disk::facts(&path).map_or(0, |(len, _)| len);
    let needed = LINE * (limit as u64 + 1);
    let most = needed.max(AT_ONCE);
    let mut bytes = needed.min(AT_ONCE);
    loop {
        let tail = disk::tail(&path, bytes)?;
        let (text, all_read) = (String::from_utf8_lossy(&tail), bytes >= len);
        // The first line of a tail may be cut.
        let cut = if all_read { 0 } else { text.find('\n').map_or(text.len(), |end| end + 1) };
        let mut lines = text[cut..].lines().rev();
        let operations: Vec<T> = lines.by_ref().filter_map(&read).take(limit).collect();
        if all_read || operations.len() >= limit || bytes >= most {
            let whole = all_read && lines.next().is_none();
            return Ok(Newest { operations, whole });
        }
        bytes = bytes.saturating_mul(4).min(most);
    }
}
