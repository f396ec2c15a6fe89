//! An open session of Claude Code, as it registers itself. Pure data.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Place;

/// A session by the facts that tell it from every other one, and from a later process with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub pid: i32,
    /// When the process began, in the unit of the system: with the pid it names one process. `None`: not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_start: Option<String>,
    /// The machine and process namespace in which the pid counts. `None`: not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The id by which the session names itself to a hook. `None`: not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The directory that it was opened in.
    pub directory: String,
    /// Milliseconds since 1970.
    pub started_at: u64,
}

impl Session {
    /// As a person finds it.
    pub fn shown(&self, place: &Place) -> String {
        format!("pid {} in {}", self.pid, place.show(Path::new(&self.directory)))
    }

    /// Whether two entries describe the same process. Its id and directory may have changed since.
    pub fn is_same_process(&self, other: &Self) -> bool {
        (self.pid, &self.process_start, &self.domain, self.started_at)
            == (other.pid, &other.process_start, &other.domain, other.started_at)
    }
}
