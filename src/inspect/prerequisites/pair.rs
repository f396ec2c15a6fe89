//! Whether the installed Claude Code and the LiteLLM of a deployment were tested together. Never: asks a program or the
//! network; what is installed is known before.

use serde_json::json;

use crate::domain::Hint;
use crate::domain::check::Finding;
use crate::runtime::facts::Facts as Releases;
use crate::runtime::pairs::{Known, Program};

/// Two versions that are to work together, as `2.1.329` and `1.106.2`.
pub(super) struct Pair<'a> {
    pub(super) claude_code: &'a str,
    pub(super) litellm: &'a str,
}

/// A pair that is known to fail is a failure, an untested one a warning.
pub(super) fn finding(pair: &Pair<'_>, releases: &Releases) -> Finding {
    let Pair { claude_code, litellm } = pair;
    let both = format!("Claude Code {claude_code} and LiteLLM {litellm}");
    let bring_litellm = || Hint::run(&["runtime", "install"]).to("install the LiteLLM of this bundle");
    let renew_claude_code = || Hint::shell("claude update").to("update Claude Code");
    let found = match releases.data.pairs.known(claude_code, litellm) {
        Known::Tested => Finding::pass(format!("{both} were tested together")),
        Known::Between => Finding::pass(format!("{both}: older and newer versions were tested together")),
        Known::Nothing => Finding::skip("this bundle lists no tested versions"),
        Known::Newer { program, newest } => Finding::warn(format!(
            "{both} were not tested together: the newest tested {} is {newest}",
            name(program)
        ))
        .hint(Hint::run(&["update"]).to("see whether a newer bundle was tested with it")),
        Known::Older { program, oldest } => Finding::warn(format!(
            "{both} were not tested together: the oldest tested {} is {oldest}",
            name(program)
        ))
        .hint(match program {
            Program::ClaudeCode => renew_claude_code(),
            Program::Litellm => bring_litellm(),
        }),
        Known::Broken { reason } => {
            let found = Finding::fail(format!("{both} do not work together: {reason}"));
            found.hint(if *litellm == releases.data.litellm {
                renew_claude_code()
            } else {
                bring_litellm().or(renew_claude_code())
            })
        }
    };
    found.details(json!({ "claude_code": claude_code, "litellm": litellm }))
}

fn name(program: Program) -> &'static str {
    match program {
        Program::ClaudeCode => "Claude Code",
        Program::Litellm => "LiteLLM",
    }
}
