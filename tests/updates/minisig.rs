//! Signature files: mutants of a good one, published vectors, keys that anyone can sign for (S01–S06).

use std::fs;

use crate::forge::Signer;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use gwinstall::domain::Kind;
use gwinstall::release::minisig::{PublicKey, Signature};

const COMMENT: &str = "gwinstall/1 manifest product=gwinstall";

fn verdict(key: &PublicKey, bytes: &[u8], minisig: &[u8]) -> Result<String, String> {
    let outcome = Signature::parse(minisig).and_then(|signature| key.verify(bytes, &signature));
    outcome.map(|statement| statement.as_str().to_owned()).map_err(|error| {
        assert_eq!(error.kind(), Kind::Unverified, "{error}");
        error.to_string()
    })
}

/// S01, S05, S06: every mutant is refused, or says exactly what the original said and shows nothing else.
#[test]
fn mutants_of_a_good_signature() {
    let signer = Signer::new();
    let good = String::from_utf8(signer.sign(b"bytes", COMMENT)).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let join = |lines: [&str; 4]| format!("{}\n{}\n{}\n{}\n", lines[0], lines[1], lines[2], lines[3]);
    let flip = |line: &str, at: usize| {
        let other = if line.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{other}{}", &line[..at], &line[at + 1..])
    };
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("bit in the signature", join([lines[0], &flip(lines[1], 40), lines[2], lines[3]]).into()),
        ("bit in the key id", join([lines[0], &flip(lines[1], 4), lines[2], lines[3]]).into()),
        ("bit in the trusted comment", good.replace("product", "produce").into()),
        ("bit in the global signature", join([lines[0], lines[1], lines[2], &flip(lines[3], 40)]).into()),
        ("trusted comment longer", good.replace("=gwinstall\n", "=gwinstall \n").into()),
        ("CRLF", good.replace('\n', "\r\n").into()),
        ("CR at one end", good.replacen('\n', "\r\n", 1).into()),
        ("BOM", format!("\u{feff}{good}").into()),
        ("no final newline", good.trim_end().into()),
        ("two final newlines", format!("{good}\n").into()),
        ("a fifth line", format!("{good}more\n").into()),
        ("a second signature", format!("{good}{good}").into()),
        ("three lines", format!("{}\n{}\n{}\n", lines[0], lines[1], lines[2]).into()),
        ("an empty first line", join(["", lines[1], lines[2], lines[3]]).into()),
        ("no prefix on line 1", join(["comment: x", lines[1], lines[2], lines[3]]).into()),
        ("no prefix on line 3", good.replace("trusted comment: gw", "comment: gw").into()),
        ("upper-case prefix", good.replace("trusted comment: gw", "Trusted comment: gw").into()),
        ("space before base64", good.replacen("\nRU", "\n RU", 1).into()),
        ("space behind base64", join([lines[0], &format!("{} ", lines[1]), lines[2], lines[3]]).into()),
        (
            "url-safe base64",
            join([lines[0], &lines[1].replace(['+', '/'], "-"), lines[2], &format!("-{}", &lines[3][1..])])
                .into(),
        ),
        ("padding missing", join([lines[0], lines[1].trim_end_matches('='), lines[2], lines[3]]).into()),
        ("padding doubled", join([lines[0], lines[1], lines[2], &format!("{}==", lines[3])]).into()),
        ("NUL in line 1", good.replacen("untrusted comment: ", "untrusted comment: \0", 1).into()),
        ("tab in the trusted comment", good.replace("manifest product", "manifest\tproduct").into()),
        ("not UTF-8", [b"untrusted comment: \xff\n", &good.as_bytes()[lines[0].len() + 1..]].concat()),
        (
            "1025 bytes",
            good.replacen("untrusted comment: ", &format!("untrusted comment: {}", "x".repeat(1024)), 1)
                .into(),
        ),
        ("5 MB", vec![b'x'; 5 << 20]),
        ("empty", vec![]),
    ];
    assert!(refused.len() >= 20);
    for (what, mutant) in &refused {
        assert!(verdict(&signer.key, b"bytes", mutant).is_err(), "{what} is accepted");
    }
    let harmless = [
        good.clone(),
        good.replace("untrusted comment: x", "untrusted comment: \u{1b}]0;owned\u{7}\u{1b}[31mTRUSTED"),
        good.replace("untrusted comment: x", "untrusted comment: "),
    ];
    for mutant in harmless {
        assert_eq!(verdict(&signer.key, b"bytes", mutant.as_bytes()), Ok(COMMENT.to_owned()));
    }
}

/// S05: each final character of the base64 has one spelling; the others only differ in bits nobody reads.
#[test]
fn loose_base64_is_refused() {
    let signer = Signer::new();
    let good = String::from_utf8(signer.sign(b"bytes", COMMENT)).unwrap();
    let line = good.lines().nth(1).unwrap();
    let last = line.trim_end_matches('=').chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let accepted = alphabet.chars().filter(|other| {
        let loose = line.replace(&format!("{last}="), &format!("{other}="));
        verdict(&signer.key, b"bytes", good.replace(line, &loose).as_bytes()).is_ok()
    });
    assert_eq!(accepted.collect::<Vec<_>>(), [last]);
}

/// S05: the same bytes spelled as two padded pieces, which a common decoder joins.
#[test]
fn base64_in_pieces_is_refused() {
    let signer = Signer::new();
    let pieces = |text: &str| {
        let bytes = decode(text);
        format!("{}{}", encode(&bytes[..1]), encode(&bytes[1..]))
    };
    let why = PublicKey::parse(&pieces(signer.key.as_str())).unwrap_err();
    assert_eq!(why, "a public key is canonical base64");
    let good = String::from_utf8(signer.sign(b"bytes", COMMENT)).unwrap();
    for line in [1, 3].map(|at| good.lines().nth(at).unwrap()) {
        let why = verdict(&signer.key, b"bytes", good.replace(line, &pieces(line)).as_bytes()).unwrap_err();
        assert!(why.contains("malformed"), "{why}");
    }
}

/// S01: any single changed bit of what is signed, or of the decoded signature.
#[test]
fn every_bit_counts() {
    let signer = Signer::new();
    let good = signer.sign(b"bytes", COMMENT);
    for at in 0..5 * 8 {
        let mut bytes = *b"bytes";
        bytes[at / 8] ^= 1 << (at % 8);
        assert!(verdict(&signer.key, &bytes, &good).is_err());
    }
    let signed = good.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for at in signed..good.len() {
        let mut mutant = good.clone();
        mutant[at] ^= 1;
        assert!(verdict(&signer.key, b"bytes", &mutant).is_err(), "byte {at}");
    }
}

/// S04: both ids are named, and an id alone proves nothing.
#[test]
fn another_key_and_the_right_id_with_other_bytes() {
    let (signer, other) = (Signer::new(), Signer::new());
    let good = signer.sign(b"bytes", COMMENT);
    let why = verdict(&other.key, b"bytes", &good).unwrap_err();
    assert!(why.contains(&signer.id().to_string()) && why.contains(&other.id().to_string()), "{why}");
    let mut forged = decode(other.key.as_str());
    forged[2..10].copy_from_slice(&decode(signer.key.as_str())[2..10]);
    let forged = PublicKey::parse(&encode(&forged)).unwrap();
    assert_eq!(forged.id(), signer.id());
    verdict(&forged, b"bytes", &good).unwrap_err();
}

/// S03: the same signature with S+L in place of S, signed again as a whole by the owner of the key: only the
/// check of S can refuse it.
#[test]
fn a_malleated_scalar_is_refused_for_itself() {
    let signer = Signer::new();
    let good = String::from_utf8(signer.sign(b"bytes", COMMENT)).unwrap();
    let mut packet = decode(good.lines().nth(1).unwrap());
    let control = resigned(&signer, &good, &packet);
    assert_eq!(verdict(&signer.key, b"bytes", control.as_bytes()), Ok(COMMENT.to_owned()));
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in packet[42..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    let malleated = resigned(&signer, &good, &packet);
    verdict(&signer.key, b"bytes", malleated.as_bytes()).unwrap_err();
}

/// The file with this signature packet and a global signature made over it with the secret key.
fn resigned(signer: &Signer, good: &str, packet: &[u8]) -> String {
    let secret = signer.pair.sk.to_bytes();
    // 2 signature, 2 kdf, 2 checksum algorithm, 32 salt, 8 and 8 limits, 8 key id, then the seed.
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&secret[62..94]).unwrap();
    let global = pair.sign(&[&packet[10..], COMMENT.as_bytes()].concat());
    let lines: Vec<&str> = good.lines().collect();
    format!("{}\n{}\n{}\n{}\n", lines[0], encode(packet), lines[2], encode(global.as_ref()))
}

/// S02 and the published pair: prehashed verifies, legacy does not, signify's format is none of ours.
#[test]
fn published_signatures() {
    let file = |name: &str| fs::read(format!("tests/vectors/sig/{name}")).unwrap();
    let public = String::from_utf8(file("minisign-test.pub")).unwrap();
    let key = PublicKey::parse(public.lines().nth(1).unwrap()).unwrap();
    assert_eq!(key.id().to_string(), "e7620f1842b4e81f");
    let message = file("minisign-test.bin");
    let statement = verdict(&key, &message, &file("minisign-prehashed-ED.minisig"));
    // The bytes between are a tab in what minisign itself writes: strict reading refuses it before any crypto.
    assert!(statement.is_err());
    let why = verdict(&key, &message, &file("minisign-legacy-Ed.minisig")).unwrap_err();
    assert!(why.contains("legacy") || why.contains("printable"), "{why}");
    for name in ["signify-orders", "signify-forgery"] {
        verdict(&key, &file(&format!("{name}.txt")), &file(&format!("{name}.txt.sig"))).unwrap_err();
    }
}

/// S02: the legacy form, strictly formatted, is refused for its algorithm.
#[test]
fn the_legacy_form_is_named() {
    let signer = Signer::new();
    let good = String::from_utf8(signer.sign(b"bytes", COMMENT)).unwrap();
    let mut packet = decode(good.lines().nth(1).unwrap());
    packet[1] = b'd';
    let why = verdict(&signer.key, b"bytes", resigned(&signer, &good, &packet).as_bytes()).unwrap_err();
    assert!(why.contains("legacy form Ed"), "{why}");
}

/// Wycheproof: no invalid signature passes, in our form and signed by nobody else. All its keys are ordinary keys. Its valid
/// signatures cannot be tried this way: a `.minisig` file holds a second signature, over the first one and the trusted comment,
/// which takes the secret key, and the vectors hold none; and they sign the message itself, where form `ED` signs its hash.
#[test]
fn wycheproof_ed25519() {
    let text = fs::read_to_string("tests/vectors/sig/wycheproof-ed25519_test.json").unwrap();
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut keys, mut refused) = (0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let point = unhex(group["publicKey"]["pk"].as_str().unwrap());
        let key = PublicKey::parse(&public(&point)).unwrap();
        keys += 1;
        for case in group["tests"].as_array().unwrap() {
            let signature = unhex(case["sig"].as_str().unwrap());
            if case["result"] == "valid" {
                assert_eq!(signature.len(), 64);
                continue;
            }
            let packet = [b"ED".as_slice(), &[7; 8], &signature].concat();
            let file = format!(
                "untrusted comment: x\n{}\ntrusted comment: x\n{}\n",
                encode(&packet),
                encode(&signature.iter().copied().chain([0; 64]).take(64).collect::<Vec<_>>())
            );
            verdict(&key, &unhex(case["msg"].as_str().unwrap()), file.as_bytes()).unwrap_err();
            refused += 1;
        }
    }
    assert_eq!((keys, refused), (78, 63));
}

/// A key that is a point of small order, or not written canonically, never enters a key list.
#[test]
fn weak_keys_are_refused() {
    let numbers = |lows: &[u8], middle: u8, high: u8| {
        lows.iter()
            .map(|low| core::array::from_fn(|at| if at == 0 { *low } else { [middle, high][at / 31] }))
            .collect::<Vec<[u8; 32]>>()
    };
    // y = 0 and 1, and −1: of orders 4, 1 and 2.
    let mut small = [numbers(&[0, 1], 0, 0), numbers(&[0xec], 0xff, 0x7f)].concat();
    let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    small.push(unhex(order_8).try_into().unwrap());
    small.extend(speccheck_keys()[..2].iter().map(|key| <[u8; 32]>::try_from(&key[..]).unwrap()));
    for (point, sign) in small.into_iter().flat_map(|point| [(point, 0), (point, 0x80)]) {
        let mut point = point;
        point[31] |= sign;
        let why = PublicKey::parse(&public(&point)).unwrap_err();
        // With no x to have a sign, the bit is none of a canonical form.
        assert!(why.contains("small order") || sign != 0 && why.contains("canonical"), "{point:02x?}: {why}");
    }
    // The prime and above: y = 0, 1, 2 … again; not all of them are on the curve.
    for point in
        [numbers(&[0xed, 0xee, 0xef, 0xf0, 0xff], 0xff, 0x7f), numbers(&[0xed, 0xee], 0xff, 0xff)].concat()
    {
        let why = PublicKey::parse(&public(&point)).unwrap_err();
        assert!(why.contains("canonical") || why.contains("of the curve"), "{point:02x?}: {why}");
    }
}

/// A key with a part of small order: to sign for it takes its secret, but not everybody finds the same signatures good.
#[test]
fn keys_of_mixed_order_are_refused() {
    let keys = speccheck_keys();
    let mixed: Vec<&Vec<u8>> = keys.iter().filter(|key| why_not(key).contains("mixed order")).collect();
    assert_eq!((keys.len(), mixed.len()), (10, 6));
    let good: [u8; 32] = decode(Signer::new().key.as_str())[10..].try_into().unwrap();
    let point = CompressedEdwardsY(good).decompress().unwrap();
    assert_eq!(why_not(&good), "");
    for torsion in &EIGHT_TORSION[1..] {
        let mixed = (point + torsion).compress().to_bytes();
        assert!(why_not(&mixed).contains("mixed order"), "{mixed:02x?}");
    }
}

/// Why these bytes are no key; nothing if they are one.
fn why_not(point: &[u8]) -> &'static str {
    PublicKey::parse(&public(point)).err().unwrap_or_default()
}

/// The keys of the published edge cases of Ed25519, in their order.
fn speccheck_keys() -> Vec<Vec<u8>> {
    let text = fs::read_to_string("tests/vectors/sig/speccheck-cases.json").unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    cases.iter().map(|case| unhex(case["pub_key"].as_str().unwrap())).collect()
}

/// Texts of keys that are not exactly what minisign writes.
#[test]
fn malformed_keys_are_refused() {
    let good = Signer::new().key.as_str().to_owned();
    let bad =
        ["", "RW", &good[..55], &format!("{good} "), &good.replacen("RW", "RX", 1), &format!("{good}AAAA")];
    for text in bad {
        assert!(PublicKey::parse(text).is_err(), "{text}");
    }
}

/// The stock tool says the same about what we sign and accept.
#[test]
fn stock_minisign_agrees() {
    if which::which("minisign").is_err() {
        return;
    }
    let signer = Signer::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("manifest.json");
    fs::write(&path, "bytes").unwrap();
    fs::write(dir.path().join("manifest.json.minisig"), signer.sign(b"bytes", COMMENT)).unwrap();
    let run = |key: &str| {
        let mut command = std::process::Command::new("minisign");
        command.args(["-VHm"]).arg(&path).args(["-P", key]).output().unwrap()
    };
    let output = run(signer.key.as_str());
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains(COMMENT));
    assert!(!run(Signer::new().key.as_str()).status.success());
}

fn public(point: &[u8]) -> String {
    encode(&[b"Ed".as_slice(), &[7; 8], point].concat())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = ALPHABET[(number >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let digits =
        text.trim_end_matches('=').bytes().map(|byte| ALPHABET.iter().position(|d| *d == byte).unwrap());
    let bits: String = digits.map(|digit| format!("{digit:06b}")).collect();
    (0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[8 * at..8 * at + 8], 2).unwrap()).collect()
}
