//! Environments as they are found: whole, broken, empty.

#![allow(clippy::disallowed_methods)]

use super::*;
use crate::doors::disk::{create, create_dirs};

fn venv(packages: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    create_dirs(&dir.path().join("bin")).unwrap();
    create(&dir.path().join("bin/litellm"), b"#!/bin/sh\n", 0o755).unwrap();
    create(&dir.path().join("bin/python"), b"#!/bin/sh\n", 0o755).unwrap();
    create(&dir.path().join("pyvenv.cfg"), b"", 0o644).unwrap();
    for package in packages {
        create_dirs(&dir.path().join("lib/python3.11/site-packages").join(package)).unwrap();
    }
    std::os::unix::fs::symlink("lib", dir.path().join("lib64")).unwrap();
    dir
}

#[test]
fn the_version_is_the_name_of_a_directory() {
    let found = |packages: &[&str]| read(venv(packages).path()).state;
    assert_eq!(found(&["litellm", "litellm-1.106.2.dist-info"]), State::Sound("1.106.2".to_owned()));
    assert_eq!(
        found(&["litellm_enterprise-0.1.dist-info", "litellm-proxy-extras-0.4.dist-info"]),
        State::Unnamed
    );
    let State::Broken(why) = found(&["litellm-1.83.0.dist-info", "litellm-1.84.0.dist-info"]) else {
        panic!()
    };
    assert!(why.contains("1.83.0, 1.84.0"), "{why}");
    assert_eq!(read(Path::new("/nonexistent")).state, State::Without);
}

#[test]
fn a_python_that_is_gone_is_named() {
    let dir = venv(&["litellm-1.106.2.dist-info"]);
    let python = dir.path().join("bin/python");
    disk::remove(&python).unwrap();
    std::os::unix::fs::symlink("/opt/gone/python3.11", &python).unwrap();
    let environment = read(dir.path());
    assert!(environment.broken().unwrap().contains("/opt/gone/python3.11 does not exist"));
    assert_eq!((environment.version(), environment.runs()), (None, false));
    disk::remove(&dir.path().join("bin/litellm")).unwrap();
    assert_eq!(read(dir.path()).broken(), Some("its bin/litellm is missing"));
}
