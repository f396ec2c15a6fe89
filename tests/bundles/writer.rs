//! The writer against GNU tar (the same bytes), against itself (the same bytes twice) and against the reader.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::forge::{file, gzip, read_bytes, tar};
use gwinstall::bundle::pack::{self, EntryKind, Packer};
use gwinstall::bundle::ustar::{self, Limits};
use proptest::prelude::*;

type Files = std::collections::BTreeMap<String, gwinstall::domain::tree::Content>;

/// What `tar --format=ustar …` makes of `dir`, all entries below it, directories included.
fn gnu_tar(dir: &Path) -> Vec<u8> {
    let mut tops: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    tops.sort();
    run_tar(dir, &["--sort=name"], &tops)
}

fn run_tar(dir: &Path, options: &[&str], names: &[String]) -> Vec<u8> {
    let output = Command::new("tar")
        .args(["--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"])
        .args(options)
        .arg("-C")
        .arg(dir)
        .args(["-cf", "-", "--"])
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The files in the order of an archive.
fn ordered(files: &Files) -> Vec<String> {
    let mut names: Vec<String> = files.keys().cloned().collect();
    names.sort_by(|left, right| pack::by_name(left, right));
    names
}

/// gwinstall's archive of these files.
fn our_tar(files: &Files) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    for path in ordered(files) {
        packer.file(&path, mode(&path), &files[&path]).unwrap();
    }
    packer.finish().unwrap()
}

fn mode(path: &str) -> u32 {
    if path.ends_with(".sh") { 0o755 } else { 0o644 }
}

fn write_tree(dir: &Path, files: &Files) {
    for (path, bytes) in files {
        let full = dir.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(&full, bytes).unwrap();
        fs::set_permissions(&full, fs::Permissions::from_mode(mode(path))).unwrap();
        for parent in full.ancestors().skip(1).take_while(|parent| *parent != dir) {
            fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

fn assert_equal_to_gnu_tar(files: &Files) {
    let dir = tempfile::tempdir().unwrap();
    write_tree(dir.path(), files);
    let (ours, theirs) = (our_tar(files), run_tar(dir.path(), &["--no-recursion"], &ordered(files)));
    let differs = ours.iter().zip(&theirs).position(|(left, right)| left != right);
    assert!(ours == theirs, "first difference at {differs:?}, {} against {} bytes", ours.len(), theirs.len());
}

fn sample() -> Files {
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(60));
    let longest = format!("{}/{}/{}", "d".repeat(80), "e".repeat(74), "f".repeat(100));
    let names = ["a.txt", "a/x", "a/y.sh", "a-b/z", "config/litellm.yaml", ".env", "scripts/run.sh", "empty"];
    let mut files: Files = names.iter().map(|name| ((*name).to_owned(), name.as_bytes().into())).collect();
    files.insert("empty".into(), Vec::new().into());
    files.insert("block".into(), [7; 512].into());
    files.insert("big".into(), (0..100_001_u32).map(|at| (at.wrapping_mul(at) >> 5) as u8).collect());
    files.extend([(long, b"long"[..].into()), (longest, b"longest"[..].into())]);
    files
}

#[test]
fn equals_gnu_tar_byte_for_byte() {
    assert_equal_to_gnu_tar(&sample());
}

/// The reader accepts what GNU tar makes with those options, so a publisher needs no tool of ours.
#[test]
fn the_reader_takes_gnu_tars_archive() {
    let dir = tempfile::tempdir().unwrap();
    write_tree(dir.path(), &sample());
    let unpacked = ustar::unpack(&gzip(&gnu_tar(dir.path()))[..], &Limits::BUNDLE).unwrap();
    assert_eq!(unpacked, sample());
}

#[test]
fn two_runs_give_the_same_archive_and_levels_the_same_tar() {
    let pack = |level| {
        let mut packer = pack::tar_gz(Vec::new(), level);
        for (path, bytes) in sample() {
            packer.file(&path, mode(&path), &bytes).unwrap();
        }
        packer.finish().unwrap().finish().unwrap()
    };
    assert_eq!(pack(9), pack(9));
    assert_ne!(pack(1), pack(9));
    assert_eq!(ustar::unpack(&pack(1)[..], &Limits::BACKUP).unwrap(), sample());
    assert_eq!(ustar::unpack(&pack(9)[..], &Limits::BUNDLE).unwrap(), sample());
}

#[test]
fn a_source_that_changes_while_read_is_an_error() {
    for size in [3, 5] {
        let error = Packer::new(Vec::new()).stream("x", 0o644, size, &mut &b"body"[..]).unwrap_err();
        assert!(error.to_string().contains("changed while it was read"), "{error}");
    }
}

#[test]
fn the_writer_refuses_what_the_reader_refuses() {
    for path in ["", "/x", "../x", "a//b", "a/", "./a", "a b", "é", &"x".repeat(101), &"a/".repeat(9)] {
        assert!(Packer::new(Vec::new()).file(path, 0o644, b"").is_err(), "{path}");
    }
    assert!(pack::header("x", EntryKind::File, 0o10_000, 0).is_err());
}

/// The differential test: what we accept, GNU tar lists with the same names, kinds and sizes.
#[test]
fn an_accepted_archive_lists_the_same_in_gnu_tar() {
    let dir = tempfile::tempdir().unwrap();
    write_tree(dir.path(), &sample());
    let bytes = gnu_tar(dir.path());
    let ours: Vec<_> = read_bytes(&bytes).1.into_iter().map(|(entry, _)| entry).collect();
    let listed = gnu_listing(&bytes);
    assert_eq!(listed.len(), ours.len());
    for (line, entry) in listed.iter().zip(&ours) {
        let words: Vec<_> = line.split_whitespace().collect();
        let directory = words[0].starts_with('d');
        assert_eq!(directory, entry.kind == EntryKind::Directory, "{line}");
        assert_eq!(words[2], entry.size.to_string(), "{line}");
        assert_eq!(words[5].trim_end_matches('/'), entry.path, "{line}");
    }
}

fn gnu_listing(bytes: &[u8]) -> Vec<String> {
    let mut child = Command::new("tar")
        .args(["--numeric-owner", "-tvf", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A listing that stops early closes the pipe; what counts is its exit status.
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), bytes).ok();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "GNU tar refuses what we accept: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Everything that was read, written again, is the archive: nothing is hidden between the entries.
fn assert_reserialises(bytes: &[u8]) {
    let mut again = Vec::new();
    for (entry, body) in read_bytes(bytes).1 {
        again.extend(pack::header(&entry.path, entry.kind, entry.mode, body.len() as u64).unwrap());
        again.extend(&body);
        again.resize(again.len().next_multiple_of(pack::BLOCK), 0);
    }
    let end = again.len() + 2 * pack::BLOCK;
    again.resize(end.next_multiple_of(pack::RECORD as usize), 0);
    assert!(again == bytes, "re-serialised bytes differ");
}

/// A seeded mutator: an archive with changed bytes is refused, or it is still exactly what its entries say and
/// GNU tar sees the same names in it.
#[test]
fn mutated_archives_are_refused_or_unambiguous() {
    let good = tar(&[file("a", b"first"), file("d/b", &[1; 700]), file("d/c", b"")]);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..=random(3) {
            let at = random(3_584);
            bytes[at] = [0, b'0', b'7', b'/', b'.', 0xff, 1 << random(8)][random(7)];
        }
        if random(4) == 0 {
            reseal(&mut bytes);
        }
        if read_bytes(&bytes).0.is_ok() {
            assert_reserialises(&bytes);
            accepted += 1;
            if accepted % 50 == 0 {
                assert_eq!(gnu_listing(&bytes).len(), read_bytes(&bytes).1.len());
            }
        }
    }
    assert!(accepted > 100, "the mutator only makes rubbish: {accepted}");
}

/// Puts the checksum of the first header right, so that mutants get past it.
fn reseal(bytes: &mut [u8]) {
    let mut block = [0; 512];
    block.copy_from_slice(&bytes[..512]);
    bytes[148..156].copy_from_slice(format!("{:06o}\0 ", pack::checksum(&block)).as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any tree of allowed names: equal to GNU tar, and read back as it was.
    #[test]
    fn any_tree_equals_gnu_tar(
        names in prop::collection::btree_map("[A-Za-z0-9._@+-]{1,60}(/[A-Za-z0-9._@+-]{1,60}){0,3}",
            prop::collection::vec(any::<u8>(), 0..1500), 1..12)
    ) {
        let mut files = Files::new();
        for (path, bytes) in names {
            // Only trees that can exist on a disk, and names that GNU tar does not take for options or dots.
            let fits = pack::check_path(path.as_bytes()).is_ok() && !path.starts_with('-');
            let lower = path.to_ascii_lowercase();
            let clashes = files.keys().any(|other: &String| {
                let other = other.to_ascii_lowercase();
                let (left, right) = (other.split('/').next(), lower.split('/').next());
                left == right
            });
            if fits && !clashes && pack::header(&path, EntryKind::File, 0o644, 0).is_ok() {
                files.insert(path, bytes.into());
            }
        }
        prop_assume!(!files.is_empty());
        assert_equal_to_gnu_tar(&files);
        let bytes = our_tar(&files);
        assert_reserialises(&bytes);
        prop_assert_eq!(ustar::unpack(&gzip(&bytes)[..], &Limits::BACKUP).unwrap(), files);
    }
}
