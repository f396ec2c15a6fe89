//! The user's own presets: `~/.claude/presets/NAME/preset.yaml` and the files beside it, laid over a bundle.
//!
//! ```yaml
//! schema: 1
//! preset: {name: team, description: …, template_file: templates/team.yaml, base: templates/litellm-base.yaml, …}
//! models: []        # further models, as in catalog.yaml
//! environment: []   # further variables
//! files: []         # the files beside this one that are deployed
//! ```
//!
//! Promise: a preset of the user can add to the bundle, never replace: a name that the bundle has already is refused,
//! and a variable that it describes keeps its description, so that a file in a home directory cannot change what a
//! signed bundle means. The result passes the same checks as any bundle.

use std::path::Path;

use serde::Deserialize;

use super::catalog::{EnvVar, FileEntry, Model, Preset};
use super::{Bundle, CATALOG, Unusable, pack, ustar};
use crate::domain::name::shell_word;
use crate::domain::{Error, Hint, Result};
use crate::doors::disk;

const FILE: &str = "preset.yaml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Overlay {
    schema: u32,
    preset: Preset,
    #[serde(default)]
    models: Vec<Model>,
    #[serde(default)]
    environment: Vec<EnvVar>,
    #[serde(default)]
    files: Vec<FileEntry>,
}

impl Bundle {
    /// The bundle with every preset in `dir` laid over it; without such a directory it is the bundle itself. A preset with
    /// a mistake, also one that `sound` finds, is left out, and does not stop the others.
    pub fn with_presets_of(mut self, dir: &Path, sound: &dyn Fn(&Self, &Path) -> Result<()>) -> Result<Self> {
        for name in disk::list(dir)? {
            let own = dir.join(&name);
            if !disk::exists(&own.join(FILE)) {
                continue;
            }
            // A copy shares the bytes of the files.
            let mut with = self.clone();
            match with.lay(&own).and_then(|()| sound(&with, &own)) {
                Ok(()) => self = with,
                Err(error) => {
                    let free = |named: &String| self.catalog.preset(named).is_none();
                    let name = named(&own).filter(free).unwrap_or(name);
                    self.unusable.push(Unusable { name, error });
                }
            }
        }
        Ok(self)
    }

    /// An error if the bundle lacks this preset because the user's own one of the name cannot be used.
    pub fn require_usable(&self, preset: &str) -> Result<()> {
        if self.catalog.preset(preset).is_some() {
            return Ok(());
        }
        let broken = self.unusable.iter().find(|unusable| unusable.name == preset);
        broken.map_or(Ok(()), |unusable| Err(unusable.error.clone()))
    }

    fn lay(&mut self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        let wrong = |why: String| {
            let word = shell_word(&dir.display().to_string());
            Error::failed(format!("the preset {} cannot be used", path.display()))
                .because(why)
                .hint(Hint::step("fix it").or(Hint::shell(format!("mv {word} {word}.off")).to("disable it")))
        };
        let text = String::from_utf8(disk::read(&path, disk::TEXT_CAP)?)
            .map_err(|error| wrong(format!("it is not UTF-8: {}", error.utf8_error())))?;
        let overlay: Overlay = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if overlay.schema != 1 {
            return Err(wrong(format!(
                "its schema is {}, this version of gwinstall knows 1",
                overlay.schema
            )));
        }
        for file in &overlay.files {
            pack::check_path(file.path.as_bytes())
                .map_err(|why| wrong(format!("file {}: {why}", file.path)))?;
            if self.files.contains_key(&file.path) || file.path == CATALOG || file.path == FILE {
                return Err(wrong(format!("file {}: the bundle has a file of this name", file.path)));
            }
            let bytes = disk::read(&dir.join(&file.path), ustar::Limits::BUNDLE.unpacked)?;
            self.files.insert(file.path.clone(), bytes.into());
        }
        self.catalog.presets.push(overlay.preset);
        self.catalog.models.extend(overlay.models);
        // Once a bundle describes a variable itself, its description replaces that of the user's preset.
        for variable in overlay.environment {
            if self.catalog.variable(&variable.name).is_none() {
                self.catalog.environment.push(variable);
            }
        }
        self.catalog.files.extend(overlay.files);
        self.catalog.check(&self.files).map_err(wrong)?;
        self.id.sha256 = super::digest(&self.files);
        self.id.with_own_presets = true;
        Ok(())
    }
}

/// The name that a preset gives itself, as far as its file can be read.
fn named(dir: &Path) -> Option<String> {
    let text = disk::read(&dir.join(FILE), disk::TEXT_CAP).ok()?;
    let text: serde_yaml::Value = serde_yaml::from_slice(&text).ok()?;
    Some(text.get("preset")?.get("name")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bundle::Provenance;
    use crate::domain::tree::Content;

    fn bundle() -> Bundle {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded");
        let files: BTreeMap<String, Content> = disk::walk(&root)
            .unwrap()
            .into_iter()
            .map(|path| (path.clone(), disk::read(&root.join(&path), 1 << 20).unwrap().into()))
            .collect();
        Bundle::new(
            files,
            &Provenance {
                version: "1",
                seq: 0,
                origin: crate::domain::record::BundleOrigin::Directory,
                path: None,
            },
        )
        .unwrap()
    }

    fn team(dir: &Path, preset: &str) {
        let own = dir.join("team");
        disk::create_dirs(&own.join("templates")).unwrap();
        disk::create(&own.join("preset.yaml"), preset.as_bytes(), 0o600).unwrap();
        disk::create(&own.join("templates/team.yaml"), b"model_list: []\n", 0o600).unwrap();
    }

    const GOOD: &str = "schema: 1
preset:
  name: team
  description: Our own
  template_file: templates/team.yaml
  base: templates/litellm-base.yaml
  default_models: [gpt-oss-120b]
  gateway_types: [local]
  required_env_vars: [LITELLM_MASTER_KEY]
  deploy_tests: false
  deploy_examples: false
files:
  - {path: templates/team.yaml, class: template, presets: [team]}
";

    #[test]
    fn a_preset_of_ones_own_is_laid_over_the_bundle() {
        let home = tempfile::tempdir().unwrap();
        team(home.path(), GOOD);
        let bundle = bundle().with_presets_of(home.path(), &|_, _| Ok(())).unwrap();
        assert_eq!(bundle.catalog.preset("team").unwrap().default_models, ["gpt-oss-120b"]);
        assert!(bundle.file("templates/team.yaml").is_some());
    }

    #[test]
    fn a_variable_that_the_bundle_describes_too_keeps_its_description() {
        let home = tempfile::tempdir().unwrap();
        let own = "environment:
  - {name: OPENAI_API_KEY, description: Mine, how: Ask, secret: false}
  - {name: ACME_KEY, description: Ours, how: Ask, secret: true}
";
        team(home.path(), &format!("{GOOD}{own}"));
        let catalog = bundle().with_presets_of(home.path(), &|_, _| Ok(())).unwrap().catalog;
        assert!(catalog.is_secret("OPENAI_API_KEY"));
        assert_eq!(catalog.variable("ACME_KEY").unwrap().description, "Ours");
    }

    #[test]
    fn it_can_add_but_never_replace_and_mistakes_have_a_line() {
        for (preset, why) in [
            (GOOD.replace("name: team", "name: basic"), "preset basic is listed twice"),
            (
                GOOD.replace("templates/team.yaml, class", "templates/litellm-base.yaml, class"),
                "the bundle has a file of this name",
            ),
            (GOOD.replace("gpt-oss-120b", "gpt-6"), "there is no model gpt-6"),
            (
                GOOD.replace("base: templates/litellm-base.yaml", "base: templates/team.yaml"),
                "templates/team.yaml: no line ends with # gwinstall:models",
            ),
            (GOOD.replace("  description: Our own\n", "  descripton: Our own\n"), "line 4"),
        ] {
            let home = tempfile::tempdir().unwrap();
            team(home.path(), &preset);
            let bundle = bundle().with_presets_of(home.path(), &|_, _| Ok(())).unwrap();
            let [Unusable { error, .. }] = &bundle.unusable[..] else { panic!("{:?}", bundle.unusable) };
            assert!(error.to_string().contains(why), "{error}");
            // Nothing of it is left in the bundle.
            assert!(bundle.file("templates/team.yaml").is_none() && bundle.catalog.preset("team").is_none());
            assert!(!bundle.id.with_own_presets);
        }
    }
}
