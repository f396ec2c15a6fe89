//! A directory tree as it is: every path with its bytes and mode, and, where asked, with its moment and inode.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is at one path.
#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    Dir { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Link(PathBuf),
    Other,
}

/// Every path below a root, relative to it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tree(pub BTreeMap<String, Node>);

impl Tree {
    pub fn of(root: &Path) -> Self {
        let mut tree = Self::default();
        for path in walk(root) {
            let full = root.join(&path);
            let meta = fs::symlink_metadata(&full).unwrap();
            let mode = meta.mode() & 0o7777;
            let node = if meta.is_symlink() {
                Node::Link(fs::read_link(&full).unwrap())
            } else if meta.is_dir() {
                Node::Dir { mode }
            } else if meta.is_file() {
                // A file of hundreds of megabytes is a hole: its length stands for it.
                let bytes = if meta.len() > 64 << 20 {
                    meta.len().to_string().into_bytes()
                } else {
                    fs::read(&full).unwrap()
                };
                Node::File { mode, bytes }
            } else {
                Node::Other
            };
            tree.0.insert(path, node);
        }
        tree
    }

    /// The same without the paths that `leave_out` names.
    pub fn without(mut self, leave_out: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|path, _| !leave_out(path));
        self
    }

    /// The paths that differ, with how; empty when both are the same.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (path, old) in &self.0 {
            match after.0.get(path) {
                None => changes.push(format!("- {path}")),
                Some(new) if new == old => {}
                Some(Node::File { mode, bytes }) => match old {
                    Node::File { bytes: before, .. } if before == bytes => {
                        changes.push(format!("{path}: mode {mode:o}"));
                    }
                    _ => changes.push(format!("~ {path}")),
                },
                Some(_) => changes.push(format!("~ {path}")),
            }
        }
        changes.extend(
            after.0.keys().filter(|path| !self.0.contains_key(*path)).map(|path| format!("+ {path}")),
        );
        changes
    }

    /// Paths of the files that hold `needle`.
    pub fn holding(&self, needle: &str) -> Vec<&str> {
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        self.0
            .iter()
            .filter(|(_, node)| matches!(node, Node::File { bytes, .. } if holds(bytes)))
            .map(|(path, _)| path.as_str())
            .collect()
    }
}

/// Inode and moment of the last change, per path: a file that was rewritten with the same bytes shows here.
pub fn moments(root: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    let moment = |path: String| {
        let meta = fs::symlink_metadata(root.join(&path)).unwrap();
        (path, (meta.ino(), meta.mtime(), meta.mtime_nsec()))
    };
    walk(root).into_iter().map(moment).collect()
}

fn walk(root: &Path) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut next = 0;
    while next < found.len() {
        let path = found[next].clone();
        next += 1;
        let full = root.join(&path);
        if !fs::symlink_metadata(&full).is_ok_and(|meta| meta.is_dir()) {
            continue;
        }
        for entry in fs::read_dir(&full).unwrap() {
            let name = entry.unwrap().file_name();
            found.push(Path::new(&path).join(name).to_string_lossy().into_owned());
        }
    }
    found
}
