//! URLs that a user may give: where a gateway or a proxy listens.
//!
//! Only what is needed is accepted, so that a value is safe in YAML, JSON, `.env` and a shell: http or https, a
//! host, a port, a plain path. Userinfo belongs to `--proxy-auth`, never to a URL on a command line.

use super::name::printable;
use super::{Error, Hint, Result};

/// A checked http or https URL, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    host: String,
    port: Option<u16>,
}

impl HttpUrl {
    /// Checks `text`; `what` names the flag or variable in the message.
    pub fn parse(what: &str, text: &str) -> Result<Self> {
        Self::read(text).map_err(|why| match why {
            Why::Login if is_proxy(what) => login_of_proxy(what),
            why => refused(what, text, &why),
        })
    }

    fn read(text: &str) -> std::result::Result<Self, Why> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or_else(|| Why::Other("it must start with http:// or https://".into()))?;
        if let Some(bad) =
            text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~:/%[]@!,;=+".contains(*c)))
        {
            return Err(Why::Other(format!("it holds the character {:?}", printable(&bad.to_string()))));
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(Why::Login);
        }
        let (host, port) = host_and_port(authority).map_err(Why::Other)?;
        // A program that follows the URL standard takes an escaped dot for a dot.
        if path.to_ascii_lowercase().replace("%2e", ".").split('/').any(|step| step == "." || step == "..") {
            return Err(Why::Other("its path holds a . or .. step".into()));
        }
        Ok(Self { text: text.trim_end_matches('/').to_owned(), host: host.to_ascii_lowercase(), port })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn is_https(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// The port given, else the scheme's.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    pub fn names_a_port(&self) -> bool {
        self.port.is_some()
    }

    /// Whether it can only be reached on this machine.
    pub fn is_loopback(&self) -> bool {
        let v4 = self.host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
        v4 || matches!(self.host.as_str(), "localhost" | "[::1]")
    }

    /// Whether there is more than scheme, host and port.
    pub fn has_path(&self) -> bool {
        !self.path().is_empty()
    }

    /// What follows scheme, host and port: empty, or with a slash in front and none at the end.
    pub fn path(&self) -> &str {
        let authority_at = self.text.find("://").map_or(0, |at| at + 3);
        let rest = &self.text[authority_at..];
        rest.find('/').map_or("", |at| &rest[at..])
    }

    /// Whether every program sees the same steps in the path. Proxies and servers differ about escaped slashes, about
    /// backslashes, about `..;`, and about what was escaped twice: behind them such a path can leave its parent.
    pub fn has_plain_steps(&self) -> bool {
        let path = self.path();
        let Some(decoded) = unescaped(path) else { return false };
        let slashes = |text: &str| text.matches('/').count();
        let only_dots = |step: &str| {
            let name = step.split(';').next().unwrap_or_default().trim();
            !name.is_empty() && name.bytes().all(|b| b == b'.')
        };
        slashes(&decoded) == slashes(path)
            && !decoded.contains(|c: char| c == '\\' || c == '%' || c.is_control())
            && !decoded.split('/').any(only_dots)
    }
}

/// Why gwinstall cannot use a text as a URL.
enum Why {
    /// It holds a user name or a password.
    Login,
    Other(String),
}

fn refused(what: &str, text: &str, why: &Why) -> Error {
    let shown = super::secret::mask_url(&printable(text));
    let why = match why {
        Why::Login => "a user name or password does not belong into it",
        Why::Other(why) => why,
    };
    let error = Error::usage(format!("{what}: {shown:?} is not a usable URL")).because(why);
    let example =
        if is_proxy(what) { "http://proxy.example.com:3128" } else { "https://gateway.example.com" };
    error.hint(match meant(what, text) {
        Some(meant) => Hint::instead(text, meant),
        None => Hint::step(format!(
            "give http:// or https://, a host and if needed :PORT and a path, for example {example}"
        )),
    })
}

/// The URL that the user probably meant, where only the scheme is missing or the port is wrong.
fn meant(what: &str, text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    // A login may stand in any part of a text that is not a URL.
    if text.contains('@') {
        return None;
    }
    let host = authority.split(':').next().unwrap_or_default();
    let is_here = matches!(host, "localhost" | "127.0.0.1");
    let scheme = match scheme {
        "" if is_here || is_proxy(what) => "http",
        "" => "https",
        given => given,
    };
    let port = if is_here { ":4000" } else { "" };
    let candidates = [format!("{scheme}://{rest}"), format!("{scheme}://{host}{port}{path}")];
    candidates.into_iter().filter(|_| what.starts_with("--")).find(|url| HttpUrl::read(url).is_ok())
}

fn is_proxy(what: &str) -> bool {
    what.to_ascii_lowercase().contains("proxy")
}

fn login_of_proxy(what: &str) -> Error {
    Error::usage(format!("{what}: the login of the proxy does not belong into its URL"))
        .because("a command line is visible to every process")
        .hint("put the whole URL into HTTPS_PROXY in the environment, or give the login with --proxy-auth USER:PASSWORD")
}

fn host_and_port(authority: &str) -> std::result::Result<(&str, Option<u16>), String> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']').ok_or("the [ of its IPv6 address is not closed")?;
        let (host, rest) = authority.split_at(end + 1);
        if host[1..end].parse::<std::net::Ipv6Addr>().is_err() {
            return Err("its IPv6 address is not valid".into());
        }
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err("something follows its IPv6 address".into()),
        }
    } else {
        authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let number = digits.parse::<u16>().ok().filter(|port| *port != 0);
            Some(number.ok_or("its port is not between 1 and 65535")?)
        }
        Some(_) => return Err("its port is not a number".into()),
    };
    if !host.starts_with('[') {
        check_host(host)?;
    }
    Ok((host, port))
}

fn check_host(host: &str) -> std::result::Result<(), String> {
    if host.is_empty() {
        return Err("it has no host".into());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err("its host is not a host name".into());
    }
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Err("its host is not an IPv4 address".into());
    }
    if host.starts_with("169.254.") {
        return Err("its host is a link-local address".into());
    }
    Ok(())
}

/// A text without its percent escapes; `None` where one is broken, or where they are not UTF-8.
fn unescaped(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// Percent-encodes what may not stand bare in the userinfo of a URL.
pub fn encode_userinfo(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_work_are_kept_as_typed_without_the_last_slash() {
        for (typed, kept) in [
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("https://gw.example.com/", "https://gw.example.com"),
            ("https://gw.example.com/v1/acct/anthropic", "https://gw.example.com/v1/acct/anthropic"),
            ("http://[::1]:4000", "http://[::1]:4000"),
        ] {
            assert_eq!(HttpUrl::parse("--gateway-url", typed).unwrap().as_str(), kept);
        }
        assert!(HttpUrl::parse("x", "http://localhost:1").unwrap().is_loopback());
        assert!(!HttpUrl::parse("x", "https://localhost.evil.com").unwrap().is_loopback());
    }

    /// D-009, N02 of the bad-input table.
    #[test]
    fn urls_that_lie_are_refused_with_the_reason() {
        for (typed, why) in [
            ("ftp://a", "must start with"),
            ("file:///etc/passwd", "must start with"),
            ("javascript:alert(1)", "must start with"),
            ("http://", "no host"),
            ("http://evil@127.0.0.1", "user name"),
            ("http://a\nb", "character"),
            ("http://a b", "character"),
            ("http://a:0", "port"),
            ("http://a:65536", "port"),
            ("http://a:x", "port"),
            ("http://a.", "host name"),
            ("http://[::1", "not closed"),
            ("http://[::1]%25x", "follows"),
            ("http://169.254.169.254/latest", "link-local"),
            ("http://gоogle.com", "character"),
            ("http://a/../b", ".. step"),
            ("http://$(x)", "character"),
        ] {
            let error = HttpUrl::parse("--gateway-url", typed).unwrap_err();
            assert!(error.to_string().contains(why), "{typed}: {error}");
        }
    }

    #[test]
    fn a_path_whose_steps_depend_on_the_reader_is_known() {
        for (path, plain) in [
            ("", true),
            ("/team", true),
            ("/team/v1.2/a..b/.well-known", true),
            ("/team/a%20b/caf%c3%a9", true),
            ("/team/a;b=1", true),
            ("/team/..%2fx", false),
            ("/team/a%2Fb", false),
            ("/team/..%5cx", false),
            ("/team/..;/x", false),
            ("/team/..;a=1/x", false),
            ("/team/.%2e;/x", false),
            ("/team/..%3b/x", false),
            ("/team/.../x", false),
            ("/team/..%20/x", false),
            ("/team/%252e%252e/x", false),
            ("/team/%c0%ae%c0%ae/x", false),
            ("/team/..%00/x", false),
            ("/team/%u002e/x", false),
            ("/team/x%2", false),
        ] {
            let url = HttpUrl::parse("x", &format!("https://gw.example.com{path}")).unwrap();
            assert_eq!((url.path(), url.has_plain_steps()), (path, plain));
        }
    }

    #[test]
    fn a_url_that_was_meant_is_named() {
        for (flag, typed, meant) in [
            ("--gateway-url", "localhost:4001", Some("http://localhost:4001")),
            ("--gateway-url", "gw.corp.com/a", Some("https://gw.corp.com/a")),
            ("--gateway-url", "http://localhost:99999", Some("http://localhost:4000")),
            ("--gateway-url", "https://gw.corp.com:x/a", Some("https://gw.corp.com/a")),
            ("--proxy-url", "proxy.corp:8080", Some("http://proxy.corp:8080")),
            ("--proxy-url", "me:word@proxy.corp:8080", None),
            ("--gateway-url", "ftp://a", None),
            ("--gateway-url", "http://a b", None),
            ("HTTPS_PROXY", "proxy.corp:8080", None),
        ] {
            assert_eq!(super::meant(flag, typed).as_deref(), meant, "{typed}");
        }
    }

    #[test]
    fn userinfo_is_percent_encoded() {
        assert_eq!(encode_userinfo("me:p@s/ %"), "me%3Ap%40s%2F%20%25");
    }
}
