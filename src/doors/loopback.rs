//! HTTP to the gateway: health and models. Leaves the machine, and uses a proxy, only for a gateway elsewhere and only
//! when the caller says so; never follows a redirect.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::domain::Secret;

/// An answer: status and at most 1 MiB of body.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

/// Whether something accepts connections on this port of 127.0.0.1.
pub fn is_listening(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_millis(500)).is_ok()
}

/// GET of a URL, with a bearer key when one is given. Redirects are answers, not followed.
pub fn get(url: &str, key: Option<&Secret>, timeout: Duration) -> std::result::Result<Reply, String> {
    ask(&Question { url, key, body: None, proxied: false, timeout })
}

/// One request to a gateway.
pub struct Question<'a> {
    pub url: &'a str,
    pub key: Option<&'a Secret>,
    /// JSON to POST; absent is a GET.
    pub body: Option<&'a str>,
    /// Through the proxy that the environment names. Only for a gateway that is not on this machine, and only when the
    /// user asked for it.
    pub proxied: bool,
    pub timeout: Duration,
}

/// Asks, and gives what came back whatever its status. An error says why there was no answer; it holds no key.
pub fn ask(question: &Question<'_>) -> std::result::Result<Reply, String> {
    let proxy = if question.proxied { ureq::Proxy::try_from_env() } else { None };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(question.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .build()
        .into();
    let bearer = question.key.map(|key| format!("Bearer {}", key.expose()));
    let answer = match question.body {
        None => {
            let mut request = agent.get(question.url);
            if let Some(bearer) = &bearer {
                request = request.header("authorization", bearer);
            }
            request.call()
        }
        Some(body) => {
            let mut request = agent
                .post(question.url)
                .header("content-type", "application/json")
                .header("anthropic-version", "2023-06-01");
            if let Some(bearer) = &bearer {
                request = request.header("authorization", bearer);
            }
            request.send(body)
        }
    };
    let mut response = answer.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_or_default();
    Ok(Reply { status, body })
}
