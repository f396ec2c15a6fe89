//! Archives: what is accepted, written again, is the archive.
#![no_main]

gwinstall_fuzz::target!("ustar");
