//! `usage`: what made-up transcripts, damaged ones, and those that the real Claude Code wrote come to, in tokens and dollars.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::world::{World, copy};

/// One line of an answer. The words in it must never be printed.
fn line(id: &str, model: &str, at: &str, input: u64, output: u64) -> String {
    let line = json!({
        "isSidechain": false,
        "message": {
            "id": id,
            "model": model,
            "role": "assistant",
            "content": [{ "type": "text", "text": "CONFIDENTIAL" }],
            "usage": { "input_tokens": input, "output_tokens": output },
        },
        "requestId": format!("req_{id}"),
        "type": "assistant",
        "timestamp": at,
        "cwd": "/srv/CONFIDENTIAL",
    });
    format!("{line}\n")
}

const AT: &str = "2026-11-20T12:00:00.000Z";

fn million(id: &str, model: &str) -> String {
    line(id, model, AT, 1_000_000, 0)
}

fn projects(world: &World) -> PathBuf {
    world.home().join(".claude/projects")
}

fn write(world: &World, path: &str, text: impl AsRef<[u8]>) {
    let path = projects(world).join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The sums of everything, after a look that prints nothing of a conversation and changes nothing.
#[track_caller]
fn total(world: &World) -> Value {
    all(world)["total"].clone()
}

#[track_caller]
fn all(world: &World) -> Value {
    let before = world.snapshot();
    let data = world.run(&["usage", "--all", "--json"]).exits(0).never_says("CONFIDENTIAL").data();
    let _ = world.run(&["usage", "--all", "--verbose"]).exits(0).never_says("CONFIDENTIAL");
    assert_eq!(world.snapshot(), before);
    data
}

/// `tests/fixtures/transcripts` is what Claude Code 2.1.329 wrote in November 2026 in front of a fake endpoint: a session with
/// two calls of Bash in one answer, one with an agent, a fork of that, and one with a model that Claude Code does not know.
/// The texts were replaced by `scrubbed`, and notes of other kinds left out. Its own sums are in the lines `cost-state`.
#[test]
fn transcripts_of_the_real_claude_code_come_to_what_it_says_itself() {
    let world = World::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transcripts/home-user-work");
    copy(&fixture, &projects(&world).join("-home-user-work"));
    let data = all(&world);
    let said = |session: &str, model: &str| {
        let text = fs::read_to_string(fixture.join(session)).unwrap();
        let last = text.lines().rfind(|line| line.contains("\"cost-state\"")).unwrap();
        serde_json::from_str::<Value>(last).unwrap()["modelUsage"][model].clone()
    };
    let rows = data["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "{data}");
    for (session, model, is_known) in [
        ("583c95fb-2c8d-44cc-9fcb-80b7994929e7.jsonl", "claude-opus-5-5", true),
        ("d0127c15-adf3-46c8-b29e-b004593843f6.jsonl", "claude-sonnet-5-5", true),
        ("bee9ee3e-9f74-4e60-beb9-448d5188711b.jsonl", "claude-haiku-5-5", true),
        ("ec698bdd-d04f-444f-aaa7-7bf62c6c2cd4.jsonl", "glm-5.2", false),
    ] {
        let said = said(session, model);
        let row = rows.iter().find(|row| row["model"] == model).unwrap();
        for (ours, key) in [
            ("input_tokens", "inputTokens"),
            ("cache_read_tokens", "cacheReadInputTokens"),
            ("cache_write_5m_tokens", "cacheCreationEphemeral5mInputTokens"),
            ("cache_write_1h_tokens", "cacheCreationEphemeral1hInputTokens"),
            ("output_tokens", "outputTokens"),
        ] {
            assert_eq!(row[ours], said[key], "{model} {ours}");
        }
        let difference = row["cost_usd"].as_f64().unwrap() - said["costUSD"].as_f64().unwrap();
        // What it does not know Claude Code prices like Opus.
        assert_eq!(difference.abs() < 0.000_001, is_known, "{model} {row} {said}");
    }
    assert_eq!(data["total"]["requests"], 8);
    let project = world.run(&["usage", "--all", "--by", "project", "--json"]).exits(0).data();
    assert_eq!(project["rows"][0]["directory"], "/home/user/work");
    let _ = world
        .run(&["usage", "--all", "--by", "project"])
        .exits(0)
        .says("/home/user/work")
        .never_says("scrubbed");
}

#[test]
fn a_request_counts_once_with_its_last_counts() {
    let world = World::new();
    let (first, last) = (line("a", "glm-5.2", AT, 10, 1), line("a", "glm-5.2", AT, 10, 70));
    write(&world, "-p/one.jsonl", [&*first, &first, &last, &line("b", "glm-5.2", AT, 5, 5)].concat());
    // A resumed session repeats the old lines, and an earlier file may hold the earlier counts.
    write(&world, "-p/two.jsonl", [&*last, &line("c", "glm-5.2", AT, 1, 1)].concat());
    write(&world, "-a/zero.jsonl", &first);
    write(&world, "-p/one/subagents/agent-1.jsonl", line("d", "glm-5.2", AT, 100, 100));
    let sums = total(&world);
    assert_eq!((&sums["requests"], &sums["input_tokens"]), (&json!(4), &json!(116)));
    assert_eq!(sums["output_tokens"], 70 + 5 + 1 + 100);
    // Another request with the same message id, as some gateways give, is another one.
    let other = line("a", "glm-5.2", AT, 1000, 0).replace("req_a", "req_z");
    write(&world, "-p/three.jsonl", other);
    assert_eq!(total(&world)["input_tokens"], 1116);
}

#[test]
fn what_is_damaged_is_counted_and_stops_nothing() {
    let world = World::new();
    let good = million("a", "claude-sonnet-5-5");
    let image = format!("{{\"type\":\"user\",\"message\":\"{}\"}}\n", "x".repeat(20 << 20));
    let lines = [
        "{\"type\":\"assistant\",\n",
        "\0\0\0\0\n",
        "not json\n",
        "\n  \n",
        "{\"type\":\"user\",\"message\":7}\n",
        &good.replace("\"input_tokens\":1000000", "\"input_tokens\":-1"),
        &image,
        &million("s", "<synthetic>"),
        &good,
        // Being written just now.
        &good[..good.len() / 2],
    ];
    write(&world, "-p/one.jsonl", [&lines.concat().into_bytes()[..], b"\xff\xfe\n"].concat());
    write(&world, "-p/empty.jsonl", "");
    write(&world, "-p/notes.txt", million("t", "claude-sonnet-5-5"));
    let data = all(&world);
    // The unfinished line and the bytes behind it are one damaged line.
    let left_out = json!({
        "damaged_lines": 5, "long_lines": 1, "synthetic_answers": 1, "links": 0, "special_files": 0
    });
    assert_eq!(data["left_out"], left_out);
    assert_eq!((&data["total"]["requests"], &data["total"]["cost_usd"]), (&json!(1), &json!(2.0)));
    let said = "Left out: 5 damaged lines and 1 line of more than 8 MiB.";
    let _ = world.run(&["usage", "--all"]).exits(0).says(said).never_says("synthetic");
    let _ = world.run(&["usage", "--all", "-v"]).exits(0).says("1 answer of Claude Code itself");
}

/// The last line of an open session has no end yet: whole it counts, cut it is neither counted nor complained about.
#[test]
fn a_line_that_is_being_written_is_no_damage() {
    let world = World::new();
    let (one, two) = (million("a", "glm-5.2"), million("b", "glm-5.2"));
    write(&world, "-p/one.jsonl", [&one, &two[..two.len() - 9]].concat());
    write(&world, "-p/two.jsonl", million("c", "glm-5.2").trim_end());
    let data = all(&world);
    assert_eq!((&data["total"]["requests"], &data["left_out"]["damaged_lines"]), (&json!(2), &json!(0)));
}

#[test]
fn models_without_a_price_are_named_and_not_in_the_cost() {
    let world = World::new();
    let (known, unknown) = (million("a", "claude-opus-5-5"), million("b", "claude-opus-9"));
    write(&world, "-p/one.jsonl", [known, unknown].concat());
    let run = world.run(&["usage", "--all"]).exits(0);
    let run = run.says("* The catalog has no price for claude-opus-9: the cost leaves out 1 request.");
    let rows: Vec<Vec<&str>> = run.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["claude-opus-9", "1", "1,000,000", "0", "0", "0", "-"]), "{rows:?}");
    assert!(rows.contains(&vec!["total", "2", "2,000,000", "0", "0", "0", "4.00", "*"]), "{rows:?}");
    let data = all(&world);
    assert_eq!(data["models_without_price"], json!(["claude-opus-9"]));
    let of = |model: &str| data["rows"].as_array().unwrap().iter().find(|row| row["model"] == model).cloned();
    assert_eq!(of("claude-opus-9").unwrap()["cost_usd"], Value::Null);
    assert_eq!(of("claude-opus-5-5").unwrap()["cost_usd"], 4.0);
}

#[test]
fn a_window_has_whole_days_of_utc() {
    let world = World::new();
    let at = |id: &str, at: &str| line(id, "glm-5.2", at, 1, 0);
    let lines = [
        at("a", "2026-11-19T23:59:59.999Z"),
        at("b", "2026-11-20T00:00:00.000Z"),
        at("c", "2026-11-20T23:59:59Z"),
        at("d", "2026-11-21T00:00:00.001Z"),
        // An answer that took until after midnight is of the second day, for every window.
        at("e", "2026-11-19T23:59:58Z"),
        at("e", "2026-11-20T00:00:01Z"),
    ];
    write(&world, "-p/one.jsonl", lines.concat());
    let days = |arguments: &[&str]| {
        let all = [&["usage", "--by", "day", "--json"][..], arguments].concat();
        let data = world.run(&all).exits(0).data();
        let day = |row: &Value| (row["day"].as_str().unwrap().to_owned(), row["requests"].as_u64().unwrap());
        data["rows"].as_array().unwrap().iter().map(day).collect::<Vec<_>>()
    };
    let [first, second, third] =
        [("19", 1), ("20", 3), ("21", 1)].map(|(day, n)| (format!("2026-11-{day}"), n));
    assert_eq!(days(&["--all"]), [third.clone(), second.clone(), first]);
    assert_eq!(days(&["--since", "2026-11-20"]), [third.clone(), second]);
    assert_eq!(days(&["--since", "2026-11-21"]), [third]);
    let run = world.run(&["usage", "--since", "2026-11-22"]).exits(0);
    let _ = run.says("hold no request since 2026-11-22 (UTC), only older ones").says("gwinstall usage --all");
    for (words, said) in [
        (&["--since", "2026-11-31"][..], "--since needs a day, written YYYY-MM-DD"),
        (&["--since", "2026-11-20T00:00:00Z"], "--since needs a day"),
        (&["--days", "0"], "--days must be at least 1"),
        (&["--days", "3", "--all"], "--days"),
        (&["--since", "2026-11-20", "--all"], "--since"),
        (&["--by", "week"], "--by"),
    ] {
        let _ = world.run(&[&["usage"], words].concat()).exits(2).says(said);
    }
}

/// Without a flag thirty days count. A file that was not written to since then is not even opened.
#[test]
fn thirty_days_count_unless_said_otherwise() {
    let world = World::new();
    write(&world, "-p/one.jsonl", line("a", "glm-5.2", "2020-01-01T00:00:00Z", 1, 1));
    let data = world.run(&["usage", "--json"]).exits(0).data();
    assert_eq!(
        (&data["older_requests"], &data["rows"], &data["transcripts"]),
        (&json!(true), &json!([]), &json!(1))
    );
    let path = projects(&world).join("-p/one.jsonl");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_577_836_800);
    fs::File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
    let data = world.run(&["usage", "--json"]).exits(0).data();
    assert_eq!((&data["older_requests"], &data["transcripts"]), (&json!(true), &json!(0)));
    assert_eq!(total(&world)["requests"], 1);
}

#[test]
fn projects_are_shown_by_their_directory_where_it_is_known() {
    let world = World::new();
    let home = world.home().to_str().unwrap().to_owned();
    let dashed: String =
        format!("{home}/work").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let here = million("a", "claude-sonnet-5-5").replace("/srv/CONFIDENTIAL", &format!("{home}/work"));
    write(&world, &format!("{dashed}/one.jsonl"), [line("b", "glm-5.2", AT, 1, 1), here].concat());
    write(&world, "-srv-other/one.jsonl", line("c", "glm-5.2", AT, 1, 1));
    let run = world.run(&["usage", "--all", "--by", "project"]).exits(0).never_says("CONFIDENTIAL");
    let first: Vec<&str> =
        run.out.lines().filter_map(|line| line.split_whitespace().next()).take(4).collect();
    assert_eq!(first, ["PROJECT", "~/work", "-srv-other", "total"]);
}

#[test]
fn the_same_tokens_are_priced_on_other_models() {
    let world = World::new();
    write(
        &world,
        "-p/one.jsonl",
        [million("a", "claude-opus-5-5"), million("b", "claude-opus-5-5")].concat(),
    );
    let compare = ["usage", "--all", "--compare", "glm-5.2,gpt-oss-120b", "--compare", "claude-haiku-5-5"];
    let run = world.run(&compare).exits(0);
    let run = run.says("gpt-oss-120b takes 131,072 tokens, and the longest request had 1,000,000.");
    let rows: Vec<Vec<&str>> = run.out.lines().map(|line| line.split_whitespace().collect()).collect();
    let at = rows.iter().position(|row| row.starts_with(&["THE", "SAME"])).unwrap();
    // 2 × 0.09, 2 × 0.10 × 5 (long requests) and 2 × 1.40, of 2 × 4.00.
    assert_eq!(rows[at + 1], ["gpt-oss-120b", "0.18", "-98", "%", "0.18"]);
    assert_eq!(rows[at + 2], ["claude-haiku-5-5", "1.00", "-88", "%", "1.00"]);
    assert_eq!(rows[at + 3], ["glm-5.2", "2.80", "-65", "%", "2.80"]);
    let _ = world.run(&["usage", "--compare", "glm-5"]).exits(2).says("gwinstall usage --compare glm-5.2");
    let _ = world.run(&["usage", "--compare", ""]).exits(2).says("there is no model");
    let data = all(&world);
    let suggested: Vec<&str> =
        data["compared"].as_array().unwrap().iter().map(|one| one["model"].as_str().unwrap()).collect();
    assert!(suggested.len() >= 3 && !suggested.contains(&"claude-opus-5-5"), "{suggested:?}");
    assert!(!suggested.contains(&"gemini-2.5-pro"), "past its date: {suggested:?}");
}

#[test]
fn what_is_not_a_transcript_is_not_opened() {
    let world = World::new();
    let outside = world.home().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x.jsonl"), million("x", "glm-5.2")).unwrap();
    write(&world, "-p/one.jsonl", million("a", "claude-sonnet-5-5"));
    symlink(outside.join("x.jsonl"), projects(&world).join("-p/linked.jsonl")).unwrap();
    symlink(&outside, projects(&world).join("-linked")).unwrap();
    symlink(projects(&world), projects(&world).join("-p/circle")).unwrap();
    for path in ["-p/fifo.jsonl", "fifo"] {
        let path = projects(&world).join(path);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .unwrap();
    }
    fs::create_dir(projects(&world).join("-p/dir.jsonl")).unwrap();
    let run = world.run(&["usage", "--all"]).exits(0);
    let run = run.says("Left out: 3 links and 2 special files.");
    assert!(run.out.contains("2.00"), "{}", run.out);
    // The directory itself may be kept elsewhere, as Claude Code follows it.
    fs::rename(projects(&world), world.home().join("kept")).unwrap();
    symlink(world.home().join("kept"), projects(&world)).unwrap();
    let data = world.run(&["usage", "--all", "--json"]).exits(0).data();
    assert_eq!(data["total"]["requests"], 1);
}

/// Root reads everything, so where the tests run as root another user looks.
#[test]
fn what_cannot_be_read_is_named_once() {
    let world = World::new();
    write(&world, "-p/one.jsonl", million("a", "claude-sonnet-5-5"));
    write(&world, "-p/shut.jsonl", million("b", "claude-sonnet-5-5"));
    write(&world, "-q/one.jsonl", million("c", "claude-sonnet-5-5"));
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(world.home(), 0o755);
    set(&projects(&world).join("-p/shut.jsonl"), 0o000);
    set(&projects(&world).join("-q"), 0o000);
    let output = unprivileged(world.command(&["usage", "--all"])).output().unwrap();
    set(&projects(&world).join("-q"), 0o700);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for name in ["Not read: ~/.claude/projects/-p/shut.jsonl: ", "Not read: ~/.claude/projects/-q: "] {
        assert_eq!(said.matches(name).count(), 1, "{said}");
    }
    assert!(said.contains("2.00"), "{said}");
}

/// The same run as a user to whom file modes matter.
fn unprivileged(command: Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        return command;
    }
    let mut other = Command::new("setpriv");
    other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    other.arg(command.get_program()).args(command.get_args()).env_clear();
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other
}

#[test]
fn names_from_outside_drive_no_terminal() {
    let world = World::new();
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}2J\u{202e}x";
    write(
        &world,
        &format!("-p{hostile}/one.jsonl"),
        [million("a", hostile), million("b", "glm-5.2")].concat(),
    );
    for by in ["model", "day", "project"] {
        for json in [&[][..], &["--json"]] {
            let run = world.run(&[&["usage", "--all", "--by", by], json].concat()).exits(0);
            for bad in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'] {
                assert!(!run.out.contains(bad) && !run.err.contains(bad), "{by}: {run:?}");
            }
        }
    }
    let data = world.run(&["usage", "--all", "--json"]).exits(0).data();
    assert_eq!(data["models_without_price"], json!([hostile]));
}

#[test]
fn the_directory_of_claude_code_is_where_it_is_said_to_be() {
    let world = World::new();
    let _ = world.run(&["usage"]).exits(0).says("found no transcripts of Claude Code in ~/.claude/projects.");
    assert!(!world.home().join(".claude").exists());
    let elsewhere = World::new();
    let dir = elsewhere.home().join("conf");
    fs::create_dir_all(dir.join("projects/-p")).unwrap();
    fs::write(dir.join("projects/-p/one.jsonl"), million("a", "glm-5.2")).unwrap();
    let elsewhere = elsewhere.with("CLAUDE_CONFIG_DIR", dir.to_str().unwrap());
    let _ = elsewhere.run(&["usage", "--all"]).exits(0).says("1 transcript in ~/conf/projects");
    assert_eq!(all(&elsewhere)["total"]["cost_usd"], 1.4);
}

/// The names in the document are an interface.
#[test]
fn the_document_has_these_names() {
    let world = World::new();
    write(&world, "-p/one.jsonl", million("a", "claude-opus-5-5"));
    let run = world.run(&["usage", "--all", "--json"]).exits(0);
    let envelope: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(envelope["schema"], "gwinstall.usage/1");
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let data = &envelope["data"];
    assert_eq!(
        names(data),
        [
            "directory",
            "since",
            "transcripts",
            "rows",
            "total",
            "longest_prompt_tokens",
            "prices_as_of",
            "models_without_price",
            "compared",
            "older_requests",
            "left_out",
            "unreadable"
        ]
    );
    let sums = [
        "requests",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "cost_usd",
        "requests_without_price",
    ];
    assert_eq!(names(&data["total"]), sums);
    assert_eq!(names(&data["rows"][0]), [&["model"], &sums[..]].concat());
    let compared = ["model", "cost_usd", "cost_without_cache_usd", "context_tokens"];
    assert_eq!(names(&data["compared"][0]), compared);
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let world = World::new();
    write(&world, "-p/one.jsonl", million("a", "glm-5.2"));
    for arguments in [&["usage", "--all"][..], &["usage", "--all", "--json"], &["usage", "--all", "-q"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = world
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("cannot write the answer"), "{said}");
    }
}
