//! The history on the page: the newest operations in sight, the others folded, and no more than the page may hold.

use super::facts::{History, OperationRow, Page};
use super::html::Html;
use super::phrases::{command, grouped, moment};
use super::sections::unread;
use crate::domain::name::count;

/// The page stays below this, however much there is to show.
pub const LARGEST: usize = 3_000_000;

/// So many operations are in sight.
const IN_SIGHT: usize = 200;

/// The markup around the rows, and what follows the history on the page, are shorter.
const AROUND: usize = 20_000;

const HEAD: &str = "<thead><tr><th scope=col>Time<th scope=col>Operation<th scope=col>Result<th scope=col>Preset\
    <th scope=col class=number>Files<th scope=col class=number>Took<th scope=col>Backup or error</thead>\n<tbody>\n";

/// The field is hidden until the script shows it: without one it could do nothing.
const FILTER: &str = "<p class=filter hidden><label for=filter>Filter the history</label> \
    <input id=filter type=search autocomplete=off spellcheck=false aria-describedby=matches> \
    <output id=matches for=filter></output></p>\n";

pub(super) fn section(html: &mut Html, page: &Page) {
    let history = page.history.as_ref();
    let number = history.map_or(0, |history| history.operations.len());
    html.markup("<details open id=history class=section><summary><h2>History</h2> <span class=says>");
    html.text(&count(number, "operation")).markup("</span></summary>\n");
    match history {
        Err(why) => unread(html, why),
        Ok(history) if history.operations.is_empty() => {
            html.markup("<p>No operations yet.</p>\n");
        }
        Ok(history) => tables(html, history, &page.commands.history),
    }
    html.markup("</details>\n");
}

fn tables(html: &mut Html, history: &History, see: &str) {
    let (newest, older) = history.operations.split_at(history.operations.len().min(IN_SIGHT));
    let (rows, shown) = fitting(newest, LARGEST.saturating_sub(html.len() + AROUND));
    html.markup(FILTER);
    html.markup("<table class=operations>\n<caption>");
    html.text(&format!("The newest {}, newest first; times are UTC", count(shown, "operation")));
    html.markup("</caption>\n").markup(HEAD).append(&rows).markup("</tbody>\n</table>\n");
    let (rows, shown_too) = fitting(older, LARGEST.saturating_sub(html.len() + AROUND));
    if shown == newest.len() && shown_too > 0 {
        html.markup("<details id=older><summary>").text(&count(shown_too, "older operation"));
        html.markup("</summary>\n<table class=operations>\n");
        html.markup("<caption>Older operations, newest first; times are UTC</caption>\n");
        html.markup(HEAD).append(&rows).markup("</tbody>\n</table>\n</details>\n");
    }
    if shown + shown_too < history.operations.len() || !history.whole {
        html.markup("<p>The log holds older operations, too: ");
        command(html, see);
        html.markup("</p>\n");
    }
}

/// The rows that take no more than `room`, and their number.
fn fitting(operations: &[OperationRow], room: usize) -> (Html, usize) {
    let (mut rows, mut shown) = (Html::default(), 0);
    for row in operations {
        let mut one = Html::default();
        operation(&mut one, row);
        if rows.len() + one.len() > room {
            break;
        }
        rows.append(&one);
        shown += 1;
    }
    (rows, shown)
}

fn operation(html: &mut Html, row: &OperationRow) {
    html.markup("<tr><th scope=row>");
    moment(html, &row.moment);
    html.markup("<td>").text(&row.operation);
    html.markup(if row.status == "success" { "<td>" } else { "<td class=bad>" }).text(&row.status);
    html.markup("<td>").text(&row.preset).markup("<td class=number>").text(&grouped(row.files_changed));
    html.markup("<td class=number>").text(&grouped(row.duration_ms)).markup("\u{a0}ms<td>");
    if !row.backup.is_empty() {
        html.markup("<code>").text(&row.backup).markup("</code> ");
    }
    if !row.error.is_empty() {
        html.markup("<span class=bad>").text(&row.error).markup("</span>");
    }
    html.markup("\n");
}
