//! What the requests of the transcripts cost by the prices of a catalog, summed by model, day or project, and what they would
//! have cost on other models. Pure.

use std::collections::BTreeMap;

use crate::bundle::tariff::{Tariff, named};
use crate::bundle::{Catalog, Model};
use crate::domain::tokens::{Cost, Tokens};

use super::transcripts::{Project, Request, Transcripts};

/// What a row of the bill is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Model,
    Day,
    Project,
}

/// What one row is of. The order is that of the rows with the same cost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Model(String),
    /// `YYYY-MM-DD`, in UTC.
    Day(String),
    Project(Project),
}

/// Requests, their tokens and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub requests: usize,
    pub tokens: Tokens,
    /// Of the requests to models with a price.
    pub cost: Cost,
    /// Requests to models without one.
    pub unpriced: usize,
}

#[derive(Debug, Clone)]
pub struct Bill {
    /// Days: newest first. Models and projects: the most expensive first.
    pub rows: Vec<(Subject, Spent)>,
    pub total: Spent,
    /// Models that the catalog does not know, by name.
    pub unpriced: Vec<String>,
    /// Models of the catalog that were used.
    pub used: Vec<String>,
    /// The longest prompt of a request, in tokens.
    pub longest: u64,
}

/// What the counted requests cost on another model.
#[derive(Debug, Clone)]
pub struct Alternative<'c> {
    pub model: &'c Model,
    /// With a cache that serves as much as it did.
    pub cost: Cost,
    /// Without any cache.
    pub uncached: Cost,
}

impl Bill {
    pub fn of(transcripts: &Transcripts, catalog: &Catalog, by: By) -> Self {
        let mut tariffs: BTreeMap<&str, Option<(&Model, Tariff)>> = BTreeMap::new();
        let mut rows: BTreeMap<Subject, Spent> = BTreeMap::new();
        let mut days: BTreeMap<i64, String> = BTreeMap::new();
        let (mut total, mut longest) = (Spent::default(), 0);
        for request in transcripts.requests() {
            let tariff = tariffs
                .entry(request.model)
                .or_insert_with(|| named(catalog, request.model).map(|model| (model, Tariff::of(model))));
            let cost = tariff.as_ref().map(|(_, tariff)| tariff.cost(&request.tokens));
            let subject = match by {
                By::Model => Subject::Model(request.model.to_owned()),
                By::Day => {
                    let day = days.entry(request.at.unix().div_euclid(86_400));
                    Subject::Day(day.or_insert_with(|| request.at.date()).clone())
                }
                By::Project => Subject::Project(request.project.clone()),
            };
            rows.entry(subject).or_default().count(&request, cost);
            total.count(&request, cost);
            longest = longest.max(request.tokens.prompt());
        }
        let names = |priced: bool| tariffs.iter().filter(move |(_, tariff)| tariff.is_some() == priced);
        let unpriced = names(false).map(|(name, _)| (*name).to_owned()).collect();
        let mut used: Vec<String> = tariffs.values().flatten().map(|(model, _)| model.id.clone()).collect();
        used.sort();
        used.dedup();
        Self { rows: sorted(rows, by), total, unpriced, used, longest }
    }
}

fn sorted(rows: BTreeMap<Subject, Spent>, by: By) -> Vec<(Subject, Spent)> {
    let mut rows: Vec<(Subject, Spent)> = rows.into_iter().collect();
    match by {
        By::Day => rows.reverse(),
        By::Model | By::Project => rows.sort_by_key(|(_, spent)| {
            std::cmp::Reverse((spent.cost, spent.tokens.prompt().saturating_add(spent.tokens.output)))
        }),
    }
    rows
}

impl Spent {
    fn count(&mut self, request: &Request<'_>, cost: Option<Cost>) {
        self.requests += 1;
        self.tokens += request.tokens;
        match cost {
            Some(cost) => self.cost += cost,
            None => self.unpriced += 1,
        }
    }

    /// `None` where no request has a price.
    pub fn known_cost(&self) -> Option<Cost> {
        (self.unpriced < self.requests).then_some(self.cost)
    }
}

/// What every request would have cost on each of these models, the cheapest first.
pub fn alternatives<'c>(transcripts: &Transcripts, models: &[&'c Model]) -> Vec<Alternative<'c>> {
    let mut all: Vec<Alternative<'c>> = models
        .iter()
        .map(|model| {
            let tariff = Tariff::of(model);
            let cost = |tokens: &Tokens| tariff.cost(tokens);
            let (mut with, mut without) = (Cost::default(), Cost::default());
            for Request { tokens, .. } in transcripts.requests() {
                with += cost(&tokens);
                without += cost(&tokens.uncached());
            }
            Alternative { model, cost: with, uncached: without }
        })
        .collect();
    all.sort_by_key(|one| (one.cost, one.uncached));
    all
}

/// A few models to compare with: for each size of Claude Code the best of the catalog and the best of another publisher,
/// if they serve as long prompts, are not past their date and were not what was used.
pub fn suggested<'c>(catalog: &'c Catalog, bill: &Bill, today: &str) -> Vec<&'c Model> {
    let is_past = |model: &Model| model.retires.as_deref().is_some_and(|day| day <= today);
    let mut fitting: Vec<&Model> = catalog
        .models
        .iter()
        .filter(|model| !is_past(model) && model.context_tokens >= bill.longest)
        .filter(|model| bill.used != [model.id.clone()])
        .collect();
    fitting.sort_by_key(|model| (model.tier, model.rank));
    let mut chosen: Vec<&Model> = Vec::new();
    for model in fitting {
        let same = || chosen.iter().filter(|other| other.tier == model.tier);
        if same().count() < 2 && same().all(|other| other.publisher != model.publisher) {
            chosen.push(model);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    #[test]
    fn suggested_models_serve_the_prompts_are_not_past_their_date_and_differ() {
        let catalog = Bundle::embedded().unwrap().catalog;
        let suggest = |used: &[&str], longest, today| {
            let used = used.iter().map(|id| (*id).to_owned()).collect();
            let bill =
                Bill { rows: Vec::new(), total: Spent::default(), unpriced: Vec::new(), used, longest };
            suggested(&catalog, &bill, today).iter().map(|model| model.id.as_str()).collect::<Vec<_>>()
        };
        let (haiku, sonnet) = (["claude-haiku-5-5", "gemini-3.5-flash-lite"], "claude-sonnet-5-5");
        let opus = ["claude-opus-5-5", "gemini-3.1-pro-preview"];
        let today = "2026-11-27";
        assert_eq!(
            suggest(&["glm-5.2"], 1000, today),
            [&opus[..], &[sonnet, "gemini-3.8-flash"], &haiku[..]].concat()
        );
        let after = suggest(&["glm-5.2"], 1000, "2027-07-21");
        assert!(
            after.contains(&"deepseek-v4.1-flash") && !after.contains(&"gemini-3.5-flash-lite"),
            "{after:?}"
        );
        let long = suggest(&["glm-5.2"], 1_000_001, today);
        assert!(!long.contains(&sonnet) && long.contains(&"gemini-3.8-flash"), "{long:?}");
        assert!(!suggest(&[sonnet], 1000, today).contains(&sonnet));
        assert!(suggest(&["glm-5.2", sonnet], 1000, today).contains(&sonnet));
        assert!(suggest(&[], u64::MAX, today).is_empty());
    }
}
