//! A runtime as one file, for machines without a network: a plain tar of packages, never a built environment.
//!
//! ```text
//! runtime.json       {schema, litellm, lock_sha256, python, platform, wheels: {sha256: file name}}
//! wheels/<sha256>    the packages of the lock for this Python and platform, and uv
//! ```
//!
//! The offline archive of a release may carry such files, by the names that `carried_name` gives.
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
use crate::bundle::ustar::{self, Entry, Limits};
use crate::domain::hash::Hasher;
use crate::domain::{Error, Hint, Place, Result, Sha256};
use crate::doors::disk::{self, At as _};
use crate::doors::{signals, system};

const ABOUT: &str = "runtime.json";
const WHEELS: &str = "wheels/";
const LIMITS: Limits = Limits { unpacked: 2 << 30, files: 2_000, ratio: 1_100 };
const CARRIED: &str = "gwinstall-runtime-";

/// Where a runtime is: in a file of its own, or in the offline archive of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub file: PathBuf,
    /// Its name in the offline archive.
    inside: Option<String>,
}

impl Packed {
    pub fn alone(file: &Path) -> Self {
        Self { file: file.to_path_buf(), inside: None }
    }
}

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

/// The name under which the offline archive of a release carries a runtime. Only its builder gives it.
#[cfg(feature = "internals")]
pub fn carried_name(version: &str, about: &About) -> String {
    format!("{CARRIED}{version}-{}-{}.tar", about.python, about.platform)
}

/// The runtimes in a file: one that was exported holds one, an offline archive any number.
pub fn runtimes_in(file: &Path) -> Result<Vec<Packed>> {
    let (mut alone, mut carried) = (false, Vec::new());
    read(&Packed::alone(file), &mut |name, _, _| {
        alone |= name == ABOUT;
        carried.extend((name.starts_with(CARRIED) && name.ends_with(".tar")).then(|| name.to_owned()));
        Ok(())
    })?;
    if alone {
        return Ok(vec![Packed::alone(file)]);
    }
    let packed = |name| Packed { file: file.to_path_buf(), inside: Some(name) };
    Ok(carried.into_iter().map(packed).collect())
}

/// Compares every package with the lock of a bundle, for the builder of releases.
#[cfg(feature = "internals")]
pub fn verify(packed: &Packed, facts: &Facts) -> Result<About> {
    let about = about(packed, facts)?;
    each_package(packed, facts, &about, &mut |_, _| Ok(None))?;
    Ok(about)
}

/// Reads what the archive says about itself; it must be for the lock of this bundle.
pub fn about(packed: &Packed, facts: &Facts) -> Result<About> {
    let file = &packed.file;
    let mut found = None;
    read(packed, &mut |name, _, body| {
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
            .because(format!(
                "it brings LiteLLM {}, and this gwinstall installs {}",
                about.litellm, facts.data.litellm
            ))
            .hint(Hint::step(
                "make it again with the version of gwinstall that reads it: gwinstall runtime export FILE",
            )));
    }
    Ok(about)
}

fn broken(file: &Path) -> Error {
    Error::unverified(format!("{} is not a runtime that gwinstall exported", file.display()))
}

fn read(packed: &Packed, each: &mut dyn FnMut(&str, u64, &mut dyn Read) -> Result<()>) -> Result<()> {
    let file = &packed.file;
    if !disk::exists(file) {
        return Err(Error::usage(format!("--from: there is no file {}", file.display())).hint(
            Hint::run(&["runtime", "export", "litellm-runtime.tar"])
                .to("make one on a machine that has the network"),
        ));
    }
    let (source, _) = disk::reader(&disk::real_file(file)?)?;
    let source = BufReader::with_capacity(256 << 10, source);
    let mut refusal = None;
    let mut heard = |entry: &Entry, body: &mut dyn Read| {
        let read = each(&entry.path, entry.size, body);
        refusal = read.clone().err();
        read
    };
    let outcome = match &packed.inside {
        None => ustar::read_tar(source, &LIMITS, &mut heard),
        Some(name) => ustar::read_tar(source, &LIMITS, &mut |entry, body| {
            if entry.path == *name { ustar::read_tar(body, &LIMITS, &mut heard) } else { Ok(()) }
        }),
    };
    outcome.map_err(|error| refusal.unwrap_or_else(|| broken(file).because(error)))
}

/// Unpacks the packages below `work`, each compared with the lock; the directory that holds them.
pub(super) fn unpack(packed: &Packed, facts: &Facts, work: &Path) -> Result<PathBuf> {
    let about = about(packed, facts)?;
    let dir = work.join("wheels");
    disk::create_dirs(&dir).at("create", &dir)?;
    each_package(packed, facts, &about, &mut |name, file| {
        let not_a_name = || broken(file).because(format!("{name} is not the name of a package"));
        let path = dir.join(plain(name).ok_or_else(not_a_name)?);
        disk::create(&path, b"", 0o600).at("create", &path).map(|out| Some((out, path)))
    })?;
    Ok(dir)
}

/// Where a package goes: `None` for one that is only looked at.
type Into = Option<(std::fs::File, PathBuf)>;

/// Reads every package, each compared with the lock; `into` opens the file for one of this name.
fn each_package(
    packed: &Packed,
    facts: &Facts,
    about: &About,
    into: &mut dyn FnMut(&str, &Path) -> Result<Into>,
) -> Result<()> {
    let (allowed, file) = (facts.allowed(), packed.file.as_path());
    read(packed, &mut |name, _, body| {
        let Some(sha256) = name.strip_prefix(WHEELS) else { return Ok(()) };
        signals::check()?;
        let name = Sha256::parse(sha256).and_then(|sha256| about.wheels.get(&sha256));
        let name = name.ok_or_else(|| broken(file).because(format!("it does not name {sha256}")))?;
        let (out, path) = into(name, file)?.unzip();
        // The bytes of what is there already only pass.
        let out: Box<dyn Write> =
            out.map_or_else(|| Box::new(std::io::sink()) as _, |out| Box::new(out) as _);
        let mut hasher = Hasher::over(out);
        std::io::copy(body, &mut hasher).at("write", path.as_deref().unwrap_or(file))?;
        require(&allowed, name, hasher.finish().0)
    })
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
    let text = serde_json::to_vec(&about)
        .map_err(|error| Error::failed("cannot describe the archive").because(error))?;
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

    fn about_in(file: &Path, facts: &Facts) -> About {
        about(&Packed::alone(file), facts).unwrap()
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
            let unpacked = unpack(&Packed::alone(&archive(dir.path(), entries)), &facts, work.path());
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
        bad(
            &[("runtime.json", about(facts.lock_sha256, "../a.whl").as_bytes()), good],
            "not the name of a package",
        );
        bad(&[("runtime.json", about(Sha256::of(b"other"), "a.whl").as_bytes()), good], "another lock");
        bad(&[good], "has no runtime.json");
        bad(&[("runtime.json", b"{}")], "not a runtime that gwinstall exported");
        // The offline archive of a release carries such a file among others.
        let alone = archive(dir.path(), &[("runtime.json", right.as_bytes()), good]);
        assert_eq!(runtimes_in(&alone).unwrap(), [Packed::alone(&alone)]);
        let inner = disk::read(&alone, 1 << 20).unwrap();
        let damaged: Vec<u8> =
            String::from_utf8(inner.clone()).unwrap().replace("\0wheel\0", "\0wheeI\0").into();
        assert_ne!(damaged, inner);
        for (bytes, sound) in [(&inner, true), (&damaged, false)] {
            let name = carried_name("1.0.0", &about_in(&alone, &facts));
            assert_eq!(name, "gwinstall-runtime-1.0.0-cp311-linux-x86_64.tar");
            let offline =
                archive(dir.path(), &[("manifest.json", b"{}"), (&name, bytes), ("keys.json", b"{}")]);
            let [found] = runtimes_in(&offline).unwrap().try_into().unwrap();
            let work = tempfile::tempdir().unwrap();
            assert_eq!(
                (verify(&found, &facts).is_ok(), unpack(&found, &facts, work.path()).is_ok()),
                (sound, sound)
            );
            disk::remove(&alone).unwrap();
            disk::create(&alone, &inner, 0o600).unwrap();
        }
        assert_eq!(runtimes_in(&archive(dir.path(), &[("manifest.json", b"{}")])).unwrap(), []);
    }
}
