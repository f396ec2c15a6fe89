//! `.env` against the programs that read it: what we accept and what we write means the same to bash, to dash and to a
//! reading loop that never evaluates.

use std::io::Write as _;
use std::process::{Command, Stdio};

use gwinstall::format::dotenv::{DotEnv, quote};
use proptest::prelude::*;

/// Loads the file without evaluating it: strips one pair of quotes, leaves the rest alone.
const LOOP: &str = r#"
while IFS= read -r line || [ -n "$line" ]; do
  case $line in ''|'#'*) continue;; esac
  key=${line%%=*} value=${line#*=}
  case $value in \'*\') value=${value#\'}; value=${value%\'};; esac
  export "$key=$value"
done
"#;

/// Feeds `text` to `script` (which finds it as file 0) in a bare environment and gives the values of `keys`.
fn values_in(shell: &str, script: &str, text: &str, keys: &[String]) -> Vec<String> {
    let print: String = keys.iter().map(|key| format!("printf '%s\\0' \"${key}\"\n")).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let script = format!("{script}\n{print}").replace("FILE", file.path().to_str().unwrap());
    let mut child = Command::new(shell)
        .arg("-s")
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shell}: {error}"));
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    let mut seen: Vec<String> =
        output.stdout.split(|b| *b == 0).map(|v| String::from_utf8(v.to_vec()).unwrap()).collect();
    seen.pop();
    seen
}

fn shells() -> Vec<&'static str> {
    let here: Vec<_> = ["bash", "dash"].into_iter().filter(|shell| which::which(shell).is_ok()).collect();
    assert!(!here.is_empty(), "neither bash nor dash is installed");
    here
}

const SOURCED: &str = "set -a\n. FILE\nset +a";

fn looped() -> String {
    format!("{}done < FILE", LOOP.trim_end().strip_suffix("done").unwrap())
}

fn values() -> impl Strategy<Value = String> {
    let nasty =
        prop::sample::select(" '\"$`\\#!~*?[]{}()<>|&;=:,.%@+-_/aZ09é€\t".chars().collect::<Vec<_>>());
    prop::collection::vec(nasty, 0..24).prop_map(|chars| chars.into_iter().collect())
}

/// What may stand behind `K=`: any text, which is mostly refused, and as often a form that may be meant, which is mostly
/// accepted.
fn tails() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => values(),
        1 => "[a-zé0-9:/@%+._-]{0,12}[ \t]{0,2}(#[ a-z'\"$]{0,6})?",
        1 => "'[ a-z\"$`#\\\\=é]{0,12}'",
        1 => "\"[ a-z'#=é]{0,12}\"",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// E09: write, then read by every reader, gives the value back; what cannot be carried is refused.
    #[test]
    fn what_we_write_reads_back_the_same_everywhere(wanted in prop::collection::vec(values(), 40)) {
        let mut file = DotEnv::default();
        let mut expected = Vec::new();
        for (number, value) in wanted.iter().enumerate() {
            let key = format!("K{number}");
            prop_assert_eq!(quote(value).is_ok(), file.set(&key, value).is_ok());
            if quote(value).is_ok() {
                expected.push((key, value.clone()));
            }
        }
        let text = file.to_text();
        let again = DotEnv::parse(&text);
        prop_assert!(again.problems().is_empty(), "{:?}", again.problems());
        let (keys, expected): (Vec<_>, Vec<_>) = expected.into_iter().unzip();
        for (key, value) in keys.iter().zip(&expected) {
            prop_assert_eq!(again.get(key), Some(value.as_str()));
        }
        for shell in shells() {
            prop_assert_eq!(&values_in(shell, SOURCED, &text, &keys), &expected);
            prop_assert_eq!(&values_in(shell, &looped(), &text, &keys), &expected);
        }
    }

    /// E01, E02: a line that we accept means to a shell what it means to us.
    #[test]
    fn what_we_accept_a_shell_reads_the_same(tails in prop::collection::vec(tails(), 200), exports in any::<u64>()) {
        let mut text = String::new();
        let (mut keys, mut expected) = (Vec::new(), Vec::new());
        for (number, tail) in tails.iter().enumerate() {
            let key = format!("K{number}");
            let export = if exports >> (number % 64) & 1 == 1 { "export " } else { "" };
            let line = format!("{export}{key}={tail}\n");
            if let Some(value) = DotEnv::parse(&line).get(&key) {
                expected.push(value.to_owned());
                keys.push(key);
                text.push_str(&line);
            }
        }
        prop_assert!(keys.len() > 40, "the generator no longer makes accepted lines");
        for shell in shells() {
            prop_assert_eq!(&values_in(shell, SOURCED, &text, &keys), &expected);
        }
    }

    /// E04: any text comes out as it went in, and an edit changes no other line.
    #[test]
    fn untouched_lines_keep_their_bytes(text in "(\u{feff})?([ A-D]{0,2}[=#'\"\\\\$< ]{0,2}[a-c]{0,2}\r?\n?){0,12}", value in "[a-z ]{0,6}") {
        crate::properties::text::dotenv(format!("{value}\n{text}").as_bytes());
    }
}

/// Which readers agree on the quotes: documented here because compose and docker cannot run in a test without a daemon.
/// docker compose removes single quotes and expands nothing inside them (a backslash before the closing quote escapes
/// it, hence `quote` refuses one at the end); `docker run --env-file` keeps quotes, so only bare values suit it.
#[test]
fn quotes_are_written_only_where_a_bare_value_would_be_misread() {
    assert_eq!(quote("sk-0123456789abcdef").unwrap(), "sk-0123456789abcdef");
    assert_eq!(quote("http://user:p%40ss@proxy:3128").unwrap(), "http://user:p%40ss@proxy:3128");
    assert_eq!(quote("p ss").unwrap(), "'p ss'");
}
