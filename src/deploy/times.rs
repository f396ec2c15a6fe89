//! How long the phases of an operation took, for `--verbose` and `--json`. Measures and says it; decides nothing.

use std::cell::RefCell;

use serde::Serialize;

use crate::doors::progress;
use crate::doors::system::Stopwatch;

/// One phase of an operation, completed or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Took {
    pub phase: &'static str,
    pub duration_ms: u64,
}

/// Phases in the order in which they ended.
#[derive(Debug, Default)]
pub struct Times(RefCell<Vec<Took>>);

impl Times {
    /// Runs `work` and records its duration, whether it succeeded or not.
    pub fn of<T, E>(
        &self,
        phase: &'static str,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let watch = Stopwatch::start();
        let done = progress::phase(phase, work);
        self.0.borrow_mut().push(Took { phase, duration_ms: watch.milliseconds() });
        done
    }

    pub fn so_far(&self) -> Vec<Took> {
        self.0.borrow().clone()
    }
}
