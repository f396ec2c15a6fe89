//! Addresses that may be fetched: https anywhere, plain http on this machine only, no user names.

use std::net::ToSocketAddrs as _;

use crate::domain::name::printable;
use crate::domain::{Error, Result};

/// A checked absolute URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub https: bool,
    /// Lower case; an IPv6 address keeps its brackets.
    pub host: String,
    pub port: u16,
    /// Path and query, beginning with `/`.
    path: String,
    explicit_port: bool,
}

impl Address {
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).map_err(|why| {
            Error::usage(format!("cannot fetch {}", printable(&without_secrets(text))))
                .because(why)
                .hint("give an https:// URL, a file:// URL or a path")
        })
    }

    fn read(text: &str) -> std::result::Result<Self, &'static str> {
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err("only https is allowed"),
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '"', '<', '>']) {
            return Err("it holds a character that does not belong in a URL");
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err("a user name or password does not belong in it");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().ok().filter(|port| *port != 0).ok_or("its port is impossible")?))
            }
            _ => (authority, None),
        };
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = match literal {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(named),
        };
        if !valid {
            return Err("it has no valid host");
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (explicit_port, port) = (port.is_some(), port.unwrap_or(if https { 443 } else { 80 }));
        let address = Self { https, host: host.to_ascii_lowercase(), port, path, explicit_port };
        if !https && !address.is_loopback() {
            return Err("plain http is allowed only to this machine");
        }
        Ok(address)
    }

    /// What a `Location` header means, seen from here. The reason of a refusal is worded to follow "redirect".
    pub fn redirect(&self, location: &str) -> std::result::Result<Self, &'static str> {
        let scheme = if self.https { "https:" } else { "http:" };
        let has_scheme = location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':'));
        let absolute = if has_scheme {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}{location}")
        } else if location.starts_with('/') {
            format!("{}{location}", self.origin())
        } else {
            let path = self.path.split('?').next().unwrap_or("/");
            let dir = path.rfind('/').map_or("/", |at| &path[..=at]);
            format!("{}{dir}{location}", self.origin())
        };
        let target = Self::read(&absolute)?;
        if self.https && !target.https {
            return Err("it leads from https to http");
        }
        Ok(target)
    }

    /// Same scheme, host and port.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.https, &self.host, self.port) == (other.https, &other.host, other.port)
    }

    /// The host without the brackets of an IPv6 address.
    pub(super) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// What the name resolves to on this machine, each with its family.
    pub(super) fn addresses(&self) -> std::io::Result<Vec<String>> {
        let found = (self.bare_host(), self.port).to_socket_addrs()?;
        let shown =
            found.map(|address| format!("{} (IPv{})", address.ip(), if address.is_ipv4() { 4 } else { 6 }));
        Ok(shown.collect())
    }

    pub fn is_loopback(&self) -> bool {
        let host = self.bare_host();
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let port = if self.explicit_port { format!(":{}", self.port) } else { String::new() };
        format!("{scheme}://{}{port}", self.host)
    }

    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    /// Without the query: release hosts put short-lived credentials there.
    pub fn shown(&self) -> String {
        printable(&format!("{}{}", self.origin(), self.path.split('?').next().unwrap_or("/")))
    }
}

fn without_secrets(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("****@{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine() {
        for good in [
            "https://a.b/c?d",
            "https://[2001:db8::1]:8443/",
            "http://127.0.0.1:80/x",
            "http://localhost/",
            "http://[::1]:1/",
        ] {
            assert_eq!(Address::parse(good).unwrap().url(), good);
        }
        assert_eq!(Address::parse("https://A.B").unwrap().url(), "https://a.b/");
        for bad in [
            "http://a.b/",
            "http://127.0.0.1.evil.com/",
            "ftp://a/",
            "file:///etc/passwd",
            "https://",
            "https://user:geheim@a/",
            "https://a:0/",
            "https://a:99999/",
            "https://a b/",
            "https://a\n/",
            "https://[::1/",
            "https:/a",
        ] {
            let error = Address::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }

    /// D04: relative, scheme-relative, absolute; never from https to http, never with a user name.
    #[test]
    fn redirects() {
        let from = Address::parse("https://a.b:8443/dir/file?q=1").unwrap();
        let to = |location| from.redirect(location).map(|address| address.url());
        assert_eq!(to("/x?y"), Ok("https://a.b:8443/x?y".into()));
        assert_eq!(to("x"), Ok("https://a.b:8443/dir/x".into()));
        assert_eq!(to("//evil.com/x"), Ok("https://evil.com/x".into()));
        assert_eq!(to("https://c.d/e"), Ok("https://c.d/e".into()));
        for bad in [
            "http://a.b/x",
            "http://127.0.0.1/x",
            "file:///x",
            "ftp://x/",
            "javascript:x",
            "https://u@c/",
            "//u:p@c/x",
        ] {
            assert!(to(bad).is_err(), "{bad}");
        }
        let local = Address::parse("http://127.0.0.1:1/a").unwrap();
        assert!(local.redirect("http://127.0.0.1:2/b").is_ok());
        assert!(local.redirect("http://a.b/").is_err());
    }
}
