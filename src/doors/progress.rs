//! A progress bar for downloads.
//!
//! Promise: it draws on a terminal's stderr only. Never: draws in CI, or with `--quiet` or `--json`.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{system, term};

/// A bar of `len` bytes with a name; invisible where it must not draw.
pub struct Bar(ProgressBar);

impl Bar {
    pub fn new(name: &str, len: u64) -> Self {
        let manner = term::manner();
        let visible = std::io::stderr().is_terminal()
            && system::variable("CI").is_none()
            && !manner.quiet
            && !manner.json;
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(len), target).with_prefix(name.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows that so many bytes have arrived in all.
    pub fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}
