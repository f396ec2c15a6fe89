//! A runtime as one file, for machines without a network: a plain tar of packages, never a built environment.
//!
//! ```text
//! runtime.json       {schema, litellm, lock_sha256, python, platform, wheels: {sha256: file name}}
//! wheels/<sha256>    the packages of the lock for this Python and platform, and uv
//! ```
//!
//! Promise: each package is compared with the hashes of the lock in the bundle, when it is written and again when it is read;
//! what the archive says about itself decides nothing but names and messages. A package is named by its sha256 in it, because
//! ustar has no room for the names of some. Wheels are compressed already, so the tar is not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::python::Python;
use super::staging::Staging;
use super::{place, uv};
use crate::bundle::pack::Packer;
use crate::bundle::ustar::{self, Limits};
use crate::domain::hash::Hasher;
use crate::domain::{Error, Hint, Place, Result, Sha256};
use crate::doors::disk::{self, At as _};
use crate::doors::{signals, system};

const ABOUT: &str = "runtime.json";
const WHEELS: &str = "wheels/";
const LIMITS: Limits = Limits { unpacked: 2 << 30, files: 2_000, ratio: 1_100 };

/// What an archive says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    schema: u32,
    pub litellm: String,
    pub lock_sha256: Sha256,
    /// `cp311`.
    pub python: String,
    pub platform: String,
    /// File names by sha256.
    wheels: BTreeMap<Sha256, String>,
}

/// What was written.
#[derive(Debug)]
pub struct Exported {
    pub packages: usize,
    pub bytes: u64,
}

/// Reads what the archive says about itself; it must be for the lock of this bundle.
pub fn about(file: &Path, facts: &Facts) -> Result<About> {
    let mut found = None;
    read(file, &mut |name, _, body| {
        if name == ABOUT {
            let mut text = String::new();
            body.take(1 << 20).read_to_string(&mut text).map_err(|error| broken(file).because(error))?;
            let about: About = serde_json::from_str(&text).map_err(|error| broken(file).because(error))?;
            found = Some(about);
        }
        Ok(())
    })?;
    let about = found.ok_or_else(|| broken(file).because(format!("it has no {ABOUT}")))?;
    if about.schema != 1 || about.lock_sha256 != facts.lock_sha256 {
        return Err(Error::unverified(format!("{} was made for another lock", file.display()))
            .because(format!("it brings LiteLLM {}, and this gwinstall installs {}", about.litellm, facts.data.litellm))
            .hint(Hint::step("make it again with the version of gwinstall that reads it: gwinstall runtime export FILE")));
    }
    Ok(about)
}

fn broken(file: &Path) -> Error {
    Error::unverified(format!("{} is not a runtime that gwinstall exported", file.display()))
}

fn read(file: &Path, each: &mut dyn FnMut(&str, u64, &mut dyn Read) -> Result<()>) -> Result<()> {
    if !disk::exists(file) {
        return Err(Error::usage(format!("--from: there is no file {}", file.display()))
            .hint(Hint::run(&["runtime", "export", "litellm-runtime.tar"]).to("make one on a machine that has the network")));
    }
    let (source, _) = disk::reader(&disk::real_file(file)?)?;
    let mut refusal = None;
    let outcome = ustar::read_tar(BufReader::with_capacity(256 << 10, source), &LIMITS, &mut |entry, body| {
        let read = each(&entry.path, entry.size, body);
        refusal = read.clone().err();
        read
    });
    outcome.map_err(|error| refusal.unwrap_or_else(|| broken(file).because(error)))
}

/// Unpacks the packages below `work`, each compared with the lock; the directory that holds them.
pub(super) fn unpack(file: &Path, facts: &Facts, work: &Path) -> Result<PathBuf> {
    let about = about(file, facts)?;
    let dir = work.join("wheels");
    disk::create_dirs(&dir).at("create", &dir)?;
    let allowed = facts.allowed();
    read(file, &mut |name, _, body| {
        let Some(sha256) = name.strip_prefix(WHEELS) else { return Ok(()) };
        signals::check()?;
        let name = Sha256::parse(sha256).and_then(|sha256| about.wheels.get(&sha256));
        let name = name.ok_or_else(|| broken(file).because(format!("it does not name {sha256}")))?;
        let path = dir.join(plain(name).ok_or_else(|| broken(file).because(format!("{name} is not the name of a package")))?);
        let mut copy = Copy { out: disk::create(&path, b"", 0o600).at("create", &path)?, hasher: Hasher::default() };
        std::io::copy(body, &mut copy).at("write", &path)?;
        require(&allowed, name, copy.hasher.finish().0)
    })?;
    Ok(dir)
}

/// A name without a directory, which ends as a package does.
fn plain(name: &str) -> Option<&str> {
    (name.ends_with(".whl") && !name.contains('/')).then_some(name)
}

fn require(allowed: &BTreeSet<Sha256>, name: &str, found: Sha256) -> Result<()> {
    if allowed.contains(&found) {
        return Ok(());
    }
    Err(Error::unverified(format!("{name} is not a package that the lock of gwinstall names"))
        .because(format!("its sha256 is {found}"))
        .hint("it was changed on its way here, or the archive is for another version of gwinstall"))
}

/// A file whose bytes are hashed as they are written.
struct Copy {
    out: std::fs::File,
    hasher: Hasher,
}

impl Write for Copy {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.write_all(&bytes[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Fetches the packages for this Python and platform and writes them to `to`, which must not exist.
pub fn export(place: &Place, facts: &Facts, python: &Python, to: &Path) -> Result<Exported> {
    let root = place::root(place);
    disk::create_dirs(&root).at("create", &root)?;
    let staging = Staging::new(&root)?;
    let (work, wheels) = (staging.dir.join("work"), staging.dir.join("wheels"));
    disk::create_dirs(&work).at("create", &work)?;
    let lock = work.join("litellm.lock");
    disk::create(&lock, &facts.lock, 0o600).at("write", &lock)?;
    let pip = uv::pip_of(python, &work)?.ok_or_else(|| {
        Error::failed(format!("{} has no pip to fetch the packages with", python.program.display()))
            .hint(Hint::shell("sudo apt-get install python3-venv").to("install one on Debian or Ubuntu"))
    })?;
    uv::download(&pip, &work, &lock, &wheels)?;
    signals::check()?;
    let package = uv::fetch(facts, &pip, &work)?;
    let name = package.file_name().unwrap_or_default();
    disk::rename(&package, &wheels.join(name)).at("rename", &package)?;
    write(facts, python, &wheels, to)
}

fn write(facts: &Facts, python: &Python, wheels: &Path, to: &Path) -> Result<Exported> {
    let part = to.with_file_name(format!(
        ".{}.{}",
        to.file_name().unwrap_or_default().to_string_lossy(),
        system::random_hex(4)?
    ));
    let written = pack(facts, python, wheels, &part).and_then(|exported| {
        disk::place(&part, to).at("create", to)?;
        Ok(exported)
    });
    if written.is_err() {
        // The reason of the failure counts.
        let _ = disk::remove(&part);
    }
    written
}

fn pack(facts: &Facts, python: &Python, wheels: &Path, part: &Path) -> Result<Exported> {
    let (allowed, names) = (facts.allowed(), disk::list(wheels)?);
    let mut listed = BTreeMap::new();
    for name in &names {
        let found = disk::find(&wheels.join(name))?.stamp().map(|stamp| stamp.sha256);
        let sha256 = found.unwrap_or_else(|| Sha256::of(b""));
        require(&allowed, name, sha256)?;
        listed.insert(sha256, name.clone());
    }
    let about = About {
        schema: 1,
        litellm: facts.data.litellm.clone(),
        lock_sha256: facts.lock_sha256,
        python: python.tag(),
        platform: python.platform(),
        wheels: listed,
    };
    let text = serde_json::to_vec(&about).map_err(|error| Error::failed("cannot describe the archive").because(error))?;
    let file = disk::create(part, b"", 0o644).at("create", part)?;
    let kept = file.try_clone().at("write", part)?;
    let mut packer = Packer::new(BufWriter::with_capacity(256 << 10, file));
    packer.file(ABOUT, 0o644, &text).at("write", part)?;
    for (sha256, name) in &about.wheels {
        let (mut body, len) = disk::reader(&wheels.join(name))?;
        packer.stream(&format!("{WHEELS}{sha256}"), 0o644, len, &mut body).at("write", part)?;
        signals::check()?;
    }
    packer.finish().at("write", part)?;
    disk::flush(&[kept]).at("write", part)?;
    let bytes = disk::facts(part).map_or(0, |(len, _)| len);
    Ok(Exported { packages: names.len(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Kind;

    fn archive(dir: &Path, entries: &[(&str, &[u8])]) -> PathBuf {
        let path = dir.join("runtime.tar");
        let mut packer = Packer::new(Vec::new());
        for (name, bytes) in entries {
            packer.file(name, 0o644, bytes).unwrap();
        }
        let _ = disk::remove(&path);
        disk::create(&path, &packer.finish().unwrap(), 0o644).unwrap();
        path
    }

    #[test]
    fn only_packages_that_the_lock_names_are_unpacked() {
        let mut facts = Facts::embedded().unwrap();
        let lock = format!("a==1 \\\n    --hash=sha256:{}\n", Sha256::of(b"wheel"));
        facts.lock = lock.into_bytes().into();
        facts.lock_sha256 = Sha256::of(&facts.lock);
        let about = |lock: Sha256, name: &str| {
            let wheels = serde_json::json!({ Sha256::of(b"wheel").to_string(): name, Sha256::of(b"other").to_string(): "b.whl" });
            let about = serde_json::json!({
                "schema": 1, "litellm": "1.106.2", "lock_sha256": lock, "python": "cp311", "platform": "linux-x86_64", "wheels": wheels,
            });
            about.to_string()
        };
        let right = about(facts.lock_sha256, "a-1-py3-none-any.whl");
        let dir = tempfile::tempdir().unwrap();
        let unpacked = |entries: &[(&str, &[u8])]| {
            let work = tempfile::tempdir().unwrap();
            let unpacked = unpack(&archive(dir.path(), entries), &facts, work.path());
            unpacked.map(|dir| disk::list(&dir).unwrap()).map_err(|error| (error.kind(), error.to_string()))
        };
        let wheel = format!("wheels/{}", Sha256::of(b"wheel"));
        let good = (wheel.as_str(), &b"wheel"[..]);
        assert_eq!(unpacked(&[("runtime.json", right.as_bytes()), good]).unwrap(), ["a-1-py3-none-any.whl"]);
        let bad = |entries: &[(&str, &[u8])], words: &str| {
            let (kind, text) = unpacked(entries).unwrap_err();
            assert_eq!(kind, Kind::Unverified, "{text}");
            assert!(text.contains(words), "{text}");
        };
        let other = format!("wheels/{}", Sha256::of(b"other"));
        bad(&[("runtime.json", right.as_bytes()), (&wheel, b"wheeI")], "is not a package that the lock");
        bad(&[("runtime.json", right.as_bytes()), (&other, b"other")], "is not a package that the lock");
        bad(&[("runtime.json", right.as_bytes()), ("wheels/a.whl", b"wheel")], "does not name a.whl");
        bad(&[("runtime.json", about(facts.lock_sha256, "../a.whl").as_bytes()), good], "not the name of a package");
        bad(&[("runtime.json", about(Sha256::of(b"other"), "a.whl").as_bytes()), good], "another lock");
        bad(&[good], "has no runtime.json");
        bad(&[("runtime.json", b"{}")], "not a runtime that gwinstall exported");
    }
}
