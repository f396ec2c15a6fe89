//! `models test`, against a gateway whose models are each broken in one way, and two that are not: every break is found
//! by its own question and by no other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::gateway::{KEY, beside_a_stranger, count_as_gateway};
use crate::world::{Said, World};

/// Every model, how it is broken, and the questions that it fails.
const MODELS: [(&str, &[&str]); 16] = [
    ("good", &[]),
    ("thoughtless", &[]),
    ("drops-tools", &["tool-call"]),
    ("text-for-input", &["tool-call"]),
    ("broken-deltas", &["streaming"]),
    ("one-of-two", &["two-tools"]),
    ("same-ids", &["two-tools"]),
    ("refuses-result", &["tool-result"]),
    ("forgets-result", &["tool-result"]),
    ("no-stop", &["streaming"]),
    ("one-document", &["streaming"]),
    ("refuses-thoughts", &["thinking"]),
    ("no-count", &["count-tokens"]),
    ("absurd-count", &["count-tokens"]),
    ("refuses-length", &["long-answer"]),
    ("cuts-input", &["long-input"]),
];
/// Models that do not answer at all, and what is said about each.
const SILENT: [(&str, &str); 5] = [
    ("status-401", "does not answer: the gateway sent 401 (no such key ****)"),
    ("status-429", "does not answer: the gateway sent 429 (slow down, ****)"),
    ("status-500", "does not answer: the gateway sent 500 (\\u{1b}[2Jstack of ****)"),
    ("endless", "does not answer: the answer is longer than 4 MiB"),
    ("other-protocol", "sent something that is not a message of Anthropic's protocol"),
];

/// The bodies of the requests, by path.
type Seen = Arc<Mutex<Vec<(String, Value)>>>;

fn serve() -> (TcpListener, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let seen = Seen::default();
    let (socket, notes) = (listener.try_clone().unwrap(), Arc::clone(&seen));
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let notes = Arc::clone(&notes);
            // A client that hangs up has read enough.
            std::thread::spawn(move || answer(stream.unwrap(), &notes).unwrap_or_default());
        }
    });
    (listener, seen)
}

/// A home whose gateway is this server.
fn examined() -> (World, Seen) {
    let (socket, seen) = serve();
    let world = beside_a_stranger(socket.local_addr().unwrap().port(), "gpt-oss-120b,glm-5.2");
    count_as_gateway(&world, &socket);
    (world, seen)
}

fn answer(mut stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut request, mut headers, mut length) = (String::new(), Vec::new(), 0);
    reader.read_line(&mut request)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
        headers.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    seen.lock().unwrap().push((path.clone(), body.clone()));
    let has = |header: &str| headers.iter().any(|line| line == header);
    let (status, text) = match path.as_str() {
        _ if !has(&format!("authorization: bearer {KEY}")) => (401, "{}".to_owned()),
        _ if model(&body) == "far-away" && !has("x-team: canary-of-the-team") => (403, "{}".to_owned()),
        "/v1/models" => (200, listed().to_string()),
        "/model/info" => (200, facts().to_string()),
        _ if !has("anthropic-version: 2023-06-01") => (400, "{}".to_owned()),
        "/v1/messages/count_tokens" => counted(&body),
        "/v1/messages" => replied(&body),
        _ => (404, "{}".to_owned()),
    };
    let announced = if model(&body) == "endless" { 100 << 20 } else { text.len() };
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {announced}\r\nconnection: close\r\n\r\n")?;
    stream.write_all(text.as_bytes())?;
    for _ in (text.len()..announced).step_by(1 << 16) {
        stream.write_all(&[b' '; 1 << 16])?;
    }
    Ok(())
}

fn model(body: &Value) -> &str {
    body["model"].as_str().unwrap_or_default()
}

fn listed() -> Value {
    let names = MODELS.map(|(name, _)| name).into_iter().chain(SILENT.map(|(name, _)| name));
    let names = names.chain(["gpt-oss-120b", "glm-5.2", "hangs"]);
    json!({ "data": names.map(|name| json!({ "id": name })).collect::<Vec<_>>() })
}

/// As LiteLLM describes its models.
fn facts() -> Value {
    json!({ "data": [
        { "model_name": "good", "model_info": { "supports_vision": true } },
        { "model_name": "cuts-input", "model_info": { "supports_vision": null } },
    ] })
}

fn refused(status: u16, why: &str) -> (u16, String) {
    (status, json!({ "type": "error", "error": { "message": why } }).to_string())
}

fn counted(body: &Value) -> (u16, String) {
    match model(body) {
        "no-count" => refused(404, "no such path"),
        "far-away" => refused(404, "no such path for canary-of-the-team"),
        "absurd-count" => (200, json!({ "input_tokens": 0 }).to_string()),
        _ => (200, json!({ "input_tokens": body["messages"].to_string().len() / 4 }).to_string()),
    }
}

fn replied(body: &Value) -> (u16, String) {
    let last = body["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    let before = body["messages"][1]["content"].to_string();
    match model(body) {
        "status-401" => return refused(401, &format!("no such key {KEY}")),
        "status-429" => return refused(429, &format!("slow down, {KEY}\nsecond line")),
        "status-500" => return refused(500, &format!("\x1b[2Jstack of {KEY}")),
        // Longer than a server of releases may be silent.
        "far-away" if last.contains("Say ok.") && body.get("system").is_none() && body["stream"] != true => {
            std::thread::sleep(std::time::Duration::from_secs(21));
        }
        "hangs" => std::thread::sleep(std::time::Duration::from_secs(60)),
        "other-protocol" => return (200, json!({ "choices": [] }).to_string()),
        "refuses-result" if last.contains("tool_result") && body.get("thinking").is_none() => {
            return refused(400, "unexpected tool_result");
        }
        "refuses-thoughts" if before.contains("signature") => return refused(400, "unknown field thinking"),
        "refuses-length" if body["max_tokens"].as_u64() > Some(8192) => {
            return refused(400, "max_tokens is too large");
        }
        _ => {}
    }
    // As a provider does that signs thoughts: with a tool result they have to come back as they were sent.
    if body.get("thinking").is_some() && last.contains("tool_result") && !before.contains("signed-by-good") {
        return refused(400, "the thoughts of the last turn are missing");
    }
    let content = content(body, &last);
    if body["stream"] == true && model(body) != "one-document" {
        return (200, streamed(&content, model(body)));
    }
    let reason = if content.to_string().contains("tool_use") { "tool_use" } else { "end_turn" };
    (
        200,
        json!({ "type": "message", "role": "assistant", "content": content, "stop_reason": reason })
            .to_string(),
    )
}

/// What the model says: it has to have read the request for that.
fn content(body: &Value, last: &str) -> Value {
    let text = |text: &str| json!({ "type": "text", "text": text });
    if body.get("tools").is_some() && !last.contains("tool_result") && model(body) != "drops-tools" {
        return tool_calls(body, last);
    }
    if last.contains("image/png") {
        return json!([text("It is Red.")]);
    }
    let read = if model(body) == "cuts-input" { &last[last.len().saturating_sub(100_000)..] } else { last };
    let words = read.split("code word ").skip(1).filter_map(|rest| rest.split([' ', '"']).next());
    let words: Vec<&str> = words.filter(|word| word.contains('-')).collect();
    let forgets = model(body) == "forgets-result" && last.contains("tool_result") || words.is_empty();
    json!([text(&if forgets { "Ok.".to_owned() } else { words.join(" ") })])
}

fn tool_calls(body: &Value, last: &str) -> Value {
    let both = last.contains("todo.txt") && model(body) != "one-of-two";
    let files: &[&str] = if both { &["notes.txt", "todo.txt"] } else { &["notes.txt"] };
    let calls = files.iter().map(|file| {
        let input = json!({ "path": file });
        let input = if model(body) == "text-for-input" && body["stream"] != true {
            json!(input.to_string())
        } else {
            input
        };
        let id = if model(body) == "same-ids" { "toolu".to_owned() } else { format!("toolu-{file}") };
        json!({ "type": "tool_use", "id": id, "name": "read_file", "input": input })
    });
    let thinks = body.get("thinking").is_some() && model(body) != "thoughtless";
    let thought = json!({ "type": "thinking", "thinking": "97", "signature": "signed-by-good" });
    json!(thinks.then_some(thought).into_iter().chain(calls).collect::<Vec<_>>())
}

fn streamed(content: &Value, model: &str) -> String {
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let mut all = event("message_start", json!({ "message": { "role": "assistant" } }));
    for (index, block) in content.as_array().unwrap().iter().enumerate() {
        let mut start = block.clone();
        let pieces: Vec<Value> = if block["type"] == "text" {
            start["text"] = json!("");
            vec![json!({ "type": "text_delta", "text": block["text"] })]
        } else {
            start["input"] = json!({});
            let input = block["input"].to_string();
            let end = if model == "broken-deltas" { input.len() - 1 } else { input.len() };
            let piece = |text: &str| json!({ "type": "input_json_delta", "partial_json": text });
            vec![piece(""), piece(&input[..4]), piece(&input[4..end])]
        };
        all += &event("content_block_start", json!({ "index": index, "content_block": start }));
        for delta in pieces {
            all += &event("content_block_delta", json!({ "index": index, "delta": delta }));
        }
        all += &event("content_block_stop", json!({ "index": index }));
        all += &event("ping", json!({}));
    }
    all += &event("message_delta", json!({ "delta": { "stop_reason": "end_turn" } }));
    if model == "no-stop" { all } else { all + &event("message_stop", json!({})) }
}

/// The questions of a model with this outcome.
fn with_outcome(said: &Said, model: &str, outcome: &str) -> Vec<String> {
    let data = said.data();
    let card = data["models"].as_array().unwrap().iter().find(|card| card["model"] == model).unwrap().clone();
    let questions = card["questions"].as_array().unwrap().iter().filter(|asked| asked["outcome"] == outcome);
    questions.map(|asked| asked["question"].as_str().unwrap().to_owned()).collect()
}

fn messages(seen: &Seen) -> Vec<Value> {
    let seen = seen.lock().unwrap();
    seen.iter().filter(|(path, _)| path.starts_with("/v1/messages")).map(|(_, body)| body.clone()).collect()
}

#[test]
fn each_broken_model_is_found_by_its_question_and_by_no_other() {
    let (world, _) = examined();
    let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
    let command = [&["--json", "models", "test", "--long", "--yes"][..], &names].concat();
    let said = world.run(&command).exits(1).never_says(KEY);
    let needed = ["answers", "tool-call", "tool-result", "streaming"];
    for ((name, fails), card) in MODELS.iter().zip(said.data()["models"].as_array().unwrap()) {
        assert_eq!(with_outcome(&said, name, "failed"), *fails, "{name}: {card:#}");
        assert_eq!(card["usable"], !fails.iter().any(|question| needed.contains(question)), "{name}");
    }
    assert_eq!(with_outcome(&said, "good", "ok").len(), 11, "every question is asked and passed");
    assert_eq!(with_outcome(&said, "thoughtless", "not-asked"), ["thinking", "image"]);
    assert_eq!(
        with_outcome(&said, "drops-tools", "not-asked"),
        ["tool-result", "two-tools", "thinking", "image"]
    );
}

#[test]
fn a_model_that_does_not_answer_is_asked_nothing_more() {
    let (world, seen) = examined();
    for (name, came) in SILENT {
        let said = world.run(&["models", "test", name, "--yes"]).exits(1).never_says(KEY).never_says("\x1b");
        let _ = said.says(&format!("FAIL answers: {name} {came}")).says("because the model does not answer");
    }
    assert_eq!(messages(&seen).len(), SILENT.len());
}

#[test]
fn the_scorecard_names_what_came_back_and_what_to_do() {
    let (world, _) = examined();
    let said = world.run(&["models", "test", "good,drops-tools", "no-count", "--yes"]).exits(1);
    assert!(said.err.contains("a dozen requests to 3 models; the providers charge"), "{}", said.err);
    assert!(said.err.contains("Testing drops-tools (2 of 3)"), "{}", said.err);
    let port = world.record()["gateway_url"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(said.out.replace(&port, "[URL]"));
    let _ = world.run(&["models", "test", "no-count", "--yes"]).exits(0).says("warning count-tokens");
    let _ = world.run(&["--quiet", "models", "test", "good", "--yes"]).exits(0).never_says("ok");
}

/// Without a name: what Claude Code is pointed at, each model once, with the limit of the answer that it sends.
#[test]
fn the_models_of_the_settings_are_tested_once_each() {
    let (world, seen) = examined();
    let said = world.run(&["--json", "models", "test", "--yes"]).exits(0);
    let names: Vec<Value> =
        said.data()["models"].as_array().unwrap().iter().map(|card| card["model"].clone()).collect();
    let env = world.settings()["env"].clone();
    assert_eq!(names[0], env["ANTHROPIC_MODEL"]);
    assert_eq!(names.len(), 2, "{names:?}");
    let limit: u64 = env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"].as_str().unwrap().parse().unwrap();
    assert_eq!(messages(&seen).iter().filter(|body| body["max_tokens"] == limit).count(), 2);
    let all = world.run(&["--json", "models", "test", "--all", "--yes"]).exits(0);
    assert_eq!(all.data()["models"].as_array().unwrap().len(), 2);
    let _ = world.run(&["off", "--yes"]).exits(0);
    let _ = world.run(&["models", "test", "--yes"]).exits(2).says("gwinstall models test --all");
}

#[test]
fn nothing_is_sent_without_consent_or_for_a_name_that_is_not_served() {
    let (world, seen) = examined();
    let before = world.snapshot();
    let said = world.run(&["models", "test", "good"]).exits(2).says("no terminal to ask on");
    let _ = said.says("gwinstall models test good --yes");
    let _ = world.run(&["--json", "models", "test", "good"]).exits(2);
    let _ = world
        .run(&["models", "test", "god", "--yes"])
        .exits(2)
        .says("does not serve god")
        .says("test good --yes");
    let _ = world.run(&["models", "test", "../x", "--yes"]).exits(2).says("not a model name");
    let _ = world.run(&["models", "test", "good", "--all", "--yes"]).exits(2);
    assert!(messages(&seen).is_empty());
    assert_eq!(world.snapshot(), before, "nothing is written");
    let (socket, seen) = serve();
    let stranger = beside_a_stranger(socket.local_addr().unwrap().port(), "glm-5.2");
    let _ = stranger
        .run(&["models", "test", "glm-5.2", "--yes"])
        .exits(1)
        .says("the key is only for the gateway");
    let asked: Vec<String> = seen.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
    assert!(!asked.iter().any(|path| path.starts_with("/v1") || path.starts_with("/model")), "{asked:?}");
    let _ = World::new().run(&["models", "test", "--yes"]).exits(2).says("nothing is deployed yet");
}

/// Claude Code sends the token and the further headers of the settings, and waits while a model is silent.
#[test]
fn a_gateway_elsewhere_is_asked_as_claude_code_asks_it() {
    let (socket, seen) = serve();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let world = World::new()
        .with("ANTHROPIC_AUTH_TOKEN", KEY)
        .with("ANTHROPIC_CUSTOM_HEADERS", "X-Team: canary-of-the-team");
    let install = [
        "install",
        "enterprise",
        "--gateway-type",
        "custom",
        "--gateway-url",
        &url,
        "--models",
        "far-away",
        "--yes",
    ];
    let _ = world.run(&install).exits(0);
    let said = world.run(&["models", "test", "--yes"]).exits(0).never_says(KEY).never_says("canary");
    let _ = said
        .says("warning count-tokens: far-away does not answer: the gateway sent 404 (no such path for ****)");
    let listed = seen.lock().unwrap().iter().any(|(path, _)| path == "/v1/models");
    assert!(!listed, "a gateway elsewhere may have no such list");
    let _ = world
        .run(&["models", "test", "status-401", "--yes"])
        .exits(1)
        .says("gwinstall env set ANTHROPIC_AUTH_TOKEN");
}

/// On a terminal the costs are named and the question asked; no is an answer.
#[test]
fn a_terminal_is_asked_before_the_first_request() {
    let (world, seen) = examined();
    let on_a_terminal = |typed: &str| {
        let inner = world.command(&["models", "test", "good"]);
        let program = inner.get_program().to_str().unwrap();
        let script =
            format!("(sleep 0.5; printf '{typed}\\n') | script -qec '{program} models test good' /dev/null");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).env_clear();
        shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    };
    let said = on_a_terminal("n");
    assert!(said.contains("the providers charge") && said.contains("Go ahead? [Y/n]"), "{said}");
    assert!(messages(&seen).is_empty(), "{said}");
    let said = on_a_terminal("y");
    assert!(said.contains("Claude Code can work with good."), "{said}");
}

/// There is nothing to undo, so the first Ctrl-C ends the wait for an answer.
#[test]
fn ctrl_c_ends_the_wait_for_an_answer() {
    let (world, seen) = examined();
    let began = std::time::Instant::now();
    let mut child = world
        .command(&["models", "test", "hangs", "--yes"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while messages(&seen).is_empty() && began.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(began.elapsed().as_secs() < 30);
}
