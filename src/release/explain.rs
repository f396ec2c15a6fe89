//! `verify --explain`: commands of other programs that reach the same verdict.
//!
//! Promise: each line or here-document can be pasted into a POSIX shell as it stands, and fails where `verify` fails:
//! minisign for what was signed, sha256sum for the executable, the archive and every deployed file, find for permissions.
//! Never: runs any of them.

use std::path::Path;

use super::bundles;
use super::documents::{Keys, Manifest};
use super::trust::Verified;
use crate::bundle::build;
use crate::domain::Place;
use crate::domain::name::shell_word;
use crate::domain::record::{FileRecord, Record};
use crate::doors::disk;

/// What macOS has instead of sha256sum.
const SUM: &str = if cfg!(target_os = "macos") { "shasum -a 256" } else { "sha256sum" };

/// What `verify` checked.
pub struct Subjects<'a> {
    pub place: &'a Place,
    pub executable: &'a Path,
    pub keys: Option<&'a Keys>,
    /// Of the executable.
    pub manifest: Option<&'a Verified<Manifest>>,
    pub record: Option<&'a Record>,
    /// Of the deployed bundle.
    pub bundle: Option<&'a Verified<Manifest>>,
}

pub fn lines(subjects: &Subjects<'_>) -> Vec<String> {
    let mut lines = vec![String::new(), "The same without gwinstall, in a shell:".to_owned(), String::new()];
    let executable = shell_word(&subjects.executable.to_string_lossy());
    match subjects.manifest {
        Some(manifest) => {
            lines.extend(signature(subjects, manifest));
            if let Some(signed) = manifest.facts().artifact("binary", build::TARGET) {
                lines.push(format!("echo '{}  '{executable} | {SUM} -c", signed.sha256));
            }
        }
        None => {
            lines.push(
                "# No manifest of the executable's release is kept here; compare with that of the release:"
                    .to_owned(),
            );
            lines.push(format!("{SUM} {executable}"));
        }
    }
    let another = |bundle: &&Verified<Manifest>| {
        subjects.manifest.is_none_or(|manifest| manifest.sha256() != bundle.sha256())
    };
    lines.extend(subjects.bundle.filter(another).and_then(|bundle| signature(subjects, bundle)));
    lines.extend(subjects.bundle.into_iter().flat_map(|bundle| archive(subjects.place, bundle)));
    lines.extend(subjects.record.into_iter().flat_map(|record| deployment(subjects.place, record)));
    lines
}

fn signature(subjects: &Subjects<'_>, manifest: &Verified<Manifest>) -> Option<String> {
    let keys = subjects.keys?;
    let key = keys.release.iter().chain(&keys.retired).find(|key| key.id == manifest.signer())?;
    let document = bundles::manifest_path(&subjects.place.state_dir, manifest.facts().seq);
    Some(format!("minisign -VHm {} -P {}", shell_word(&document.to_string_lossy()), key.key.as_str()))
}

/// The bundle that was fetched, if this is one: what it hashes to, and what is in it.
fn archive(place: &Place, bundle: &Verified<Manifest>) -> Vec<String> {
    let archive = bundles::archive_path(&place.state_dir, bundle.facts().seq);
    let signed = bundle.facts().artifact("bundle", "any").filter(|_| disk::exists(&archive));
    let Some(signed) = signed else { return Vec::new() };
    let archive = shell_word(&archive.to_string_lossy());
    vec![format!("echo '{}  '{archive} | {SUM} -c", signed.sha256), format!("tar -tzf {archive}")]
}

/// Every deployed file as the record has it. A file that the user deleted is recorded as deleted, and has nothing to hash.
fn deployment(place: &Place, record: &Record) -> Vec<String> {
    let target = shell_word(&place.target.to_string_lossy());
    let mut lines = vec![format!("(cd {target} && {SUM} -c) <<'END'")];
    let files = record.files.iter().filter(|(_, known)| !known.deleted);
    lines.extend(files.map(|(path, known)| checksum(&known.sha256.to_string(), path)));
    lines.push("END".to_owned());
    lines.extend(permissions(&target, record));
    lines
}

/// Permissions have no checksum, so `find` looks for other writers of what is run and of what it reads.
fn permissions(target: &str, record: &Record) -> Vec<String> {
    let watched = record.files.iter().filter(|(_, known)| known.class.guards_mode() && !known.deleted);
    // One name a line, as the shell reads them.
    let (runs, read): (Vec<_>, Vec<_>) =
        watched.filter(|(path, _)| !path.contains('\n')).partition(|(_, known)| known.mode & 0o100 != 0);
    let list = |test: &str, files: Vec<(&String, &FileRecord)>| {
        let mut lines = vec![format!(
            "(cd {target} && while IFS= read -r f; do test -z \"$(find \"./$f\" {test})\" || exit 1; done) <<'END'"
        )];
        lines.extend(files.into_iter().map(|(path, _)| path.clone()));
        lines.push("END".to_owned());
        lines
    };
    let writable = r"-perm -020 -o -perm -002";
    [list(&format!("{writable} -o ! -perm -100"), runs), list(writable, read)].concat()
}

/// A line of `sha256sum`'s own format, which marks a name that it had to escape.
fn checksum(sha256: &str, path: &str) -> String {
    if path.contains(['\\', '\n', '\r']) {
        let path = path.replace('\\', r"\\").replace('\n', r"\n").replace('\r', r"\r");
        return format!("\\{sha256}  {path}");
    }
    format!("{sha256}  {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held against what coreutils itself writes for such a name.
    #[test]
    fn odd_names_are_escaped_as_sha256sum_does() {
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (path, line) in [
            ("docs/faq.md", format!("{sha256}  docs/faq.md")),
            ("it's $HOME `x`", format!("{sha256}  it's $HOME `x`")),
            ("a\\b\nc", format!("\\{sha256}  a\\\\b\\nc")),
        ] {
            assert_eq!(checksum(sha256, path), line);
        }
    }
}
