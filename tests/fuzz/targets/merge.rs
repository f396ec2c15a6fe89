//! Three-way merges: nobody invents a line, and a clean merge can be read.
#![no_main]

gwinstall_fuzz::target!("merge");
