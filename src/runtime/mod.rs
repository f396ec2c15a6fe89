//! The LiteLLM that a gateway runs: built and kept by gwinstall itself, or found where the user put it.
//!
//! Promise: an environment counts only when it is complete. It is built in a directory of its own, every file is compared
//! with what its package lists, and only then it gets its name; a run that is killed leaves what it began, and the next one
//! removes that and begins at the start. Only packages that the signed lock names are installed. Never: changes an
//! environment that has its name, reads a version by running it, installs without being asked to.
//!
//! This layer alone knows that LiteLLM is a program in Python.

pub mod archive;
pub mod build;
pub mod builder;
pub mod choose;
pub mod environment;
pub mod facts;
mod fault;
mod index;
mod installer;
pub mod mirror;
pub mod names;
pub mod pairs;
pub mod place;
pub mod python;
pub mod staging;
mod uv;
mod verify;
pub mod version;
mod zip;
