//! A bundle in a directory, for `--source-dir`: the one of this source tree, with changes that a test makes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::home::TestHome;

const EMBEDDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/embedded");

pub struct SourceDir(PathBuf);

impl SourceDir {
    /// A copy beside the home, which the test may change.
    pub fn new(home: &TestHome) -> Self {
        let to = (1..).map(|n| home.root().join(format!("bundle-{n}"))).find(|dir| !dir.exists()).unwrap();
        copy(Path::new(EMBEDDED), &to);
        Self(to)
    }

    /// `install --source-dir …`, ready to paste before other arguments.
    pub fn install(&self) -> String {
        format!("install --source-dir {} --yes", self.0.display())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Adds a line to a file, so that it is another version of it.
    #[must_use]
    pub fn ships(self, path: &str, line: &str) -> Self {
        let text = fs::read_to_string(self.0.join(path)).unwrap();
        self.replaces(path, &format!("{text}{line}\n"))
    }

    #[must_use]
    pub fn replaces(self, path: &str, text: &str) -> Self {
        fs::write(self.0.join(path), text).unwrap();
        self
    }

    /// Takes a file out of the bundle and its catalog.
    #[must_use]
    pub fn drops(self, path: &str) -> Self {
        fs::remove_file(self.0.join(path)).unwrap();
        let catalog = fs::read_to_string(self.0.join("catalog.yaml")).unwrap();
        let line = format!("{{path: {path},");
        assert!(catalog.contains(&line), "the catalog has no {path}");
        let kept: Vec<&str> = catalog.lines().filter(|known| !known.contains(&line)).collect();
        self.replaces("catalog.yaml", &format!("{}\n", kept.join("\n")))
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
