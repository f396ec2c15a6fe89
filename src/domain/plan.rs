//! The plan: per path an action and the numbered rule that chose it. Nothing here decides or acts; `deploy::plan`
//! chooses, `deploy::transaction` carries out.

use std::path::PathBuf;

use serde::Serialize;
use sha2::Digest as _;

use super::tree::{Class, Content, Stamp};

/// What happens to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Create,
    Replace,
    Remove,
    /// Both sides changed it and the merge is clean.
    Merge,
    /// Only the permission bits change.
    Chmod,
    /// As wanted already.
    Same,
    /// The user's version stays.
    Keep,
    /// Both sides changed it: the user's version stays and ours is offered beside it.
    Conflict,
    /// The user deleted it and it is optional.
    StayDeleted,
    /// We no longer ship it and the user changed it: it is the user's now.
    Release,
}

/// One line of the plan.
#[derive(Debug, Clone)]
pub struct Step {
    /// How the path is named to a person: relative to the deployment, or `settings.json`.
    pub name: String,
    /// The absolute path that changes; for settings.json the real file behind any links.
    pub path: PathBuf,
    pub class: Class,
    pub action: Action,
    /// Row of the decision table (README, "How conflicts are decided").
    pub rule: u8,
    /// Why, in words.
    pub reason: &'static str,
    /// What must be on disk when the step is carried out; absent = nothing.
    pub pre: Option<Stamp>,
    /// What is there afterwards; equal to `pre` when nothing changes.
    pub post: Option<Stamp>,
    /// The bytes of `post` where they are not on disk already.
    pub bytes: Option<Content>,
}

impl Step {
    pub fn changes(&self) -> bool {
        self.pre != self.post
    }
}

/// What an operation is going to do.
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

    pub fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }

    /// Identifies the plan: sha256 over path, rule, action, pre and post of each step. Record, ledger and the values
    /// of `.env` do not enter, so that a newly generated key or a later second is not another plan; `keys` stands for
    /// `.env` (names and origins).
    pub fn id(&self, keys: &str) -> String {
        let mut hash = sha2::Sha256::new();
        for step in self.steps.iter().filter(|step| step.class != Class::Record) {
            hash.update(format!("{}\0{}\0{:?}\0", step.path.display(), step.rule, step.action));
            if step.class != Class::Env {
                hash.update(format!("{:?}\0{:?}\n", step.pre, step.post));
            }
        }
        hash.update(keys);
        let digest: [u8; 32] = hash.finalize().into();
        digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
