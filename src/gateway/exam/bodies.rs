//! The requests of the exam, as Claude Code would send them but for the name of the model. Pure.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use crate::format::messages::Message;

/// The tool of the exam.
pub(super) const TOOL: &str = "read_file";
/// What the tool returns; a model cannot guess it.
pub(super) const CODE: &str = "pelican-4417";
/// The words that are hidden in the long input: one near its beginning, one in its middle.
pub(super) const NEEDLES: [&str; 2] = ["heron-2093", "walrus-7716"];
/// Letters of the text whose tokens are counted.
pub(super) const COUNTED_LETTERS: u64 = 4_000;
/// What a tokenizer may make of them: a token has one letter at least, and hardly more than ten.
pub(super) const COUNT: RangeInclusive<u64> = 400..=4_000;

/// Enough for a short answer, also of a model that thinks first.
const SHORT: u64 = 2_048;
/// Letters of a token in plain English, about.
const LETTERS: usize = 4;
/// 32 by 32 pixels of pure red.
const RED: &str = "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAJ0lEQVR42u3NsQkAAAjAsP7/tF7hIASyp6lTCQQCgUAgEAgEgi/\
                   BAjLD/C5w/SM9AAAAAElFTkSuQmCC";

fn said(content: impl Into<Value>) -> Value {
    json!({ "max_tokens": SHORT, "messages": [{ "role": "user", "content": content.into() }] })
}

fn with_tool(text: &str) -> Value {
    let mut body = said(text);
    body["tools"] = json!([{
        "name": TOOL,
        "description": "Reads a text file of the project and returns its text.",
        "input_schema": {
            "type": "object",
            "properties": { "path": { "type": "string", "description": "The path of the file" } },
            "required": ["path"],
        },
    }]);
    body["tool_choice"] = json!({ "type": "auto" });
    body
}

pub(super) fn hello() -> Value {
    said("Say ok.")
}

pub(super) fn one_tool() -> Value {
    with_tool(
        "Which code word is in the file notes.txt? Call the tool read_file now with the path notes.txt, and do not \
         answer in words before you have its result. Then answer with the code word.",
    )
}

pub(super) fn two_tools() -> Value {
    with_tool(
        "Read the files notes.txt and todo.txt. They do not depend on each other: call the tool read_file for both in \
         this one answer, before you have a result.",
    )
}

pub(super) fn thinking(how: &Value) -> Value {
    let mut body = with_tool(
        "First think about which of 91 and 97 is a prime number. Then call the tool read_file once, with the path \
         91.txt or 97.txt, whichever number is the prime.",
    );
    body["thinking"] = how.clone();
    body["max_tokens"] = json!(2 * SHORT);
    body
}

/// The request again, with its answer unchanged and what the user's side says to it: a result for each tool call.
pub(super) fn next_turn(mut body: Value, answer: &Message) -> Value {
    let results: Vec<Value> = answer
        .calls()
        .iter()
        .map(|call| {
            let text = format!("The code word {CODE} is the one for today.");
            json!({ "type": "tool_result", "tool_use_id": call.id, "content": [{ "type": "text", "text": text }] })
        })
        .collect();
    let next = if results.is_empty() { json!("Go on.") } else { json!(results) };
    if let Some(messages) = body["messages"].as_array_mut() {
        messages.push(json!({ "role": "assistant", "content": answer.content }));
        messages.push(json!({ "role": "user", "content": next }));
    }
    body
}

pub(super) fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

pub(super) fn cached_system() -> Value {
    let cached = json!({ "type": "ephemeral" });
    let mut body = said(json!([{ "type": "text", "text": "Say ok.", "cache_control": cached }]));
    body["system"] = json!([
        { "type": "text", "text": "You are the assistant of a programmer." },
        { "type": "text", "text": "You answer in one word.", "cache_control": cached },
    ]);
    body
}

pub(super) fn counted() -> Value {
    let text: String = "The harbour log notes a calm sea and a light wind from the west. ".repeat(80);
    let letters = usize::try_from(COUNTED_LETTERS).unwrap_or_default();
    json!({ "messages": [{ "role": "user", "content": text[..letters] }] })
}

pub(super) fn image() -> Value {
    let source = json!({ "type": "base64", "media_type": "image/png", "data": RED });
    said(json!([
        { "type": "image", "source": source },
        { "type": "text", "text": "Which color is this image? Answer with the English name of the color." },
    ]))
}

/// A log of about so many tokens with the two words in it, and the question for them at its end.
pub(super) fn long_input(tokens: u64) -> Value {
    let letters = usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(LETTERS);
    let mut text = String::with_capacity(letters + 512);
    let mut hidden = [letters / 50, letters / 2].into_iter().zip(NEEDLES).peekable();
    while text.len() < letters {
        if let Some((_, needle)) = hidden.next_if(|(at, _)| text.len() >= *at) {
            text.push_str(&format!("The keeper wrote down the code word {needle} on this day.\n"));
        }
        text.push_str(
            "The harbour log notes a calm sea, a light wind from the west, and two ships at the pier.\n",
        );
    }
    text.push_str("\nWhich two code words did the keeper write down in this log? Answer with both.");
    said(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_input_holds_both_words_and_has_about_its_length() {
        let body = long_input(60_000);
        let text = body["messages"][0]["content"].as_str().unwrap();
        let places = NEEDLES.map(|needle| text.find(needle).unwrap() * 100 / text.len());
        assert_eq!(places, [2, 49]);
        assert!((230_000..250_000).contains(&text.len()), "{}", text.len());
    }

    #[test]
    fn the_counted_text_has_the_letters_that_are_expected() {
        let body = counted();
        let letters = body["messages"][0]["content"].as_str().unwrap().len();
        assert_eq!(u64::try_from(letters).unwrap(), COUNTED_LETTERS);
    }
}
