//! TLS with throw-away authorities: D12, a company's proxy in between, and what error messages tell about it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::server::{Server, answer, ok};
use gwinstall::domain::{Kind, Secret};
use gwinstall::doors::net::{Answer, Authorities, Bypass, Client, ProxyRule, Timeouts};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// An authority in a directory of its own, made by openssl.
struct Authority {
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let authority = Self { dir: tempfile::tempdir().unwrap() };
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ca.key -out ca.pem",
            &["-subj", "/O=Example Corp/CN=Example Proxy CA"],
        );
        authority
    }

    fn openssl(&self, words: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        command.current_dir(self.dir.path()).args(words.split(' ')).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn pem(&self) -> std::path::PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server certificate for `name`, good for `days` from now; a negative number has it expired.
    fn server(&self, name: &str, days: i32) -> rustls::ServerConfig {
        std::fs::write(self.dir.path().join("ext"), format!("subjectAltName={name}\n")).unwrap();
        self.openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout s.key -out s.csr -subj /CN=server", &[]);
        let days = days.to_string();
        self.openssl(
            "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -out s.pem -days",
            &[&days],
        );
        server_config(&self.dir.path().join("s.pem"), &self.dir.path().join("s.key"))
    }
}

fn server_config(pem: &Path, key: &Path) -> rustls::ServerConfig {
    let certificate = CertificateDer::from_pem_file(pem).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

fn timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_secs(2),
        idle: Duration::from_secs(1),
        total: Duration::from_secs(3),
        pause: Duration::from_millis(5),
    }
}

fn client(trusting: Option<&Authority>) -> Client {
    let mut authorities = Authorities::compiled_in();
    if let Some(authority) = trusting {
        assert_eq!(authorities.add_file("test".into(), &authority.pem()), None);
    }
    Client::new(authorities, None, None, timeouts())
}

fn refused(client: &Client, server: &Server) -> String {
    let error = client.document(&server.url("/x"), 64, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert_eq!(server.count(), 0, "nothing is asked before the certificate holds");
    error.to_string()
}

#[test]
fn a_companys_authority_is_added_to_the_others() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.server("IP:127.0.0.1", 2), |_, wire| ok(wire, b"body"));
    let client = client(Some(&authority));
    let Answer::Document { bytes, .. } = client.document(&server.url("/x"), 64, None).unwrap() else {
        panic!()
    };
    assert_eq!(bytes, b"body");
    let facts = client.diagnose(&server.url("/")).unwrap();
    assert_eq!(facts.issuer.as_deref(), Some("Example Corp, Example Proxy CA"));
    assert_eq!(facts.authorities.last().map(|source| source.count), Some(1));
    assert!(facts.authorities[0].count > 100);
}

/// D12: unknown issuer (named), expired, another name, self-signed: each with its own words, none retried.
#[test]
fn d12_certificates_that_do_not_hold() {
    let authority = Authority::new();
    let good = Server::start_tls(authority.server("IP:127.0.0.1", 2), |_, wire| ok(wire, b"body"));
    let text = refused(&client(None), &good);
    assert!(text.contains("issuer is not trusted") && text.contains("GWINSTALL_CA_BUNDLE"), "{text}");
    assert!(text.contains("issued by Example Corp, Example Proxy CA"), "{text}");
    let trusting = client(Some(&authority));
    let expired = Server::start_tls(authority.server("IP:127.0.0.1", -1), |_, wire| ok(wire, b"body"));
    let text = refused(&trusting, &expired);
    assert!(text.contains("expired") && text.contains("clock"), "{text}");
    let other =
        Server::start_tls(authority.server("DNS:release.example.com", 2), |_, wire| ok(wire, b"body"));
    assert!(refused(&trusting, &other).contains("for another name"));
    let own = server_config(&authority.pem(), &authority.dir.path().join("ca.key"));
    let own = Server::start_tls(own, |_, wire| ok(wire, b"body"));
    refused(&client(None), &own);
}

/// D12: a server that knows only TLS 1.0 answers a modern greeting with an alert.
#[test]
fn d12_old_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 2048]);
            // Alert, fatal, protocol version.
            let _ = stream.write_all(&[21, 3, 1, 0, 2, 2, 70]);
        }
    });
    let error = client(None).document(&url, 64, None).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert!(error.to_string().contains("TLS"), "{error}");
}

/// D12: a file of authorities that is missing or empty is told, and takes nothing away from the others.
#[test]
fn d12_missing_authorities() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    let mut authorities = Authorities::compiled_in();
    assert!(authorities.add_file("a".into(), &dir.path().join("missing.pem")).is_some());
    assert_eq!(authorities.add_file("b".into(), &empty).as_deref(), Some("it holds no usable certificate"));
    assert_eq!(authorities.sources.len(), 3);
    assert!(authorities.count() > 100);
}

/// D13: a proxy that works: CONNECT, then TLS with the server itself; the token is not given to the proxy.
#[test]
fn d13_through_a_tunnel() {
    let authority = Authority::new();
    let server =
        Server::start_tls(authority.server("DNS:release.example.com", 2), |_, wire| ok(wire, b"body"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let target = server.address;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || tunnel(stream, target));
        }
    });
    let mut authorities = Authorities::compiled_in();
    authorities.add_file("test".into(), &authority.pem());
    let rule =
        ProxyRule::parse("https_proxy", &format!("http://u:p%40ss@{proxy}"), Bypass::default()).unwrap();
    let client = Client::new(authorities, Some(rule), Some(Secret::new("ghp_x")), timeouts());
    let Answer::Document { bytes, .. } = client.document("https://release.example.com/x", 64, None).unwrap()
    else {
        panic!()
    };
    assert_eq!(bytes, b"body");
    assert_eq!(server.requests.lock().unwrap()[0].header("authorization"), None);
    let facts = client.diagnose("https://release.example.com/x").unwrap();
    assert_eq!(facts.issuer.as_deref(), Some("Example Corp, Example Proxy CA"));
}

/// Answers CONNECT and copies bytes both ways.
fn tunnel(mut client: TcpStream, target: std::net::SocketAddr) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("CONNECT release.example.com:443 "), "{head}");
    assert!(!head.contains("ghp_x"), "{head}");
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let mut server = TcpStream::connect(target).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to).ok());
    std::io::copy(&mut server, &mut client).ok();
}

/// D04: from TLS, not even this machine is reached without it.
#[test]
fn d04_no_way_down_from_tls() {
    let authority = Authority::new();
    let plain = Server::start(|_, wire| ok(wire, b"body"));
    let location = format!("Location: {}\r\n", plain.url("/x"));
    let server = Server::start_tls(authority.server("IP:127.0.0.1", 2), move |_, wire| {
        answer(wire, "302 Found", &location, b"");
    });
    let error = client(Some(&authority)).document(&server.url("/x"), 64, None).unwrap_err();
    assert!(error.to_string().contains("from https to http"), "{error}");
    assert_eq!(plain.count(), 0);
}
