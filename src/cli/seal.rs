//! The flags that encrypt an archive, and those that open one.

use std::path::PathBuf;

use clap::Args;

/// For a command that writes an archive.
#[derive(Debug, Clone, Args)]
pub struct SealArgs {
    /// Encrypt it in the age format, for --recipient or with a passphrase
    #[arg(long)]
    pub encrypt: bool,
    /// Public key that it is encrypted for, as age-keygen prints it; may be given several times
    #[arg(long, value_name = "AGE1…", requires = "encrypt")]
    pub recipient: Vec<String>,
    /// File that holds the passphrase, or - for standard input [default: ask]
    #[arg(long, value_name = "PATH", requires = "encrypt", conflicts_with = "recipient")]
    pub passphrase_file: Option<PathBuf>,
}

/// For a command that reads an archive.
#[derive(Debug, Clone, Args)]
pub struct UnlockArgs {
    /// File of age-keygen with the key for an encrypted backup
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    pub identity: Option<PathBuf>,
    /// File with the passphrase of an encrypted backup, or - for standard input [default: ask]
    #[arg(long, value_name = "PATH")]
    pub passphrase_file: Option<PathBuf>,
}
