//! What `usage` says: the table of what was used, the same tokens on other models, and in sentences what the numbers are of.
//! Only numbers and names: nothing of a conversation is known here.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::table::columns;
use crate::bundle::Catalog;
use crate::domain::name::{count, list, printable};
use crate::domain::tokens::{Tokens, digits};
use crate::domain::{Hint, Place};
use crate::doors::term;
use crate::inspect::bill::{Alternative, Bill, Spent, Subject};
use crate::inspect::transcripts::{self, Transcripts};

/// More files than these are not named to a person.
const MOST_NAMED: usize = 5;

/// Everything that the answer speaks about.
pub struct Shown<'s> {
    pub place: &'s Place,
    pub transcripts: &'s Transcripts,
    pub bill: &'s Bill,
    pub others: &'s [Alternative<'s>],
    pub catalog: &'s Catalog,
}

pub fn answer(shown: &Shown<'_>) -> Answer {
    let bill = shown.bill;
    let data = data(shown);
    if bill.rows.is_empty() {
        return nothing(shown).data(data);
    }
    let mut parts = vec![table(shown)];
    if !shown.others.is_empty() {
        parts.push(comparison(shown));
    }
    parts.push(sentences(shown).join("\n"));
    let message = match bill.total.known_cost() {
        Some(cost) => format!("{}, {} US dollars", requests(bill.total.requests), cost.shown()),
        None => format!("{}, no price known", requests(bill.total.requests)),
    };
    Answer::new(message).text(parts.join("\n\n")).data(data)
}

fn requests(number: usize) -> String {
    count(number, "request")
}

/// The answer where nothing was found: where it was looked for.
fn nothing(shown: &Shown<'_>) -> Answer {
    let Shown { place, transcripts, .. } = shown;
    let dir = place.show(&transcripts::directory(place));
    let said = match transcripts.since {
        Some(since) if transcripts.has_older => {
            format!("The transcripts in {dir} hold no request since {} (UTC), only older ones.", since.date())
        }
        Some(since) if transcripts.files > 0 => {
            format!("The transcripts in {dir} hold no request since {} (UTC).", since.date())
        }
        _ if transcripts.files > 0 => format!("The transcripts in {dir} hold no request."),
        _ => format!("gwinstall found no transcripts of Claude Code in {dir}."),
    };
    let mut text = vec![said];
    text.extend(left_out(shown));
    let mut answer = Answer::new("no usage found");
    if transcripts.has_older {
        let all = Hint::run(&["usage", "--all"]);
        text.push(format!("To see them: {}", term::command(&["usage", "--all"])));
        answer.hint = Some(all);
    }
    answer.text(text.join("\n"))
}

fn table(shown: &Shown<'_>) -> String {
    let Shown { bill, place, .. } = shown;
    let what = match bill.rows.first() {
        Some((Subject::Day(_), _)) => "DAY",
        Some((Subject::Project(_), _)) => "PROJECT",
        _ => "MODEL",
    };
    let head = [what, "REQUESTS", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", "USD", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(bill.rows.iter().map(|(subject, spent)| row(name(subject, place), spent)));
    if bill.rows.len() > 1 {
        rows.push(row("total".to_owned(), &bill.total));
    }
    columns(&rows, &[1, 2, 3, 4, 5, 6])
}

/// What a row is of, safe to print.
fn name(subject: &Subject, place: &Place) -> String {
    match subject {
        Subject::Model(name) => printable(name),
        Subject::Day(day) => day.clone(),
        Subject::Project(project) => {
            project.directory.as_ref().map_or_else(|| printable(&project.name), |dir| place.show(dir))
        }
    }
}

/// A star marks a cost that is not of every request.
fn row(name: String, spent: &Spent) -> Vec<String> {
    let Tokens { input, cache_read, output, .. } = spent.tokens;
    let number = |tokens: u64| digits(tokens.into());
    let cost = spent.known_cost();
    vec![
        name,
        digits(spent.requests as u128),
        number(input),
        number(cache_read),
        number(spent.tokens.cache_written()),
        number(output),
        cost.map_or_else(|| "-".to_owned(), |cost| cost.shown()),
        if cost.is_some() && spent.unpriced > 0 { "*".to_owned() } else { String::new() },
    ]
}

/// What the same tokens cost elsewhere. By how much that is more or less can be said only where all have a price.
fn comparison(shown: &Shown<'_>) -> String {
    let total = shown.bill.total;
    let change = |one: &Alternative<'_>| {
        let change = one.cost.change_from(total.cost).filter(|_| total.unpriced == 0);
        match change {
            Some(percent) if percent.abs() < 0.5 => "0 %".to_owned(),
            Some(percent) => format!("{percent:+.0} %"),
            None => "-".to_owned(),
        }
    };
    let mut rows = vec![["THE SAME TOKENS ON", "USD", "CHANGE", "NO CACHE"].map(str::to_owned).to_vec()];
    rows.extend(
        shown
            .others
            .iter()
            .map(|one| vec![one.model.id.clone(), one.cost.shown(), change(one), one.uncached.shown()]),
    );
    columns(&rows, &[1, 2, 3])
}

fn sentences(shown: &Shown<'_>) -> Vec<String> {
    let Shown { place, transcripts, bill, others, catalog } = shown;
    let dir = place.show(&transcripts::directory(place));
    let from = count(transcripts.files, "transcript");
    let mut said = vec![match transcripts.since {
        Some(since) => format!("Counted since {} (UTC) from {from} in {dir}.", since.date()),
        None => format!("Counted from {from} in {dir}; days are days in UTC."),
    }];
    said.push(format!(
        "Costs are US dollars by the list prices of {}. Input that a cache served is priced at 5 or 10 % of the input \
         price where the provider gives that discount, input that Claude's cache kept at 125 %, or 200 % for an hour, \
         and other cached input like any input.",
        catalog.as_of
    ));
    if !bill.unpriced.is_empty() {
        let names: Vec<String> = bill.unpriced.iter().map(|name| printable(name)).collect();
        let star = if bill.total.known_cost().is_some() { "* " } else { "" };
        said.push(format!(
            "{star}The catalog has no price for {}: the cost leaves out {}.",
            list(&names),
            requests(bill.total.unpriced)
        ));
    }
    if !others.is_empty() {
        said.push(
            "Models count tokens differently, so the costs on other models are estimates. NO CACHE is the cost if no \
             cache serves any input."
                .to_owned(),
        );
    }
    for Alternative { model, .. } in others.iter().filter(|one| one.model.context_tokens < bill.longest) {
        said.push(format!(
            "{} takes {} tokens, and the longest request had {}.",
            model.id,
            digits(model.context_tokens.into()),
            digits(bill.longest.into())
        ));
    }
    said.extend(left_out(shown));
    said
}

/// What was met and not counted.
fn left_out(shown: &Shown<'_>) -> Vec<String> {
    let Transcripts { left_out, unreadable, .. } = shown.transcripts;
    let synthetic = if term::manner().verbose { left_out.synthetic } else { 0 };
    let parts: Vec<String> = [
        (left_out.damaged, "damaged line"),
        (left_out.too_long, "line of more than 8 MiB"),
        (synthetic, "answer of Claude Code itself"),
        (left_out.links, "link"),
        (left_out.special, "special file"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, noun)| plural(number, noun))
    .collect();
    let mut said = Vec::new();
    if !parts.is_empty() {
        said.push(format!("Left out: {}.", list(&parts)));
    }
    for (path, error) in unreadable.iter().take(MOST_NAMED) {
        let why = error.causes().first().map_or("it could not be read", String::as_str);
        said.push(format!("Not read: {}: {}", shown.place.show(path), printable(why)));
    }
    if unreadable.len() > MOST_NAMED {
        said.push(format!("Not read: {} more", unreadable.len() - MOST_NAMED));
    }
    said
}

/// `2 lines of more than 8 MiB`: the noun is the first or second word.
fn plural(number: usize, noun: &str) -> String {
    match noun.split_once(" of ") {
        Some((noun, rest)) => format!("{} of {rest}", count(number, noun)),
        None => count(number, noun),
    }
}

fn data(shown: &Shown<'_>) -> Value {
    let Shown { place, transcripts, bill, others, catalog } = shown;
    let rows: Vec<Value> = bill
        .rows
        .iter()
        .map(|(subject, spent)| {
            let mut row = Map::new();
            match subject {
                Subject::Model(name) => row.insert("model".to_owned(), json!(name)),
                Subject::Day(day) => row.insert("day".to_owned(), json!(day)),
                Subject::Project(project) => {
                    row.insert("directory".to_owned(), json!(project.directory));
                    row.insert("project".to_owned(), json!(project.name))
                }
            };
            row.extend(sums(spent));
            Value::Object(row)
        })
        .collect();
    let compared: Vec<Value> = others
        .iter()
        .map(|one| {
            json!({
                "model": one.model.id,
                "cost_usd": one.cost.dollars(),
                "cost_without_cache_usd": one.uncached.dollars(),
                "context_tokens": one.model.context_tokens,
            })
        })
        .collect();
    let unreadable: Vec<Value> = transcripts
        .unreadable
        .iter()
        .map(|(path, error)| json!({ "path": path.to_string_lossy(), "causes": error.causes() }))
        .collect();
    let left_out = transcripts.left_out;
    json!({
        "directory": transcripts::directory(place).to_string_lossy(),
        "since": transcripts.since.map(crate::domain::Instant::date),
        "transcripts": transcripts.files,
        "rows": rows,
        "total": sums(&bill.total),
        "longest_prompt_tokens": bill.longest,
        "prices_as_of": catalog.as_of,
        "models_without_price": bill.unpriced,
        "compared": compared,
        "older_requests": transcripts.has_older,
        "left_out": {
            "damaged_lines": left_out.damaged,
            "long_lines": left_out.too_long,
            "synthetic_answers": left_out.synthetic,
            "links": left_out.links,
            "special_files": left_out.special,
        },
        "unreadable": unreadable,
    })
}

fn sums(spent: &Spent) -> Map<String, Value> {
    let Tokens { input, cache_read, cache_write, cache_write_hour, output } = spent.tokens;
    let sums = [
        ("requests", json!(spent.requests)),
        ("input_tokens", json!(input)),
        ("cache_read_tokens", json!(cache_read)),
        ("cache_write_5m_tokens", json!(cache_write)),
        ("cache_write_1h_tokens", json!(cache_write_hour)),
        ("output_tokens", json!(output)),
        ("cost_usd", json!(spent.known_cost().map(crate::domain::tokens::Cost::dollars))),
        ("requests_without_price", json!(spent.unpriced)),
    ];
    sums.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
