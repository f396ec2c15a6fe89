//! Asks a provider, with one call that costs nothing, whether it accepts a key.
//!
//! Promise: the key goes to the address that the catalog names, in the header that the provider reads, and stands in no
//! message. Never: follows a redirect, asks a model.

use std::time::Duration;

use crate::domain::Secret;
use crate::domain::name::printable;
use crate::doors::loopback::{self, Question};
use crate::doors::signals;

const PATIENCE: Duration = Duration::from_secs(20);
/// Providers in Anthropic's protocol refuse a request without it.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// A call of the catalog: a GET that needs the key.
pub struct FreeCall<'a> {
    pub url: &'a str,
    /// The header that carries the key; `None`: `authorization`, as a bearer.
    pub header: Option<&'a str>,
}

/// What the provider said about the key.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// The status that means no.
    Refused(u16),
    /// It was not asked, or its answer is about something else.
    Unknown(String),
}

impl FreeCall<'_> {
    pub fn ask(&self, key: &Secret) -> Verdict {
        let mut headers = vec![(VERSION.0.to_owned(), Secret::new(VERSION.1))];
        headers.extend(self.header.map(|header| (header.to_owned(), key.clone())));
        let bearer = if self.header.is_none() { Some(key) } else { None };
        let question = Question {
            url: self.url,
            key: bearer,
            headers: &headers,
            body: None,
            elsewhere: true,
            timeout: PATIENCE,
        };
        match signals::interruptible(|| loopback::ask(&question)) {
            Ok(reply) => verdict(reply.status),
            Err(why) => Verdict::Unknown(printable(&why.replace(key.expose(), "…"))),
        }
    }
}

/// Google answers a wrong key with 400, others with 401. A 403 may also come from a proxy, for a country, or for a key that may
/// answer but not list.
fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Accepted,
        400 | 401 => Verdict::Refused(status),
        // The key was read, and its owner asked too often or owes money.
        402 | 429 => Verdict::Accepted,
        _ => Verdict::Unknown(format!("it answers with {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_about_the_key_or_says_nothing_about_it() {
        for status in [200, 204, 402, 429] {
            assert_eq!(verdict(status), Verdict::Accepted, "{status}");
        }
        for status in [400, 401] {
            assert_eq!(verdict(status), Verdict::Refused(status), "{status}");
        }
        for status in [301, 302, 403, 404, 407, 500, 503] {
            assert!(matches!(verdict(status), Verdict::Unknown(_)), "{status}");
        }
    }
}
