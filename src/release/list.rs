//! `self-update --list`: the releases that a forge lists, through its API, by the `self_update` crate.
//!
//! Information only: nothing in it is signed. Never: installs anything from here. An update does not use an API, because
//! a company behind one address shares its limits.

use self_update::errors::Error as ApiError;

use crate::domain::name::printable;
use crate::domain::{Error, Hint, Kind, Result};
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
            Error::usage(format!("{} is not a repository", printable(text)))
                .hint("write OWNER/NAME, or https://HOST/OWNER/NAME of a GitHub Enterprise or a Gitea")
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
    // The token belongs to GitHub, so no other host may see it.
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

/// A failure of the network in the words of `net`, anything else in those of the API.
fn reason(error: &ApiError) -> String {
    let below = std::error::Error::source(error).and_then(net::in_words);
    below.unwrap_or_else(|| printable(&error.to_string()))
}

fn failure(address: &Address, error: &ApiError) -> Error {
    let hint = match error {
        ApiError::RateLimited { .. } => {
            Hint::step("set GITHUB_TOKEN, or wait; an update does not need this API")
        }
        _ => Hint::run(&["doctor", "net"]).to("see what is in the way"),
    };
    Error::new(Kind::Network, format!("cannot list the releases of {}", address.host))
        .because(reason(error))
        .hint(hint)
}
