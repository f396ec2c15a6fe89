//! Answers in Anthropic's protocol: what a model sent, as one JSON document or as a stream of events. Pure.
//!
//! Promise: what breaks the protocol for Claude Code is a `Fault`. Never: repairs an answer, or guesses what was meant.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a model answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The blocks as they came: the next turn of a conversation sends them back unchanged.
    pub content: Vec<Value>,
}

/// A tool that the model asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ToolCall<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub input: &'a Value,
}

/// How an answer breaks the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The answer is not JSON, or has no list of blocks.
    NotAMessage,
    /// The answer holds no event that Claude Code knows.
    NotAStream,
    /// The stream says that the model failed; its words, which may hold anything.
    Reported(String),
    /// An event came where it means nothing.
    Misplaced(String),
    /// The stream ended without an event that has to be there.
    Missing(&'static str),
    /// The pieces of a tool's input do not join to a JSON object.
    ToolInput(String),
}

impl Fault {
    /// As the end of a sentence that begins with the name of the model.
    pub fn words(&self) -> String {
        match self {
            Self::NotAMessage => "sent something that is not a message of Anthropic's protocol".to_owned(),
            Self::NotAStream => "sent no stream of events, although one was asked for".to_owned(),
            Self::Reported(why) => format!("broke off its stream with an error: {why}"),
            Self::Misplaced(event) => format!("sent the event {event} where it means nothing"),
            Self::Missing(event) => format!("ended its stream without {event}"),
            Self::ToolInput(joined) => format!("sent a tool input that is not a JSON object: {joined}"),
        }
    }
}

impl Message {
    /// Reads an answer that was not streamed.
    pub fn read(body: &str) -> Result<Self, Fault> {
        let body: Value = serde_json::from_str(body).map_err(|_error| Fault::NotAMessage)?;
        let content = body.get("content").and_then(Value::as_array).ok_or(Fault::NotAMessage)?;
        Ok(Self { content: content.clone() })
    }

    /// Reads the events of a streamed answer as Claude Code does: by the name in `event:`, each block by its number.
    pub fn read_stream(text: &str) -> Result<Self, Fault> {
        let mut stream = Stream::default();
        let mut known = false;
        for event in events(text) {
            known |= stream.take(&event)?;
        }
        if known { stream.end() } else { Err(Fault::NotAStream) }
    }

    /// The text of all blocks.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter(|block| kind(block) == "text");
        texts.filter_map(|block| block.get("text")?.as_str()).collect()
    }

    /// The tools that it asks for.
    pub fn calls(&self) -> Vec<ToolCall<'_>> {
        let calls = self.content.iter().filter(|block| kind(block) == "tool_use");
        calls
            .map(|block| ToolCall {
                id: block.get("id").and_then(Value::as_str).unwrap_or_default(),
                name: block.get("name").and_then(Value::as_str).unwrap_or_default(),
                input: block.get("input").unwrap_or(&Value::Null),
            })
            .collect()
    }

    /// Whether it holds thoughts beside the answer.
    pub fn thinks(&self) -> bool {
        self.content.iter().any(|block| matches!(kind(block), "thinking" | "redacted_thinking"))
    }
}

/// The number of tokens in an answer of `count_tokens`.
pub fn token_count(body: &str) -> Option<u64> {
    serde_json::from_str::<Value>(body).ok()?.get("input_tokens")?.as_u64()
}

fn kind(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// One event of a stream.
struct Event {
    name: String,
    data: String,
}

/// The events of a text; what stands behind the last empty line is one too, because a stream may end without it.
fn events(text: &str) -> Vec<Event> {
    let mut found = Vec::new();
    let (mut name, mut data) = (String::new(), Vec::new());
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            if !name.is_empty() || !data.is_empty() {
                found.push(Event { name: std::mem::take(&mut name), data: data.join("\n") });
                data.clear();
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => data.push(value),
            _ => {}
        }
    }
    found
}

/// A streamed answer as far as it has come.
#[derive(Default)]
struct Stream {
    begun: bool,
    has_reason: bool,
    stopped: bool,
    blocks: BTreeMap<u64, Block>,
}

/// A block of a stream, with the pieces of a tool's input.
struct Block {
    value: Value,
    pieces: String,
    open: bool,
}

impl Stream {
    /// Takes an event over; `false` if Claude Code does not know it and leaves it out.
    fn take(&mut self, event: &Event) -> Result<bool, Fault> {
        let known = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
            "error",
        ];
        if !known.contains(&event.name.as_str()) {
            return Ok(false);
        }
        if event.name == "error" {
            return Err(Fault::Reported(reported(&event.data)));
        }
        let misplaced = || Fault::Misplaced(event.name.clone());
        let data: Value = serde_json::from_str(&event.data).map_err(|_error| misplaced())?;
        if self.stopped || self.begun == (event.name == "message_start") {
            return Err(misplaced());
        }
        match event.name.as_str() {
            "message_start" => self.begun = data.get("message").is_some(),
            "message_stop" => self.stopped = true,
            "message_delta" => {
                self.has_reason |= data.pointer("/delta/stop_reason").is_some_and(Value::is_string);
            }
            _ => self.take_block(&event.name, &data).ok_or_else(misplaced)??,
        }
        Ok(true)
    }

    /// `None`: the event is about a block that is not open, or is already there.
    fn take_block(&mut self, event: &str, data: &Value) -> Option<Result<(), Fault>> {
        let index = data.get("index")?.as_u64()?;
        if event == "content_block_start" {
            let value = data.get("content_block").filter(|block| block.is_object())?.clone();
            let before = self.blocks.insert(index, Block { value, pieces: String::new(), open: true });
            return before.is_none().then_some(Ok(()));
        }
        let block = self.blocks.get_mut(&index).filter(|block| block.open)?;
        if event == "content_block_stop" {
            return Some(block.close());
        }
        block.add(data.get("delta")?)?;
        Some(Ok(()))
    }

    fn end(self) -> Result<Message, Fault> {
        if !self.stopped {
            return Err(Fault::Missing("message_stop"));
        }
        if self.blocks.values().any(|block| block.open) {
            return Err(Fault::Missing("content_block_stop"));
        }
        if !self.has_reason {
            return Err(Fault::Missing("a stop_reason"));
        }
        Ok(Message { content: self.blocks.into_values().map(|block| block.value).collect() })
    }
}

impl Block {
    fn add(&mut self, delta: &Value) -> Option<()> {
        let piece = |name: &str| delta.get(name).and_then(Value::as_str);
        let (field, piece) = match kind(delta) {
            "input_json_delta" => {
                self.pieces.push_str(piece("partial_json")?);
                return Some(());
            }
            "text_delta" => ("text", piece("text")?),
            "thinking_delta" => ("thinking", piece("thinking")?),
            "signature_delta" => ("signature", piece("signature")?),
            // Citations and what a later protocol brings.
            _ => return Some(()),
        };
        let before = self.value.get(field).and_then(Value::as_str).unwrap_or_default();
        self.value[field] = Value::from(format!("{before}{piece}"));
        Some(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.open = false;
        if self.pieces.is_empty() {
            return Ok(());
        }
        let joined = serde_json::from_str::<Value>(&self.pieces).ok().filter(Value::is_object);
        self.value["input"] = joined.ok_or_else(|| Fault::ToolInput(self.pieces.clone()))?;
        Ok(())
    }
}

/// The words of an `error` event; of another provider's shape, the whole.
fn reported(data: &str) -> String {
    let parsed = serde_json::from_str::<Value>(data).ok();
    let message = parsed.as_ref().and_then(|data| data.pointer("/error/message")?.as_str());
    message.unwrap_or(data).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {}}\n\n";
    const END: &str = "event: message_delta\ndata: {\"delta\": {\"stop_reason\": \"end_turn\"}}\n\n\
                       event: message_stop\ndata: {}\n\n";

    fn event(name: &str, data: &str) -> String {
        format!("event: {name}\ndata: {data}\n\n")
    }

    fn tool(pieces: &[&str]) -> String {
        let mut text = event(
            "content_block_start",
            r#"{"index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}"#,
        );
        for piece in pieces {
            let delta = serde_json::json!({ "type": "input_json_delta", "partial_json": piece });
            text +=
                &event("content_block_delta", &serde_json::json!({ "index": 0, "delta": delta }).to_string());
        }
        text + &event("content_block_stop", r#"{"index": 0}"#)
    }

    #[test]
    fn a_stream_joins_to_the_message_that_was_meant() {
        let text =
            event("content_block_start", r#"{"index": 1, "content_block": {"type": "text", "text": ""}}"#)
                + &event(
                    "content_block_delta",
                    r#"{"index": 1, "delta": {"type": "text_delta", "text": "a"}}"#,
                )
                + &event(
                    "content_block_delta",
                    r#"{"index": 1, "delta": {"type": "text_delta", "text": "b"}}"#,
                )
                + &event("content_block_stop", r#"{"index": 1}"#);
        let whole =
            format!(": hello\r\n{START}{}{}{text}{END}", event("ping", "{}"), tool(&["{\"a\"", ": 1}"]));
        let message = Message::read_stream(&whole.replace('\n', "\r\n")).unwrap();
        assert_eq!(message.text(), "ab");
        assert_eq!(message.calls(), [ToolCall { id: "t", name: "f", input: &serde_json::json!({ "a": 1 }) }]);
        assert!(!message.thinks());
    }

    #[test]
    fn each_break_of_the_protocol_has_its_fault() {
        let read = |text: String| Message::read_stream(&text).unwrap_err();
        assert_eq!(read(r#"{"content": []}"#.to_owned()), Fault::NotAStream);
        assert_eq!(read("data: {\"choices\": []}\n\ndata: [DONE]\n\n".to_owned()), Fault::NotAStream);
        assert_eq!(read(START.to_owned()), Fault::Missing("message_stop"));
        assert_eq!(read(format!("{START}{}", event("message_stop", "{}"))), Fault::Missing("a stop_reason"));
        assert_eq!(read(END.to_owned()), Fault::Misplaced("message_delta".to_owned()));
        assert_eq!(read(format!("{START}{END}{START}")), Fault::Misplaced("message_start".to_owned()));
        assert_eq!(read(format!("{START}{}{END}", tool(&["{\"a"]))), Fault::ToolInput("{\"a".to_owned()));
        let twice = format!("{START}{}{}{END}", tool(&[]), tool(&[]));
        assert_eq!(read(twice), Fault::Misplaced("content_block_start".to_owned()));
        let open = tool(&[]).replace("event: content_block_stop", "event: other");
        assert_eq!(read(format!("{START}{open}{END}")), Fault::Missing("content_block_stop"));
        let error = event("error", r#"{"error": {"message": "overloaded"}}"#);
        assert_eq!(read(format!("{START}{error}")), Fault::Reported("overloaded".to_owned()));
    }

    #[test]
    fn a_document_is_a_message_only_with_its_blocks() {
        let body = r#"{"content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "hi"}]}"#;
        let message = Message::read(body).unwrap();
        assert_eq!((message.text().as_str(), message.thinks(), message.calls().len()), ("hi", true, 0));
        for other in ["", "<html>", "[]", r#"{"choices": []}"#, r#"{"content": "hi"}"#] {
            assert_eq!(Message::read(other), Err(Fault::NotAMessage), "{other}");
        }
        assert_eq!(token_count(r#"{"input_tokens": 12}"#), Some(12));
        assert_eq!(token_count(r#"{"input_tokens": -1}"#), None);
    }
}
