//! The bundle inside the executable.
//!
//! Promise: it works without a network and without any other file. The index that the build script made holds the
//! hashes, so a run does not compute them again, and a test compares the index and the catalog with the files.

use std::collections::BTreeMap;

use rust_embed::RustEmbed;

use super::{Bundle, CATALOG, Catalog, Hashes, Provenance, build};
use crate::domain::record::BundleOrigin;
use crate::domain::{Error, Result, Sha256};

/// What the build script made of `embedded/`: all files in one block, and their index.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/bundle"]
struct Payload;

/// A line of the index.
struct Line<'a> {
    sha256: Sha256,
    /// Bytes in the block.
    length: usize,
    path: &'a str,
}

impl Bundle {
    /// Unpacks the bundle that this executable carries.
    pub fn embedded() -> Result<Self> {
        let part = |name| Payload::get(name).map(|part| part.data).unwrap_or_default();
        unpack(&part("index"), &part("files.lz4"))
            .ok_or_else(|| Error::failed("the bundle in this executable is damaged"))
    }
}

fn unpack(index: &[u8], block: &[u8]) -> Option<Bundle> {
    let mut lines = std::str::from_utf8(index).ok()?.lines().map(parse);
    let whole = lines.next()??;
    let unpacked = lz4_flex::block::decompress(block, whole.length).ok()?;
    let mut rest = &unpacked[..];
    let mut hashes = Hashes { whole: whole.sha256, files: BTreeMap::new() };
    let (mut files, mut catalog) = (BTreeMap::new(), None);
    for line in lines {
        let Line { sha256, length, path } = line?;
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        hashes.files.insert(path.to_owned(), sha256);
        if path == CATALOG {
            catalog = Catalog::from_json(bytes).ok();
        } else {
            files.insert(path.to_owned(), bytes.into());
        }
    }
    let from =
        Provenance { version: build::VERSION, seq: build::seq(), origin: BundleOrigin::Embedded, path: None };
    Some(Bundle::unchecked(files, catalog?, hashes, &from)).filter(|_| rest.is_empty())
}

fn parse(line: &str) -> Option<Line<'_>> {
    let (sha256, rest) = line.split_once(' ')?;
    let (length, path) = rest.split_once(' ')?;
    Some(Line { sha256: Sha256::parse(sha256)?, length: length.parse().ok()?, path })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bundle::digest;
    use crate::doors::disk;

    #[test]
    fn the_index_and_the_catalog_say_what_is_in_the_files() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded");
        let read = |path: String| {
            let bytes = disk::read(&root.join(&path), u64::MAX - 1).unwrap().into();
            (path, bytes)
        };
        let files: BTreeMap<_, _> = disk::walk(&root).unwrap().into_iter().map(read).collect();
        let bundle = Bundle::embedded().unwrap();
        assert_eq!(bundle.id.sha256, digest(&files));
        let hashes: BTreeMap<_, _> =
            files.iter().map(|(path, bytes)| (path.clone(), Sha256::of(bytes))).collect();
        assert_eq!(bundle.hashes, hashes);
        let deployed = bundle.files.iter().chain(files.get_key_value(CATALOG));
        assert_eq!(
            deployed.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<BTreeMap<_, _>>(),
            files
        );
        bundle.catalog.check(&bundle.files).unwrap();
        let catalog = Catalog::parse(std::str::from_utf8(&files[CATALOG]).unwrap()).unwrap();
        assert_eq!(format!("{:?}", bundle.catalog), format!("{catalog:?}"));
    }

    #[test]
    fn what_is_damaged_is_not_unpacked() {
        let [index, block] = ["index", "files.lz4"].map(|name| Payload::get(name).unwrap().data);
        assert!(unpack(&index, &block).is_some());
        assert!(unpack(&[], &[]).is_none());
        assert!(unpack(&index[..index.len() - 40], &block).is_none());
        assert!(unpack(&index, &block[..block.len() - 1]).is_none());
        for wrong in ["", " ", "short 1 a", &format!("{} x a", Sha256::of(b"")), &Sha256::of(b"").to_string()]
        {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
