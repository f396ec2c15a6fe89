//! The plan: per path an action and the numbered rule that chose it. Nothing here decides or acts; `deploy::plan`
//! chooses, `deploy::transaction` carries out.

use std::fmt::Write as _;
use std::path::PathBuf;

use sha2::Digest as _;

use super::tree::{Class, Content, Stamp};
use super::word::words;

words! {
    /// What happens to a path.
    pub enum Action {
        Create = "create",
        Replace = "replace",
        Remove = "remove",
        /// Both sides changed it and the merge is clean.
        Merge = "merge",
        /// Only the permission bits change.
        Chmod = "chmod",
        /// The file is as wanted.
        Same = "same",
        /// The local version stays.
        Keep = "keep",
        /// Both sides changed it: the local version stays and gwinstall writes the new one beside it.
        Conflict = "conflict",
        /// The user deleted it and it is optional.
        StayDeleted = "stay-deleted",
        /// The bundle no longer ships it and the user changed it: it belongs to the user now.
        Release = "release",
    }
}

/// One line of the plan.
#[derive(Debug, Clone)]
pub struct Step {
    /// The path as messages show it: relative to the deployment, or `settings.json`.
    pub name: String,
    /// The absolute path that changes; for settings.json the real file behind any links.
    pub path: PathBuf,
    pub class: Class,
    pub action: Action,
    /// Row of the decision table (README, "How conflicts are decided").
    pub rule: u8,
    /// Why, in words.
    pub reason: &'static str,
    /// The file that must be on disk when the transaction runs; `None` = no file.
    pub pre: Option<Stamp>,
    /// The file afterwards; equal to `pre` when nothing changes.
    pub post: Option<Stamp>,
    /// The bytes of `post` where they are not on disk already.
    pub bytes: Option<Content>,
}

impl Step {
    pub fn changes(&self) -> bool {
        self.pre != self.post
    }
}

/// The steps of an operation.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
}

impl Plan {
    /// The steps that change something.
    pub fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.changes())
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none()
    }

    pub fn conflicts(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.action == Action::Conflict)
    }

    /// Identifies the plan: sha256 over path, rule, action, pre and post of each step. Record, ledger and the values
    /// of `.env` do not enter, so that a newly generated key or a later second is not another plan; `keys` stands for
    /// `.env` (names and origins).
    pub fn id(&self, keys: &str) -> String {
        let mut hash = sha2::Sha256::new();
        // One buffer for every step: its text is hashed and thrown away.
        let mut text = String::new();
        for step in self.steps.iter().filter(|step| step.class != Class::Record) {
            text.clear();
            // Writing to a String cannot fail.
            let _ = write!(text, "\0{}\0{}\0", step.rule, step.action);
            if step.class != Class::Env {
                write_version(&mut text, step.pre);
                text.push('\0');
                write_version(&mut text, step.post);
                text.push('\n');
            }
            hash.update(step.path.as_os_str().as_encoded_bytes());
            hash.update(&text);
        }
        hash.update(keys);
        let digest: [u8; 32] = hash.finalize().into();
        digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Content and mode of one side of a step in a plan's id.
fn write_version(text: &mut String, stamp: Option<Stamp>) {
    let _ = match stamp {
        None => text.write_str("absent"),
        Some(stamp) => write!(text, "{}:{:o}", stamp.sha256, stamp.mode),
    };
}
