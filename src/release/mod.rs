//! Releases: signed documents, who may sign, what was seen before, and how an update is taken.
//!
//! The trust model on one page. A person holds offline root keys; two of three name the keys of the day
//! (`keys.json`). A release key signs one manifest per release, and the manifest names every byte of it. A channel
//! key signs a small, short-lived note of what is newest: its loss allows withholding news, nothing else. Order is
//! the manifest's `seq` alone; the highest one seen is remembered and never lowered.
//!
//! Promise: no flag, variable or file skips a verification; overrides name one exact version, seq or hash.

pub mod bundles;
pub mod documents;
mod evidence;
pub mod explain;
pub mod list;
pub mod minisig;
pub mod order;
pub mod origin;
pub mod policy;
pub mod replace;
pub mod rollout;
pub mod rules;
pub mod session;
pub mod state;
pub mod strict;
pub mod trust;
pub mod trust_state;
pub mod update;
