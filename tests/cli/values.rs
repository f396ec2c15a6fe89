//! Files of people as they really are, each with its right answer: values that are none, shell files that hide what stands
//! below a line, settings of Claude Code that lead past the gateway.

use std::fs;
use std::path::{Path, PathBuf};

use crate::home::{Run, TestHome};

const PROJECT: &str = "VERTEXAI_PROJECT";

/// The files of a kind, so that none is without an answer.
fn fixtures(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Each file with its answer, which stands under the file's number.
fn answered<'a, T>(kind: &str, answers: &'a [(&str, T)]) -> Vec<(PathBuf, &'a T)> {
    let files = fixtures(kind);
    assert_eq!(files.len(), answers.len(), "{kind}: every file has an answer");
    let number = |path: &Path| path.file_name().unwrap().to_str().unwrap()[..2].to_owned();
    let paired = files.into_iter().zip(answers);
    paired
        .inspect(|(path, (wanted, _))| assert_eq!(number(path), *wanted))
        .map(|(path, (_, answer))| (path, answer))
        .collect()
}

/// What `~/.claude/.env` gives: names that stay without a value, each with the reason, and values that are taken.
type Taken = (&'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

#[test]
fn each_env_file_gives_its_values_and_nothing_else() {
    let answers: [(&str, Taken); 7] = [
        ("01", (&[("ANTHROPIC_API_KEY", "it refers to a secret manager")], &[])),
        ("02", (&[("ANTHROPIC_API_KEY", "a placeholder"), (PROJECT, "a placeholder")], &[])),
        ("03", (&[("ANTHROPIC_API_KEY", "it is an expression"), (PROJECT, "a placeholder")], &[])),
        ("04", (&[("ANTHROPIC_API_KEY", "it refers to a secret manager")], &[])),
        ("05", (&[("ANTHROPIC_API_KEY", "a placeholder")], &[(PROJECT, "real-project-1")])),
        ("06", (&[("ANTHROPIC_API_KEY", "it refers to a secret manager")], &[(PROJECT, "p1")])),
        ("07", (&[("ANTHROPIC_API_KEY", "a placeholder"), (PROJECT, "a placeholder")], &[])),
    ];
    for (file, (absent, taken)) in answered("env", &answers) {
        let home = TestHome::new();
        home.write(".claude/.env", fs::read(&file).unwrap());
        let mut run = home.run("install --yes --preset multi-provider").exits(0);
        for (name, why) in *absent {
            run = run.says(&[&format!("{name} in ~/.claude/.env"), why]);
            assert_eq!(home.record()["environment_variables"][name]["value"]["state"], "missing", "{file:?}");
            assert_eq!(home.env_value(name), None, "{file:?}");
        }
        for (name, value) in *taken {
            assert_eq!(home.env_value(name).as_deref(), Some(*value), "{file:?}");
        }
        let key = home.env_value("LITELLM_MASTER_KEY").unwrap();
        assert!(key.len() == 67, "{file:?}: a key of its own");
    }
}

/// The same text is absent wherever it comes from.
#[test]
fn one_judgement_for_every_source() {
    for text in
        ["op://vault/item/field", "your-gcp-project", "<project>", "$PROJECT", "CHANGE-ME", "key-here"]
    {
        let missing = |home: &TestHome, whence: &str| {
            home.run("install --yes --models glm-5.2").exits(0);
            let value = &home.record()["environment_variables"][PROJECT]["value"];
            assert_eq!(value["state"], "missing", "{text} from {whence}");
            home.run("env check").exits(1).says(&[&format!("no value yet for {PROJECT}")]);
            home.run("doctor").exits(1).says(&[&format!("no value yet for {PROJECT}")]);
        };
        missing(&TestHome::new().with(PROJECT, text), "the environment");
        let home = TestHome::new();
        home.write(".bashrc", format!("export {PROJECT}='{text}'\n"));
        missing(&home, "a shell file");
        let home = TestHome::new();
        home.write(".claude/.env", format!("{PROJECT}='{text}'\n"));
        missing(&home, "~/.claude/.env");
        let home = TestHome::deployed();
        home.write(
            ".claude/gateway/.env",
            format!("{}{PROJECT}='{text}'\n", home.read(".claude/gateway/.env")),
        );
        home.run("status").says(&[&format!("no value yet for {PROJECT}")]);
        let before = home.live();
        Run::fed(&mut home.command(&format!("env set {PROJECT} --yes")), text).exits(2);
        assert!(home.live() == before, "{text}");
    }
}

/// A master key that anyone can guess is replaced, whoever wrote it, and said.
#[test]
fn a_guessed_master_key_counts_as_none() {
    for key in ["a", "password", "sk-12345", "sk-1234"] {
        let home = TestHome::new().with("LITELLM_MASTER_KEY", key);
        home.run("install --yes --models glm-5.2").exits(0).says(&["LITELLM_MASTER_KEY in the environment"]);
        assert!(home.env_value("LITELLM_MASTER_KEY").unwrap().len() == 67, "{key}");
        let text = home.read(".claude/gateway/.env");
        let weak: Vec<_> = text
            .lines()
            .map(|line| {
                if line.starts_with("LITELLM_MASTER_KEY=") {
                    format!("LITELLM_MASTER_KEY={key}")
                } else {
                    line.to_owned()
                }
            })
            .collect();
        home.write(".claude/gateway/.env", weak.join("\n") + "\n");
        let home = home.without("LITELLM_MASTER_KEY");
        home.run("doctor").exits(1).says(&["LITELLM_MASTER_KEY"]);
        home.run("install --yes").exits(0).says(&["LITELLM_MASTER_KEY in ~/.claude/gateway/.env"]);
        assert!(home.env_value("LITELLM_MASTER_KEY").unwrap().len() == 67, "{key}");
    }
}

/// Shell files: the value is found, or a note says where the reader stopped. It is never a wrong one.
#[test]
fn each_shell_file_gives_its_value_or_says_why_not() {
    let answers: [(&str, Result<&str, &str>); 19] = [
        ("01", Ok("p1")),
        ("02", Ok("p1")),
        ("03", Ok("p1")),
        // bash takes the apostrophe for a quote that stays open, zsh and dash do not.
        ("04", Err("cannot follow the quotes and blocks of this file past line 1")),
        ("05", Ok("p1")),
        ("06", Ok("p1")),
        ("07", Ok("p1")),
        ("08", Err("not text")),
        ("09", Err("a function")),
        ("10", Err("may not run")),
        ("11", Ok("p1")),
        ("12", Err("a function")),
        ("13", Ok("p1")),
        ("14", Ok("p1")),
        ("15", Err("reads only whole lines")),
        ("16", Err("a function")),
        ("17", Err("not text")),
        ("18", Ok("p1")),
        ("19", Err("not text")),
    ];
    for (file, answer) in answered("rc", &answers) {
        let home = TestHome::new();
        let name = if file.extension().is_some_and(|end| end == "zshrc") { ".zshrc" } else { ".bashrc" };
        home.write(name, fs::read(&file).unwrap());
        if file.to_str().unwrap().contains("/09-") {
            let run = home.refused(&mut home.command("install --preset enterprise --yes"), 2);
            run.says(&["ANTHROPIC_BASE_URL in ~/.zshrc", "ANTHROPIC_AUTH_TOKEN in ~/.zshrc", "a function"]);
            continue;
        }
        let run = home.run("install --yes --models glm-5.2").exits(0);
        assert!(!home.read(".claude/gateway/.env").contains('\u{fffd}'), "{file:?}");
        match answer {
            Ok(value) => assert_eq!(home.env_value(PROJECT).as_deref(), Some(*value), "{file:?}"),
            Err(why) => {
                assert_eq!(home.env_value(PROJECT), None, "{file:?}");
                run.says(&[&format!("{PROJECT} in ~/{name}, line "), why]);
            }
        }
    }
}

/// Every place that people export from is looked at.
#[test]
fn exports_are_found_in_every_ordinary_place() {
    for (file, text) in [
        (".zprofile", "export VERTEXAI_PROJECT=p1"),
        (".zlogin", "export VERTEXAI_PROJECT=p1"),
        (".bash_login", "export VERTEXAI_PROJECT=p1"),
        (".config/fish/conf.d/10-llm.fish", "set -gx VERTEXAI_PROJECT p1"),
        (".config/fish/fish_variables", "SETUVAR --export VERTEXAI_PROJECT:p1"),
        (".config/environment.d/llm.conf", "VERTEXAI_PROJECT=p1"),
    ] {
        let home = TestHome::new();
        home.write(file, format!("{text}\n"));
        home.run("install --yes --models glm-5.2").exits(0);
        assert_eq!(home.env_value(PROJECT).as_deref(), Some("p1"), "{file}");
    }
    for zshenv in ["export ZDOTDIR=\"$HOME/.config/zsh\"", "ZDOTDIR=~/.config/zsh # mine", ""] {
        let home = TestHome::new();
        home.write(".config/zsh/.zshrc", "export VERTEXAI_PROJECT=p1\n");
        home.write(".zshenv", format!("{zshenv}\n"));
        let dir = home.path(".config/zsh");
        let home = if zshenv.is_empty() { home.with("ZDOTDIR", dir) } else { home };
        home.run("install --yes --models glm-5.2").exits(0);
        assert_eq!(home.env_value(PROJECT).as_deref(), Some("p1"), "{zshenv}");
    }
    // The file that is read last decides.
    let home = TestHome::new();
    home.write(".config/fish/conf.d/a.fish", "set -gx VERTEXAI_PROJECT first\n");
    home.write(".config/fish/conf.d/b.fish", "set -gx VERTEXAI_PROJECT last\n");
    home.run("install --yes --models glm-5.2").exits(0);
    assert_eq!(home.env_value(PROJECT).as_deref(), Some("last"));
}

/// What settings of Claude Code mean for an installation.
enum Met {
    /// The installation stops, and names the key; `--force` takes it out until the end.
    Asked(&'static str),
    /// The exceptions that stand in the settings afterwards, by the name of their variable.
    Bypasses(&'static str, &'static str),
    /// Nothing but the keys of gwinstall is added.
    Taken,
}

#[test]
fn each_settings_file_is_met_and_given_back() {
    let answers: [(&str, Met); 11] = [
        ("01", Met::Asked("CLAUDE_CODE_USE_MANTLE")),
        ("02", Met::Asked("CLAUDE_CODE_USE_ANTHROPIC_AWS")),
        ("03", Met::Bypasses("NO_PROXY", "localhost,127.0.0.1,::1")),
        ("04", Met::Bypasses("NO_PROXY", "corp.example,localhost,127.0.0.1,::1")),
        ("05", Met::Taken),
        ("06", Met::Bypasses("no_proxy", "corp.example,.internal,localhost,127.0.0.1,::1")),
        ("07", Met::Bypasses("NO_PROXY", "127.0.0.1,corp.example")),
        ("08", Met::Asked("CLAUDE_CODE_USE_NEXT_CLOUD")),
        ("09", Met::Asked("CLAUDE_CODE_USE_FOUNDRY")),
        ("10", Met::Asked("CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD")),
        ("11", Met::Bypasses("NO_PROXY", "localhost,127.0.0.1,::1")),
    ];
    for (file, met) in answered("settings", &answers) {
        let bytes = fs::read(&file).unwrap();
        let home = TestHome::new();
        home.write(".claude/settings.json", &bytes);
        let force = if let Met::Asked(name) = met {
            home.refused(&mut home.command("install --yes --models glm-5.2"), 2).says(&[name]);
            home.run("doctor").says(&[&format!("settings.json sets {name}")]);
            "--force"
        } else {
            ""
        };
        home.run(&format!("install --yes --models glm-5.2 {force}")).exits(0);
        let env = home.json(".claude/settings.json")["env"].clone();
        match met {
            Met::Asked(name) => assert!(env.get(name).is_none(), "{file:?}"),
            Met::Bypasses(name, hosts) => assert_eq!(env[name], *hosts, "{file:?}"),
            Met::Taken => assert!(env.get("NO_PROXY").is_none() && env.get("no_proxy").is_none(), "{file:?}"),
        }
        for command in ["status", "doctor"] {
            home.run(command)
                .never_says("asks the proxy for the gateway")
                .never_says("goes past the gateway");
        }
        // A second run finds its own exceptions, and adds none.
        home.run("install --yes").exits(0);
        assert_eq!(home.json(".claude/settings.json")["env"], env, "{file:?}");
        home.run("off --yes").exits(0);
        assert_eq!(fs::read(home.settings()).unwrap(), bytes, "{file:?} after off");
        home.run("on --yes").exits(0);
        home.run("uninstall --yes").exits(0);
        assert_eq!(fs::read(home.settings()).unwrap(), bytes, "{file:?} after uninstall");
    }
}

/// Without a value there is nothing to lose: whatever stands between the ends of the file comes back.
#[test]
fn a_settings_file_without_a_value_counts_as_an_empty_object() {
    for bytes in ["", "\n", "\r\n", "  \n\n", "\u{feff}"] {
        let home = TestHome::new();
        home.write(".claude/settings.json", bytes);
        home.run("install --yes").exits(0);
        home.run("install --yes --models glm-5.2").exits(0);
        home.run("uninstall --yes").exits(0);
        assert_eq!(home.read(".claude/settings.json"), bytes);
    }
}

/// A proxy that only the environment or a shell file sets is in sight, too; a shell that leaves this machine out is enough.
#[test]
fn a_proxy_outside_the_settings_is_in_sight() {
    let exceptions = |home: &TestHome| {
        home.run("install --yes --models glm-5.2").exits(0);
        home.run("doctor").never_says("asks the proxy for the gateway");
        let env = home.json(".claude/settings.json")["env"].clone();
        ["NO_PROXY", "no_proxy"].map(|name| env[name].as_str().map(str::to_owned))
    };
    let all = || Some("localhost,127.0.0.1,::1".to_owned());
    let proxy = "http://proxy.example:3128";
    assert_eq!(exceptions(&TestHome::new()), [None, None]);
    assert_eq!(exceptions(&TestHome::new().with("HTTPS_PROXY", proxy)), [all(), None]);
    assert_eq!(exceptions(&TestHome::new().with("https_proxy", proxy)), [None, all()]);
    let home = TestHome::new();
    home.write(".zshrc", format!("proxy_on() {{\n  export all_proxy={proxy}\n}}\n"));
    assert_eq!(exceptions(&home), [None, all()]);
    let home = TestHome::new().with("HTTPS_PROXY", proxy).with("NO_PROXY", "corp.example,127.0.0.1");
    assert_eq!(exceptions(&home), [None, None]);
    let home = TestHome::new().with("HTTPS_PROXY", proxy).with("NO_PROXY", "corp.example");
    assert_eq!(exceptions(&home), [Some("corp.example,localhost,127.0.0.1,::1".to_owned()), None]);
    // A run without the variable in its environment takes nothing back.
    let home = home.without("HTTPS_PROXY").without("NO_PROXY");
    home.run("install --yes --models gpt-oss-120b").exits(0);
    assert_eq!(home.json(".claude/settings.json")["env"]["NO_PROXY"], "corp.example,localhost,127.0.0.1,::1");
    home.run("uninstall --yes").exits(0);
    assert!(!home.settings().exists());
}

/// A gateway elsewhere is reached through the proxy.
#[test]
fn a_gateway_elsewhere_needs_no_exception() {
    let home = TestHome::new().with("HTTPS_PROXY", "http://proxy.example:3128");
    home.write("token", "tok-1\n");
    let token = home.path("token");
    home.run(&format!(
        "install --yes --preset enterprise --gateway-url https://gw.example.com --auth-token-file {}",
        token.display()
    ))
    .exits(0);
    assert!(home.json(".claude/settings.json")["env"].get("NO_PROXY").is_none());
}

/// What is only in the shell is reported; a switch that is off, and a variable that only sounds like one, is not.
#[test]
fn switches_of_every_provider_are_seen_in_the_shell() {
    for name in ["MANTLE", "ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD", "GATEWAY", "FOUNDRY", "ANOTHER"] {
        let name = format!("CLAUDE_CODE_USE_{name}");
        let home = TestHome::new().with(&name, "1");
        home.run("install --yes --models glm-5.2").exits(0);
        for command in ["doctor", "status", "env check"] {
            home.run(command)
                .says(&[&format!("{name} is set in this shell: Claude Code goes past the gateway")]);
        }
    }
    for (name, value) in [("MANTLE", "0"), ("POWERSHELL_TOOL", "1"), ("COWORK_PLUGINS", "1")] {
        let home = TestHome::new().with(format!("CLAUDE_CODE_USE_{name}"), value);
        home.run("doctor").says(&["nothing points Claude Code directly at a provider"]);
    }
}
