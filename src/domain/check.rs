//! One named validation and its result. Names are an interface: scripts and dashboards read them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::word::words;
use super::{Hint, Instant, Invocation};

words! {
    /// The checks that gwinstall knows.
    pub enum CheckName {
        AllowedByPolicy = "allowed_by_policy",
        AuthenticationSuccessful = "authentication_successful",
        AwsLoginFound = "aws_login_found",
        ClaudeCodeRecentEnough = "claude_code_recent_enough",
        Deployed = "deployed",
        DirectoryPrivate = "directory_private",
        DiskSpaceSufficient = "disk_space_sufficient",
        EnvFilePermissions = "env_file_permissions",
        EnvFileNotInGit = "env_file_not_in_git",
        EnvFileReadable = "env_file_readable",
        GatewayHealthCheck = "gateway_health_check",
        FilesCopiedCount = "files_copied_count",
        GatewayEndpointReachable = "gateway_endpoint_reachable",
        GoogleAuthInstalled = "google_auth_installed",
        GoogleLoginFound = "google_login_found",
        GunicornInstalled = "gunicorn_installed",
        LitellmInstalled = "litellm_installed",
        LitellmVersionSafe = "litellm_version_safe",
        MachineLargeEnough = "machine_large_enough",
        MasterKeySet = "master_key_set",
        ModelsEndpointAccessible = "models_endpoint_accessible",
        NoApiKeyInShell = "no_api_key_in_shell",
        NoInterruptedRun = "no_interrupted_run",
        NoLitellmRunning = "no_litellm_running",
        NoOtherUserCanWrite = "no_other_user_can_write",
        NoOtherProviderSwitch = "no_other_provider_switch",
        NoProxyCoversGateway = "no_proxy_covers_gateway",
        PairTested = "pair_tested",
        PrismaInstalled = "prisma_installed",
        PythonRecentEnough = "python_recent_enough",
        RegionsKnown = "regions_known",
        RequiredEnvVarsPresent = "required_env_vars_present",
        ScriptsExecutable = "scripts_executable",
        ServiceWorks = "service_works",
        SettingsEffective = "settings_effective",
        SettingsLedgerReadable = "settings_ledger_readable",
        SettingsValid = "settings_valid",
        SettingsPointHere = "settings_point_here",
        SourceDirectoryExists = "source_directory_exists",
        SourceStructureValid = "source_structure_valid",
        StartupScriptGenerated = "startup_script_generated",
        TargetDirectoryWritable = "target_directory_writable",
        YamlConfigValid = "yaml_config_valid",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Pass,
    Fail,
    Warn,
    Skip,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Warn => "WARN",
            Self::Skip => "SKIP",
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub check_name: CheckName,
    pub status: Status,
    pub message: String,
    /// Facts behind the message; `null` when there are none.
    pub details: Value,
    pub timestamp: Instant,
    pub duration_ms: u64,
    /// A command or step that would turn it into a pass. The layer that knows the command line adds it to the JSON.
    #[serde(skip)]
    pub hint: Option<Hint>,
}

impl Check {
    /// The check for a program: its fields, and the hint as text.
    pub fn json(&self, run: &Invocation) -> Value {
        let mut value = json!(self);
        if let Some(hint) = &self.hint {
            value["hint"] = Value::from(hint.text(run));
        }
        value
    }
}

/// A check's answer before it is stamped with name and time.
#[derive(Debug, Clone)]
pub struct Finding {
    pub status: Status,
    pub message: String,
    pub details: Value,
    pub hint: Option<Hint>,
}

impl Finding {
    pub fn pass(message: impl Into<String>) -> Self {
        Self::new(Status::Pass, message)
    }

    pub fn warn(message: impl Into<String>) -> Self {
        Self::new(Status::Warn, message)
    }

    pub fn fail(message: impl Into<String>) -> Self {
        Self::new(Status::Fail, message)
    }

    pub fn skip(message: impl Into<String>) -> Self {
        Self::new(Status::Skip, message)
    }

    fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: Value::Null, hint: None }
    }

    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
