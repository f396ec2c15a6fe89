//! `validate`: a configuration held against what LiteLLM really does with it, more strictly than LiteLLM's own check.
//! Every finding comes with file, line, column, the line itself with a caret, and what to write instead. It judges the
//! configuration: a variable that has no value yet is a warning, and a fault of the deployment for `env check` and `doctor`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::ValidateArgs;
use crate::deploy::context::{Context, EnvFile};
use crate::deploy::store;
use crate::domain::name::{count, list, printable};
use crate::domain::place::files;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::disk;
use crate::format::dotenv::DotEnv;
use crate::format::litellm::{Finding, Severity, model_lines};
use crate::inspect::configuration;

use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, args: &ValidateArgs) -> Result<Answer> {
    let (path, shown) = which(place, args.file.as_deref())?;
    // Only a file that the user names may be a pipe.
    let read = if args.file.is_some() { disk::read_given } else { disk::read };
    let bytes = read(&path, disk::TEXT_CAP)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::failed(format!("{shown}:{line}: this is not UTF-8"))
            .hint(Hint::shell(format!("sed -n {line}p {} | od -c", place.paste(&path))).to("look at it"))
    })?;
    let env = DotEnv::parse(&EnvFile::read(place)?.text);
    let record = Context::load(place).ok().and_then(|context| context.recorded().ok().flatten().cloned());
    let runtime = record.as_ref().and_then(|record| record.runtime.as_ref());
    let findings = configuration::findings(place, &text, &env, runtime, false);
    Ok(answer(&shown, &text, &findings, args.strict))
}

/// The file that was named, else the deployed configuration.
fn which(place: &Place, named: Option<&Path>) -> Result<(PathBuf, String)> {
    if let Some(path) = named {
        let shown = printable(&path.to_string_lossy());
        let is_env = path.file_name().is_some_and(|name| name == ".env");
        let instead = if is_env { Hint::run(&["env", "check"]) } else { Hint::run(&["validate"]) };
        if !disk::exists(path) {
            return Err(Error::usage(format!("there is no file {shown}")).hint(instead));
        }
        if disk::is_dir(path) {
            return Err(Error::usage(format!("{shown} is a directory, not a configuration")).hint(instead));
        }
        return Ok((path.to_path_buf(), shown));
    }
    let path = store::live_path(place, files::CONFIG);
    if disk::exists(&path) {
        let shown = place.show(&path);
        return Ok((path, shown));
    }
    let deployed = Context::load(place)?
        .recorded()?
        .and_then(|record| record.files.get(files::CONFIG).map(|file| file.deleted));
    if deployed == Some(false) {
        return Err(Error::failed(format!("there is no {}", place.show(&path)))
            .because("it was deployed, and has been deleted since")
            .hint(Hint::run(&["install", "--yes"]).to("get it back")));
    }
    Err(Error::usage(format!("there is no {}", place.show(&path)))
        .because("nothing is deployed, or its preset runs no LiteLLM on this machine")
        .hint(Hint::run(&["validate", "FILE"]).to("validate another file")))
}

/// Findings that say the same of several places, together.
fn once_each(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut once: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let said = |one: &Finding| (one.severity, one.rule, one.message.clone(), one.hint.clone());
        match once.iter_mut().find(|known| said(known[0]) == said(finding)) {
            Some(known) => known.push(finding),
            None => once.push(vec![finding]),
        }
    }
    once
}

/// The first place in full, the others by line, and the models they belong to.
fn report(shown: &str, text: &str, places: &[&Finding], models: &[(Range<usize>, String)]) -> String {
    let mut report = places[0].report(shown, text);
    if places.len() > 1 {
        let lines: Vec<String> = places.iter().map(|place| place.line.to_string()).collect();
        report.push_str(&format!("\n      = lines {}", list(&lines)));
        let of =
            |(range, _): &&(Range<usize>, String)| places.iter().any(|place| range.contains(&place.line));
        let names: Vec<String> = models.iter().filter(of).map(|(_, name)| printable(name)).collect();
        if !names.is_empty() {
            report.push_str(&format!(
                "; {} {}",
                if names.len() == 1 { "model" } else { "models" },
                list(&names)
            ));
        }
    }
    report
}

fn answer(shown: &str, text: &str, findings: &[Finding], strict: bool) -> Answer {
    let once = once_each(findings);
    let errors = once.iter().filter(|places| places[0].severity == Severity::Error).count();
    let warnings = once.len() - errors;
    let data = json!({
        "file": shown,
        "errors": errors,
        "warnings": warnings,
        "findings": findings.iter().map(|finding| json!({
            "severity": finding.severity.to_string(),
            "line": finding.line,
            "column": finding.column,
            "rule": finding.rule,
            "message": finding.message,
            "hint": finding.hint,
        })).collect::<Vec<Value>>(),
    });
    let models = model_lines(text);
    let mut parts: Vec<String> = once.iter().map(|places| report(shown, text, places, &models)).collect();
    let summary = match (errors, warnings) {
        (0, 0) => format!("{shown} is valid"),
        (0, _) => format!("{shown} is valid, with {}", count(warnings, "warning")),
        (_, 0) => format!("{shown} is not valid: {}", count(errors, "error")),
        _ => format!("{shown} is not valid: {} and {}", count(errors, "error"), count(warnings, "warning")),
    };
    parts.push(format!("{summary}."));
    let answer = Answer::new(summary).quoting(parts.join("\n")).data(data);
    if errors == 0 && !(strict && warnings > 0) { answer } else { answer.exit(Kind::Failed) }
}
