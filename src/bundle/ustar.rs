//! The strict archive reader, for bundles, backups and offline archives alike.
//!
//! Tar readers disagree about odd archives, and every disagreement is a place to hide a file. So this accepts one
//! tiny dialect: one gzip member up to the end of the input, plain ustar headers that equal byte for byte what gwinstall's
//! own writer would have written for the same facts, two zero blocks, then only zeros. Everything else is refused with
//! `Kind::Unverified` and the name escaped.
//!
//! Promise: memory is bounded whatever the input; a name is checked before anyone sees it; the bytes handed out are
//! the bytes that were checked. Never: writes anything, follows a header's mode, skips what it does not know.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::GzDecoder;

pub use super::pack::EntryKind;
use super::pack::{self, BLOCK, RECORD};
#[cfg(any(test, feature = "internals"))]
use crate::domain::tree::Content;
use crate::domain::{Error, Kind, Result};

/// How much an archive may unpack to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the tar stream, headers and padding included.
    pub unpacked: u64,
    /// Files; as many directories again.
    pub files: usize,
    /// Unpacked bytes per compressed byte.
    pub ratio: u64,
}

impl Limits {
    /// A configuration bundle.
    pub const BUNDLE: Self = Self { unpacked: 64 << 20, files: 10_000, ratio: 200 };
    /// A backup: the user's files may compress as well as they like, deflate itself ends at 1032:1. A backup
    /// that gwinstall wrote and then refuses to read would be the worse failure.
    pub const BACKUP: Self = Self { unpacked: 64 << 20, files: 10_000, ratio: 1_100 };
    /// An offline archive with the executables of every target, and LiteLLM for some.
    pub const OFFLINE: Self = Self { unpacked: 2 << 30, files: 1_000, ratio: 200 };
}

/// A ratio means nothing before this much is unpacked: the padding of a tiny archive alone is 200:1.
const RATIO_FROM: u64 = 64 << 10;

/// Length of a gzip header without optional parts.
const GZIP_HEADER: usize = 10;

/// One checked header. The mode is what the header says; the mode of a written file comes from a manifest or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: String,
    pub kind: EntryKind,
    pub mode: u32,
    pub size: u64,
}

/// The caller's function for each entry: it may read the body, or leave it.
pub type OnEntry<'a> = &'a mut dyn FnMut(&Entry, &mut dyn Read) -> Result<()>;

/// Reads a `.tar.gz`.
pub fn read(gz: impl Read, limits: &Limits, on_entry: OnEntry<'_>) -> Result<()> {
    let mut raw = gz;
    let mut head = [0; GZIP_HEADER];
    raw.read_exact(&mut head).map_err(|cause| broken(&cause))?;
    // Magic, deflate, no flags: no name, comment, extra field or header checksum to hide things in.
    if head[..4] != [0x1f, 0x8b, 8, 0] {
        return Err(refuse("it does not begin with a plain gzip header"));
    }
    let packed = Rc::new(Cell::new(0));
    let raw = Counted { inner: Cursor::new(head).chain(raw), count: Rc::clone(&packed) };
    let gunzip = GzDecoder::new(BufReader::with_capacity(32 << 10, raw));
    // A header is 512 bytes, and a call of the decoder costs as much as thousands.
    let mut tar = BufReader::with_capacity(32 << 10, gunzip);
    walk(Tape { inner: &mut tar, count: 0, packed: Some(packed), limits: *limits }, on_entry)?;
    // The decoder stops at the end of its member and says nothing about what follows.
    let rest = tar.get_mut().get_mut().fill_buf().map_err(|cause| broken(&cause))?;
    if rest.is_empty() { Ok(()) } else { Err(refuse("bytes follow the gzip member")) }
}

/// Reads a `.tar` that is not gzipped, as the offline archive is.
pub fn read_tar(tar: impl Read, limits: &Limits, on_entry: OnEntry<'_>) -> Result<()> {
    walk(Tape { inner: tar, count: 0, packed: None, limits: *limits }, on_entry)
}

/// The files of a whole `.tar.gz` in memory, by path: for tests and for the builder of releases.
#[cfg(any(test, feature = "internals"))]
pub fn unpack(gz: impl Read, limits: &Limits) -> Result<BTreeMap<String, Content>> {
    let mut files = BTreeMap::new();
    read(gz, limits, &mut |entry, body| {
        if entry.kind == EntryKind::File {
            files.insert(entry.path.clone(), whole(entry, body)?.into());
        }
        Ok(())
    })?;
    Ok(files)
}

/// The body of one entry in memory, for an `on_entry` that wants a small file whole.
pub fn whole(entry: &Entry, body: &mut dyn Read) -> Result<Vec<u8>> {
    // The size was held against the limit when the header was read, so this allocation is bounded.
    let mut bytes = Vec::with_capacity(usize::try_from(entry.size).unwrap_or(0));
    body.read_to_end(&mut bytes).map_err(|cause| broken(&cause))?;
    Ok(bytes)
}

fn walk(mut tape: Tape<impl Read>, on_entry: OnEntry<'_>) -> Result<()> {
    let mut names = Names { seen: BTreeMap::new(), files: 0, directories: 0, limit: tape.limits.files };
    let mut block = [0; BLOCK];
    loop {
        tape.read_exact(&mut block).map_err(|cause| broken(&cause))?;
        if block == [0; BLOCK] {
            return tape.end();
        }
        let entry = entry_of(&block)?;
        if entry.size > tape.limits.unpacked {
            return Err(refuse(format!("{} is larger than an archive may be", entry.path)));
        }
        names.add(&entry)?;
        let mut body = Body { left: entry.size, tape: &mut tape, fault: None };
        let outcome = on_entry(&entry, &mut body);
        body.finish(outcome)?;
    }
}

/// The tar stream with its caps: every read is counted before it is believed.
struct Tape<R> {
    inner: R,
    count: u64,
    packed: Option<Rc<Cell<u64>>>,
    limits: Limits,
}

impl<R: Read> Tape<R> {
    /// After the first zero block: the second, then zeros up to a full record and not one byte more, as the
    /// writer pads.
    fn end(&mut self) -> Result<()> {
        let left = BLOCK as u64 + (RECORD - (self.count + BLOCK as u64) % RECORD) % RECORD;
        let mut zeros = Vec::new();
        self.by_ref().take(left + 1).read_to_end(&mut zeros).map_err(|cause| broken(&cause))?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(refuse("data follow its end-of-archive block"));
        }
        if zeros.len() as u64 != left {
            return Err(refuse("its end is not two zero blocks padded to a full record"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Tape<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        if self.count > self.limits.unpacked {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it unpacks to more than its limit"));
        }
        if let Some(packed) = &self.packed
            && self.count > RATIO_FROM
            && self.count / self.limits.ratio > packed.get()
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it unpacks to far more than its size"));
        }
        Ok(read)
    }
}

/// One entry's body. Keeps the first fault of the archive, so that a caller who reports "cannot write x" for it
/// is overruled.
struct Body<'a, R> {
    left: u64,
    tape: &'a mut Tape<R>,
    fault: Option<Error>,
}

impl<R: Read> Body<'_, R> {
    fn finish(mut self, outcome: Result<()>) -> Result<()> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        outcome?;
        let unit = BLOCK as u64;
        if let Err(cause) = io::copy(&mut self, &mut io::sink()) {
            return Err(self.fault.unwrap_or_else(|| broken(&cause)));
        }
        let padding = (unit - self.tape.count % unit) % unit;
        let mut zeros = [0; BLOCK];
        let zeros = &mut zeros[..usize::try_from(padding).unwrap_or(0)];
        self.tape.read_exact(zeros).map_err(|cause| broken(&cause))?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(refuse("the padding of an entry is not zero"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let outcome = match self.tape.read(&mut buffer[..most]) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            outcome => outcome,
        };
        match &outcome {
            Ok(read) => self.left -= *read as u64,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => {
                self.fault.get_or_insert_with(|| broken(cause));
            }
        }
        outcome
    }
}

/// Counts the compressed bytes that were taken from the input.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// The names seen so far, case-folded: what would be one file on a case-insensitive disk is a duplicate.
struct Names {
    /// Folded path → spelling, and whether it is a file.
    seen: BTreeMap<String, (String, bool)>,
    files: usize,
    directories: usize,
    limit: usize,
}

impl Names {
    fn add(&mut self, entry: &Entry) -> Result<()> {
        for (at, _) in entry.path.match_indices('/') {
            let parent = &entry.path[..at];
            match self.seen.get(&parent.to_ascii_lowercase()) {
                None => self.insert(parent, false)?,
                Some((_, true)) => return Err(refuse(format!("{parent} is a file and a directory"))),
                Some((spelling, _)) if spelling != parent => {
                    return Err(refuse(format!("{spelling} and {parent} differ only in case")));
                }
                Some(_) => {}
            }
        }
        if self.seen.contains_key(&entry.path.to_ascii_lowercase()) {
            return Err(refuse(format!("{} occurs twice", entry.path)));
        }
        self.insert(&entry.path, entry.kind == EntryKind::File)
    }

    fn insert(&mut self, path: &str, file: bool) -> Result<()> {
        *(if file { &mut self.files } else { &mut self.directories }) += 1;
        if self.files.max(self.directories) > self.limit {
            return Err(refuse(format!("it holds more than {} entries", self.limit)));
        }
        self.seen.insert(path.to_ascii_lowercase(), (path.to_owned(), file));
        Ok(())
    }
}

/// Reads one header. Each check has its own words; the last one, equality with the header that the writer makes
/// for the same facts, leaves no byte unexplained.
fn entry_of(block: &[u8; BLOCK]) -> Result<Entry> {
    let sum = block[148..156].iter().take_while(|byte| byte.is_ascii_digit());
    let sum = sum.fold(0, |sum, digit| sum << 3 | u32::from(digit - b'0'));
    let shown = || field(&block[..100]).unwrap_or(&block[..100]).escape_ascii().to_string();
    let bad = |why: &str| refuse(format!("entry {}: {why}", shown()));
    if &block[257..265] != b"ustar\x0000" {
        return Err(bad("its header is not plain ustar"));
    }
    // The value here, so that a damaged header is called damaged; its exact form with the rest below.
    if sum != pack::checksum(block) {
        return Err(bad("its header checksum is wrong"));
    }
    let kind = match block[156] {
        b'0' => EntryKind::File,
        b'5' => EntryKind::Directory,
        other => return Err(bad(&format!("entry type `{}` is not allowed", other.escape_ascii()))),
    };
    if block[157..257] != [0; 100] {
        return Err(bad("a link name is not allowed"));
    }
    if block[329..345].iter().any(|byte| !matches!(byte, 0 | b' ' | b'0')) {
        return Err(bad("device numbers are not allowed"));
    }
    let (name, prefix) = (field(&block[..100]), field(&block[345..500]));
    let (Some(name), Some(prefix)) = (name, prefix) else {
        return Err(bad("bytes follow the end of its name"));
    };
    let full = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
    let path = match (kind, full.strip_suffix(b"/")) {
        (EntryKind::Directory, Some(path)) => path,
        (EntryKind::File, None) => &full,
        _ => return Err(bad("only the name of a directory ends with a slash")),
    };
    pack::check_path(path).map_err(|why| refuse(format!("{why}: {}", path.escape_ascii())))?;
    let Ok(path) = String::from_utf8(path.to_vec()) else { return Err(bad("its name is not text")) };
    let size = octal(&block[124..136]).ok_or_else(|| bad("its size is not plain octal"))?;
    let mode = octal(&block[100..108]).and_then(|mode| u32::try_from(mode).ok());
    let mode = mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| bad("its mode is not plain octal"))?;
    if kind == EntryKind::Directory && size != 0 {
        return Err(bad("a directory has no size"));
    }
    if !pack::header(&path, kind, mode, size).is_ok_and(|canonical| canonical == *block) {
        return Err(bad("its header carries more than path, mode and size (owner, time, spare bytes)"));
    }
    Ok(Entry { path, kind, mode, size })
}

/// The text of a NUL-padded field; `None` if anything follows the first NUL.
fn field(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes[end..].iter().all(|byte| *byte == 0).then(|| &bytes[..end])
}

/// Octal digits and one NUL, nothing else: no spaces, no base-256, no sign.
fn octal(bytes: &[u8]) -> Option<u64> {
    let (last, digits) = bytes.split_last()?;
    let plain = *last == 0 && digits.iter().all(|digit| matches!(digit, b'0'..=b'7'));
    plain.then(|| digits.iter().fold(0, |value, digit| value << 3 | u64::from(digit - b'0')))
}

fn refuse(why: impl Into<String>) -> Error {
    Error::unverified(why)
}

/// A fault of the input: damaged data is unverified, a disk that cannot be read is a failure.
fn broken(cause: &io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => refuse("it ends too early"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => refuse(cause.to_string()),
        _ => Error::new(Kind::Failed, "cannot be read").because(cause),
    }
}
