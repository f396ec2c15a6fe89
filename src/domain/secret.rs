//! A value that may be written to one place only. It cannot be printed by accident: `Debug` masks it and there is
//! no `Display`.

use std::fmt;

#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; every caller is a place where a secret leaves its wrapping.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a secret is shown to a person: its kind by a known public prefix, never a part of the random rest.
pub fn mask(value: &str) -> String {
    let prefix = ["sk-ant-", "sk-"].into_iter().find(|prefix| value.starts_with(prefix)).unwrap_or("");
    if value.is_empty() { "(empty)".to_owned() } else { format!("{prefix}****") }
}

/// Hides `user:password@` in a URL that is about to be shown.
pub fn mask_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // Up to the last @ of all: a password that was not percent-encoded may hold a slash.
    match rest.rfind('@') {
        Some(at) => format!("{scheme}://****@{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// Prefixes by which providers let their keys be known, and be found where they do not belong.
const KEY_PREFIXES: [&str; 8] = ["sk-", "sk_", "AIza", "ghp_", "github_pat_", "xoxb-", "xoxp-", "glpat-"];

/// Whether a text is a secret whatever its name says: a key by its prefix, or a private key.
pub fn looks_secret(text: &str) -> bool {
    let shaped = KEY_PREFIXES.iter().any(|start| text.starts_with(start)) && text.len() >= 12;
    let aws = text.len() == 20 && text.starts_with("AKIA") && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let private = text.contains("-----BEGIN") || text.contains("\"private_key\"");
    (shaped && !text.contains(' ')) || aws || private
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_looks() {
        for text in [
            "sk-ant-api03-abcdef",
            "AIzaSyAabcdefgh",
            "AKIAIOSFODNN7EXAMPLE",
            "{\"type\": \"service_account\", \"private_key\": \"…\"}",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            assert!(looks_secret(text), "{text}");
        }
        for text in ["my-project", "us-central1", "sk-", "/keys/sk-ant.json", "https://gw.example.com", ""] {
            assert!(!looks_secret(text), "{text}");
        }
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let secret = Secret::new("sk-ant-api03-verysecret");
        assert!(!format!("{secret:?}").contains("very"));
        assert_eq!(mask(secret.expose()), "sk-ant-****");
        assert_eq!(mask("hunter2"), "****");
        assert_eq!(mask_userinfo("http://me:p@ss@proxy:3128/x"), "http://****@proxy:3128/x");
        assert_eq!(mask_userinfo("http://me:pa/s#s@proxy:3128"), "http://****@proxy:3128");
    }
}
