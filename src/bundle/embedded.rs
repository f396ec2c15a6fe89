//! The bundle inside the executable.
//!
//! Promise: it works without a network and without any other file. The index that the build script made holds the
//! hashes, so a run does not compute them again, and a test compares the index and the catalog with the files.

use std::collections::BTreeMap;

use rust_embed::RustEmbed;

use super::{Bundle, Catalog, Hashes, Provenance, build, ustar};
use crate::domain::record::BundleOrigin;
use crate::domain::{Error, Result, Sha256};

/// One archive made by the build script: a third of the size of the files, in the format of a released bundle; its index,
/// and its catalog as JSON.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/bundle"]
struct Payload;

impl Bundle {
    /// Unpacks the bundle that this executable carries.
    pub fn embedded() -> Result<Self> {
        let part = |name| {
            Payload::get(name)
                .ok_or_else(|| Error::failed("this executable carries no bundle"))
                .map(|part| part.data)
        };
        let hashes = parse_index(&part("index")?)
            .ok_or_else(|| Error::failed("the index of the bundle in this executable is damaged"))?;
        let files = ustar::unpack_own(&part("bundle.tar.gz")?)?;
        let from = Provenance {
            version: build::VERSION,
            seq: build::seq(),
            origin: BundleOrigin::Embedded,
            path: None,
        };
        let catalog = Catalog::from_json(&part("catalog.json")?)
            .map_err(|why| Error::failed("the catalog in this executable is damaged").because(why))?;
        Ok(Self::unchecked(files, catalog, hashes, &from))
    }
}

/// Lines of a sha256, a space and a path; the first is that of the whole bundle.
fn parse_index(index: &[u8]) -> Option<Hashes> {
    let mut lines = std::str::from_utf8(index).ok()?.lines().map(|line| {
        let (sha256, path) = line.split_once(' ')?;
        Some((path.to_owned(), Sha256::parse(sha256)?))
    });
    let (_, whole) = lines.next()??;
    Some(Hashes { whole, files: lines.collect::<Option<BTreeMap<_, _>>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{CATALOG, digest};

    #[test]
    fn the_index_and_the_catalog_say_what_is_in_the_files() {
        let archive = Payload::get("bundle.tar.gz").unwrap();
        let files = ustar::unpack(archive.data.as_ref(), &ustar::Limits::BUNDLE).unwrap();
        let hashes = parse_index(&Payload::get("index").unwrap().data).unwrap();
        assert_eq!(hashes.whole, digest(&files));
        let found: BTreeMap<String, Sha256> =
            files.iter().map(|(path, bytes)| (path.clone(), Sha256::of(bytes))).collect();
        assert_eq!(hashes.files, found);
        let bundle = Bundle::embedded().unwrap();
        assert!(bundle.files.iter().all(|(path, bytes)| files[path] == *bytes));
        bundle.catalog.check(&bundle.files).unwrap();
        let catalog = std::str::from_utf8(&files[CATALOG]).unwrap();
        assert_eq!(format!("{:?}", bundle.catalog), format!("{:?}", Catalog::parse(catalog).unwrap()));
        assert!(bundle.files().len() + 1 == files.len() && files.contains_key(CATALOG));
    }

    #[test]
    fn a_damaged_index_is_refused() {
        let sum = Sha256::of(b"").to_string();
        assert!(parse_index(format!("{sum} \n{sum} a\n").as_bytes()).is_some());
        for wrong in [String::new(), sum.clone(), format!("{sum} \nshort a\n"), format!("{sum} \n{sum}\n")] {
            assert!(parse_index(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
