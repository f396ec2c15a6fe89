//! Files of people as they really are, each with its right answer: values that are none, shell files that hide what stands
//! below a line, settings of Claude Code that lead past the gateway.

use std::fs;
use std::path::{Path, PathBuf};

use crate::home::{Run, TestHome};

const PROJECT: &str = "VERTEXAI_PROJECT";

/// The files of a kind, so that none is without an answer.
fn fixtures(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Each file with its answer, which stands under the file's number.
fn answered<'a, T>(kind: &str, answers: &'a [(&str, T)]) -> Vec<(PathBuf, &'a T)> {
    let files = fixtures(kind);
    assert_eq!(files.len(), answers.len(), "{kind}: every file has an answer");
    let number = |path: &Path| path.file_name().unwrap().to_str().unwrap()[..2].to_owned();
    let paired = files.into_iter().zip(answers);
    paired
        .inspect(|(path, (wanted, _))| assert_eq!(number(path), *wanted))
        .map(|(path, (_, answer))| (path, answer))
        .collect()
}

/// What `~/.claude/.env` gives: names that stay without a value, each with the reason, and values that are taken.
type Taken = (&'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

#[test]
fn each_env_file_gives_its_values_and_nothing_else() {
    let answers: [(&str, Taken); 5] = [
        ("01", (&[("ANTHROPIC_API_KEY", "it refers to a secret manager")], &[])),
        ("02", (&[("ANTHROPIC_API_KEY", "a placeholder"), (PROJECT, "a placeholder")], &[])),
        ("03", (&[("ANTHROPIC_API_KEY", "it is an expression"), (PROJECT, "a placeholder")], &[])),
        ("04", (&[("ANTHROPIC_API_KEY", "it refers to a secret manager")], &[])),
        ("05", (&[("ANTHROPIC_API_KEY", "a placeholder")], &[(PROJECT, "real-project-1")])),
    ];
    for (file, (absent, taken)) in answered("env", &answers) {
        let home = TestHome::new();
        home.write(".claude/.env", fs::read(&file).unwrap());
        let mut run = home.run("install --yes --preset multi-provider").exits(0);
        for (name, why) in *absent {
            run = run.says(&[&format!("{name} in ~/.claude/.env"), why]);
            assert_eq!(home.record()["environment_variables"][name]["value"]["state"], "missing", "{file:?}");
            assert_eq!(home.env_value(name), None, "{file:?}");
        }
        for (name, value) in *taken {
            assert_eq!(home.env_value(name).as_deref(), Some(*value), "{file:?}");
        }
        let key = home.env_value("LITELLM_MASTER_KEY").unwrap();
        assert!(key.len() == 67, "{file:?}: a key of its own");
    }
}

/// The same text is absent wherever it comes from.
#[test]
fn one_judgement_for_every_source() {
    for text in
        ["op://vault/item/field", "your-gcp-project", "<project>", "$PROJECT", "CHANGE-ME", "key-here"]
    {
        let missing = |home: &TestHome, whence: &str| {
            home.run("install --yes --models glm-5.2").exits(0);
            let value = &home.record()["environment_variables"][PROJECT]["value"];
            assert_eq!(value["state"], "missing", "{text} from {whence}");
            home.run("env check").exits(1).says(&[&format!("no value yet for {PROJECT}")]);
            home.run("doctor").exits(1).says(&[&format!("no value yet for {PROJECT}")]);
        };
        missing(&TestHome::new().with(PROJECT, text), "the environment");
        let home = TestHome::new();
        home.write(".bashrc", format!("export {PROJECT}='{text}'\n"));
        missing(&home, "a shell file");
        let home = TestHome::new();
        home.write(".claude/.env", format!("{PROJECT}='{text}'\n"));
        missing(&home, "~/.claude/.env");
        let home = TestHome::deployed();
        home.write(
            ".claude/gateway/.env",
            format!("{}{PROJECT}='{text}'\n", home.read(".claude/gateway/.env")),
        );
        home.run("status").says(&[&format!("no value yet for {PROJECT}")]);
        let before = home.live();
        Run::fed(&mut home.command(&format!("env set {PROJECT} --yes")), text).exits(2);
        assert!(home.live() == before, "{text}");
    }
}

/// A master key that anyone can guess is replaced, whoever wrote it, and said.
#[test]
fn a_guessed_master_key_counts_as_none() {
    for key in ["a", "password", "sk-12345", "sk-1234"] {
        let home = TestHome::new().with("LITELLM_MASTER_KEY", key);
        home.run("install --yes --models glm-5.2").exits(0).says(&["LITELLM_MASTER_KEY in the environment"]);
        assert!(home.env_value("LITELLM_MASTER_KEY").unwrap().len() == 67, "{key}");
        let text = home.read(".claude/gateway/.env");
        let weak: Vec<_> = text
            .lines()
            .map(|line| {
                if line.starts_with("LITELLM_MASTER_KEY=") {
                    format!("LITELLM_MASTER_KEY={key}")
                } else {
                    line.to_owned()
                }
            })
            .collect();
        home.write(".claude/gateway/.env", weak.join("\n") + "\n");
        let home = home.without("LITELLM_MASTER_KEY");
        home.run("doctor").exits(1).says(&["LITELLM_MASTER_KEY"]);
        home.run("install --yes").exits(0).says(&["LITELLM_MASTER_KEY in ~/.claude/gateway/.env"]);
        assert!(home.env_value("LITELLM_MASTER_KEY").unwrap().len() == 67, "{key}");
    }
}
