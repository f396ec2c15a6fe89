//! What people miss before the gateway runs: packages of Python, a version of LiteLLM that must not be used, a free
//! port, a key that is one. Each is named with the command that mends it.

mod ends;
mod litellm;

use serde_json::json;

use crate::deploy::checks::Checks;
use crate::deploy::context::EnvFile;
use crate::domain::check::{CheckName, Finding};
use crate::domain::place::files;
use crate::domain::record::Record;
use crate::domain::request::DEFAULT_PORT;
use crate::domain::{Hint, Place, Result};
use crate::doors::disk;
use crate::format::dotenv::{DotEnv, is_placeholder};
use crate::gateway::process::{self, Running};
use crate::render::MASTER_KEY;

use litellm::{Judge, Tools};

/// Runs every check. Without a deployment those of the default preset, and nothing that is missing is a failure yet.
pub fn examine(checks: &mut Checks, place: &Place, record: Option<&Record>) -> Result<()> {
    // A staged home is for another machine.
    if place.staged {
        return Ok(());
    }
    checks.run(CheckName::ClaudeCodeRecentEnough, || ends::claude_code(place, record));
    if record.is_some_and(|record| !record.files.contains_key(files::CONFIG)) {
        return Ok(());
    }
    let google = needs_google(place, record);
    let tools = Tools::look(place);
    let judge = Judge { place, tools: &tools, deployed: record.is_some() };
    checks.run(CheckName::PythonRecentEnough, || judge.python());
    checks.run(CheckName::LitellmInstalled, || judge.litellm());
    checks.run(CheckName::LitellmVersionSafe, || judge.version());
    checks.run(CheckName::GoogleAuthInstalled, || {
        judge.package("google-auth", google, "every call to Vertex AI fails without it")
    });
    checks.run(CheckName::PrismaInstalled, || {
        judge.package("prisma", true, "LiteLLM answers a missing key with 500 instead of 401 without it")
    });
    checks.run(CheckName::GunicornInstalled, || {
        judge.package("gunicorn", true, "the start script runs LiteLLM with it")
    });
    let port =
        record.and_then(|record| record.gateway_url.rsplit(':').next()?.parse().ok()).unwrap_or(DEFAULT_PORT);
    checks.run(CheckName::NoLitellmRunning, || {
        let finding = no_litellm_running(place, port, record.is_some());
        match finding.details["pid"].as_i64() {
            // Here, other than before a change, that is as it should be.
            Some(pid) => Finding::pass(format!("the gateway is running (pid {pid}) on port {port}")),
            None => finding,
        }
    });
    let env = DotEnv::parse(&EnvFile::read(place)?.text);
    checks.run(CheckName::GoogleLoginFound, || {
        if google { ends::google_login(place, &env) } else { Finding::skip("no deployed model needs it") }
    });
    checks.run(CheckName::MasterKeySet, || {
        if record.is_some() { master_key(&env) } else { Finding::skip("generated at installation") }
    });
    Ok(())
}

/// What `install --start` would fail on after all files are deployed, asked before.
pub fn before_a_start(checks: &mut Checks, place: &Place) {
    let tools = Tools::look(place);
    let judge = Judge { place, tools: &tools, deployed: true };
    checks.run(CheckName::LitellmInstalled, || judge.litellm());
    checks.run(CheckName::LitellmVersionSafe, || judge.version());
}

/// Whether a deployed model is reached through Google: as the configuration has it now, the user's own models included.
fn needs_google(place: &Place, record: Option<&Record>) -> bool {
    if record.is_none() {
        return true;
    }
    let config = disk::read(&place.file(files::CONFIG), disk::TEXT_CAP).unwrap_or_default();
    String::from_utf8_lossy(&config).lines().any(|line| {
        let route = line.trim_start().trim_start_matches("- ").strip_prefix("model:");
        route
            .is_some_and(|route| route.trim_start().trim_start_matches(['"', '\'']).starts_with("vertex_ai/"))
    })
}

/// A key that everybody knows is none.
fn master_key(env: &DotEnv) -> Finding {
    let hint = format!("gwinstall env set {MASTER_KEY}");
    match env.get(MASTER_KEY) {
        Some(value) if !is_placeholder(value) => Finding::pass(format!("{MASTER_KEY} has a value")),
        Some(value) if !value.is_empty() => {
            Finding::fail(format!("{MASTER_KEY} is a placeholder that everybody knows")).hint(hint)
        }
        _ => Finding::fail(format!("{MASTER_KEY} has no value")).hint(hint),
    }
}

/// Who listens on the port of the gateway. `must_be_free`: the gateway is about to start there.
pub fn no_litellm_running(place: &Place, port: u16, must_be_free: bool) -> Finding {
    match process::look(place, port) {
        Running::No => Finding::pass(format!("port {port} is free")),
        // It is about to be started, and knows how to give way to itself.
        Running::Ours { pid, .. } if must_be_free => {
            Finding::pass(format!("the gateway is running (pid {pid})"))
        }
        Running::Ours { pid, .. } => Finding::warn(format!(
            "the gateway is running (pid {pid}); it keeps its old configuration until it reloads"
        ))
        .details(json!({ "pid": pid, "port": port }))
        .hint(Hint::run(&["reload"])),
        Running::Foreign { litellm } => {
            let who = if litellm { "another LiteLLM" } else { "another program" };
            let message = format!("{who} listens on port {port}");
            let finding = if must_be_free { Finding::fail(message) } else { Finding::warn(message) };
            let other = format!("http://127.0.0.1:{}", if port < 65_535 { port + 1 } else { port - 1 });
            finding.details(json!({ "port": port, "litellm": litellm })).hint(
                Hint::step("stop it")
                    .or(Hint::run(&["install", "--gateway-url", &other]).to("take another port")),
            )
        }
    }
}
