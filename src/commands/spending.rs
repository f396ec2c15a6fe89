//! `usage`: the tokens that Claude Code used, what they cost, and what they would have cost on other models. Reads the
//! transcripts and the catalog, and asks no provider.

use crate::bundle::{Bundle, Catalog, Model};
use crate::cli::{UsageArgs, UsageBy};
use crate::deploy::lost;
use crate::domain::{Error, Hint, Instant, Place, Result};
use crate::doors::system;
use crate::inspect::bill::{Bill, By, alternatives, suggested};
use crate::inspect::transcripts;

use super::{models, sources};
use crate::ui::answer::Answer;
use crate::ui::bill;

const DAY: i64 = 86_400;

pub(super) fn run(place: &Place, args: &UsageArgs) -> Result<Answer> {
    let since = since(args, system::now())?;
    let catalog = prices(place)?.catalog;
    let named = compared(&catalog, &args.compare)?;
    let read = transcripts::read(place, since)?;
    let by = match args.by {
        UsageBy::Model => By::Model,
        UsageBy::Day => By::Day,
        UsageBy::Project => By::Project,
    };
    let sums = Bill::of(&read, &catalog, by);
    let models = if named.is_empty() { suggested(&catalog, &sums, &system::now().date()) } else { named };
    let others = if sums.rows.is_empty() { Vec::new() } else { alternatives(&read, &models) };
    Ok(bill::answer(&bill::Shown {
        place,
        transcripts: &read,
        bill: &sums,
        others: &others,
        catalog: &catalog,
    }))
}

/// The first moment that counts; `None` is the beginning.
fn since(args: &UsageArgs, now: Instant) -> Result<Option<Instant>> {
    if args.all {
        return Ok(None);
    }
    let Some(day) = &args.since else {
        if args.days == 0 {
            return Err(Error::usage("--days must be at least 1").hint(Hint::run(&["usage", "--days", "1"])));
        }
        let midnight = now.unix() - now.unix().rem_euclid(DAY);
        return Ok(Some(Instant::from_unix((midnight - DAY * i64::from(args.days - 1)).max(0))));
    };
    let is_day = day.len() == "YYYY-MM-DD".len();
    let first = Instant::parse(day).filter(|_| is_day).ok_or_else(|| {
        Error::usage("--since needs a day, written YYYY-MM-DD").hint(Hint::run(&[
            "usage",
            "--since",
            &now.date(),
        ]))
    })?;
    Ok(Some(first))
}

/// The catalog of what is deployed. Prices need no deployment: where it cannot be read, those of gwinstall itself count.
fn prices(place: &Place) -> Result<Bundle> {
    let record = lost::record(place).ok().flatten();
    sources::deployed(place, record.as_ref()).or_else(|_| Bundle::embedded())
}

fn compared<'c>(catalog: &'c Catalog, typed: &[String]) -> Result<Vec<&'c Model>> {
    let mut models: Vec<&Model> = Vec::new();
    for name in typed {
        let model = catalog.model(name).ok_or_else(|| {
            models::unknown(name, catalog.all_models().map(|model| model.id.as_str()).collect(), "known")
        })?;
        if models.iter().all(|other| other.id != model.id) {
            models.push(model);
        }
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn first(line: &str) -> Option<String> {
        let words = ["gwinstall", "usage"].into_iter().chain(line.split_whitespace());
        let Some(Command::Usage(args)) = Cli::try_parse_from(words).unwrap().command else { panic!() };
        since(&args, Instant::parse("2026-11-27T23:59:59Z").unwrap()).unwrap().map(|at| at.to_string())
    }

    #[test]
    fn a_window_begins_with_a_day_of_utc() {
        for (line, day) in [
            ("", Some("2026-10-29T00:00:00Z")),
            ("--days 1", Some("2026-11-27T00:00:00Z")),
            ("--days 2", Some("2026-11-26T00:00:00Z")),
            ("--days 4294967295", Some("1970-01-01T00:00:00Z")),
            ("--since 2026-02-28", Some("2026-02-28T00:00:00Z")),
            ("--all", None),
        ] {
            assert_eq!(first(line).as_deref(), day, "{line}");
        }
    }
}
