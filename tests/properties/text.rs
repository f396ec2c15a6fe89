//! Files that people write: `.env`, shell start-up files, settings.json, LiteLLM configurations.

use gwinstall::format::dotenv::{DotEnv, quote};
use gwinstall::format::litellm::{self, Context};
use gwinstall::format::merge::{Merged, three_way, three_way_yaml};
use gwinstall::format::rc::{Dialect, scan};
use gwinstall::format::settings::{DesiredValue, KeyPath, Ledger, Settings};
use gwinstall::format::yaml::Doc;
use serde_json::{Value, json};

/// The first line is a value, the rest the file. An unchanged file keeps its text; setting a variable changes only its
/// line, and a reader then finds the value; removing an added line gives the first file.
pub fn dotenv(bytes: &[u8]) -> bool {
    let Some((value, text)) = std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n')) else {
        return false;
    };
    let before = DotEnv::parse(text);
    assert_eq!(before.to_text(), text);
    for problem in before.problems() {
        assert!((1..=text.split('\n').count()).contains(&problem.line), "{problem:?}");
    }
    let mut file = before.clone();
    if file.set("A", value).is_err() {
        assert_eq!(file.to_text(), text, "a refusal changed the file");
        return false;
    }
    assert!(quote(value).is_ok());
    let after = file.to_text();
    let again = DotEnv::parse(&after);
    assert_eq!(again.get("A"), Some(value), "{after:?}");
    assert_eq!(entries_but_a(&again), entries_but_a(&before), "{after:?}");
    assert_one_line_differs(text, &after);
    let had =
        before.entries().any(|entry| entry.key == "A") || before.placeholders().any(|(key, _)| key == "A");
    if !had {
        assert!(file.remove("A"));
        let end = file.to_text();
        let end_of_line = end.strip_prefix(text);
        assert!(matches!(end_of_line, Some("" | "\n" | "\r\n")), "{text:?} became {end:?}");
    }
    true
}

fn entries_but_a(file: &DotEnv) -> Vec<(String, String)> {
    let others = file.entries().filter(|entry| entry.key != "A");
    others.map(|entry| (entry.key.to_owned(), entry.value.to_owned())).collect()
}

/// One line differs, or there is one more at the end.
fn assert_one_line_differs(before: &str, after: &str) {
    let [old, new] = [before, after].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let added = new.len() - old.len();
    assert!(added <= 1, "{before:?} became {after:?}");
    let bare = |line: &&str| line.trim_end_matches(['\r', '\n']).to_owned();
    let changed = old.iter().zip(&new).filter(|(old, new)| bare(old) != bare(new)).count();
    assert!(changed + added <= 1, "{before:?} became {after:?}");
    let ended = old.iter().zip(&new).take(old.len().saturating_sub(1));
    assert!(ended.filter(|(old, new)| old != new).count() <= 1, "{before:?} became {after:?}");
}

pub fn dotenvs() -> Vec<Vec<u8>> {
    let files = [
        "",
        "A=1\n",
        "# c\n\nexport A=1 # note\r\nB='x $y'\r\nC=\"z\"\nA=2\n#D=CHANGE-ME-D\n#A=CHANGE-ME-A",
        "\u{feff}K='a\nb'\nL=a\\\nb\nM=$(cat <<E\nx\nE\n)\nA = 1\nN=$X\n1K=v\nO=`x`",
    ];
    files
        .iter()
        .flat_map(|file| [format!("v\n{file}"), format!("a b#'\n{file}")])
        .map(String::into_bytes)
        .collect()
}

/// Both dialects: what is found stands on a line of the file, a value that is taken is text of one line, and written out
/// plainly it is found again as it is.
pub fn rc(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let lines = text.split('\n').count();
    let mut taken = false;
    let dialects = [Dialect::Posix, Dialect::Fish, Dialect::FishVariables, Dialect::EnvironmentD];
    for (dialect, name) in dialects.into_iter().flat_map(|d| ["A", "B", "C"].map(|n| (d, n))) {
        let Some(found) = scan(text, dialect, name) else { continue };
        assert!((1..=lines).contains(&found.line), "{found:?}");
        let Ok(value) = found.value else { continue };
        assert!(!value.contains(char::is_control), "{name}");
        // Neither kind of quotes can hold both without an escape.
        if !value.contains('\'') || !value.contains(['"', '\\', '$', '`']) {
            assert_found_again(dialect, name, &value);
        }
        taken = true;
    }
    taken
}

fn assert_found_again(dialect: Dialect, name: &str, value: &str) {
    let quote = if value.contains('\'') { '"' } else { '\'' };
    let plain = match dialect {
        Dialect::Posix => format!("export {name}={quote}{value}{quote}\n"),
        Dialect::Fish if value.ends_with('\\') => return,
        Dialect::FishVariables => format!("SETUVAR --export {name}:{}\n", value.replace('\\', r"\\")),
        Dialect::EnvironmentD => format!("{name}={quote}{value}{quote}\n"),
        Dialect::Fish => format!("set -gx {name} {quote}{}{quote}\n", value.replace('\\', r"\\")),
    };
    assert_eq!(
        scan(&plain, dialect, name).and_then(|found| found.value.ok()).as_deref(),
        Some(value),
        "{plain:?}"
    );
}

pub fn shell_files() -> Vec<Vec<u8>> {
    let files = [
        "# ~/.profile\nexport A=1\nexport B='x y' # z\nif [ -n \"$A\" ]; then\n  export C=2\nfi\nD=3; export D\n",
        "l=(\n  git # don't\n)\nA=b\ncat <<-'E O' >/dev/null\nexport A=11\n\tE O\nf() { export B=7; }\nexport A\nunset B\n",
        "typeset -x A=\"it's\"\na[1<<2]=3; (( y = 1 << 2 ))\nexport B=$A C=`x`\ntrue &&\nexport C=1 || (export D=2)\nx=\"${y:-it's} $(echo \")\" # c\n)\"\nexport C=c\n",
        "\u{feff}set -gx A 'x y\\n'\nset -g B 2; set -x B\nif test x\n  set -gx C 1\nelse if y\n  set -e A\nend\nset -Ux A \"b c\"\n",
        "# VERSION: 3.0\nSETUVAR --export A:x\\x20y\\\\z\nSETUVAR B:1\nSETUVAR --export --path C:/a\\x1e/b\n",
        "# systemd\nA=1\nB='x y'\nC=$A\nA=${B:-2}\n",
        "function f; set -gx A 6; end\nset -gx PATH a b\nset -Ux B \"q's\"\nset -gx C (echo 9)\nexport A=7\r\n",
    ];
    files.iter().map(|file| file.as_bytes().to_vec()).collect()
}

/// The first byte chooses keys to set, the rest is the file. No foreign value changes when gwinstall's keys come in;
/// without them the file has its first bytes again, or its first values if another program wrote it meanwhile.
pub fn settings(bytes: &[u8]) -> bool {
    let Some((choice, original)) = bytes.split_first() else { return false };
    let Ok(before) = Settings::parse(original) else { return false };
    let desired = desired(*choice);
    let paths = paths(&before);
    let next = before.converge(&desired, &Ledger::default()).unwrap();
    let after = Settings::parse(&next.bytes).unwrap();
    for wanted in &desired {
        assert_eq!(after.get(&wanted.path), wanted.value, "{}", wanted.path);
    }
    for path in paths.iter().filter(|path| desired.iter().all(|wanted| wanted.path != **path)) {
        assert_eq!(after.raw(path), before.raw(path), "{path}");
    }
    // A file of blanks alone has nothing to keep beside the keys; it comes back below, byte for byte.
    let text = std::str::from_utf8(original).unwrap_or_default();
    let says_nothing = text.trim_start_matches('\u{feff}').trim().is_empty();
    let only_adds = desired.iter().all(|wanted| wanted.value.is_some() && before.raw(&wanted.path).is_none());
    if only_adds && !says_nothing {
        assert!(is_inside(original, &next.bytes), "bytes of the user are gone");
    }
    let same = after.converge(&desired, &next.ledger).unwrap();
    assert!(same.changed.is_empty() && same.bytes == next.bytes && same.ledger == next.ledger);
    let ledger = Ledger::parse(&next.ledger.to_text().unwrap()).unwrap();
    assert_eq!(ledger, next.ledger);
    let end = after.converge(&[], &ledger).unwrap();
    assert!(end.bytes == original && end.ledger.is_empty(), "the file does not have its first bytes again");

    let touched =
        Settings::parse(&[&next.bytes[..], b"\n"].concat()).unwrap().converge(&[], &ledger).unwrap();
    let touched = Settings::parse(&touched.bytes).unwrap();
    for path in paths {
        assert_eq!(touched.raw(&path), before.raw(&path), "{path}");
    }
    true
}

/// A value for each of these keys; one bit stands for a removal.
fn desired(choice: u8) -> Vec<DesiredValue> {
    let removal = (choice & 32 == 0).then(|| json!("v"));
    let all: [(&str, Option<Value>); 5] = [
        ("env.U", Some(json!("u \"\\\u{1}\u{e9}"))),
        ("env.V", removal),
        ("helper", Some(json!("h"))),
        ("other", Some(json!({"k": ["l", 1, null]}))),
        ("env.W", Some(json!(""))),
    ];
    let chosen = all.into_iter().enumerate().filter(|(at, _)| choice >> at & 1 == 1);
    chosen
        .map(|(_, (path, value))| DesiredValue {
            path: KeyPath::parse(path),
            value,
            take_over: true,
            optional: false,
        })
        .collect()
}

fn paths(settings: &Settings) -> Vec<KeyPath> {
    let top = ["a", "b", "helper", "other", "model", "permissions"].map(KeyPath::top);
    top.into_iter().chain(settings.env_names().map(KeyPath::env)).collect()
}

/// Whether `whole` is `part` with bytes put in, except for blanks: those of an empty object make room for new members.
fn is_inside(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    let mut seen = part.iter().filter(|byte| !b" \t\r\n".contains(byte));
    seen.all(|byte| rest.any(|other| other == byte))
}

pub fn settings_files() -> Vec<Vec<u8>> {
    let files = [
        "{}\n",
        "{\n  \"model\": \"opus\",\n  \"env\": {\n    \"A\": \"1\",\n    \"V\": \"x\"\n  },\n  \"helper\": \"/bin/x\"\n}\n",
        "\u{feff}{ // c\r\n\t\"env\" : { /* , } */ \"U\" : \"\\ud800\" , },\r\n\t\"a\":[1, {\"b\": []}, ], \"b\": 1e400,\r\n}\r\n",
        "{\"permissions\":{\"allow\":[\"Bash(ls:*)\"]},\"other\":null,\"env\":{}}",
        "\u{c}\r\u{c}",
    ];
    files
        .iter()
        .flat_map(|file| [9_u8, 31, 63, 5].map(|choice| [&[choice], file.as_bytes()].concat()))
        .collect()
}

/// An answer whose places lie inside the text; a text without a finding is YAML.
pub fn validate(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let findings = litellm::check(text, &Context::default());
    for finding in &findings {
        let line = text.split('\n').nth(finding.line - 1).unwrap_or_else(|| panic!("{finding:?}"));
        assert!(finding.column <= line.chars().count() + 1, "{finding:?} in {line:?}");
        assert!(!finding.report("x", text).is_empty());
    }
    let doc = Doc::parse(text);
    if let Err(error) = &doc {
        assert!(!findings.is_empty() && (1..=text.split('\n').count()).contains(&error.line), "{error:?}");
        return false;
    }
    let (lines, last) = (litellm::model_lines(text), text.split('\n').count());
    assert!(lines.iter().all(|(lines, _)| lines.start <= last), "{lines:?}");
    litellm::references(text);
    doc.is_ok_and(|doc| doc.to_value() == Doc::parse(text).unwrap().to_value())
}

const SMALL: &str = include_str!("../fixtures/small.yaml");

pub fn configurations() -> Vec<Vec<u8>> {
    let files = [
        SMALL,
        include_str!("../fixtures/valid/everything.yaml"),
        "a: &x {k: 1}\nb:\n  <<: [*x]\n  k: 2\nc: |\n  x\n\"d\": 'it''s'\n- e\n",
        "model_list:\n  - model_name: a\n    litellm_params: {model: openai/a, api_key: os.environ/K}\n",
    ];
    files.iter().map(|file| file.as_bytes().to_vec()).collect()
}

/// Three texts, each begun by a line `==`. An unchanged side takes the other's text; each line of a clean merge is in one
/// of the three; a clean merge of configurations can be read.
pub fn merge(bytes: &[u8]) -> bool {
    let texts = std::str::from_utf8(bytes).map(|text| text.splitn(3, "==\n").collect::<Vec<_>>());
    let Ok([base, local, new]) = texts.as_deref() else { return false };
    assert_eq!(three_way(base, local, base), Merged::Clean((*local).to_owned()));
    assert_eq!(three_way(base, local, local), Merged::Clean((*local).to_owned()));
    if !local.contains('\r')
        && let Merged::Clean(merged) = three_way(base, local, new)
    {
        let known = |line| [base, local, new].iter().any(|text| text.lines().any(|known| known == line));
        assert!(merged.lines().all(known), "{merged:?}");
    }
    match three_way_yaml(base, local, new) {
        Merged::Clean(merged) => Doc::parse(&merged).map(|_| true).unwrap(),
        Merged::Conflict(why) => {
            assert!(!why.is_empty());
            false
        }
    }
}

pub fn merges() -> Vec<Vec<u8>> {
    let changed = SMALL.replacen('\n', "\n# mine\n", 1);
    let added = format!("{SMALL}\nrouter_settings:\n  num_retries: 2\n");
    let triples = [
        (SMALL, changed.as_str(), added.as_str()),
        ("a: 1\nb: 2\nc: 3\n", "a: 2\nb: 2\nc: 3\n", "a: 1\nb: 2\nc: 4\n"),
        ("a: 1\r\n", "a: 2\r\n", "a: 1\r\nb: 3\r\n"),
    ];
    triples
        .iter()
        .map(|(base, local, new)| [base, "==\n", local, "==\n", new].concat().into_bytes())
        .collect()
}
