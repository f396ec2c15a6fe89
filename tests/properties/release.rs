//! Signed documents and signatures, starting from the release that is kept: its keys never change.

use std::fmt::Debug;
use std::sync::OnceLock;

use gwinstall::release::documents::{Channel, Document, Keys, Manifest};
use gwinstall::release::minisig::{MAX_FILE, PublicKey, Signature};
use gwinstall::release::trust::TrustedKeys;

const KEYS: &[u8] = include_bytes!("../fixtures/release-1.0.0/keys.1.json");
const CHANNEL: &[u8] = include_bytes!("../fixtures/release-1.0.0/channel-stable.json");
const MANIFEST: &[u8] = include_bytes!("../fixtures/release-1.0.0/manifest.json");
const MANIFEST_MINISIG: &[u8] = include_bytes!("../fixtures/release-1.0.0/manifest.json.minisig");
const CHANNEL_MINISIG: &[u8] = include_bytes!("../fixtures/release-1.0.0/channel-stable.json.minisig");

/// A document that is accepted says the same when it is written and read again.
pub fn says_the_same<D: Document + serde::Serialize + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let Ok(document) = D::parse(bytes) else { return false };
    let again = serde_json::to_vec(&document).unwrap();
    assert_eq!(D::parse(&again).unwrap(), document);
    let statement = document.statement(bytes);
    assert!(statement.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{statement:?}");
    true
}

pub fn manifest(bytes: &[u8]) -> bool {
    says_the_same::<Manifest>(bytes)
}

pub fn keys(bytes: &[u8]) -> bool {
    says_the_same::<Keys>(bytes)
}

pub fn channel(bytes: &[u8]) -> bool {
    says_the_same::<Channel>(bytes)
}

/// No other signature than the one that was made verifies, whatever its unsigned first line says; a signature in the
/// right form and a key that is accepted have exactly one spelling.
pub fn minisig(bytes: &[u8]) -> bool {
    static TRUSTED: OnceLock<TrustedKeys> = OnceLock::new();
    let trusted = TRUSTED.get_or_init(|| TrustedKeys::embedded(KEYS).unwrap());
    if let Ok(verified) = trusted.verify_manifest(MANIFEST, bytes) {
        assert_eq!(signed_part(bytes), signed_part(MANIFEST_MINISIG));
        assert_eq!(verified.facts().seq, 1);
    }
    assert!(
        trusted.verify_channel(CHANNEL, bytes).is_err() || signed_part(bytes) == signed_part(CHANNEL_MINISIG)
    );
    if let Some(Ok(key)) = std::str::from_utf8(bytes).ok().map(PublicKey::parse) {
        assert_eq!(key.as_str().as_bytes(), bytes);
        return true;
    }
    let Ok(signature) = Signature::parse(bytes) else { return false };
    assert!(bytes.len() <= MAX_FILE && bytes.iter().filter(|byte| **byte == b'\n').count() == 4);
    let other = [b"untrusted comment: other\n", signed_part(bytes)].concat();
    assert_eq!(Signature::parse(&other).unwrap().key_id(), signature.key_id());
    true
}

/// All but the first line.
pub fn signed_part(minisig: &[u8]) -> &[u8] {
    minisig.iter().position(|byte| *byte == b'\n').map_or(&[], |at| &minisig[at + 1..])
}

/// The kept manifest whole, and with few files: small inputs are searched faster.
pub fn manifests() -> Vec<Vec<u8>> {
    let mut few: serde_json::Value = serde_json::from_slice(MANIFEST).unwrap();
    few["bundle"]["files"].as_array_mut().unwrap().truncate(2);
    let mut rich = few.clone();
    rich["prev"] = few["artifacts"][0]["sha256"].clone();
    rich["critical"] = serde_json::json!(["seq"]);
    rich["pins"] = serde_json::json!([{"kind": "pypi", "name": "litellm", "version": "1", "digest": "x"}]);
    rich["deny"] =
        serde_json::json!([{"kind": "self", "name": "gwinstall", "versions": ["0.9"], "why": "x"}]);
    [few, rich].iter().map(|value| serde_json::to_vec(value).unwrap()).chain([MANIFEST.to_vec()]).collect()
}

pub fn key_lists() -> Vec<Vec<u8>> {
    let mut rich: serde_json::Value = serde_json::from_slice(KEYS).unwrap();
    let mut retired = rich["channel"][0].clone();
    (retired["from_seq"], retired["to_seq"]) = (1.into(), 9.into());
    rich["channel"] = serde_json::json!([]);
    rich["retired"] = serde_json::json!([retired]);
    rich["revoked"] = serde_json::json!([{"id": retired["id"], "last_good_seq": 4, "why": "lost"}]);
    vec![KEYS.to_vec(), serde_json::to_vec(&rich).unwrap()]
}

pub fn channels() -> Vec<Vec<u8>> {
    vec![CHANNEL.to_vec()]
}

pub fn signatures() -> Vec<Vec<u8>> {
    let keys = Keys::parse(KEYS).unwrap();
    let keys = keys.root.keys.iter().map(|root| root.key.as_str().as_bytes().to_vec());
    [MANIFEST_MINISIG, CHANNEL_MINISIG].iter().map(|minisig| minisig.to_vec()).chain(keys).collect()
}
