//! The files in which people export variables: start files of shells, fish's universal variables, environment.d of systemd.
//!
//! Promise: they are read as text and never run; a file that cannot be read is named in a note. Never: opens what is not a
//! regular file, or a file of another home than the place's.

use std::path::{Path, PathBuf};

use crate::domain::Place;
use crate::doors::{disk, system};
use crate::format::rc::{Dialect, Found, scan};

/// Files below the home, in the order in which they are asked.
const IN_HOME: [&str; 8] =
    [".bashrc", ".bash_profile", ".bash_login", ".zshrc", ".zprofile", ".zshenv", ".zlogin", ".profile"];
/// Those of zsh, which may stand in a directory of their own.
const OF_ZSH: [&str; 4] = [".zshrc", ".zprofile", ".zshenv", ".zlogin"];

/// One file.
struct File {
    shown: String,
    text: String,
    dialect: Dialect,
}

pub(super) struct Exports {
    files: Vec<File>,
    /// A sentence for each file that could not be read.
    pub(super) notes: Vec<String>,
}

impl Exports {
    pub(super) fn open(place: &Place) -> Self {
        let mut exports = Self { files: Vec::new(), notes: Vec::new() };
        exports.extend(place, IN_HOME.map(|name| (place.home.join(name), Dialect::Posix)));
        if let Some(dir) = exports.zsh_directory(place).filter(|dir| *dir != place.home) {
            let mut others = Self { files: Vec::new(), notes: Vec::new() };
            others.extend(place, OF_ZSH.map(|name| (dir.join(name), Dialect::Posix)));
            exports.notes.append(&mut others.notes);
            // zsh reads these instead of those in the home.
            exports.files.splice(0..0, others.files);
        }
        let config = directory(place, "XDG_CONFIG_HOME").unwrap_or_else(|| place.home.join(".config"));
        let fish = config.join("fish");
        exports.extend(place, [(fish.join("config.fish"), Dialect::Fish)]);
        exports.extend(place, last_first(&fish.join("conf.d"), ".fish").map(|path| (path, Dialect::Fish)));
        exports.extend(place, [(fish.join("fish_variables"), Dialect::FishVariables)]);
        let systemd = config.join("environment.d");
        exports.extend(place, last_first(&systemd, ".conf").map(|path| (path, Dialect::EnvironmentD)));
        exports
    }

    fn extend(&mut self, place: &Place, paths: impl IntoIterator<Item = (PathBuf, Dialect)>) {
        for (path, dialect) in paths {
            if let Some(text) = read_text(place, &path, &mut self.notes) {
                self.files.push(File { shown: place.show(&path), text, dialect });
            }
        }
    }

    /// What each file says last about a variable, with the file's name; files that do not name it are left out.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, Found)> {
        self.files
            .iter()
            .filter_map(move |file| Some((file.shown.as_str(), scan(&file.text, file.dialect, name)?)))
    }

    /// `ZDOTDIR` of the environment, else as ~/.zshenv sets it, which zsh reads before it looks there.
    fn zsh_directory(&self, place: &Place) -> Option<PathBuf> {
        if let Some(dir) = directory(place, "ZDOTDIR") {
            return Some(dir);
        }
        let zshenv = self.files.iter().find(|file| file.shown.ends_with("/.zshenv"))?;
        let line = zshenv.text.lines().rev().map(str::trim);
        let mut values = line
            .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).trim().strip_prefix("ZDOTDIR="));
        let value = values.next()?.split(" #").next()?.trim().trim_matches(['"', '\'']);
        let home = ["$HOME", "${HOME}", "~"].iter().find_map(|home| value.strip_prefix(home));
        let path = match home {
            Some(rest) => place.home.join(rest.trim_start_matches('/')),
            None => PathBuf::from(value),
        };
        (path.is_absolute() && !value.contains(['`', '('])).then_some(path).filter(|path| disk::is_dir(path))
    }
}

/// A directory from the environment. It belongs to the user who runs this, not to a home that becomes an image.
fn directory(place: &Place, variable: &str) -> Option<PathBuf> {
    system::path_variable(variable).filter(|dir| !place.staged && dir.is_absolute())
}

/// The files of a directory: what a later one sets counts.
fn last_first(dir: &Path, end: &str) -> impl Iterator<Item = PathBuf> {
    let names = disk::list(dir).unwrap_or_default();
    let found: Vec<PathBuf> =
        names.iter().filter(|name| name.ends_with(end)).map(|name| dir.join(name)).collect();
    found.into_iter().rev()
}

/// A text file of the user's, if it is one: a FIFO, a directory or an enormous file is skipped with a note.
pub(super) fn read_text(place: &Place, path: &Path, notes: &mut Vec<String>) -> Option<String> {
    // Dotfiles are often links into a repository; reading through them is what a shell does.
    let real = disk::real_file(path).ok()?;
    match disk::read_maybe(&real, disk::TEXT_CAP) {
        // A value with a byte that is not text is skipped by its reader.
        Ok(bytes) => bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => {
            notes.push(format!("{} was not read: {}", place.show(path), error.causes().join(": ")));
            None
        }
    }
}
