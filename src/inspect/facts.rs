//! The facts about a deployment for commands that only look. Reads only, and each file at most once.

use std::cell::OnceCell;

use crate::deploy::context::Context;
use crate::deploy::recover::{self, Interrupted};
use crate::deploy::store;
use crate::domain::place::files;
use crate::domain::record::Record;
use crate::domain::{Error, Place, Result};
use crate::doors::{disk, system};
use crate::format::dotenv::DotEnv;
use crate::format::settings::Settings;
use crate::gateway::process::{self, Running};
use crate::runtime::choose;

use super::overrides;

/// A deployment as gwinstall found it, with what an interrupted run left and what runs.
pub struct Facts<'a> {
    pub context: &'a Context<'a>,
    /// What an earlier run left, or a run that is at work now.
    pub interrupted: Option<Interrupted>,
    env: OnceCell<Result<DotEnv>>,
    configuration: OnceCell<Result<Option<String>>>,
    running: OnceCell<Option<Running>>,
    lacks_litellm: OnceCell<bool>,
    overrides: OnceCell<Vec<String>>,
}

impl<'a> Facts<'a> {
    pub fn gather(context: &'a Context<'a>) -> Result<Self> {
        Ok(Self {
            context,
            interrupted: recover::look(context.place)?,
            env: OnceCell::new(),
            configuration: OnceCell::new(),
            running: OnceCell::new(),
            lacks_litellm: OnceCell::new(),
            overrides: OnceCell::new(),
        })
    }

    pub fn place(&self) -> &'a Place {
        self.context.place
    }

    /// The record; `None` where nothing is deployed, and where the record is lost.
    pub fn record(&self) -> Option<&'a Record> {
        self.context.record.as_ref()
    }

    /// `.env` of the gateway; empty where there is none.
    pub fn env(&self) -> Result<&DotEnv> {
        let read = || self.context.env().map(|file| DotEnv::parse(&file.text));
        self.env.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// The user's settings of Claude Code, where they can be read.
    pub fn settings(&self) -> Option<&Settings> {
        self.context.settings().ok()?.parsed()
    }

    /// The configuration of LiteLLM; `None` where there is no such file.
    pub fn configuration(&self) -> Result<Option<&str>> {
        let read = || match disk::read_maybe(&store::live_path(self.place(), files::CONFIG), disk::TEXT_CAP)?
        {
            None => Ok(None),
            Some(bytes) => String::from_utf8(bytes).map(Some).map_err(|error| {
                Error::failed(format!("{} is not UTF-8", files::CONFIG)).because(error.utf8_error())
            }),
        };
        self.configuration.get_or_init(read).as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    /// Settings files that override the user's, a sentence for each key; empty where nothing is deployed.
    pub fn overrides(&self) -> &[String] {
        let look = || self.record().map(|record| overrides::of(self.place(), record)).unwrap_or_default();
        self.overrides.get_or_init(look)
    }

    /// Whether the deployment runs LiteLLM on this machine, and there is none that a start could use.
    pub fn lacks_litellm(&self) -> bool {
        let look = || {
            let runs = |record: &&Record| record.runs_litellm() && !self.place().staged;
            let named = || system::variable(choose::PROGRAM).is_some();
            let available = |record: &Record| choose::is_available(self.place(), record.runtime.as_ref());
            self.record().filter(runs).is_some_and(|record| !named() && !available(record))
        };
        *self.lacks_litellm.get_or_init(look)
    }

    /// What runs on the port of the deployed LiteLLM; `None` where this deployment runs none on this machine.
    pub fn running(&self) -> Option<Running> {
        let look = || {
            let port = self.record()?.port().filter(|_| !self.place().staged)?;
            Some(process::look(self.place(), port))
        };
        *self.running.get_or_init(look)
    }
}
