//! Hostile archives made here: ten that try to slip out of the directory, and A41–A50 of the attack table.

use std::io::{self, Read, Write};

use crate::forge::{Forged, both_refused, file, gzip, read_bytes, refused, tar};
use flate2::{Compression, GzBuilder};
use gwinstall::bundle::pack::{self, EntryKind};
use gwinstall::bundle::ustar::{self, Limits};
use gwinstall::domain::Kind;

/// Ten ways out of the directory, each refused before its body is handed out.
#[test]
fn ten_slip_archives_are_refused() {
    let plain = || file("name", b"body");
    let link = |name: &[u8], flag: u8, target: &[u8]| file("x", b"").named(name).typed(flag).linked(target);
    let cases: [(&str, Vec<Forged>); 10] = [
        ("parent", vec![plain().named(b"../evil")]),
        ("parent twice", vec![plain().named(b"../../evil")]),
        ("parent in the middle", vec![plain().named(b"a/../../evil")]),
        ("parent at the end", vec![plain().named(b"a/..")]),
        ("absolute", vec![plain().named(b"/tmp/evil")]),
        ("prefix field", vec![plain().named(b"evil").set(345, b"../..")]),
        ("symlink", vec![link(b"out", b'2', b"/tmp"), plain().named(b"out/evil")]),
        ("symlink to parent", vec![link(b"out", b'2', b".."), plain().named(b"out/evil")]),
        ("hard link", vec![link(b"passwd", b'1', b"/etc/passwd")]),
        ("backslashes", vec![plain().named(b"..\\..\\evil")]),
    ];
    for (what, entries) in cases {
        both_refused(&entries, what);
        assert_eq!(read_bytes(&tar(&entries)).1, [], "{what}");
    }
}

/// A41: names that a disk, a terminal or a person reads differently; each is shown escaped.
#[test]
fn a41_odd_names() {
    let names: [&[u8]; 16] = [
        b"./x",
        b"a//b",
        b"a/./b",
        b"a\\b",
        b"a\nb",
        b"a\x1b[31mb",
        "a\u{202e}b".as_bytes(),
        "\u{fb01}le".as_bytes(),
        "e\u{301}".as_bytes(),
        "\u{e9}".as_bytes(),
        b"a b",
        b"a:b",
        b"~/x",
        b"$HOME",
        b"",
        b"\xff",
    ];
    for name in names {
        both_refused(&[file("x", b"1").named(name)], &name.escape_ascii().to_string());
    }
    both_refused(&[file("x", b"1").named(b"file/")], "slash on a file");
    both_refused(&[file("x", b"1").named(b"x\0hidden")], "NUL in a name");
    let deep = "a/".repeat(8) + "b";
    let deepest = "a/".repeat(7) + "b";
    both_refused(&[file("x", b"1").named(deep.as_bytes())], "nine deep");
    assert!(read_bytes(&tar(&[file(&deepest, b"1")])).0.is_ok(), "eight deep");
    let long = [b'n'; 100];
    assert!(read_bytes(&tar(&[file("x", b"1").named(&long)])).0.is_ok(), "exactly 100 bytes");
    let shown = both_refused(&[file("x", b"1").named(b"a\x1b]0;owned\x07")], "escape");
    assert!(shown.contains("\\x1b]0;owned\\x07"), "{shown}");
}

/// A42: every mixture of links and directories begins with a link, and a link is no entry of ours.
#[test]
fn a42_links_before_other_entries() {
    let link = |flag: u8, target: &[u8]| file("x", b"").named(b"dir").typed(flag).linked(target);
    let directory = || Forged { block: header(EntryKind::Directory, "dir"), body: vec![] };
    both_refused(&[link(b'2', b"/etc"), file("dir/passwd", b"x")], "symlink then file through it");
    both_refused(&[link(b'2', b"/etc"), directory()], "symlink then directory of that name");
    both_refused(&[link(b'1', b"/etc/passwd")], "hard link out");
    both_refused(&[link(b'2', b"x"), link(b'1', b"dir")], "hard link to a symlink");
    both_refused(&[file("x", b"").linked(b"y")], "link name on a file");
    both_refused(&[file("dir", b"1"), directory()], "file, then directory of that name");
    both_refused(&[directory(), file("dir", b"1")], "directory, then file of that name");
}

/// A43: no type but file and directory.
#[test]
fn a43_every_other_type_flag() {
    for flag in (0..=255).filter(|flag| !matches!(flag, b'0' | b'5')) {
        let why = both_refused(&[file("x", b"").typed(flag)], &format!("type {flag}"));
        assert!(why.contains("entry type"), "{why}");
    }
}

/// A44: the header's mode is data, not an order; the reader reports it and nothing else.
#[test]
fn a44_modes_are_reported_only() {
    for mode in [0, 0o777, 0o4755, 0o2755, 0o1777] {
        let block = pack::header("x", EntryKind::File, mode, 0).unwrap();
        let (outcome, seen) = read_bytes(&tar(&[Forged { block, body: vec![] }]));
        outcome.unwrap();
        assert_eq!(seen[0].0.mode, mode);
    }
    both_refused(&[file("x", b"").set(100, b"0100644\0")], "file type bits in the mode");
}

/// A45: an extended header that gives the next entry another size, both ways.
#[test]
fn a45_pax_size_smuggling() {
    for size in ["0", "1536"] {
        let record = format!("{} size={size}\n", 8 + size.len());
        let pax = file("x", record.as_bytes()).typed(b'x');
        both_refused(&[pax, file("y", b"body"), file("z", b"hidden")], size);
    }
    both_refused(&[file("x", b"9 size=0\n").typed(b'g'), file("y", b"body")], "global");
}

/// A46: everything that can be wrong around the tar stream.
#[test]
fn a46_gzip_bombs_and_tricks() {
    let good = gzip(&tar(&[file("x", b"body")]));
    assert!(read_bytes(&good).0.is_ok());
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let last = good.len() - 1;
    refused(&with(&|bytes| bytes.extend(good.clone())), "two members");
    refused(&with(&|bytes| bytes.extend(gzip(b""))), "an empty second member");
    refused(&with(&|bytes| bytes.push(0)), "a zero after the member");
    refused(&with(&|bytes| bytes[last - 7] ^= 1), "crc");
    refused(&with(&|bytes| bytes[last] ^= 1), "length in the trailer");
    for len in 0..good.len() {
        assert!(ustar::read(&good[..len], &Limits::BUNDLE, &mut |_, _| Ok(())).is_err(), "cut at {len}");
    }
    refused(&gzip(&good), "gzip in gzip");
    let mut extra = GzBuilder::new().extra(vec![0; 65_535]).write(Vec::new(), Compression::new(1));
    extra.write_all(&tar(&[file("x", b"body")])).unwrap();
    refused(&extra.finish().unwrap(), "64 KiB of extra field");
    let mut named = GzBuilder::new().filename("x").write(Vec::new(), Compression::new(1));
    named.write_all(&tar(&[])).unwrap();
    refused(&named.finish().unwrap(), "a file name in the gzip header");
    let why = refused(&gzip(&tar(&[file("zeros", &vec![0; 10 << 20])])), "1000:1");
    assert!(why.contains("far more than its size"), "{why}");
}

/// A46: ten gigabytes behind ten megabytes stop at the cap, and in constant memory.
#[test]
fn a46_an_endless_body_stops_at_the_cap() {
    struct Endless {
        head: io::Cursor<Vec<u8>>,
        given: u64,
    }
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = match self.head.read(buffer)? {
                0 => buffer.len(),
                read => read,
            };
            self.given += read as u64;
            Ok(read)
        }
    }
    let block = pack::header("x", EntryKind::File, 0o644, Limits::OFFLINE.unpacked).unwrap();
    let mut endless = Endless { head: io::Cursor::new(block.to_vec()), given: 0 };
    let error = ustar::read_tar(&mut endless, &Limits::OFFLINE, &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(error.kind(), Kind::Unverified);
    assert!(endless.given <= Limits::OFFLINE.unpacked + 64 * 1024, "{}", endless.given);
}

/// A47: twice, and the same name in another case, also as a directory.
#[test]
fn a47_one_name_two_entries() {
    both_refused(&[file("a", b"1"), file("a", b"1")], "twice");
    both_refused(&[file("a", b"1"), file("A", b"1")], "case");
    both_refused(&[file("a/x", b"1"), file("A/y", b"1")], "case of a parent");
    both_refused(&[file("a", b"1"), file("a/b", b"1")], "file where a directory must be");
    both_refused(&[file("a/b", b"1"), file("a", b"1")], "directory where a file must be");
}

/// A48: a body that ends before its size says, or goes on behind it, within the archive.
#[test]
fn a48_sizes_that_lie() {
    let mut long = file("x", b"body");
    long.body = vec![1; 600];
    both_refused(std::slice::from_ref(&long), "body longer than its size");
    let short = file("x", &[1; 600]).set(124, b"00000100000\0");
    both_refused(&[short], "body shorter than its size");
    let mut dirty = file("x", b"body");
    dirty.body.push(7);
    both_refused(&[dirty], "padding that is not zero");
}

/// A49: sizes that overflow a reader's integer.
#[test]
fn a49_size_fields() {
    let fields: [&[u8; 12]; 8] = [
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"777777777777",
        b"77777777777\0",
        b"          4\0",
        b"4          \0",
        b"-0000000004\0",
        b"0000000004 \0",
    ];
    for field in fields {
        both_refused(&[file("x", b"body").set(124, field)], &field.escape_ascii().to_string());
    }
}

/// A50: a million empty entries stop at the file cap; a hundred megabytes of zero blocks at the first record.
#[test]
fn a50_too_many_of_nothing() {
    let many: Vec<_> = (0..=Limits::BUNDLE.files).map(|at| file(&format!("f{at}"), b"")).collect();
    let why = refused(&tar(&many), "10,001 files");
    assert!(why.contains("more than 10000 entries"), "{why}");
    assert!(read_bytes(&tar(&many[1..])).0.is_ok(), "10,000 files");
    refused(&vec![0; 1024], "two zero blocks without padding");
    refused(&[tar(&[]), vec![0; 10_240]].concat(), "a record of zeros too many");
    refused(&gzip(&vec![0; 100 << 20]), "100 MiB of zeros");
    refused(&[tar(&[]), tar(&[file("x", b"1")])].concat(), "a second archive behind the first");
    assert!(read_bytes(&tar(&[])).0.is_ok(), "an empty archive");
}

/// Nothing of a header is unexplained: any single changed byte is refused or is read as what it then says.
#[test]
fn every_header_byte_counts() {
    let good = file("dir/name", b"body");
    for at in 0..512 {
        for value in [0, b' ', b'1', 0xff] {
            let forged = good.clone().set(at, &[value]);
            let (outcome, seen) = read_bytes(&tar(std::slice::from_ref(&forged)));
            if outcome.is_ok() {
                let entry = &seen[0].0;
                let ours = pack::header(&entry.path, entry.kind, entry.mode, entry.size).unwrap();
                assert_eq!(ours, forged.block, "byte {at} = {value}");
            }
        }
    }
}

/// A caller that stops at an entry gets its own error back, and a fault of the archive outranks the caller's.
#[test]
fn the_right_error_wins() {
    let bytes = tar(&[file("x", b"body")]);
    let mine = gwinstall::domain::Error::failed("not listed");
    let error = ustar::read_tar(&bytes[..], &Limits::BUNDLE, &mut |_, _| Err(mine.clone())).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Failed, "not listed"));
    let cut = &bytes[..514];
    let error = ustar::read_tar(cut, &Limits::BUNDLE, &mut |_, body| {
        io::copy(body, &mut io::sink()).map(drop).map_err(|_| mine.clone())
    });
    assert_eq!(error.unwrap_err().kind(), Kind::Unverified);
}

fn header(kind: EntryKind, path: &str) -> [u8; 512] {
    pack::header(path, kind, 0o755, 0).unwrap()
}
