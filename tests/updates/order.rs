//! What may be taken, and in which order: rows of the attack table, S09–S20, and the tuf-conformance cases about
//! rollback and expiry by their names. Promise shown: whatever is refused says why, with the exit code of its class.

use crate::forge::{World, channel, manifest, now, policy_input, running};
use gwinstall::domain::{Error, Instant, Kind, Sha256};
use gwinstall::release::documents::{Channel, Manifest, Name};
use gwinstall::release::order::{self, Freshness, Step, Verdict};
use gwinstall::release::policy::Pin;
use gwinstall::release::rules::{self, Constraints, PolicyInput, Refusal, Running, WayIn};
use gwinstall::release::trust::{TrustedKeys, Verified};
use gwinstall::release::trust_state::{Seen, TrustState};
use serde_json::{Value, json};

/// A published world, and one client that stands at seq 10.
struct Scene {
    world: World,
    running: Running,
    trust: TrustState,
    stable: Name,
}

impl Scene {
    fn new() -> Self {
        let trust = TrustState { max_seq_seen: 10, ..TrustState::default() };
        Self {
            world: World::new(),
            running: running(10, "1.0.0"),
            trust,
            stable: Name::parse("stable").unwrap(),
        }
    }

    fn keys(&self) -> TrustedKeys {
        self.world.keys()
    }

    fn input(&self) -> PolicyInput<'_> {
        policy_input(&self.running, &self.trust, &self.stable)
    }

    fn with<'a>(&'a self, constraints: Constraints<'a>) -> PolicyInput<'a> {
        PolicyInput { constraints, ..self.input() }
    }

    fn pinned<'a>(&'a self, pins: &'a [Pin]) -> PolicyInput<'a> {
        self.with(Constraints { pins, ..Constraints::default() })
    }

    fn manifest(&self, seq: u64, version: &str) -> Verified<Manifest> {
        self.manifest_with(seq, version, |_| ())
    }

    fn manifest_with(&self, seq: u64, version: &str, change: impl FnOnce(&mut Value)) -> Verified<Manifest> {
        let mut facts = manifest(seq, version);
        change(&mut facts);
        let (bytes, minisig) = self.world.signed_manifest(&facts);
        self.keys().verify_manifest(&bytes, &minisig).unwrap()
    }

    /// A channel document for that manifest.
    fn channel(&self, of: &Verified<Manifest>, change: impl FnOnce(&mut Value)) -> Verified<Channel> {
        let facts = of.facts();
        let mut document = channel(facts.seq, facts.version.as_str(), b"");
        document["manifest_sha256"] = json!(of.sha256());
        change(&mut document);
        let (bytes, minisig) = self.world.signed_channel(&document);
        self.keys().verify_channel(&bytes, &minisig).unwrap()
    }

    /// The whole judgement as an online update makes it.
    fn online(
        &self,
        input: &PolicyInput<'_>,
        of: &Verified<Manifest>,
        note: &Verified<Channel>,
    ) -> Result<Verdict, Error> {
        rules::admit_channel(note, input).map_err(|refusal| refusal.error(input.way_in))?;
        let freshness = order::freshness(&self.keys(), note, input)?;
        order::same_release(&note.facts().channel, &note.facts().newest(), of)?;
        judge(&self.keys(), of, freshness, input)
    }

    fn offline(&self, of: &Verified<Manifest>) -> Result<Verdict, Error> {
        self.offline_with(of, &self.input())
    }

    fn offline_with(&self, of: &Verified<Manifest>, input: &PolicyInput<'_>) -> Result<Verdict, Error> {
        judge(&self.keys(), of, Freshness::NotAsked, input)
    }
}

fn judge(
    keys: &TrustedKeys,
    of: &Verified<Manifest>,
    freshness: Freshness,
    input: &PolicyInput<'_>,
) -> Result<Verdict, Error> {
    rules::admit(of, input).map_err(|refusal| refusal.error(input.way_in))?;
    Ok(order::verdict(keys, of, freshness, input))
}

fn refused(outcome: Result<Verdict, Error>, kind: Kind, words: &str) -> Error {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error} does not say {words:?}");
    error
}

#[test]
fn tuf_test_basic_init_and_refresh() {
    let scene = Scene::new();
    let next = scene.manifest(11, "1.1.0");
    let verdict = scene.online(&scene.input(), &next, &scene.channel(&next, |_| ())).unwrap();
    assert_eq!((verdict.step, verdict.freshness), (Step::Newer, Freshness::Proved));
    assert_eq!(verdict.notes, Vec::<String>::new());
    let artifact = order::artifact(&next, "binary", "x86_64-unknown-linux-musl").unwrap();
    assert_eq!(artifact.sha256, Sha256::of(b"test"));
}

/// S09: the installed release again is "up to date"; the same seq with other bytes is equivocation.
/// tuf-conformance: `test_timestamp_eq_versions_check`, `test_timestamp_content_changes`.
#[test]
fn s09_same_seq() {
    let mut scene = Scene::new();
    let same = scene.manifest(10, "1.0.0");
    scene.running.manifest = Some(same.sha256());
    let verdict = scene.online(&scene.input(), &same, &scene.channel(&same, |_| ())).unwrap();
    assert_eq!(verdict.step, Step::Current);
    verdict.claim_current().unwrap();
    let other = scene.manifest_with(10, "1.0.0", |manifest| manifest["commit"] = json!("f".repeat(40)));
    let error = refused(scene.offline(&other), Kind::Unverified, "two releases with seq 10");
    assert!(error.to_string().contains(&same.sha256().to_string()), "{error}");
    assert!(error.to_string().contains(&other.sha256().to_string()), "{error}");
}

/// S20: two mirrors, two manifests, one seq: noticed once one of the two manifests was verified.
#[test]
fn s20_equivocation() {
    let mut scene = Scene::new();
    let a = scene.manifest(11, "1.1.0");
    let b = scene.manifest_with(11, "1.1.0", |manifest| manifest["commit"] = json!("f".repeat(40)));
    let note = scene.channel(&b, |_| ());
    // What a channel says of a release counts only with its manifest.
    scene.trust.saw_channel(&scene.channel(&a, |_| ()));
    scene.online(&scene.input(), &b, &note).unwrap();
    scene.trust.saw_manifest(&a);
    refused(scene.online(&scene.input(), &b, &note), Kind::Unverified, "two releases with seq 11");
    // Also where a newer release was seen since.
    scene.trust.saw_manifest(&scene.manifest(12, "1.2.0"));
    refused(scene.offline(&b), Kind::Unverified, "two releases with seq 11");
    scene.trust = TrustState::default();
    scene.trust.saw_manifest(&a);
    refused(scene.offline(&b), Kind::Unverified, "two releases with seq 11");
    scene.trust =
        TrustState { newest: Some(Seen { seq: 12, manifest_sha256: a.sha256() }), ..TrustState::default() };
    scene.offline(&b).unwrap();
}

/// S10 and the row "rollback": lower than installed, lower than seen, below the floor, denied.
#[test]
fn s10_rollback() {
    let mut scene = Scene::new();
    scene.running = running(30, "1.3.0");
    scene.trust.max_seq_seen = 40;
    let older = scene.manifest(20, "1.2.0");
    let error = refused(scene.offline(&older), Kind::Refused, "would be a downgrade");
    assert!(error.advice().unwrap().to_string().contains("--allow-downgrade=1.2.0"), "{error:?}");
    let seen = scene.manifest(35, "1.3.5");
    let error = refused(scene.offline(&seen), Kind::Refused, "seq 40 was seen before");
    assert!(error.advice().unwrap().to_string().contains("--allow-downgrade=1.3.5"));
    let (exact, other) = (Name::parse("1.2.0").unwrap(), Name::parse("1.2").unwrap());
    let with = |of, allow| {
        let constraints = Constraints { allow_downgrade: Some(allow), ..Constraints::default() };
        scene.offline_with(of, &scene.with(constraints))
    };
    let verdict = with(&older, &exact).unwrap();
    assert_eq!(verdict.step, Step::Older);
    assert!(verdict.notes[0].contains("seq 40"), "{:?}", verdict.notes);
    refused(with(&older, &other), Kind::Refused, "downgrade");
    refused(with(&seen, &exact), Kind::Refused, "downgrade");
}

/// tuf-conformance `test_new_timestamp_version_rollback`, `test_snapshot_rollback`, `test_targets_rollback`.
#[test]
fn tuf_test_rollback_of_the_channel() {
    let mut scene = Scene::new();
    scene.trust.max_seq_seen = 12;
    let behind = scene.manifest(11, "1.1.0");
    let note = scene.channel(&behind, |_| ());
    refused(scene.online(&scene.input(), &behind, &note), Kind::Refused, "this origin is behind");
    // The same news in an older document: nothing is wrong with it, but nothing is proved by it.
    scene.trust = TrustState { max_channel_at: Some(now()), max_seq_seen: 10, ..TrustState::default() };
    let verdict = scene.online(&scene.input(), &behind, &note).unwrap();
    assert!(
        matches!(&verdict.freshness, Freshness::Unproved(why) if why.contains("newer than the one")),
        "{verdict:?}"
    );
}

/// S10: the floor needs its own exact override.
#[test]
fn s10_below_the_floor() {
    let mut scene = Scene::new();
    scene.running = running(30, "1.3.0");
    scene.trust = TrustState { max_seq_seen: 40, floor_seq: 37, ..TrustState::default() };
    let low = scene.manifest(33, "1.3.3");
    let named = Name::parse("1.3.3").unwrap();
    let with = |floor| {
        let constraints = Constraints {
            allow_downgrade: Some(&named),
            accept_below_floor: floor,
            ..Constraints::default()
        };
        scene.offline_with(&low, &scene.with(constraints))
    };
    for wrong in [None, Some(32), Some(34), Some(37)] {
        let error = with(wrong).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.advice().unwrap().to_string().contains("--accept-below-floor=33"), "{error:?}");
    }
    let verdict = with(Some(33)).unwrap();
    assert!(verdict.notes.iter().any(|note| note.contains("below the floor of 37")), "{:?}", verdict.notes);
}

/// A denied release cannot be taken by any override, whether the list is remembered or its own.
#[test]
fn denied_releases() {
    let mut scene = Scene::new();
    let deny = json!([
        {"kind": "self", "name": "gwinstall", "versions": ["1.1.0"], "why": "deletes \u{1b}[31mfiles"},
        {"kind": "pypi", "name": "litellm", "versions": ["1.2.0"], "why": "stealer"},
    ]);
    scene.trust.saw_manifest(&scene.manifest_with(12, "1.2.0", |manifest| manifest["deny"] = deny.clone()));
    let denied = scene.manifest(11, "1.1.0");
    let (named, pin) = (Name::parse("1.1.0").unwrap(), [Pin::Manifest(denied.sha256())]);
    let most = scene.with(Constraints {
        allow_downgrade: Some(&named),
        accept_below_floor: Some(11),
        pins: &pin,
        asked: Some(&pin[0]),
    });
    let error = refused(scene.offline_with(&denied, &most), Kind::Refused, "must not be used");
    assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    // Third parties' versions are no business of this list.
    scene.offline(&scene.manifest(13, "1.2.0")).unwrap();
    // Standing on a denied version, the way out is open and the reason to take it is told.
    scene.running = running(11, "1.1.0");
    let verdict = scene.offline(&scene.manifest(13, "1.3.0")).unwrap();
    assert!(verdict.notes.iter().any(|note| note.contains("which runs now, must not be used")));
    let own = scene.manifest_with(14, "1.4.0", |manifest| {
        manifest["deny"] =
            json!([{"kind": "self", "name": "gwinstall", "versions": ["1.4.0"], "why": "withdrawn"}]);
    });
    refused(scene.offline(&own), Kind::Refused, "withdrawn");
}

/// S12, the row "fast-forward": only an exact manifest may jump.
#[test]
fn s12_fast_forward() {
    let scene = Scene::new();
    scene.offline(&scene.manifest(1_010, "2.0.0")).unwrap();
    let far = scene.manifest(1_011, "2.0.0");
    let error = refused(scene.offline(&far), Kind::Refused, "too far ahead");
    assert!(error.advice().unwrap().to_string().contains(&format!("sha256:{}", far.sha256())));
    let (by_version, exact) = ([Pin::parse("2.0.0").unwrap()], [Pin::Manifest(far.sha256())]);
    refused(scene.offline_with(&far, &scene.pinned(&by_version)), Kind::Refused, "too far ahead");
    scene.offline_with(&far, &scene.pinned(&exact)).unwrap();
}

/// S13, the row "indefinite freeze": without proof an authentic newer release still installs, "up to date" is
/// never claimed. tuf-conformance: `test_timestamp_expired`, `test_root_expired`, `test_expired_metadata`.
#[test]
fn s13_freshness() {
    let mut scene = Scene::new();
    let (same, next) = (scene.manifest(10, "1.0.0"), scene.manifest(11, "1.1.0"));
    let at = |text: &str| Instant::parse(text).unwrap();
    let doubt = |scene: &Scene, now: Instant, words: &str, change: &dyn Fn(&mut Value)| {
        let input = PolicyInput { now, ..scene.input() };
        let verdict = scene.online(&input, &next, &scene.channel(&next, change)).unwrap();
        assert_eq!(verdict.step, Step::Newer);
        let Freshness::Unproved(why) = &verdict.freshness else { panic!("{words}: proved") };
        assert!(why.contains(words), "{why} does not say {words}");
        assert!(verdict.notes.iter().any(|note| note.contains("whether a newer one exists")), "{words}");
        let verdict = scene.online(&input, &same, &scene.channel(&same, change)).unwrap();
        let error = verdict.claim_current().unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains("cannot prove"), "{error}");
    };
    doubt(&scene, at("2027-02-01T00:00:00Z"), "expired 12 days ago", &|_| ());
    doubt(&scene, at("2026-01-01T00:00:00Z"), "was built at", &|_| ());
    doubt(&scene, now(), "signed at", &|channel| channel["at"] = json!("2026-11-21T10:10:01Z"));
    let slack = scene.channel(&next, |channel| channel["at"] = json!("2026-11-21T10:10:00Z"));
    assert_eq!(order::freshness(&scene.keys(), &slack, &scene.input()).unwrap(), Freshness::Proved);
    scene.trust.max_channel_at = Some(at("2026-11-21T10:30:00Z"));
    doubt(&scene, now(), "signed later was seen", &|_| ());
    scene.trust.max_channel_at = None;
    let keys = scene.world.keys_with(|keys| keys["expires"] = json!("2026-11-21T09:00:00Z"));
    let note = scene.channel(&next, |_| ());
    let freshness = order::freshness(&keys, &note, &scene.input()).unwrap();
    assert!(matches!(freshness, Freshness::Unproved(why) if why.contains("keys expired")));
}

/// The row "mix-and-match": channel and manifest must be of one release.
/// tuf-conformance: `test_new_targets_hash_mismatch`, `test_new_targets_version_mismatch`,
/// `test_new_snapshot_version_mismatch`.
#[test]
fn tuf_test_mismatch() {
    let scene = Scene::new();
    let (next, other) = (scene.manifest(11, "1.1.0"), scene.manifest(12, "1.2.0"));
    let note = scene.channel(&next, |_| ());
    refused(
        scene.online(&scene.input(), &other, &note),
        Kind::Unverified,
        "not the one that the channel names",
    );
    for (field, value) in [("seq", json!(12)), ("version", json!("1.2.0"))] {
        let lying = scene.channel(&next, |channel| channel[field] = value);
        refused(scene.online(&scene.input(), &next, &lying), Kind::Unverified, "disagree");
    }
}

/// S19, the rows "wrong software" and "wrong channel".
#[test]
fn s19_product_channel_target() {
    let scene = Scene::new();
    let product = scene.manifest_with(11, "1.1.0", |manifest| manifest["product"] = json!("gwother"));
    refused(scene.offline(&product), Kind::Unverified, "not for gwinstall");
    let beta = scene.manifest_with(11, "1.1.0", |manifest| manifest["channel"] = json!("beta"));
    let error = refused(scene.offline(&beta), Kind::Refused, "belongs to channel beta");
    assert!(error.advice().unwrap().to_string().contains("--channel=beta"));
    let error =
        order::artifact(&scene.manifest(11, "1.1.0"), "binary", "riscv64gc-unknown-linux-musl").unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("x86_64-unknown-linux-musl"), "{error}");
}

/// Pins: each must agree, and the pin decides against "latest" in every path.
#[test]
fn pins() {
    let scene = Scene::new();
    let next = scene.manifest(11, "1.1.0");
    let judge = |pins: &[Pin]| scene.offline_with(&next, &scene.pinned(pins));
    let (version, exact) = (Pin::parse("1.1.0").unwrap(), Pin::Manifest(next.sha256()));
    judge(std::slice::from_ref(&version)).unwrap();
    judge(&[version.clone(), exact]).unwrap();
    refused(judge(&[version, Pin::parse("1.0.0").unwrap()]), Kind::Refused, "pinned to 1.0.0");
    refused(judge(&[Pin::Manifest(Sha256::of(b"x"))]), Kind::Refused, "pinned to sha256:");
    let asked = Pin::parse("1.2.0").unwrap();
    let input = scene.with(Constraints { asked: Some(&asked), ..Constraints::default() });
    refused(scene.offline_with(&next, &input), Kind::Unverified, "asked for 1.2.0");
}

/// A pin above what runs may be below what was seen: it names the exact release.
#[test]
fn a_pin_below_what_was_seen() {
    let mut scene = Scene::new();
    scene.trust.max_seq_seen = 40;
    let next = scene.manifest(11, "1.1.0");
    let pins = [Pin::parse("1.1.0").unwrap()];
    let verdict = scene.offline_with(&next, &scene.pinned(&pins)).unwrap();
    assert!(verdict.notes.iter().any(|note| note.contains("seq 40")));
    scene.running = running(12, "1.2.0");
    refused(scene.offline_with(&next, &scene.pinned(&pins)), Kind::Refused, "downgrade");
}

#[test]
fn a_release_that_needs_a_newer_client() {
    let scene = Scene::new();
    let next = scene.manifest_with(20, "2.0.0", |manifest| manifest["min_client_seq"] = json!(15));
    let error = refused(scene.offline(&next), Kind::Refused, "seq 15 or later");
    assert!(error.advice().unwrap().to_string().contains("install.sh"));
}

/// The graded verdict for an old offline archive: authentic, key retired, expired, with ages.
#[test]
fn years_later_offline() {
    let scene = Scene::new();
    let next = scene.manifest(11, "1.1.0");
    let keys = scene.world.keys_with(|keys| {
        keys["release"] = json!([]);
        keys["retired"] = json!([scene.world.release.ranged(1, Some(41))]);
    });
    let input = PolicyInput { now: Instant::parse("2029-11-21T10:00:00Z").unwrap(), ..scene.input() };
    let verdict = judge(&keys, &next, Freshness::NotAsked, &input).unwrap();
    let notes = verdict.notes.join("\n");
    assert!(notes.contains("retired at seq 41"), "{notes}");
    assert!(notes.contains("expired 2 years ago, it was released 3 years ago"), "{notes}");
    assert_eq!(verdict.freshness, Freshness::NotAsked);
}

/// What was seen only rises, and a channel key alone cannot raise the order of releases.
/// tuf-conformance: `test_new_timestamp_fast_forward_recovery` (a stolen channel key leaves nothing behind).
#[test]
fn what_was_seen_only_rises() {
    let scene = Scene::new();
    let mut trust = TrustState::default();
    let (ten, twelve) = (scene.manifest(10, "1.0.0"), scene.manifest(12, "1.2.0"));
    trust.saw_manifest(&twelve);
    trust.saw_manifest(&ten);
    assert_eq!((trust.max_seq_seen, trust.newest.unwrap().seq), (12, 12));
    let far = scene.channel(&twelve, |channel| channel["seq"] = json!(9_007_199_254_740_991_u64));
    trust.saw_channel(&far);
    assert_eq!(trust.max_seq_seen, 12);
    let future = scene.channel(&twelve, |channel| {
        channel["at"] = json!("9998-01-01T00:00:00Z");
        channel["expires"] = json!("9999-01-01T00:00:00Z");
    });
    let freshness = order::freshness(&scene.keys(), &future, &scene.input()).unwrap();
    assert!(matches!(freshness, Freshness::Unproved(_)), "so it is not remembered");
    trust.saw_keys(&scene.keys());
    assert_eq!(trust.keys_version, 1);
}

/// One row of the table: what is different from a release that every way in admits, and what each way in answers.
struct Row {
    what: &'static str,
    seq: u64,
    manifest: fn(&mut Value),
    trust: fn(&mut TrustState),
    constraints: fn(&Chosen) -> Constraints<'_>,
    /// self-update, `--bundle FILE`, fetched bundle, the release before one that is rolled out.
    answers: [&'static str; 4],
}

/// Values that constraints refer to.
struct Chosen {
    version: Name,
    this: [Pin; 1],
    exact: [Pin; 1],
    other: [Pin; 1],
}

const ROW: Row = Row {
    what: "nothing is wrong with it",
    seq: 11,
    manifest: |_| (),
    trust: |_| (),
    constraints: |_| Constraints { pins: &[], asked: None, allow_downgrade: None, accept_below_floor: None },
    answers: ["admitted"; 4],
};

fn denied_everywhere(trust: &mut TrustState) {
    trust.denied.insert("1.1.0".to_owned(), "it deletes files".to_owned());
}

const ROWS: [Row; 20] = [
    ROW,
    Row { what: "product", manifest: |m| m["product"] = json!("gwother"), answers: ["product"; 4], ..ROW },
    Row { what: "channel", manifest: |m| m["channel"] = json!("beta"), answers: ["channel"; 4], ..ROW },
    Row {
        what: "another manifest of this seq was seen",
        trust: |t| t.newest = Some(Seen { seq: 11, manifest_sha256: Sha256::of(b"another") }),
        answers: ["equivocation"; 4],
        ..ROW
    },
    Row {
        what: "pinned to another version",
        constraints: |c| Constraints { pins: &c.other, ..Constraints::default() },
        answers: ["pinned"; 4],
        ..ROW
    },
    Row {
        what: "another version is asked for",
        constraints: |c| Constraints { asked: Some(&c.other[0]), ..Constraints::default() },
        answers: ["not asked"; 4],
        ..ROW
    },
    Row { what: "denied before", trust: denied_everywhere, answers: ["denied"; 4], ..ROW },
    Row {
        what: "denied by itself, whatever is pinned and allowed",
        manifest: |m| {
            m["deny"] =
                json!([{"kind": "self", "name": "gwinstall", "versions": ["1.1.0"], "why": "withdrawn"}]);
        },
        constraints: |c| Constraints {
            pins: &c.exact,
            asked: Some(&c.this[0]),
            allow_downgrade: Some(&c.version),
            accept_below_floor: Some(11),
        },
        answers: ["denied"; 4],
        ..ROW
    },
    Row { what: "client", manifest: |m| m["min_client_seq"] = json!(11), answers: ["client"; 4], ..ROW },
    Row { what: "jump", seq: 1_011, answers: ["jump"; 4], ..ROW },
    Row {
        what: "a jump to the exact manifest",
        seq: 1_011,
        constraints: |c| Constraints { pins: &c.exact, ..Constraints::default() },
        ..ROW
    },
    Row { what: "older than what is in use", seq: 9, answers: ["older"; 4], ..ROW },
    Row {
        what: "older, and pinned",
        seq: 9,
        constraints: |c| Constraints { pins: &c.this, ..Constraints::default() },
        answers: ["older"; 4],
        ..ROW
    },
    Row {
        what: "older, and allowed by its name",
        seq: 9,
        constraints: |c| Constraints { allow_downgrade: Some(&c.version), ..Constraints::default() },
        ..ROW
    },
    Row {
        what: "older than what was seen",
        trust: |t| t.max_seq_seen = 12,
        answers: ["superseded", "superseded", "admitted", "admitted"],
        ..ROW
    },
    Row {
        what: "older than what was seen, and pinned",
        trust: |t| t.max_seq_seen = 12,
        constraints: |c| Constraints { pins: &c.this, ..Constraints::default() },
        ..ROW
    },
    Row { what: "floor", trust: |t| t.floor_seq = 12, answers: ["floor"; 4], ..ROW },
    Row {
        what: "below the floor, and accepted by its seq",
        trust: |t| t.floor_seq = 12,
        constraints: |_| Constraints { accept_below_floor: Some(11), ..Constraints::default() },
        ..ROW
    },
    Row {
        what: "in use, and denied since",
        seq: 10,
        trust: denied_everywhere,
        answers: ["admitted", "denied", "denied", "admitted"],
        ..ROW
    },
    Row {
        what: "in use, and below the floor since",
        seq: 10,
        trust: |t| t.floor_seq = 12,
        answers: ["admitted", "floor", "floor", "admitted"],
        ..ROW
    },
];

fn rule(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Product { .. } => "product",
        Refusal::Channel { .. } => "channel",
        Refusal::Equivocation { .. } => "equivocation",
        Refusal::Pinned { .. } => "pinned",
        Refusal::NotAsked { .. } => "not asked",
        Refusal::Denied { .. } => "denied",
        Refusal::Client { .. } => "client",
        Refusal::Jump { .. } => "jump",
        Refusal::Older { .. } => "older",
        Refusal::Superseded { .. } => "superseded",
        Refusal::Floor { .. } => "floor",
    }
}

/// Every rule against every way in. A refusal says why, and its exit code is 8 or 9.
#[test]
fn every_rule_holds_for_every_way_in() {
    let ways = [WayIn::SelfUpdate, WayIn::BundleFile, WayIn::FetchedBundle, WayIn::Previous];
    let mut broken = std::collections::BTreeSet::new();
    for row in ROWS {
        let mut scene = Scene::new();
        (row.trust)(&mut scene.trust);
        let manifest = scene.manifest_with(row.seq, "1.1.0", row.manifest);
        let chosen = Chosen {
            version: Name::parse("1.1.0").unwrap(),
            this: [Pin::parse("1.1.0").unwrap()],
            exact: [Pin::Manifest(manifest.sha256())],
            other: [Pin::parse("1.2.0").unwrap()],
        };
        for (way_in, answer) in ways.into_iter().zip(row.answers) {
            let input = PolicyInput { way_in, ..scene.with((row.constraints)(&chosen)) };
            let outcome = rules::admit(&manifest, &input);
            let found = outcome.as_ref().map_or_else(rule, |()| "admitted");
            assert_eq!(found, answer, "{}, by {way_in:?}", row.what);
            if let Err(refusal) = outcome {
                let error = refusal.error(way_in);
                assert!(matches!(error.kind(), Kind::Refused | Kind::Unverified), "{error}");
                broken.insert(found);
            }
        }
    }
    assert_eq!(broken.len(), 11, "a rule that no row breaks: {broken:?}");
}

/// A bundle may be of any channel where no policy names one.
#[test]
fn without_a_policy_a_bundle_may_be_of_any_channel() {
    let scene = Scene::new();
    let beta = scene.manifest_with(11, "1.1.0", |manifest| manifest["channel"] = json!("beta"));
    for way_in in [WayIn::BundleFile, WayIn::FetchedBundle] {
        rules::admit(&beta, &PolicyInput { way_in, channel: None, ..scene.input() }).unwrap();
    }
}

/// What a configuration needs is asked of the executable, however new the configuration in use is.
#[test]
fn a_newer_configuration_does_not_make_the_executable_newer() {
    let scene = Scene::new();
    let next = scene.manifest_with(13, "1.3.0", |manifest| manifest["min_client_seq"] = json!(12));
    let in_use = rules::Release { seq: 12, version: "1.2.0".to_owned() };
    let input = PolicyInput { in_use, ..scene.input() };
    refused(scene.offline_with(&next, &input), Kind::Refused, "seq 12 or later");
}
