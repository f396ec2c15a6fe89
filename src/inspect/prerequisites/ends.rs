//! The two ends of the gateway: Claude Code, which calls it, and Google's login, with which it calls Vertex AI. Both
//! work without gwinstall, so nothing here is more than a warning. Never: asks the network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::check::Finding;
use crate::domain::record::Record;
use crate::domain::{Hint, Place, Result};
use crate::doors::{disk, system};
use crate::format::dotenv::{DotEnv, is_placeholder};

type Version = (u64, u64, u64);

/// From here on `/model` lists what a gateway offers.
const DISCOVERS: Version = (2, 1, 129);
/// From here on it does with `apiKeyHelper` too.
const DISCOVERS_WITH_HELPER: Version = (2, 1, 224);
const PATIENCE: Duration = Duration::from_secs(10);

/// gwinstall asks Claude Code for its version alone: no update, no telemetry.
const QUIET: [(&str, &str); 2] =
    [("DISABLE_AUTOUPDATER", "1"), ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")];

/// Whether Claude Code is here, and new enough to list the models of a gateway.
pub(super) fn claude_code(place: &Place, record: Option<&Record>) -> Finding {
    let Some(claude) = find_claude(place) else {
        return Finding::warn("Claude Code was not found")
            .hint(Hint::shell("npm install -g @anthropic-ai/claude-code"));
    };
    let shown = place.show(&claude);
    let said = match system::listen_to(&claude, &["--version"], &QUIET, PATIENCE) {
        Ok(said) => said,
        Err(why) => {
            return Finding::warn(format!("the version of Claude Code is not known: {why}"))
                .hint(Hint::shell(format!("{} --version", place.paste(&claude))));
        }
    };
    let Some(version) = version(&said) else {
        return Finding::warn(format!("{shown} --version does not print a version of Claude Code"))
            .hint(Hint::shell("npm install -g @anthropic-ai/claude-code"));
    };
    let text = format!("{}.{}.{}", version.0, version.1, version.2);
    let details = json!({ "claude": shown, "version": text });
    let by_helper = record.is_some_and(|record| record.settings.keys.contains_key("apiKeyHelper"));
    let (needed, why) = if by_helper {
        (DISCOVERS_WITH_HELPER, "with a key helper its /model lists the models of a gateway")
    } else {
        (DISCOVERS, "its /model lists the models of a gateway")
    };
    if version >= needed {
        return Finding::pass(format!("Claude Code {text}")).details(details);
    }
    let (major, minor, patch) = needed;
    Finding::warn(format!("Claude Code {text} is old: from {major}.{minor}.{patch} on {why}"))
        .details(details)
        .hint(Hint::shell(format!("{} update", place.paste(&claude))))
}

/// On the PATH, or where its own installers put it.
fn find_claude(place: &Place) -> Option<PathBuf> {
    let usual = [place.home.join(".local/bin/claude"), place.config_dir.join("local/claude")];
    system::program("claude").or_else(|| usual.into_iter().find(|path| disk::is_program(path)))
}

/// `2.1.329 (Claude Code)`.
fn version(said: &str) -> Option<Version> {
    let mut numbers = said.split_whitespace().next()?.split('.').map(str::parse);
    let version = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next().is_none().then_some(version)
}

/// The login that Google's libraries would find, in their order: the file that is named, gcloud's login, the machine's identity.
pub(super) fn google_login(place: &Place, env: &DotEnv) -> Finding {
    const NAMED: &str = "GOOGLE_APPLICATION_CREDENTIALS";
    let value = |name: &str| {
        let of_file = env.get(name).filter(|value| !is_placeholder(value)).map(str::to_owned);
        // The start script passes on what .env does not say.
        of_file.filter(|value| !value.is_empty()).or_else(|| system::variable(name))
    };
    if value("VERTEXAI_CREDENTIALS").is_some() {
        return Finding::pass("VERTEXAI_CREDENTIALS has a value");
    }
    if let Some(named) = value(NAMED) {
        // Said without the value: a key pasted in place of its path is still a key.
        if !named.starts_with('/') {
            return Finding::warn(format!("{NAMED} is not an absolute path"))
                .hint(Hint::run(&["env", "set", NAMED]));
        }
        let path = Path::new(&named);
        return match credential(path) {
            Ok(kind) => Finding::pass(format!("{NAMED} is a Google credential ({kind})")),
            Err(why) => Finding::warn(format!("{} in {NAMED} {why}", place.show(path)))
                .hint(Hint::run(&["env", "set", NAMED])),
        };
    }
    let gcloud =
        system::path_variable("CLOUDSDK_CONFIG").unwrap_or_else(|| place.home.join(".config/gcloud"));
    let path = gcloud.join("application_default_credentials.json");
    let login = "gcloud auth application-default login";
    match credential(&path) {
        Ok(kind) => Finding::pass(format!("{} is Google's login ({kind})", place.show(&path))),
        Err(why) if disk::exists(&path) => {
            Finding::warn(format!("{} {why}", place.show(&path))).hint(Hint::shell(login))
        }
        Err(_) if is_of_google() => {
            Finding::pass("this machine runs at Google and has an identity of its own")
        }
        Err(_) => Finding::warn("no Google login was found: calls to Vertex AI fail without one")
            .hint(Hint::shell(login)),
    }
}

/// The kind of a credential file, else what is wrong with it.
fn credential(path: &Path) -> std::result::Result<String, &'static str> {
    let read = |path: &Path| -> Result<Option<Vec<u8>>> {
        disk::read_maybe(&disk::real_file(path)?, disk::TEXT_CAP)
    };
    let bytes = match read(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err("does not exist"),
        Err(_) => return Err("cannot be read"),
    };
    let Ok(file) = serde_json::from_slice::<Value>(&bytes) else { return Err("is not a Google credential") };
    let kind = file.get("type").and_then(Value::as_str).ok_or("is not a Google credential")?;
    Ok(crate::domain::name::printable(kind))
}

/// Decided as Google's libraries do before they ask the metadata server.
fn is_of_google() -> bool {
    disk::read_from(Path::new("/sys/class/dmi/id/product_name"), 0, 64)
        .is_ok_and(|name| name.starts_with(b"Google"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_first_word_and_nothing_else() {
        assert_eq!(version("2.1.329 (Claude Code)\n"), Some((2, 1, 329)));
        for odd in ["", "2.1", "2.1.x (Claude Code)", "Claude Code 2.1.3", "2.1.3.4"] {
            assert_eq!(version(odd), None, "{odd}");
        }
    }
}
