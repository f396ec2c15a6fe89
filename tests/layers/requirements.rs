//! `tests/requirements.tsv`: what the plans ask for, by id, with the test that proves it. Held here: each named test exists, no
//! row is without a test and without a reason, and what is not built says so.
//!
//! Ids: D and P come from the plan of the gateway deployer, K from that for Kubernetes, C from that for deployment to
//! servers, A from the models of deployment. A test is named in one of five ways: `suite::module::function` (Rust, below
//! tests/), `path.rs::function`, `path.py::function`, `path word` (a case of a program that runs its own, or a section of
//! tests/run), `path`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const HEADER: &str = "id\tpriority\tstate\trequirement\ttest\twhy not";

struct Row<'a> {
    id: &'a str,
    priority: &'a str,
    state: &'a str,
    requirement: &'a str,
    tests: Vec<&'a str>,
    why_not: &'a str,
}

#[test]
fn every_requirement_has_a_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("tests/requirements.tsv")).expect("the table of requirements");
    super::assert_empty(faults(&text, &|test| exists(root, test)));
    print!("{}", counted(&text));
}

fn rows(text: &str) -> Vec<Result<Row<'_>, String>> {
    let row = |line| {
        let cells: Vec<&str> = str::split(line, '\t').collect();
        let [id, priority, state, requirement, tests, why_not] = cells[..] else {
            return Err(format!("{} cells in {line:?}", cells.len()));
        };
        let tests = tests.split("; ").filter(|test| !test.is_empty()).collect();
        Ok(Row { id, priority, state, requirement, tests, why_not })
    };
    text.lines().skip(1).map(row).collect()
}

fn faults(text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    if text.lines().next() != Some(HEADER) {
        faults.push(format!("the first line is not {HEADER:?}"));
    }
    let mut seen = BTreeSet::new();
    for row in rows(text) {
        let row = match row {
            Ok(row) => row,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        let mut fault = |what: String| faults.push(format!("{}: {what}", row.id));
        let form = row.id.split_once('-').filter(|(source, number)| {
            ["D", "P", "K", "C", "A"].contains(source) && number.len() == 3 && number.parse::<u16>().is_ok()
        });
        if form.is_none() || !seen.insert(row.id) {
            fault("not an id, or there twice".into());
        }
        if !["P1", "P2", "P3", "P4"].contains(&row.priority) || row.requirement.is_empty() {
            fault("no priority from P1 to P4, or no text".into());
        }
        match row.state {
            "yes" if row.tests.is_empty() && row.why_not.is_empty() => {
                fault("neither a test nor a reason".into())
            }
            "part" | "no" if row.why_not.is_empty() => fault("does not say what is missing".into()),
            "no" if !row.tests.is_empty() => fault("not built, and yet tested".into()),
            "yes" | "part" | "no" => {}
            other => fault(format!("state {other:?}")),
        }
        for test in row.tests.iter().filter(|test| !exists(test)) {
            fault(format!("there is no test {test}"));
        }
    }
    faults
}

fn exists(root: &Path, test: &str) -> bool {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    if let Some((path, word)) = test.split_once(' ') {
        // A section of tests/run stands in its list; other programs define or spell what they run.
        let forms = match path {
            "tests/run" => vec![format!("\"{word}:"), format!("\"{word}*:")],
            _ => vec![format!("def {word}("), format!("\"{word}\"")],
        };
        return read(path).is_some_and(|text| forms.iter().any(|form| text.contains(form)));
    }
    let Some((place, name)) = test.rsplit_once("::") else { return root.join(test).exists() };
    if place.ends_with(".py") {
        return read(place).is_some_and(|text| text.contains(&format!("def {name}(")));
    }
    let paths = match place.split_once("::") {
        _ if place.ends_with(".rs") => vec![place.to_owned()],
        Some((suite, module)) => vec![format!("tests/{suite}/{module}.rs")],
        None => vec![format!("tests/{place}.rs"), format!("tests/{place}/main.rs")],
    };
    paths.iter().filter_map(|path| read(path)).any(|text| is_test(&text, name))
}

/// Whether the text defines this function with `#[test]` among the attributes above it.
fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let opening = format!("fn {name}(");
    let attributes = |at: usize| {
        lines[..at].iter().rev().take_while(|line| line.starts_with('#') || line.starts_with("//"))
    };
    lines
        .iter()
        .enumerate()
        .any(|(at, line)| line.starts_with(&opening) && attributes(at).any(|l| *l == "#[test]"))
}

/// A line for each source and priority: how many rows are yes, part and no.
fn counted(text: &str) -> String {
    let mut counts: BTreeMap<(&str, &str), [usize; 3]> = BTreeMap::new();
    for row in rows(text).into_iter().flatten() {
        let at = ["yes", "part", "no"].iter().position(|state| *state == row.state).unwrap_or(2);
        for source in [&row.id[..1], "all"] {
            counts.entry((source, row.priority)).or_default()[at] += 1;
        }
    }
    let line = |((source, priority), [yes, part, no]): (&(&str, &str), &[usize; 3])| {
        format!("{source:3} {priority}: {yes:3} yes, {part:2} part, {no:2} no\n")
    };
    counts.iter().map(line).collect()
}

#[test]
fn each_fault_of_the_table_is_found() {
    let table = |row: &str| faults(&format!("{HEADER}\n{row}\n"), &|test| test == "cli::a::b");
    assert_eq!(table("D-001\tP1\tyes\tA thing\tcli::a::b\t"), [""; 0]);
    assert_eq!(table("D-001\tP1\tpart\tA thing\tcli::a::b\thalf of it"), [""; 0]);
    for wrong in [
        "D-001\tP1\tyes\tA thing\t\t",
        "D-001\tP1\tyes\tA thing\tcli::a::c\t",
        "D-001\tP1\tyes\tA thing\tcli::a::b; cli::a::c\t",
        "D-001\tP1\tpart\tA thing\tcli::a::b\t",
        "D-001\tP1\tno\tA thing\tcli::a::b\tnot built",
        "D-001\tP1\tmaybe\tA thing\tcli::a::b\t",
        "D-001\tP5\tyes\tA thing\tcli::a::b\t",
        "X-001\tP1\tyes\tA thing\tcli::a::b\t",
        "D-001\tP1\tyes\tA thing",
        "D-001\tP1\tyes\tA\tcli::a::b\t\nD-001\tP1\tyes\tA\tcli::a::b\t",
    ] {
        assert!(!table(wrong).is_empty(), "{wrong}");
    }
    assert!(!faults("", &|_| true).is_empty());
}

#[test]
fn a_test_is_found_by_each_form_of_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for test in [
        "layers::modules_import_only_from_lower_layers",
        "cli::rollback::every_byte_and_mode_comes_back",
        "tests/layers/requirements.rs::a_test_is_found_by_each_form_of_its_name",
        "tests/payload/start_test.py::test_wrong_usage",
        "tests/run unit",
        "tests/run fuzz",
        "tests/real/run combinations",
        "tests/install_sh/run",
    ] {
        assert!(exists(root, test), "{test}");
    }
    for test in [
        "layers::exists",
        "cli::rollback::no_such_test",
        "cli::no_such_module::every_byte_and_mode_comes_back",
        "tests/layers/requirements.rs::is_test",
        "tests/payload/start_test.py::test_no_such",
        "tests/run no-such-section",
        "tests/real/run no_such_case",
        "tests/no_such_run",
    ] {
        assert!(!exists(root, test), "{test}");
    }
}
