//! Writes archives: deterministic, plain ustar, gzipped.
//!
//! Promise: the same entries in the same order give the same tar bytes on every machine, equal to what
//! `tar --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0` writes, and every archive
//! written here is accepted by the strict reader (`ustar.rs`), which shares the name rules below.
//! Never: owner names, times, links, extended headers.

use std::cmp::Ordering;
use std::io::{self, Read, Write};

use flate2::{Compression, GzBuilder, write::GzEncoder};

/// Size of a tar block; headers are one block, bodies are padded to whole blocks.
pub const BLOCK: usize = 512;
/// GNU tar's record: an archive is padded to a multiple of it.
pub const RECORD: u64 = 10_240;
/// Components of a path at most.
pub const MAX_DEPTH: usize = 8;

const NAME_LEN: usize = 100;
const PREFIX_LEN: usize = 155;
/// Largest size that eleven octal digits hold.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// What an entry is. The dialect allows nothing else. A written archive has files only: directories follow from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
}

/// Writes one tar archive to `W`, entry by entry.
pub struct Packer<W: Write> {
    out: W,
    written: u64,
}

/// An archive as gwinstall ships and keeps it: ustar inside one gzip member without name or time. `level` is flate2's
/// 0–9; backups take 1, releases 9. End with `finish()?.finish()?`.
pub fn tar_gz<W: Write>(out: W, level: u32) -> Packer<GzEncoder<W>> {
    Packer::new(GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::new(level)))
}

impl<W: Write> Packer<W> {
    pub fn new(out: W) -> Self {
        Self { out, written: 0 }
    }

    /// Adds a file from memory.
    pub fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        self.stream(path, mode, bytes.len() as u64, &mut &bytes[..])
    }

    /// Adds a file of exactly `size` bytes from a reader. A source that is shorter or longer is an error: it changed
    /// while it was read, and the archive must be discarded.
    pub fn stream(&mut self, path: &str, mode: u32, size: u64, body: &mut dyn Read) -> io::Result<()> {
        self.put(&header(path, EntryKind::File, mode, size)?)?;
        let copied = io::copy(&mut Read::take(&mut *body, size), &mut self.out)?;
        if copied != size || body.read(&mut [0])? != 0 {
            return Err(invalid(path, "its size changed while it was read"));
        }
        self.written += size;
        self.pad(BLOCK as u64)
    }

    /// Ends the archive: two zero blocks, zeros up to a full record.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(&[0; 2 * BLOCK])?;
        self.pad(RECORD)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn pad(&mut self, unit: u64) -> io::Result<()> {
        let missing = (unit - self.written % unit) % unit;
        self.written += io::copy(&mut io::repeat(0).take(missing), &mut self.out)?;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// The one valid header for these facts. The reader rebuilds it and compares, so two readings of one header are
/// impossible.
pub fn header(path: &str, kind: EntryKind, mode: u32, size: u64) -> io::Result<[u8; BLOCK]> {
    check_path(path.as_bytes()).map_err(|why| invalid(path, why))?;
    if size > MAX_SIZE || mode > 0o7777 {
        return Err(invalid(path, "its size or mode does not fit a ustar header"));
    }
    let slash = if kind == EntryKind::Directory { "/" } else { "" };
    let name = format!("{path}{slash}");
    let (prefix, name) = split_name(name.as_bytes()).ok_or_else(|| invalid(path, "too long for ustar"))?;

    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(0);
    header.set_entry_type(match kind {
        EntryKind::File => tar::EntryType::Regular,
        EntryKind::Directory => tar::EntryType::Directory,
    });
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    let ustar = header.as_ustar_mut().ok_or_else(|| invalid(path, "not a ustar header"))?;
    ustar.name[..name.len()].copy_from_slice(name);
    ustar.prefix[..prefix.len()].copy_from_slice(prefix);

    let mut bytes = *header.as_bytes();
    // Six digits, NUL, space: as GNU tar and POSIX have it; the crate writes seven digits and NUL.
    let sum = format!("{:06o}\0 ", checksum(&bytes));
    bytes[148..156].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

/// The checksum of a header: its bytes summed, with the checksum field taken as spaces.
pub fn checksum(header: &[u8; BLOCK]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&header[..148]) + 8 * u32::from(b' ') + sum(&header[156..])
}

/// Splits a name over 100 bytes as GNU tar does: at the last slash that leaves a prefix of at most 155 bytes.
fn split_name(full: &[u8]) -> Option<(&[u8], &[u8])> {
    if full.len() <= NAME_LEN {
        return Some((&[], full));
    }
    let end = if full.len() > PREFIX_LEN + 1 { PREFIX_LEN + 1 } else { full.len() - 1 };
    let at = full[..end].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, name) = (&full[..at], &full[at + 1..]);
    (!prefix.is_empty() && !name.is_empty() && name.len() <= NAME_LEN).then_some((prefix, name))
}

/// The rule for paths inside an archive: relative, at most eight components of `[A-Za-z0-9._@+-]`, none of them
/// `.` or `..`. The reason is worded to follow a path.
pub fn check_path(path: &[u8]) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("an empty path");
    }
    if path[0] == b'/' {
        return Err("an absolute path");
    }
    for (depth, part) in path.split(|byte| *byte == b'/').enumerate() {
        match part {
            b"" => return Err("an empty path component"),
            b"." | b".." => return Err("a path with `.` or `..`"),
            _ if depth >= MAX_DEPTH => return Err("a path deeper than 8 components"),
            _ if !part.iter().all(|byte| allowed(*byte)) => {
                return Err("a path with a character outside [A-Za-z0-9._@+-]");
            }
            _ => {}
        }
    }
    Ok(())
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'+' | b'-')
}

/// The order of `--sort=name`: component by component, so `a/x` comes before `a.txt`.
pub fn by_name(left: &str, right: &str) -> Ordering {
    left.split('/').cmp(right.split('/'))
}

fn invalid(path: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("cannot pack {}: {why}", path.escape_default()))
}
