//! Encrypted backups: what gwinstall encrypts the program age opens and the other way round, no secret is outside the
//! encryption, and what was altered is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::home::{Run, TestHome};
use crate::terminal::{CTRL_C, Terminal};

const SECRET: &str = "sk-canary-0123456789abcdef";
const PASSPHRASE: &str = "correct horse battery";

/// The program age, and a key that age-keygen made. `None` where it is not installed.
struct Age {
    identity: String,
    recipient: String,
}

impl Age {
    fn new(home: &TestHome) -> Option<Self> {
        let identity = home.path("key.txt");
        let Ok(made) = Command::new("age-keygen").arg("-o").arg(&identity).output() else {
            eprintln!("skipped: age is not installed (apt-get install age)");
            return None;
        };
        assert!(made.status.success(), "{made:?}");
        let recipient = fs::read_to_string(&identity).unwrap();
        let recipient = recipient.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
        Some(Self { identity: identity.to_str().unwrap().to_owned(), recipient: recipient.to_owned() })
    }

    fn decrypted(&self, file: &Path) -> Vec<u8> {
        let output = Command::new("age").args(["-d", "-i", &self.identity]).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// A deployment whose newest backup holds the secret.
fn with_secrets() -> TestHome {
    let home = TestHome::new().with("LITELLM_MASTER_KEY", SECRET);
    home.run("install --yes --models gemini-3.8-flash,glm-5.2").exits(0);
    home.run("backup create --include-secrets").exits(0);
    home
}

fn newest(home: &TestHome) -> String {
    home.json(".claude/gateway/backups/metadata.json")["backups"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()["filename"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn fed(home: &TestHome, arguments: &str, input: &str) -> Run {
    Run::fed(&mut home.command(arguments), input)
}

#[test]
fn an_export_with_secrets_leaves_only_encrypted() {
    let home = with_secrets();
    home.touches_nothing("backup export 1 out.tar.gz").exits(2).says(&[
        "holds secret values",
        "gwinstall backup export 1 out.tar.gz --encrypt",
        "--recipient",
    ]);
    let refused = home.touches_nothing("backup export 1 out.tar.gz --encrypt").exits(2);
    refused.says(&["no terminal", "gwinstall backup export 1 out.tar.gz --encrypt --passphrase-file PATH"]);
    for (arguments, input, says) in [
        ("--encrypt --passphrase-file -", "short\n", "fewer than 8 characters"),
        ("--encrypt --passphrase-file -", "\n", "one line that is not empty"),
        ("--encrypt --passphrase-file -", "two lines of\na passphrase\n", "one line that is not empty"),
        ("--encrypt --passphrase-file absent", "", "absent"),
        ("--encrypt --recipient age1nonsense", "", "not a public key of age"),
        ("--passphrase-file -", "", "--encrypt"),
    ] {
        let run = fed(&home, &format!("backup export 1 out.tar.gz {arguments}"), input).exits(2);
        run.says(&[says]).never_says("two lines");
        assert!(!home.root().join("out.tar.gz").exists());
    }
    // A backup without secrets is exported as before.
    home.run("backup create").exits(0);
    home.run("backup export 1 plain.tar.gz").exits(0);
}

/// The other machine needs the file and the passphrase, and its `.env` gets the secrets from the archive.
#[test]
fn a_deployment_moves_with_its_secrets_under_a_passphrase() {
    let home = with_secrets();
    fed(&home, "backup export 1 out.age --encrypt --passphrase-file -", &format!("{PASSPHRASE}\n"))
        .exits(0)
        .says(&["It is encrypted"])
        .never_says(PASSPHRASE);
    let out = home.root().join("out.age");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let sealed = fs::read(out).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n-> scrypt "));

    let other = TestHome::new();
    let file = other.write("out.age", &sealed);
    let import = format!("backup import {}", file.display());
    let refused = other.touches_nothing(&import).exits(2);
    refused.says(&["the backup needs a passphrase", "--passphrase-file PATH"]);
    fed(&other, &format!("{import} --passphrase-file -"), "another passphrase")
        .exits(2)
        .says(&["another one"]);
    assert!(!other.gateway("backups").exists());
    let pass = other.write("pass", PASSPHRASE);
    let key = format!("--passphrase-file {}", pass.display());
    let run = other.run(&format!("{import} {key}")).exits(0);
    run.says(&["Imported as gateway-backup-", "It stays encrypted"]);
    other.run("backup list").exits(0).says(&["encrypted, holds secrets", "basic"]);
    other.run("backup verify").exits(0).says(&["as far as can be seen without its key"]);
    other.run(&format!("backup verify {key}")).exits(0).says(&["files whole"]);
    other.refused(&mut other.command("rollback 1 --yes"), 2).says(&["the backup needs a passphrase"]);
    other.run(&format!("rollback 1 --yes {key}")).exits(0).never_says(SECRET);
    assert_eq!(other.env_value("LITELLM_MASTER_KEY").as_deref(), Some(SECRET));
    assert_eq!(other.record()["models"], home.record()["models"]);
    other.run(&format!("backup diff 1 {key}")).exits(0);
    assert_eq!(other.tree().holding(SECRET), [".claude/gateway/.env"]);
    assert_eq!(other.tree().holding(PASSPHRASE), ["pass"]);
}

#[test]
fn age_opens_what_gwinstall_encrypts_and_the_other_way_round() {
    let home = with_secrets();
    let Some(age) = Age::new(&home) else { return };
    let plain = fs::read(home.gateway("backups").join(newest(&home))).unwrap();
    home.run(&format!("backup export 1 . --encrypt --recipient {}", age.recipient)).exits(0);
    let exported = home.root().join(format!("{}.age", newest(&home)));
    assert_eq!(age.decrypted(&exported), plain);
    home.run(&format!("backup create --include-secrets --encrypt --recipient {}", age.recipient)).exits(0);
    let own = newest(&home);
    assert!(own.ends_with(".tar.gz.age"), "{own}");
    assert!(age.decrypted(&home.gateway("backups").join(&own)).starts_with(&[0x1f, 0x8b]));

    let other = TestHome::new();
    let foreign = other.path("foreign.age");
    let from =
        home.gateway("backups").join(home.backups().into_iter().find(|name| name.ends_with("gz")).unwrap());
    let made =
        Command::new("age").args(["-r", &age.recipient, "-o"]).arg(&foreign).arg(from).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let import = format!("backup import {}", foreign.display());
    other.touches_nothing(&import).exits(2).says(&["for a key of age", "--identity FILE"]);
    let armored = other.write("armored", "-----BEGIN AGE ENCRYPTED FILE-----\n");
    other.run(&format!("backup import {}", armored.display())).exits(8);
    other.run(&format!("{import} --identity {}", age.identity)).exits(0);
    other.run(&format!("rollback 1 --yes --identity {}", age.identity)).exits(0);
    assert_eq!(other.env_value("LITELLM_MASTER_KEY").as_deref(), Some(SECRET));
}

/// Whatever is altered, and without the index too.
#[test]
fn a_damaged_or_foreign_encrypted_backup_is_refused() {
    let home = with_secrets();
    let pass = home.write("pass", PASSPHRASE);
    let key = format!("--passphrase-file {}", pass.display());
    home.run(&format!("backup create --encrypt {key}")).exits(0);
    let path = home.gateway("backups").join(newest(&home));
    let good = fs::read(&path).unwrap();
    home.refused(&mut home.command("backup export 1 copy --encrypt"), 2).says(&["encrypted already"]);
    home.run("backup export 1 copy").exits(0);
    assert_eq!(fs::read(home.root().join("copy")).unwrap(), good);
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let index = home.gateway("backups/metadata.json");
    for bad in [
        flipped(good.len() - 1),
        flipped(good.len() / 2),
        good[..good.len() / 2].to_vec(),
        good[..90].to_vec(),
    ] {
        fs::write(&path, bad).unwrap();
        home.run(&format!("backup verify 1 {key}")).exits(8).says(&["damaged"]);
        let _ = fs::remove_file(&index);
        home.refused(&mut home.command(&format!("rollback 1 --yes {key}")), 8).says(&["cannot be used"]);
    }
    fs::write(&path, &good).unwrap();
    home.run("backup list").exits(0).says(&["encrypted"]);
    home.run(&format!("rollback 1 --dry-run {key}")).exits(0);
    // An encrypted file that is not a backup.
    let Some(age) = Age::new(&home) else { return };
    let sealed = home.path("notes.age");
    let made =
        Command::new("age").args(["-r", &age.recipient, "-o"]).arg(&sealed).arg(&pass).output().unwrap();
    assert!(made.status.success());
    let import = format!("backup import {} --identity {}", sealed.display(), age.identity);
    home.refused(&mut home.command(&import), 8).says(&["not a backup of a gateway"]);
}

/// Asked twice and not shown; giving up makes nothing.
#[test]
fn on_a_terminal_the_passphrase_is_asked_for() {
    let home = with_secrets();
    let before = home.backups();
    let terminal = Terminal::open(&home, "backup create --encrypt", (24, 100));
    terminal.shows("Passphrase for the backup (not shown):");
    terminal.answer(&format!("{PASSPHRASE}\r"), "The same passphrase again:");
    terminal.types("something else\r");
    let ended = terminal.ends();
    assert_eq!(
        (ended.code, ended.screen.contains("the two passphrases differ")),
        (2, true),
        "{}",
        ended.screen
    );
    let terminal = Terminal::open(&home, "backup create --encrypt", (24, 100));
    terminal.shows("Passphrase for the backup (not shown):");
    terminal.types(CTRL_C);
    assert_ne!(terminal.ends().code, 0);
    assert_eq!(home.backups(), before);
    let terminal = Terminal::open(&home, "backup create --encrypt", (24, 100));
    terminal.shows("Passphrase for the backup (not shown):");
    terminal.answer(&format!("{PASSPHRASE}\r"), "The same passphrase again:");
    terminal.types(&format!("{PASSPHRASE}\r"));
    let ended = terminal.ends();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(!String::from_utf8_lossy(&ended.bytes).contains(PASSPHRASE));
    let terminal = Terminal::open(&home, "backup diff 1", (24, 100));
    terminal.shows("Passphrase of the backup (not shown):");
    terminal.types(&format!("{PASSPHRASE}\r"));
    assert_eq!(terminal.ends().code, 0);
}
