//! `models check`: the list of the running gateway against what is deployed. With `--call`, one short request to each
//! model.

use serde_json::{Value, json};

use crate::deploy::lost;
use crate::domain::name::{count, list};
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::{signals, term};
use crate::gateway::ask::Gateway;

use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, call: bool) -> Result<Answer> {
    let last = lost::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed yet").hint(Hint::run(&["install"])))?;
    let gateway = Gateway::of(place, &last)?;
    signals::end_at_once();
    let served = gateway.models()?;
    let (missing, more) = compare(&last.models, &served);
    let mut lines = vec![format!("{} serves {}.", gateway.url, count(served.len(), "name"))];
    if !missing.is_empty() {
        lines.push(format!("  Deployed, but not served: {}", list(&missing)));
        lines.push(if gateway.local {
            format!("  The gateway runs with another configuration: {}", term::command(&["reload"]))
        } else {
            let command = term::command(&["install", "--models", "A,B,C"]);
            format!("  Ask its operator to serve them, or use others: {command}")
        });
    }
    if !more.is_empty() && gateway.local {
        lines.push(format!("  Also served (aliases and your own): {}", list(&more)));
    }
    let mut data = json!({
        "gateway": gateway.url,
        "deployed": last.models,
        "served": served,
        "missing": missing,
        "called": Value::Null,
    });
    let mut failed = missing.len();
    if call {
        let present: Vec<&String> = last.models.iter().filter(|model| served.contains(model)).collect();
        term::talk(&format!(
            "warning: sending {}; the provider charges for it",
            count(present.len(), "short request")
        ));
        let answers = call_each(&gateway, &present)?;
        lines.extend(answers.lines);
        data["called"] = json!(answers.results);
        failed += answers.failed;
    }
    if failed == 0 {
        let text = if call { "Every deployed model answers." } else { "Every deployed model is served." };
        lines.push(text.to_owned());
        return Ok(Answer::new("every deployed model is there").text(lines.join("\n")).data(data));
    }
    let message = format!("{failed} of {} not there", count(last.models.len(), "model"));
    Ok(Answer::new(message).text(lines.join("\n")).data(data).exit(Kind::Failed))
}

/// Deployed but not served, and served beyond what is deployed.
fn compare(deployed: &[String], served: &[String]) -> (Vec<String>, Vec<String>) {
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|name| !those.contains(name)).cloned().collect()
    };
    (without(deployed, served), without(served, deployed))
}

/// The answers of the models.
#[derive(Default)]
struct Answers {
    lines: Vec<String>,
    results: Vec<Value>,
    failed: usize,
}

fn call_each(gateway: &Gateway, models: &[&String]) -> Result<Answers> {
    let mut answers = Answers::default();
    for model in models {
        signals::check()?;
        match gateway.call(model) {
            Ok(()) => {
                let pass = term::paint("PASS", term::Style::Green);
                answers.lines.push(format!("  {pass} {model} answers"));
                answers.results.push(json!({ "model": model, "ok": true }));
            }
            Err(why) => {
                let fail = term::paint("FAIL", term::Style::Red);
                answers.failed += 1;
                answers.lines.push(format!("  {fail} {model}: {why}"));
                answers.results.push(json!({ "model": model, "ok": false, "why": why }));
            }
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn what_is_deployed_is_compared_both_ways() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (missing, more) = compare(&names(&["a", "b"]), &names(&["b", "claude-opus-5-5"]));
        assert_eq!((missing, more), (names(&["a"]), names(&["claude-opus-5-5"])));
    }
}
