//! Which authorities are trusted for HTTPS.
//!
//! The trusted set is a union: the operating system's store, Mozilla's authorities compiled in (an image `FROM scratch`
//! has no store), and PEM files named by variables. A union can only make a company's proxy work, never make a signed
//! document pass: signatures decide about content. Never: switches verification off; there is no such flag.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::domain::{Error, Result};
use crate::doors::{disk, system};

/// Where systems keep their store as one file; the first that exists is used.
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

/// No store is larger.
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
    certificates: Vec<Certificate<'static>>,
    pub sources: Vec<CaSource>,
}

impl Authorities {
    /// The union. GWINSTALL_CA_BUNDLE must name a usable file; the variables of other programs may be stale.
    pub fn gather() -> Result<Self> {
        let mut all = Self::compiled_in();
        if let Some(path) = SYSTEM_STORES.iter().map(Path::new).find(|path| disk::exists(path)) {
            all.add_file(path.display().to_string(), path);
        }
        for variable in VARIABLES {
            let Some(path) = system::path_variable(variable) else { continue };
            let trouble = all.add_file(format!("{variable}={}", path.display()), &path);
            if let (Some(why), "GWINSTALL_CA_BUNDLE") = (trouble, variable) {
                return Err(unusable(&path, &why));
            }
        }
        Ok(all)
    }

    pub fn compiled_in() -> Self {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        let source = CaSource { name: "compiled in (Mozilla)".to_owned(), count: roots.len(), trouble: None };
        let certificates = roots.iter().map(|der| Certificate::from_der(der)).collect();
        Self { certificates, sources: vec![source] }
    }

    /// How many certificates are trusted; one that is in two sources counts twice.
    #[cfg(feature = "internals")]
    pub fn count(&self) -> usize {
        self.certificates.len()
    }

    /// Adds the certificates of a PEM file; returns why nothing was added.
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
        let before = self.certificates.len();
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(std::result::Result::ok);
        let usable = certificates.filter(|der| RootCertStore::empty().add(der.clone()).is_ok());
        self.certificates.extend(usable.map(|der| Certificate::from_der(&der).to_owned()));
        self.certificates.len() - before
    }

    /// The authorities as the HTTP client takes them.
    pub(super) fn tls(self) -> (TlsConfig, Vec<CaSource>) {
        let roots = RootCerts::from(self.certificates);
        (TlsConfig::builder().root_certs(roots).build(), self.sources)
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
