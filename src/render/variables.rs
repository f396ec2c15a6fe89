//! Names of the variables that the code itself knows; all others are data of the catalog.

pub use crate::domain::stand_in::MASTER_KEY;

/// Name of the token that a gateway elsewhere wants.
pub const AUTH_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
/// Name of the address that Claude Code asks.
pub const BASE_URL: &str = "ANTHROPIC_BASE_URL";

/// Header lines that Claude Code adds to every request.
pub const HEADERS: &str = "ANTHROPIC_CUSTOM_HEADERS";
