//! `gwinstall install` on a terminal: what a person sees from the first question to the deployed gateway, screen by
//! screen, as snapshots. Dates and counts that change with the catalog or the calendar are filtered.

use insta::{Settings, assert_snapshot};

use crate::home::TestHome;
use crate::terminal::{DOWN, ENTER, Terminal, UP};

/// A window of the usual width in which nothing scrolls away.
pub const WIDE: (u16, u16) = (60, 80);

/// A home with a terminal that can draw.
pub fn home() -> TestHome {
    TestHome::new().with("TERM", "xterm-256color")
}

/// The same with two models deployed.
pub fn deployed() -> TestHome {
    TestHome::deployed().with("TERM", "xterm-256color")
}

/// Screens one after the other, compared under the name of the story.
pub fn expect(home: &TestHome, name: &str, screens: &[(&str, String)]) {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../snapshots/terminal");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, shown) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
        (r"deployed \d{4}-\d\d-\d\d", "deployed [date]"),
        (r"(gone|until) \d{4}-\d\d-\d\d", "[until] [date]"),
        (r"gateway-backup-\d{8}-\d{6}(-\d+)?\.tar\.gz", "gateway-backup-[time].tar.gz"),
        (r"\b\d+ (files?|scripts?)\b", "[n] $1"),
        (r"changed\s+in\s+\d+\.\d\s+s\)", "changed in [n] s)"),
        (r"gwinstall \d+\.\d+\.\d+", "gwinstall [version]"),
        // Which programs a machine has is its own matter.
        (r"On this machine: .*\n", ""),
    ] {
        settings.add_filter(pattern, shown);
    }
    let root = home.root().to_string_lossy().into_owned();
    let text: String =
        screens.iter().map(|(what, screen)| format!("=== {what}\n{screen}\n")).collect::<String>();
    assert!(!text.contains(&root), "the home is shown as ~:\n{text}");
    settings.bind(|| assert_snapshot!(name, text));
}

/// Moves to this model and marks it.
#[track_caller]
pub fn mark(terminal: &Terminal, model: &str) -> String {
    for _ in 0..60 {
        let pointed = format!("> [ ] {model}");
        let screen = terminal.wait_for("the list", |screen| screen.contains("> ["));
        if screen.lines().any(|line| line.trim_end() == pointed || line.starts_with(&format!("{pointed} "))) {
            return terminal.answer(" ", &format!("> [x] {model}"));
        }
        terminal.types(DOWN);
        terminal.wait_for("the next model", |now| now != screen);
    }
    panic!("no model {model} in the list");
}

/// Nothing marked, then these.
#[track_caller]
pub fn mark_only(terminal: &Terminal, models: &[&str]) -> String {
    terminal.types("a");
    terminal.wait_for("all marked", |screen| !screen.contains("[ ]"));
    terminal.types("a");
    terminal.wait_for("none marked", |screen| !screen.contains("[x]"));
    models.iter().fold(String::new(), |_, model| mark(terminal, model))
}

/// A first installation from the first question to the gateway.
#[test]
fn a_first_installation() {
    let home = home().with("VERTEXAI_PROJECT", "my-project");
    let terminal = Terminal::open(&home, "install", WIDE);
    let preset = terminal.shows("esc cancels");
    let models = terminal.answer(ENTER, "Models:");
    let marked = mark_only(&terminal, &["glm-5.2", "gpt-oss-120b"]);
    let plan = terminal.answer(ENTER, "Go ahead? [Y/n]");
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0], "nothing is written before the answer");
    terminal.types(ENTER);
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert_eq!(home.record()["models"], serde_json::json!(["glm-5.2", "gpt-oss-120b"]));
    assert_eq!(home.env_value("VERTEXAI_PROJECT").unwrap(), "my-project");
    expect(
        &home,
        "first_installation",
        &[
            ("the preset", preset),
            ("the models", models),
            ("two of them", marked),
            ("the plan", plan),
            ("done", ended.screen),
        ],
    );
}

/// A gateway that somebody else runs: type, address, token.
#[test]
fn a_gateway_elsewhere() {
    const TOKEN: &str = "tok-canary-0123456789";
    let home = home();
    let terminal = Terminal::open(&home, "install", WIDE);
    terminal.shows("esc cancels");
    terminal.answer(DOWN, "> enterprise");
    let kinds = terminal.answer(ENTER, "Gateway type:");
    let url = terminal.answer(ENTER, "Gateway URL:");
    let refused = terminal.answer("ftp://gw\r", "http");
    // Corrected with the keys of any line editor.
    let token = terminal.answer("https://gx\x7fw.example.comX\x1b[D\x1b[3~\r", "Token");
    let plan = terminal.answer(&format!("{TOKEN}\r"), "Go ahead? [Y/n]");
    terminal.types("y\r");
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    let settings = home.json(".claude/settings.json");
    assert_eq!(settings["env"]["ANTHROPIC_BASE_URL"], "https://gw.example.com");
    assert_eq!(home.env_value("ANTHROPIC_AUTH_TOKEN").unwrap(), TOKEN);
    let said = String::from_utf8_lossy(&ended.bytes);
    assert!(!said.contains("canary"), "the token was shown:\n{said}");
    expect(
        &home,
        "gateway_elsewhere",
        &[
            ("its type", kinds),
            ("its address", url),
            ("no address", refused),
            ("its token", token),
            ("the plan", plan),
            ("done", ended.screen),
        ],
    );
}

/// A provider that Claude Code asks directly: which one, and its key.
#[test]
fn a_provider_and_its_key_are_asked_for() {
    const KEY: &str = "sk-canary-0123456789abcdef";
    let home = home();
    let terminal = Terminal::open(&home, "install", WIDE);
    terminal.shows("esc cancels");
    terminal.answer(UP, "> direct");
    terminal.answer(ENTER, "Provider:");
    terminal.answer(DOWN, "> kimi");
    terminal.answer(ENTER, "Token");
    terminal.answer(&format!("{KEY}\r"), "Go ahead?");
    terminal.types("y\r");
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(ended.screen.contains("Claude Code is ready: claude"), "{}", ended.screen);
    assert_eq!(home.env_value("MOONSHOT_API_KEY").unwrap(), KEY);
    assert_eq!(
        home.json(".claude/settings.json")["env"]["ANTHROPIC_BASE_URL"],
        "https://api.moonshot.ai/anthropic"
    );
    assert!(!String::from_utf8_lossy(&ended.bytes).contains("canary"), "the key was shown");
}

/// The proxy of a company is asked for with the models.
#[test]
fn a_proxy_is_asked_for() {
    let home = home().with("https_proxy", "http://proxy.example:3128");
    let terminal = Terminal::open(&home, "install", WIDE);
    terminal.shows("esc cancels");
    // One above the first is the last.
    terminal.answer(UP, "> direct");
    terminal.answer(UP, "> proxy");
    let asked = terminal.answer(ENTER, "Proxy URL");
    terminal.answer(ENTER, "Models:");
    mark_only(&terminal, &["glm-5.2"]);
    let plan = terminal.answer(ENTER, "Go ahead?");
    terminal.types(ENTER);
    assert_eq!(terminal.ends().code, 0);
    assert_eq!(home.env_value("HTTPS_PROXY").unwrap(), "http://proxy.example:3128");
    expect(&home, "proxy_is_asked_for", &[("the proxy", asked), ("the plan", plan)]);
}

/// What is deployed can be brought up to date, chosen anew with a backup, or left alone.
#[test]
fn an_existing_deployment() {
    let home = deployed();
    let terminal = Terminal::open(&home, "install", WIDE);
    let asked = terminal.shows("What now:");
    terminal.types(ENTER);
    let update = terminal.ends();
    assert_eq!(update.code, 0);
    assert!(update.screen.contains("Already up to date"), "{}", update.screen);

    let before = home.tree();
    let terminal = Terminal::open(&home, "install", WIDE);
    terminal.shows("What now:");
    terminal.answer(UP, "> Cancel");
    terminal.types(ENTER);
    let cancelled = terminal.ends();
    assert_eq!(cancelled.code, 1);
    assert_eq!(before.changes(&home.tree()), [""; 0]);

    let terminal = Terminal::open(&home, "install", WIDE);
    terminal.shows("What now:");
    terminal.answer(DOWN, "> Choose again");
    terminal.answer(ENTER, "Preset:");
    let models = terminal.answer(ENTER, "Models:");
    assert!(models.contains("[x] glm-5.2") && models.contains("[x] gemini-3.8-flash "), "{models}");
    mark_only(&terminal, &["gpt-oss-120b"]);
    let plan = terminal.answer(ENTER, "Go ahead?");
    terminal.types(ENTER);
    let again = terminal.ends();
    assert_eq!(again.code, 0, "{}", again.screen);
    assert_eq!(home.record()["models"], serde_json::json!(["gpt-oss-120b"]));
    assert_eq!(home.backups().len(), 1);
    expect(
        &home,
        "existing_deployment",
        &[
            ("what now", asked),
            ("update", update.screen),
            ("cancel", cancelled.screen),
            ("chosen again", plan),
            ("done", again.screen),
        ],
    );
}

/// What was found is told with its source, and no secret with it.
#[test]
fn the_environment_is_shown_masked() {
    let home = home()
        .with("VERTEX_AI_PROJECT", "my-project")
        .with("LITELLM_MASTER_KEY", "sk-canary-0123456789")
        .with("GOOGLE_APPLICATION_CREDENTIALS", "/keys/gcp.json");
    let terminal = Terminal::open(&home, "install", WIDE);
    terminal.shows("esc cancels");
    terminal.answer(ENTER, "Models:");
    mark_only(&terminal, &["glm-5.2"]);
    let plan = terminal.answer(ENTER, "Go ahead?");
    terminal.types("n\r");
    let ended = terminal.ends();
    assert_eq!(ended.code, 1);
    assert_eq!(TestHome::new().tree().changes(&home.tree()), [""; 0]);
    assert!(!String::from_utf8_lossy(&ended.bytes).contains("canary"), "{}", ended.screen);
    expect(&home, "environment_is_shown", &[("found", plan)]);
}

/// Another program writes while the question stands, and then the answer is yes: nothing is changed, and what it wrote
/// is there.
#[test]
fn what_changes_while_the_question_stands() {
    const EDITS: [(&str, Option<&str>); 6] = [
        (".claude/gateway/.env", Some("# mine\nLITELLM_MASTER_KEY=sk-0123456789\n")),
        (".claude/gateway/config/litellm.yaml", Some("model_list: []\n")),
        (".claude/gateway/start-gateway.sh", None),
        (".claude/gateway/deployment-manifest.json", None),
        (".claude/settings.json", Some("{\"model\": \"mine\"}\n")),
        (".claude/settings.json", None),
    ];
    for (path, text) in EDITS {
        let home = deployed();
        let terminal = Terminal::open(&home, "models add gpt-oss-120b", WIDE);
        terminal.shows("Go ahead?");
        match text {
            Some(text) => drop(home.write(path, text)),
            None => std::fs::remove_file(home.path(path)).unwrap(),
        }
        let edited = home.live();
        terminal.types("y\r");
        let ended = terminal.ends();
        assert_eq!(ended.code, 6, "{path}:\n{}", ended.screen);
        assert!(ended.screen.contains("the files changed while you were deciding"), "{}", ended.screen);
        assert_eq!(edited.changes(&home.live()), [""; 0], "{path}");
    }
    let home = deployed();
    let terminal = Terminal::open(&home, "models add gpt-oss-120b", WIDE);
    terminal.shows("Go ahead?");
    terminal.types("y\r");
    assert_eq!(terminal.ends().code, 0, "nobody wrote");
}

/// P-260 to P-264. A session begins with its name, and with what of Python, LiteLLM, Claude Code and a login it finds.
#[test]
fn a_session_begins_with_what_is_here() {
    let (python, asks) = (
        "#!/bin/sh\necho '{\"python\": [3, 12, 4], \"packages\": {\"litellm\": \"1.82.8\"}}'\n",
        "esc cancels",
    );
    let home = home();
    let bin = home.path("bin");
    let program = |name: &str, text: &str| {
        let path = home.write(&format!("bin/{name}"), text);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    program("python3", python);
    program("litellm", &format!("#!{}\n", bin.join("python3").display()));
    program("claude", "#!/bin/sh\necho '2.1.329 (Claude Code)'\n");
    home.write(
        ".config/gcloud/application_default_credentials.json",
        "{\"type\": \"authorized_user\", \"client_id\": \"i\", \"client_secret\": \"s\", \"refresh_token\": \"r\"}",
    );
    let home = home.with("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let terminal = Terminal::open(&home, "install", WIDE);
    let screen = terminal.shows(asks);
    terminal.types(crate::terminal::ESC);
    terminal.ends();
    assert!(screen.starts_with(&format!("gwinstall {}\n", env!("CARGO_PKG_VERSION"))), "{screen}");
    let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    let found = "On this machine: Python 3.12.4, LiteLLM 1.82.8, Claude Code 2.1.329 and a Google login";
    assert!(words.contains(found), "{screen}");
    assert!(words.contains("FAIL LiteLLM 1.82.8 was published with malicious code"), "{screen}");
}
