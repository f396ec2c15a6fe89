//! nginx in front of LiteLLM: TLS, limits, and two instances of which one may restart. One site for every target that has it.

use super::Spec;
use super::escape;

/// Where the site finds what it needs.
pub(super) struct Site<'a> {
    pub domain: &'a str,
    /// `host:port` of each instance.
    pub upstreams: Vec<String>,
    /// Holds fullchain.pem and privkey.pem.
    pub certificates: &'a str,
    /// Where a client of ACME puts its answers.
    pub challenges: &'a str,
}

/// What a client without TLS 1.3 may use; Mozilla's intermediate list of 2025.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/// The site as a file for `conf.d`. No `http2`: its spelling changed in nginx 1.25.1, and Claude Code does not need it.
pub(super) fn site(spec: &Spec, site: &Site<'_>) -> String {
    let Site { domain, upstreams, challenges, .. } = site;
    let rate = spec.values.requests_per_second;
    let servers: String =
        upstreams.iter().map(|upstream| format!("    server {upstream} max_fails=0;\n")).collect();
    let protocols = protocols(spec);
    let server = server(spec, site);
    format!(
        "\
limit_req_zone $binary_remote_addr zone=gateway:10m rate={rate}r/s;

# max_fails=0: an instance that refuses is passed over in the same request. Counting would leave no instance at all where the
# second one restarts while the first, just back, still works on its first request.
upstream gateway {{
{servers}    keepalive 32;
}}

# A name that is not the gateway's gets no answer: LiteLLM must never see a foreign Host. The protocols of this server hold for
# the other one too: a client's name is known only after the version of TLS is chosen.
server {{
    listen 80 default_server;
    listen 443 ssl default_server;
    server_tokens off;
    ssl_protocols {protocols};
    ssl_ciphers {CIPHERS};
    ssl_reject_handshake on;
    return 444;
}}

server {{
    listen 80;
    server_name {domain};
    server_tokens off;
    location ^~ /.well-known/acme-challenge/ {{
        root {challenges};
        default_type text/plain;
    }}
    location / {{
        return 308 https://{domain}$request_uri;
    }}
}}

{server}"
    )
}

fn protocols(spec: &Spec) -> &'static str {
    if spec.values.tls13_only { "TLSv1.3" } else { "TLSv1.2 TLSv1.3" }
}

/// The server behind TLS.
fn server(spec: &Spec, site: &Site<'_>) -> String {
    let Site { domain, certificates, .. } = site;
    let values = &spec.values;
    let protocols = protocols(spec);
    let burst = values.requests_per_second * 2;
    let access = access(&values.allow_from);
    let file = |name: &str| escape::nginx(&format!("{certificates}/{name}"));
    let (certificate, key) = (file("fullchain.pem"), file("privkey.pem"));
    format!(
        "\
server {{
    listen 443 ssl;
    server_name {domain};

    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols {protocols};
    ssl_ciphers {CIPHERS};
    ssl_prefer_server_ciphers off;
    ssl_session_cache shared:gateway_tls:10m;
    ssl_session_tickets off;

    add_header Strict-Transport-Security \"max-age=31536000\" always;
    add_header X-Content-Type-Options nosniff always;
    server_tokens off;
    client_max_body_size 64m;
    client_body_buffer_size 8m;
    limit_req_status 429;
{access}
    # What one instance cannot answer because it stops is asked of the other, and an answer is streamed as it comes. nginx asks again
    # only where it still holds the whole request: that is why it reads the request first, in memory up to 8 MB.
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto https;
    proxy_buffering off;
    proxy_connect_timeout 5s;
    proxy_read_timeout 600s;
    proxy_send_timeout 600s;
    proxy_next_upstream error timeout http_502 http_503 non_idempotent;
    proxy_next_upstream_tries 2;

    # One address for a monitor: LiteLLM's own answer, without a key and without a request to a model.
    location = /api/health {{
        proxy_pass http://gateway/health/readiness;
    }}
    # Counted inside only.
    location ^~ /metrics {{
        deny all;
    }}
    location / {{
        limit_req zone=gateway burst={burst} nodelay;
        proxy_pass http://gateway;
    }}
}}
"
    )
}

/// Who may connect.
fn access(allowed: &[String]) -> String {
    if allowed.is_empty() {
        return String::new();
    }
    let lines: String = allowed.iter().map(|network| format!("    allow {network};\n")).collect();
    format!("\n{lines}    deny all;\n")
}
