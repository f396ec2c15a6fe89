//! `settings.json`: our keys in and out again are the identical bytes.
#![no_main]

gwinstall_fuzz::target!("settings");
