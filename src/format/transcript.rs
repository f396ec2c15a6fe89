//! One line of a transcript of Claude Code (`projects/PROJECT/SESSION.jsonl`): which request it is of, and its tokens.
//!
//! Promise: text of another program, so whatever a line holds is an answer, never a failure; of the conversation nothing is
//! kept. Pure.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use serde::Deserialize;

use crate::domain::Instant;
use crate::domain::tokens::Tokens;

/// What Claude Code calls the model of an answer that it wrote itself, for example about an error.
const SYNTHETIC: &str = "<synthetic>";

/// A longer name is not one that a provider gives.
const NAME_CAP: usize = 200;

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'l> {
    /// A part of an answer of a model. Each part of one answer names the same request.
    Answer(Answer<'l>),
    /// An answer that no model gave.
    Synthetic,
    /// A prompt, a result of a tool, a note of Claude Code.
    Other,
    /// Not JSON, or an answer without its facts.
    Damaged,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'l> {
    pub request: RequestId<'l>,
    /// The model that the gateway named in its answer.
    pub model: Cow<'l, str>,
    pub at: Instant,
    /// The directory in which Claude Code was working.
    pub directory: Option<Cow<'l, str>>,
    pub tokens: Tokens,
}

/// By what the lines of one request are known: copies in other files have the same two.
#[derive(Debug, PartialEq, Eq)]
pub struct RequestId<'l> {
    message: Cow<'l, str>,
    /// Absent where a gateway gives its answers no id.
    request: Option<Cow<'l, str>>,
}

impl Hash for RequestId<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.message.as_ref(), self.request.as_deref()).hash(state);
    }
}

/// Reads one line, without its end.
pub fn line(bytes: &[u8]) -> Line<'_> {
    let Ok(Kind { kind }) = serde_json::from_slice::<Kind<'_>>(bytes) else { return Line::Damaged };
    if kind.as_deref() != Some("assistant") {
        return Line::Other;
    }
    let Ok(entry) = serde_json::from_slice::<Entry<'_>>(bytes) else { return Line::Damaged };
    if entry.message.model == SYNTHETIC {
        return Line::Synthetic;
    }
    entry.answer().map_or(Line::Damaged, Line::Answer)
}

/// The kind of a line: what else it holds is not looked at.
#[derive(Deserialize)]
struct Kind<'l> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'l, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'l> {
    #[serde(borrow)]
    message: Message<'l>,
    #[serde(borrow)]
    timestamp: Cow<'l, str>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'l, str>>,
    /// Claude Code's own name of the request, since 2.1.329 at the latest.
    #[serde(borrow, default)]
    request_ref: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    cwd: Option<Cow<'l, str>>,
}

#[derive(Deserialize)]
struct Message<'l> {
    #[serde(borrow)]
    model: Cow<'l, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'l, str>>,
    #[serde(default)]
    usage: Option<Usage>,
}

/// A count that no request reaches is an error of the text: `u32` refuses it.
#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    input_tokens: Option<u32>,
    #[serde(default)]
    output_tokens: Option<u32>,
    #[serde(default)]
    cache_read_input_tokens: Option<u32>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u32>,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
}

/// How the written tokens are split by the time that the cache keeps them.
#[derive(Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: Option<u32>,
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u32>,
}

impl<'l> Entry<'l> {
    fn answer(self) -> Option<Answer<'l>> {
        let tokens = self.message.usage?.tokens();
        let model = self.message.model;
        (!model.is_empty() && model.len() <= NAME_CAP).then_some(())?;
        Some(Answer {
            request: RequestId { message: self.message.id?, request: self.request_id.or(self.request_ref) },
            model,
            at: moment(&self.timestamp)?,
            directory: self.cwd,
            tokens,
        })
    }
}

impl Usage {
    fn tokens(&self) -> Tokens {
        let count = |number: Option<u32>| u64::from(number.unwrap_or(0));
        let (short, hour) = self.cache_creation.as_ref().map_or((0, 0), |split| {
            (count(split.ephemeral_5m_input_tokens), count(split.ephemeral_1h_input_tokens))
        });
        let written = self.cache_creation_input_tokens.map_or(short + hour, u64::from);
        let hour = hour.min(written);
        Tokens {
            input: count(self.input_tokens),
            cache_read: count(self.cache_read_input_tokens),
            cache_write: written - hour,
            cache_write_hour: hour,
            output: count(self.output_tokens),
        }
    }
}

/// `2026-11-27T11:17:52.625Z`, to the second.
fn moment(text: &str) -> Option<Instant> {
    let (second, fraction) = text.strip_suffix('Z')?.split_at_checked("2026-11-27T11:17:52".len())?;
    let fraction = fraction.strip_prefix('.').unwrap_or(fraction);
    fraction.bytes().all(|byte| byte.is_ascii_digit()).then(|| Instant::parse(&format!("{second}Z")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"parentUuid":null,"isSidechain":false,"message":{"model":"claude-opus-5-5","id":"msg_1","role":"assistant","content":[{"type":"text","text":"secret words"}],"usage":{"input_tokens":101,"cache_creation_input_tokens":301,"cache_read_input_tokens":2001,"output_tokens":41,"cache_creation":{"ephemeral_1h_input_tokens":1,"ephemeral_5m_input_tokens":300},"service_tier":"standard"}},"requestId":"req_1","requestRef":"4ef9","type":"assistant","timestamp":"2026-11-27T11:17:52.625Z","cwd":"/home/a/w"}"#;

    #[track_caller]
    fn answer(text: &str) -> Answer<'_> {
        match line(text.as_bytes()) {
            Line::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_gives_its_request_model_moment_and_tokens() {
        let read = answer(ANSWER);
        assert_eq!((read.model.as_ref(), read.directory.as_deref()), ("claude-opus-5-5", Some("/home/a/w")));
        assert_eq!(read.at.to_string(), "2026-11-27T11:17:52Z");
        let RequestId { message, request } = read.request;
        assert_eq!((message.as_ref(), request.as_deref()), ("msg_1", Some("req_1")));
        let tokens =
            Tokens { input: 101, cache_read: 2001, cache_write: 300, cache_write_hour: 1, output: 41 };
        assert_eq!(read.tokens, tokens);
    }

    #[test]
    fn a_request_without_an_id_of_the_gateway_has_one_of_claude_code() {
        let text = ANSWER.replace(r#""requestId":"req_1","#, "");
        assert_eq!(answer(&text).request.request.as_deref(), Some("4ef9"));
        let text = ANSWER.replace(r#""req_1""#, "null").replace(r#""4ef9""#, "null");
        assert_eq!(answer(&text).request.request, None);
    }

    #[test]
    fn counts_that_are_absent_are_nothing() {
        let all = ANSWER.find(r#""usage":"#).unwrap()..ANSWER.find(r#"},"requestId""#).unwrap();
        let with = |usage: &str| answer(&ANSWER.replace(&ANSWER[all.clone()], usage)).tokens;
        assert_eq!(with(r#""usage":{}"#), Tokens::default());
        let nulls = r#""usage":{"input_tokens":3,"cache_creation":null,"cache_read_input_tokens":null}"#;
        assert_eq!(with(nulls), Tokens { input: 3, ..Tokens::default() });
        let split =
            r#""usage":{"cache_creation":{"ephemeral_1h_input_tokens":5,"ephemeral_5m_input_tokens":2}}"#;
        assert_eq!(with(split), Tokens { cache_write: 2, cache_write_hour: 5, ..Tokens::default() });
        let total =
            r#""usage":{"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":5}}"#;
        assert_eq!(with(total), Tokens { cache_write_hour: 3, ..Tokens::default() });
    }

    #[test]
    fn what_is_not_an_answer_of_a_model_is_said() {
        for other in [
            r#"{"type":"user","message":{"role":"user","content":"x"}}"#,
            r#"{"type":"system","message":7}"#,
            "{}",
            r#"{"type":null}"#,
            "[]",
        ] {
            assert_eq!(line(other.as_bytes()), Line::Other, "{other}");
        }
        assert_eq!(line(ANSWER.replace("claude-opus-5-5", "<synthetic>").as_bytes()), Line::Synthetic);
        for (from, to) in [
            ("2026-11-27T", "2026-13-27T"),
            ("11:17:52.625Z", "11:17:52.625"),
            ("11:17:52.625Z", "11:17:52.6x5Z"),
            ("\"usage\"", "\"used\""),
            ("101", "-101"),
            ("101", "99999999999"),
            ("101", "1e3"),
            ("\"id\"", "\"no\""),
            ("\"model\"", "\"no\""),
            ("\"claude-opus-5-5\"", "\"\""),
            ("\"claude-opus-5-5\"", "7"),
        ] {
            let text = ANSWER.replace(from, to);
            assert_eq!(line(text.as_bytes()), Line::Damaged, "{from} {to}");
        }
        let long = ANSWER.replace("claude-opus-5-5", &"x".repeat(NAME_CAP + 1));
        for damaged in
            [&ANSWER[..ANSWER.len() - 1], "", "\0\0\0", "[\"assistant\"]", "7", "{\"type\":", &long]
        {
            assert_eq!(line(damaged.as_bytes()), Line::Damaged, "{damaged}");
        }
        assert_eq!(line(b"\xff\xfe{}"), Line::Damaged);
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(line(deep.as_bytes()), Line::Other);
    }
}
