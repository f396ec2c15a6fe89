//! Everything that only looks.

pub mod conflicts;
pub mod drift;
pub mod overrides;
pub mod pointed;
pub mod prerequisites;
pub mod templates;
