//! Whether the gateway serves its configuration: it is ready, and it lists every name that the file defines.
//!
//! Promise: waits for a bounded time, three times half a minute at most. Never: calls a model.

use std::time::Duration;

use crate::deploy::store;
use crate::domain::name::list;
use crate::domain::place::files;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::progress::Waiting;
use crate::doors::{disk, signals, system};
use crate::format::litellm::Served;

use super::ask::Gateway;
use super::process;

/// Pauses between the questions of one round. A loaded machine needs longer than a quick one.
const PAUSES: [u64; 7] = [100, 250, 500, 1_000, 1_000, 5_000, 15_000];
const ROUNDS: usize = 3;
/// A gateway that is ready and does not list a name will not list it later: two answers in a row are enough.
const ANSWERS: usize = 2;

/// Why the gateway does not serve its configuration.
enum Gap {
    /// It is not ready, or does not answer. It may still come up.
    NotReady(String),
    /// It is ready, and does not list these names.
    Unserved(Vec<String>),
}

/// Waits until the gateway of a place serves what its configuration on disk defines.
pub fn wait(place: &Place) -> Result<()> {
    let mut waiting = None;
    let served = serves(place, &mut waiting);
    if let Some(waiting) = waiting {
        waiting.end(served.is_ok());
    }
    served
}

/// What gwinstall waits for is said once the gateway has not served at the first question.
fn serves(place: &Place, waiting: &mut Option<Waiting>) -> Result<()> {
    let Some(record) = store::record_as_found(place)? else { return Ok(()) };
    let gateway = Gateway::of(place, &record)?;
    let text = disk::read_maybe(&store::live_path(place, files::CONFIG), disk::TEXT_CAP)?.unwrap_or_default();
    let served = Served::read(&String::from_utf8_lossy(&text)).unwrap_or_default();
    let names: Vec<&str> = served.listed().collect();
    let mut incomplete = 0;
    let mut last = Gap::NotReady("it was not asked yet".to_owned());
    for pause in std::iter::repeat_n(PAUSES, ROUNDS).flatten() {
        match look(&gateway, &names) {
            None => return Ok(()),
            Some(gap @ Gap::Unserved(_)) => {
                incomplete += 1;
                last = gap;
                if incomplete >= ANSWERS {
                    break;
                }
            }
            Some(gap) => {
                incomplete = 0;
                last = gap;
            }
        }
        if process::pid(place).is_none() {
            last = Gap::NotReady("its process ended".to_owned());
            break;
        }
        waiting.get_or_insert_with(|| Waiting::begin("Waiting until the gateway serves its models"));
        system::sleep(Duration::from_millis(pause));
        signals::check()?;
    }
    Err(refused(place, last))
}

fn look(gateway: &Gateway, names: &[&str]) -> Option<Gap> {
    match gateway.get("/health/readiness", false) {
        Ok(reply) if reply.status == 200 => {}
        Ok(reply) => {
            return Some(Gap::NotReady(format!("/health/readiness answers {}", gateway.reason(&reply))));
        }
        Err(why) => return Some(Gap::NotReady(why)),
    }
    match gateway.models() {
        Ok(listed) => {
            let missing: Vec<String> = names
                .iter()
                .filter(|name| !listed.iter().any(|listed| listed == *name))
                .map(|name| (*name).to_owned())
                .collect();
            (!missing.is_empty()).then_some(Gap::Unserved(missing))
        }
        Err(error) => Some(Gap::NotReady(error.to_string())),
    }
}

fn refused(place: &Place, gap: Gap) -> Error {
    let error = match gap {
        Gap::NotReady(why) => Error::failed("the gateway is not ready").because(why),
        Gap::Unserved(names) => Error::failed("the gateway does not serve its whole configuration")
            .because(format!("/v1/models does not list {}", list(&names))),
    };
    error.hint(
        Hint::shell(format!("tail -n 30 {}", place.paste(&place.file(files::GATEWAY_LOG))))
            .to("read its log"),
    )
}
