//! The proxy of the environment: which one, and for which hosts not.
//!
//! Promise: a value that cannot be parsed is an error, never "no proxy"; a password in it reaches no message; a loopback
//! address is never reached through a proxy.

use std::net::IpAddr;

use crate::domain::name::printable;
use crate::domain::{Error, Result};
use crate::doors::system;

/// Looked up in this order, the lower-case spelling first, as curl does.
const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const BYPASS_VARIABLES: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// A proxy and the hosts that are reached without it.
#[derive(Debug, Clone)]
pub struct ProxyRule {
    pub proxy: ureq::Proxy,
    /// `http://user:***@proxy:3128 (HTTPS_PROXY)`: fit for messages.
    pub shown: String,
    pub bypass: Bypass,
}

impl ProxyRule {
    pub fn from_environment() -> Result<Option<Self>> {
        let set = |names: &[&'static str]| {
            let values = names.iter().filter_map(|name| Some((*name, system::variable(name)?)));
            values.into_iter().find(|(_, value)| !value.trim().is_empty())
        };
        let bypass = match set(&BYPASS_VARIABLES) {
            Some((name, value)) => Bypass::parse(name, &value)?,
            None => Bypass::default(),
        };
        match set(&PROXY_VARIABLES) {
            Some((name, value)) => Self::parse(name, &value, bypass).map(Some),
            None => Ok(None),
        }
    }

    pub fn parse(variable: &str, value: &str, bypass: Bypass) -> Result<Self> {
        let masked = printable(&without_userinfo(value.trim()));
        let refuse = |why: &str| {
            Error::usage(format!("{variable} does not name a usable proxy: {masked}")).because(why).hint(format!(
                "set {variable}=http://HOST:PORT, with USER:PASSWORD@ before the host if it needs them, or unset it"
            ))
        };
        // The parser's own words may repeat the password.
        let Ok(proxy) = ureq::Proxy::new(value.trim()) else { return Err(refuse("it does not parse")) };
        match proxy.protocol() {
            ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https => {}
            _ => return Err(refuse("only http and https proxies are supported")),
        }
        if proxy.host().is_empty() {
            return Err(refuse("it has no host"));
        }
        // ureq takes the default port for one that it cannot read.
        let authority = proxy.uri().authority().map_or("", |authority| authority.as_str());
        let after_host = authority.rsplit(['@', ']']).next().unwrap_or_default();
        if after_host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(refuse("its port is impossible"));
        }
        Ok(Self { proxy, shown: format!("{masked} ({variable})"), bypass })
    }
}

/// `NO_PROXY`: host names with their subdomains, addresses, networks, each with or without a port, or `*`.
#[derive(Debug, Clone, Default)]
pub struct Bypass {
    everything: bool,
    names: Vec<(String, Option<u16>)>,
    networks: Vec<(IpAddr, u8)>,
    shown: String,
}

impl Bypass {
    pub fn parse(variable: &str, value: &str) -> Result<Self> {
        let mut bypass = Self { shown: printable(value.trim()), ..Self::default() };
        for entry in value.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            bypass.add(entry).map_err(|why| {
                Error::usage(format!("{variable} has an entry that is not understood: {}", printable(entry)))
                    .because(why)
                    .hint("entries are host names, .domain, addresses or networks (10.0.0.0/8), with commas between")
            })?;
        }
        Ok(bypass)
    }

    fn add(&mut self, entry: &str) -> std::result::Result<(), &'static str> {
        if entry == "*" {
            self.everything = true;
            return Ok(());
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = address.parse().ok().ok_or("it is not a network")?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits =
                bits.parse().ok().filter(|bits| *bits <= most).ok_or("its prefix length is impossible")?;
            self.networks.push((address, bits));
            return Ok(());
        }
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            self.networks.push((address, if address.is_ipv4() { 32 } else { 128 }));
            return Ok(());
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok().ok_or("its port is not a number")?)),
            None => (entry, None),
        };
        let name = name.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(plain) {
            return Err("it is not a host name");
        }
        self.names.push((name, port));
        Ok(())
    }

    /// Whether this host is reached without the proxy.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.everything
                || self.networks.iter().any(|(network, bits)| within(address, *network, *bits));
        }
        let below =
            |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.everything
            || self.names.iter().any(|(name, only)| below(name) && only.is_none_or(|only| only == port))
    }

    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// Everything before the last `@` is hidden, also where the value is not a URL.
fn without_userinfo(value: &str) -> String {
    let Some((secret, host)) = value.rsplit_once('@') else { return value.to_owned() };
    let scheme = secret.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    format!("{scheme}****@{host}")
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |left: u128, right: u128, width: u32| {
        let ignored = width - u32::from(bits);
        // A shift by the whole width is undefined: /0 covers everything.
        left.checked_shr(ignored).unwrap_or(0) == right.checked_shr(ignored).unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(left), IpAddr::V4(right)) => same(left.to_bits().into(), right.to_bits().into(), 32),
        (IpAddr::V6(left), IpAddr::V6(right)) => same(left.to_bits(), right.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Kind;

    /// D13: what does not parse is an error, and says nothing of the password.
    #[test]
    fn proxies_that_are_none() {
        for value in [
            "http://",
            "http://user:geheim@",
            "socks5://user:geheim@host:1080",
            "http://ho st:1",
            "ftp://x",
            "%%%",
            "user:geheim@host:x",
            "http://user:ge/geheim@ho st",
        ] {
            let error = ProxyRule::parse("HTTPS_PROXY", value, Bypass::default()).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{value}");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
        let rule =
            ProxyRule::parse("HTTPS_PROXY", "http://user:geheim@proxy:3128", Bypass::default()).unwrap();
        assert!(
            !rule.shown.contains("geheim") && rule.shown.contains("proxy:3128 (HTTPS_PROXY)"),
            "{}",
            rule.shown
        );
        ProxyRule::parse("HTTPS_PROXY", "proxy.example.com:8080", Bypass::default()).unwrap();
    }

    #[test]
    fn bypass_entries() {
        let bypass = |value| Bypass::parse("NO_PROXY", value).unwrap();
        let rows = [
            ("example.com", "example.com", true),
            ("example.com", "a.example.com", true),
            ("example.com", "badexample.com", false),
            (".example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("EXAMPLE.com", "a.Example.COM", true),
            ("example.com:8443", "example.com", false),
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("::1/128", "[::1]", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "10.0.0.1", false),
            ("*", "anything", true),
            ("a.com, b.com", "b.com", true),
            ("", "a.com", false),
        ];
        for (value, host, covered) in rows {
            assert_eq!(bypass(value).covers(host, 443), covered, "{value} {host}");
        }
        assert!(bypass("example.com:8443").covers("example.com", 8443));
        for broken in ["10.0.0.0/33", "x/8", "a b", "host:port", "http://a"] {
            assert_eq!(Bypass::parse("NO_PROXY", broken).unwrap_err().kind(), Kind::Usage, "{broken}");
        }
    }
}
