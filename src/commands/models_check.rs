//! `models check`: the list of the running gateway against what is deployed. With `--call`, one short request to each
//! model.

use serde_json::{Value, json};

use crate::deploy::lost;
use crate::domain::name::{count, list};
use crate::domain::{Error, Kind, Place, Result};
use crate::doors::{signals, term};
use crate::gateway::ask::Gateway;

use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, call: bool) -> Result<Answer> {
    let last = lost::record(place)?
        .ok_or_else(|| Error::usage("nothing is deployed yet").hint("gwinstall install"))?;
    let gateway = Gateway::of(place, &last)?;
    let served = gateway.models()?;
    let (missing, more) = compare(&last.models, &served);
    let mut lines = vec![format!("{} serves {}.", gateway.url, count(served.len(), "name"))];
    if !missing.is_empty() {
        lines.push(format!("  Deployed, but not served: {}", list(&missing)));
        lines.push(if gateway.local {
            "  The gateway runs with another configuration: gwinstall reload".to_owned()
        } else {
            "  Ask whoever runs the gateway, or name others: gwinstall install --models A,B,C".to_owned()
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
            "warning: {} get a short request now, and their providers charge for it",
            count(present.len(), "model")
        ));
        let (told, results, bad) = call_each(&gateway, &present)?;
        lines.extend(told);
        data["called"] = json!(results);
        failed += bad;
    }
    if failed == 0 {
        let told = if call { "Every deployed model answers." } else { "Every deployed model is served." };
        lines.push(told.to_owned());
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

fn call_each(gateway: &Gateway, models: &[&String]) -> Result<(Vec<String>, Vec<Value>, usize)> {
    let (mut lines, mut results, mut bad) = (Vec::new(), Vec::new(), 0);
    for model in models {
        signals::check()?;
        match gateway.call(model) {
            Ok(()) => {
                lines.push(format!("  {} {model} answers", term::paint("PASS", term::Style::Green)));
                results.push(json!({ "model": model, "ok": true }));
            }
            Err(why) => {
                bad += 1;
                lines.push(format!("  {} {model}: {why}", term::paint("FAIL", term::Style::Red)));
                results.push(json!({ "model": model, "ok": false, "why": why }));
            }
        }
    }
    Ok((lines, results, bad))
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
