//! A release that was made once and is kept: every later version must accept it, and update what it deployed.
//!
//! The secret halves of its keys are gone, so nothing here can be made to fit; see its README.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::World;
use gwinstall::domain::{Instant, Kind, Result};
use gwinstall::release::bundles::{self, hash_file};
use gwinstall::release::documents::Name;
use gwinstall::release::order::{self, Freshness, Step};
use gwinstall::release::origin::{Origin, Rejects};
use gwinstall::release::rules::{Constraints, Running};
use gwinstall::release::state::State;
use gwinstall::release::trust::TrustedKeys;
use gwinstall::release::update::{Candidate, UpdateCheck};

/// The day after its release.
const NEXT_DAY: &str = "2026-11-22T12:00:00Z";

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/release-1.0.0")
}

fn keys() -> Vec<u8> {
    fs::read(kept().join("keys.1.json")).unwrap()
}

/// What a client with the keys of that release and this `seq` makes of it, at this moment.
fn asked(state: &Path, seq: u64, now: &str) -> Result<Candidate> {
    let origin = Origin::open(kept().to_str().unwrap(), || panic!("no network is meant")).unwrap();
    let running = Running {
        seq,
        version: format!("{seq}.0.0"),
        manifest: None,
        built: Instant::parse("2026-11-01T00:00:00Z").unwrap(),
    };
    let check = UpdateCheck {
        state: State { dir: state },
        origin: &origin,
        embedded_keys: &keys(),
        running: &running,
        in_use: &running.release(),
        machine: None,
        channel: &Name::parse("stable").unwrap(),
        constraints: Constraints::default(),
        rejects: Rejects::Discard,
        now: Instant::parse(now).unwrap(),
    };
    check.candidate(&check.news(false)?)
}

#[test]
fn its_documents_and_files_verify() {
    let trusted = TrustedKeys::embedded(&keys()).unwrap();
    let read = |name: &str| fs::read(kept().join(name)).unwrap();
    let channel =
        trusted.verify_channel(&read("channel-stable.json"), &read("channel-stable.json.minisig")).unwrap();
    let manifest = trusted.verify_manifest(&read("manifest.json"), &read("manifest.json.minisig")).unwrap();
    assert_eq!(channel.facts().manifest_sha256, manifest.sha256());
    assert_eq!((manifest.facts().seq, manifest.facts().version.as_str()), (1, "1.0.0"));
    for target in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"] {
        let artifact = order::artifact(&manifest, "binary", target).unwrap();
        let found = hash_file(&kept().join(artifact.name.as_str())).unwrap();
        assert_eq!(found, (artifact.sha256, artifact.len), "{target}");
    }
    let archive = read("gwinstall-bundle-1.0.0.tar.gz");
    let bundle =
        bundles::open(&archive[..], &manifest, gwinstall::domain::record::BundleOrigin::Release, None)
            .unwrap();
    // The catalog is in the bundle, and is no file that is deployed.
    assert_eq!(bundle.files().len() + 1, manifest.facts().bundle.files.len());
}

#[test]
fn a_client_before_it_takes_it_and_one_after_it_does_not() {
    let state = tempfile::tempdir().unwrap();
    let candidate = asked(state.path(), 0, NEXT_DAY).unwrap();
    assert_eq!(
        (candidate.verdict.step, candidate.verdict.freshness.clone()),
        (Step::Newer, Freshness::NotAsked)
    );
    assert_eq!(candidate.verdict.notes, Vec::<String>::new());
    let origin = Origin::open(kept().to_str().unwrap(), || panic!("no network is meant")).unwrap();
    let bundle = bundles::fetch(State { dir: state.path() }, &origin, &candidate, &mut |_| ()).unwrap();
    assert_eq!((bundle.id.version.as_str(), bundle.id.seq), ("1.0.0", 1));

    assert_eq!(asked(state.path(), 1, NEXT_DAY).unwrap().verdict.step, Step::Current);
    assert_eq!(asked(state.path(), 2, NEXT_DAY).map(drop).unwrap_err().kind(), Kind::Refused);
    // Years later it is as authentic as it was, with its age told.
    let old = asked(tempfile::tempdir().unwrap().path(), 0, "2031-01-01T00:00:00Z").unwrap();
    assert!(old.verdict.notes.iter().any(|note| note.contains("expired")), "{:?}", old.verdict.notes);
}

/// What 1.0.0 deployed is read, brought up to date with the user's edits kept, and taken back.
#[test]
fn what_it_deployed_is_updated() {
    let world = World::new();
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(kept().join("deployed.tar.gz"))
        .current_dir(world.home())
        .status();
    assert!(unpacked.unwrap().success());
    let _ = world.run(&["verify"]).exits(0);
    let before = world.record();
    let guide = world.read("docs/faq.md") + "\nA line of mine.\n";
    world.write("docs/faq.md", &guide);
    let planned = world.run(&["update", "--dry-run", "--json"]).exits(0).data();
    assert!(planned["plan_id"].is_string(), "{planned}");
    let updated = world.run(&["update", "--yes"]);
    // 4: this version's guide has changed too, and lies beside the user's.
    assert!([0, 4].contains(&updated.code), "{} {}", updated.out, updated.err);
    assert_eq!(world.read("docs/faq.md"), guide);
    assert_eq!(world.record()["preset"], before["preset"]);
    let again = world.run(&["update", "--yes", "--json"]).exits(0).data();
    assert!(again["backup"].is_null(), "a second update has nothing to do: {again}");
}
