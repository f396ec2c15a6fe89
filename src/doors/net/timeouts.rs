//! How long the network may take.

use std::time::Duration;

/// Limits of one request. Tests shorten them; users cannot.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connect: Duration,
    pub idle: Duration,
    /// Added to the time that a body of its length may take.
    pub total: Duration,
    /// The first wait before a retry; it doubles each time.
    pub pause: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            total: Duration::from_secs(60),
            pause: Duration::from_millis(500),
        }
    }
}
