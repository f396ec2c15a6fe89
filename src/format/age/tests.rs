//! Round trips, the vectors of a foreign writer, and every kind of damage. tests/cli/age.rs lets the real age open what
//! gwinstall seals.

use super::*;
use crate::domain::Secret;

/// Made by age-keygen for this test alone.
const IDENTITY: &str = "# public key: age169gtktq3n82stju6f6mk0fvdlj3q6q0ffjmjm0ppyn455484tfdqjgvwra\n\
    AGE-SECRET-KEY-1Z03Y3M5CJAXDUNJ00FTYSQKQ422XT9YZG7RP20NMZJQ4VRLM4TCQQV47ET\n";

/// Bytes that are different at each call, and the same at each run.
fn random() -> impl Fn(&mut [u8]) -> crate::domain::Result<()> {
    let next = std::cell::Cell::new(1u8);
    move |bytes| {
        for byte in bytes {
            *byte = next.get();
            next.set(next.get().wrapping_mul(5).wrapping_add(3));
        }
        Ok(())
    }
}

fn identities() -> Vec<Identity> {
    Identity::parse_all(IDENTITY).unwrap()
}

fn lock() -> Lock {
    Lock::Recipients(vec![Recipient([9; 32]), identities()[0].recipient()])
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    seal(plain.to_vec(), &lock(), &random()).unwrap().bytes
}

#[test]
fn what_is_sealed_is_opened_whatever_its_length() {
    const PART: usize = 64 << 10;
    for length in [0, 1, 15, 16, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 17] {
        let plain: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let made = seal(plain.clone(), &lock(), &random()).unwrap();
        assert_eq!(look(&made.bytes), Ok(For::Recipients));
        assert!(is_sealed(&made.bytes) && !is_sealed(&plain));
        assert_eq!(open(made.bytes.clone(), &Key::Identities(identities())).unwrap(), plain, "{length}");
        assert_eq!(read_back(made.bytes, &lock(), &made.file_key).unwrap(), plain, "{length}");
    }
}

#[test]
fn a_passphrase_opens_and_another_does_not() {
    let lock = Lock::Passphrase(Secret::new("correct horse"));
    let made = seal(b"plain".to_vec(), &lock, &random()).unwrap().bytes;
    assert_eq!(look(&made), Ok(For::Passphrase));
    let open = |key| open(made.clone(), &key);
    assert_eq!(open(Key::Passphrase(Secret::new("correct horse"))).unwrap(), b"plain");
    assert_eq!(open(Key::Passphrase(Secret::new("correct horsf"))), Err(Fault::Passphrase));
    assert_eq!(open(Key::Identities(identities())), Err(Fault::NeedsPassphrase));
    let for_keys = sealed(b"plain");
    assert_eq!(super::open(for_keys, &Key::Passphrase(Secret::new("x"))), Err(Fault::NeedsIdentity));
}

/// One bit anywhere, every shorter file, a longer one, and parts in another order.
#[test]
fn no_damage_is_opened() {
    let plain = vec![7; (64 << 10) + 40];
    let good = sealed(&plain);
    let key = Key::Identities(identities());
    let content = good.len() - (64 << 10) - 40 - 32 - 16;
    let places = (0..content + 64).chain([good.len() - 60, good.len() - 17, good.len() - 1]);
    for at in places {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(open(bad, &key).is_err(), "a changed bit at {at} of {}", good.len());
    }
    let cuts = (0..content + 40).chain([good.len() - 57, good.len() - 56, good.len() - 1]);
    for length in cuts {
        assert!(open(good[..length].to_vec(), &key).is_err(), "cut to {length}");
    }
    assert!(open([&good[..], b"x"].concat(), &key).is_err());
    assert_eq!(look(&good[..content + 20]), Err(Fault::Cut));
}

#[test]
fn a_header_is_read_strictly_and_unknown_stanzas_are_passed_over() {
    let text =
        |stanzas: &str| format!("age-encryption.org/v1\n{stanzas}--- {}\n{}", "A".repeat(43), "x".repeat(40));
    let key = "A".repeat(43);
    let x25519 = format!("-> X25519 {key}\n{key}\n");
    let scrypt = |salt: &str, work: &str| format!("-> scrypt {salt} {work}\n{key}\n");
    let salt = "A".repeat(22);
    for (stanzas, opened_by) in [
        (x25519.clone(), Ok(For::Recipients)),
        (format!("-> x-grease a b\n\n{x25519}"), Ok(For::Recipients)),
        (format!("-> x-grease\n{}\nAAAA\n{x25519}", "A".repeat(64)), Ok(For::Recipients)),
        (scrypt(&salt, "17"), Ok(For::Passphrase)),
        (format!("{x25519}{}", scrypt(&salt, "17")), Err(Fault::Header)),
        (format!("-> ssh-ed25519 a b\n{key}\n"), Err(Fault::Unsupported)),
        (String::new(), Err(Fault::Header)),
        (format!("-> X25519  {key}\n{key}\n"), Err(Fault::Header)),
        (format!("-> X25519 {key}\n{}\n", "A".repeat(65)), Err(Fault::Header)),
        (format!("->X25519 {key}\n{key}\n"), Err(Fault::Header)),
        (format!("-> X25519 {key}\n{key}=\n"), Err(Fault::Header)),
    ] {
        assert_eq!(look(text(&stanzas).as_bytes()), opened_by, "{stanzas}");
    }
    let passphrase = Key::Passphrase(Secret::new("x"));
    for (stanza, fault) in [
        (scrypt(&salt, "21"), Fault::TooMuchWork),
        (scrypt(&salt, "0"), Fault::Header),
        (scrypt(&salt, "017"), Fault::Header),
        (scrypt(&salt, "+17"), Fault::Header),
        (scrypt("AAAA", "17"), Fault::Header),
    ] {
        assert_eq!(open(text(&stanza).into_bytes(), &passphrase), Err(fault), "{stanza}");
    }
    let endless = format!("age-encryption.org/v1\n{}", "-> x\n\n".repeat(20_000));
    assert_eq!(look(endless.as_bytes()), Err(Fault::Header));
}

/// A share of small order gives the same key for every secret.
#[test]
fn a_share_of_small_order_opens_nothing() {
    assert!(keys::wrapping_for(&Recipient([0; 32]), [5; 32]).is_none());
    assert!(identities()[0].wrapping(&[0; 32]).is_none());
}

#[test]
fn keys_are_read_in_their_one_encoding() {
    let line = IDENTITY.lines().last().unwrap();
    let public = IDENTITY.lines().next().unwrap().trim_start_matches("# public key: ");
    assert_eq!(Recipient::parse(public).unwrap(), identities()[0].recipient());
    assert_eq!(Identity::parse_all(&format!("\n{IDENTITY}\n{line}\r\n")).unwrap().len(), 2);
    assert_eq!(format!("{:?}", identities()[0]), "Identity(…)");
    for text in ["", "# nothing", public, &line[..line.len() - 1], &format!("{line}x"), "AGE-PLUGIN-X-1Q"] {
        assert!(Identity::parse_all(text).is_none(), "{text}");
    }
    let mixed = public.replacen("age1", "AGE1", 1);
    for text in ["", "age1", line, &public[..public.len() - 1], &mixed, "ssh-ed25519 AAAA", "age1pq1qqqq"] {
        assert!(Recipient::parse(text).is_none(), "{text}");
    }
}
