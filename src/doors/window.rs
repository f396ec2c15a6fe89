//! The size of the terminal window.

use rustix::termios::tcgetwinsize;

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub width: usize,
    pub height: usize,
}

/// The usual size where the terminal does not report one.
pub(super) fn size() -> Size {
    let (width, height) = tcgetwinsize(std::io::stderr())
        .or_else(|_| tcgetwinsize(std::io::stdout()))
        .map_or((0, 0), |size| (size.ws_col.into(), size.ws_row.into()));
    Size {
        width: if width == 0 { 80 } else { width.max(8) },
        height: if height == 0 { 24 } else { height.max(4) },
    }
}
