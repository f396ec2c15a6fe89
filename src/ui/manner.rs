//! How a run talks, by its flags, the environment and the terminal.

use crate::cli::{Color, Common};
use crate::doors::{system, term};

/// Decides for this run. Called once, before anything is printed.
pub fn set(common: &Common) {
    let color = match common.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            term::stdout_is_terminal()
                && system::variable("NO_COLOR").is_none()
                && system::variable("TERM").is_none_or(|term| term != "dumb")
        }
    };
    let dumb = system::variable("TERM").is_none_or(|term| term == "dumb");
    let plain = common.plain || dumb || system::variable("ACCESSIBLE").is_some();
    term::set_manner(term::Manner {
        quiet: common.quiet,
        verbose: common.verbose,
        color,
        json: common.json,
        plain,
    });
}
