//! The command line of this run, as the commands in its messages repeat it. Pure but for the current directory.
//!
//! Promise: a command that is printed works on the deployment of this run, and shows no secret. Never: a value that the
//! user gave in secret, or one that merely looks like a key.

use std::path::Path;

use crate::domain::Invocation;
use crate::domain::secret::{mask_userinfo, masked};
use crate::doors::system;

/// Flags that name the deployment.
pub(super) const PLACE: [&str; 2] = ["--home", "--target-dir"];

/// Flags whose value is a secret, and what takes its place: each reads the value from standard input, or asks for it.
const SECRET: [(&str, &[&str]); 2] =
    [("--auth-token", &["--auth-token-file", "-"]), ("--proxy-auth", &["--proxy-auth", "-"])];

/// Flags of `env set` whose value is not the value of a variable.
const WITH_VALUE: [&str; 5] = ["--from", "--home", "--target-dir", "--lock-wait", "--color"];

/// Flags whose URL may hold a login.
const PROXY: [&str; 2] = ["--proxy-url", "--proxy"];

/// The invocation with these words behind the program's name, whether they make a command line or not.
pub(super) fn of(words: &[String]) -> Invocation {
    Invocation { place: place(words), words: shown(words) }
}

/// The flags that name the deployment, with absolute paths.
fn place(words: &[String]) -> Vec<String> {
    let absolute = |dir: &str| {
        let path = Path::new(dir);
        let path = system::current_dir().map_or_else(|_| path.to_path_buf(), |here| here.join(path));
        path.to_string_lossy().into_owned()
    };
    let given = PLACE.iter().filter_map(|flag| Some([(*flag).to_owned(), absolute(&value_of(words, flag)?)]));
    given.flatten().collect()
}

/// The value of a flag, as `--flag VALUE` or `--flag=VALUE`.
fn value_of(words: &[String], flag: &str) -> Option<String> {
    let options = before_the_rest(words);
    options.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(flag)? {
        "" => words.get(at + 1).cloned(),
        attached => attached.strip_prefix('=').map(str::to_owned),
    })
}

/// The words up to `--`, behind which nothing is a flag.
fn before_the_rest(words: &[String]) -> &[String] {
    words.split(|word| word == "--").next().unwrap_or_default()
}

/// The words without this flag and its value.
pub(super) fn without(words: &[String], flag: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.strip_prefix(flag) {
            Some("") => drop(rest.next()),
            Some(attached) if attached.starts_with('=') => {}
            _ => kept.push(word.clone()),
        }
    }
    kept
}

/// The words without the flags that name the deployment: what a printed command adds by itself.
pub(super) fn without_place(words: &[String]) -> Vec<String> {
    PLACE.iter().fold(words.to_vec(), |words, flag| without(&words, flag))
}

/// The words as they may be repeated: a secret is replaced by what asks for it.
fn shown(words: &[String]) -> Vec<String> {
    let mut shown = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (flag, attached) =
            word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
        let mut value = || attached.map(str::to_owned).or_else(|| rest.next().cloned());
        if let Some(instead) = instead_of_secret(flag) {
            let _ = value();
            shown.extend(instead.iter().map(|word| (*word).to_owned()));
        } else if is_variable(flag) {
            // `NAME=VALUE`, or `NAME VALUE` behind a command that was not spelled right.
            shown.push(flag.to_owned());
            if attached.is_none() && rest.clone().next().is_some_and(|next| !next.starts_with('-')) {
                rest.next();
            }
        } else if PROXY.contains(&flag) {
            shown.extend(proxy(flag, &value().unwrap_or_default()));
        } else {
            shown.push(masked(word).unwrap_or_else(|| word.clone()));
        }
    }
    values_of_env_dropped(shown)
}

/// What takes the place of a flag whose value is a secret, however the flag is spelled.
fn instead_of_secret(flag: &str) -> Option<&'static [&'static str]> {
    const KNOWN: [&str; 2] = ["authtokenfile", "includesecrets"];
    let name: String = flag.to_ascii_lowercase().chars().filter(char::is_ascii_alphabetic).collect();
    let dashed = flag.starts_with('-') || flag.contains('-');
    let near = |secret: &str| strsim::damerau_levenshtein(&name, secret) <= 2;
    if !dashed || KNOWN.iter().any(|known| near(known)) {
        return None;
    }
    if near("proxyauth") {
        return Some(SECRET[1].1);
    }
    let telling = ["token", "password", "passwd", "secret", "apikey"].iter().any(|word| name.contains(word));
    (near("authtoken") || flag.starts_with('-') && telling).then_some(SECRET[0].1)
}

/// Whether a word is the name of a variable.
pub(super) fn is_variable(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// The address without its login, which is asked for instead.
fn proxy(flag: &str, url: &str) -> Vec<String> {
    let bare = mask_userinfo(url).replacen("****@", "", 1);
    let mut words = vec![flag.to_owned(), masked(&bare).unwrap_or_else(|| bare.clone())];
    if bare != url {
        words.extend(SECRET[1].1.iter().map(|word| (*word).to_owned()));
    }
    words
}

/// `env set NAME` without what else was given there: it may be the value.
fn values_of_env_dropped(words: Vec<String>) -> Vec<String> {
    let Some(at) = words.windows(2).position(|pair| pair[0] == "env" && pair[1] == "set") else {
        return words;
    };
    let (before, given) = words.split_at(at + 2);
    let mut kept = before.to_vec();
    let mut named = false;
    let mut rest = given.iter();
    while let Some(word) = rest.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            kept.extend([Some(word), rest.next()].into_iter().flatten().cloned());
        } else if word.starts_with('-') {
            kept.push(word.clone());
        } else if !named {
            named = true;
            kept.push(word.split('=').next().unwrap_or_default().to_owned());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_place_is_absolute_wherever_it_stands() {
        assert_eq!(of(&words("status --home /a --json")).place, ["--home", "/a"]);
        assert_eq!(
            of(&words("--target-dir=/b status --home=/a")).place,
            ["--home", "/a", "--target-dir", "/b"]
        );
        assert!(Path::new(&of(&words("--home a")).place[1]).is_absolute());
        assert!(of(&words("models add -- --home /a")).place.is_empty());
        assert!(of(&words("--home")).place.is_empty());
        assert_eq!(without_place(&words("--home /a status --target-dir=/b -v")), ["status", "-v"]);
        assert_eq!(without(&words("-q --home /a status --home=/b"), "--home"), ["-q", "status"]);
    }

    #[test]
    fn no_secret_is_repeated_and_the_line_still_does_what_was_asked() {
        for (typed, repeated) in [
            ("install --auth-token t0ken --yes", "install --auth-token-file - --yes"),
            ("install --auth-token=t0ken", "install --auth-token-file -"),
            ("install --auth-tokn t0ken --yes", "install --auth-token-file - --yes"),
            ("instal --Auth_Token t0ken", "instal --auth-token-file -"),
            ("install -auth-token t0ken", "install --auth-token-file -"),
            ("install auth-token t0ken", "install --auth-token-file -"),
            ("install --api-token=t0ken", "install --auth-token-file -"),
            ("install --proxy-aut u:t0ken", "install --proxy-auth -"),
            ("evn set FOO=t0ken", "evn set FOO"),
            ("env st FOO t0ken --yes", "env st FOO --yes"),
            ("export FOO=t0ken", "export FOO"),
            ("install --proxy u:t0ken@proxy:80", "install --proxy proxy:80 --proxy-auth -"),
            ("install --auth-token-file t0ken", "install --auth-token-file t0ken"),
            (
                "install --proxy-url http://p:1 --proxy-auth me:word",
                "install --proxy-url http://p:1 --proxy-auth -",
            ),
            ("install --proxy http://me:word@p:1 --yes", "install --proxy http://p:1 --proxy-auth - --yes"),
            ("install --proxy-url=http://p:1", "install --proxy-url http://p:1"),
            ("models add sk-ant-hush", "models add sk-ant-****"),
            ("env set KEY=word --yes", "env set KEY --yes"),
            ("env set KEY word --from f -y", "env set KEY --from f -y"),
            (
                "rollback gateway-backup-20261126-175812.tar.gz",
                "rollback gateway-backup-20261126-175812.tar.gz",
            ),
            ("install --models a,b --preset", "install --models a,b --preset"),
            ("install --auth-token", "install --auth-token-file -"),
        ] {
            assert_eq!(of(&words(typed)).words.join(" "), repeated, "{typed}");
        }
    }
}
