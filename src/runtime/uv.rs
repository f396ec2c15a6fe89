//! uv, which builds an environment in a tenth of pip's time: the one on the PATH, else fetched by the sha256 in the bundle.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::facts::{Facts, Wheel};
use super::fault;
use super::installer;
use super::python::Python;
use super::version::is_below;
use super::zip;
use crate::domain::{Error, Result};
use crate::doors::disk::{self, At as _};
use crate::doors::system;

/// uv unpacks to 44 MB today.
const PROGRAM_CAP: u64 = 256 << 20;
const FETCH: Duration = Duration::from_secs(900);

/// The uv on the PATH, if it is new enough.
pub(super) fn on_path(facts: &Facts, work: &Path) -> Option<PathBuf> {
    let program = system::program("uv")?;
    let asked =
        installer::job(&program, work).args(["--version"]).run(Duration::from_secs(20), &mut || ()).ok()?;
    let version = asked.output.split_whitespace().nth(1)?.to_owned();
    let new_enough = asked.succeeded() && !is_below(&version, &facts.data.uv.oldest);
    new_enough.then_some(program)
}

/// A pip to fetch with: that of the Python, else one in an environment made for it.
pub(super) fn pip_of(python: &Python, work: &Path) -> Result<Option<PathBuf>> {
    if python.pip {
        return Ok(Some(python.program.clone()));
    }
    if !python.venv {
        return Ok(None);
    }
    let dir = work.join("pip");
    let made = installer::job(&python.program, work).args(["-I", "-m", "venv"]).args([&dir]);
    let ended = made.run(FETCH, &mut || ())?;
    if ended.succeeded() {
        Ok(Some(dir.join("bin/python")))
    } else {
        Err(fault::of("python -m venv", &ended))
    }
}

/// `pip download` of what a requirements file names with its hashes, into a directory.
pub(super) fn download(pip: &Path, work: &Path, requirements: &Path, into: &Path) -> Result<()> {
    let job = installer::job(pip, work)
        .args(["-I", "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--require-hashes"])
        .args(["--only-binary", ":all:", "--dest"])
        .args([into.as_os_str(), "-r".as_ref(), requirements.as_os_str()])
        .set("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    let ended = job.run(FETCH, &mut || ())?;
    if ended.succeeded() { Ok(()) } else { Err(fault::of("pip", &ended)) }
}

/// Fetches the package of uv for this platform with pip, which knows the user's index. Its sha256 decides, not the index.
pub(super) fn fetch(facts: &Facts, pip: &Path, work: &Path) -> Result<PathBuf> {
    let (requirements, into) = (work.join("uv.txt"), work.join("uv-wheel"));
    let uv = &facts.data.uv;
    let hashes: Vec<String> =
        uv.wheels.iter().map(|wheel| format!("--hash=sha256:{}", wheel.sha256)).collect();
    let line = format!("uv=={} {}\n", uv.version, hashes.join(" "));
    disk::create(&requirements, line.as_bytes(), 0o600).at("write", &requirements)?;
    download(pip, work, &requirements, &into)?;
    wheel_in(facts, &into)
}

/// The package of uv in a directory.
pub(super) fn wheel_in(facts: &Facts, dir: &Path) -> Result<PathBuf> {
    let found = disk::list(dir)?.into_iter().find(|name| known(facts, name).is_some());
    found
        .map(|name| dir.join(name))
        .ok_or_else(|| Error::failed("there is no package of uv for this platform"))
}

fn known<'a>(facts: &'a Facts, name: &str) -> Option<&'a Wheel> {
    facts.data.uv.wheels.iter().find(|wheel| wheel.file == name)
}

/// Checks the package of uv and takes the program out of it.
pub(super) fn unpack(facts: &Facts, wheel: &Path, work: &Path) -> Result<PathBuf> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let refused = || Error::unverified(format!("{name} is not the uv that the bundle names"));
    let expected = known(facts, &name).ok_or_else(refused)?;
    let found = disk::find(wheel)?.stamp().map(|stamp| stamp.sha256);
    if found != Some(expected.sha256) {
        return Err(refused());
    }
    let program = work.join("uv-program");
    let mut out = disk::create(&program, b"", 0o600).at("create", &program)?;
    let (mut file, _) = disk::reader(wheel)?;
    zip::extract(&mut file, "/scripts/uv", PROGRAM_CAP, &mut out).at("unpack", wheel)?;
    drop(out);
    disk::set_mode(&program, 0o700).at("make executable", &program)?;
    Ok(program)
}
