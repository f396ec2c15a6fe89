//! The validator over files: every broken configuration is refused where it is broken, no good one is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gwinstall::format::litellm::{Context, Finding, Names, Severity, check, model_lines, references};

fn files_in(dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut found = Vec::new();
    let mut waiting = vec![dir];
    while let Some(dir) = waiting.pop() {
        for path in std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let path = path.unwrap().path();
            match path.is_dir() {
                true => waiting.push(path),
                false => {
                    found.extend(path.extension().is_some_and(|ending| ending == "yaml").then_some(path))
                }
            }
        }
    }
    found.sort();
    found
}

/// The variables that the good files may use.
fn known() -> BTreeSet<String> {
    let names = "LITELLM_MASTER_KEY VERTEXAI_PROJECT VERTEXAI_LOCATION ANTHROPIC_API_KEY AWS_REGION_NAME OPENAI_API_KEY X_KEY \
        REDIS_HOST REDIS_PORT REDIS_PASSWORD DATABASE_URL OPENAI_KEY";
    names.split_whitespace().map(str::to_owned).collect()
}

fn strictly(text: &str) -> Vec<Finding> {
    check(text, &Context { known_env: Some(&known()), unset_is_error: true, names: None })
}

/// `# expect LINE: BEGINNING` at the top of a file.
fn expected(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().map_while(|line| line.strip_prefix("# expect "));
    lines
        .map(|line| line.split_once(": ").map(|(line, message)| (line.parse().unwrap(), message)).unwrap())
        .collect()
}

#[test]
fn every_broken_configuration_is_refused_where_it_is_broken() {
    let files = files_in("tests/fixtures/broken");
    assert!(files.len() >= 40, "only {} broken configurations", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let errors: Vec<_> =
            strictly(&text).into_iter().filter(|finding| finding.severity == Severity::Error).collect();
        let expected = expected(&text);
        assert!(!expected.is_empty(), "{}: expects nothing", path.display());
        for (line, message) in &expected {
            let found = errors.iter().any(|error| error.line == *line && error.message.starts_with(message));
            assert!(found, "{}: expected {line}: {message}\n{errors:#?}", path.display());
        }
        assert_eq!(errors.len(), expected.len(), "{}: {errors:#?}", path.display());
    }
}

/// What may be meant as it is written: a warning, which stops nothing.
#[test]
fn every_doubtful_configuration_is_warned_about_and_not_refused() {
    for path in files_in("tests/fixtures/warned") {
        let text = std::fs::read_to_string(&path).unwrap();
        let findings = strictly(&text);
        let expected = expected(&text);
        assert!(
            !expected.is_empty() && expected.len() == findings.len(),
            "{}: {findings:#?}",
            path.display()
        );
        for ((line, message), found) in expected.iter().zip(&findings) {
            assert_eq!(
                (found.severity, found.line),
                (Severity::Warning, *line),
                "{}: {found:#?}",
                path.display()
            );
            assert!(found.message.starts_with(message), "{}: {found:#?}", path.display());
        }
    }
}

/// The reports as a person reads them: place, line, caret, advice; and no secret in any of them.
#[test]
fn reports_show_the_place_and_no_secret() {
    let mut all = String::new();
    for path in files_in("tests/fixtures/broken") {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        for finding in strictly(&text) {
            let report = finding.report(&name, &text);
            assert!(report.lines().skip(1).take(2).all(|line| line.chars().count() <= 80), "{report}");
            all.push_str(&report);
            all.push('\n');
        }
    }
    for secret in ["hunter2", "correct-horse", "sk-ant-api03"] {
        assert!(!all.contains(secret), "{secret} is shown");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn good_configurations_give_neither_error_nor_warning() {
    for path in files_in("tests/fixtures/valid") {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(strictly(&text), [], "{}", path.display());
    }
}

/// Every LiteLLM configuration that we ship. The frame alone has no models, and that is all that may be said of it.
#[test]
fn shipped_configurations_give_neither_error_nor_warning() {
    let mut seen = 0;
    for path in files_in("embedded") {
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.contains("\nmodel_list:") && !text.starts_with("model_list:") {
            continue;
        }
        seen += 1;
        let findings: Vec<_> =
            check(&text, &Context::default()).into_iter().filter(|f| f.rule != "models.empty").collect();
        assert_eq!(findings, [], "{}", path.display());
        assert_eq!(model_lines(&text).is_empty(), text.contains("model_list: []"), "{}", path.display());
    }
    assert!(seen >= 10, "only {seen} configurations found in embedded/");
}

#[test]
fn names_and_references_are_listed() {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/valid/everything.yaml"),
    )
    .unwrap();
    let names =
        ["gemini-2.5-flash", "claude-sonnet-5-5", "bedrock", "local", "local-ollama", "bare", "custom"];
    let mut seen: Vec<String> = model_lines(&text).into_iter().map(|(_, name)| name).collect();
    seen.dedup();
    assert_eq!(seen, names);
    let known = known();
    let unknown: Vec<_> = references(&text).difference(&known).cloned().collect();
    assert_eq!(unknown, ["X_KEY"; 0]);
    assert!(references(&text).contains("VERTEXAI_PROJECT"));
}

/// Cut off anywhere, or with any line gone: an answer whose places lie inside the text, never a panic.
#[test]
fn damaged_files_get_an_answer() {
    let kinds = ["tests/fixtures/broken", "tests/fixtures/warned", "tests/fixtures/valid"];
    for path in kinds.into_iter().flat_map(files_in) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let without = (0..lines.len()).map(|gone| [&lines[..gone], &lines[gone + 1..]].concat().concat());
        let cuts = text.char_indices().step_by(5).map(|(at, _)| text[..at].to_owned());
        for damaged in without.chain(cuts) {
            for finding in strictly(&damaged) {
                let line = damaged.split('\n').nth(finding.line - 1).unwrap_or_else(|| panic!("{finding:?}"));
                assert!(finding.column <= line.chars().count() + 1, "{finding:?} in {line:?}");
                assert!(!finding.report("x", &damaged).is_empty());
            }
        }
    }
}

/// A document of a file of several, by the name in its first line.
fn documents(file: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let documents: Vec<_> = text
        .split("\n---\n")
        .skip(1)
        .map(|text| (text.lines().next().unwrap().trim_start_matches("# ").to_owned(), text.to_owned()))
        .collect();
    let names: BTreeSet<_> = documents.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), documents.len(), "two documents of {file} have one name");
    documents
}

/// `# error RULE` and `# warning RULE` behind a line.
fn marks(text: &str) -> Vec<(usize, String)> {
    let mark = |(index, line): (usize, &str)| {
        let (_, mark) = line.split_once("  # ")?;
        Some((index + 1, mark.to_owned()))
    };
    text.lines().enumerate().filter_map(mark).collect()
}

#[test]
fn each_judged_configuration_gets_its_verdict_and_no_other() {
    let documents = documents("judged.yaml");
    assert!(documents.len() >= 50, "only {} configurations", documents.len());
    let mut wrong = String::new();
    for (name, text) in documents {
        let findings = check(&text, &Context::default());
        let found: Vec<_> = findings
            .iter()
            .map(|finding| (finding.line, format!("{} {}", finding.severity, finding.rule)))
            .collect();
        if found != marks(&text) {
            wrong.push_str(&format!("{name}: expected {:?}, found {findings:#?}\n", marks(&text)));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_names_are_those_of_the_litellm_that_gwinstall_installs() {
    let facts = gwinstall::runtime::facts::Facts::embedded().unwrap();
    assert_eq!(
        Names::table().version(),
        facts.data.litellm,
        "make the table again: see dist/litellm_names.py"
    );
}

/// Rules about where secrets may stand. LiteLLM has no such rule.
const OWN_RULES: [&str; 4] = ["secret.in-file", "master-key.placeholder", "value.placeholder", "env.unset"];

/// What LiteLLM reads without a word and does not do: it serves the models all the same.
const IGNORED: [&str; 4] = ["key.wrong-section", "routing.absent-model", "env.not-whole", "env.shell-syntax"];

/// The validator against the recording of what LiteLLM does: an error only where LiteLLM refuses the file or drops a model,
/// or in a document that marks the line as ignored; and no model that LiteLLM drops passes without a word.
#[test]
fn the_validator_agrees_with_litellm_on_the_corpus() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus.json");
    let recorded: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(recorded["litellm"], Names::table().version());
    let recorded = recorded["configurations"].as_object().unwrap();
    let documents: Vec<_> = ["judged.yaml", "corpus.yaml"].into_iter().flat_map(documents).collect();
    assert!(documents.len() >= 200 && documents.len() == recorded.len(), "{} documents", documents.len());
    let (mut false_errors, mut missed) = (Vec::new(), Vec::new());
    for (name, text) in documents {
        let verdict = &recorded[&name];
        let dropped: Vec<&str> =
            verdict["dropped"].as_array().into_iter().flatten().filter_map(|n| n.as_str()).collect();
        let refused = verdict["refused"].is_string();
        let findings = check(&text, &Context::default());
        let is_marked = |finding: &Finding| {
            IGNORED.contains(&finding.rule)
                && marks(&text).contains(&(finding.line, format!("error {}", finding.rule)))
        };
        let errors =
            findings.iter().filter(|f| f.severity == Severity::Error && !OWN_RULES.contains(&f.rule));
        if !refused && dropped.is_empty() {
            false_errors.extend(
                errors.filter(|f| !is_marked(f)).map(|f| format!("{name}: {} {}", f.rule, f.message)),
            );
            continue;
        }
        let silent = |name: &&str| {
            let lines: Vec<_> = model_lines(&text).into_iter().filter(|(_, model)| model == name).collect();
            !findings
                .iter()
                .any(|f| lines.is_empty() || lines.iter().any(|(range, _)| range.contains(&f.line)))
        };
        let missing: Vec<_> = dropped.iter().copied().filter(silent).collect();
        if findings.is_empty() || !missing.is_empty() {
            missed.push(format!("{name}: {verdict}"));
        }
    }
    assert!(
        false_errors.is_empty() && missed.is_empty(),
        "false errors {false_errors:#?}\nmissed {missed:#?}"
    );
}
