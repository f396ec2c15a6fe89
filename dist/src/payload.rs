//! The bundle of a release: the files of `embedded/`, packed as the build script packs them into the executable.

use std::path::Path;

use gwinstall::bundle::catalog::Class;
use gwinstall::bundle::{Bundle, CATALOG, pack};
use gwinstall::domain::{Error, Result, Sha256};
use gwinstall::release::documents::{BundleFacts, BundleFile, Mode, Name};

use crate::files;

/// The archive and what the manifest says of each file in it.
pub struct Payload {
    pub archive: Vec<u8>,
    pub facts: BundleFacts,
}

/// Reads and checks `embedded/`, and packs it. The same files give the same bytes on every machine.
pub fn pack(embedded: &Path, version: &Name) -> Result<Payload> {
    let bundle = Bundle::from_directory(embedded)?;
    let mut contents = bundle.files().clone();
    contents.insert(CATALOG.to_owned(), files::read(&embedded.join(CATALOG))?.into());
    let mut paths: Vec<&String> = contents.keys().collect();
    paths.sort_by(|a, b| pack::by_name(a, b));

    let cannot = |e: std::io::Error| Error::failed("cannot pack the bundle").because(e);
    let mut packer = pack::tar_gz(Vec::new(), 9);
    let mut listed = Vec::new();
    for path in paths {
        let bytes = &contents[path];
        // Modes come from the manifest, never from the archive.
        packer.file(path, 0o644, bytes).map_err(cannot)?;
        let (class, mode) = class_of(&bundle, path)?;
        let (len, sha256) = (bytes.len() as u64, Sha256::of(bytes));
        listed.push(BundleFile { path: path.clone(), len, sha256, mode, class });
    }
    let archive = packer.finish().and_then(|gzip| gzip.finish()).map_err(cannot)?;
    Ok(Payload { archive, facts: BundleFacts { version: version.clone(), files: listed } })
}

/// Class and mode of a file as the catalog has them; the catalog itself is configuration.
fn class_of(bundle: &Bundle, path: &str) -> Result<(Name, Mode)> {
    if path == CATALOG {
        return Ok((name_of(Class::Config)?, Mode::Plain));
    }
    let entry = bundle.catalog.files.iter().find(|entry| entry.path == path);
    let entry = entry.ok_or_else(|| {
        Error::failed(format!("embedded/{path} is in no entry of the catalog's files"))
            .hint("add it to files in embedded/catalog.yaml")
    })?;
    Ok((name_of(entry.class)?, if entry.executable { Mode::Executable } else { Mode::Plain }))
}

fn name_of(class: Class) -> Result<Name> {
    let word = serde_json::to_value(class).ok();
    word.as_ref()
        .and_then(|word| Name::parse(word.as_str()?))
        .ok_or_else(|| Error::failed("a class of the catalog has no name"))
}
