//! Templates that no release key has signed: those of a directory and of the user's own presets. The validator reads
//! them before gwinstall renders them, so that an error names the file that the user wrote, and its line.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::bundle::Bundle;
use crate::domain::{Error, Hint, Place, Result};
use crate::format::litellm::{Context, Severity, check};

/// `at` says where a file of the bundle lies; `None` for a file that came with gwinstall.
pub fn require_sound(place: &Place, bundle: &Bundle, at: &dyn Fn(&str) -> Option<PathBuf>) -> Result<()> {
    let bases = bundle.catalog.presets.iter().filter_map(|preset| preset.base.as_deref());
    let fragments = bundle.catalog.models.iter().filter_map(|model| model.config_file.as_deref());
    for file in bases.chain(fragments).collect::<BTreeSet<_>>() {
        let Some(path) = at(file) else { continue };
        let findings = check(bundle.text(file)?, &Context::default());
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        if errors.is_empty() {
            continue;
        }
        let shown = place.show(&path);
        let wrong = Error::failed(format!("the template {shown} cannot be used"));
        let reasons = errors
            .iter()
            .map(|finding| format!("{shown}:{}:{}: {}", finding.line, finding.column, finding.message));
        return Err(reasons
            .fold(wrong, Error::because)
            .hint(Hint::run(&["validate", &path.to_string_lossy()])));
    }
    Ok(())
}
