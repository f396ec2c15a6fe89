//! The sections of the page but the history: the state, what differs, the models, the checks, the backups.

use super::facts::{BackupRow, CheckRow, FileRow, KnownModel, ModelRow, Note, Page, State, Way};
use super::html::Html;
use super::phrases::{class, command, grouped, moment, sentence};
use crate::domain::check::Status;
use crate::domain::name::count;

/// No table but the history is longer; a sentence says how many rows are left out.
const MOST_ROWS: usize = 500;

pub(super) fn state(html: &mut Html, state: &State) {
    html.markup(
        "<section id=state aria-labelledby=state-title tabindex=-1>\n<h2 id=state-title>State</h2>\n",
    );
    html.markup("<p class=verdict><strong class=\"badge ").markup(class(state.tone)).markup("\">");
    html.text(&state.verdict).markup("</strong></p>\n<p>");
    sentence(html, &state.sentence);
    html.markup("</p>\n");
    if let Some(next) = &state.next {
        html.markup("<p class=next><span>Next command</span> ");
        command(html, next);
        html.markup("</p>\n");
    }
    if !state.parts.is_empty() {
        html.markup("<dl>\n");
        for (name, value) in &state.parts {
            html.markup("<div><dt>").markup(name).markup("</dt><dd>");
            sentence(html, value);
            html.markup("</dd></div>\n");
        }
        html.markup("</dl>\n");
    }
    missing(html, &state.missing);
    if !state.notes.is_empty() {
        html.markup("<h3>Worth knowing</h3>\n<ul class=notes>\n");
        state.notes.iter().for_each(|one| note(html, one));
        html.markup("</ul>\n");
    }
    html.markup("</section>\n");
}

fn missing(html: &mut Html, names: &[String]) {
    if names.is_empty() {
        return;
    }
    html.markup("<p class=\"missing notice\">")
        .text(&count(names.len(), "variable"))
        .markup(" without a value: ");
    for (at, name) in names.iter().enumerate() {
        html.markup(if at == 0 { "<code>" } else { ", <code>" }).text(name).markup("</code>");
    }
    html.markup("</p>\n");
}

fn note(html: &mut Html, note: &Note) {
    html.markup("<li class=").markup(class(note.tone)).markup(">");
    sentence(html, &note.text);
    ways(html, &note.ways);
    html.markup("</li>\n");
}

fn ways(html: &mut Html, ways: &[Way]) {
    if ways.is_empty() {
        return;
    }
    html.markup("<ul class=ways>");
    for way in ways {
        html.markup("<li>").text(&way.purpose);
        if let Some(line) = &way.command {
            html.markup(" ");
            command(html, line);
        }
        html.markup("</li>");
    }
    html.markup("</ul>");
}

/// The beginning of a section that folds; `open` and `close` frame its content.
fn open(html: &mut Html, tag: &'static str, title: &'static str, says: &str) {
    html.markup(tag).markup("<summary><h2>").markup(title).markup("</h2> <span class=says>").text(says);
    html.markup("</span></summary>\n");
}

fn close(html: &mut Html) {
    html.markup("</details>\n");
}

/// A section whose facts could not be collected.
pub(super) fn unread(html: &mut Html, why: &str) {
    html.markup("<p class=\"missing bad\">").text(why).markup("</p>\n");
}

fn left_out(html: &mut Html, rows: usize, see: &str) {
    if rows > MOST_ROWS {
        html.markup("<p>").text(&format!("{} more: ", rows - MOST_ROWS));
        command(html, see);
        html.markup("</p>\n");
    }
}

pub(super) fn files(html: &mut Html, page: &Page) {
    let files = page.files.as_deref();
    const TAG: &str = "<details open id=files class=section>";
    let says = files.map_or_else(
        |_| "not known".to_owned(),
        |rows| if rows.is_empty() { "none differs".to_owned() } else { count(rows.len(), "file") },
    );
    open(html, TAG, "Files that differ", &says);
    match files {
        Err(why) => unread(html, why),
        Ok([]) => {
            html.markup("<p>Every deployed file is as gwinstall left it.</p>\n");
        }
        Ok(rows) => {
            html.markup(
                "<table>\n<caption>Deployed files that are not as gwinstall delivered them</caption>\n",
            );
            html.markup(
                "<thead><tr><th scope=col>File<th scope=col>State<th scope=col>What it means</thead>\n",
            );
            html.markup("<tbody>\n");
            rows.iter().take(MOST_ROWS).for_each(|row| file(html, row));
            html.markup("</tbody>\n</table>\n");
            left_out(html, rows.len(), &page.commands.status);
        }
    }
    close(html);
}

fn file(html: &mut Html, row: &FileRow) {
    html.markup("<tr><th scope=row><code>").text(&row.path).markup("</code>");
    html.markup("<td><span class=\"badge ").markup(class(row.tone)).markup("\">").markup(row.what);
    html.markup("</span><td>");
    sentence(html, &row.words);
    if let Some(line) = &row.command {
        html.markup(" ");
        command(html, line);
    }
    html.markup("\n");
}

pub(super) fn models(html: &mut Html, page: &Page) {
    let models = page.models.as_ref();
    const TAG: &str = "<details open id=models class=section>";
    let says = models.map_or_else(|_| "not known".to_owned(), |models| count(models.rows.len(), "model"));
    open(html, TAG, "Models", &says);
    match models {
        Err(why) => unread(html, why),
        Ok(models) if models.rows.is_empty() => {
            html.markup("<p>No model is deployed. To see what there is: ");
            command(html, &page.commands.models);
            html.markup("</p>\n");
        }
        Ok(models) => {
            html.markup("<table class=stacks>\n<caption>Prices are US dollars per million tokens, ");
            html.markup("limits are tokens, of ");
            html.text(&models.as_of).markup("</caption>\n<thead><tr><th scope=col>Model<th scope=col>Size");
            html.markup("<th scope=col class=number>Input<th scope=col class=number>Output");
            html.markup("<th scope=col class=number>Context<th scope=col class=number>Answer");
            html.markup("<th scope=col>Retires<th scope=col>Successor</thead>\n<tbody>\n");
            models.rows.iter().take(MOST_ROWS).for_each(|row| model(html, row));
            html.markup("</tbody>\n</table>\n");
            left_out(html, models.rows.len(), &page.commands.models);
        }
    }
    close(html);
}

fn model(html: &mut Html, row: &ModelRow) {
    html.markup("<tr><th scope=row><code>").text(&row.name).markup("</code>");
    let Some(known) = &row.known else {
        html.markup(
            "<td colspan=7>The catalog does not know this name, so it has no price and no date here.\n",
        );
        return;
    };
    let KnownModel { full_name, tier, price_in, price_out, context_tokens, output_tokens, .. } = known;
    html.markup(" <span class=says>").text(full_name).markup("</span><td data-label=Size>").text(tier);
    html.markup("<td class=number data-label=Input>").text(&format!("{price_in:.2}"));
    html.markup("<td class=number data-label=Output>").text(&format!("{price_out:.2}"));
    html.markup("<td class=number data-label=Context>").text(&grouped(*context_tokens));
    html.markup("<td class=number data-label=Answer>").text(&grouped(*output_tokens));
    html.markup("<td data-label=Retires>");
    match &known.retires {
        Some(day) if known.is_past => {
            html.markup("<span class=\"badge bad\">").text(day).markup(" has passed</span>")
        }
        Some(day) => html.text(day),
        None => html.markup("no date"),
    };
    html.markup("<td data-label=Successor>");
    match &known.successor {
        Some(name) => html.markup("<code>").text(name).markup("</code>\n"),
        None => html.markup("none\n"),
    };
}

pub(super) fn checks(html: &mut Html, checks: &[CheckRow]) {
    const TAG: &str = "<details open id=checks class=section>";
    let number = |status| checks.iter().filter(|check| check.status == status).count();
    let says: Vec<String> = [
        (Status::Fail, "failed"),
        (Status::Warn, "to look at"),
        (Status::Pass, "passed"),
        (Status::Skip, "skipped"),
    ]
    .into_iter()
    .filter(|(status, _)| number(*status) > 0)
    .map(|(status, word)| format!("{} {word}", number(status)))
    .collect();
    open(html, TAG, "Checks", &says.join(", "));
    html.markup("<table>\n<caption>What gwinstall doctor found, problems first</caption>\n");
    html.markup("<thead><tr><th scope=col>Result<th scope=col>Finding</thead>\n<tbody>\n");
    for status in [Status::Fail, Status::Warn, Status::Pass, Status::Skip] {
        checks.iter().filter(|check| check.status == status).for_each(|row| check(html, row));
    }
    html.markup("</tbody>\n</table>\n");
    close(html);
}

fn check(html: &mut Html, row: &CheckRow) {
    html.markup("<tr><th scope=row>").markup(match row.status {
        Status::Fail => "<span class=\"badge bad\">failed</span>",
        Status::Warn => "<span class=\"badge notice\">look at it</span>",
        Status::Pass => "<span class=\"badge good\">passed</span>",
        Status::Skip => "<span class=badge>skipped</span>",
    });
    html.markup("<td>");
    sentence(html, &row.message);
    ways(html, &row.ways);
    html.markup("\n");
}

pub(super) fn backups(html: &mut Html, page: &Page) {
    let backups = page.backups.as_deref();
    const TAG: &str = "<details open id=backups class=section>";
    let says = backups.map_or_else(|_| "not known".to_owned(), |rows| count(rows.len(), "backup"));
    open(html, TAG, "Backups", &says);
    match backups {
        Err(why) => unread(html, why),
        Ok([]) => {
            html.markup("<p>gwinstall has made no backup yet.</p>\n");
        }
        Ok(rows) => {
            html.markup("<p>To return to one: ");
            command(html, &page.commands.rollback);
            html.markup("</p>\n<table class=stacks>\n<caption>Newest first; times are UTC</caption>\n");
            html.markup("<thead><tr><th scope=col>Backup<th scope=col class=number>N<th scope=col>Made");
            html.markup("<th scope=col>Before<th scope=col>Preset<th scope=col class=number>Size");
            html.markup("<th scope=col>Remarks</thead>\n<tbody>\n");
            rows.iter().take(MOST_ROWS).for_each(|row| backup(html, row));
            html.markup("</tbody>\n</table>\n");
            left_out(html, rows.len(), &page.commands.backups);
        }
    }
    close(html);
}

fn backup(html: &mut Html, row: &BackupRow) {
    let number = row.number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    html.markup("<tr><th scope=row><code>").text(&row.name).markup("</code>");
    html.markup("<td class=number data-label=N>").text(&number).markup("<td data-label=Made>");
    moment(html, &row.made);
    html.markup(" <span class=says>").text(&row.age).markup(" ago</span><td data-label=Before>");
    html.text(&row.before).markup("<td data-label=Preset>").text(&row.preset);
    html.markup("<td class=number data-label=Size>").text(&row.size).markup("<td data-label=Remarks>");
    let tone = if row.is_valid { "<span>" } else { "<span class=\"badge bad\">" };
    html.markup(tone).text(if row.traits.is_empty() { "-" } else { &row.traits }).markup("</span>\n");
}
