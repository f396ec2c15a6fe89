//! Line by line: `--plain`, `TERM=dumb`, `ACCESSIBLE`. What is written holds no escape sequence at all, so a screen reader
//! reads every line once, in order. And without a terminal nothing is asked.

use crate::home::{Run, TestHome};
use crate::interactive::{WIDE, expect};
use crate::terminal::{CTRL_C, CTRL_D, Terminal};

#[track_caller]
fn is_plain(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.contains('\x1b'), "an escape sequence in {text:?}");
    assert!(!text.replace("\r\n", "\n").contains('\r'), "a carriage return in {text:?}");
}

/// The number of this model in the list on the screen.
fn number(screen: &str, model: &str) -> String {
    let line = screen.lines().find(|line| line.contains(&format!(". {model}:"))).unwrap();
    line.trim_start().split('.').next().unwrap().to_owned()
}

fn plain_homes() -> [(&'static str, TestHome, &'static str); 3] {
    [
        ("TERM=dumb", TestHome::new(), "install"),
        ("--plain", TestHome::new().with("TERM", "xterm-256color"), "install --plain"),
        ("ACCESSIBLE", TestHome::new().with("TERM", "xterm-256color").with("ACCESSIBLE", "1"), "install"),
    ]
}

#[test]
fn a_first_installation_line_by_line() {
    for (name, home, arguments) in plain_homes() {
        // Nothing is painted where nothing is drawn; TERM=dumb says so by itself.
        let home = home.with("NO_COLOR", "1");
        let terminal = Terminal::open(&home, arguments, WIDE);
        let preset = terminal.shows("q to stop [1]:");
        let models = terminal.answer("1\r", "q to stop:");
        let refused = terminal.answer("99\r", "Please type numbers from 1");
        let chosen = format!("{}, {}\r", number(&models, "glm-5.2"), number(&models, "gpt-oss-120b"));
        let plan = terminal.answer(&chosen, "Go ahead? [Y/n]");
        terminal.types("y\r");
        let ended = terminal.ends();
        assert_eq!(ended.code, 0, "{name}:\n{}", ended.screen);
        assert_eq!(home.record()["models"], serde_json::json!(["glm-5.2", "gpt-oss-120b"]));
        is_plain(&ended.bytes);
        if name == "TERM=dumb" {
            expect(
                &home,
                "line_by_line",
                &[
                    ("the preset", preset),
                    ("the models", models),
                    ("a wrong number", refused),
                    ("the plan", plan),
                    ("done", ended.screen),
                ],
            );
        }
    }
}

/// A secret is not echoed, line by line either, and the echo is back afterwards.
#[test]
fn a_secret_line_by_line() {
    let home = TestHome::deployed();
    let terminal = Terminal::open(&home, "env set VERTEXAI_PROJECT", WIDE);
    terminal.shows("Value of VERTEXAI_PROJECT");
    terminal.answer("canary-project\r", "Go ahead?");
    terminal.types("y\r");
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert_eq!(home.env_value("VERTEXAI_PROJECT").unwrap(), "canary-project");
    assert!(!ended.screen.contains("canary"), "{}", ended.screen);
    is_plain(&ended.bytes);
}

/// q, Ctrl-D and the first Ctrl-C at every line leave everything untouched.
#[test]
fn giving_up_line_by_line() {
    let ways: [&[(&str, &str)]; 3] = [
        &[("", "q to stop [1]:")],
        &[("", "q to stop [1]:"), ("\r", "q to stop:")],
        &[("", "q to stop [1]:"), ("\r", "q to stop:"), ("\r", "Go ahead?")],
    ];
    for way in ways {
        for (key, code) in [("q\r", 1), (CTRL_D, 1), (CTRL_C, 130)] {
            let home = TestHome::new();
            let terminal = Terminal::open(&home, "install", WIDE);
            for (keys, then) in way {
                terminal.types(keys);
                terminal.shows(then);
            }
            terminal.types(key);
            let ended = terminal.ends();
            assert_eq!(ended.code, code, "{key:?} at {way:?}:\n{}", ended.screen);
            assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0], "{key:?} at {way:?}");
            is_plain(&ended.bytes);
        }
    }
}

/// Without a terminal nothing is asked: `--yes` is demanded, and nothing is changed. Input alone is no terminal.
#[test]
fn without_a_terminal_nothing_is_asked() {
    let home = TestHome::new().with("TERM", "xterm-256color");
    for input in ["", "1\n1\ny\n"] {
        let run = Run::fed(&mut home.command("install"), input).exits(2);
        run.says(&["no terminal to ask on", "--yes"]).never_says("\x1b");
        assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
    }
    let terminal = Terminal::start(home.shell("\"$GW\" install --on </dev/null"), WIDE);
    let ended = terminal.ends();
    assert_eq!(ended.code, 2, "{}", ended.screen);
    assert!(ended.screen.contains("no terminal to ask on"), "{}", ended.screen);
    let terminal = Terminal::start(home.shell("\"$GW\" install --on 2>/dev/null"), WIDE);
    assert_eq!(terminal.ends().code, 2);
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
}
