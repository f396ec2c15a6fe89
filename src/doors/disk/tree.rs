//! Whole directories: the environments that gwinstall builds beside its deployments.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Removes a directory that gwinstall built, with everything in it; one that is gone already is fine. No link is followed.
pub fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The bytes that a directory takes on disk; what cannot be looked at does not count. A file that other directories share
/// counts in each.
pub fn tree_size(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: io::Result<fs::DirEntry>| {
        let Ok((entry, meta)) = entry.and_then(|entry| entry.metadata().map(|meta| (entry, meta))) else {
            return 0;
        };
        if meta.is_dir() { tree_size(&entry.path()) } else { meta.blocks() * 512 }
    };
    entries.map(size).sum()
}

/// Makes everything durable that was written to the file system of `dir`: for a tree with too many files to flush each.
pub fn flush_file_system(dir: &Path) -> io::Result<()> {
    let dir = fs::File::open(dir)?;
    #[cfg(target_os = "linux")]
    match rustix::fs::syncfs(&dir) {
        Ok(()) | Err(rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    dir.sync_all()
}

/// Where a symbolic link leads to; `None` for anything else.
pub fn link_target(path: &Path) -> Option<std::path::PathBuf> {
    fs::read_link(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_goes_and_what_its_links_lead_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, kept) = (dir.path().join("tree"), dir.path().join("kept"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), [7; 9000]).unwrap();
        fs::write(tree.join("a/b/file"), [7; 9000]).unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("a/link")).unwrap();
        assert!(tree_size(&tree) >= 9000 && tree_size(&tree) < 18000);
        assert_eq!(link_target(&tree.join("a/link")), Some(kept.clone()));
        flush_file_system(&tree).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && kept.join("file").exists());
    }
}
