//! Renders install.sh: puts version, checksums and public keys between its two marks.

use gwinstall::domain::{Error, Result};
use gwinstall::release::documents::{Artifact, Keys};

const OPEN: &str = "# >>> release facts";
const CLOSE: &str = "# <<< release facts";
/// The largest `seq` that a document can hold.
const LAST_SEQ: u64 = (1 << 53) - 1;

/// What a rendered script knows.
pub struct Facts<'a> {
    pub version: &'a str,
    /// Where it fetches from when nobody says otherwise; empty for a release that is only mirrored.
    pub base_url: &'a str,
    pub executables: Vec<&'a Artifact>,
    pub keys: &'a Keys,
}

/// The script for one release. Everything outside the marks is the template, byte for byte.
pub fn render(template: &str, facts: &Facts<'_>) -> Result<String> {
    let broken = || Error::failed("install.sh is not a template: its release facts marks are missing");
    let (before, rest) = template.split_once(OPEN).ok_or_else(broken)?;
    let (_, after) = rest.split_once(CLOSE).ok_or_else(broken)?;
    let files = facts.executables.iter().map(|file| format!("{} {} {}", file.target, file.sha256, file.len));
    let keys =
        facts.keys.release.iter().filter(|key| !facts.keys.revoked.iter().any(|gone| gone.id == key.id));
    let keys =
        keys.map(|key| format!("{} {} {}", key.key.as_str(), key.from_seq, key.to_seq.unwrap_or(LAST_SEQ)));
    let (files, keys) = (files.collect::<Vec<_>>(), keys.collect::<Vec<_>>());
    let mut body = String::from(": filled in by `gwinstall-dist release`\nrelease_facts() {\n");
    for (name, value) in [
        ("release_version", facts.version.to_owned()),
        ("release_base_url", facts.base_url.to_owned()),
        ("release_files", files.join("\n")),
        ("release_keys", keys.join("\n")),
    ] {
        // Inside single quotes of sh only the quote itself means something.
        if value.contains('\'') {
            return Err(Error::usage(format!("{name} may not hold a single quote: {value}")));
        }
        body.push_str("    ");
        body.push_str(name);
        body.push_str("='");
        body.push_str(&value);
        body.push_str("'\n");
    }
    Ok(format!("{before}{OPEN}{body}}}\n{CLOSE}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gwinstall::domain::{Instant, Sha256};
    use gwinstall::release::documents::{Name, ReleaseKey, Root};
    use gwinstall::release::minisig::PublicKey;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn keys() -> Keys {
        let key = PublicKey::parse(KEY).unwrap();
        Keys {
            schema: 1,
            version: 1,
            expires: Instant::from_unix(0),
            root: Root { threshold: 2, keys: vec![] },
            release: vec![ReleaseKey { id: key.id(), key, from_seq: 1, to_seq: None }],
            channel: vec![],
            retired: vec![],
            revoked: vec![],
            seq_reset: None,
            critical: vec![],
        }
    }

    #[test]
    fn only_the_facts_change() {
        let template = include_str!("../../install.sh");
        let name = |text| Name::parse(text).unwrap();
        let (sha256, target) = (Sha256::of(b"x"), "x86_64-unknown-linux-musl");
        let file = Artifact {
            name: name("gwinstall-1.0.0-x86_64-unknown-linux-musl"),
            role: name("binary"),
            target: name(target),
            len: 7,
            sha256,
        };
        let keys = keys();
        let facts =
            Facts { version: "1.0.0", base_url: "https://host/x", executables: vec![&file], keys: &keys };
        let script = render(template, &facts).unwrap();
        assert!(script.contains("    release_version='1.0.0'\n    release_base_url='https://host/x'\n"));
        assert!(script.contains(&format!("    release_files='{target} {sha256} 7'\n")));
        assert!(script.contains(&format!("    release_keys='{KEY} 1 9007199254740991'\n")));
        assert_eq!(script.lines().next_back(), Some("main \"$@\"; }"));
        let outside = |text: &str| {
            let (before, rest) = text.split_once(OPEN).unwrap();
            format!("{before}{}", rest.split_once(CLOSE).unwrap().1)
        };
        assert_eq!(outside(template), outside(&script));
        assert!(render("main", &facts).is_err());
        assert!(render(template, &Facts { base_url: "https://host/'", ..facts }).is_err());
    }
}
