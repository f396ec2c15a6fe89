//! Small windows and windows that change: nothing is torn, nothing of an earlier drawing is left, and the list can be
//! used wherever four lines fit.

use crate::home::TestHome;
use crate::interactive::{WIDE, deployed, expect, home, mark, mark_only};
use crate::terminal::{DOWN, ENTER, ESC, Terminal, UP};

/// No line is full, so no word runs over the edge; commands and addresses may.
#[track_caller]
fn is_not_torn(screen: &str, width: usize) {
    for line in screen.lines() {
        let set = ["try: ", "  gwinstall ", "  gcloud ", "Gateway URL", "long/", "docs/"]
            .iter()
            .any(|text| line.contains(text));
        assert!(set || line.chars().count() < width, "{line:?} fills the window:\n{screen}");
    }
}

fn question(screen: &str) -> &str {
    screen.rfind("Preset:").or_else(|| screen.rfind("Models:")).map_or(screen, |start| &screen[start..])
}

/// The whole flow in 40 columns.
#[test]
fn forty_columns() {
    let home = home();
    let terminal = Terminal::open(&home, "install", (48, 40));
    let preset = terminal.shows("esc cancels");
    let models = terminal.answer(ENTER, "Models:");
    // Down and up again is the same drawing: nothing of the last one is left.
    terminal.answer(DOWN, "> [x] gemini-2.5-pro");
    assert_eq!(terminal.answer(UP, "> [x] gemini-2.5-flash"), models);
    let marked = mark_only(&terminal, &["glm-5.2"]);
    let plan = terminal.answer(ENTER, "Go ahead?");
    for screen in [&preset, &models, &marked, &plan] {
        is_not_torn(screen, 40);
    }
    terminal.types(ENTER);
    let ended = terminal.ends();
    assert_eq!(ended.code, 0);
    is_not_torn(&ended.screen, 40);
    expect(
        &home,
        "forty_columns",
        &[
            ("the preset", preset),
            ("the models", models),
            ("one of them", marked),
            ("the plan", plan),
            ("done", ended.screen),
        ],
    );
}

/// 40 columns and 12 lines: the list scrolls, and says how much of it is hidden.
#[test]
fn forty_columns_and_twelve_lines() {
    let home = home();
    let terminal = Terminal::open(&home, "install", (12, 40));
    terminal.shows("> basic");
    let top = terminal.answer(ENTER, "Models:");
    let bottom = terminal.answer(UP, "more above");
    let middle = terminal.answer("\x1b[5~", "more below");
    for screen in [&top, &bottom, &middle] {
        assert!(question(screen).starts_with("Models:") && question(screen).contains("> ["), "{screen}");
        is_not_torn(screen, 40);
    }
    expect(&home, "twelve_lines", &[("the top", top), ("the bottom", bottom), ("between", middle)]);
    mark(&terminal, "glm-5.2");
    terminal.types(ESC);
    assert_eq!(terminal.ends().code, 1);
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
}

/// A question in a window that changes under it is drawn anew, whole, and once.
#[test]
fn a_window_that_changes_under_a_question() {
    let home = home();
    let terminal = Terminal::open(&home, "install", (40, 100));
    terminal.shows("esc cancels");
    terminal.answer(ENTER, "Models:");
    for (rows, columns) in [(40, 60), (40, 40), (14, 40), (30, 120), (10, 30), (40, 100)] {
        terminal.resize(rows, columns);
        std::thread::sleep(std::time::Duration::from_millis(350));
        let screen = terminal.shows("> [x] gemini-2.5-flash");
        assert_eq!(screen.matches("Models:").count(), 1, "{columns}x{rows}:\n{screen}");
        assert_eq!(screen.matches("> [").count(), 1, "{columns}x{rows}:\n{screen}");
        assert!(screen.ends_with("cancels") || columns < 60, "{columns}x{rows}:\n{screen}");
    }
    terminal.answer(DOWN, "> [x] gemini-2.5-pro");
    terminal.types(ESC);
    assert_eq!(terminal.ends().code, 1);
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
}

/// A line that is longer than the window is broken, and corrected across the break.
#[test]
fn a_long_line_in_a_small_window() {
    let home = home();
    let terminal = Terminal::open(&home, "install", (40, 40));
    terminal.shows("esc cancels");
    terminal.answer(DOWN, "> enterprise");
    terminal.answer(ENTER, "Gateway type:");
    terminal.answer(ENTER, "Gateway URL:");
    let url = format!("https://gateway.example.com/{}", "long/".repeat(12));
    let typed = terminal.answer(&format!("{url}X\x7f"), "long/");
    let corrected = terminal.answer("\x1b[H\x1b[3~h\x1b[F", "Gateway URL: https://");
    assert_eq!(typed, corrected);
    let next = terminal.answer(ENTER, "Token");
    assert_eq!(next.replace('\n', "").matches(&url).count(), 1, "{next}");
    expect(&home, "long_line", &[("typed", typed), ("taken", next)]);
    terminal.types(ESC);
    assert_eq!(terminal.ends().code, 1);
}

/// NO_COLOR: no sequence that paints, on any screen; with color there are some.
#[test]
fn no_color_paints_nothing() {
    let painted = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split("\x1b[")
            .skip(1)
            .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
    };
    let run = |home: &TestHome| {
        let terminal = Terminal::open(home, "install", WIDE);
        terminal.shows("esc cancels");
        terminal.answer(ENTER, "Models:");
        terminal.answer(ENTER, "Go ahead?");
        terminal.types(ENTER);
        let ended = terminal.ends();
        assert_eq!(ended.code, 0);
        ended.bytes
    };
    assert!(!painted(&run(&home().with("NO_COLOR", "1"))));
    assert!(painted(&run(&home())), "the control");
}

/// What is quoted from a file keeps its lines, however long.
#[test]
fn quoted_lines_are_not_broken() {
    let home = deployed();
    let long = ["word"; 30].join(" ");
    home.write(".claude/gateway/docs/faq.md", format!("{long}\n"));
    let ended = Terminal::open(&home, "diff", (300, 40)).ends();
    let said = String::from_utf8_lossy(&ended.bytes).replace("\r\n", "\n");
    assert!(said.contains(&format!("+{long}\n")), "{said}");
}

/// What an answer says is broken between words too; tables and commands are not.
#[test]
fn other_commands_in_forty_columns() {
    let home = deployed();
    for arguments in
        ["off --yes", "on --yes", "env check", "doctor", "uninstall --dry-run", "install --yes --models x"]
    {
        let terminal = Terminal::open(&home, arguments, (200, 40));
        let ended = terminal.ends();
        is_not_torn(&ended.screen, 41);
    }
}
