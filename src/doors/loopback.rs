//! HTTP to the gateway: health and models.
//!
//! Promise: a request leaves this machine, or uses a proxy, only if the caller asks a remote gateway. Never: follows a
//! redirect.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::errno;
use super::net::{Address, Client, in_words};
use crate::domain::Secret;

/// MiB of a body that are read. A longer one is an error: a part of it would say something else.
const CAP: u64 = 4;

/// An answer: status and the whole body.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

/// Whether something accepts connections on this port of 127.0.0.1.
pub fn is_listening(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_millis(500)).is_ok()
}

/// A port of 127.0.0.1 on which nothing listens at this moment.
pub fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    listener.local_addr().map(|address| address.port())
}

/// GET of a URL, with a bearer key when one is given. Redirects are answers, not followed.
pub fn get(url: &str, key: Option<&Secret>, timeout: Duration) -> std::result::Result<Reply, String> {
    ask(&Question { url, key, headers: &[], body: None, elsewhere: false, timeout })
}

/// One request to a gateway.
pub struct Question<'a> {
    pub url: &'a str,
    pub key: Option<&'a Secret>,
    /// Further headers, by name.
    pub headers: &'a [(String, Secret)],
    /// JSON to POST; absent is a GET.
    pub body: Option<&'a str>,
    /// The gateway is not on this machine: proxy and authorities are those of the environment. Only at the user's request.
    pub elsewhere: bool,
    pub timeout: Duration,
}

/// Asks, and returns the answer whatever its status. An error says why there was no answer; it holds no key.
pub fn ask(question: &Question<'_>) -> std::result::Result<Reply, String> {
    if !question.elsewhere {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        return ask_through(&config.build().into(), question);
    }
    let client = Client::from_environment().map_err(|error| error.to_string())?;
    let address = Address::parse(question.url).map_err(|error| error.to_string())?;
    ask_through(client.agent_for(&address), question)
}

fn ask_through(agent: &ureq::Agent, question: &Question<'_>) -> std::result::Result<Reply, String> {
    let failed = |error| reason(&error, question.timeout);
    let mut response = send(agent, question).map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(CAP << 20).lossy_utf8(true).read_to_string();
    Ok(Reply { status, body: body.map_err(failed)? })
}

fn send(
    agent: &ureq::Agent,
    question: &Question<'_>,
) -> std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    // A model may be silent for longer than a server of releases, for which the agent has limits of its own.
    let patience = Some(question.timeout);
    let bearer =
        question.key.map(|key| ("authorization".to_owned(), Secret::new(format!("Bearer {}", key.expose()))));
    // As in Claude Code, a header of the user takes the place of the key.
    let bearer = bearer
        .filter(|(name, _)| !question.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    let headers = || question.headers.iter().chain(&bearer).map(|(name, value)| (name, value.expose()));
    match question.body {
        None => {
            let request = agent.get(question.url).config().timeout_global(patience).build();
            headers().fold(request, |request, (name, value)| request.header(name, value)).call()
        }
        Some(body) => {
            let request = agent
                .post(question.url)
                .config()
                .timeout_global(patience)
                .timeout_recv_response(patience)
                .timeout_per_read(patience)
                .build()
                .header("content-type", "application/json")
                .header("anthropic-version", "2023-06-01");
            headers().fold(request, |request, (name, value)| request.header(name, value)).send(body)
        }
    }
}

fn reason(error: &ureq::Error, patience: Duration) -> String {
    match error {
        ureq::Error::Io(error) => errno::reason(error),
        ureq::Error::BodyExceedsLimit(_) => format!("the answer is longer than {CAP} MiB"),
        ureq::Error::Timeout(_) => format!("no whole answer came within {} s", patience.as_secs()),
        error => in_words(error).unwrap_or_else(|| error.to_string()),
    }
}
