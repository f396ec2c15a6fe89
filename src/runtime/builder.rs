//! The programs that install packages: uv, else pip. Both install only what the lock names, by its hashes, from wheels.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::archive::Packed;
use super::facts::Facts;
use super::installer::{self, INDEXES};
use super::python::Python;
use super::{fault, index, uv};
use crate::domain::name::list;
use crate::domain::{Error, Hint, Result};
use crate::doors::job::{Ended, Job};
use crate::doors::{disk, progress, term};

const LONGEST: Duration = Duration::from_secs(3600);

/// Where the packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The package index of the user.
    Index,
    /// Only what is on this machine.
    Offline,
    /// What `runtime export` made.
    Archive(Packed),
}

/// What an environment is built from, and where.
pub(super) struct Builder<'a> {
    pub facts: &'a Facts,
    pub python: &'a Python,
    pub source: &'a Source,
    /// A private directory for everything that is needed meanwhile.
    pub work: &'a Path,
    /// The environment; it does not exist yet.
    pub env: &'a Path,
    pub lock: &'a Path,
    /// The unpacked archive.
    pub wheels: Option<&'a Path>,
}

impl Builder<'_> {
    /// Builds the environment; the name of the tool that did it.
    pub(super) fn run(&self) -> Result<&'static str> {
        if let Some(uv) = self.uv()? {
            self.with_uv(&uv)?;
            return Ok("uv");
        }
        self.with_pip()?;
        Ok("pip")
    }

    /// uv from the PATH, from the archive, or fetched; `None`: there is none, and pip has to do.
    fn uv(&self) -> Result<Option<PathBuf>> {
        if let Some(found) = uv::on_path(self.facts, self.work) {
            term::detail(&format!("gwinstall builds with {}.", found.display()));
            return Ok(Some(found));
        }
        if let Some(wheels) = self.wheels {
            let wheel = uv::wheel_in(self.facts, wheels).ok();
            return wheel.map(|wheel| uv::unpack(self.facts, &wheel, self.work)).transpose();
        }
        if *self.source == Source::Offline {
            return Ok(None);
        }
        let Some(pip) = uv::pip_of(self.python, self.work)? else { return Err(self.nothing_to_build_with()) };
        let size = self.facts.data.uv.wheels.first().map_or(0, |wheel| wheel.size / 1_000_000);
        term::talk(&format!(
            "uv is not on the PATH: gwinstall fetches uv {} ({size} MB).",
            self.facts.data.uv.version
        ));
        let fetched = uv::fetch(self.facts, &pip, self.work)
            .and_then(|wheel| uv::unpack(self.facts, &wheel, self.work));
        match fetched {
            Ok(program) => Ok(Some(program)),
            Err(error) => {
                term::talk(&format!("note: {error}"));
                term::talk("gwinstall builds with pip instead, which takes longer.");
                Ok(None)
            }
        }
    }

    fn nothing_to_build_with(&self) -> Error {
        Error::failed(format!("{} cannot install packages", self.python.program.display()))
            .because("it has neither pip nor the module venv with pip, and uv is not on the PATH")
            .hint(
                Hint::shell("sudo apt-get install python3-venv")
                    .to("install them on Debian or Ubuntu")
                    .or(Hint::step("install uv, and run this command again")),
            )
    }

    fn with_uv(&self, uv: &Path) -> Result<()> {
        let job = || {
            installer::job(uv, self.work)
                .set("UV_PYTHON_DOWNLOADS", "never")
                .set("UV_NO_PROGRESS", "1")
                .set("NO_COLOR", "1")
        };
        let venv = job()
            .args(["venv", "--quiet", "--relocatable", "--python"])
            .args([&self.python.program, self.env]);
        self.finish("uv venv", venv.run(LONGEST, &mut || ())?)?;
        let mut sync = job()
            .args(["pip", "sync", "--require-hashes", "--no-build", "--compile-bytecode", "--python"])
            .args([self.env.join("bin/python").as_os_str()])
            .args([self.lock]);
        match (self.source, self.wheels) {
            (_, Some(wheels)) => {
                sync =
                    sync.without(&INDEXES).args(["--offline", "--no-index", "--find-links"]).args([wheels]);
            }
            (Source::Offline, None) => sync = self.with_the_users_index(sync.args(["--offline"])),
            _ => sync = self.with_the_users_index(sync),
        }
        self.watched("uv pip sync", sync)
    }

    fn with_the_users_index(&self, mut sync: Job) -> Job {
        let python = Some(self.python.program.as_path()).filter(|_| self.python.pip);
        let settings = index::for_uv(python, self.work);
        if !settings.translated.is_empty() || settings.no_index {
            let mut names = settings.translated.clone();
            names.extend(settings.no_index.then_some("no-index"));
            term::talk(&format!("uv reads no settings of pip: gwinstall gives it your {}.", list(&names)));
        }
        for (name, value) in &settings.set {
            sync = sync.set(name, value);
        }
        if settings.no_index { sync.args(["--no-index"]) } else { sync }
    }

    /// pip in the environment itself where this Python can make one with pip, else the pip of the Python.
    fn with_pip(&self) -> Result<()> {
        if !self.python.venv && !self.python.pip {
            return Err(self.nothing_to_build_with());
        }
        let python = &self.python.program;
        let without: &[&str] = if self.python.venv { &[] } else { &["--without-pip"] };
        let venv =
            installer::job(python, self.work).args(["-I", "-m", "venv"]).args(without).args([self.env]);
        self.finish("python -m venv", venv.run(LONGEST, &mut || ())?)?;
        let own = self.env.join("bin/python");
        let pip = if self.python.venv { &own } else { python };
        let mut install = installer::job(pip, self.work)
            .set("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .args(["-I", "-m", "pip"]);
        if !self.python.venv {
            install = install.args(["--python".as_ref(), own.as_os_str()]);
        }
        install = install
            .args(["install", "--quiet", "--no-input", "--require-hashes", "--no-deps", "--no-compile"])
            .args(["--only-binary", ":all:"]);
        install = match (self.source, self.wheels) {
            (_, Some(wheels)) => install
                .without(&INDEXES)
                .args(["--no-cache-dir", "--no-index", "--find-links"])
                .args([wheels]),
            (Source::Offline, None) => install.args(["--no-index"]),
            _ => install,
        };
        self.watched("pip", install.args(["-r".as_ref(), self.lock.as_os_str()]))?;
        // Packages carry files that are not for this Python; that they do not compile says nothing.
        let compile = installer::job(&own, self.work).args(["-I", "-m", "compileall", "-q", "-j", "0"]);
        compile.args([self.env.join("lib")]).run(LONGEST, &mut || ()).map(|_ended| ())
    }

    /// Runs the part that takes time, with the growing environment as its measure.
    fn watched(&self, tool: &str, job: Job) -> Result<()> {
        let data = &self.facts.data;
        let ended = job.run(LONGEST, &mut || {
            let megabytes = (disk::tree_size(self.env) / 1_000_000).min(data.disk_mb);
            progress::now(&format!(
                "Installing LiteLLM {}: {megabytes} of {} MB",
                data.litellm, data.disk_mb
            ));
        });
        self.finish(tool, ended?)
    }

    fn finish(&self, tool: &str, ended: Ended) -> Result<()> {
        if ended.succeeded() { Ok(()) } else { Err(fault::of(tool, &ended)) }
    }
}
