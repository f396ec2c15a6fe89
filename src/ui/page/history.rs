//! The history on the page: the newest operations in sight, the others folded, and no more than the page may hold.

use super::facts::{History, OperationRow};
use super::html::Html;
use super::sections::{grouped, unread};
use super::{LARGEST, command, moment};
use crate::domain::name::count;

/// So many operations are in sight.
const IN_SIGHT: usize = 200;

/// What follows the history on the page is shorter.
const AFTER: usize = 20_000;

const HEAD: &str = "<thead><tr><th scope=col>Time<th scope=col>Operation<th scope=col>Result<th scope=col>Preset\
    <th scope=col class=number>Files<th scope=col class=number>Took<th scope=col>Backup or error</thead>\n<tbody>\n";

/// The field is hidden until the script shows it: without one it could do nothing.
const FILTER: &str = "<p class=filter hidden><label for=filter>Filter the history</label> \
    <input id=filter type=search autocomplete=off spellcheck=false aria-describedby=matches> \
    <output id=matches for=filter></output></p>\n";

pub(super) fn section(html: &mut Html, history: Result<&History, &String>) {
    let number = history.map_or(0, |history| history.operations.len());
    html.markup("<details open id=history class=section><summary><h2>History</h2> <span class=says>");
    html.text(&count(number, "operation")).markup("</span></summary>\n");
    match history {
        Err(why) => unread(html, why),
        Ok(history) if history.operations.is_empty() => {
            html.markup("<p>No operations yet.</p>\n");
        }
        Ok(history) => tables(html, history),
    }
    html.markup("</details>\n");
}

fn tables(html: &mut Html, history: &History) {
    let (newest, older) = history.operations.split_at(history.operations.len().min(IN_SIGHT));
    html.markup(FILTER);
    html.markup("<table class=operations>\n<caption>");
    html.text(&format!("The newest {}, newest first; times are UTC", count(newest.len(), "operation")));
    html.markup("</caption>\n").markup(HEAD);
    newest.iter().for_each(|row| operation(html, row));
    html.markup("</tbody>\n</table>\n");
    let left_out = if older.is_empty() { 0 } else { folded(html, older) };
    if left_out > 0 || !history.whole {
        html.markup("<p>The log holds older operations, too: ");
        command(html, "gwinstall history --limit 5000");
        html.markup("</p>\n");
    }
}

/// The older operations, as many as the page may hold; returns how many it may not.
fn folded(html: &mut Html, older: &[OperationRow]) -> usize {
    let room = LARGEST.saturating_sub(html.len() + AFTER);
    let (mut rows, mut shown) = (Html::default(), 0);
    for row in older {
        let mut one = Html::default();
        operation(&mut one, row);
        if rows.len() + one.len() > room {
            break;
        }
        rows.append(&one);
        shown += 1;
    }
    if shown > 0 {
        html.markup("<details id=older><summary>")
            .text(&count(shown, "older operation"))
            .markup("</summary>\n");
        html.markup(
            "<table class=operations>\n<caption>Older operations, newest first; times are UTC</caption>\n",
        );
        html.markup(HEAD).append(&rows).markup("</tbody>\n</table>\n</details>\n");
    }
    older.len() - shown
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
