//! A refused change names the command that does it, with everything that was typed: pasted into a shell it leaves exactly
//! what the same line would have left that was right from the start.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::home::{Run, TestHome};
use crate::tree::Tree;

/// What is on disk before the line is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// Claude Code is pointed at a gateway of another program.
    OtherGateway,
    /// `basic` with one model.
    Deployed,
    /// The same, and Claude Code pointed away from it.
    Off,
    /// Changed once, so that there is a state to return to.
    Changed,
    /// A newer bundle lies in `~/bundle`.
    Newer,
    /// A guide that both the user and a newer bundle changed.
    Conflict,
}

/// What is missing in the typed line.
const YES: &str = "--yes";
const FORCE: &str = "--force";

fn home(before: Before) -> TestHome {
    let home = TestHome::new()
        .unforced()
        .with("LITELLM_MASTER_KEY", "sk-0123456789abcdef0123456789abcdef")
        .with("GATEWAY_LITELLM_BIN", "/nonexistent/litellm");
    home.write("token", "t0ken-0123456789\n");
    home.write("key", "AIza-0123456789abcdefghijkl\n");
    if before == Before::OtherGateway {
        home.write(
            ".claude/settings.json",
            "{\"env\": {\"ANTHROPIC_BASE_URL\": \"https://gw.example.com\"}}\n",
        );
    }
    if !matches!(before, Before::Nothing | Before::OtherGateway) {
        home.run("install --yes --models glm-5.2").exits(0);
    }
    match before {
        Before::Off => drop(home.run("off --yes").exits(0)),
        Before::Changed => drop(home.run("install --yes --models gemini-3.8-flash").exits(0)),
        Before::Newer => newer(&home),
        Before::Conflict => conflict(&home),
        _ => {}
    }
    home
}

fn newer(home: &TestHome) {
    let bundle = home.path("bundle");
    crate::bundle::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded"), &bundle);
    let guide = bundle.join("docs/faq.md");
    fs::write(&guide, fs::read_to_string(&guide).unwrap() + "\nnewer\n").unwrap();
}

fn conflict(home: &TestHome) {
    newer(home);
    let mine = home.gateway("docs/faq.md");
    fs::write(&mine, fs::read_to_string(&mine).unwrap() + "\nmine\n").unwrap();
    home.run(&format!("update --yes --source-dir {}", home.path("bundle").display())).exits(4);
}

/// Everything that a moment does not change.
fn state(home: &TestHome) -> Tree {
    const LATER: [&str; 4] = ["/backups/", "deployment.log", "deployment-manifest.json", ".gwinstall/lock"];
    home.tree().without(|path| LATER.iter().any(|later| path.contains(later)))
}

/// The first way that the error names.
fn first_way(run: &Run) -> String {
    let lines = || run.stderr.lines();
    if let Some(way) = lines().rev().find_map(|line| line.strip_prefix("  try: ")) {
        return way.to_owned();
    }
    let purpose = lines().find(|line| line.starts_with("  to ") && line.contains(": gwinstall "));
    let way = purpose.and_then(|line| line.split_once(": ")).map(|(_, way)| way.to_owned());
    way.unwrap_or_else(|| panic!("names no way:\n{}", run.stderr))
}

/// Types a line into a shell that knows `gwinstall`.
fn typed(home: &TestHome, line: &str) -> Run {
    Run::of(&mut home.shell(&format!("gwinstall() {{ \"$GW\" \"$@\"; }}; {line}")))
}

fn copied(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

#[test]
fn the_named_command_does_what_the_refused_one_would_have_done() {
    use Before::{Changed, Conflict, Deployed, Newer, Nothing, Off, OtherGateway};
    let cases: &[(Before, &str, &str)] = &[
        (Nothing, "install", YES),
        (Nothing, "install multi-provider", YES),
        (Nothing, "install --preset multi-provider --models claude-opus-5-5,glm-5.2", YES),
        (Nothing, "install --preset basic --models all --gateway-url http://127.0.0.1:4711", YES),
        (Nothing, "install --port 4712 --include-secrets --keep 2", YES),
        (Nothing, "install --preset proxy --proxy-url http://proxy.example:3128", YES),
        (
            Nothing,
            "install --gateway-type zuplo --gateway-url https://gw.example.com --auth-token-file ~/token --models a,b",
            YES,
        ),
        (Nothing, "install --target-dir \"$HOME/gate way\"", YES),
        (Nothing, "--target-dir \"$HOME/gate way\" install --models glm-5.2", YES),
        (OtherGateway, "install --yes --on --models glm-5.2", FORCE),
        (OtherGateway, "install --yes --on multi-provider", FORCE),
        (Deployed, "install --models gemini-3.8-flash", YES),
        (Deployed, "install proxy --proxy-url http://proxy.example:3128", YES),
        (Newer, "update --source-dir ~/bundle --keep 1", YES),
        (Newer, "upgrade --source-dir=$HOME/bundle --include-secrets", YES),
        (Deployed, "models add gemini-3.8-flash", YES),
        (Changed, "models add glm-5.2 gpt-oss-120b", YES),
        (Deployed, "models add gpt-oss-120b,gemini-3.8-flash --quiet", YES),
        (Deployed, "off", YES),
        (Deployed, "off --lock-wait 3 --color never", YES),
        (Off, "on --force", YES),
        (Off, "on --force --plain", YES),
        (Changed, "rollback", YES),
        (Changed, "rollback 1", YES),
        (Changed, "backup restore 1", YES),
        (Deployed, "env set VERTEXAI_PROJECT --from ~/key", YES),
        (Deployed, "env set GEMINI_API_KEY --from ~/key --lock-wait 1", YES),
        (Deployed, "uninstall", YES),
        (Deployed, "uninstall --purge", YES),
        (Off, "uninstall --purge --verbose", YES),
        (Conflict, "resolve docs/faq.md --take-new", YES),
        (Conflict, "resolve docs/faq.md --keep-mine", YES),
    ];
    let mut wrong = Vec::new();
    for (before, line, missing) in cases {
        let home = home(*before);
        let kept = home.root().join("kept");
        copied(home.home(), &kept);
        let untouched = home.live();
        let refused = typed(&home, &format!("gwinstall {line}")).exits(2);
        assert_eq!(untouched.changes(&home.live()), [""; 0], "{line} changed something");
        let way = first_way(&refused);
        let pasted = typed(&home, &way);
        let after_the_way = state(&home);
        fs::remove_dir_all(home.home()).unwrap();
        copied(&kept, home.home());
        let right = typed(&home, &format!("gwinstall {line} {missing}"));
        let differences = after_the_way.changes(&state(&home));
        if right.code != 0 || pasted.code != right.code || !differences.is_empty() {
            wrong.push(format!(
                "{before:?}: {line}\n    {way}\n    {} and {}: {differences:?}\n{}",
                pasted.code, right.code, pasted.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
