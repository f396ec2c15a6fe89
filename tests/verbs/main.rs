//! Each command with the real program: what it lists, says, asks and changes, in a home of its own.
//!
//! `tests/cli` shows the promises that hold for every command; here is what each one does, and what becomes of a
//! deployment that an older release made (`kept_release`).
#![allow(
    clippy::use_debug,
    clippy::map_err_ignore,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests touch the disk and the clock, stop where they fail, and say what they skip"
)]

mod agreement;
mod armed;
mod backup;
mod doctor;
mod env;
mod exam;
mod exam_endless;
mod gateway;
mod install;
mod kept_release;
mod key_check;
mod leaving;
mod logins;
mod models;
mod own_presets;
mod pairs;
mod presets;
mod ready;
mod render;
mod render_agree;
mod render_edge;
mod render_kubernetes;
mod render_servers;
mod renewal;
mod report;
mod resolve;
mod runtime;
mod service;
mod spending;
mod takeover;
mod using;
mod world;
