//! `models test`: whether models can work under Claude Code, asked through the gateway. A scorecard, and a sentence for
//! each question that a model failed.
//!
//! Promise: nothing is sent before the user agreed to the costs. Never: changes anything.

use serde_json::{Value, json};

use crate::bundle::catalog::Catalog;
use crate::cli::ModelsTestArgs;
use crate::deploy::context::Context;
use crate::domain::name::{closest, count, is_model_name, list, printable};
use crate::domain::record::Record;
use crate::domain::{Error, Hint, Kind, Place, Result};
use crate::doors::progress::{self, Waiting};
use crate::doors::term::{self, Style, command};
use crate::doors::{prompt, signals};
use crate::gateway::ask::Gateway;
use crate::gateway::exam::{
    Candidate, Cause, Exam, Failure, LONG_INPUT, Missed, Outcome, PATIENCE, Question,
};
use crate::render::{BASE_URL, MODEL_KEYS, OUTPUT_LIMIT};
use crate::ui::answer::Answer;
use crate::ui::table::columns;

use super::sources;

/// Columns of a scorecard at most; further models get a table of their own.
const WIDEST: usize = 100;
/// What Claude Code asks for where its settings hold no limit.
const USUAL_ANSWER: u64 = 32_000;
/// Tokens that the short questions cost for one model, about: sent, and answered.
const SHORT_COST: (f64, f64) = (6_000.0, 4_000.0);

/// A model and how it did.
struct Card {
    model: String,
    outcomes: Vec<(Question, Outcome)>,
}

impl Card {
    /// Whether Claude Code can work with it.
    fn is_usable(&self) -> bool {
        self.outcomes.iter().all(|(question, outcome)| !question.is_needed() || outcome.is_ok())
    }
}

pub(super) fn run(place: &Place, args: &ModelsTestArgs) -> Result<Answer> {
    let context = Context::load(place)?;
    let record = context.deployed()?;
    // `--all` names the models of the gateway; else what answers Claude Code is tested.
    let gateway = if args.all { Gateway::of(place, record)? } else { Gateway::in_use(place, record)? };
    gateway.require_key()?;
    let models = chosen(&context, record, args)?;
    if gateway.local {
        require_served(&models, &gateway.models()?)?;
    }
    let catalog = sources::deployed(place, Some(record))?.catalog;
    agree(&models, &catalog, args)?;
    signals::end_at_once();
    let settings = context.settings()?.parsed();
    let limit = settings.and_then(|settings| settings.env_text(OUTPUT_LIMIT)?.parse().ok());
    let exam = Exam {
        gateway: &gateway,
        answer_tokens: limit.unwrap_or(USUAL_ANSWER),
        long: args.long,
        patience: PATIENCE,
    };
    let images = gateway.readers_of_images();
    let mut cards = Vec::new();
    for (place, model) in models.iter().enumerate() {
        let candidate = Candidate {
            name: model.clone(),
            context_tokens: catalog.model(model).map(|model| model.context_tokens),
            reads_images: images.contains(model),
        };
        cards.push(examined(&exam, &candidate, &format!("{} of {}", place + 1, models.len())));
    }
    Ok(answer(&gateway, &cards))
}

fn examined(exam: &Exam<'_>, candidate: &Candidate, number: &str) -> Card {
    let model = candidate.name.clone();
    let waiting = Waiting::begin(format!("Testing {model} ({number})"));
    let outcomes = exam.sit(candidate, &mut |question| {
        progress::now(&format!("Testing {model} ({number}): {question}"));
    });
    let card = Card { model, outcomes };
    waiting.end(card.is_usable());
    card
}

/// The models to test, each once.
fn chosen(context: &Context<'_>, record: &Record, args: &ModelsTestArgs) -> Result<Vec<String>> {
    let typed: Vec<String> =
        args.models.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
    if let Some(bad) = typed.iter().find(|name| !is_model_name(name)) {
        return Err(Error::usage(format!("{:?} is not a model name", printable(bad)))
            .hint(Hint::run(&["models", "check"])));
    }
    let names = match (typed.is_empty(), args.all) {
        (false, _) => typed,
        (true, true) => record.models.clone(),
        (true, false) => pointed_at(context, record)?,
    };
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    if once.is_empty() {
        return Err(unnamed("the deployment names no model"));
    }
    Ok(once)
}

/// The models in Claude Code's settings, as long as these lead to the gateway.
fn pointed_at(context: &Context<'_>, record: &Record) -> Result<Vec<String>> {
    let Some(settings) = context.settings()?.parsed() else {
        return Err(unnamed("Claude Code's settings cannot be read"));
    };
    if settings.env_text(BASE_URL).as_deref() != Some(record.address()) {
        return Err(unnamed("Claude Code is not pointed at the gateway"));
    }
    let named = MODEL_KEYS.iter().filter_map(|key| settings.env_text(key));
    // Claude Code takes the size of the context off the name, and words such as opus lead to the other variables.
    let named = named.map(|name| name.strip_suffix("[1m]").map_or(name.clone(), str::to_owned));
    let words = ["", "default", "best", "opus", "sonnet", "haiku", "opusplan"];
    let names: Vec<String> = named.filter(|name| !words.contains(&name.as_str())).collect();
    if names.is_empty() { Err(unnamed("Claude Code's settings name no model")) } else { Ok(names) }
}

fn unnamed(why: &str) -> Error {
    Error::usage("no model to test").because(why).hint(
        Hint::run(&["models", "test", "--all"])
            .to("test every deployed model")
            .or(Hint::run(&["models", "test", "MODEL"]).to("test one")),
    )
}

fn require_served(models: &[String], served: &[String]) -> Result<()> {
    let Some(name) = models.iter().find(|name| !served.contains(name)) else { return Ok(()) };
    let error = Error::usage(format!("the gateway does not serve {name}"));
    Err(match closest(name, served.iter().map(String::as_str)).as_slice() {
        [] => error.hint(Hint::run(&["models", "check"])),
        [near, ..] => error.hint(Hint::instead(name, *near).or(Hint::run(&["models", "check"]))),
    })
}

/// Says what the exam costs, and asks whether to go on.
fn agree(models: &[String], catalog: &Catalog, args: &ModelsTestArgs) -> Result<()> {
    let costs = match cost(models, catalog, args.long) {
        Some(dollars) => format!("about ${:.2}", dollars.max(0.01)),
        None if args.long => "for 70,000 tokens of each".to_owned(),
        None => "a few cents for each".to_owned(),
    };
    term::talk(&format!(
        "This sends about a dozen requests to {}; the providers charge {costs}.",
        count(models.len(), "model")
    ));
    if args.yes {
        return Ok(());
    }
    if !term::is_interactive() {
        return Err(Error::usage("this costs money, and there is no terminal to ask on")
            .because(format!("the providers of {} charge {costs}", list(models)))
            .hint(Hint::again(&["--yes"])));
    }
    if prompt::confirm("Go ahead?", true)? {
        return Ok(());
    }
    signals::check()?;
    Err(prompt::stopped())
}

/// US dollars, where the catalog knows the price of every model.
fn cost(models: &[String], catalog: &Catalog, long: bool) -> Option<f64> {
    let (sent, answered) = SHORT_COST;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
    let sent = if long { sent + LONG_INPUT as f64 } else { sent };
    let prices = models.iter().map(|name| catalog.model(name));
    prices.map(|model| model.map(|m| (sent * m.price_in + answered * m.price_out) / 1e6)).sum()
}

fn answer(gateway: &Gateway, cards: &[Card]) -> Answer {
    let unusable: Vec<&str> =
        cards.iter().filter(|card| !card.is_usable()).map(|card| card.model.as_str()).collect();
    let mut lines = scorecards(cards);
    lines.push("* Claude Code cannot work with a model that fails here.".to_owned());
    for card in cards {
        for (question, outcome) in &card.outcomes {
            if let Err(Missed::Failed(failure)) = outcome {
                lines.extend(failed(gateway, &card.model, *question, failure));
            }
        }
    }
    lines.extend(left_out(cards));
    let message = match unusable.as_slice() {
        [] => format!("Claude Code can work with {}", list(&names(cards))),
        some => format!("Claude Code cannot work with {}", list(some)),
    };
    lines.push(format!("{message}."));
    let data = json!({
        "gateway": gateway.url,
        "models": cards.iter().map(|card| data(gateway, card)).collect::<Vec<_>>(),
    });
    let answer = Answer::new(message).text(lines.join("\n")).data(data);
    if unusable.is_empty() { answer } else { answer.exit(Kind::Failed) }
}

fn names(cards: &[Card]) -> Vec<&str> {
    cards.iter().map(|card| card.model.as_str()).collect()
}

/// Tables with a row for each question and a column for each model, as many models as fit beside each other.
fn scorecards(cards: &[Card]) -> Vec<String> {
    let mut rest = cards;
    let mut tables = Vec::new();
    while !rest.is_empty() {
        let fits = |some: &usize| {
            let wide: usize =
                rest[..*some].iter().map(|card| card.model.len().max("not asked".len()) + 2).sum();
            wide + 16 <= WIDEST
        };
        let some = (1..=rest.len()).take_while(fits).last().unwrap_or(1);
        let (these, after) = rest.split_at(some);
        tables.push(table(these));
        rest = after;
    }
    tables
}

fn table(cards: &[Card]) -> String {
    let head = std::iter::once("QUESTION").chain(names(cards)).map(str::to_owned).collect();
    let rows = Question::ALL.iter().enumerate().map(|(place, question)| {
        let name = format!("{question}{}", if question.is_needed() { " *" } else { "" });
        let cells =
            cards.iter().map(|card| card.outcomes.get(place).map_or_else(String::new, |(_, o)| cell(o)));
        std::iter::once(name).chain(cells).collect()
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<Vec<String>>>(), &[])
}

fn cell(outcome: &Outcome) -> String {
    match outcome {
        Ok(()) => term::paint("ok", Style::Green),
        Err(Missed::Failed(_)) => term::paint("failed", Style::Red),
        Err(Missed::NotAsked(_)) => term::paint("not asked", Style::Dim),
    }
}

/// What came back, what Claude Code needs it for, and what to do.
fn failed(gateway: &Gateway, model: &str, question: Question, failure: &Failure) -> [String; 3] {
    let word = match question.is_needed() {
        true => term::paint("FAIL", Style::Red),
        false => term::paint("warning", Style::Yellow),
    };
    // A quotation at the end may have a full stop of its own.
    let end = if failure.came.ends_with('"') { "" } else { "." };
    [
        format!("{word} {question}: {model} {}{end}", failure.came),
        format!("     {}.", question.why()),
        format!("     {}", advice(gateway, question, failure)),
    ]
}

/// The questions that were not asked, each once, with the reason.
fn left_out(cards: &[Card]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (question, outcome) in cards.iter().flat_map(|card| &card.outcomes) {
        if let Err(Missed::NotAsked(reason)) = outcome {
            let line = format!("Not asked: {question}, because {}.", reason.words());
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

fn data(gateway: &Gateway, card: &Card) -> Value {
    let questions = card.outcomes.iter().map(|(question, outcome)| {
        let (word, why, advice) = match outcome {
            Ok(()) => ("ok", None, None),
            Err(Missed::Failed(failure)) => (
                "failed",
                Some(format!("{} {}", card.model, failure.came)),
                Some(advice(gateway, *question, failure)),
            ),
            Err(Missed::NotAsked(reason)) => ("not-asked", Some(reason.words().to_owned()), None),
        };
        json!({
            "question": question,
            "asks": question.asks(),
            "needed": question.is_needed(),
            "outcome": word,
            "why": why,
            "advice": advice,
        })
    });
    json!({ "model": card.model, "usable": card.is_usable(), "questions": questions.collect::<Vec<_>>() })
}

/// What to do: by the status where that says it, else by the question.
fn advice(gateway: &Gateway, question: Question, failure: &Failure) -> String {
    let local = gateway.local;
    match failure.cause {
        Cause::Silence if local => format!("See whether the gateway is well: {}", command(&["health"])),
        Cause::Silence => "Ask the operator of the gateway whether the model is up.".to_owned(),
        Cause::Status(401 | 403) if local => {
            format!("The provider refuses its key or login: {}", command(&["env", "check"]))
        }
        Cause::Status(401 | 403) => {
            format!("Set a token that the gateway accepts: {}", command(&["env", "set", &gateway.key_name]))
        }
        Cause::Status(429) => {
            "The provider limits how much you may ask: wait, or ask for more, and test again.".to_owned()
        }
        Cause::Status(500..) if local => format!("The log says more: {}", command(&["logs"])),
        Cause::Status(500..) => "Ask the operator of the gateway, or test again later.".to_owned(),
        Cause::Status(404) if question == Question::Answers => {
            format!("See which models there are: {}", command(&["models", "check"]))
        }
        Cause::Status(_) | Cause::Content => by_question(question, local),
    }
}

fn by_question(question: Question, local: bool) -> String {
    let another = || command(&["install", "--models", "A,B,C"]);
    match question {
        Question::ToolCall if local => format!(
            "LiteLLM may drop its tools: add allowed_openai_params: [tools, tool_choice] to its litellm_params in \
             config/litellm.yaml, then {}. Otherwise use another model: {}",
            command(&["reload"]),
            another()
        ),
        Question::Answers | Question::ToolCall | Question::ToolResult | Question::Streaming => {
            format!("Use another model: {}", another())
        }
        Question::TwoTools => "It works, with more turns: nothing to do.".to_owned(),
        Question::Thinking => "Turn thinking off: MAX_THINKING_TOKENS=0 under env in settings.json.".to_owned(),
        Question::CachedSystem => "Set DISABLE_PROMPT_CACHING=1 under env in settings.json.".to_owned(),
        Question::LongAnswer => {
            "Set CLAUDE_CODE_MAX_OUTPUT_TOKENS under env in settings.json to what the model takes.".to_owned()
        }
        Question::CountTokens => "Claude Code estimates instead: nothing to do.".to_owned(),
        Question::Image => "Paste no images, or use another model for them.".to_owned(),
        Question::LongInput => {
            "Set CLAUDE_CODE_MAX_CONTEXT_TOKENS under env in settings.json to less: Claude Code compacts earlier."
                .to_owned()
        }
    }
}
