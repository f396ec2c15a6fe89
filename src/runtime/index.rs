//! Where packages come from: uv reads none of pip's settings, so gwinstall hands them to it.
//!
//! Promise: an index that the user set for pip is used, not another one; its login is passed in the environment and shown
//! nowhere; a setting that the user made for uv itself wins.

use std::path::Path;
use std::time::Duration;

use super::installer;
use crate::doors::{disk, system};

/// A setting of pip, and the variables of uv that say the same; the first is the one that is set.
const SETTINGS: [(&str, &str, &[&str]); 7] = [
    ("index-url", "PIP_INDEX_URL", &["UV_DEFAULT_INDEX", "UV_INDEX_URL"]),
    ("extra-index-url", "PIP_EXTRA_INDEX_URL", &["UV_INDEX", "UV_EXTRA_INDEX_URL"]),
    ("find-links", "PIP_FIND_LINKS", &["UV_FIND_LINKS"]),
    ("trusted-host", "PIP_TRUSTED_HOST", &["UV_INSECURE_HOST"]),
    ("cert", "PIP_CERT", &["SSL_CERT_FILE"]),
    ("client-cert", "PIP_CLIENT_CERT", &["SSL_CLIENT_CERT"]),
    ("proxy", "PIP_PROXY", &["ALL_PROXY", "HTTPS_PROXY", "https_proxy", "all_proxy"]),
];

/// What uv is told besides its own settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ForUv {
    pub set: Vec<(&'static str, String)>,
    /// The settings of pip that were translated, by name, for the user.
    pub translated: Vec<&'static str>,
    pub no_index: bool,
}

/// Translates the settings of pip: those of its variables, and of its files where this Python has a pip to ask.
pub(super) fn for_uv(python: Option<&Path>, work: &Path) -> ForUv {
    let listed = python.map(|python| settings_of(python, work)).unwrap_or_default();
    translate(&listed, &system::variable, &disk::exists)
}

/// `name='value'` lines of `pip config list`.
fn settings_of(python: &Path, work: &Path) -> String {
    let asked = installer::job(python, work).args(["-I", "-m", "pip", "config", "list"]);
    let asked = asked.set("PIP_DISABLE_PIP_VERSION_CHECK", "1").run(Duration::from_secs(20), &mut || ());
    asked.ok().filter(|ended| ended.succeeded()).map(|ended| ended.output).unwrap_or_default()
}

fn translate(
    listed: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    exists: &dyn Fn(&Path) -> bool,
) -> ForUv {
    let value = |name: &str, of_pip: &str| variable(of_pip).or_else(|| in_files(listed, name));
    let mut found = ForUv {
        no_index: value("no-index", "PIP_NO_INDEX").is_some_and(|value| is_true(&value)),
        ..ForUv::default()
    };
    for (name, of_pip, of_uv) in SETTINGS {
        let Some(value) = value(name, of_pip) else { continue };
        if of_uv.iter().any(|name| variable(name).is_some()) {
            continue;
        }
        // Several values: uv separates paths by commas, and the others by spaces. pip passes over a directory that does
        // not exist; uv stops at it.
        let words = value
            .split_whitespace()
            .filter(|word| name != "find-links" || word.contains("://") || exists(Path::new(word)));
        let words: Vec<&str> = words.collect();
        if words.is_empty() {
            continue;
        }
        let value = words.join(if name == "find-links" { "," } else { " " });
        found.set.push((of_uv[0], value));
        found.translated.push(name);
    }
    if found.translated.contains(&"extra-index-url") {
        // As pip does: the first index may have the package without the version. The hashes keep this safe.
        found.set.push(("UV_INDEX_STRATEGY", "unsafe-best-match".to_owned()));
    }
    found
}

/// The value of a setting that pip's files set for every command, for `install` or for `download`.
fn in_files(listed: &str, name: &str) -> Option<String> {
    let of = |section: &str| {
        let key = format!("{section}.{name}=");
        listed.lines().find_map(|line| line.strip_prefix(&key)).map(unquoted)
    };
    ["install", "global", "download"].into_iter().find_map(of).filter(|value| !value.is_empty())
}

/// A text as Python writes it in quotes; several values are lines in it.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    inner.replace("\\n", " ").trim().to_owned()
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "y" | "yes" | "t" | "true" | "on")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(listed: &str, variables: &[(&str, &str)]) -> ForUv {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        translate(listed, &variable, &|path| path != Path::new("/gone"))
    }

    #[test]
    fn settings_of_pip_become_those_of_uv() {
        let found = of("global.index-url='https://u:p@mirror.corp/simple'\nglobal.no-index='true'\n", &[]);
        assert_eq!(found.set, [("UV_DEFAULT_INDEX", "https://u:p@mirror.corp/simple".to_owned())]);
        assert_eq!((found.translated, found.no_index), (vec!["index-url"], true));
        let found = of("", &[("PIP_FIND_LINKS", "/wheels https://a/b /gone"), ("PIP_CERT", "/ca.pem")]);
        let set =
            [("UV_FIND_LINKS", "/wheels,https://a/b".to_owned()), ("SSL_CERT_FILE", "/ca.pem".to_owned())];
        assert_eq!(found.set, set);
        let found = of("global.extra-index-url='\\nhttps://a\\nhttps://b'\n", &[]);
        assert_eq!(found.set[0], ("UV_INDEX", "https://a https://b".to_owned()));
        assert_eq!(found.set[1].0, "UV_INDEX_STRATEGY");
    }

    #[test]
    fn settings_of_uv_and_what_is_not_there_stay() {
        let listed = "global.index-url='https://mirror.corp/simple'\n";
        assert_eq!(of(listed, &[("UV_INDEX_URL", "https://own")]), ForUv::default());
        assert_eq!(of("", &[("PIP_FIND_LINKS", "/gone"), ("PIP_NO_INDEX", "0")]), ForUv::default());
        assert_eq!(
            of("global.timeout='60'\n", &[("PIP_CERT", "/ca"), ("SSL_CERT_FILE", "/own")]),
            ForUv::default()
        );
    }
}
