//! Who may sign: the walk along keys documents, the matrix of keys and signers, domains of signatures (S07, S08,
//! S14–S19), and the tuf-conformance cases about roots by their names.

use crate::forge::{Chain, Signer, World, bytes, channel, manifest};
use gwinstall::domain::{Error, Kind, Sha256};
use gwinstall::release::documents::{Channel, Document, Keys, Manifest};
use gwinstall::release::trust::TrustedKeys;
use serde_json::{Value, json};

fn unverified<T>(outcome: Result<T, Error>, what: &str) -> String {
    match outcome {
        Ok(_) => panic!("{what}: accepted"),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Unverified, "{what}: {error}");
            error.to_string()
        }
    }
}

/// One version of the root list: indexes into a set of ten signers.
struct Version {
    keys: &'static [usize],
    threshold: u64,
    signatures: &'static [usize],
}

const fn version(keys: &'static [usize], threshold: u64, signatures: &'static [usize]) -> Version {
    Version { keys, threshold, signatures }
}

/// tuf-conformance, `test_root_rotation`: name, versions, whether the last one is accepted.
const ROOT_ROTATIONS: [(&str, &[Version], bool); 15] = [
    (
        "1-of-1-key-rotation",
        &[version(&[1], 1, &[1]), version(&[2], 1, &[2, 1]), version(&[2], 1, &[2])],
        true,
    ),
    (
        "1-of-1-key-rotation-unused-signatures",
        &[version(&[1], 1, &[3, 1, 4]), version(&[2], 1, &[3, 2, 1, 4]), version(&[2], 1, &[3, 2, 4])],
        true,
    ),
    (
        "3-of-5-sign-with-different-keycombos",
        &[
            version(&[0, 1, 2, 3, 4], 3, &[0, 2, 4]),
            version(&[0, 1, 2, 3, 4], 3, &[0, 4, 1]),
            version(&[0, 1, 2, 3, 4], 3, &[0, 1, 3]),
            version(&[0, 1, 2, 3, 4], 3, &[0, 1, 3]),
        ],
        true,
    ),
    (
        "3-of-5-one-key-rotated",
        &[version(&[0, 1, 2, 3, 4], 3, &[0, 2, 4]), version(&[0, 1, 3, 4, 5], 3, &[0, 4, 1])],
        true,
    ),
    (
        "3-of-5-one-key-rotated-with-intermediate-step",
        &[
            version(&[0, 1, 2, 3, 4], 3, &[0, 2, 4]),
            version(&[0, 1, 3, 4, 5], 3, &[0, 2, 4, 5]),
            version(&[0, 1, 3, 4, 5], 3, &[0, 4, 5]),
        ],
        true,
    ),
    (
        "3-of-5-all-keys-rotated-with-intermediate-step",
        &[
            version(&[0, 1, 2, 3, 4], 3, &[0, 2, 4]),
            version(&[5, 6, 7, 8, 9], 3, &[0, 2, 4, 5, 6, 7]),
            version(&[5, 6, 7, 8, 9], 3, &[5, 6, 7]),
        ],
        true,
    ),
    (
        "1-of-3-threshold-increase-to-2-of-3",
        &[version(&[1, 2, 3], 1, &[1]), version(&[1, 2, 3], 2, &[1, 2])],
        true,
    ),
    (
        "2-of-3-threshold-decrease-to-1-of-3",
        &[version(&[1, 2, 3], 2, &[1, 2]), version(&[1, 2, 3], 1, &[1, 2]), version(&[1, 2, 3], 1, &[1])],
        true,
    ),
    ("1-of-2-threshold-increase-to-2-of-2", &[version(&[1], 1, &[1]), version(&[1, 2], 2, &[1, 2])], true),
    (
        "1-of-1-key-rotation-fail-not-signed-with-old-key",
        &[version(&[1], 1, &[1]), version(&[2], 1, &[2, 3, 4])],
        false,
    ),
    (
        "1-of-1-key-rotation-fail-not-signed-with-new-key",
        &[version(&[1], 1, &[1]), version(&[2], 1, &[1, 3, 4])],
        false,
    ),
    (
        "3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys",
        &[version(&[0, 1, 2, 3, 4], 3, &[0, 2, 4]), version(&[0, 1, 3, 4, 5], 3, &[0, 2, 4])],
        false,
    ),
    (
        "3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys",
        &[version(&[0, 1, 2, 3, 4], 3, &[0, 2, 4]), version(&[0, 1, 3, 4, 5], 3, &[0, 4, 5])],
        false,
    ),
    (
        "1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached",
        &[version(&[1, 2, 3], 1, &[1]), version(&[1, 2, 3], 2, &[2])],
        false,
    ),
    (
        "2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached",
        &[version(&[1, 2, 3], 2, &[1, 2]), version(&[1, 2, 3], 1, &[1])],
        false,
    ),
];

#[test]
fn tuf_test_root_rotation() {
    let world = World::new();
    let signers: Vec<Signer> = (0..10).map(|_| Signer::new()).collect();
    for (name, versions, accepted) in ROOT_ROTATIONS {
        let mut chain = Chain::default();
        for (at, step) in versions.iter().enumerate() {
            let number = at as u64 + 1;
            let mut keys = world.keys_json(number);
            let named: Vec<Value> = step.keys.iter().map(|key| signers[*key].named()).collect();
            keys["root"] = json!({"threshold": step.threshold, "keys": named});
            chain.add(number, &keys, &step.signatures.iter().map(|key| &signers[*key]).collect::<Vec<_>>());
        }
        let first = TrustedKeys::embedded(&chain.documents[&1]).unwrap();
        let last = versions.len() as u64;
        let outcome = first.clone().walk(last, &mut chain);
        assert_eq!(outcome.is_ok(), accepted, "{name}: {outcome:?}");
        match outcome {
            Ok(keys) => assert_eq!(*keys.facts(), Keys::parse(&chain.documents[&last]).unwrap(), "{name}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Unverified, "{name}");
                assert!(first.walk(last - 1, &mut chain).is_ok(), "{name}: the versions before are good");
            }
        }
    }
}

/// S16: keys N+1 signed by 1 of 3, by the same key twice, by new keys only; N+2 without N+1; 65 steps.
#[test]
fn s16_the_next_keys() {
    let world = World::new();
    let (a, b, c) = (&world.roots[0], &world.roots[1], &world.roots[2]);
    let step = |signers: &[&Signer]| {
        let mut chain = Chain::default();
        chain.add(2, &world.keys_json(2), signers);
        world.keys().walk(2, &mut chain)
    };
    for good in [[a, b], [b, c], [c, a]] {
        assert_eq!(step(&good).unwrap().version(), 2);
    }
    for (what, signers) in [
        ("nobody", vec![]),
        ("1 of 3", vec![a]),
        ("same key twice", vec![a, a]),
        ("release key", vec![a, &world.release]),
    ] {
        unverified(step(&signers), what);
    }
    let stranger = World::new();
    let mut chain = Chain::default();
    chain.add(2, &stranger.keys_json(2), &stranger.roots.iter().collect::<Vec<_>>());
    unverified(world.keys().walk(2, &mut chain), "only by new keys");
    let mut chain = Chain::default();
    chain.add(3, &world.keys_json(3), &[a, b]);
    unverified(world.keys().walk(3, &mut chain), "N+2 without N+1");
    let mut chain = Chain::default();
    chain.add(2, &world.keys_json(3), &[a, b]);
    unverified(world.keys().walk(2, &mut chain), "version 3 under the name of 2");
    let mut chain = Chain::default();
    for number in 2..=66 {
        chain.add(number, &world.keys_json(number), &[a, b]);
    }
    assert_eq!(world.keys().walk(65, &mut chain).unwrap().version(), 65);
    unverified(world.keys().walk(66, &mut chain), "65 steps");
}

/// S16 and `test_duplicate_keys_root`: one key under two ids, or twice, never enters a list; no weak key either.
#[test]
fn tuf_test_duplicate_keys_root() {
    let world = World::new();
    let broken = |what: &str, change: &dyn Fn(&mut Value)| {
        let mut keys = world.keys_json(2);
        change(&mut keys);
        unverified(Keys::parse(&bytes(&keys)), what)
    };
    broken("same key twice", &|keys| keys["root"]["keys"][1] = keys["root"]["keys"][0].clone());
    broken("release key is a root", &|keys| keys["release"][0] = world.roots[0].ranged(1, None));
    broken("channel key is the release key", &|keys| keys["channel"][0] = world.release.named());
    broken("id is not the key's", &|keys| keys["channel"][0]["id"] = json!("0000000000000000"));
    broken("threshold 0", &|keys| keys["root"]["threshold"] = json!(0));
    broken("threshold 4 of 3", &|keys| keys["root"]["threshold"] = json!(4));
    broken("version 0", &|keys| keys["version"] = json!(0));
    broken("range backwards", &|keys| keys["release"][0] = world.release.ranged(5, Some(4)));
    broken("retired without an end", &|keys| keys["retired"] = json!([Signer::new().ranged(1, None)]));
    // 32 zero bytes: a point of order 4.
    let weak =
        json!({"id": "0707070707070707", "key": "RWQHBwcHBwcHBwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
    let why = broken("small-order key", &|keys| keys["root"]["keys"][2] = weak.clone());
    assert!(why.contains("small order"), "{why}");
}

/// The bytes of a key under another id, in two places of one list.
#[test]
fn one_key_under_two_ids() {
    let world = World::new();
    let mut text = world.roots[0].key.as_str().to_owned();
    // Base64 characters 4..12 lie within the key id.
    text.replace_range(4..8, if &text[4..8] == "AAAA" { "BBBB" } else { "AAAA" });
    let twin = gwinstall::release::minisig::PublicKey::parse(&text).unwrap();
    assert_eq!(twin.point(), world.roots[0].key.point());
    let mut keys = world.keys_json(2);
    keys["root"]["keys"][1] = json!({"id": twin.id(), "key": twin});
    let why = unverified(Keys::parse(&bytes(&keys)), "same key under two ids");
    assert!(why.contains("listed twice"), "{why}");
}

/// The matrix: who signed a manifest × what the keys document says of that key.
#[test]
fn keys_and_signers() {
    let world = World::new();
    let (old, outsider) = (Signer::new(), Signer::new());
    let keys = world.keys_with(|keys| {
        keys["release"] = json!([world.release.ranged(20, None)]);
        keys["retired"] = json!([old.ranged(5, Some(19))]);
    });
    let signed_by = |signer: &Signer, seq| {
        let bytes = bytes(&manifest(seq, "1.0.0"));
        keys.verify_manifest(&bytes, &signer.sign_document::<Manifest>(&bytes))
    };
    for (signer, seq) in [(&world.release, 20), (&world.release, 9_000), (&old, 5), (&old, 19)] {
        let verified = signed_by(signer, seq).unwrap();
        assert_eq!((verified.signer(), verified.facts().seq), (signer.id(), seq));
    }
    // S17: a retired key outside its range, and a release key before its time.
    for (signer, seq) in [(&world.release, 19), (&old, 4), (&old, 20)] {
        let why = unverified(signed_by(signer, seq), "out of range");
        assert!(why.contains("may not sign seq"), "{why}");
    }
    for signer in [&world.channel, &world.roots[0], &outsider] {
        unverified(signed_by(signer, 20), "another role");
    }
    assert!(keys.remark(old.id()).unwrap().contains("retired at seq 19"));
    assert_eq!(keys.remark(world.release.id()), None);
}

/// S17: a revoked key is good up to its last good seq, and for what is listed.
#[test]
fn s17_revoked_keys() {
    let world = World::new();
    let listed = bytes(&manifest(40, "1.4.0"));
    let keys = world.keys_with(|keys| {
        keys["revoked"] = json!([
            {"id": world.release.id(), "last_good_seq": 33, "also_good": [Sha256::of(&listed)], "why": "laptop lost"},
            {"id": world.channel.id(), "last_good_seq": 33, "why": "laptop lost"},
        ]);
    });
    let verify = |seq| {
        let (bytes, minisig) = world.signed_manifest(&manifest(seq, "1.4.0"));
        keys.verify_manifest(&bytes, &minisig)
    };
    verify(33).unwrap();
    verify(40).unwrap();
    for seq in [34, 41] {
        let why = unverified(verify(seq), "revoked");
        assert!(why.contains("was revoked") && why.contains("laptop lost"), "{why}");
    }
    assert!(keys.remark(world.release.id()).unwrap().contains("revoked after seq 33"));
    let (bytes, minisig) = world.signed_channel(&channel(33, "1.4.0", &listed));
    keys.verify_channel(&bytes, &minisig).unwrap();
    let (bytes, minisig) = world.signed_channel(&channel(34, "1.4.0", &listed));
    unverified(keys.verify_channel(&bytes, &minisig), "revoked channel key");
}

/// S07: a valid signature of one kind never passes as another, whoever made it.
#[test]
fn s07_signatures_of_another_kind() {
    let world = World::new();
    let (manifest, _) = world.signed_manifest(&manifest(2, "1.1.0"));
    let good = Manifest::parse(&manifest).unwrap().statement(&manifest);
    for kind in ["keys", "channel", "manifests", "Manifest", ""] {
        let statement = good.replacen("manifest", kind, 1);
        let minisig = world.release.sign(&manifest, &statement);
        let why = unverified(world.keys().verify_manifest(&manifest, &minisig), kind);
        assert!(why.contains("another statement"), "{why}");
    }
    let (channel, minisig) = world.signed_channel(&channel(2, "1.1.0", &manifest));
    unverified(world.keys().verify_manifest(&channel, &minisig), "channel document as manifest");
    unverified(world.keys().verify_manifest(&manifest, &minisig), "channel signature for a manifest");
    let by_release = world.release.sign_document::<Channel>(&channel);
    unverified(world.keys().verify_channel(&channel, &by_release), "release key signs a channel");
}

/// S08: the trusted comment is compared whole.
#[test]
fn s08_the_statement_is_exact() {
    let world = World::new();
    let bytes = bytes(&manifest(42, "1.4.2"));
    let good = Manifest::parse(&bytes).unwrap().statement(&bytes);
    assert_eq!(
        good,
        format!(
            "gwinstall/1 manifest product=gwinstall channel=stable seq=42 version=1.4.2 len={} sha256={} \
             expires=2027-05-20T00:00:00Z",
            bytes.len(),
            Sha256::of(&bytes)
        )
    );
    let altered = [
        good.replace("version=1.4.2", "version=1.4.20"),
        good.replace("version=1.4.2", "version=1.4"),
        good.replace("seq=42", "seq=042"),
        good.replace("channel=stable seq=42", "seq=42 channel=stable"),
        format!("{good} extra=1"),
        format!("{good} "),
        format!(" {good}"),
        good.replace("gwinstall/1", "gwinstall/2"),
        good.replace("00:00:00Z", "00:00:01Z"),
        good.to_uppercase(),
        String::new(),
    ];
    for statement in altered {
        unverified(world.keys().verify_manifest(&bytes, &world.release.sign(&bytes, &statement)), &statement);
    }
    world.keys().verify_manifest(&bytes, &world.release.sign(&bytes, &good)).unwrap();
}

/// S01: nothing of a document is parsed before its signature holds: the error speaks of the signature alone.
#[test]
fn s01_no_parsing_before_the_signature() {
    let world = World::new();
    let (bytes, minisig) = world.signed_manifest(&manifest(2, "1.1.0"));
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let why = unverified(world.keys().verify_manifest(&flipped, &minisig), "flipped");
        assert!(why.contains("does not verify"), "{why}");
    }
    let why = unverified(world.keys().verify_manifest(b"{ not json", &minisig), "no JSON");
    assert!(why.contains("does not verify"), "{why}");
}

/// S11, S14, S18: documents that are signed but not what they should be.
#[test]
fn s14_signed_nonsense() {
    let world = World::new();
    let text = String::from_utf8(bytes(&manifest(42, "1.4.2"))).unwrap();
    let mut cases = vec![
        text.replace("\"seq\": 42", "\"seq\": 42, \"seq\": 42"),
        format!("{text} {{}}"),
        format!("\u{feff}{text}"),
        text.replace("\"deny\": []", &format!("\"x\": {}{}", "[".repeat(10_000), "]".repeat(10_000))),
        text.replace("\"deny\": []", &format!("\"x\": \"{}\"", "x".repeat(300 << 10))),
        text.replace("\"product\": \"gwinstall\"", "\"product\": \"Gwinstall\""),
        text.replace("\"version\": \"1.4.2\"", "\"version\": \"../../1\""),
        text.replace("\"len\": 4", "\"len\": 0"),
        text.replace("\"len\": 4", "\"len\": 9007199254740991"),
        text.replace("\"role\": \"bundle\"", "\"role\": \"binary\"")
            .replace("\"target\": \"any\"", "\"target\": \"x86_64-unknown-linux-musl\""),
        text.replace("gwinstall-bundle-1.4.2.tar.gz", "gwinstall-1.4.2-x86_64-unknown-linux-musl"),
        text.replace("\"floor_seq\": 1", "\"floor_seq\": 43"),
        text.replace(&Sha256::of(b"test").to_string(), &Sha256::of(b"test").to_string().to_uppercase()),
    ];
    // S11: numbers that readers disagree about.
    for number in ["9007199254740992", "18446744073709551615", "-1", "1e3", "\"42\"", "42.0", "0", "null"] {
        cases.push(text.replace("\"seq\": 42", &format!("\"seq\": {number}")));
    }
    for case in cases {
        assert_ne!(case, text);
        let minisig = world.release.sign(case.as_bytes(), "gwinstall/1 manifest");
        let why =
            unverified(world.keys().verify_manifest(case.as_bytes(), &minisig), &case[..200.min(case.len())]);
        assert!(why.contains("is not a valid document"), "{why}");
    }
}

/// A bundle's file list that could not be unpacked safely is refused before anything is downloaded.
#[test]
fn bundle_lists_are_checked() {
    let file = |path: &str, mode: &str| json!({"path": path, "len": 1, "sha256": Sha256::of(b"x"), "mode": mode, "class": "doc"});
    let parse = |files: Vec<Value>| {
        let mut manifest = manifest(2, "1.1.0");
        manifest["bundle"]["files"] = json!(files);
        Manifest::parse(&bytes(&manifest))
    };
    parse(vec![file("a", "0644"), file("b/c", "0755"), file("d", "0600")]).unwrap();
    for files in [
        vec![file("../a", "0644")],
        vec![file("/a", "0644")],
        vec![file("a", "4755")],
        vec![file("a", "0777")],
        vec![file("a", "0644"), file("A", "0644")],
        vec![
            json!({"path": "a", "len": 1 << 30, "sha256": Sha256::of(b"x"), "mode": "0644", "class": "doc"}),
        ],
    ] {
        unverified(parse(files), "bundle list");
    }
}

/// S15: unknown fields are nobody's business, unless their author says they are critical.
#[test]
fn s15_critical_fields() {
    let world = World::new();
    let verify = |change: &dyn Fn(&mut Value)| {
        let mut manifest = manifest(2, "1.1.0");
        change(&mut manifest);
        let bytes = bytes(&manifest);
        let statement =
            Manifest::parse(&bytes).map_or("gwinstall/1 x".into(), |manifest| manifest.statement(&bytes));
        world.keys().verify_manifest(&bytes, &world.release.sign(&bytes, &statement))
    };
    verify(&|manifest| manifest["x_new"] = json!({"a": [1]})).unwrap();
    verify(&|manifest| manifest["critical"] = json!(["deny", "floor_seq"])).unwrap();
    for change in [
        &(|manifest: &mut Value| manifest["critical"] = json!(["x_new"])) as &dyn Fn(&mut Value),
        &|manifest| manifest["schema"] = json!(2),
        // A newer format may mean anything by the other fields.
        &|manifest| *manifest = json!({"schema": 3, "seq": {"major": 1}}),
    ] {
        let error = verify(change).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.to_string().contains("newer gwinstall"), "{error}");
    }
}

/// tuf-conformance `test_custom_fields`, `test_invalid_initial_root`: unknown fields in keys; an anchor that is none.
#[test]
fn tuf_test_custom_fields_and_invalid_initial_root() {
    let world = World::new();
    let mut keys = world.keys_json(2);
    keys["custom-field"] = json!("value");
    keys["root"]["another-field"] = json!("value");
    keys["root"]["keys"][0]["extra-field"] = json!({"a": 1});
    let mut chain = Chain::default();
    chain.add(2, &keys, &[&world.roots[0], &world.roots[1]]);
    assert_eq!(world.keys().walk(2, &mut chain).unwrap().version(), 2);
    let mut broken = world.keys_json(1);
    broken.as_object_mut().unwrap().remove("version");
    unverified(TrustedKeys::embedded(&bytes(&broken)), "no version");
}

/// A key that rotates out takes its signatures with it: old roots cannot go on.
#[test]
fn rotated_roots_lose_their_say() {
    let mut world = World::new();
    let before = world.keys();
    let old: Vec<Signer> = std::mem::replace(&mut world.roots, (0..3).map(|_| Signer::new()).collect());
    let mut chain = Chain::default();
    let new = [&world.roots[0], &world.roots[1]];
    chain.add(2, &world.keys_json(2), &[&old[0], &old[2], new[0], new[1]]);
    let after = before.walk(2, &mut chain).unwrap();
    chain.add(3, &world.keys_json(3), &[&old[0], &old[1], &old[2]]);
    unverified(after.clone().walk(3, &mut chain), "signed by rotated roots");
    chain.add(3, &world.keys_json(3), &new);
    assert_eq!(after.walk(3, &mut chain).unwrap().version(), 3);
}

/// A damaged signature does not count, and does not spoil the others; a wrong statement under a good one does.
#[test]
fn one_bad_signature_among_good_ones() {
    let world = World::new();
    let (a, b, c) = (&world.roots[0], &world.roots[1], &world.roots[2]);
    let mut chain = Chain::default();
    chain.add(2, &world.keys_json(2), &[a, b, c]);
    chain.signatures.insert((2, c.id()), b"rubbish".to_vec());
    world.keys().walk(2, &mut chain).unwrap();
    chain.signatures.insert((2, b.id()), b"rubbish".to_vec());
    unverified(world.keys().walk(2, &mut chain), "one good of three");
    let document = chain.documents[&2].clone();
    chain.signatures.insert((2, b.id()), b.sign(&document, "gwinstall/1 manifest product=gwinstall"));
    unverified(world.keys().walk(2, &mut chain), "signed as something else");
}
