//! Other users of the machine: a directory in which they can replace what gwinstall deploys would let them run their
//! programs with the rights and the keys of this user.
//!
//! Promise: every directory that leads to the deployment, to Claude Code's settings, to the keys and to the scripts is looked
//! at, below the home and wherever a link leads. Never: changes a mode.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::domain::check::Finding;
use crate::domain::place::files;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::disk::{self, Stranger};
use crate::doors::system;

/// How many links a path may lead through, as the kernel has it.
const MOST_LINKS: usize = 40;

/// The outermost path that another user can replace or write to, and who that is.
fn exposed(place: &Place) -> Option<(PathBuf, Stranger)> {
    let home = [place.home.clone(), disk::canonical(&place.home).unwrap_or_default()];
    let settings = place.settings();
    // The place holds paths without their links.
    let usual = place.home.join(".claude/gateway");
    let named = [files::ENV, files::CONFIG, files::START, files::KEY_HELPER].map(|name| place.file(name));
    let mut dirs = BTreeSet::new();
    for path in [&usual, &place.target, &place.config_dir, &settings].into_iter().chain(&named) {
        let mut links = MOST_LINKS;
        walk(path, &mut dirs, &mut links);
    }
    // What lies above the home is the administrator's.
    dirs.retain(|dir| !home.iter().any(|home| home != dir && home.starts_with(dir)));
    let by_directory = dirs.into_iter().find_map(|dir| disk::stranger(&dir).map(|stranger| (dir, stranger)));
    by_directory.or_else(|| disk::is_open_to_all(&settings).then_some((settings, Stranger::Everyone)))
}

/// Adds every directory that leads to `path`: those that it names, and those that each link on the way names.
fn walk(path: &Path, dirs: &mut BTreeSet<PathBuf>, links: &mut usize) {
    let steps: Vec<&Path> = path.ancestors().collect();
    for step in steps.into_iter().rev() {
        match disk::link_target(step) {
            Some(to) if *links > 0 => {
                *links -= 1;
                walk(&step.parent().unwrap_or(step).join(to), dirs, links);
            }
            _ if disk::is_dir(step) => {
                dirs.insert(step.to_path_buf());
            }
            _ => {}
        }
    }
}

/// Refuses to deploy where another user can replace the files.
pub fn require_none(place: &Place) -> Result<()> {
    // A staged home is for another machine, with other users.
    let Some((dir, stranger)) = exposed(place).filter(|_| !place.staged) else { return Ok(()) };
    Err(Error::usage(format!(
        "other users can change what is in {}, and nothing was changed",
        place.show(&dir)
    ))
    .because(who(stranger))
    .because("they could let Claude Code run their programs and read your keys")
    .hint(remedy(place, &dir, stranger)))
}

/// Refuses to render into a directory where another user can replace the files: root and scripts run them later.
pub fn require_none_at(place: &Place) -> Result<()> {
    let (mut dirs, mut links) = (BTreeSet::new(), MOST_LINKS);
    walk(&place.target, &mut dirs, &mut links);
    let found = dirs.into_iter().find_map(|dir| disk::stranger(&dir).map(|stranger| (dir, stranger)));
    let Some((dir, stranger)) = found else { return Ok(()) };
    Err(Error::usage(format!(
        "other users can change what is in {}, and nothing was changed",
        place.show(&dir)
    ))
    .because(who(stranger))
    .hint(match stranger {
        Stranger::Owner(_) => Hint::step("run it as that user, or give another directory"),
        _ => remedy(place, &dir, stranger),
    }))
}

/// What `doctor` says about it: whether another user can change the files of the gateway.
pub fn finding(place: &Place) -> Finding {
    match exposed(place) {
        None => Finding::pass("no other user can replace the files of the gateway"),
        Some((dir, stranger)) => Finding::fail(format!(
            "other users can change what is in {}: {}",
            place.show(&dir),
            who(stranger)
        ))
        .hint(remedy(place, &dir, stranger)),
    }
}

fn who(stranger: Stranger) -> String {
    match stranger {
        Stranger::Owner(user) => format!("it belongs to {}", system::name_of_user(user)),
        Stranger::User(user) => format!("{} may write there by its access list", system::name_of_user(user)),
        Stranger::Everyone => "every user of this machine may write there".to_owned(),
        Stranger::Group(group) => {
            format!("the group {} may write there, and it has other members", system::name_of_group(group))
        }
    }
}

fn remedy(place: &Place, dir: &Path, stranger: Stranger) -> Hint {
    match stranger {
        Stranger::Owner(_) => Hint::shell(format!("ls -ld {}", place.paste(dir)))
            .to("look at it, or choose another place with --target-dir"),
        Stranger::User(_) => Hint::shell(format!("setfacl -b {}", place.paste(dir))).to("remove the list"),
        Stranger::Everyone => Hint::shell(format!("chmod go-w {}", place.paste(dir))),
        Stranger::Group(_) => Hint::shell(format!("chmod g-w {}", place.paste(dir))),
    }
}
