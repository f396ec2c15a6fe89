//! What a backup is encrypted with, and what opens one: from the flags, or from a question that is not echoed.
//!
//! Promise: neither a passphrase nor a secret key is taken from the command line, and no message repeats a part of one.

use std::path::Path;

use crate::cli::{SealArgs, UnlockArgs};
use crate::domain::name::printable;
use crate::domain::{Error, Hint, Kind, Result, Secret};
use crate::doors::{disk, prompt, term};
use crate::format::age::{For, Identity, Key, Lock, Recipient};

use super::install_flags::require_path;

/// Shorter passphrases are refused: who has the file can try them without limit.
const SHORTEST: usize = 8;

/// What the archive is encrypted with, if it is.
pub(super) fn lock(args: &SealArgs) -> Result<Option<Lock>> {
    if !args.encrypt {
        return Ok(None);
    }
    if args.recipient.is_empty() {
        return new_passphrase(args.passphrase_file.as_deref()).map(Lock::Passphrase).map(Some);
    }
    args.recipient
        .iter()
        .map(|text| recipient(text))
        .collect::<Result<Vec<_>>>()
        .map(Lock::Recipients)
        .map(Some)
}

fn recipient(text: &str) -> Result<Recipient> {
    let refused = |text: &str| {
        Error::usage(format!("--recipient: {text} is not a public key of age"))
            .because(
                "it begins with age1 and has 62 characters; other kinds of recipients are not known here",
            )
            .hint(Hint::shell("age-keygen -o FILE").to("make a key; it prints the public one"))
    };
    if text.to_ascii_lowercase().starts_with("age-secret-key-") {
        return Err(refused("this").because("it is a secret key, which does not belong on a command line"));
    }
    Recipient::parse(text).ok_or_else(|| refused(&printable(text)))
}

fn new_passphrase(file: Option<&Path>) -> Result<Secret> {
    let Some(given) = given_passphrase(file)? else {
        let first = asked("Passphrase for the backup (not shown)", || {
            Hint::again(&["--passphrase-file", "PATH"])
                .to("read the passphrase from a file, or with - from standard input")
                .or(Hint::again(&["--recipient", "AGE1…"]).to("encrypt for a key"))
        })?;
        let first = strong(first)?;
        let again = prompt::ask_secret("The same passphrase again")?.ok_or_else(prompt::stopped)?;
        return if again == first { Ok(first) } else { Err(Error::usage("the two passphrases differ")) };
    };
    strong(given)
}

fn strong(passphrase: Secret) -> Result<Secret> {
    if passphrase.expose().chars().count() < SHORTEST {
        return Err(Error::usage(format!("the passphrase has fewer than {SHORTEST} characters"))
            .because("with a copy of the file any number of passphrases can be tried"));
    }
    Ok(passphrase)
}

/// Finds the key of an encrypted backup; the passphrase is asked for at most once.
pub(super) fn unlock(args: &UnlockArgs) -> impl FnMut(For) -> Result<Key> {
    let args = args.clone();
    let mut known: Option<Key> = None;
    move |by| {
        if let Some(key) = &known {
            return Ok(key.clone());
        }
        let key = match (&args.identity, by) {
            (Some(path), _) => identities(path)?,
            (None, For::Recipients) => {
                return Err(Error::usage("it is encrypted for a key of age")
                    .hint(Hint::again(&["--identity", "FILE"]).to("give the file with the secret key")));
            }
            (None, For::Passphrase) => Key::Passphrase(passphrase(args.passphrase_file.as_deref())?),
        };
        known = Some(key.clone());
        Ok(key)
    }
}

/// Whether the flags name a key.
pub(super) fn names_a_key(args: &UnlockArgs) -> bool {
    args.identity.is_some() || args.passphrase_file.is_some()
}

fn passphrase(file: Option<&Path>) -> Result<Secret> {
    match given_passphrase(file)? {
        Some(given) => Ok(given),
        None => asked("Passphrase of the backup (not shown)", || {
            Hint::again(&["--passphrase-file", "PATH"])
                .to("read the passphrase from a file, or with - from standard input")
        }),
    }
}

/// Asks on a terminal; elsewhere the error names the way that needs none.
fn asked(question: &str, otherwise: impl FnOnce() -> Hint) -> Result<Secret> {
    if !term::is_interactive() {
        return Err(Error::usage(
            "the backup needs a passphrase, and gwinstall has no terminal to ask for it",
        )
        .hint(otherwise()));
    }
    prompt::ask_secret(question)?.ok_or_else(prompt::stopped)
}

/// The passphrase of `--passphrase-file`: one line.
fn given_passphrase(file: Option<&Path>) -> Result<Option<Secret>> {
    let Some(path) = file else { return Ok(None) };
    let text = if path.as_os_str() == "-" {
        prompt::read_secret("Passphrase (not shown)")?
    } else {
        Secret::new(text_of("--passphrase-file", path)?)
    };
    let line = text.expose().trim_end_matches(['\n', '\r']);
    if line.is_empty() || line.contains('\n') {
        return Err(Error::usage("--passphrase-file: a passphrase is one line that is not empty"));
    }
    Ok(Some(Secret::new(line)))
}

fn identities(path: &Path) -> Result<Key> {
    let text = text_of("--identity", path)?;
    let identities = Identity::parse_all(&text).ok_or_else(|| {
        Error::usage(format!("--identity: {} is not a file of age-keygen", path.display())).because(
            "each line is a comment or begins with AGE-SECRET-KEY-1; ssh keys and plugins are not known here",
        )
    })?;
    Ok(Key::Identities(identities))
}

fn text_of(flag: &str, path: &Path) -> Result<String> {
    require_path(flag, path)?;
    let bytes = disk::read_given(path, prompt::LONGEST_SECRET).map_err(|error| error.of_kind(Kind::Usage))?;
    String::from_utf8(bytes).map_err(|error| {
        Error::usage(format!("{flag}: {} is not text", path.display())).because(error.utf8_error())
    })
}
