//! Secret keys: made, read, used to sign.
//!
//! Promise: a secret key file is 0600 and never overwritten; a password comes from a variable or the terminal, never
//! from an argument. Signatures are minisign's prehashed kind, so the stock `minisign` checks every one of them.

use std::io::Cursor;
use std::path::Path;

use gwinstall::domain::{Error, Result};
use gwinstall::release::minisig::{KeyId, PublicKey};
use minisign::{KeyPair, SecretKey, SecretKeyBox};

use crate::files;

/// Where the password of an encrypted secret key is read from; without it the terminal is asked.
pub const PASSWORD: &str = "GWINSTALL_KEY_PASSWORD";

/// A key pair that can sign.
pub struct Signer {
    secret: SecretKey,
    pub public: PublicKey,
}

impl Signer {
    /// A new pair without a password, in `dir/NAME.key` and `dir/NAME.pub`: for keys that are thrown away.
    pub fn make(dir: &Path, name: &str) -> Result<Self> {
        let broken = |e| Error::failed(format!("cannot make the key {name}")).because(e);
        let pair = KeyPair::generate_unencrypted_keypair().map_err(broken)?;
        let sealed = pair.sk.to_box(Some("gwinstall throw-away secret key")).map_err(broken)?;
        let public = public_key(&pair.pk.to_base64())?;
        files::write_secret(&dir.join(format!("{name}.key")), &String::from(sealed))?;
        let text = format!("untrusted comment: minisign public key {}\n{}\n", public.id(), public.as_str());
        files::write(&dir.join(format!("{name}.pub")), text.as_bytes())?;
        Ok(Self { secret: pair.sk, public })
    }

    /// Reads `path`; an encrypted key is opened with the password from the environment or the terminal.
    pub fn read(path: &Path) -> Result<Self> {
        let broken = |e: minisign::PError| {
            Error::failed(format!("cannot use the secret key {}", path.display()))
                .because(e)
                .hint(format!("set {PASSWORD}, or run this on a terminal that can be asked"))
        };
        let text = files::read_text(path)?;
        let sealed = || SecretKeyBox::from_string(&text);
        // An unencrypted key takes no password and an encrypted one needs it: try without first.
        let secret = match sealed().and_then(SecretKeyBox::into_unencrypted_secret_key) {
            Ok(secret) => secret,
            Err(_) => {
                sealed().and_then(|key| key.into_secret_key(std::env::var(PASSWORD).ok())).map_err(broken)?
            }
        };
        let public = minisign::PublicKey::from_secret_key(&secret).map_err(broken)?;
        Ok(Self { secret, public: public_key(&public.to_base64())? })
    }

    pub fn id(&self) -> KeyId {
        self.public.id()
    }

    /// The `.minisig` text over `bytes`, with `statement` as its trusted comment.
    pub fn sign(&self, bytes: &[u8], statement: &str) -> Result<String> {
        let remark = format!("signature of gwinstall key {}", self.id());
        minisign::sign(None, &self.secret, Cursor::new(bytes), Some(statement), Some(&remark))
            .map(minisign::SignatureBox::into_string)
            .map_err(|e| Error::failed("cannot sign").because(e))
    }
}

/// The public key in a `.pub` file: its last line that is not a comment.
pub fn read_public(path: &Path) -> Result<PublicKey> {
    let text = files::read_text(path)?;
    let line = text.lines().rfind(|line| !line.is_empty() && !line.starts_with("untrusted comment:"));
    public_key(line.unwrap_or_default())
        .map_err(|error| error.under(format!("{} is no public key", path.display())))
}

fn public_key(text: &str) -> Result<PublicKey> {
    PublicKey::parse(text).map_err(|why| Error::failed(format!("'{text}' cannot be trusted")).because(why))
}
