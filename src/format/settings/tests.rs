//! What is refused, what style new members take, and what undoing gives back.

use super::*;
use serde_json::json;

fn wanted(path: &str, value: &str) -> DesiredValue {
    DesiredValue { path: KeyPath::parse(path), value: Some(json!(value)), take_over: false, optional: false }
}

fn converge(text: &str, desired: &[DesiredValue], ledger: &Ledger) -> (String, Ledger, Converged) {
    let settings = Settings::parse(text.as_bytes()).unwrap();
    let next = settings.converge(desired, ledger).unwrap();
    let again = Ledger::parse(&next.ledger.to_text().unwrap()).unwrap();
    assert!(again == next.ledger, "the ledger does not survive being written");
    (String::from_utf8(next.bytes.clone()).unwrap(), again, next)
}

/// Puts the desired values in and takes them out again; the result is the text in between.
fn through(text: &str, desired: &[DesiredValue]) -> String {
    let (installed, ledger, _) = converge(text, desired, &Ledger::default());
    let (back, ledger, _) = converge(&installed, &[], &ledger);
    assert_eq!(back, text, "{installed}");
    assert!(ledger.is_empty());
    installed
}

fn problem(bytes: &[u8]) -> Problem {
    match Settings::parse(bytes) {
        Ok(_) => panic!("accepted: {}", String::from_utf8_lossy(bytes)),
        Err(problem) => problem,
    }
}

/// Claude Code takes a file without a value for an empty object, and so do people who made it with `touch`.
#[test]
fn a_file_without_a_value_comes_back_as_it_was() {
    for text in ["", "\n", " \r\n\t", "\u{feff}\n"] {
        let installed = through(text, &[wanted("env.K", "v")]);
        assert!(installed.contains("\"K\": \"v\""), "{installed}");
        // Keys of others keep the file, without gwinstall's.
        let (installed, ledger, _) = converge(text, &[wanted("helper", "h")], &Ledger::default());
        let edited = installed.replace('{', "{\"model\": \"opus\",");
        let (back, ..) = converge(&edited, &[], &ledger);
        assert!(back.contains("opus") && !back.contains("helper"), "{back}");
    }
}

/// J01, J02, J03, J05: refused with a place; the caller leaves the file alone.
#[test]
fn what_is_no_settings_object_is_refused_with_its_place() {
    let rows: [(&[u8], usize, usize, &str); 29] = [
        (b"// only\n", 1, 1, "empty"),
        (b"null", 1, 1, "must hold an object"),
        (b"\n []", 2, 2, "must hold an object"),
        (b"\"x\"", 1, 1, "must hold an object"),
        (b"42", 1, 1, "must hold an object"),
        (b"{\"a\": 1", 1, 8, "a } is missing"),
        (b"{\"a\": NaN}", 1, 7, "not a JSON value"),
        (b"{'a': 1}", 1, 2, "key in double quotes"),
        (b"{a: 1}", 1, 2, "key in double quotes"),
        (b"{\"a\": 'x'}", 1, 7, "not a JSON value"),
        (b"{\"a\" 1}", 1, 6, "expected :"),
        (b"{\"a\": 1 \"b\": 2}", 1, 9, "expected , or }"),
        (b"{\"a\": 1,, \"b\": 2}", 1, 9, "key in double quotes"),
        (b"{\"a\": 01}", 1, 7, "not a JSON number"),
        (b"{\"a\": +1}", 1, 7, "not a JSON value"),
        (b"{\"a\": \"\x01\"}", 1, 8, "control character"),
        (b"{\"a\": \"x\n\"}", 1, 9, "control character"),
        (b"{\"a\": \"\\x\"}", 1, 8, "not a JSON escape"),
        (b"{} {}", 1, 4, "text after the end"),
        (b"{\"a\": 1\0}", 1, 8, "expected , or }"),
        (b"{\n\"a\": 1, /*", 2, 9, "never closed"),
        (b"{\"a\": 1 // x\r, \"b\": 2}", 1, 9, "carriage return"),
        (b"{\"a\": 1 /* \0 */}", 1, 9, "NUL"),
        (b"{\x0b\"a\": 1}", 1, 2, "key in double quotes"),
        ("{\u{a0}\"a\": 1}".as_bytes(), 1, 2, "key in double quotes"),
        ("{\"a\":\u{2028}1}".as_bytes(), 1, 6, "not a JSON value"),
        (b"{\n \"a\": 1,\n \"a\": 2}", 3, 2, "first on line 2"),
        (b"{\"env\": {\n\"A\": \"1\",\n\"\\u0041\": \"2\"}}", 3, 1, "first on line 2"),
        (b"{\"a\": \"caf\xe9\"}", 1, 11, "not UTF-8"),
    ];
    for (bytes, line, column, why) in rows {
        let seen = problem(bytes);
        let shown = String::from_utf8_lossy(bytes);
        assert!(seen.why.contains(why), "{shown}: {seen}");
        assert_eq!((seen.line, seen.column), (line, column), "{shown}: {seen}");
    }
    assert!(problem(b"\xff\xfe{\0}\0").why.contains("UTF-16"));
    for env in ["null", "[]", "\"x\"", "1"] {
        assert!(problem(format!("{{\"env\": {env}}}").as_bytes()).why.contains("\"env\" must be an object"));
    }
}

/// J08.
#[test]
fn deep_nesting_is_refused_and_not_a_crash() {
    let deep = |depth: usize| format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(Settings::parse(deep(199).as_bytes()).is_ok());
    assert!(problem(deep(200).as_bytes()).why.contains("deeper than 200"));
    assert!(problem("[".repeat(10_000).as_bytes()).why.contains("deeper than 200"));
    assert!(problem("{\"a\":".repeat(10_000).as_bytes()).why.contains("deeper than 200"));
}

/// J04, J12: one row per style; each goes in and out again byte for byte.
#[test]
fn new_members_take_the_style_of_the_file() {
    let desired = [wanted("env.U", "u"), wanted("env.K", ""), wanted("helper", "h")];
    let rows = [
        ("{}", r#"{"env": {"U": "u", "K": ""}, "helper": "h"}"#),
        ("{}\n", "{\n  \"env\": {\n    \"U\": \"u\",\n    \"K\": \"\"\n  },\n  \"helper\": \"h\"\n}\n"),
        (
            "{ }\r\n",
            "{\r\n  \"env\": {\r\n    \"U\": \"u\",\r\n    \"K\": \"\"\r\n  },\r\n  \"helper\": \"h\"\r\n}\r\n",
        ),
        (r#"{"a":1}"#, r#"{"a":1,"env":{"U":"u","K":""},"helper":"h"}"#),
        (
            r#"{"a": 1, "env": {"B": "b"}}"#,
            r#"{"a": 1, "env": {"B": "b", "U": "u", "K": ""}, "helper": "h"}"#,
        ),
        (
            "{\n\t\"a\": 1 // one\n}",
            "{\n\t\"a\": 1, // one\n\t\"env\": {\n\t\t\"U\": \"u\",\n\t\t\"K\": \"\"\n\t},\n\t\"helper\": \"h\"\n}",
        ),
        (
            "{\n    \"env\": {},\n    \"a\": 1,\n}\n",
            "{\n    \"env\": {\n        \"U\": \"u\",\n        \"K\": \"\"\n    },\n    \"a\": 1,\n    \"helper\": \"h\",\n}\n",
        ),
        (
            "{\n  \"env\": { /* none\n yet */ }\n}\n",
            "{\n  \"env\": { /* none\n yet */\n    \"U\": \"u\",\n    \"K\": \"\"\n  },\n  \"helper\": \"h\"\n}\n",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(through(text, &desired), expected, "{text}");
    }
}

/// J13: values that no Rust type can hold stay as they are.
#[test]
fn foreign_numbers_and_escapes_survive() {
    let text = r#"{"big": 9007199254740993, "huge": 1e400, "half": "\ud800", "\udc00": 1, "\udc01": "\u0000", "日本": "é\u00e9"}"#;
    let installed = through(text, &[wanted("env.U", "u")]);
    assert!(installed.starts_with(&text[..text.len() - 1]));
    let settings = Settings::parse(text.as_bytes()).unwrap();
    assert_eq!(settings.raw(&KeyPath::top("huge")), Some("1e400"));
    assert_eq!(settings.get(&KeyPath::top("half")), Some(json!(r#""\ud800""#)));
}

#[test]
fn values_are_read_past_comments_and_trailing_commas() {
    let settings =
        Settings::parse(b"\xef\xbb\xbf{\"a\": [1, /* , */ {\"b\": \"//\",},], \"env\": {\"N\": true}}")
            .unwrap();
    assert_eq!(settings.get(&KeyPath::top("a")), Some(json!([1, {"b": "//"}])));
    assert_eq!(settings.get(&KeyPath::env("N")), Some(json!(true)));
    assert_eq!(settings.get(&KeyPath::env("a")), None);
    assert_eq!(settings.env_names().collect::<Vec<_>>(), ["N"]);
}

/// J09 and the rule for foreign values.
#[test]
fn a_foreign_value_stays_unless_taken_over_and_comes_back() {
    let text = "{\n  \"env\": {\"U\": \"foreign\"}\n}\n";
    let settings = Settings::parse(text.as_bytes()).unwrap();
    let ours = wanted("env.U", "ours");
    assert_eq!(settings.foreign(std::slice::from_ref(&ours), &Ledger::default()), [KeyPath::env("U")]);
    assert_eq!(settings.foreign(&[wanted("env.U", "foreign")], &Ledger::default()), []);
    let (kept, ledger, next) = converge(text, std::slice::from_ref(&ours), &Ledger::default());
    assert_eq!((kept.as_str(), next.kept, ledger.is_empty()), (text, vec![KeyPath::env("U")], true));
    let taken = through(text, &[DesiredValue { take_over: true, ..ours }]);
    assert_eq!(taken, text.replace("foreign", "ours"));
}

#[test]
fn several_installs_still_lead_back_to_the_first_file() {
    let text = "{\r\n\t\"a\": 1\r\n}";
    let rounds: [&[DesiredValue]; 4] = [
        &[wanted("env.A", "1"), wanted("env.B", "2"), wanted("helper", "x")],
        &[wanted("helper", "x"), wanted("env.B", "3")],
        &[],
        &[wanted("env.C", "4")],
    ];
    let (mut today, mut ledger) = (text.to_owned(), Ledger::default());
    for desired in rounds {
        (today, ledger, _) = converge(&today, desired, &ledger);
        let (same, _, next) = converge(&today, desired, &ledger);
        assert_eq!((same, next.changed), (today.clone(), vec![]), "a second time changes nothing");
    }
    assert_eq!(converge(&today, &[], &ledger).0, text);
}

/// Claude Code writes the whole file again, with a key of its own.
#[test]
fn after_another_program_wrote_the_file_only_the_keys_of_gwinstall_go() {
    let (installed, ledger, _) =
        converge("{\"a\": 1}", &[wanted("env.U", "u"), wanted("helper", "h")], &Ledger::default());
    let mut value: Value = serde_json::from_str(&installed).unwrap();
    value["model"] = json!("opus");
    let rewritten = serde_json::to_string_pretty(&value).unwrap();
    let (same, again, _) = converge(&rewritten, &[wanted("helper", "h"), wanted("env.U", "u")], &ledger);
    assert_eq!(same, rewritten, "nothing to do, nothing written");
    let (back, ..) = converge(&rewritten, &[], &again);
    assert_eq!(back, "{\n  \"a\": 1,\n  \"model\": \"opus\"\n}");
}

#[test]
fn a_key_that_the_user_changed_since_stays_and_is_reported() {
    let desired = [wanted("env.U", "u"), wanted("env.V", "v"), wanted("env.W", "w")];
    let (installed, ledger, _) = converge("{}\n", &desired, &Ledger::default());
    let edited = installed.replace("\"u\"", "\"mine\"").replace("    \"W\": \"w\"\n", "    \"X\": \"x\"\n");
    let (updated, _, next) = converge(&edited, &desired, &ledger);
    assert_eq!(next.kept, [KeyPath::env("U")]);
    assert_eq!(next.changed, [KeyPath::env("W")], "a deleted key comes back");
    assert!(updated.contains("\"U\": \"mine\""));
    let (back, ledger, next) = converge(&edited, &[], &ledger);
    assert_eq!(back, "{\n  \"env\": {\n    \"U\": \"mine\",\n    \"X\": \"x\"\n  }\n}\n");
    assert_eq!(next.kept, [KeyPath::env("U"), KeyPath::env("W")]);
    assert!(ledger.is_empty());
    let forced = desired.map(|wanted| DesiredValue { take_over: true, ..wanted });
    let (_, ledger, _) = converge(&edited, &forced, &Ledger::parse(&next.ledger.to_text().unwrap()).unwrap());
    let settings = Settings::parse(converge(&edited, &forced, &ledger).0.as_bytes()).unwrap();
    assert_eq!(settings.get(&KeyPath::env("U")), Some(json!("u")));
}

#[test]
fn what_is_taken_over_later_comes_back_as_the_user_left_it_last() {
    let (installed, ledger, _) = converge(
        "{\"helper\": \"first\"}",
        &[DesiredValue { take_over: true, ..wanted("helper", "ours") }],
        &Ledger::default(),
    );
    let edited = installed.replace("ours", "second");
    let (forced, ledger, _) =
        converge(&edited, &[DesiredValue { take_over: true, ..wanted("helper", "ours") }], &ledger);
    assert!(forced.contains("ours"));
    assert_eq!(converge(&forced, &[], &ledger).0, edited);
}

#[test]
fn a_file_of_ours_goes_when_it_says_nothing_any_more() {
    let desired = [wanted("env.U", "u")];
    let created = Settings::absent().converge(&desired, &Ledger::default()).unwrap();
    assert_eq!(created.bytes, b"{\n  \"env\": {\n    \"U\": \"u\"\n  }\n}\n");
    let settings = Settings::parse(&created.bytes).unwrap();
    assert!(settings.converge(&[], &created.ledger).unwrap().remove_file);
    let text =
        String::from_utf8(created.bytes).unwrap().replace("{\n  \"env", "{\n  \"model\": \"opus\",\n  \"env");
    let (back, _, next) = converge(&text, &[], &created.ledger);
    assert_eq!((back.as_str(), next.remove_file), ("{\n  \"model\": \"opus\"\n}\n", false));
    let (_, _, next) = converge("{}\n", &[], &Ledger::default());
    assert!(!next.remove_file, "an empty file of the user's stays");
}

#[test]
fn a_key_that_must_be_absent_is_removed_and_given_back() {
    let text = "{\n  \"env\": {\"A\": \"1\", \"B\": \"2\"}\n}\n";
    let gone = DesiredValue { path: KeyPath::env("A"), value: None, take_over: true, optional: false };
    assert_eq!(through(text, &[gone]), "{\n  \"env\": {\"B\": \"2\"}\n}\n");
}

#[test]
fn a_broken_or_newer_ledger_is_refused_without_showing_it() {
    assert!(Ledger::parse("{\"schema\": 2}").unwrap_err().contains("schema 2"));
    for text in ["", "{}", "{\"schema\": 1, \"keys\": {\"env.T\": \"hunter2\"}}"] {
        assert!(!Ledger::parse(text).unwrap_err().contains("hunter2"));
    }
    let forged = r#"{"schema": 1, "keys": {"a": {"before": null, "set": null}}, "exact": {"written": "%", "original": "%",
        "splices": [{"at": 18446744073709551615, "ins": 9, "del": "x"}]}}"#;
    let text = "{\"a\": 1}";
    let forged =
        Ledger::parse(&forged.replace('%', &crate::domain::Sha256::of(text.as_bytes()).to_string())).unwrap();
    assert_eq!(converge(text, &[], &forged).0, text, "a way back that does not fit is not taken");
}

#[test]
fn debug_output_and_the_ledger_hold_no_value_of_ours() {
    let (installed, ledger, _) = converge(
        "{\"env\": {\"T\": \"old-secret\"}}",
        &[DesiredValue { take_over: true, ..wanted("env.T", "hunter2") }],
        &Ledger::default(),
    );
    assert!(installed.contains("hunter2"));
    assert!(!ledger.to_text().unwrap().contains("hunter2"));
    assert!(ledger.to_text().unwrap().contains("old-secret"), "the only copy of what the user had");
    assert!(!format!("{ledger:?} {:?}", wanted("env.T", "hunter2")).contains("hunter2"));
    assert!(!format!("{ledger:?}").contains("old-secret"));
}
