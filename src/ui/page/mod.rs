//! The page of `report`: facts in, one HTML document out. Pure.
//!
//! Promise: the document is complete in itself and asks for nothing. Its policy allows one style and one script, each
//! by its hash, so that nothing else in it could run or be fetched even if it got there. Without the script
//! everything is readable.

pub mod facts;
mod history;
mod html;
mod phrases;
mod sections;

use data_encoding::BASE64;

use crate::domain::Sha256;

use facts::Page;
pub use history::LARGEST;
use html::Html;
use phrases::moment;

/// What every page begins with: by it a page is known as one that may be replaced.
pub const MARK: &str = "<!doctype html>\n<!-- gwinstall report -->\n";

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The document.
pub fn render(page: &Page) -> String {
    let mut html = Html::default();
    head(&mut html, page);
    html.markup("<body>\n<a class=skip href=\"#state\">Skip to the state</a>\n");
    header(&mut html, page);
    navigation(&mut html);
    html.markup("<main>\n");
    sections::state(&mut html, &page.state);
    sections::files(&mut html, page);
    sections::models(&mut html, page);
    sections::checks(&mut html, &page.checks);
    sections::backups(&mut html, page);
    history::section(&mut html, page);
    html.markup("</main>\n<footer><p>Written by gwinstall ").text(page.gwinstall);
    html.markup(" on ").text(&page.machine).markup(
        ". The page shows the state of that moment, needs no network and holds no secret.</p></footer>\n",
    );
    html.markup("<script>").markup(SCRIPT).markup("</script>\n</body>\n</html>\n");
    html.into_text()
}

/// What is allowed: this style and this script.
fn policy() -> String {
    let hash = |text: &str| BASE64.encode(Sha256::of(text.as_bytes()).bytes());
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn head(html: &mut Html, page: &Page) {
    html.markup(MARK)
        .markup("<html lang=en>\n<head>\n<meta charset=utf-8>\n<meta http-equiv=Content-Security-Policy ");
    html.attribute("content", &policy());
    html.markup(">\n<meta name=viewport content=\"width=device-width, initial-scale=1\">\n");
    html.markup(
        "<meta name=color-scheme content=\"light dark\">\n<meta name=referrer content=no-referrer>\n",
    );
    html.markup("<title>Gateway of Claude Code: ").text(&page.state.verdict).markup("</title>\n<style>");
    html.markup(STYLE).markup("</style>\n</head>\n");
}

fn header(html: &mut Html, page: &Page) {
    html.markup("<header>\n<h1>Gateway of Claude Code</h1>\n<p><code>")
        .text(&page.target)
        .markup("</code> on ");
    html.text(&page.machine).markup(", as of ");
    moment(html, &page.made);
    html.markup(" UTC</p>\n</header>\n");
}

fn navigation(html: &mut Html) {
    html.markup("<nav aria-label=Sections>\n<ul>\n");
    for link in [
        "<li><a href=\"#state\">State</a>\n",
        "<li><a href=\"#files\">Files</a>\n",
        "<li><a href=\"#models\">Models</a>\n",
        "<li><a href=\"#checks\">Checks</a>\n",
        "<li><a href=\"#backups\">Backups</a>\n",
        "<li><a href=\"#history\">History</a>\n",
    ] {
        html.markup(link);
    }
    html.markup("</ul>\n</nav>\n");
}

#[cfg(test)]
mod tests {
    use super::facts::{Commands, History, Models, OperationRow, State, Tone};
    use super::*;

    fn page(operations: Vec<OperationRow>) -> Page {
        Page {
            gwinstall: "1.0.0",
            made: "2026-11-21T10:00:00Z".to_owned(),
            target: "~/.claude/gateway".to_owned(),
            machine: "host".to_owned(),
            state: State {
                tone: Tone::Good,
                verdict: "as deployed".to_owned(),
                sentence: "Start it: gwinstall start".to_owned(),
                parts: Vec::new(),
                notes: Vec::new(),
                missing: Vec::new(),
                next: None,
            },
            models: Ok(Models { as_of: "2026-11-21".to_owned(), rows: Vec::new() }),
            files: Err("cannot read <it>".to_owned()),
            checks: Vec::new(),
            backups: Ok(Vec::new()),
            history: Ok(History { operations, whole: true }),
            commands: Commands {
                status: "gwinstall status".to_owned(),
                models: "gwinstall models list".to_owned(),
                rollback: "gwinstall rollback N".to_owned(),
                backups: "gwinstall backup list".to_owned(),
                history: "gwinstall history".to_owned(),
            },
        }
    }

    /// The policy names the bytes between the tags, and the texts cannot end their element.
    #[test]
    fn the_policy_allows_what_is_there() {
        let page = render(&page(Vec::new()));
        for (tag, rule) in [("style", "style-src"), ("script", "script-src")] {
            let inside = page
                .split(&format!("<{tag}>"))
                .nth(1)
                .and_then(|rest| rest.split(&format!("</{tag}>")).next());
            let hash = BASE64.encode(Sha256::of(inside.unwrap().as_bytes()).bytes());
            assert!(page.contains(&format!("{rule} &#39;sha256-{hash}&#39;")), "{tag}");
            assert_eq!(page.matches(&format!("<{tag}")).count(), 1);
        }
        assert!(page.starts_with(MARK));
        assert!(page.contains("cannot read &lt;it&gt;"));
        assert!(page.contains("Start it: <code class=command>gwinstall start</code>"));
    }

    #[test]
    fn the_page_stays_below_its_limit() {
        let operation = |_| OperationRow {
            moment: "x".repeat(3000),
            operation: "<".repeat(3000),
            status: "failed".to_owned(),
            preset: String::new(),
            files_changed: u64::MAX,
            duration_ms: u64::MAX,
            backup: String::new(),
            error: "&".repeat(3000),
        };
        let page = render(&page((0..1000).map(operation).collect()));
        assert!(page.len() <= LARGEST, "{}", page.len());
        assert!(page.contains("The log holds older operations, too"));
    }
}
