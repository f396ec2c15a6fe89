//! The binary as a person or a script meets it: every test has a home of its own, runs the real program in it and looks
//! at what came back and at what is on disk. Nothing here reaches into the crate; what the tests know is what the manual says.
//!
//! `GWINSTALL_BIN=path cargo test --test cli` runs all of it against another binary, for example the release.
#![allow(
    clippy::use_debug,
    clippy::map_err_ignore,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests touch the disk and the clock, stop where they fail, and keep their tables in one place"
)]

mod backups;
mod broken_edits;
mod bundle;
mod canary;
mod completions;
mod conflicts;
mod encrypted;
mod exits;
mod file_systems;
mod foreign;
mod goals;
mod hints;
mod home;
mod homes;
mod interactive;
mod interactive_giving_up;
mod interactive_plain;
mod interactive_ready;
mod interactive_windows;
mod interrupted;
mod json;
mod leftover_values;
mod lost_record;
mod managed;
mod manual;
mod messages;
mod messages_of_errors;
mod no_change;
mod open_conflicts;
mod outside_text;
mod permissions;
mod rollback;
mod rules;
mod settings;
mod settings_places;
mod shell_files;
mod sources;
mod states;
mod targets;
mod terminal;
mod tree;
mod usage;
mod values;
mod wrong_inputs;
