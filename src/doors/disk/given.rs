//! Reading what a person names as input: `--from FILE`, `<(pass show …)`, `/dev/stdin`.
//!
//! Unlike at gwinstall's own paths, links are followed and a pipe is read to its end. Promise: at most `cap` bytes are
//! taken, and a signal ends the wait for a pipe without a writer.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::failure::failure;
use super::look;
use crate::domain::{Error, Result};
use crate::doors::signals;

/// All that is in the file, or comes through the pipe.
pub fn read_given(path: &Path, cap: u64) -> Result<Vec<u8>> {
    let cannot = |error: io::Error| failure("read", path, &error);
    // Without O_NONBLOCK opening a pipe waits for a writer, and no signal ends that.
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    let bytes = if meta.is_file() {
        let mut bytes = Vec::new();
        file.take(cap + 1).read_to_end(&mut bytes).map_err(cannot)?;
        bytes
    } else if meta.file_type().is_fifo() {
        drain(&mut file, cap, &cannot)?
    } else {
        return Err(cannot(io::Error::other(format!("it is {}", look::kind_of(&meta)))));
    };
    if bytes.len() as u64 > cap { Err(look::too_large(path, cap)) } else { Ok(bytes) }
}

/// All that comes through standard input.
pub fn read_stdin(cap: u64) -> Result<Vec<u8>> {
    let path = Path::new("standard input");
    let bytes = drain(&mut io::stdin().lock(), cap, &|error| failure("read", path, &error))?;
    if bytes.len() as u64 > cap { Err(look::too_large(path, cap)) } else { Ok(bytes) }
}

/// Reads to the end, or until there is more than `cap`.
fn drain(source: &mut (impl Read + AsFd), cap: u64, cannot: &dyn Fn(io::Error) -> Error) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    while bytes.len() as u64 <= cap {
        signals::check()?;
        // The timeout covers a signal that arrives between `check` and `poll`.
        let timeout = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        if matches!(
            poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&timeout)),
            Ok(0) | Err(rustix::io::Errno::INTR)
        ) {
            continue;
        }
        match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(cannot(error)),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_links_and_pipes_are_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_given(&file, 4).unwrap(), b"text");
        assert_eq!(read_given(&link, 4).unwrap(), b"text");
        let large = read_given(&file, 3).unwrap_err().to_string();
        assert!(large.contains("at most 3 bytes are read"), "{large}");
        for other in [dir.path(), Path::new("/dev/zero"), &dir.path().join("absent")] {
            read_given(other, 4).unwrap_err();
        }
    }

    /// A writer that comes late and writes in pieces; one that writes without end.
    #[test]
    fn a_pipe_is_waited_for_and_capped() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .unwrap();
        let write = |pieces: &'static [&'static str]| {
            let pipe = pipe.clone();
            std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(50));
                let mut pipe = OpenOptions::new().write(true).open(pipe).unwrap();
                for piece in pieces {
                    let _ = io::Write::write_all(&mut pipe, piece.as_bytes());
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
            })
        };
        let writer = write(&["se", "cret\n"]);
        assert_eq!(read_given(&pipe, 64).unwrap(), b"secret\n");
        writer.join().unwrap();
        let writer = write(&["0123456789"; 20]);
        assert!(read_given(&pipe, 64).unwrap_err().to_string().contains("too large"));
        writer.join().unwrap();
    }
}
