//! gwinstall as a library: the pure modules and the doors, so that tests, benches and fuzz targets reach
//! them. The command line in `main.rs` is the only product; nothing here is a stable API.
//!
//! Layers, lowest first; a module imports only from those before it (`tests/layers.rs` holds the list):
//! `domain` → `format` → `doors` → `bundle` → `render` → `deploy` → `gateway` → `release` → `inspect` → `cli` → `ui` →
//! `commands`.

pub mod bundle;
pub mod cli;
pub mod commands;
pub mod deploy;
pub mod domain;
pub mod doors;
pub mod format;
pub mod gateway;
pub mod inspect;
pub mod release;
pub mod render;
pub mod ui;
