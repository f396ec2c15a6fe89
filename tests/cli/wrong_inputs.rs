//! What people type who know other programs or are tired: each line is answered with the command that was meant, and
//! changes nothing. `wrong_inputs.tsv` holds the lines with what is right.

use crate::home::{Run, TestHome};
use crate::tree::Tree;

/// A line as a person types it, in a deployed home without a LiteLLM.
struct Typed<'a> {
    line: &'a str,
    code: &'a str,
    meant: &'a str,
}

fn table() -> Vec<Typed<'static>> {
    let rows = include_str!("wrong_inputs.tsv").lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('\t').collect();
        let [line, code, meant] = cells[..] else { panic!("not three cells: {row}") };
        Typed { line, code, meant }
    })
    .collect()
}

fn world() -> TestHome {
    let home = TestHome::new().unforced().with("GATEWAY_LITELLM_BIN", "/nonexistent/litellm");
    home.run("install --yes --models gemini-3.8-flash,glm-5.2").exits(0);
    home
}

fn typed(home: &TestHome, line: &str) -> Run {
    Run::of(&mut home.shell(&format!("\"$GW\" {line}")))
}

/// The ways that the error names, which stand at its end.
fn advice(run: &Run) -> Option<String> {
    let way = |line: &str| {
        let to = line.strip_prefix("  ").filter(|line| line.starts_with("to ") && line.contains(": "));
        line.strip_prefix("  try: ").or(to).map(str::to_owned)
    };
    let lines: Vec<&str> = run.stderr.lines().collect();
    let mut ways: Vec<String> = lines.iter().rev().map_while(|line| way(line)).collect();
    ways.reverse();
    (!ways.is_empty()).then(|| ways.join("; or "))
}

#[test]
fn every_wrong_line_is_answered_with_the_one_that_was_meant() {
    let rows = table();
    assert_eq!(rows.len(), 205);
    let home = world();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row.code != "=") {
        // What is accepted and asks no question changes something: it gets a home of its own.
        let own = (row.code == "0").then(world);
        let home = own.as_ref().unwrap_or(&home);
        let before = home.live();
        let run = typed(home, row.line);
        let said = advice(&run).unwrap_or_else(|| "-".to_owned());
        let right = match row.meant.strip_prefix("~ ") {
            Some(part) => run.all().contains(part),
            None => row.meant == "-" || said == row.meant,
        };
        if run.code.to_string() != row.code || !right {
            wrong.push(format!(
                "{}: {} {said}\n    instead of {} {}",
                row.line, run.code, row.code, row.meant
            ));
        }
        if row.code != "0" {
            let changes = before.changes(&home.live());
            assert!(changes.is_empty(), "{} changed {changes:?}", row.line);
        }
        assert!(!run.stderr.contains("tip:") && !run.stderr.contains("Usage:"), "{}", run.stderr);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A word of another program that has one meaning here does what that command does.
#[test]
fn an_alias_does_what_its_command_does() {
    let home = world();
    let mut accepted = 0;
    for row in table().iter().filter(|row| row.code == "=") {
        let before = home.live();
        let (alias, command) = (typed(&home, row.line), typed(&home, row.meant));
        assert_eq!(alias.code, command.code, "{}", row.line);
        assert_eq!(alias.stdout, command.stdout, "{}", row.line);
        assert!(!alias.stderr.contains("there is no command"), "{}: {}", row.line, alias.stderr);
        // `stop` notes that the user stopped the gateway.
        let kept = |tree: Tree| tree.without(|path| path.ends_with(".stopped"));
        let changes = kept(before).changes(&kept(home.live()));
        assert!(changes.is_empty(), "{} changed {changes:?}", row.line);
        accepted += 1;
    }
    assert_eq!(accepted, 35);
}

/// For programs the same, with the command as words.
#[test]
fn a_wrong_line_is_answered_in_json_too() {
    let home = TestHome::new().unforced();
    for (line, message, hint, argv) in [
        ("edt", "there is no command \"edt\"", "gwinstall help", &["gwinstall", "help"][..]),
        (
            "install --presett basic",
            "gwinstall install has no flag --presett",
            "gwinstall --json install --preset basic",
            &["gwinstall", "--json", "install", "--preset", "basic"],
        ),
        (
            "render",
            "gwinstall render needs --out DIR and TARGET",
            "gwinstall render all --out gateway",
            &["gwinstall", "render", "all", "--out", "gateway"],
        ),
        (
            "models add",
            "gwinstall models add needs MODEL",
            "gwinstall models list",
            &["gwinstall", "models", "list"],
        ),
    ] {
        let document = home.run(&format!("--json {line}")).exits(2).json();
        assert_eq!(document["message"], message);
        assert_eq!(document["hint"], hint);
        assert_eq!(document["argv"], serde_json::json!(argv));
        assert_eq!(document["schema"], "gwinstall.usage/1");
    }
}

/// The place of the run is part of the answer, wherever it was named.
#[test]
fn the_answer_works_on_the_same_deployment() {
    let home = TestHome::new().unforced();
    for (line, hint) in [
        ("--home /srv/image instal -y", "gwinstall --home /srv/image install -y"),
        ("remove glm-5.2 --home=/srv/image", "gwinstall --home /srv/image models remove glm-5.2"),
        (
            "edit --target-dir '/srv/a b'",
            "${EDITOR:-vi} \"$(gwinstall --target-dir '/srv/a b' config path)\"; or",
        ),
    ] {
        let run = typed(&home, line).exits(2);
        assert!(advice(&run).unwrap().starts_with(hint), "{}", run.stderr);
    }
}

/// A typing error in the flag, or in the command in front of it, does not make a secret a word that may be repeated.
#[test]
fn no_slip_repeats_a_secret() {
    const SECRET: &str = "SEKRET123abc";
    let home = TestHome::new().unforced();
    for line in [
        "install enterprise --auth-tokn S --yes",
        "install enterprise --authtoken S",
        "install enterprise --auth_token S",
        "install enterprise --Auth-Token=S",
        "install enterprise -auth-token S",
        "install enterprise --token S",
        "install enterprise --api-key S",
        "install auth-token S",
        "instal --auth-tokn S",
        "--auth-token S install enterprise --yes",
        "install proxy --proxy-aut u:S",
        "install proxy --proxy_auth=u:S",
        "install proxy --proxy-auht u:S",
        "install proxy --proxy u:S@proxy:80 --yes",
        "install proxy --proxy http//u:S@proxy:80 --yes",
        "install --port u:S@h:1",
        "install enterprise --gateway-type custom --gateway-url u:S@gw",
        "evn set FOO=S",
        "env st FOO=S",
        "evn set LITELLM_MASTER_KEY S",
        "export FOO=S",
        "FOO=S",
        "env set FOO=S",
    ] {
        for json in ["", "--json "] {
            let run = typed(
                &home,
                &format!(
                    "{json}{}",
                    line.replace(" S", &format!(" {SECRET}"))
                        .replace("=S", &format!("={SECRET}"))
                        .replace(":S", &format!(":{SECRET}"))
                ),
            );
            assert_eq!(run.code, 2, "{line}: {}", run.all());
            assert!(!run.all().contains(SECRET), "{line}: {}", run.all());
        }
    }
}

/// Pasting an answer never leads back to the same refusal.
#[test]
fn no_answer_is_the_refused_line() {
    let home = world();
    for line in ["logs -n", "install --port 0 --yes", "install --port 65536 --yes", "env set PATH", "stat"] {
        let refused = typed(&home, line);
        let answer = advice(&refused).unwrap_or_default();
        assert_ne!(answer, format!("gwinstall {line}"), "{}", refused.stderr);
        assert!(!answer.contains("start"), "{}", refused.stderr);
    }
    for (line, answer) in [
        ("models delete glm-5.2", "gwinstall models remove glm-5.2"),
        ("backup delete 1 --yes", "gwinstall backup list; or gwinstall backup prune --dry-run"),
        ("delete backup 1", "gwinstall backup list"),
        ("stat", "gwinstall status"),
        ("models help", "gwinstall help models"),
        (
            "--auth-token t0ken install enterprise --yes",
            "gwinstall install enterprise --yes --auth-token-file -",
        ),
    ] {
        assert_eq!(advice(&typed(&home, line).exits(2)).as_deref(), Some(answer), "{line}");
    }
}
