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

/// How the keys of a provider begin, by the variable that holds one.
pub fn beginning_of(name: &str) -> Option<&'static str> {
    match name {
        "ANTHROPIC_API_KEY" => Some("sk-ant-"),
        "OPENAI_API_KEY" => Some("sk-"),
        _ => None,
    }
}

/// A secret as gwinstall shows it: its kind by a known public prefix, never a part of the random rest.
pub fn mask(value: &str) -> String {
    let prefix = ["sk-ant-", "sk-"].into_iter().find(|prefix| value.starts_with(prefix)).unwrap_or("");
    if value.is_empty() { "(empty)".to_owned() } else { format!("{prefix}****") }
}

/// Text from a command line as it may be repeated in a message, if it has to be changed for that: a key that landed in the
/// wrong place, alone or as `NAME=KEY`, is not shown, nor are the login and the query of a URL.
pub fn masked(text: &str) -> Option<String> {
    let (name, value) = text.split_once('=').map_or(("", text), |(name, value)| (name, value));
    if text.contains("://") || mask_userinfo(text) != text {
        let shown = mask_url(text);
        return (shown != text).then_some(shown);
    }
    let shown = if name.is_empty() { mask(value) } else { format!("{name}={}", mask(value)) };
    (looks_like_key(value) || looks_like_key(text)).then_some(shown)
}

/// Whether a word of a command line may be a key in the wrong place: more is taken for one than by `looks_secret`, because
/// little is lost by not repeating it. A beginning, or long, random, not a path and not a name made of parts.
pub fn looks_like_key(text: &str) -> bool {
    let of_keys = |b: u8| b.is_ascii_alphanumeric() || b"-_+=.~".contains(&b);
    let random = text.len() >= 20
        && text.bytes().all(of_keys)
        && text.bytes().filter(u8::is_ascii_digit).count() >= 3
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && !is_name_of_parts(text);
    random || looks_secret(text) || KEY_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// Whether a text consists of words, numbers and short parts, like the names of models and backups.
fn is_name_of_parts(text: &str) -> bool {
    let of_one_kind = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphabetic()) || part.bytes().all(|b| b.is_ascii_digit())
    };
    let mut parts = text.split(['-', '_', '.']);
    parts.clone().count() >= 3 && parts.all(|part| part.len() <= 5 || of_one_kind(part))
}

/// A URL without its parts that may be secret: a login, a query, a fragment.
pub fn mask_url(url: &str) -> String {
    let shown = mask_userinfo(url);
    // A password may hold these too, but it is gone already.
    match shown.find(['?', '#']) {
        Some(at) => format!("{}{}…", &shown[..at], &shown[at..=at]),
        None => shown,
    }
}

/// A URL with `user:password@` hidden.
pub fn mask_userinfo(url: &str) -> String {
    // Without a scheme only what looks like `user:password@` counts as a login.
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    // Up to the last @ of all: a password that was not percent-encoded may hold a slash.
    match rest.rfind('@') {
        Some(at) if !scheme.is_empty() || rest[..at].contains(':') => {
            format!("{scheme}****@{}", &rest[at + 1..])
        }
        _ => url.to_owned(),
    }
}

/// Prefixes of the keys of known providers.
const KEY_PREFIXES: [&str; 8] = ["sk-", "sk_", "AIza", "ghp_", "github_pat_", "xoxb-", "xoxp-", "glpat-"];

/// Whether a text is a secret, whatever variable holds it: a key by its prefix, or a private key.
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
        assert_eq!(mask_url("https://me:p@h/a?key=KEY#f"), "https://****@h/a?…");
        assert_eq!(mask_url("https://h#KEY"), "https://h#…");
    }

    #[test]
    fn keys_in_the_wrong_place_are_told_from_names_and_paths() {
        for key in ["sk-x", "AIzaSyA", "0123456789abcdefghij", "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA=="] {
            assert!(looks_like_key(key), "{key}");
            assert!(!masked(&format!("NAME={key}")).unwrap().contains(&key[3..]), "{key}");
        }
        for key in ["0c5b2c1e-8a34-4f0a-9d67-31a0b1c2d3e4", "mZx3k-Qp81vTgh2-kk0La", "abc-1x2y3z4w5v6u-def-7"]
        {
            assert!(looks_like_key(key), "{key}");
        }
        for text in [
            "--presett",
            "instal",
            "./token-0123456789abcdef",
            "gemini-2.5-flash",
            "/run/secrets/k",
            "claude-sonnet-4-5-20250929",
            "gateway-backup-20261126-175812.tar.gz",
        ] {
            assert_eq!(masked(text), None, "{text}");
        }
        assert_eq!(masked("https://h?key=KEY").unwrap(), "https://h?…");
    }
}
