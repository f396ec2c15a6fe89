//! What the user can do next, as a value. Pure.
//!
//! Promise: the code that reports a failure names the command, and only the layer that knows the command line turns it
//! into text, with the flags that this run was given: a pasted command works on the same deployment as the refused
//! one.

use std::fmt;

use super::name::shell_word;

/// The name that every command begins with.
const PROGRAM: &str = "gwinstall";

/// One or more ways to go on; the first is the one that gwinstall recommends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint(Vec<Way>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    /// The purpose of the step, as in "to remove it"; empty where the error says it.
    purpose: String,
    step: Step,
}

/// The action of one way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A gwinstall command: its words without the program's name and without the global flags of this run.
    Run(Vec<String>),
    /// The command of this run, with these words added.
    Again(Vec<String>),
    /// The command of this run, with one value in place of another.
    Instead { typed: String, meant: String },
    /// A whole line of gwinstall, with the global flags that it needs and no others.
    Line(Vec<String>),
    /// A command of another program, as a shell reads it.
    Shell(String),
    /// Something that no command does.
    Do(String),
}

/// The command line of this run: the parts that a printed command needs to work on the same deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// `--home DIR` and `--target-dir DIR`, where they were given.
    pub place: Vec<String>,
    /// The words of this run without the program's name, and without any secret.
    pub words: Vec<String>,
}

impl Invocation {
    /// A gwinstall command that works on the deployment of this run, ready to paste.
    pub fn command<W: AsRef<str>>(&self, words: &[W]) -> String {
        paste(&self.argv(words))
    }

    fn argv<W: AsRef<str>>(&self, words: &[W]) -> Vec<String> {
        let words = words.iter().map(|word| word.as_ref().to_owned());
        std::iter::once(PROGRAM.to_owned()).chain(self.place.iter().cloned()).chain(words).collect()
    }

    /// The words of this run with further ones; a flag that is there already is not repeated.
    fn again(&self, added: &[String]) -> Vec<String> {
        let new = added.iter().filter(|word| !self.words.contains(word));
        std::iter::once(PROGRAM.to_owned()).chain(self.words.iter().cloned()).chain(new.cloned()).collect()
    }

    /// The words of this run with `meant` where `typed` stands: as a word, behind `--flag=`, or in a list with commas.
    fn instead(&self, typed: &str, meant: &str) -> Vec<String> {
        let replaced = |word: &String| {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with('-') => (format!("{flag}="), value),
                _ => (String::new(), word.as_str()),
            };
            // A port alone stands for a URL of this machine.
            let is_port = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let value = if value.trim_end_matches('/') == typed
                || is_port && format!("http://127.0.0.1:{value}") == typed
            {
                meant.to_owned()
            } else {
                let one = |item: &str| if item.trim() == typed { meant.to_owned() } else { item.to_owned() };
                value.split(',').map(one).collect::<Vec<_>>().join(",")
            };
            format!("{flag}{value}")
        };
        std::iter::once(PROGRAM.to_owned()).chain(self.words.iter().map(replaced)).collect()
    }
}

impl Hint {
    /// A gwinstall command, by its words behind the program's name.
    pub fn run<W: AsRef<str>>(words: &[W]) -> Self {
        Self::of(Step::Run(owned(words)))
    }

    /// The refused command with these words added.
    pub fn again<W: AsRef<str>>(added: &[W]) -> Self {
        Self::of(Step::Again(owned(added)))
    }

    /// The refused command with `meant` in place of the value that the user typed.
    pub fn instead(typed: impl Into<String>, meant: impl Into<String>) -> Self {
        Self::of(Step::Instead { typed: typed.into(), meant: meant.into() })
    }

    /// A whole line of gwinstall, by its words behind the program's name: nothing is added to it.
    pub fn line<W: AsRef<str>>(words: &[W]) -> Self {
        Self::of(Step::Line(owned(words)))
    }

    /// A command of another program, quoted as a shell reads it.
    pub fn shell(command: impl Into<String>) -> Self {
        Self::of(Step::Shell(command.into()))
    }

    /// Something to do that no command does.
    pub fn step(text: impl Into<String>) -> Self {
        Self::of(Step::Do(text.into()))
    }

    fn of(step: Step) -> Self {
        Self(vec![Way { purpose: String::new(), step }])
    }

    /// Adds the purpose of the last way: `to("remove it")` prints `to remove it: COMMAND`.
    #[must_use]
    pub fn to(mut self, purpose: impl Into<String>) -> Self {
        if let Some(way) = self.0.last_mut() {
            way.purpose = purpose.into();
        }
        self
    }

    /// Adds the ways of another hint.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The hint in one line.
    pub fn text(&self, run: &Invocation) -> String {
        let ways: Vec<String> = self.0.iter().map(|way| way.text(run)).collect();
        ways.join("; or ")
    }

    /// What a reader copies as one: the commands of all ways.
    pub fn commands(&self, run: &Invocation) -> Vec<String> {
        self.0.iter().filter(|way| !matches!(way.step, Step::Do(_))).map(|way| way.step.text(run)).collect()
    }

    /// The ways one by one, each in a line that begins with its purpose or with `try`.
    pub fn lines(&self, run: &Invocation) -> Vec<String> {
        let line = |way: &Way| match way.purpose.as_str() {
            "" => format!("try: {}", way.text(run)),
            _ => way.text(run),
        };
        self.0.iter().map(line).collect()
    }

    /// The first way that is a gwinstall command, as the words of a process.
    pub fn argv(&self, run: &Invocation) -> Option<Vec<String>> {
        self.0.iter().find_map(|way| way.step.argv(run))
    }
}

/// The hint as printed by a run without flags.
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&Invocation::default()))
    }
}

impl Way {
    fn text(&self, run: &Invocation) -> String {
        let step = self.step.text(run);
        if self.purpose.is_empty() { step } else { format!("to {}: {step}", self.purpose) }
    }
}

impl Step {
    fn text(&self, run: &Invocation) -> String {
        match self {
            Self::Shell(text) | Self::Do(text) => text.clone(),
            step => step.argv(run).map(|argv| paste(&argv)).unwrap_or_default(),
        }
    }

    fn argv(&self, run: &Invocation) -> Option<Vec<String>> {
        match self {
            Self::Run(words) => Some(run.argv(words)),
            Self::Again(added) => Some(run.again(added)),
            Self::Instead { typed, meant } => Some(run.instead(typed, meant)),
            Self::Line(words) => {
                Some(std::iter::once(PROGRAM.to_owned()).chain(words.iter().cloned()).collect())
            }
            Self::Shell(_) | Self::Do(_) => None,
        }
    }
}

fn owned<W: AsRef<str>>(words: &[W]) -> Vec<String> {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

/// The words of a command as a shell reads them.
fn paste(argv: &[String]) -> String {
    let words: Vec<String> = argv.iter().map(|word| shell_word(word)).collect();
    words.join(" ")
}

/// A sentence: for what no command does.
impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self::step(text)
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        Self::step(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Invocation {
        Invocation {
            place: ["--home", "/a b"].map(str::to_owned).to_vec(),
            words: ["--home", "/a b", "install", "--models", "x,y"].map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn a_command_carries_the_place_of_this_run() {
        let hint = Hint::run(&["env", "set", "KEY"]).to("set it").or(Hint::shell("rm x").to("remove it"));
        assert_eq!(
            hint.text(&run()),
            "to set it: gwinstall --home '/a b' env set KEY; or to remove it: rm x"
        );
        assert_eq!(hint.argv(&run()).unwrap(), ["gwinstall", "--home", "/a b", "env", "set", "KEY"]);
        assert_eq!(hint.commands(&run()), ["gwinstall --home '/a b' env set KEY", "rm x"]);
        assert_eq!(Hint::shell("rm x").argv(&run()), None);
        assert_eq!(Hint::step("wait").commands(&run()), [""; 0]);
    }

    #[test]
    fn the_refused_command_comes_with_the_value_that_was_meant() {
        let run = |line: &str| Invocation {
            words: line.split(' ').map(str::to_owned).collect(),
            ..Invocation::default()
        };
        let hint = Hint::instead("basci", "basic");
        for (typed, meant) in [
            ("install --preset basci -y", "gwinstall install --preset basic -y"),
            ("install --preset=basci", "gwinstall install --preset=basic"),
            ("install --models a,basci,c", "gwinstall install --models a,basic,c"),
        ] {
            assert_eq!(hint.text(&run(typed)), meant);
        }
    }

    #[test]
    fn a_line_names_all_that_it_needs() {
        let hint = Hint::line(&["--home", "/a b", "status"]);
        assert_eq!(hint.text(&run()), "gwinstall --home '/a b' status");
        assert_eq!(Hint::line(&["status"]).argv(&run()).unwrap(), ["gwinstall", "status"]);
    }

    #[test]
    fn the_refused_command_comes_again_with_all_its_flags() {
        let hint = Hint::again(&["--yes"]);
        assert_eq!(hint.text(&run()), "gwinstall --home '/a b' install --models x,y --yes");
        let twice = Invocation { words: vec!["off".to_owned(), "--yes".to_owned()], ..Invocation::default() };
        assert_eq!(hint.text(&twice), "gwinstall off --yes");
    }
}
