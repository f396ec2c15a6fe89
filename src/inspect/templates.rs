//! Templates that no release key has signed, those of a directory and of presets of one's own, are held against the
//! validator before anything is made of them: a mistake is told in the file that a person wrote, with its line.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::bundle::Bundle;
use crate::domain::{Error, Place, Result};
use crate::format::litellm::{Context, Severity, check};

/// `at` tells where a file of the bundle lies; `None` for what came with gwinstall.
pub fn demand_sound(place: &Place, bundle: &Bundle, at: &dyn Fn(&str) -> Option<PathBuf>) -> Result<()> {
    let bases = bundle.catalog.presets.iter().filter_map(|preset| preset.base.as_deref());
    let fragments = bundle.catalog.models.iter().map(|model| model.config_file.as_str());
    for file in bases.chain(fragments).collect::<BTreeSet<_>>() {
        let Some(path) = at(file) else { continue };
        let findings = check(bundle.text(file)?, &Context::default());
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        if errors.is_empty() {
            continue;
        }
        let shown = place.show(&path);
        let wrong = Error::failed(format!("the template {shown} cannot be used"));
        let told = |wrong: Error, finding: &&crate::format::litellm::Finding| {
            wrong.because(format!("{shown}:{}:{}: {}", finding.line, finding.column, finding.message))
        };
        let wrong = errors.iter().fold(wrong, told);
        return Err(wrong.hint(format!("gwinstall validate {}", place.paste(&path))));
    }
    Ok(())
}
