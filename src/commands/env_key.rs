//! `env set NAME --check`: whether the provider of a key accepts it, asked before gwinstall keeps it.
//!
//! Promise: a key for an address of the user's own is shown to no provider. Never: changes a file.

use crate::bundle::Provider;
use crate::bundle::catalog::Catalog;
use crate::deploy::store;
use crate::domain::place::files;
use crate::domain::request::token;
use crate::domain::secret::mask_userinfo;
use crate::domain::{Error, Hint, Result};
use crate::doors::{disk, term};
use crate::format::dotenv::DotEnv;
use crate::format::litellm;
use crate::gateway::free_call::{FreeCall, Verdict};
use crate::render;

use super::change::Change;

/// A key, the provider that takes it, and how that is asked about it.
pub(super) struct KeyCheck<'a> {
    name: &'a str,
    provider: &'a Provider,
    call: FreeCall<'a>,
    /// How to set the key without asking.
    unasked: Hint,
}

impl<'a> KeyCheck<'a> {
    /// Fails where gwinstall does not know whom to ask, or the key is for someone else.
    pub(super) fn of(
        change: &Change<'_>,
        catalog: &'a Catalog,
        name: &'a str,
        unasked: Hint,
    ) -> Result<Self> {
        let refused = |why: String| {
            Err(Error::usage(format!("gwinstall cannot check {name}")).because(why).hint(unasked.clone()))
        };
        let provider = catalog.providers.iter().find(|provider| provider.key.as_deref() == Some(name));
        let call = provider.and_then(|provider| Some((provider, provider.free_call.as_deref()?)));
        let Some((provider, url)) = call else {
            return refused(
                "it knows no provider that says for free whether it accepts this value".to_owned(),
            );
        };
        if let Some(own) = own_address(change, provider, name)? {
            return refused(format!("the key is for {own}, and {} must not see it", provider.name));
        }
        let call = FreeCall { url, header: provider.key_header.as_deref() };
        Ok(Self { name, provider, call, unasked })
    }

    pub(super) fn require_accepted(&self, text: &str) -> Result<()> {
        let key = token(self.name, text)?;
        let (name, provider) = (self.name, &self.provider.name);
        let failed = |what: &str, why: String| {
            Error::failed(format!("{provider} {what} this value of {name}, and nothing was changed"))
                .because(format!("{}: {why}", self.call.url))
        };
        match self.call.ask(&key) {
            Verdict::Accepted => {
                term::talk(&format!("{provider} accepts this value of {name}."));
                Ok(())
            }
            Verdict::Refused(status) => {
                let error = failed("does not accept", format!("it answers with {status}"));
                Err(error.hint(Hint::again::<&str>(&[]).to("give another one").or(self.unasked.clone())))
            }
            Verdict::Unknown(why) => Err(failed("did not confirm", why).hint(self.unasked.clone())),
        }
    }
}

/// Where a key goes instead of the provider's own address: what the user gave to `use`, to LiteLLM's variable or to an entry
/// of the deployed configuration.
fn own_address(change: &Change<'_>, provider: &Provider, name: &str) -> Result<Option<String>> {
    let facts = change.context.deployed()?.request.providers.get(&provider.name);
    let given = facts.and_then(|facts| facts.url.as_deref());
    if let Some(own) = given.filter(|own| provider.base_url.as_deref() != Some(*own)) {
        return Ok(Some(own.to_owned()));
    }
    let env = DotEnv::parse(&change.context.env()?.text);
    let stem = name.strip_suffix("_API_KEY").unwrap_or(name);
    let variables = [format!("{stem}_API_BASE"), format!("{stem}_BASE_URL")];
    // Claude Code's own address, not LiteLLM's.
    let set = variables.iter().filter(|variable| *variable != render::BASE_URL);
    if let Some(own) = set.filter_map(|variable| env.get(variable)).find(|value| !value.is_empty()) {
        return Ok(Some(mask_userinfo(own)));
    }
    let path = store::live_path(change.place(), files::CONFIG);
    let config = disk::read_maybe(&path, disk::TEXT_CAP)?.unwrap_or_default();
    let own = litellm::base_of_key(&String::from_utf8_lossy(&config), name);
    Ok(own.map(|own| mask_userinfo(&own)))
}
