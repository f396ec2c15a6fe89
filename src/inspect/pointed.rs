//! Where Claude Code is pointed, by its settings as they are now and not as we left them.

use crate::domain::check::Finding;
use crate::domain::name::printable;
use crate::domain::record::Record;
use crate::domain::secret::mask_userinfo;
use crate::domain::{Place, Result};
use crate::doors::disk;
use crate::format::settings::{KeyPath, Settings};

#[derive(Debug, PartialEq, Eq)]
pub enum Pointed {
    /// At the gateway.
    Here,
    /// Nowhere of ours, as `off` left it.
    Off,
    /// No address is set, although one was.
    Nowhere,
    /// At another address, which is safe to show.
    Elsewhere(String),
    /// The settings cannot be read; Claude Code cannot read them either.
    Unreadable(String),
}

impl Pointed {
    pub fn of(place: &Place, record: &Record) -> Self {
        match address(place) {
            Err(why) => Self::Unreadable(why),
            Ok(Some(address)) if address == record.gateway_url => Self::Here,
            Ok(_) if record.request.off => Self::Off,
            Ok(None) => Self::Nowhere,
            Ok(Some(address)) => Self::Elsewhere(printable(&mask_userinfo(&address))),
        }
    }

    /// Whether it is what the record says.
    pub fn as_recorded(&self, record: &Record) -> bool {
        *self == if record.request.off { Self::Off } else { Self::Here }
    }

    pub fn words(&self) -> String {
        match self {
            Self::Here => "uses it".to_owned(),
            Self::Off => "does not use it: gwinstall on".to_owned(),
            Self::Nowhere => "does not use it, its settings name no address: gwinstall on".to_owned(),
            Self::Elsewhere(address) => {
                format!("uses {address}, as somebody else set it: gwinstall install --force")
            }
            Self::Unreadable(why) => format!("cannot read its settings: {why}"),
        }
    }

    pub fn finding(&self, place: &Place) -> Finding {
        let settings = place.show(&place.settings());
        match self {
            Self::Here => Finding::pass(format!("{settings} points Claude Code at the gateway")),
            Self::Off => {
                Finding::pass("Claude Code is not pointed at the gateway, as you asked with gwinstall off")
            }
            Self::Nowhere => Finding::fail(format!(
                "{settings} has no address of a gateway, so Claude Code does not use it"
            ))
            .hint("gwinstall on"),
            Self::Elsewhere(address) => {
                Finding::fail(format!("{settings} points Claude Code at {address}, as somebody else set it"))
                    .hint("gwinstall install --force")
            }
            Self::Unreadable(why) => Finding::fail(format!("{settings} cannot be read: {why}"))
                .hint(format!("look at it: less {}", place.paste(&place.settings()))),
        }
    }
}

/// The value of `env.ANTHROPIC_BASE_URL`; absent where there is none.
fn address(place: &Place) -> std::result::Result<Option<String>, String> {
    let read = || -> Result<Option<Vec<u8>>> {
        disk::read_maybe(&disk::real_file(&place.settings())?, disk::TEXT_CAP)
    };
    let Some(bytes) = read().map_err(|error| error.causes().join(", "))? else { return Ok(None) };
    let settings = Settings::parse(&bytes).map_err(|problem| problem.to_string())?;
    let value = settings.get(&KeyPath::env("ANTHROPIC_BASE_URL"));
    Ok(value.and_then(|value| value.as_str().map(str::to_owned)))
}
