//! Every command and flag, on one page. No meaning is attached here: see `commands`.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Installs, updates, backs up and rolls back an LLM gateway (LiteLLM) for Claude Code.
#[derive(Debug, Parser)]
#[command(name = "gwinstall", version = crate::bundle::build::VERSION, about, disable_help_subcommand = true, max_term_width = 100)]
#[command(
    after_help = "Without a command: what is deployed, and the next step.\nExit codes: 0 done · 1 failed, nothing changed · 2 wrong usage · 3 something to do · 4 conflict kept · 5 rolled back · 6 busy · 7 left for you · 8 not verified · 9 refused by policy · 10 network · 130/143 stopped"
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// Stage for this home directory, for example of an image: nothing of this machine is used, no key is made
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Where the gateway is deployed [default: ~/.claude/gateway]
    #[arg(long, global = true, value_name = "DIR")]
    pub target_dir: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say more: every file, every check, the time of each step
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Ask line by line, for screen readers and simple terminals
    #[arg(long, global = true)]
    pub plain: bool,
    /// When to use color
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Wait this long for another run to finish
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
    Install(InstallArgs),
    /// Deploy the newest bundle with what was chosen at installation
    #[command(visible_alias = "upgrade")]
    Update(UpdateArgs),
    /// Go back to a backup
    Rollback(RollbackArgs),
    /// Take everything out again; your edits, .env and the backups stay
    Uninstall(UninstallArgs),
    /// Point Claude Code away from the gateway, and nothing else
    Off(ConfirmArgs),
    /// Point Claude Code at the gateway again
    On(ConfirmArgs),
    /// What is deployed, and whether it is as deployed
    Status,
    /// What an update would change, line by line
    Diff(DiffArgs),
    /// What was done here, newest first
    History(HistoryArgs),
    /// Look for problems, and recover an interrupted run with --repair
    Doctor(DoctorArgs),
    /// Check a configuration more strictly than LiteLLM does
    Validate(ValidateArgs),
    /// Compare every deployed file with the record
    Verify(VerifyArgs),
    /// List, make, check, pin and remove backups
    #[command(subcommand, alias = "backups")]
    Backup(BackupCommand),
    /// Decide about a file that both you and an update changed
    Resolve(ResolveArgs),
    /// Models of the gateway
    #[command(subcommand, alias = "model")]
    Models(ModelsCommand),
    /// Presets
    #[command(subcommand, alias = "preset")]
    Presets(PresetsCommand),
    /// Values of the gateway's variables
    #[command(subcommand)]
    Env(EnvCommand),
    /// Where the files of the deployment are
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Start the gateway
    #[command(visible_alias = "up", aliases = ["run", "serve"])]
    Start,
    /// Stop the gateway
    #[command(visible_alias = "down")]
    Stop,
    /// Stop and start the gateway; needed after a change of .env
    Restart,
    /// Let the running gateway take over its configuration without losing a request
    Reload,
    /// Show the gateway's log
    #[command(alias = "log")]
    Logs(LogsArgs),
    /// Ask the running gateway how it is, without asking a model
    Health,
    /// Take a newer gwinstall and its configuration, together
    SelfUpdate(SelfUpdateArgs),
    /// Look into a signed bundle, or verify it
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Whether this executable is complete; run by self-update before it is put in place
    #[command(hide = true)]
    SelfCheck,
    /// Print a completion script
    #[command(alias = "completion")]
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
    /// Print the version
    Version,
    /// Print the help of a command
    Help(HelpArgs),
}

/// What every changing command takes.
#[derive(Debug, Clone, Args)]
pub struct ConfirmArgs {
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Args)]
pub struct BundleArgs {
    /// Take the files from this directory instead of the bundle inside gwinstall
    #[arg(long, value_name = "DIR", conflicts_with_all = ["bundle", "embedded"])]
    pub source_dir: Option<PathBuf>,
    /// Take the files from a signed bundle archive
    #[arg(long, value_name = "FILE", conflicts_with = "embedded")]
    pub bundle: Option<PathBuf>,
    /// Take the files inside gwinstall, even if a newer bundle was fetched
    #[arg(long)]
    pub embedded: bool,
}

#[derive(Debug, Clone, Args)]
pub struct KeepArgs {
    /// How many backups are kept
    #[arg(long, value_name = "N", default_value_t = crate::deploy::backup::KEEP)]
    pub keep: usize,
    /// Remove backups older than this
    #[arg(long, value_name = "DAYS")]
    pub max_age: Option<u32>,
}

#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    /// basic, enterprise, multi-provider or proxy [default: what is deployed, else basic]
    #[arg(value_name = "PRESET", conflicts_with = "preset")]
    pub preset_word: Option<String>,
    /// The preset, as a flag
    #[arg(long)]
    pub preset: Option<String>,
    /// Models, separated by commas [default: those of the preset]
    #[arg(long, value_name = "A,B")]
    pub models: Option<String>,
    /// local, truefoundry, zuplo or custom
    #[arg(long, value_name = "TYPE")]
    pub gateway_type: Option<String>,
    /// Where the gateway listens: a URL, or a port of this machine [default: http://127.0.0.1:4000]
    #[arg(long, visible_alias = "port", value_name = "URL", value_parser = address)]
    pub gateway_url: Option<String>,
    /// Token of the gateway; visible to every process, so prefer --auth-token-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "auth_token_file")]
    pub auth_token: Option<String>,
    /// File that holds the token, or - for standard input
    #[arg(long, value_name = "PATH")]
    pub auth_token_file: Option<PathBuf>,
    /// Corporate proxy for the gateway's way out
    #[arg(long, visible_alias = "proxy", value_name = "URL")]
    pub proxy_url: Option<String>,
    /// Login at the proxy; visible to every process, so prefer HTTPS_PROXY in the environment
    #[arg(long, value_name = "USER:PASSWORD")]
    pub proxy_auth: Option<String>,
    #[command(flatten)]
    pub bundle: BundleArgs,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    /// Take over settings and files that are not ours; the old ones are kept
    #[arg(long)]
    pub force: bool,
    /// Start the gateway, and roll back if it does not come up
    #[arg(long)]
    pub start: bool,
    /// Stop if a required variable has no value
    #[arg(long)]
    pub strict: bool,
    /// Keep secret values in the backup
    #[arg(long)]
    pub include_secrets: bool,
    /// A backup is always made; accepted for scripts that ask for it
    #[arg(long, hide = true)]
    pub backup: bool,
    #[command(flatten)]
    pub keep: KeepArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    pub bundle: BundleArgs,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    /// Take over settings and files that are not ours; the old ones are kept
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
    pub confirm: ConfirmArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UninstallArgs {
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    /// Also remove .env, your edited files, backups, logs and our state
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
    /// How many operations
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    pub limit: usize,
}

#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// net: what lies between this machine and the releases [default: the deployment]
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
    /// The file [default: the deployed config/litellm.yaml]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Print commands of other programs that prove the same
    #[arg(long)]
    pub explain: bool,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// All backups, newest first
    #[command(visible_alias = "ls")]
    List,
    /// Make one now
    Create {
        /// Keep secret values in it
        #[arg(long)]
        include_secrets: bool,
    },
    /// Read one whole and check every file in it
    Verify {
        /// File name or number [default: all]
        #[arg(value_parser = backup)]
        backup: Option<String>,
    },
    /// Never remove this one
    Pin {
        /// File name or number
        #[arg(value_parser = backup)]
        backup: String,
    },
    /// Let it be removed again
    Unpin {
        /// File name or number
        #[arg(value_parser = backup)]
        backup: String,
    },
    /// Remove old ones
    Prune {
        #[command(flatten)]
        keep: KeepArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// What differs between a backup and what is deployed
    Diff {
        /// File name, or 1 for the newest, 2 for the one before …
        #[arg(value_parser = backup)]
        backup: String,
    },
    /// Copy one out
    Export {
        /// File name or number
        #[arg(value_parser = backup)]
        backup: String,
        /// Where to: a file that does not exist yet, or a directory
        to: PathBuf,
    },
    /// Copy one in, after checking it
    Import {
        /// The archive that was exported
        from: PathBuf,
    },
    /// Go back to a backup, as `gwinstall rollback` does
    Restore(RollbackArgs),
}

#[derive(Debug, Clone, Args)]
pub struct ResolveArgs {
    /// File with an unresolved conflict [default: list them]
    pub file: Option<String>,
    /// Use the new version from gwinstall; yours is kept in the backup
    #[arg(long, conflicts_with = "keep_mine")]
    pub take_new: bool,
    /// Keep your version, and remove the new one
    #[arg(long)]
    pub keep_mine: bool,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Prices, limits, retirement and what is deployed
    #[command(visible_alias = "ls")]
    List,
    /// Deploy further models
    Add {
        /// Names as in `gwinstall models list`
        #[arg(required = true, value_name = "MODEL")]
        models: Vec<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Take models out
    #[command(visible_alias = "rm")]
    Remove {
        /// Names as in `gwinstall status`
        #[arg(required = true, value_name = "MODEL")]
        models: Vec<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Ask the running gateway for its models; with --call, send each a short request
    Check {
        /// Send a request to each model; providers charge for it
        #[arg(long)]
        call: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum PresetsCommand {
    /// The presets of the bundle
    #[command(visible_alias = "ls")]
    List,
    /// What one preset deploys
    Show {
        /// Its name, as in `gwinstall presets list`
        preset: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// Every variable, where its value comes from and how to set it
    #[command(visible_alias = "ls")]
    List,
    /// Whether every required variable has a value, and what may get in the way
    Check,
    /// Give a variable a value, from a prompt, a file or standard input
    Set {
        /// The variable, for example ANTHROPIC_API_KEY; its value never on the command line
        name: String,
        /// File that holds the value, or - for standard input
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the path of a file that is yours to edit
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
pub struct LogsArgs {
    /// Last lines
    #[arg(long, short = 'n', visible_alias = "tail", value_name = "N", default_value_t = 50)]
    pub lines: usize,
    /// Go on as the log grows
    #[arg(long, short)]
    pub follow: bool,
}

#[derive(Debug, Clone, Args)]
pub struct SelfUpdateArgs {
    /// Only tell whether there is something newer: exit 3 if so
    #[arg(long, conflicts_with_all = ["rollback", "list"])]
    pub check: bool,
    /// Take this version
    #[arg(long, value_name = "X")]
    pub version: Option<String>,
    /// Follow this channel [default: stable]
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// Take them from here: an https URL, a directory, an offline archive, an executable beside its manifest
    #[arg(long, value_name = "FILE|DIR|URL")]
    pub from: Option<String>,
    /// Leave the deployed configuration as it is
    #[arg(long, conflicts_with = "bundle_only")]
    pub binary_only: bool,
    /// Take only the configuration
    #[arg(long)]
    pub bundle_only: bool,
    /// Allow going back to exactly this version
    #[arg(long, value_name = "X")]
    pub allow_downgrade: Option<String>,
    /// Allow exactly this release, although it is too old to be safe
    #[arg(long, value_name = "SEQ")]
    pub accept_below_floor: Option<u64>,
    /// Keep what arrived and was not what was signed, as <name>.rejected
    #[arg(long)]
    pub keep_rejected: bool,
    /// Go back to the gwinstall and the configuration before the last self-update
    #[arg(long, conflicts_with_all = ["version", "from", "list", "bundle_only", "binary_only"])]
    pub rollback: bool,
    /// Stay at this version, or at sha256:<its manifest>, until --unpin
    #[arg(long, value_name = "X", conflicts_with_all = NO_UPDATE)]
    pub pin: Option<String>,
    /// Follow the channel again
    #[arg(long, conflicts_with_all = NO_UPDATE, conflicts_with = "pin")]
    pub unpin: bool,
    /// List the releases of a forge; --from names owner/name or a URL of a GitHub Enterprise or Gitea
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// What pinning has nothing to do with: it takes no release.
const NO_UPDATE: [&str; 9] = [
    "check",
    "version",
    "from",
    "binary_only",
    "bundle_only",
    "allow_downgrade",
    "accept_below_floor",
    "rollback",
    "list",
];

#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// What a bundle holds and who signed it
    Inspect {
        /// An offline archive, or a bundle beside its manifest and signature
        file: PathBuf,
    },
    /// Check signature, lengths and hashes of everything in it
    Verify {
        /// An offline archive, or a bundle beside its manifest and signature
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    pub shell: clap_complete::Shell,
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
