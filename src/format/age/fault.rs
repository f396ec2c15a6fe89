//! Why a text is not a key, or a file cannot be opened. No fault repeats a part of a key.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not the first line, a broken line, or a part that the format does not allow.
    Header,
    /// The file ends too early, or goes on after its end.
    Cut,
    /// The seal of the header or of a part of the content does not fit.
    Altered,
    /// No identity that was given is one of the recipients.
    OtherRecipient,
    Passphrase,
    /// It is sealed with a passphrase, and identities were given.
    NeedsPassphrase,
    /// It is sealed for recipients, and a passphrase was given.
    NeedsIdentity,
    /// Only recipients that gwinstall does not know: ssh keys, plugins, post-quantum keys.
    Unsupported,
    /// The passphrase asks for more memory than a file of a stranger may cost.
    TooMuchWork,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "its header is not one of the age format",
            Self::Cut => "it is cut off, or something was added to it",
            Self::Altered => "it was changed after it was encrypted",
            Self::OtherRecipient => "it is encrypted for other recipients than these identities",
            Self::Passphrase => "the passphrase is another one",
            Self::NeedsPassphrase => "it is encrypted with a passphrase and not for an identity",
            Self::NeedsIdentity => "it is encrypted for recipients and not with a passphrase",
            Self::Unsupported => {
                "it is encrypted for recipients that gwinstall does not know (it knows age1… and passphrases)"
            }
            Self::TooMuchWork => "its passphrase needs more than 1 GiB of memory to check",
        })
    }
}

impl std::error::Error for Fault {}
