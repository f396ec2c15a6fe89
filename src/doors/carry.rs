//! Commands that a person is told to run, with the flags that this run was told where to work by. Pure.
//!
//! Promise: a printed command does to the place of this run what it says, never to another home.

use std::borrow::Cow;

/// Flags with their values as a shell reads them, and the commands that take them.
#[derive(Debug)]
pub struct Carried {
    pub flags: Vec<(&'static str, String)>,
    pub commands: Vec<String>,
}

impl Carried {
    /// `text` with the flags in every command in it, right behind the name of the program; what a line names itself stays
    /// as it is. A sentence about gwinstall is no command.
    pub fn over<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.flags.is_empty() || !text.contains(PROGRAM) {
            return Cow::Borrowed(text);
        }
        let mut carried = String::with_capacity(text.len() + 64);
        let mut rest = text;
        while let Some(at) = rest.find(PROGRAM) {
            let (before, after) = (&rest[..at], &rest[at + PROGRAM.len()..]);
            let alone = !before.ends_with(|c: char| c.is_alphanumeric() || "/-_.".contains(c));
            carried.push_str(before);
            carried.push_str(PROGRAM);
            if alone && self.begins_with_a_command(after) {
                let line = after.lines().next().unwrap_or_default();
                for (flag, value) in self.flags.iter().filter(|(flag, _)| !line.contains(flag)) {
                    carried.push_str(&format!("{flag} {value} "));
                }
            }
            rest = after;
        }
        carried.push_str(rest);
        Cow::Owned(carried)
    }

    fn begins_with_a_command(&self, text: &str) -> bool {
        let end = text.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(text.len());
        let (word, after) = text.split_at(end);
        let ends = !after.starts_with(|c: char| c.is_alphanumeric() || "_/".contains(c));
        let file = after.strip_prefix('.').is_some_and(|after| after.starts_with(char::is_alphanumeric));
        ends && !file && self.commands.iter().any(|known| known == word)
    }
}

const PROGRAM: &str = "gwinstall ";

#[cfg(test)]
mod tests {
    use super::Carried;

    #[test]
    fn commands_carry_the_flags_and_sentences_do_not() {
        let carried = Carried {
            flags: vec![("--home", "/s".to_owned()), ("--target-dir", "'/a b'".to_owned())],
            commands: ["install", "env", "self-update"].map(str::to_owned).to_vec(),
        };
        for (said, meant) in [
            ("gwinstall env set X", "gwinstall --home /s --target-dir '/a b' env set X"),
            ("try: gwinstall install.", "try: gwinstall --home /s --target-dir '/a b' install."),
            (
                "(gwinstall self-update; gwinstall env list)",
                "(gwinstall --home /s --target-dir '/a b' self-update; gwinstall --home /s --target-dir '/a b' env list)",
            ),
            ("gwinstall install --target-dir x", "gwinstall --home /s install --target-dir x"),
        ] {
            assert_eq!(carried.over(said), meant);
        }
        for prose in
            ["gwinstall does not", "sh x/gwinstall install", "gwinstall install.sh", "gwinstall installs"]
        {
            assert_eq!(carried.over(prose), prose);
        }
    }
}
