//! Which program listens on the port of the gateway.

use serde_json::json;

use crate::domain::Hint;
use crate::domain::check::Finding;
use crate::gateway::process::Running;

/// What the port is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A report. Only where a gateway is deployed another program on its port is a failure.
    Report { deployed: bool },
    /// A change of the files, which needs no free port.
    Change,
    /// The gateway is about to start there, and gives way to itself.
    Start,
}

pub fn finding(running: Running, port: u16, purpose: Purpose) -> Finding {
    match running {
        Running::No => Finding::pass(format!("port {port} is free")),
        Running::Ours { pid, .. } => {
            Finding::pass(format!("the gateway is running (pid {pid}) on port {port}"))
                .details(json!({ "pid": pid, "port": port }))
        }
        Running::Foreign { litellm } => {
            let who = if litellm { "another LiteLLM" } else { "another program" };
            let message = format!("{who} listens on port {port}");
            let must_be_free = matches!(purpose, Purpose::Start | Purpose::Report { deployed: true });
            let finding = if must_be_free { Finding::fail(message) } else { Finding::warn(message) };
            let other = format!("http://127.0.0.1:{}", if port < 65_535 { port + 1 } else { port - 1 });
            let ways = Hint::step("stop that program")
                .or(Hint::run(&["install", "--gateway-url", &other]).to("take another port"));
            finding.details(json!({ "port": port, "litellm": litellm })).hint(ways)
        }
    }
}
