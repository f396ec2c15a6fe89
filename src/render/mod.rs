//! The wanted tree, from bundle, choice and values only: no clock, no host name, no randomness, so the same request
//! gives the same bytes on every machine.

mod choice;
mod direct;
mod env;
mod litellm;
mod settings;
mod tier;
mod variables;

use crate::bundle::Bundle;
use crate::bundle::catalog::FileEntry;
use crate::domain::Result;
use crate::domain::place::files;
use crate::domain::runtime::RuntimeId;
use crate::domain::tree::{self, Class, Content, Stamp, Wanted, WantedFile};

pub use choice::{Choice, choose};
pub use direct::{CLAUDE, DirectChoice, answered_by, unknown as unknown_provider, used_name};
pub use env::{EnvInput, EnvOutcome, Need, Value, as_setting, needs, render_env};
pub use litellm::assemble;
pub use settings::{
    Around, DesiredKey, Helper, LIMIT_KEYS, MODEL_KEYS, OUTPUT_LIMIT, desired_keys, helper_command,
    is_helper_command, is_on, is_provider_address, is_provider_switch, keys_beside_gateway_helper,
};
pub use variables::{AUTH_TOKEN, BASE_URL, HEADERS, MASTER_KEY};

/// Every file that the bundle deploys for this choice, and the assembled configuration. `.env`, settings and the
/// record are edits of what is on disk and come from elsewhere.
pub fn files_of(bundle: &Bundle, choice: &Choice<'_>) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    for entry in bundle.catalog.files.iter().filter(|entry| is_deployed(entry, choice)) {
        let bytes = bundle.file(&entry.path).cloned().unwrap_or_default();
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let filled = if entry.class == Class::Script { fill_in(&bytes, choice) } else { None };
        let file = match (filled, bundle.sha256(&entry.path)) {
            (None, Some(sha256)) => WantedFile { bytes, stamp: Stamp { sha256, mode }, class: entry.class },
            (filled, _) => WantedFile::new(filled.map_or(bytes, Content::from), mode, entry.class),
        };
        wanted.insert(entry.path.clone(), file);
    }
    if let Some(base) = &choice.preset.base {
        let text = assemble(bundle, base, choice)?;
        wanted.insert(
            files::CONFIG.to_owned(),
            WantedFile::new(text.into_bytes().into(), 0o644, Class::Config),
        );
    }
    let ignored = WantedFile::new(GITIGNORE_TEXT.as_bytes().into(), 0o644, Class::Template);
    wanted.insert(files::GITIGNORE.to_owned(), ignored);
    Ok(tree::packed(wanted))
}

/// People keep ~/.claude in git: the keys in `.env` and the values in the ledger must not get there with `git add -A`.
/// Not a file of the bundle, where git would apply it to the bundle's own directory.
pub const GITIGNORE_TEXT: &str = "\
# Written by gwinstall: this directory holds keys, backups and the state of one machine.
# To keep some of it in git: git add -f FILE, or delete this file. gwinstall does not write it again.
*
";

fn is_deployed(entry: &FileEntry, choice: &Choice<'_>) -> bool {
    let for_preset = choice.catalog.is_for(entry, choice.preset);
    let wanted = match entry.class {
        Class::Test => choice.preset.deploy_tests,
        Class::Example => choice.preset.deploy_examples,
        _ => true,
    };
    for_preset && wanted
}

/// A script with another LiteLLM to start; `None` for one that has no place for it.
pub fn with_runtime(script: &[u8], runtime: &RuntimeId) -> Option<Vec<u8>> {
    with_fact(script, "litellm", &runtime.shell_word())
}

/// A start script for another port; `None` for one that has no place for it.
pub fn with_port(script: &[u8], port: u16) -> Option<Vec<u8>> {
    with_fact(script, "port", &port.to_string())
}

fn with_fact(script: &[u8], marker: &str, value: &str) -> Option<Vec<u8>> {
    let end = format!(" # gwinstall:{marker}");
    let text = std::str::from_utf8(script).ok().filter(|text| text.contains(&end))?;
    let line = |line: &str| match line.trim_end().strip_suffix(&end).and_then(|line| line.split_once('=')) {
        Some((name, _)) => format!("{name}={value}{end}\n"),
        None => line.to_owned(),
    };
    Some(text.split_inclusive('\n').map(line).collect::<String>().into_bytes())
}

/// Scripts hold three facts of the request, each on a line that ends with its marker; `None` for one without a marker.
fn fill_in(script: &[u8], choice: &Choice<'_>) -> Option<Vec<u8>> {
    const MARKER: &str = " # gwinstall:";
    let text = std::str::from_utf8(script).ok().filter(|text| text.contains(MARKER))?;
    // Without an argument the script prints the credential of the gateway.
    let key = choice.gateway_key_name();
    let mut filled = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.trim_end().split_once(MARKER) {
            Some((assignment, marker @ ("port" | "key-name" | "litellm"))) => {
                let name = assignment.split('=').next().unwrap_or_default();
                let value = match marker {
                    "port" => choice.port.to_string(),
                    "key-name" => key.to_owned(),
                    _ => choice.runtime.as_ref().map_or_else(|| "''".to_owned(), RuntimeId::shell_word),
                };
                filled.push_str(&format!("{name}={value}{MARKER}{marker}\n"));
            }
            _ => filled.push_str(line),
        }
    }
    Some(filled.into_bytes())
}
