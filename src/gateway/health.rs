//! The runtime checks: does the gateway answer, is it ready, does it serve what is deployed, does it require the key.
//!
//! Never: calls a model. LiteLLM's own `/health` would call every one of them, and providers charge for that.

use serde_json::{Value, json};

use crate::deploy::checks::Checks;
use crate::domain::Hint;
use crate::domain::check::{CheckName, Finding, Status};
use crate::domain::name::{count, list, printable};
use crate::domain::record::Record;

use super::ask::Gateway;

/// The result of the worst check in one word.
pub fn word(checks: &Checks) -> &'static str {
    let any = |status: Status| checks.0.iter().any(|check| check.status == status);
    match (any(Status::Fail), any(Status::Warn)) {
        (true, _) => "unhealthy",
        (false, true) => "degraded",
        (false, false) => "healthy",
    }
}

/// A fact that readiness reported (`database`, `version`), where it did.
pub fn fact(checks: &Checks, name: &str) -> Value {
    let ready = checks.0.iter().find(|check| check.check_name == CheckName::GatewayHealthCheck);
    ready.and_then(|check| check.details.get(name)).cloned().unwrap_or_default()
}

/// Runs the four checks; a later one is skipped where an earlier one leaves it nothing to ask.
pub fn examine(checks: &mut Checks, gateway: &Gateway, record: &Record) {
    let mut reachable = false;
    checks.run(CheckName::GatewayEndpointReachable, || {
        let (finding, answers) = reach(gateway);
        reachable = answers;
        finding
    });
    let skipped = || Finding::skip("the gateway does not answer");
    checks.run(CheckName::GatewayHealthCheck, || if reachable { ready(gateway) } else { skipped() });
    checks.run(CheckName::ModelsEndpointAccessible, || {
        if reachable { models(gateway, record) } else { skipped() }
    });
    checks.run(CheckName::AuthenticationSuccessful, || {
        if reachable { authentication(gateway) } else { skipped() }
    });
}

fn reach(gateway: &Gateway) -> (Finding, bool) {
    let url = &gateway.url;
    let path = if gateway.local { "/health/liveliness" } else { "/v1/models" };
    match gateway.get(path, !gateway.local) {
        Err(why) => {
            let finding =
                Finding::fail(format!("{url} does not answer: {why}")).details(json!({ "url": url }));
            let hint = if gateway.local {
                Hint::run(&["start"])
            } else {
                Hint::run(&["env", "check"]).to("check the address and the proxy")
            };
            (finding.hint(hint), false)
        }
        Ok(reply) if gateway.local && (reply.status != 200 || !reply.body.contains("alive")) => {
            let finding = Finding::fail(format!("{url} answers, but not as LiteLLM does ({})", reply.status))
                .details(json!({ "url": url, "status": reply.status }))
                .hint(Hint::run(&["doctor"]).to("find the program that listens there"));
            (finding, false)
        }
        Ok(reply) => (
            Finding::pass(format!("{url} answers")).details(json!({ "url": url, "status": reply.status })),
            true,
        ),
    }
}

fn ready(gateway: &Gateway) -> Finding {
    if !gateway.local {
        return Finding::skip("remote gateways have no common health endpoint");
    }
    match gateway.get("/health/readiness", false) {
        Err(why) => {
            Finding::fail(format!("/health/readiness does not answer: {why}")).hint(Hint::run(&["logs"]))
        }
        Ok(reply) => {
            let body: Value = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
            let field = |name: &str| body.get(name).and_then(Value::as_str).map(printable);
            let word = field("status").unwrap_or_else(|| "unknown".to_owned());
            let (database, version) = (field("db"), field("litellm_version").or_else(|| version(gateway)));
            let details = json!({
                "status": reply.status,
                "health": word,
                "database": database,
                "version": version,
            });
            // Older LiteLLM says `connected`.
            if reply.status == 200 && matches!(word.as_str(), "healthy" | "connected") {
                let version = version.map(|version| format!(" {version}")).unwrap_or_default();
                let database = database.map(|word| format!("; database: {word}")).unwrap_or_default();
                Finding::pass(format!("LiteLLM{version} is ready ({word}{database})")).details(details)
            } else {
                Finding::fail(format!("LiteLLM is not ready: {}", gateway.reason(&reply)))
                    .details(details)
                    .hint(Hint::run(&["logs"]))
            }
        }
    }
}

/// LiteLLM reports its version only to a request with the key.
fn version(gateway: &Gateway) -> Option<String> {
    gateway.key.as_ref()?;
    let reply = gateway.get("/health/readiness/details", true).ok()?;
    let body: Value = serde_json::from_str(&reply.body).ok()?;
    body.get("litellm_version").and_then(Value::as_str).map(printable)
}

fn models(gateway: &Gateway, record: &Record) -> Finding {
    let served = match gateway.models() {
        Ok(served) => served,
        Err(error) => {
            let finding = Finding::fail(error.to_string());
            return match error.advice().filter(|advice| **advice != Hint::run(&["health"])) {
                Some(advice) => finding.hint(advice.clone()),
                None => finding,
            };
        }
    };
    let missing: Vec<&str> =
        record.models.iter().filter(|model| !served.contains(model)).map(String::as_str).collect();
    let details = json!({ "served": served.len(), "missing": missing });
    if missing.is_empty() {
        return Finding::pass(format!(
            "{} served, every deployed model among them",
            count(served.len(), "name")
        ))
        .details(details);
    }
    let hint = if gateway.local { Hint::run(&["reload"]) } else { Hint::run(&["models", "check"]) };
    Finding::fail(format!("not served: {}", list(&missing))).details(details).hint(hint)
}

/// With the key it must answer, without one it must refuse: an open gateway spends its owner's money.
fn authentication(gateway: &Gateway) -> Finding {
    let name = gateway.key_name.as_str();
    if gateway.key.is_none() {
        return Finding::fail(format!("{name} has no value")).hint(Hint::run(&["env", "set", name]));
    }
    let with = match gateway.get("/v1/models", true) {
        Ok(reply) => reply,
        Err(why) => return Finding::fail(why),
    };
    if with.status != 200 {
        let finding = Finding::fail(format!("the key of {name} is refused: {}", gateway.reason(&with)));
        let hint = if gateway.local {
            Hint::run(&["restart"]).to("replace an older key in the running gateway")
        } else {
            Hint::run(&["env", "set", name])
        };
        return finding.details(json!({ "with_key": with.status })).hint(hint);
    }
    // Without a database LiteLLM refuses with 400 or 500, not only with 401.
    match gateway.get("/v1/models", false).map(|reply| reply.status) {
        Ok(200) if gateway.local => {
            Finding::fail("the gateway answers without a key, so every user of this machine can use it")
                .details(json!({ "with_key": 200, "without_key": 200 }))
                .hint(Hint::run(&["validate"]).to("see where general_settings needs its master_key"))
        }
        Ok(without) => Finding::pass("the key is accepted, and no key is refused")
            .details(json!({ "with_key": 200, "without_key": without })),
        Err(why) => Finding::warn(format!("the key is accepted; without one there was no answer: {why}")),
    }
}
