//! Signed releases as a client meets them: signatures, who may sign, which release may follow which, downloads over
//! networks that misbehave, the change of the executable; and every reader of bytes that another party wrote, over seeded
//! mutants (`fuzzing`).
#![allow(
    clippy::use_debug,
    clippy::map_err_ignore,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests touch the disk and the clock, and stop where they fail"
)]

mod forge;
mod fuzzing;
mod minisig;
mod network;
mod order;
mod rollout;
mod server;
mod stolen;
mod tls;
mod trust;
mod update;

#[path = "../properties/mod.rs"]
mod properties;
