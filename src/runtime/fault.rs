//! What the failure of an installer means: its own words say whether the network, a hash or the disk is at fault. Pure.

use crate::domain::name::printable;
use crate::domain::{Error, Hint, Kind};
use crate::doors::job::Ended;

const HASH: [&str; 4] =
    ["hash mismatch", "do not match the hashes", "computed hash", "in --require-hashes mode"];
const FULL: [&str; 3] = ["no space left on device", "os error 28", "disk quota exceeded"];
const NETWORK: [&str; 17] = [
    "error sending request",
    "failed to fetch",
    "failed to download",
    "dns error",
    "connection refused",
    "connection reset",
    "timed out",
    "max retries exceeded",
    "temporary failure in name resolution",
    "name or service not known",
    "network is unreachable",
    "network connectivity is disabled",
    "network was disabled",
    "not found in the cache",
    "could not find a version that satisfies",
    "no matching distribution",
    "certificate verify failed",
];

/// The error for an installer that failed, with the end of what it wrote.
pub(super) fn of(tool: &str, ended: &Ended) -> Error {
    let said = ended.output.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let error = if says(&HASH) {
        Error::new(
            Kind::Unverified,
            "a package is not the one that the lock names, and nothing was installed",
        )
        .hint("try again from another network or index; the lock of gwinstall decides which file is right")
    } else if says(&FULL) {
        Error::failed("the disk is full, and nothing was installed").hint(
            Hint::shell("df -h")
                .to("see what is full")
                .or(Hint::again::<&str>(&[]).to("try again once there is space")),
        )
    } else if says(&NETWORK) {
        Error::new(Kind::Network, "the packages cannot be fetched, and nothing was installed").hint(
            Hint::run(&["runtime", "export", "litellm-runtime.tar"])
                .to("make a file on a machine that has the network, and use it here with --from"),
        )
    } else {
        Error::failed("LiteLLM cannot be installed")
    };
    let error = error.because(match ended.code {
        Some(code) => format!("{tool} ended with {code}"),
        None => format!("{tool} did not end in time"),
    });
    last_lines(&ended.output).into_iter().fold(error, Error::because)
}

/// The last lines that say something, without a login in a URL.
fn last_lines(output: &str) -> Vec<String> {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].iter().map(|line| printable(&without_login(line))).collect()
}

/// A line in which `https://user:password@host` is `https://host`.
fn without_login(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        let authority = after.find(|end: char| end == '/' || end.is_whitespace()).unwrap_or(after.len());
        let skip = after[..authority].rfind('@').map_or(0, |at| at + 1);
        shown.push_str(before);
        shown.push_str("://");
        rest = &after[skip..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(output: &str) -> Kind {
        of("uv", &Ended { code: Some(1), output: output.to_owned() }).kind()
    }

    #[test]
    fn the_words_of_an_installer_decide_what_failed() {
        assert_eq!(kind("error: Failed to fetch: `https://x`\n  Caused by: dns error"), Kind::Network);
        assert_eq!(kind("ERROR: No matching distribution found for yarl==1.25.1"), Kind::Network);
        assert_eq!(kind("  Hash mismatch for `yarl==1.25.1`"), Kind::Unverified);
        assert_eq!(
            kind("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."),
            Kind::Unverified
        );
        assert_eq!(kind("failed to create file: No space left on device (os error 28)"), Kind::Failed);
        assert_eq!(kind("Traceback"), Kind::Failed);
    }

    #[test]
    fn no_login_is_shown() {
        let error = of(
            "pip",
            &Ended {
                code: Some(1),
                output: "Looking in https://me:s3cret@mirror.corp/simple, https://b/c@d".to_owned(),
            },
        );
        assert!(
            error.to_string().ends_with("Looking in https://mirror.corp/simple, https://b/c@d"),
            "{error}"
        );
    }
}
