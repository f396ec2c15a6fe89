//! Places, merge keys, limits, and the words in which a text is refused.

use super::*;

fn refused(text: &str) -> YamlError {
    match Doc::parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error,
    }
}

#[test]
fn every_node_knows_its_place() {
    let doc = Doc::parse("\u{feff}# é\r\nmodel_list:\r\n  - 日本: [a, \"b c\"]\r\n").unwrap();
    let list = doc.root().unwrap().get("model_list").unwrap();
    let (key, value) = list.seq().unwrap().next().unwrap().entry("日本").unwrap();
    assert_eq!(key.place(), Place { line: 3, column: 5, len: 2 });
    assert_eq!(value.seq().unwrap().nth(1).unwrap().place(), Place { line: 3, column: 13, len: 5 });
}

#[test]
fn a_duplicate_key_names_both_lines() {
    let error = refused("a:\n  b: 1\n  c: 2\n  'b': 3\n");
    assert_eq!((error.line, error.column, error.len), (4, 3, 3));
    assert_eq!(error.why, "duplicate key \"b\", first on line 2");
    let (doc, duplicates) = Doc::read("a: 1\na: 2\nb: {c: 1, c: 2}\n").unwrap();
    assert_eq!(duplicates.len(), 2);
    assert_eq!(doc.root().unwrap().get("a").unwrap().written(), Some("2"));
}

#[test]
fn merge_keys_follow_their_order_of_precedence() {
    let text = "x: &x {k: 1, l: 1}\ny: &y {k: 2, m: 2}\nz:\n  l: 3\n  <<: [*x, *y]\n";
    let doc = Doc::parse(text).unwrap();
    let z = doc.root().unwrap().get("z").unwrap();
    let number = |key| z.get(key).and_then(Node::scalar).cloned();
    assert_eq!([number("k"), number("l"), number("m")], [1, 3, 2].map(|n| Some(Scalar::Int(n))));
    assert_eq!(z.entries().count(), 1);
    assert_eq!(z.to_value().to_string(), r#"{"k": 1, "l": 3, "m": 2}"#);
    assert_eq!(z.get("k").unwrap().place().line, 1);
}

/// T01.
#[test]
fn aliases_cannot_explode_or_turn_in_a_circle() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(", ")));
    }
    assert!(refused(&bomb).why.contains("aliases expand"), "{}", refused(&bomb));
    assert!(refused("a: &a [*a]\n").why.contains("inside its own target"));
    assert!(refused("a: &a {b: {c: *a}}\n").why.contains("inside its own target"));
    let many = format!("a: &a 1\nb: [{}]\n", vec!["*a"; 129].join(", "));
    assert!(refused(&many).why.contains("more than 128 aliases"));
    assert!(Doc::parse(&many.replacen("*a, ", "", 1)).is_ok());
    assert!(refused("a: *nobody\n").line == 1);
}

#[test]
fn deep_nesting_is_refused_and_not_a_crash() {
    for open in ["[", "{a: ", "- ", "? "] {
        let error = refused(&format!("{}1", open.repeat(10_000)));
        assert!(!error.why.is_empty(), "{open}");
    }
    assert!(Doc::parse(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).is_ok());
    assert!(refused(&format!("{}1{}", "[".repeat(101), "]".repeat(101))).why.contains("deeper than 100"));
}

/// T02.
#[test]
fn what_readers_would_read_differently_is_refused_where_it_stands() {
    let rows = [
        ("a: 1\n\tb: 2\n", 2, 1, "tab"),
        ("a:\n\tb: 2\n", 2, 1, "tab"),
        ("a: 1 \t# c\n", 1, 6, "tab"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
        ("%YAML 1.2\n---\na: 1\n", 1, 1, "directive"),
        ("a: b\u{85}c\n", 1, 5, "line separator"),
        ("a: b\rc\n", 1, 5, "carriage return"),
        ("a: \0\n", 1, 4, "control character"),
        ("a: b\u{feff}\n", 1, 5, "byte order mark"),
        ("a: !python/object:x {}\n", 1, 21, "a tag"),
        ("a: =\n", 1, 4, "lone ="),
        ("a: 2026-13-01\n", 1, 4, "looks like a date"),
        ("{[a]: b}\n", 1, 2, "cannot be a key"),
        ("a: {<<: 1}\n", 1, 9, "<< merges a mapping"),
    ];
    for (text, line, column, why) in rows {
        let error = refused(text);
        assert!(error.why.contains(why), "{text:?}: {error}");
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
    }
}

#[test]
fn values_are_equal_whatever_the_order_and_spelling() {
    let value = |text| Doc::parse(text).unwrap().to_value();
    assert_eq!(value("a: 1\nb: [x]\n"), value("{\"b\": ['x'], 'a': 0x1}"));
    assert_ne!(value("a: 1"), value("a: 1.0"));
    assert_ne!(value("a: no"), value("a: 'no'"));
    assert_eq!(value("a: .nan"), value("a: .NaN"));
    assert_eq!(value("a: [1, 2]").at("a").and_then(Value::as_seq).map(<[Value]>::len), Some(2));
    assert_ne!(value("[1, 2]"), value("[2, 1]"));
    assert_eq!(value(""), Value::Scalar(Scalar::Null));
}

/// The mistakes that people make most, in words that say what to do.
#[test]
fn syntax_errors_speak_of_the_file_and_not_of_the_parser() {
    let rows = [
        ("a: b: c\n", 1, "quote the value"),
        ("a: 1\n  b: 2\n", 2, "check the indentation"),
        ("a: 'x\nb: 1\n", 2, "a quote above"),
        ("a: [1, 2\nb: 1\n", 2, "a [ or { above"),
        ("a: {b: 1\nc: 2\n", 2, "a { above"),
        ("a:\n  - x\n - y\n", 3, "not indented like"),
        ("- a\nb: 1\n", 2, "not indented like the list"),
        ("  a: 1\nb: 2\n", 2, "not indented like"),
        ("a: @x\n", 1, "put it in quotes"),
        ("a: \"\\q\"\n", 1, "use single quotes"),
        ("a: *x\n", 1, "no anchor of this name"),
        ("a: |\nb\n", 2, "a key without"),
        ("key: [a, b\n", 1, "unclosed bracket"),
    ];
    for (text, line, why) in rows {
        let error = refused(text);
        assert!(error.why.contains(why) && error.line == line, "{text:?}: {error}");
    }
}
