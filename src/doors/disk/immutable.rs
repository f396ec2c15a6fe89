//! The flags by which an owner or an administrator keeps a file from being changed. Reads only.

use std::path::Path;

/// The flag that keeps `path` from being changed or replaced, as `chattr` writes it, with the word for it; no permission
/// shows it.
#[cfg(target_os = "linux")]
pub(super) fn flag(path: &Path) -> Option<(char, &'static str)> {
    use rustix::fs::IFlags;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path).ok()?;
    let flags = rustix::fs::ioctl_getflags(&file).ok()?;
    let known = [(IFlags::IMMUTABLE, ('i', "immutable")), (IFlags::APPEND, ('a', "append-only"))];
    known.into_iter().find_map(|(flag, words)| flags.contains(flag).then_some(words))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn flag(_: &Path) -> Option<(char, &'static str)> {
    None
}
