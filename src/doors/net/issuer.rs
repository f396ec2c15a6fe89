//! Who issued the certificate that a server presents: for `doctor net`, and for errors about certificates. Behind a
//! company's proxy the issuer is the company, which explains why a certificate is not trusted.
//!
//! Promise: the handshake ends as soon as the certificate has been read, so nothing is sent over the connection and
//! nothing depends on whether the certificate is trusted. Never: an error; an issuer that cannot be read is unknown.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::address::Address;
use super::timeouts::Timeouts;
use crate::domain::name::printable;

/// No answer of a proxy is longer.
const ANSWER_CAP: usize = 8 << 10;

/// The issuer's organisation and common name, for people: `Example Corp, Example Proxy CA`.
pub(super) fn of(address: &Address, proxy: Option<&ureq::Proxy>, timeouts: &Timeouts) -> Option<String> {
    let host = address.bare_host();
    let mut stream = match proxy {
        Some(proxy) => tunnel(proxy, address, timeouts)?,
        None => connect(host, address.port, timeouts)?,
    };
    let reader = Arc::new(Reader { provider: Arc::new(ring::default_provider()), issuer: Mutex::default() });
    let config = ClientConfig::builder_with_provider(Arc::clone(&reader.provider))
        .with_safe_default_protocol_versions()
        .ok()?
        // The name belongs to every verifier that is not rustls's own. This one accepts no certificate.
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&reader) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    // It fails: with the reader's refusal, or before a certificate was presented.
    let _ = connection.complete_io(&mut stream);
    reader.issuer.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn connect(host: &str, port: u16, timeouts: &Timeouts) -> Option<TcpStream> {
    let mut addresses = (host, port).to_socket_addrs().ok()?;
    let stream = addresses.find_map(|address| TcpStream::connect_timeout(&address, timeouts.connect).ok())?;
    stream.set_read_timeout(Some(timeouts.idle)).ok()?;
    stream.set_write_timeout(Some(timeouts.idle)).ok()?;
    Some(stream)
}

/// A connection to `address` through an HTTP proxy.
fn tunnel(proxy: &ureq::Proxy, address: &Address, timeouts: &Timeouts) -> Option<TcpStream> {
    if proxy.protocol() != ureq::ProxyProtocol::Http {
        return None;
    }
    let mut stream = connect(proxy.host(), proxy.port(), timeouts)?;
    let target = format!("{}:{}", address.host, address.port);
    let credentials = proxy.username().map(|user| {
        let pair = format!("{user}:{}", proxy.password().unwrap_or_default());
        format!("Proxy-Authorization: Basic {}\r\n", data_encoding::BASE64.encode(pair.as_bytes()))
    });
    let credentials = credentials.unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        // The bytes behind the head belong to TLS, so none of them may be read here.
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
        if head.len() > ANSWER_CAP {
            return None;
        }
    }
    let status = head.split(|byte| *byte == b' ').nth(1)?;
    (status == b"200").then_some(stream)
}

/// Reads the issuer of the certificate and refuses the certificate.
#[derive(Debug)]
struct Reader {
    provider: Arc<CryptoProvider>,
    issuer: Mutex<Option<String>>,
}

fn enough() -> rustls::Error {
    rustls::Error::General("the certificate has been read".to_owned())
}

impl ServerCertVerifier for Reader {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.issuer.lock().unwrap_or_else(PoisonError::into_inner) = issuer(end_entity);
        Err(enough())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(enough())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(enough())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Organisation and common name of the issuer of a certificate.
fn issuer(certificate: &[u8]) -> Option<String> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // version (only if explicit), serial, algorithm, then the issuer
    if fields.first() == Some(&0xa0) {
        fields = element(fields)?.2;
    }
    fields = element(element(fields)?.2)?.2;
    let (_, mut names, _) = element(fields)?;
    let mut found = Vec::new();
    while let Some((_, set, rest)) = element(names) {
        names = rest;
        let (_, pair, _) = element(set)?;
        let (_, oid, value) = element(pair)?;
        // 2.5.4.3 common name, 2.5.4.10 organisation
        if matches!(oid, [0x55, 4, 3 | 10]) {
            found.push(printable(&String::from_utf8_lossy(element(value)?.1)));
        }
    }
    (!found.is_empty()).then(|| found.join(", "))
}

/// One DER element: tag, content, what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let digits = rest.get(..count).filter(|digits| digits.len() <= 4)?;
        let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
        (length, &rest[count..])
    };
    Some((tag, rest.get(..length)?, &rest[length..]))
}
