//! An image of LiteLLM with the configuration of this gateway in it: the lines of a Containerfile.

use super::Spec;
use super::escape;
use super::spec::CONFIG_DIR;

/// The lines that every image of the gateway has after its `FROM`.
pub(super) fn lines(spec: &Spec) -> String {
    let name = &spec.values.name;
    let version = &spec.version;
    let variables: String = spec
        .variables
        .iter()
        .map(|(name, value)| format!("ENV {name}={}\n", escape::containerfile(value)))
        .collect();
    format!(
        "\
LABEL org.opencontainers.image.title=\"{name}\" \\
      org.opencontainers.image.description=\"LiteLLM {litellm} with the configuration {version} of gwinstall\"
COPY config/ {CONFIG_DIR}/
{variables}",
        litellm = spec.litellm,
    )
}

/// The arguments of LiteLLM as the last line of a Containerfile.
pub(super) fn command(spec: &Spec) -> String {
    let arguments: Vec<String> =
        spec.arguments().iter().map(|argument| escape::containerfile(argument)).collect();
    format!("CMD [{}]\n", arguments.join(", "))
}
