//! Shell start-up files: a literal find is found again when it is written out plainly.
#![no_main]

gwinstall_fuzz::target!("rc");
