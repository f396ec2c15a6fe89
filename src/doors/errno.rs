//! What an error of the operating system means. Pure.
//!
//! Promise: no other module compares error numbers, so what a file system may answer is written down once, with the
//! reason. Never: reads anything.

use std::io;

/// The operating system's own words, without Rust's `(os error N)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut text = text[..end].to_owned();
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_lowercase();
    }
    text
}

/// The path is a mount point: a file that was bind-mounted cannot be replaced by a rename, only rewritten.
pub fn is_mount_point(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}

/// The file system cannot exchange two files, or move one without replacing another. A system call filter answers EPERM
/// for a call that it does not know; where it means what it says, the rename that follows fails with it too.
pub fn cannot_exchange(error: &io::Error) -> bool {
    let unknown = [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTTY, libc::EPERM];
    error.raw_os_error().is_some_and(|number| unknown.contains(&number))
}

/// The system call itself is refused, not what it was asked for.
pub(super) fn is_filtered(errno: rustix::io::Errno) -> bool {
    matches!(errno, rustix::io::Errno::PERM | rustix::io::Errno::NOSYS)
}

/// The file system cannot give this file a second name.
pub fn cannot_link(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS | libc::EMLINK))
}

/// Another process made or removed the path since gwinstall looked at it.
pub fn was_raced(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EEXIST | libc::ENOENT))
}

/// The directory holds something, or something is mounted on it, so it cannot be removed.
pub(super) fn is_in_use(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST | libc::EBUSY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_left_out_of_the_words() {
        assert_eq!(reason(&io::Error::from_raw_os_error(libc::ENOENT)), "no such file or directory");
        assert_eq!(reason(&io::Error::other("it is a directory")), "it is a directory");
    }
}
