//! The exam that a model passes before it can work under Claude Code: what Claude Code asks of it, asked through the
//! same gateway with the same key.
//!
//! Promise: one request at a time, each with an end; what is said about an answer holds no key and cannot drive a
//! terminal.
//! Never: runs on its own, because providers charge for each request.

mod bodies;

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::word::words;
use crate::doors::loopback::Reply;
use crate::format::messages::{Fault, Message, token_count};

use super::ask::Gateway;

/// How long one answer may take.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Tokens of the long input, where the model takes so many.
pub const LONG_INPUT: u64 = 60_000;
/// Tokens that stay free of a context for the question and the answer.
const ROOM: u64 = 8_000;

words! {
    /// What a model is asked, in this order: a later question may need what an earlier one brought.
    pub enum Question {
        Answers = "answers",
        ToolCall = "tool-call",
        ToolResult = "tool-result",
        Streaming = "streaming",
        TwoTools = "two-tools",
        Thinking = "thinking",
        CachedSystem = "cached-system",
        LongAnswer = "long-answer",
        CountTokens = "count-tokens",
        Image = "image",
        LongInput = "long-input",
    }
}

impl Question {
    pub const ALL: [Self; 11] = [
        Self::Answers,
        Self::ToolCall,
        Self::ToolResult,
        Self::Streaming,
        Self::TwoTools,
        Self::Thinking,
        Self::CachedSystem,
        Self::LongAnswer,
        Self::CountTokens,
        Self::Image,
        Self::LongInput,
    ];

    /// Whether Claude Code cannot work with a model that fails here.
    pub fn is_needed(self) -> bool {
        matches!(self, Self::Answers | Self::ToolCall | Self::ToolResult | Self::Streaming)
    }

    pub fn asks(self) -> &'static str {
        match self {
            Self::Answers => "answers a short message",
            Self::ToolCall => "calls a tool, with a JSON object as its input",
            Self::ToolResult => "goes on with the result of its tool",
            Self::Streaming => "sends an answer event by event, and a tool call in it",
            Self::TwoTools => "calls two tools in one answer",
            Self::Thinking => "takes its own thoughts back in the next turn",
            Self::CachedSystem => "takes a system prompt that is marked for the cache",
            Self::LongAnswer => "takes the longest answer that Claude Code allows it",
            Self::CountTokens => "counts the tokens of a message",
            Self::Image => "sees the color of a small image",
            Self::LongInput => "finds two words in a long input",
        }
    }

    /// What Claude Code needs it for.
    pub fn why(self) -> &'static str {
        match self {
            Self::Answers => "Claude Code needs an answer to every request",
            Self::ToolCall => "Claude Code reads and edits files only through tools",
            Self::ToolResult => "Claude Code sends what a tool printed as the next turn",
            Self::Streaming => "Claude Code reads every answer as a stream",
            Self::TwoTools => "Claude Code saves turns when a model reads several files at once",
            Self::Thinking => "Claude Code sends the thoughts of a turn back with the next one",
            Self::CachedSystem => "Claude Code marks its system prompt in every request",
            Self::LongAnswer => "Claude Code sends its limit of the answer with every request",
            Self::CountTokens => "Claude Code counts tokens for /context, and estimates them otherwise",
            Self::Image => "Claude Code sends the images that you paste",
            Self::LongInput => "Claude Code sends long conversations and files",
        }
    }
}

/// `Ok`: the model passed.
pub type Outcome = Result<(), Missed>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    Failed(Failure),
    NotAsked(Reason),
}

/// What came back in place of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    /// The rest of a sentence that begins with the name of the model; safe to print.
    pub came: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No answer came, or not a whole one.
    Silence,
    /// The gateway answered with this status.
    Status(u16),
    /// The answer is not what was asked for.
    Content,
}

/// Why a question was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Unanswered,
    NoCall,
    NoThoughts,
    OnlyLong,
    NoImages,
    ShortContext,
}

impl Reason {
    pub fn words(self) -> &'static str {
        match self {
            Self::Unanswered => "the model does not answer",
            Self::NoCall => "the model called no tool",
            Self::NoThoughts => "the model sent no thoughts",
            Self::OnlyLong => "it is only asked with --long",
            Self::NoImages => "the gateway does not say that the model reads images",
            Self::ShortContext => "the model takes only short inputs",
        }
    }
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A model, and what is known about it.
pub struct Candidate {
    pub name: String,
    /// Its context window, where the catalog knows it.
    pub context_tokens: Option<u64>,
    pub reads_images: bool,
}

pub struct Exam<'g> {
    pub gateway: &'g Gateway,
    /// The longest answer that Claude Code asks for.
    pub answer_tokens: u64,
    /// Whether the long input is asked too.
    pub long: bool,
    /// How long each answer may take.
    pub patience: Duration,
}

impl Exam<'_> {
    /// Asks one model every question; `before` hears each one.
    pub fn sit(&self, candidate: &Candidate, before: &mut dyn FnMut(Question)) -> Vec<(Question, Outcome)> {
        let mut sitting = Sitting { exam: self, candidate, called: None };
        let mut outcomes = Vec::new();
        let mut answers = true;
        for question in Question::ALL {
            before(question);
            let outcome =
                if answers { sitting.ask(question) } else { Err(Missed::NotAsked(Reason::Unanswered)) };
            answers &= question != Question::Answers || outcome.is_ok();
            outcomes.push((question, outcome));
        }
        outcomes
    }
}

/// The exam of one model.
struct Sitting<'e> {
    exam: &'e Exam<'e>,
    candidate: &'e Candidate,
    /// The answer in which the model called its tool.
    called: Option<Message>,
}

impl Sitting<'_> {
    fn ask(&mut self, question: Question) -> Outcome {
        match question {
            Question::Answers => self.answers(),
            Question::ToolCall => self.tool_call(),
            Question::ToolResult => self.tool_result(),
            Question::Streaming => self.streaming(),
            Question::TwoTools => self.two_tools(),
            Question::Thinking => self.thinking(),
            Question::CachedSystem => Ok(self.text(&self.message(bodies::cached_system())?)?),
            Question::LongAnswer => self.long_answer(),
            Question::CountTokens => self.count_tokens(),
            Question::Image => self.image(),
            Question::LongInput => self.long_input(),
        }
    }

    fn answers(&self) -> Outcome {
        Ok(self.text(&self.message(bodies::hello())?)?)
    }

    fn tool_call(&mut self) -> Outcome {
        let message = self.message(bodies::one_tool())?;
        self.calls(&message, 1)?;
        self.called = Some(message);
        Ok(())
    }

    fn tool_result(&self) -> Outcome {
        let called = self.called.as_ref().ok_or(Missed::NotAsked(Reason::NoCall))?;
        let answer = self.message(bodies::next_turn(bodies::one_tool(), called))?;
        Ok(self.says(&answer, &[bodies::CODE], "did not use the result of its tool")?)
    }

    /// Whether the stream has the tool call is of interest only where the model calls tools at all.
    fn streaming(&self) -> Outcome {
        let reply = self.accepted(bodies::streamed(bodies::one_tool()))?;
        let message = Message::read_stream(&reply.body).map_err(|fault| self.broken(&fault))?;
        if self.called.is_some() {
            self.calls(&message, 1)?;
        }
        Ok(())
    }

    fn two_tools(&self) -> Outcome {
        if self.called.is_none() {
            return Err(Missed::NotAsked(Reason::NoCall));
        }
        Ok(self.calls(&self.message(bodies::two_tools())?, 2)?)
    }

    /// Claude Code has two ways to ask for thoughts, and chooses by the name of the model.
    fn thinking(&self) -> Outcome {
        let [fixed, free] =
            [json!({ "type": "enabled", "budget_tokens": 1024 }), json!({ "type": "adaptive" })];
        let mut body = bodies::thinking(&fixed);
        let mut answer = self.message(body.clone());
        if let Err(Failure { cause: Cause::Status(400 | 422), .. }) = answer {
            body = bodies::thinking(&free);
            answer = self.message(body.clone()).or(answer);
        }
        let thought = answer?;
        if !thought.thinks() {
            return Err(Missed::NotAsked(Reason::NoThoughts));
        }
        let _accepted = self.message(bodies::next_turn(body, &thought))?;
        Ok(())
    }

    fn long_answer(&self) -> Outcome {
        let mut body = bodies::streamed(bodies::hello());
        body["max_tokens"] = json!(self.exam.answer_tokens);
        let reply = self.accepted(body)?;
        match Message::read_stream(&reply.body) {
            Err(fault @ Fault::Reported(_)) => Err(self.broken(&fault).into()),
            // Whether the rest of the stream is right is another question.
            _ => Ok(()),
        }
    }

    fn count_tokens(&self) -> Outcome {
        let reply = self.reply("/v1/messages/count_tokens", bodies::counted())?;
        let count = token_count(&reply.body).ok_or_else(|| {
            self.wrong(format!(
                "answered a request for the number of tokens with {}",
                self.quoted(&reply.body)
            ))
        })?;
        if bodies::COUNT.contains(&count) {
            return Ok(());
        }
        Err(self.wrong(format!("counted {count} tokens in {} letters", bodies::COUNTED_LETTERS)).into())
    }

    fn image(&self) -> Outcome {
        if !self.candidate.reads_images {
            return Err(Missed::NotAsked(Reason::NoImages));
        }
        Ok(self.says(&self.message(bodies::image())?, &["red"], "did not see that an image is red")?)
    }

    fn long_input(&self) -> Outcome {
        if !self.exam.long {
            return Err(Missed::NotAsked(Reason::OnlyLong));
        }
        let takes = self.candidate.context_tokens.map_or(LONG_INPUT, |tokens| tokens.saturating_sub(ROOM));
        if takes < ROOM {
            return Err(Missed::NotAsked(Reason::ShortContext));
        }
        let tokens = takes.min(LONG_INPUT);
        let answer = self.message(bodies::long_input(tokens))?;
        let lost = format!("lost a part of an input of about {tokens} tokens");
        Ok(self.says(&answer, &bodies::NEEDLES, &lost)?)
    }

    /// The answer to a request that was not to be streamed.
    fn message(&self, body: Value) -> Result<Message, Failure> {
        let reply = self.accepted(body)?;
        Message::read(&reply.body).map_err(|fault| self.broken(&fault))
    }

    fn accepted(&self, body: Value) -> Result<Reply, Failure> {
        self.reply("/v1/messages", body)
    }

    fn reply(&self, path: &str, mut body: Value) -> Result<Reply, Failure> {
        body["model"] = json!(self.candidate.name);
        let gateway = self.exam.gateway;
        let reply = gateway.post(path, &body, self.exam.patience).map_err(|why| Failure {
            cause: Cause::Silence,
            came: format!("does not answer: {}", gateway.shown(&why)),
        })?;
        if reply.status == 200 {
            return Ok(reply);
        }
        let came = format!("does not answer: the gateway sent {}", gateway.reason(&reply));
        Err(Failure { cause: Cause::Status(reply.status), came })
    }

    fn text(&self, message: &Message) -> Result<(), Failure> {
        if message.text().trim().is_empty() { Err(self.wrong("sent no text")) } else { Ok(()) }
    }

    /// Whether every one of these words is in the text; `lost` says what it means that one is not.
    fn says(&self, message: &Message, words: &[&str], lost: &str) -> Result<(), Failure> {
        let text = message.text();
        let lower = text.to_lowercase();
        if words.iter().all(|word| lower.contains(word)) {
            return Ok(());
        }
        Err(self.wrong(format!("{lost}: it answered {}", self.quoted(&text))))
    }

    /// Whether the message calls the tool at least so many times, each call with an id of its own and a usable input.
    fn calls(&self, message: &Message, wanted: usize) -> Result<(), Failure> {
        let calls = message.calls();
        if calls.len() < wanted {
            let said = self.quoted(&message.text());
            return Err(self.wrong(match calls.len() {
                0 => format!("called no tool: it answered {said}"),
                found => format!("called {found} of {wanted} tools in one answer"),
            }));
        }
        for (place, call) in calls.iter().enumerate() {
            let input = self.quoted(&call.input.to_string());
            if call.name != bodies::TOOL {
                return Err(
                    self.wrong(format!("called a tool that does not exist: {}", self.quoted(call.name)))
                );
            }
            if !call.input.is_object() {
                return Err(self.wrong(format!("sent a tool input that is not a JSON object: {input}")));
            }
            if !call.input.get("path").is_some_and(Value::is_string) {
                return Err(
                    self.wrong(format!("sent a tool input without the path that the tool needs: {input}"))
                );
            }
            if call.id.is_empty() || calls[..place].iter().any(|before| before.id == call.id) {
                return Err(self.wrong("sent tool calls without an id of their own"));
            }
        }
        Ok(())
    }

    fn wrong(&self, came: impl Into<String>) -> Failure {
        Failure { cause: Cause::Content, came: came.into() }
    }

    /// A fault may quote the answer.
    fn broken(&self, fault: &Fault) -> Failure {
        self.wrong(self.exam.gateway.shown(&fault.words()))
    }

    /// A part of an answer, as a quotation.
    fn quoted(&self, text: &str) -> String {
        if text.trim().is_empty() {
            "nothing".to_owned()
        } else {
            format!("\"{}\"", self.exam.gateway.shown(text))
        }
    }
}
