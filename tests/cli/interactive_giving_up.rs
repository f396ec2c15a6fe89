//! Giving up at any question, pressing what means nothing, pasting, signals: nothing is changed, and the terminal is as
//! it was (which every `ends` holds).

use rustix::process::Signal;

use crate::home::TestHome;
use crate::interactive::{WIDE, deployed, expect, home, mark_only};
use crate::terminal::{CTRL_C, CTRL_D, DOWN, ENTER, ESC, Terminal, UP};

/// A question's name, its home, and the way to it: what is typed, and what is on the screen then.
type Question = (&'static str, fn() -> TestHome, Vec<(&'static str, &'static str)>);

fn questions() -> Vec<Question> {
    let first: (&str, &str) = ("", "Preset:");
    vec![
        ("what now", deployed, vec![("", "What now:")]),
        ("preset", home, vec![first]),
        ("models", home, vec![first, (ENTER, "Models:")]),
        ("plan", home, vec![first, (ENTER, "Models:"), (ENTER, "Go ahead?")]),
        ("proxy", home, vec![first, (UP, "> direct"), (UP, "> proxy"), (ENTER, "Proxy URL:")]),
        ("provider", home, vec![first, (UP, "> direct"), (ENTER, "Provider:")]),
        ("key", home, vec![first, (UP, "> direct"), (ENTER, "Provider:"), (ENTER, "Token")]),
        ("gateway type", home, vec![first, (DOWN, "> enterprise"), (ENTER, "Gateway type:")]),
        (
            "gateway URL",
            home,
            vec![first, (DOWN, "> enterprise"), (ENTER, "Gateway type:"), (ENTER, "Gateway URL:")],
        ),
        (
            "token",
            home,
            vec![
                first,
                (DOWN, "> enterprise"),
                (ENTER, "Gateway type:"),
                (ENTER, "Gateway URL:"),
                ("https://gw.example.com\r", "Token"),
            ],
        ),
    ]
}

#[track_caller]
fn at(home: &TestHome, way: &[(&str, &str)]) -> Terminal {
    let terminal = Terminal::open(home, "install", WIDE);
    for (keys, then) in way {
        terminal.types(keys);
        terminal.shows(then);
    }
    terminal
}

/// D-105. Esc, Ctrl-C and Ctrl-D at every question leave every byte where it was.
#[test]
fn giving_up_at_any_question_changes_nothing() {
    for (question, home, way) in questions() {
        for (key, name, code) in [(ESC, "Esc", 1), (CTRL_C, "Ctrl-C", 130), (CTRL_D, "Ctrl-D", 1)] {
            let home = home();
            let before = home.tree();
            let terminal = at(&home, &way);
            terminal.types(key);
            let ended = terminal.ends();
            assert_eq!(ended.code, code, "{name} at {question}:\n{}", ended.screen);
            assert_eq!(before.changes(&home.tree()), [""; 0], "{name} at {question}");
            let words = if code == 130 { "stopped by Ctrl-C" } else { "Cancelled; nothing was changed." };
            assert!(ended.screen.ends_with(words), "{name} at {question}:\n{}", ended.screen);
        }
    }
}

/// A signal from outside, at a question that is drawn: the terminal is put right before the end.
#[test]
fn a_signal_gives_the_terminal_back() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let home = home();
        let terminal = at(&home, &[("", "Preset:"), (ENTER, "Models:")]);
        terminal.signal(signal);
        let ended = terminal.ends();
        assert_eq!(ended.code, code, "{}", ended.screen);
        assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
    }
}

/// Keys that mean nothing do nothing: the very same screen, the very same cursor.
#[test]
fn keys_that_mean_nothing_do_nothing() {
    let wrong = [
        ("letters", "qxyzNY0123/:"),
        ("F1 three ways", "\x1bOP\x1b[11~\x1b[[A"),
        ("F5 and F12 with shift", "\x1b[15;2~\x1b[24;2~"),
        ("insert and delete", "\x1b[2~\x1b[3~"),
        ("arrows aside", "\x1b[C\x1b[D"),
        ("Alt and a letter", "\x1by\x1bq"),
        ("Ctrl-Z, Ctrl-S, Ctrl-Q, Ctrl-\\", "\x1a\x13\x11\x1c"),
        ("backspace", "\x7f\x08"),
        ("answers of a terminal", "\x1b[?62;c\x1b[1;1R"),
        ("characters beyond ASCII", "é€😀"),
        ("no characters", "\u{0}"),
    ];
    let home = home();
    let terminal = at(&home, &[("", "Preset:")]);
    let before = (terminal.shows("> basic"), terminal.cursor());
    for (name, keys) in wrong {
        terminal.types(keys);
        std::thread::sleep(std::time::Duration::from_millis(150));
        assert_eq!((terminal.shows("> basic"), terminal.cursor()), before, "{name}");
    }
    terminal.answer(ENTER, "Models:");
    let models = terminal.shows("> [");
    for (name, keys) in wrong {
        terminal.types(keys);
        std::thread::sleep(std::time::Duration::from_millis(150));
        assert_eq!(terminal.shows("> ["), models, "{name}");
    }
    // Past the ends and back.
    let last = terminal.answer("\x1b[F", "> [");
    let around = terminal.answer(DOWN, "> [");
    assert_eq!(around, models);
    assert_eq!(terminal.answer(UP, "> ["), last);
    assert_eq!(terminal.answer("\x1b[H\x1b[5~\x1b[5~", "> ["), models);
    terminal.types(ESC);
    assert_eq!(terminal.ends().code, 1);
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
}

/// A paste answers no question, not even the last one; on a terminal that does not mark pastes it answers one at most.
#[test]
fn a_paste_answers_nothing() {
    let home = home();
    let terminal = at(&home, &[("", "Preset:")]);
    let before = terminal.shows("> basic");
    let garbage = "\x1b[200~curl https://x | sh\ny\n\n\n yes\n\x1b[201~";
    terminal.types(garbage);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(terminal.shows("> basic"), before);
    terminal.answer(ENTER, "Models:");
    mark_only(&terminal, &["glm-5.2"]);
    terminal.answer(ENTER, "Go ahead?");
    // Of a paste only its first line gets into a line, and it stays there to be seen.
    let shown = terminal.answer(garbage, "curl https://x | sh");
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
    let again = terminal.answer(ENTER, "Please answer y or n");
    terminal.types(ESC);
    assert_eq!(terminal.ends().code, 1);
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
    expect(&home, "pasted", &[("pasted at the last question", shown), ("taken for an answer", again)]);

    let terminal = at(&home, &[("", "Preset:")]);
    terminal.answer("\r\r\r\r\ry\r", "Models:");
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
    terminal.types(CTRL_C);
    assert_eq!(terminal.ends().code, 130);
}

/// What was typed before a question was there is not its answer.
#[test]
fn what_is_typed_ahead_is_dropped() {
    let home = home();
    let terminal = Terminal::open(&home, "install", WIDE);
    terminal.types("\r\r\r\r");
    let screen = terminal.shows("esc cancels");
    assert!(screen.contains("> basic") || screen.contains("Models:"), "{screen}");
    assert!(!screen.contains("Go ahead?"), "{screen}");
    terminal.types(CTRL_C);
    assert_eq!(terminal.ends().code, 130);
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
}

/// An arrow key whose bytes come one by one, as over a slow line, is not Esc.
#[test]
fn an_arrow_key_in_pieces_is_one_key() {
    let home = home();
    let terminal = at(&home, &[("", "Preset:")]);
    for piece in ["\x1b", "[", "B"] {
        terminal.types(piece);
        std::thread::sleep(std::time::Duration::from_millis(15));
    }
    terminal.shows("> enterprise");
    terminal.types(ESC);
    assert_eq!(terminal.ends().code, 1);
}

/// A list without a mark is no answer, and says so.
#[test]
fn no_model_is_no_answer() {
    let home = home();
    let terminal = at(&home, &[("", "Preset:"), (ENTER, "Models:"), ("a", "[x]"), ("a", "[ ]")]);
    terminal.wait_for("none marked", |screen| !screen.contains("[x]"));
    terminal.answer(ENTER, "mark at least one with the space key");
    terminal.answer(" ", "a marks all");
    terminal.types(ESC);
    assert_eq!(terminal.ends().code, 1);
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
}

/// `--quiet` leaves out talk, not what a person is asked to agree to.
#[test]
fn a_quiet_question_shows_its_plan() {
    let home = deployed();
    let terminal = Terminal::open(&home, "-q off", WIDE);
    let screen = terminal.shows("Go ahead?");
    assert!(screen.contains("settings.json"), "{screen}");
    terminal.types(ESC);
    assert_eq!(terminal.ends().code, 1);
}

/// Questions of other commands can be left as well.
#[test]
fn other_questions_can_be_left_too() {
    for (arguments, question) in [
        ("uninstall", "Go ahead?"),
        ("off", "Go ahead?"),
        ("env set VERTEXAI_PROJECT", "Value of VERTEXAI_PROJECT"),
    ] {
        for (key, code) in [(ESC, 1), (CTRL_C, 130)] {
            let home = deployed();
            let before = home.live();
            let terminal = Terminal::open(&home, arguments, WIDE);
            terminal.shows(question);
            terminal.types(key);
            let ended = terminal.ends();
            assert_eq!(ended.code, code, "{arguments}:\n{}", ended.screen);
            assert_eq!(before.changes(&home.live()), [""; 0], "{arguments}");
        }
    }
}

/// What no terminal should send, half a key or a paste without its end, takes neither the next key nor a signal.
#[test]
fn nothing_that_is_sent_takes_the_way_out() {
    for sent in ["\x1b[X", "\x1b[", "\x1b[1", "\x1b[200~abc", "\x1b[=1;2c", "\x1b[!p"] {
        for (key, code) in [(ESC, 1), (CTRL_C, 130)] {
            let home = home();
            let terminal = at(&home, &[("", "Preset:")]);
            terminal.types(sent);
            std::thread::sleep(std::time::Duration::from_millis(500));
            terminal.types(key);
            assert_eq!(terminal.ends().code, code, "{sent:?}");
        }
        let home = home();
        let terminal = at(&home, &[("", "Preset:")]);
        terminal.types(sent);
        std::thread::sleep(std::time::Duration::from_millis(500));
        terminal.signal(Signal::TERM);
        assert_eq!(terminal.ends().code, 143, "{sent:?}");
    }
}

/// What no backup brings back is not done by an empty answer.
#[test]
fn an_empty_answer_purges_nothing() {
    let home = deployed();
    let before = home.tree();
    let terminal = Terminal::open(&home, "uninstall --purge", WIDE);
    terminal.shows("Go ahead? [y/N]");
    terminal.types(ENTER);
    assert_eq!(terminal.ends().code, 1);
    assert_eq!(before.changes(&home.tree()), [""; 0]);
    let terminal = Terminal::open(&home, "uninstall --purge", WIDE);
    terminal.shows("Go ahead?");
    terminal.types("y\r");
    assert_eq!(terminal.ends().code, 0);
    assert!(!home.gateway("").exists());
}
