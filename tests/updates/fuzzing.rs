//! Seeded fuzzing of every reader of bytes that others wrote: no input panics, and what is accepted after a change is
//! still what its writer could have written. The seed is fixed, so a failure comes back. `tests/fuzz` searches the same
//! properties by coverage.

use crate::forge::{World, bytes, channel, manifest};
use crate::properties::release::{says_the_same, signed_part};
use gwinstall::bundle::ustar::{self, Limits};
use gwinstall::doors::net::{Address, Bypass, ProxyRule};
use gwinstall::release::documents::{Channel, Document, Keys, Manifest};
use gwinstall::release::minisig::{PublicKey, Signature};
use gwinstall::release::policy::{Pin, Policy};
use gwinstall::release::trust_state::TrustState;

const ROUNDS: usize = 4_000;

/// xorshift64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    /// A few bytes of `seed` flipped, cut, doubled, moved or replaced by tokens that readers trip over.
    fn mutant(&mut self, seed: &[u8]) -> Vec<u8> {
        const TOKENS: [&[u8]; 16] = [
            b"\"",
            b"\\u0000",
            b"\\ud800",
            b"{",
            b"}",
            b"[[[[[[[[",
            b",",
            b"null",
            b"-1",
            b"1e999",
            b"9007199254740992",
            b"\xff\xfe",
            b"\r\n",
            b"\0",
            b"\"seq\":1,",
            b"../",
        ];
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let to = at + self.below(bytes.len() - at + 1);
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..to)),
                3 => bytes = [&bytes[..to], &bytes[at..]].concat(),
                _ => {
                    let token = TOKENS[self.below(TOKENS.len())];
                    bytes.splice(at..at, token.iter().copied());
                }
            }
        }
        bytes
    }
}

fn mutants(seed: &[u8], number: u64, rounds: usize, mut each: impl FnMut(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ number);
    for _ in 0..rounds {
        each(&random.mutant(seed));
    }
}

/// Every seed of the fuzz targets is accepted, or is there to lead to a refusal; most of their mutants are refused,
/// and some get through.
#[test]
fn the_fuzz_targets() {
    for (number, target) in crate::properties::TARGETS.iter().enumerate() {
        let seeds = (target.seeds)();
        assert!(seeds.iter().any(|seed| (target.holds)(seed)), "{}: no seed is accepted", target.name);
        let mut accepted = 0;
        for seed in &seeds {
            mutants(seed, 20 + number as u64, ROUNDS / seeds.len(), |bytes| {
                accepted += usize::from((target.holds)(bytes));
            });
        }
        assert!(accepted > 20, "{}: the mutator only makes rubbish: {accepted}", target.name);
    }
}

fn stable<D: Document + serde::Serialize + PartialEq + std::fmt::Debug>(seed: &[u8], number: u64) {
    let mut accepted = 0;
    D::parse(seed).unwrap();
    mutants(seed, number, ROUNDS, |bytes| accepted += usize::from(says_the_same::<D>(bytes)));
    assert!(accepted > 20, "the mutator only makes rubbish: {accepted}");
}

#[test]
fn documents() {
    let world = World::new();
    let manifest = bytes(&manifest(42, "1.4.2"));
    stable::<Keys>(&bytes(&world.keys_json(3)), 1);
    stable::<Channel>(&bytes(&channel(42, "1.4.2", &manifest)), 2);
    stable::<Manifest>(&manifest, 3);
}

/// No mutant of a signed document or of its signature verifies, except one whose unsigned first line changed.
#[test]
fn signatures() {
    let world = World::new();
    let (document, minisig) = world.signed_manifest(&manifest(42, "1.4.2"));
    let keys = world.keys();
    mutants(&minisig, 4, ROUNDS, |bytes| {
        if let Ok(verified) = keys.verify_manifest(&document, bytes) {
            assert_eq!(signed_part(bytes), signed_part(&minisig));
            assert_eq!(verified.facts().seq, 42);
        }
        let _ = Signature::parse(bytes);
    });
    mutants(&document, 5, ROUNDS, |bytes| {
        assert_eq!(keys.verify_manifest(bytes, &minisig).is_ok(), bytes == document);
    });
    let key = world.release.key.as_str().as_bytes();
    mutants(key, 6, ROUNDS, |bytes| {
        if let Some(Ok(key)) = std::str::from_utf8(bytes).ok().map(PublicKey::parse) {
            assert_eq!(key.as_str().as_bytes(), bytes);
        }
    });
}

#[test]
fn archives() {
    let mut packer = gwinstall::bundle::pack::tar_gz(Vec::new(), 1);
    packer.file("a", 0o644, b"first").unwrap();
    packer.file("d/b", 0o755, &[1; 700]).unwrap();
    let archive = packer.finish().unwrap().finish().unwrap();
    let good = ustar::unpack(&archive[..], &Limits::BUNDLE).unwrap();
    mutants(&archive, 7, ROUNDS, |bytes| {
        // Only the gzip header's time and system bytes mean nothing.
        if let Ok(files) = ustar::unpack(bytes, &Limits::BUNDLE) {
            assert_eq!(files, good);
        }
    });
}

#[test]
fn words_of_users_and_servers() {
    mutants(b"https://user.example.com:8443/a/b?c#d", 8, ROUNDS, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Ok(address) = Address::parse(text) {
            assert!(address.https || address.is_loopback());
            assert_eq!(Address::parse(&address.url()).unwrap(), address);
            if let Ok(next) = address.redirect(text) {
                assert!(next.https || !address.https);
            }
        }
        let _ = (
            Pin::parse(text),
            Bypass::parse("NO_PROXY", text),
            ProxyRule::parse("HTTPS_PROXY", text, Bypass::default()),
        );
    });
    mutants(b"10.0.0.0/8, .example.com:80,[::1],fd00::/8,*", 9, ROUNDS, |bytes| {
        let Some(Ok(bypass)) = std::str::from_utf8(bytes).ok().map(|text| Bypass::parse("NO_PROXY", text))
        else {
            return;
        };
        let _ = (bypass.covers("example.com", 80), bypass.covers("10.1.1.1", 443), bypass.covers("[::1]", 1));
    });
    mutants(
        b"pin: 1.4.2\nchannel: stable\nupdates: check\nallow_presets: [basic]\nmanaged_by: x\n",
        10,
        ROUNDS,
        |bytes| {
            let _ = std::str::from_utf8(bytes).ok().map(Policy::parse);
        },
    );
    mutants(&serde_json::to_vec_pretty(&TrustState::default()).unwrap(), 11, ROUNDS, |bytes| {
        let _ = TrustState::parse(bytes);
    });
}
