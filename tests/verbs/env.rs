//! `env`: every variable with its source, what is missing or in the way, and the one way to change a value.

use std::fs;

use crate::world::{World, mode};

const CANARY: &str = "sk-canary-0815";

#[test]
fn a_value_reaches_env_and_nothing_else() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run_with(&["env", "set", "LITELLM_MASTER_KEY"], CANARY).exits(2).says("--yes");
    let before = world.snapshot();
    let _ = world
        .run_with(&["env", "set", "LITELLM_MASTER_KEY", "--dry-run"], CANARY)
        .exits(0)
        .never_says(CANARY);
    assert_eq!(before, world.snapshot());
    let said =
        world.run_with(&["--json", "-v", "env", "set", "LITELLM_MASTER_KEY", "--yes"], CANARY).exits(0);
    let _ = said.never_says(CANARY);
    let _ =
        world.run_with(&["env", "set", "LITELLM_MASTER_KEY", "--yes"], CANARY).exits(0).says("Nothing to do");
    assert_eq!(world.record()["environment_variables"]["LITELLM_MASTER_KEY"]["origin"], "user");
    assert_eq!(world.record()["environment_variables"]["LITELLM_MASTER_KEY"]["source"], "prompt");
    assert_eq!(mode(&world.gateway(".env")), 0o600);
    let holders: Vec<_> = world
        .snapshot()
        .into_iter()
        .filter(|(_, bytes)| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(holders, [world.gateway(".env")]);
    let _ = world.run(&["env", "list"]).exits(0).says("LITELLM_MASTER_KEY  sk-****").never_says(CANARY);
    // A later installation does not take it back.
    let _ = world.run(&["install", "--models", "glm-5.2", "--yes"]).exits(0);
    assert!(world.read(".env").contains(CANARY));
}

#[test]
fn a_rotated_key_follows_into_settings_only_beside_a_foreign_helper() {
    let world = World::new();
    fs::create_dir_all(world.home().join(".claude")).unwrap();
    fs::write(world.home().join(".claude/settings.json"), r#"{"apiKeyHelper": "/opt/helper"}"#).unwrap();
    let _ = world.run(&["install", "--models", "gpt-oss-120b", "--yes"]).exits(0);
    let _ =
        world.run_with(&["env", "set", "LITELLM_MASTER_KEY", "--yes"], CANARY).exits(0).says("Open sessions");
    assert_eq!(world.settings()["env"]["ANTHROPIC_AUTH_TOKEN"], CANARY);
    assert_eq!(world.settings()["apiKeyHelper"], "/opt/helper");
}

#[test]
fn unknown_names_are_set_as_secrets_and_slips_are_refused() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    fs::write(world.home().join("value"), "a $b\n").unwrap();
    let typo = ["env", "set", "VERTEXAI_PROJEKT", "--from", "value", "--yes"];
    let before = world.snapshot();
    let _ = world
        .run(&typo)
        .exits(2)
        .says("VERTEXAI_PROJEKT is not known here; VERTEXAI_PROJECT is")
        .says("gwinstall env set VERTEXAI_PROJECT --from value --yes")
        .says("--force");
    assert_eq!(before, world.snapshot());
    let _ = world.run(&[&typo[..], &["--force"]].concat()).exits(0);
    assert!(world.read(".env").contains("VERTEXAI_PROJEKT='a $b'"));
    assert_eq!(world.record()["environment_variables"]["VERTEXAI_PROJEKT"]["secret"], true);
    let before = world.snapshot();
    let _ = world.run_with(&["env", "set", "X", "--yes"], "CHANGE-ME-X").exits(2).says("placeholder");
    let _ = world.run_with(&["env", "set", "X", "--yes"], "").exits(2).says("is empty");
    let _ = world
        .run_with(&["env", "set", "X", "--yes"], "it's")
        .exits(2)
        .says("single quote")
        .never_says("it's");
    let _ = world
        .run(&["env", "set", "X=canary", "--yes"])
        .exits(2)
        .says("gwinstall env set X")
        .never_says("canary");
    let _ = world.run(&["env", "set", "lower", "--yes"]).exits(2).says("capital letters");
    let _ = world.run(&["env", "set", "X", "--from", "absent", "--yes"]).exits(2);
    assert_eq!(before, world.snapshot());
    let _ = World::new().run_with(&["env", "set", "X", "--yes"], "y").exits(2).says("nothing is deployed");
}

/// What is no secret may stand on the command line; a secret there is refused with the command that reads it.
#[test]
fn a_value_that_is_not_a_secret_is_taken_from_the_command_line() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run(&["env", "set", "VERTEXAI_PROJECT=my-project-1", "--yes"]).exits(0);
    assert!(world.read(".env").contains("VERTEXAI_PROJECT=my-project-1\n"));
    let _ = world.run(&["env", "set", "VERTEXAI_LOCATION=us-east5", "--yes"]).exits(0);
    let before = world.snapshot();
    let _ = world
        .run(&["env", "set", "VERTEXAI_PROJECT=other-1"])
        .exits(2)
        .says("VERTEXAI_PROJECT=other-1 --yes");
    for (word, says) in [
        ("ANTHROPIC_API_KEY=canary", "gwinstall env set ANTHROPIC_API_KEY"),
        ("LITELLM_MASTER_KEY=canary", "gwinstall env set LITELLM_MASTER_KEY"),
        ("VERTEXAI_PROJECT=sk-canary-0123456789", "gwinstall env set VERTEXAI_PROJECT"),
        ("HTTPS_PROXY=http://me:canary@proxy:3128", "gwinstall env set HTTPS_PROXY"),
        ("MY_OWN=canary", "gwinstall env set MY_OWN"),
        ("ANTHROPIC_API_KEI=canary", "gwinstall env set ANTHROPIC_API_KEI"),
    ] {
        let said = world.run(&["env", "set", word, "--yes"]).exits(2).says("give the name alone").says(says);
        let _ = said.says("--from - --yes").never_says("canary");
    }
    let placeholder = ["env", "set", "VERTEXAI_PROJECT=your-gcp-project", "--yes"];
    let _ = world.run(&placeholder).exits(2).says("is a placeholder");
    let _ = world
        .run(&["env", "set", "VERTEX_PROJECT=p-1", "--yes"])
        .exits(2)
        .says("the gateway reads VERTEXAI_PROJECT, not VERTEX_PROJECT")
        .says("gwinstall env set VERTEXAI_PROJECT=p-1 --yes");
    let _ = world.run(&["env", "set", "VERTEXAI_PROJECT=p-1", "--from", "-", "--yes"]).exits(2);
    assert_eq!(before, world.snapshot());
}

/// A value goes with its line, and comes back with a rollback unless it is a secret.
#[test]
fn a_value_is_removed() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    for name in ["VERTEXAI_PROJECT", "MY_OWN_NAME"] {
        let _ = world.run_with(&["env", "set", name, "--yes"], "some-value").exits(0);
    }
    let set = world.read(".env");
    let before = world.snapshot();
    let _ = world.run(&["env", "unset", "MY_OWN_NAME"]).exits(2).says("--yes");
    let _ = world.run(&["env", "unset", "MY_OWN_NAME", "--dry-run"]).exits(0);
    assert_eq!(before, world.snapshot());
    let _ = world.run(&["env", "unset", "MY_OWN_NAME", "--yes"]).exits(0).says("is removed");
    assert_eq!(world.read(".env"), set.replace("MY_OWN_NAME=some-value\n", ""));
    assert!(world.record()["environment_variables"].get("MY_OWN_NAME").is_none());
    let said = world.run(&["env", "unset", "VERTEXAI_PROJECT", "--yes"]).exits(0);
    let _ = said.says("the gateway does not start without VERTEXAI_PROJECT");
    assert_eq!(world.record()["environment_variables"]["VERTEXAI_PROJECT"]["value"]["state"], "missing");
    let _ = world.run(&["env", "check"]).exits(1).says("no value yet for VERTEXAI_PROJECT");
    let _ = world.run(&["env", "unset", "VERTEXAI_PROJECT", "--yes"]).exits(0).says("Nothing to do");
    let _ = world.run(&["rollback", "--yes"]).exits(0);
    assert!(world.read(".env").contains("VERTEXAI_PROJECT=some-value\n"), "{}", world.read(".env"));
    // A default and a generated key take the place of the user's.
    let _ = world.run(&["env", "set", "VERTEXAI_LOCATION=us-east5", "--yes"]).exits(0);
    let _ = world.run_with(&["env", "set", "LITELLM_MASTER_KEY", "--yes"], CANARY).exits(0);
    for (name, left) in [
        ("VERTEXAI_LOCATION", "VERTEXAI_LOCATION is back to the default us-central1."),
        ("LITELLM_MASTER_KEY", "The value of LITELLM_MASTER_KEY is replaced by a new random key"),
    ] {
        let _ = world.run(&["env", "unset", name, "--yes"]).exits(0).says(left).never_says("is removed");
    }
    let again = world.run(&["env", "unset", "VERTEXAI_LOCATION", "--yes"]).exits(0);
    let _ = again.says("Nothing to do: VERTEXAI_LOCATION has the default us-central1 already.");
    let env = world.read(".env");
    assert!(
        env.contains("VERTEXAI_LOCATION=us-central1\n") && env.contains("LITELLM_MASTER_KEY=sk-"),
        "{env}"
    );
    assert!(!env.contains(CANARY), "{env}");
    let _ = world.run(&["env", "unset", "lower", "--yes"]).exits(2).says("capital letters");
    let _ = World::new().run(&["env", "unset", "X", "--yes"]).exits(2).says("nothing is deployed");
}

/// What a tired person gives: several lines, a key file's content instead of its path, a whole line of another `.env`.
#[test]
fn values_are_cleaned_or_refused_and_never_shown() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let json = "{\n  \"private_key\": \"canary\"\n}\n";
    fs::write(world.home().join("key.json"), json).unwrap();
    let before = world.snapshot();
    for (name, from, input) in [
        ("VERTEXAI_PROJECT", "-", json),
        ("VERTEXAI_PROJECT", "key.json", ""),
        ("GOOGLE_APPLICATION_CREDENTIALS", "-", "{\"private_key\": \"canary\"}"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "key.json", ""),
        ("GOOGLE_APPLICATION_CREDENTIALS", "-", "~/canary.json"),
        ("HTTPS_PROXY", "-", "canary:8080"),
    ] {
        let _ = world
            .run_with(&["env", "set", name, "--from", from, "--yes"], input)
            .exits(2)
            .never_says("canary");
    }
    assert_eq!(before, world.snapshot());
    let set = |name: &str, input: &str| {
        world.run_with(&["env", "set", name, "--yes"], input).exits(0).never_says("canary")
    };
    let _ = set("ANTHROPIC_API_KEY", "export ANTHROPIC_API_KEY=\"sk-ant-canary\" \n")
        .says("quotes")
        .says("the preset basic does not use ANTHROPIC_API_KEY");
    assert!(world.read(".env").contains("ANTHROPIC_API_KEY=sk-ant-canary\n"));
    // A key in the wrong variable is still a key.
    let _ = set("VERTEXAI_PROJECT", "sk-canary-0123456789");
    for verb in [&["env", "list"][..], &["status", "--json"], &["diff"]] {
        let _ = world.run(verb).never_says("canary");
    }
    assert!(!world.record().to_string().contains("canary"));
}

/// A row of single values does not push out what an update can be taken back with.
#[test]
fn backups_before_a_value_go_first() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let _ = world.run(&["models", "add", "glm-5.2", "--yes"]).exits(0);
    let before_models = world.backups()[0].clone();
    for n in 0..8 {
        let _ = world.run_with(&["env", "set", "X", "--yes"], &format!("value-{n}")).exits(0);
    }
    let kept = world.backups();
    assert_eq!(kept.len(), 5);
    assert!(kept.contains(&before_models), "{kept:?}");
    // One among many others takes a place of theirs, and no sixth.
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    for n in 0..6 {
        let verb = if n % 2 == 0 { "add" } else { "remove" };
        let _ = world.run(&["models", verb, "glm-5.2", "--yes"]).exits(0);
    }
    let _ = world.run_with(&["env", "set", "X", "--yes"], "value").exits(0);
    assert_eq!(world.backups().len(), 5);
}

/// `env list`, `presets show`, `--strict` and the table of the guide say the same of every variable of every preset.
#[test]
fn what_a_preset_requires_is_told_alike_everywhere() {
    let guide = include_str!("../../embedded/docs/environment-variables.md");
    let columns = ["basic", "enterprise", "multi-provider", "proxy"];
    assert!(guide.contains("| variable | `basic` | `enterprise` | `multi-provider` | `proxy` |"));
    for (column, preset) in columns.iter().enumerate().filter(|(_, preset)| **preset != "enterprise") {
        let world = World::deployed(
            &["--preset", preset, "--proxy-url", "http://proxy.example:3128"]
                [..if *preset == "proxy" { 4 } else { 2 }],
        );
        let listed = world.run(&["--json", "env", "list"]).exits(0).data();
        let shown = world.run(&["--json", "presets", "show", preset]).exits(0).data();
        let says = |list: &str, name: &str| shown[list].as_array().unwrap().iter().any(|one| one == name);
        for variable in listed["variables"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            let (need, by_models) = (variable["need"].as_str().unwrap(), &variable["needed_by_models"]);
            assert_eq!(says("required", name), need == "required", "{preset}: {name}");
            assert_eq!(says("optional", name), need == "optional", "{preset}: {name}");
            assert_eq!(says("required_by_models", name), *by_models, "{preset}: {name}");
            let row = guide.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let cell = row.map_or("–", |row| row.split('|').nth(column + 2).unwrap().trim());
            let words = match (need, by_models.as_bool().unwrap()) {
                ("unused", _) => "–",
                ("required", true) => "required by the models",
                (need, _) => need,
            };
            assert_eq!(cell, words, "{preset}: {name}");
        }
    }
    let world = World::deployed(&[]);
    let _ = world.run(&["env", "list"]).says("VERTEXAI_PROJECT  -  (required by the models; no value)");
    let _ = world.run(&["presets", "show", "basic"]).says("VERTEXAI_PROJECT, VERTEXAI_LOCATION (required by");
    let _ =
        world.run(&["install", "--strict", "--yes", "--models", "glm-5.2"]).exits(1).says("VERTEXAI_PROJECT");
    // Another model, another need.
    let other = World::deployed(&["--preset", "multi-provider", "--models", "claude-opus-5-5"]);
    let _ = other.run(&["env", "list"]).never_says("VERTEXAI_PROJECT  -  (required");
}

#[test]
fn check_names_every_missing_variable_with_its_command() {
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    let said = world.run(&["env", "check"]).exits(1);
    let _ = said.says("gcloud auth application-default login").says("gwinstall env set VERTEXAI_PROJECT");
    for name in ["GOOGLE_APPLICATION_CREDENTIALS", "VERTEXAI_PROJECT"] {
        let _ = world.run_with(&["env", "set", name, "--yes"], "/some/value").exits(0);
    }
    let _ = world.run(&["env", "check"]).exits(0);
    // What the shell has counts before an installation only: the gateway reads .env.
    let fresh =
        World::new().with("GOOGLE_APPLICATION_CREDENTIALS", "/x.json").with("GOOGLE_CLOUD_PROJECT", "mine");
    let _ = fresh.run(&["env", "check"]).exits(0);
    let _ = fresh.run(&["env", "list"]).exits(0).says("VERTEXAI_PROJECT  mine").says("from the environment");
}

#[test]
fn check_names_what_leads_past_the_gateway() {
    let check = |world: &World, name: &str| {
        let data = world.run(&["--json", "env", "check"]).data();
        let found =
            data["checks"].as_array().unwrap().iter().find(|check| check["check_name"] == name).cloned();
        found.unwrap()["status"].as_str().unwrap().to_owned()
    };
    let world = World::deployed(&["--models", "gpt-oss-120b"]);
    for name in
        ["no_other_provider_switch", "no_api_key_in_shell", "no_proxy_covers_gateway", "settings_effective"]
    {
        assert_eq!(check(&world, name), "PASS", "{name}");
    }
    let fresh = World::new()
        .with("CLAUDE_CODE_USE_BEDROCK", "1")
        .with("ANTHROPIC_API_KEY", CANARY)
        .with("https_proxy", "http://me:canary@proxy:3128");
    for name in ["no_other_provider_switch", "no_api_key_in_shell", "no_proxy_covers_gateway"] {
        assert_eq!(check(&fresh, name), "WARN", "{name}");
    }
    let _ = fresh.run(&["env", "check"]).says("NO_PROXY=localhost,127.0.0.1").never_says("canary");
    let covered =
        World::new().with("HTTPS_PROXY", "http://proxy:3128").with("NO_PROXY", "localhost,127.0.0.1");
    assert_eq!(check(&covered, "no_proxy_covers_gateway"), "PASS");
    // Settings win over the shell: what ours blank is harmless.
    let world = world.with("ANTHROPIC_API_KEY", CANARY);
    assert_eq!(check(&world, "no_api_key_in_shell"), "PASS");
    fs::create_dir_all(world.home().join("project/.claude")).unwrap();
    fs::write(
        world.home().join("project/.claude/settings.json"),
        r#"{"env": {"ANTHROPIC_BASE_URL": "http://other"}}"#,
    )
    .unwrap();
    let output = world.command(&["env", "check"]).current_dir(world.home().join("project")).output().unwrap();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("sets env.ANTHROPIC_BASE_URL, which wins over the value of gwinstall")
    );
}

/// What Claude Code needs for a company's gateway stands where it reads it: header lines as lines, and the authority.
#[test]
fn header_lines_and_the_authority_reach_claude_code() {
    let world = World::new()
        .with("ANTHROPIC_CUSTOM_HEADERS", "X-Team: platform\r\nX-Cost: 7")
        .with("NODE_EXTRA_CA_CERTS", "/etc/company.pem");
    fs::write(world.home().join("token"), "tok-canary-1\n").unwrap();
    let gateway =
        ["install", "--yes", "--gateway-url", "https://gw.example.com", "--auth-token-file", "token"];
    let _ = world.run(&[&gateway[..], &["--preset", "enterprise"]].concat()).exits(0);
    assert!(world.read(".env").contains("ANTHROPIC_CUSTOM_HEADERS='X-Team: platform\\nX-Cost: 7'\n"));
    let env = &world.settings()["env"];
    assert_eq!(env["ANTHROPIC_CUSTOM_HEADERS"], "X-Team: platform\nX-Cost: 7");
    assert_eq!(env["NODE_EXTRA_CA_CERTS"], "/etc/company.pem");
    assert_eq!(mode(&world.home().join(".claude/settings.json")), 0o600);
    let set = ["env", "set", "ANTHROPIC_CUSTOM_HEADERS", "--yes"];
    fs::write(world.home().join("lines"), "X-Team: data\nX-Cost: 8\n").unwrap();
    let _ = world.run(&[&set[..], &["--from", "lines"]].concat()).exits(0);
    assert_eq!(world.settings()["env"]["ANTHROPIC_CUSTOM_HEADERS"], "X-Team: data\nX-Cost: 8");
    // A rollback takes the values of today, in the same form.
    let _ = world.run(&["rollback", "--yes"]).exits(0);
    assert_eq!(world.settings()["env"]["ANTHROPIC_CUSTOM_HEADERS"], "X-Team: data\nX-Cost: 8");
    let _ = world.run(&["uninstall", "--yes"]).exits(0);
    assert!(!world.home().join(".claude/settings.json").exists());
}

/// A provider that no chosen model goes to requires nothing.
#[test]
fn only_what_the_chosen_models_need_is_required() {
    let world = World::new();
    let bedrock = ["install", "--yes", "--preset", "multi-provider", "--models", "claude-sonnet-5-5-bedrock"];
    let _ = world.run(&bedrock).exits(0).never_says("Missing");
    let _ = world.run(&["env", "check"]).exits(0);
    let claude = ["install", "--yes", "--models", "claude-sonnet-5-5"];
    let _ = world.run(&claude).exits(0).says("ANTHROPIC_API_KEY").never_says("GOOGLE");
    let _ = world.run(&["env", "check"]).exits(1).says("gwinstall env set ANTHROPIC_API_KEY");
    let all = ["install", "--yes", "--models", "all"];
    let _ = world
        .run(&all)
        .exits(0)
        .says("ANTHROPIC_API_KEY and VERTEXAI_PROJECT have no value, no Google login was found");
}
