//! Builds a runtime: beside its place, checked, renamed, tried.
//!
//! Promise: a run that is killed at any moment leaves a complete runtime or a directory that the next run removes. Two runs
//! never build at once. Never: builds in place, goes on with what an earlier run began.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::builder::{Builder, Source};
use super::environment;
use super::facts::Facts;
use super::place;
use super::python::Python;
use super::staging::{self, Staging};
use super::{archive, mirror, verify};
use crate::domain::name::count;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::disk::{self, At as _};
use crate::doors::job::{Job, Running};
use crate::doors::{progress, signals, system, term};

/// A start takes 6 s, and 27 s were seen under load.
const SMOKE: Duration = Duration::from_secs(240);

/// What to build.
pub struct Order<'a> {
    pub place: &'a Place,
    pub facts: &'a Facts,
    pub python: &'a Python,
    pub source: &'a Source,
    pub lock_wait: u64,
}

/// A runtime that is ready.
#[derive(Debug)]
pub struct Built {
    pub path: PathBuf,
    /// The tool that built it; `None`: it was there.
    pub tool: Option<&'static str>,
    pub files: usize,
    pub milliseconds: u64,
}

impl Order<'_> {
    pub fn path(&self) -> PathBuf {
        place::root(self.place).join(place::name(self.facts, self.python))
    }

    /// Whether the runtime is there and can run.
    pub fn is_built(&self) -> bool {
        environment::read(&self.path()).version() == Some(self.facts.data.litellm.as_str())
    }

    /// Builds it, unless it is there.
    pub fn build(&self) -> Result<Built> {
        let watch = system::Stopwatch::start();
        let root = place::root(self.place);
        disk::create_dirs(&root).at("create", &root)?;
        let _lock = staging::lock(&root, self.lock_wait)?;
        staging::remove_leftovers(&root)?;
        let path = self.path();
        if self.is_built() {
            return Ok(Built { path, tool: None, files: 0, milliseconds: watch.milliseconds() });
        }
        self.require_room(&root)?;
        let (tool, files) =
            progress::waiting(format!("Installing LiteLLM {}", self.facts.data.litellm), || {
                let staging = Staging::new(&root)?;
                let done = self.stage(&staging)?;
                self.publish(&staging, &path)?;
                Ok(done)
            })?;
        Ok(Built { path, tool: Some(tool), files, milliseconds: watch.milliseconds() })
    }

    fn require_room(&self, root: &Path) -> Result<()> {
        let packed = match self.source {
            Source::Archive(packed) => disk::facts(&packed.file).map_or(0, |(len, _)| len),
            _ => self.facts.data.download_mb * 1_000_000,
        };
        let needed = self.facts.data.disk_mb * 1_000_000 + packed;
        match disk::free_space(root) {
            Some((free, _)) if free < needed => Err(Error::failed("there is not enough space for LiteLLM")
                .because(format!(
                    "{} has {} MB left, and the installation takes {} MB",
                    root.display(),
                    free / 1_000_000,
                    needed / 1_000_000
                ))
                .hint(Hint::shell("df -h").to("see what is full"))),
            _ => Ok(()),
        }
    }

    /// Builds and checks the environment where nothing looks for one.
    fn stage(&self, staging: &Staging) -> Result<(&'static str, usize)> {
        let (work, env) = (staging.dir.join("work"), staging.env());
        disk::create_dirs(&work).at("create", &work)?;
        let lock = work.join("litellm.lock");
        disk::create(&lock, &self.facts.lock, 0o600).at("write", &lock)?;
        let wheels = match self.source {
            Source::Archive(packed) => Some(archive::unpack(packed, self.facts, &work)?),
            _ => None,
        };
        mirror::fetch(self.place, self.facts, self.python, &work)?;
        let builder = Builder {
            facts: self.facts,
            python: self.python,
            source: self.source,
            work: &work,
            env: &env,
            lock: &lock,
            wheels: wheels.as_deref(),
        };
        let tool = builder.run()?;
        signals::check()?;
        let version = &self.facts.data.litellm;
        let found = environment::read(&env);
        if found.version() != Some(version) {
            return Err(Error::failed(format!("{tool} did not install LiteLLM {version}"))
                .because(found.broken().unwrap_or("it is not there")));
        }
        let checked = verify::verify(&env)?;
        term::detail(&format!(
            "gwinstall checked {} of {}.",
            count(checked.files, "file"),
            count(checked.packages, "package")
        ));
        if tool == "pip" {
            verify::make_relocatable(&env)?;
        }
        disk::flush_file_system(&env).at("make durable", &env)?;
        Ok((tool, checked.files))
    }

    /// Gives the environment its name, tries it there, and takes it away again if it does not work.
    fn publish(&self, staging: &Staging, path: &Path) -> Result<()> {
        let env = staging.env();
        let old = staging.dir.join("old");
        if disk::exists(path) {
            // It cannot run: `is_built` looked.
            disk::rename(path, &old).at("rename", path)?;
        }
        disk::place(&env, path).or_else(|_| disk::rename(&env, path)).at("rename", &env)?;
        progress::now("Trying LiteLLM once before it counts");
        term::detail("gwinstall tries LiteLLM once before it counts.");
        let tried = smoke_test(path, &staging.dir.join("work")).and_then(|()| signals::check());
        if let Err(error) = tried {
            disk::rename(path, &env).at("remove", path)?;
            return Err(error);
        }
        path.parent().map_or(Ok(()), |root| disk::flush_dir(root).at("make durable", root))
    }
}

/// `--version` and a tiny configuration, both in the environment under its name. Without the network: LiteLLM would wait for
/// its price list.
fn smoke_test(dir: &Path, work: &Path) -> Result<()> {
    let config = work.join("smoke.yaml");
    let text = "model_list:\n- model_name: smoke\n  litellm_params: {model: openai/smoke, api_key: none}\n";
    disk::create(&config, text.as_bytes(), 0o600).at("write", &config)?;
    let config = config.to_string_lossy().into_owned();
    let start = |arguments: &[&str]| -> Result<Running> {
        Job::new(&dir.join("bin/python"), work)
            .args([dir.join("bin/litellm")])
            .args(arguments)
            .without_environment()
            .set("HOME", work)
            .set("PATH", "/usr/bin:/bin")
            .set("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .set("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")
            .start()
    };
    let (version, config) = (start(&["--version"])?, start(&["--config", &config, "--validate_config"])?);
    for (what, running) in [("litellm --version", version), ("litellm --validate_config", config)] {
        let ended = running.wait(SMOKE, &mut || ())?;
        if !ended.succeeded() {
            return Err(super::fault::of(what, &ended)
                .under("LiteLLM was installed and does not run; it was removed again"));
        }
    }
    Ok(())
}
