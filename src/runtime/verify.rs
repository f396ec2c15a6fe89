//! Whether an environment is complete: every file that its packages list is there, with its length and its sha256.
//!
//! A killed installation leaves packages that look installed and lack files, and the installer takes them for whole the next
//! time. So what it says is not believed.

use std::path::Path;

use data_encoding::BASE64URL_NOPAD;

use super::environment;
use crate::domain::{Error, Result};
use crate::doors::disk::{self, At as _};

/// How much of an environment was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checked {
    pub packages: usize,
    pub files: usize,
}

/// Compares every file with the `RECORD` of its package.
pub(super) fn verify(dir: &Path) -> Result<Checked> {
    let mut checked = Checked::default();
    for packages in environment::packages(dir) {
        for name in disk::list(&packages)?.into_iter().filter(|name| name.ends_with(".dist-info")) {
            let record = packages.join(&name).join("RECORD");
            let text = disk::read(&record, 16 << 20)?;
            let text = String::from_utf8_lossy(&text);
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let Some(listed) = Listed::parse(line) else {
                    return Err(incomplete(&format!("{}: {line}", record.display())));
                };
                listed.check(&packages)?;
                checked.files += 1;
            }
            checked.packages += 1;
        }
    }
    if checked.packages == 0 { Err(incomplete("it holds no packages")) } else { Ok(checked) }
}

fn incomplete(why: &str) -> Error {
    Error::failed("what was installed is not complete").because(why)
}

/// A line of a RECORD: a path, then its hash and its length where they are known.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    path: String,
    sha256: Option<String>,
    len: Option<u64>,
}

impl Listed {
    /// CSV with three fields, the first perhaps in quotes.
    fn parse(line: &str) -> Option<Self> {
        let (rest, len) = line.trim_end().rsplit_once(',')?;
        let (path, hash) = rest.rsplit_once(',')?;
        let path = match path.strip_prefix('"').and_then(|path| path.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => path.to_owned(),
        };
        let sha256 = hash.strip_prefix("sha256=").map(str::to_owned);
        let len = if len.is_empty() { None } else { Some(len.parse().ok()?) };
        Some(Self { path, sha256, len })
    }

    fn check(&self, packages: &Path) -> Result<()> {
        let path = packages.join(&self.path);
        let Some((len, _)) = disk::facts(&path) else {
            return Err(incomplete(&format!("{} is missing", path.display())));
        };
        if self.len.is_some_and(|listed| listed != len) {
            return Err(incomplete(&format!(
                "{} has {len} bytes, not {}",
                path.display(),
                self.len.unwrap_or(0)
            )));
        }
        let Some(listed) = &self.sha256 else { return Ok(()) };
        let found = disk::find(&path)?.stamp().map(|stamp| BASE64URL_NOPAD.encode(stamp.sha256.bytes()));
        if found.as_ref() == Some(listed) {
            Ok(())
        } else {
            Err(incomplete(&format!("{} is damaged", path.display())))
        }
    }
}

/// The header with which a script finds its Python beside itself, wherever the environment lies.
const HEADER: &str =
    "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/python \"$0\" \"$@\"\n' '''\n";

/// Makes the scripts of an environment work after it is renamed: pip writes the path of their Python into them.
pub(super) fn make_relocatable(dir: &Path) -> Result<()> {
    let bin = dir.join("bin");
    let own = bin.to_string_lossy().into_owned();
    for name in disk::list(&bin)? {
        let path = bin.join(&name);
        if disk::link_target(&path).is_some() || disk::facts(&path).is_none_or(|(len, _)| len > 1 << 20) {
            continue;
        }
        let Ok(text) = String::from_utf8(disk::read(&path, 1 << 20)?) else { continue };
        if let Some(text) = relocated(&text, &own) {
            disk::overwrite(&path, text.as_bytes()).at("write", &path)?;
        }
    }
    Ok(())
}

/// The script with the header that finds its Python; `None`: it does not name one in `bin`.
fn relocated(text: &str, bin: &str) -> Option<String> {
    let (first, rest) = text.split_once('\n')?;
    if first.strip_prefix("#!").is_some_and(|python| python.trim().starts_with(bin)) {
        return Some(format!("{HEADER}{rest}"));
    }
    // Where a path is too long for the kernel.
    let (exec, rest) = rest.split_once('\n')?;
    let (end, rest) = rest.split_once('\n')?;
    let is_long =
        first == "#!/bin/sh" && exec.starts_with("'''exec' ") && exec.contains(bin) && end.trim() == "' '''";
    is_long.then(|| format!("{HEADER}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::disk::{create, create_dirs};

    #[test]
    fn a_line_of_a_record_is_read() {
        let listed = |line| Listed::parse(line).unwrap();
        let whole = listed("litellm/a.py,sha256=abc,12");
        assert_eq!(
            (whole.path.as_str(), whole.sha256.as_deref(), whole.len),
            ("litellm/a.py", Some("abc"), Some(12))
        );
        assert_eq!(listed("litellm-1.dist-info/RECORD,,").len, None);
        assert_eq!(listed("\"a,\"\"b.py\",,").path, "a,\"b.py");
        assert_eq!(Listed::parse("a.py"), None);
        assert_eq!(Listed::parse("a.py,,many"), None);
    }

    #[test]
    fn a_file_that_is_missing_short_or_changed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let packages = dir.path().join("lib/python3.11/site-packages");
        let info = packages.join("a-1.dist-info");
        create_dirs(&info).unwrap();
        assert!(verify(dir.path()).unwrap_err().to_string().contains("RECORD"));
        // sha256 of "text".
        let record = "a.py,sha256=mC2e2TFvzHicgaUSUvH5A_6EvbefUCoMWOZvzZ_6u9E,4\na-1.dist-info/RECORD,,\n";
        let digest = BASE64URL_NOPAD.encode(crate::domain::Sha256::of(b"text").bytes());
        let record = record.replace("mC2e2TFvzHicgaUSUvH5A_6EvbefUCoMWOZvzZ_6u9E", &digest);
        create(&info.join("RECORD"), record.as_bytes(), 0o644).unwrap();
        let why = || verify(dir.path()).unwrap_err().to_string();
        assert!(why().contains("a.py is missing"));
        create(&packages.join("a.py"), b"tex", 0o644).unwrap();
        assert!(why().contains("3 bytes, not 4"));
        disk::overwrite(&packages.join("a.py"), b"tent").unwrap();
        assert!(why().contains("is damaged"));
        disk::overwrite(&packages.join("a.py"), b"text").unwrap();
        assert_eq!(verify(dir.path()).unwrap(), Checked { packages: 1, files: 2 });
    }

    #[test]
    fn scripts_find_their_python_beside_themselves() {
        let moved = relocated("#!/tmp/x/bin/python3\nimport sys\n", "/tmp/x/bin").unwrap();
        assert!(moved.starts_with("#!/bin/sh\n'''exec' ") && moved.ends_with("' '''\nimport sys\n"));
        let long = "#!/bin/sh\n'''exec' \"/tmp/x/bin/python3\" \"$0\" \"$@\"\n' '''\nimport sys\n";
        assert_eq!(relocated(long, "/tmp/x/bin"), Some(moved));
        assert_eq!(relocated("#!/usr/bin/python3\nimport sys\n", "/tmp/x/bin"), None);
        assert_eq!(relocated("#!/bin/sh\nexec true\n", "/tmp/x/bin"), None);
    }
}
