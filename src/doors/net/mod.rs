//! The only door to the network: GET over https, to announced hosts.
//!
//! Promise: https only (plain http to this machine alone); at most five redirects, each to the first host, github.com
//! or *.githubusercontent.com; every wait and every body has an end; a retry only where the failure may pass by
//! itself; no secret leaves for another host or reaches a message. What arrives is bytes: whether they are
//! believed is decided by signatures, elsewhere. Never: posts anything, keeps a cookie, follows to http.

mod address;
mod authorities;
mod client;
mod diagnose;
mod fault;
mod issuer;
mod proxy;
mod timeouts;

pub use address::Address;
pub use authorities::Authorities;
pub use client::{Answer, Client};
pub use diagnose::Diagnosis;
pub use fault::in_words;
pub use proxy::{Bypass, ProxyRule};
pub use timeouts::Timeouts;
