//! The file read, edited and written, one promise a test.

use super::*;

/// What one line gives: a value, or the reason why not.
fn one(line: &str) -> Result<String, String> {
    let file = DotEnv::parse(line);
    match file.get("K") {
        Some(value) => Ok(value.to_owned()),
        None => Err(file.problems().into_iter().map(|problem| problem.why).collect::<Vec<_>>().join("; ")),
    }
}

/// E01, E02: the table of accepted forms.
#[test]
fn accepted_forms_read_as_the_table_says() {
    let rows = [
        ("K=v", "v"),
        ("export K=v", "v"),
        ("export\tK=v", "v"),
        ("  K=v  ", "v"),
        ("K=v # note", "v"),
        ("K=v\t# it's a note", "v"),
        ("K=v#c", "v#c"),
        ("K=#c", "#c"),
        ("K=", ""),
        ("K=   # note", ""),
        ("K=''", ""),
        ("K='a $b `c` # d \\n !'", "a $b `c` # d \\n !"),
        ("K='v' # note", "v"),
        ("K=\"a b # c\"", "a b # c"),
        ("K=\"it's\"", "it's"),
        ("K=a=b==", "a=b=="),
        ("K=https://user@h:1/p?q", "https://user@h:1/p?q"),
        ("K=a!b", "a!b"),
        ("K=é", "é"),
        ("K=v\r\n", "v"),
        ("\u{feff}K=v", "v"),
    ];
    for (line, value) in rows {
        assert_eq!(one(line).as_deref(), Ok(value), "{line:?}");
    }
}

/// E01, E02, E03: everything else is absent, with a reason that names the cause.
#[test]
fn other_forms_are_absent_with_a_reason() {
    let rows = [
        ("K=$(curl x; sh)", "a shell would expand it"),
        ("K=`id`", "a shell would expand it"),
        ("K=${A:-b}", "a shell would expand it"),
        ("K=\"$A\"", "a shell would expand it"),
        ("K=\"a\\n\"", "a backslash in double quotes"),
        ("K=a\\b", "a backslash without quotes"),
        ("K=~/x", "expand ~"),
        ("K=/a:~/b", "expand ~"),
        ("K=a b", "a space in a value"),
        ("K=a;b", "operator"),
        ("K=a\"b\"", "a quote inside"),
        ("K='a'b", "text after the closing quote"),
        ("K='a'#b", "text after the closing quote"),
        ("K= v", "a space after the ="),
        ("K = v", "a space before the ="),
        ("K", "there is no ="),
        ("K:v", "there is no ="),
        ("=v", "no key"),
        ("1K=v", "not the name"),
        ("K+=v", "not the name"),
        ("K-A=v", "not the name"),
        ("K='a", "never closed"),
        ("K=\"a\\\"", "never closed"),
        ("K=a\0b", "control character"),
        ("K=a\u{1b}[2J", "control character"),
        ("K=a\rb", "control character"),
    ];
    for (line, why) in rows {
        let seen = one(line).expect_err(line);
        assert!(seen.contains(why), "{line:?}: {seen}");
    }
}

#[test]
fn lines_inside_a_value_that_began_earlier_are_not_assignments() {
    for text in [
        "A='x\nK=1\ny'\nB=2\n",
        "A=x \\\nK=1\nB=2\n",
        "A=\"x\nK=\\\"1\ny\"\nB=2\n",
        "A=$(cat <<-'E'\nK=1\n\tE\nB=2\n",
    ] {
        let file = DotEnv::parse(text);
        assert_eq!(file.get("A"), None, "{text}");
        assert_eq!(file.get("K"), None, "{text}");
        assert_eq!(file.get("B"), Some("2"), "{text}");
        assert_eq!(file.problems().len(), 1, "{text}: {:?}", file.problems());
        assert_eq!(file.to_text(), text);
    }
}

/// E05: the last one wins and the first is reported; a last one that cannot be read hides the earlier.
#[test]
fn of_duplicates_the_last_holds_and_the_others_are_reported() {
    let file = DotEnv::parse("K=1\nA=0\nK=2\n");
    assert_eq!(file.get("K"), Some("2"));
    let problem = &file.problems()[0];
    assert_eq!((problem.line, problem.key.as_deref()), (1, Some("K")));
    assert!(problem.why.contains("line 3"), "{problem:?}");
    assert_eq!(DotEnv::parse("K=1\nK=$A\n").get("K"), None);
}

#[test]
fn set_keeps_every_other_byte() {
    let text = "\u{feff}# mine\r\nexport K='old' # why\r\nodd line\r\n#N=CHANGE-ME-N\r\nlast='no end'";
    let mut file = DotEnv::parse(text);
    file.set("K", "new value").unwrap();
    file.set("N", "filled").unwrap();
    file.set("added", "1").unwrap();
    file.set("added", "2").unwrap();
    assert_eq!(
        file.to_text(),
        "\u{feff}# mine\r\nexport K='new value' # why\r\nodd line\r\nN=filled\r\nlast='no end'\r\nadded=2\r\n"
    );
    assert_eq!(DotEnv::parse(&file.to_text()).get("N"), Some("filled"));
}

#[test]
fn a_value_set_after_an_unreadable_line_wins_and_the_line_stays() {
    let mut file = DotEnv::parse("#K=CHANGE-ME-K\nK=$(pass show k)\n");
    file.set("K", "v").unwrap();
    assert_eq!(file.to_text(), "#K=CHANGE-ME-K\nK=$(pass show k)\nK=v\n");
    assert_eq!(file.get("K"), Some("v"));
}

#[test]
fn a_placeholder_is_added_once_and_is_no_value() {
    let mut file = DotEnv::parse("A=1\n");
    file.placeholder("A");
    file.placeholder("B");
    file.placeholder("B");
    file.placeholder("not a name");
    assert_eq!(file.to_text(), "A=1\n#B=CHANGE-ME-B\n");
    assert_eq!(file.get("B"), None);
    assert_eq!(DotEnv::parse(&file.to_text()).placeholders().collect::<Vec<_>>(), [("B", 2)]);
}

#[test]
fn remove_takes_every_readable_line_of_the_key() {
    let mut file = DotEnv::parse("K=1\n# K=3\nKK=4\nK=2");
    assert!(file.remove("K"));
    assert!(!file.remove("K"));
    assert_eq!(file.to_text(), "# K=3\nKK=4\n");
}

#[test]
fn comments_cannot_smuggle_in_an_assignment() {
    let mut file = DotEnv::default();
    file.comment("one\ntwo\rK=1\n\nthree");
    assert_eq!(file.to_text(), "# one\n# two K=1\n\n# three\n");
}

/// E09: what no form can carry is refused, never bent.
#[test]
fn quote_is_bare_or_single_or_refused() {
    for (value, written) in [
        ("", ""),
        ("a-b_C.1/:@%+=,", "a-b_C.1/:@%+=,"),
        ("a b", "'a b'"),
        ("a$b\"#", "'a$b\"#'"),
        ("é", "'é'"),
        ("~", "'~'"),
    ] {
        assert_eq!(quote(value).as_deref(), Ok(written));
        assert_eq!(needs_quotes(value), written.starts_with('\''));
    }
    for value in ["it's", "a\nb", "a\rb", "a\0b", "a\tb", "\u{85}", "a\\"] {
        assert!(quote(value).is_err(), "{value:?}");
        assert!(DotEnv::default().set("K", value).is_err());
    }
    assert!(DotEnv::default().set("a b", "v").is_err());
}

#[test]
fn debug_output_and_problems_hold_no_value() {
    let file = DotEnv::parse("K=hunter2\nL=\"hunter2$\"\nhunter2 = x");
    assert!(!format!("{file:?} {:?}", file.problems()).contains("=hunter2"));
    assert!(!format!("{:?}", file.entries().collect::<Vec<_>>()).contains("hunter2"));
}

#[test]
fn a_ten_megabyte_line_and_many_lines_are_read_in_one_pass() {
    let long = format!("K={}\n", "x".repeat(10 << 20));
    assert_eq!(DotEnv::parse(&long).get("K").map(str::len), Some(10 << 20));
    let many: String = (0..50_000).map(|n| format!("K{n}=1\nL=<<E{n}\nE{n}\n")).collect();
    let file = DotEnv::parse(&many);
    assert_eq!(file.entries().count(), 50_000);
    assert_eq!(file.problems().len(), 50_000);
}

/// A value left open by the user swallows what comes after it, for a shell as for us: nothing is written there that
/// would not be read, or that would close it.
#[test]
fn nothing_is_written_into_what_an_earlier_line_leaves_open() {
    for (text, value) in [
        ("B=1\nK=a\\", "v"),
        ("K=$(cat <<E\n", "v"),
        ("K='a\nB=1\n", "v w"),
        ("K='a\nB=1\nA=2\n", "v w"),
        ("A='v w'\nK='a\nB=1\nA=2\n", "v w"),
    ] {
        let mut file = DotEnv::parse(text);
        let why = file.set("A", value).unwrap_err().to_string();
        assert!(why.contains("would swallow it"), "{why}");
        assert_eq!(file.to_text(), text);
    }
    let mut file = DotEnv::parse("K=a\\");
    file.placeholder("A");
    assert_eq!(file.to_text(), "K=a\\");
    let mut file = DotEnv::parse("K='a\nB=1\n");
    file.comment("it's yours\nfill it in");
    assert_eq!(file.to_text(), "K='a\nB=1\n# fill it in\n");
    file.set("A", "v").unwrap();
    let read = DotEnv::parse(&file.to_text());
    assert_eq!((read.get("A"), read.get("B")), (Some("v"), Some("1")));
}
