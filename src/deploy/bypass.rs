//! Whether Claude Code reaches a gateway of this machine although a proxy is set, and the settings with which it does.
//! Claude Code has no exception of its own for the loopback address.
//!
//! Promise: entries and spelling of the user stay; an entry is only added, and only where a proxy is in sight. Reads only.

use std::collections::BTreeMap;

use crate::domain::Place;
use crate::doors::system;
use crate::format::rc::Skipped;
use crate::format::settings::{KeyPath, Ledger, Settings};

use super::exports::Exports;

const PROXIES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];
const SPELLINGS: [&str; 2] = ["NO_PROXY", "no_proxy"];
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The proxies and exceptions that Claude Code may have, from its settings, this environment and the files of shells.
#[derive(Debug, Default)]
pub struct Sight {
    /// Names in capitals, as the programs that read both spellings know them.
    pub proxies: Vec<&'static str>,
    /// Whether some proxy stands in the settings: those hold however Claude Code is started.
    in_settings: bool,
    small: bool,
    /// What the settings say, by spelling.
    settings: BTreeMap<&'static str, String>,
    /// What the environment says, else the files.
    outside: BTreeMap<&'static str, String>,
}

impl Sight {
    pub fn of(place: &Place, settings: Option<&Settings>) -> Self {
        let exports = Exports::open(place);
        let in_settings = |name: &str| settings.and_then(|settings| settings.env_text(name));
        let mut sight = Self::default();
        for name in PROXIES {
            let spelled = [name.to_owned(), name.to_ascii_lowercase()];
            let set = spelled.each_ref().map(|name| in_settings(name).is_some_and(|value| !value.is_empty()));
            let outside = spelled.each_ref().map(|name| {
                (!place.staged && system::variable(name).is_some())
                    || exports.of(name).any(|(_, found)| may_be_set(&found.value))
            });
            if set.contains(&true) || outside.contains(&true) {
                sight.proxies.push(name);
                sight.in_settings |= set.contains(&true);
                sight.small |= (set[1] || outside[1]) && !(set[0] || outside[0]);
            }
        }
        for name in SPELLINGS {
            sight.settings.extend(in_settings(name).map(|value| (name, value)));
            let environment = system::variable(name).filter(|_| !place.staged);
            let outside = environment.or_else(|| exports.of(name).find_map(|(_, found)| found.value.ok()));
            sight.outside.extend(outside.filter(|value| !value.is_empty()).map(|value| (name, value)));
        }
        sight
    }

    /// Whether each spelling that Claude Code may read leaves this machine out.
    pub fn leaves_this_machine_out(&self) -> bool {
        let names = self.spellings();
        !names.is_empty() && names.iter().all(|name| self.value(name).is_some_and(covers_loopback))
    }

    /// The spellings in use. Settings win over the shell only in the same spelling.
    fn spellings(&self) -> Vec<&'static str> {
        let used = |name: &&&str| self.settings.contains_key(**name) || self.outside.contains_key(**name);
        SPELLINGS.iter().filter(used).copied().collect()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.settings.get(name).or_else(|| self.outside.get(name)).map(String::as_str)
    }
}

/// Whether a line of a shell file may set the variable at some time: people switch proxies on with functions.
fn may_be_set(value: &Result<String, Skipped>) -> bool {
    match value {
        Ok(text) => !text.is_empty(),
        Err(why) => matches!(why, Skipped::Value(_) | Skipped::Inside | Skipped::Lost(_)),
    }
}

/// The exceptions that settings.json must hold so that Claude Code reaches a gateway of this machine. `given` are those of
/// a preset that sets a proxy itself; `keeps`: gwinstall added some before, and a proxy may only be out of sight now.
pub(super) fn wanted(
    place: &Place,
    settings: Option<&Settings>,
    ledger: &Ledger,
    given: Option<&str>,
    keeps: bool,
) -> Vec<(&'static str, String)> {
    let mut sight = Sight::of(place, settings);
    let mut held = Vec::new();
    for name in SPELLINGS {
        let path = KeyPath::env(name);
        let is_held = settings.is_some_and(|settings| settings.is_of_gwinstall(&path, ledger));
        if is_held && ledger.paths().any(|known| *known == path) {
            held.push(name);
            // What was there before gwinstall is the user's, and is added to again.
            let now = sight.settings.remove(name);
            let before = ledger.before(&path).and_then(|value| value.as_str().map(str::to_owned));
            let outside = sight.outside.contains_key(name) || given.is_some();
            sight.settings.extend(before.or(now.filter(|_| !outside)).map(|value| (name, value)));
        }
    }
    if sight.proxies.is_empty() && given.is_none() && (held.is_empty() || !keeps) {
        return Vec::new();
    }
    let mut names = sight.spellings();
    if names.is_empty() {
        names.push(if sight.small { SPELLINGS[1] } else { SPELLINGS[0] });
    }
    let merged = names.into_iter().map(|name| (name, merge(sight.value(name).unwrap_or_default(), given)));
    let needed = |(name, value): &(&'static str, String)| {
        let enough = sight.settings.get(name).map(String::as_str) == Some(value);
        // A proxy in the settings holds without the shell that would leave this machine out.
        let by_shell = !sight.in_settings
            && given.is_none()
            && sight.outside.get(name).map(String::as_str) == Some(value);
        held.contains(name) || !(enough || by_shell && !sight.settings.contains_key(name))
    };
    merged.filter(needed).collect()
}

/// The user's entries, those that were given, and the names of this machine if its address is not among them.
fn merge(users: &str, given: Option<&str>) -> String {
    if given.is_none() && covers_loopback(users) {
        return users.to_owned();
    }
    let mut merged = users.trim().trim_end_matches(',').to_owned();
    given
        .into_iter()
        .flat_map(|given| given.split([',', ' ']))
        .for_each(|entry| add(&mut merged, entry.trim()));
    if !covers_loopback(&merged) {
        LOOPBACK.into_iter().for_each(|entry| add(&mut merged, entry));
    }
    merged
}

fn add(hosts: &mut String, entry: &str) {
    if entry.is_empty() || hosts.split([',', ' ']).any(|known| known.trim() == entry) {
        return;
    }
    if !hosts.is_empty() {
        hosts.push(',');
    }
    hosts.push_str(entry);
}

fn covers_loopback(hosts: &str) -> bool {
    hosts
        .split([',', ' '])
        .map(str::trim)
        .any(|host| host == "*" || host == "127.0.0.0/8" || host == "127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_entry_for_the_address_itself_counts() {
        for good in ["127.0.0.1", "localhost,127.0.0.1", "*", "a.corp, 127.0.0.1", "127.0.0.0/8"] {
            assert!(covers_loopback(good), "{good}");
        }
        for bad in ["", "localhost", "127.0.0.10", "10.0.0.0/8"] {
            assert!(!covers_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn entries_are_added_and_none_is_lost() {
        for (users, given, merged) in [
            ("", None, "localhost,127.0.0.1,::1"),
            ("corp.example", None, "corp.example,localhost,127.0.0.1,::1"),
            ("corp.example,", None, "corp.example,localhost,127.0.0.1,::1"),
            ("localhost, b", None, "localhost, b,127.0.0.1,::1"),
            ("127.0.0.1, ", None, "127.0.0.1, "),
            ("*", None, "*"),
            ("", Some("localhost,127.0.0.1"), "localhost,127.0.0.1"),
            ("a", Some("b,a 127.0.0.1"), "a,b,127.0.0.1"),
        ] {
            assert_eq!(merge(users, given), merged, "{users:?} {given:?}");
        }
    }
}
