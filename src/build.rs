//! Build script: packs `embedded/` into what the binary carries, and hands over what a release build knows about itself.
//!
//! The binary carries all files in one block of LZ4, which unpacks with two thirds of the instructions of gzip, and an index
//! with their hashes, so that a run does not work those out again. In place of the catalog the block holds the same as JSON,
//! which a run reads in a tenth of the time of YAML. The script also sees new files in `embedded/`, which the embedding
//! macro alone would not.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use sha2::{Digest as _, Sha256};

fn main() {
    println!("cargo::rerun-if-changed=embedded");
    if let Err(error) = embed().and_then(|()| release_facts()) {
        println!("cargo::error=cannot prepare the embedded bundle: {error}");
    }
    if let Err(error) = link_smaller() {
        println!("cargo::error=cannot write the linker script: {error}");
    }
}

/// The tables that unwind the stack after a panic. The standard library comes compiled with them, no compiler flag leaves
/// them out, and a program that aborts on a panic never reads them. The files of the C library that begin and end the
/// table refer to their own part of it, which stays.
const NO_UNWIND_TABLES: &str = "\
SECTIONS {
  /DISCARD/ : {
    *(EXCLUDE_FILE(*crt1.o *crti.o *crtbegin*.o *crtend*.o *crtn.o) .eh_frame)
    *(.gcc_except_table .gcc_except_table.*)
  }
} INSERT AFTER .text;
";

/// What makes a static binary smaller at no price. zig's linker does not know these flags.
fn link_smaller() -> io::Result<()> {
    let zig = env::var("RUSTC_LINKER").is_ok_and(|linker| linker.contains("zig"));
    if zig || env::var("CARGO_CFG_TARGET_ENV").as_deref() != Ok("musl") {
        return Ok(());
    }
    // Relative relocations packed by the linker: 135 kB.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    // The profiles for development unwind.
    if variable("PROFILE")? == "release" {
        let script = PathBuf::from(variable("OUT_DIR")?).join("no-unwind-tables.ld");
        fs::write(&script, NO_UNWIND_TABLES)?;
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
    Ok(())
}

/// The catalog's place among the files.
const CATALOG: &str = "catalog.yaml";

/// The index has a line for each file: its sha256, how many bytes of it follow in the block, its path. The first line is
/// that of the whole, with an empty path: the digest of the bundle, as `Bundle` works it out.
fn embed() -> io::Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("embedded");
    let out = PathBuf::from(variable("OUT_DIR")?).join("bundle");
    // What an earlier build left there would be embedded too.
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let mut paths = Vec::new();
    collect(&root, "", &mut paths)?;
    paths.sort();
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (mut whole, mut lines, mut block) = (Sha256::new(), String::new(), Vec::new());
    for path in paths {
        let bytes = fs::read(root.join(&path))?;
        whole.update(format!("{path}\0{}\0", bytes.len()));
        whole.update(&bytes);
        let sha256 = hex(&Sha256::digest(&bytes));
        let held = if path == CATALOG { as_json(&bytes)? } else { bytes };
        lines.push_str(&format!("{sha256} {} {path}\n", held.len()));
        block.extend(held);
    }
    let index = format!("{} {} \n{lines}", hex(&whole.finalize()), block.len());
    fs::write(out.join("index"), index)?;
    fs::write(out.join("files.lz4"), lz4_flex::block::compress(&block))
}

fn as_json(yaml: &[u8]) -> io::Result<Vec<u8>> {
    let document: serde_json::Value = serde_yaml::from_slice(yaml).map_err(io::Error::other)?;
    Ok(serde_json::to_vec(&document)?)
}

fn collect(root: &Path, dir: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(dir))? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| io::Error::other(format!("{} is not UTF-8", name.display())))?;
        let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            files.push(path);
        } else {
            return Err(io::Error::other(format!("embedded/{path} is neither a file nor a directory")));
        }
    }
    Ok(())
}

/// What a release build passes in; a build from source says so by their absence.
fn release_facts() -> io::Result<()> {
    for (given, compiled) in [
        ("GWINSTALL_RELEASE_VERSION", "GWINSTALL_BUILD_VERSION"),
        ("GWINSTALL_RELEASE_SEQ", "GWINSTALL_BUILD_SEQ"),
        ("GWINSTALL_REPO", "GWINSTALL_BUILD_REPO"),
        ("GWINSTALL_COMMIT", "GWINSTALL_BUILD_COMMIT"),
        ("SOURCE_DATE_EPOCH", "GWINSTALL_BUILD_DATE"),
    ] {
        println!("cargo::rerun-if-env-changed={given}");
        if let Ok(value) = env::var(given) {
            println!("cargo::rustc-env={compiled}={value}");
        }
    }
    println!("cargo::rustc-env=GWINSTALL_BUILD_TARGET={}", variable("TARGET")?);
    println!("cargo::rerun-if-env-changed=GWINSTALL_KEYS");
    let default = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("dist/keys/keys.json");
    let keys = env::var_os("GWINSTALL_KEYS").map_or(default, PathBuf::from);
    let text = if keys.exists() { fs::read(&keys)? } else { Vec::new() };
    // Cargo holds a missing file for a changed one: naming it would build everything anew each time. Its directory tells
    // when it appears.
    let watched = if keys.exists() { keys.as_path() } else { keys.parent().unwrap_or(Path::new(".")) };
    println!("cargo::rerun-if-changed={}", watched.display());
    fs::write(PathBuf::from(variable("OUT_DIR")?).join("keys.json"), text)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
