//! Our reading of YAML against PyYAML's, which is LiteLLM's: what we accept it accepts, with the same value.
//! Skipped where python3 with PyYAML is not installed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gwinstall::format::yaml::{Doc, Scalar, Value};
use serde_json::json;

/// Reads a list of texts, answers with a list of typed values or nulls.
const READER: &str = r#"
import datetime, json, struct, sys, yaml
def typed(v):
    if v is None: return ["null"]
    if isinstance(v, bool): return ["bool", v]
    if isinstance(v, int): return ["int", str(v)]
    if isinstance(v, float): return ["float", "nan" if v != v else struct.pack(">d", v).hex()]
    if isinstance(v, str): return ["str", v]
    if isinstance(v, (datetime.date, datetime.datetime)): return ["time"]
    if isinstance(v, list): return ["seq", [typed(x) for x in v]]
    if isinstance(v, dict):
        pairs = [[typed(k), typed(x)] for k, x in v.items()]
        return ["map", sorted(pairs, key=lambda p: json.dumps(p[0], ensure_ascii=False, separators=(",", ":")).encode())]
    return ["other", str(type(v))]
out = []
for text in json.load(sys.stdin):
    try: out.append(typed(yaml.safe_load(text)))
    except Exception as e: out.append({"error": str(e)})
json.dump(out, sys.stdout)
"#;

/// What PyYAML makes of each text; nothing where it is not installed.
fn pyyaml(texts: &[String]) -> Option<Vec<serde_json::Value>> {
    let has = Command::new("python3").args(["-c", "import yaml"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI must have python3 with PyYAML");
        return None;
    }
    let mut child = Command::new("python3")
        .args(["-c", READER])
        .env("PYTHONIOENCODING", "utf-8:surrogatepass")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(texts).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn typed(value: &Value) -> serde_json::Value {
    match value {
        Value::Scalar(Scalar::Null) => json!(["null"]),
        Value::Scalar(Scalar::Bool(truth)) => json!(["bool", truth]),
        Value::Scalar(Scalar::Int(number)) => json!(["int", number.to_string()]),
        Value::Scalar(Scalar::Big(digits)) => json!(["int", digits]),
        Value::Scalar(Scalar::Float(number)) if number.is_nan() => json!(["float", "nan"]),
        Value::Scalar(Scalar::Float(number)) => json!(["float", format!("{:016x}", number.to_bits())]),
        Value::Scalar(Scalar::Str(text)) => json!(["str", text]),
        Value::Scalar(Scalar::Timestamp(_)) => json!(["time"]),
        Value::Seq(items) => json!(["seq", items.iter().map(typed).collect::<Vec<_>>()]),
        Value::Map(members) => {
            let mut pairs: Vec<_> = members.iter().map(|(key, value)| (typed(key), typed(value))).collect();
            pairs.sort_by_key(|(key, _)| key.to_string().into_bytes());
            json!(["map", pairs.iter().map(|(key, value)| json!([key, value])).collect::<Vec<_>>()])
        }
    }
}

/// Refusals that are stricter than PyYAML on purpose.
const STRICTER: [&str; 13] = [
    "inside brackets",
    "the name of an anchor",
    "cannot start with '-'",
    "nothing but a block",
    "directive",
    "duplicate key",
    "a line separator",
    "a carriage return",
    "a byte order mark",
    "aliases",
    "deeper than",
    "an alias inside",
    "a tag that",
];

/// Compares; gives how many texts both accepted and how many only PyYAML did, with our reason.
fn compare(texts: &[String]) -> Option<(usize, Vec<(String, String)>)> {
    let mut both = 0;
    let mut wrong = Vec::new();
    let mut stricter = Vec::new();
    for (text, python) in texts.iter().zip(pyyaml(texts)?) {
        let refused = python.get("error").map(ToString::to_string);
        match (Doc::parse(text), refused) {
            (Ok(doc), None) => {
                both += 1;
                if typed(&doc.to_value()) != python {
                    wrong.push(format!(
                        "{text:?}\n  gwinstall {}\n  PyYAML    {python}",
                        typed(&doc.to_value())
                    ));
                }
            }
            (Ok(_), Some(why)) => wrong.push(format!("{text:?}\n  refused by PyYAML: {why}")),
            (Err(error), None) => stricter.push((text.clone(), error.to_string())),
            (Err(_), Some(_)) => {}
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    Some((both, stricter))
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            found.push(path);
        }
    }
}

fn embedded() -> Vec<String> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded"), &mut found);
    found.sort();
    found.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

const SCALARS: &str = "no No NO off on yes y n true TRUE ~ null Null 0777 0o7 08 09 1_000 1_ 0_ 0x_1F 0xg 0b101 0b_ 1:30 1:60 \
    01:30 190:20:30 190:20:30.15 1e3 1.5e3 1.5e+3 1. .5 -.5 +.5 +1 -0 1.e+3 .inf -.INF +.inf .NaN -.nan 2026-11-21 2026-1-2 \
    2026-13-01 2026-02-29 2024-02-29 2026-11-21T10:00:00Z 2026-11-21T10:00:00.5+01:30 2026-11-21t1:00:00 10:00 = << - -- --- \
    sk-1234 127.0.0.1 12345678901234567890123456789012345678901234567890 1__2 _1 +_1 0.1_0 1.2.3 os.environ/X vertex_ai/a@b:c a:b \
    'no' \"no\" !!str:1 @a `a %a &a *a !a |a >a [a {a ]a }a ,a ?a -a :a #a a#b ? : 0 00 -0x1F 1.5.6 9_9.9_9 .e+1 ._1 1:2:3 1:2.5";

#[test]
fn scalars_mean_what_pyyaml_says() {
    let mut texts: Vec<String> = SCALARS
        .split_whitespace()
        .map(|scalar| format!("a: {}\n", scalar.replace("!!str:", "!!str ")))
        .collect();
    texts.extend(SCALARS.split_whitespace().map(|scalar| format!("{scalar}: a\n")));
    texts.extend(SCALARS.split_whitespace().map(|scalar| format!("[{scalar}]\n")));
    let Some((both, stricter)) = compare(&texts) else { return };
    assert!(both > 200, "{both}");
    let odd: Vec<_> =
        stricter.iter().filter(|(_, why)| !STRICTER.iter().any(|known| why.contains(known))).collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

const DOCUMENTS: [&str; 40] = [
    "",
    "# only\n",
    "---\n",
    "--- \na: 1\n...\n",
    "a: 1\n---\nb: 2\n",
    "%YAML 1.1\n---\na: no\n",
    "\u{feff}a: 1\n",
    "a: &x {k: 1}\nb: *x\n",
    "a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n",
    "a: &x {k: 1}\nb: &y {k: 2}\nc:\n  <<: [*x, *y]\n  m: 3\n",
    "a: &x {k: 1}\nb:\n  k: 2\n  <<: *x\n",
    "a: &x {k: 1}\nb: &y {<<: *x, l: 2}\nc: {<<: *y}\n",
    "a: {<<: 1}\n",
    "a: {<<: [1]}\n",
    "a: {\"<<\": {k: 1}}\n",
    "a: &x 1\nb: &x 2\nc: *x\n",
    "&x a: *x\n",
    "a: &x [*x]\n",
    "a: *x\n",
    "? [a]\n: b\n",
    "? {a: 1}\n: b\n",
    "a: !!str 1\nb: !!int \"2\"\nc: !!float 3\nd: !!bool \"yes\"\ne: !!null \"\"\nf: ! 4\n",
    "a: !x 1\n",
    "a: !!binary aGk=\n",
    "a: |\n  x\n  y\nb: >-\n  x\n  y\n\nc: \"x\\n\\x41\\u00e9\"\nd: 'it''s'\n",
    "a: x\n  y\n",
    "a:\n\tb: 1\n",
    "a: 1\n\tb: 2\n",
    "a:\tb\n",
    "a: [1,\n2]\n",
    "a: {b: 1, c}\n",
    "- a\n-b\n",
    "a: b: c\n",
    "a: 'x\n",
    "a: \"\\q\"\n",
    "a: \u{7f}\n",
    "a: b #c\n#d\ne: f#g\n",
    "a: 1\r\nb: no\r\n",
    "a: - b\n",
    "{a: 1, a: 2}\n",
];

#[test]
fn documents_read_as_pyyaml_reads_them() {
    let texts: Vec<String> = DOCUMENTS.iter().map(|text| (*text).to_owned()).collect();
    let Some((both, stricter)) = compare(&texts) else { return };
    assert!(both >= 18, "{both}");
    let odd: Vec<_> =
        stricter.iter().filter(|(_, why)| !STRICTER.iter().any(|known| why.contains(known))).collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

#[test]
fn every_embedded_file_means_to_us_what_it_means_to_pyyaml() {
    let texts = embedded();
    let Some((both, stricter)) = compare(&texts) else { return };
    assert_eq!(
        (both, stricter.len()),
        (texts.len(), 0),
        "{:?}",
        stricter.iter().map(|(_, why)| why).collect::<Vec<_>>()
    );
}

/// Small changes to good files: nothing that PyYAML refuses gets past us, and what both accept is equal.
#[test]
fn damaged_files_are_never_understood_differently() {
    const PIECES: [&str; 28] = [
        " ", "\n", "\t", ":", "- ", "#", "'", "\"", "[", "]", "{", "}", ",", "&x ", "*x", "!", "|", ">", "%",
        "@", "?", "\\", "\r\n", "  ", ": ", "<<: ", "~", "---\n",
    ];
    let sources: Vec<&str> =
        DOCUMENTS.iter().copied().chain([include_str!("../fixtures/small.yaml")]).collect();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit.max(1)
    };
    let rounds = std::env::var("YAML_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(2000);
    let texts: Vec<String> = (0..rounds)
        .map(|_| {
            let mut text: Vec<char> = sources[below(sources.len())].chars().collect();
            for _ in 0..=below(3) {
                let at = below(text.len() + 1);
                match below(3) {
                    0 if at < text.len() => drop(text.remove(at)),
                    1 => {
                        let until = (at + below(12)).min(text.len());
                        let copy = text[at..until].to_vec();
                        text.splice(at..at, copy);
                    }
                    _ => drop(text.splice(at..at, PIECES[below(PIECES.len())].chars())),
                }
            }
            text.into_iter().collect()
        })
        .collect();
    let Some((both, stricter)) = compare(&texts) else { return };
    assert!(both > rounds / 6, "{both}");
    let odd = stricter.iter().filter(|(_, why)| !STRICTER.iter().any(|known| why.contains(known)));
    let odd: Vec<_> = odd.collect();
    assert!(odd.len() * 200 < rounds + 1000, "refused without need: {:#?}", &odd[..odd.len().min(40)]);
}
