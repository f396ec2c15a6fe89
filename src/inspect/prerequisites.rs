//! Requirements that are often missing before the gateway runs: packages of Python, a version of LiteLLM that must not
//! be used, a free port, a real key. Each is named with the command that fixes it.

mod ends;
mod litellm;
mod pair;

use std::time::Duration;

use crate::bundle::Bundle;
use crate::deploy::checks::Checks;
use crate::deploy::logins::Cloud;
use crate::domain::check::{CheckName, Finding, Status};
use crate::domain::request::DEFAULT_PORT;
use crate::domain::runtime::RuntimeId;
use crate::domain::{Hint, Operation, Place};
use crate::doors::system;
use crate::gateway::process;
use crate::runtime::facts::Facts as Releases;

use super::facts::Facts;
use super::port::{self, Purpose};
use super::{configuration, variables};

use litellm::{Prerequisites, Tools};
use pair::Pair;

/// Runs every check. Without a deployment it uses the default preset, and a missing requirement is not a failure. `bundle`: the
/// deployed one, which knows what it was tested with.
pub fn examine(checks: &mut Checks, facts: &Facts<'_>, bundle: Option<&Bundle>) {
    let (place, record) = (facts.place(), facts.record());
    // A staged home is for another machine.
    if place.staged {
        return;
    }
    let claude = ends::ClaudeCode::look(place, ends::PATIENCE);
    checks.run(CheckName::ClaudeCodeRecentEnough, || ends::claude_code(place, record, claude.as_ref()));
    if record.is_some_and(|record| !record.runs_litellm()) {
        return;
    }
    let providers = configuration::providers(facts);
    let google =
        if record.is_some() { providers.map(|all| all.contains(&Cloud::Google)) } else { Some(true) };
    let unused = || match google {
        Some(_) => Finding::skip("no deployed model needs it"),
        None => Finding::skip("the configuration cannot be read"),
    };
    let tools = Tools::look(place, record.and_then(|record| record.runtime.as_ref()), litellm::PATIENCE);
    let prerequisites = Prerequisites { place, tools: &tools, deployed: record.is_some() };
    checks.run(CheckName::PythonRecentEnough, || prerequisites.python());
    checks.run(CheckName::LitellmInstalled, || prerequisites.litellm());
    checks.run(CheckName::LitellmVersionSafe, || prerequisites.version());
    let version = claude.as_ref().and_then(ends::ClaudeCode::version);
    let releases = bundle.and_then(|bundle| Releases::of(bundle).ok()).or_else(|| Releases::embedded().ok());
    checks.run(CheckName::PairTested, || prerequisites.pair(version.as_deref(), releases.as_ref()));
    checks.run(CheckName::GoogleAuthInstalled, || match google {
        Some(true) => prerequisites.package("google-auth", "every call to Vertex AI fails without it"),
        _ => unused(),
    });
    checks.run(CheckName::PrismaInstalled, || {
        prerequisites.package("prisma", "LiteLLM answers a missing key with 500 instead of 401 without it")
    });
    checks.run(CheckName::GunicornInstalled, || {
        prerequisites.package("gunicorn", "the start script runs LiteLLM with it")
    });
    checks.run(CheckName::NoLitellmRunning, || {
        let port = record.and_then(|record| record.port()).unwrap_or(DEFAULT_PORT);
        let running = facts.running().unwrap_or_else(|| process::look(place, port));
        port::finding(running, port, Purpose::Report { deployed: record.is_some() })
    });
    checks.run(CheckName::MasterKeySet, || variables::master_key(facts));
}

/// Checks before an installation for which `install --start` would otherwise fail after it deployed all files.
pub fn before_a_start(checks: &mut Checks, place: &Place, runtime: Option<&RuntimeId>) {
    let tools = Tools::look(place, runtime, litellm::PATIENCE);
    let prerequisites = Prerequisites { place, tools: &tools, deployed: true };
    checks.run(CheckName::LitellmInstalled, || prerequisites.litellm());
    checks.run(CheckName::LitellmVersionSafe, || prerequisites.version());
}

/// Refuses a pair of Claude Code and LiteLLM that is known to fail, before it is deployed; `insists`: the user passed
/// `--allow-unsafe-litellm`. An untested pair is a warning for an update, and says nothing before another change. `litellm`: the version
/// that the deployment is to run.
pub fn pair(
    checks: &mut Checks,
    place: &Place,
    bundle: &Bundle,
    litellm: Option<&str>,
    insists: bool,
    operation: Operation,
) {
    let (Some(litellm), Some(claude_code)) = (litellm, ends::installed_version(place)) else { return };
    let Ok(releases) = Releases::of(bundle).or_else(|_| Releases::embedded()) else { return };
    let mut found = pair::finding(&Pair { claude_code: &claude_code, litellm }, &releases);
    match found.status {
        Status::Fail if insists => found.status = Status::Warn,
        Status::Fail => {
            let flag = "--allow-unsafe-litellm";
            let insist = match operation {
                Operation::Install => Hint::again(&[flag]),
                _ => Hint::run(&["install", flag]),
            };
            found.hint = found.hint.map(|hint| hint.or(insist.to("use both although they fail together")));
        }
        // The newest bundle is here already.
        Status::Warn if operation == Operation::Update => found.hint = None,
        Status::Warn => return,
        _ => {}
    }
    checks.run(CheckName::PairTested, || found);
}

/// How long the first line of a session may wait for a program.
const GLANCE: Duration = Duration::from_secs(2);

/// What a session begins with: the programs that are here, with their versions, and what is wrong with LiteLLM. What does
/// not answer at once is left out; `doctor` says why.
pub fn glance(place: &Place, runtime: Option<&RuntimeId>) -> (Vec<String>, Checks) {
    let (claude, tools) =
        system::both(|| ends::ClaudeCode::look(place, GLANCE), || Tools::look(place, runtime, GLANCE));
    let mut found = tools.versions();
    let claude = claude.flatten().and_then(|claude| claude.version());
    found.extend(claude.map(|version| format!("Claude Code {version}")));
    let prerequisites = Prerequisites { place, tools: &tools, deployed: false };
    let mut checks = Checks::default();
    checks.run(CheckName::LitellmVersionSafe, || prerequisites.version());
    (found, checks)
}
