//! `self-update --list`: the releases that a forge knows, through its API by way of the `self_update` crate.
//!
//! Information only: nothing is installed from here, and nothing in it is signed. The default path of an update
//! never touches an API, whose limits a company behind one address would share.

use self_update::errors::Error as ApiError;

use crate::domain::name::printable;
use crate::domain::{Error, Kind, Result};
use crate::doors::net::{self, Address, Client};

/// A release as a forge lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub version: String,
    pub date: String,
    pub name: String,
}

/// Which API to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forge {
    GitHub {
        owner: String,
        name: String,
    },
    /// With the base URL of its API, `https://HOST/api/v3`.
    GitHubEnterprise {
        api: String,
        owner: String,
        name: String,
    },
    Gitea {
        host: String,
        owner: String,
        name: String,
    },
}

impl Forge {
    /// `owner/name` is GitHub; a URL `https://HOST/owner/name` is GitHub on github.com, GitHub Enterprise where the
    /// host says so, Gitea elsewhere.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = || {
            Error::usage(format!("{} is no repository", printable(text)))
                .hint("give owner/name, or https://HOST/owner/name of a GitHub Enterprise or Gitea")
        };
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let (host, path) = match text.strip_prefix("https://") {
            Some(rest) => rest.split_once('/').ok_or_else(refuse)?,
            None => ("github.com", text),
        };
        let path = path.strip_suffix("/releases").unwrap_or(path).trim_end_matches('/');
        let (owner, name) =
            path.split_once('/').filter(|(owner, name)| word(owner) && word(name)).ok_or_else(refuse)?;
        let (owner, name) = (owner.to_owned(), name.to_owned());
        let address = Address::parse(&format!("https://{host}/"))?;
        Ok(match address.host.as_str() {
            "github.com" => Self::GitHub { owner, name },
            other if other.contains("github") || other.contains("ghe") => {
                Self::GitHubEnterprise { api: format!("https://{host}/api/v3"), owner, name }
            }
            _ => Self::Gitea { host: format!("https://{host}"), owner, name },
        })
    }

    /// The same on plain http, for a server on this machine.
    pub fn on_this_machine(self, base: &str) -> Self {
        match self {
            Self::Gitea { owner, name, .. } => Self::Gitea { host: base.to_owned(), owner, name },
            Self::GitHub { owner, name } | Self::GitHubEnterprise { owner, name, .. } => {
                Self::GitHubEnterprise { api: base.to_owned(), owner, name }
            }
        }
    }

    fn api(&self) -> &str {
        match self {
            Self::GitHub { .. } => "https://api.github.com",
            Self::GitHubEnterprise { api, .. } => api,
            Self::Gitea { host, .. } => host,
        }
    }
}

/// Asks for the releases, newest first as the forge orders them.
pub fn releases(forge: &Forge, client: &Client) -> Result<Vec<Listed>> {
    let address = Address::parse(forge.api())?;
    let agent = client.agent_for(&address).clone();
    // The token is GitHub's; a Gitea or an Enterprise host has no business with it.
    let token = client.token().filter(|_| matches!(forge, Forge::GitHub { .. }));
    let fetched = match forge {
        Forge::GitHub { owner, name } | Forge::GitHubEnterprise { owner, name, .. } => {
            let mut list = self_update::backends::github::ReleaseList::configure();
            list.repo_owner(owner).repo_name(name).ureq_agent(agent);
            if let Forge::GitHubEnterprise { api, .. } = forge {
                list.api_base_url(api);
            }
            if let Some(token) = token {
                list.auth_token(token.expose());
            }
            list.build().and_then(|list| list.fetch())
        }
        Forge::Gitea { host, owner, name } => {
            let mut list = self_update::backends::gitea::ReleaseList::configure();
            list.host(host).repo_owner(owner).repo_name(name).ureq_agent(agent);
            list.build().and_then(|list| list.fetch())
        }
    };
    let found = fetched.map_err(|error| failure(&address, &error))?;
    let listed = |release: &self_update::update::Release| Listed {
        version: printable(release.version()),
        date: printable(release.date()),
        name: printable(release.name()),
    };
    Ok(found.all().iter().map(listed).collect())
}

/// The API's own words for what it says; ours for the way to it.
fn reason(error: &ApiError) -> String {
    let below = std::error::Error::source(error).and_then(net::in_words);
    below.unwrap_or_else(|| printable(&error.to_string()))
}

fn failure(address: &Address, error: &ApiError) -> Error {
    let said = Error::new(Kind::Network, format!("cannot list the releases of {}", address.host))
        .because(reason(error));
    match error {
        ApiError::RateLimited { .. } => {
            said.hint("set GITHUB_TOKEN, or wait; gwinstall self-update itself does not need this API")
        }
        _ => said.hint("to see what is in the way: gwinstall doctor net"),
    }
}
