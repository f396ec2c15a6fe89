//! The shape of the code, held by a test: which layer may import which, where effects may live, how long a file is.
//!
//! It reads `src/**/*.rs` as text. A rule that finds nothing proves nothing, so each rule is also given a made-up source
//! that breaks it.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first: a module imports only from those before it and from itself.
const LAYERS: [&str; 10] =
    ["domain", "format", "doors", "bundle", "render", "deploy", "gateway", "release", "cli", "commands"];

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
    let code = without_comments_and_strings(product_part(&source.text));
    let mut found = Vec::new();
    for root in ["crate::", "gwinstall::"] {
        for (at, _) in code.match_indices(root) {
            let whole = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if whole {
                found.extend(first_segments(&code[at + root.len()..]));
            }
        }
    }
    // `super::super::x` leaves the module as surely as `crate::x`: climb as many levels as it says. Below an inline
    // module the count would be off by one; sources have none but `tests`, which is cut away above.
    let depth = source.module_path().len();
    let chain = "super::".repeat(depth);
    found.extend(code.match_indices(&chain).flat_map(|(at, _)| first_segments(&code[at + chain.len()..])));
    found
}

/// The text before the unit tests: they may use any layer.
fn product_part(text: &str) -> &str {
    let tests = text
        .match_indices("#[cfg(test)]")
        .find(|(at, m)| text[at + m.len()..].trim_start().starts_with("mod "));
    tests.map_or(text, |(at, _)| &text[..at])
}

/// First segments behind a root: `a` of `a::b`, and `a`, `c` of `{a::b, c::{d, e}}`.
fn first_segments(rest: &str) -> Vec<String> {
    let ident = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else {
        return vec![ident(rest)];
    };
    let (mut depth, mut expect, mut segments) = (0_u32, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => expect = true,
            c if expect && !c.is_whitespace() => {
                segments.push(ident(&group[at..]));
                expect = false;
            }
            _ => {}
        }
    }
    segments
}

/// The text with comments and string contents blanked, so that prose never counts as an import.
fn without_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |e| e + 2),
            'r' if rest.starts_with("r#\"") => rest[3..].find("\"#").map_or(rest.len(), |e| e + 5),
            '"' => string_end(rest),
            '\'' if rest.starts_with("'\"'") => 3,
            _ => 0,
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            rest = &rest[skip..];
        }
    }
    out
}

/// Length of the string literal that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn opened_doors(source: &Source) -> Vec<String> {
    let free = source.module() == "doors" || source.path == "build.rs";
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
