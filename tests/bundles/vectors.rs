//! Published odd and hostile archives, each with the verdict that `tests/vectors/manifest.tsv` gives (A01–A40).

use std::fs;
use std::path::Path;

use crate::forge::{read_bytes, refused};
use gwinstall::domain::Sha256;

/// Rows of the manifest: file, sha256, verdict, reason.
fn rows() -> Vec<[String; 4]> {
    let text = fs::read_to_string("tests/vectors/manifest.tsv").unwrap();
    let row = |line: &str| {
        let cells: Vec<_> = line.split('\t').collect();
        [cells[0], cells[2], cells[8], cells[9]].map(str::to_owned)
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn the_vectors_are_the_published_bytes() {
    for [file, sha256, ..] in rows() {
        let bytes = fs::read(Path::new("tests/vectors").join(&file)).unwrap();
        assert_eq!(Sha256::of(&bytes).to_string(), sha256, "{file}");
    }
}

/// A01–A40: no published odd archive gets one entry further than its verdict allows.
#[test]
fn every_archive_gets_its_verdict() {
    let mut archives = 0;
    for [file, _, verdict, reason] in rows().into_iter().filter(|row| row[0].starts_with("tar/")) {
        archives += 1;
        assert_eq!(verdict, "REJECT", "{file}");
        let bytes = fs::read(Path::new("tests/vectors").join(&file)).unwrap();
        let why = refused(&bytes, &file);
        if let Some(fragment) = our_words(&reason) {
            // An odd entry may hide behind an ordinary one that only lacks our zeros for owner and time.
            let earlier = "carries more than";
            let said = why.contains(fragment) || why.contains(earlier);
            assert!(said, "{file}: {why:?} does not say {fragment:?} ({reason})");
        }
        let files_before_refusal = read_bytes(&bytes).1.len();
        assert!(files_before_refusal <= 3, "{file}");
    }
    assert_eq!(archives, 30);
}

/// The manifest's reason in the words of our reader, where both name the same rule.
fn our_words(reason: &str) -> Option<&'static str> {
    let pairs = [
        ("typeflag", "entry type"),
        ("magic", "not plain ustar"),
        ("device numbers", "device numbers"),
        ("linkname", "link name"),
        ("path b'/", "absolute path"),
        ("no end-of-archive", "ends too early"),
    ];
    pairs.iter().find(|(theirs, _)| reason.starts_with(theirs)).map(|(_, ours)| *ours)
}
