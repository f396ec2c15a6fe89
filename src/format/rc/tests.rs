//! What is taken, what is skipped and why, and how far a file can be followed.

use super::*;

/// A value, or a part of the reason against it.
type Expected<'a> = Option<(usize, Result<&'a str, &'a str>)>;

fn check(dialect: Dialect, rows: &[(&str, Expected<'_>)]) {
    for (text, expected) in rows {
        let found = scan(text, dialect, "A");
        let seen =
            found.as_ref().map(|found| (found.line, found.value.as_deref().map_err(ToString::to_string)));
        match (&seen, expected) {
            (Some((line, Err(why))), Some((at, Err(part)))) if line == at && why.contains(part) => {}
            (Some((line, Ok(value))), Some((at, Ok(wanted)))) if line == at && value == wanted => {}
            (None, None) => {}
            _ => panic!("{text}\ngives {seen:?}, not {expected:?}"),
        }
    }
}

/// D-130, E06.
#[test]
fn posix_exports_are_found_where_they_stand() {
    let rows: &[(&str, Expected<'_>)] = &[
        ("export A=b", Some((1, Ok("b")))),
        ("\n\texport A='b $c # d' # e\n", Some((2, Ok("b $c # d")))),
        ("export A=\"b c\"", Some((1, Ok("b c")))),
        ("A=b\n\nexport A\n", Some((1, Ok("b")))),
        ("export A # which is set below\nA=b\n", Some((2, Ok("b")))),
        ("typeset -gx A=b", Some((1, Ok("b")))),
        ("declare -x A=b", Some((1, Ok("b")))),
        ("export A=1\nexport A=2", Some((2, Ok("2")))),
        ("export A=1\nA=2", Some((2, Ok("2")))),
        ("export A=\r\nexport A=b\r\n", Some((2, Ok("b")))),
        ("export A=b#c", Some((1, Ok("b#c")))),
        ("export A='https://h/x?y=1&z={0}'", Some((1, Ok("https://h/x?y=1&z={0}")))),
        ("export A=c2VjcmV0==", Some((1, Ok("c2VjcmV0==")))),
        ("cat <<E\nexport A=1\nE\nexport A=2", Some((4, Ok("2")))),
        ("PS1='it''s $(x)'; export PS1\nexport A=b", Some((2, Ok("b")))),
        ("export A=b\necho \"$A ${A} is set\"; [ -n \"$A\" ]", Some((1, Ok("b")))),
        ("export A=b\nalias other='A=c command'\nexport AB=1 B_A=2", Some((1, Ok("b")))),
    ];
    check(Dialect::Posix, rows);
}

#[test]
fn posix_values_that_need_a_shell_are_skipped() {
    for value in [
        "$B",
        "\"$B\"",
        "`id`",
        "$(id)",
        "${B:-c}",
        "$'a'",
        "~/x",
        "/a:~/b",
        "{a,b}",
        "(a b)",
        "\"a`id`\"",
        "=ls",
    ] {
        check(Dialect::Posix, &[(&format!("export A={value}\nexport B=1"), Some((1, Err("not used: "))))]);
    }
    let rows: &[(&str, Expected<'_>)] = &[
        ("export A=$B", Some((1, Err("a shell would expand it")))),
        ("export A=\"b c\\\"d\"", Some((1, Err("a backslash in double quotes")))),
        ("export A=b\\ c'd'\"e\"", Some((1, Err("a backslash without quotes")))),
        ("export A='a\tb'", Some((1, Err("bytes that are not text")))),
        ("export A='a\nb'", Some((1, Err("may not run")))),
        ("export A='a\nb'\nexport A=c", Some((3, Ok("c")))),
    ];
    check(Dialect::Posix, rows);
}

#[test]
fn lines_of_another_form_are_skipped() {
    let texts = [
        "export A+=b",
        "export B=1 A=b",
        "A=b; export A",
        "export A=b; export B=c",
        "export -n A=b",
        "export -f A",
        "typeset A=b",
        "typeset -Z3 A=b",
        "readonly A=b",
        "unset A",
        "read A",
        "true && export A=b",
        "[ -n \"$X\" ] && export A=b",
        "true || export A=b",
        "eval 'export A=b'",
        "A=b command",
        "export A B",
        "echo x; export A=b",
        "export A=b | cat",
        "export A=b >/dev/null",
        "export A=b &",
        "export A=b c=d",
    ];
    for text in texts {
        check(Dialect::Posix, &[(text, Some((1, Err("not used: "))))]);
        check(Dialect::Posix, &[(&format!("export A=older\n{text}"), Some((2, Err("not used: "))))]);
    }
    check(Dialect::Posix, &[("A=b", Some((1, Err("does not export it"))))]);
    check(Dialect::Posix, &[("set -a\nA=b\nset +a", Some((2, Err("does not export it"))))]);
    check(Dialect::Posix, &[("export A=1\nunset A\nA=2", Some((3, Err("does not export it"))))]);
}

#[test]
fn what_may_not_run_is_skipped() {
    let texts = [
        "if true; then\nexport A=b\nfi",
        "f() {\n export A=b\n}",
        "f()\nexport A=b",
        "function f {\nexport A=b\n}",
        "true &&\nexport A=b",
        "true | # c\nexport A=b",
        "(\nexport A=b\n)",
        "case $x in y)\nexport A=b\nesac",
        "while read x; do\nexport A=b\ndone",
        "echo \\\nexport A=b",
        "[[ x ]] && {\nexport A=b\n}",
        "exit\nexport A=b",
    ];
    for text in texts {
        check(Dialect::Posix, &[(text, Some((2, Err("may not run"))))]);
        check(Dialect::Posix, &[(&format!("{text}\n\n:"), Some((2, Err("may not run"))))]);
    }
    let after = "if x; then :; fi; f() { :; }; [ x ] && y\ncase x in a) ;; (a|b) ;; esac\nexport A=b";
    check(Dialect::Posix, &[(after, Some((3, Ok("b"))))]);
}

#[test]
fn what_does_not_name_the_variable_is_not_found() {
    let texts = [
        "# export A=b",
        "echo export A=b",
        "alias x='export A=b'",
        "export B=\"$A\" C=${A}",
        "export AB=1; export B_A=2",
        "export $A",
    ];
    for text in texts {
        check(Dialect::Posix, &[(text, None)]);
    }
}

/// Text in which such a line stands is not taken for it, and nothing is missed behind it.
#[test]
fn texts_are_not_commands() {
    let texts = [
        "echo 'multi\nexport A=b\n'",
        "echo \"$(echo \"x\nexport A=b\")\"",
        "cat <<'E'\nexport A=b\nE",
        "cat <<-E\nexport A=b\n\tE",
        "cat <<\"E\" | x\nexport A=b\nE",
        "x=(\nexport A=b\n)",
    ];
    for text in texts {
        check(Dialect::Posix, &[(text, Some((2, Err("may not run"))))]);
        let lines = text.lines().count();
        check(Dialect::Posix, &[(&format!("{text}\nexport A=c"), Some((lines + 1, Ok("c"))))]);
    }
}

const LIST: [&str; 4] = [
    "plugins=(\n  git # don't\n)",
    "path=( $path # the user's\n  /usr/local/bin )",
    "declare -a x=(\n  'a b' \"c\" # it's\n  $(echo \"1\") # \"\n)",
    "fpath+=(\n# can't\n\n~/x/*(N) )",
];
const SHIFT: [&str; 4] =
    ["(( y = 1 << 3 ))", "y=$((1<<3))", "if ((x << 2)); then :; fi", "x=\"$(( (1 << z) + 2 ))\""];
const INDEX: [&str; 4] = ["a[1<<2]=3", "a[$((x<<2))]='it'", "b=1; arr[x << 1]=\"y\"", "c[1<<2]+=4 # isn't"];
const PARAMETER: [&str; 4] = [
    "y=\"${x:-it\\'s}\"",
    "z=\"${x//'a b'/_} ${x:-\"$z\"} \"",
    "echo \"a ${y-b} don't\" # \"",
    "w=${x:-it\\'s}${x#*#}",
];
const SUBSTITUTION: [&str; 4] = [
    "x=$(\n  # don't\n  echo 1\n)",
    "x=\"$(\n  echo \"a\" # it's\n)\"",
    "eval \"$(if true; then echo \"export B='1'\"; fi)\"",
    "x=$(case $y in a) echo 1 ;; (b) echo 2 ;; esac)",
];
const HEREDOC: [&str; 4] = [
    "cat <<'E O'\nexport A=no\nE O",
    "cat <<\"END OF IT\" >x\nit's\nexport A=no\nEND OF IT",
    "cat <<-'E F' | sort\n\tit's\n\texport A=no\n\tE F",
    "cat <<E <<'F G'\nexport A=no\nE\nit's\nF G",
];
const MARK: [&str; 1] = ["\u{feff}#"];

/// Each of these once hid every line below it.
#[test]
fn what_stands_above_does_not_hide_an_export() {
    for above in [&LIST[..], &SHIFT, &INDEX, &PARAMETER, &SUBSTITUTION, &HEREDOC, &MARK].concat() {
        let text = format!("{above}\nexport A=p1\n");
        check(Dialect::Posix, &[(&text, Some((above.lines().count() + 1, Ok("p1"))))]);
    }
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_line() {
    let rows: &[(&str, Expected<'_>)] = &[
        ("\u{feff}export A=p1\n", Some((1, Ok("p1")))),
        ("\u{feff}export A=p1\r\n# c\r\n", Some((1, Ok("p1")))),
        ("\u{feff}A=p1\nexport A\n", Some((1, Ok("p1")))),
        ("\u{feff}export A=p1 # \u{feff}", Some((1, Ok("p1")))),
    ];
    check(Dialect::Posix, rows);
    check(Dialect::Fish, &[("\u{feff}set -gx A p1\n", Some((1, Ok("p1"))))]);
}

/// The reader of the file puts U+FFFD for what is not UTF-8.
#[test]
fn a_value_in_another_encoding_is_skipped_and_a_comment_in_one_is_not_in_the_way() {
    let latin1 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for bytes in
        [&b"export A=proj-\xe9"[..], b"export A='\xe9t\xe9'", b"export A=\"x\xfcy\" # z", b"A=\xff\nexport A"]
    {
        check(Dialect::Posix, &[(&latin1(bytes), Some((1, Err("not text"))))]);
    }
    check(Dialect::Posix, &[(&latin1(b"# caf\xe9\nexport A=b\nexport B=\xe9"), Some((2, Ok("b"))))]);
    check(Dialect::Fish, &[(&latin1(b"set -gx A proj-\xe9"), Some((1, Err("not text"))))]);
}

/// How people switch between providers: what a function would set is not what the shell has.
#[test]
fn the_body_of_a_function_is_skipped() {
    let texts = [
        "kimi() {\n  export A=https://other.example/anthropic\n  claude \"$@\"\n}",
        "function kimi {\n  export A=other; claude\n}",
        "kimi () (\n  export A=other\n  claude\n)",
        "kimi() {\n  A=other claude\n}\nalias k=kimi",
        "kimi()\n{ export A=other; claude; }",
    ];
    for text in texts {
        check(Dialect::Posix, &[(text, Some((2, Err("a function"))))]);
    }
    let oneliner = "kimi() { export A=other; claude }";
    check(
        Dialect::Posix,
        &[(oneliner, Some((1, Err("not used: ")))), (&format!("{oneliner}\nexport A=b"), Some((2, Ok("b"))))],
    );
    check(
        Dialect::Fish,
        &[("function kimi\n  set -gx A other\n  claude\nend", Some((2, Err("a function"))))],
    );
}

/// Where the reader cannot follow, nothing is taken, and each line that would count says so.
#[test]
fn a_file_that_cannot_be_followed_is_not_used() {
    let texts = [
        "export A=b\nx='",
        "export A=b\ncat <<E\n",
        "export A=b\nfi",
        "export A=b\nif x; then",
        "export A=b\n)",
        "export A=b\nforeach x (1 2)\nend",
        "export A=b\n}",
        "export A=b\ncat <<E &&\n\\\nE\n",
    ];
    for text in texts {
        check(Dialect::Posix, &[(text, Some((1, Err("past line 2"))))]);
    }
    check(
        Dialect::Posix,
        &[("x='\nexport A=b\n", Some((2, Err("past line 1")))), ("x='\nexport B=b\n", None)],
    );
    check(Dialect::Fish, &[("set -gx A b\nend", Some((1, Err("past line 2"))))]);
}

#[test]
fn fish_exports_follow_the_rules_of_fish() {
    let rows: &[(&str, Expected<'_>)] = &[
        ("set -gx A b", Some((1, Ok("b")))),
        ("set -x -g A 'b c' # d", Some((1, Ok("b c")))),
        ("set --export --global A 'b # c'", Some((1, Ok("b # c")))),
        ("set -Ux A \"b c\"", Some((1, Ok("b c")))),
        ("export A=b", Some((1, Ok("b")))),
        ("set -gx A", Some((1, Ok("")))),
        ("set -gx A $B", Some((1, Err("expand")))),
        ("set -gx A (cat x)\nset -gx B 1", Some((1, Err("not used: ")))),
        ("set -gx A ~/x", Some((1, Err("expand")))),
        ("set -gx A x*y", Some((1, Err("expand")))),
        ("set -gx A 'b\\'c'", Some((1, Err("the quotes end elsewhere")))),
        ("set -gx A 'b\\' # c'", Some((1, Err("the quotes end elsewhere")))),
        ("set -gx A 'b\\\\c\\n'", Some((1, Ok("b\\c\\n")))),
        ("set -gx A \"b\\\\c\"", Some((1, Err("a backslash")))),
        ("set -gx A \"b*\"", Some((1, Ok("b*")))),
        ("set -gx A b c", Some((1, Err("a space")))),
        ("set -ax A b", Some((1, Err("whole lines")))),
        ("set -gx A b; set -e A", Some((1, Err("not used: ")))),
        ("set -gx A b\nset -e A", Some((2, Err("whole lines")))),
        ("set -g A b", Some((1, Err("whole lines")))),
        ("set -lx A b", Some((1, Err("whole lines")))),
        ("set -q A; or set B 1", Some((1, Err("whole lines")))),
        ("A=b", Some((1, Err("whole lines")))),
        ("if test x\n set -gx A b\nend", Some((2, Err("may not run")))),
        ("begin\n set -gx A b\nend", Some((2, Err("may not run")))),
        ("test x; and set -gx A b", Some((1, Err("whole lines")))),
        ("test x &&\nset -gx A b", Some((2, Err("may not run")))),
        ("if x\nelse if y\nend\nset -gx A b", Some((4, Ok("b")))),
        ("set x (if true; echo 1; end)\necho \"$(echo 'it\\'s')\"\nset -gx A b", Some((3, Ok("b")))),
        ("set -gx $A c; set B c", None),
        ("# set -gx A b", None),
    ];
    check(Dialect::Fish, rows);
}

#[test]
fn debug_output_holds_no_value() {
    let found = scan("export A=hunter2", Dialect::Posix, "A");
    assert!(found.is_some() && !format!("{found:?}").contains("hunter2"));
}

#[test]
fn universal_variables_of_fish_are_exported_or_not() {
    let rows: &[(&str, Expected<'_>)] = &[
        ("# VERSION: 3.0\nSETUVAR --export A:p1", Some((2, Ok("p1")))),
        ("SETUVAR --export A:a\\x20b\\x3ac\\\\d", Some((1, Ok("a b:c\\d")))),
        ("SETUVAR --export --path A:/a", Some((1, Ok("/a")))),
        ("SETUVAR A:p1", Some((1, Err("does not export it")))),
        ("SETUVAR --export A:a\\x1eb", Some((1, Err("it is a list")))),
        ("SETUVAR --export A:\\x0a", Some((1, Err("not text")))),
        ("SETUVAR --export AB:1\nSETUVAR --export B:A", None),
    ];
    check(Dialect::FishVariables, rows);
}

#[test]
fn each_line_of_environment_d_is_exported() {
    let rows: &[(&str, Expected<'_>)] = &[
        ("B=1\nA=p1\n", Some((2, Ok("p1")))),
        ("A=1\nA='p 1'", Some((2, Ok("p 1")))),
        ("A=$B", Some((1, Err("expand")))),
        ("#A=1\nAB=2", None),
    ];
    check(Dialect::EnvironmentD, rows);
}
