//! The flags of `install` as a request.

use std::path::{Path, PathBuf};

use crate::cli::InstallArgs;
use crate::domain::request::{self, Proxy, Request};
use crate::domain::request::{Answerer, GatewayType};
use crate::domain::runtime::RuntimeRequest;
use crate::domain::secret::looks_like_key;
use crate::domain::url::HttpUrl;
use crate::domain::{Error, Kind, Place, Result, Secret};
use crate::doors::{disk, prompt, system, term};

/// Parses every flag; nothing is read or written before all of them are right.
pub(super) fn request_of(place: &Place, args: &InstallArgs) -> Result<Request> {
    let mut flags = Vec::new();
    for (given, name) in [
        (args.preset.is_some(), "--preset"),
        (args.provider.is_some(), "--provider"),
        (args.models.is_some(), "--models"),
        (args.gateway_type.is_some(), "--gateway-type"),
        (args.gateway_url.is_some(), "--gateway-url"),
        (args.auth_token.is_some() || args.auth_token_file.is_some(), "--auth-token"),
        (args.proxy_url.is_some(), "--proxy-url"),
        (args.proxy_auth.is_some(), "--proxy-auth"),
        (args.bundle.source_dir.is_some(), "--source-dir"),
        (args.bundle.bundle.is_some(), "--bundle"),
        (args.venv.is_some(), "--venv"),
        (args.runtime_from.is_some(), "--runtime-from"),
        (args.allow_unsafe_litellm, "--allow-unsafe-litellm"),
        (args.force, "--force"),
        (args.start, "--start"),
        (args.on, "--on"),
        (args.strict, "--strict"),
        (args.include_secrets, "--include-secrets"),
    ] {
        if given {
            flags.push(name.to_owned());
        }
    }
    for (given, flag, better) in [
        (args.auth_token.is_some(), "--auth-token", "--auth-token-file"),
        (args.proxy_auth.as_deref().is_some_and(|typed| typed != "-"), "--proxy-auth", "--proxy-auth -"),
    ] {
        if given {
            term::talk(&format!(
                "warning: {flag} is visible to every process of this machine; {better} is not"
            ));
        }
    }
    Ok(Request {
        preset: args.preset.clone(),
        provider: args.provider.clone().map(Answerer::Provider),
        models: args.models.as_deref().map(request::models).transpose()?,
        gateway_type: args.gateway_type.as_deref().map(GatewayType::parse).transpose()?,
        gateway_url: args
            .gateway_url
            .as_deref()
            .map(|url| HttpUrl::parse("--gateway-url", url))
            .transpose()?,
        auth_token: auth_token(args)?,
        answers: std::collections::BTreeMap::new(),
        proxy: proxy(place, args)?,
        source: super::sources::named(&args.bundle),
        runtime: runtime(args)?,
        flags,
        force: args.force,
        start: args.start,
        keep: args.keep.keep,
        max_age: args.keep.max_age,
        on: args.on,
        strict: args.strict,
        answered: false,
    })
}

/// Which LiteLLM to start.
fn runtime(args: &InstallArgs) -> Result<RuntimeRequest> {
    let absolute = |dir: &PathBuf| {
        let dir = system::current_dir()?.join(dir);
        // A directory that is not there is refused by its name.
        Ok(disk::canonical(&dir).unwrap_or(dir))
    };
    let venv = args.venv.as_ref().map(absolute).transpose()?;
    Ok(RuntimeRequest { venv, managed: None, allow_unsafe: args.allow_unsafe_litellm })
}

/// The proxy and its login. Where only the login is given, it is for the proxy that the environment names.
fn proxy(place: &Place, args: &InstallArgs) -> Result<Option<Proxy>> {
    let auth = match args.proxy_auth.as_deref() {
        Some("-") => Some(prompt::read_secret("Login of the proxy, USER:PASSWORD")?),
        typed => typed.map(Secret::new),
    };
    if let Some(url) = &args.proxy_url {
        return request::proxy(url, auth.as_ref()).map(Some);
    }
    let Some(auth) = auth else { return Ok(None) };
    let named = ["HTTPS_PROXY", "https_proxy"].into_iter().find_map(system::variable);
    let url = named.filter(|_| !place.staged).ok_or_else(|| {
        Error::usage("--proxy-auth: there is no proxy that this login could be for")
            .because("neither --proxy-url nor HTTPS_PROXY names one")
            .hint("add --proxy-url http://HOST:PORT")
    })?;
    HttpUrl::parse("HTTPS_PROXY", &url).and_then(|url| request::proxy(url.as_str(), Some(&auth))).map(Some)
}

fn auth_token(args: &InstallArgs) -> Result<Option<Secret>> {
    if let Some(token) = &args.auth_token {
        return request::token("--auth-token", token).map(Some);
    }
    let Some(path) = &args.auth_token_file else { return Ok(None) };
    if path.as_os_str() == "-" {
        let typed = prompt::read_secret("Token of the gateway")?;
        return request::token("--auth-token-file -", typed.expose()).map(Some);
    }
    require_path("--auth-token-file", path)?;
    let bytes = disk::read_given(path, prompt::LONGEST_SECRET).map_err(|error| error.of_kind(Kind::Usage))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::usage(format!("--auth-token-file: {} is not text", path.display())).because(error.utf8_error())
    })?;
    request::token("--auth-token-file", &text).map(Some)
}

/// Checks the path of a file with a secret. If the user gave the secret itself instead, no message repeats it.
pub(super) fn require_path(flag: &str, path: &Path) -> Result<()> {
    if !looks_like_key(&path.to_string_lossy()) || disk::exists(path) {
        return Ok(());
    }
    Err(Error::usage(format!("{flag}: there is no such file"))
        .because("the secret itself does not belong on the command line, where every process sees it")
        .hint("write it to a file and give its path, or - to type it"))
}
