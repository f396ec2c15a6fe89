//! The words of the product as plain values: no I/O, no clock, no environment.

pub mod check;
pub mod error;
pub mod exit;
pub mod hash;
pub mod hint;
pub mod instant;
pub mod name;
pub mod operation;
pub mod place;
pub mod plan;
pub mod record;
pub mod regions;
pub mod request;
pub mod runtime;
pub mod secret;
pub mod session;
pub mod stand_in;
pub mod tokens;
pub mod tree;
pub mod url;
pub(crate) mod word;

pub use error::{Error, Kind, Result};
pub use hash::Sha256;
pub use hint::{Hint, Invocation};
pub use instant::Instant;
pub use operation::Operation;
pub use place::Place;
pub use secret::Secret;
