//! Releases as whole processes, with throw-away keys: what is published, what is refused, and that a refusal publishes
//! nothing. A shell script stands in for the executable, so that nothing is compiled.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::use_debug)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gwinstall::bundle::ustar::{self, Limits};
use gwinstall::domain::Sha256;
use gwinstall::release::documents::{Channel, Document as _, Keys, Manifest, Severity};
use gwinstall::release::trust::TrustedKeys;
use tempfile::TempDir;

const TARGET: &str = "x86_64-unknown-linux-musl";
const CATALOG: &str = "schema: 1\nas_of: \"2026-11-21\"\npresets: []\nmodels: []\nenvironment: []\nclient_models: {}\n\
    files:\n  - {path: docs/readme.md, class: doc}\n  - {path: scripts/run.sh, class: script, executable: true}\n";

/// A directory with keys, a bundle and a place for releases.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: TempDir::new().unwrap() };
        fs::create_dir_all(desk.at("bundle/docs")).unwrap();
        fs::create_dir_all(desk.at("bundle/scripts")).unwrap();
        fs::write(desk.at("bundle/catalog.yaml"), CATALOG).unwrap();
        fs::write(desk.at("bundle/docs/readme.md"), "A file.\n").unwrap();
        fs::write(desk.at("bundle/scripts/run.sh"), "#!/bin/sh\n").unwrap();
        desk.must(&["keygen", "--out", &desk.text("keys")]);
        desk
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    fn dist(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gwinstall-dist"));
        command.args(args).env("SOURCE_DATE_EPOCH", "1795000000").output().unwrap()
    }

    fn must(&self, args: &[&str]) -> String {
        let output = self.dist(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        format!("{}{said}", String::from_utf8_lossy(&output.stdout))
    }

    /// Makes a release with an executable that calls itself `answers`.
    fn release_as(&self, version: &str, answers: &str, site: &str, more: &[&str]) -> Output {
        let fake = self.at(&format!("fake-{answers}"));
        fs::write(&fake, format!("#!/bin/sh\necho 'gwinstall {answers}'\n")).unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_str().unwrap();
        let (binary, bundle) = (format!("{TARGET}={}", fake.display()), self.text("bundle"));
        let (keys, site) = (self.text("keys"), self.text(site));
        let mut args = vec!["release", "--root", root, "--version", version, "--keys", &keys, "--out", &site];
        args.extend(["--bundle-dir", &bundle, "--binary", &binary, "--allow-dirty"]);
        args.extend(more);
        self.dist(&args)
    }

    fn release(&self, version: &str, site: &str, more: &[&str]) -> String {
        let output = self.release_as(version, version, site, more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    fn manifest(&self, path: &str) -> Manifest {
        Manifest::parse(&fs::read(self.at(path)).unwrap()).unwrap()
    }

    fn channel(&self, path: &str) -> Channel {
        Channel::parse(&fs::read(self.at(path)).unwrap()).unwrap()
    }

    fn trusted(&self) -> TrustedKeys {
        TrustedKeys::embedded(&fs::read(self.at("keys/keys.1.json")).unwrap()).unwrap()
    }
}

fn refused(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "wanted '{words}' in: {said}");
}

fn files_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn the_client_takes_what_is_published() {
    let desk = Desk::new();
    let said = desk.release("1.0.0", "site", &[]);
    for proof in ["minisign: ", "sha256sum: 4 files", "tar: ", "answers gwinstall 1.0.0", "done: "] {
        assert!(said.contains(proof), "{proof}: {said}");
    }
    let site = files_of(&desk.at("site"));
    let keys = desk.trusted();
    let manifest = keys.verify_manifest(&site["manifest.json"], &site["manifest.json.minisig"]).unwrap();
    let channel =
        keys.verify_channel(&site["channel-stable.json"], &site["channel-stable.json.minisig"]).unwrap();
    assert_eq!(channel.facts().manifest_sha256, manifest.sha256());
    let executable = manifest.facts().artifact("binary", TARGET).unwrap();
    assert_eq!(Sha256::of(&site[executable.name.as_str()]), executable.sha256);
    let bundle = ustar::unpack(site["gwinstall-bundle-1.0.0.tar.gz"].as_slice(), &Limits::BUNDLE).unwrap();
    for file in &manifest.facts().bundle.files {
        assert_eq!(Sha256::of(&bundle[&file.path]), file.sha256, "{}", file.path);
    }
    let modes: Vec<u32> = manifest.facts().bundle.files.iter().map(|file| file.mode.bits()).collect();
    assert_eq!(modes, [0o644, 0o644, 0o755]);
    assert!(!site.keys().any(|name| name.ends_with(".key") || name.starts_with('.')), "{:?}", site.keys());
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let desk = Desk::new();
    desk.release("1.0.0", "one", &[]);
    desk.release("1.0.0", "two", &[]);
    let (mut one, mut two) = (files_of(&desk.at("one/v1.0.0")), files_of(&desk.at("two/v1.0.0")));
    // Signatures are made with fresh randomness, and the offline archive holds some.
    let signed = |name: &String| name.ends_with(".minisig") || name.contains("offline");
    one.retain(|name, _| !signed(name));
    two.retain(|name, _| !signed(name));
    assert!(one.len() >= 8, "{:?}", one.keys());
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(bytes == &two[name], "{name} differs");
    }
}

#[test]
fn a_second_release_follows_the_first() {
    let desk = Desk::new();
    desk.release("1.0.0", "site", &[]);
    let first = files_of(&desk.at("site/v1.0.0"));
    desk.release("1.1.0", "site", &["--severity", "security", "--floor-seq", "1"]);
    assert!(first == files_of(&desk.at("site/v1.0.0")), "a published version changed");
    let (old, new) = (desk.manifest("site/v1.0.0/manifest.json"), desk.manifest("site/manifest.json"));
    assert_eq!((old.seq, old.prev, new.seq), (1, None, 2));
    assert_eq!(new.prev, Some(Sha256::of(&first["manifest.json"])));
    let channel = desk.channel("site/channel-stable.json");
    assert_eq!((channel.seq, channel.severity, channel.min_seq), (2, Severity::Security, 2));
    let top = files_of(&desk.at("site"));
    assert!(top.contains_key(&format!("gwinstall-1.1.0-{TARGET}")));
    assert!(!top.keys().any(|name| name.contains("1.0.0")), "{:?}", top.keys());

    let again = desk.release_as("1.1.0", "1.1.0", "site", &[]);
    refused(&again, 2, "a published version never changes");
}

#[test]
fn a_beta_leaves_the_stable_names_alone() {
    let desk = Desk::new();
    desk.release("1.0.0", "site", &[]);
    let before = files_of(&desk.at("site"));
    desk.release("1.1.0-beta.1", "site", &["--channel", "beta"]);
    let mut after = files_of(&desk.at("site"));
    assert!(
        after.remove("channel-beta.json").is_some() && after.remove("channel-beta.json.minisig").is_some()
    );
    assert!(before == after, "stable names changed");
    assert_eq!(desk.manifest("site/v1.1.0-beta.1/manifest.json").seq, 2);
}

#[test]
fn a_refused_release_publishes_nothing() {
    let desk = Desk::new();
    desk.release("1.0.0", "site", &[]);
    let before = files_of(&desk.at("site"));
    let liar = desk.release_as("1.1.0", "1.0.0", "site", &[]);
    refused(&liar, 1, "calls itself 'gwinstall 1.0.0'");
    fs::write(desk.at("bundle/docs/other.md"), "x").unwrap();
    refused(&desk.release_as("1.2.0", "1.2.0", "site", &[]), 1, "docs/other.md is not listed");
    fs::remove_file(desk.at("bundle/docs/other.md")).unwrap();
    fs::rename(desk.at("keys/channel.key"), desk.at("channel.key")).unwrap();
    refused(&desk.release_as("1.3.0", "1.3.0", "site", &[]), 1, "no secret channel key");
    refused(&desk.release_as("1.3", "1.3", "site", &[]), 2, "MAJOR.MINOR.PATCH");
    assert!(before == files_of(&desk.at("site")), "the layout changed");
    let entries = fs::read_dir(desk.at("site")).unwrap().map(|entry| entry.unwrap().path());
    let directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert_eq!(directories, [desk.at("site/v1.0.0")]);
    fs::rename(desk.at("channel.key"), desk.at("keys/channel.key")).unwrap();
    desk.release("1.1.0", "site", &[]);
}

/// Writes the next list of keys as a person would, changed by `edit`, and returns its draft.
fn draft(desk: &Desk, version: u64, edit: impl FnOnce(&mut Keys)) -> String {
    let bytes = fs::read(desk.at(&format!("keys/keys.{}.json", version - 1))).unwrap();
    let mut list = Keys::parse(&bytes).unwrap();
    list.version = version;
    edit(&mut list);
    let path = desk.at("draft.json");
    fs::write(&path, serde_json::to_vec(&list).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_list_of_keys_follows_when_two_roots_sign() {
    let desk = Desk::new();
    let keys = desk.text("keys");
    let adopt = |draft: &str, signers: &[&str]| {
        let mut args = vec!["keys".to_owned(), "--keys".into(), keys.clone(), "--adopt".into(), draft.into()];
        for signer in signers {
            args.extend(["--sign".to_owned(), format!("{keys}/{signer}.key")]);
        }
        desk.dist(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let next = draft(&desk, 2, |list| list.release[0].from_seq = 3);
    refused(&adopt(&next, &["root-1"]), 8, "keys.2.json is refused");
    // The second holder signs with the stock tool, elsewhere, and hands in the signature.
    let list = desk.at("keys/keys.2.json");
    let statement = desk.must(&["sign", "--print", list.to_str().unwrap()]);
    let public = fs::read_to_string(desk.at("keys/root-2.pub")).unwrap();
    let id = public.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let mut minisign = Command::new("minisign");
    minisign.args(["-S", "-H", "-m"]).arg(&list).arg("-s").arg(desk.at("keys/root-2.key"));
    minisign.args(["-t", statement.trim_end(), "-x"]).arg(format!("{}.{id}.minisig", list.display()));
    assert!(minisign.stdin(Stdio::null()).output().unwrap().status.success());
    assert!(desk.must(&["keys", "--keys", &keys]).contains("version 2"));
    // The only release key now begins at seq 3.
    refused(&desk.release_as("1.0.0", "1.0.0", "site", &[]), 1, "no secret release key");

    let stolen = draft(&desk, 3, |list| list.root.threshold = 1);
    refused(&adopt(&stolen, &["release", "channel"]), 8, "keys.3.json is refused");
}

#[test]
fn a_key_behind_a_password_signs_when_it_is_given() {
    let desk = Desk::new();
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("correct horse".into())).unwrap();
    let secret = desk.at("root-4.key");
    fs::write(&secret, pair.sk.to_box(None).unwrap().to_string()).unwrap();
    let list = desk.text("keys/keys.1.json");
    let sign = |password: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gwinstall-dist"));
        command.args(["sign", &list, "--key"]).arg(&secret);
        command.env("GWINSTALL_KEY_PASSWORD", password).output().unwrap()
    };
    let wrong = sign("wrong");
    refused(&wrong, 1, "cannot use the secret key");
    assert!(!String::from_utf8_lossy(&wrong.stderr).contains("wrong\n"), "a password in a message");
    assert!(sign("correct horse").status.success());
}

#[test]
fn the_channel_is_said_anew_without_a_release() {
    let desk = Desk::new();
    desk.release("1.0.0", "site", &[]);
    let manifest = fs::read(desk.at("site/manifest.json")).unwrap();
    let (site, keys) = (desk.text("site"), desk.text("keys"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_gwinstall-dist"));
    command.args(["channel", "--out", &site, "--keys", &keys, "--version", "1.0.0"]);
    assert!(command.env("SOURCE_DATE_EPOCH", "1797000000").status().unwrap().success());
    let channel = desk.channel("site/channel-stable.json");
    assert_eq!(channel.at.unix(), 1_797_000_000);
    assert_eq!(channel.manifest_sha256, Sha256::of(&manifest));
    let site = files_of(&desk.at("site"));
    desk.trusted()
        .verify_channel(&site["channel-stable.json"], &site["channel-stable.json.minisig"])
        .unwrap();
}

/// A roll-out is changed by signing one document: the same release, other shares.
#[test]
fn a_roll_out_advances_and_halts_without_a_release() {
    let desk = Desk::new();
    let (site, keys) = (desk.text("site"), desk.text("keys"));
    let run = |epoch: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gwinstall-dist"));
        command.args(args).args(["--out", &site, "--keys", &keys]).env("SOURCE_DATE_EPOCH", epoch);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let files = files_of(&desk.at("site"));
        let signed = desk
            .trusted()
            .verify_channel(&files["channel-stable.json"], &files["channel-stable.json.minisig"]);
        (signed.unwrap().facts().clone(), said)
    };
    let percents = |channel: &Channel| -> Vec<String> {
        channel.rollout.iter().flatten().map(|step| step.percent.to_string()).collect()
    };
    let previous = |channel: &Channel| channel.previous.as_ref().map(|previous| previous.version.to_string());
    desk.release("1.0.0", "site", &["--rollout", "100"]);
    assert_eq!(desk.channel("site/channel-stable.json").rollout, None);
    desk.release("1.1.0", "site", &["--rollout", "2.5", "--severity", "security"]);
    let first = desk.channel("site/channel-stable.json");
    assert_eq!((percents(&first), previous(&first)), (vec!["2.5".to_owned()], Some("1.0.0".to_owned())));
    let before = files_of(&desk.at("site/v1.1.0"));

    let (wider, said) = run("4000000000", &["rollout", "50", "100@2096-10-09T00:00:00Z"]);
    assert_eq!(percents(&wider), ["2.5", "50", "100"], "what has passed stays");
    assert_eq!((wider.newest(), wider.severity, wider.min_seq), (first.newest(), Severity::Security, 2));
    assert!(said.contains("50 % of all machines from 2096-10-02"), "{said}");
    // The weekly signature does not end it.
    let (again, _) = run("4000000100", &["channel", "--version", "1.1.0"]);
    assert_eq!((percents(&again), previous(&again)), (percents(&wider), previous(&wider)));
    let (halted, _) = run("4000000200", &["rollout", "0"]);
    assert_eq!((percents(&halted), previous(&halted)), (vec!["0".to_owned()], Some("1.0.0".to_owned())));
    assert!(before == files_of(&desk.at("site/v1.1.0")), "a published version changed");

    // What follows a halted release does not offer it to the others.
    desk.release("1.1.1", "site", &["--rollout", "5"]);
    let fixed = desk.channel("site/channel-stable.json");
    assert_eq!((fixed.seq, previous(&fixed)), (3, Some("1.0.0".to_owned())));
    let (all, said) = run("4000000300", &["rollout", "100"]);
    assert_eq!((&all.rollout, &all.previous), (&None, &None), "{said}");
    let (late, _) = run("4000000400", &["rollout", "0", "--previous", "1.0.0"]);
    assert_eq!(previous(&late), Some("1.0.0".to_owned()));

    let refuse = |args: &[&str], code: i32, words: &str| {
        let args = [args, &["--out", &site, "--keys", &keys]].concat();
        refused(&desk.dist(&args), code, words);
    };
    refuse(&["rollout"], 2, "STEP");
    refuse(&["rollout", "101"], 2, "0 to 100 with at most two decimals");
    refuse(&["rollout", "5@tomorrow"], 2, "YYYY-MM-DD");
    refuse(&["rollout", "50", "5@2096-10-09T00:00:00Z"], 8, "smaller than the one before");
    refuse(&["rollout", "5", "--channel", "beta"], 2, "has no channel-beta.json");
}

#[test]
fn the_server_answers_with_a_tag_and_stays_in_its_directory() {
    let desk = Desk::new();
    fs::create_dir(desk.at("site")).unwrap();
    fs::write(desk.at("site/file"), "hello\n").unwrap();
    fs::write(desk.at("secret"), "no\n").unwrap();
    std::os::unix::fs::symlink(desk.at("secret"), desk.at("site/link")).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_gwinstall-dist"))
        .args(["serve", &desk.text("site"), "--fault", "broken:1=/file"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let address = first.trim().strip_prefix("http://").unwrap().to_owned();
    let ask = |path: &str, headers: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("/file", "").starts_with("HTTP/1.1 503 "));
    let good = ask("/file", "");
    assert!(good.starts_with("HTTP/1.1 200 ") && good.ends_with("\r\n\r\nhello\n"), "{good}");
    let tag = good.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let known = ask("/file", &format!("If-None-Match: {tag}\r\n"));
    assert!(known.starts_with("HTTP/1.1 304 ") && known.ends_with("\r\n\r\n"), "{known}");
    for path in ["/link", "/../secret", "//secret", "/", "/missing"] {
        assert!(ask(path, "").starts_with("HTTP/1.1 404 "), "{path}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// LiteLLM for a machine without a network travels in the offline archive, and only what the bundle's lock names.
#[test]
fn the_offline_archive_carries_what_the_lock_names() {
    let desk = Desk::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let facts = fs::read_to_string(root.join("embedded/runtime/runtime.yaml")).unwrap();
    let lock = format!("a==1 \\\n    --hash=sha256:{}\n", Sha256::of(b"wheel"));
    fs::create_dir_all(desk.at("bundle/runtime")).unwrap();
    fs::write(desk.at("bundle/runtime/runtime.yaml"), facts).unwrap();
    fs::write(desk.at("bundle/runtime/litellm.lock"), &lock).unwrap();
    let listed = ["runtime/runtime.yaml", "runtime/litellm.lock"]
        .map(|path| format!("  - {{path: {path}, class: template}}\n"));
    fs::write(desk.at("bundle/catalog.yaml"), format!("{CATALOG}{}", listed.concat())).unwrap();
    let exported = |name: &str, wheel: &[u8]| {
        let about = serde_json::json!({"schema": 1, "litellm": "1.106.2", "lock_sha256": Sha256::of(lock.as_bytes()),
            "python": "cp311", "platform": "linux-x86_64", "wheels": {Sha256::of(wheel).to_string(): "a-1-py3-none-any.whl"}});
        let mut packer = gwinstall::bundle::pack::Packer::new(Vec::new());
        packer.file("runtime.json", 0o644, about.to_string().as_bytes()).unwrap();
        packer.file(&format!("wheels/{}", Sha256::of(wheel)), 0o644, wheel).unwrap();
        fs::write(desk.at(name), packer.finish().unwrap()).unwrap();
        desk.text(name)
    };
    let (good, bad) = (exported("good.tar", b"wheel"), exported("bad.tar", b"another"));
    let words = "is not a package that the lock";
    refused(&desk.release_as("1.0.0", "1.0.0", "site", &["--runtime", &bad]), 8, words);
    assert!(!desk.at("site/v1.0.0").exists());
    desk.release("1.0.0", "site", &["--runtime", &good]);
    let name = "gwinstall-runtime-1.0.0-cp311-linux-x86_64.tar";
    let mut carried = Vec::new();
    let offline = fs::read(desk.at("site/gwinstall-offline-1.0.0.tar")).unwrap();
    ustar::read_tar(&offline[..], &Limits::OFFLINE, &mut |entry, body| {
        if entry.path == name {
            carried = ustar::whole(entry, body)?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(carried, fs::read(good).unwrap());
    assert!(!files_of(&desk.at("site")).contains_key(name), "it travels in the offline archive alone");
}
