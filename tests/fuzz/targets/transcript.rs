//! A line of a transcript of Claude Code: its facts are bounded, and a cut line is not an answer.
#![no_main]

gwinstall_fuzz::target!("transcript");
