//! The HTTP client: documents and downloads, with redirects, retries and limits.
//!
//! Promise: what `net` promises is kept here. A failure names the host, its addresses, the proxy and, where the
//! certificate is at fault, its issuer.

use std::io::{Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::http::{Response, header};
use ureq::tls::TlsConfig;

use super::address::Address;
use super::authorities::{Authorities, CaSource};
use super::fault::{self, Attempt, Cause, Fault};
use super::issuer;
use super::proxy::ProxyRule;
use super::timeouts::Timeouts;
use crate::domain::name::printable;
use crate::domain::{Error, Hint, Instant, Kind, Result, Secret};
use crate::doors::system;

const MAX_REDIRECTS: usize = 5;
const ATTEMPTS: usize = 4;
/// The longest wait that a server may ask for; if it asks for more, the user decides.
const MAX_RETRY_AFTER: u64 = 60;
/// The slowest average of a download that is accepted, in bytes per second.
const SLOWEST: u64 = 16 << 10;
const TOKEN_HOSTS: [&str; 2] = ["github.com", "api.github.com"];

/// One HTTP stack for everything.
pub struct Client {
    direct: ureq::Agent,
    pub(super) proxied: Option<(ureq::Agent, ProxyRule)>,
    pub(super) sources: Vec<CaSource>,
    token: Option<Secret>,
    pub(super) timeouts: Timeouts,
}

/// An answer to a request for a small document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Document {
        bytes: Vec<u8>,
        etag: Option<String>,
    },
    /// The server confirmed the ETag that was sent.
    NotModified,
    /// 404: the server is there, the file is not.
    Missing,
}

impl Client {
    /// The client that the environment describes: proxy, authorities, token.
    pub fn from_environment() -> Result<Self> {
        let token = ["GITHUB_TOKEN", "GH_TOKEN"].iter().find_map(|name| system::variable(name));
        let token = token.filter(|token| !token.is_empty()).map(Secret::new);
        Ok(Self::new(Authorities::gather()?, ProxyRule::from_environment()?, token, Timeouts::default()))
    }

    pub fn new(
        authorities: Authorities,
        proxy: Option<ProxyRule>,
        token: Option<Secret>,
        timeouts: Timeouts,
    ) -> Self {
        let (tls, sources) = authorities.tls();
        let direct = agent(&tls, None, timeouts);
        let proxied = proxy.map(|rule| (agent(&tls, Some(rule.proxy.clone()), timeouts), rule));
        Self { direct, proxied, sources, token, timeouts }
    }

    /// GETs a document of at most `cap` bytes; with an ETag, only if it changed.
    pub fn document(&self, url: &str, cap: u64, etag: Option<&str>) -> Result<Answer> {
        let first = Address::parse(url)?;
        self.with_retries(&first, || {
            let mut response = self.ask(&first, etag, cap)?;
            match response.status().as_u16() {
                304 if etag.is_some() => return Ok(Answer::NotModified),
                404 => return Ok(Answer::Missing),
                _ => {}
            }
            expect_body(&response)?;
            let mut bytes = Vec::new();
            self.receive(&mut response, cap, &mut |chunk| {
                bytes.extend_from_slice(chunk);
                Ok(())
            })?;
            let etag = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
            let etag = etag.filter(|etag| etag.len() <= 200).map(str::to_owned);
            Ok(Answer::Document { bytes, etag })
        })
    }

    /// GETs exactly `len` bytes into the sink that `open` returns. Each attempt opens a new one and begins at the first
    /// byte: nothing is resumed. `progress` gets the number of bytes so far.
    pub fn download<W: Write>(
        &self,
        url: &str,
        len: u64,
        open: &mut dyn FnMut() -> Result<W>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<W> {
        let first = Address::parse(url)?;
        self.with_retries(&first, || {
            let mut response = self.ask(&first, None, len)?;
            if response.status().as_u16() == 404 {
                return Err(Fault::final_("the server does not have it: the release may be incomplete"));
            }
            expect_body(&response)?;
            let mut sink = open().map_err(Fault::Local)?;
            let mut arrived = 0;
            self.receive(&mut response, len, &mut |chunk| {
                sink.write_all(chunk).map_err(|error| {
                    Fault::Local(Error::failed("cannot write what is downloaded").because(error))
                })?;
                arrived += chunk.len() as u64;
                progress(arrived);
                Ok(())
            })?;
            if arrived != len {
                return Err(Fault::passing(format!("it ended after {arrived} of {len} bytes")));
            }
            Ok(sink)
        })
    }

    /// An agent for this host, with the same proxy, authorities and limits, for the crate that lists releases.
    pub fn agent_for(&self, address: &Address) -> &ureq::Agent {
        self.route(address).0
    }

    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Through which agent, and through which proxy, a host is reached.
    pub(super) fn route(&self, to: &Address) -> (&ureq::Agent, Option<&ProxyRule>) {
        match &self.proxied {
            Some((agent, rule)) if !to.is_loopback() && !rule.bypass.covers(&to.host, to.port) => {
                (agent, Some(rule))
            }
            _ => (&self.direct, None),
        }
    }

    fn with_retries<T>(&self, to: &Address, mut attempt: impl FnMut() -> Attempt<T>) -> Result<T> {
        let mut pause = self.timeouts.pause;
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let wait = match attempt() {
                Ok(value) => return Ok(value),
                Err(Fault::Local(error)) => return Err(error),
                Err(Fault::Passing { after, .. }) if left > 0 => after.map_or(pause, Duration::from_secs),
                Err(fault) => return Err(self.error(to, &fault)),
            };
            system::sleep(wait + jitter(pause));
            pause *= 2;
        }
    }

    /// One exchange, redirects included, up to the headers of the answer.
    pub(super) fn ask(&self, first: &Address, etag: Option<&str>, len: u64) -> Attempt<Response<ureq::Body>> {
        let mut at = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask_once(first, &at, etag, len)?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location =
                response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
            let location =
                location.ok_or_else(|| Fault::final_("redirect refused: it does not say where to"))?;
            let next =
                at.redirect(location).map_err(|why| Fault::final_(format!("redirect refused: {why}")))?;
            if !may_lead_to(first, &next) {
                return Err(Fault::final_(format!(
                    "redirect refused: {} is not a release host",
                    printable(&next.host)
                )));
            }
            at = next;
        }
        Err(Fault::final_(format!("redirect refused: more than {MAX_REDIRECTS} in a row")))
    }

    fn ask_once(
        &self,
        first: &Address,
        at: &Address,
        etag: Option<&str>,
        len: u64,
    ) -> Attempt<Response<ureq::Body>> {
        let total = self.timeouts.total + Duration::from_secs(len / SLOWEST);
        let (agent, rule) = self.route(at);
        let mut request = agent.get(at.url()).config().timeout_global(Some(total)).build();
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(token) = &self.token
            && at.https
            && at.host == first.host
            && TOKEN_HOSTS.contains(&at.host.as_str())
        {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        request.call().map_err(|error| match fault::of_ureq(&error) {
            Fault::Final { words, cause: Cause::Certificate { .. } } => {
                let issuer = issuer::of(at, rule.map(|rule| &rule.proxy), &self.timeouts);
                Fault::Final { words, cause: Cause::Certificate { issuer } }
            }
            fault => fault,
        })
    }

    /// Streams a body of at most `cap` bytes; one byte more ends it.
    fn receive(
        &self,
        response: &mut Response<ureq::Body>,
        cap: u64,
        on_chunk: &mut dyn FnMut(&[u8]) -> Attempt<()>,
    ) -> Attempt<()> {
        if let Some(announced) = response.body().content_length()
            && announced > cap
        {
            return Err(Fault::final_(format!("it announces {announced} bytes, at most {cap} are expected")));
        }
        let mut reader = response.body_mut().as_reader().take(cap + 1);
        let (mut chunk, mut arrived) = ([0; 16 << 10], 0);
        loop {
            let read = match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(fault::of_io(&error)),
            };
            if arrived == 0 && looks_like_a_page(&chunk[..read]) {
                return Err(Fault::final_(
                    "this looks like a web page: a captive portal or a proxy in between?",
                ));
            }
            arrived += read as u64;
            if arrived > cap {
                return Err(Fault::final_(format!(
                    "it does not end after the {cap} bytes that are expected"
                )));
            }
            on_chunk(&chunk[..read])?;
        }
    }

    fn error(&self, to: &Address, fault: &Fault) -> Error {
        let mut error =
            Error::new(Kind::Network, format!("cannot fetch {}", to.shown())).because(fault.words());
        if let Fault::Final { cause: Cause::Certificate { issuer: Some(issuer) }, .. } = fault {
            error = error.because(format!("the certificate was issued by {issuer}"));
        }
        let error = match self.route(to) {
            (_, Some(rule)) => error.because(format!("through the proxy {}", rule.shown)),
            (_, None) if fault.is_unresolved() => error,
            // A proxy resolves the name for itself; without one, the addresses of this machine were tried.
            (_, None) => match to.addresses() {
                Ok(found) => error.because(format!("addresses: {}", list_of(&found))),
                Err(_) => error,
            },
        };
        error.hint(Hint::run(&["doctor", "net"]).to("see what is in the way"))
    }
}

fn agent(tls: &TlsConfig, proxy: Option<ureq::Proxy>, timeouts: Timeouts) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .tls_config(tls.clone())
        .user_agent(concat!("gwinstall/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .timeout_send_request(Some(timeouts.idle))
        .timeout_recv_response(Some(timeouts.idle))
        .timeout_per_read(Some(timeouts.idle))
        .max_idle_connections(2)
        .build()
        .into()
}

/// The first four; a name may have dozens.
fn list_of(addresses: &[String]) -> String {
    addresses.iter().take(4).cloned().collect::<Vec<_>>().join(", ")
}

/// A redirect stays on the first host, or goes where GitHub keeps its releases.
fn may_lead_to(first: &Address, next: &Address) -> bool {
    let github = next.host == "github.com" || next.host.ends_with(".githubusercontent.com");
    next.same_origin(first) || (github && next.https && next.port == 443)
}

/// Whether an answer brings a body that may be read as it is.
fn expect_body(response: &Response<ureq::Body>) -> Attempt<()> {
    let text =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let status = response.status().as_u16();
    if status != 200 {
        return Err(refusal(status, text("retry-after"), text("x-ratelimit-reset")));
    }
    // gzip is not visible here: a dependency makes ureq decode it and drop the header. The length or the hash of the
    // document exposes it.
    let encoding = text("content-encoding");
    if !matches!(encoding, "" | "identity") {
        return Err(Fault::final_(format!(
            "it is encoded as {}: decoded or encoded by a proxy?",
            printable(encoding)
        )));
    }
    // ureq would convert such text, and the bytes would no longer be those that were signed.
    let charset = text("content-type").to_ascii_lowercase();
    let charset =
        charset.split("charset=").nth(1).unwrap_or("utf-8").trim_matches([' ', '"', ';']).to_owned();
    if !matches!(charset.as_str(), "utf-8" | "us-ascii") {
        return Err(Fault::final_(format!(
            "it is text in {}: serve releases as application/octet-stream",
            printable(&charset)
        )));
    }
    Ok(())
}

/// What another status than 200 means: worth a retry, worth a wait, or final.
fn refusal(status: u16, retry_after: &str, reset: &str) -> Fault {
    let wait = retry_after.trim().parse::<u64>().ok();
    let until = reset.trim().parse::<i64>().ok().map(Instant::from_unix);
    let limit = match (wait, until) {
        (Some(seconds), _) => format!(", the limit ends in {seconds} seconds"),
        (None, Some(moment)) => format!(", the limit ends at {moment}"),
        (None, None) => String::new(),
    };
    match status {
        429 | 503 if wait.is_some_and(|seconds| seconds > MAX_RETRY_AFTER) => {
            Fault::final_(format!("the server answered {status}{limit}"))
        }
        429 => Fault::Passing {
            words: format!("the server answered 429 (too many requests){limit}"),
            after: wait,
        },
        500..=599 => Fault::Passing { words: format!("the server answered {status}"), after: wait },
        401 | 403 | 407 => Fault::final_(format!("the server answered {status} (refused){limit}")),
        _ => Fault::final_(format!("the server answered {status}")),
    }
}

/// No file of a release begins like this.
fn looks_like_a_page(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let begins = |with: &[u8]| start.len() >= with.len() && start[..with.len()].eq_ignore_ascii_case(with);
    begins(b"<!doctype") || begins(b"<html") || begins(b"<head") || begins(b"<?xml") || begins(b"<script")
}

/// Up to the pause itself, from the last digits of the clock: enough to spread the requests of a fleet.
fn jitter(pause: Duration) -> Duration {
    let spread = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX).max(1);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_nanos(u64::from(clock.subsec_nanos()).wrapping_mul(2_654_435_761) % spread)
}
