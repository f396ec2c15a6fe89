//! Text formats that belong to others (`.env`, shell rc files, settings.json, YAML with positions): parsed
//! from `&str`, edited by splices, never re-serialised. No I/O.

pub mod dotenv;
mod dotenv_line;
pub mod rc;
mod shell_words;
