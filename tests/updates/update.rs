//! Taking an update from a directory, an archive and a web server, and replacing an executable: staged, tried,
//! swapped, redeployed; every crash state recovered. The "executables" here are scripts that answer as one would.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::forge::{Chain, World, bytes, channel, manifest, now, policy_input, running};
use crate::server::{Server, answer};
use gwinstall::bundle::pack::{self, Packer};
use gwinstall::domain::{Kind, Result, Sha256};
use gwinstall::doors::net::{Authorities, Client, Timeouts};
use gwinstall::release::bundles;
use gwinstall::release::documents::Name;
use gwinstall::release::order::{self, Step};
use gwinstall::release::origin::{Origin, Rejects};
use gwinstall::release::policy::Pin;
use gwinstall::release::replace::{self, CurrentExe, Deployed, Recovered, Redeployed};
use gwinstall::release::rules::{Constraints, PolicyInput, Refusal, Release, Running, WayIn};
use gwinstall::release::state::State;
use gwinstall::release::trust_state::TrustState;
use gwinstall::release::update::{Candidate, LAST_CHECK, UpdateCheck};
use serde_json::json;
use tempfile::TempDir;

/// Paths and bytes of a bundle.
type BundleBytes = Vec<(String, Vec<u8>)>;

const TARGET: &str = "x86_64-unknown-linux-musl";

/// A world, a served directory and a client at seq 1.
struct Scene {
    world: World,
    dir: TempDir,
    running: Running,
    stable: Name,
    state: PathBuf,
}

fn script(version: &str) -> String {
    format!(
        "#!/bin/sh\ncase $1 in --version) echo gwinstall {version} ;; self-check) exit 0 ;; *) exit 9 ;; esac\n"
    )
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scene = Self {
            world: World::new(),
            state: dir.path().join("state"),
            dir,
            running: running(1, "1.0.0"),
            stable: Name::parse("stable").unwrap(),
        };
        fs::create_dir_all(scene.path("bin")).unwrap();
        fs::write(scene.path("bin/gwinstall"), script("1.0.0")).unwrap();
        fs::set_permissions(scene.path("bin/gwinstall"), fs::Permissions::from_mode(0o755)).unwrap();
        scene
    }

    /// The same, and 1.1.0 is published.
    fn published() -> Self {
        let scene = Self::new();
        scene.publish(2, "1.1.0", &script("1.1.0"));
        scene
    }

    fn state(&self) -> State<'_> {
        State { dir: &self.state }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn embedded(&self) -> Vec<u8> {
        bytes(&self.world.keys_json(1))
    }

    /// Publishes a release whose binary is a script; the bundle is the embedded one.
    fn publish(&self, seq: u64, version: &str, binary: &str) {
        let served = self.path("served");
        let home = served.join(format!("v{version}"));
        fs::create_dir_all(&home).unwrap();
        let bundle = archive();
        let mut facts = manifest(seq, version);
        facts["artifacts"][0]["len"] = json!(binary.len());
        facts["artifacts"][0]["sha256"] = json!(Sha256::of(binary.as_bytes()));
        facts["artifacts"][1]["len"] = json!(bundle.len());
        facts["artifacts"][1]["sha256"] = json!(Sha256::of(&bundle));
        facts["bundle"]["files"] = json!(bundle_files());
        let (document, minisig) = self.world.signed_manifest(&facts);
        let note = channel(seq, version, &document);
        let (note, note_minisig) = self.world.signed_channel(&note);
        let files = [
            (format!("gwinstall-{version}-{TARGET}"), binary.as_bytes().to_vec()),
            (format!("gwinstall-bundle-{version}.tar.gz"), bundle),
            ("manifest.json".into(), document),
            ("manifest.json.minisig".into(), minisig),
            ("channel-stable.json".into(), note),
            ("channel-stable.json.minisig".into(), note_minisig),
            ("keys.json".into(), self.embedded()),
            ("keys.1.json".into(), self.embedded()),
        ];
        let mut offline = Packer::new(Vec::new());
        for (name, bytes) in &files {
            fs::write(home.join(name), bytes).unwrap();
            fs::write(served.join(name), bytes).unwrap();
            offline.file(name, 0o644, bytes).unwrap();
        }
        fs::write(self.path(&format!("offline-{version}.tar")), offline.finish().unwrap()).unwrap();
    }

    fn directory(&self) -> Origin {
        Origin::open(self.path("served").to_str().unwrap(), || panic!("no network is meant")).unwrap()
    }

    fn ask<T>(&self, origin: &Origin, then: impl FnOnce(&UpdateCheck<'_>) -> Result<T>) -> Result<T> {
        self.ask_with(origin, &[], None, then)
    }

    fn ask_with<T>(
        &self,
        origin: &Origin,
        pins: &[Pin],
        asked: Option<&Pin>,
        then: impl FnOnce(&UpdateCheck<'_>) -> Result<T>,
    ) -> Result<T> {
        let embedded = self.embedded();
        then(&UpdateCheck {
            state: self.state(),
            origin,
            embedded_keys: &embedded,
            running: &self.running,
            in_use: &self.running.release(),
            machine: None,
            channel: &self.stable,
            constraints: Constraints { pins, asked, ..Constraints::default() },
            rejects: Rejects::Discard,
            now: now(),
        })
    }

    fn candidate(&self, origin: &Origin) -> Candidate {
        self.ask(origin, |check| check.candidate(&check.news(false)?)).unwrap()
    }

    fn own(&self) -> CurrentExe {
        CurrentExe::new(self.path("bin/gwinstall"), 1, "1.0.0").unwrap()
    }

    fn rollback(&self, own: &CurrentExe, redeploy: replace::Redeploy<'_>) -> Result<()> {
        replace::rollback(self.state(), own, &replace::previous(self.state())?, redeploy)
    }

    fn stage(&self, origin: &Origin, candidate: &Candidate) -> Result<PathBuf> {
        let artifact = order::artifact(&candidate.manifest, "binary", TARGET)?;
        replace::stage(&self.own(), origin, candidate, artifact, &mut |_| ())
    }

    /// What is published, found and staged beside the executable.
    fn staged(&self) -> (Candidate, PathBuf) {
        let candidate = self.candidate(&self.directory());
        let staged = self.stage(&self.directory(), &candidate).unwrap();
        (candidate, staged)
    }

    /// The update from the first question to the end.
    fn updated(&self) {
        let (candidate, staged) = self.staged();
        replace::swap(self.state(), &self.own(), &staged, &candidate, true, &mut |_, _| Ok(works(true)))
            .unwrap();
    }

    fn installed(&self) -> String {
        fs::read_to_string(self.path("bin/gwinstall")).unwrap()
    }

    /// Names in the directory of the executable.
    fn beside(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("bin"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// The embedded bundle as an archive, and its list.
fn archive() -> Vec<u8> {
    let mut packer = pack::tar_gz(Vec::new(), 6);
    for (path, bytes) in bundle_bytes() {
        packer.file(&path, 0o644, &bytes).unwrap();
    }
    packer.finish().unwrap().finish().unwrap()
}

fn bundle_bytes() -> BundleBytes {
    let root = Path::new("embedded");
    let mut files = Vec::new();
    let mut dirs = vec![root.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                dirs.push(entry);
            } else {
                let name = entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read(entry).unwrap()));
            }
        }
    }
    files.sort_by(|left, right| pack::by_name(&left.0, &right.0));
    files
}

fn bundle_files() -> Vec<serde_json::Value> {
    let fact = |(path, bytes): &(String, Vec<u8>)| json!({"path": path, "len": bytes.len(), "sha256": Sha256::of(bytes), "mode": "0644", "class": "doc"});
    bundle_bytes().iter().map(fact).collect()
}

fn works(succeeded: bool) -> Redeployed {
    Redeployed {
        succeeded,
        settled: true,
        backup: Some("gateway-backup-1.tar.gz".into()),
        message: "said".into(),
    }
}

#[test]
fn from_a_directory_an_archive_and_beside_its_manifest() {
    let scene = Scene::published();
    let beside = scene.path("served/v1.1.0").join(format!("gwinstall-1.1.0-{TARGET}"));
    fs::write(&beside, b"\x7fELF not an executable").unwrap();
    assert!(Origin::open(beside.to_str().unwrap(), || panic!()).is_ok());
    fs::write(&beside, script("1.1.0")).unwrap();
    for text in [
        scene.path("served").to_str().unwrap().to_owned(),
        format!("file://{}", scene.path("served").display()),
        scene.path("offline-1.1.0.tar").to_str().unwrap().to_owned(),
        scene.path("served/v1.1.0").to_str().unwrap().to_owned(),
    ] {
        let origin = Origin::open(&text, || panic!("no network is meant")).unwrap();
        let candidate = scene.candidate(&origin);
        assert_eq!((candidate.verdict.step, candidate.manifest.facts().seq), (Step::Newer, 2), "{text}");
        let staged = scene.stage(&origin, &candidate).unwrap();
        assert_eq!(fs::read_to_string(&staged).unwrap(), script("1.1.0"), "{text}");
        assert_eq!(fs::metadata(&staged).unwrap().permissions().mode() & 0o777, 0o755);
        fs::remove_file(staged).unwrap();
    }
    for wrong in ["nowhere", "Cargo.toml", "file://relative", "ftp://x", "http://example.com/"] {
        let Err(error) = Origin::open(wrong, || panic!()) else { panic!("{wrong}") };
        assert_eq!(error.kind(), Kind::Usage, "{wrong}: {error}");
    }
    let alone = scene.path("alone");
    fs::write(&alone, b"\x7fELF").unwrap();
    let Err(error) = Origin::open(alone.to_str().unwrap(), || panic!()) else { panic!() };
    assert!(error.to_string().contains("manifest.json.minisig must be beside it"), "{error}");
}

/// Over HTTP: a check is one conditional GET, and a manifest the first time that the channel announces it; 304 has no body
/// and asks for no signature; every host is announced.
#[test]
fn from_a_web_server() {
    let scene = Scene::published();
    let root = scene.path("served");
    let server = Server::start(move |request, wire| {
        let Ok(body) = fs::read(root.join(request.path.trim_start_matches('/'))) else {
            return answer(wire, "404 Not Found", "", b"");
        };
        let etag = format!("\"{}\"", Sha256::of(&body).short());
        if request.header("if-none-match") == Some(&etag) {
            return crate::server::raw(wire, "HTTP/1.1 304 Not Modified\nConnection: close\n\n", b"");
        }
        answer(wire, "200 OK", &format!("ETag: {etag}\r\n"), &body);
    });
    let client = || Ok(Client::new(Authorities::compiled_in(), None, None, Timeouts::default()));
    let origin = Origin::open(&server.url(""), client).unwrap();
    let paths =
        || -> Vec<String> { server.requests.lock().unwrap().drain(..).map(|request| request.path).collect() };
    let newer = |scene: &Scene| {
        scene.ask(&origin, |check| {
            let news = check.news(true)?;
            check.look_at(&news)?;
            Ok(news.newer(scene.running.seq)?.map(|channel| channel.version.to_string()))
        })
    };
    assert_eq!(newer(&scene).unwrap().as_deref(), Some("1.1.0"));
    let manifest = ["/v1.1.0/manifest.json", "/v1.1.0/manifest.json.minisig"];
    assert_eq!(paths(), ["/channel-stable.json", "/channel-stable.json.minisig", manifest[0], manifest[1]]);
    let size = |name: &str| fs::metadata(scene.path("served").join(name)).unwrap().len();
    assert!(size("channel-stable.json") + size("channel-stable.json.minisig") <= 2048);
    assert_eq!(newer(&scene).unwrap().as_deref(), Some("1.1.0"));
    assert_eq!(paths(), ["/channel-stable.json"]);
    assert!(scene.path("state").join(LAST_CHECK).is_file());
    let candidate = scene.candidate(&origin);
    scene.stage(&origin, &candidate).unwrap();
    let binary = format!("/v1.1.0/gwinstall-1.1.0-{TARGET}");
    assert_eq!(paths(), ["/channel-stable.json", manifest[0], manifest[1], binary.as_str()]);
    // A damaged copy of the channel on this machine is found out although the server says "unchanged".
    let kept = scene.path("state/channel-stable.json");
    fs::write(&kept, fs::read_to_string(&kept).unwrap().replace("\"seq\": 2", "\"seq\": 1")).unwrap();
    assert_eq!(newer(&scene).unwrap_err().kind(), Kind::Unverified);
    // D09: a half-published release.
    fs::remove_file(scene.path("served").join(&binary[1..])).unwrap();
    fs::remove_file(&kept).unwrap();
    let error = scene.stage(&origin, &scene.candidate(&origin)).unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
    assert_eq!(scene.beside(), ["gwinstall"]);
}

/// Keys rotate: the origin's chain is walked once, kept, and walked again without the origin.
#[test]
fn new_keys_are_learnt_and_kept() {
    let scene = Scene::published();
    let mut chain = Chain::default();
    chain.add(2, &scene.world.keys_json(2), &[&scene.world.roots[0], &scene.world.roots[2]]);
    fs::write(scene.path("served/keys.2.json"), &chain.documents[&2]).unwrap();
    for ((version, id), minisig) in &chain.signatures {
        fs::write(scene.path("served").join(format!("keys.{version}.json.{id}.minisig")), minisig).unwrap();
    }
    scene.candidate(&scene.directory());
    let state = scene.state();
    assert_eq!(state.keys(&scene.embedded()).unwrap().version(), 2);
    assert_eq!(state.trust().unwrap().keys_version, 2);
    // Without what was kept, older keys do not come back into power.
    fs::remove_dir_all(scene.state.join("keys")).unwrap();
    fs::remove_file(scene.path("served/keys.2.json")).unwrap();
    let error = scene.ask(&scene.directory(), |check| check.news(false).map(drop)).unwrap_err();
    assert_eq!(error.kind(), Kind::Unverified);
    assert!(error.to_string().contains("keys.2.json is missing"), "{error}");
    assert_eq!(scene.state().keys(b"").unwrap_err().kind(), Kind::Refused);
}

/// S18 and the rows "arbitrary software", "endless data": what was not signed leaves no file behind.
#[test]
fn s18_artifacts_that_are_not_what_was_signed() {
    let scene = Scene::published();
    let origin = scene.directory();
    let candidate = scene.candidate(&origin);
    let path = scene.path("served/v1.1.0").join(format!("gwinstall-1.1.0-{TARGET}"));
    let good = script("1.1.0");
    for forged in [good.replace("exit 9", "exit 8"), format!("{good}#"), good[1..].to_owned(), String::new()]
    {
        fs::write(&path, forged).unwrap();
        let error = scene.stage(&origin, &candidate).unwrap_err();
        assert_eq!(error.kind(), Kind::Unverified, "{error}");
        assert_eq!(scene.beside(), ["gwinstall"]);
    }
    // A version is asked for, and the origin has another one under its name.
    let pin = Pin::parse("1.0.5").unwrap();
    fs::rename(scene.path("served/v1.1.0"), scene.path("served/v1.0.5")).unwrap();
    let outcome =
        scene.ask_with(&origin, &[], Some(&pin), |check| check.candidate(&check.news(false)?).map(drop));
    assert_eq!(outcome.unwrap_err().kind(), Kind::Unverified);
    let outcome =
        scene.ask_with(&origin, &[pin], None, |check| check.candidate(&check.news(false)?).map(drop));
    assert_eq!(outcome.unwrap_err().kind(), Kind::Refused);
}

/// 8: an executable that does not run, says another version or finds itself broken is never put in place.
#[test]
fn a_new_executable_must_work_first() {
    for (what, binary) in [
        ("another version", script("1.1.1")),
        ("fails", "#!/bin/sh\nexit 1\n".to_owned()),
        ("broken inside", script("1.1.0").replace("exit 0", "exit 1")),
        ("no program", "text".to_owned()),
    ] {
        let scene = Scene::new();
        scene.publish(2, "1.1.0", &binary);
        let candidate = scene.candidate(&scene.directory());
        let error = scene.stage(&scene.directory(), &candidate).unwrap_err();
        assert_eq!(error.kind(), Kind::Failed, "{what}: {error}");
        assert_eq!(scene.beside(), ["gwinstall"], "{what}");
        assert_eq!(scene.installed(), script("1.0.0"));
    }
}

#[test]
fn executable_and_configuration_move_together() {
    let scene = Scene::published();
    let origin = scene.directory();
    let state = scene.state();
    // The redeployment fails, or cannot even run: both are as before.
    for answer in [Ok(works(false)), Err(gwinstall::domain::Error::failed("no"))] {
        let candidate = scene.candidate(&origin);
        let staged = scene.stage(&origin, &candidate).unwrap();
        let outcome = replace::swap(state, &scene.own(), &staged, &candidate, true, &mut |path, words| {
            assert_eq!(fs::read_to_string(path).unwrap(), script("1.1.0"));
            assert_eq!(words[0], "update");
            answer.clone()
        });
        assert_eq!(outcome.unwrap_err().kind(), Kind::RolledBack);
        assert_eq!((scene.installed(), scene.beside()), (script("1.0.0"), vec!["gwinstall".to_owned()]));
        assert!(replace::interrupted(state).unwrap().is_none());
    }
    let candidate = scene.candidate(&origin);
    let staged = scene.stage(&origin, &candidate).unwrap();
    let own = scene.own();
    replace::swap(state, &own, &staged, &candidate, true, &mut |_, _| Ok(works(true))).unwrap();
    assert_eq!(scene.installed(), script("1.1.0"));
    assert_eq!(scene.beside(), ["gwinstall", "gwinstall.previous"]);
    assert!(replace::was_replaced(&own).unwrap());
    assert_eq!(state.trust().unwrap().installed.unwrap().seq, 2);
    assert!(bundles::manifest(state, &scene.world.keys(), 2).unwrap().is_some());

    // The way back: one level.
    let new = CurrentExe::new(scene.path("bin/gwinstall"), 2, "1.1.0").unwrap();
    let failed = scene.rollback(&new, &mut |_, _| Ok(works(false))).unwrap_err();
    assert_eq!((failed.kind(), scene.installed()), (Kind::RolledBack, script("1.1.0")));
    let mut ran = Vec::new();
    scene
        .rollback(&new, &mut |_, words| {
            ran = words.to_vec();
            Ok(works(true))
        })
        .unwrap();
    assert_eq!(ran, ["rollback", "gateway-backup-1.tar.gz", "--yes", "--json"]);
    assert_eq!((scene.installed(), scene.beside()), (script("1.0.0"), vec!["gwinstall".to_owned()]));
    let error = scene.rollback(&scene.own(), &mut |_, _| panic!("nothing to run")).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert_eq!(state.trust().unwrap().max_seq_seen, 2, "a way back forgets nothing");
}

/// The kept executable is not the one that was kept: nothing is run or moved.
#[test]
fn a_forged_previous_executable_is_not_restored() {
    let scene = Scene::published();
    scene.updated();
    fs::write(scene.path("bin/gwinstall.previous"), script("1.0.0") + "# more\n").unwrap();
    let new = CurrentExe::new(scene.path("bin/gwinstall"), 2, "1.1.0").unwrap();
    let error = scene.rollback(&new, &mut |_, _| panic!("must not run")).unwrap_err();
    assert_eq!(error.kind(), Kind::Unverified);
    assert_eq!(scene.installed(), script("1.1.0"));
}

/// Killed in the redeployment: the facts decide. The record has the new seq → finished; else → taken back.
#[test]
fn killed_while_redeploying() {
    for (record_seq, deploys, expected, installed) in [
        (Some(2), true, Recovered::Finished, "1.1.0"),
        (Some(1), true, Recovered::Undone, "1.0.0"),
        (None, true, Recovered::Undone, "1.0.0"),
    ] {
        let scene = Scene::published();
        let state = scene.state();
        let (candidate, staged) = scene.staged();
        let saved = crash_within(&scene, |redeploy| {
            replace::swap(state, &scene.own(), &staged, &candidate, deploys, redeploy).map(drop)
        });
        saved.restore(&scene);
        assert_eq!(scene.installed(), script("1.1.0"));
        let deployed = || Ok(Deployed { seq: record_seq, backup: Some("b.tar.gz".into()) });
        assert_eq!(replace::recover(state, &deployed, 0).unwrap(), expected);
        assert_eq!(scene.installed(), script(installed));
        assert_eq!(replace::recover(state, &deployed, 0).unwrap(), Recovered::Nothing);
        assert_eq!(replace::previous(state).is_ok(), expected == Recovered::Finished);
    }
}

/// Every state that a crash can leave around the rename is recovered to one of the two whole states.
#[test]
fn every_state_around_the_rename() {
    for (kept, exchanged, staged_left) in [(false, false, true), (true, false, true), (true, true, false)] {
        let scene = Scene::published();
        let state = scene.state();
        let (candidate, staged) = scene.staged();
        let saved = crash_within(&scene, |redeploy| {
            replace::swap(state, &scene.own(), &staged, &candidate, true, redeploy).map(drop)
        });
        saved.restore(&scene);
        let (exe, previous) = (scene.path("bin/gwinstall"), scene.path("bin/gwinstall.previous"));
        if !exchanged {
            fs::remove_file(&exe).unwrap();
            if kept { fs::hard_link(&previous, &exe).unwrap() } else { fs::rename(&previous, &exe).unwrap() }
        }
        if staged_left {
            fs::write(&staged, script("1.1.0")).unwrap();
        }
        let deployed = || Ok(Deployed { seq: Some(1), backup: None });
        assert_eq!(replace::recover(state, &deployed, 0).unwrap(), Recovered::Undone);
        assert_eq!(scene.installed(), script("1.0.0"), "{kept} {exchanged}");
        assert!(!previous.exists() && !staged.exists());
        // And the next update goes through.
        scene.updated();
        assert_eq!(scene.installed(), script("1.1.0"));
    }
}

/// Killed in a rollback, before and after the configuration was restored.
#[test]
fn killed_while_rolling_back() {
    for (record_seq, expected, installed) in
        [(Some(1), Recovered::Finished, "1.0.0"), (Some(2), Recovered::Undone, "1.1.0")]
    {
        let scene = Scene::published();
        let state = scene.state();
        scene.updated();
        let new = CurrentExe::new(scene.path("bin/gwinstall"), 2, "1.1.0").unwrap();
        crash_within(&scene, |redeploy| scene.rollback(&new, redeploy).map(drop)).restore(&scene);
        let deployed = || Ok(Deployed { seq: record_seq, backup: None });
        assert_eq!(replace::recover(state, &deployed, 0).unwrap(), expected);
        assert_eq!(scene.installed(), script(installed));
    }
}

/// Two at a time: the second is told who is at it.
#[test]
fn one_at_a_time() {
    let scene = Scene::new();
    let state = scene.state();
    let lock = state.lock("self-update", 0).unwrap();
    let error = state.lock("self-update", 0).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(lock);
    state.lock("self-update", 0).unwrap();
}

/// Bundles: exactly the manifest's files, both ways; the newest that today's rules allow wins.
#[test]
fn bundles_are_verified_at_each_use() {
    let scene = Scene::new();
    let state = scene.state();
    let keys = scene.world.keys();
    for (seq, version) in [(2, "1.1.0"), (3, "1.2.0"), (4, "1.3.0")] {
        scene.publish(seq, version, &script(version));
        let bundle =
            bundles::fetch(state, &scene.directory(), &scene.candidate(&scene.directory()), &mut |_| ())
                .unwrap();
        assert_eq!(
            (bundle.id.seq, bundle.id.version.as_str(), bundle.id.origin.word()),
            (seq, version, "release")
        );
    }
    assert!(!scene.state.join("bundles/2").exists(), "the newest two are kept");
    let choose = |trust: &TrustState, pins: &[Pin], deployed: u64, than: u64| {
        let input = PolicyInput {
            way_in: WayIn::FetchedBundle,
            in_use: Release { seq: deployed, version: String::new() },
            constraints: Constraints { pins, ..Constraints::default() },
            ..policy_input(&scene.running, trust, &scene.stable)
        };
        bundles::newest(state, &keys, than, &input)
    };
    let newest = |trust: &TrustState, pins: &[Pin], than| {
        choose(trust, pins, 0, than).unwrap().bundle.map(|bundle| bundle.id.seq)
    };
    let fresh = TrustState::default();
    assert_eq!(newest(&fresh, &[], 1), Some(4));
    assert_eq!(newest(&fresh, &[], 4), None);
    assert_eq!(newest(&fresh, &[Pin::parse("1.2.0").unwrap()], 1), Some(3));
    assert_eq!(newest(&fresh, &[Pin::parse("1.0.0").unwrap()], 1), None);
    let denied =
        TrustState { denied: [("1.3.0".to_owned(), "bad".to_owned())].into(), ..TrustState::default() };
    let choice = choose(&denied, &[], 0, 1).unwrap();
    assert_eq!(choice.bundle.map(|bundle| bundle.id.seq), Some(3));
    assert!(matches!(choice.refused[..], [Refusal::Denied { .. }]), "{:?}", choice.refused);
    assert_eq!(newest(&TrustState { floor_seq: 5, ..TrustState::default() }, &[], 1), None);
    // What is deployed is newer than all of them: none replaces it in silence.
    assert_eq!(choose(&fresh, &[], 5, 1).unwrap_err().kind(), Kind::Refused);
    assert_eq!(choose(&fresh, &[], 4, 1).unwrap().bundle.map(|bundle| bundle.id.seq), Some(4));
    let archive = scene.state.join("bundles/4/bundle.tar.gz");
    let mut forged = fs::read(&archive).unwrap();
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    fs::write(&archive, forged).unwrap();
    assert_eq!(choose(&fresh, &[], 0, 1).unwrap_err().kind(), Kind::Unverified);
}

/// What a killed self-update left half written goes with the next changing command; whole files stay.
#[test]
fn partial_files_are_removed() {
    let scene = Scene::new();
    let state = scene.state();
    scene.publish(2, "1.1.0", &script("1.1.0"));
    bundles::fetch(state, &scene.directory(), &scene.candidate(&scene.directory()), &mut |_| ()).unwrap();
    let executable = scene.path("bin/gwinstall");
    assert!(replace::partial_files(state, &executable).unwrap().is_empty());
    let partial = ["bundles/2/bundle.tar.gz.part", "bundles/2/manifest.json.tmp", "previous.json.tmp"];
    for name in partial {
        fs::write(scene.state.join(name), "half").unwrap();
    }
    assert_eq!(replace::partial_files(state, &executable).unwrap().len(), partial.len());
    replace::remove_partial_files(state, &executable).unwrap();
    assert!(replace::partial_files(state, &executable).unwrap().is_empty());
    assert!(partial.iter().all(|name| !scene.state.join(name).exists()));
    assert!(scene.state.join("bundles/2/bundle.tar.gz").exists());
}

/// A47, A48: an archive with a file more, less, other or renamed than its manifest lists.
#[test]
fn bundle_archives_must_be_the_manifests_list() {
    let scene = Scene::published();
    let manifest = scene.candidate(&scene.directory()).manifest;
    let open = |change: &dyn Fn(&mut BundleBytes)| {
        let mut files = bundle_bytes();
        change(&mut files);
        let mut packer = pack::tar_gz(Vec::new(), 1);
        for (path, bytes) in files {
            packer.file(&path, 0o644, &bytes).unwrap();
        }
        let archive = packer.finish().unwrap().finish().unwrap();
        bundles::open(&archive[..], &manifest, gwinstall::domain::record::BundleOrigin::File, None).map(drop)
    };
    open(&|_| ()).unwrap();
    let refused = |words: &str, change: &dyn Fn(&mut BundleBytes)| {
        let error = open(change).unwrap_err();
        assert_eq!(error.kind(), Kind::Unverified, "{words}");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused("is not in the manifest", &|files| files.push(("extra".into(), vec![])));
    refused("is missing", &|files| drop(files.pop()));
    refused("were signed", &|files| files[0].1.push(b'x'));
    refused("is not what was signed", &|files| files[0].1[0] ^= 1);
    refused("is not in the manifest", &|files| files[0].0.push('x'));
}

/// `--bundle FILE`: an offline archive, or an archive beside its manifest; never one alone.
#[test]
fn bundles_from_files() {
    let scene = Scene::published();
    let keys = scene.world.keys();
    for path in [scene.path("offline-1.1.0.tar"), scene.path("served/v1.1.0/gwinstall-bundle-1.1.0.tar.gz")] {
        let (bundle, manifest) = bundles::from_file(&keys, &path).unwrap();
        assert_eq!((bundle.id.seq, manifest.facts().seq, bundle.id.origin.word()), (2, 2, "file"));
    }
    let alone = scene.path("alone.tar.gz");
    fs::write(&alone, archive()).unwrap();
    assert_eq!(bundles::from_file(&keys, &alone).unwrap_err().kind(), Kind::Usage);
    let stranger = World::new();
    let error = bundles::from_file(&stranger.keys(), &scene.path("offline-1.1.0.tar")).unwrap_err();
    assert_eq!(error.kind(), Kind::Unverified);
}

/// The disk as it was when the power went: executables and state.
struct Saved(Vec<(PathBuf, Vec<u8>)>);

impl Saved {
    fn of(scene: &Scene) -> Self {
        let mut files = Vec::new();
        for dir in ["bin", "state"] {
            for entry in fs::read_dir(scene.path(dir)).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_file() && !entry.ends_with("self-update.lock") {
                    files.push((entry.clone(), fs::read(&entry).unwrap()));
                }
            }
        }
        Self(files)
    }

    fn restore(&self, scene: &Scene) {
        for dir in ["bin", "state"] {
            for entry in fs::read_dir(scene.path(dir)).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_file() && !entry.ends_with("self-update.lock") {
                    fs::remove_file(entry).unwrap();
                }
            }
        }
        for (path, bytes) in &self.0 {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// Runs a change and takes the picture of the disk while the ordinary command would run.
fn crash_within(scene: &Scene, change: impl FnOnce(replace::Redeploy<'_>) -> Result<()>) -> Saved {
    let mut saved = None;
    let outcome = change(&mut |_, _| {
        saved = Some(Saved::of(scene));
        Ok(works(true))
    });
    outcome.unwrap();
    saved.unwrap()
}

/// Nothing of an archive is signed before its documents are read: only their names count, and only so many bytes.
#[test]
fn an_archive_of_many_documents_stays_small_in_memory() {
    let scene = Scene::published();
    let archive = |name: &dyn Fn(u64) -> String| {
        let path = scene.path("many.tar");
        let mut packer = Packer::new(Vec::new());
        for number in 0..990 {
            packer.file(&name(number), 0o644, &vec![b' '; 250 << 10]).unwrap();
        }
        fs::write(&path, packer.finish().unwrap()).unwrap();
        Origin::open(path.to_str().unwrap(), || panic!("no network is meant"))
    };
    let Origin::Archive { documents, .. } = archive(&|number| format!("sbom-{number}.json")).unwrap() else {
        panic!("it is an archive")
    };
    assert!(documents.is_empty());
    for name in ["keys.N.json", "keys.N.json.x.minisig", "channel-N.json", "manifest.N.json"] {
        let opened = archive(&|number| name.replace('N', &number.to_string()));
        assert_eq!(opened.err().unwrap().kind(), Kind::Unverified, "{name}");
    }
}

/// What lies in a directory of releases is a file, or it is no release; and the answer comes at once.
#[test]
fn a_pipe_or_a_device_is_no_release() {
    let began = std::time::Instant::now();
    for name in
        ["channel-stable.json", "manifest.json", "manifest.json.minisig", "keys.2.json", "gwinstall-1.1.0-"]
    {
        for kind in ["pipe", "zero", "directory", "huge"] {
            let scene = Scene::published();
            let name = if name.ends_with('-') { format!("v1.1.0/{name}{TARGET}") } else { name.to_owned() };
            let places =
                [scene.path(&format!("served/{name}")), scene.path(&format!("served/v1.1.0/{name}"))];
            for path in places.iter().filter(|path| path.parent().unwrap().is_dir()) {
                let _ = fs::remove_file(path);
                match kind {
                    "pipe" => {
                        rustix::fs::mknodat(
                            rustix::fs::CWD,
                            path,
                            rustix::fs::FileType::Fifo,
                            rustix::fs::Mode::RWXU,
                            0,
                        )
                        .unwrap();
                    }
                    "zero" => std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
                    "directory" => fs::create_dir(path).unwrap(),
                    _ => fs::File::create(path).unwrap().set_len(1 << 33).unwrap(),
                }
            }
            let origin = scene.directory();
            let taken = scene.ask(&origin, |check| {
                let candidate = check.candidate(&check.news(false)?)?;
                let artifact = order::artifact(&candidate.manifest, "binary", TARGET)?;
                replace::stage(&scene.own(), &origin, &candidate, artifact, &mut |_| ())
            });
            assert_eq!(taken.unwrap_err().kind(), Kind::Unverified, "{name}: {kind}");
        }
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
}
