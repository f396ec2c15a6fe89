//! Where values come from: flags, the environment, ~/.claude/.env, shell files, gcloud's login. Read as text, in that
//! order, whatever dialect they are written in; nothing is ever evaluated.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use crate::home::{Run, TestHome};

const NAME: &str = "VERTEXAI_PROJECT";

/// `(source, value)` of the variable as the record has it after an installation.
fn found(home: &TestHome, name: &str) -> (String, String) {
    home.run("install --yes").exits(0);
    let variable = &home.record()["environment_variables"][name];
    let value = &variable["value"];
    let shown = value["value"].as_str().or(value["state"].as_str()).unwrap();
    (variable["source"].as_str().unwrap().to_owned(), shown.to_owned())
}

fn is_missing(home: &TestHome) {
    assert_eq!(found(home, NAME).1, "missing");
    assert!(
        home.read(".claude/gateway/.env").contains(&format!("#{NAME}=CHANGE-ME-{NAME}")),
        "its line is a comment"
    );
}

/// D-129, E01. What counts as a value in `~/.claude/.env`.
#[test]
fn dialects_of_a_dotenv_file_that_have_a_value() {
    for (line, value) in [
        ("VERTEXAI_PROJECT=plain-1", "plain-1"),
        ("export VERTEXAI_PROJECT=exported", "exported"),
        ("  VERTEXAI_PROJECT=indented  ", "indented"),
        ("VERTEXAI_PROJECT=\"double\"", "double"),
        ("VERTEXAI_PROJECT='single'", "single"),
        ("VERTEXAI_PROJECT='a $literal `one`'", "a $literal `one`"),
        ("VERTEXAI_PROJECT=value # a comment", "value"),
        ("VERTEXAI_PROJECT=value#no-comment", "value#no-comment"),
        ("VERTEXAI_PROJECT='quoted' # a comment", "quoted"),
        ("VERTEXAI_PROJECT=a=b=c", "a=b=c"),
        ("VERTEXAI_PROJECT=with-cr\r", "with-cr"),
        ("\u{feff}VERTEXAI_PROJECT=after-bom", "after-bom"),
        ("VERTEXAI_PROJECT=first\nVERTEXAI_PROJECT=last", "last"),
        ("VERTEX_AI_PROJECT=by-its-other-name", "by-its-other-name"),
    ] {
        let home = TestHome::new();
        home.write(".claude/.env", format!("{line}\n"));
        let before = home.read(".claude/.env");
        assert_eq!(found(&home, NAME), ("file".to_owned(), value.to_owned()), "{line:?}");
        assert_eq!(home.read(".claude/.env"), before, "a source is never written");
        assert_eq!(home.env_value(NAME).unwrap(), value, "{line:?}");
    }
}

/// D-131, E01–E03. What does not: named with its line, and never guessed.
#[test]
fn dialects_of_a_dotenv_file_that_are_reported_with_their_line() {
    for line in [
        "VERTEXAI_PROJECT = spaced",
        "VERTEXAI_PROJECT= spaced",
        "VERTEXAI_PROJECT=two words",
        "VERTEXAI_PROJECT=\"not closed",
        "VERTEXAI_PROJECT='not closed",
        "VERTEXAI_PROJECT=\"a $variable\"",
        "VERTEXAI_PROJECT=$(touch canary)",
        "VERTEXAI_PROJECT=`touch canary`",
        "VERTEXAI_PROJECT=${A:-b}",
        "VERTEXAI_PROJECT=\"$(touch canary)\"",
        "VERTEXAI_PROJECT=\"$(touch \"$HOME/canary\")\"",
        "VERTEXAI_PROJECT=continued\\",
    ] {
        let home = TestHome::new();
        home.write(".claude/.env", format!("# one\nOTHER=1\n{line}\n"));
        home.run("install --dry-run").exits(0).says(&["VERTEXAI_PROJECT in ~/.claude/.env, line 3: "]);
        is_missing(&home);
        assert!(!home.path("canary").exists() && !home.root().join("canary").exists(), "{line} was run");
    }
}

/// An empty value and a placeholder are no values, and need no report.
#[test]
fn an_empty_value_and_a_placeholder_count_as_missing() {
    for line in [
        "VERTEXAI_PROJECT=",
        "VERTEXAI_PROJECT=\"\"",
        "VERTEXAI_PROJECT=CHANGE-ME-VERTEXAI_PROJECT",
        "#VERTEXAI_PROJECT=commented",
        "",
    ] {
        let home = TestHome::new();
        home.write(".claude/.env", format!("{line}\n"));
        is_missing(&home);
    }
}

/// E04. Bytes that no text has do not stop an installation.
#[test]
fn a_damaged_dotenv_file_stops_nothing() {
    let long = "x".repeat(900_000);
    for bytes in [
        b"A=\x00\nVERTEXAI_PROJECT=after-nul\n".to_vec(),
        b"A=\xff\xfe\nVERTEXAI_PROJECT=after-latin\n".to_vec(),
        format!("A={long}\nVERTEXAI_PROJECT=after-long\n").into_bytes(),
        b"=v\nK\nK:\n1A=2\nVERTEXAI_PROJECT=after-junk".to_vec(),
    ] {
        let home = TestHome::new();
        home.write(".claude/.env", bytes);
        let (source, value) = found(&home, NAME);
        assert!(source == "file" && value.starts_with("after-"), "{source} {value}");
    }
}

/// D-130, E06. Shell files: detection only.
#[test]
fn dialects_of_shell_files() {
    for (file, text, value) in [
        (".bashrc", "export VERTEXAI_PROJECT=plain", Some("plain")),
        (".bashrc", "VERTEXAI_PROJECT=later\nexport VERTEXAI_PROJECT", Some("later")),
        (".bash_profile", "export VERTEXAI_PROJECT='two words'", Some("two words")),
        (".bash_profile", "export A=1 VERTEXAI_PROJECT=two-in-one", None),
        (".zshrc", "typeset -x VERTEXAI_PROJECT=zsh", Some("zsh")),
        (".zshenv", "declare -x VERTEXAI_PROJECT=\"declared\"", Some("declared")),
        (".profile", "export VERTEXAI_PROJECT=one\nexport VERTEXAI_PROJECT=two", Some("two")),
        (".profile", "export VERTEXAI_PROJECT=one; export VERTEXAI_PROJECT=two", None),
        (".profile", "# c\n\n  export VERTEXAI_PROJECT=indented # comment", Some("indented")),
        (".config/fish/config.fish", "set -gx VERTEXAI_PROJECT fishy", Some("fishy")),
        (".config/fish/config.fish", "set -x -g VERTEXAI_PROJECT 'with space'", Some("with space")),
        (".bashrc", "if [ -n \"$X\" ]; then\n  export VERTEXAI_PROJECT=perhaps\nfi", None),
        (".bashrc", "[ -n \"$X\" ] && export VERTEXAI_PROJECT=perhaps", None),
        (".bashrc", "VERTEXAI_PROJECT=not-exported", None),
        (".bashrc", "# export VERTEXAI_PROJECT=commented-out", None),
        (".bashrc", "alias x='export VERTEXAI_PROJECT=in-alias'", None),
        (".bashrc", "echo export VERTEXAI_PROJECT=printed", None),
        (".bashrc", "VERTEXAI_PROJECT=for-one-command make", None),
        (".bashrc", "cat <<EOF\nexport VERTEXAI_PROJECT=in-a-heredoc\nEOF", None),
        (".bashrc", "export VERTEXAI_PROJECT=x\nunset VERTEXAI_PROJECT", None),
        (".bashrc", "source ./other.sh", None),
    ] {
        let home = TestHome::new();
        home.write("other.sh", "export VERTEXAI_PROJECT=sourced\n");
        home.write(file, format!("{text}\n"));
        match value {
            Some(value) => {
                assert_eq!(found(&home, NAME), ("rc".to_owned(), value.to_owned()), "{file}: {text}")
            }
            None => is_missing(&home),
        }
    }
}

/// D-130, E02. What a shell would compute is absent and reported with file and line; nothing of it runs.
#[test]
fn a_computed_value_in_a_shell_file_is_reported_and_never_run() {
    for text in [
        "export VERTEXAI_PROJECT=$(touch canary)",
        "export VERTEXAI_PROJECT=`touch canary`",
        "export VERTEXAI_PROJECT=\"$(touch canary)\"",
        "export VERTEXAI_PROJECT=$OTHER",
        "export VERTEXAI_PROJECT=\"${OTHER:-default}\"",
        "export VERTEXAI_PROJECT=~/project",
        "export VERTEXAI_PROJECT+=more",
    ] {
        let home = TestHome::new();
        home.write(".bashrc", format!("# one\n{text}\ntouch canary\n"));
        home.run("install --dry-run").exits(0).says(&["VERTEXAI_PROJECT in ~/.bashrc, line 2: not used"]);
        is_missing(&home);
        assert!(!home.path("canary").exists() && !home.root().join("canary").exists(), "{text} was run");
    }
    let home = TestHome::new();
    home.write(".zshrc", "if true; then\n  export VERTEXAI_PROJECT=perhaps\nfi\n");
    home.run("install --dry-run")
        .exits(0)
        .says(&["VERTEXAI_PROJECT in ~/.zshrc, line 2: not used", "may not run"]);
    is_missing(&home);
}

/// What a function for another provider would set is neither the address nor the token of this gateway.
#[test]
fn the_body_of_a_function_sets_nothing() {
    let home = TestHome::new();
    home.write(
        ".zshrc",
        "kimi() {\n  export ANTHROPIC_BASE_URL=https://other.example/anthropic\n  \
         export ANTHROPIC_AUTH_TOKEN=tok-of-another-provider\n  claude \"$@\"\n}\n",
    );
    let run = home.run("install --preset enterprise --yes").exits(2);
    let said = [run.stdout.as_str(), run.stderr.as_str()].concat();
    assert!(!said.contains("other.example") && !said.contains("tok-of-another-provider"), "{said}");
    assert!(!home.path(".claude/gateway").exists());
}

/// A value in another encoding is reported, and no replacement character reaches gateway/.env.
#[test]
fn a_shell_file_in_latin1_gives_no_value() {
    let home = TestHome::new();
    home.write(".bashrc", b"export VERTEXAI_PROJECT=proj-\xe9\n");
    home.run("install --yes").exits(0).says(&["VERTEXAI_PROJECT in ~/.bashrc, line 1: not used"]);
    is_missing(&home);
    assert!(!home.read(".claude/gateway/.env").contains('\u{fffd}'));
}

/// E07. A file that is none must neither block nor be read to its end.
#[test]
fn odd_files_in_the_place_of_shell_files_are_skipped() {
    let home = TestHome::new();
    assert!(
        home.shell("mkfifo \"$HOME/.bashrc\"; mkdir -p \"$HOME/.claude\"; mkfifo \"$HOME/.claude/.env\"")
            .status()
            .unwrap()
            .success()
    );
    symlink("/dev/zero", home.path(".zshrc")).unwrap();
    symlink(".profile", home.path(".profile")).unwrap();
    symlink("nowhere", home.path(".bash_profile")).unwrap();
    fs::create_dir(home.path(".zshenv")).unwrap();
    let big = home.write(".config/fish/config.fish", "");
    fs::File::options().write(true).open(big).unwrap().set_len(1 << 30).unwrap();
    let started = Instant::now();
    let run =
        Run::of(&mut home.shell("ulimit -v 150000; exec timeout 20 \"$GW\" install --on --yes")).exits(0);
    run.says(&[
        "~/.bashrc was not read",
        "~/.zshrc was not read",
        "~/.claude/.env was not read",
        "config.fish was not read",
    ]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

/// D-127 to D-131: flags, environment, ~/.claude/.env, shell files, gcloud's login, default.
#[test]
fn sources_have_an_order() {
    let mut home = TestHome::new();
    let login = "{\"quota_project_id\": \"of-gcloud\", \"type\": \"authorized_user\"}";
    home.write(".config/gcloud/application_default_credentials.json", login);
    assert_eq!(found(&home, NAME), ("gcloud".into(), "of-gcloud".into()));
    let path = home.path(".config/gcloud/application_default_credentials.json");
    assert_eq!(
        found(&home, "GOOGLE_APPLICATION_CREDENTIALS"),
        ("gcloud".into(), path.to_str().unwrap().into())
    );
    assert_eq!(found(&home, "VERTEXAI_LOCATION").0, "default");
    let fresh = |home: &TestHome| home.run("uninstall --purge --yes").exits(0);
    fresh(&home);
    home.write(".profile", "export VERTEXAI_PROJECT=of-profile\n");
    home.write(".bashrc", "export VERTEXAI_PROJECT=of-bashrc\n");
    assert_eq!(found(&home, NAME), ("rc".into(), "of-bashrc".into()));
    fresh(&home);
    home.write(".claude/.env", "VERTEXAI_PROJECT=of-file\n");
    assert_eq!(found(&home, NAME), ("file".into(), "of-file".into()));
    fresh(&home);
    home = home.with(NAME, "of-environment");
    assert_eq!(found(&home, NAME), ("environment".into(), "of-environment".into()));
    fresh(&home);
    let home =
        home.with("LITELLM_MASTER_KEY", "sk-of-environment").with("HTTPS_PROXY", "http://of-environment:1");
    home.run("install --yes --preset proxy --proxy-url http://of-flag.example:3128 --auth-token sk-of-flag-0123456789").exits(0);
    assert_eq!(home.env_value("HTTPS_PROXY").unwrap(), "http://of-flag.example:3128");
    assert_eq!(home.env_value("LITELLM_MASTER_KEY").unwrap(), "sk-of-flag-0123456789");
    assert_eq!(home.record()["environment_variables"]["LITELLM_MASTER_KEY"]["source"], "flag");
}

/// D-198. An existing value is never overwritten, not by a flag, and nothing else in the file moves.
#[test]
fn an_existing_env_file_keeps_every_byte_of_the_user() {
    let home = TestHome::new().with(NAME, "of-environment");
    let mine = "\u{feff}# mine\r\nLITELLM_MASTER_KEY='sk-my own key $x'\r\nVERTEXAI_PROJECT=mine # here\r\n\r\nODD = spaced\r\nOTHER=\"x\"\r\nnot a line\r\n";
    home.write(".claude/gateway/.env", mine);
    home.chmod(".claude/gateway/.env", 0o644);
    home.run("install --yes").exits(0);
    let now = home.read(".claude/gateway/.env");
    assert!(now.starts_with(mine), "{now:?}");
    assert_eq!(home.mode(".claude/gateway/.env"), 0o600, "what others could read is tightened");
    let run = home.refused(&mut home.command("install --yes --auth-token sk-unwelcome-0123456789"), 2);
    run.says(&["LITELLM_MASTER_KEY", "gwinstall env set LITELLM_MASTER_KEY"])
        .never_says("my own key")
        .never_says("unwelcome");
    home.run("uninstall --yes").exits(0);
    assert!(home.read(".claude/gateway/.env").starts_with(mine));
}

/// LITELLM_MASTER_KEY is made when there is none; a known placeholder is none.
#[test]
fn a_master_key_is_generated_and_known_ones_are_ignored() {
    let mut keys = Vec::new();
    for known in ["", "sk-1234", "CHANGE-ME-LITELLM_MASTER_KEY", "CHANGE_ME"] {
        let home = TestHome::new().with("LITELLM_MASTER_KEY", known);
        home.run("install --yes").exits(0);
        keys.push(home.env_value("LITELLM_MASTER_KEY").unwrap());
        assert_eq!(home.record()["environment_variables"]["LITELLM_MASTER_KEY"]["source"], "generated");
    }
    let hex = |key: &String| key.len() == 67 && key[3..].bytes().all(|b| b.is_ascii_hexdigit());
    assert!(keys.iter().all(hex), "{keys:?}");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
}

/// What `.env` says is read alike by a shell that sources it and by docker compose's rules. E09.
#[test]
fn values_survive_a_shell() {
    for value in [
        "plain",
        "with space",
        "dollar$HOME",
        "back`tick`",
        "hash # x",
        "back\\slash",
        "quote\"s",
        "percent%41",
        "exclam!",
        "a=b",
        "semi;colon&",
    ] {
        let home = TestHome::new().with(NAME, value);
        home.run("install --yes").exits(0);
        for shell in ["dash", "bash"] {
            let script = format!(
                "exec {shell} -c '. \"$HOME/.claude/gateway/.env\"; printf %s \"$VERTEXAI_PROJECT\"'"
            );
            let run = Run::of(home.shell(&script).env_remove(NAME)).exits(0);
            assert_eq!(run.stdout, value, "{shell}");
        }
    }
    // What no dialect can hold alike is refused, not mangled.
    for value in ["quote's", "two\nlines"] {
        let home = TestHome::new().with(NAME, value);
        let run = home.refused(&mut home.command("install --yes"), 2);
        run.says(&[NAME]);
    }
}
