//! Composes manifest.json from the files of a release as they lie in one directory.

use std::path::Path;

use gwinstall::domain::{Error, Instant, Result, Sha256};
use gwinstall::release::documents::{Artifact, BundleFacts, Denied, Manifest, Name, PRODUCT, Pinned, SCHEMA};
use serde::Deserialize;

use crate::documents::{MANIFEST_DAYS, days_after};
use crate::files;

/// What a release knows besides its files.
#[derive(Debug, Clone)]
pub struct Facts {
    pub channel: Name,
    pub version: Name,
    pub seq: u64,
    pub commit: String,
    pub released: Instant,
    pub prev: Option<Sha256>,
    pub floor_seq: u64,
    pub min_client_seq: u64,
}

/// What `dist/third-party.json` says of other people's software.
#[derive(Debug, Deserialize)]
struct ThirdParty {
    pins: Vec<Pinned>,
    deny: Vec<Denied>,
}

/// The manifest over every release file in `dir`.
pub fn compose(dir: &Path, facts: &Facts, bundle: BundleFacts, third_party: &Path) -> Result<Manifest> {
    let ThirdParty { pins, deny } = serde_json::from_slice(&files::read(third_party)?)
        .map_err(|e| Error::failed(format!("{} is not as expected", third_party.display())).because(e))?;
    let mut artifacts = Vec::new();
    for path in files::listing(dir)? {
        let name = files::name_of(&path);
        let Some((role, target)) = role_of(&name, facts.version.as_str()) else { continue };
        let bytes = files::read(&path)?;
        artifacts.push(Artifact {
            name: word(&name)?,
            role: word(role)?,
            target: word(&target)?,
            len: bytes.len() as u64,
            sha256: Sha256::of(&bytes),
        });
    }
    Ok(Manifest {
        schema: SCHEMA,
        product: word(PRODUCT)?,
        channel: facts.channel.clone(),
        seq: facts.seq,
        version: facts.version.clone(),
        commit: facts.commit.clone(),
        released: facts.released,
        expires: days_after(facts.released, MANIFEST_DAYS),
        prev: facts.prev,
        floor_seq: facts.floor_seq,
        min_client_seq: facts.min_client_seq,
        artifacts,
        bundle,
        pins,
        deny,
        critical: Vec::new(),
    })
}

/// The name of the executable of a target: an interface that never changes.
pub fn binary_name(version: &str, target: &str) -> String {
    format!("gwinstall-{version}-{target}")
}

pub fn bundle_name(version: &str) -> String {
    format!("gwinstall-bundle-{version}.tar.gz")
}

pub fn sbom_name(version: &str, target: &str) -> String {
    format!("gwinstall-{version}-{target}.cdx.json")
}

/// The offline archive holds the manifest, so the manifest cannot hold the offline archive.
pub fn offline_name(version: &str) -> String {
    format!("gwinstall-offline-{version}.tar")
}

/// Role and target of a release file by its name; anything else is no artifact.
fn role_of(name: &str, version: &str) -> Option<(&'static str, String)> {
    let any = || "any".to_owned();
    if name == "install.sh" {
        return Some(("installer", any()));
    }
    if name == bundle_name(version) {
        return Some(("bundle", any()));
    }
    let rest = name.strip_prefix(&binary_name(version, ""))?;
    match rest.strip_suffix(".cdx.json") {
        Some(target) => Some(("sbom", target.to_owned())),
        None => Some(("binary", rest.to_owned())),
    }
}

fn word(text: &str) -> Result<Name> {
    Name::parse(text).ok_or_else(|| {
        Error::usage(format!("'{text}' cannot be a name in a release"))
            .because("a name is [a-z0-9][a-z0-9._-]{0,99}")
    })
}

#[cfg(test)]
mod tests {
    use super::role_of;

    #[test]
    fn every_name_of_a_release_has_its_role_and_no_other_name_has_one() {
        let role = |name: &str| role_of(name, "1.0.0").map(|(role, target)| format!("{role} {target}"));
        let target = "x86_64-unknown-linux-musl";
        assert_eq!(role(&format!("gwinstall-1.0.0-{target}")), Some(format!("binary {target}")));
        assert_eq!(role(&format!("gwinstall-1.0.0-{target}.cdx.json")), Some(format!("sbom {target}")));
        assert_eq!(role("gwinstall-bundle-1.0.0.tar.gz").as_deref(), Some("bundle any"));
        assert_eq!(role("install.sh").as_deref(), Some("installer any"));
        for other in ["gwinstall-offline-1.0.0.tar", "manifest.json", "keys.1.json", "gwinstall-1.0.1-x"] {
            assert_eq!(role(other), None, "{other}");
        }
    }
}
