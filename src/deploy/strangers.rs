//! Other users of the machine: a directory in which they can replace what gwinstall deploys would let them run their
//! programs with the rights and the keys of this user.
//!
//! Promise: every directory from the deployment and Claude Code's settings up to the home, or to the root outside of it, is
//! looked at, as it is named and as its links resolve. Never: changes a mode.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::domain::check::Finding;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::disk::{self, Stranger};
use crate::doors::system;

/// The outermost directory in which another user can replace files, and who that is.
fn exposed(place: &Place) -> Option<(PathBuf, Stranger)> {
    let mut dirs = BTreeSet::new();
    for dir in [&place.target, &place.config_dir] {
        for path in [dir.clone(), disk::canonical(&disk::nearest_existing(dir)).unwrap_or_default()] {
            let home = [place.home.clone(), disk::canonical(&place.home).unwrap_or_default()];
            let home = home.into_iter().find(|home| path.starts_with(home));
            let outside = |dir: &&Path| home.as_ref().is_some_and(|home| !dir.starts_with(home));
            dirs.extend(path.ancestors().take_while(|dir| !outside(dir)).map(Path::to_path_buf));
        }
    }
    dirs.into_iter().find_map(|dir| disk::stranger(&dir).map(|stranger| (dir, stranger)))
}

/// Refuses to deploy where another user can replace the files.
pub fn require_none(place: &Place) -> Result<()> {
    // A staged home is for another machine, with other users.
    let Some((dir, stranger)) = exposed(place).filter(|_| !place.staged) else { return Ok(()) };
    Err(Error::usage(format!("other users can replace files in {}, and nothing was changed", place.show(&dir)))
        .because(who(stranger))
        .because("they could let Claude Code run their programs and read your keys")
        .hint(remedy(place, &dir, stranger)))
}

/// The same as a finding of `doctor`.
pub fn finding(place: &Place) -> Finding {
    match exposed(place) {
        None => Finding::pass("no other user can replace the files of the gateway"),
        Some((dir, stranger)) => {
            Finding::fail(format!("other users can replace files in {}: {}", place.show(&dir), who(stranger)))
                .hint(remedy(place, &dir, stranger))
        }
    }
}

fn who(stranger: Stranger) -> String {
    match stranger {
        Stranger::Owner(user) => format!("it belongs to {}", system::name_of_user(user)),
        Stranger::Everyone => "every user of this machine may write there".to_owned(),
        Stranger::Group(group) => format!("the group {} may write there, and it has other members", system::name_of_group(group)),
    }
}

fn remedy(place: &Place, dir: &Path, stranger: Stranger) -> Hint {
    match stranger {
        Stranger::Owner(_) => Hint::shell(format!("ls -ld {}", place.paste(dir))).to("look at it, or choose another place with --target-dir"),
        Stranger::Everyone => Hint::shell(format!("chmod go-w {}", place.paste(dir))),
        Stranger::Group(_) => Hint::shell(format!("chmod g-w {}", place.paste(dir))),
    }
}
