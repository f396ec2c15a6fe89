//! The doors: the only modules with effects. Everything else computes.
//!
//! - `disk`: files and directories, and the few system calls a transaction stands on
//! - `errno`: what an error of the operating system means
//! - `exe`: executables of gwinstall itself: trying one, running one, becoming one
//! - `job`: a long run of another program
//! - `listeners`: which processes listen on a port
//! - `processes`: other processes, as the kernel shows them
//! - `progress`: a bar for downloads
//! - `system`: environment, clock, identity, randomness, other programs
//! - `term`: what the user sees and answers
//! - `prompt`: questions, drawn or line by line
//! - `window`: the size of the terminal window
//! - `wrap`: lines broken between words
//! - `signals`: Ctrl-C and friends, as a flag
//! - `loopback`: plain HTTP to this machine
//! - `net`: HTTPS to everywhere else, and only where a command announced it

// The lint that keeps effects out of every other module.
#![allow(clippy::disallowed_methods)]

pub mod disk;
mod errno;
pub mod exe;
pub mod job;
pub mod listeners;
mod live;
pub mod loopback;
pub mod net;
pub mod processes;
pub mod progress;
pub mod prompt;
pub mod signals;
pub mod system;
pub mod term;
mod window;
mod wrap;
