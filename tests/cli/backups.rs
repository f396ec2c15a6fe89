//! Backups: what is in one, how many there are, and what happens to one that cannot be trusted.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::home::TestHome;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tar");
/// A name that sorts before every real one.
const FORGED: &str = "gateway-backup-20250101-000000.tar.gz";

fn changed_once() -> TestHome {
    let home = TestHome::new().with("LITELLM_MASTER_KEY", "sk-canary-0123456789abcdef");
    home.run("install --yes --models gemini-3.8-flash,glm-5.2").exits(0);
    home.run("install --yes --models glm-5.2").exits(0);
    home
}

fn archive(home: &TestHome, name: &str) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut members = BTreeMap::new();
    let file = fs::File::open(home.gateway("backups").join(name)).unwrap();
    for entry in tar::Archive::new(GzDecoder::new(file)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        members.insert(path, (entry.header().mode().unwrap(), bytes));
    }
    members
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// D-083 to D-093, D-191, P-145, P-236.
#[test]
fn an_archive_holds_the_deployment_and_its_metadata_says_so() {
    let home = changed_once();
    let name = home.backups().pop().unwrap();
    let members = archive(&home, &name);
    assert!(members.keys().all(|path| path.starts_with("gateway/")), "{:?}", members.keys());
    for path in [
        "gateway/.env",
        "gateway/config/litellm.yaml",
        "gateway/deployment-manifest.json",
        "gateway/start-gateway.sh",
        "gateway/docs/faq.md",
    ] {
        assert!(members.contains_key(path), "{path}");
    }
    for never in
        ["backups/", ".gwinstall", "deployment.log", "settings.json", "litellm.log", "litellm.pid", "venv"]
    {
        assert!(
            !members.keys().any(|path| path.contains(never) && !path.contains("claude-code-settings")),
            "{never}"
        );
    }
    let env = String::from_utf8(members["gateway/.env"].1.clone()).unwrap();
    assert!(env.contains("LITELLM_MASTER_KEY") && env.contains("VERTEXAI_LOCATION=us-central1"), "{env}");
    assert!(!members.values().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains("sk-canary")));
    assert_eq!(members["gateway/start-gateway.sh"].0, 0o755);

    let path = home.gateway("backups").join(&name);
    let entry = &home.json(".claude/gateway/backups/metadata.json")["backups"][0];
    assert_eq!(entry["filename"], name.as_str());
    assert_eq!(entry["filepath"], path.to_str().unwrap());
    assert_eq!(entry["size_bytes"], fs::metadata(&path).unwrap().len());
    assert_eq!(entry["deployment_config"]["preset"], "basic");
    assert_eq!(
        (&entry["is_valid"], &entry["pinned"], &entry["safety"]),
        (&true.into(), &false.into(), &false.into())
    );
    assert_eq!(entry["sha256_checksum"].as_str().unwrap().len(), 64);
    assert_eq!(entry["created_at"].as_str().unwrap().len(), "2026-01-01T00:00:00Z".len());
    assert_eq!(home.mode(".claude/gateway/backups"), 0o700);
    assert_eq!(home.mode(&format!(".claude/gateway/backups/{name}")), 0o600);
}

/// D-094, D-197: the newest five stay, and two of one second have two names.
#[test]
fn seven_changes_leave_five_backups() {
    let home = TestHome::new();
    for (n, model) in ["glm-5.2", "gemini-3.8-flash", "gpt-oss-120b"].iter().cycle().take(8).enumerate() {
        home.run(&format!("install --yes --models {model}")).exits(0);
        assert_eq!(home.backups().len(), n.min(5));
    }
    let on_disk = fs::read_dir(home.gateway("backups")).unwrap().count();
    assert_eq!(on_disk, 6, "five archives and their index");
    // Other limits, and a rollback that never prunes.
    home.run("rollback --yes").exits(0);
    assert_eq!(home.backups().len(), 6);
    home.run("install --yes --models glm-5.2,gemini-3.8-flash --keep 2").exits(0);
    assert_eq!(home.backups().len(), 2);
}

/// D-190. The index is a convenience.
#[test]
fn a_lost_or_broken_index_is_rebuilt_from_the_archives() {
    for broken in [None, Some("{ torn"), Some("[]"), Some("")] {
        let home = changed_once();
        let index = home.gateway("backups/metadata.json");
        match broken {
            None => fs::remove_file(&index).unwrap(),
            Some(text) => fs::write(&index, text).unwrap(),
        }
        home.run("rollback --yes").exits(0);
        assert_eq!(home.record()["models"].as_array().unwrap().len(), 2);
        assert_eq!(home.backups().len(), 2, "the archive that was there and the one of the rollback");
    }
}

/// D-162. B01: damaged anywhere, cut off anywhere.
#[test]
fn a_damaged_backup_is_refused_with_the_live_tree_untouched() {
    let home = changed_once();
    let path = home.gateway("backups").join(&home.backups()[0]);
    let good = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    // A flip may give the same bytes after unpacking (another distance inside a run of zeros): that is no damage.
    let unpacked = |bytes: &[u8]| {
        let mut out = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut out).ok().map(|_| out)
    };
    let mut damaged: Vec<Vec<u8>> = (0..12).map(|n| flipped(n * (good.len() - 1) / 11)).collect();
    damaged.retain(|bytes| unpacked(bytes) != unpacked(&good));
    assert!(damaged.len() > 6);
    damaged.extend([0, 1, 10, good.len() / 2, good.len() - 1].map(|len| good[..len].to_vec()));
    damaged.push([good.clone(), b"more".to_vec()].concat());
    damaged.push(gz(b"not a tar"));
    for with_index in [true, false] {
        for bytes in &damaged {
            fs::write(&path, bytes).unwrap();
            if !with_index {
                let _ = fs::remove_file(home.gateway("backups/metadata.json"));
            }
            home.refused(&mut home.command("rollback --yes"), 8)
                .says(&["cannot be used", "gwinstall backup list"]);
        }
    }
    fs::write(&path, good).unwrap();
    home.run("rollback --yes").exits(0);
}

/// D-164. B03: published odd and hostile archives, none of which is a backup of ours.
#[test]
fn published_odd_archives_are_refused() {
    let home = changed_once();
    let mut seen = 0;
    for entry in fs::read_dir(VECTORS).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for bytes in [gz(&bytes), bytes] {
            home.write(&format!(".claude/gateway/backups/{FORGED}"), bytes);
            home.refused(&mut home.command(&format!("rollback {FORGED} --yes")), 8);
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} archives in {VECTORS}");
}

/// One entry of a forged archive.
struct Member<'a> {
    path: &'a str,
    mode: u32,
    kind: u8,
    link: &'a str,
    bytes: &'a [u8],
}

impl<'a> Member<'a> {
    fn file(path: &'a str, bytes: &'a [u8]) -> Self {
        Self { path, mode: 0o644, kind: b'0', link: "", bytes }
    }
}

/// The members of a good backup, changed. Headers are written byte by byte, in the one form that our own writer uses, so
/// that only the lie can be the reason of a refusal.
fn forged(good: &BTreeMap<String, (u32, Vec<u8>)>, leave_out: &[&str], add: &[Member<'_>]) -> Vec<u8> {
    let kept = good.iter().filter(|(path, _)| !leave_out.contains(&path.as_str()));
    let kept = kept.map(|(path, (mode, bytes))| Member { mode: *mode, ..Member::file(path, bytes) });
    let mut members: Vec<Member<'_>> = kept.chain(add.iter().map(|member| Member { ..*member })).collect();
    members.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    let mut bytes = Vec::new();
    for member in &members {
        bytes.extend(header(member));
        bytes.extend(member.bytes);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize((bytes.len() + 1024).next_multiple_of(10_240), 0);
    gz(&bytes)
}

fn header(member: &Member<'_>) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, member.path.as_bytes());
    put(100, format!("{:07o}\0", member.mode).as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", member.bytes.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[member.kind]);
    put(157, member.link.as_bytes());
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// D-163, D-164. B03: an archive that looks like ours but for one lie.
#[test]
fn forged_backups_are_refused() {
    let home = changed_once();
    let good = archive(&home, &home.backups()[0]);
    let record = String::from_utf8(good["gateway/deployment-manifest.json"].1.clone()).unwrap();
    let file = Member::file;
    let link = |path, link| Member { kind: b'2', link, ..file(path, b"") };
    let naming = |path: &str| {
        let mut value: serde_json::Value = serde_json::from_str(&record).unwrap();
        value["files"][path] = value["files"]["docs/faq.md"].clone();
        value.to_string().into_bytes()
    };
    let (escape, own, backup) =
        (naming("../../evil"), naming(".gwinstall/journal"), naming("backups/x.tar.gz"));
    let newer = record.replacen("\"schema\": 1", "\"schema\": 999", 1).into_bytes();
    assert_ne!(newer, record.as_bytes());
    let manifest = "gateway/deployment-manifest.json";
    let cases: [(&str, &[&str], Vec<Member<'_>>); 18] = [
        ("a file of nobody's record", &[], vec![file("gateway/extra.txt", b"x")]),
        ("settings", &[], vec![file("gateway/settings.json", b"{}")]),
        ("outside of gateway/", &[], vec![file("elsewhere/x", b"x")]),
        ("..", &[], vec![file("gateway/../../evil", b"x")]),
        (
            ".. named by the record",
            &[manifest],
            vec![file(manifest, &escape), file("gateway/../../evil", b"x")],
        ),
        ("our journal", &[manifest], vec![file(manifest, &own), file("gateway/.gwinstall/journal", b"x")]),
        (
            "another backup",
            &[manifest],
            vec![file(manifest, &backup), file("gateway/backups/x.tar.gz", b"x")],
        ),
        ("absolute", &[], vec![file("/etc/evil", b"x")]),
        ("a link in place of .env", &["gateway/.env"], vec![link("gateway/.env", "/etc/shadow")]),
        ("a link", &[], vec![link("gateway/link", "/etc")]),
        ("a hard link", &[], vec![Member { kind: b'1', ..link("gateway/hard", "gateway/.env") }]),
        ("a device", &[], vec![Member { kind: b'3', ..file("gateway/null", b"") }]),
        (
            "setuid",
            &["gateway/docs/faq.md"],
            vec![Member { mode: 0o4755, ..file("gateway/docs/faq.md", b"x") }],
        ),
        ("twice", &[], vec![file("gateway/docs/faq.md", b"x")]),
        ("no .env", &["gateway/.env"], vec![]),
        ("no configuration", &["gateway/config/litellm.yaml"], vec![]),
        ("no record", &[manifest], vec![]),
        ("a newer record", &[manifest], vec![file(manifest, &newer)]),
    ];
    // Without a lie the same way of building it is accepted: the lie is what is refused.
    home.write(&format!(".claude/gateway/backups/{FORGED}"), forged(&good, &[], &[]));
    home.run(&format!("rollback {FORGED} --dry-run")).exits(0);
    for (what, leave_out, add) in cases {
        home.write(&format!(".claude/gateway/backups/{FORGED}"), forged(&good, leave_out, &add));
        let run = home.run(&format!("rollback {FORGED} --dry-run"));
        assert_eq!(run.code, 8, "{what}: {}", run.all());
        home.refused(&mut home.command(&format!("rollback {FORGED} --yes")), 8);
    }
    assert!(!home.root().join("evil").exists() && !home.path("evil").exists());
}

/// A little file that unpacks to more than anybody's memory.
#[test]
fn an_archive_that_explodes_is_refused_early() {
    let home = changed_once();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    let mut header = tar::Header::new_ustar();
    header.set_path("gateway/docs/faq.md").unwrap();
    header.set_mode(0o644);
    header.set_size(2 << 30);
    header.set_cksum();
    encoder.write_all(header.as_bytes()).unwrap();
    for _ in 0..300 {
        encoder.write_all(&zeros).unwrap();
    }
    home.write(&format!(".claude/gateway/backups/{FORGED}"), encoder.finish().unwrap());
    let mut command =
        home.shell(&format!("ulimit -v 300000; exec timeout 20 \"$GW\" rollback {FORGED} --yes"));
    home.refused(&mut command, 8);
}

/// A backup of another home can only ever change this one.
#[test]
fn a_backup_of_another_home_stays_inside_this_one() {
    let other = changed_once();
    let home = TestHome::deployed();
    let path = other.gateway("backups").join(&other.backups()[0]);
    let before = other.tree();
    let run = home.run(&format!("rollback {} --yes", path.display()));
    assert!([0, 8].contains(&run.code), "{}", run.all());
    assert_eq!(before.changes(&other.tree()), [""; 0]);
    assert!(home.tree().holding(&other.home().to_string_lossy()).is_empty(), "paths of the other home");
    home.run("uninstall --yes --purge").exits(0);
}

/// B06. Without a backup there is no change.
#[test]
fn a_backup_that_cannot_be_written_stops_the_change() {
    let home = TestHome::deployed();
    fs::create_dir_all(home.gateway("backups")).unwrap();
    let home = home.owned_by_nobody();
    home.chmod(".claude/gateway/backups", 0o500);
    home.refused(&mut home.command("install --yes --models glm-5.2"), 1).says(&["backup"]);
    home.chmod(".claude/gateway/backups", 0o700);
    home.run("install --yes --models glm-5.2").exits(0);
}
