//! LiteLLM configurations: every finding points into the text.
#![no_main]

gwinstall_fuzz::target!("validate");
