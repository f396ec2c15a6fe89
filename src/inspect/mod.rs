//! Everything that only looks: what is deployed, which address Claude Code uses, what is missing, what has changed.
//!
//! Promise: each fact is read once and checked in one place, so that `doctor`, `status`, `env check`, `validate` and
//! the checks before an installation never disagree about a file or a variable. Never: writes, or runs LiteLLM.

pub mod bill;
pub mod configuration;
pub mod conflicts;
pub mod drift;
pub mod examine;
pub mod facts;
pub mod history;
pub mod machine;
pub mod next;
pub mod overrides;
pub mod permitted;
pub mod pointed;
pub mod port;
pub mod prerequisites;
pub mod state;
pub mod templates;
pub mod transcripts;
pub mod variables;
