//! The facts behind `doctor net`: what is between this machine and a host, step by step.
//!
//! Promise: every field is an observation, nothing is guessed. Never: retries.

use super::address::Address;
use super::authorities::CaSource;
use super::client::Client;
use super::{fault, issuer};
use crate::domain::{Instant, Result};
use crate::doors::system;

/// What was observed on the way to one URL.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    pub url: String,
    /// The proxy in use with its variable, password hidden; `None` = direct.
    pub proxy: Option<String>,
    /// `NO_PROXY` as set, and whether it covers this host.
    pub no_proxy: Option<(String, bool)>,
    pub authorities: Vec<CaSource>,
    /// What the name resolves to here. A proxy may resolve it for itself.
    pub addresses: std::result::Result<Vec<String>, String>,
    /// Who issued the certificate that the server presented.
    pub issuer: Option<String>,
    /// The status of a GET, or why there is none.
    pub answer: std::result::Result<u16, String>,
    /// This machine's clock minus the server's, in seconds.
    pub clock_skew: Option<i64>,
}

impl Client {
    /// Asks for `url` once, without retry.
    pub fn diagnose(&self, url: &str) -> Result<Diagnosis> {
        let address = Address::parse(url)?;
        let (_, proxy) = self.route(&address);
        let rule = self.proxied.as_ref().map(|(_, rule)| rule);
        let bypass = rule
            .map(|rule| (rule.bypass.shown().to_owned(), rule.bypass.covers(&address.host, address.port)));
        let answer = self.ask(&address, None, 0);
        let clock_skew = answer.as_ref().ok().and_then(|response| {
            let date = response.headers().get(ureq::http::header::DATE)?.to_str().ok()?;
            Some(system::now().unix() - http_date(date)?.unix())
        });
        Ok(Diagnosis {
            url: address.shown(),
            proxy: proxy.map(|rule| rule.shown.clone()),
            no_proxy: bypass.filter(|(shown, _)| !shown.is_empty()),
            authorities: self.sources.clone(),
            addresses: address.addresses().map_err(|error| fault::of_io(&error).words()),
            issuer: if address.https {
                issuer::of(&address, proxy.map(|rule| &rule.proxy), &self.timeouts)
            } else {
                None
            },
            answer: answer.map(|response| response.status().as_u16()).map_err(|fault| fault.words()),
            clock_skew,
        })
    }
}

/// `Sat, 21 Nov 2026 10:00:00 GMT`, the one form that servers send.
fn http_date(text: &str) -> Option<Instant> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, clock, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Instant::parse(&format!("{year}-{month:02}-{day}T{clock}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_servers() {
        let moment = http_date("Sat, 21 Nov 2026 10:00:00 GMT").unwrap();
        assert_eq!(moment.to_string(), "2026-11-21T10:00:00Z");
        for other in ["", "Sat, 21 Nov 2026 10:00:00 +0000", "Saturday, 21-Nov-26 10:00:00 GMT"] {
            assert_eq!(http_date(other), None);
        }
    }
}
