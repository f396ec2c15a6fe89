//! Recipients (`age1…`), identities (`AGE-SECRET-KEY-1…`), and how each of them and a passphrase wraps the key of a file.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use curve25519_dalek::MontgomeryPoint;
use ring::hmac;

use crate::domain::{Result, Secret};

/// The work of a passphrase in files that gwinstall makes, as a power of two: OWASP's least for scrypt, 128 MiB for one check.
/// age takes twice that, which a small container does not have.
pub(super) const WORK: u8 = 17;
/// The most work that a file may ask for: 1 GiB. age makes 18, rage what the machine does in a second.
const MOST_WORK: u8 = 20;

/// Fills a buffer with random bytes from the operating system.
pub type Random<'a> = &'a dyn Fn(&mut [u8]) -> Result<()>;

/// The key of one file.
pub struct FileKey(pub(super) [u8; 16]);

/// The public half of an identity: a file can be sealed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient(pub(super) [u8; 32]);

/// A secret key. `Debug` does not show it.
#[derive(Clone)]
pub struct Identity([u8; 32]);

/// What a file is sealed with.
#[derive(Debug)]
pub enum Lock {
    Recipients(Vec<Recipient>),
    Passphrase(Secret),
}

/// What a file is opened with.
#[derive(Debug, Clone)]
pub enum Key {
    Identities(Vec<Identity>),
    Passphrase(Secret),
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Recipient {
    pub fn parse(text: &str) -> Option<Self> {
        bytes_of(text, "age").map(Self)
    }
}

impl Identity {
    /// All identities of a file as `age-keygen` writes it: one a line, comments after `#`. `None` where a line is something
    /// else, or there is none.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities: Vec<Self> =
            lines.map(|line| bytes_of(line, "age-secret-key-").map(Self)).collect::<Option<_>>()?;
        (!identities.is_empty()).then_some(identities)
    }

    pub fn recipient(&self) -> Recipient {
        Recipient(MontgomeryPoint::mul_base_clamped(self.0).to_bytes())
    }

    /// The key that wraps the file's key for this identity. `None` for a share that no honest writer makes.
    pub(super) fn wrapping(&self, share: &[u8; 32]) -> Option<[u8; 32]> {
        wrapping(self.0, share, share, &self.recipient())
    }
}

/// The 32 bytes of a key in the encoding Bech32, in one case.
fn bytes_of(text: &str, prefix: &str) -> Option<[u8; 32]> {
    let parsed = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if parsed.hrp() != Hrp::parse(prefix).ok()? {
        return None;
    }
    parsed.byte_iter().collect::<Vec<u8>>().try_into().ok()
}

/// A fresh share for `recipient` and the key that wraps the file's key.
pub(super) fn wrapping_for(recipient: &Recipient, fresh: [u8; 32]) -> Option<([u8; 32], [u8; 32])> {
    let share = MontgomeryPoint::mul_base_clamped(fresh).to_bytes();
    wrapping(fresh, &recipient.0, &share, recipient).map(|key| (share, key))
}

fn wrapping(secret: [u8; 32], point: &[u8; 32], share: &[u8; 32], of: &Recipient) -> Option<[u8; 32]> {
    let shared = MontgomeryPoint(*point).mul_clamped(secret).to_bytes();
    if shared == [0; 32] {
        return None;
    }
    Some(derive(&shared, &[&share[..], &of.0].concat(), b"age-encryption.org/v1/X25519"))
}

/// The key that wraps the file's key under a passphrase. `None` for more work than a file may ask for.
pub(super) fn wrapping_by(passphrase: &Secret, salt: &[u8], work: u8) -> Option<[u8; 32]> {
    let params = scrypt::Params::new(work, 8, 1).ok().filter(|_| work <= MOST_WORK)?;
    let salt = [b"age-encryption.org/v1/scrypt", salt].concat();
    let mut key = [0; 32];
    scrypt::scrypt(passphrase.expose().as_bytes(), &salt, &params, &mut key).ok()?;
    Some(key)
}

/// HKDF-SHA-256 for one block of output. With HMAC alone nothing in it can fail.
pub(super) fn derive(secret: &[u8], salt: &[u8], purpose: &[u8]) -> [u8; 32] {
    let extracted = mac(salt, secret);
    mac(&extracted, &[purpose, &[1]].concat())
}

pub(super) fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref());
    out
}
