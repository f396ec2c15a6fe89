//! The words of the product as plain values: no I/O, no clock, no environment.

pub mod error;
pub mod hash;

pub use error::{Error, Kind, Result};
pub use hash::Sha256;
