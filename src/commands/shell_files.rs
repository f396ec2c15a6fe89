//! The parts of shell files that gwinstall wrote: the lines that install.sh added with `--modify-path`, and the files
//! that `completions --install` wrote. Both are found by their mark and removed on request.
//!
//! Promises: only whole lines that end in the mark go; every other byte stays, as do mode and links; a file has either
//! its old or its new content. Never: a line or a file without the mark, or a file of another user.

use std::path::{Path, PathBuf};

use crate::cli::Shell;
use crate::domain::name::shell_word;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::{disk, system};

const MARK: &str = "# added by gwinstall install.sh";

/// The last line of a completion file.
const WRITTEN: &str = "# written by gwinstall completions --install";

/// The result of removing the marked lines.
#[derive(Default)]
pub(super) struct Removed {
    pub changed: Vec<PathBuf>,
    /// Files that keep their line, because they belong to another user.
    pub left: Vec<PathBuf>,
}

/// The file that this shell reads when gwinstall is completed for the first time; `None` for a shell without one.
pub(super) fn completion_file(place: &Place, shell: Shell) -> Option<PathBuf> {
    let data = || named(place, "XDG_DATA_HOME").unwrap_or_else(|| place.home.join(".local/share"));
    Some(match shell {
        Shell::Bash => data().join("bash-completion/completions/gwinstall"),
        Shell::Zsh => data().join("zsh/site-functions/_gwinstall"),
        Shell::Fish => config(place).join("fish/completions/gwinstall.fish"),
        Shell::Elvish | Shell::Powershell => return None,
    })
}

/// Writes a completion file, or replaces the one that gwinstall wrote before.
pub(super) fn write_completions(path: &Path, text: &str) -> Result<()> {
    let before = disk::read_maybe(path, disk::TEXT_CAP)?;
    if before.is_some_and(|before| !is_completion_file(&before)) {
        return Err(Error::usage(format!("{} exists, and gwinstall did not write it", path.display()))
            .hint(Hint::shell(format!("rm {}", shell_word(&path.to_string_lossy()))).to("remove it")));
    }
    let dirs = path.parent().map_or(Ok(Vec::new()), disk::create_dirs);
    dirs.and_then(|_| replace(path, format!("{text}{WRITTEN}\n").as_bytes()))
        .map_err(|error| disk::failure("write", path, &error))
}

fn is_completion_file(text: &[u8]) -> bool {
    text.trim_ascii_end().ends_with(WRITTEN.as_bytes())
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

/// Removes the marked lines.
pub(super) fn clean(place: &Place) -> Result<Removed> {
    let mut removed = Removed::default();
    for path in marked(place)? {
        let own = disk::owner(&path).is_some_and(|(user, _)| user == system::user_id());
        let text = disk::read(&path, disk::TEXT_CAP)?;
        let Some(kept) = without_marked(&text) else { continue };
        if !own {
            removed.left.push(path);
            continue;
        }
        replace(&path, &kept).map_err(|error| disk::failure("write", &path, &error))?;
        removed.changed.push(path);
    }
    Ok(removed)
}

/// Where install.sh and `completions --install` may have written.
fn candidates(place: &Place) -> Vec<PathBuf> {
    let in_home = [".bashrc", ".profile", ".bash_profile", ".bash_login"];
    let mut paths: Vec<PathBuf> = in_home.iter().map(|name| place.home.join(name)).collect();
    paths.push(named(place, "ZDOTDIR").unwrap_or_else(|| place.home.clone()).join(".zshrc"));
    paths.push(config(place).join("fish/conf.d/gwinstall.fish"));
    paths.extend(
        [Shell::Bash, Shell::Zsh, Shell::Fish].into_iter().filter_map(|shell| completion_file(place, shell)),
    );
    paths
}

fn config(place: &Place) -> PathBuf {
    named(place, "XDG_CONFIG_HOME").unwrap_or_else(|| place.home.join(".config"))
}

/// A directory from the environment. It belongs to the user who runs this, not to a home that becomes an image.
fn named(place: &Place, variable: &str) -> Option<PathBuf> {
    system::path_variable(variable).filter(|dir| !place.staged && dir.is_absolute())
}

fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A completion file has no lines of the user, so gwinstall removes it whole.
    if text.is_empty() && matches!(&*name, "gwinstall.fish" | "gwinstall" | "_gwinstall") {
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

/// The text without its marked lines; `None` if it has none. Of a completion file nothing is left.
fn without_marked(text: &[u8]) -> Option<Vec<u8>> {
    if is_completion_file(text) {
        return Some(Vec::new());
    }
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
        let completions = format!("eval x\n{WRITTEN}\n");
        assert_eq!(without_marked(completions.as_bytes()), Some(Vec::new()));
        for kept in ["", "a\n", "# added by gwinstall install.sh: see below\n", "\u{ff}"] {
            assert_eq!(without_marked(kept.as_bytes()), None, "{kept:?}");
        }
        assert_eq!(
            without_marked(b"\xff\xfe\n# added by gwinstall install.sh\n\xfd"),
            Some(b"\xff\xfe\n\xfd".to_vec())
        );
    }
}
