//! A staged roll-out as ten thousand machines meet it: who takes part, what the others are offered, a halt, an advance by
//! the clock and by a newer document; and documents that contradict themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::forge::{NOW, World, bytes, channel, manifest, now, running};
use crate::server::{Server, answer, raw};
use gwinstall::domain::{Instant, Kind, Result, Sha256};
use gwinstall::doors::net::{Authorities, Client, Timeouts};
use gwinstall::release::documents::{Channel, Document as _, Name};
use gwinstall::release::order::Step as Place;
use gwinstall::release::origin::{Origin, Rejects};
use gwinstall::release::policy::Pin;
use gwinstall::release::rollout::{MachineId, Percent, Standing, Step};
use gwinstall::release::rules::Constraints;
use gwinstall::release::state::State;
use gwinstall::release::update::{LAST_CHECK, LastCheck, News, UpdateCheck};
use serde_json::{Value, json};
use tempfile::TempDir;

const BEFORE: &str = "2026-11-20T00:00:00Z";
const LATER: &str = "2026-11-25T00:00:00Z";

/// One of many machines, always the same.
fn machine(number: usize) -> MachineId {
    MachineId::parse(&id_of(number)).unwrap()
}

/// The text of a machine-id file.
fn id_of(number: usize) -> String {
    Sha256::of(format!("machine {number}").as_bytes()).to_string()[..32].to_owned()
}

/// The first machine whose place in the roll-out of a release is in this range.
fn placed(release: Sha256, range: std::ops::Range<u16>) -> MachineId {
    (0..).map(machine).find(|machine| range.contains(&machine.place(release))).unwrap()
}

fn step(percent: &str, from: &str) -> Step {
    Step { percent: Percent::parse(percent).unwrap(), from: Instant::parse(from).unwrap() }
}

fn at(moment: &str) -> Instant {
    Instant::parse(moment).unwrap()
}

/// 1.0.0 to 1.2.0 on a mirror, the last of them in a roll-out.
struct Scene {
    world: World,
    dir: TempDir,
    server: Server,
    /// The sha256 of the newest manifest.
    newest: Sha256,
}

/// One machine that asks this mirror: what it runs, and what it knows.
struct Machine<'a> {
    scene: &'a Scene,
    state: PathBuf,
    machine: Option<MachineId>,
    seq: u64,
    asked: Option<Pin>,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
        let served = dir.path().join("served");
        let mut newest = Sha256::of(b"");
        for seq in 1..=3 {
            let version = version(seq);
            let home = served.join(format!("v{version}"));
            fs::create_dir_all(&home).unwrap();
            let (document, minisig) = world.signed_manifest(&manifest(seq, &version));
            newest = Sha256::of(&document);
            fs::write(home.join("manifest.json"), document).unwrap();
            fs::write(home.join("manifest.json.minisig"), minisig).unwrap();
        }
        let server = Server::start(move |request, wire| {
            let Ok(body) = fs::read(served.join(request.path.trim_start_matches('/'))) else {
                return answer(wire, "404 Not Found", "", b"");
            };
            let etag = format!("\"{}\"", Sha256::of(&body).short());
            if request.header("if-none-match") == Some(&etag) {
                return raw(wire, "HTTP/1.1 304 Not Modified\nConnection: close\n\n", b"");
            }
            answer(wire, "200 OK", &format!("ETag: {etag}\r\n"), &body);
        });
        Self { world, dir, server, newest }
    }

    fn named(&self, seq: u64) -> Value {
        let path = self.dir.path().join(format!("served/v{}/manifest.json", version(seq)));
        let sha256 = Sha256::of(&fs::read(path).unwrap());
        json!({ "seq": seq, "version": version(seq), "manifest_sha256": sha256 })
    }

    /// The channel names 1.2.0, with these steps and 1.1.0 for the others.
    fn document(&self, steps: &Value) -> Value {
        let mut document = channel(3, &version(3), b"");
        document["manifest_sha256"] = json!(self.newest);
        document["rollout"] = steps.clone();
        document["previous"] = self.named(2);
        document
    }

    fn serve(&self, document: &Value) {
        let (document, minisig) = self.world.signed_channel(document);
        let served = self.dir.path().join("served");
        fs::write(served.join("channel-stable.json"), document).unwrap();
        fs::write(served.join("channel-stable.json.minisig"), minisig).unwrap();
    }

    fn client(&self, name: &str, machine: Option<MachineId>, seq: u64) -> Machine<'_> {
        let state = self.dir.path().join("machines").join(name);
        Machine { scene: self, state, machine, seq, asked: None, now: now() }
    }

    /// The paths that were asked for since the last call.
    fn paths(&self) -> Vec<String> {
        self.server.requests.lock().unwrap().drain(..).map(|request| request.path).collect()
    }
}

fn version(seq: u64) -> String {
    format!("1.{}.0", seq - 1)
}

impl Machine<'_> {
    fn ask<T>(&self, then: impl FnOnce(&UpdateCheck<'_>) -> Result<T>) -> Result<T> {
        let client = || Ok(Client::new(Authorities::compiled_in(), None, None, Timeouts::default()));
        self.ask_at(&Origin::open(&self.scene.server.url(""), client).unwrap(), then)
    }

    fn ask_at<T>(&self, origin: &Origin, then: impl FnOnce(&UpdateCheck<'_>) -> Result<T>) -> Result<T> {
        let running = running(self.seq, &version(self.seq));
        then(&UpdateCheck {
            state: State { dir: &self.state },
            origin,
            embedded_keys: &bytes(&self.scene.world.keys_json(1)),
            running: &running,
            in_use: &running.release(),
            machine: self.machine.as_ref(),
            channel: &Name::parse("stable").unwrap(),
            constraints: Constraints { asked: self.asked.as_ref(), ..Constraints::default() },
            rejects: Rejects::Discard,
            now: self.now,
        })
    }

    /// What `self-update --check` does.
    fn check(&self) -> Result<News> {
        self.ask(|check| {
            let news = check.news(true)?;
            check.look_at(&news).map(|()| news)
        })
    }

    /// The seq that `self-update` would install, where that is newer than what runs.
    fn takes(&self) -> Option<u64> {
        let taken = self.ask(|check| {
            let news = check.news(false)?;
            if !check.names_a_version() && news.newer(self.seq)?.is_none() {
                return Ok(None);
            }
            check.candidate(&news).map(Some)
        });
        let taken = taken.unwrap().filter(|candidate| candidate.verdict.step == Place::Newer);
        taken.map(|candidate| candidate.manifest.facts().seq)
    }

    fn last(&self) -> LastCheck {
        serde_json::from_slice(&fs::read(self.state.join(LAST_CHECK)).unwrap()).unwrap()
    }
}

#[test]
fn who_takes_part_gets_the_newest_and_the_others_the_previous() {
    let scene = Scene::new();
    scene.serve(&scene.document(&json!([{"percent": 5, "from": BEFORE}, {"percent": 50, "from": LATER}])));
    let (early, late) = (placed(scene.newest, 0..500), placed(scene.newest, 5_000..10_000));
    assert_eq!(scene.client("early", Some(early), 1).takes(), Some(3));
    let older = scene.client("late", Some(late.clone()), 1);
    assert_eq!(older.takes(), Some(2));
    let news = older.check().unwrap();
    let next = Some(step("50", LATER));
    let standing = Standing { percent: Percent::parse("5").unwrap(), takes_part: false, next };
    assert_eq!(news.rollout, Some(standing));
    let waiting = news.waiting().unwrap();
    assert!(
        waiting.contains("5 % of all machines now") && waiting.contains("50 % at 2026-11-25"),
        "{waiting}"
    );
    // `status` shows what is offered here, and what is being rolled out.
    let last = older.last();
    assert_eq!((last.seq, last.version.as_str()), (2, "1.1.0"));
    assert_eq!(
        last.rollout.map(|rollout| (rollout.version, rollout.standing)),
        Some(("1.2.0".into(), standing))
    );
    // Who has the previous release gets nothing; who has the newest already keeps it.
    assert_eq!(scene.client("level", Some(late.clone()), 2).takes(), None);
    let ahead = scene.client("ahead", Some(late), 3);
    assert_eq!(ahead.takes(), None);
    assert_eq!(ahead.check().unwrap().waiting(), None);
}

#[test]
fn a_named_version_is_not_held_back() {
    let scene = Scene::new();
    scene.serve(&scene.document(&json!([{"percent": 0, "from": BEFORE}])));
    let mut client = scene.client("one", Some(machine(1)), 1);
    assert_eq!(client.takes(), Some(2));
    client.asked = Some(Pin::parse("1.2.0").unwrap());
    assert_eq!(client.takes(), Some(3));
    assert!(!client.check().unwrap().holds_back());
}

#[test]
fn a_machine_without_an_id_takes_part_once_all_do() {
    let scene = Scene::new();
    scene.serve(
        &scene.document(&json!([{"percent": "99.99", "from": BEFORE}, {"percent": 100, "from": LATER}])),
    );
    let mut client = scene.client("one", None, 1);
    assert_eq!(client.takes(), Some(2));
    client.now = at(LATER);
    assert_eq!(client.takes(), Some(3));
}

/// A step passes without a byte from the mirror: the document is the same, so one conditional GET is all that is asked.
#[test]
fn a_roll_out_advances_by_the_clock() {
    let scene = Scene::new();
    scene.serve(&scene.document(&json!([{"percent": 5, "from": BEFORE}, {"percent": 50, "from": LATER}])));
    let mut client = scene.client("middle", Some(placed(scene.newest, 500..5_000)), 2);
    assert!(client.check().unwrap().holds_back());
    assert_eq!(scene.paths(), ["/channel-stable.json", "/channel-stable.json.minisig"]);
    assert!(client.check().unwrap().holds_back());
    assert_eq!(scene.paths(), ["/channel-stable.json"]);
    client.now = at(LATER);
    let news = client.check().unwrap();
    assert_eq!(news.newer(2).unwrap().map(|named| named.seq), Some(3));
    assert_eq!(
        scene.paths(),
        ["/channel-stable.json", "/v1.2.0/manifest.json", "/v1.2.0/manifest.json.minisig"]
    );
    assert_eq!(client.last().version, "1.2.0");
}

/// A halt leaves what is installed, and offers the release before to the others, although they may have seen the newest.
#[test]
fn a_halt_and_an_advance_are_newer_documents_of_the_same_release() {
    let scene = Scene::new();
    let document = |percent: u16, at: &str| {
        let mut document = scene.document(&json!([{"percent": percent, "from": at}]));
        document["at"] = json!(at);
        document
    };
    scene.serve(&document(5, BEFORE));
    let early = scene.client("early", Some(placed(scene.newest, 0..500)), 1);
    assert_eq!(early.takes(), Some(3));
    assert_eq!(State { dir: &early.state }.trust().unwrap().max_seq_seen, 3);
    scene.serve(&document(0, "2026-11-21T08:00:00Z"));
    let news = early.check().unwrap();
    assert!(news.waiting().unwrap().contains("halted"));
    assert_eq!(early.takes(), Some(2), "it had only looked at 1.2.0");
    assert_eq!(scene.client("early", early.machine.clone(), 3).takes(), None, "it had installed 1.2.0");
    scene.serve(&document(100, "2026-11-21T09:00:00Z"));
    assert_eq!(early.takes(), Some(3));
}

#[test]
fn without_a_previous_release_the_others_are_offered_nothing() {
    let scene = Scene::new();
    let mut document = scene.document(&json!([{"percent": 0, "from": BEFORE}]));
    document.as_object_mut().unwrap().remove("previous");
    scene.serve(&document);
    let client = scene.client("one", Some(machine(1)), 1);
    assert_eq!(client.takes(), None);
    assert_eq!(client.last().version, "1.0.0");
    let error = client.ask(|check| check.candidate(&check.news(false)?).map(drop)).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("does not take part yet"), "{error}");
}

/// A document that is held back itself proves nothing: a mirror cannot stay at 5 % in silence.
#[test]
fn an_expired_roll_out_is_not_up_to_date() {
    let scene = Scene::new();
    scene.serve(&scene.document(&json!([{"percent": 0, "from": BEFORE}])));
    let mut client = scene.client("one", Some(machine(1)), 2);
    client.now = at("2027-02-01T00:00:00Z");
    let error = client.check().unwrap().newer(2).map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("cannot prove"), "{error}");
}

/// What was carried here by hand was decided on by hand.
#[test]
fn a_directory_holds_nothing_back() {
    let scene = Scene::new();
    scene.serve(&scene.document(&json!([{"percent": 0, "from": BEFORE}])));
    let origin =
        Origin::open(scene.dir.path().join("served").to_str().unwrap(), || panic!("no network")).unwrap();
    let client = scene.client("one", Some(machine(1)), 1);
    let seq = client.ask_at(&origin, |check| Ok(check.candidate(&check.news(false)?)?.manifest.facts().seq));
    assert_eq!(seq.unwrap(), 3);
}

/// The previous release is held against what was seen, as the newest is.
#[test]
fn another_manifest_under_the_seq_of_the_previous_release_is_refused() {
    let scene = Scene::new();
    let mut document = scene.document(&json!([{"percent": 0, "from": BEFORE}]));
    scene.serve(&document);
    let client = scene.client("one", Some(machine(1)), 1);
    assert_eq!(client.takes(), Some(2));
    document["previous"]["manifest_sha256"] = json!(Sha256::of(b"another"));
    document["at"] = json!("2026-11-21T09:00:00Z");
    scene.serve(&document);
    let error = client.check().map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Unverified);
    assert!(error.to_string().contains("two releases with seq 2"), "{error}");
    let kept = fs::read_dir(client.state.join("equivocation")).unwrap().count();
    assert!(kept >= 4, "{kept} files of evidence");
}

#[test]
fn documents_that_contradict_themselves_are_refused() {
    let scene = Scene::new();
    let good = scene.document(&json!([{"percent": 0, "from": BEFORE}, {"percent": "2.5", "from": NOW}]));
    Channel::parse(&bytes(&good)).unwrap();
    let many = |count: usize| -> Value {
        let steps = (0..count).map(|at| json!({"percent": at, "from": Instant::from_unix(at as i64)}));
        steps.collect()
    };
    let rollout = |steps: Value| ("rollout", steps);
    let ordered = |first: Value, second: Value| rollout(json!([first, second]));
    let previous = |change: &dyn Fn(&mut Value)| {
        let mut previous = scene.named(2);
        change(&mut previous);
        ("previous", previous)
    };
    let hostile = [
        rollout(json!([])),
        rollout(many(11)),
        rollout(Value::Null),
        rollout(json!({"percent": 5, "from": NOW})),
        rollout(json!([{"percent": 101, "from": NOW}])),
        rollout(json!([{"percent": "100.01", "from": NOW}])),
        rollout(json!([{"percent": "2.555", "from": NOW}])),
        rollout(json!([{"percent": -1, "from": NOW}])),
        rollout(json!([{"percent": 2.5, "from": NOW}])),
        rollout(json!([{"percent": 65_541, "from": NOW}])),
        rollout(json!([{"percent": "5 %", "from": NOW}])),
        rollout(json!([{"percent": null, "from": NOW}])),
        rollout(json!([{"percent": 5}])),
        rollout(json!([{"from": NOW}])),
        rollout(json!([{"percent": 5, "from": "2026-11-21T10:00:00+01:00"}])),
        rollout(json!([{"percent": 5, "from": 1_795_000_000}])),
        ordered(json!({"percent": 5, "from": NOW}), json!({"percent": 50, "from": NOW})),
        ordered(json!({"percent": 5, "from": LATER}), json!({"percent": 50, "from": NOW})),
        ordered(json!({"percent": 50, "from": NOW}), json!({"percent": 5, "from": LATER})),
        ("critical", json!(["rollout"])),
        ("critical", json!(["seq"])),
        previous(&|previous| previous["seq"] = json!(3)),
        previous(&|previous| previous["seq"] = json!(4)),
        previous(&|previous| previous["seq"] = json!(0)),
        previous(&|previous| previous["version"] = json!("1.2.0")),
        previous(&|previous| previous["version"] = json!("../1.1.0")),
        previous(&|previous| previous["manifest_sha256"] = json!(scene.newest)),
        previous(&|previous| drop(previous.as_object_mut().unwrap().remove("seq"))),
        ("previous", Value::Null),
    ];
    for (field, value) in hostile {
        let mut document = good.clone();
        document[field] = value;
        let error = Channel::parse(&bytes(&document)).unwrap_err();
        assert_eq!(error.kind(), Kind::Unverified, "{document}: {error}");
    }
    let mut alone = good.clone();
    alone.as_object_mut().unwrap().remove("rollout");
    assert!(Channel::parse(&bytes(&alone)).is_err(), "a previous release without a roll-out");
    // What a later version adds to a step or to the previous release is left alone, as everywhere in the documents.
    let mut later = good;
    later["rollout"][0]["region"] = json!("eu");
    later["previous"]["severity"] = json!("normal");
    Channel::parse(&bytes(&later)).unwrap();
}

/// A check stays one small file: the longest schedule fits into 2 KiB with the signature.
#[test]
fn the_longest_document_is_small() {
    let scene = Scene::new();
    let steps: Value = (0..10)
        .map(|day| json!({"percent": format!("{day}.25"), "from": format!("2026-11-1{day}")}))
        .collect();
    let (document, minisig) = scene.world.signed_channel(&scene.document(&steps));
    let parsed = Channel::parse(&document).unwrap();
    let written = serde_json::to_vec_pretty(&parsed).unwrap();
    assert_eq!(Channel::parse(&written).unwrap(), parsed);
    assert!(written.len() + minisig.len() <= 2048, "{} + {}", written.len(), minisig.len());
}

/// The id of the system, else one of gwinstall's own, made once; a staged home gets none.
#[test]
fn a_machine_has_one_id() {
    let dir = tempfile::tempdir().unwrap();
    let (system, own) = (dir.path().join("etc-machine-id"), dir.path().join("state/machine-id"));
    let state_dir = dir.path().join("state");
    let state = State { dir: &state_dir };
    let id = |make: bool| state.machine_id(&system, make).unwrap();
    assert_eq!(id(false), None);
    assert!(!Path::new(&state_dir).exists(), "an id was made under --home");
    let made = id(true).unwrap();
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
    for _ in 0..3 {
        assert_eq!(id(true).as_ref(), Some(&made));
        assert_eq!(id(false).as_ref(), Some(&made));
    }
    for none in ["", "uninitialized\n", "not an id\n"] {
        fs::write(&system, none).unwrap();
        assert_eq!(id(true).as_ref(), Some(&made), "{none}");
    }
    fs::write(&system, format!("{}\n", id_of(1))).unwrap();
    assert_eq!(id(true), Some(machine(1)));
    fs::remove_file(&system).unwrap();
    fs::write(&own, "damaged").unwrap();
    assert_ne!(id(true), Some(made));
    state.leave().unwrap();
    assert!(!state_dir.exists(), "uninstall leaves the id behind");
}

/// 5 %, 50 %, halt over ten thousand machines: shares within one percent, and more never means fewer.
#[test]
fn ten_thousand_machines() {
    let machines: Vec<MachineId> = (0..10_000).map(machine).collect();
    let release = Sha256::of(b"a release");
    let takes_part = |release: Sha256, percent: &str| -> Vec<bool> {
        let steps = [step(percent, BEFORE)];
        let of = |machine| Standing::of(Some(machine), release, &steps, now()).takes_part;
        machines.iter().map(of).collect()
    };
    let share = |part: &[bool]| part.iter().filter(|takes_part| **takes_part).count();
    let (five, fifty) = (takes_part(release, "5"), takes_part(release, "50"));
    assert!((400..=600).contains(&share(&five)), "{}", share(&five));
    assert!((4_900..=5_100).contains(&share(&fifty)), "{}", share(&fifty));
    assert!(five.iter().zip(&fifty).all(|(early, later)| *later || !early), "a machine fell out");
    assert_eq!(share(&takes_part(release, "0")), 0);
    assert_eq!(share(&takes_part(release, "100")), 10_000);
    // Another release begins with other machines: of its half, about half were in the other one's.
    let another = takes_part(Sha256::of(b"another release"), "50");
    let both = fifty.iter().zip(&another).filter(|(one, other)| **one && **other).count();
    assert!((2_400..=2_600).contains(&both), "{both}");
    // And they do not ask in the same second.
    let mut seconds = vec![0; 3_601];
    machines.iter().for_each(|machine| seconds[usize::from(machine.delay(3_600))] += 1);
    assert!(seconds.iter().all(|asking| *asking <= 15), "{:?}", seconds.iter().max());
}
