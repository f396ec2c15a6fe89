//! `gwinstall install` and `start` on a terminal: what is missing is asked for, and the answer at the end is Claude Code that
//! can be used. uv and LiteLLM are stand-ins.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::home::TestHome;
use crate::interactive::{WIDE, mark_only};
use crate::terminal::{CTRL_C, DOWN, ENTER, ESC, Ended, Terminal};

const READY: &str = "Claude Code is ready: claude";

/// A machine with Python and uv, and without LiteLLM; `None` where there is no Python.
fn bare() -> Option<TestHome> {
    if std::fs::metadata("/usr/bin/python3").is_err() {
        eprintln!("skipped: there is no /usr/bin/python3");
        return None;
    }
    let home = TestHome::new().unforced().with("TERM", "xterm-256color");
    let programs = [
        ("tools/uv", include_str!("../fixtures/uv.sh")),
        ("tools/litellm.py", include_str!("../fixtures/litellm.py")),
    ];
    for (name, text) in programs {
        let path = home.write(name, text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", home.path("tools").display());
    let (log, litellm) = (home.path("uv.log"), home.path("tools/litellm.py"));
    Some(home.with("PATH", path).with("STAND_IN_LOG", log).with("STAND_IN_LITELLM", litellm))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[track_caller]
fn is_ready(home: &TestHome, ended: &Ended) {
    let stopped = home.run("stop");
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert_eq!(ended.screen.lines().last(), Some(READY), "{}", ended.screen);
    stopped.exits(0);
    assert_eq!(home.record()["request"]["pointed"], "on");
    assert!(
        String::from_utf8_lossy(&ended.bytes).contains("Starting the gateway ("),
        "nothing moved while it started"
    );
    // The script and the moving line write to the same terminal, and neither tears the other.
    let torn = |line: &&str| {
        line.contains("Starting the gateway")
            && !line.trim_start_matches(['|', '/', '-', '\\', ' ']).starts_with("Starting")
    };
    assert_eq!(ended.screen.lines().find(torn), None, "{}", ended.screen);
}

/// Two answers with Enter, two values, and Claude Code answers.
#[test]
fn an_installation_asks_for_what_is_missing_and_starts() {
    let Some(home) = bare() else { return };
    let port = free_port();
    let terminal = Terminal::open(&home, &format!("install --models glm-5.2 --port {port}"), WIDE);
    let litellm = terminal.shows("Install it? [Y/n]");
    assert!(litellm.contains("LiteLLM 1.106.2 is missing: 107 MB to download, 480 MB on disk"), "{litellm}");
    terminal.answer(ENTER, "VERTEXAI_PROJECT (empty: later):");
    let refused = terminal.answer("your-gcp-project\r", "is a placeholder");
    assert!(refused.contains("VERTEXAI_PROJECT"), "{refused}");
    terminal.answer("my-project\r", "Start the gateway now? [Y/n]");
    let plan = terminal.answer(ENTER, "Go ahead? [Y/n]");
    assert!(plan.contains("Install LiteLLM 1.106.2 first"), "{plan}");
    assert!(
        !home.path(".claude").exists() && !home.path("uv.log").exists(),
        "nothing is written before the last answer"
    );
    terminal.types(ENTER);
    is_ready(&home, &terminal.ends());
    assert_eq!(home.env_value("VERTEXAI_PROJECT").unwrap(), "my-project");
}

/// With no to everything the deployment is armed, and the first lines are those of a run without a terminal.
#[test]
fn no_to_each_question_leaves_the_deployment_armed() {
    let (Some(home), Some(other)) = (bare(), bare()) else { return };
    let terminal = Terminal::open(&home, "install --models glm-5.2", WIDE);
    terminal.shows("Install it? [Y/n]");
    terminal.answer("n\r", "VERTEXAI_PROJECT (empty: later):");
    terminal.answer(ENTER, "Go ahead? [Y/n]");
    terminal.types(ENTER);
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(!ended.screen.contains("Start the gateway now?"), "{}", ended.screen);
    let plain = other.run("install --models glm-5.2 --yes").exits(0);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let first: String = plain.stdout.lines().take(2).collect::<Vec<_>>().join("\n");
    assert!(first.starts_with("Claude Code keeps its present settings until the gateway can run"), "{first}");
    assert!(words(&ended.screen).contains(&words(&first)), "{first}\n{}", ended.screen);
    assert_eq!(home.record()["request"]["pointed"], "armed");
    assert!(!home.settings().exists() && !home.path("uv.log").exists());

    // `start` asks again, and brings all of it.
    let terminal = Terminal::open(&home, "start", WIDE);
    terminal.shows("Install it? [Y/n]");
    terminal.answer("n\r", "VERTEXAI_PROJECT (empty: later):");
    terminal.types(ENTER);
    let ended = terminal.ends();
    assert_eq!(ended.code, 1, "{}", ended.screen);
    assert!(ended.screen.contains("the gateway cannot start yet"), "{}", ended.screen);
    assert_eq!(home.record()["request"]["pointed"], "armed");
}

#[test]
fn start_asks_for_what_an_armed_deployment_lacks() {
    let Some(home) = bare() else { return };
    home.run(&format!("install --models glm-5.2 --port {} --yes", free_port())).exits(0);
    let terminal = Terminal::open(&home, "start", WIDE);
    terminal.shows("Install it? [Y/n]");
    terminal.answer(ENTER, "VERTEXAI_PROJECT (empty: later):");
    terminal.types("my-project\r");
    is_ready(&home, &terminal.ends());
}

/// Giving up at a question changes nothing.
#[test]
fn giving_up_at_what_is_missing_changes_nothing() {
    let Some(home) = bare() else { return };
    let before = home.tree();
    for answers in [&[][..], &[ENTER]] {
        let terminal = Terminal::open(&home, "install --models glm-5.2", WIDE);
        terminal.shows("Install it?");
        let next = ["VERTEXAI_PROJECT (empty"];
        for (answer, next) in answers.iter().zip(next) {
            terminal.answer(answer, next);
        }
        terminal.types(CTRL_C);
        assert_ne!(terminal.ends().code, 0, "{answers:?}");
        assert_eq!(before.changes(&home.tree()), [""; 0], "{answers:?}");
    }
}

/// A key of Anthropic and no project of Google: the preset and the models that the key is enough for are proposed.
#[test]
fn the_models_that_a_key_is_enough_for_are_proposed() {
    let home =
        TestHome::new().with("TERM", "xterm-256color").with("ANTHROPIC_API_KEY", "sk-ant-canary-0123456789");
    let terminal = Terminal::open(&home, "install", WIDE);
    let presets = terminal.shows("esc cancels");
    assert!(presets.contains("> multi-provider"), "{presets}");
    let models = terminal.answer(ENTER, "Models:");
    let marked: Vec<&str> = models.lines().filter(|line| line.contains("[x]")).collect();
    assert_eq!(marked.len(), 3, "{models}");
    assert!(marked.iter().all(|line| line.contains("claude-") && !line.contains("bedrock")), "{models}");
    terminal.answer(ENTER, "Go ahead?");
    terminal.types(ENTER);
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(!String::from_utf8_lossy(&ended.bytes).contains("canary"), "{}", ended.screen);
    // Another preset can be chosen all the same.
    let home = TestHome::new().with("TERM", "xterm-256color").with("VERTEXAI_PROJECT", "my-project");
    let terminal = Terminal::open(&home, "install", WIDE);
    let presets = terminal.shows("esc cancels");
    assert!(presets.contains("> basic"), "{presets}");
    terminal.answer(DOWN, "> enterprise");
    terminal.types(ESC);
    terminal.ends();
}

/// `--preset enterprise` asks for what it does not say.
#[test]
fn a_preset_of_a_gateway_elsewhere_asks_for_its_address_and_token() {
    let home = TestHome::new().unforced().with("TERM", "xterm-256color");
    let terminal = Terminal::open(&home, "install --preset enterprise --gateway-type custom", WIDE);
    terminal.shows("Gateway URL:");
    terminal.answer("https://gw.example.com\r", "Token, not shown");
    terminal.answer("tok-canary-0123456789\r", "Go ahead?");
    terminal.types(ENTER);
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(!String::from_utf8_lossy(&ended.bytes).contains("canary"), "{}", ended.screen);
    assert_eq!(home.env_value("ANTHROPIC_AUTH_TOKEN").unwrap(), "tok-canary-0123456789");
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_BASE_URL"], "https://gw.example.com");
}

/// An edit of the user's leaves nothing to decide.
#[test]
fn the_record_follows_an_edit_without_a_question() {
    let home = TestHome::deployed().with("TERM", "xterm-256color");
    let edited = format!("{}# mine\n", home.read(".claude/gateway/config/litellm.yaml"));
    home.write(".claude/gateway/config/litellm.yaml", &edited);
    let terminal = Terminal::open(&home, "update", WIDE);
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(
        ended.screen.contains("Already up to date") && !ended.screen.contains("Go ahead?"),
        "{}",
        ended.screen
    );
}

/// Where nothing is missing only the start is asked about.
#[test]
fn no_to_the_start_leaves_it_to_the_first_prompt() {
    let Some(home) = bare() else { return };
    let litellm = home.write("tools/litellm", include_str!("../fixtures/litellm.py"));
    std::fs::set_permissions(litellm, std::fs::Permissions::from_mode(0o755)).unwrap();
    let home =
        home.with("VERTEXAI_PROJECT", "my-project").with("GOOGLE_APPLICATION_CREDENTIALS", "/dev/null");
    let terminal = Terminal::open(&home, "install", WIDE);
    terminal.shows("esc cancels");
    terminal.answer(ENTER, "Models:");
    mark_only(&terminal, &["glm-5.2"]);
    terminal.answer(ENTER, "Start the gateway now? [Y/n]");
    terminal.answer("n\r", "Go ahead? [Y/n]");
    terminal.types(ENTER);
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(
        ended.screen.contains(&format!("{READY} (the gateway starts with the first prompt)")),
        "{}",
        ended.screen
    );
    assert_eq!(home.record()["request"]["pointed"], "on");
}

/// Another LiteLLM is a question of its own; no keeps the old one, and the configuration follows.
#[test]
fn an_update_asks_before_it_brings_another_litellm() {
    let Some(home) = bare() else { return };
    let home = home.with("VERTEXAI_PROJECT", "p").with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
    let url = format!("http://127.0.0.1:{}", free_port());
    home.run(&format!("install --models glm-5.2 --gateway-url {url} --start --yes")).exits(0);
    for (name, text) in gwinstall::bundle::Bundle::embedded().unwrap().files() {
        let text = String::from_utf8_lossy(text).replace("litellm==1.106.2", "litellm==1.107.0");
        home.write(&format!("newer/{name}"), text.replace("litellm: 1.106.2", "litellm: 1.107.0"));
    }
    home.write("newer/catalog.yaml", include_str!("../../embedded/catalog.yaml"));
    let version = |home: &TestHome| home.record()["runtime"]["version"].as_str().unwrap().to_owned();

    let update = format!("update --source-dir {}", home.path("newer").display());
    let terminal = Terminal::open(&home, &update, WIDE);
    let asked = terminal.shows("Install it? [Y/n]");
    terminal.types("n\r");
    let no = terminal.ends();
    let (kept, origin) = (version(&home), home.record()["bundle"]["origin"].clone());
    let terminal = Terminal::open(&home, &update, WIDE);
    terminal.shows("Install it? [Y/n]");
    let plan = terminal.answer(ENTER, "Go ahead? [Y/n]");
    terminal.types(ENTER);
    let yes = terminal.ends();
    home.run("stop --now").exits(0);
    assert!(asked.contains("names LiteLLM 1.107.0, and 1.106.2 runs here: 107 MB to"), "{asked}");
    assert_eq!((no.code, kept.as_str(), origin.as_str()), (0, "1.106.2", Some("directory")), "{}", no.screen);
    assert!(plan.contains("Install LiteLLM 1.107.0 first"), "{plan}");
    assert_eq!((yes.code, version(&home).as_str()), (0, "1.107.0"), "{}", yes.screen);
}
