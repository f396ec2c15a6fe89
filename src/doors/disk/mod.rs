//! The door to files and directories.
//!
//! Promise: every new file is made with O_EXCL and 0600 before it gets its mode, no link is followed at gwinstall's own
//! paths, and no call is retried after a failed fsync. Never: a recursive
//! delete of anything but a directory that gwinstall built, a blind overwrite.

mod change;
mod durable;
mod failure;
mod given;
mod immutable;
mod lock;
mod look;
mod strangers;
mod tree;

pub use super::errno::{cannot_exchange, cannot_link, is_mount_point, reason, was_raced};
pub use change::*;
pub use durable::{Unflushed, flush, flush_dir};
pub use failure::{At, failure};
pub use given::{read_given, read_stdin};
pub use lock::{Holder, Lock, hold, holder};
pub use look::*;
pub use strangers::{Stranger, is_open_to_all, stranger};
pub use tree::*;
