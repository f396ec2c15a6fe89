//! Archives that no honest writer makes: headers forged byte by byte, for the tests of the strict reader.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use gwinstall::bundle::pack::{self, EntryKind};
use gwinstall::bundle::ustar::{self, Entry, Limits};
use gwinstall::domain::{Kind, Result};

/// A header whose every field can be lied about.
#[derive(Clone)]
pub struct Forged {
    pub block: [u8; 512],
    pub body: Vec<u8>,
}

/// A well-formed file entry to start from.
pub fn file(path: &str, body: &[u8]) -> Forged {
    let block = pack::header(path, EntryKind::File, 0o644, body.len() as u64).unwrap();
    Forged { block, body: body.to_vec() }
}

impl Forged {
    /// Overwrites bytes and puts the checksum right again, so that only the lie itself can be the reason.
    pub fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self.sealed()
    }

    pub fn named(self, name: &[u8]) -> Self {
        let mut field = [0; 100];
        field[..name.len()].copy_from_slice(name);
        self.set(0, &field)
    }

    pub fn typed(self, flag: u8) -> Self {
        self.set(156, &[flag])
    }

    pub fn linked(self, target: &[u8]) -> Self {
        self.set(157, target)
    }

    fn sealed(mut self) -> Self {
        let sum = format!("{:06o}\0 ", pack::checksum(&self.block));
        self.block[148..156].copy_from_slice(sum.as_bytes());
        self
    }
}

/// The tar bytes of these entries, properly ended.
pub fn tar(entries: &[Forged]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(entry.block);
        bytes.extend(&entry.body);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize((bytes.len() + 1024).next_multiple_of(10_240), 0);
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzBuilder::new().write(Vec::new(), Compression::new(6));
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// Reads a whole archive (gzipped or not, by its magic) as far as it goes.
pub fn read_bytes(bytes: &[u8]) -> (Result<()>, Vec<(Entry, Vec<u8>)>) {
    let mut seen = Vec::new();
    let mut keep = |entry: &Entry, body: &mut dyn std::io::Read| {
        seen.push((entry.clone(), ustar::whole(entry, body)?));
        Ok(())
    };
    let outcome = if bytes.starts_with(&[0x1f, 0x8b]) {
        ustar::read(bytes, &Limits::BUNDLE, &mut keep)
    } else {
        ustar::read_tar(bytes, &Limits::BUNDLE, &mut keep)
    };
    (outcome, seen)
}

/// Asserts exit class 8 and returns the words.
pub fn refused(bytes: &[u8], what: &str) -> String {
    match read_bytes(bytes).0 {
        Ok(()) => panic!("{what}: accepted"),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Unverified, "{what}: {error}");
            let words = error.to_string();
            assert!(words.chars().all(|c| !c.is_control()), "{what}: unescaped text in {words:?}");
            words
        }
    }
}

/// The same entries, as tar and as tar.gz, are both refused; returns the words of the second.
pub fn both_refused(entries: &[Forged], what: &str) -> String {
    let bytes = tar(entries);
    refused(&bytes, what);
    refused(&gzip(&bytes), what)
}
