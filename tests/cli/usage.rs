//! Wrong input: what is said, that nothing changed, and that the way out is named.

use crate::home::{Run, TestHome};

/// D-004, D-153. P-244, D-009, D-157.
#[test]
fn a_wrong_name_or_url_is_exit_2_and_says_what_is_allowed() {
    let home = TestHome::new().unforced();
    let cases: [(&[&str], &[&str]); 38] = [
        (&["--preset", "fancy"], &["basic", "enterprise", "multi-provider", "proxy"]),
        (&["--preset", "basc"], &["basic", "gwinstall install --yes --preset basic"]),
        (&["--preset", "BASIC"], &["basic", "enterprise", "multi-provider", "proxy"]),
        (&["--preset", ""], &["basic", "proxy"]),
        (&["--preset", "\u{1b}[2Jbasic"], &["basic"]),
        (
            &["--models", "gemini-2.5-falsh"],
            &["the nearest: gemini-2.5-flash", "gwinstall install --yes --models gemini-2.5-flash"],
        ),
        (&["--models", "no-such-thing"], &["PROVIDER/MODEL", "gwinstall models list"]),
        (&["--models", "gemini-2.5-pro,,glm-5.2"], &["--models"]),
        (&["--models", ","], &["--models"]),
        (&["--models", "../x"], &["--models", "letters, digits"]),
        (&["--models", "a\"b"], &["--models"]),
        (&["--models", "a\nb"], &["--models"]),
        (&["--models", "{{7*7}}"], &["--models"]),
        (&["--models", "${X}"], &["--models"]),
        (&["--models", "!!python/object"], &["--models"]),
        (&["--models", "a\u{202e}b"], &["--models"]),
        (&["--gateway-type", "lokal"], &["truefoundry", "zuplo", "custom", "--gateway-type local"]),
        (&["--gateway-url", "ftp://x"], &["http://", "https://"]),
        (&["--gateway-url", "file:///etc/passwd"], &["http://"]),
        (&["--gateway-url", "javascript:alert(1)"], &["http://"]),
        (&["--gateway-url", "http://"], &["host"]),
        (&["--gateway-url", "http://127.0.0.1:0"], &["port"]),
        (&["--gateway-url", "http://127.0.0.1:65536"], &["port"]),
        (&["--gateway-url", "http://127.0.0.1:80"], &["1024"]),
        (&["--gateway-url", "http://127.0.0.1:4000/v1"], &["/v1", "http://127.0.0.1:4000"]),
        (&["--gateway-url", "http://user@127.0.0.1:4000"], &["password"]),
        (&["--gateway-url", "https://gw.example.com"], &["--preset enterprise"]),
        (&["--gateway-url", "http://a b"], &["--gateway-url"]),
        (&["--gateway-url", "http://a\nb"], &["--gateway-url"]),
        (
            &["--preset", "enterprise", "--gateway-url", "http://gw.example.com", "--auth-token", "t0ken"],
            &["unencrypted", "https://gw.example.com"],
        ),
        (
            &["--preset", "enterprise", "--gateway-url", "http://169.254.169.254", "--auth-token", "t0ken"],
            &["link-local"],
        ),
        (
            &["--preset", "enterprise", "--gateway-url", "https://gw.exämple.com", "--auth-token", "t0ken"],
            &["--gateway-url"],
        ),
        (
            &["--preset", "enterprise", "--gateway-url", "https://[::1", "--auth-token", "t0ken"],
            &["--gateway-url"],
        ),
        (
            &[
                "--preset",
                "enterprise",
                "--gateway-url",
                "https://gw.example.com/a/../b",
                "--auth-token",
                "t0ken",
            ],
            &[".."],
        ),
        (&["--preset", "proxy", "--proxy-url", "proxy:3128"], &["--proxy-url", "http://"]),
        (&["--preset", "proxy", "--proxy-url", "socks5://proxy:1080"], &["--proxy-url"]),
        (&["--preset", "proxy", "--proxy-url", "http://p:1", "--proxy-auth", "nocolon"], &["user:password"]),
        (&["--proxy-auth", "a:b"], &["--proxy-url"]),
    ];
    for (arguments, texts) in cases {
        let run = home.refused(home.command("install --yes").args(arguments), 2);
        run.says(texts).never_says("\u{1b}").never_says("\u{202e}");
        home.refused(home.command("install --dry-run").args(arguments), 2);
    }
    assert_eq!(home.tree().0.len(), 1);
}

/// D-008. Which gateway type goes with which preset.
#[test]
fn illegal_pairs_of_type_and_preset_are_exit_2() {
    let home = TestHome::new().unforced();
    let external = ["truefoundry", "zuplo", "custom"];
    for preset in ["basic", "multi-provider", "proxy"] {
        for kind in external {
            let mut command = home.command(&format!("install --yes --preset {preset} --gateway-type {kind}"));
            home.refused(&mut command, 2).says(&[kind, preset, "local"]);
        }
    }
    home.refused(&mut home.command("install --yes --preset enterprise --gateway-type local"), 2)
        .says(&external);
    let enterprise = "--gateway-url https://gw.example.com --auth-token t0ken-0123456789";
    for kind in external {
        let run = home.run(&format!("install --dry-run --json --gateway-type {kind} {enterprise}")).exits(0);
        assert_eq!(run.json()["data"]["preset"], "enterprise", "the type alone implies the preset");
    }
    home.run(&format!("install --yes --preset enterprise {enterprise}")).exits(0);
    assert_eq!(home.record()["gateway_type"], "custom");
}

/// D-047. Pointing Claude Code at nothing would only break it.
#[test]
fn enterprise_without_url_or_token_is_exit_2() {
    let home = TestHome::new().unforced();
    for (arguments, missing) in [
        ("", "--gateway-url"),
        ("--auth-token t0ken-0123456789", "--gateway-url"),
        ("--gateway-url https://gw.example.com", "--auth-token-file"),
        ("--gateway-type zuplo", "--gateway-url"),
    ] {
        let mut command = home.command(&format!("install --yes --preset enterprise {arguments}"));
        home.refused(&mut command, 2).says(&[missing]);
    }
    let home = home
        .with("ANTHROPIC_BASE_URL", "https://gw.example.com")
        .with("ANTHROPIC_AUTH_TOKEN", "t0ken-0123456789");
    home.run("install --yes --preset enterprise").exits(0);
    assert_eq!(home.json(".claude/settings.json")["env"]["ANTHROPIC_BASE_URL"], "https://gw.example.com");
}

/// Every changing command without a terminal.
#[test]
fn a_missing_yes_is_exit_2() {
    let home = TestHome::new().unforced();
    home.refused(&mut home.command("install"), 2).says(&["no terminal", "gwinstall install --yes"]);
    let home = TestHome::deployed().unforced();
    home.run("install --yes --models glm-5.2").exits(0);
    for (arguments, verb) in [
        ("install --preset proxy", "install"),
        ("rollback", "rollback"),
        ("uninstall", "uninstall"),
        ("uninstall --purge", "uninstall"),
        ("off", "off"),
    ] {
        home.refused(&mut home.command(arguments), 2).says(&[&format!("gwinstall {arguments} --yes")]);
        // Force is no answer to the question.
        if verb == "install" {
            home.refused(&mut home.command(&format!("{arguments} --force")), 2);
        }
    }
    home.run("off --yes").exits(0);
    home.refused(&mut home.command("on --force"), 2).says(&["gwinstall on --force --yes"]);
}

/// D-006, D-155, D-104.
#[test]
fn a_wrong_source_directory_is_named() {
    let home = TestHome::new().unforced();
    let missing = home.path("missing");
    home.refused(home.command("install --yes --source-dir").arg(missing), 2)
        .says(&["--source-dir", "missing"]);
    let empty = home.path("empty");
    std::fs::create_dir(&empty).unwrap();
    home.refused(home.command("install --yes --source-dir").arg(&empty), 1).says(&["catalog.yaml"]);
    let source = crate::bundle::SourceDir::new(&home);
    std::fs::remove_file(source.path().join("docs/faq.md")).unwrap();
    home.refused(&mut home.command(&source.install()), 1).says(&["docs/faq.md"]);
    let source = crate::bundle::SourceDir::new(&home).replaces("catalog.yaml", "presets: [");
    home.refused(&mut home.command(&source.install()), 1).says(&["catalog.yaml"]);
    let source = crate::bundle::SourceDir::new(&home);
    std::os::unix::fs::symlink("/etc/passwd", source.path().join("docs/link.md")).unwrap();
    home.refused(&mut home.command(&source.install()), 1).says(&["docs/link.md", "symbolic link"]);
}

/// A source directory has to be named again.
#[test]
fn update_after_a_source_directory_asks_for_it() {
    let home = TestHome::new().unforced();
    let source = crate::bundle::SourceDir::new(&home);
    home.run(&source.install()).exits(0);
    home.refused(&mut home.command("update --yes"), 2).says(&["--source-dir", "--embedded"]);
    home.run(&source.install().replace("install", "update")).exits(0);
    home.run("update --yes --embedded").exits(0);
    assert_eq!(home.record()["bundle"]["origin"], "embedded");
    home.run("update --yes").exits(0);
}

/// D-158. Spaces and doubles do not matter; the order is the catalog's.
#[test]
fn a_list_of_models_is_read_kindly() {
    let home = TestHome::new().unforced();
    Run::of(home.command("install --yes --models").arg(" glm-5.2 , gemini-3.8-flash,glm-5.2")).exits(0);
    let record = home.record();
    let mut models: Vec<_> =
        record["models"].as_array().unwrap().iter().map(|model| model.as_str().unwrap()).collect();
    models.sort_unstable();
    assert_eq!(models, ["gemini-3.8-flash", "glm-5.2"]);
    // What is not given comes from the record; another preset brings its own models.
    home.run("install --yes --gateway-url http://127.0.0.1:4555").exits(0);
    assert_eq!(home.record()["models"].as_array().unwrap().len(), 2);
    assert_eq!(home.record()["gateway_url"], "http://127.0.0.1:4555");
    home.run("install --yes --preset proxy").exits(0);
    let of_preset = home.record()["models"].clone();
    assert!(of_preset.as_array().unwrap().len() > 8);
    // An empty list is the preset's own.
    home.run("install --yes --models glm-5.2").exits(0);
    assert_eq!(home.record()["models"], serde_json::json!(["glm-5.2"]));
    Run::of(home.command("install --yes --models").arg("")).exits(0);
    assert_eq!(home.record()["models"], of_preset);
    assert!(home.record()["request"].get("models").is_none());
}

/// What cannot be a path or a token.
#[test]
fn a_wrong_token_file_is_exit_2() {
    let home = TestHome::new().unforced();
    let empty = home.write("empty", "");
    let binary = home.write("binary", b"\xff\xfe");
    for path in [home.path("missing"), home.home().to_path_buf(), empty, binary, "/dev/zero".into()] {
        let run = home.refused(home.command("install --yes --auth-token-file").arg(&path), 2);
        assert!(!run.stderr.is_empty());
    }
    home.refused(home.command("install --yes --auth-token").arg(""), 2);
}

/// A misspelt command or flag names the right one.
#[test]
fn a_misspelt_command_is_corrected() {
    let home = TestHome::new().unforced();
    home.run("instal --yes").exits(2).says(&["install"]);
    home.run("install --presett basic").exits(2).says(&["--preset"]);
    let run = home.run("instal --json").exits(2);
    assert_eq!((&run.json()["ok"], &run.json()["exit"]), (&false.into(), &2.into()));
}

/// A key in the wrong place of the command line is repeated nowhere, neither as text nor as JSON.
#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let home = TestHome::new().unforced();
    for (arguments, texts) in [
        (
            "env set ANTHROPIC_API_KEY sk-ant-hush",
            &["give the name alone", "gwinstall env set ANTHROPIC_API_KEY"][..],
        ),
        ("env set ANTHROPIC_API_KEY hush", &["give the name alone"]),
        ("env set ANTHROPIC_API_KEY=sk-ant-hush", &["give the name alone"]),
        ("env set ANTHROPIC_API_KEY --from - hush", &["give the name alone"]),
        ("env set sk-ant-hush", &["is not the name of a variable"]),
        ("env set sk-ant-hush ANTHROPIC_API_KEY", &["give the name alone"]),
        ("env ANTHROPIC_API_KEY=sk-ant-hush", &["gwinstall env set ANTHROPIC_API_KEY"]),
        ("env ANTHROPIC_API_KEY=hush", &["gwinstall env set ANTHROPIC_API_KEY"]),
        ("sk-ant-hush", &["sk-ant-****"]),
        ("install sk-ant-hush", &["sk-ant-****"]),
        ("install --preset sk-ant-hush", &["sk-ant-****"]),
        ("add sk-ant-hush", &["gwinstall models add 'sk-ant-****'"]),
        ("set KEY hush", &["gwinstall env set KEY"]),
        ("help sk-ant-hush", &["sk-ant-****"]),
        ("install --lock-wait sk-ant-hush", &["sk-ant-****"]),
        (
            "install --yes --auth-token-file sk-ant-hush",
            &["no such file", "does not belong on the command line"],
        ),
        ("install --yes --auth-token-file 1hush2hush3hush4hush5", &["does not belong on the command line"]),
        ("install --yes --gateway-url https://h?key=hush", &["https://h?…"]),
        ("install --yes --gateway-url https://h/a#hush", &["https://h/a#…"]),
        ("install --yes --proxy-url http://h?key=hush", &["http://h?…"]),
    ] {
        home.refused(&mut home.command(arguments), 2).says(texts).never_says("hush");
        let run = home.refused(&mut home.command(&format!("{arguments} --json")), 2);
        let run = run.never_says("hush");
        assert_eq!(run.json()["exit"], 2, "{arguments}");
    }
}

/// A slip of the fingers is not led to the command that takes everything out.
#[test]
fn one_command_is_suggested() {
    let home = TestHome::new().unforced();
    for (typed, meant) in [
        ("isntall", "install"),
        ("Install", "install"),
        ("unistall", "uninstall"),
        ("remove", "uninstall"),
        ("remove glm-5.2", "models remove glm-5.2"),
        ("restore", "rollback"),
        ("backup lst", "backup list"),
    ] {
        home.run(typed).exits(2).says(&[&format!("try: gwinstall {meant}\n")]);
    }
}

/// `help` and `version` are commands too, also for programs.
#[test]
fn help_and_version_are_commands() {
    let home = TestHome::new().unforced();
    for (command, flag) in [
        ("help", "--help"),
        ("help backup list", "backup list --help"),
        ("help install", "install --help"),
        ("version", "--version"),
    ] {
        assert_eq!(home.run(command).exits(0).stdout, home.run(flag).exits(0).stdout);
        let (command, flag) = (format!("{command} --json"), format!("{flag} --json"));
        assert_eq!(home.run(&command).exits(0).json(), home.run(&flag).exits(0).json());
    }
    assert_eq!(
        home.run("--version --json").json()["data"]["version"],
        home.run("version").stdout.trim()[10..]
    );
    home.run("help instal").exits(2).says(&["gwinstall help install"]);
}

/// An answer that nobody got is no success; a change that was made is one, and says what was lost.
#[test]
fn an_answer_that_cannot_be_written_is_told() {
    let home = TestHome::new().unforced();
    for arguments in ["models list", "status", "--help", "version", "completions bash", "man --json"] {
        let run = Run::of(&mut home.shell(&format!("\"$GW\" {arguments} >/dev/full"))).exits(1);
        run.says(&["cannot write the answer to standard output", "no space left on device"]);
        Run::of(&mut home.shell(&format!("\"$GW\" {arguments} | true"))).never_says("cannot write");
    }
    let run = Run::of(&mut home.shell("\"$GW\" install --on --yes >/dev/full")).exits(0);
    run.says(&["cannot write the answer"]);
}

/// `--quiet` is for talk, not for what was asked for.
#[test]
fn quiet_prints_what_was_asked_for() {
    let home = TestHome::new().unforced();
    for arguments in ["completions bash", "man", "version", "help", "models list", "presets show basic"] {
        assert_eq!(home.run(&format!("{arguments} -q")).stdout, home.run(arguments).stdout);
    }
    assert_eq!(home.run("status -q").exits(0).stdout, "");
}

/// A hint is the command that was meant, with what was given.
#[test]
fn hints_keep_what_was_given() {
    let home = TestHome::new().unforced();
    home.run("install --yes --gateway-type zuplo")
        .exits(2)
        .says(&["--gateway-type zuplo --gateway-url https://HOST"]);
    home.run("models remove glm-5.2 --yes").exits(2).says(&["gwinstall install"]).never_says("--models");
    home.run("models add glm-5.2 --yes").exits(2).says(&["gwinstall install --models glm-5.2"]);
    home.run("install --yes --proxy-url proxy:3128").exits(2).says(&["--proxy-url http://proxy:3128"]);
    let run = home.run("install --yes --preset proxy --proxy-url http://me:hush@p:1").exits(2);
    run.says(&["--proxy-auth USER:PASSWORD", "HTTPS_PROXY"]).never_says("hush");
    let home = TestHome::deployed();
    home.run("env set ANTHROPIC_API_KEY --yes --from sk-ant-hush")
        .exits(2)
        .says(&["--from: there is no such file"])
        .never_says("hush");
    home.run("env set ANTHROPIC_API_KEY --from -")
        .exits(2)
        .says(&["gwinstall env set ANTHROPIC_API_KEY --from - --yes"]);
}

/// The login alone is for the proxy that the environment names.
#[test]
fn a_login_of_the_proxy_of_the_environment() {
    let home = TestHome::new().unforced();
    let install = "install --yes --preset proxy --proxy-auth me:word";
    home.refused(&mut home.command(install), 2).says(&["--proxy-auth", "--proxy-url", "HTTPS_PROXY"]);
    let home = home.with("HTTPS_PROXY", "http://proxy.example:3128");
    home.refused(home.command(install).arg("--home").arg(home.home()), 2).says(&["--proxy-url"]);
    home.run(install).exits(0);
    assert_eq!(home.env_value("HTTPS_PROXY").as_deref(), Some("http://me:word@proxy.example:3128"));
}

/// What cannot be meant is refused where it is typed, and told in words.
#[test]
fn what_cannot_be_meant_is_refused() {
    let home = TestHome::deployed();
    home.refused(&mut home.command("self-update --pin abc"), 2).says(&["is not a pin", "1.4.2"]);
    home.refused(&mut home.command("self-update --pin stable"), 2);
    home.run("self-update --pin 1.4.2 --dry-run").exits(0);
    home.refused(&mut home.command("self-update --jitter 3601"), 2).says(&["--jitter", "3601", "too large"]);
    home.refused(&mut home.command("self-update --jitter 1 --unpin"), 2).says(&["--jitter", "--unpin"]);
    home.refused(&mut home.command("history --limit 0"), 2)
        .says(&["--limit must be at least 1", "gwinstall history --limit 1"]);
    let run = Run::of(home.command("doctor net").env("GWINSTALL_BASE_URL", "foo")).exits(2);
    run.says(&["\"foo\" is neither a URL nor a directory"]);
    let run = Run::of(home.command("doctor net").env("GWINSTALL_BASE_URL", home.home())).exits(0);
    run.says(&["not come from the network here, but from"]);
    let asked = "https://127.0.0.1:1/x?key=hush";
    Run::of(home.command("doctor net").env("GWINSTALL_BASE_URL", asked)).exits(10).never_says("hush");
    let run = home.run("self-update --list --from https://127.0.0.1/owner/name").exits(10);
    run.says(&["the connection was refused"]).never_says("TransportError");
}

/// A check in a container or a service needs no home.
#[test]
fn what_only_reads_the_program_needs_no_home() {
    let there = TestHome::new();
    let file = there.write("litellm.yaml", include_str!("../fixtures/small.yaml"));
    for home in ["/nonexistent/home", "relative", "/dev/null"] {
        let away = TestHome::new().with("HOME", home);
        for command in ["models list", "presets list", "presets show basic", "completions bash", "version"] {
            away.run(command).exits(0);
        }
        let validate = format!("validate {}", file.display());
        let here = there.run(&validate);
        assert_eq!(away.run(&validate).all(), here.all(), "{home}");
        away.run("status").exits(2).says(&["HOME is"]);
    }
}
