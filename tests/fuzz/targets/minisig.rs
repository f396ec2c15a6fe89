//! `.minisig` files and public keys: only what was signed verifies, and it has one spelling.
#![no_main]

gwinstall_fuzz::target!("minisig");
