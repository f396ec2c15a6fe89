//! The readers and writers of text against the programs that define the format, over random input and over files as
//! people write them.
#![allow(
    clippy::use_debug,
    clippy::map_err_ignore,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests touch the disk and stop where they fail"
)]

mod dotenv;
mod litellm;
mod merge;
mod merge_random;
mod merge_table;
mod rc;
mod settings;
mod yaml;

#[path = "../properties/mod.rs"]
mod properties;
