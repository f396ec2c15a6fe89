//! The shape of the code, held by a test: which layer may import which, that no two files import each other, where effects
//! may live, how long a file is.
//!
//! It reads `src/**/*.rs`. A rule that finds nothing proves nothing, so each rule is also given a made-up source that breaks
//! it.
#![allow(clippy::disallowed_methods, clippy::use_debug, unreachable_pub)]

#[path = "layers/circles.rs"]
mod circles;
#[path = "layers/imports.rs"]
mod imports;
#[path = "layers/requirements.rs"]
mod requirements;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use circles::Graph;
use imports::Imports;

/// Lowest first: a module imports only from those before it and from itself.
const LAYERS: [&str; 14] = [
    "domain", "format", "doors", "bundle", "runtime", "render", "targets", "deploy", "gateway", "release",
    "inspect", "cli", "ui", "commands",
];

/// Files that stand outside the layers: the two roots of the crate see everything, the build script sees nothing.
const ROOTS: [&str; 3] = ["lib.rs", "main.rs", "build.rs"];

/// Words that say nothing about what a module is for.
const EMPTY_NAMES: [&str; 9] =
    ["util", "utils", "helper", "helpers", "manager", "common", "misc", "shared", "core"];

const LONGEST_FILE: usize = 600;

/// Marks of work left undone; spelled apart so that this file does not hold them.
fn unfinished_marks() -> [String; 5] {
    [
        format!("TO{}", "DO"),
        format!("FIX{}", "ME"),
        format!("XX{}", "X"),
        format!("to{}!(", "do"),
        format!("unimple{}!(", "mented"),
    ]
}

/// One source file: its path below `src/`, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The top-level module that the file belongs to: `deploy` for `deploy/plan.rs`, `cli` for `cli.rs`.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The module path inside the crate: `["deploy", "plan"]`.
    fn module_path(&self) -> Vec<&str> {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        stem.strip_suffix("/mod").unwrap_or(stem).split('/').collect()
    }
}

#[test]
fn modules_import_only_from_lower_layers() {
    let sources = sources();
    assert!(sources.len() >= 8, "found only {} files below src/", sources.len());
    assert_empty(sources.iter().flat_map(upward_imports).collect());

    let caught = |path: &str, text: &str| !upward_imports(&made_up(path, text)).is_empty();
    assert!(caught("domain/plan.rs", "use crate::doors::disk;"));
    assert!(caught("render/env.rs", "fn f() { crate::commands::install::run() }"));
    assert!(caught("render/env.rs", "use crate::{\n    domain::Plan,\n    deploy::{journal, plan},\n};"));
    assert!(caught("deploy/plan.rs", "use super::super::release::trust;"));
    assert!(caught("deploy/plan.rs", "use gwinstall::commands::install;"));
    assert!(caught("novel/idea.rs", "pub fn f() {}"), "a module without a layer");
    assert!(!caught("deploy/plan.rs", "//! Not crate::commands.\nuse crate::{domain::Plan, render};"));
    assert!(!caught("deploy/plan.rs", "use super::journal; const S: &str = \"crate::commands\";"));
    assert!(!caught(
        "domain/plan.rs",
        "pub fn f() {}\n#[cfg(test)]\nmod tests { use crate::bundle::catalog; }"
    ));
}

/// A file that imports from another one is never imported by it, on whatever way round.
#[test]
fn no_two_files_import_each_other() {
    let graph = Graph::of(&sources());
    let circles = graph.circles();
    let shown = circles
        .iter()
        .map(|circle| format!("a circle of {} files: {circle:?}\n{}", circle.len(), graph.walk(circle)));
    assert_empty(shown.collect());
}

#[test]
fn effects_are_allowed_in_doors_only() {
    assert_empty(sources().iter().flat_map(opened_doors).collect());

    let allow = "#![allow(clippy::disallowed_methods)]";
    assert!(!opened_doors(&made_up("deploy/plan.rs", allow)).is_empty());
    assert!(
        !opened_doors(&made_up("deploy/plan.rs", "#[expect(clippy::disallowed_methods)]\nfn f() {}"))
            .is_empty()
    );
    assert!(opened_doors(&made_up("doors/disk.rs", allow)).is_empty());
    assert!(opened_doors(&made_up("build.rs", allow)).is_empty());
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    assert_empty(sources().iter().flat_map(form_faults).collect());

    let caught = |path: &str, text: &str| !form_faults(&made_up(path, text)).is_empty();
    assert!(caught("domain/plan.rs", "use std::fmt;\n"), "no module comment");
    assert!(caught("domain/plan.rs", &format!("//! Long.\n{}", "\n".repeat(LONGEST_FILE))), "too long");
    assert!(caught("deploy/util.rs", "//! Things.\n"), "empty name");
    assert!(caught("deploy/helpers/mod.rs", "//! Things.\n"), "empty name of a directory");
    for mark in unfinished_marks() {
        assert!(caught("deploy/plan.rs", &format!("//! A plan.\n// {mark} later\n")), "{mark}");
    }
    assert!(!caught("deploy/plan.rs", "//! A plan.\n\nuse std::fmt;\n"));
}

#[test]
fn tests_say_what_they_are_too() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let silent: Vec<_> =
        files.iter().filter(|p| !fs::read_to_string(p).is_ok_and(|t| t.starts_with("//!"))).collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:?}");
}

#[test]
fn continuous_integration_runs_every_section() {
    let read =
        |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a text");
    let (command, workflow) = (read("tests/run"), read(".github/workflows/ci.yml"));
    let left_out = sections_left_out(&command, &workflow);
    assert!(left_out.is_empty(), ".github/workflows/ci.yml does not run {left_out:?}");

    let command = "sections=(\n  \"lint:form\"\n  \"unit:units\"\n  \"long*:on demand\"\n)\n";
    assert_eq!(sections_left_out(command, "run: .ci/run --only lint\n"), ["unit"]);
    assert_eq!(sections_left_out(command, "run: .ci/run --only lint\n sections: unit cli\n"), [""; 0]);
}

/// Sections of tests/run, those aside that only `--only` runs, that no line of the workflow names.
fn sections_left_out(command: &str, workflow: &str) -> Vec<String> {
    let list =
        command.split_once("sections=(").map_or("", |(_, rest)| rest.split("\n)").next().unwrap_or_default());
    let names =
        list.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once(':').map(|(name, _)| name));
    let runs = |line: &&str| line.contains("sections: ") || line.contains("--only ");
    let named: BTreeSet<&str> = workflow.lines().filter(runs).flat_map(str::split_whitespace).collect();
    names.filter(|name| !name.ends_with('*') && !named.contains(name)).map(str::to_owned).collect()
}

/// LiteLLM takes `${NAME}` literally: in a configuration it would become part of a URL or a key.
#[test]
fn embedded_litellm_files_hold_no_shell_variables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded");
    let mut files = Vec::new();
    collect_with(&root, &["yaml", "yml"], &mut files);
    let faults: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("an embedded file is readable text");
            shell_variables(&text).into_iter().map(|n| format!("{}:{n}", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert_empty(faults);

    assert_eq!(shell_variables("model_list:\n- litellm_params: { api_base: \"${BASE}\" }\n"), [2]);
    assert!(shell_variables("model_list: [] # never ${BASE}\n").is_empty());
    assert!(shell_variables("services:\n  a: { image: \"${IMAGE}\" }\n").is_empty(), "compose does expand");
}

/// Lines of a LiteLLM configuration or fragment that hold `${`, comments aside.
fn shell_variables(text: &str) -> Vec<usize> {
    if !text.lines().any(|l| l.starts_with("model_list:") || l.starts_with("litellm_settings:")) {
        return Vec::new();
    }
    let held = |line: &str| line.split(" #").next().is_some_and(|l| !l.starts_with('#') && l.contains("${"));
    text.lines().enumerate().filter(|(_, l)| held(l)).map(|(n, _)| n + 1).collect()
}

fn upward_imports(source: &Source) -> Vec<String> {
    if ROOTS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let rank = |module: &str| LAYERS.iter().position(|l| *l == module);
    let Some(own) = rank(source.module()) else {
        return vec![format!("src/{}: `{}` has no layer; add it to LAYERS", source.path, source.module())];
    };
    imported_modules(source)
        .into_iter()
        .filter(|module| rank(module).is_some_and(|theirs| theirs > own))
        .map(|module| {
            format!("src/{}: `{}` imports `{module}`, a higher layer", source.path, source.module())
        })
        .collect()
}

/// Every top-level module that the product part of the file names, by whatever path.
fn imported_modules(source: &Source) -> Vec<String> {
    let read = Imports::read(&source.text);
    let depth = source.module_path().len();
    let paths = read.imports.iter().map(|import| &import.path).chain(&read.paths);
    paths.filter_map(|path| top_module(path, depth)).collect()
}

/// The top-level module that a path names from the root. `super::super::x` leaves a module as surely as `crate::x`: it is
/// as many levels up as it says. Below an inline module the count would be off by one; sources have none but unit tests.
fn top_module(path: &[String], depth: usize) -> Option<String> {
    let climbs = path.iter().take_while(|segment| *segment == "super").count();
    let from_root = match path.first()?.as_str() {
        "crate" | "gwinstall" => 1,
        "super" if climbs == depth => climbs,
        _ => return None,
    };
    path.get(from_root).cloned()
}

/// The text before the unit tests: they may use any layer.
fn product_part(text: &str) -> &str {
    let tests = text
        .match_indices("#[cfg(test)]")
        .find(|(at, m)| text[at + m.len()..].trim_start().starts_with("mod "));
    tests.map_or(text, |(at, _)| &text[..at])
}

fn opened_doors(source: &Source) -> Vec<String> {
    let free = source.module() == "doors" || source.path == "build.rs" || source.path.ends_with("/tests.rs");
    let opens = product_part(&source.text)
        .lines()
        .any(|l| l.contains("disallowed_methods") && (l.contains("allow(") || l.contains("expect(")));
    if opens && !free {
        vec![format!("src/{}: effects belong in src/doors", source.path)]
    } else {
        Vec::new()
    }
}

fn form_faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("src/{}: {what}", source.path));
    if !source.text.starts_with("//!") {
        fault("does not begin with `//!`: what it is, what it promises, what it never does".into());
    }
    let lines = source.text.lines().count();
    if lines > LONGEST_FILE {
        fault(format!("{lines} lines; at most {LONGEST_FILE}"));
    }
    if let Some(name) = source.module_path().iter().find(|n| EMPTY_NAMES.contains(n)) {
        fault(format!("`{name}` says nothing; name it after what it holds"));
    }
    for mark in unfinished_marks() {
        if let Some(line) = source.text.lines().position(|l| l.contains(&mark)) {
            fault(format!("line {}: unfinished ({mark})", line + 1));
        }
    }
    faults
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files
        .iter()
        .map(|path| Source {
            path: path.strip_prefix(&root).expect("below src").to_str().expect("UTF-8").replace('\\', "/"),
            text: fs::read_to_string(path).expect("a source file is readable text"),
        })
        .collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    collect_with(dir, &["rs"], files);
}

fn collect_with(dir: &Path, extensions: &[&str], files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("a directory entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect_with(&path, extensions, files);
        } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
            files.push(path);
        }
    }
}

fn made_up(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn assert_empty(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
