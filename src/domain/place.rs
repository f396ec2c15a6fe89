//! Where one deployment lives: pure path arithmetic, decided once per run.

use std::path::{Path, PathBuf};

/// The directories of one deployment. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The user's home, or the directory given with `--home`.
    pub home: PathBuf,
    /// Claude Code's configuration directory, normally `~/.claude`.
    pub config_dir: PathBuf,
    /// Where the gateway is deployed, normally `~/.claude/gateway`.
    pub target: PathBuf,
    /// State of gwinstall outside the deployment, normally `~/.local/state/gwinstall`.
    pub state_dir: PathBuf,
    /// Staged for an image with `--home`: no key is generated and files get the directory's owner.
    pub staged: bool,
}

#[cfg(test)]
impl Place {
    /// The usual places below a home directory of a test.
    pub fn in_home(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            config_dir: home.join(".claude"),
            target: home.join(".claude/gateway"),
            state_dir: home.join(".local/state/gwinstall"),
            staged: false,
        }
    }
}

impl Place {
    pub fn default_target(config_dir: &Path) -> PathBuf {
        config_dir.join("gateway")
    }

    /// A file of the deployment by its path inside it.
    pub fn file(&self, path: &str) -> PathBuf {
        self.target.join(path)
    }

    /// Claude Code's settings, as named; the real file may be elsewhere.
    pub fn settings(&self) -> PathBuf {
        self.config_dir.join("settings.json")
    }

    /// `~/.claude/.env`: read as a source of values, never written.
    pub fn env_source(&self) -> PathBuf {
        self.config_dir.join(".env")
    }

    pub fn backups(&self) -> PathBuf {
        self.target.join("backups")
    }

    /// The private directory of gwinstall: lock, journal, transactions, base copies.
    pub fn own(&self) -> PathBuf {
        self.target.join(".gwinstall")
    }

    pub fn lock(&self) -> PathBuf {
        self.own().join("lock")
    }

    pub fn journal(&self) -> PathBuf {
        self.own().join("journal")
    }

    pub fn transactions(&self) -> PathBuf {
        self.own().join("txn")
    }

    /// What `gwinstall service install` wrote; `start-gateway.sh` reads it too.
    pub fn service(&self) -> PathBuf {
        self.own().join("service")
    }

    pub fn log(&self) -> PathBuf {
        self.target.join("deployment.log")
    }

    /// The file that names a target that is not the default, so that later commands find it without a flag.
    pub fn pointer(&self) -> PathBuf {
        let name = super::Sha256::of(self.config_dir.as_os_str().as_encoded_bytes()).short();
        self.state_dir.join("places").join(format!("{name}.json"))
    }

    pub fn target_is_default(&self) -> bool {
        self.target == Self::default_target(&self.config_dir)
    }

    /// A path as a person would write it: `~/…` inside the home.
    pub fn show(&self, path: &Path) -> String {
        match path.strip_prefix(&self.home) {
            Ok(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Ok(rest) => format!("~/{}", super::name::printable(&rest.to_string_lossy())),
            Err(_) => super::name::printable(&path.to_string_lossy()),
        }
    }

    /// A path quoted for a command line; `~` stays outside the quotes. The `~` of a shell is never a staged home.
    pub fn paste(&self, path: &Path) -> String {
        if self.staged {
            return super::name::shell_word(&super::name::printable(&path.to_string_lossy()));
        }
        let shown = self.show(path);
        match shown.strip_prefix("~/") {
            Some(rest) => format!("~/{}", super::name::shell_word(rest)),
            None => super::name::shell_word(&shown),
        }
    }
}

/// Names of the deployment's own files, relative to the target.
pub mod files {
    pub const CONFIG: &str = "config/litellm.yaml";
    pub const ENV: &str = ".env";
    pub const RECORD: &str = "deployment-manifest.json";
    /// The record of a directory that `render` wrote.
    pub const RENDERED: &str = "RENDERED.json";
    pub const START: &str = "start-gateway.sh";
    pub const GITIGNORE: &str = ".gitignore";
    pub const KEY_HELPER: &str = "scripts/print-gateway-key.sh";
    pub const SETTINGS_BEFORE: &str = ".gwinstall/settings-before.json";
    /// The archive of base copies.
    pub const BASE_COPIES: &str = ".gwinstall/pristine.tar";
    pub const ENV_SUM: &str = ".gwinstall/env.sha256";
    pub const PID: &str = "litellm.pid";
    pub const GATEWAY_LOG: &str = "litellm.log";
    pub const OLDER_GATEWAY_LOG: &str = "litellm.log.1";
    /// The user stopped the gateway. Written and removed by the start script, which also runs without gwinstall.
    pub const STOPPED: &str = ".stopped";
    /// The lock of a start.
    pub const STARTING: &str = ".starting";
    /// When and why the gateway could last not be started on demand.
    pub const START_FAILED: &str = ".start-failed";
    /// The process that answered, and the socket on which it listens.
    pub const SERVING: &str = ".serving";
    /// A start through the service manager: the service's process takes over the checks and the lock of this start.
    pub const TICKET: &str = ".start-ticket";
    /// What the start script leaves about a process: nothing of it means anything without the script.
    pub const OF_THE_PROCESS: [&str; 6] = [PID, SERVING, STOPPED, STARTING, START_FAILED, TICKET];
}
