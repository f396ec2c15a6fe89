//! The running gateway: started, stopped and asked through the deployed script, which is what a person without us
//! would use too.

use crate::domain::place::files;
use crate::domain::{Error, Kind, Place, Result};
use crate::doors::{disk, system};

/// Runs `start-gateway.sh VERB` and passes its words on. Its exit status is ours.
pub fn run_script(place: &Place, verb: &str) -> Result<u8> {
    let script = place.file(files::START);
    if !disk::exists(&script) {
        return Err(Error::usage(format!("there is no {}", place.show(&script)))
            .because("nothing is deployed, or its preset runs no gateway on this machine")
            .hint("gwinstall status"));
    }
    system::run(&script, &[verb], &[])
}

/// Starts, or reloads, the gateway while the transaction that deployed it is still open.
pub fn start_in_transaction(place: &Place) -> Result<()> {
    let script = place.file(files::START);
    if !disk::exists(&script) {
        return Ok(());
    }
    // The script refuses to run beside an open journal; this one is ours.
    let open = [("GWINSTALL_TRANSACTION", "open")];
    match system::run(&script, &["start"], &open)? {
        0 => Ok(()),
        code => Err(Error::new(Kind::RolledBack, format!("{} ended with {code}", place.show(&script)))
            .hint(format!("look at its log: tail -n 30 {}", place.paste(&place.file(files::GATEWAY_LOG))))),
    }
}
