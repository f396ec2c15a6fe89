//! A secret, given in every possible way, is in `gateway/.env` and nowhere else: no output, log, backup, record, argument
//! or temporary file, neither as it is nor in base64, hex or percent-encoded. D-010, D-088, D-126, P-236, P-256.

use std::fs;
use std::io::Read as _;
use std::process::Command;

use crate::home::{Run, TestHome};

/// Every character that a header, a shell, YAML or JSON might treat specially.
const SECRET: &str = "sk-Cn4ry+/=%$&\"#!\\*{}<z7>";

/// The secret as it would look in the hands of careless code.
fn forms() -> Vec<String> {
    let bytes = SECRET.as_bytes();
    let percent: String = SECRET
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b == b'-' {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let json = serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned();
    // base64 depends on where in a group of three the secret begins: the middle of each form is compared.
    let mut forms = vec![SECRET.to_owned(), "Cn4ry".to_owned(), percent, hex, json];
    forms.extend((0..3).map(|skip| {
        let padded: Vec<u8> = std::iter::repeat_n(b'x', skip).chain(bytes.iter().copied()).collect();
        let text = base64(&padded);
        text[4..text.len() - 4].to_owned()
    }));
    forms
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word =
            u32::from_be_bytes([0, group[0], *group.get(1).unwrap_or(&0), *group.get(2).unwrap_or(&0)]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(ALPHABET[(word >> shift) as usize & 63]));
        }
    }
    text
}

/// Files of the home and members of its backups that hold the secret in any form.
fn leaks(home: &TestHome) -> Vec<String> {
    let tree = home.tree();
    let mut leaks: Vec<String> =
        forms().iter().flat_map(|form| tree.holding(form)).map(str::to_owned).collect();
    for name in home.backups() {
        let mut bytes = Vec::new();
        let file = fs::File::open(home.gateway("backups").join(&name)).unwrap();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        leaks.extend(forms().iter().filter(|form| text.contains(*form)).map(|_| format!("inside {name}")));
    }
    leaks.sort();
    leaks.dedup();
    leaks
}

fn silent(run: Run) -> Run {
    for form in forms() {
        assert!(!run.all().contains(&form), "{} prints the secret:\n{}", run.what, run.all());
    }
    run
}

/// Everything that may be done afterwards, with every kind of talk.
fn live_with_it(home: &TestHome) {
    for arguments in [
        "status --json",
        "install --yes --verbose",
        "install --yes --models glm-5.2 --verbose --json",
        "install --yes --force --dry-run --verbose",
        "diff",
        "doctor --verbose",
        "doctor --json",
        "off --yes --verbose",
        "on --yes --json",
        "rollback --yes --verbose",
        "rollback --dry-run --json",
        "history --json",
        "uninstall --yes --json --verbose",
        "status",
    ] {
        let run = silent(home.run(arguments));
        // What doctor finds depends on the programs of this machine.
        let fine: &[i32] = if arguments.starts_with("doctor") { &[0, 1] } else { &[0] };
        assert!(fine.contains(&run.code), "{arguments}: {}\n{}", run.code, run.all());
    }
}

struct Way {
    name: &'static str,
    arguments: &'static str,
    prepare: fn(TestHome) -> TestHome,
    stdin: bool,
    /// Files of the user that hold the secret because the user wrote it there.
    sources: &'static [&'static str],
}

const LOCAL: &str = "install --yes --verbose";
const ENTERPRISE: &str = "install --yes --verbose --preset enterprise --gateway-url https://gw.example.com";

fn ways() -> Vec<Way> {
    let way = |name, arguments, prepare: fn(TestHome) -> TestHome, stdin, sources| Way {
        name,
        arguments,
        prepare,
        stdin,
        sources,
    };
    vec![
        way("environment", LOCAL, |home| home.with("LITELLM_MASTER_KEY", SECRET), false, &[]),
        way("environment, token", ENTERPRISE, |home| home.with("ANTHROPIC_AUTH_TOKEN", SECRET), false, &[]),
        way("standard input", "install --yes --verbose --auth-token-file -", |home| home, true, &[]),
        way("standard input, json", "install --yes --json --auth-token-file -", |home| home, true, &[]),
        way(
            "dotenv",
            LOCAL,
            |home| {
                home.write(".claude/.env", format!("LITELLM_MASTER_KEY='{SECRET}'\n"));
                home
            },
            false,
            &[".claude/.env"],
        ),
        way(
            "shell file",
            ENTERPRISE,
            |home| {
                home.write(".bashrc", format!("export ANTHROPIC_AUTH_TOKEN='{SECRET}'\n"));
                home
            },
            false,
            &[".bashrc"],
        ),
        way(
            "fish file",
            LOCAL,
            |home| {
                let text = SECRET.replace('\\', "\\\\");
                home.write(".config/fish/config.fish", format!("set -gx LITELLM_MASTER_KEY '{text}'\n"));
                home
            },
            false,
            &[".config/fish/config.fish"],
        ),
        way(
            "there already",
            LOCAL,
            |home| {
                home.write(".claude/gateway/.env", format!("LITELLM_MASTER_KEY='{SECRET}'\n"));
                home
            },
            false,
            &[],
        ),
    ]
}

#[test]
fn a_secret_stays_in_the_env_file_however_it_came() {
    for Way { name, arguments, prepare, stdin, sources } in ways() {
        let home = prepare(TestHome::new());
        let mut command = home.command(arguments);
        let run = if stdin { Run::fed(&mut command, &format!("{SECRET}\n")) } else { Run::of(&mut command) };
        silent(run).exits(0);
        let mut expected: Vec<&str> = sources.iter().copied().chain([".claude/gateway/.env"]).collect();
        expected.sort_unstable();
        assert_eq!(leaks(&home), expected, "{name}");
        live_with_it(&home);
        assert_eq!(leaks(&home), expected, "{name}, later");
    }
}

#[test]
fn a_secret_given_as_flag_or_file_stays_in_the_env_file() {
    for by_file in [false, true] {
        let home = TestHome::new();
        let file = home.root().join("token");
        fs::write(&file, format!("{SECRET}\r\n")).unwrap();
        let mut command = home.command(LOCAL);
        if by_file {
            command.arg("--auth-token-file").arg(&file);
        } else {
            command.args(["--auth-token", SECRET]);
        }
        let run = silent(Run::of(&mut command)).exits(0);
        assert_eq!(
            run.stderr.contains("visible to every process"),
            !by_file,
            "a warning on the plain form only"
        );
        assert_eq!(leaks(&home), [".claude/gateway/.env"]);
        assert_eq!(home.env_value("LITELLM_MASTER_KEY").unwrap(), SECRET);
        live_with_it(&home);
        assert_eq!(leaks(&home), [".claude/gateway/.env"]);
    }
}

/// With somebody else's helper the token has to be in settings.json too, which is then private.
#[test]
fn a_foreign_helper_puts_the_token_into_settings_and_nowhere_else() {
    let home = TestHome::new().with("LITELLM_MASTER_KEY", SECRET);
    home.write(".claude/settings.json", "{\"apiKeyHelper\": \"mine\"}");
    silent(home.run(LOCAL)).exits(0);
    assert_eq!(leaks(&home), [".claude/gateway/.env", ".claude/settings.json"]);
    assert_eq!(home.mode(".claude/settings.json"), 0o600);
    live_with_it(&home);
    assert_eq!(leaks(&home), [".claude/gateway/.env"]);
}

/// D-012. The login at a proxy is part of a URL: percent-encoded, in `.env` only.
#[test]
fn a_proxy_password_stays_in_the_env_file() {
    let home = TestHome::new();
    let login = format!("me:{SECRET}");
    let mut command = home
        .command("install --yes --verbose --preset proxy --proxy-url http://proxy.example:3128 --proxy-auth");
    silent(Run::of(command.arg(login))).exits(0);
    assert_eq!(leaks(&home), [".claude/gateway/.env"]);
    assert!(
        home.env_value("HTTPS_PROXY")
            .unwrap()
            .starts_with("http://me:sk-Cn4ry%2B%2F%3D%25%24%26%22%23%21%5C")
    );
    live_with_it(&home);
    assert_eq!(leaks(&home), [".claude/gateway/.env"]);
}

/// A refusal that has to do with the secret does not show it either.
#[test]
fn errors_about_a_secret_do_not_show_it() {
    let home = TestHome::new();
    for (arguments, secret, code) in [
        ("install --yes --auth-token", format!("{SECRET} with space"), 2),
        ("install --yes --auth-token", format!("{SECRET}'quote"), 2),
        ("install --yes --auth-token", format!("{SECRET}{}", "x".repeat(5000)), 2),
        ("install --yes --proxy-url http://p:1 --proxy-auth", SECRET.to_owned(), 2),
        ("install --yes --proxy-url", format!("http://me:{SECRET}@proxy:3128"), 2),
        ("install --yes --proxy-url", "http://me:Cn4ry@proxy:3128".to_owned(), 2),
        ("install --yes --gateway-url", "https://me:Cn4ry@gw.example.com".to_owned(), 2),
    ] {
        for json in ["", "--json"] {
            let mut command = home.command(arguments);
            command.arg(&secret);
            if !json.is_empty() {
                command.arg(json);
            }
            silent(home.refused(&mut command, code));
        }
    }
    let bad = home.write("token", format!("{SECRET}\nsecond line\n"));
    silent(home.refused(home.command("install --yes --auth-token-file").arg(bad), 2));
    silent(
        Run::fed(&mut home.command("install --yes --auth-token-file -"), &format!("{SECRET} x\n")).exits(2),
    );
}

/// `--include-secrets` is the one way into a backup: private, and said so.
#[test]
fn a_backup_with_secrets_is_asked_for_and_marked() {
    let home = TestHome::new().with("LITELLM_MASTER_KEY", SECRET);
    home.run("install --yes").exits(0);
    home.run("install --yes --models glm-5.2 --include-secrets").exits(0);
    let name = &home.backups()[0];
    assert_eq!(leaks(&home), [".claude/gateway/.env".to_owned(), format!("inside {name}")]);
    assert_eq!(home.mode(&format!(".claude/gateway/backups/{name}")), 0o600);
    let index = home.json(".claude/gateway/backups/metadata.json");
    assert_eq!(index["backups"][0]["secrets"], true);
}

/// No process that is started along the way has it on its command line.
#[test]
fn no_command_line_holds_the_secret() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("not checked: strace is not installed");
        return;
    }
    let home = TestHome::new()
        .with("LITELLM_MASTER_KEY", SECRET)
        .with("GOOGLE_APPLICATION_CREDENTIALS", "/x")
        .with("VERTEXAI_PROJECT", "p");
    let bin = home.root().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("litellm"), "#!/bin/sh\ncase \"$*\" in *--validate_config*) exit 0 ;; esac\nexit 1\n")
        .unwrap();
    let script = format!(
        "chmod +x '{0}/litellm'; PATH='{0}':$PATH; exec strace -f -s 10000 -e trace=execve -o '{0}/trace' \"$GW\" install --on --yes --start \
         --gateway-url http://127.0.0.1:{1}",
        bin.display(),
        crate::exits::free_port()
    );
    silent(Run::of(&mut home.shell(&script)).exits(5));
    let trace = fs::read_to_string(bin.join("trace")).unwrap();
    assert!(trace.contains("start-gateway.sh") && trace.contains("litellm"), "{trace}");
    for form in forms() {
        assert!(!trace.contains(&form), "{form} is on a command line");
    }
}
