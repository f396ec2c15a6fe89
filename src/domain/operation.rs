//! The operations that change a deployment, and what each of them touches.

use super::word::words;

words! {
    /// What a changing command does; the word is its name in the log, the record and `--json`.
    pub enum Operation {
        Install = "install",
        Update = "update",
        Rollback = "rollback",
        Uninstall = "uninstall",
        On = "on",
        Off = "off",
        Use = "use",
        SetValue = "env set",
        UnsetValue = "env unset",
        Models = "models",
        Runtime = "runtime install",
        Service = "service",
        Resolve = "resolve",
        BackupCreate = "backup create",
        BackupPin = "backup pin",
        BackupUnpin = "backup unpin",
        BackupPrune = "backup prune",
        BackupImport = "backup import",
        Repair = "doctor --repair",
        SelfUpdate = "self-update",
        Render = "render",
    }
}

/// How much of a deployment an operation replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Claude Code's settings alone.
    Settings,
    /// `.env` and the settings.
    Values,
    /// Files, `.env` and the settings.
    Files,
}

impl Operation {
    pub const fn scope(self) -> Scope {
        match self {
            Self::On | Self::Off => Scope::Settings,
            Self::SetValue | Self::UnsetValue | Self::Use => Scope::Values,
            _ => Scope::Files,
        }
    }

    /// Whether a backup is made before it. `use -` undoes a switch, and a backup of each would push out those of changes
    /// that nothing else undoes.
    pub const fn backs_up(self) -> bool {
        !matches!(self, Self::Use)
    }

    /// Whether it may remove old backups. A rollback and `resolve` leave them alone.
    pub const fn prunes(self) -> bool {
        !matches!(self, Self::Rollback | Self::Resolve)
    }
}
