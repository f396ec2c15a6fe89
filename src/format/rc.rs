//! Variables that a shell rc file exports: found by reading, never by running.
//!
//! Promises: nothing is evaluated and no other file is opened. A value that a shell would have to compute (`$`, a
//! backtick, `~`, braces) is absent and says why; one inside a condition, a function or a subshell is given but only as
//! `Note::Maybe`. Of several the last one holds, as it would in a shell. `source other` leads nowhere.

use std::collections::HashMap;
use std::fmt;

mod words;

use words::{Command, Word};

/// Whose rules the file follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// bash, zsh, dash.
    Posix,
    Fish,
}

/// One place where a variable is exported (or taken back). Its `Debug` form has no value: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    pub name: String,
    /// Absent when the note says why it cannot be known without a shell.
    pub value: Option<String>,
    /// Where the value stands, counted from 1.
    pub line: usize,
    pub note: Option<Note>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.value.is_some() { "…" } else { "?" };
        write!(f, "{}={value} (line {}, {:?})", self.name, self.line, self.note)
    }
}

/// What to tell about a find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The value is literal, but whether this line runs depends on something.
    Maybe,
    /// A shell would compute the value.
    Computed,
    /// Added to a value from elsewhere.
    Appended,
    /// A list, or a value over several lines.
    NotOneLine,
    /// Taken back here.
    Unset,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Maybe => "set inside a condition or a function: it may not hold",
            Self::Computed => "not used: only a shell can compute it ($, `, ~ or braces)",
            Self::Appended => "not used: it adds to a value from elsewhere",
            Self::NotOneLine => "not used: it is a list or goes over several lines",
            Self::Unset => "unset here",
        })
    }
}

/// Every export in `text`, in file order.
pub fn scan_all(text: &str, dialect: Dialect) -> Vec<Found> {
    let mut scan = Scan::default();
    for command in words::commands(text, dialect) {
        match dialect {
            Dialect::Posix => scan.posix(command),
            Dialect::Fish => scan.fish(command),
        }
    }
    scan.found
}

/// The exports of `name` in file order; the last one holds.
pub fn scan(text: &str, dialect: Dialect, name: &str) -> Vec<Found> {
    let mut found = scan_all(text, dialect);
    found.retain(|find| find.name == name);
    found
}

#[derive(Default)]
struct Scan {
    found: Vec<Found>,
    /// Assigned so far, exported or not.
    assigned: HashMap<String, Found>,
    /// Names that are exported; the flag says that the line which exports them may not run.
    exported: HashMap<String, bool>,
    /// `set -a` is in force; the same flag.
    export_all: Option<bool>,
    /// How many blocks are open.
    depth: usize,
}

/// `NAME=VALUE` or `NAME+=VALUE` of one word.
struct Assignment {
    name: String,
    value: String,
    appended: bool,
}

impl Scan {
    fn posix(&mut self, command: Command) {
        let Command { words, line, conditional } = command;
        let words = self.past_posix_keywords(&words);
        let maybe = conditional || self.depth > 0;
        let Some(first) = words.first() else { return };
        match (first.text.as_str(), first.quoted) {
            ("export", _) => self.declare(&words[1..], line, maybe, true),
            ("typeset" | "declare", _) => self.declare(&words[1..], line, maybe, false),
            ("unset", _) => {
                let named = words[1..].iter().filter(|word| !word.computed);
                named.for_each(|word| self.unset(&word.text, line));
            }
            ("set", _) => self.set_option(&words[1..], maybe),
            _ => {
                let assignments: Vec<_> = words.iter().map(|word| (word, assignment(word))).collect();
                // With a command after them, assignments hold for that command alone.
                if assignments.iter().all(|(_, assignment)| assignment.is_some()) {
                    for (word, assignment) in assignments {
                        assignment.into_iter().for_each(|it| self.assign(it, word.computed, line, maybe));
                    }
                }
            }
        }
    }

    /// Follows the blocks and gives the words of the command itself.
    fn past_posix_keywords<'a>(&mut self, mut words: &'a [Word]) -> &'a [Word] {
        while let Some(word) = words.first().filter(|word| !word.quoted && !word.computed) {
            match word.text.as_str() {
                "if" | "while" | "until" | "{" => self.depth += 1,
                "for" | "case" | "select" => {
                    self.depth += 1;
                    return &[];
                }
                "fi" | "done" | "esac" | "}" => self.depth = self.depth.saturating_sub(1),
                "function" => {
                    let body = words.iter().position(|word| word.text == "{");
                    words = body.map_or(&[], |body| &words[body..]);
                    continue;
                }
                "then" | "else" | "elif" | "do" | "!" | "time" | "builtin" | "command" => {}
                _ => break,
            }
            words = &words[1..];
        }
        words
    }

    /// `export`, `typeset`, `declare`: the words after the name of the command.
    fn declare(&mut self, words: &[Word], line: usize, maybe: bool, mut exports: bool) {
        let options = words.iter().take_while(|word| word.text.starts_with(['-', '+'])).count();
        for option in &words[..options] {
            if option.text.starts_with('-') && option.text.contains(['f', 'F', 'p']) {
                return;
            }
            exports |= option.text.starts_with('-') && option.text.contains('x');
            exports &= !(option.text.contains('n') || option.text.starts_with("+x"));
        }
        for word in &words[options..] {
            let Some(assignment) = assignment(word) else {
                match exports {
                    // `export $A`: whatever A names, it is not A.
                    _ if word.computed => {}
                    true => self.export(&word.text, maybe),
                    false => drop(self.exported.remove(&word.text)),
                }
                continue;
            };
            if exports {
                self.exported.insert(assignment.name.clone(), maybe);
            }
            self.assign(assignment, word.computed, line, maybe);
        }
    }

    fn export(&mut self, name: &str, maybe: bool) {
        if self.exported.insert(name.to_owned(), maybe).is_none()
            && let Some(mut find) = self.assigned.get(name).cloned()
        {
            find.note = find.note.or(maybe.then_some(Note::Maybe));
            self.found.push(find);
        }
    }

    fn assign(&mut self, assignment: Assignment, computed: bool, line: usize, maybe: bool) {
        let Assignment { name, value, appended } = assignment;
        let flaw = match () {
            () if appended => Some(Note::Appended),
            () if computed => Some(Note::Computed),
            () if value.contains(char::is_control) => Some(Note::NotOneLine),
            () => None,
        };
        let value = flaw.is_none().then_some(value);
        let exported = self.export_all.into_iter().chain(self.exported.get(&name).copied()).min();
        let maybe = maybe || exported == Some(true);
        let find = Found { name: name.clone(), value, line, note: flaw.or(maybe.then_some(Note::Maybe)) };
        if let Some(maybe) = exported {
            self.exported.insert(name.clone(), maybe);
            self.found.push(find.clone());
        }
        self.assigned.insert(name, find);
    }

    fn unset(&mut self, name: &str, line: usize) {
        self.assigned.remove(name);
        if self.exported.remove(name).is_some() {
            self.found.push(Found { name: name.to_owned(), value: None, line, note: Some(Note::Unset) });
        }
    }

    fn set_option(&mut self, words: &[Word], maybe: bool) {
        for (at, word) in words.iter().enumerate() {
            let named =
                word.text.ends_with('o') && words.get(at + 1).is_some_and(|next| next.text == "allexport");
            match word.text.as_bytes() {
                [b'-', flags @ ..] if flags.contains(&b'a') || named => self.export_all = Some(maybe),
                [b'+', flags @ ..] if flags.contains(&b'a') || named => self.export_all = None,
                _ => {}
            }
        }
    }

    fn fish(&mut self, command: Command) {
        let Command { words, line, conditional } = command;
        let (words, joined) = self.past_fish_keywords(&words);
        let maybe = conditional || joined || self.depth > 0;
        match words.first().map(|word| word.text.as_str()) {
            Some("set") => self.fish_set(&words[1..], line, maybe),
            Some("export") => self.declare(&words[1..], line, maybe, true),
            _ => {}
        }
    }

    /// Follows the blocks; the flag says that the command hangs on the one before it.
    fn past_fish_keywords<'a>(&mut self, mut words: &'a [Word]) -> (&'a [Word], bool) {
        let mut joined = false;
        while let Some(word) = words.first().filter(|word| !word.quoted && !word.computed) {
            match word.text.as_str() {
                "if" | "while" | "begin" => self.depth += 1,
                "for" | "switch" | "function" => {
                    self.depth += 1;
                    return (&[], joined);
                }
                "end" => self.depth = self.depth.saturating_sub(1),
                "else" if words.get(1).is_some_and(|next| next.text == "if") => words = &words[1..],
                "and" | "or" | "not" | "!" => joined = true,
                "else" | "case" | "builtin" | "command" => {}
                _ => break,
            }
            words = &words[1..];
        }
        (words, joined)
    }

    /// fish: `set OPTIONS NAME VALUES`.
    fn fish_set(&mut self, words: &[Word], line: usize, maybe: bool) {
        let options = words.iter().take_while(|word| word.text.starts_with('-')).count();
        let has = |short: char, long: &str| {
            words[..options].iter().any(|word| match word.text.strip_prefix("--") {
                Some(name) => name == long,
                None => word.text.contains(short),
            })
        };
        let Some((name, values)) = words[options..].split_first() else { return };
        // `set $A x`: whatever A names, it is not A.
        let unnamed = name.computed || !super::dotenv::is_name(&name.text);
        let name = name.text.as_str();
        if unnamed || has('q', "query") || has('n', "names") || has('S', "show") {
            return;
        }
        if has('e', "erase") {
            return self.unset(name, line);
        }
        if has('u', "unexport") {
            self.exported.remove(name);
        }
        if has('x', "export") {
            self.exported.insert(name.to_owned(), maybe);
        }
        let mut value = String::new();
        values.iter().enumerate().for_each(|(at, word)| {
            // More than one word is a list: the break makes it one that is not used.
            value.push_str(if at > 0 { "\n" } else { "" });
            value.push_str(&word.text);
        });
        let appended = has('a', "append") || has('p', "prepend");
        let computed = values.iter().any(|word| word.computed);
        let maybe = maybe || has('l', "local") || has('f', "function");
        self.assign(Assignment { name: name.to_owned(), value, appended }, computed, line, maybe);
    }
}

fn assignment(word: &Word) -> Option<Assignment> {
    let (name, value) = word.text.split_once('=')?;
    let (name, appended) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    super::dotenv::is_name(name).then(|| Assignment {
        name: name.to_owned(),
        value: value.to_owned(),
        appended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value, line and note of a find.
    type Seen<'a> = Option<(Option<&'a str>, usize, Option<Note>)>;

    fn last(text: &str, dialect: Dialect) -> Option<(Option<String>, usize, Option<Note>)> {
        scan(text, dialect, "A").pop().map(|found| (found.value, found.line, found.note))
    }

    fn check(dialect: Dialect, rows: &[(&str, Seen<'_>)]) {
        for (text, expected) in rows {
            let expected = expected.map(|(value, line, note)| (value.map(str::to_owned), line, note));
            assert_eq!(last(text, dialect), expected, "{text}");
        }
    }

    /// D-130, E06.
    #[test]
    fn posix_exports_are_found_where_they_stand() {
        let rows: &[(&str, Seen<'_>)] = &[
            ("export A=b", Some((Some("b"), 1, None))),
            ("\n\texport A='b $c # d' # e\n", Some((Some("b $c # d"), 2, None))),
            ("export A=\"b c\\\"d\"", Some((Some("b c\"d"), 1, None))),
            ("export A=b\\ c'd'\"e\"", Some((Some("b cde"), 1, None))),
            ("export B=1 A=b", Some((Some("b"), 1, None))),
            ("A=b; export A", Some((Some("b"), 1, None))),
            ("A=b\n\nexport A\n", Some((Some("b"), 1, None))),
            ("export A\nA=b\n", Some((Some("b"), 2, None))),
            ("set -a\nA=b\nset +a", Some((Some("b"), 2, None))),
            ("typeset -gx A=b", Some((Some("b"), 1, None))),
            ("declare -x A=b", Some((Some("b"), 1, None))),
            ("export A=1\nexport A=2", Some((Some("2"), 2, None))),
            ("export A=1\nunset A", Some((None, 2, Some(Note::Unset)))),
            ("export A=\r\nexport A=b\r\n", Some((Some("b"), 2, None))),
            ("export A=b#c", Some((Some("b#c"), 1, None))),
            ("export \\\n  A=b", Some((Some("b"), 1, None))),
            ("cat <<E\nexport A=1\nE\nexport A=2", Some((Some("2"), 4, None))),
            ("PS1='it''s $(x)'; export A=b", Some((Some("b"), 1, None))),
        ];
        check(Dialect::Posix, rows);
    }

    #[test]
    fn posix_values_that_need_a_shell_are_absent() {
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
        ] {
            let expected = Some((None, 1, Some(Note::Computed)));
            assert_eq!(last(&format!("export A={value}\nexport B=1"), Dialect::Posix), expected, "{value}");
        }
        assert_eq!(last("export A+=b", Dialect::Posix), Some((None, 1, Some(Note::Appended))));
        assert_eq!(last("export A='a\nb'", Dialect::Posix), Some((None, 1, Some(Note::NotOneLine))));
    }

    #[test]
    fn what_may_not_run_is_found_as_maybe() {
        let texts = [
            "if true; then\nexport A=b\nfi",
            "[ -n \"$X\" ] && export A=b",
            "f() {\n export A=b\n}",
            "function f {\nexport A=b; }",
            "(export A=b)",
            "case $x in y) export A=b;; esac",
            "while read x; do export A=b; done",
            "true || export A=b",
        ];
        for text in texts {
            let (value, _, note) = last(text, Dialect::Posix).expect(text);
            assert_eq!((value.as_deref(), note), (Some("b"), Some(Note::Maybe)), "{text}");
        }
        let after = "if x; then :; fi; f() { :; }; [ x ] && y\ncase x in a) ;; esac\nexport A=b";
        assert_eq!(last(after, Dialect::Posix), Some((Some("b".to_owned()), 3, None)));
    }

    #[test]
    fn what_is_not_an_export_is_not_found() {
        let texts = [
            "# export A=b",
            "A=b",
            "A=b command",
            "echo export A=b",
            "alias x='export A=b'",
            "export -n A=b",
            "export -f A",
            "typeset A=b",
            "export B=A=b",
            "echo 'multi\nexport A=b\n'",
            "echo \"$(echo \"x\nexport A=b\")\"",
            "cat <<'E'\nexport A=b",
        ];
        for text in texts {
            assert_eq!(last(text, Dialect::Posix), None, "{text}");
        }
    }

    #[test]
    fn fish_exports_follow_the_rules_of_fish() {
        let rows: &[(&str, Seen<'_>)] = &[
            ("set -gx A b", Some((Some("b"), 1, None))),
            ("set --export --global A 'b\\'c \\n' # d", Some((Some("b'c \\n"), 1, None))),
            ("set -Ux A \"b c\"", Some((Some("b c"), 1, None))),
            ("export A=b", Some((Some("b"), 1, None))),
            ("set -gx A", Some((Some(""), 1, None))),
            ("set -gx A $B", Some((None, 1, Some(Note::Computed)))),
            ("set -gx A (cat x)\nset -gx B 1", Some((None, 1, Some(Note::Computed)))),
            ("set -gx A ~/x", Some((None, 1, Some(Note::Computed)))),
            ("set -gx A b c", Some((None, 1, Some(Note::NotOneLine)))),
            ("set -ax A b", Some((None, 1, Some(Note::Appended)))),
            ("set -gx A b; set -e A", Some((None, 1, Some(Note::Unset)))),
            ("if test x\n set -gx A b\nend", Some((Some("b"), 2, Some(Note::Maybe)))),
            ("if x\nelse if y\nend\nset -gx A b", Some((Some("b"), 4, None))),
            ("test x; and set -gx A b", Some((Some("b"), 1, Some(Note::Maybe)))),
            ("function f; set -gx A b; end", Some((Some("b"), 1, Some(Note::Maybe)))),
            ("set -g A b", None),
            ("set -q A; or set B 1", None),
            ("# set -gx A b", None),
        ];
        check(Dialect::Fish, rows);
    }

    #[test]
    fn a_find_names_a_variable() {
        let none = |text, dialect| assert_eq!(scan_all(text, dialect), [], "{text}");
        none("set -gx 'A b' c; set -Uxz \"A\\\"\" c", Dialect::Fish);
        none("set -gx $A c; set A c; set -x $A; export $A", Dialect::Fish);
        none("export 'A b'=c; A=c; export $A", Dialect::Posix);
        let kept = [("export A=b; unset $A", Some((Some("b"), 1, None)))];
        check(Dialect::Posix, &kept);
        check(Dialect::Fish, &[("set -gx A b; set -e $A", Some((Some("b"), 1, None)))]);
    }

    #[test]
    fn debug_output_holds_no_value() {
        assert!(!format!("{:?}", scan_all("export A=hunter2", Dialect::Posix)).contains("hunter2"));
    }

    #[test]
    fn hostile_text_ends_in_one_pass() {
        for text in [
            "$(".repeat(300_000),
            "(\"".repeat(300_000),
            "<<E\n".repeat(100_000),
            "export A='".repeat(100_000),
        ] {
            scan_all(&text, Dialect::Posix);
            scan_all(&text, Dialect::Fish);
        }
    }
}
