//! Claude Code's settings.json, in every state a person or a program leaves it: what can be edited is edited and given back
//! byte for byte, what cannot is named with its place and not touched.

use std::fs;

use serde_json::Value;

use crate::home::TestHome;

const INSTALL: &str = "install --yes --models gemini-3.8-flash,glm-5.2";

/// Files that are edited, and given back as they were.
const EDITABLE: [(&str, &[u8]); 18] = [
    ("empty", b""),
    ("white space", b" \n\t\n"),
    ("an empty object", b"{}"),
    ("an empty object with a line end", b"{}\n"),
    ("an empty env", b"{\"env\": {}}\n"),
    ("ordinary", b"{\n  \"permissions\": {\"allow\": [\"Bash\"]},\n  \"env\": {\n    \"FOO\": \"1\"\n  }\n}\n"),
    ("BOM", b"\xef\xbb\xbf{\n  \"model\": \"opus\"\n}\n"),
    ("CRLF", b"{\r\n  \"model\": \"opus\",\r\n  \"env\": {\r\n    \"A\": \"1\"\r\n  }\r\n}\r\n"),
    ("tabs", b"{\n\t\"env\": {\n\t\t\"A\": \"1\"\n\t},\n\t\"model\": \"opus\"\n}\n"),
    ("four spaces, no final line end", b"{\n    \"env\": {\n        \"A\": \"1\"\n    }\n}"),
    ("minified", b"{\"env\":{\"A\":\"1\"},\"model\":\"opus\"}"),
    ("a trailing comma", b"{\n  \"env\": {\n    \"A\": \"1\",\n  },\n}\n"),
    ("comments", b"// mine\n{\n  /* env */ \"env\": { \"A\": \"1\" /* } */ }, // , {\n  \"model\": \"opus\" // last\n}\n// end\n"),
    ("odd numbers and texts", b"{\"n\": 9007199254740993, \"e\": 1e400, \"s\": \"\\ud800 \\u0000\", \"\xc3\xa9\": 1}\n"),
    ("our values already there", b"{\"env\": {\"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:4000\"}}\n"),
    ("one's own API key", b"{\"env\": {\"ANTHROPIC_API_KEY\": \"sk-ant-canary-0123456789\"}}\n"),
    ("an empty API key", b"{\"env\": {\"ANTHROPIC_API_KEY\": \"\"}}\n"),
    ("a foreign helper", b"{\"apiKeyHelper\": \"/usr/local/bin/mine\", \"model\": \"opus\"}\n"),
];

/// Files that stop the installation: what, bytes, and what the message must name.
const REFUSED: [(&str, &[u8], &[&str]); 15] = [
    ("null", b"null", &["line 1, column 1", "object"]),
    ("array", b"[]", &["line 1, column 1", "object"]),
    ("text", b"\"x\"", &["line 1, column 1", "object"]),
    ("number", b"42", &["line 1, column 1", "object"]),
    ("duplicate key", b"{\n  \"model\": 1,\n  \"model\": 2\n}\n", &["line 3", "line 2", "model"]),
    (
        "duplicate key inside env",
        b"{\"env\": {\n \"A\": \"1\",\n \"A\": \"2\"}}",
        &["line 3", "line 2", "\"A\""],
    ),
    ("null env", b"{\n  \"env\": null\n}\n", &["line 2", "env"]),
    ("array env", b"{\"env\": []}", &["line 1", "env"]),
    ("cut off", b"{\n  \"env\": {\n", &["line "]),
    ("two documents", b"{}\n{}\n", &["line 2"]),
    ("NaN", b"{\"a\": NaN}", &["line 1, column 7"]),
    ("single quotes", b"{'a': 1}", &["line 1, column 2"]),
    ("UTF-16", b"\xff\xfe{\x00}\x00", &["UTF-16"]),
    ("Latin-1", b"{\"a\": \"\xe9\"}", &["UTF-8"]),
    ("a NUL", b"{\"a\": \"\x00\"}", &["line 1"]),
];

/// P-136, P-182, D-199.
#[test]
fn what_was_there_comes_back_byte_for_byte() {
    for (what, bytes) in EDITABLE {
        let home = TestHome::new();
        home.write(".claude/settings.json", bytes);
        home.chmod(".claude/settings.json", 0o640);
        home.run(INSTALL).exits(0);
        assert_ne!(fs::read(home.settings()).unwrap(), bytes, "{what}: installed");
        home.touches_nothing(INSTALL).exits(0);
        home.run("off --yes").exits(0);
        assert_eq!(fs::read(home.settings()).unwrap(), bytes, "{what}: off");
        home.run("on --yes").exits(0);
        home.run("uninstall --yes").exits(0);
        assert_eq!(fs::read(home.settings()).unwrap(), bytes, "{what}: uninstalled");
        assert_eq!(home.mode(".claude/settings.json"), 0o640, "{what}: mode");
    }
}

#[test]
fn a_settings_file_that_we_made_goes_again() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    assert_eq!(home.mode(".claude/settings.json"), 0o600);
    home.run("uninstall --yes").exits(0);
    assert!(!home.settings().exists());
}

#[test]
fn a_settings_file_that_we_made_stays_when_somebody_added_to_it() {
    let home = TestHome::new();
    home.run(INSTALL).exits(0);
    let text = home.read(".claude/settings.json").replacen('{', "{\n  \"model\": \"opus\",", 1);
    home.write(".claude/settings.json", text);
    home.run("uninstall --yes").exits(0);
    assert_eq!(home.json(".claude/settings.json"), serde_json::json!({ "model": "opus" }));
}

/// P-185, P-215.
#[test]
fn what_cannot_be_edited_is_named_and_not_touched() {
    for (what, bytes, texts) in REFUSED {
        let home = TestHome::new();
        home.write(".claude/settings.json", bytes);
        let run = home.refused(&mut home.command(INSTALL), 1);
        run.says(&["~/.claude/settings.json"]).says(texts).says(&["did not touch it"]);
        assert_eq!(home.tree().0.len(), 3, "{what}: something was made");
        // Neither force nor a dry run changes that.
        home.refused(&mut home.command(&format!("{INSTALL} --force")), 1);
        home.refused(&mut home.command("install --dry-run"), 1);
    }
}

/// What the deployed settings are for: the keys that Claude Code reads, no secret, nobody else's value moved.
#[test]
fn the_keys_of_a_local_gateway() {
    let home = TestHome::new();
    home.write(
        ".claude/settings.json",
        "{\"permissions\": {\"allow\": [\"Bash\"]}, \"env\": {\"FOO\": \"1\"}}",
    );
    home.run("install --yes --models gemini-3.8-flash,glm-5.2 --gateway-url http://127.0.0.1:4123").exits(0);
    let settings = home.json(".claude/settings.json");
    assert_eq!(settings["permissions"]["allow"][0], "Bash");
    assert_eq!(settings["apiKeyHelper"], "~/.claude/gateway/scripts/print-gateway-key.sh local");
    let env = |name: &str| settings["env"].get(name).and_then(Value::as_str);
    assert_eq!(env("FOO"), Some("1"));
    assert_eq!(env("ANTHROPIC_BASE_URL"), Some("http://127.0.0.1:4123"));
    assert_eq!(env("ANTHROPIC_API_KEY"), Some(""));
    assert_eq!(env("ANTHROPIC_AUTH_TOKEN"), Some(""), "the key is printed by the helper");
    for name in [
        "ANTHROPIC_MODEL",
        "ANTHROPIC_DEFAULT_OPUS_MODEL",
        "ANTHROPIC_DEFAULT_SONNET_MODEL",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    ] {
        assert!(["gemini-3.8-flash", "glm-5.2"].contains(&env(name).unwrap()), "{name}");
    }
}

/// The helper prints the key and nothing else.
#[test]
fn the_helper_prints_the_key_of_the_env_file() {
    let home = TestHome::deployed();
    let key = home.env_value("LITELLM_MASTER_KEY").unwrap();
    assert!(key.starts_with("sk-") && key.len() == 67, "{} characters", key.len());
    let output = home.shell("sh -c \"$HOME/.claude/gateway/scripts/print-gateway-key.sh\"").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), key);
}

#[test]
fn a_key_that_the_user_changed_since_is_kept_by_uninstall() {
    let home = TestHome::new();
    home.write(".claude/settings.json", "{\"env\": {\"FOO\": \"1\"}}");
    home.run(INSTALL).exits(0);
    let text = home.read(".claude/settings.json").replace("http://127.0.0.1:4000", "http://127.0.0.1:9999");
    home.write(".claude/settings.json", text);
    home.run("install --yes --models glm-5.2").exits(0).says(&["ANTHROPIC_BASE_URL", "you changed it"]);
    home.run("uninstall --yes").exits(0).says(&["ANTHROPIC_BASE_URL"]);
    let left = home.json(".claude/settings.json");
    assert_eq!(left, serde_json::json!({"env": {"FOO": "1", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9999"}}));
}

#[test]
fn values_added_later_survive_off_on_and_uninstall() {
    let home = TestHome::deployed();
    let text =
        home.read(".claude/settings.json").replacen("\"env\": {", "\"env\": {\n    \"LATER\": \"1\",", 1);
    home.write(".claude/settings.json", text);
    for arguments in
        ["off --yes", "on --yes", "install --yes --models glm-5.2", "rollback --yes", "uninstall --yes"]
    {
        home.run(arguments).exits(0);
        assert_eq!(home.json(".claude/settings.json")["env"]["LATER"], "1", "{arguments}");
    }
}

/// A file that somebody broke after the installation stops every change, and is left as it is.
#[test]
fn a_file_that_broke_since_stops_uninstall_too() {
    let home = TestHome::deployed();
    home.write(".claude/settings.json", "{ broken");
    for arguments in ["off --yes", "install --yes --models glm-5.2", "uninstall --yes"] {
        home.refused(&mut home.command(arguments), 1).says(&["settings.json", "line 1"]);
    }
}

/// Settings that went away with their file, or keys that somebody took out: `off` names nothing that is not there, and
/// who asks for the gateway gets it.
#[test]
fn keys_that_were_removed_come_back_when_asked_for() {
    for verb in ["on --yes", "install --yes"] {
        let home = TestHome::deployed();
        let before = home.json(".claude/settings.json");
        std::fs::remove_file(home.settings()).unwrap();
        home.run(verb).exits(0).never_says("Nothing to do");
        assert_eq!(home.json(".claude/settings.json"), before, "{verb}");
        std::fs::remove_file(home.settings()).unwrap();
        home.run("off --yes").exits(0).never_says("stays");
    }
}

/// A key that Claude Code works without stays out where the user removed it, whatever changes later; asked for with --force
/// it comes back.
#[test]
fn an_optional_key_that_was_removed_stays_out() {
    let home = TestHome::deployed();
    let mut settings = home.json(".claude/settings.json");
    settings["env"].as_object_mut().unwrap().remove("ANTHROPIC_MODEL").unwrap();
    home.write(".claude/settings.json", settings.to_string());
    for arguments in
        ["install --yes --models glm-5.2", "update --yes", "install --yes --models gemini-3.8-flash"]
    {
        home.run(arguments).exits(0);
        let env = &home.json(".claude/settings.json")["env"];
        assert!(env["ANTHROPIC_MODEL"].is_null(), "{arguments}: {env}");
        assert!(home.record()["settings"]["keys"].get("env.ANTHROPIC_MODEL").is_none());
    }
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_DEFAULT_OPUS_MODEL"], "gemini-3.8-flash");
    home.run("off --yes").exits(0);
    home.run("on --yes").exits(0);
    home.run("install --yes --force").exits(0);
    assert!(!home.json(".claude/settings.json")["env"]["ANTHROPIC_MODEL"].is_null());
}

/// Another address in place of ours: `on` says so instead of doing nothing.
#[test]
fn on_does_not_hide_another_address() {
    let home = TestHome::deployed();
    let mut settings = home.json(".claude/settings.json");
    settings["env"]["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:9999".into();
    home.write(".claude/settings.json", settings.to_string());
    let run = home.refused(&mut home.command("on --yes"), 2);
    run.says(&["ANTHROPIC_BASE_URL", "gwinstall install --force"]);
    home.run("install --force --yes").exits(0);
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_BASE_URL"], "http://127.0.0.1:4000");
}

/// `status` and `doctor` tell where Claude Code is pointed by its settings as they are, not as they were left.
#[test]
fn status_reads_the_settings_of_today() {
    fn edited(home: &TestHome, address: Option<&str>) {
        let mut settings = home.json(".claude/settings.json");
        let env = settings["env"].as_object_mut().unwrap();
        match address {
            Some(address) => drop(env.insert("ANTHROPIC_BASE_URL".into(), address.into())),
            None => drop(env.remove("ANTHROPIC_BASE_URL")),
        }
        home.write(".claude/settings.json", settings.to_string());
    }
    type Edit = fn(&TestHome);
    let edits: [(Edit, &str); 6] = [
        (|home| std::fs::remove_file(home.settings()).unwrap(), "name no address: gwinstall on"),
        (|home| edited(home, None), "name no address"),
        (|home| edited(home, Some("http://me:canary@other:1")), "uses http://****@other:1"),
        (|home| drop(home.write(".claude/settings.json", "{\"x")), "cannot read its settings"),
        (
            |home| {
                std::fs::remove_file(home.settings()).unwrap();
                std::fs::create_dir(home.settings()).unwrap();
            },
            "cannot read its settings: it is a directory",
        ),
        (
            |home| {
                std::fs::remove_file(home.settings()).unwrap();
                std::os::unix::fs::symlink("nowhere.json", home.settings()).unwrap();
            },
            "cannot read its settings",
        ),
    ];
    for (edit, words) in edits {
        let home = TestHome::deployed();
        home.run("status").exits(0).says(&["Claude Code: uses it"]);
        edit(&home);
        let status = home.touches_nothing("status").exits(3).says(&[words]).never_says("canary");
        assert!(!status.all().contains("Claude Code: uses it"));
        home.touches_nothing("doctor -v").exits(1).says(&["FAIL settings_point_here"]).never_says("canary");
        assert_eq!(home.run("status --json").exits(3).json()["data"]["points_here"], false, "{words}");
    }
    let home = TestHome::deployed();
    home.run("off --yes").exits(0);
    home.run("status").exits(0).says(&["does not use it: gwinstall on"]);
}

/// Somebody removed the whole directory: settings.json still points at it, and every command knows.
#[test]
fn a_removed_directory_leaves_nothing_behind_for_good() {
    for (before, after) in
        [(None, None), (Some("{\n  \"model\": \"mine\"\n}\n"), Some("{\n  \"model\": \"mine\"\n}\n"))]
    {
        let gone = || {
            let home = TestHome::new();
            if let Some(text) = before {
                home.write(".claude/settings.json", text);
            }
            home.run("install --yes --models glm-5.2").exits(0);
            std::fs::remove_dir_all(home.gateway("")).unwrap();
            home
        };
        let cleaned = |home: &TestHome| {
            let text = std::fs::read_to_string(home.settings()).ok();
            assert_eq!(text.as_deref(), after);
        };
        let home = gone();
        home.touches_nothing("status").exits(3).says(&["gwinstall uninstall", "gwinstall install"]);
        home.touches_nothing("doctor -v").exits(1).says(&["FAIL settings_point_here", "gwinstall uninstall"]);
        home.refused(&mut home.command("off --yes"), 2).says(&["gwinstall uninstall"]);
        home.run("uninstall --yes").exits(0).says(&["settings.json"]);
        cleaned(&home);
        home.run("status").exits(0).says(&["No gateway is deployed"]);
        // Or it is deployed again, and later goes without a trace.
        let home = gone();
        home.run("install --yes --models glm-5.2").exits(0);
        home.run("uninstall --yes").exits(0);
        cleaned(&home);
    }
}
