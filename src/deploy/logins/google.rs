//! The login of Google's libraries, in their order: the credentials that are named, gcloud's login, the identity of the
//! machine.

use std::path::Path;

use serde_json::Value;

use crate::domain::name::printable;
use crate::domain::{Hint, Place, Result};
use crate::doors::disk;

use super::sources::{Login, Sources, firmware_says};

/// The command that brings a login.
pub(super) const LOG_IN: &str = "gcloud auth application-default login";

const NAMED: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const OF_LITELLM: &str = "VERTEXAI_CREDENTIALS";

/// Variables that Google's services set, or that name the server for the identity of a machine.
const OF_A_SERVICE: [&str; 6] = [
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "GAE_SERVICE",
    "FUNCTION_TARGET",
    "GCE_METADATA_HOST",
    "GCE_METADATA_ROOT",
];

pub(super) fn look(sources: &Sources<'_>) -> Login {
    let place = sources.place;
    if let Some(given) = sources.value(OF_LITELLM) {
        return named(place, OF_LITELLM, &given);
    }
    if let Some(given) = sources.value(NAMED) {
        return named(place, NAMED, &given);
    }
    let path = sources.path("CLOUDSDK_CONFIG", ".config/gcloud").join("application_default_credentials.json");
    match credential(&path) {
        Ok(kind) => Login::Found(format!("{} is Google's login ({kind})", place.show(&path))),
        Err(why) if disk::exists(&path) => {
            Login::Unusable(format!("{} {why}", place.show(&path)), Hint::shell(LOG_IN))
        }
        Err(_) if is_at_google(sources) => {
            Login::Found("this machine runs at Google and has an identity of its own".to_owned())
        }
        Err(_) => Login::Absent,
    }
}

/// A credential that a variable names. A value that is not a path is not repeated: it may be the key itself.
fn named(place: &Place, name: &str, given: &str) -> Login {
    // LiteLLM takes its own variable for the content of a file, too; Google's libraries take theirs for a path.
    if given.trim_start().starts_with('{') && name == OF_LITELLM {
        return match kind_of(given.as_bytes()) {
            Ok(kind) => Login::Found(format!("{name} holds a Google credential ({kind})")),
            Err(why) => Login::Unusable(format!("what {name} holds {why}"), Hint::shell(LOG_IN)),
        };
    }
    if !given.starts_with('/') {
        return Login::Unusable(format!("{name} is not an absolute path"), Hint::run(&["env", "set", name]));
    }
    let path = Path::new(given);
    match credential(path) {
        Ok(kind) => Login::Found(format!("{name} is a Google credential ({kind})")),
        Err(why) => {
            Login::Unusable(format!("{} in {name} {why}", place.show(path)), Hint::run(&["env", "set", name]))
        }
    }
}

/// The kind of a credential file, else what is wrong with it.
fn credential(path: &Path) -> std::result::Result<String, &'static str> {
    let read = |path: &Path| -> Result<Option<Vec<u8>>> {
        disk::read_maybe(&disk::real_file(path)?, disk::TEXT_CAP)
    };
    match read(path) {
        Ok(Some(bytes)) => kind_of(&bytes),
        Ok(None) => Err("does not exist"),
        Err(_) => Err("cannot be read"),
    }
}

fn kind_of(bytes: &[u8]) -> std::result::Result<String, &'static str> {
    let parsed: Option<Value> = serde_json::from_slice(bytes).ok();
    let kind = parsed.as_ref().and_then(|file| file.get("type")?.as_str());
    kind.map(printable).ok_or("is not a Google credential")
}

/// Decided as Google's libraries do before they ask the server for the identity of a machine.
fn is_at_google(sources: &Sources<'_>) -> bool {
    let unused = sources.value("NO_GCE_CHECK").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    !unused && (OF_A_SERVICE.iter().any(|name| sources.has(name)) || firmware_says("product_name", b"Google"))
}
