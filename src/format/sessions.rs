//! What Claude Code and the kernel say about an open session: `sessions/PID.json`, `/proc/PID/stat`, `/proc/PID/environ`.
//!
//! Promise: text of other programs, so whatever it holds is an answer or `None`, never a failure; a value of an
//! environment is never kept. Pure.

use std::time::Duration;

use serde_json::Value;

use crate::domain::name::printable;
use crate::domain::session::Session;

/// A longer text in the entry of a session is not one that Claude Code writes.
const TEXT_CAP: usize = 4096;

/// Ticks per second in `/proc`: the same on every platform that gwinstall runs on.
const TICKS: u64 = 100;

/// The session that `sessions/NAME` describes. The number in the name counts, because Claude Code looks it up there.
pub fn parse(name: &str, bytes: &[u8]) -> Option<Session> {
    let stem = name.strip_suffix(".json")?;
    let pid: i32 = stem.parse().ok().filter(|pid| *pid > 1)?;
    let entry: Value = serde_json::from_slice(bytes).ok()?;
    let entry = entry.as_object()?;
    let text = |key: &str| {
        let text = entry.get(key)?.as_str()?;
        (!text.is_empty() && text.len() <= TEXT_CAP).then(|| text.to_owned())
    };
    (pid.to_string() == stem).then(|| Session {
        pid,
        process_start: text("procStart"),
        domain: text("pidDomain"),
        id: text("sessionId"),
        directory: text("cwd").map_or_else(|| "?".to_owned(), |directory| printable(&directory)),
        started_at: entry.get("startedAt").and_then(Value::as_u64).unwrap_or(0),
    })
}

/// The id of the session that ran the hook, from the text that Claude Code gives the hook on its input.
pub fn acknowledged_by(bytes: &[u8]) -> Option<String> {
    let input: Value = serde_json::from_slice(bytes).ok()?;
    input.get("session_id")?.as_str().filter(|id| id.len() <= TEXT_CAP).map(str::to_owned)
}

/// The name by which Claude Code calls this machine and its process namespace on Linux.
pub fn domain(machine: &str, namespace: &str) -> String {
    format!("linux:{}:{namespace}", machine.trim())
}

/// What `/proc/PID/stat` says about a process.
#[derive(Debug, PartialEq, Eq)]
pub struct Stat {
    pub state: char,
    /// Field 22 as it is written there.
    pub start: String,
}

impl Stat {
    /// The name of a program, in parentheses, may hold blanks and parentheses: the fields are counted behind it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let start = fields.nth(18)?;
        start.bytes().all(|byte| byte.is_ascii_digit()).then(|| Self { state, start: start.to_owned() })
    }

    /// Whether the process has ended and only its entry is left.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// How long the process has existed, by the text of `/proc/uptime`.
    pub fn age(&self, uptime: &str) -> Option<Duration> {
        let (seconds, hundredths) = uptime.split_ascii_whitespace().next()?.split_once('.')?;
        let up = seconds.parse::<u64>().ok()?.checked_mul(TICKS)?.checked_add(hundredths.parse().ok()?)?;
        let ticks = up.saturating_sub(self.start.parse().ok()?);
        Some(Duration::from_millis(ticks.saturating_mul(1000 / TICKS)))
    }
}

/// Which of the variables `names` an environment sets to something.
pub fn variables_set<'n>(environ: &[u8], names: &[&'n str]) -> Vec<&'n str> {
    let sets = |name: &&&str| {
        environ.split(|byte| *byte == 0).any(|entry| {
            entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.len() > 1 && rest[0] == b'=')
        })
    };
    names.iter().filter(sets).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"{"pid":11690,"sessionId":"bea050db","cwd":"/home/a/w","startedAt":1795737005706,"procStart":"1266602","version":"2.1.329","kind":"interactive","entrypoint":"cli","pidDomain":"linux:3d12:pid:[4026531836]","status":"busy"}"#;

    #[test]
    fn an_entry_of_claude_code_is_read() {
        let session = parse("11690.json", ENTRY.as_bytes()).unwrap();
        assert_eq!((session.pid, session.started_at), (11690, 1_795_737_005_706));
        assert_eq!(session.process_start.as_deref(), Some("1266602"));
        assert_eq!(session.id.as_deref(), Some("bea050db"));
        assert_eq!(session.domain, Some(domain("3d12\n", "pid:[4026531836]")));
        let bare = parse("7.json", b"{}").unwrap();
        assert_eq!((bare.id, bare.process_start, bare.directory.as_str()), (None, None, "?"));
        assert_eq!(parse("7.json", br#"{"cwd":"/a\u001b[2J"}"#).unwrap().directory.find('\u{1b}'), None);
        assert_eq!(
            parse("7.json", br#"{"startedAt":-5,"sessionId":9,"procStart":1.5}"#).unwrap().started_at,
            0
        );
    }

    #[test]
    fn what_is_not_an_entry_is_none() {
        for name in ["1.json", "0.json", "-5.json", "07.json", "a.json", ".json", "7.key", "99999999999.json"]
        {
            assert_eq!(parse(name, ENTRY.as_bytes()), None, "{name}");
        }
        for text in ["", "[]", "null", "{", "\u{0}", "7"] {
            assert_eq!(parse("7.json", text.as_bytes()), None, "{text}");
        }
        let long = format!(r#"{{"sessionId":"{}"}}"#, "x".repeat(TEXT_CAP + 1));
        assert_eq!(parse("7.json", long.as_bytes()).unwrap().id, None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 19 20";
        for name in ["claude", "a b", "x) S 1 (", ")"] {
            let stat = Stat::parse(&format!("55 ({name}) {fields}")).unwrap();
            assert_eq!(stat, Stat { state: 'S', start: "4711".to_owned() });
        }
        for text in [
            "",
            "55 (claude)",
            "55 (claude) S 1 2",
            "55 claude S",
            "5 (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x",
        ] {
            assert_eq!(Stat::parse(text), None, "{text}");
        }
        let age = |start: &str, uptime| Stat { state: 'S', start: start.to_owned() }.age(uptime);
        assert_eq!(age("4711", "50.00 9.1\n"), Some(Duration::from_millis(2890)));
        assert_eq!(age("9999", "50.00 9.1\n"), Some(Duration::ZERO));
        assert_eq!(age("4711", "x"), None);
        assert_eq!(age("99999999999999999999999", "50.00"), None);
    }

    #[test]
    fn only_names_of_an_environment_are_read() {
        let names = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"];
        let set = |environ: &[u8]| variables_set(environ, &names);
        assert_eq!(set(b"HOME=/a\0ANTHROPIC_API_KEY=k\0"), ["ANTHROPIC_API_KEY"]);
        assert_eq!(set(b"ANTHROPIC_API_KEY=\0XANTHROPIC_AUTH_TOKEN=t\0"), [""; 0]);
        assert_eq!(set(b"ANTHROPIC_AUTH_TOKEN=\xff\0ANTHROPIC_API_KEY=k"), names);
        assert_eq!(set(b"ANTHROPIC_API_KEY"), [""; 0]);
    }

    #[test]
    fn an_acknowledgement_names_its_session() {
        let by = |text: &str| acknowledged_by(text.as_bytes());
        assert_eq!(by(r#"{"session_id":"s1","source":"user_settings"}"#).as_deref(), Some("s1"));
        // It is still being written.
        assert_eq!(by(r#"{"session_id":"s1","#), None);
        assert_eq!(by(r#"{"session_id":5}"#), None);
    }
}
