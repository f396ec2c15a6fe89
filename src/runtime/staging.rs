//! Where runtimes are built and removed: one run at a time, each in a directory of its own that goes with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::{self, STAGING};
use crate::domain::{Error, Hint, Kind, Result};
use crate::doors::disk::{self, At as _, Holder, Lock};
use crate::doors::{signals, system, term};

/// One builder at a time.
pub fn lock(root: &Path, wait: u64) -> Result<Lock> {
    let path = root.join("lock");
    let me = Holder { pid: system::pid(), command: "runtime".to_owned(), since: system::now() };
    for second in 0..=wait {
        match disk::hold(&path, &me).at("lock", &path)? {
            Ok(lock) => return Ok(lock),
            Err(holder) if second == wait => {
                let error = Error::new(Kind::Busy, "another gwinstall is installing or removing a runtime");
                let error = match holder {
                    Some(holder) => error.because(format!("process {} since {}", holder.pid, holder.since)),
                    None => error,
                };
                return Err(error.hint(Hint::again(&["--lock-wait=300"]).to("wait for it")));
            }
            Err(_) => system::sleep(Duration::from_secs(1)),
        }
        signals::check()?;
    }
    Err(Error::new(Kind::Busy, "another gwinstall is installing or removing a runtime"))
}

/// Removes what killed runs left. Only with the lock.
pub fn remove_leftovers(root: &Path) -> Result<()> {
    for name in disk::list(root)?.into_iter().filter(|name| name.starts_with(STAGING)) {
        let left = root.join(&name);
        disk::remove_tree(&left).at("remove", &left)?;
        term::detail(&format!("gwinstall removed what an interrupted run left: {}", left.display()));
    }
    Ok(())
}

/// Removes what killed runs left, unless another run is at work: that one has removed it.
pub fn tidy(root: &Path) -> Result<()> {
    if !disk::list(root)?.iter().any(|name| name.starts_with(STAGING)) {
        return Ok(());
    }
    match lock(root, 0) {
        Ok(_lock) => remove_leftovers(root),
        Err(error) if error.kind() == Kind::Busy => Ok(()),
        Err(error) => Err(error),
    }
}

/// A directory that goes with this run, whether it succeeds or not.
pub(super) struct Staging {
    pub dir: PathBuf,
}

impl Staging {
    pub(super) fn new(root: &Path) -> Result<Self> {
        // A name of its own: no program that an earlier run started can write into it.
        let dir = place::aside(root)?;
        disk::create_dirs(&dir).at("create", &dir)?;
        Ok(Self { dir })
    }

    pub(super) fn env(&self) -> PathBuf {
        self.dir.join("env")
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed by the next run.
        let _ = disk::remove_tree(&self.dir);
    }
}
