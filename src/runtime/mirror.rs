//! A Python that uv brings, for a machine that has none: only from the mirror that the user named to uv.
//!
//! Promise: nothing is fetched before the runtime is built; uv compares what it fetches with the sha256 of its own list. The
//! Python stays beside the runtimes, which run with it. Never: puts a Python on the PATH.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::facts::Facts;
use super::python::{self, Python};
use super::{fault, installer, place, uv};
use crate::domain::{Error, Place, Result};
use crate::doors::disk::{self, At as _};
use crate::doors::system;

/// uv's own variable: `https://…`, or `file:///…` for a directory.
pub const MIRROR: &str = "UV_PYTHON_INSTALL_MIRROR";
/// The newest version of Python with which the packages were tried.
const WANTED: &str = "cpython-3.13";
const ASK: Duration = Duration::from_secs(20);
const FETCH: Duration = Duration::from_secs(900);

/// A Python as uv lists it.
#[derive(Debug, Deserialize)]
struct Listed {
    key: String,
    version: String,
    implementation: String,
    os: String,
    arch: String,
    libc: String,
}

/// The Python that uv would bring, or has brought; `None` without a mirror, without uv, and for an image.
pub fn offered(place: &Place, facts: &Facts) -> Option<Python> {
    // An image would look for it where the home lies on this machine.
    system::variable(MIRROR).filter(|_| !place.staged)?;
    let uv = uv::on_path(facts, Path::new("/"))?;
    let asked = installer::job(&uv, Path::new("/"))
        .args(["python", "list", "--only-downloads", "--output-format", "json", WANTED])
        .run(ASK, &mut || ())
        .ok()?;
    let listed: Vec<Listed> = serde_json::from_str(asked.output.lines().next()?).ok()?;
    let listed = listed.into_iter().find(|one| one.implementation == "cpython")?;
    let minor: Vec<&str> = listed.version.split('.').take(2).collect();
    let program = place::pythons(place).join(&listed.key).join(format!("bin/python{}", minor.join(".")));
    if disk::is_program(&program) {
        return python::ask(&program).ok();
    }
    let glibc = if listed.libc == "gnu" { facts.data.python.oldest_glibc.as_str() } else { "" };
    let (os, machine) = match (listed.os.as_str(), listed.arch.as_str()) {
        ("macos", "aarch64") => ("darwin", "arm64"),
        ("macos", arch) => ("darwin", arch),
        other => other,
    };
    let python = Python::to_fetch(listed.key, listed.version, program, os, machine, glibc);
    python.unfit(facts).is_none().then_some(python)
}

/// Has uv bring the Python, unless it is there; it must then be what its list promised.
pub(super) fn fetch(place: &Place, facts: &Facts, python: &Python, work: &Path) -> Result<()> {
    let Some(key) = &python.to_fetch else { return Ok(()) };
    let uv = uv::on_path(facts, work).ok_or_else(|| Error::failed("uv is not on the PATH any more"))?;
    let root = place::pythons(place);
    disk::create_dirs(&root).at("create", &root)?;
    let job = installer::job(&uv, work)
        .set("UV_PYTHON_DOWNLOADS", "manual")
        .set("UV_NO_PROGRESS", "1")
        .set("NO_COLOR", "1")
        .args(["python", "install", "--no-bin", "--install-dir"])
        .args([root.as_os_str(), key.as_ref()]);
    let ended = job.run(FETCH, &mut || ())?;
    if !ended.succeeded() {
        return Err(fault::of("uv python install", &ended));
    }
    let refused =
        |why: String| Error::failed(format!("the Python that uv brought cannot be used: {key}")).because(why);
    let found = python::ask(&python.program).map_err(refused)?;
    let same = found.tag() == python.tag() && found.platform() == python.platform();
    match found.unfit(facts) {
        Some(why) => Err(refused(why)),
        None if !same => Err(refused(format!("it is Python {} for {}", found.version, found.platform()))),
        None => Ok(()),
    }
}
