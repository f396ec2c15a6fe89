//! Where Claude Code is pointed: by its settings as they are now, not as gwinstall left them.

use crate::deploy::leaving;
use crate::domain::check::Finding;
use crate::domain::name::printable;
use crate::domain::record::{self, Record, SettingsValue};
use crate::domain::secret::mask_userinfo;
use crate::domain::session::Session;
use crate::domain::{Hint, Place};
use crate::doors::term;
use crate::format::settings::KeyPath;
use crate::render::BASE_URL;

use super::facts::Facts;

const HELPER: &str = "apiKeyHelper";

#[derive(Debug, PartialEq, Eq)]
pub enum Pointed {
    /// At the gateway.
    Here,
    /// At the gateway, with a key that another program prints.
    OtherKey,
    /// Away from the gateway, as `off` left it.
    Off,
    /// Away from the gateway, until `start` or `on`.
    Armed,
    /// On its way out. These sessions have not followed, or are not known to have.
    Leaving(Vec<Session>),
    /// No address is set, although one was.
    Nowhere,
    /// At another address, which is safe to show.
    Elsewhere(String),
    /// The settings cannot be read; Claude Code cannot read them either.
    Unreadable(String),
}

impl Pointed {
    pub fn of(facts: &Facts<'_>, record: &Record) -> Self {
        let settings = match facts.context.settings() {
            Ok(settings) => settings,
            Err(error) => return Self::Unreadable(error.causes().join(", ")),
        };
        if let Some(problem) = settings.problem() {
            return Self::Unreadable(problem.to_string());
        }
        if record.request.pointed == record::Pointed::Leaving {
            let awaited = leaving::awaited(facts.context).ok().flatten();
            return Self::Leaving(awaited.unwrap_or_default());
        }
        let address = settings.get(&KeyPath::env(BASE_URL));
        match address.as_ref().and_then(|value| value.as_str()) {
            Some(address) if address == record.address() => {
                let helper = settings.get(&KeyPath::top(HELPER));
                let other = matches!(
                    (record.settings.keys.get(HELPER), &helper),
                    (Some(SettingsValue::Value(recorded)), found) if found.as_ref() != Some(recorded)
                );
                if other && record.request.pointed == record::Pointed::On {
                    Self::OtherKey
                } else {
                    Self::Here
                }
            }
            _ if record.request.pointed == record::Pointed::Off => Self::Off,
            _ if record.request.pointed == record::Pointed::Armed => Self::Armed,
            None => Self::Nowhere,
            Some(address) => Self::Elsewhere(printable(&mask_userinfo(address))),
        }
    }

    /// Whether Claude Code sends its requests to the gateway.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Here | Self::OtherKey)
    }

    /// Whether it is what the record says.
    pub fn as_recorded(&self, record: &Record) -> bool {
        match record.request.pointed {
            record::Pointed::On => self.is_here(),
            record::Pointed::Off => *self == Self::Off,
            record::Pointed::Armed => *self == Self::Armed,
            record::Pointed::Leaving => false,
        }
    }

    pub fn words(&self, place: &Place) -> String {
        let on = || term::command(&["on"]);
        let forced = || term::command(&["install", "--force"]);
        match self {
            Self::Here => "uses it".to_owned(),
            Self::OtherKey => {
                format!("uses it, with a key of another program ({HELPER}): {}", forced())
            }
            Self::Off => format!("does not use it: {}", on()),
            Self::Armed => format!("does not use it yet: {}", term::command(&["start"])),
            Self::Leaving(waiting) => {
                format!("leaves it, {}: {}", waits_for(place, waiting), term::command(&["off"]))
            }
            Self::Nowhere => format!("does not use it, its settings name no address: {}", on()),
            Self::Elsewhere(address) => {
                format!("uses {address}, which gwinstall did not set: {}", forced())
            }
            Self::Unreadable(why) => format!("cannot read its settings: {why}"),
        }
    }

    pub fn finding(&self, place: &Place, record: &Record) -> Finding {
        let settings = place.show(&place.settings());
        let answerer = record.direct.as_ref().map_or("the gateway", |direct| direct.provider.as_str());
        match self {
            Self::Here => Finding::pass(format!("{settings} points Claude Code at {answerer}")),
            Self::OtherKey => Finding::warn(format!(
                "{settings} takes the key from another program ({HELPER}); {answerer} accepts only its own key"
            ))
            .hint(Hint::run(&["install", "--force"]).to(format!("use the key of {answerer}"))),
            Self::Off => Finding::pass(format!(
                "Claude Code is not pointed at {answerer}: you ran {}",
                term::command(&["off"])
            )),
            Self::Armed => Finding::pass("Claude Code does not use the gateway yet")
                .hint(Hint::run(&["start"]).to("start it, and point Claude Code at it")),
            Self::Leaving(waiting) => {
                Finding::warn(format!("Claude Code leaves {answerer}, {}", waits_for(place, waiting)))
                    .hint(Hint::run(&["off"]).to("finish it"))
            }
            Self::Nowhere => Finding::fail(format!(
                "{settings} has no address of a gateway, so Claude Code does not use it"
            ))
            .hint(Hint::run(&["on"])),
            Self::Elsewhere(address) => Finding::fail(format!(
                "{settings} points Claude Code at {address}, which gwinstall did not set"
            ))
            .hint(Hint::run(&["install", "--force"])),
            Self::Unreadable(why) => Finding::fail(format!("{settings} cannot be read: {why}"))
                .hint(Hint::shell(format!("less {}", place.paste(&place.settings()))).to("look at it")),
        }
    }
}

/// What a departure still waits for.
fn waits_for(place: &Place, waiting: &[Session]) -> String {
    let names: Vec<String> = waiting.iter().map(|session| session.shown(place)).collect();
    match names.len() {
        0 => "and its settings are not restored yet".to_owned(),
        1 => format!("and a session that is open has not followed ({}); close it", names[0]),
        _ => format!("and sessions that are open have not followed ({}); close them", names.join(", ")),
    }
}

/// Where Claude Code is pointed; `None` where nothing is deployed and nothing points at what was.
pub fn finding(facts: &Facts<'_>) -> Option<Finding> {
    let place = facts.place();
    if let Some(record) = facts.record() {
        return (!place.staged).then(|| Pointed::of(facts, record).finding(place, record));
    }
    facts.context.is_orphaned().then(|| {
        Finding::fail(format!(
            "{} points Claude Code at a gateway that is gone",
            place.show(&place.settings())
        ))
        .hint(Hint::run(&["uninstall", "--yes"]))
    })
}
