//! What a command knows about a deployment before it decides. Reads only.
//!
//! Promise: each file is read at most once, when it is first asked for, so that every part of a command sees the same
//! bytes. The transaction notices what another program writes meanwhile: it compares with what was read here.

use std::cell::OnceCell;

use crate::domain::place::files;
use crate::domain::record::{Pointed, Record};
use crate::domain::{Error, Hint, Place, Result, Sha256};
use crate::doors::disk;
use crate::format::settings::Ledger;

use super::bases::BaseCopies;
use super::settings::{LedgerFile, SettingsFile};
use super::{lost, store};

/// A deployment as gwinstall found it.
pub struct Context<'p> {
    pub place: &'p Place,
    /// The record; `None` where nothing is deployed, and where the record is lost.
    pub record: Option<Record>,
    /// The file of the record as it was read.
    pub(super) record_read: Option<Sha256>,
    settings: OnceCell<Result<SettingsFile>>,
    ledger: OnceCell<Result<LedgerFile>>,
    env: OnceCell<Result<EnvFile>>,
    base_copies: OnceCell<Result<BaseCopies>>,
}

/// `.env`: its text, and the bytes on disk that the text comes from.
#[derive(Debug, Clone, Default)]
pub struct EnvFile {
    pub text: String,
    /// The bytes that were read; `None`: there was no file.
    pub read: Option<Sha256>,
}

impl<'p> Context<'p> {
    /// Reads the record. A damaged one is an error, because acting on half of the facts could lose an edit.
    pub fn load(place: &'p Place) -> Result<Self> {
        let (record, record_read) = store::record_and_sum(place)?.unzip();
        let (settings, ledger, env) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Ok(Self { place, record, record_read, settings, ledger, env, base_copies: OnceCell::new() })
    }

    /// The record, for a command that needs a deployment.
    pub fn deployed(&self) -> Result<&Record> {
        self.recorded()?.ok_or_else(|| {
            let next = if self.is_orphaned() { "uninstall" } else { "install" };
            Error::usage("nothing is deployed yet").hint(Hint::run(&[next]))
        })
    }

    /// The record, if there is one. A lost record is an error: gwinstall then does not know what is deployed.
    pub fn recorded(&self) -> Result<Option<&Record>> {
        if self.is_lost() { Err(lost::refusal(self.place)) } else { Ok(self.record.as_ref()) }
    }

    /// Whether there is a deployment without its record.
    pub fn is_lost(&self) -> bool {
        self.record.is_none() && store::is_lost(self.place)
    }

    /// Claude Code's settings.
    pub fn settings(&self) -> Result<&SettingsFile> {
        borrowed(self.settings.get_or_init(|| SettingsFile::read(self.place)))
    }

    /// The values that gwinstall replaced in the settings; empty where it replaced none.
    pub fn ledger(&self) -> Result<&Ledger> {
        self.ledger_file().map(|file| &file.ledger)
    }

    pub(super) fn ledger_file(&self) -> Result<&LedgerFile> {
        borrowed(self.ledger.get_or_init(|| LedgerFile::read(self.place)))
    }

    /// `.env` of the gateway; empty where there is none.
    pub fn env(&self) -> Result<&EnvFile> {
        borrowed(self.env.get_or_init(|| EnvFile::read(self.place)))
    }

    /// Files as gwinstall shipped them.
    pub(super) fn base_copies(&self) -> Result<&BaseCopies> {
        borrowed(self.base_copies.get_or_init(|| BaseCopies::read(self.place)))
    }

    /// Whether Claude Code still uses a gateway of this place whose files, record and ledger the user removed with the
    /// directory.
    pub fn is_orphaned(&self) -> bool {
        self.record.is_none()
            && !disk::exists(&self.place.file(files::SETTINGS_BEFORE))
            && self.names_gateway_helper()
    }

    /// Where Claude Code is pointed by the record; without one the settings say whether it uses the gateway of this place.
    pub fn pointed(&self) -> Option<Pointed> {
        match &self.record {
            Some(record) => Some(record.request.pointed),
            None => self.names_gateway_helper().then_some(Pointed::On),
        }
    }

    fn names_gateway_helper(&self) -> bool {
        self.settings().is_ok_and(|settings| settings.names_gateway_helper(self.place))
    }
}

fn borrowed<T>(read: &Result<T>) -> Result<&T> {
    read.as_ref().map_err(Clone::clone)
}

impl EnvFile {
    pub fn read(place: &Place) -> Result<Self> {
        let path = store::live_path(place, files::ENV);
        let Some(bytes) = disk::read_maybe(&path, disk::TEXT_CAP)? else { return Ok(Self::default()) };
        let read = Some(Sha256::of(&bytes));
        let text = String::from_utf8(bytes).map_err(|error| {
            Error::failed(format!("cannot edit {}", path.display()))
                .because(error.utf8_error())
                .hint(Hint::shell(format!("less {}", place.paste(&path))).to("look at it"))
        })?;
        Ok(Self { text, read })
    }

    /// Whether the file is byte for byte as gwinstall left it: only then gwinstall knows that its secrets are
    /// unchanged.
    pub fn is_untouched(&self, place: &Place) -> bool {
        let sum = disk::read_maybe(&place.file(files::ENV_SUM), 1024).ok().flatten();
        let sum = sum.and_then(|bytes| Sha256::parse(String::from_utf8(bytes).ok()?.trim()));
        sum == Some(Sha256::of(self.text.as_bytes()))
    }
}
