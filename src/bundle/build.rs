//! What this build is: facts fixed when it was compiled.

/// Version of the binary and of the bundle inside it.
pub const VERSION: &str = match option_env!("GWINSTALL_BUILD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// The target triple.
pub const TARGET: &str = env!("GWINSTALL_BUILD_TARGET");

/// `owner/name` on GitHub; without it there is no default origin for updates.
pub const REPO: Option<&str> = option_env!("GWINSTALL_BUILD_REPO");

/// The commit it was built from, where the builder said so.
pub const COMMIT: Option<&str> = option_env!("GWINSTALL_BUILD_COMMIT");

/// The list of keys that may sign releases; empty in a build from source.
pub const KEYS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/keys.json"));

/// Place of this release in the order of all releases; 0 for a build from source.
pub fn seq() -> u64 {
    option_env!("GWINSTALL_BUILD_SEQ").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Seconds since 1970 when it was built, where the builder said so: a clock before it is wrong.
pub fn date() -> Option<i64> {
    option_env!("GWINSTALL_BUILD_DATE").and_then(|text| text.parse().ok())
}
