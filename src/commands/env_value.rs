//! A value for `.env` as the user gives it: without quotes and spaces around it, refused where it cannot be right.
//!
//! Pure but for the question whether a file is there. Promise: no message repeats any part of the value.

use std::path::Path;

use crate::bundle::catalog::EnvVar;
use crate::domain::Hint;
use crate::domain::stand_in::{self, StandIn};
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Result};
use crate::doors::disk;
use crate::doors::term;

/// A value, and notes about it for the user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub text: String,
    pub notes: Vec<&'static str>,
}

/// The value that the user means by `text` for the variable `name`, which the catalog may describe.
pub(super) fn given(name: &str, variable: Option<&EnvVar>, text: &str) -> Result<Given> {
    let given = cleaned(name, text);
    let text = &given.text;
    if text.is_empty() {
        return Err(Error::usage(format!("the value of {name} is empty")).because("nothing was changed"));
    }
    if let Some(why) = stand_in::of(name, text) {
        let what = match why {
            StandIn::WeakKey => format!("this {name} protects nothing"),
            StandIn::Reference | StandIn::Expression => format!("{name} takes the value itself"),
            _ => format!("this value of {name} is a placeholder"),
        };
        return Err(Error::usage(what).because(why));
    }
    match variable.and_then(|variable| variable.example.as_deref()) {
        Some(example) if example.starts_with('/') => path(name, given),
        Some(example) if example.starts_with("http") => url(name, given),
        _ => Ok(given),
    }
}

/// Without spaces at the ends, `NAME=` in front and quotes around: what a line of another `.env` has, and no value.
fn cleaned(name: &str, given: &str) -> Given {
    let mut notes = Vec::new();
    let mut text = given.trim();
    if text != given.trim_end_matches(['\n', '\r']) {
        notes.push("the spaces around the value are left out");
    }
    let line = text.strip_prefix("export ").unwrap_or(text).trim_start();
    if let Some(value) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
        notes.push("the name in front of the value is left out");
        text = value;
    }
    let quoted =
        |quote: char| text.strip_prefix(quote)?.strip_suffix(quote).filter(|inside| !inside.contains(quote));
    if let Some(inside) = quoted('"').or_else(|| quoted('\'')) {
        notes.push("the quotes around the value are left out");
        text = inside;
    }
    Given { text: text.to_owned(), notes }
}

/// The command that takes a path from a shell, which expands it.
fn from_a_path(name: &str, path: &str) -> Hint {
    let set = term::command(&["env", "set", name, "--from", "-", "--yes"]);
    Hint::shell(format!("echo {path} | {set}"))
}

/// Programs take a path as it stands: without a shell `~` is a name like any other.
fn path(name: &str, mut given: Given) -> Result<Given> {
    if given.text.starts_with('{') || given.text.contains('\n') {
        return Err(Error::usage(format!("{name} takes the path of a file, not what is in it")).hint(
            from_a_path(name, "/path/of/the/file").to("give the path once you have saved it (chmod 600)"),
        ));
    }
    if !given.text.starts_with('/') {
        return Err(Error::usage(format!("{name} takes an absolute path"))
            .because("~, $HOME and relative paths are not expanded in .env")
            .hint(from_a_path(name, "\"$HOME/the/file\"")));
    }
    if !disk::exists(Path::new(&given.text)) {
        given.notes.push("there is no such file on this machine yet");
    }
    Ok(given)
}

/// A proxy may have its user and password in the URL; the rest is a URL as any.
fn url(name: &str, given: Given) -> Result<Given> {
    let public = match (given.text.split_once("://"), given.text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) if name.ends_with("_PROXY") => format!("{scheme}://{host}"),
        _ => given.text.clone(),
    };
    match HttpUrl::parse(name, &public) {
        Ok(_) => Ok(given),
        Err(_) => Err(Error::usage(format!("the value of {name} is not a usable URL"))
            .because("it takes http:// or https://, a host and if needed :PORT and a path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(example: &str) -> EnvVar {
        serde_yaml::from_str(&format!(
            "{{name: X, description: d, how: h, secret: false, example: '{example}'}}"
        ))
        .unwrap()
    }

    #[test]
    fn what_came_along_is_left_out() {
        for (text, value, notes) in [
            ("sk-abc\n", "sk-abc", 0),
            ("  sk-abc \n", "sk-abc", 1),
            ("KEY=sk-abc", "sk-abc", 1),
            ("export KEY=\"sk-abc\"", "sk-abc", 2),
            ("'sk-abc'", "sk-abc", 1),
            ("\"a\" and \"b\"", "\"a\" and \"b\"", 0),
            ("KEYS=1", "KEYS=1", 0),
        ] {
            let given = given("KEY", None, text).unwrap();
            assert_eq!((given.text.as_str(), given.notes.len()), (value, notes), "{text}");
        }
        for text in ["", "\n", "  ", "\"\"", "KEY="] {
            given("KEY", None, text).unwrap_err();
        }
    }

    #[test]
    fn paths_and_urls_are_what_they_should_be() {
        let path = variable("/etc/ssl/cert.pem");
        assert_eq!(given("X", Some(&path), "/dev/null").unwrap().notes, [""; 0]);
        assert_eq!(given("X", Some(&path), "/nowhere/key.json").unwrap().notes.len(), 1);
        for text in
            ["{\"private_key\": \"canary\"}", "~/canary.json", "canary.json", "C:\\canary", "/a\n/canary"]
        {
            let error = given("X", Some(&path), text).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
        let url = variable("http://proxy.example.com:8080");
        given("HTTPS_PROXY", Some(&url), "http://me:p%40ss@proxy:8080").unwrap();
        for text in ["proxy:8080", "ftp://proxy", "http://"] {
            given("HTTPS_PROXY", Some(&url), text).unwrap_err();
        }
        given("ANTHROPIC_BASE_URL", Some(&url), "https://me:canary@gw").unwrap_err();
    }
}
