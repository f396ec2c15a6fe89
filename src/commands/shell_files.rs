//! The lines that install.sh put into shell files with `--modify-path`: found by their mark, taken out on request.
//!
//! Promises: only whole lines that end in the mark go; every other byte stays, as do mode and links; a file is its old
//! self or its new self. Never: a line without the mark, or a file that belongs to somebody else.

use std::path::{Path, PathBuf};

use crate::domain::{Place, Result};
use crate::doors::{disk, system};

const MARK: &str = "# added by gwinstall install.sh";

/// What became of the marked lines.
#[derive(Default)]
pub(super) struct Removed {
    pub changed: Vec<PathBuf>,
    /// Files that keep their line, because they are not ours to write.
    pub left: Vec<PathBuf>,
}

/// The shell files that hold a marked line.
pub(super) fn marked(place: &Place) -> Result<Vec<PathBuf>> {
    let mut marked = Vec::new();
    for path in candidates(place) {
        // A link into nowhere holds no line.
        let Ok(path) = disk::real_file(&path) else { continue };
        let text = disk::read_maybe(&path, disk::TEXT_CAP).unwrap_or_default();
        if text.is_some_and(|text| without_marked(&text).is_some()) && !marked.contains(&path) {
            marked.push(path);
        }
    }
    Ok(marked)
}

/// Takes the marked lines out.
pub(super) fn clean(place: &Place) -> Result<Removed> {
    let mut removed = Removed::default();
    for path in marked(place)? {
        let ours = disk::owner(&path).is_some_and(|(user, _)| user == system::user_id());
        let text = disk::read(&path, disk::TEXT_CAP)?;
        let Some(kept) = without_marked(&text) else { continue };
        if !ours {
            removed.left.push(path);
            continue;
        }
        replace(&path, &kept).map_err(|error| disk::failure("write", &path, &error))?;
        removed.changed.push(path);
    }
    Ok(removed)
}

/// Where install.sh may have written; the last file is one of its own.
fn candidates(place: &Place) -> Vec<PathBuf> {
    // Variables speak of whoever runs this, not of a directory that becomes an image.
    let named = |name: &str| (!place.staged).then(|| system::path_variable(name)).flatten();
    let in_home = [".bashrc", ".profile", ".bash_profile", ".bash_login"];
    let mut paths: Vec<PathBuf> = in_home.iter().map(|name| place.home.join(name)).collect();
    paths.push(named("ZDOTDIR").unwrap_or_else(|| place.home.clone()).join(".zshrc"));
    let config = named("XDG_CONFIG_HOME").unwrap_or_else(|| place.home.join(".config"));
    paths.push(config.join("fish/conf.d/gwinstall.fish"));
    paths
}

fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if text.is_empty() && name == "gwinstall.fish" {
        return disk::remove(path);
    }
    let beside = path.with_file_name(format!(".{name}.gwinstall-{}", system::pid()));
    let written = disk::create(&beside, text, disk::mode(path).unwrap_or(0o644))
        .and_then(|file| disk::flush(&[file]))
        .and_then(|()| disk::rename(&beside, path));
    if let Err(error) = written {
        let _ = disk::remove(&beside);
        return Err(error);
    }
    path.parent().map_or(Ok(()), disk::flush_dir)
}

/// The text without its marked lines; `None` if it has none.
fn without_marked(text: &[u8]) -> Option<Vec<u8>> {
    let is_marked = |line: &&[u8]| line.trim_ascii_end().ends_with(MARK.as_bytes());
    let lines = || text.split_inclusive(|byte| *byte == b'\n');
    lines()
        .any(|line| is_marked(&line))
        .then(|| lines().filter(|line| !is_marked(line)).flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_lines_go_and_every_other_byte_stays() {
        let line = "export PATH=\"/home/me/.local/bin:$PATH\" # added by gwinstall install.sh";
        for (before, after) in [
            (format!("{line}\n"), ""),
            (format!("a\n{line}\nb"), "a\nb"),
            (format!("a\r\n{line}\r\n\n{line}\n  b \n"), "a\r\n\n  b \n"),
            (format!("a\n{line}"), "a\n"),
        ] {
            assert_eq!(without_marked(before.as_bytes()), Some(after.as_bytes().to_vec()), "{before:?}");
        }
        for kept in ["", "a\n", "# added by gwinstall install.sh: see below\n", "\u{ff}"] {
            assert_eq!(without_marked(kept.as_bytes()), None, "{kept:?}");
        }
        assert_eq!(
            without_marked(b"\xff\xfe\n# added by gwinstall install.sh\n\xfd"),
            Some(b"\xff\xfe\n\xfd".to_vec())
        );
    }
}
