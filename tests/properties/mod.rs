//! What must hold for any bytes that a reader of untrusted input is given, and good inputs to start from.
//!
//! One table for two ways of looking: `tests/updates/fuzzing.rs` tries seeded mutants of the seeds with every `cargo test`,
//! `tests/fuzz` lets a coverage-guided fuzzer search for hours. A property panics where it does not hold and says
//! whether the input was accepted, so that a run which only made rubbish is noticed.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod archive;
pub mod release;
pub mod text;
pub mod transcript;

/// A reader, by the name of its fuzz target.
pub struct Target {
    pub name: &'static str,
    pub seeds: fn() -> Vec<Vec<u8>>,
    pub holds: fn(&[u8]) -> bool,
    /// Bytes on the heap at most, whatever the input: the product's own budget is 24 MiB for a whole command. An
    /// archive may name a file as large as a bundle may be, and room for it is made before its first byte is read.
    pub memory: usize,
}

const MIB: usize = 1 << 20;

pub static TARGETS: [Target; 11] = [
    Target { name: "manifest", seeds: release::manifests, holds: release::manifest, memory: 8 * MIB },
    Target { name: "keys", seeds: release::key_lists, holds: release::keys, memory: 8 * MIB },
    Target { name: "channel", seeds: release::channels, holds: release::channel, memory: 8 * MIB },
    Target { name: "minisig", seeds: release::signatures, holds: release::minisig, memory: 8 * MIB },
    Target { name: "ustar", seeds: archive::tapes, holds: archive::tape, memory: 72 * MIB },
    Target { name: "dotenv", seeds: text::dotenvs, holds: text::dotenv, memory: 8 * MIB },
    Target { name: "rc", seeds: text::shell_files, holds: text::rc, memory: 8 * MIB },
    Target { name: "settings", seeds: text::settings_files, holds: text::settings, memory: 8 * MIB },
    Target { name: "validate", seeds: text::configurations, holds: text::validate, memory: 24 * MIB },
    Target { name: "merge", seeds: text::merges, holds: text::merge, memory: 24 * MIB },
    Target { name: "transcript", seeds: transcript::lines, holds: transcript::transcript, memory: 8 * MIB },
];

pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}
