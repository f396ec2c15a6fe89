//! `render`: what it writes is the same every time, keeps the user's edits, and holds no secret.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::{Said, World};

const VALUES: &str = "\
domain: gateway.example.com
replicas: 2
database: {}
redis: {}
metrics: true
environments:
  staging: {replicas: 1, domain: staging.example.com}
";

/// A home with a `gateway.yaml`, and the directory that is rendered.
struct Rendering {
    world: World,
    values: PathBuf,
    out: PathBuf,
}

impl Rendering {
    fn of(text: &str) -> Self {
        let world = World::new();
        let (values, out) = (world.home().join("gateway.yaml"), world.home().join("servers"));
        fs::write(&values, text).unwrap();
        Self { world, values, out }
    }

    fn values(&self, text: &str) {
        fs::write(&self.values, text).unwrap();
    }

    fn run(&self, target: &str, more: &[&str]) -> Said {
        let (values, out) = (self.values.to_str().unwrap(), self.out.to_str().unwrap());
        let line = [&["render", target, "--out", out, "--values", values], more].concat();
        self.world.run(&line)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

/// Every file below a directory with its bytes.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// req: K-015, A-001
#[test]
fn the_same_request_gives_the_same_bytes_and_the_second_run_nothing() {
    let (one, other) = (Rendering::of(VALUES), Rendering::of(VALUES));
    let _ = one.run("all", &[]).exits(0).says("README.md says how to use them");
    let _ = other.run("all", &[]).exits(0);
    let relative = |rendering: &Rendering| -> Vec<(PathBuf, Vec<u8>)> {
        let below = |path: PathBuf| path.strip_prefix(&rendering.out).unwrap().to_owned();
        files(&rendering.out).into_iter().map(|(path, bytes)| (below(path), bytes)).collect()
    };
    assert_eq!(relative(&one), relative(&other));
    let before = files(&one.out);
    let _ = one.run("all", &[]).exits(0).says("is up to date");
    assert_eq!(files(&one.out), before);
    let _ = one.run("all", &["--check"]).exits(0);
}

#[test]
fn the_record_names_every_file_with_its_hash() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("all", &[]).exits(0);
    let record: Value = serde_json::from_str(&rendering.read("RENDERED.json")).unwrap();
    let named = record["files"].as_object().unwrap();
    for (path, bytes) in files(&rendering.out) {
        let name = path.strip_prefix(&rendering.out).unwrap().to_str().unwrap().to_owned();
        if name == "RENDERED.json" || name.starts_with(".gwinstall/") {
            continue;
        }
        let sha256 = gwinstall::domain::Sha256::of(&bytes).to_string();
        assert_eq!(named[&name]["sha256"], sha256.as_str(), "{name}");
    }
}

/// The configuration of a server is the one that install writes.
#[test]
fn litellm_reads_the_file_of_an_installation() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.world.run(&["install", "--yes"]).exits(0);
    let _ = rendering.run("all", &[]).exits(0);
    let installed = rendering.world.read("config/litellm.yaml");
    let same = files(&rendering.out).into_iter().filter(|(path, _)| path.ends_with("config/litellm.yaml"));
    assert!(
        same.into_iter().map(|(path, bytes)| assert_eq!(bytes, installed.as_bytes(), "{path:?}")).count()
            >= 2
    );
}

#[test]
fn an_edit_stays_and_is_joined_with_a_change() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    let edited = rendering.read("compose.yaml").replace("image: postgres:16-alpine", "image: postgres:16.4");
    fs::write(rendering.path("compose.yaml"), &edited).unwrap();
    let _ = rendering.run("compose", &["--check"]).exits(3).says("compose.yaml");
    let _ = rendering.run("compose", &[]).exits(0).says("your edit");
    assert_eq!(rendering.read("compose.yaml"), edited);
    rendering.values(
        &VALUES.replace("database: {}", "database: {connections: 20}").replace("metrics: true\n", ""),
    );
    let _ = rendering.run("compose", &[]).exits(0);
    rendering.values(&VALUES.replace("gateway.example.com", "llm.example.org"));
    let _ = rendering.run("compose", &["--diff"]).exits(3).says("llm.example.org");
    let _ = rendering.run("compose", &[]).exits(0);
    assert!(rendering.read("compose.yaml").contains("postgres:16.4"));
    assert!(rendering.read("nginx/gateway.conf").contains("llm.example.org"));
}

#[test]
fn what_cannot_be_joined_is_written_beside_the_edit() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    let line = "server_name gateway.example.com;";
    let mine = rendering.read("nginx/gateway.conf").replace(line, "server_name mine.example.com;");
    fs::write(rendering.path("nginx/gateway.conf"), &mine).unwrap();
    rendering.values(&VALUES.replace("gateway.example.com", "new.example.com"));
    let _ = rendering.run("compose", &[]).exits(4).says("--keep-mine");
    assert_eq!(rendering.read("nginx/gateway.conf"), mine);
    assert!(rendering.read("nginx/gateway.conf.gwinstall-new").contains("new.example.com"));
    let _ = rendering.run("compose", &["--keep-mine"]).exits(0);
    assert_eq!(rendering.read("nginx/gateway.conf"), mine);
    assert!(!rendering.path("nginx/gateway.conf.gwinstall-new").exists());
    rendering.values(&VALUES.replace("gateway.example.com", "newer.example.com"));
    let _ = rendering.run("compose", &[]).exits(4);
    let _ = rendering.run("compose", &["--take-new"]).exits(0);
    assert!(rendering.read("nginx/gateway.conf").contains("newer.example.com"));
}

#[test]
fn files_of_the_user_are_not_overwritten() {
    let rendering = Rendering::of(VALUES);
    fs::create_dir_all(&rendering.out).unwrap();
    fs::write(rendering.path("compose.yaml"), "mine\n").unwrap();
    let _ = rendering.run("compose", &[]).exits(2).says("compose.yaml").says("--force");
    assert_eq!(files(&rendering.out).len(), 1);
    let _ = rendering.run("compose", &["--force"]).exits(0);
    assert_eq!(rendering.read("compose.yaml.gwinstall-old"), "mine\n");
}

#[test]
fn a_mistake_in_the_values_is_named_with_its_key() {
    for (text, said) in [
        ("domian: a.example.com\n", "domain"),
        ("domain: a.example.com\ndatabase: {hots: x}\n", "host"),
        ("domain: a.example.com\nreplicas: many\n", "replicas"),
        ("domain: a.example.com\nreplicas: 3\n", "redis"),
        ("domain: a.example.com\nreplicas: 99\n", "at most 20"),
        ("domain: a.example.com\nreplicas: 0\n", "replicas"),
        ("domain: a.example.com\nresources: seed\ndatabase: {}\n", "standard"),
        ("domain: a.example.com\nenvironments: {prod: {replica: 2}}\n", "environments.prod.replica"),
        ("replicas: 1\n", "domain"),
        ("domain: [\n", "gateway.yaml"),
        ("domain: a.example.com\ndomain: b.example.com\n", "duplicate"),
        ("domain: a.example.com\nport: 65534\nreplicas: 3\nredis: {}\n", "no room"),
        ("domain: a.example.com\nallow_from: [\"::::\"]\n", "not an address"),
        ("domain: a.example.com\nallow_from: [10.0.0.0/33]\n", "not an address"),
        ("domain: a.example.com\nserver: {root: /opt/..}\n", "server.root"),
        ("domain: a.example.com\nvariables: {OPENAI_API_KEY: sk-abc}\n", "is a secret"),
        ("domain: a.example.com\nvariables: {DATABASE_HOST: x}\n", "sets DATABASE_HOST itself"),
        ("- a\n", "gateway.yaml"),
    ] {
        let rendering = Rendering::of(text);
        let _ = rendering.run("compose", &[]).exits(2).says(said);
        assert!(!rendering.out.exists(), "{text}");
    }
}

/// No key lets through what a second reader would act on.
#[test]
fn a_hostile_value_is_refused_or_comes_back_as_it_was() {
    let hostile = ["a;b", "a\nb", "$(id)", "${{ x }}", "{{ x }}", "a\"b", "a'b", "a b", "a`b", "%h", "a{b"];
    let keys = ["name", "namespace", "domain", "image", "alert_webhook", "repository"];
    let nested = [
        ("database", "host"),
        ("database", "name"),
        ("database", "user"),
        ("redis", "host"),
        ("ingress", "class"),
        ("ingress", "issuer"),
        ("ingress", "tls_secret"),
        ("server", "root"),
        ("server", "user"),
        ("lambda", "region"),
        ("backup", "encrypt_to"),
    ];
    for value in hostile {
        let quoted = serde_json::to_string(value).unwrap();
        let lines = keys.iter().map(|key| format!("{key}: {quoted}\n"));
        let lines =
            lines.chain(nested.iter().map(|(outer, inner)| format!("{outer}: {{{inner}: {quoted}}}\n")));
        for line in lines.chain([format!("allow_from: [{quoted}]\n")]) {
            let rendering = Rendering::of(&line);
            let _ = rendering.run("compose", &[]).exits(2).says("gateway.yaml");
        }
    }
    let value = "a$b${c}%d{{e}}${{f}}\"'`;g\\";
    let quoted = serde_json::to_string(value).unwrap();
    let rendering =
        Rendering::of(&format!("domain: a.example.com\nvariables: {{VERTEXAI_PROJECT: {quoted}}}\n"));
    let _ = rendering.run("compose", &[]).exits(0);
    let compose: Value = serde_yaml::from_str(&rendering.read("compose.yaml")).unwrap();
    let there =
        compose["services"]["litellm"]["environment"]["VERTEXAI_PROJECT"].as_str().unwrap().to_owned();
    assert_eq!(there.replace("$$", "$"), value);
    let _ = Rendering::of("domain: a.example.com\nvariables: {A: \"x\\ny\"}\n").run("compose", &[]).exits(2);
}

#[test]
fn no_secret_of_this_machine_is_rendered_unless_asked() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.world.run(&["install", "--yes"]).exits(0);
    let env = rendering.world.read(".env");
    let key = env.lines().find_map(|line| line.strip_prefix("LITELLM_MASTER_KEY=")).unwrap().to_owned();
    let _ = rendering.run("all", &[]).exits(0);
    for (path, bytes) in files(&rendering.out) {
        assert!(!String::from_utf8_lossy(&bytes).contains(&key), "{path:?}");
    }
    let _ = rendering.run("secrets", &[]).exits(0).never_says(&key);
    let written: Vec<PathBuf> = files(&rendering.out)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.ends_with("secrets.env"))
        .collect();
    assert!(written.len() >= 2);
    for path in &written {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            fs::read_to_string(path).unwrap().contains(&format!("LITELLM_MASTER_KEY={key}\n")),
            "{path:?}"
        );
    }
    let salts: std::collections::BTreeSet<String> = written
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().find_map(|line| line.strip_prefix("LITELLM_SALT_KEY=")).map(str::to_owned)
        })
        .collect();
    assert_eq!(salts.len(), 1, "one value for every directory");
    let _ = rendering.run("secrets", &[]).exits(0).says("Nothing to do");
    let _ = rendering.run("all", &["--check"]).exits(0);
}

#[test]
fn a_directory_holds_one_target() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("all", &[]).exits(0);
    let _ = rendering.run("compose", &[]).exits(2).says("holds the files of all");
    let (values, inner) = (rendering.values.to_str().unwrap(), rendering.path("compose"));
    let line = ["render", "compose", "--out", inner.to_str().unwrap(), "--values", values];
    let _ = rendering.world.run(&line).exits(2).says("render all --out");
}

#[test]
fn an_environment_lies_over_the_other_values() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &["--environment", "stagin"]).exits(2).says("staging");
    let _ = rendering.run("compose", &["--environment", "staging"]).exits(0);
    assert!(rendering.read("nginx/gateway.conf").contains("staging.example.com"));
    assert!(!rendering.read("compose.yaml").contains("litellm-2"));
}

#[test]
fn a_gateway_elsewhere_is_not_rendered_for_a_server() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &["--preset", "enterprise"]).exits(2).says("--preset basic");
    let _ = rendering.run("composer", &[]).exits(2).says("gwinstall render compose");
    let _ = rendering.world.run(&["render", "--schema"]).exits(0).says("\"domain\"");
    let _ =
        rendering.world.run(&["render", "compose"]).exits(2).says("gwinstall render compose --out gateway");
}

/// The record is under version control: a proposed change must not reach a file elsewhere.
#[test]
fn a_record_names_files_of_its_directory_only() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    let victim = rendering.world.home().join("victim");
    fs::write(&victim, "mine\n").unwrap();
    let sum = gwinstall::domain::Sha256::of(b"mine\n").to_string();
    let before = rendering.read("RENDERED.json");
    for name in
        ["../victim", "config/../../victim", victim.to_str().unwrap(), ".gwinstall/lock", "secrets.env"]
    {
        let mut record: Value = serde_json::from_str(&before).unwrap();
        record["files"][name] =
            serde_json::json!({ "sha256": sum, "mode": "0644", "class": "script", "base": sum });
        fs::write(rendering.path("RENDERED.json"), record.to_string()).unwrap();
        let _ = rendering.run("compose", &[]).exits(1).says("names a file that render never writes");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
    }
}

#[test]
fn a_link_a_foreign_user_or_a_wide_directory_is_refused() {
    let rendering = Rendering::of(VALUES);
    let elsewhere = rendering.world.home().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(&rendering.out).unwrap();
    std::os::unix::fs::symlink(&elsewhere, rendering.path("nginx")).unwrap();
    let _ = rendering.run("compose", &[]).exits(2).says("is a link");
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none());
    fs::remove_file(rendering.path("nginx")).unwrap();
    fs::set_permissions(&rendering.out, fs::Permissions::from_mode(0o777)).unwrap();
    let _ = rendering.run("compose", &[]).exits(2).says("other users can change");
    for wide in ["/", "/srv"] {
        let values = rendering.values.to_str().unwrap();
        let line = ["render", "compose", "--out", wide, "--values", values];
        let _ = rendering.world.run(&line).exits(2).says("cannot hold rendered files");
    }
}

/// What is in secrets.env stays, whatever it looks like.
#[test]
fn secrets_that_are_there_stay() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    for line in
        ["LITELLM_SALT_KEY=correct horse battery", "LITELLM_SALT_KEY: v", "LITELLM_SALT_KEY=\"MY$SALT\""]
    {
        fs::write(rendering.path("secrets.env"), format!("# mine\n{line}\n")).unwrap();
        let _ = rendering.run("secrets", &[]).exits(1).says("line 2 cannot be read").never_says("horse");
        assert_eq!(rendering.read("secrets.env"), format!("# mine\n{line}\n"));
    }
    fs::write(rendering.path("secrets.env"), "# mine\nLITELLM_SALT_KEY='a b'\nMORE=1\nREDIS_PASSWORD=\n")
        .unwrap();
    let _ = rendering.run("secrets", &[]).exits(0).says("secrets.env");
    let text = rendering.read("secrets.env");
    assert!(text.starts_with("# mine\nLITELLM_SALT_KEY='a b'\nMORE=1\nREDIS_PASSWORD="), "{text}");
    assert!(!text.contains("REDIS_PASSWORD=\n") && text.contains("\nDATABASE_PASSWORD="), "{text}");
    let _ = rendering.run("secrets", &["--check"]).exits(2).says("does not go with");
}

/// An example that gwinstall did not render is another program's.
#[test]
fn only_rendered_examples_are_filled_in() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    let foreign = rendering.path("foreign");
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("secrets.env.example"), "HOME=\n").unwrap();
    let _ = rendering.run("secrets", &[]).exits(0);
    assert!(!foreign.join("secrets.env").exists());
    assert!(rendering.path("secrets.env").exists());
}

#[test]
fn an_open_conflict_and_a_kept_edit_are_named_every_time() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    let mine =
        rendering.read("nginx/gateway.conf").replace("server_name gateway.example.com;", "server_name mine;");
    fs::write(rendering.path("nginx/gateway.conf"), mine).unwrap();
    let _ = rendering.run("compose", &[]).exits(0).says("your edit");
    let _ = rendering.run("compose", &[]).exits(0).says("your edit");
    rendering.values(&VALUES.replace("gateway.example.com", "new.example.com"));
    let _ = rendering.run("compose", &[]).exits(4);
    let _ = rendering.run("compose", &[]).exits(4).says("--keep-mine");
}

/// A container and nginx read what was rendered by a user with a strict mask.
#[test]
fn rendered_directories_can_be_read() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    for name in ["config", "nginx"] {
        assert_eq!(fs::metadata(rendering.path(name)).unwrap().permissions().mode() & 0o777, 0o755, "{name}");
    }
}

/// What a run that was killed between the exchange of a file and the commit leaves.
#[test]
fn an_interrupted_run_is_undone_before_the_next_compares() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    let (old, new) = ("old\n", rendering.read("compose.yaml"));
    let stamp = |text: &str| serde_json::json!({ "sha256": gwinstall::domain::Sha256::of(text.as_bytes()).to_string(), "mode": "0644" });
    let text = serde_json::json!({
        "schema": 1, "id": "1", "version": "1.0.0", "pid": 1, "started": "2026-11-27T00:00:00Z", "operation": "render",
        "steps": [{ "path": "compose.yaml", "pre": stamp(old), "post": stamp(&new) }], "directories": [],
    })
    .to_string();
    let transaction = rendering.path(".gwinstall/txn/1");
    fs::create_dir_all(&transaction).unwrap();
    fs::write(transaction.join("0"), old).unwrap();
    let journal = rendering.path(".gwinstall/journal");
    fs::write(&journal, format!("{text}\n{}\n", gwinstall::domain::Sha256::of(text.as_bytes()))).unwrap();
    let _ = rendering.run("compose", &["--check"]).exits(3).says("interrupted");
    assert!(journal.exists(), "a look changes nothing");
    let _ = rendering.run("compose", &[]);
    assert!(!journal.exists() && !transaction.exists());
    assert_eq!(rendering.read("compose.yaml"), old, "the file from before, which is now an edit");
}

/// A killed run is undone or finished by the next one, before it compares anything.
#[test]
fn a_killed_run_is_recovered_before_the_next_compares() {
    for delay in [0, 5, 10, 15, 20, 30, 40, 60] {
        let rendering = Rendering::of(VALUES);
        let (values, out) = (rendering.values.to_str().unwrap(), rendering.out.to_str().unwrap());
        let line = ["render", "compose", "--out", out, "--values", values];
        let mut child = rendering.world.command(&line).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        let _ = child.kill();
        let _ = child.wait();
        let _ = rendering.run("compose", &[]).exits(0);
        assert!(!rendering.path(".gwinstall/journal").exists(), "{delay}");
        assert!(rendering.path(".gwinstall/pristine.tar").is_file(), "{delay}");
        let _ = rendering.run("compose", &["--check"]).exits(0);
        rendering.values(&VALUES.replace("replicas: 2", "replicas: 3"));
        let edited =
            rendering.read("compose.yaml").replace("image: postgres:16-alpine", "image: postgres:16.4");
        fs::write(rendering.path("compose.yaml"), edited).unwrap();
        let _ = rendering.run("compose", &[]).exits(0);
        assert!(rendering.read("compose.yaml").contains("postgres:16.4"));
    }
}

/// A journal in a directory under version control may be from anybody: it must not name a file elsewhere.
#[test]
fn a_journal_that_leads_elsewhere_is_not_followed() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    let victim = rendering.world.home().join("victim");
    fs::write(&victim, "mine\n").unwrap();
    let sum = gwinstall::domain::Sha256::of(b"mine\n").to_string();
    let stamp = serde_json::json!({ "sha256": sum, "mode": "0644" });
    let journal = |id: &str, path: &str, made: &str| {
        let text = serde_json::json!({
            "schema": 1, "id": id, "version": "1.0.0", "pid": 1, "started": "2026-11-27T00:00:00Z", "operation": "render",
            "steps": [{ "path": path, "pre": null, "post": stamp }], "directories": [made],
        })
        .to_string();
        let sum = gwinstall::domain::Sha256::of(text.as_bytes());
        format!("{text}\n{sum}\n")
    };
    let own = rendering.path(".gwinstall");
    let inside = rendering.path("config").to_str().unwrap().to_owned();
    let outside = rendering.world.home().join("empty");
    fs::create_dir_all(&outside).unwrap();
    for text in [
        journal("1", "../victim", &inside),
        journal("1", victim.to_str().unwrap(), &inside),
        journal("1", "config/../../victim", &inside),
        journal("../../..", "config/x", &inside),
        journal("1", "config/x", outside.to_str().unwrap()),
    ] {
        fs::write(own.join("journal"), &text).unwrap();
        for target in ["compose", "secrets"] {
            let _ = rendering.run(target, &[]).exits(1).says("leads out of this directory").says("rm -r");
        }
        fs::remove_file(own.join("journal")).unwrap();
        fs::create_dir_all(own.join("txn/1")).unwrap();
        fs::write(own.join("txn/1/committed.json"), &text).unwrap();
        let _ = rendering.run("compose", &[]).exits(1).says("leads out of this directory");
        fs::remove_dir_all(own.join("txn")).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
        assert!(outside.is_dir());
    }
    // A directory of a transaction that is a link is another one's.
    fs::create_dir_all(own.join("txn")).unwrap();
    fs::write(outside.join("theirs"), "").unwrap();
    std::os::unix::fs::symlink(&outside, own.join("txn/1")).unwrap();
    let _ = rendering.run("compose", &[]).exits(2).says("is a link");
    assert!(outside.join("theirs").exists());
}

/// Secrets are not written through a link, whatever the record says.
#[test]
fn secrets_stay_in_the_rendered_directory() {
    let values = VALUES.replace("database: {}", "database: {host: db.example.com}");
    let rendering = Rendering::of(&values.replace("redis: {}", "redis: {host: redis.example.com}"));
    let _ = rendering.run("kubernetes", &[]).exits(0);
    let (overlay, elsewhere) = (rendering.path("overlays/staging"), rendering.world.home().join("elsewhere"));
    fs::rename(&overlay, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &overlay).unwrap();
    let _ = rendering.run("secrets", &[]).exits(2).says("is a link");
    assert!(!elsewhere.join("secrets.env").exists());
}

/// What only tells has done nothing if nobody can read it.
#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let rendering = Rendering::of(VALUES);
    let _ = rendering.run("compose", &[]).exits(0);
    let (values, out) = (rendering.values.to_str().unwrap(), rendering.out.to_str().unwrap());
    for line in
        [vec!["render", "--schema"], vec!["render", "compose", "--out", out, "--values", values, "--check"]]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = rendering.world.command(&line).stdout(full).status().unwrap();
        assert_eq!(status.code(), Some(1), "{line:?}");
    }
}
