//! What a bundle is made of: archives, from honest and hostile writers, and the guides, whose tables equal the catalog.
#![allow(
    clippy::use_debug,
    clippy::map_err_ignore,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests touch the disk and stop where they fail"
)]

mod forge;
mod guides;
mod hostile;
mod vectors;
mod writer;
