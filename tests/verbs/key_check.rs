//! `env set NAME --check`: the provider is asked before a key is kept.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::world::{World, copy};

const GOOD: &str = "sk-good-0123456789abcdef";
const BAD: &str = "sk-bad-0123456789abcdef";

/// A provider on a port of this machine: it accepts one key, in any header, and notes the heads of the requests.
fn provider(status_of_others: u16) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let head = head.join("\n");
            let status = if head.contains(GOOD) { 200 } else { status_of_others };
            notes.lock().unwrap().push(head);
            let body = format!("{{\"error\": {{\"message\": \"no such key {BAD}\"}}}}");
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    (port, seen)
}

/// A deployment of a bundle in which two providers are asked on these ports.
fn world_of_ports(openai: u16, gemini: u16) -> World {
    let world = World::new();
    let bundle = world.home().join("bundle");
    copy(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/embedded")), &bundle);
    let catalog = fs::read_to_string(bundle.join("catalog.yaml")).unwrap();
    let to = |text: String, url: &str, port: u16| {
        assert!(text.contains(&format!("free_call: {url}\n")), "{url}");
        text.replace(&format!("free_call: {url}\n"), &format!("free_call: http://127.0.0.1:{port}/list\n"))
    };
    let catalog = to(catalog, "https://api.openai.com/v1/models", openai);
    let catalog = to(catalog, "https://generativelanguage.googleapis.com/v1beta/models", gemini);
    fs::write(bundle.join("catalog.yaml"), catalog).unwrap();
    let _ = world.run(&["install", "--source-dir", "bundle", "--models", "glm-5.2", "--yes"]).exits(0);
    world
}

fn set(world: &World, name: &str, value: &str) -> crate::world::Said {
    world.run_with(&["env", "set", name, "--check", "--yes"], value).never_says(value)
}

#[test]
fn a_key_that_the_provider_refuses_is_not_kept() {
    let ((openai, asked), (gemini, asked_of_google)) = (provider(401), provider(400));
    let world = world_of_ports(openai, gemini);
    for (name, header) in
        [("OPENAI_API_KEY", "authorization: Bearer "), ("GEMINI_API_KEY", "x-goog-api-key: ")]
    {
        let asked = if name == "OPENAI_API_KEY" { &asked } else { &asked_of_google };
        let before = world.read(".env");
        let _ =
            set(&world, name, BAD).exits(1).says("does not accept this value").says("nothing was changed");
        assert_eq!(world.read(".env"), before);
        let _ = set(&world, name, GOOD).exits(0).says("accepts this value");
        assert!(world.read(".env").contains(&format!("{name}={GOOD}")));
        let heads = asked.lock().unwrap();
        assert!(
            heads[1].starts_with("GET /list ") && heads[1].contains(&format!("{header}{GOOD}")),
            "{}",
            heads[1]
        );
        assert_eq!(heads[1].matches(GOOD).count(), 1, "the key travels once: {}", heads[1]);
    }
}

#[test]
fn what_cannot_be_asked_says_so_and_changes_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (odd, asked) = provider(404);
    let world = world_of_ports(closed, odd);
    let before = world.read(".env");
    let _ = set(&world, "OPENAI_API_KEY", BAD)
        .exits(1)
        .says("did not confirm")
        .says("gwinstall env set OPENAI_API_KEY --yes");
    let _ = set(&world, "GEMINI_API_KEY", BAD).exits(1).says("answers with 404");
    // No provider takes these, or gwinstall knows no address: nothing is asked for.
    for name in ["LITELLM_MASTER_KEY", "AZURE_API_KEY", "CUSTOM_API_KEY", "VERTEXAI_LOCATION"] {
        let _ = set(&world, name, BAD).exits(2).says("gwinstall cannot check");
    }
    assert_eq!(world.read(".env"), before);
    // What `.env` cannot hold, or a header cannot carry, is refused before anything is asked.
    for odd in ["sk-a\tb-0123456789", "sk-ключ-0123456789", "sk with space 0123456789"] {
        let _ = set(&world, "GEMINI_API_KEY", odd).exits(2);
    }
    let typed = world.run(&["env", "set", "GEMINI_API_KEY=AIza-0123456789", "--check", "--yes"]).exits(2);
    let _ = typed.says("gwinstall env set GEMINI_API_KEY --check").never_says("AIza-0123456789");
    assert_eq!(world.read(".env"), before);
    // A dry run asks only its user.
    let dry = ["env", "set", "GEMINI_API_KEY", "--check", "--dry-run", "--yes"];
    let _ = world.run_with(&dry, BAD).exits(0);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

/// With an address of the user's own the key belongs there, and the provider must not see it.
#[test]
fn a_key_of_another_address_goes_to_no_provider() {
    let world = World::new().with("DEEPSEEK_API_KEY", GOOD);
    let own = ["use", "deepseek", "--gateway-url", "https://ai.example.com/anthropic", "--yes"];
    let _ = world.run(&own).exits(0);
    let _ = set(&world, "DEEPSEEK_API_KEY", BAD).exits(2).says("https://ai.example.com/anthropic");
    let ((openai, asked), (gemini, _)) = (provider(401), provider(400));
    let by_variable = world_of_ports(openai, gemini);
    let base = ["env", "set", "OPENAI_API_BASE", "--from", "-", "--yes"];
    let _ = by_variable.run_with(&base, "https://corp.example.com/v1").exits(0);
    let _ = set(&by_variable, "OPENAI_API_KEY", GOOD).exits(2).says("https://corp.example.com/v1");
    let by_entry = world_of_ports(openai, gemini).with("OPENAI_API_KEY", BAD);
    let _ = by_entry.run(&["models", "add", "openai/gpt-9-nova", "--yes"]).exits(0);
    let config = by_entry.read("config/litellm.yaml");
    let key = "api_key: os.environ/OPENAI_API_KEY\n";
    assert!(config.contains(key), "{config}");
    by_entry.write(
        "config/litellm.yaml",
        &config.replace(key, &format!("{key}      api_base: https://corp.example.com/v1\n")),
    );
    let _ = set(&by_entry, "OPENAI_API_KEY", GOOD).exits(2).says("https://corp.example.com/v1");
    assert!(asked.lock().unwrap().is_empty(), "the provider saw a key of another address");
}

/// The provider's own address, typed, is its own address.
#[test]
fn a_typed_address_of_the_provider_is_its_own() {
    let world = World::new().with("DEEPSEEK_API_KEY", GOOD);
    let _ = world
        .run(&["use", "deepseek", "--gateway-url", "https://api.deepseek.com/anthropic/", "--yes"])
        .exits(0);
    let said = world.with("HTTPS_PROXY", "http://127.0.0.1:9");
    let _ = set(&said, "DEEPSEEK_API_KEY", BAD).exits(1).says("https://api.deepseek.com/models");
}

/// Nothing is begun while the provider is asked, so the first signal ends the command.
#[test]
fn the_first_signal_ends_the_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = world_of_ports(silent.local_addr().unwrap().port(), 9);
    let key = world.home().join("key");
    fs::write(&key, GOOD).unwrap();
    let line = ["env", "set", "OPENAI_API_KEY", "--check", "--yes", "--from", key.to_str().unwrap()];
    let mut child = world.command(&line).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    let began = std::time::Instant::now();
    let _ = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let ended = child.wait().unwrap();
    assert!(!ended.success() && began.elapsed().as_secs() < 10, "{ended:?} after {:?}", began.elapsed());
    assert!(!world.read(".env").contains(GOOD));
}

/// A command that only looks has nothing to undo, so it does not wait for a gateway that is silent.
#[test]
fn the_first_signal_ends_a_command_that_only_looks() {
    for line in [&["health"][..], &["models", "check"]] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let world = World::new();
        let url = format!("http://127.0.0.1:{}", silent.local_addr().unwrap().port());
        let gateway = ["--gateway-type", "custom", "--gateway-url", &url, "--auth-token", "t-t-t-t"];
        let install = [&["install", "--preset", "enterprise", "--yes"][..], &gateway].concat();
        let _ = world.run(&install).exits(0);
        let mut child = world.command(line).spawn().unwrap();
        let _connection = silent.accept().unwrap();
        let _ = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{line:?}");
    }
}
