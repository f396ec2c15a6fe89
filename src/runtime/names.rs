//! The names that the LiteLLM of a deployment knows, read from its files. None of it is run.

use super::environment::{self, Environment};
use crate::domain::Place;
use crate::domain::runtime::{RuntimeId, RuntimeKind};
use crate::doors::disk;
use crate::format::litellm::Names;

/// The largest file that is read: its map of models has about three megabytes.
const SOURCE_CAP: u64 = 16 << 20;

/// `None` where it is the LiteLLM that gwinstall installs, whose table is built in, and where it does not say its version.
pub fn known_names(place: &Place, runtime: Option<&RuntimeId>) -> Option<Names> {
    let runtime = runtime?;
    let path = runtime.path(&place.home);
    let environment = match runtime.kind {
        RuntimeKind::Path => environment::of_program(&path)?,
        RuntimeKind::Managed | RuntimeKind::Venv => environment::read(&path),
    };
    let version = environment.version().filter(|version| *version != Names::table().version())?;
    let dir = sources(&environment)?;
    let read = |file: &str| {
        let bytes = disk::read(&dir.join(file), SOURCE_CAP).ok()?;
        String::from_utf8(bytes).ok()
    };
    Some(Names::of_version(version, &read))
}

/// Where the environment keeps LiteLLM's own files.
fn sources(environment: &Environment) -> Option<std::path::PathBuf> {
    environment::packages(&environment.dir)
        .into_iter()
        .map(|dir| dir.join("litellm"))
        .find(|dir| disk::is_dir(dir))
}
