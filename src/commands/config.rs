//! `config path`: the paths of the files that the user edits. Changes nothing.

use serde_json::json;

use crate::cli::{ConfigCommand, ConfigFile};
use crate::domain::place::files;
use crate::domain::{Error, Hint, Place, Result};
use crate::doors::disk;

use crate::ui::answer::Answer;

pub(super) fn run(place: &Place, command: &ConfigCommand) -> Result<Answer> {
    let ConfigCommand::Path { file } = command;
    let path = match file {
        ConfigFile::Litellm => place.file(files::CONFIG),
        ConfigFile::Env => place.file(files::ENV),
        ConfigFile::Settings => place.settings(),
    };
    // An editor that is given the path of a missing file would make an empty one.
    if !disk::exists(&path) {
        return Err(Error::failed(format!("there is no {}", place.show(&path)))
            .because("nothing is deployed here, or its preset needs no such file")
            .hint(Hint::run(&["status"])));
    }
    let shown = path.to_string_lossy().into_owned();
    Ok(Answer::new(shown.clone()).quoting(shown).data(json!({ "path": path })))
}
