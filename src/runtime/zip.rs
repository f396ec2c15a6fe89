//! One entry of a wheel: enough of the zip format to take the uv program out of its package.
//!
//! The whole file is compared with its pinned sha256 before this reads it, so it meets only archives that were seen when the
//! hash was written down. It refuses all the same what it does not know, and inflates no more than it is told to.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use flate2::read::DeflateDecoder;

const END: [u8; 4] = *b"PK\x05\x06";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const END_LEN: u64 = 22;
/// A wheel of uv has about twenty entries.
const DIRECTORY_CAP: u32 = 1 << 20;

/// Writes the entry whose name ends with `suffix` to `out`, at most `cap` bytes.
pub(super) fn extract(zip: &mut File, suffix: &str, cap: u64, out: &mut dyn Write) -> io::Result<()> {
    let (offset, packed, size) = find(zip, suffix)?;
    if size > cap {
        return Err(broken("the entry is larger than expected"));
    }
    zip.seek(SeekFrom::Start(offset))?;
    let mut head = [0; 30];
    zip.read_exact(&mut head)?;
    if head[..4] != LOCAL {
        return Err(broken("an entry has no header"));
    }
    let skip = i64::from(short(&head, 26)) + i64::from(short(&head, 28));
    zip.seek(SeekFrom::Current(skip))?;
    let mut body = DeflateDecoder::new(BufReader::new(zip.take(packed))).take(size + 1);
    let copied = io::copy(&mut body, out)?;
    if copied == size { Ok(()) } else { Err(broken("an entry has another size than announced")) }
}

/// Where the local header of the entry is, and its packed and unpacked size.
fn find(zip: &mut File, suffix: &str) -> io::Result<(u64, u64, u64)> {
    let len = zip.seek(SeekFrom::End(0))?;
    zip.seek(SeekFrom::Start(len.checked_sub(END_LEN).ok_or_else(|| broken("it is too short"))?))?;
    let mut end = [0; END_LEN as usize];
    zip.read_exact(&mut end)?;
    if end[..4] != END || long(&end, 12) > DIRECTORY_CAP {
        return Err(broken("it has no plain end record"));
    }
    zip.seek(SeekFrom::Start(u64::from(long(&end, 16))))?;
    let mut directory = vec![0; usize::try_from(long(&end, 12)).unwrap_or(0)];
    zip.read_exact(&mut directory)?;
    let mut rest = &directory[..];
    while let Some(head) = rest.get(..46) {
        if head[..4] != CENTRAL {
            break;
        }
        let name_len = usize::from(short(head, 28));
        let name = rest.get(46..46 + name_len).unwrap_or_default();
        if name.ends_with(suffix.as_bytes()) {
            // 8: deflate; bit 0 of the flags: encrypted.
            if short(head, 10) != 8 || short(head, 8) & 1 != 0 {
                return Err(broken("the entry is not plainly deflated"));
            }
            return Ok((u64::from(long(head, 42)), u64::from(long(head, 20)), u64::from(long(head, 24))));
        }
        let entry = 46 + name_len + usize::from(short(head, 30)) + usize::from(short(head, 32));
        rest = rest.get(entry..).unwrap_or_default();
    }
    Err(broken(&format!("it holds no {suffix}")))
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zip as Python writes it, with one deflated entry.
    fn zip(name: &str, content: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        flate2::read::DeflateEncoder::new(content, flate2::Compression::new(6))
            .read_to_end(&mut packed)
            .unwrap();
        let sizes = [u32::try_from(packed.len()).unwrap(), u32::try_from(content.len()).unwrap()];
        let mut facts = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        facts.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
        facts.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        let mut file = [&LOCAL[..], &facts, &[0, 0], name.as_bytes(), &packed].concat();
        let directory = [&CENTRAL[..], &[20, 0], &facts, &[0; 16], name.as_bytes()].concat();
        let at = u32::try_from(file.len()).unwrap();
        file.extend(&directory);
        file.extend(END);
        file.extend([0, 0, 0, 0, 1, 0, 1, 0]);
        file.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        file.extend(at.to_le_bytes());
        file.extend([0, 0]);
        file
    }

    fn extracted(bytes: &[u8], suffix: &str, cap: u64) -> io::Result<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut out = Vec::new();
        extract(&mut file, suffix, cap, &mut out).map(|()| out)
    }

    #[test]
    fn an_entry_is_inflated_and_nothing_else() {
        let whole = zip("uv-1.data/scripts/uv", &[b'x'; 5000]);
        assert_eq!(extracted(&whole, "/scripts/uv", 5000).unwrap(), [b'x'; 5000]);
        assert!(extracted(&whole, "/scripts/uvx", 5000).unwrap_err().to_string().contains("holds no"));
        assert!(extracted(&whole, "/scripts/uv", 4999).unwrap_err().to_string().contains("larger"));
        for cut in [0, 10, whole.len() - 1] {
            assert!(extracted(&whole[..cut], "/scripts/uv", 5000).is_err(), "{cut}");
        }
    }
}
