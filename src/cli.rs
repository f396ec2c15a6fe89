//! Every command and flag, on one page. No meaning is attached here: see `commands`.

mod bundle;
mod confirm;
mod env;
pub mod pages;
mod render;
mod report;
mod runtime;
mod seal;
mod self_update;
mod service;
mod usage;

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use bundle::BundleArgs;
pub use confirm::{ConfirmArgs, KeepArgs, KeepRuntimeArgs, OnArgs, TakeoverArgs};
pub use env::EnvCommand;
pub use render::RenderArgs;
pub use report::ReportArgs;
pub use runtime::{RuntimeCommand, RuntimeExportArgs, RuntimeInstallArgs, RuntimeRemoveArgs};
pub use seal::{SealArgs, UnlockArgs};
pub use self_update::SelfUpdateArgs;
pub use service::{ServiceCommand, ServiceInstallArgs};
pub use usage::{UsageArgs, UsageBy};

/// Help is never wider, however wide the window is.
pub const WIDEST: usize = 100;

/// Installs, updates, backs up and rolls back an LLM gateway (LiteLLM) for Claude Code.
#[derive(Debug, Parser)]
#[command(name = "gwinstall", version = crate::bundle::build::VERSION, about, disable_help_subcommand = true, max_term_width = WIDEST)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// Prepare another home directory, for example in an image; uses nothing from this machine and generates no key
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Directory of the gateway [default: ~/.claude/gateway]
    #[arg(long, global = true, value_name = "DIR")]
    pub target_dir: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only errors and what was asked for
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print every file, every check and the time of each step
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Ask questions line by line, for screen readers and simple terminals
    #[arg(long, global = true)]
    pub plain: bool,
    /// When to use color
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Wait this many seconds for another gwinstall to finish
    #[arg(long, global = true, value_name = "SECS", default_value_t = 0)]
    pub lock_wait: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deploy a preset, or change what is deployed
    Install(Box<InstallArgs>),
    /// Deploy the newest configuration with the choices of the installation
    #[command(alias = "upgrade")]
    Update(UpdateArgs),
    /// Restore the state that a backup holds
    Rollback(RollbackArgs),
    /// Remove what gwinstall deployed; your edits, .env and the backups stay
    Uninstall(UninstallArgs),
    /// Make Claude Code use its normal login again; everything stays installed
    Off(ConfirmArgs),
    /// Make Claude Code use the gateway again
    On(OnArgs),
    /// Switch Claude Code to a provider, to the gateway or to its own login; alone: list them
    Use(UseArgs),
    /// Show what is deployed and what changed since
    Status,
    /// Show what an update would change, line by line
    Diff(DiffArgs),
    /// Show the last operations, newest first
    History(HistoryArgs),
    /// Show the tokens that Claude Code used, what they cost, and what they would cost on other models
    Usage(UsageArgs),
    /// Look for problems; --repair recovers an interrupted run
    Doctor(DoctorArgs),
    /// Write what status, models, history, doctor and backup list show into one HTML page
    Report(ReportArgs),
    /// Check a LiteLLM configuration more strictly than LiteLLM does
    Validate(ValidateArgs),
    /// Compare every deployed file with the record of the deployment
    Verify(VerifyArgs),
    /// List, create, check, pin and remove backups
    #[command(subcommand, alias = "backups")]
    Backup(BackupCommand),
    /// Decide about a file that both you and an update changed
    Resolve(ResolveArgs),
    /// List, add, remove and check models
    #[command(subcommand, alias = "model")]
    Models(ModelsCommand),
    /// List the presets, and show what one deploys
    #[command(subcommand, alias = "preset")]
    Presets(PresetsCommand),
    /// List, check and set the values that the gateway needs
    #[command(subcommand)]
    Env(EnvCommand),
    /// Print the paths of the files that you may edit
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Install, list, remove and export the LiteLLM that the gateway runs
    #[command(subcommand)]
    Runtime(RuntimeCommand),
    /// Write the gateway's files for servers: Compose, Kubernetes, systemd and others
    Render(RenderArgs),
    /// Keep the gateway running: started when you log in, and again after a crash
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Start the gateway
    #[command(aliases = ["up", "run", "serve"])]
    Start,
    /// Stop the gateway
    #[command(alias = "down")]
    Stop(StopArgs),
    /// Replace the running gateway by a new process; needed after a change of .env
    Restart,
    /// Apply the configuration to the running gateway without losing a request
    Reload,
    /// Show the gateway's log
    #[command(alias = "log")]
    Logs(LogsArgs),
    /// Check the running gateway, without a request to a model
    Health,
    /// Update gwinstall and its configuration together
    SelfUpdate(SelfUpdateArgs),
    /// Inspect or verify a signed bundle
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Check that this executable is complete; self-update runs it before it installs a new one
    #[command(hide = true)]
    SelfCheck,
    /// Print or install a completion script
    #[command(alias = "completion")]
    Completions(CompletionsArgs),
    /// Show the manual page
    Man,
    /// Print the version
    Version,
    /// Print the help of a command
    Help(HelpArgs),
}

#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    /// basic, enterprise, multi-provider or proxy [default: the deployed one, else basic]
    #[arg(value_name = "PRESET", conflicts_with = "preset")]
    pub preset_word: Option<String>,
    /// The same as PRESET
    #[arg(long)]
    pub preset: Option<String>,
    /// Who serves the models, for example deepseek, openrouter, ollama or openai; gwinstall use names all
    #[arg(long, value_name = "NAME", conflicts_with_all = ["preset", "preset_word", "gateway_type"])]
    pub provider: Option<String>,
    /// Models, separated by commas [default: those of the preset]
    #[arg(long, value_name = "A,B")]
    pub models: Option<String>,
    /// local, truefoundry, zuplo or custom
    #[arg(long, value_name = "TYPE")]
    pub gateway_type: Option<String>,
    /// Address of the gateway: a URL, or a port of this machine [default: http://127.0.0.1:4000]
    #[arg(long, visible_alias = "port", value_name = "URL", value_parser = address)]
    pub gateway_url: Option<String>,
    /// Token of the gateway; visible to every process, so prefer --auth-token-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "auth_token_file")]
    pub auth_token: Option<String>,
    /// File that holds the token, or - for standard input
    #[arg(long, value_name = "PATH")]
    pub auth_token_file: Option<PathBuf>,
    /// Corporate proxy that the gateway connects through
    #[arg(long, visible_alias = "proxy", value_name = "URL")]
    pub proxy_url: Option<String>,
    /// Login at the proxy, or - to type it; on the command line every process can see it
    #[arg(long, value_name = "USER:PASSWORD")]
    pub proxy_auth: Option<String>,
    #[command(flatten)]
    pub bundle: BundleArgs,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    #[command(flatten)]
    pub takeover: TakeoverArgs,
    /// Run the LiteLLM of this environment instead of one that gwinstall installed
    #[arg(long, value_name = "DIR", conflicts_with = "runtime_from")]
    pub venv: Option<PathBuf>,
    /// First install LiteLLM from a file that gwinstall runtime export made
    #[arg(long, value_name = "FILE")]
    pub runtime_from: Option<PathBuf>,
    /// Fetch nothing: take LiteLLM from the archive that --bundle names, or from what is on this machine
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub runtime: KeepRuntimeArgs,
    /// Use a LiteLLM although its version has a known security hole or is known to fail with your Claude Code
    #[arg(long)]
    pub allow_unsafe_litellm: bool,
    /// Take over settings and files that gwinstall did not create; the old ones are kept
    #[arg(long)]
    pub force: bool,
    /// Install LiteLLM if it is missing, start the gateway, and roll back if it does not come up
    #[arg(long)]
    pub start: bool,
    /// Point Claude Code at the gateway even if it cannot run yet, or after gwinstall off
    #[arg(long)]
    pub on: bool,
    /// Stop if a required variable has no value
    #[arg(long)]
    pub strict: bool,
    /// Keep secret values in the backup
    #[arg(long)]
    pub include_secrets: bool,
    /// Accepted for scripts that ask for a backup; one is always made
    #[arg(long, hide = true)]
    pub backup: bool,
    #[command(flatten)]
    pub keep: KeepArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UseArgs {
    /// A provider, the deployed preset, claude for its own login, or - for what was used before
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    pub name: Option<String>,
    /// Models of the provider for Claude Code's large, middle and small size
    #[arg(long, value_name = "A,B", requires = "name")]
    pub models: Option<String>,
    /// Another address of the provider
    #[arg(long, value_name = "URL", requires = "name")]
    pub gateway_url: Option<String>,
    /// Take over settings that gwinstall did not set, and use a gateway that cannot answer yet
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    pub bundle: BundleArgs,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    #[command(flatten)]
    pub takeover: TakeoverArgs,
    /// Take another LiteLLM, if the new bundle names one, from a file that gwinstall runtime export made
    #[arg(long, value_name = "FILE")]
    pub runtime_from: Option<PathBuf>,
    /// Fetch nothing: take another LiteLLM from such a file, or from what is on this machine
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub runtime: KeepRuntimeArgs,
    /// Take over settings and files that gwinstall did not create; the old ones are kept
    #[arg(long)]
    pub force: bool,
    /// Keep secret values in the backup
    #[arg(long)]
    pub include_secrets: bool,
    #[command(flatten)]
    pub keep: KeepArgs,
}

#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// A backup's file name, or 1 for the newest, 2 for the one before … [default: one step back]
    #[arg(value_parser = backup)]
    pub backup: Option<String>,
    #[command(flatten)]
    pub unlock: UnlockArgs,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    #[command(flatten)]
    pub takeover: TakeoverArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UninstallArgs {
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    /// Also remove .env, your edited files, backups, logs and gwinstall's own state
    #[arg(long)]
    pub purge: bool,
}

#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    pub bundle: BundleArgs,
}

#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// How many operations to show, at most 5000
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    pub limit: usize,
}

#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// net: check the way from this machine to the releases [default: check the deployment]
    #[arg(conflicts_with = "repair")]
    pub topic: Option<DoctorTopic>,
    /// Recover an interrupted run
    #[arg(long)]
    pub repair: bool,
    /// Do not ask for confirmation
    #[arg(long, short, requires = "repair")]
    pub yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorTopic {
    Net,
}

#[derive(Debug, Clone, Args)]
pub struct ValidateArgs {
    /// The file to check [default: the deployed config/litellm.yaml]
    pub file: Option<PathBuf>,
    /// Exit with 1 for a warning too, such as a variable without a value
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Print commands of other programs that prove the same
    #[arg(long)]
    pub explain: bool,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// List all backups, newest first
    #[command(visible_alias = "ls")]
    List,
    /// Create a backup now
    Create {
        /// Keep secret values in it
        #[arg(long)]
        include_secrets: bool,
        #[command(flatten)]
        seal: SealArgs,
    },
    /// Check every file in a backup
    Verify {
        /// File name or number [default: all]
        #[arg(value_parser = backup)]
        backup: Option<String>,
        #[command(flatten)]
        unlock: UnlockArgs,
    },
    /// Protect a backup from removal
    Pin {
        /// File name or number
        #[arg(value_parser = backup)]
        backup: String,
    },
    /// Allow a backup to be removed again
    Unpin {
        /// File name or number
        #[arg(value_parser = backup)]
        backup: String,
    },
    /// Remove old backups
    Prune {
        #[command(flatten)]
        keep: KeepArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Compare a backup with what is deployed
    Diff {
        /// File name, or 1 for the newest, 2 for the one before …
        #[arg(value_parser = backup)]
        backup: String,
        #[command(flatten)]
        unlock: UnlockArgs,
    },
    /// Copy a backup to a file or a directory
    Export {
        /// File name or number
        #[arg(value_parser = backup)]
        backup: String,
        /// A file that does not exist yet, or a directory
        to: PathBuf,
        #[command(flatten)]
        seal: SealArgs,
    },
    /// Check a backup from elsewhere, and add it
    Import {
        /// The archive that was exported
        from: PathBuf,
        #[command(flatten)]
        unlock: UnlockArgs,
    },
    /// Restore the state that a backup holds, as rollback does
    Restore(RollbackArgs),
}

#[derive(Debug, Clone, Args)]
pub struct ResolveArgs {
    /// File with an open conflict [default: list them]
    pub file: Option<String>,
    /// Use the new version from gwinstall; yours is kept in the backup
    #[arg(long, conflicts_with = "keep_mine")]
    pub take_new: bool,
    /// Keep your version, and remove the new one
    #[arg(long)]
    pub keep_mine: bool,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    #[command(flatten)]
    pub takeover: TakeoverArgs,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List models with their prices, limits and retirement dates
    #[command(visible_alias = "ls")]
    List,
    /// Add models to the deployment
    Add {
        /// Names as in gwinstall models list
        #[arg(required = true, value_name = "MODEL")]
        models: Vec<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        takeover: TakeoverArgs,
    },
    /// Remove models from the deployment
    #[command(visible_alias = "rm")]
    Remove {
        /// Names as in gwinstall status
        #[arg(required = true, value_name = "MODEL")]
        models: Vec<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        takeover: TakeoverArgs,
    },
    /// Ask the running gateway for its models
    Check {
        /// Send each model a short request; its provider charges for it
        #[arg(long)]
        call: bool,
    },
    /// Test whether a model can work under Claude Code: tools, streaming and more; costs a few cents
    Test(ModelsTestArgs),
}

#[derive(Debug, Clone, Args)]
pub struct ModelsTestArgs {
    /// Names that the gateway serves [default: the models that Claude Code is pointed at]
    #[arg(value_name = "MODEL")]
    pub models: Vec<String>,
    /// Test every deployed model
    #[arg(long, conflicts_with = "models")]
    pub all: bool,
    /// Also send an input of about 60,000 tokens, which costs more
    #[arg(long)]
    pub long: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum PresetsCommand {
    /// List the presets
    #[command(visible_alias = "ls")]
    List,
    /// Show what a preset deploys
    Show {
        /// Name as in gwinstall presets list
        preset: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the path of a file that you may edit
    Path {
        /// litellm: the gateway's configuration; env: its values; settings: Claude Code's settings
        #[arg(value_enum, default_value = "litellm")]
        file: ConfigFile,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigFile {
    Litellm,
    Env,
    Settings,
}

#[derive(Debug, Clone, Args)]
pub struct StopArgs {
    /// Do not wait for running requests; they are cut off
    #[arg(long)]
    pub now: bool,
}

#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// How many lines to show, counted from the end
    #[arg(long, short = 'n', visible_alias = "tail", value_name = "N", default_value_t = 50)]
    pub lines: usize,
    /// Keep printing as the log grows
    #[arg(long, short)]
    pub follow: bool,
}

#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Show what a bundle holds and who signed it
    Inspect {
        /// An offline archive, or a bundle beside its manifest and signature
        file: PathBuf,
    },
    /// Check the signature, lengths and hashes of a bundle
    Verify {
        /// An offline archive, or a bundle beside its manifest and signature
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell [default: the one that you log in with]
    pub shell: Option<Shell>,
    /// Write a file that bash, zsh or fish reads by itself
    #[arg(long)]
    pub install: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

#[derive(Debug, Clone, Args)]
pub struct HelpArgs {
    /// The command, for example: backup list [default: an overview]
    pub command: Vec<String>,
}

/// A URL; digits alone are a port of this machine.
fn address(text: &str) -> Result<String, Infallible> {
    let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(if is_port { format!("http://127.0.0.1:{text}") } else { text.to_owned() })
}

/// A backup's file name or number; the newest has a name too.
fn backup(text: &str) -> Result<String, Infallible> {
    let is_newest = ["latest", "newest", "last"].iter().any(|word| text.eq_ignore_ascii_case(word));
    Ok(if is_newest { "1".to_owned() } else { text.to_owned() })
}
