//! Certificates: which authorities are trusted, and who issued the one a server showed.
//!
//! The trusted set is a union: the operating system's store, Mozilla's roots compiled in (an image `FROM scratch` has
//! no store), and PEM files named by variables. A union can only make a company's proxy work, never make a signed
//! document pass: signatures decide about content. Never: switches verification off; there is no such flag.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::domain::name::printable;
use crate::domain::{Error, Result};
use crate::doors::{disk, system};

/// Where systems keep their store as one file; the first that exists is it.
const SYSTEM_STORES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
];

/// Variables that name PEM files with further authorities.
const VARIABLES: [&str; 3] = ["GWINSTALL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"];

/// A store is never larger.
const STORE_CAP: u64 = 4 << 20;

/// Where trusted authorities came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaSource {
    /// `compiled in`, a path, or a variable with its path.
    pub name: String,
    pub count: usize,
    /// Why the source could not be used.
    pub trouble: Option<String>,
}

/// The trusted authorities and where they came from.
pub struct Authorities {
    pub store: RootCertStore,
    pub sources: Vec<CaSource>,
}

impl Authorities {
    /// The union. Our own variable must name a usable file; those of other programs may be stale.
    pub fn gather() -> Result<Self> {
        let mut all = Self::compiled_in();
        if let Some(path) = SYSTEM_STORES.iter().map(Path::new).find(|path| disk::exists(path)) {
            all.add_file(path.display().to_string(), path);
        }
        for variable in VARIABLES {
            let Some(path) = system::path_variable(variable).filter(|path| !path.as_os_str().is_empty())
            else {
                continue;
            };
            let trouble = all.add_file(format!("{variable}={}", path.display()), &path);
            if let (Some(why), "GWINSTALL_CA_BUNDLE") = (trouble, variable) {
                return Err(unusable(&path, &why));
            }
        }
        Ok(all)
    }

    pub fn compiled_in() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS;
        let source = CaSource { name: "compiled in (Mozilla)".to_owned(), count: roots.len(), trouble: None };
        Self { store: RootCertStore { roots: roots.to_vec() }, sources: vec![source] }
    }

    /// Adds what a PEM file holds; returns why nothing was added.
    pub fn add_file(&mut self, name: String, path: &Path) -> Option<String> {
        let (count, trouble) = match real_path(path).and_then(|path| disk::read(&path, STORE_CAP)) {
            Err(error) => (0, Some(error.to_string())),
            Ok(pem) => match self.add_pem(&pem) {
                0 => (0, Some("it holds no usable certificate".to_owned())),
                count => (count, None),
            },
        };
        self.sources.push(CaSource { name, count, trouble: trouble.clone() });
        trouble
    }

    fn add_pem(&mut self, pem: &[u8]) -> usize {
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(std::result::Result::ok);
        self.store.add_parsable_certificates(certificates).0
    }
}

/// Stores are links on many systems, and a variable may hold a relative path.
fn real_path(path: &Path) -> Result<PathBuf> {
    let path = if path.is_absolute() { path.to_path_buf() } else { system::current_dir()?.join(path) };
    disk::real_file(&path)
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::usage(format!("GWINSTALL_CA_BUNDLE: {} cannot be used", path.display()))
        .because(why)
        .hint("name a PEM file with the certificates of your company's authority, or unset the variable")
}

/// What a connection attempt saw, for error messages and `doctor net`.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight(Arc<Mutex<Seen>>);

#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) addresses: Vec<std::net::SocketAddr>,
    pub(super) issuer: Option<String>,
}

impl Sight {
    pub(super) fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// TLS for ureq, as its own connector does it, over our union of authorities and with an eye on the issuer.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    pub(super) fn new(store: RootCertStore, sight: Sight) -> Result<Self> {
        let broken = |why: String| Error::failed("cannot set up TLS").because(why);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let checks = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
            .build()
            .map_err(|error| broken(error.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(error.to_string()))?
            // The name is rustls's for any verifier that is not its own. Ours calls its own for every decision.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Watching { checks, sight }))
            .with_no_client_auth();
        // A resumed session shows no certificate, and `doctor net` wants to see it.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config) })
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host)
            .map_err(|_| ureq::Error::Tls("the host is no name for TLS"))?
            .to_owned();
        let mut conn = ClientConnection::new(Arc::clone(&self.config), name)?;
        let boxed: Box<dyn Transport> = Box::new(transport);
        let mut sock = TransportAdapter::new(boxed, Arc::clone(&details.current_time));
        sock.set_timeout(details.timeout);
        // The adapter counts down from here, so this bounds the handshake as a whole.
        conn.complete_io(&mut sock)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned { conn, sock } })))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// A connection inside TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(
        &mut self,
        amount: usize,
        timeout: NextTimeout,
    ) -> std::result::Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        std::io::Write::write_all(&mut self.stream, &self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = std::io::Read::read(&mut self.stream, self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

/// rustls's own checks, with a note of who issued the certificate that was shown.
#[derive(Debug)]
struct Watching {
    checks: Arc<WebPkiServerVerifier>,
    sight: Sight,
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        self.sight.note(|seen| seen.issuer = issuer(end_entity));
        self.checks.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.checks.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.checks.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.checks.supported_verify_schemes()
    }
}

/// The issuer's organisation and common name, for people: `Example Corp, Example Proxy CA`.
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
