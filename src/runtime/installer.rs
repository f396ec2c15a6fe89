//! uv, pip and venv as gwinstall runs them: with the way to their packages from the user's environment, and nothing else of it.
//!
//! Promise: where something is installed, by which Python and how, is on the command line alone. Never: hands a secret on that
//! is not the login of an index.

use std::path::Path;

use crate::doors::job::Job;

/// Where packages and Python come from, as uv and pip call it, and the way there: logins, certificates, proxies.
const PASSED: [&str; 41] = [
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX_STRATEGY",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_CONFIG_FILE",
    "UV_CACHE_DIR",
    "UV_HTTP_TIMEOUT",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "UV_PYTHON_INSTALL_MIRROR",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_PROXY",
    "PIP_CONFIG_FILE",
    "PIP_CACHE_DIR",
    "PIP_KEYRING_PROVIDER",
    "NETRC",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CLIENT_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "HOME",
    "PATH",
    "LANG",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
];

/// Indexes of the user, which must not be asked when everything is in an archive.
pub(super) const INDEXES: [&str; 8] = [
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
];

/// A run of an installer in a private directory.
pub(super) fn job(program: &Path, work: &Path) -> Job {
    Job::new(program, work).with_only(&passes)
}

fn passes(name: &str) -> bool {
    // uv takes the login of an index called X from UV_INDEX_X_USERNAME and UV_INDEX_X_PASSWORD.
    let login = name.starts_with("UV_INDEX_") && (name.ends_with("_USERNAME") || name.ends_with("_PASSWORD"));
    login || PASSED.contains(&name) || matches!(name, "http_proxy" | "https_proxy" | "all_proxy" | "no_proxy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_packages_passes_and_nothing_else() {
        for name in [
            "UV_INDEX_URL",
            "PIP_INDEX_URL",
            "UV_INDEX_CORP_PASSWORD",
            "https_proxy",
            "UV_PYTHON_INSTALL_MIRROR",
        ] {
            assert!(passes(name), "{name}");
        }
        let others = [
            "VIRTUAL_ENV",
            "PYTHONPATH",
            "UV_PYTHON",
            "UV_OVERRIDE",
            "UV_TARGET",
            "UV_LINK_MODE",
            "PIP_TARGET",
            "PIP_CONSTRAINT",
            "PIP_USER",
            "LITELLM_MASTER_KEY",
            "ANTHROPIC_API_KEY",
            "LD_PRELOAD",
            "UV_INDEX_PASSWORDS",
        ];
        assert!(others.iter().all(|name| !passes(name)), "{others:?}");
        assert!(INDEXES.iter().all(|name| passes(name)));
    }
}
