//! The one line of a terminal that moves while gwinstall waits, and how everything else is printed above it.
//!
//! Promise: a printed line never tears the moving one. Never: decides whether there is such a line.

use std::sync::Mutex;

use indicatif::ProgressBar;

static LINE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// From now on this line moves; `None`: no line does.
pub(super) fn set(line: Option<ProgressBar>) {
    if let Ok(mut live) = LINE.lock() {
        *live = line;
    }
}

pub(super) fn get() -> Option<ProgressBar> {
    LINE.lock().map_or(None, |live| live.clone())
}

/// Prints something, with the moving line out of the way.
pub(super) fn above(print: impl FnOnce()) {
    match get() {
        Some(line) => line.suspend(print),
        None => print(),
    }
}
