//! Plain HTTP to a gateway on this machine: health and models. Never leaves the machine, never uses a proxy.

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
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .build()
        .into();
    let mut request = agent.get(url);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {}", key.expose()));
    }
    let mut response = request.call().map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(1 << 20).read_to_string().unwrap_or_default();
    Ok(Reply { status, body })
}
