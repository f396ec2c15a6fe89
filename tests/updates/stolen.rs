//! Stolen keys: what a release key or a channel key teaches a client before it is revoked, and that an honest release is
//! accepted afterwards by clients that learnt it and by clients that did not.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::forge::{Chain, Signer, World, bytes, channel, manifest, now, running};
use crate::server::{Server, answer};
use gwinstall::domain::{Kind, Result, Sha256};
use gwinstall::doors::net::{Authorities, Client, Timeouts};
use gwinstall::release::bundles;
use gwinstall::release::documents::{Channel, Manifest, Name};
use gwinstall::release::origin::{Origin, Rejects};
use gwinstall::release::policy::Pin;
use gwinstall::release::rules::{Constraints, Running};
use gwinstall::release::state::State;
use gwinstall::release::trust::{TrustedKeys, Verified};
use gwinstall::release::trust_state::TrustState;
use gwinstall::release::update::{LAST_CHECK, News, UpdateCheck};

/// A publisher whose keys get into other hands, and one client at seq 1.
struct Scene {
    world: World,
    /// What replaces a stolen key.
    spare: Signer,
    dir: TempDir,
    running: Running,
    stable: Name,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stable = Name::parse("stable").unwrap();
        Self { world: World::new(), spare: Signer::new(), dir, running: running(1, "1.0.0"), stable }
    }

    fn client(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Serves these documents, with every list of keys that there is.
    fn publish(
        &self,
        name: &str,
        manifest: (&Value, &Signer),
        note: (&Value, &Signer),
        lists: &Chain,
    ) -> Origin {
        let served = self.dir.path().join(name);
        let version = manifest.0["version"].as_str().unwrap();
        fs::create_dir_all(served.join(format!("v{version}"))).unwrap();
        let document = bytes(manifest.0);
        let note_bytes = bytes(note.0);
        for (name, bytes) in [
            ("manifest.json", document.clone()),
            ("manifest.json.minisig", manifest.1.sign_document::<Manifest>(&document)),
            ("channel-stable.json", note_bytes.clone()),
            ("channel-stable.json.minisig", note.1.sign_document::<Channel>(&note_bytes)),
        ] {
            fs::write(served.join(name), &bytes).unwrap();
            fs::write(served.join(format!("v{version}")).join(name), &bytes).unwrap();
        }
        for (number, list) in &lists.documents {
            fs::write(served.join(format!("keys.{number}.json")), list).unwrap();
        }
        for ((number, id), minisig) in &lists.signatures {
            fs::write(served.join(format!("keys.{number}.json.{id}.minisig")), minisig).unwrap();
        }
        let server = Server::start(move |request, wire| {
            match fs::read(served.join(request.path.trim_start_matches('/'))) {
                Ok(body) => answer(wire, "200 OK", "", &body),
                Err(_) => answer(wire, "404 Not Found", "", b""),
            }
        });
        let client = || Ok(Client::new(Authorities::compiled_in(), None, None, Timeouts::default()));
        Origin::open(&server.url(""), client).unwrap()
    }

    fn honest(
        &self,
        seq: u64,
        version: &str,
        release: &Signer,
        channel_key: &Signer,
        lists: &Chain,
    ) -> Origin {
        let manifest = manifest(seq, version);
        let mut note = channel(seq, version, &bytes(&manifest));
        note["keys_version"] = json!(lists.documents.len() + 1);
        self.publish(&format!("honest-{version}"), (&manifest, release), (&note, channel_key), lists)
    }

    fn ask<T>(
        &self,
        client: &str,
        origin: &Origin,
        then: impl FnOnce(&UpdateCheck<'_>) -> Result<T>,
    ) -> Result<T> {
        self.ask_pinned(client, origin, &[], then)
    }

    fn ask_pinned<T>(
        &self,
        client: &str,
        origin: &Origin,
        pins: &[Pin],
        then: impl FnOnce(&UpdateCheck<'_>) -> Result<T>,
    ) -> Result<T> {
        let (embedded, dir) = (bytes(&self.world.keys_json(1)), self.client(client));
        then(&UpdateCheck {
            state: State { dir: &dir },
            origin,
            embedded_keys: &embedded,
            running: &self.running,
            in_use: &self.running.release(),
            machine: None,
            channel: &self.stable,
            constraints: Constraints { pins, ..Constraints::default() },
            rejects: Rejects::Discard,
            now: now(),
        })
    }

    /// What `self-update --check` does.
    fn check(&self, client: &str, origin: &Origin) -> Result<News> {
        self.ask(client, origin, |check| {
            let news = check.news(true)?;
            check.look_at(&news).map(|()| news)
        })
    }

    /// What `self-update` does until it replaces anything.
    fn take(&self, client: &str, origin: &Origin) -> Result<u64> {
        self.ask(client, origin, |check| {
            let news = check.news(false)?;
            check.candidate(&news).map(|candidate| candidate.manifest.facts().seq)
        })
    }

    fn trust(&self, client: &str) -> TrustState {
        State { dir: &self.client(client) }.trust().unwrap()
    }

    /// Version 2 of the list of keys, signed by two roots.
    fn revoking(&self, stolen: &Signer, change: impl FnOnce(&mut Value)) -> Chain {
        let mut list = self.world.keys_json(2);
        if stolen.id() == self.world.release.id() {
            list["retired"] = json!([stolen.ranged(1, Some(10_000))]);
            list["release"] = json!([self.spare.ranged(2, None)]);
        } else {
            list["channel"] = json!([self.spare.named()]);
        }
        list["revoked"] =
            json!([{ "id": stolen.id(), "last_good_seq": 1, "also_good": [], "why": "stolen" }]);
        change(&mut list);
        let mut chain = Chain::default();
        chain.add(2, &list, &[&self.world.roots[0], &self.world.roots[1]]);
        chain
    }
}

/// As far ahead as a release may be, with the highest floor, and denying the release that honest people will make.
fn poison(seq: u64) -> Value {
    let mut poison = manifest(seq, "66.6.6");
    poison["floor_seq"] = json!(seq);
    poison["deny"] =
        json!([{ "kind": "self", "name": "gwinstall", "versions": ["2.0.0"], "why": "it is bad" }]);
    poison
}

#[test]
fn what_a_stolen_release_key_taught_is_forgotten_once_it_is_revoked() {
    let scene = Scene::new();
    let stolen = &scene.world.release;
    let (poison, no_lists) = (poison(1_001), Chain::default());
    let note = channel(1_001, "66.6.6", &bytes(&poison));
    let evil = scene.publish("evil", (&poison, stolen), (&note, &scene.world.channel), &no_lists);
    // By a check, by an update that gets as far as its question, and by none.
    scene.check("checked", &evil).unwrap();
    assert_eq!(scene.take("taken", &evil).unwrap(), 1_001);
    for poisoned in ["checked", "taken"] {
        let trust = scene.trust(poisoned);
        assert_eq!((trust.max_seq_seen, trust.floor_seq), (1_001, 1_001), "{poisoned}");
        assert!(trust.denied.contains_key("2.0.0"));
    }
    let lists = scene.revoking(stolen, |_| ());
    let honest = scene.honest(2, "2.0.0", &scene.spare, &scene.world.channel, &lists);
    for client in ["checked", "taken", "clean"] {
        assert_eq!(scene.take(client, &honest).unwrap(), 2, "{client}");
        let trust = scene.trust(client);
        assert_eq!((trust.max_seq_seen, trust.floor_seq, trust.denied.len()), (2, 1, 0), "{client}");
        // The key stays lost, and what is learnt from now on counts.
        let again = scene.publish("again", (&poison, stolen), (&note, &scene.world.channel), &lists);
        assert_eq!(scene.take(client, &again).unwrap_err().kind(), Kind::Unverified, "{client}");
        let older = scene.honest(1, "1.0.0", stolen, &scene.world.channel, &lists);
        assert_eq!(
            scene.take(client, &older).unwrap_err().kind(),
            Kind::Refused,
            "{client}: it is a downgrade"
        );
    }
}

/// The same seq as the honest release, under another hash.
#[test]
fn two_releases_with_one_seq_are_one_again_once_the_key_of_the_other_is_revoked() {
    let scene = Scene::new();
    let stolen = &scene.world.release;
    let other = manifest(2, "66.6.6");
    let note = channel(2, "66.6.6", &bytes(&other));
    let evil = scene.publish("evil", (&other, stolen), (&note, &scene.world.channel), &Chain::default());
    scene.check("checked", &evil).unwrap();
    // Before the revocation it is a contradiction that someone has to look at.
    let real = scene.honest(2, "2.0.0", stolen, &scene.world.channel, &Chain::default());
    assert_eq!(scene.take("checked", &real).unwrap_err().kind(), Kind::Unverified);
    // The real one, which the stolen key signed before it was stolen, is listed by its hash.
    let real = Sha256::of(&bytes(&manifest(2, "2.0.0")));
    let lists = scene.revoking(stolen, |list| list["revoked"][0]["also_good"] = json!([real]));
    let honest = scene.honest(2, "2.0.0", stolen, &scene.world.channel, &lists);
    for client in ["checked", "clean"] {
        assert_eq!(scene.take(client, &honest).unwrap(), 2, "{client}");
    }
    let evil = scene.publish("evil", (&other, stolen), (&note, &scene.world.channel), &lists);
    assert_eq!(scene.take("clean", &evil).unwrap_err().kind(), Kind::Unverified);
}

/// A key that a list does not name any more vouches for nothing, also where that list does not call it revoked.
#[test]
fn a_key_that_is_gone_from_the_list_taught_nothing() {
    let scene = Scene::new();
    let (poison, stolen) = (poison(900), &scene.world.release);
    let note = channel(900, "66.6.6", &bytes(&poison));
    let evil = scene.publish("evil", (&poison, stolen), (&note, &scene.world.channel), &Chain::default());
    scene.check("checked", &evil).unwrap();
    let lists = scene.revoking(stolen, |list| {
        list["revoked"] = json!([]);
        list["retired"] = json!([]);
    });
    let honest = scene.honest(2, "2.0.0", &scene.spare, &scene.world.channel, &lists);
    assert_eq!(scene.take("checked", &honest).unwrap(), 2);
    assert_eq!(scene.trust("checked").max_seq_seen, 2);
}

#[test]
fn what_a_stolen_channel_key_says_is_forgotten_and_never_counted() {
    let scene = Scene::new();
    let (honest, stolen) = (manifest(2, "2.0.0"), &scene.world.channel);
    let zeros = "00".repeat(32);
    let lies = [("manifest_sha256", json!(zeros)), ("version", json!("9.9.9")), ("seq", json!(1_000))];
    for (what, lie) in lies {
        let mut note = channel(2, "2.0.0", &bytes(&honest));
        note[what] = lie;
        let evil = scene.publish("evil", (&honest, &scene.world.release), (&note, stolen), &Chain::default());
        assert!(scene.check("poisoned", &evil).is_err(), "{what}");
        let kept = fs::read_to_string(scene.client("poisoned").join("trust.json")).unwrap();
        assert!(!kept.contains(&zeros), "{what}: {kept}");
        assert!(!scene.client("poisoned").join(LAST_CHECK).exists(), "{what}: status would repeat it");
    }
    let lists = scene.revoking(stolen, |_| ());
    let honest = scene.honest(2, "2.0.0", &scene.world.release, &scene.spare, &lists);
    for client in ["poisoned", "clean"] {
        assert_eq!(scene.take(client, &honest).unwrap(), 2, "{client}");
        assert_eq!(scene.trust(client).max_seq_seen, 2);
    }
    // The honest release is known now: a stolen key that names another hash for it is caught.
    let trust = scene.trust("clean");
    assert_eq!(trust.seen(2).unwrap().manifest_sha256, Sha256::of(&bytes(&manifest(2, "2.0.0"))));
}

/// The moment that a channel document was signed at goes with the key that signed it.
#[test]
fn the_date_of_a_stolen_channel_key_goes_with_it() {
    let world = World::new();
    let verified = |signer: &Signer, at: &str, keys: &TrustedKeys| -> Verified<Channel> {
        let mut note = channel(1, "1.0.0", b"x");
        note["at"] = json!(at);
        let note = bytes(&note);
        keys.verify_channel(&note, &signer.sign_document::<Channel>(&note)).unwrap()
    };
    let mut trust = TrustState::default();
    trust.saw_channel(&verified(&world.channel, "2026-11-21T10:09:00Z", &world.keys()));
    assert!(trust.max_channel_at.is_some());
    let spare = Signer::new();
    let keys = world.keys_with(|keys| {
        keys["version"] = json!(2);
        keys["channel"] = json!([spare.named()]);
    });
    trust.judge(&keys);
    assert_eq!(trust.max_channel_at, None);
    trust.saw_channel(&verified(&spare, "2026-11-21T10:00:00Z", &keys));
    trust.judge(&keys);
    assert!(trust.max_channel_at.is_some());
}

/// `seq_reset` clears what was seen with an older list, whoever signed it, and nothing that is seen later.
#[test]
fn a_reset_of_the_numbers_counts_once() {
    let scene = Scene::new();
    // As an older gwinstall left it, which noted no key.
    let old = json!({
        "schema": 1, "keys_version": 1, "max_seq_seen": 1_001,
        "newest": { "seq": 1_001, "manifest_sha256": Sha256::of(b"poison") },
        "announced": { "seq": 2, "manifest_sha256": "00".repeat(32) },
        "max_channel_at": null, "installed": null, "floor_seq": 1_001,
        "denied": { "2.0.0": "it is bad" }, "pin": "2.0.0",
    });
    let write = |client: &str| {
        fs::create_dir_all(scene.client(client)).unwrap();
        fs::write(scene.client(client).join("trust.json"), bytes(&old)).unwrap();
    };
    write("without");
    let revoked = scene.revoking(&scene.world.release, |_| ());
    let honest = scene.honest(2, "2.0.0", &scene.spare, &scene.world.channel, &revoked);
    assert_eq!(
        scene.take("without", &honest).unwrap_err().kind(),
        Kind::Refused,
        "an unknown key cannot be revoked"
    );
    write("with");
    let lists = scene.revoking(&scene.world.release, |list| list["seq_reset"] = json!(1));
    let honest = scene.honest(2, "2.0.0", &scene.spare, &scene.world.channel, &lists);
    for client in ["with", "clean"] {
        assert_eq!(scene.take(client, &honest).unwrap(), 2, "{client}");
    }
    let trust = scene.trust("with");
    assert_eq!((trust.max_seq_seen, trust.floor_seq, trust.denied.len()), (2, 1, 0));
    assert_eq!(trust.pin.as_deref(), Some("2.0.0"), "what the user decided stays");
    // Seen with the list that carries the reset: it counts from now on.
    let third = scene.honest(3, "3.0.0", &scene.spare, &scene.world.channel, &lists);
    assert_eq!(scene.take("with", &third).unwrap(), 3);
    assert_eq!(scene.take("with", &honest).unwrap_err().kind(), Kind::Refused);
    assert_eq!(scene.trust("with").max_seq_seen, 3);
}

/// A check remembers no more than an update would.
#[test]
fn a_check_raises_nothing_that_an_update_would_refuse() {
    let scene = Scene::new();
    let far = poison(1_002);
    let note = channel(1_002, "66.6.6", &bytes(&far));
    let evil =
        scene.publish("far", (&far, &scene.world.release), (&note, &scene.world.channel), &Chain::default());
    for attempt in [scene.check("client", &evil).map(drop), scene.take("client", &evil).map(drop)] {
        assert_eq!(attempt.unwrap_err().kind(), Kind::Refused);
    }
    let trust = scene.trust("client");
    assert_eq!((trust.max_seq_seen, trust.floor_seq, trust.denied.len()), (0, 0, 0));
    // A pinned machine is told what there is, and learns nothing from it.
    let near = poison(7);
    let note = channel(7, "66.6.6", &bytes(&near));
    let evil = scene.publish(
        "near",
        (&near, &scene.world.release),
        (&note, &scene.world.channel),
        &Chain::default(),
    );
    let pins = [Pin::parse("1.0.0").unwrap()];
    let news = scene.ask_pinned("client", &evil, &pins, |check| {
        let news = check.news(true)?;
        check.look_at(&news).map(|()| news)
    });
    assert!(news.unwrap().newer(1).unwrap().is_some());
    assert_eq!(scene.trust("client").max_seq_seen, 0);
}

/// Whoever holds a key can sign any number of manifests: what they teach fills neither memory nor file.
#[test]
fn a_flood_of_manifests_leaves_a_small_file() {
    let scene = Scene::new();
    let keys = scene.world.keys();
    let mut trust = TrustState::default();
    let long = "\u{1f600}".repeat(900);
    for seq in 1..=200_u64 {
        let mut flood = manifest(seq, "1.0.0");
        let versions: Vec<String> = (0..40).map(|n| format!("{seq}.{n}.0-{}", "x".repeat(80))).collect();
        flood["deny"] = json!([{ "kind": "self", "name": "gwinstall", "versions": versions, "why": long }]);
        let (document, minisig) = scene.world.signed_manifest(&flood);
        trust.saw_manifest(&keys.verify_manifest(&document, &minisig).unwrap());
    }
    let text = serde_json::to_vec_pretty(&trust).unwrap();
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
    let mut again = TrustState::parse(&text).unwrap();
    again.judge(&keys);
    assert_eq!((again.max_seq_seen, again.floor_seq), (200, 1));
    // A revocation in the middle leaves what lies below it.
    let half = scene.world.keys_with(|list| {
        let id = scene.world.release.id();
        list["revoked"] = json!([{ "id": id, "last_good_seq": 20, "also_good": [], "why": "stolen" }]);
    });
    again.judge(&half);
    assert_eq!(again.max_seq_seen, 20);
}

/// A bundle that was fetched from a stolen key counts as never fetched.
#[test]
fn a_fetched_bundle_of_a_revoked_key_blocks_nothing() {
    let scene = Scene::new();
    let dir = scene.client("client");
    let state = State { dir: &dir };
    let (document, minisig) = scene.world.signed_manifest(&manifest(9, "9.0.0"));
    state.keep("bundles/9/manifest.json", &document).unwrap();
    state.keep("bundles/9/manifest.json.minisig", &minisig).unwrap();
    state.keep("bundles/9/bundle.tar.gz", b"whatever").unwrap();
    let revoked = scene.world.keys_with(|list| {
        let id = scene.world.release.id();
        list["revoked"] = json!([{ "id": id, "last_good_seq": 1, "also_good": [], "why": "stolen" }]);
    });
    let trust = TrustState::default();
    let input = crate::forge::policy_input(&scene.running, &trust, &scene.stable);
    let choice = bundles::newest(state, &revoked, 1, &input).unwrap();
    assert!(choice.bundle.is_none() && choice.unverified.len() == 1);
    assert_eq!(choice.unverified[0].kind(), Kind::Unverified);
}
