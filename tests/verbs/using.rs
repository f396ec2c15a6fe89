//! `use`: who answers Claude Code, switched over what is deployed.

use serde_json::Value;

use crate::world::{World, program};

const SETTINGS: &str = ".claude/settings.json";
const OWN: &str = "{\n  \"theme\": \"dark\"\n}\n";
const DEEPSEEK: &str = "sk-deepseek-0123456789abcdef";
const KIMI: &str = "sk-kimi-0123456789abcdef";

/// A home with settings of the user's own.
fn home() -> World {
    let world = World::new().unforced();
    std::fs::create_dir_all(world.home().join(".claude")).unwrap();
    std::fs::write(world.home().join(SETTINGS), OWN).unwrap();
    world
}

/// A home where the preset basic is deployed, can answer, and serves two models.
fn with_gateway() -> World {
    let world = home();
    let tools = world.home().join("tools");
    program(&tools.join("litellm"), crate::world::LITELLM);
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let world = world
        .with("PATH", path)
        .with("VERTEXAI_PROJECT", "my-project")
        .with("GOOGLE_APPLICATION_CREDENTIALS", "/x");
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    world
}

fn env(world: &World) -> Value {
    world.settings()["env"].clone()
}

fn text(world: &World, path: &str) -> String {
    std::fs::read_to_string(world.home().join(path)).unwrap()
}

/// The key that Claude Code would get from its helper.
fn helper(world: &World) -> String {
    let command = world.settings()["apiKeyHelper"].as_str().unwrap().to_owned();
    let run = std::process::Command::new("/bin/sh")
        .args(["-c", &command])
        .env_clear()
        .env("HOME", world.home())
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_provider_needs_a_key_and_nothing_else() {
    let world = home();
    let said = world.run(&["use", "deepseek", "--yes"]).exits(2).says("DEEPSEEK_API_KEY has no value");
    let _ = said.says("gwinstall install --provider deepseek --auth-token-file -");
    assert_eq!(text(&world, SETTINGS), OWN);
    let world = world.with("DEEPSEEK_API_KEY", DEEPSEEK);
    let _ = world.run(&["use", "deepseek", "--yes"]).exits(0).says("Claude Code is ready: claude");
    assert_eq!(env(&world)["ANTHROPIC_BASE_URL"], "https://api.deepseek.com/anthropic");
    assert_eq!(env(&world)["ANTHROPIC_AUTH_TOKEN"], "");
    assert_eq!(env(&world)["ANTHROPIC_API_KEY"], "");
    assert_eq!(env(&world)["ANTHROPIC_DEFAULT_HAIKU_MODEL"], "deepseek-v4-flash");
    assert_eq!(helper(&world), DEEPSEEK);
    assert!(!text(&world, SETTINGS).contains(DEEPSEEK), "the key is in .env alone");
    assert!(!text(&world, ".claude/gateway/deployment-manifest.json").contains(DEEPSEEK));
    let _ = world.run(&["status"]).exits(0).says("uses deepseek (https://api.deepseek.com/anthropic)");
    let _ = world.run(&["doctor"]).exits(0);
    let _ = world.run(&["uninstall", "--purge", "--yes"]).exits(0);
    assert_eq!(text(&world, SETTINGS), OWN);
}

#[test]
fn a_switch_changes_neither_the_gateway_nor_the_backups() {
    let world = with_gateway().with("DEEPSEEK_API_KEY", DEEPSEEK).with("MOONSHOT_API_KEY", KIMI);
    let config = text(&world, ".claude/gateway/config/litellm.yaml");
    let own = format!("{config}# mine\n");
    std::fs::write(world.home().join(".claude/gateway/config/litellm.yaml"), &own).unwrap();
    let backups =
        || std::fs::read_dir(world.home().join(".claude/gateway/backups")).map_or(0, Iterator::count);
    let before = (backups(), text(&world, SETTINGS));
    for (name, address, credential) in [
        ("deepseek", "https://api.deepseek.com/anthropic", DEEPSEEK),
        ("kimi", "https://api.moonshot.ai/anthropic", KIMI),
        ("-", "https://api.deepseek.com/anthropic", DEEPSEEK),
        ("-", "https://api.moonshot.ai/anthropic", KIMI),
    ] {
        let _ = world.run(&["use", name]).exits(0).says("To undo this: gwinstall use -");
        assert_eq!(env(&world)["ANTHROPIC_BASE_URL"], address, "{name}");
        assert_eq!(helper(&world), credential, "{name}");
    }
    let _ = world.run(&["use", "basic"]).exits(0).says("Claude Code uses the gateway");
    assert_eq!((backups(), text(&world, SETTINGS)), before, "byte for byte as before the first switch");
    assert_eq!(text(&world, ".claude/gateway/config/litellm.yaml"), own);
    let command = world.settings()["apiKeyHelper"].clone();
    assert_eq!(command, "~/.claude/gateway/scripts/print-gateway-key.sh local");
    let _ = world.run(&["use", "gateway"]).exits(0).says("Nothing to do");
    let _ = world.run(&["use", "claude"]).exits(0);
    assert_eq!(text(&world, SETTINGS), OWN);
    let _ = world.run(&["use", "-"]).exits(0).says("Claude Code uses the gateway");
    assert_eq!(text(&world, SETTINGS), before.1);
}

/// What an update or another command does to the gateway leaves Claude Code where it is.
#[test]
fn other_commands_leave_the_provider_in_use() {
    let world = with_gateway().with("DEEPSEEK_API_KEY", DEEPSEEK);
    let _ = world.run(&["use", "deepseek"]).exits(0);
    let before = text(&world, SETTINGS);
    for line in [
        "update --yes",
        "models add gpt-oss-120b --yes",
        "install --yes",
        "env set VERTEXAI_PROJECT=other --yes",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let _ = world.run(&words).exits(0);
        assert_eq!(text(&world, SETTINGS), before, "{line}");
    }
    let _ = world.run(&["off", "--yes"]).exits(0);
    let _ = world.run(&["on", "--yes"]).exits(0);
    assert_eq!(text(&world, SETTINGS), before, "off and on");
    // A preset that is named is what the user wants Claude Code to use.
    let _ = world.run(&["install", "basic", "--yes"]).exits(0);
    assert_eq!(env(&world)["ANTHROPIC_BASE_URL"], "http://127.0.0.1:4000");
    assert!(text(&world, ".claude/gateway/.env").contains(DEEPSEEK), "the key of a provider stays");
    let _ = world.run(&["use", "deepseek"]).exits(0);
    let _ = world.run(&["rollback", "--yes"]).exits(0);
    let _ = world.run(&["status"]).exits(0);
}

#[test]
fn a_provider_without_a_key_gets_a_word_in_its_place() {
    let world = home();
    let said = world.run(&["use", "ollama", "--yes"]).exits(2).says("name one");
    let _ = said.says("gwinstall use ollama --yes --models MODEL");
    let _ = world.run(&["use", "ollama", "--models", "qwen3-coder:30b", "--yes"]).exits(0);
    let settings = world.settings();
    assert_eq!(settings["env"]["ANTHROPIC_AUTH_TOKEN"], "ollama");
    assert_eq!(settings["env"]["API_FORCE_IDLE_TIMEOUT"], "0");
    assert!(settings.get("apiKeyHelper").is_none());
    // Models and address are remembered.
    let _ = world.run(&["use", "claude"]).exits(0);
    let _ = world.run(&["use", "ollama"]).exits(0).says("qwen3-coder:30b");
    let _ = world.run(&["use", "ollama", "--gateway-url", "http://127.0.0.1:9999"]).exits(0);
    assert_eq!(env(&world)["ANTHROPIC_BASE_URL"], "http://127.0.0.1:9999");
    assert_eq!(env(&world)["ANTHROPIC_MODEL"], "qwen3-coder:30b");
}

#[test]
fn what_cannot_be_used_names_the_command_that_can() {
    let world = with_gateway().with("CUSTOM_API_KEY", KIMI);
    for (line, word) in [
        ("use depseek", "gwinstall use deepseek"),
        ("use openai", "gwinstall install --provider openai"),
        ("use proxy", "gwinstall install --preset proxy"),
        ("use custom", "gwinstall use custom --gateway-url https://HOST --models MODEL"),
        ("use custom --models m", "gwinstall use custom --models m --gateway-url https://HOST"),
        ("use deepseek --models a,b,c,d", "gwinstall use deepseek --models a,b,c"),
        ("use custom --gateway-url https://a.example.com", "--models MODEL"),
        ("use custom --gateway-url http://a.example.com --models m", "https://a.example.com"),
        ("use custom --gateway-url https://a.example.com/v1 --models m", "https://a.example.com"),
        ("install --provider nobody --yes", "there is no provider"),
        ("install --provider azure --yes", "--models azure/NAME"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let _ = world.run(&words).exits(2).says(word);
    }
    let keyless = home().with("OPENAI_API_KEY", "sk-proj-0123456789abcdef");
    let asked =
        keyless.run(&["use", "openai", "--models", "openai/gpt-6"]).exits(2).says("no gateway is deployed");
    let _ = asked.says("gwinstall install --provider openai --models openai/gpt-6");
    let asked = ["use", "custom", "--gateway-url", "https://a.example.com", "--models", "m,n", "--yes"];
    let _ = keyless.run(&asked).exits(2).says(
        "gwinstall install --provider custom --gateway-url https://a.example.com --models m,n --auth-token-file -",
    );
    // What a person pastes into the wrong place is not repeated.
    let said = world.run(&["use", KIMI]).exits(2).never_says(KIMI);
    let _ = said.says("gwinstall use");
    let _ = world.run(&["use", &format!("DEEPSEEK_API_KEY={KIMI}")]).exits(2).never_says(KIMI);
    let _ = world.run(&["use", "kimi", "--models", KIMI]).exits(2).never_says(KIMI);
    let _ = world.run(&["install", "--provider", KIMI, "--yes"]).exits(2).never_says(KIMI);
    let _ = world
        .run(&["use", "custom", "--gateway-url", "https://a.example.com", "--models", "big,small"])
        .exits(0);
    assert_eq!(env(&world)["ANTHROPIC_DEFAULT_OPUS_MODEL"], "big");
    assert_eq!(env(&world)["ANTHROPIC_DEFAULT_HAIKU_MODEL"], "small");
}

/// What was found by trying to break it.
#[test]
fn the_way_out_and_back_stays_open() {
    let world = home().with("DEEPSEEK_API_KEY", DEEPSEEK).with("MOONSHOT_API_KEY", KIMI);
    let own =
        r#"{"env": {"ANTHROPIC_BASE_URL": "https://own.example.com", "ANTHROPIC_AUTH_TOKEN": "sk-own"}}"#;
    std::fs::write(world.home().join(SETTINGS), own).unwrap();
    let _ = world.run(&["use", "claude"]).exits(0).says("Nothing to do");
    let _ = world.run(&["use", "deepseek", "--yes"]).exits(2).says("--force");
    let _ = world.run(&["use", "deepseek", "--yes", "--force"]).exits(0);
    // The first switch of all is undone, too.
    let _ = world.run(&["use", "-"]).exits(0).says("Claude Code no longer uses deepseek");
    assert_eq!(text(&world, SETTINGS), own);
    let _ = world.run(&["use", "-", "--force"]).exits(0);
    let _ = world.run(&["use", "kimi"]).exits(0);
    let _ = world.run(&["off", "--yes"]).exits(0);
    let _ = world.run(&["on", "--yes", "--force"]).exits(0);
    let _ = world.run(&["use", "-"]).exits(0).says("no longer uses kimi");
    let _ = world.run(&["use", "kimi", "--force"]).exits(0);
    // The key in use stays until the provider is left.
    let said = world.run(&["env", "unset", "MOONSHOT_API_KEY", "--yes"]).exits(2);
    let _ = said.says("gwinstall use claude");
    // A helper that the user put in would go to the next side.
    let settings = text(&world, SETTINGS);
    let helper = "~/.claude/gateway/scripts/print-gateway-key.sh MOONSHOT_API_KEY";
    assert!(settings.contains(helper), "{settings}");
    std::fs::write(world.home().join(SETTINGS), settings.replace(helper, "echo mine")).unwrap();
    let _ = world.run(&["use", "deepseek"]).exits(2).says("you changed apiKeyHelper");
    std::fs::write(world.home().join(SETTINGS), settings).unwrap();
    let _ = world.run(&["use", "deepseek"]).exits(0);
    // Without .env there is no key, and leaving needs none.
    std::fs::remove_file(world.home().join(".claude/gateway/.env")).unwrap();
    let _ = world.run(&["use", "claude"]).exits(0);
    assert_eq!(text(&world, SETTINGS), own);
}

/// A key that no header can carry is refused, wherever it came from.
#[test]
fn a_key_that_cannot_be_sent_is_refused() {
    for key in ["sk-ä-0123456789", "sk with space 0123"] {
        let world = home().with("DEEPSEEK_API_KEY", key);
        let _ = world.run(&["use", "deepseek", "--yes"]).exits(2).says("usable token").never_says(key);
        assert_eq!(text(&world, SETTINGS), OWN);
    }
}

/// A provider that works is not given up for a gateway that cannot run.
#[test]
fn an_installation_keeps_a_provider_that_answers() {
    let world = home();
    let _ = world.run(&["use", "ollama", "--models", "m", "--yes"]).exits(0);
    let said =
        world.run(&["install", "basic", "--yes"]).exits(1).says("Claude Code keeps its present settings");
    let _ = said.says("gwinstall install basic --yes --start").says("gwinstall install basic --yes --on");
    assert_eq!(env(&world)["ANTHROPIC_BASE_URL"], "http://127.0.0.1:11434");
    let _ = world.run(&["install", "basic", "--yes", "--on"]).exits(0);
    assert_eq!(env(&world)["ANTHROPIC_BASE_URL"], "http://127.0.0.1:4000");
}

/// Each provider of the catalog, deployed into an empty home: its address, its key from its variable, no key elsewhere.
#[test]
fn every_direct_provider_is_deployed_with_its_own_key() {
    let names = home().run(&["use", "--json"]).exits(0);
    let answer: Value = serde_json::from_str(&names.out).unwrap();
    let all = answer["data"]["names"].as_array().unwrap().clone();
    let direct: Vec<(&str, &str)> = all
        .iter()
        .filter_map(|entry| {
            let key = entry["state"].as_str()?.strip_prefix("needs ")?;
            Some((entry["name"].as_str()?, key)).filter(|(_, key)| !key.starts_with("--"))
        })
        .collect();
    assert!(direct.len() >= 7, "{direct:?}");
    for (name, key) in direct {
        let world = home();
        let secret = format!("sk-{name}-0123456789abcdef");
        let file = world.home().join("key");
        std::fs::write(&file, &secret).unwrap();
        let path = file.display().to_string();
        let mut line = vec!["install", "--provider", name, "--auth-token-file", &path, "--yes"];
        if name == "custom" {
            line.extend(["--gateway-url", "https://gw.example.com", "--models", "m"]);
        }
        let _ = world.run(&line).exits(0);
        assert_eq!(helper(&world), secret, "{name}");
        assert!(text(&world, ".claude/gateway/.env").contains(&format!("{key}={secret}")), "{name}");
        assert!(!text(&world, SETTINGS).contains(&secret), "{name}");
        let _ = world.run(&["use"]).exits(0).says("set up");
    }
}

#[test]
fn a_model_that_the_catalog_does_not_list_is_added_by_its_route() {
    let world = with_gateway().with("OPENAI_API_KEY", "sk-proj-0123456789abcdef");
    let _ = world.run(&["models", "add", "openai/gpt-9-nova", "--yes"]).exits(0);
    let config = text(&world, ".claude/gateway/config/litellm.yaml");
    assert!(config.contains("- model_name: openai/gpt-9-nova"), "{config}");
    assert!(config.contains("api_key: os.environ/OPENAI_API_KEY"), "{config}");
    assert_eq!(env(&world)["ANTHROPIC_MODEL"], "glm-5.2", "a model that is not known is chosen last");
    let _ = world.run(&["update", "--yes"]).exits(0);
    let _ = world.run(&["models", "list"]).exits(0).says("openai/gpt-9-nova");
    let _ = world.run(&["validate"]).exits(0);
    let _ = world.run(&["models", "remove", "openai/gpt-9-nova", "--yes"]).exits(0);
    assert!(!text(&world, ".claude/gateway/config/litellm.yaml").contains("gpt-9-nova"));
    let _ = world.run(&["models", "add", "nobody/model", "--yes"]).exits(2);
    // A provider that only LiteLLM knows: it reads the key from a variable of its own.
    let added = world.run(&["models", "add", "cohere_chat/command-nova", "--yes"]).exits(0);
    let _ = added.says("note: LiteLLM reads the key of cohere_chat").says("cohere_chat/command-nova");
    let config = text(&world, ".claude/gateway/config/litellm.yaml");
    assert!(config.contains("model: cohere_chat/command-nova\n"), "{config}");
    let _ = world.run(&["update", "--yes"]).exits(0);
    let _ = world.run(&["validate"]).exits(0);
    let _ = world.run(&["models", "list"]).exits(0).says("cohere_chat/command-nova");
    let _ = world.run(&["models", "remove", "cohere_chat/command-nova", "--yes"]).exits(0);
}

/// Claude Code runs no helper for it, so another program did not set one.
#[test]
fn an_empty_helper_is_not_that_of_another_program() {
    let world = home().with("DEEPSEEK_API_KEY", DEEPSEEK);
    for own in ["{ \"apiKeyHelper\": \"\" }\n", "{ \"apiKeyHelper\": null }\n"] {
        std::fs::write(world.home().join(SETTINGS), own).unwrap();
        let _ = world.run(&["use", "deepseek", "--yes"]).exits(0);
        assert_eq!(helper(&world), DEEPSEEK);
        assert!(!text(&world, SETTINGS).contains(DEEPSEEK), "the key stands in settings.json");
        let _ = world.run(&["uninstall", "--yes"]).exits(0);
        assert_eq!(text(&world, SETTINGS), own);
    }
}

/// The name of a provider means the gateway where that serves this provider alone.
#[test]
fn a_provider_behind_litellm_is_used_by_its_name() {
    let world =
        with_gateway().with("GEMINI_API_KEY", "AIzaSy0123456789abcdef").with("DEEPSEEK_API_KEY", DEEPSEEK);
    let _ = world.run(&["use", "gemini"]).exits(2).says("gwinstall install --provider gemini");
    let _ = world.run(&["install", "--provider", "gemini", "--yes"]).exits(0);
    let _ = world.run(&["use", "deepseek"]).exits(0);
    let _ = world.run(&["use"]).exits(0).says("gemini          deployed");
    let _ = world.run(&["use", "gemini"]).exits(0).says("preset multi-provider");
    assert!(env(&world)["ANTHROPIC_BASE_URL"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    // Its models are those of its installation.
    let before = world.record();
    let named = world.run(&["use", "gemini", "--models", "gemini-3.8-flash"]).exits(2);
    let _ = named.says("gwinstall install --models gemini-3.8-flash");
    assert_eq!(world.record(), before);
    let _ = world.run(&["use", "-"]).exits(0).says("deepseek");
    // A change of the gateway is reported as one, whoever answers.
    let added = world.run(&["models", "add", "gemini/gemini-2.5-flash", "--yes"]).exits(0);
    let _ =
        added.says("Gateway:  http://127.0.0.1").says("gemini/gemini-2.5-flash").never_says("deepseek-v4");
    let _ = world.run(&["use", "openai"]).exits(2).says("gwinstall install --provider openai");
}

/// A key that was renewed in the environment does not reach the gateway, so gwinstall says so.
#[test]
fn a_renewed_key_elsewhere_is_named_and_not_taken() {
    let world = home().with("DEEPSEEK_API_KEY", DEEPSEEK).with("MOONSHOT_API_KEY", KIMI);
    let _ = world.run(&["use", "deepseek", "--yes"]).exits(0).never_says("another value");
    let world = world.with("DEEPSEEK_API_KEY", KIMI);
    let note = "DEEPSEEK_API_KEY has another value in your environment";
    let _ = world.run(&["use", "kimi"]).exits(0).never_says(note);
    let said = world.run(&["use", "deepseek"]).exits(0).says(note).never_says(KIMI);
    let _ = said.says("gwinstall env set DEEPSEEK_API_KEY");
    assert_eq!(helper(&world), DEEPSEEK);
    let _ = world.run(&["install", "--yes"]).exits(0).says(note);
    let _ = world.run(&["env", "list"]).exits(0).says(note).never_says(KIMI);
}

/// A key for one address that goes to another one is named.
#[test]
fn a_key_that_goes_elsewhere_is_named() {
    let world = home().with("CUSTOM_API_KEY", KIMI);
    let to = |host: &str| {
        let url = format!("https://{host}.example.com");
        world.run(&["use", "custom", "--gateway-url", &url, "--models", "m", "--yes"]).exits(0)
    };
    let _ = to("a").never_says("from now on");
    let _ = to("b").says(
        "CUSTOM_API_KEY goes to https://b.example.com from now on, and no longer to https://a.example.com",
    );
    let _ = to("b").never_says("from now on");
    // However it is said.
    let moved = [
        "install",
        "--provider",
        "custom",
        "--gateway-url",
        "https://c.example.com",
        "--models",
        "m",
        "--yes",
    ];
    let _ = world.run(&moved).exits(0).says("CUSTOM_API_KEY goes to https://c.example.com from now on");
}
