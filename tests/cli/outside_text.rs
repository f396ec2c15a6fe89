//! Text from outside on a terminal: names of files, presets and links, arguments, logs, configurations. A terminal shows it
//! and never acts on it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::home::TestHome;
use crate::terminal::Terminal;

/// A window title, a cleared screen, an eight-bit control sequence, and marks that reverse or break a line.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}2J\u{202e}x\u{2028}\u{61c}";

/// What a terminal would act on in the bytes that came, beside the sequences for color and line ends of gwinstall itself.
fn acted_on(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let marks = ['\u{7}', '\u{9b}', '\u{202e}', '\u{2028}', '\u{61c}'];
    let found = text.chars().filter(|c| marks.contains(c)).map(|c| c.escape_unicode().to_string());
    let sequences = ["\u{1b}]", "\u{1b}[2J"].into_iter().filter(|sequence| text.contains(sequence));
    found.chain(sequences.map(|sequence| sequence.escape_unicode().to_string())).collect()
}

/// A line of a transcript of Claude Code.
fn answer_of(model: &str) -> String {
    let usage = serde_json::json!({ "input_tokens": 1 });
    let message = serde_json::json!({ "id": "msg_1", "model": model, "usage": usage });
    let at = "2026-11-27T11:18:25.085Z";
    serde_json::json!({ "type": "assistant", "timestamp": at, "cwd": model, "message": message }).to_string()
}

fn shown(home: &TestHome, mut command: Command, what: &str) {
    command.current_dir(home.home());
    let ended = Terminal::start(command, (60, 120)).ends();
    assert_eq!(acted_on(&ended.bytes), Vec::<String>::new(), "{what}");
}

#[test]
fn no_text_from_outside_drives_a_terminal() {
    let home = TestHome::deployed();
    let with = |arguments: &str, hostile: &str| {
        let mut command = home.command(arguments);
        command.arg(hostile);
        command
    };
    for arguments in [
        "",
        "install --preset",
        "install --models",
        "install --source-dir",
        "install --gateway-url",
        "models add",
        "models remove",
        "env set",
        "env get",
        "validate",
        "rollback",
        "resolve",
        "diff",
        "config get",
        "presets show",
        "backup verify",
        "bundle verify",
        "self-update --from",
        "install --target-dir",
        "logs -n",
        "help",
    ] {
        shown(&home, with(arguments, HOSTILE), arguments);
    }
    fs::create_dir_all(home.path(&format!(".claude/presets/{HOSTILE}"))).unwrap();
    fs::write(home.gateway("litellm.log"), format!("INFO {HOSTILE}\n")).unwrap();
    fs::write(home.gateway(&format!("docs/{HOSTILE}")), "mine").unwrap();
    let transcripts = home.path(&format!(".claude/projects/{HOSTILE}"));
    fs::create_dir_all(&transcripts).unwrap();
    fs::write(transcripts.join("one.jsonl"), answer_of(HOSTILE)).unwrap();
    let yaml = home.read(".claude/gateway/config/litellm.yaml");
    fs::write(home.gateway("config/litellm.yaml"), format!("{yaml}\n# {HOSTILE}\nodd_{}: 1\n", "\u{202e}"))
        .unwrap();
    let record = home.read(".claude/gateway/deployment-manifest.json");
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    fs::write(
        home.gateway("deployment-manifest.json"),
        record.replace("\"preset\": \"basic\"", &format!("\"preset\": {quoted}")),
    )
    .unwrap();
    for arguments in [
        "status",
        "doctor --verbose",
        "presets list",
        "logs",
        "diff",
        "validate",
        "config show",
        "history",
        "usage --all",
        "usage --all --by project",
        "usage --all --json",
        "report --html -",
        "backup list",
        "uninstall --dry-run",
        "status --json",
        "doctor --json",
        "logs --json",
    ] {
        shown(&home, home.command(arguments), arguments);
    }
    let linked = TestHome::new();
    fs::create_dir_all(linked.path(".claude")).unwrap();
    symlink(linked.path(HOSTILE), linked.settings()).unwrap();
    for arguments in ["install --yes", "status", "doctor"] {
        shown(&linked, linked.command(arguments), arguments);
    }
}
