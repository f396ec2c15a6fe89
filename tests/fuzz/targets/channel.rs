//! `channel-*.json`: what is accepted says the same when it is written and read again.
#![no_main]

gwinstall_fuzz::target!("channel");
