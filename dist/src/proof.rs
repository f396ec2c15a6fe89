//! Proves a staged release before anybody can fetch it: with the client's own reader, and with the stock tools that a
//! person would use: minisign, sha256sum, tar, sh. Any doubt ends the release.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gwinstall::bundle::ustar::{self, Limits};
use gwinstall::domain::{Error, Result, Sha256};
use gwinstall::release::documents::{Document, Manifest, NamedKey};
use gwinstall::release::minisig::{KeyId, PublicKey};

use crate::keys::KeyDir;
use crate::{files, manifest, tools};

/// Everything in `stage` is what it says it is; `runtimes` are in the offline archive alone.
pub fn prove(
    stage: &Path,
    version: &str,
    runtimes: &BTreeMap<String, PathBuf>,
    keys: &KeyDir,
    say: &mut dyn FnMut(String),
) -> Result<()> {
    let manifest = prove_manifest(stage, keys)?;
    let channel = format!("channel-{}.json", manifest.channel);
    prove_channel(stage, &channel, keys)?;
    say("minisign: manifest and channel verify".into());

    let sums: String =
        manifest.artifacts.iter().map(|file| format!("{}  {}\n", file.sha256, file.name)).collect();
    let mut sha256sum = Command::new("sha256sum");
    sha256sum.args(["--check", "--strict", "--quiet"]).current_dir(stage);
    tools::feed(&mut sha256sum, sums.as_bytes())?;
    say(format!("sha256sum: {} files of the manifest match", manifest.artifacts.len()));

    let unpacked = stage.join(".proof");
    let outcome = prove_bundle(stage, &unpacked, &manifest)
        .and_then(|()| prove_offline(stage, &unpacked, version, runtimes));
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).map_err(|e| files::cannot("remove", &unpacked, e))?;
    }
    outcome?;
    say("tar: bundle and offline archive hold what they should, byte for byte".into());

    tools::run(Command::new("sh").arg("-n").arg(stage.join("install.sh")))?;
    prove_runnable(stage, &manifest, say)
}

/// The channel document in `dir` verifies.
pub fn prove_channel(dir: &Path, name: &str, keys: &KeyDir) -> Result<()> {
    let (path, signature) = (dir.join(name), dir.join(format!("{name}.minisig")));
    let bytes = files::read(&path)?;
    let verified = keys.trusted().verify_channel(&bytes, &files::read(&signature)?)?;
    let may = keys.facts().channel.iter().map(|NamedKey { id, key }| (*id, key));
    stock_verify(&path, &signature, verified.signer(), may, &verified.facts().statement(&bytes))
}

fn prove_manifest(stage: &Path, keys: &KeyDir) -> Result<Manifest> {
    let (path, signature) = (stage.join("manifest.json"), stage.join("manifest.json.minisig"));
    let bytes = files::read(&path)?;
    let verified = keys.trusted().verify_manifest(&bytes, &files::read(&signature)?)?;
    let may = keys.facts().release.iter().map(|key| (key.id, &key.key));
    stock_verify(&path, &signature, verified.signer(), may, &verified.facts().statement(&bytes))?;
    Ok(verified.facts().clone())
}

fn stock_verify<'a>(
    path: &Path,
    signature: &Path,
    signer: KeyId,
    mut may: impl Iterator<Item = (KeyId, &'a PublicKey)>,
    statement: &str,
) -> Result<()> {
    let (_, key) = may.find(|(id, _)| *id == signer).ok_or_else(|| {
        Error::unverified(format!("{} is signed by key {signer}", path.display()))
            .because("it is not in the newest list")
    })?;
    tools::minisign_accepts(path, signature, key.as_str(), statement)
}

/// tar unpacks exactly the files of the manifest, packs them to the same bytes again, and our reader agrees.
fn prove_bundle(stage: &Path, unpacked: &Path, manifest: &Manifest) -> Result<()> {
    let archive = stage.join(manifest::bundle_name(manifest.bundle.version.as_str()));
    files::make_directory(unpacked)?;
    tools::run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(unpacked))?;
    let read = ustar::unpack(files::read(&archive)?.as_slice(), &Limits::BUNDLE)?;
    let wrong =
        |path: &str, why: &str| Error::failed(format!("{path} of the bundle")).because(why.to_owned());
    for file in &manifest.bundle.files {
        let bytes = files::read(&unpacked.join(&file.path))?;
        if Sha256::of(&bytes) != file.sha256 || bytes.len() as u64 != file.len {
            return Err(wrong(&file.path, "tar unpacks something else than the manifest says"));
        }
        if read.get(&file.path).map(|read| &read[..]) != Some(&bytes[..]) {
            return Err(wrong(&file.path, "our reader and tar disagree"));
        }
    }
    if read.len() != manifest.bundle.files.len() {
        return Err(Error::failed("the bundle holds files that the manifest does not name"));
    }
    let again = unpacked.with_file_name(".proof.tar");
    let mut tar = Command::new("tar");
    tar.args(["--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--mode=0644"]);
    tar.arg("-cf").arg(&again).arg("-C").arg(unpacked);
    tools::run(tar.args(manifest.bundle.files.iter().map(|file| &file.path)))?;
    let bytes = files::read(&again)?;
    fs::remove_file(&again).map_err(|e| files::cannot("remove", &again, e))?;
    let mut gunzip = Command::new("gzip");
    let ours = gunzip.arg("-dc").arg(&archive).output().map_err(|e| files::cannot("unpack", &archive, e))?;
    if ours.stdout == bytes { Ok(()) } else { Err(Error::failed("tar packs the same files to other bytes")) }
}

/// tar and our reader take from the offline archive exactly the files of the release and the runtimes.
fn prove_offline(
    stage: &Path,
    unpacked: &Path,
    version: &str,
    runtimes: &BTreeMap<String, PathBuf>,
) -> Result<()> {
    let offline = stage.join(manifest::offline_name(version));
    let into = unpacked.join("offline");
    files::make_directory(&into)?;
    tools::run(Command::new("tar").arg("-xf").arg(&offline).arg("-C").arg(&into))?;
    let mut read = BTreeMap::new();
    ustar::read_tar(files::read(&offline)?.as_slice(), &Limits::OFFLINE, &mut |entry, body| {
        read.insert(entry.path.clone(), Sha256::of(&ustar::whole(entry, body)?));
        Ok(())
    })?;
    let staged = files::listing(stage)?.into_iter().filter(|path| path.is_file() && *path != offline);
    let staged = staged.map(|path| (files::name_of(&path), path));
    let carried = runtimes.iter().map(|(name, path)| (name.clone(), path.clone()));
    for (name, path) in staged.chain(carried) {
        let bytes = files::read(&path)?;
        if files::read(&into.join(&name))? != bytes || read.remove(&name) != Some(Sha256::of(&bytes)) {
            return Err(Error::failed(format!("the offline archive has another {name}")));
        }
    }
    match read.keys().next() {
        None => Ok(()),
        Some(name) => {
            Err(Error::failed(format!("the offline archive holds {name}, which is not in the release")))
        }
    }
}

/// The executable of this machine runs and says the version.
fn prove_runnable(stage: &Path, manifest: &Manifest, say: &mut dyn FnMut(String)) -> Result<()> {
    let mut uname = Command::new("sh");
    let target = tools::run(uname.arg(stage.join("install.sh")).env("GWINSTALL_PRINT", "target"))?;
    let Some(own) = manifest.artifact("binary", target.trim()) else {
        say(format!("no executable for {} in this release: none was run", target.trim()));
        return Ok(());
    };
    let said = tools::run(Command::new(stage.join(own.name.as_str())).arg("--version"))?;
    let expected = format!("gwinstall {}", manifest.version);
    let first = said.lines().next().unwrap_or_default();
    if first == expected || first.starts_with(&format!("{expected} ")) {
        say(format!("{}: answers {first}", own.name));
        return Ok(());
    }
    Err(Error::failed(format!("{} calls itself '{first}'", own.name))
        .because(format!("it should be {expected}")))
}
