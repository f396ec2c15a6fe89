//! `doctor net`: proxy, authorities, name, certificate, answer and clock on the way to the releases. It asks for one
//! small file, and announces that.

use std::path::Path;

use serde_json::json;

use crate::domain::name::printable;
use crate::domain::secret::mask_url;
use crate::domain::{Error, Kind, Place, Result};
use crate::doors::disk;
use crate::doors::net::{Client, Diagnosis};
use crate::doors::term;
use crate::release::session::UpdateContext;

use crate::ui::answer::Answer;

/// A clock that is further off than this breaks certificates and proofs of freshness.
const TOLERABLE_SKEW: i64 = 300;

pub(super) fn run(place: &Place) -> Result<Answer> {
    let context = UpdateContext::of(place)?;
    if let Some(base) = context.local_base() {
        return local(&base);
    }
    let Some(url) = context.first_url()? else {
        let command = term::command(&["doctor", "net"]);
        let text = format!(
            "Releases do not come from the network here: no repository is compiled in and no base URL is set.\nTo check one: GWINSTALL_BASE_URL=https://HOST/PATH {command}"
        );
        return Ok(Answer::new("no network origin").text(text).data(json!({ "url": null })));
    };
    term::talk(&format!("Asking {}", mask_url(&url)));
    let seen = Client::from_environment()?.diagnose(&url)?;
    let reached = matches!(seen.answer, Ok(200 | 301 | 302 | 303 | 307 | 308));
    let message = if reached { "the releases can be reached" } else { "the releases cannot be reached" };
    let answer = Answer::new(message).text(lines(&seen).join("\n")).data(data(&seen));
    Ok(if reached { answer } else { answer.exit(Kind::Network) })
}

/// Releases that are not on the web: the network does not matter, but the directory should exist.
fn local(base: &str) -> Result<Answer> {
    let shown = mask_url(&printable(base));
    let path = Path::new(base.strip_prefix("file://").unwrap_or(base));
    if !disk::exists(path) {
        return Err(Error::usage(format!("the base URL \"{shown}\" is neither a URL nor a directory"))
            .hint("set GWINSTALL_BASE_URL to https://HOST/PATH, or to a directory that exists"));
    }
    let text = format!("Releases do not come from the network here, but from {shown}.");
    Ok(Answer::new("no network origin").text(text).data(json!({ "url": null, "base": shown })))
}

fn lines(seen: &Diagnosis) -> Vec<String> {
    let none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let mut lines =
        vec![format!("  URL:         {}", seen.url), format!("  Proxy:       {}", none(&seen.proxy))];
    if let Some((value, covered)) = &seen.no_proxy {
        let covers = if *covered { "covers this host" } else { "does not cover this host" };
        lines.push(format!("  NO_PROXY:    {value} ({covers})"));
    }
    for source in &seen.authorities {
        let trouble = source.trouble.as_ref().map_or(String::new(), |why| format!(", {why}"));
        lines.push(format!("  Authorities: {:>4} {}{trouble}", source.count, source.name));
    }
    lines.push(match &seen.addresses {
        Ok(found) => format!("  Addresses:   {}", found.join(", ")),
        Err(why) => format!("  Addresses:   {why}"),
    });
    lines.push(format!("  Certificate: issued by {}", none(&seen.issuer)));
    lines.push(match &seen.answer {
        Ok(status) => format!("  Answer:      {status}"),
        Err(why) => format!("  Answer:      none: {why}"),
    });
    if let Some(skew) = seen.clock_skew {
        let verdict = if skew.abs() > TOLERABLE_SKEW { "; set the clock of this machine" } else { "" };
        lines.push(format!("  Clock:       {skew:+} seconds against the server's{verdict}"));
    }
    lines
}

fn data(seen: &Diagnosis) -> serde_json::Value {
    let sources: Vec<_> = seen
        .authorities
        .iter()
        .map(|source| json!({ "name": source.name, "count": source.count, "trouble": source.trouble }))
        .collect();
    json!({
        "url": seen.url,
        "proxy": seen.proxy,
        "no_proxy": seen.no_proxy.as_ref().map(|(value, covers)| json!({ "value": value, "covers": covers })),
        "authorities": sources,
        "addresses": seen.addresses.as_ref().ok(),
        "issuer": seen.issuer,
        "status": seen.answer.as_ref().ok(),
        "trouble": seen.answer.as_ref().err(),
        "clock_skew": seen.clock_skew,
    })
}
