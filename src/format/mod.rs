//! Text formats of other programs (`.env`, shell rc files, settings.json, YAML with positions, answers of models): parsed
//! from `&str`, edited by splices, never re-serialised. No I/O.

pub mod age;
pub mod dotenv;
pub mod litellm;
pub mod merge;
pub mod messages;
pub mod rc;
pub mod schema;
pub mod sessions;
pub mod settings;
pub mod transcript;
pub mod yaml;
