//! What went wrong on the way, in words, and whether trying again may help.

use std::io;

use crate::domain::Error;
use crate::domain::name::printable;

pub(super) type Attempt<T> = std::result::Result<T, Fault>;

pub(super) enum Fault {
    /// Trying again may help, after this many seconds if the server said so.
    Passing { words: String, after: Option<u64> },
    /// The next attempt would fail in the same way.
    Final { words: String, cause: Cause },
    /// Not a failure of the network.
    Local(Error),
}

/// What a final failure is about, where that matters for the error.
pub(super) enum Cause {
    /// The name of the host; it has no addresses to show.
    Name,
    /// The certificate, and who issued it where that was asked for.
    Certificate {
        issuer: Option<String>,
    },
    Other,
}

impl Fault {
    pub(super) fn passing(words: impl Into<String>) -> Self {
        Self::Passing { words: words.into(), after: None }
    }

    pub(super) fn final_(words: impl Into<String>) -> Self {
        Self::Final { words: words.into(), cause: Cause::Other }
    }

    fn unresolved() -> Self {
        Self::Final { words: "the name of the host cannot be resolved".to_owned(), cause: Cause::Name }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Passing { words, .. } | Self::Final { words, .. } => words.clone(),
            Self::Local(error) => error.to_string(),
        }
    }

    pub(super) fn is_unresolved(&self) -> bool {
        matches!(self, Self::Final { cause: Cause::Name, .. })
    }
}

/// The failure of a library that uses an agent of the client, in words; `None` where the network is not the cause.
pub fn in_words(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    error.downcast_ref::<ureq::Error>().map(|error| of_ureq(error).words())
}

pub(super) fn of_ureq(error: &ureq::Error) -> Fault {
    match error {
        ureq::Error::Io(error) => of_io(error),
        ureq::Error::Rustls(error) => of_tls(error),
        ureq::Error::Tls(why) => Fault::final_(format!("TLS: {why}")),
        ureq::Error::HostNotFound => Fault::unresolved(),
        ureq::Error::Timeout(ureq::Timeout::Resolve) => Fault::Final {
            words: "resolving the name of the host took too long".to_owned(),
            cause: Cause::Name,
        },
        ureq::Error::Timeout(which) => Fault::final_(match which {
            ureq::Timeout::Connect => "connecting took too long",
            ureq::Timeout::RecvResponse | ureq::Timeout::PerRead => "the server stopped sending",
            _ => "it took too long",
        }),
        ureq::Error::ConnectProxyFailed(why) => {
            Fault::final_(format!("the proxy refused: {}", printable(why)))
        }
        ureq::Error::Decompress(..) => Fault::final_("it is not the gzip that its headers claim"),
        ureq::Error::Protocol(why) => {
            Fault::passing(format!("the answer is not HTTP: {}", printable(&why.to_string())))
        }
        other => Fault::final_(printable(&other.to_string())),
    }
}

pub(super) fn of_io(error: &io::Error) -> Fault {
    if let Some(inner) = error.get_ref() {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        match inner.downcast_ref::<ureq::Error>() {
            Some(ureq::Error::Timeout(_)) => return Fault::final_("the server stopped sending"),
            Some(ureq::Error::Decompress(..)) => {
                return Fault::final_("it is not the gzip that its headers claim");
            }
            _ => {}
        }
    }
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => return Fault::final_("the connection was refused"),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            return Fault::final_("the server stopped sending");
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "the connection was cut"
        }
        io::ErrorKind::UnexpectedEof => "it ended too early",
        _ if error.to_string().contains("failed to lookup address") => {
            return Fault::unresolved();
        }
        _ => return Fault::passing(printable(&error.to_string())),
    };
    Fault::passing(words)
}

fn of_tls(error: &rustls::Error) -> Fault {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return Fault::final_(format!("TLS: {}", printable(&error.to_string())));
    };
    let words = match bad {
        Bad::UnknownIssuer => {
            "the certificate's issuer is not trusted: if a company's proxy is in between, name its \
             authority with GWINSTALL_CA_BUNDLE"
                .to_owned()
        }
        Bad::Expired | Bad::ExpiredContext { .. } => {
            "the certificate has expired, or the clock of this machine is wrong".to_owned()
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "the certificate is not valid yet, or the clock of this machine is wrong".to_owned()
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "the certificate is for another name".to_owned()
        }
        other => format!("the certificate is not valid: {}", printable(&other.to_string())),
    };
    Fault::Final { words, cause: Cause::Certificate { issuer: None } }
}
