//! What the user asked for, parsed and fully validated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::name::{self, closest, printable};
use super::runtime::RuntimeRequest;
use super::secret::{looks_secret, masked};
use super::url::{HttpUrl, encode_userinfo};
use super::word::words;
use super::{Error, Hint, Result, Secret};

words! {
    /// The kinds of gateway.
    pub enum GatewayType {
        /// A LiteLLM that gwinstall starts on this machine.
        Local = "local",
        TrueFoundry = "truefoundry",
        Zuplo = "zuplo",
        /// Any other gateway that a company runs.
        Custom = "custom",
        /// None: Claude Code asks a provider, which answers in Anthropic's protocol.
        Direct = "direct",
    }
}

impl GatewayType {
    /// What a person can ask for; a provider is named by its own name.
    pub const ALL: [Self; 4] = [Self::Local, Self::TrueFoundry, Self::Zuplo, Self::Custom];

    /// Parses `--gateway-type`.
    pub fn parse(typed: &str) -> Result<Self> {
        let word = known("--gateway-type", typed, &Self::ALL.map(Self::word))?;
        Self::ALL
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or_else(|| Error::usage(format!("--gateway-type: {word} is not known")))
    }
}

/// The default port of a local gateway.
pub const DEFAULT_PORT: u16 = 4000;

/// A request as given. For an absent field the record or a default applies.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub preset: Option<String>,
    /// Who answers Claude Code.
    pub provider: Option<Answerer>,
    pub models: Option<Vec<String>>,
    pub gateway_type: Option<GatewayType>,
    pub gateway_url: Option<HttpUrl>,
    pub auth_token: Option<Secret>,
    /// Values of variables that the user typed.
    pub answers: BTreeMap<String, Secret>,
    /// With `user:password@` when `--proxy-auth` was given: then it is a secret.
    pub proxy: Option<Proxy>,
    pub source: Source,
    /// Which LiteLLM.
    pub runtime: RuntimeRequest,
    /// Names of the flags given, for the record.
    pub flags: Vec<String>,
    /// Whether gwinstall replaces existing files and settings that it did not create.
    pub force: bool,
    /// Whether gwinstall starts the gateway at the end.
    pub start: bool,
    /// How many backups are to stay from now on.
    pub keep: Option<usize>,
    /// After how many days backups go from now on.
    pub max_age: Option<u32>,
    /// Point Claude Code at the gateway whether that can answer or not.
    pub on: bool,
    /// Whether warnings of the checks before the change count as failures.
    pub strict: bool,
    /// Whether the user answered questions instead of giving flags.
    pub answered: bool,
}

/// Who answers Claude Code, where the user said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answerer {
    /// The gateway of the deployment.
    Gateway,
    /// This provider of the catalog.
    Provider(String),
}

/// The source of the bundle, where the user named one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// The newest that is trusted: embedded, or fetched by `self-update`.
    #[default]
    Newest,
    Embedded,
    Directory(PathBuf),
    File(PathBuf),
}

/// An outgoing proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub url: Secret,
}

/// Parses `--models a,b`: names, no empty one, none twice. Without a name it is the preset's own list.
pub fn models(text: &str) -> Result<Vec<String>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut models: Vec<String> = Vec::new();
    for typed in text.split(',').map(str::trim) {
        if !name::is_model_name(typed) {
            let names: Vec<&str> = typed.split_whitespace().collect();
            let error = Error::usage(format!("--models: {:?} is not a model name", shown(typed)));
            return Err(if names.len() > 1 && names.iter().all(|name| name::is_model_name(name)) {
                error.because("names are separated by commas").hint(Hint::instead(typed, names.join(",")))
            } else {
                error
                    .because("a name holds letters, digits and . _ : / @ + - only")
                    .hint(Hint::run(&["models", "list"]))
            });
        }
        if looks_secret(typed) {
            return Err(Error::usage("--models: this looks like a key, and models are not secret")
                .hint(Hint::run(&["models", "list"])));
        }
        if !models.iter().any(|known| known == typed) {
            models.push(typed.to_owned());
        }
    }
    Ok(models)
}

/// A value that a message may repeat, without a key that the user put in the wrong place.
pub fn shown(typed: &str) -> String {
    masked(typed).unwrap_or_else(|| printable(typed))
}

/// One of `names`, else an error that lists them and guesses.
pub fn known(flag: &str, typed: &str, names: &[&str]) -> Result<String> {
    if names.contains(&typed) {
        return Ok(typed.to_owned());
    }
    let guess = closest(typed, names.iter().copied());
    let error = Error::usage(format!("{flag}: {:?} is not known", shown(typed)))
        .because(format!("it is one of {}", name::list(names)));
    Err(match guess.first() {
        Some(guess) => error.hint(Hint::instead(typed, *guess)),
        None => error.hint(Hint::run(&["help", "install"])),
    })
}

/// Joins `--proxy-url` and `--proxy-auth user:password` into the URL that programs read.
pub fn proxy(url: &str, auth: Option<&Secret>) -> Result<Proxy> {
    let url = HttpUrl::parse("--proxy-url", url)?;
    let Some(auth) = auth else {
        return Ok(Proxy { url: Secret::new(url.as_str()) });
    };
    let (user, password) =
        auth.expose().split_once(':').filter(|(user, _)| !user.is_empty()).ok_or_else(|| {
            Error::usage("--proxy-auth: this is not of the form user:password")
                .hint("give --proxy-auth USER:PASSWORD")
        })?;
    let (scheme, rest) = url.as_str().split_once("://").unwrap_or(("http", url.as_str()));
    let userinfo = format!("{}:{}", encode_userinfo(user), encode_userinfo(password));
    Ok(Proxy { url: Secret::new(format!("{scheme}://{userinfo}@{rest}")) })
}

/// Checks a token: printable ASCII without spaces or quotes, at most 4096 characters, so that it survives headers,
/// `.env` and shells unchanged.
pub fn token(what: &str, text: &str) -> Result<Secret> {
    let text = text.trim_end_matches(['\n', '\r']);
    let why = if text.is_empty() {
        "it is empty"
    } else if text.len() > 4096 {
        "it is longer than 4096 characters"
    } else if text.bytes().any(|b| !b.is_ascii_graphic() || b == b'\'') {
        "it holds a space, a quote, a control character or a character outside ASCII"
    } else {
        return Ok(Secret::new(text));
    };
    Err(Error::usage(format!("{what}: this is not a usable token")).because(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_password_is_percent_encoded_into_the_url() {
        let proxy = proxy("http://proxy.corp:3128", Some(&Secret::new("me:p@ss:w/rd"))).unwrap();
        assert_eq!(proxy.url.expose(), "http://me:p%40ss%3Aw%2Frd@proxy.corp:3128");
        assert!(super::proxy("http://p:1", Some(&Secret::new("nocolon"))).is_err());
    }

    #[test]
    fn models_are_split_checked_and_unique() {
        let error = models("a b").unwrap_err();
        assert_eq!(error.advice(), Some(&Hint::instead("a b", "a,b")));
        assert_eq!(models("a, b,a").unwrap(), ["a", "b"]);
        assert!(models("").unwrap().is_empty() && models("  ").unwrap().is_empty());
        assert!(models("a,,b").is_err());
        assert!(models("../x").is_err());
    }

    #[test]
    fn an_unknown_gateway_type_names_the_four() {
        let error = GatewayType::parse("lokal").unwrap_err();
        assert!(error.to_string().contains("local, truefoundry, zuplo and custom"), "{error}");
        assert_eq!(error.advice(), Some(&Hint::instead("lokal", "local")));
    }
}
