//! The flag by which an owner or an administrator makes a file immutable. Reads only.

use std::path::Path;

/// Whether `path` is immutable, which no permission shows.
#[cfg(target_os = "linux")]
pub(super) fn is_immutable(path: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    file.and_then(|file| Ok(rustix::fs::ioctl_getflags(&file)?))
        .is_ok_and(|flags| flags.contains(rustix::fs::IFlags::IMMUTABLE))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_immutable(_: &Path) -> bool {
    false
}
