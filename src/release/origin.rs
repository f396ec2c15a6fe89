//! Where releases come from: an https mirror or GitHub, a directory, an offline archive, an executable beside its
//! manifest.
//!
//! Promise: a received file is compared with the signed length and hash before it gets a name that counts. Never:
//! believes what an origin says; that is the business of `trust` and `rules`.
//!
//! Layout: `BASE/<name>` is the newest release, the keys and the channels, `BASE/v<version>/<name>` every release.
//! GitHub keeps them under its own paths. An offline archive and a directory copied from one are flat.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::documents::{Artifact, Name};
use crate::bundle::ustar::{self, EntryKind, Limits};
use crate::domain::hash::Hasher;
use crate::domain::name::printable;
use crate::domain::{Error, Kind, Result, Sha256};
use crate::doors::disk::{self, At as _};
use crate::doors::net::{Address, Answer, Client};
use crate::doors::system;

/// No signed document or signature is larger.
pub const DOCUMENT_CAP: u64 = 256 << 10;
/// All documents of one offline archive together: nothing of it is signed before they are read.
const ARCHIVE_CAP: u64 = 4 << 20;

/// Where in the layout a name is looked up.
#[derive(Debug, Clone, Copy)]
pub enum ReleasePath<'a> {
    /// The newest release.
    Newest,
    /// Keys and channels.
    Shared,
    /// One release.
    Version(&'a Name),
}

/// One place that releases come from.
#[allow(clippy::large_enum_variant)] // one exists per run
pub enum Origin {
    Web {
        client: Client,
        base: String,
        layout: Layout,
    },
    Directory(PathBuf),
    /// The documents of an offline archive; its artifacts are read when they are needed.
    Archive {
        path: PathBuf,
        documents: BTreeMap<String, Vec<u8>>,
    },
}

/// How a web origin arranges its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Plain,
    GitHub,
}

impl Origin {
    /// The releases of `owner/name` on GitHub, without its rate-limited API.
    pub fn github(repo: &str, client: Client) -> Self {
        Self::Web { client, base: format!("https://github.com/{repo}/releases"), layout: Layout::GitHub }
    }

    /// What a person wrote: an https or file URL, a directory, an offline archive, a newer executable. The client
    /// is made only for a URL on the network.
    pub fn open(text: &str, client: impl FnOnce() -> Result<Client>) -> Result<Self> {
        if text.starts_with("https://") || text.starts_with("http://") {
            let base = text.trim_end_matches('/').to_owned();
            Address::parse(&base)?;
            return Ok(Self::Web { client: client()?, base, layout: Layout::Plain });
        }
        let path = match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => PathBuf::from(path),
            Some(_) => {
                return Err(Error::usage(format!("{} is not a file URL", printable(text)))
                    .hint("write it as file:///path/to/directory"));
            }
            None => PathBuf::from(text),
        };
        let path = if path.is_absolute() { path } else { system::current_dir()?.join(path) };
        if disk::is_dir(&path) {
            return Ok(Self::Directory(path));
        }
        Self::open_file(&path)
    }

    fn open_file(path: &Path) -> Result<Self> {
        let shown = printable(&path.to_string_lossy());
        let path = &disk::real_file(path)?;
        let (mut file, _) = disk::reader(path).map_err(|error| error.of_kind(Kind::Usage))?;
        let mut start = [0; 512];
        let mut filled = 0;
        while let Ok(read @ 1..) = file.read(&mut start[filled..]) {
            filled += read;
        }
        if &start[257..262] == b"ustar" {
            return Self::open_archive(path)
                .map_err(|error| error.under(format!("{shown} is not an offline archive of gwinstall")));
        }
        let executable =
            start.starts_with(b"\x7fELF") || matches!(start[..4], [0xcf | 0xce, 0xfa, 0xed, 0xfe]);
        let bundle = start.starts_with(&[0x1f, 0x8b]);
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if (executable || bundle) && disk::exists(&dir.join("manifest.json")) {
            return Ok(Self::Directory(dir.to_owned()));
        }
        let error = Error::usage(format!("gwinstall cannot update from {shown}"));
        Err(if executable || bundle {
            error
                .because("it is not signed itself: manifest.json and manifest.json.minisig must be beside it")
                .hint("copy the three files together, or use the offline archive gwinstall-offline-<version>.tar")
        } else {
            error.hint("give an https URL, a directory with releases, or gwinstall-offline-<version>.tar")
        })
    }

    fn open_archive(path: &Path) -> Result<Self> {
        let (file, _) = disk::reader(path)?;
        let mut documents = BTreeMap::new();
        let mut left = ARCHIVE_CAP;
        ustar::read_tar(std::io::BufReader::new(file), &Limits::OFFLINE, &mut |entry, body| {
            if is_document(&entry.path) && entry.kind == EntryKind::File && entry.size <= DOCUMENT_CAP {
                left = left
                    .checked_sub(entry.size)
                    .ok_or_else(|| Error::unverified("its documents are longer than those of any release"))?;
                documents.insert(entry.path.clone(), ustar::whole(entry, body)?);
            }
            Ok(())
        })?;
        Ok(Self::Archive { path: path.to_owned(), documents })
    }

    /// Whether the origin can prove that what it has is the newest.
    pub fn is_online(&self) -> bool {
        matches!(self, Self::Web { .. })
    }

    /// For messages and records.
    pub fn shown(&self) -> String {
        match self {
            Self::Web { base, .. } => base.clone(),
            Self::Directory(path) | Self::Archive { path, .. } => printable(&path.to_string_lossy()),
        }
    }

    /// A small file; `None` if the origin does not have it.
    pub fn document(&self, under: ReleasePath<'_>, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Web { client, .. } => match client.document(&self.url(under, name), DOCUMENT_CAP, None)? {
                Answer::Document { bytes, .. } => Ok(Some(bytes)),
                Answer::NotModified | Answer::Missing => Ok(None),
            },
            Self::Directory(dir) => {
                let path = on_disk(dir, under, name);
                if !disk::exists(&path) {
                    return Ok(None);
                }
                let path = regular(&path)?;
                if disk::facts(&path).is_some_and(|(len, _)| len > DOCUMENT_CAP) {
                    return Err(Error::unverified(format!("{name} is longer than any signed document")));
                }
                disk::read(&path, DOCUMENT_CAP).map(Some)
            }
            Self::Archive { documents, .. } => Ok(documents.get(name).cloned()),
        }
    }

    /// A small file that must be there.
    pub fn require(&self, under: ReleasePath<'_>, name: &str) -> Result<Vec<u8>> {
        self.document(under, name)?.ok_or_else(|| self.lacks(name))
    }

    /// A small file, only if it changed since `etag`. Origins without ETags answer in full.
    pub fn document_since(&self, under: ReleasePath<'_>, name: &str, etag: Option<&str>) -> Result<Answer> {
        match self {
            Self::Web { client, .. } => client.document(&self.url(under, name), DOCUMENT_CAP, etag),
            _ => Ok(match self.document(under, name)? {
                Some(bytes) => Answer::Document { bytes, etag: None },
                None => Answer::Missing,
            }),
        }
    }

    /// Fetches an artifact into a new, private file, and compares length and sha256. After any failure no file stays,
    /// except where `rejects` keeps it under another name.
    pub fn artifact(
        &self,
        version: &Name,
        artifact: &Artifact,
        into: &Path,
        rejects: Rejects,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        disk::remove(into).at("remove", into)?;
        self.receive(version, artifact, into, progress)
            .and_then(|received| received.check(artifact))
            .map_err(|error| rejects.file(into, artifact.name.as_str(), error))
    }

    fn receive(
        &self,
        version: &Name,
        artifact: &Artifact,
        into: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Received> {
        let (name, under) = (artifact.name.as_str(), ReleasePath::Version(version));
        match self {
            Self::Web { client, .. } => {
                let mut open = || {
                    disk::remove(into).at("remove", into)?;
                    Received::create(into)
                };
                client.download(&self.url(under, name), artifact.len, &mut open, progress)
            }
            Self::Directory(dir) => {
                let path = on_disk(dir, under, name);
                if !disk::exists(&path) {
                    return Err(self.lacks(name));
                }
                let (mut source, _) = disk::reader(&regular(&path)?)?;
                Received::create(into)?.copy(&mut source, artifact.len, progress)
            }
            Self::Archive { path, .. } => {
                let (source, _) = disk::reader(path)?;
                let (mut received, mut sink) = (None, Some(Received::create(into)?));
                ustar::read_tar(std::io::BufReader::new(source), &Limits::OFFLINE, &mut |entry, body| {
                    if entry.path == name
                        && let Some(sink) = sink.take()
                    {
                        received = Some(sink.copy(body, artifact.len, progress)?);
                    }
                    Ok(())
                })?;
                received.ok_or_else(|| self.lacks(name))
            }
        }
    }

    fn lacks(&self, name: &str) -> Error {
        let kind = if self.is_online() { Kind::Network } else { Kind::Usage };
        Error::new(kind, format!("{} has no {name}", self.shown()))
            .because("the release is incomplete, or this is not an origin of gwinstall releases")
            .hint("try again later, or with another origin (--from URL)")
    }

    fn url(&self, under: ReleasePath<'_>, name: &str) -> String {
        let Self::Web { base, layout, .. } = self else { return String::new() };
        match (layout, under) {
            (Layout::Plain, ReleasePath::Newest | ReleasePath::Shared) => format!("{base}/{name}"),
            (Layout::Plain, ReleasePath::Version(version)) => format!("{base}/v{version}/{name}"),
            (Layout::GitHub, ReleasePath::Newest) => format!("{base}/latest/download/{name}"),
            (Layout::GitHub, ReleasePath::Shared) => format!("{base}/download/channel/{name}"),
            (Layout::GitHub, ReleasePath::Version(version)) => format!("{base}/download/v{version}/{name}"),
        }
    }
}

/// Whether a name in an offline archive is that of a signed document or of its signature.
fn is_document(name: &str) -> bool {
    let document = name.strip_suffix(".minisig").unwrap_or(name);
    let signed = ["keys.", "channel-", "manifest."].iter().any(|start| document.starts_with(start));
    signed && (document != name || document.ends_with(".json"))
}

/// The file that a name in a directory of releases leads to. A pipe or a device is refused: a read from it could
/// last for ever.
fn regular(path: &Path) -> Result<PathBuf> {
    let real = disk::real_file(path)?;
    if disk::is_regular(&real) {
        return Ok(real);
    }
    Err(Error::unverified(format!("{} is not what was signed", printable(&path.to_string_lossy())))
        .because("it is not a regular file"))
}

/// A version has its own directory, unless its files were copied without one.
fn on_disk(dir: &Path, under: ReleasePath<'_>, name: &str) -> PathBuf {
    match under {
        ReleasePath::Version(version) => {
            let versioned = dir.join(format!("v{version}"));
            if disk::is_dir(&versioned) { versioned.join(name) } else { dir.join(name) }
        }
        ReleasePath::Newest | ReleasePath::Shared => dir.join(name),
    }
}

/// What happens to bytes that are not what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejects {
    Discard,
    /// `--keep-rejected`: they stay under `<name>.rejected`, private and not executable, for an investigation.
    Keep,
}

impl Rejects {
    /// Removes the file of `name`, or renames it, and adds to the error what happened to it.
    pub fn file(self, path: &Path, name: &str, error: Error) -> Error {
        let aside = path.with_file_name(format!("{name}.rejected"));
        if self == Self::Keep && error.kind() == Kind::Unverified && disk::exists(path) {
            let moved = disk::set_mode(path, 0o600).and_then(|()| disk::rename(path, &aside));
            if moved.is_ok() {
                return error.because(format!("what arrived is kept as {}", aside.display()));
            }
        }
        match disk::remove(path) {
            Ok(()) => error,
            Err(failure) => {
                error.because(format!("{} could not be removed: {}", path.display(), disk::reason(&failure)))
            }
        }
    }
}

/// A file that is being received; its bytes are hashed as they are written.
struct Received {
    file: Hasher<File>,
    path: PathBuf,
}

impl Received {
    fn create(path: &Path) -> Result<Self> {
        let file = disk::create(path, b"", 0o600).at("create", path)?;
        Ok(Self { file: Hasher::over(file), path: path.to_owned() })
    }

    /// Copies at most one byte more than expected.
    fn copy(mut self, source: &mut dyn Read, len: u64, progress: &mut dyn FnMut(u64)) -> Result<Self> {
        let mut source = source.take(len + 1);
        let (mut chunk, mut arrived) = (vec![0; 64 << 10], 0);
        loop {
            let read = source
                .read(&mut chunk)
                .map_err(|error| Error::failed("cannot read the release").because(disk::reason(&error)))?;
            if read == 0 {
                return Ok(self);
            }
            self.file
                .write_all(&chunk[..read])
                .map_err(|error| disk::failure("write", &self.path, &error))?;
            arrived += read as u64;
            progress(arrived);
        }
    }

    fn check(self, artifact: &Artifact) -> Result<()> {
        let (file, sha256, len) = self.file.into_parts();
        disk::flush(&[file]).at("write", &self.path)?;
        matches_manifest(artifact, sha256, len)
    }
}

impl Write for Received {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Both length and sha256 must be right; one of them alone proves nothing.
pub fn matches_manifest(artifact: &Artifact, sha256: Sha256, len: u64) -> Result<()> {
    if (len, sha256) == (artifact.len, artifact.sha256) {
        return Ok(());
    }
    Err(Error::unverified(format!("{} is not what was signed", artifact.name))
        .because(format!("signed:  {} bytes, sha256 {}", artifact.len, artifact.sha256))
        .because(format!("arrived: {len} bytes, sha256 {sha256}"))
        .hint("it was changed or decoded on its way here; try another network or origin (--from URL)"))
}
