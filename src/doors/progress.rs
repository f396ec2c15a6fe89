//! A progress bar for downloads: on a terminal's stderr only, never in CI, never with `--quiet` or `--json`.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{system, term};

/// A bar of `len` bytes with a name; where it does not belong it draws nothing.
pub struct Bar(ProgressBar);

impl Bar {
    pub fn new(name: &str, len: u64) -> Self {
        let manner = term::manner();
        let wanted = std::io::stderr().is_terminal()
            && system::variable("CI").is_none()
            && !manner.quiet
            && !manner.json;
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(len), target).with_prefix(name.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// How much has arrived in all.
    pub fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}
