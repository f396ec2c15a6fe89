//! `.env`: setting a variable changes its line alone, and it is read back.
#![no_main]

gwinstall_fuzz::target!("dotenv");
