//! What people leave in a variable when its value is not there yet: a placeholder, the reference of a secret manager, an
//! expression that only a shell expands, a master key that anyone can guess.
//!
//! Promise: one judgement for every source of values and for every command that looks at them. Pure. Never: repeats any
//! part of the value.

use std::fmt;

/// Name of the key that a local gateway checks.
pub const MASTER_KEY: &str = "LITELLM_MASTER_KEY";

/// Why a text is not a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandIn {
    Empty,
    /// The placeholder that gwinstall itself writes, in its spellings: gwinstall mentions it nowhere.
    ChangeMe,
    /// An example that was not filled in.
    Example,
    /// The address of a secret that another program keeps.
    Reference,
    /// A shell or a template would have to expand it.
    Expression,
    /// A master key that anyone can guess.
    WeakKey,
}

impl StandIn {
    /// Whether the user needs a note: the text looks like a value.
    pub fn needs_a_note(self) -> bool {
        !matches!(self, Self::Empty | Self::ChangeMe)
    }
}

impl fmt::Display for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::ChangeMe | Self::Example => "it is a placeholder that is not filled in",
            Self::Reference => "it refers to a secret manager, and the gateway does not ask one",
            Self::Expression => "it is an expression, and the gateway does not expand it",
            Self::WeakKey => "anyone can guess this key",
        })
    }
}

/// Prefixes of the addresses that secret managers use.
const REFERENCES: [&str; 17] = [
    "op://",
    "vault:",
    "bw://",
    "bws://",
    "pass://",
    "keyring://",
    "keychain://",
    "doppler://",
    "infisical://",
    "akv://",
    "gcpsm://",
    "awssm://",
    "awsssm://",
    "secretref:",
    "secretsmanager:",
    "secret://",
    "sops://",
];

/// Words of master keys that stand in guides and in lists of bad passwords.
const GUESSED: [&str; 20] = [
    "password",
    "password1",
    "passw0rd",
    "passwort",
    "masterkey",
    "master-key",
    "my-master-key",
    "mymasterkey",
    "litellm-master-key",
    "litellm-key",
    "my-secret",
    "mysecret",
    "supersecret",
    "my-secret-key",
    "secret-key",
    "changeit",
    "letmein1",
    "test-key",
    "qwertyui",
    "administrator",
];

/// Keys that the guides of LiteLLM and of AWS print, in capitals.
const OF_GUIDES: [&str; 3] = ["SK-1234", "AKIAIOSFODNN7EXAMPLE", "WJALRXUTNFEMI/K7MDENG/BPXRFICYEXAMPLEKEY"];

/// What an example names as the thing to write in its place.
const NAMED: [&str; 27] = [
    "API",
    "KEY",
    "APIKEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PROJECT",
    "RESOURCE",
    "ENDPOINT",
    "VALUE",
    "ID",
    "NAME",
    "ACCOUNT",
    "ORG",
    "REGION",
    "BUCKET",
    "GCP",
    "AWS",
    "AZURE",
    "GOOGLE",
    "VERTEX",
    "ANTHROPIC",
    "OPENAI",
    "LITELLM",
    "GEMINI",
    "MASTER",
    "ACCESS",
];

/// What `value` of the variable `name` stands for, if it is not a value.
pub fn of(name: &str, value: &str) -> Option<StandIn> {
    let text = value.trim();
    let folded = text.to_ascii_uppercase().replace('_', "-");
    let bare = folded.strip_prefix("SK-").unwrap_or(&folded);
    if folded.is_empty() {
        return Some(StandIn::Empty);
    }
    if begins_with_word(bare, "CHANGE-ME") || begins_with_word(bare, "CHANGEME") {
        return Some(StandIn::ChangeMe);
    }
    if is_reference(text) {
        return Some(StandIn::Reference);
    }
    if is_expression(text) {
        return Some(StandIn::Expression);
    }
    if is_example(text, &folded, bare) {
        return Some(StandIn::Example);
    }
    (name == MASTER_KEY && is_weak(&text.to_ascii_lowercase())).then_some(StandIn::WeakKey)
}

/// Whether the variable has a value that the gateway can use.
pub fn is_value(name: &str, value: &str) -> bool {
    of(name, value).is_none()
}

fn is_reference(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    REFERENCES.iter().any(|prefix| small.starts_with(prefix))
        || small.strip_prefix("ref+").is_some_and(|rest| rest.contains("://"))
        || small.starts_with("arn:aws:secretsmanager:")
        || small.starts_with("arn:aws:ssm:")
}

fn is_expression(text: &str) -> bool {
    let name = |word: &str, first: fn(&char) -> bool| {
        word.chars().next().as_ref().is_some_and(first)
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let capital = |word: &str| name(word, char::is_ascii_uppercase) && word == word.to_ascii_uppercase();
    let braced = text.match_indices("${").any(|(at, _)| {
        let inside = text[at + 2..].split_once('}').map_or("", |(inside, _)| inside);
        let word = inside.split([':', '-', '+', '?', '=']).next().unwrap_or_default();
        // In a password the signs may stand by chance: a variable has a name in capitals, or is all there is.
        capital(word) || (at == 0 && text.ends_with('}') && name(word, char::is_ascii_alphabetic))
    });
    let between =
        |start: &str, end: &str| text.starts_with(start) && text.len() > start.len() && text.ends_with(end);
    braced
        || between("$(", ")")
        || between("{{", "}}")
        || text.strip_prefix('$').is_some_and(capital)
        || text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).is_some_and(capital)
        || text.starts_with("os.environ/")
}

/// `folded` is the text in capitals with hyphens for underscores, `bare` that without `SK-` in front. A word such as "your"
/// alone proves nothing: projects, hosts and keys hold it too.
fn is_example(text: &str, folded: &str, bare: &str) -> bool {
    let words: Vec<&str> =
        bare.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let inside = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    let in_brackets =
        inside.is_some_and(|text| text.chars().all(|c| c.is_alphabetic() || " -_.".contains(c)));
    let cut = ["...", "…"]
        .iter()
        .any(|end| text.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.starts_with("sk-")));
    let crossed =
        !words.is_empty() && words.iter().all(|word| word.len() >= 3 && word.bytes().all(|b| b == b'X'));
    let long = ["x".repeat(8), "X".repeat(8)].iter().any(|run| text.contains(run.as_str()));
    let hidden = text.len() >= 3 && text.bytes().all(|b| b == b'*');
    in_brackets
        || cut
        || crossed
        || long
        || hidden
        || OF_GUIDES.contains(&folded)
        || begins_with_word(bare, "REPLACE-ME")
        || begins_with_word(bare, "REPLACEME")
        || (!text.starts_with(['/', '~', '.']) && asks_for_a_value(&words, text))
}

/// Whether the text tells its reader to write a value in its place.
fn asks_for_a_value(words: &[&str], text: &str) -> bool {
    let named = |word: &&str| NAMED.contains(word);
    let sentence = text.contains(char::is_whitespace);
    let first = words.first().copied().unwrap_or_default();
    let second_is = |others: &[&str]| words.get(1).is_some_and(|word| named(word) || others.contains(word));
    let your = |pair: &[&str]| pair[0] == "YOUR" && named(&pair[1]);
    // A sentence that is a value, as a header line is, may say anything but this at its start.
    first == "YOUR"
        || (["INSERT", "PUT", "ENTER", "REPLACE"].contains(&first) && second_is(&["WITH", "YOUR"]))
        || (!sentence && words.windows(2).any(your))
        || matches!(words, [.., before, "HERE"] if named(before))
}

/// Whether a text in capitals begins with this word, and not with a longer one.
fn begins_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// `key` in small letters.
fn is_weak(key: &str) -> bool {
    let bare = key.strip_prefix("sk-").unwrap_or(key);
    let first = bare.bytes().next();
    bare.len() < 8
        || bare.bytes().all(|b| Some(b) == first)
        || bare.bytes().all(|b| b.is_ascii_digit()) && bare.len() <= 16
        || GUESSED.contains(&bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[(StandIn, &[&str])] = &[
        (StandIn::Empty, &["", " ", "\t"]),
        (StandIn::ChangeMe, &["CHANGE-ME", "change_me_now", "CHANGEME", "sk-CHANGE-ME-x", "CHANGE-ME-X"]),
        (
            StandIn::Reference,
            &[
                "op://vault/item/field",
                "vault:secret/data/x#key",
                "ref+awsssm://p",
                "ref+vault://a/b",
                "OP://v/i",
                "bws://1",
                "secretref:x",
                "arn:aws:secretsmanager:us-east-1:1:secret:x",
                "vault://a",
            ],
        ),
        (
            StandIn::Expression,
            &[
                "${OTHER}",
                "${OTHER:-x}",
                "a${B}c",
                "$OTHER",
                "$(pass show x)",
                "{{ key }}",
                "%KEY%",
                "os.environ/KEY",
            ],
        ),
        (
            StandIn::Example,
            &[
                "<your key>",
                "<KEY>",
                "your-anthropic-api-key",
                "your-gcp-project",
                "YOUR_API_KEY",
                "sk-your-key",
                "put-your-key-here",
                "key-here",
                "insert_key_here",
                "sk-...",
                "sk-ant-...",
                "sk-ant-…",
                "xxx",
                "sk-xxxx",
                "sk-ant-api03-xxxxxxxxxxxx",
                "akiaxxxxxxxxxxxxxxxx",
                "sk-1234",
                "REPLACE_ME",
                "your key here",
                "AKIAIOSFODNN7EXAMPLE",
                "https://your-resource.example.com",
                "API KEY HERE",
                "[your key]",
                "replace-with-key",
                "insert-key",
                "********",
            ],
        ),
    ];

    #[test]
    fn what_is_not_a_value_is_known_for_what_it_is() {
        for (wanted, texts) in ROWS {
            for text in *texts {
                assert_eq!(of("ANY", text), Some(*wanted), "{text:?}");
                assert!(!is_value(MASTER_KEY, text), "{text:?}");
            }
        }
    }

    #[test]
    fn values_stay_values() {
        for text in [
            "my-project",
            "us-central1",
            "0",
            "exchange-me",
            "my CHANGE-ME",
            "sk-ant-api03-Zx9_k",
            "https://h/x?y=1&z={0}",
            "a $literal `one`",
            "$ecret",
            "p@ss{word}",
            "/keys/<odd>/key.json",
            "where",
            "xx",
            "maxx",
            "yourco-prod",
            "op:read",
            "vaulted",
            "http://me:p%40ss@proxy:8080",
            "sk-no-key-required",
            "adhere",
            "X-Team: your team\nX: 1",
            "replacement-parts-prod",
            "changement-climatique-42",
            "change-mediation",
            "know-your-customer-prod",
            "http://proxy.your-company.corp:3128",
            "/etc/ssl/your-ca.pem",
            "/home/me/build-your-own/key.json",
            "we-are-here",
            "super-bowl-xxx",
            "redis-xxx",
            "pa$${word}x",
            "Tr0ub4dor...",
            "<hunter2>",
            "sk-ant-api03-Zb-your-AA93",
            "sk-proj-aXxXxXx9",
            "X-App:know-your-customer",
            "there",
            "/opt/go-here/key.json",
            "{\"private_key\": \"…\"}",
            "sk-12345",
            "password",
            "a",
        ] {
            assert_eq!(of("ANY", text), None, "{text:?}");
        }
    }

    #[test]
    fn a_master_key_that_anyone_can_guess_is_not_one() {
        for text in [
            "a",
            "password",
            "sk-12345",
            "12345678",
            "sk-aaaaaaaaaaaa",
            "Sk-Password",
            "master-key",
            "secret",
        ] {
            assert_eq!(of(MASTER_KEY, text), Some(StandIn::WeakKey), "{text:?}");
        }
        for text in ["sk-4f0c2d9a71b3e8aa", "correct horse battery", "sk-of-the-user"] {
            assert_eq!(of(MASTER_KEY, text), None, "{text:?}");
        }
    }
}
